"""The commands on laws of whole curves: fit, select, predict, rank. Fits of final losses go to `tables`."""

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import OptLawsError
from ..final_loss import FINAL_LAWS
from ..fitting.joint import fit_sizes
from ..fitting.result import Average, Fit, Model, Status
from ..fitting.selection import Selection, select
from ..fitting.single import fit
from ..laws import LAWS
from ..parallel import Report
from ..prediction.bands import Prediction, with_bands
from ..prediction.divergence import MOST_RISK
from ..prediction.losses import Ranked, outside, rank
from ..schedules import Schedule, parse
from ..text import format_amount, format_number, one_line
from . import tables
from .logs import chosen, logs, of_sizes
from .shared import (
    amount,
    brief,
    check_names,
    check_out,
    curve_fit,
    extrapolation,
    file,
    is_final,
    named_once,
    path,
    print_coefficients,
    print_json,
    refuse,
    save,
    step,
)

IN_DOUBT = (Status.at_bound, Status.out_of_steps, Status.weak)


def add_fit(command: argparse.ArgumentParser) -> None:
    """Options of `fit`."""
    command.add_argument("--law", required=True, type=_law,
                         help=f"of curves: {', '.join(LAWS)}; of final losses: {', '.join(FINAL_LAWS)}")  # fmt: skip
    _add_runs(command, tables=True)
    tables.add_fit(command)
    command.add_argument("--lock", nargs="+", default=[], metavar="NAME=VALUE", help="coefficients held at a value")
    command.add_argument("--joint", action="store_true",
                         help="fit several model sizes together, the law's shared coefficients in common; one file "
                              "for each size, named OUT with the size before the suffix")  # fmt: skip
    command.add_argument("--json", required=True, type=path, metavar="OUT", help="file to write the fit to")


def add_select(command: argparse.ArgumentParser) -> None:
    """Options of `select`."""
    _add_runs(command)
    command.add_argument("--laws", nargs="+", metavar="LAW", default=[*LAWS], help="laws to fit; by default all")
    command.add_argument("--pool", nargs="+", metavar="LAW", help="laws to average; by default the Opt-Laws ones")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--cluster", metavar="ADDRESS", help="Dask scheduler to fit on, tcp://host:port")
    where.add_argument("--processes", type=int, metavar="N", help="of this machine; by default one a core")
    command.add_argument("--table", type=path, metavar="OUT", help="file to write the table to, as JSON")
    command.add_argument("--json", required=True, type=path, metavar="OUT",
                           help="file to write the model to that the advice says to trust")  # fmt: skip


def add_predict(command: argparse.ArgumentParser) -> None:
    """Options of `predict`."""
    add_model(command)
    command.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    command.add_argument("--at", nargs="+", type=step, metavar="STEP", help="steps; by default the last update")
    command.add_argument("--json", action="store_true", help="as JSON")


