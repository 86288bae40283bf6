"""The commands on final losses: fits to a table of runs, and rankings of hundreds of candidates."""

import argparse
import csv
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import OptLawsError
from ..final_loss import (
    FINAL_LAWS,
    SHAPES,
    TERMS,
    FinalFit,
    TableRun,
    beyond,
    candidates,
    chosen,
    columns_of,
    contenders,
    fit_table,
    labelled_risk,
    load_final,
    predict_final,
    rank_final,
    read_table,
    shares,
    table_runs,
    with_folds,
)
from ..final_loss.preselection import FinalRanked, FinalRanking
from ..final_loss.table import COLUMNS
from ..final_loss.table_fit import check_folds
from ..fitting.result import Status
from ..prediction.divergence import FEWEST, Risk
from ..runs import Plan, Run
from ..schedules import parse
from ..schedules.chain import Chain
from ..text import format_number
from .logs import everything
from .shared import (
    amount,
    check_names,
    check_out,
    extrapolation,
    file,
    is_final,
    named_once,
    print_coefficients,
    print_json,
    refuse,
    save,
)

GRID = ("tokens", "peaks", "shapes", "warmups")
OWN = (*(f"--{name}" for name in GRID), "--parent", "--text")  # options of `rank` that curve fits do not know
LEFT = "… and {:,} more; --top says how many are shown."
SHOWN = 20  # candidates that are printed, where nobody asks for another number


def add_fit(command: argparse.ArgumentParser) -> None:
    """Options of `fit` that only final-loss laws know."""
    more = command.add_argument_group("final-loss laws", f"for {', '.join(FINAL_LAWS)}")
    more.add_argument("--table", type=file, metavar="TABLE.csv",
                      help="one row a run: run, params, batch_tokens, tokens, schedule, final_loss; also read: "
                           "outcome, parent, text; instead of it, --runs takes the last losses of logs")  # fmt: skip
    more.add_argument("--columns", nargs="+", default=[], metavar="OURS=THEIRS", help="other names for these columns")
    more.add_argument("--sure", action="store_true", help="take unlikely units as they are")
    more.add_argument("--cv", type=int, metavar="K", help="score by K-fold cross-validation of the training runs")


def add_rank(command: argparse.ArgumentParser) -> None:
    """Options of `rank` that only final-loss fits know."""
    more = command.add_argument_group("final-loss fits", "candidates as all combinations of shapes, peaks and lengths")
    more.add_argument("--tokens", nargs="+", type=amount, metavar="D", help="lengths of training")
    more.add_argument("--peaks", nargs="+", type=amount, metavar="LR", help="peak learning rates")
    more.add_argument("--shapes", nargs="+", choices=[*SHAPES], metavar="SHAPE",
                      help=f"by default all: {', '.join(SHAPES)}".replace("%", "%%"))  # fmt: skip
    more.add_argument(
        "--warmups", nargs="+", type=float, metavar="W", help="below 1 a share of the length, else updates"
    )
    more.add_argument(
        "--parent", metavar="SCHEDULE", help="what was trained before, for candidates that go on from there"
    )
    more.add_argument(
        "--text", default="", metavar="TEXT", help="what they learn, if that is another text of the table"
    )


def fit(args, logs: Callable[[], Sequence[Run]], remarks: list[str]) -> list[str]:
    """Fit a final-loss law to `args.table`, or to the last losses of `logs`."""
    check_out("--json", args.json, args.table, args.runs)
    check_names(args.train or [], args.test or [])
    if args.table:
        refuse(args, ["--split"], "says nothing of a table; leave it out")
    else:
        refuse(args, ["--columns", "--sure"], "says nothing of logs; leave it out")
    refuse(args, ["--lock", "--joint", "--from-step"], f"is for laws of whole curves; {args.law} has no use for it")
    columns = named_once("--columns", map(_pair, args.columns))
    runs = read_table(args.table, args.sure, columns) if args.table else table_runs(logs())
    if not runs:
        raise OptLawsError(f"{args.runs}: no run has a schedule, a model size and a batch, which {args.law} needs.")
    if args.cv is not None and args.test:
        raise OptLawsError("Either runs are held out (--test) or --cv does it, not both.")
    train, test = _parts(runs, args.train, [] if args.cv is not None else args.test)
    if args.cv is not None:
        check_folds(contenders(train), args.cv)
    result = fit_table(train, args.law, test)
    save(result, args.json)
    if args.cv is not None:
        result = with_folds(result, train, args.cv)
        save(result, args.json)
    _print_fit(result)
    gone = sum(not r.stable for r in runs)
    if gone:
        remarks.append(f"{gone} of {len(runs)} runs diverged or spiked: they tell of the risk of divergence alone.")
    ended = sum(r.parent is None and r.stable and np.isfinite(r.final_loss) for r in train)
    if far := ended - len(result.train):
        remarks.append(f"{far} of {len(runs)} runs ended more than a quarter above the best of their size, batch and "
                       "horizon, and were left out of the fit.")  # fmt: skip
    silent = sum(np.isnan(r.final_loss) and not r.diverged for r in runs)
    if silent:
        remarks.append(f"{silent} of {len(runs)} runs have no final loss and were left out.")
    return remarks


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise OptLawsError(f"--columns takes OURS=THEIRS, got {text!r}.")
    return ours, theirs


