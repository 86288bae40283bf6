"""A curve as few straight lines, after Ramer (1972) and Douglas and Peucker (1973), deviations measured upright."""

import heapq
import itertools

import numpy as np

from ..arrays import FloatArray, IntArray

PATIENCE = 32  # looks at the whole curve, of which a smooth one takes a dozen


def thin(x: FloatArray | IntArray, y: FloatArray, within: float, most: int) -> tuple[IntArray, float]:
    """Indices of the knots kept, ends included, and the largest deviation of the straight lines between them.

    x rises strictly, (n,). The worst segment is split first, where it deviates most, until all deviate by at most
    `within` or `most` knots stand. A curve that jumps up and down would lose a point a time that way, at a look at all
    the others: once `PATIENCE` is over, segments are split where the middle half of them deviates most.
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
    """(−largest deviation from the chord, a, b, where it, or that of the `inner` half, is), of indices a to b."""
    if b - a < 2:
        return 0.0, a, b, a
    off = x[a + 1 : b] - float(x[a])
    off *= (y[b] - y[a]) / (float(x[b]) - float(x[a]))
    off += y[a]
    off -= y[a + 1 : b]
    np.abs(off, out=off)
    worst = int(np.argmax(off))
    skipped = len(off) // 4 if inner else 0
    where = skipped + int(np.argmax(off[skipped : len(off) - skipped])) if inner else worst
    return -float(off[worst]), a, b, a + 1 + where
