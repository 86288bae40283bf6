"""The nearest among the forms that a trainer's own options can take."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import islice, product
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ..arrays import FloatArray
from ..schedules.base import Schedule
from .base import EXACT, Rates, compared, deviation, off

ROUGH = 400  # updates in which forms are compared first
FEW = 32  # of these, in which most forms turn out to be far off
AT_ONCE = 256  # forms whose rates are computed together
BEST = 3  # forms that are improved


@dataclass(frozen=True)
class Options(ABC):
    """Values of a trainer's own options. A trainer's module derives a dataclass with a field for each of them."""

    @abstractmethod
    def rates(self, t: FloatArray) -> FloatArray:
        """What the trainer makes of them: the rates of updates `t` = 0, 1, …, (n,), in the units of the peak.

        Fields that are numbers may be columns, (m, 1), those of many forms; the rates are (m, n) then.
        """


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


class _Misses:
    """How far forms are off: the largest |difference| of their rates from a schedule's over its peak, (forms,)."""

    def __init__(self, schedule: Schedule, steps: FloatArray) -> None:
        self.steps, self.wanted, self.peak = steps, schedule(steps), schedule.peak
        self.few = slice(None, None, max(len(steps) // FEW, 1))

    def __call__(self, forms: Sequence[Form], among: slice = slice(None)) -> FloatArray:
        """In the updates `among` all steps."""
        return np.abs(_rates(forms, self.steps[among]) - self.wanted[among]).max(axis=1) / self.peak

    def least(self, forms: Sequence[Form]) -> FloatArray:
        """What they are off by at least: in a few of the updates."""
        return self(forms, self.few)


def nearest(schedule: Schedule, candidates: Iterable[Form], moves: Moves) -> Nearest[Form]:
    """Options with the smallest largest deviation that was found, and that deviation over all compared updates.

    The first exact candidate is taken. Else the best three are improved along those of `moves` that they have; a
    search like this may miss a somewhat better form.
    """
    steps = compared(schedule)
    misses = _Misses(schedule, _thinned(schedule, steps))
    forms: list[Form] = []
    least: list[float] = []
    for some in _some_at_a_time(candidates):
        found = misses.least(some)
        for i in np.flatnonzero(found <= EXACT):
            if misses(some[i : i + 1])[0] <= EXACT and (far := deviation(schedule, some[i].rates, steps)) <= EXACT:
                return Nearest(some[i], far)
        forms += some
        least += found.tolist()
    improved = [_improved(options, far, misses, moves) for far, options in _closest(forms, np.array(least), misses)]
    _, best = min(improved, key=lambda pair: pair[0])
    return Nearest(best, deviation(schedule, best.rates, steps))


def _some_at_a_time(candidates: Iterable[Form]) -> Iterator[list[Form]]:
    """Candidates in groups, the next of which are made when they are asked for."""
    left = iter(candidates)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _rates(forms: Sequence[Form], t: FloatArray) -> FloatArray:
    """Rates in the updates `t`, (forms, n): of forms of one kind that differ in numbers alone, together."""
    alike: dict[object, list[int]] = {}
    for i, form in enumerate(forms):
        kind = type(form)
        alike.setdefault((kind, _fields(kind).words(form)), []).append(i)
    found = np.empty((len(forms), len(t)))
    with np.errstate(over="ignore"):  # as numbers that are no arrays have it
        for own in alike.values():
            found[own] = _together([forms[i] for i in own]).rates(t)
    return found


def _together(forms: Sequence[Form]) -> Form:
    """Forms of one kind as one, each of its numbers a column where they differ in it."""
    names, numbers, _ = _fields(type(forms[0]))
    table = np.array([numbers(form) for form in forms], float).reshape(len(forms), -1)
    differing = np.flatnonzero((table != table[0]).any(axis=0))
    return replace(forms[0], **{names[i]: table[:, i : i + 1] for i in differing})


class _Fields(NamedTuple):
    """Names of the fields of a kind of options that are numbers, their values in a form, and those of all others."""

    names: tuple[str, ...]
    numbers: Callable[[Options], tuple[float, ...]]
    words: Callable[[Options], object]


@cache
def _fields(kind: type[Options]) -> _Fields:
    numbers = tuple(field.name for field in fields(kind) if field.type in (int, float))
    words = [field.name for field in fields(kind) if field.name not in numbers]
    return _Fields(numbers, attrgetter(*numbers), attrgetter(*words) if words else type)


def _closest(forms: Sequence[Form], least: FloatArray, misses: _Misses) -> list[tuple[float, Form]]:
    """The best few and how far they are off, the earlier first of equals; `least`: what all are off by at least."""
    order = np.argsort(least, kind="stable")
    found: list[tuple[float, int]] = []
    for begin in range(0, len(order), AT_ONCE):
        own = order[begin : begin + AT_ONCE].tolist()
        if len(found) == BEST and least[own[0]] > found[-1][0]:
            break
        found = sorted([*found, *zip(misses([forms[i] for i in own]).tolist(), own, strict=True)])[:BEST]
    return [(far, forms[i]) for far, i in found]


def _thinned(schedule: Schedule, steps: FloatArray) -> FloatArray:
    """Some of the updates, those around the first breaks among them."""
    near = [b + d for b in schedule.breaks[:100] for d in (-1, 0, 1)]
    some = steps[np.unique(np.linspace(0, len(steps) - 1, ROUGH).round().astype(int))]
    return np.unique(np.clip(np.concatenate([some, near]), 0, schedule.total - 1))


def _improved(options: Form, found: float, misses: _Misses, moves: Moves) -> tuple[float, Form]:
    """`options` after steps of ever smaller size along the fields that can move, one or several at once."""
    names = [name for name in moves if hasattr(options, name)]
    for size in 0.1 * 0.5 ** np.arange(10):
        left = list(product((-1, 0, 1), repeat=len(names)))
        while left:
            others = [_stepped(options, dict(zip(names, signs, strict=True)), size, moves) for signs in left]
            scores = misses(others)
            closer = np.flatnonzero(scores < found)
            if not len(closer):
                break
            first = closer[0]  # from which the remaining steps are taken
            found, options, left = float(scores[first]), others[first], left[first + 1 :]
    return found, options


def _stepped(options: Form, signs: Mapping[str, int], size: float, moves: Moves) -> Form:
    """`options` with each of the fields moved up, not, or down."""
    moved = {name: _moved(getattr(options, name), sign * size, *moves[name]) for name, sign in signs.items()}
    return replace(options, **moved)


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
