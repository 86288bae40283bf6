"""Runs that a command asks for: what was read of them, and a sentence on everything that was not."""

from collections.abc import Iterable

from ..errors import OptLawsError
from ..fitting.single import usable
from ..readers import FileReport, Reading, read
from ..runs import Run
from ..text import listed


def everything(*paths: str) -> Reading:
    """Everything at `paths`. Raises `OptLawsError` with the reasons when there is no run."""
    reading = read(*paths)
    if not reading.runs:
        reasons = " ".join(unread_files(reading.files))
        raise OptLawsError(f"{listed(paths)}: no runs were found. {reasons}")
    return reading


def unread_files(files: Iterable[FileReport]) -> list[str]:
    """One sentence for everything in these files that was not read."""
    said = []
    for file in files:
        texts = [file.error] if file.error else [n.text for n in file.notes if n.level == "refused"]
        if file.absent:
            texts.append(f"files that it names are not beside it: {listed(file.absent)}.")
        said += [t if t.startswith(file.file) or file.error else f"{file.file}: {t}" for t in texts]
    return said


def logs(args, remarks: list[str]) -> list[Run]:
    """Runs of --runs, on the losses that were asked for; none where a table takes their place."""
    reading = everything(args.runs)
    remarks += unread_files(reading.files)
    found, faults = [], []
    for run in reading.runs:
        try:
            found.append(on(run, args.split))
        except OptLawsError as fault:
            faults.append(f"Left out: {fault}")
    if not found:
        raise OptLawsError(faults[0])
    remarks += faults
    return found


def chosen(args) -> tuple[list[Run], list[Run], list[str]]:
    """Training runs, held-out runs, and a sentence on everything that could not be used."""
    reading = everything(args.runs)
    remarks = unread_files(reading.files)
    train = [named(reading, name, args.split) for name in args.train]
    if args.test is None:
        return train, others(reading, args, remarks), remarks
    return train, [named(reading, name, args.split) for name in args.test], remarks


def others(reading: Reading, args, remarks: list[str]) -> list[Run]:
    """Every run that is not trained on and can be scored; `remarks` gets a sentence for each one that cannot."""
    test = []
    for run in reading.runs:
        if run.name in args.train:
            continue
        try:
            run = on(run, args.split)
            usable(run, args.from_step)
            test.append(run)
        except OptLawsError as fault:
            remarks.append(f"Not held out: {fault}")
    return test


def of_sizes(train: list[Run], test: list[Run], args, remarks: list[str]) -> list[Run]:
    """`test`, without the runs that nobody named and whose model size no training run has; `remarks` tells of them."""
    if args.test is not None:
        return test
    sizes, kept = {r.plan.params for r in train if r.plan}, []
    for run in test:
        if run.plan.params in sizes:
            kept.append(run)
        else:
            remarks.append(f"Not held out: Run {run.name!r} has no model size, or one that no training run has.")
    return kept


def named(reading: Reading, name: str, split: str | None) -> Run:
    runs = {r.name: r for r in reading.runs}
    if name not in runs:
        reasons = " ".join(unread_files(reading.files))
        raise OptLawsError(f"There is no run {name!r}. Known runs: {', '.join(runs)}. {reasons}")
    return on(runs[name], split)


def on(run: Run, split: str | None) -> Run:
    return run if split is None else run.on(split)