def _parts(
    runs: Sequence[TableRun], train: Sequence[str] | None, test: Sequence[str] | None
) -> tuple[list[TableRun], list[TableRun]]:
    """Training and held-out runs: what is named, and where only one of them is, all others as the other."""
    if train is None and test is None:
        return list(runs), []
    named = {*(train or ()), *(test or ())}
    others = [r for r in runs if r.name not in named]
    return (
        others if train is None else chosen(runs, train),
        others if test is None else chosen(runs, test),
    )


def _print_fit(result: FinalFit) -> None:
    print_coefficients(result, 24)
    sizes = [abs(end.rel_error) for end in result.train.values()]
    print(f"{len(sizes)} training runs: mean error {100 * np.mean(sizes):.3f} %, worst {100 * max(sizes):.2f} %")
    if result.test:
        off = [abs(end.rel_error) for end in result.test.values()]
        how = f"{result.folds}-fold cross-validation" if result.folds else f"{len(off)} held-out runs"
        print(f"{how}: mean error {100 * np.mean(off):.3f} %, worst {100 * max(off):.2f} %")
    if result.risk:
        print(f"Risk of divergence learned from {result.risk.diverged} of {result.risk.runs} runs.")
    for text, transfer in result.transfers.items():
        print(f"Runs that went on to {text}: {transfer.runs}, off by {100 * transfer.noise:.2f} %.")


def predict(args) -> list[str]:
    """The final loss of one schedule, and where it comes from."""
    refuse(args, ["--at"], "is for laws of whole curves; a final-loss fit knows the end only")
    fit = load_final(args.fit)
    plan = _plan(fit, args, args.schedule)
    loss, half = (float(v[0]) for v in predict_final(fit, [plan]))
    parts = shares(fit, plan) if fit.theta.keys() & {"E"} else {}
    low, high = loss * np.exp(-half), loss * np.exp(half)
    outside = beyond(fit, plan)
    doubts = [*_doubts(fit), *extrapolation(outside)]
    if args.json:
        at = plan.schedule.total - 1
        row = {"step": at, "loss": loss, "reasons": outside} | _band(low, high)
        print_json({"schedule": plan.schedule.text, "predictions": [row], "shares": parts})
        return doubts
    print(f"{plan.schedule.total - 1:>12,}  {loss:.6f}{_between(low, high)}")
    for name, part in parts.items():
        print(f"{part:22.6f}  {TERMS[name]}")
    return doubts


def risk(file: Path) -> Risk:
    """The risk of divergence that labelled runs tell of. Raises `OptLawsError` where they tell none."""
    if is_final(file):
        found, what = load_final(file).risk, "its table"
    else:
        runs = _labelled(file)
        found, what = labelled_risk(runs), f"{sum(not r.stable for r in runs)} of {len(runs)} runs there"
    if found is None:
        raise OptLawsError(
            f"{file}: a risk of divergence needs at least {FEWEST} runs that diverged or spiked and {FEWEST} that did "
            f"not, of known size and schedule; too few do in {what}."
        )
    return found


def _labelled(file: Path) -> list[TableRun]:
    """Runs of a table of final losses, or else of logs."""
    with suppress(OSError, ValueError, IndexError):
        with file.open(encoding="utf-8-sig", newline="") as rows:
            named = columns_of(next(csv.reader(rows), ()))
        if not set(COLUMNS) - set(named) - {"batch_tokens", "tokens"}:
            return read_table(file, sure=True)  # peaks far beyond the usual are what such runs are made for
    return table_runs(everything(str(file)).runs)


