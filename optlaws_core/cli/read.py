"""The command `read`: what is in log files. And what the other commands read: the runs that they ask for.

Everything that could not be read or used comes back as a sentence.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import starmap

from ..errors import OptLawsError
from ..readers import FileReport, Reading, Sources, read_all, sources_from_paths
from ..readers.remote import FORMS, is_address, sources_at
from ..runs import Run, unsettled
from ..text import listed, shortened
from .options import logs, step


def add(command: argparse.ArgumentParser) -> None:
    """Options of `read`."""
    command.set_defaults(run=run)
    command.add_argument(
        "paths", nargs="+", type=logs, metavar="PATH", help=f"log file, manifest CSV, a folder of them, or {FORMS}"
    )
    add_answers(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def add_answers(command: argparse.ArgumentParser) -> None:
    """The option that answers what logs leave open."""
    command.add_argument(
        "--answer",
        nargs="+",
        default=[],
        metavar="[FILE:]QUESTION=ANSWER[:NUMBER]",
        help="answers to the questions that `read` prints, as in x=log-calls:50; for one file or for all",
    )


def run(args: argparse.Namespace) -> list[str]:
    """Print a line for every run; what was not read comes back as remarks."""
    reading = everything(*args.paths, answers=args.answer)
    rows = reading.rows()
    if args.json:
        args.show(rows)
    for row in () if args.json else rows:
        print(
            f"{row['run']}: {row['points']:,} points, steps {row['first_step']:,} to {row['last_step']:,}, "
            f"{row['format']}, learning rate {row['lr_source']}"
        )
        print("    losses: " + "; ".join(starmap(_losses, row["losses"].items())))
        for note in row["notes"]:
            print(f"    {note}")
        for question in row["questions"]:
            print(f"    {question['text']} Read as {question['options'][0]}; --answer takes {_either(question)}.")
    return unread_files(f for f in reading.files if not f.runs)  # what other files lack stands in their runs' notes


def add_runs(command: argparse.ArgumentParser, or_table: bool = False) -> None:
    """Options of `fit` and `select`: which runs, and which losses. `or_table`: a table may take their place."""
    command.add_argument(
        "--runs",
        required=not or_table,
        type=logs,
        metavar="MANIFEST_OR_FOLDER",
        help=f"where the runs are; or {FORMS}",
    )
    command.add_argument("--train", required=not or_table, nargs="+", metavar="RUN", help="runs to fit")
    command.add_argument("--test", nargs="+", metavar="RUN", help="held-out runs; by default all other usable runs")
    command.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    command.add_argument("--from-step", type=step, help="first step that counts; by default the end of the warm-up")
    add_answers(command)


def everything(*paths: str, answers: Iterable[str] = ()) -> Reading:
    """Everything at `paths`. Raises `OptLawsError` with the reasons when there is no run, and for idle `answers`."""
    reading = read_all(_sources(paths), answers=dict(map(_answer, answers)))
    if not reading.runs:
        reasons = " ".join(unread_files(reading.files))
        raise OptLawsError(f"{listed(paths)}: no runs were found. {reasons}")
    return reading


def _sources(paths: Sequence[str]) -> Sources:
    """What lies on disk, and what the addresses among `paths` stand for."""
    near = [path for path in paths if not is_address(path)]
    found = sources_from_paths(near) if near else Sources()
    far = [source for path in paths if is_address(path) for source in sources_at(path)]
    return Sources([*found, *far], found.notes)


def _losses(split: str, found: dict) -> str:
    return f"{split} {found['points']:,} ({found['first']:.6g} to {found['last']:.6g})"


def _either(question: dict) -> str:
    return " or ".join(question["options"])


def _answer(text: str) -> tuple[str, str]:
    """A question, perhaps behind its file, and its answer. Raises `OptLawsError` for another form."""
    question, equals, answer = text.rpartition("=")
    if not (question and equals and answer):
        raise OptLawsError(f"--answer takes QUESTION=ANSWER, such as x=log-calls:50, got {shortened(text)!r}.")
    return question, answer


def unread_files(files: Iterable[FileReport]) -> list[str]:
    """One sentence for everything in these files that was not read."""
    said = []
    for file in files:
        texts = [file.error] if file.error else [n.text for n in file.notes if n.level == "refused"]
        if file.error and file.questions:
            asked = file.questions[0]
            if not texts[0].endswith(asked.text):
                texts.append(asked.text)
            texts.append(f"Answer with --answer {' or '.join(asked.typed)}.")
        if file.absent:
            texts.append(f"files that it names are not in its folder: {listed(file.absent)}.")
        said += [t if t.startswith(file.file) or file.error else f"{file.file}: {t}" for t in texts]
    return said


def runs_of_logs(args: argparse.Namespace, remarks: list[str]) -> list[Run]:
    """Runs of --runs, on the losses that were asked for; none where a table takes their place."""
    reading = everything(args.runs, answers=args.answer)
    remarks += unread_files(reading.files)
    found, faults = [], []
    for run in reading.runs:
        try:
            found.append(on(run, args.split))
        except OptLawsError as fault:
            faults.append(f"Left out: {fault}")
    if not found:
        raise OptLawsError(faults[0])
    remarks += [*faults, *unsettled(found)]
    return found


def train_and_test(args: argparse.Namespace) -> tuple[list[Run], list[Run], list[str]]:
    """Training runs, held-out runs, and a sentence on everything that could not be used."""
    reading = everything(args.runs, answers=args.answer)
    remarks = unread_files(reading.files)
    train = [named(reading, name, args.split) for name in args.train]
    if args.test is None:
        test = others(reading, args, remarks)
    else:
        test = [named(reading, name, args.split) for name in args.test]
    return train, test, [*remarks, *unsettled(test)]


def others(reading: Reading, args: argparse.Namespace, remarks: list[str]) -> list[Run]:
    """Every run that is not trained on and can be scored; `remarks` gets a sentence for each one that cannot."""
    from ..fitting.single import usable  # whoever fits has it; the command `read` does without

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


def of_sizes(train: list[Run], test: list[Run], args: argparse.Namespace, remarks: list[str]) -> list[Run]:
    """`test`, without the runs that nobody named and whose model size no training run has; `remarks` tells of them."""
    if args.test is not None:
        return test
    sizes, kept = {r.plan.params for r in train if r.plan}, []
    for run in test:
        if run.plan is not None and run.plan.params in sizes:
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
