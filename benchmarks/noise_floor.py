"""The noise floor of the bundled sweep, and how far above it a law fitted to three runs of a size predicts the others.

Errors are means over held-out runs; `data/judge.py` says how the training runs were chosen. Runs count as covered when
their peak lies within those of the training runs and their batch is the same.
"""

from pathlib import Path

from data.judge import DESIGNS, SPLIT, Judged, judge
from optlaws_core import LAWS, noise_floor, read

from .table import show

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print the spread over seeds, and every law's held-out errors beside it."""
    runs = read(ROOT / "data" / "manifest.csv").runs
    floor = noise_floor(run.on(SPLIT) for run in runs if SPLIT in run.series)
    rows = [
        (
            r.runs[0].plan.schedule.text,
            f"{r.runs[0].plan.params:,.0f}",
            len(r.runs),
            f"{r.std:.5f}",
            _percent(r.relative),
        )
        for r in floor.repeats
    ]
    show(("repeated", "params", "seeds", "std of the final loss", "relative"), rows)
    low, high = map(_percent, floor.interval)
    print(
        f"\nPooled: {_percent(floor.relative)} (90 % interval {low} to {high}, {floor.freedom} degrees of freedom), "
        f"{_percent(floor.along)} at any one step of the second half.\n"
        f"A perfect law would be off by {_percent(floor.mean_error)} of the final loss on average.\n"
    )
    for design in DESIGNS:
        for law in LAWS:
            rows = [_row(j, floor.mean_error) for j in judge(runs, law, design)]
            show((f"{law}, {design}", *HEAD), rows)
            print()


HEAD = (
    "held out, all",
    "final loss",
    "curve",
    "covered peak and batch",
    "final loss",
    "× a perfect law's",
    "others",
    "final loss",
    "status",
)


def _row(j: Judged, perfect: float) -> tuple[object, ...]:
    ratio = "" if j.near.final is None else f"{j.near.final / perfect:.1f}"
    return (
        j.size,
        len(j.all.runs),
        _percent(j.all.final),
        _percent(j.all.curve),
        len(j.near.runs),
        _percent(j.near.final),
        ratio,
        len(j.far.runs),
        _percent(j.far.final),
        j.fit.status.name,
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g} %"
