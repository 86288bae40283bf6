"""A curve as few straight lines, after Ramer (1972) and Douglas and Peucker (1973), deviations measured upright."""

import heapq

import numpy as np

from ..arrays import FloatArray, IntArray


def thin(x: FloatArray | IntArray, y: FloatArray, within: float, most: int) -> tuple[IntArray, float]:
    """Indices of the knots kept, ends included, and the largest deviation of the straight lines between them.

    x rises strictly, (n,). The worst segment is split first, until all deviate by at most `within` or `most` knots
    stand.
    """
    kept = {0, len(x) - 1}
    segments = [_worst(x, y, 0, len(x) - 1)]
    while segments[0][0] < -within and len(kept) < most:
        _, a, b, middle = heapq.heappop(segments)
        kept.add(middle)
        heapq.heappush(segments, _worst(x, y, a, middle))
        heapq.heappush(segments, _worst(x, y, middle, b))
    return np.array(sorted(kept)), -segments[0][0]


def _worst(x, y, a: int, b: int) -> tuple[float, int, int, int]:
    """(−largest deviation from the chord, a, b, where it is), for the segment from index a to b."""
    if b - a < 2:
        return 0.0, a, b, a
    off = x[a + 1 : b] - float(x[a])
    off *= (y[b] - y[a]) / (float(x[b]) - float(x[a]))
    off += y[a]
    off -= y[a + 1 : b]
    np.abs(off, out=off)
    worst = int(np.argmax(off))
    return -float(off[worst]), a, b, a + 1 + worst
