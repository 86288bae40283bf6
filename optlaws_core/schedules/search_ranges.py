"""Which values of a field a search for the best schedule of a family tries.

A field is read off a coordinate from 0 to 1, from the range that the limits and the fields read before it leave. So
there is no place outside the limits, however tight they are, and their edges are edges of the cube of all coordinates.
At 0 the peak is the largest that is allowed and a final rate the lowest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from .base import Schedule

LEAST_PEAK = 0.01  # of the largest one
LEAST_END = 1e-6  # of the rate that an exponential falls from, which never reaches 0
SAMPLES = 1_000  # updates at which the slope is looked at, and as many between those about the steepest
DIGITS = 6  # of a rate
LAST = 9  # the order of a field whose range depends on all others


class Bounds(Protocol):
    """What a search keeps to; `optimize.Limits` is one."""

    @property
    def peak(self) -> float:
        """Highest rate."""

    @property
    def total(self) -> int:
        """Updates, warm-up included."""

    @property
    def warmup(self) -> int:
        """Updates of warm-up."""

    @property
    def floor(self) -> float:
        """Lowest rate after the warm-up."""

    @property
    def slope(self) -> float | None:
        """Largest change of the rate between two updates; None: any."""


@dataclass
class Draft:
    """A schedule of a family, field by field."""

    family: type[Schedule]
    limits: Bounds
    fields: dict  # those read so far

    @property
    def peak(self) -> float:
        return self.fields["peak"]

    @property
    def slope(self) -> float:
        """The largest change of the rate between two updates; infinite where any will do."""
        return np.inf if self.limits.slope is None else self.limits.slope

    @property
    def length(self) -> int:
        """Updates after the warm-up."""
        return self.limits.total - self.limits.warmup

    @property
    def start(self) -> int:
        """Step at which the fall to the final rate starts."""
        return self.limits.total - self.fields.get("decay", self.length)

    def made(self, **more: Any) -> Schedule:
        """The schedule, with `more` fields. Raises `ScheduleError` where fields contradict each other."""
        return self.family.from_search(self.fields | more | {"warmup": self.limits.warmup, "total": self.limits.total})


Reading = Callable[[float, Draft], float | int]  # a field's value at 0 to 1


@dataclass(frozen=True)
class Range:
    """How a field is read, and when: those of a lower `order` are read before, equal ones as the family lists them."""

    read: Reading
    order: int = 0


def share(low: float, high: float) -> Range:
    """A number from `low` to `high`, evenly in the logarithm."""
    return Range(lambda x, draft: rounded(evenly(x, low, high), ROUND_FLOOR))


def updates(low: float, high: float) -> Range:
    """A share of the updates after the warm-up from `low` to `high`, evenly in the logarithm; in updates."""
    return Range(lambda x, draft: max(1, round(evenly(x, low, high) * draft.length)))


def peak(x: float, draft: Draft) -> float:
    """From the largest rate that is allowed down to a hundredth of it."""
    limits = draft.limits
    low = max(limits.floor, LEAST_PEAK * limits.peak)
    return limits.peak if x == 0 else max(limits.floor, rounded(evenly(x, limits.peak, low), ROUND_FLOOR))


def final(x: float, draft: Draft, exponential: bool = False) -> float:
    """From the lowest final rate that floor and slope allow to the rate that the fall starts at.

    For one fall from the step `draft.start` to the end whose steepest update is found by sampling; `exponential`: it is
    steepest at once and never reaches 0.
    """
    exponential = exponential or draft.fields.get("shape") == "exponential"
    lowest = draft.made(final=LEAST_END**2 * draft.peak if exponential else 0.0)
    top = float(lowest(draft.start))
    low = max(draft.limits.floor, LEAST_END * top if exponential else 0.0)
    if draft.slope < np.inf and exponential:  # steepest at once
        low = max(low, top * max(1 - draft.slope / top, 0.0) ** (draft.limits.total - draft.start))
    elif draft.slope < np.inf:  # the slope is in proportion to the whole fall
        low = max(low, top * (1 - draft.slope / max(_steepest(lowest, draft.start), draft.slope)))
    return between(x, min(low, top), top)


FINAL = Range(final, LAST)


def _steepest(schedule: Schedule, start: int) -> float:
    """The largest fall within an update from the step `start` on, where it is at an end or falls have one maximum."""
    first, last, most = start, schedule.total - 2, 0.0
    while last >= first:
        at = np.unique(np.rint(np.linspace(first, last, SAMPLES)))
        falls = schedule(at) - schedule(at + 1)
        i = int(np.argmax(falls))
        most = max(most, float(falls[i]))
        if len(at) > last - first:  # every one of them
            break
        first, last = at[max(i - 1, 0)], at[min(i + 1, len(at) - 1)]
    return most


def evenly(x: float, low: float, high: float) -> float:
    """From `low` to `high`, evenly in the logarithm."""
    return low * (high / low) ** x


def between(x: float, low: float, high: float) -> float:
    """A rate from `low` to `high`, most finely near `low`."""
    return min(high, rounded(low + (high - low) * x**2, ROUND_CEILING))


def rounded(value: float, way: str) -> float:
    """Written to a few digits; `way`: to the side on which the limits are kept."""
    return float(Context(prec=DIGITS, rounding=way).create_decimal(repr(float(value))))
