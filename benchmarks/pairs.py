"""How alike the errors of two schedules under one law are, and whether "A ends below B" is as sure as it is said to be.

The average of the default laws is fitted to the training runs of each protocol (benchmarks/protocols.py); all pairs of
its held-out schedules of one horizon are compared by their final losses, repeats of one plan by their mean. The sweep
has a second design, so that more pairs are judged: a constant rate, a linear decay and a WSD instead of a constant
rate, a cosine and a drop.

The last table is of pairs of shapes that were run at two lengths: how alike the error of their difference is at both,
from which `LENGTHS_ALIKE` was chosen on the sweep.

The correlation `ALIKE` was chosen on the sweep, as the one with which 90 % of its paired intervals hold (the second
table). The public data sets had no say in it, but rules and factors that it builds on were settled with their scores
in view (benchmarks/leaderboard.py).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optlaws_core import DesignError, Plan, Run, select
from optlaws_core.fitting.covariance import QUANTILE
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.prediction.error_terms import ALIKE, error_terms
from optlaws_core.prediction.joint_losses import Joint, joint

from .protocols import Protocol, protocols
from .table import show

SECOND = {  # of the sweep; the largest size has three runs of one horizon alone
    "sweep tiny": ("tiny_constant_4000_8e-3", "tiny_linear_4000_8e-3", "tiny_wsd20_4000_8e-3"),
    "sweep small": ("small_constant_4000_8e-3", "small_linear_4000_8e-3", "small_wsd20_4000_8e-3"),
    "sweep medium": ("medium_constant_2000_4e-3", "medium_linear_2000_4e-3", "medium_wsd20_2000_4e-3"),
}
CORRELATIONS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SURE = 0.95
BINS = (0.5, 0.6, 0.75, 0.9, 0.95, 0.99, 1.0)  # of the probability of the one that is said to be better


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs (n,) of one protocol. Errors are log observed - log predicted."""

    title: str
    plans: tuple[Plan, ...]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    error: np.ndarray  # of each schedule
    found: Joint
    own: np.ndarray  # of each schedule, standard deviation of what the law gets wrong from schedule to schedule

    @property
    def off(self) -> np.ndarray:
        """Errors of the differences, (n,)."""
        return self.error[self.one] - self.error[self.other]

    @property
    def one_peak(self) -> np.ndarray:
        """Whether both schedules have one peak, (n,)."""
        peaks = np.array([p.schedule.peak for p in self.plans])
        return peaks[self.one] == peaks[self.other]

    def deviation(self, correlation: float = ALIKE) -> np.ndarray:
        """Standard deviation of each difference of log losses, (n,), if schedules' errors were so alike."""
        C = self.found.covariance
        whole = np.diag(C)
        variance = whole[self.one] + whole[self.other] - 2 * C[self.one, self.other]
        alike = self.own[self.one] * self.own[self.other]
        return np.sqrt(np.maximum(variance + 2 * alike * (ALIKE - correlation), 0))

    def holds(self, correlation: float = ALIKE) -> np.ndarray:
        """Whether the 90 % interval of each difference holds it, (n,)."""
        return np.abs(self.off) <= QUANTILE * self.deviation(correlation)

    def alike(self, which: np.ndarray) -> float:
        """Correlation, about 0, of the errors of two schedules."""
        a, b = self.error[self.one][which], self.error[self.other][which]
        return float(2 * (a * b).sum() / (a**2 + b**2).sum())

    @property
    def width(self) -> float:
        """Mean width of the paired intervals over the sum of both bands' widths."""
        band = np.sqrt(np.diag(self.found.covariance))
        return float(np.mean(self.deviation() / (band[self.one] + band[self.other])))

    @property
    def said(self) -> tuple[np.ndarray, np.ndarray]:
        """Probability that the one that is predicted to be better is, (n,), and whether it was, (n,)."""
        gap = self.found.log_loss[self.one] - self.found.log_loss[self.other]
        return ndtr(np.abs(gap) / self.deviation()), np.sign(gap) == np.sign(gap + self.off)


def main() -> None:
    """Print how alike errors are, how many paired intervals hold, and how many of the said orders were right."""
    found = [pairs for protocol in _protocols() if (pairs := pairs_of(protocol)) is not None]
    groups = defaultdict(list)
    for pairs in found:
        groups[pairs.title.split()[0]].append(pairs)
    show(HEAD, [_row(pairs) for pairs in found])
    print()
    show(
        ("correlation of schedules' errors", *groups),
        [(f"{c:g}", *(_held(g, c) for g in groups.values())) for c in CORRELATIONS],
    )
    for title, group in groups.items():
        print()
        show((f"{title}: said to be better with", "pairs", "mean of what was said", "were better"), _bins(group))
    print()
    show(WHOLE, [(title, *_whole(group)) for title, group in groups.items()])
    print()
    show(LENGTHS, [row for title, group in groups.items() for row in _lengths(title, group)])


HEAD = (
    "data set",
    "schedules",
    "pairs",
    "bands hold",
    "errors alike",
    "of one peak",
    "paired intervals hold",
    "of one peak",
    "width over both bands'",
    "order right",
)
WHOLE = (
    "all together",
    "pairs",
    "paired intervals hold",
    "of one peak",
    "said with 95 % or more",
    "came out so",
    "expected calibration error, points",
)

LENGTHS = ("differences of two shapes at two lengths", "times as long", "differences", "correlation", "same sign")
ROUND = 0.005  # mean difference of two shapes, in shares of the peak, up to which they are one, as for `joint`


def _protocols() -> Iterator[Protocol]:
    for protocol in protocols():
        yield protocol
        if protocol.data_set in SECOND:
            runs = {r.name: r for r in (*protocol.train, *protocol.test)}
            train = tuple(runs.pop(name) for name in SECOND[protocol.data_set])
            yield replace(protocol, choice="second design", train=train, test=tuple(runs.values()))


