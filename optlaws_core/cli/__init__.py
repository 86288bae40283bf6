"""The command line: `python -m optlaws_core laws|schedules|read|fit|select|predict|rank|optimize|export`.

Exit code 0 on success, 1 on bad input with one line on stderr, 130 when stopped with Ctrl-C. Where a command succeeds
without some of its files or runs, or with a fit that is in doubt, stderr names each with the reason.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields

import numpy as np

from ..bands import Prediction, with_bands
from ..errors import FitError, OptLawsError
from ..exports import TABLES, TARGETS, export
from ..final_loss import FINAL_LAWS
from ..fits import Average, Fit, Model, Status, load_fit
from ..fitting import fit, usable
from ..joint import fit_sizes
from ..laws import LAWS
from ..parallel import Report
from ..prediction import rank, sized
from ..readers import FileReport, Reading, read
from ..readers.base import listed, one_line
from ..runs import Run
from ..schedules import SCHEDULES, number, parse
from ..schedules.base import FloatArray
from ..selection import Selection, select
from . import best, tables
from .shared import Parser, amount, check_names, check_out, path, print_json, save, step

STOPPED = 130  # what a shell expects of a command that Ctrl-C ended: 128 and the signal's number
IN_DOUBT = (Status.at_bound, Status.out_of_steps, Status.weak)


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
    except KeyboardInterrupt:
        _tell(["Stopped."])
        return STOPPED
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


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m optlaws_core", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    laws = command("laws", _laws, "list the laws that can be fitted")
    laws.add_argument("--of", choices=("curves", "final"), default="curves", help="laws of whole loss curves, or of "
                      "final losses")  # fmt: skip
    laws.add_argument("--json", action="store_true", help="as JSON")
    schedules = command("schedules", _schedules, "list the schedule families and their fields")
    schedules.add_argument("--json", action="store_true", help="as JSON")

    reading = command("read", _read, "say what is in log files")
    reading.add_argument("paths", nargs="+", metavar="PATH", help="log file, manifest CSV, or a folder of them")
    reading.add_argument("--json", action="store_true", help="as JSON")

    fitting = command("fit", _fit, "fit a law to runs and score it on held-out runs")
    fitting.add_argument("--law", required=True,
                         help=f"of curves: {', '.join(LAWS)}; of final losses: {', '.join(FINAL_LAWS)}")  # fmt: skip
    _add_runs(fitting, tables=True)
    tables.add_fit(fitting)
    fitting.add_argument("--lock", nargs="+", default=[], metavar="NAME=VALUE", help="coefficients held at a value")
    fitting.add_argument("--joint", action="store_true",
                         help="fit several model sizes together, the law's shared coefficients in common; one file "
                              "for each size, named OUT with the size before the suffix")  # fmt: skip
    fitting.add_argument("--json", required=True, type=path, metavar="OUT", help="file to write the fit to")

    selecting = command("select", _select, "fit several laws, say which to trust, and average them")
    _add_runs(selecting)
    selecting.add_argument("--laws", nargs="+", metavar="LAW", default=[*LAWS], help="laws to fit; by default all")
    selecting.add_argument("--pool", nargs="+", metavar="LAW", help="laws to average; by default the Opt-Laws ones")
    where = selecting.add_mutually_exclusive_group()
    where.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler to fit on, tcp://host:port")
    where.add_argument("--processes", type=int, metavar="N", help="of this machine; by default one a core")
    selecting.add_argument("--table", type=path, metavar="OUT", help="file to write the table to, as JSON")
    selecting.add_argument("--json", required=True, type=path, metavar="OUT",
                           help="file to write the model to that the advice says to trust")  # fmt: skip

    predicting = command("predict", _predict, "predict the losses of one schedule")
    _add_model(predicting)
    predicting.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    predicting.add_argument("--at", nargs="+", type=step, metavar="STEP", help="steps; by default the last update")
    predicting.add_argument("--json", action="store_true", help="as JSON")

    ranking = command("rank", _rank, "rank schedules by predicted final loss")
    _add_model(ranking)
    ranking.add_argument("--schedule", action="append", help="a candidate; give it several times")
    tables.add_rank(ranking)
    ranking.add_argument("--json", action="store_true", help="as JSON")

    optimizing = command("optimize", lambda args: best.run(args, load_fit), "find the best schedule under a fit")
    _add_model(optimizing)
    best.add(optimizing)

    exporting = command("export", _export, "write a schedule in the words of a trainer")
    exporting.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    exporting.add_argument("--to", required=True, metavar="TARGET", help=", ".join(TARGETS))
    exporting.add_argument("--steps", type=step, metavar="N", help=f"rows of a table ({', '.join(TABLES)})")
    exporting.add_argument("--out", type=path, metavar="FILE", help="file to write to; by default stdout")
    return parser


def _add_runs(command: argparse.ArgumentParser, tables: bool = False) -> None:
    """What `fit` and `select` have in common: which runs, and which of their losses."""
    command.add_argument("--runs", required=not tables, metavar="MANIFEST_OR_FOLDER", help="where the runs are")
    command.add_argument("--train", required=not tables, nargs="+", metavar="RUN", help="runs to fit")
    command.add_argument("--test", nargs="+", metavar="RUN", help="held-out runs; by default every other usable run")
    command.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    command.add_argument("--from-step", type=step, help="first step that counts; by default the end of the warm-up")


def _add_model(command: argparse.ArgumentParser) -> None:
    """What `predict` and `rank` have in common: the fit, and what its candidates are trained with."""
    command.add_argument("--fit", required=True, type=path, metavar="FIT.json", help="what fit or select wrote")
    command.add_argument("--params", type=amount, metavar="N",
                         help="model size of the candidates, by default that of the training runs; an error that asks "
                              "which one a candidate has, since they had several, asks for this")  # fmt: skip
    command.add_argument("--batch-tokens", type=amount, metavar="B",
                         help="tokens in one update of the candidates, by default as in the training runs")  # fmt: skip


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
        for law in (LAWS if args.of == "curves" else FINAL_LAWS).values()
    ]
    if args.json:
        return print_json(rows)
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
        return print_json(rows)
    for row in rows:
        given = ", ".join(f["name"] if f["required"] else f"{f['name']}={f['default']}" for f in row["fields"])
        print(f"{row['schedule']}({given})\n    {row['summary']}")


def _read(args) -> list[str]:
    reading = _reading(*args.paths)
    rows = reading.rows()
    if args.json:
        print_json(rows)
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
    if (args.runs is None) == (args.table is None):
        raise OptLawsError("fit takes either --runs, logs of whole curves, or --table, final losses.")
    if args.law in FINAL_LAWS:
        remarks: list[str] = []
        return tables.fit(args, lambda: _logs(args, remarks), remarks)
    if args.table or args.columns or args.sure or args.cv is not None:
        raise OptLawsError(
            f"--table, --columns, --sure and --cv are for {', '.join(FINAL_LAWS)}, got the law {args.law!r}."
        )
    if not args.train:
        raise OptLawsError("--train is needed: the runs to fit.")
    check_names(args.train, args.test or [])
    check_out("--json", args.json)
    locked = dict(map(_lock, args.lock))
    train, test, remarks = _chosen(args)
    how = {"locked": locked, "from_step": args.from_step}
    if args.joint:
        found = fit_sizes(args.law, train, test=_of_sizes(train, test, args, remarks), **how)
        outs = {size: args.json.with_stem(f"{args.json.stem}-{number(size)}") for size in found}
    else:
        found = {None: fit(args.law, train, test=test, **how)}
        outs = {None: args.json}
    for out in outs.values():
        check_out("--json", out)
    for size, result in found.items():
        save(result, outs[size])
        if size is not None:
            print(f"{number(size)} parameters: {outs[size]}")
        _print_fit(result)
    return remarks


def _logs(args, remarks: list[str]) -> list[Run]:
    """Runs of --runs, on the losses that were asked for; none where a table takes their place."""
    reading = _reading(args.runs)
    remarks += _left_out(reading.files)
    found, faults = [], []
    for run in reading.runs:
        try:
            found.append(_on(run, args.split))
        except OptLawsError as fault:
            faults.append(f"Left out: {fault}")
    if not found:
        raise OptLawsError(faults[0])
    remarks += faults
    return found


def _chosen(args) -> tuple[list[Run], list[Run], list[str]]:
    """Training runs, held-out runs, and a sentence on everything that could not be used."""
    reading = _reading(args.runs)
    remarks = _left_out(reading.files)
    train = [_named(reading, name, args.split) for name in args.train]
    if args.test is None:
        return train, _others(reading, args, remarks), remarks
    return train, [_named(reading, name, args.split) for name in args.test], remarks


def _of_sizes(train: list[Run], test: list[Run], args, remarks: list[str]) -> list[Run]:
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


def _select(args) -> list[str]:
    check_names(args.train, args.test or [])
    check_out("--json", args.json)
    if args.table:
        check_out("--table", args.table)
        if args.table.resolve() == args.json.resolve():
            raise OptLawsError(f"--table {args.table}: the table needs a file of its own, not that of --json.")
    train, test, remarks = _chosen(args)
    found = select(
        args.laws, train, test=test, from_step=args.from_step, pool=args.pool, cluster=args.cluster,
        processes=args.processes, progress=_progress(),
    )  # fmt: skip
    model, rows = found.trusted, _rows(found)
    save(model, args.json)
    if args.table:
        args.table.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"{'law':20} {'left out':>9} {'misfit':>9} {'held-out RMSE':>13} {'weight':>7}  status")
    for row in rows:
        if row["status"] == "failed":
            continue
        shares = "".join(f" {_percent(row[key]):>9}" for key in ("left_out", "misfit"))
        rmse = "-" if row["held_out_rmse"] is None else f"{row['held_out_rmse']:.5f}"
        weight = "-" if row["weight"] is None else f"{100 * row['weight']:.0f} %"
        print(f"{row['law']:20}{shares} {rmse:>13} {weight:>7}  {row['status'] or ''}".rstrip())
    print(found.advice)
    for law, why in found.failed.items():
        print(f"{law} could not be fitted: {one_line(why)}")
    what = LAWS[model.law].title if isinstance(model, Fit) else "The average"
    print(f"{what} is in {args.json}.")
    return remarks


def _progress() -> Report | None:
    """Tells the share done, where somebody watches."""
    if not sys.stderr.isatty():
        return None

    def told(share: float) -> None:
        print(f"{share:4.0%}" if share < 1 else "    ", end="\r", file=sys.stderr, flush=True)

    return told


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _rows(found: Selection) -> list[dict]:
    """The table of a selection: laws as they are trusted, the average, laws that failed."""
    average = found.average
    weights = dict(zip((f.law for f in average.fits), average.weights, strict=True)) if average else {}
    rows = [_row(f.law, f, weights.get(f.law), f.status.name, f.message) for f in found.fits]
    if average:
        rows.append(_row("average", average, None, None, found.advice))
    return rows + [_row(law, None, None, "failed", why) for law, why in found.failed.items()]


def _row(law: str, model: Model | None, weight: float | None, status: str | None, message: str) -> dict:
    scores = model.test.values() if model else ()
    return {
        "law": law,
        "left_out": model and model.left_out,
        "misfit": model and model.misfit,
        "held_out_rmse": model and model.held_out_rmse,
        "held_out_mean_rel": float(np.mean([s.mean_rel for s in scores])) if scores else None,
        "weight": weight,
        "status": status,
        "message": message,
    }


def _print_fit(result: Fit) -> None:
    print(f"{result.message} Objective {result.objective:.6g}, {result.seconds:.2f} s.")
    for name, value in result.theta.items():
        ends = result.interval[name]
        between = f"   90 % interval {ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
        print(f"    {name:10} {value:.6g}{between}")
    for kind, scores in (("train", result.train), ("held out", result.test)):
        for name, s in scores.items():
            r2 = "none" if s.r2 is None else f"{s.r2:.5f}"
            print(f"    {kind:8} {name}: RMSE {s.rmse:.5f}, R² {r2}, worst {100 * s.worst_rel:.2f} %")


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


def _predict(args) -> list[str]:
    if tables.is_final(args.fit):
        return tables.predict(args)
    schedule, law = parse(args.schedule), _model(args)
    found = with_bands(law, schedule, args.at)
    parameter, prediction = _ends(found, _estimated(law, found)), _ends(found, found.prediction)
    rows = zip(map(int, found.steps), map(float, found.loss), parameter, prediction, strict=True)
    if args.json:
        print_json(
            {
                "schedule": schedule.text,
                "predictions": [
                    {"step": t, "loss": y} | _keys("parameter", inner) | _keys("prediction", outer)
                    for t, y, inner, outer in rows
                ],
            }
        )
    for t, y, inner, outer in () if args.json else rows:
        print(f"{t:>12,}  {y:.6f}{_between(inner, outer)}")
    return _doubts(law)


def _rank(args) -> list[str]:
    if tables.is_final(args.fit):
        return tables.rank(args)
    if not args.schedule or any(getattr(args, name) for name in (*tables.GRID, "parent", "text")):
        raise OptLawsError("A fit of a curve law ranks candidates that are named: --schedule for each of them.")
    law = _model(args)
    rows = rank(law, [parse(s) for s in args.schedule])
    bands = []
    for r in rows:
        found = with_bands(law, r.schedule)
        bands.append((_ends(found, _estimated(law, found))[0], _ends(found, found.prediction)[0]))
    if args.json:
        print_json(
            [
                {
                    "schedule": r.schedule.text,
                    "final_loss": r.final_loss,
                    "delta": r.delta,
                    "extrapolates": r.extrapolates,
                    "saved_updates": r.saved_updates,
                    "reasons": list(r.reasons),
                }
                | _keys("prediction", outer)
                for r, (_, outer) in zip(rows, bands, strict=True)
            ]
        )
    for r, band in () if args.json else zip(rows, bands, strict=True):
        note = f"   extrapolates: {'; '.join(r.reasons)}" if r.reasons else ""
        print(f"{r.final_loss:.6f}{_between(*band)}   +{number(round(r.delta, 6)):9} {r.schedule.text}{note}")
    return _doubts(law)


def _export(args) -> tuple[str, ...]:
    if args.out:
        check_out("--out", args.out)
    found = export(parse(args.schedule), args.to, args.steps)
    if args.out:
        args.out.write_text(found.text, encoding="utf-8")
    else:
        print(found.text, end="")
    return () if found.exact else found.notes


def _model(args) -> Model:
    return sized(load_fit(args.fit), args.params, args.batch_tokens)


def _doubts(model: Model) -> list[str]:
    """How the searches behind a prediction ended, as far as that speaks against it; of an average those that count."""
    shares = zip(model.fits, model.weights, strict=True) if isinstance(model, Average) else [(model, 1.0)]
    return [f"{LAWS[f.law].title}: {f.status.value}" for f, w in shares if w > 0 and f.status in IN_DOUBT]


Ends = tuple[float, float] | None  # of a band at one step


def _estimated(model: Model, found: Prediction) -> FloatArray | None:
    """Half-widths of the parameter band; None where no coefficient has a known error: locked, set by hand, old fits."""
    fits = model.fits if isinstance(model, Average) else (model,)
    return found.parameter if any(f.free for f in fits) else None


def _ends(found: Prediction, half: FloatArray | None) -> list[Ends]:
    """Lower and upper end at each step; None where there is no band, or one without end."""
    if half is None:
        return [None] * len(found.steps)
    with np.errstate(over="ignore"):
        low, high = found.band(half)
    return [(float(a), float(b)) if np.isfinite(b) else None for a, b in zip(low, high, strict=True)]


def _keys(name: str, ends: Ends) -> dict:
    low, high = ends or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _between(inner: Ends, outer: Ends) -> str:
    """The prediction band, or else the parameter band, from end to end: it is symmetric in the logarithm only."""
    name, ends = ("prediction", outer) if outer else ("parameter", inner)
    return f"   90 % {name} band {ends[0]:.6f} to {ends[1]:.6f}" if ends else ""
