"""A curve as few straight lines, after Ramer (1972) and Douglas and Peucker (1973), deviations measured upright."""

import heapq
import itertools

import numpy as np

from ..arrays import FloatArray, IntArray

PATIENCE = 32  # looks at the whole curve, of which a smooth one takes a dozen
LOPSIDED = 64  # of so many points, a split that leaves fewer than one on a side gets nowhere
SHORT = 24  # points up to which a segment is looked at sooner in plain Python


def thin(x: FloatArray | IntArray, y: FloatArray, within: float, most: int) -> tuple[IntArray, float]:
    """Indices of the knots kept, ends included, and the largest deviation of the straight lines between them.

    x rises strictly, (n,). The worst segment is split first, where it deviates most, until all deviate by at most
    `within` or `most` knots stand. A curve that jumps up and down may lose a point a time that way, at a look at all
    the others: once `PATIENCE` is over, such segments are split at the highest peak of the deviation in their middle
    half, where there is one. Straight lines have a kink at each peak, so that no knot is wasted on them.
    """
    curve = _Points(x, y)
    kept = {0, len(x) - 1}
    segments, looked = [_worst(curve, 0, len(x) - 1)], len(x)
    while segments[0][0] < -within and len(kept) < most:
        _, a, b, middle = heapq.heappop(segments)
        kept.add(middle)
        looked += b - a
        for start, end in itertools.pairwise((a, middle, b)):
            heapq.heappush(segments, _worst(curve, start, end, inner=looked > PATIENCE * len(x)))
    return np.array(sorted(kept)), -segments[0][0]


def bends(x: FloatArray | IntArray, y: FloatArray) -> FloatArray:
    """By how much each knot but the first and last, (n − 2,), misses the straight line between its neighbours."""
    share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    return np.abs(y[:-2] + share * (y[2:] - y[:-2]) - y[1:-1])


class _Points:
    """The points of a curve as arrays, and as lists, which are sooner gone through where they are few."""

    def __init__(self, x: FloatArray | IntArray, y: FloatArray) -> None:
        self.x, self.y = x, y
        self.xs, self.ys = x.astype(float).tolist(), y.tolist()

    def off(self, a: int, b: int) -> FloatArray | list[float]:
        """By how much the points between a and b miss the chord, (b − a − 1,): the same digits either way."""
        x, y = self.xs, self.ys
        slope = (y[b] - y[a]) / (x[b] - x[a])
        if b - a <= SHORT:
            return [abs((x[i] - x[a]) * slope + y[a] - y[i]) for i in range(a + 1, b)]
        off = self.x[a + 1 : b] - x[a]
        off *= slope
        off += y[a]
        off -= self.y[a + 1 : b]
        return np.abs(off, out=off)


def _worst(curve: _Points, a: int, b: int, inner: bool = False) -> tuple[float, int, int, int]:
    """(−largest deviation from the chord, a, b, where to split), of indices a to b.

    That is where the largest deviation is, or, with `inner`, the largest of the middle half, if the former is at an end
    and the latter a peak.
    """
    if b - a < 2:
        return 0.0, a, b, a
    off = curve.off(a, b)
    n, where = len(off), _highest(off)
    largest = float(off[where])
    if inner and LOPSIDED * min(where, n - 1 - where) < n:
        first, last = n // 4, n - n // 4  # of the middle half
        middle = first + _highest(off[first:last])
        where = middle if first < middle < last - 1 else where
    return -largest, a, b, a + 1 + where


def _highest(values: FloatArray | list[float]) -> int:
    """Where the largest value is, the first of several."""
    return values.index(max(values)) if isinstance(values, list) else int(np.argmax(values))
