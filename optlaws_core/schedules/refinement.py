"""A schedule from the gradient norms of a run that was trained before (Defazio et al. 2023, arXiv:2310.07831).

The rate that the bound on the last iterate asks for after the fact: an update counts with the weight w that its
gradient norm gives it, and its rate is w times the weight that is still to come. Where all norms are equal that is a
line to 0; norms that fall at first ask for a warm-up, norms that rise at the end for a fall that is faster than a line.
"""

from collections.abc import Sequence

import numpy as np

from ..errors import ScheduleError
from .base import LARGEST, FloatArray, number
from .pieces import Knots

POWERS = {"l2": -2.0, "l1": -1.0}  # the norm that was logged, and what makes a weight of it
MOST_KNOTS = 2000
GAP = 1.5  # usual distances between two logged steps; more is a gap


def refined(
    steps: Sequence[int], norms: Sequence[float], peak: float, *, norm: str = "l2", smoothing: float = 0.1
) -> Knots:
    """The refined schedule with the given `peak`, from gradient `norms` logged at `steps`; it ends with 0 at the last.

    `norm`: "l2" norms are for SGD, "l1" norms for Adam and its kin. `smoothing`: width of the median filter over the
    norms as a share of them; 0 for none. Raises `ScheduleError` for norms that are 0 or no numbers, and for gaps.
    """
    if norm not in POWERS:
        raise ScheduleError(f"refined: norm must be one of {', '.join(POWERS)}, got {norm!r}.")
    if not 0 <= smoothing < 1:
        raise ScheduleError(f"refined: smoothing must be a share of the norms from 0 to below 1, got {smoothing:g}.")
    if not 0 < peak <= LARGEST:
        raise ScheduleError(f"refined: the peak learning rate must be a number above 0, got {peak:g}.")
    k, g = _checked(steps, norms)
    smooth = _smoothed(g, smoothing)
    weight = (smooth / smooth.min()) ** POWERS[norm]
    behind = weight * np.diff(k, prepend=k[0])  # each logged norm stands for the updates since the one before
    to_come = np.append(np.cumsum(behind[:0:-1])[::-1], 0.0)
    rate = weight * to_come
    rate *= peak / rate.max()
    kept = _thinned(len(k), int(rate.argmax()))
    k, rate = k[kept], rate[kept]
    if k[0] > 0:
        k, rate = np.append(0, k), np.append(rate[0], rate)
    return Knots(tuple(k.tolist()), tuple(rate.tolist()))


def _checked(steps: Sequence[int], norms: Sequence[float]):
    """Steps and norms as arrays that can be used. Raises `ScheduleError`."""
    k, g = np.asarray(steps, dtype=float), np.asarray(norms, dtype=float)
    if k.ndim != 1 or k.shape != g.shape or len(k) < 2:
        raise ScheduleError(
            f"refined: steps and norms must be lists of the same length, at least 2, got {k.size} and {g.size}."
        )
    if not ((k >= 0) & (k <= LARGEST) & (k == np.floor(k))).all() or (np.diff(k) <= 0).any():
        raise ScheduleError("refined: steps must be whole numbers from 0 on that rise strictly, but these do not.")
    wrong = np.flatnonzero(~((g > 0) & (g < np.inf)))  # NaN fails every comparison
    if len(wrong):
        more = f" and at {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise ScheduleError(
            "refined: gradient norms must be above 0 and finite, "
            f"got {g[wrong[0]]:g} at step {int(k[wrong[0]]):,}{more}."
        )
    usual = float(np.median(np.diff(k)))
    apart = np.diff(k, prepend=0.0)
    wide = np.flatnonzero(apart > GAP * usual)
    if len(wide):
        last = int(k[wide[0]])
        more = f" and {len(wide) - 1:,} more gaps" if len(wide) > 1 else ""
        raise ScheduleError(
            f"refined: gradient norms must come without gaps, here about every {number(usual)} updates, "
            f"got none between steps {last - int(apart[wide[0]]):,} and {last:,}{more}."
        )
    return k.astype(np.int64), g


def _smoothed(g: FloatArray, share: float) -> FloatArray:
    """The running median over a share of the norms; behind the last one they are reflected, as the authors do."""
    from scipy.ndimage import median_filter  # slow to import, and only used here

    width = 2 * (int(share * len(g)) // 2) + 1
    return median_filter(np.pad(g, (0, 2 * width), mode="reflect"), size=width, mode="nearest")[: len(g)]


def _thinned(n: int, top: int):
    """Which of `n` points to keep as knots: all, or so many and the highest."""
    if n <= MOST_KNOTS:
        return np.arange(n)
    return np.unique(np.append(np.rint(np.linspace(0, n - 1, MOST_KNOTS)).astype(np.int64), top))
