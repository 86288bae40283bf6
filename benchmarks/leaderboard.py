"""Every law, and the average, on every data set at hand, under one protocol (benchmarks/protocols.py).

Laws are fitted to the training runs; left-out training runs decide the weights of the average. Held-out runs are only
scored. Where all data sets are at hand the table is written to data/leaderboard.csv, which the app shows.

Read with this: `opt_laws_curve` was chosen among forms by held-out scores on multi_power_law and lr_scheduling,
`opt_laws_sublinear` on all runs of lr_scheduling, the rule for the weights and the pool of the average with the scores
of all three data sets in view, the factors of the bands on the sweep (docs/lab-notes.md). Coefficients never saw a
held-out run as such; what held-out runs have in common with training runs is in benchmarks/protocols.py.
"""

import csv
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from optlaws_core import LAWS, Average, Fit, Run, select, with_bands
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import Selection
from optlaws_core.fitting.single import usable

from .protocols import MORE_PEAKS, PEAKS, ROOT, Protocol, protocols
from .table import has_public, show

OUT = ROOT / "data" / "leaderboard.csv"
COLUMNS = (
    "data_set",
    "law",
    "held_out_runs",
    "final_error",
    "curve_error",
    "rmse",
    "coverage",
    "final_coverage",
    "width",
    "left_out",
    "misfit",
    "noise_floor",
    "status",
)
AVERAGE = "average"


def main() -> None:
    """Print the leaderboard, and write it where the public data is."""
    found, seconds = defaultdict(list), {}
    for protocol in protocols(more=True):
        began = time.perf_counter()
        chosen = select(list(LAWS), protocol.train, test=protocol.test, from_step=protocol.from_step)
        seconds[protocol.data_set, protocol.choice] = time.perf_counter() - began
        print(f"{protocol.data_set} {protocol.choice}".strip(), file=sys.stderr, flush=True)
        found[protocol.data_set].append((protocol, {name: _scored(m, protocol) for name, m in _models(chosen)}, chosen))
    rows = []
    for data_set, parts in found.items():
        counted = parts[: len(PEAKS)]
        rows += _rows(data_set, [(p, scores) for p, scores, _ in counted])
        print()
        show((data_set, *HEAD), [_shown(row) for row in rows if row["data_set"] == data_set])
    if has_public():
        for protocol, scores, chosen in found["lr_scheduling 124M"]:
            print(f"\n{protocol.choice}: {chosen.advice}\n")
            _groups(protocol, scores, chosen)
        rows_of_two = [(p.choice, *(_percent(s[n].final) for n in OURS)) for p, s, _ in found["lr_scheduling 124M"]]
        print()
        show(("peaks of the training runs (the last two are not in the table)", *OURS), rows_of_two)
        with OUT.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    print()
    show(("all laws with leave-one-run-out", "seconds"), [(" ".join(k), f"{s:.1f}") for k, s in seconds.items()])


OURS = (AVERAGE, "opt_laws_sublinear", "opt_laws_curve", "multi_power", "annealing")
HEAD = (
    "held out",
    "final loss, mean error",
    "curve, mean error",
    "RMSE",
    "90 % band holds",
    "of final losses",
    "its width over the needed",
    "left-out training runs",
    "misfit",
    "status",
)


class Scored:
    """A model on a protocol's held-out runs. Errors are shares of the loss."""

    def __init__(self, model: Model, protocol: Protocol) -> None:
        runs = [usable(r, protocol.from_step) for r in protocol.test]
        self.model, self.n = model, len(runs)
        self.rmse = float(np.mean([model.test[r.name].rmse for r in runs]))
        off, half = zip(*(_off(model, r) for r in runs), strict=True)
        self.ends = np.array([np.expm1(e[-1]) for e in off])
        self.final = float(np.abs(self.ends).mean())
        self.final_coverage = float(np.mean([abs(e[-1]) <= h[-1] for e, h in zip(off, half, strict=True)]))
        # Every run counts the same, as in the other columns.
        kept = [protocol.fresh(r) for r in runs]
        off, half = zip(*((e[k], h[k]) for e, h, k in zip(off, half, kept, strict=True) if k.any()), strict=True)
        self.curve = float(np.mean([np.abs(np.expm1(e)).mean() for e in off]))
        self.coverage = float(np.mean([np.mean(np.abs(e) <= h) for e, h in zip(off, half, strict=True)]))
        each = np.concatenate([np.abs(e) / h for e, h in zip(off, half, strict=True)])
        share = np.concatenate([np.full(len(e), 1 / len(e)) for e in off])
        order = np.argsort(each)
        at = np.searchsorted(np.cumsum(share[order]), 0.9 * share.sum())
        self.width = float(1 / each[order][min(at, len(each) - 1)])


