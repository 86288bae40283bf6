"""A curve as few straight lines, after Ramer (1972) and Douglas and Peucker (1973), deviations measured upright."""

import heapq
import itertools

import numpy as np

from ..arrays import FloatArray, IntArray

PATIENCE = 32  # looks at the whole curve, of which a smooth one takes a dozen
LOPSIDED = 64  # of so many points, a split that leaves fewer than one on a side gets nowhere


def thin(x: FloatArray | IntArray, y: FloatArray, within: float, most: int) -> tuple[IntArray, float]:
    """Indices of the knots kept, ends included, and the largest deviation of the straight lines between them.

    x rises strictly, (n,). The worst segment is split first, where it deviates most, until all deviate by at most
    `within` or `most` knots stand. A curve that jumps up and down may lose a point a time that way, at a look at all
    the others: once `PATIENCE` is over, such segments are split at the highest peak of the deviation in their middle
    half, where there is one. Straight lines have a kink at each peak, so that no knot is wasted on them.
    """
    kept = {0, len(x) - 1}
    segments, looked = [_worst(x, y, 0, len(x) - 1)], len(x)
    while segments[0][0] < -within and len(kept) < most:
        _, a, b, middle = heapq.heappop(segments)
        kept.add(middle)
        looked += b - a
        for start, end in itertools.pairwise((a, middle, b)):
            heapq.heappush(segments, _worst(x, y, start, end, inner=looked > PATIENCE * len(x)))
    return np.array(sorted(kept)), -segments[0][0]


def _worst(x, y, a: int, b: int, inner: bool = False) -> tuple[float, int, int, int]:
    """(−largest deviation from the chord, a, b, where to split), of indices a to b.

    That is where the largest deviation is, or, with `inner`, the largest of the middle half, if the former is at an end
    and the latter a peak.
    """
    if b - a < 2:
        return 0.0, a, b, a
    off = x[a + 1 : b] - float(x[a])
    off *= (y[b] - y[a]) / (float(x[b]) - float(x[a]))
    off += y[a]
    off -= y[a + 1 : b]
    np.abs(off, out=off)
    n, where = len(off), int(np.argmax(off))
    largest = float(off[where])
    if inner and LOPSIDED * min(where, n - 1 - where) < n:
        first, last = n // 4, n - n // 4  # of the middle half
        middle = first + int(np.argmax(off[first:last]))
        where = middle if first < middle < last - 1 else where
    return -largest, a, b, a + 1 + where
