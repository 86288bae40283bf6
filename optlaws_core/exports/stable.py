"""The form that most trainers have: a warm-up in a line, the peak, and one fall over the last updates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from .nearest import Moves, Options, lengths, levels, warmups
from .shapes import fall, rise


@dataclass(frozen=True)
class StableFall(Options):
    """From 0 to the peak in the first `warmup` updates, from the peak towards `low` in the last `decay` of `total`.

    The fall would reach `low` at `total`, one past the last update; with a `decay` of 0 there is none.
    """

    peak: float
    total: int
    warmup: int
    shape: str
    decay: int
    low: float

    def rates(self, t: FloatArray) -> FloatArray:
        count = t - (self.total - self.decay)
        late = np.where(count < 0, self.peak, self._fallen(np.maximum(count, 0)))
        return np.where(t < self.warmup, self.peak * self._risen(t), late)

    def _risen(self, t: FloatArray) -> FloatArray:
        """The share of the peak in the warm-up."""
        return rise(t, self.warmup)

    def _fallen(self, count: FloatArray) -> FloatArray:
        """The rate `count` updates after the stable phase."""
        return self.low + (self.peak - self.low) * fall(self.shape, count / np.maximum(self.decay, 1))


@dataclass(frozen=True)
class EarlyRise(StableFall):
    """The same with a warm-up that is at 1 / `warmup` of the peak in the first update, not at 0."""

    def _risen(self, t: FloatArray) -> FloatArray:
        return rise(t + 1, self.warmup)


Form = TypeVar("Form", bound=StableFall)


def stable_falls(kind: type[Form], schedule: Schedule, shapes: Sequence[str]) -> Iterator[Form]:
    """Forms of `kind` that may be near, constant ones first; those of an `EarlyRise` with a longer warm-up, too."""
    p, total = schedule.peak, schedule.total
    starts = warmups(schedule)
    if issubclass(kind, EarlyRise):
        starts = list(dict.fromkeys(v for w in starts for v in ((w + 1, w) if w else (w,)) if v <= total))
    for w in starts:
        yield kind(p, total, w, shapes[0], 0, p)
        for low, d, shape in product(levels(schedule), lengths(schedule, w), shapes):
            yield kind(p, total, w, shape, d, low)


def moves(schedule: Schedule, lowest: float = 0.0) -> Moves:
    """What may be improved of such a form: where it ends, `lowest` or above, and how long it falls."""
    return {"low": (lowest, schedule.peak), "decay": (1, schedule.total - max(warmups(schedule)))}