def add_rank(command: argparse.ArgumentParser) -> None:
    """Options of `rank`."""
    add_model(command)
    command.add_argument("--schedule", action="append", help="a candidate; give it several times")
    command.add_argument("--risk-from", type=path, metavar="PATH",
                         help="labelled runs that tell the risk of divergence: a table, a manifest, a folder of logs, "
                              "or a final-loss fit")  # fmt: skip
    command.add_argument("--risk", type=amount, default=MOST_RISK, metavar="P",
                         help=f"set candidates apart that are more likely to diverge; {MOST_RISK:g}")  # fmt: skip
    command.add_argument("--top", type=int, metavar="N",
                         help=f"candidates to print; of a fit of final losses {tables.SHOWN}, else all")  # fmt: skip
    tables.add_rank(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def _add_runs(command: argparse.ArgumentParser, tables: bool = False) -> None:
    """What `fit` and `select` have in common: which runs, and which of their losses."""
    command.add_argument("--runs", required=not tables, metavar="MANIFEST_OR_FOLDER", help="where the runs are")
    command.add_argument("--train", required=not tables, nargs="+", metavar="RUN", help="runs to fit")
    command.add_argument("--test", nargs="+", metavar="RUN", help="held-out runs; by default every other usable run")
    command.add_argument("--split", help="losses to use: train, or the name of an eval set; by default the run's own")
    command.add_argument("--from-step", type=step, help="first step that counts; by default the end of the warm-up")


def add_model(command: argparse.ArgumentParser) -> None:
    """What `predict` and `rank` have in common: the fit, and what its candidates are trained with."""
    command.add_argument("--fit", required=True, type=file, metavar="FIT.json", help="what fit or select wrote")
    command.add_argument("--params", type=amount, metavar="N",
                         help="model size of the candidates, by default that of the training runs; an error that asks "
                              "which one a candidate has, since they had several, asks for this")  # fmt: skip
    command.add_argument("--batch-tokens", type=amount, metavar="B",
                         help="tokens in one update of the candidates, by default as in the training runs")  # fmt: skip


def run_fit(args) -> list[str]:
    """Fit a law, or several sizes together, and write what was found."""
    if (args.runs is None) == (args.table is None):
        raise OptLawsError("fit takes either --runs, logs of whole curves, or --table, final losses.")
    if args.law in FINAL_LAWS:
        remarks: list[str] = []
        return tables.fit(args, lambda: logs(args, remarks), remarks)
    refuse(args, ["--table", "--columns", "--sure", "--cv"], f"is for {', '.join(FINAL_LAWS)}, got the law {args.law}")
    if not args.train:
        raise OptLawsError("--train is needed: the runs to fit.")
    check_names(args.train, args.test or [])
    check_out("--json", args.json, args.runs)
    locked = named_once("--lock", map(_lock, args.lock))
    train, test, remarks = chosen(args)
    how = {"locked": locked, "from_step": args.from_step}
    if args.joint:
        found = fit_sizes(args.law, train, test=of_sizes(train, test, args, remarks), **how)
        outs = {size: args.json.with_stem(f"{args.json.stem}-{format_number(size)}") for size in found}
    else:
        found = {None: fit(args.law, train, test=test, **how)}
        outs = {None: args.json}
    for out in outs.values():
        check_out("--json", out, args.runs)
    for size, result in found.items():
        save(result, outs[size])
        if size is not None:
            print(f"{format_number(size)} parameters: {outs[size]}")
        _print_fit(result)
    return remarks


def run_select(args) -> list[str]:
    """Fit several laws, print the table and the advice, write the model to trust."""
    check_names(args.train, args.test or [])
    check_out("--json", args.json, args.runs)
    if args.table:
        check_out("--table", args.table, args.runs)
        if args.table.resolve() == args.json.resolve():
            raise OptLawsError(f"--table {args.table}: the table needs a file of its own, not that of --json.")
    train, test, remarks = chosen(args)
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


def run_predict(args) -> list[str]:
    """Losses of one schedule, with bands."""
    if is_final(args.fit):
        return tables.predict(args)
    schedule, law = parse(args.schedule), curve_fit(args)
    reasons = list(outside(law.coverage, schedule))
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
                "reasons": reasons,
            }
        )
    for t, y, inner, outer in () if args.json else rows:
        print(f"{t:>12,}  {y:.6f}{_between(inner, outer)}")
    return [*_doubts(law), *_unseen(law, schedule, found.steps), *extrapolation(reasons)]


