"""The command `rank`: candidates by predicted final loss, under a fit of whole curves or of final losses.

Under a fit of final losses candidates may also be combined of shapes, peaks and lengths, hundreds at once.
"""

import argparse
import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import OptLawsError
from ..final_loss import (
    SHAPES,
    FinalFit,
    TableRun,
    candidates,
    columns_of,
    labelled_risk,
    load_model,
    rank_final,
    read_table,
    table_runs,
)
from ..final_loss.loading import find_final
from ..final_loss.preselection import FinalRanked, FinalRanking
from ..final_loss.table import COLUMNS
from ..fitting.result import Model
from ..hyper.fine_tuning import RANKED_BY_LOSS
from ..prediction.bands import with_bands
from ..prediction.divergence import LEAST_RUNS, MOST_RISK, Risk, untold
from ..prediction.observed import Observed, observed
from ..prediction.pairs import Compared, Pair, compare
from ..prediction.ranking import Ranked, rank
from ..prediction.why import why
from ..runs import Plan, Run
from ..schedules import Schedule, parse
from ..text import chance, format_number, listed, percent
from .bundle_file import OPTIONS as BUNDLE
from .bundle_file import add_bundle, check_bundle, write_bundle
from .model import Ends, add_model, band_keys, band_text, bands, final_plan, finite, for_candidates, one_value
from .options import amount, path, refuse
from .paper_files import OPTIONS, add_paper, check_paper, write_paper
from .read import everything

GRID = ("tokens", "peaks", "shapes", "warmups")
OWN = (*(f"--{name}" for name in GRID), "--parent", "--text")  # options of `rank` that curve fits do not know
LEFT = "… and {:,} more; --top says how many are shown."
SHOWN = 20  # candidates that are printed, where nobody asks for another number


