"""The command line: `python -m optlaws_core laws|schedules|read|fit|predict|rank`.

Exit code 0 on success, 1 on bad input with one line on stderr. Where a command succeeds without some of its files or
runs, stderr names each with the reason.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path

from .errors import FitError, OptLawsError
from .fits import Fit, load_fit
from .fitting import fit, usable
from .laws import LAWS
from .prediction import predict, rank
from .readers import FileReport, Reading, read
from .readers.base import listed, one_line
from .runs import Run
from .schedules import SCHEDULES, number, parse
from .schedules.base import LARGEST


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _open_streams()
    try:
        args = _parser().parse_args(argv)
        remarks = args.run(args) or ()
        sys.stdout.flush()
        _tell(remarks)
    except (OptLawsError, FitError) as fault:
        return _failed(fault)
    except OverflowError as fault:
        return _failed(f"A number is too large to be worked with ({fault}).")
    except BrokenPipeError:  # `… | head` closed the pipe: not an error
        _drop_stdout()
    except OSError as fault:
        if fault.filename is None:
            _drop_stdout()
        return _failed(f"{fault.filename or 'The output'}: {fault.strerror or fault}.")
    return 0


def _open_streams() -> None:
    """Streams that take any text: a closed one swallows it, and what an encoding lacks is written as an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_stdout() -> None:
    """Send what is still to be written nowhere, so that Python does not fail on it once more when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(fault: object) -> int:
    _tell([str(fault)])
    return 1


def _tell(remarks: Iterable[str]) -> None:
    """Each remark as one line on stderr."""
    for remark in remarks:
        print(one_line(remark), file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise OptLawsError(f"{self.prog}: {message}")


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("a path must not be empty")
    return Path(text)


def _step(text: str) -> int:
    try:
        step = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a step is a whole number, got {_brief(text)}") from None
    if abs(step) > LARGEST:
        raise argparse.ArgumentTypeError(f"a step may be at most {LARGEST:g}, got {_brief(text)}")
    return step


def _brief(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m optlaws_core", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    laws = command("laws", _laws, "list the laws that can be fitted")
    laws.add_argument("--json", action="store_true", help="as JSON")
    schedules = command("schedules", _schedules, "list the schedule families and their fields")
    schedules.add_argument("--json", action="store_true", help="as JSON")

    reading = command("read", _read, "say what is in log files")
    reading.add_argument("paths", nargs="+", metavar="PATH", help="log file, manifest CSV, or a folder of them")
    reading.add_argument("--json", action="store_true", help="as JSON")

    fitting = command("fit", _fit, "fit a law to runs and score it on held-out runs")
    fitting.add_argument("--law", required=True, help=f"one of {', '.join(LAWS)}")
    fitting.add_argument("--runs", required=True, metavar="MANIFEST_OR_FOLDER", help="where the runs are")
    fitting.add_argument("--train", required=True, nargs="+", metavar="RUN", help="runs to fit")
    fitting.add_argument("--test", nargs="+", metavar="RUN", help="held-out runs; by default every other usable run")
    fitting.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    fitting.add_argument("--lock", nargs="+", default=[], metavar="NAME=VALUE", help="coefficients held at a value")
    fitting.add_argument("--from-step", type=_step, help="first step that counts; by default the end of the warm-up")
    fitting.add_argument("--json", required=True, type=_path, metavar="OUT", help="file to write the fit to")

    predicting = command("predict", _predict, "predict the losses of one schedule")
    predicting.add_argument("--fit", required=True, type=_path, metavar="FIT.json", help="a file that fit wrote")
    predicting.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    predicting.add_argument("--at", nargs="+", type=_step, metavar="STEP", help="steps; by default the last update")
    predicting.add_argument("--json", action="store_true", help="as JSON")

    ranking = command("rank", _rank, "rank schedules by predicted final loss")
    ranking.add_argument("--fit", required=True, type=_path, metavar="FIT.json", help="a file that fit wrote")
    ranking.add_argument("--schedule", required=True, action="append", help="a candidate; give it several times")
    ranking.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _laws(args) -> None:
    rows = [
        {
            "law": law.name,
            "title": law.title,
            "summary": law.summary,
            "reference": law.reference,
            "formula": law.latex,
            "params": [
                {"name": p.name, "meaning": p.meaning, "low": p.low, "high": p.high, "scale": p.scale}
                for p in law.params
            ],
        }
        for law in LAWS.values()
    ]
    if args.json:
        return _print_json(rows)
    for row in rows:
        print(f"{row['law']:16} {row['title']}. {row['summary']}\n{'':16} {row['reference']}")


def _schedules(args) -> None:
    rows = [
        {
            "schedule": name,
            "summary": cls.__doc__.strip().splitlines()[0],
            "formula": cls.formula,
            "fields": [
                {
                    "name": f.name,
                    "required": f.default is MISSING,
                    "default": None if f.default is MISSING else f.default,
                    "unit": f.metadata["unit"],
                    "meaning": f.metadata["meaning"],
                }
                for f in fields(cls)
            ],
        }
        for name, cls in SCHEDULES.items()
    ]
    if args.json:
        return _print_json(rows)
    for row in rows:
        given = ", ".join(f["name"] if f["required"] else f"{f['name']}={f['default']}" for f in row["fields"])
        print(f"{row['schedule']}({given})\n    {row['summary']}")


def _read(args) -> list[str]:
    reading = _reading(*args.paths)
    rows = reading.rows()
    if args.json:
        _print_json(rows)
    for row in () if args.json else rows:
        print(
            f"{row['run']}: {row['points']:,} points, steps {row['first_step']:,} to {row['last_step']:,}, "
            f"{row['format']}, learning rate {row['lr_source']}"
        )
        for note in row["notes"]:
            print(f"    {note}")
    return _left_out(f for f in reading.files if not f.runs)  # what other files lack stands in their runs' notes


def _reading(*paths: str) -> Reading:
    """Everything at `paths`. Raises `OptLawsError` with the reasons when there is no run."""
    reading = read(*paths)
    if not reading.runs:
        reasons = " ".join(_left_out(reading.files))
        raise OptLawsError(f"{listed(paths)}: no runs were found. {reasons}")
    return reading


def _left_out(files: Iterable[FileReport]) -> list[str]:
    """One sentence for everything in these files that was not read."""
    said = []
    for file in files:
        texts = [file.error] if file.error else [n.text for n in file.notes if n.level == "refused"]
        if file.absent:
            texts.append(f"files that it names are not beside it: {listed(file.absent)}.")
        said += [t if t.startswith(file.file) or file.error else f"{file.file}: {t}" for t in texts]
    return said


def _fit(args) -> list[str]:
    _check_names(args.train, args.test or [])
    _check_out(args.json)
    locked = dict(map(_lock, args.lock))
    reading = _reading(args.runs)
    remarks = _left_out(reading.files)
    train = [_named(reading, name, args.split) for name in args.train]
    if args.test is None:
        test = _others(reading, args, remarks)
    else:
        test = [_named(reading, name, args.split) for name in args.test]
    result = fit(args.law, train, test=test, locked=locked, from_step=args.from_step)
    result.save(args.json)
    _print_fit(result)
    return remarks


def _print_fit(result: Fit) -> None:
    print(f"{result.message} Objective {result.objective:.6g}, {result.seconds:.2f} s.")
    for name, value in result.theta.items():
        ends = result.interval[name]
        between = f"   90 % interval {ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
        print(f"    {name:10} {value:.6g}{between}")
    for kind, scores in (("train", result.train), ("held out", result.test)):
        for name, s in scores.items():
            print(f"    {kind:8} {name}: RMSE {s.rmse:.5f}, R² {s.r2:.5f}, worst {100 * s.worst_rel:.2f} %")


def _check_names(train: list[str], test: list[str]) -> None:
    """Raises `OptLawsError` for a run that is named twice."""
    for option, names in (("--train", train), ("--test", test)):
        name, times = Counter(names).most_common(1)[0] if names else ("", 1)
        if times > 1:
            raise OptLawsError(f"{option}: a run counts once, got {name!r} {times} times.")
    both = sorted(set(train) & set(test))
    if both:
        raise OptLawsError(f"A run is either trained on or held out, got {both[0]!r} as both.")


def _check_out(out: Path) -> None:
    """Raises `OptLawsError` for a file that cannot be written, before minutes go into what should stand in it."""
    if out.is_dir():
        raise OptLawsError(f"--json {out}: the fit is written to a file, but this is a folder.")
    if not out.parent.is_dir():
        raise OptLawsError(f"--json {out}: there is no folder {str(out.parent)!r}.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise OptLawsError(f"--json {out}: the file cannot be written (no permission).")


def _named(reading: Reading, name: str, split: str | None) -> Run:
    runs = {r.name: r for r in reading.runs}
    if name not in runs:
        reasons = " ".join(_left_out(reading.files))
        raise OptLawsError(f"There is no run {name!r}. Known runs: {', '.join(runs)}. {reasons}")
    return _on(runs[name], split)


def _on(run: Run, split: str | None) -> Run:
    return run if split is None else run.on(split)


def _others(reading: Reading, args, remarks: list[str]) -> list[Run]:
    """Every run that is not trained on and can be scored; `remarks` gets a sentence for each one that cannot."""
    test = []
    for run in reading.runs:
        if run.name in args.train:
            continue
        try:
            run = _on(run, args.split)
            usable(run, args.from_step)
            test.append(run)
        except OptLawsError as fault:
            remarks.append(f"Not held out: {fault}")
    return test


def _lock(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise OptLawsError(f"--lock takes NAME=VALUE with a number, got {text!r}.") from None


def _predict(args) -> None:
    schedule, law = parse(args.schedule), load_fit(args.fit)
    steps = args.at if args.at is not None else [schedule.total - 1]
    losses = predict(law, schedule, steps)
    if args.json:
        rows = [{"step": int(t), "loss": float(y)} for t, y in zip(steps, losses, strict=True)]
        return _print_json({"schedule": schedule.text, "predictions": rows})
    for t, y in zip(steps, losses, strict=True):
        print(f"{t:>12,}  {y:.6f}")


def _rank(args) -> None:
    rows = rank(load_fit(args.fit), [parse(s) for s in args.schedule])
    if args.json:
        return _print_json(
            [
                {
                    "schedule": r.schedule.text,
                    "final_loss": r.final_loss,
                    "delta": r.delta,
                    "extrapolates": r.extrapolates,
                    "saved_updates": r.saved_updates,
                    "reasons": list(r.reasons),
                }
                for r in rows
            ]
        )
    for r in rows:
        note = f"   extrapolates: {'; '.join(r.reasons)}" if r.reasons else ""
        print(f"{r.final_loss:.6f}  +{number(round(r.delta, 6)):9} {r.schedule.text}{note}")


def _print_json(value) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))
