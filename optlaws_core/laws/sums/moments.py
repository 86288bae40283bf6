"""The moments of a run at which a sum over its past is worked out, and how those at observations follow from them.

Between turns of the schedule such a sum is a smooth function of the moment. The nearest moment at which it is not is
the turn before: what happened up to then is forgotten on the scale of the time since, whatever the coefficients are. So
in a window that is no longer than its distance from that turn, a polynomial through `POINTS` moments gives the sums at
all observations, to a relative 1e-9 (4e-8 where the past is weighed with powers near −3 of the summed rate, which span
decades within a window). A dense log costs little more than a sparse one.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...arrays import FloatArray, IntArray
from .clocks import Trace

if TYPE_CHECKING:
    from scipy.sparse import csr_array

POINTS = 12  # moments of a window; with WINDOW, relative errors near 1e-9 for kernels of a power or exp
WINDOW = 1.0  # largest size of a window over its distance from the turn before it: on the clock, in S, and in updates
SHORTEST = 3 * POINTS  # updates of a window, so that its moments are different ones
SMOOTH = 1e-9  # how well rates must follow in the same way, in shares of their change, and logarithms of rates
ROUNDING = 1e-12  # of the largest rate
LOWEST = 1e-10  # rates below it have the logarithm of this one


def moments(trace: Trace, steps: IntArray, r: float) -> tuple[IntArray, "csr_array | None"]:
    """Steps (moments,) at which to work out a sum on the clock with power `r`, and what to multiply its values with.

    The matrix (obs, moments) gives the sums at `steps` (obs,), which may come in any order. It is None where the
    moments are these steps themselves.
    """
    observed, which = np.unique(steps, return_inverse=True)
    windows = _windows(trace, observed, r) if len(observed) > POINTS else []
    if not windows:
        return steps, None
    from scipy.sparse import csr_array  # slow to import

    parts: list[IntArray] = []
    columns, shares, counts = [], [], []  # of the matrix, row by row
    done = moments = 0
    nothing = np.empty(0, np.int64), np.empty((0, POINTS))
    for first, end, points, share in (*windows, (len(observed), len(observed), *nothing)):
        alone = first - done  # between two windows each observation is a moment
        parts += [observed[done:first], points]
        within = np.tile(np.arange(len(points)) + moments + alone, (end - first, 1))
        columns += [np.arange(moments, moments + alone), within.ravel()]
        shares += [np.ones(alone), share.ravel()]
        counts += [np.ones(alone, np.int64), np.full(end - first, len(points))]
        done, moments = end, moments + alone + len(points)
    begins = np.concatenate(([0], np.cumsum(np.concatenate(counts))))
    spread = csr_array((np.concatenate(shares), np.concatenate(columns), begins), shape=(len(observed), moments))
    return np.concatenate(parts), spread if np.array_equal(observed, steps) else spread[which]


def _windows(trace: Trace, observed: IntArray, r: float) -> list[tuple[int, int, IntArray, FloatArray]]:
    """Windows of more than `POINTS` observations: the first and, exclusive, the last, the moments, and their shares.

    `observed`: steps, ascending. Shares are (observations, POINTS).
    """
    turns = np.array(trace.schedule.breaks)
    clocks = trace.clock(r), trace.S, np.asarray
    end = np.min([_reach(clock(observed), clock(turns), observed, turns) for clock in clocks], axis=0)
    many = end - np.arange(len(observed)) > POINTS
    rate = trace.schedule(observed)
    found, done = [], 0
    while (ahead := np.flatnonzero(many[done:])).size:
        first = done + int(ahead[0])
        some = slice(first, int(end[first]))
        done, window = first + 1, _window(trace, observed[some], rate[some])
        if window is not None:
            found.append((first, first + len(window[1]), *window))
            done = first + len(window[1])
    return found


def _reach(time: NDArray, turned: NDArray, observed: IntArray, turns: IntArray) -> IntArray:
    """The first observation that is too late for a window that begins at each, (obs,), as positions in `observed`.

    `time` and `turned`: of the observations (obs,) and of the turns (turns,), on some clock.
    """
    stretch = np.searchsorted(turns, observed, side="right")
    since = np.maximum(time - turned[stretch - 1], 0.0)
    last = np.searchsorted(time, time + WINDOW * since, side="right")
    return np.minimum(last, np.searchsorted(stretch, stretch, side="right"))


def _window(trace: Trace, observed: IntArray, rate: FloatArray) -> tuple[IntArray, FloatArray] | None:
    """Moments (POINTS,) and shares (n, POINTS) for the first n of `observed`, as many as follow well; None for none.

    `rate`: that of the observations, of the same shape.
    """
    while len(observed) > POINTS and observed[-1] - observed[0] >= SHORTEST:
        middle, half = (observed[0] + observed[-1]) / 2, (observed[-1] - observed[0]) / 2
        points = np.rint(middle - half * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)).astype(np.int64)
        share = _shares(points, observed)
        if _follows(trace.schedule(points), rate, share):
            return points, share
        observed, rate = observed[: len(observed) // 2], rate[: len(rate) // 2]
    return None


def _shares(points: IntArray, at: IntArray) -> FloatArray:
    """What the polynomial through values at `points` (p,) takes of each at the steps `at` (n,): (n, p)."""
    own = np.eye(len(points), dtype=bool)
    between = np.where(own, 1.0, points[:, None] - points[None, :])
    away = np.where(own, 1.0, (at[:, None] - points[None, :])[:, None, :])
    return (away / between).prod(axis=2)


def _follows(known: FloatArray, rate: FloatArray, share: FloatArray) -> bool:
    """Whether rates (n,), and so their powers, follow from the `known` ones (p,) at moments."""
    highest = max(known.max(), rate.max())
    close = np.abs(share @ known - rate).max() <= SMOOTH * (highest - rate.min()) + ROUNDING * highest
    logs, log = (np.log(np.maximum(v, LOWEST)) for v in (known, rate))
    return bool(close and np.abs(share @ logs - log).max() <= SMOOTH)


__all__ = ["moments"]