def add(command: argparse.ArgumentParser) -> None:
    """Options of `rank`."""
    command.set_defaults(run=run)
    add_model(command)
    command.add_argument("--schedule", action="append", help="a candidate; give it several times")
    command.add_argument(
        "--baseline",
        metavar="SCHEDULE",
        help="the candidate that all others are compared with, or one more; by default the second best",
    )
    command.add_argument(
        "--observed",
        type=path,
        metavar="PATH",
        help="logs of runs with some of the candidates: their final losses are shown beside the predicted ones",
    )
    command.add_argument(
        "--risk-from",
        type=path,
        metavar="PATH",
        help="labelled runs to learn the risk of divergence from: a table, a manifest, a folder of logs, "
        "or a final-loss fit",
    )
    command.add_argument(
        "--risk",
        type=amount,
        default=MOST_RISK,
        metavar="P",
        help=f"set candidates apart that are more likely to diverge; {MOST_RISK:g}",
    )
    command.add_argument(
        "--top", type=int, metavar="N", help=f"candidates to print; of a fit of final losses {SHOWN}, else all"
    )
    _add_final(command)
    add_paper(command)
    add_bundle(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def _add_final(command: argparse.ArgumentParser) -> None:
    """Options that only final-loss fits know."""
    more = command.add_argument_group("final-loss fits", "candidates as all combinations of shapes, peaks and lengths")
    more.add_argument("--tokens", nargs="+", type=amount, metavar="D", help="lengths of training")
    more.add_argument("--peaks", nargs="+", type=amount, metavar="LR", help="peak learning rates")
    more.add_argument(
        "--shapes",
        nargs="+",
        choices=[*SHAPES],
        metavar="SHAPE",
        help=f"by default all: {', '.join(SHAPES)}".replace("%", "%%"),
    )
    more.add_argument(
        "--warmups", nargs="+", type=float, metavar="W", help="below 1 a share of the length, else updates"
    )
    more.add_argument(
        "--parent", metavar="SCHEDULE", help="what was trained before, for candidates that go on from there"
    )
    more.add_argument(
        "--text",
        default="",
        metavar="TEXT",
        help="which of the table's texts they learn, by default that of most runs; with --parent what they go on to",
    )


def run(args: argparse.Namespace) -> list[str]:
    """Print the ranking; what speaks against it comes back as remarks."""
    if args.risk > 1:
        raise OptLawsError(f"--risk is a probability, got {args.risk:g}.")
    if args.top is not None and args.top < 1:
        raise OptLawsError(f"--top must be at least 1, got {args.top}.")
    check_paper(args, args.fit, args.observed, args.risk_from)
    check_bundle(args)
    model = load_model(args.fit)
    if isinstance(model, FinalFit):
        return _final(model, args)
    refuse(args, OWN, "is for fits of final losses; a fit of a curve law ranks what --schedule names")
    if not args.schedule:
        raise OptLawsError("A fit of a curve law ranks candidates that are named: --schedule for each of them.")
    if args.risk_from is None:
        refuse(args, ["--risk"], "needs --risk-from: labelled runs to learn the risk of divergence from")
    return _curve(for_candidates(model, args), args)


def _curve(model: Model, args: argparse.Namespace) -> list[str]:
    """Rank the candidates that --schedule names under a law of whole curves."""
    risk = _risk_from(args.risk_from) if args.risk_from else None
    schedules = [parse(s) for s in args.schedule]
    baseline = None if args.baseline is None else parse(args.baseline)
    if baseline is not None and baseline not in schedules:
        schedules.append(baseline)
    rows = rank(model, schedules, risk, args.risk)
    against = None if len(rows) < 2 else rows[1].schedule if baseline is None else baseline
    shown = list(zip(rows, compare(model, rows, against), strict=True))[: args.top]
    ends = [bands(model, with_bands(model, r.schedule))[0] for r, _ in shown]
    runs = _runs(args.observed)
    seen = observed(model, [r.schedule for r, _ in shown], runs)
    names = [r.schedule.text for r, _ in shown]
    write_paper(args, model, [r for r, _ in shown], names, [c for _, c in shown], seen)
    write_bundle(args, model, schedules, baseline, risk, runs)
    if args.json:
        args.show(
            [
                _curve_row(r, outer, risk is not None) | {"observed": told and told.loss} | _pair_keys(c, against)
                for (r, c), (_, outer), told in zip(shown, ends, seen, strict=True)
            ]
        )
        return [*model.doubts, *_apart(model, rows, risk)]
    for (r, c), (inner, outer), told in zip(shown, ends, seen, strict=True):
        print(_curve_line(r, band_text(inner, outer) + _seen_text(told, outer), _pair_text(c), risk is not None))
    if len(shown) < len(rows):
        print(LEFT.format(len(rows) - len(shown)))
    if against is not None:
        print(_legend(against, shown[0][1].pair))
        best, second = rows[0].schedule, rows[1].schedule
        other, name = (second, "the second") if against == best else (against, "the baseline")
        if not rows[0].apart and (reasons := why(model, best, other, name, runs)):
            print(f"Why the first one: {' '.join(reasons)}")
    return [*model.doubts, *_apart(model, rows, risk)]


def _runs(file: Path | None) -> Sequence[Run]:
    return () if file is None else everything(str(file)).runs


def _seen_text(told: Observed | None, band: Ends) -> str:
    """What was observed, as a column of a line, and whether the prediction band holds it."""
    if told is None:
        return ""
    beyond = "" if band is None or band[0] <= told.loss <= band[1] else ", outside the band"
    return f"   observed {told.loss:.6f}{beyond} ({listed(told.runs, 3)})"


def _pair_keys(c: Compared, baseline: Schedule | None) -> dict:
    """In JSON, a candidate against the baseline and among all; null where nothing tells."""
    p = c.pair
    return {
        "baseline": None if baseline is None else baseline.text,
        "difference": p and p.difference,
        "low": p and p.low,
        "high": p and p.high,
        "p_below": p and p.p_below,
        "p_best": c.p_best,
        "regret": c.regret,
    }


def _pair_text(c: Compared) -> str:
    """The same as columns of a line."""
    if c.pair is None:
        return ""
    said = f"vs baseline {c.pair.difference:+.6f}"
    if c.pair.low is not None and c.pair.high is not None and c.pair.p_below is not None:
        said += f" ({c.pair.low:+.6f} to {c.pair.high:+.6f}), below {_share(c.pair.p_below)}"
        if c.pair.itself:
            said = f"{'the baseline':{len(said)}}"
    if c.p_best is not None and c.regret is not None:
        said += f"   best {_share(c.p_best)}, regret {c.regret:.6f}"
    return f"   {said}"


def _share(p: float) -> str:
    """A probability in five characters; what is not certain is not said to be."""
    return f"{chance(p):>5}"


def _legend(baseline: Schedule, first: Pair | None) -> str:
    """What the columns of `_pair_text` mean, and why some are not there."""
    said = f"Baseline: {baseline.text}. Differences are negative where a candidate ends lower"
    if first is None or first.low is None:
        return f"{said}; their uncertainty is known only for a fit that was tried on left-out runs, as select does."
    return (
        f"{said}; in brackets 90 % intervals. below: probability of ending below the baseline; best: of being the best "
        "of all; regret: expected loss above the best of all."
    )


def _curve_row(r: Ranked, band: Ends, risky: bool) -> dict:
    """A candidate in JSON."""
    row = {
        "schedule": r.schedule.text,
        "final_loss": r.final_loss,
        "delta": r.delta,
        "extrapolates": r.extrapolates,
        "saved_updates": r.saved_updates,
        "reasons": list(r.reasons),
    } | band_keys("prediction", band)
    return row | {"risk": r.risk, "apart": r.apart} if risky else row


def _curve_line(r: Ranked, band: str, beside: str, risky: bool) -> str:
    danger = f"   diverges {'-' if r.risk is None else percent(r.risk):>5}" if risky else ""
    note = f"   extrapolates: {'; '.join(r.reasons)}" if r.reasons else ""
    above = f"{format_number(round(r.delta, 6)):9}"
    sign = "" if r.delta < 0 else "+"
    return f"{r.final_loss:.6f}{band}   {sign}{above}{beside}{danger} {r.schedule.text}{note}"


def _apart(model: Model, rows: Sequence[Ranked], risk: Risk | None) -> list[str]:
    """Remarks on candidates that are likely to diverge, and on those of which that is not known."""
    said = []
    if apart := sum(r.apart for r in rows):
        said.append(f"Set apart as likely to diverge, behind all others: {apart} of {len(rows)}.")
    if risk:
        plans = [(r.schedule.text, model.coverage.plan(r.schedule)) for r in rows]
        said += untold(risk, plans)
        if any(plan.params is None for _, plan in plans):
            said.append("--params tells the model size of the candidates.")
    return said


def _risk_from(file: Path) -> Risk:
    """The risk of divergence learned from labelled runs. Raises `OptLawsError` where there are too few."""
    if fit := find_final(file):
        found, what = fit.risk, "its table"
    else:
        runs = _labelled(file)
        found, what = labelled_risk(runs), f"{sum(not r.stable for r in runs)} of {len(runs)} runs there"
    if found is None:
        raise OptLawsError(
            f"{file}: a risk of divergence needs at least {LEAST_RUNS} runs that diverged or spiked and {LEAST_RUNS} "
            f"that did not, of known size and schedule; too few do in {what}."
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


def _final(fit: FinalFit, args: argparse.Namespace) -> list[str]:
    """Rank under a final-loss law; the two to train first are named."""
    refuse(args, ["--risk-from"], "is for fits of curve laws; a final-loss fit knows its own risk")
    refuse(args, ["--observed", *OPTIONS, *BUNDLE], "is for fits of curve laws")
    refuse(args, ["--baseline"], "is for fits of curve laws; a final-loss fit compares each candidate with all others")
    if fit.risk is None:
        refuse(args, ["--risk"], "has no effect: too few runs of this fit diverged to tell the risk of it")
    if args.schedule and any(getattr(args, name) for name in GRID):
        raise OptLawsError("Candidates are either named (--schedule) or combined (--tokens, --peaks, …), not both.")
    if args.schedule:
        plans = [final_plan(fit, args, text) for text in args.schedule]
    else:
        plans = _combined(fit, args)
    found = rank_final(fit, plans, args.text, args.risk)
    if args.json:
        args.show([_final_row(found, row) for row in found.rows[: args.top]])
    else:
        _print_final(found, args.top or SHOWN)
    return [*fit.doubts, RANKED_BY_LOSS] if args.parent is not None and args.text else fit.doubts


def _combined(fit: FinalFit, args: argparse.Namespace) -> list[Plan]:
    if not args.tokens or not args.peaks:
        raise OptLawsError("A ranking takes candidates: --schedule for each, or --tokens and --peaks to combine.")
    params, batch_tokens = (one_value(fit, args, name) for name in ("params", "batch_tokens"))
    parent = None if args.parent is None else parse(args.parent)
    shapes, warmups = args.shapes or tuple(SHAPES), args.warmups or (0.02,)
    if bad := next((w for w in warmups if not 0 <= w < np.inf), None):
        raise OptLawsError(f"--warmups must be 0 or more, got {bad:g}.")
    return candidates(params, batch_tokens, args.tokens, args.peaks, shapes, warmups, parent)


def _final_row(found: FinalRanking, row: FinalRanked) -> dict:
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
    } | band_keys("prediction", finite(row.low, row.high))


def _print_final(found: FinalRanking, top: int) -> None:
    print(f"{'final loss':>10}  {'90 % band':19}  {'best':>5}  {'risk':>5}  schedule")
    shown = [r for r in found.rows if not r.apart][:top]
    for row in shown:
        risk = "-" if row.risk is None else percent(row.risk)
        note = f"   extrapolates: {'; '.join(row.reasons)}" if row.reasons else ""
        band = f"{row.low:.5f} to {row.high:.5f}" if np.isfinite(row.low) else "-"
        print(f"{row.loss:10.6f}  {band:19}  {_share(row.best)}  {risk:>5}  {row.plan.schedule.text}{note}")
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