def _off(model: Model, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """log predicted − log observed at every loss of a run, and the half-width of the prediction band, (n,) each."""
    told = with_bands(model, run.plan, run.steps)
    return np.log(told.loss) - np.log(run.loss), told.prediction


def _scored(model: Model, protocol: Protocol) -> Scored | None:
    try:
        return Scored(model, protocol)
    except ValueError:  # a law that predicts losses of 0 or less on some held-out run
        return None


def _models(chosen: Selection) -> Iterable[tuple[str, Fit | Average]]:
    if chosen.average is not None:
        yield AVERAGE, chosen.average
    yield from ((f.law, f) for f in chosen.fits)


def _rows(data_set: str, parts: Sequence[tuple[Protocol, dict[str, Scored | None]]]) -> list[dict]:
    """A row for each law, best final loss first: means over the choices of training runs."""
    names = [n for n in (AVERAGE, *LAWS) if all(scores.get(n) for _, scores in parts)]
    rows = [_row(data_set, n, [(p, scores[n]) for p, scores in parts]) for n in names]
    return sorted(rows, key=lambda row: row["final_error"])


def _row(data_set: str, name: str, parts: Sequence[tuple[Protocol, Scored]]) -> dict:
    scores = [s for _, s in parts]
    floor = parts[0][0].noise_floor
    mean = {
        key: float(f"{np.mean(values):.5g}")
        for key, values in {
            "final_error": [s.final for s in scores],
            "curve_error": [s.curve for s in scores],
            "rmse": [s.rmse for s in scores],
            "coverage": [s.coverage for s in scores],
            "final_coverage": [s.final_coverage for s in scores],
            "width": [s.width for s in scores],
            "left_out": [s.model.left_out for s in scores],
            "misfit": [s.model.misfit for s in scores],
        }.items()
    }
    states = sorted({s.model.status.name for s in scores}) if name != AVERAGE else [""]
    return {
        "data_set": data_set,
        "law": name,
        "held_out_runs": round(np.mean([s.n for s in scores])),
        **mean,
        "noise_floor": "" if floor is None else float(f"{floor:.4g}"),
        "status": " ".join(states),
    }


def _shown(row: dict) -> tuple:
    shares = [_percent(row[k]) for k in ("final_error", "curve_error")]
    held = [_percent(row[k], 0) for k in ("coverage", "final_coverage")]
    more = [*held, f"{row['width']:.2f}", _percent(row["left_out"]), _percent(row["misfit"])]
    return (row["law"], row["held_out_runs"], *shares, f"{row['rmse']:.5f}", *more, row["status"])


def _groups(protocol: Protocol, scores: dict[str, Scored | None], chosen: Selection) -> None:
    """Errors of the final loss by peak, horizon and kind of decay."""
    trained = {r.plan.schedule.peak for r in protocol.train}
    groups: dict[tuple, list[int]] = defaultdict(list)
    for i, run in enumerate(protocol.test):
        s = run.plan.schedule
        where = "at a trained peak" if s.peak in trained else "at another peak"
        groups[s.family, "to 25,000" if s.total <= 25_000 else "beyond 25,000", where].append(i)
    rows = [
        (*key, len(i), *(_percent(np.abs(scores[n].ends[i]).mean()) if scores[n] else "" for n in OURS))
        for key, i in sorted(groups.items())
    ]
    show(("schedule", "updates", "peak", "runs", *OURS), rows)


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"


__all__ = ["COLUMNS", "MORE_PEAKS", "OUT", "Scored", "main"]