def pairs_of(protocol: Protocol) -> Pairs | None:
    """All pairs of a protocol's held-out schedules of one horizon; None where the model has no known error."""
    chosen = select(POOL, protocol.train, from_step=protocol.from_step)
    model: Model = chosen.average if chosen.average is not None else chosen.fits[0]
    ends = merged(protocol.test)
    plans, steps = zip(*ends, strict=True)
    try:
        found = joint(model, plans, steps)
    except DesignError:
        return None
    terms = [error_terms(model, plan.schedule.peak) for plan in plans]
    known = [t for t in terms if t is not None]
    if found.covariance is None or len(known) < len(terms):
        return None
    horizon = np.array([plan.schedule.total for plan in plans])
    one, other = np.triu_indices(len(plans), 1)
    near = horizon[one] == horizon[other]
    off = np.log(list(ends.values())) - found.log_loss
    title = f"{protocol.data_set} {protocol.choice}".strip()
    return Pairs(title, plans, one[near], other[near], off, found, np.sqrt([t.schedule for t in known]))


def _lengths(title: str, group: Sequence[Pairs]) -> list[tuple[str, ...]]:
    """How alike the errors of a difference between two shapes are at two lengths, by the ratio of these."""
    found: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for pairs in group:
        for short, long, one, other in _differences(pairs):
            found[long / short].append((one, other))
    rows = []
    for ratio, errors in sorted(found.items()):
        one, other = np.array(errors).T
        alike, sign = 2 * (one * other).sum() / (one**2 + other**2).sum(), np.mean(one * other > 0)
        rows.append((title, f"{ratio:.2g}", str(len(one)), f"{alike:.2f}", _percent(sign)))
    return rows


def _differences(pairs: Pairs) -> Iterator[tuple[int, int, float, float]]:
    """Two lengths at which two shapes of one peak were run, and the errors of their difference at both."""
    off: dict[tuple[int, float], dict[int, float]] = defaultdict(dict)
    seen: list[tuple[np.ndarray, float]] = []
    for plan, error, own in zip(pairs.plans, pairs.error, pairs.own, strict=True):
        s = plan.schedule
        shape = s(np.linspace(s.warmup_end, s.total - 1, 64)) / s.peak
        same = (i for i, (other, peak) in enumerate(seen) if peak == s.peak and np.abs(shape - other).mean() <= ROUND)
        if (i := next(same, None)) is None:
            i = len(seen)
            seen.append((shape, s.peak))
        off[i, s.peak][s.total] = error / own
    for (a, b), (c, d) in combinations(off.items(), 2):
        both = sorted(set(b) & set(d)) if a[1] == c[1] else []
        for short, long in combinations(both, 2):
            yield short, long, b[short] - d[short], b[long] - d[long]


def merged(runs: Sequence[Run]) -> dict[tuple[Plan, int], float]:
    """Final losses by plan and last step: the mean over repeats."""
    ends = defaultdict(list)
    for run in runs:
        ends[run.plan, int(run.steps[-1])].append(float(run.loss[-1]))
    return {key: float(np.mean(losses)) for key, losses in ends.items()}


def calibration_error(group: Sequence[Pairs]) -> float:
    """Mean over pairs of how far, in its bin, what was said is from what came out."""
    said, right = (np.concatenate(v) for v in zip(*(p.said for p in group), strict=True))
    place = np.clip(np.searchsorted(BINS, said, "right") - 1, 0, len(BINS) - 2)
    gaps = [abs(said[place == i].sum() - right[place == i].sum()) for i in range(len(BINS) - 1)]
    return float(sum(gaps) / len(said))


def _row(p: Pairs) -> tuple[str, ...]:
    band = QUANTILE * np.sqrt(np.diag(p.found.covariance))
    every, near = np.ones(len(p.one), bool), p.one_peak
    return (
        p.title,
        str(len(p.plans)),
        str(len(p.one)),
        _percent(np.mean(np.abs(p.error) <= band)),
        f"{p.alike(every):.2f}",
        f"{p.alike(near):.2f}",
        _percent(p.holds().mean()),
        _percent(p.holds()[near].mean()),
        f"{p.width:.2f}",
        _percent(p.said[1].mean()),
    )


def _whole(group: Sequence[Pairs]) -> tuple[str, ...]:
    holds, near = np.concatenate([p.holds() for p in group]), np.concatenate([p.one_peak for p in group])
    said, right = (np.concatenate(v) for v in zip(*(p.said for p in group), strict=True))
    sure = said >= SURE
    return (
        str(len(holds)),
        _percent(holds.mean()),
        _percent(holds[near].mean()),
        str(sure.sum()),
        f"{100 * right[sure].mean():.1f} %",
        f"{100 * calibration_error(group):.1f}",
    )


def _held(group: Sequence[Pairs], correlation: float) -> str:
    return _percent(np.concatenate([p.holds(correlation) for p in group]).mean())


def _bins(group: Sequence[Pairs]) -> list[tuple[str, ...]]:
    said, right = (np.concatenate(v) for v in zip(*(p.said for p in group), strict=True))
    place = np.clip(np.searchsorted(BINS, said, "right") - 1, 0, len(BINS) - 2)
    rows = []
    for i, (low, high) in enumerate(zip(BINS[:-1], BINS[1:], strict=True)):
        here = place == i
        if here.any():
            rows.append(
                (
                    f"{100 * low:.0f} to {100 * high:.0f} %",
                    str(here.sum()),
                    _percent(said[here].mean()),
                    _percent(right[here].mean()),
                )
            )
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