def rank(args) -> list[str]:
    """Candidates by predicted final loss, the two to train first among them."""
    fit = load_final(args.fit)
    refuse(args, ["--risk-from"], "is for fits of curve laws; a final-loss fit knows its own risk")
    if fit.risk is None:
        refuse(args, ["--risk"], "has no effect: too few runs of this fit diverged to tell the risk of it")
    if args.schedule and any(getattr(args, name) for name in GRID):
        raise OptLawsError("Candidates are either named (--schedule) or combined (--tokens, --peaks, …), not both.")
    if args.schedule:
        plans = [_plan(fit, args, text) for text in args.schedule]
    else:
        plans = _grid(fit, args)
    found = rank_final(fit, plans, args.text, args.risk)
    if args.json:
        print_json([_row(found, row) for row in found.rows[: args.top]])
    else:
        _print_ranking(found, args.top or SHOWN)
    return _doubts(fit)


def _grid(fit: FinalFit, args) -> list[Plan]:
    if not args.tokens or not args.peaks:
        raise OptLawsError("A ranking takes candidates: --schedule for each, or --tokens and --peaks to combine.")
    sizes = (_one(fit, args, name) for name in ("params", "batch_tokens"))
    parent = None if args.parent is None else parse(args.parent)
    shapes, warmups = args.shapes or tuple(SHAPES), args.warmups or (0.02,)
    if bad := next((w for w in warmups if not 0 <= w < np.inf), None):
        raise OptLawsError(f"--warmups must be 0 or more, got {bad:g}.")
    return candidates(*sizes, args.tokens, args.peaks, shapes, warmups, parent)


def _plan(fit: FinalFit, args, text: str) -> Plan:
    schedule = parse(text)
    if getattr(args, "parent", None) is not None:
        schedule = Chain(parse(args.parent), schedule)
    return Plan(schedule, _one(fit, args, "params"), _one(fit, args, "batch_tokens"))


def _one(fit: FinalFit, args, name: str) -> float:
    """What was given, or what all training runs had."""
    given, (low, high) = getattr(args, name), getattr(fit.coverage, name)
    if given is None and low != high:
        option = "--" + name.replace("_", "-")
        raise OptLawsError(f"{option} is needed: the training runs had {format_number(low)} to {format_number(high)}.")
    return low if given is None else given


def _band(low: float, high: float) -> dict:
    known = np.isfinite(low)
    return {"prediction_low": low if known else None, "prediction_high": high if known else None}


def _between(low: float, high: float) -> str:
    return f"   90 % prediction band {low:.6f} to {high:.6f}" if np.isfinite(low) else ""


def _row(found: FinalRanking, row: FinalRanked) -> dict:
    return {
        "schedule": row.plan.schedule.text,
        "final_loss": row.loss,
        "delta": row.loss - found.rows[0].loss,
        "extrapolates": bool(row.reasons),
        "reasons": list(row.reasons),
        "params": row.plan.params,
        "batch_tokens": row.plan.batch_tokens,
        "probability_best": row.best,
        "probability_top2": row.top2,
        "pick": found.pair.index(row.plan) + 1 if row.plan in found.pair else None,
        "risk": row.risk,
        "apart": row.apart,
        "saved_tokens": row.saved,
        "saved_tokens_low": row.saved_low,
        "saved_tokens_high": row.saved_high,
    } | _band(row.low, row.high)


def _print_ranking(found: FinalRanking, top: int) -> None:
    print(f"{'final loss':>10}  {'90 % band':19}  {'best':>5}  {'risk':>5}  schedule")
    shown = [r for r in found.rows if not r.apart][:top]
    for row in shown:
        risk = "-" if row.risk is None else f"{row.risk:.0%}"
        note = f"   extrapolates: {'; '.join(row.reasons)}" if row.reasons else ""
        band = f"{row.low:.5f} to {row.high:.5f}" if np.isfinite(row.low) else "-"
        print(f"{row.loss:10.6f}  {band:19}  {row.best:>5.0%}  {risk:>5}  {row.plan.schedule.text}{note}")
    apart = sum(r.apart for r in found.rows)
    if left := len(found.rows) - apart - len(shown):
        print(LEFT.format(left))
    if apart:
        print(f"Set apart as likely to diverge: {apart} of {len(found.rows)}.")
    print(f"Train first: {found.pair[0].schedule.text}")
    if len(found.pair) > 1:
        print(f"and, if you can, {found.pair[1].schedule.text}")
        print(
            f"The better of the two is expected {100 * found.regret:.2f} % above the best of all candidates, the first "
            f"alone {100 * found.regret_one:.2f} %."
        )


def _doubts(fit: FinalFit) -> list[str]:
    return [] if fit.status is Status.converged else [fit.message]
