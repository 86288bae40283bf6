"""The command line: `python -m optlaws_core laws|schedules|read|fit|predict|rank`.

Exit code 0 on success, 1 on bad input with one sentence on stderr, 2 on a command that does not exist.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path

from .errors import FitError, OptLawsError
from .fits import Fit
from .fitting import fit
from .laws import LAWS
from .prediction import predict, rank
from .readers import read
from .runs import Run
from .schedules import SCHEDULES, number, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except (OptLawsError, FitError) as fault:
        print(fault, file=sys.stderr)
        return 1
    except OSError as fault:
        if isinstance(fault, BrokenPipeError):  # `… | head` closed the pipe: not an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"{fault.filename or 'A file'}: {fault.strerror or fault}.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m optlaws_core", description=__doc__.splitlines()[0])
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
    fitting.add_argument("--test", nargs="+", metavar="RUN", help="held-out runs; by default every other run")
    fitting.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    fitting.add_argument("--lock", nargs="+", default=[], metavar="NAME=VALUE", help="coefficients held at a value")
    fitting.add_argument("--from-step", type=int, help="first step that counts; by default the end of the warm-up")
    fitting.add_argument("--json", required=True, type=Path, metavar="OUT", help="file to write the fit to")

    predicting = command("predict", _predict, "predict the losses of one schedule")
    predicting.add_argument("--fit", required=True, type=Path, metavar="FIT.json", help="a file that fit wrote")
    predicting.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    predicting.add_argument("--at", nargs="+", type=int, metavar="STEP", help="steps; by default the last update")
    predicting.add_argument("--json", action="store_true", help="as JSON")

    ranking = command("rank", _rank, "rank schedules by predicted final loss")
    ranking.add_argument("--fit", required=True, type=Path, metavar="FIT.json", help="a file that fit wrote")
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


def _read(args) -> None:
    reading = read(*args.paths)
    rows = reading.rows()
    if not rows:
        raise OptLawsError(" ".join(f.error for f in reading.files if f.error) or "No runs were found.")
    if args.json:
        return _print_json(rows)
    for row in rows:
        print(
            f"{row['run']}: {row['points']:,} points, steps {row['first_step']:,} to {row['last_step']:,}, "
            f"{row['format']}, learning rate {row['lr_source']}"
        )
        for note in row["notes"]:
            print(f"    {note}")
    for file in reading.files:
        if file.error:
            print(file.error, file=sys.stderr)


def _fit(args) -> None:
    reading = read(args.runs)
    runs = {r.name: r if args.split is None else r.on(args.split) for r in reading.runs}
    if not runs:
        raise OptLawsError(" ".join(f.error for f in reading.files if f.error) or f"{args.runs}: no runs were found.")
    train = [_named(runs, name) for name in args.train]
    if args.test is None:
        test = [r for n, r in runs.items() if n not in args.train and r.plan is not None]
    else:
        test = [_named(runs, name) for name in args.test]
    both = set(args.train) & set(args.test or ())
    if both:
        raise OptLawsError(f"A run is either trained on or held out, got {sorted(both)[0]!r} as both.")
    result = fit(args.law, train, test=test, locked=dict(map(_lock, args.lock)), from_step=args.from_step)
    result.save(args.json)
    print(f"{result.message} Objective {result.objective:.6g}, {result.seconds:.2f} s.")
    for name, value in result.theta.items():
        ends = result.interval[name]
        between = f"   90 % interval {ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
        print(f"    {name:10} {value:.6g}{between}")
    for kind, scores in (("train", result.train), ("held out", result.test)):
        for name, s in scores.items():
            print(f"    {kind:8} {name}: RMSE {s.rmse:.5f}, R² {s.r2:.5f}, worst {100 * s.worst_rel:.2f} %")


def _named(runs: dict[str, Run], name: str) -> Run:
    if name not in runs:
        raise OptLawsError(f"There is no run {name!r}. Known runs: {', '.join(runs)}.")
    return runs[name]


def _lock(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise OptLawsError(f"--lock takes NAME=VALUE with a number, got {text!r}.") from None


def _predict(args) -> None:
    schedule, law = parse(args.schedule), Fit.load(args.fit)
    steps = args.at if args.at is not None else [schedule.total - 1]
    losses = predict(law, schedule, steps)
    if args.json:
        rows = [{"step": int(t), "loss": float(y)} for t, y in zip(steps, losses, strict=True)]
        return _print_json({"schedule": schedule.text, "predictions": rows})
    for t, y in zip(steps, losses, strict=True):
        print(f"{t:>12,}  {y:.6f}")


def _rank(args) -> None:
    rows = rank(Fit.load(args.fit), [parse(s) for s in args.schedule])
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
