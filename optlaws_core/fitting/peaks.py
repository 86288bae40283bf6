"""Several peak rates among the training runs: which fit predicts a schedule.

No form of the laws carries from one peak rate to others as well as from one schedule to others at the same peak: with
one set of coefficients for all, a second peak among the training runs doubled the error of final losses (lr_scheduling,
0.42 % against 0.22 % without it; docs/lab-notes.md). So a law under a prior is also fitted to the runs of each peak
alone. A schedule of one of these peaks is predicted by the runs of that peak, one that is an octave or more away by the
fit to all runs, and in between by both, in proportion to the distance in octaves. Between two peaks that lie within an
octave their own fits alone speak: the fit to all runs, which is off at both, would make a dip or a hill there.

A fit to runs of one peak sees a schedule of another through `factor`: its rates count as if the peaks were nearer to
each other, by the root of their ratio. With the rates as they are, a law takes all of the difference for progress or
noise; models are trained near their best peak, where the loss is flat. The power 1/2 was chosen on lr_scheduling among
0, 1/4, 1/2, 3/4 and 1 (final losses up to an octave away off by 0.36 % in the mean, with the rates as they are by
0.65 %), and is better on other data, too (`python -m benchmarks peaks`; docs/lab-notes.md).

Runs count as of one peak within 1 %. What predicts a schedule changes without a step all the same, from the lowest and
the highest of these peaks on: a step would be where a search for the best peak ends.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..runs import Run
from .coverage import TOLERANCE, Range

POWER = 0.5  # of the ratio of two peaks, with which the rates of the other one count


def factor(rates: Range, peak: float, power: float) -> float:
    """What a fit to runs with peaks of `rates` multiplies the rates of a schedule of `peak` with; 1 within them."""
    nearest = min(max(peak, rates[0]), rates[1])
    return 1.0 if nearest == peak else float((nearest / peak) ** (1 - power))


def shares(trained: Sequence[Range], peak: float) -> FloatArray:
    """Weight (peaks,) at `peak` of the fit to each trained peak alone; what lacks to 1 is the fit's to all runs.

    `trained`: lowest and highest rate of each peak, ascending. Between two peaks the weights move from one to the other
    with the logarithm of the rate.
    """
    found = np.zeros(len(trained))
    if not trained:
        return found
    away = np.array([distance(rates, peak) for rates in trained])
    above = sum(highest < peak for _, highest in trained)
    if above in (0, len(trained)):
        found[min(above, len(trained) - 1)] = max(0.0, 1.0 - float(away.min()))
    else:
        total = away[above - 1] + away[above]
        nearest = max(0.0, 1.0 - float(away.min()) * max(0.0, total - 1.0))
        upper = away[above - 1] / total
        found[above - 1], found[above] = nearest * (1 - upper), nearest * upper
    return found


def distance(rates: Range, peak: float) -> float:
    """Octaves from a peak to the nearer end of a range of rates, (); 0 within it."""
    low, high = rates
    return max(0.0, float(np.log2(low / peak)), float(np.log2(peak / high)))


def same(one: float, other: float) -> bool:
    """Whether two peak rates count as one: within 1 % of each other."""
    return max(one, other) <= min(one, other) * (1 + TOLERANCE)


def apart(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs in groups of one peak rate, ascending."""
    ordered = sorted(runs, key=lambda r: r.known_plan.schedule.peak)
    found = [ordered[:1]]
    for before, run in pairwise(ordered):
        if same(before.known_plan.schedule.peak, run.known_plan.schedule.peak):
            found[-1].append(run)
        else:
            found.append([run])
    return found


__all__ = ["POWER", "apart", "distance", "factor", "same", "shares"]
