"""The nearest among the forms that a trainer's own options can take."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Generic, TypeVar

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from .base import EXACT, Rates, compared, deviation, off

ROUGH = 400  # updates in which forms are compared first


@dataclass(frozen=True)
class Options(ABC):
    """Values of a trainer's own options. A trainer's module derives a dataclass with a field for each of them."""

    @abstractmethod
    def rates(self, t: FloatArray) -> FloatArray:
        """What the trainer makes of them: the rates of updates `t` = 0, 1, …, (n,), in the units of the peak."""


Form = TypeVar("Form", bound=Options)
Moves = Mapping[str, tuple[float, float]]  # fields of the options that may take any value between two ends


@dataclass(frozen=True)
class Nearest(Generic[Form]):
    """Options for a schedule, and the largest difference of their rates from it over the peak."""

    options: Form
    deviation: float

    @property
    def exact(self) -> bool:
        return self.deviation <= EXACT

    def notes(self, title: str) -> tuple[str, ...]:
        """The sentence on the deviation from what the trainer named `title` can express; none where it is exact."""
        return () if self.exact else (off(title, self.deviation),)

    @property
    def differing(self) -> Rates | None:
        """The rates, for a check table that has them beside the schedule's; None where they are the same."""
        return None if self.exact else self.options.rates


def nearest(schedule: Schedule, candidates: Iterable[Form], moves: Moves) -> Nearest[Form]:
    """Options with the smallest largest deviation that was found, and that deviation over all compared updates.

    The first exact candidate is taken. Else the best three are improved along those of `moves` that they have; a
    search like this may miss a somewhat better form.
    """
    steps = compared(schedule)
    rough = _thinned(schedule, steps)
    wanted = schedule(rough)

    def score(options: Options) -> float:
        return float(np.max(np.abs(options.rates(rough) - wanted))) / schedule.peak

    scored: list[tuple[float, int, Form]] = []
    for options in candidates:
        found = score(options)
        if found <= EXACT and (far := deviation(schedule, options.rates, steps)) <= EXACT:
            return Nearest(options, far)
        scored.append((found, len(scored), options))
    improved = [_improved(options, found, score, moves) for found, _, options in sorted(scored)[:3]]
    _, best = min(improved, key=lambda pair: pair[0])
    return Nearest(best, deviation(schedule, best.rates, steps))


def _thinned(schedule: Schedule, steps: FloatArray) -> FloatArray:
    """Some of the updates, those around the first breaks among them."""
    near = [b + d for b in schedule.breaks[:100] for d in (-1, 0, 1)]
    some = steps[np.unique(np.linspace(0, len(steps) - 1, ROUGH).round().astype(int))]
    return np.unique(np.clip(np.concatenate([some, near]), 0, schedule.total - 1))


def _improved(options: Form, found: float, score: Callable[[Form], float], moves: Moves) -> tuple[float, Form]:
    """`options` after steps of ever smaller size along the fields that can move, one or several at once."""
    names = [name for name in moves if hasattr(options, name)]
    for size in 0.1 * 0.5 ** np.arange(10):
        for signs in product((-1, 0, 1), repeat=len(names)):
            steps = zip(names, signs, strict=True)
            other = replace(
                options, **{name: _moved(getattr(options, name), sign * size, *moves[name]) for name, sign in steps}
            )
            if (closer := score(other)) < found:
                found, options = closer, other
    return found, options


def _moved(value: float, share: float, low: float, high: float) -> float:
    """`value` moved by a `share` of the way from `low` to `high`, not beyond them; whole numbers stay whole."""
    moved = value + share * (high - low)
    return min(max(round(moved) if isinstance(value, int) else float(moved), low), high)


def levels(schedule: Schedule) -> list[float]:
    """Rates that a form may fall to: the schedule's last, the lowest and highest of it, and a grid up to the peak."""
    ends = [float(schedule(schedule.total)), float(schedule(schedule.total - 1))]
    return list(dict.fromkeys([min(y, schedule.peak) for y in ends] + [schedule.peak * i / 8 for i in range(8)]))


def lengths(schedule: Schedule, warmup: int) -> list[int]:
    """Updates that a form's last stretch may have: from each break on, and a grid."""
    room = schedule.total - warmup
    breaks = [schedule.total - b for b in schedule.breaks[-17:-1]]
    return [d for d in dict.fromkeys([*breaks, *(round(room * i / 16) for i in range(16, 0, -1))]) if 1 <= d <= room]


def warmups(schedule: Schedule) -> list[int]:
    """Declared end of the warm-up, and the one that is seen."""
    return [w for w in dict.fromkeys((schedule.warmup, schedule.warmup_end)) if w < schedule.total]