def run_rank(args) -> list[str]:
    """Candidates by predicted final loss."""
    if args.risk > 1:
        raise OptLawsError(f"--risk is a probability, got {args.risk:g}.")
    if args.top is not None and args.top < 1:
        raise OptLawsError(f"--top must be at least 1, got {args.top}.")
    if is_final(args.fit):
        return tables.rank(args)
    refuse(args, tables.OWN, "is for fits of final losses; a fit of a curve law ranks what --schedule names")
    if not args.schedule:
        raise OptLawsError("A fit of a curve law ranks candidates that are named: --schedule for each of them.")
    if args.risk_from is None:
        refuse(args, ["--risk"], "needs --risk-from: labelled runs that tell the risk of divergence")
    law = curve_fit(args)
    risk = tables.risk(args.risk_from) if args.risk_from else None
    rows = rank(law, [parse(s) for s in args.schedule], risk, args.risk)
    shown, bands = rows[: args.top], []
    for r in shown:
        found = with_bands(law, r.schedule)
        bands.append((_ends(found, _estimated(law, found))[0], _ends(found, found.prediction)[0]))
    if args.json:
        print_json([
            _ranked(r) | _keys("prediction", outer) | ({"risk": r.risk, "apart": r.apart} if risk else {})
            for r, (_, outer) in zip(shown, bands, strict=True)
        ])  # fmt: skip
    for r, band in () if args.json else zip(shown, bands, strict=True):
        danger = "" if risk is None else f"   diverges {'-' if r.risk is None else format(r.risk, '.0%'):>4}"
        note = f"   extrapolates: {'; '.join(r.reasons)}" if r.reasons else ""
        above = f"{format_number(round(r.delta, 6)):9}"
        sign = "" if r.delta < 0 else "+"
        print(f"{r.final_loss:.6f}{_between(*band)}   {sign}{above}{danger} {r.schedule.text}{note}")
    if not args.json and len(shown) < len(rows):
        print(tables.LEFT.format(len(rows) - len(shown)))
    said = _doubts(law)
    if apart := sum(r.apart for r in rows):
        said.append(f"Set apart as likely to diverge, behind all others: {apart} of {len(rows)}.")
    if risk and any(r.risk is None for r in rows):
        low, high = map(format_amount, risk.params)
        sizes = low if low == high else f"{low} to {high}"
        said.append(
            f"No risk of divergence is known for some candidates: the labelled runs have {sizes} parameters, and "
            "--params tells a candidate's."
        )
    return said


def _ranked(r: Ranked) -> dict:
    return {
        "schedule": r.schedule.text,
        "final_loss": r.final_loss,
        "delta": r.delta,
        "extrapolates": r.extrapolates,
        "saved_updates": r.saved_updates,
        "reasons": list(r.reasons),
    }


def _law(text: str) -> str:
    """The name of a law of either kind."""
    if text not in (known := (*LAWS, *FINAL_LAWS)):
        raise argparse.ArgumentTypeError(f"Unknown law {brief(text)}. Known laws: {', '.join(known)}.")
    return text


def _lock(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise OptLawsError(f"--lock takes NAME=VALUE with a number, got {text!r}.") from None


def _progress() -> Report | None:
    """Tells the share done, where somebody watches."""
    if not sys.stderr.isatty():
        return None

    def told(share: float) -> None:
        print(f"{share:4.0%}" if share < 1 else "    ", end="\r", file=sys.stderr, flush=True)

    return told


def _print_fit(result: Fit) -> None:
    print_coefficients(result, 10)
    for kind, scores in (("train", result.train), ("held out", result.test)):
        for name, s in scores.items():
            r2 = "none" if s.r2 is None else f"{s.r2:.5f}"
            print(f"    {kind:8} {name}: RMSE {s.rmse:.5f}, R² {r2}, worst {100 * s.worst_rel:.2f} %")


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


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _doubts(model: Model) -> list[str]:
    """How the searches behind a prediction ended, as far as that speaks against it; of an average those that count."""
    shares = zip(model.fits, model.weights, strict=True) if isinstance(model, Average) else [(model, 1.0)]
    return [f"{LAWS[f.law].title}: {f.status.value}" for f, w in shares if w > 0 and f.status in IN_DOUBT]


Ends = tuple[float, float] | None  # of a band at one step


def _unseen(model: Model, schedule: Schedule, steps: NDArray[np.int64]) -> list[str]:
    """A remark where steps lie before the first that the laws were fitted to."""
    fits = model.fits if isinstance(model, Average) else (model,)
    first = max(schedule.warmup_end if f.from_step is None else f.from_step for f in fits)
    return [f"Losses before step {first:,} were not fitted."] if steps.min() < first else []


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
