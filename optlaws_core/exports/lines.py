"""A schedule as straight lines and half-cosines between whole steps."""

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..errors import may_end_here
from ..schedules.base import Schedule
from .base import EXACT

SAMPLES = 65  # steps of a stretch in which a line is compared with it
MOST = 4_000  # lines of a schedule of many stretches, unless it has more stretches than that


@dataclass(frozen=True)
class Segment:
    """From step `start`, at the rate `first`, towards `last` at step `end`."""

    start: int
    end: int
    first: float
    last: float
    shape: str = "linear"

    def __call__(self, t: FloatArray) -> FloatArray:
        return followed([self], t)


def followed(found: list[Segment], t: FloatArray) -> FloatArray:
    """The rates of updates `t` on segments that follow each other; same shape as `t`."""
    start, end, first, last = (
        np.array([getattr(s, name) for s in found]) for name in ("start", "end", "first", "last")
    )
    bent = np.array([s.shape == "cosine" for s in found])
    i = np.searchsorted(start, t, side="right") - 1
    x = (t - start[i]) / (end[i] - start[i])
    return last[i] + (first[i] - last[i]) * np.where(bent[i], 0.5 * (1 + np.cos(np.pi * x)), 1 - x)


def knotted(schedule: Schedule, most: int, within: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Steps and rates between which straight lines follow the schedule: the breaks and up to `most` steps more.

    The worst line is split until all are within `within` of the peak, over the updates.
    """
    most = _of_each(schedule, most)
    found = [s for a, b in pairwise(schedule.breaks) for s in chords(schedule, a, b, most, within)]
    steps = (*(s.start for s in found), schedule.total)
    return steps, (*(s.first for s in found), found[-1].last)


def _of_each(schedule: Schedule, most: int) -> int:
    """How many lines each stretch may have: `most`, unless the schedule has too many stretches for that."""
    return min(most, max(MOST // (len(schedule.breaks) - 1), 1))


def chords(schedule: Schedule, start: int, end: int, most: int, within: float) -> list[Segment]:
    """Straight lines from `start` to `end`, up to `most` of them."""
    may_end_here()
    heap = [_scored(schedule, start, end)]
    while -heap[0][0] > within and len(heap) < most:
        _, a, b, middle = heapq.heappop(heap)
        heapq.heappush(heap, _scored(schedule, a, middle))
        heapq.heappush(heap, _scored(schedule, middle, b))
    ends = sorted((a, b) for _, a, b, _ in heap)
    return [Segment(a, b, float(schedule(a)), float(schedule(b))) for a, b in ends]


def _scored(schedule: Schedule, a: int, b: int) -> tuple[float, int, int, int]:
    """Minus the largest distance between the line from `a` to `b` and the schedule, over the peak, and where it is."""
    steps = _between(a, b)
    if not len(steps):
        return 0.0, a, b, a
    gaps = np.abs(Segment(a, b, float(schedule(a)), float(schedule(b)))(steps) - schedule(steps)) / schedule.peak
    worst = int(np.argmax(gaps))
    return -float(gaps[worst]), a, b, int(steps[worst])


def _between(a: int, b: int) -> FloatArray:
    """Steps within (a, b), both ends of it among them."""
    return np.unique(np.linspace(a + 1, b - 1, SAMPLES).round()) if b - a > 1 else np.zeros(0)


def segments(schedule: Schedule, most: int, within: float) -> list[Segment]:
    """Lines and half-cosines that together follow the schedule; up to `most` lines for a stretch that is neither."""
    most = _of_each(schedule, most)
    return [s for a, b in pairwise(schedule.breaks) for s in _stretch(schedule, a, b, most, within)]


def _stretch(schedule: Schedule, a: int, b: int, most: int, within: float) -> list[Segment]:
    first, last = float(schedule(a)), float(schedule(b))
    before = float(schedule(b - 1))
    ahead = max(first + (before - first) * (b - a) / max(b - 1 - a, 1), 0.0)  # where the line goes on to a jump
    steps = np.concatenate([[a], _between(a, b)])
    for found in (
        Segment(a, b, first, last),
        Segment(a, b, first, last, "cosine"),
        Segment(a, b, first, ahead if b - a > 1 else first),
    ):
        if np.max(np.abs(found(steps) - schedule(steps))) <= EXACT / 10 * schedule.peak:
            return [found]
    return chords(schedule, a, b, most, within)
