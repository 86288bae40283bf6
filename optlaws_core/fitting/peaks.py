"""Several peak rates among the training runs: which fit predicts a schedule.

No form of the laws carries from one peak rate to others as well as from one schedule to others at the same peak: with
one set of coefficients for all, a second peak among the training runs doubled the error of final losses (lr_scheduling,
0.42 % against 0.22 % without it; docs/lab-notes.md). So a law under a prior is also fitted to the runs of each peak
alone. A schedule of one of these peaks is predicted by the runs of that peak, one that is an octave or more away by the
fit to all runs, and in between by both, in proportion to the distance in octaves. Between two peaks that lie within an
octave their own fits alone speak: the fit to all runs, which is off at both, would make a dip or a hill there.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..runs import Run
from .coverage import TOLERANCE


def shares(peaks: Sequence[float], peak: float) -> FloatArray:
    """Weight (peaks,) of the fit to each of the ascending `peaks` alone at `peak`; what lacks to 1 is the common one's.

    Between two peaks these weights move from one to the other with the logarithm of the rate.
    """
    found = np.zeros(len(peaks))
    if not len(peaks):
        return found
    away = np.array([octaves(p, peak) for p in peaks])
    above = int(np.searchsorted(np.array(peaks) * (1 + TOLERANCE), peak))
    if above in (0, len(peaks)):
        found[min(above, len(peaks) - 1)] = max(0.0, 1.0 - float(away.min()))
    else:
        total = away[above - 1] + away[above]
        nearest = max(0.0, 1.0 - float(away.min()) * max(0.0, total - 1.0))
        upper = away[above - 1] / total if total else 1.0
        found[above - 1], found[above] = nearest * (1 - upper), nearest * upper
    return found


def octaves(one: float, other: float) -> float:
    """Distance of two rates in octaves, (); 0 for those within the tolerance of what counts as the same."""
    away = abs(float(np.log2(one / other)))
    return away if away > np.log2(1 + TOLERANCE) else 0.0


def apart(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs in groups of one peak rate, ascending."""
    ordered = sorted(runs, key=lambda r: r.known_plan.schedule.peak)
    found = [ordered[:1]]
    for before, run in pairwise(ordered):
        if octaves(before.known_plan.schedule.peak, run.known_plan.schedule.peak):
            found.append([run])
        else:
            found[-1].append(run)
    return found


__all__ = ["apart", "octaves", "shares"]
