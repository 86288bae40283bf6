"""The fields of a family, read off a cube whose every place keeps to the limits.

They are read one after another, each from the range that the limits and the fields before it leave. So there is no
place outside the limits, however tight they are, and their edges are edges of the cube. At 0 the peak is the largest
that is allowed and a final rate the lowest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np

from ..arrays import FloatArray
from ..schedules import SCHEDULES, Schedule
from .limits import Limits

LEAST_PEAK = 0.01  # of the largest one
LEAST_END = 1e-6  # of the rate that an exponential falls from, which never reaches 0
SAMPLES = 1_000  # updates at which the slope is looked at, and as many between those about the steepest
DIGITS = 6  # of a rate


@dataclass
class Draft:
    """A schedule of a family, field by field."""

    family: str
    limits: Limits
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

    def made(self, **more) -> Schedule:
        """The schedule, with `more` fields. Raises `ScheduleError` where fields contradict each other."""
        said = self.fields | more | {"warmup": self.limits.warmup, "total": self.limits.total}
        if self.family == "step":
            said["boundaries"] = tuple(self.limits.total - said.pop(name) for name in ("first", "second"))
            said["values"] = tuple(said.pop(name) for name in ("between", "last"))
        return SCHEDULES[self.family](**said)


Reading = Callable[[float, Draft], float | int]  # a field's value at 0 to 1


def read(family: str, shape: str | None, limits: Limits, x: FloatArray) -> Schedule:
    """The schedule at a place `x` (fields,) of the cube of a family, the peak first.

    Raises `ScheduleError` where there is none: in runs of few updates, and where a family cannot keep to the limits.
    """
    draft = Draft(family, limits, {} if shape is None else {"shape": shape})
    for value, (name, reading) in zip(x, {"peak": _peak, **FAMILIES[family]}.items(), strict=True):
        draft.fields[name] = reading(float(value), draft)
    return draft.made()


def _peak(x: float, draft: Draft) -> float:
    limits = draft.limits
    low = max(limits.floor, LEAST_PEAK * limits.peak)
    return limits.peak if x == 0 else max(limits.floor, _rounded(_evenly(x, limits.peak, low), ROUND_FLOOR))


def _final(x: float, draft: Draft) -> float:
    """From the lowest rate that floor and slope allow to the one that the fall starts at."""
    exponential = "exponential" in (draft.family, draft.fields.get("shape"))
    lowest = draft.made(final=LEAST_END**2 * draft.peak if exponential else 0.0)
    top = float(lowest(draft.start))
    low = max(draft.limits.floor, LEAST_END * top if exponential else 0.0)
    if draft.slope < np.inf and exponential:  # steepest at once
        low = max(low, top * max(1 - draft.slope / top, 0.0) ** (draft.limits.total - draft.start))
    elif draft.slope < np.inf:  # the slope is in proportion to the whole fall
        low = max(low, top * (1 - draft.slope / max(_steepest(lowest, draft.start), draft.slope)))
    return _between(x, min(low, top), top)


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


def _dropped(above: str) -> Reading:
    """A rate after a drop within one update from the field `above`."""

    def reading(x: float, draft: Draft) -> float:
        top = draft.fields[above]
        return _between(x, max(draft.limits.floor, top - draft.slope), top)

    return reading


def _timescale(x: float, draft: Draft) -> float:
    """From the shortest that keeps to floor and slope; updates."""

    def least(kept: float) -> float:  # in units of the updates after which that share of the peak is kept
        return np.inf if kept >= 1 else max(kept, 0.0) ** 2 / ((1 - kept) * (1 + kept))

    by_floor, by_slope = draft.length * least(draft.limits.floor / draft.peak), least(1 - draft.slope / draft.peak)
    low = max(1.0, 1e-3 * draft.length, by_floor, by_slope)
    return float(np.ceil(_evenly(x, low, 10 * max(low, draft.length))))


def _knee(x: float, draft: Draft) -> int:
    """From the start of the cooldown back to the warm-up."""
    latest = max(draft.start - draft.limits.warmup, 1)
    return draft.limits.warmup + round(_evenly(x, latest, min(max(1, 1e-3 * draft.length), latest)))


def _exponent(x: float, draft: Draft) -> float:
    """Up to 2, where the slope at the knee and the floor at the start of the cooldown allow it."""
    floor, knee, high = draft.limits.floor, draft.fields["knee"], 2.0
    if draft.start > knee and floor:
        high = min(high, np.log(draft.peak / floor) / np.log(draft.start / knee))
    if draft.start > knee and draft.slope < draft.peak:
        high = min(high, -np.log1p(-draft.slope / draft.peak) / np.log1p(1 / knee))
    return _rounded(high * 0.01**x, ROUND_FLOOR)


def _second(x: float, draft: Draft) -> int:
    first = draft.fields["first"]
    return round(_evenly(x, max(1, 0.02 * first), max(1, first - 1)))


def _share(low: float, high: float) -> Reading:
    """A plain number."""
    return lambda x, draft: _rounded(_evenly(x, low, high), ROUND_FLOOR)


def _updates(low: float, high: float) -> Reading:
    """A share of the updates after the warm-up."""
    return lambda x, draft: max(1, round(_evenly(x, low, high) * draft.length))


def _evenly(x: float, low: float, high: float) -> float:
    """From `low` to `high`, evenly in the logarithm."""
    return low * (high / low) ** x


def _between(x: float, low: float, high: float) -> float:
    """A rate from `low` to `high`, most finely near `low`."""
    return min(high, _rounded(low + (high - low) * x**2, ROUND_CEILING))


def _rounded(value: float, way: str) -> float:
    """Written to a few digits; `way`: to the side on which the limits are kept."""
    return float(Context(prec=DIGITS, rounding=way).create_decimal(repr(float(value))))


# What is searched besides the peak and the form of the cooldown. A drop of `wsd` stays 1: a free-form curve tells what
# a jump is worth. The two drops of `step` are `first` and `second` updates before the end. `power_scheduler` is `power`
# in tokens; the other families rise again.
FAMILIES: Mapping[str, Mapping[str, Reading]] = {
    "linear": {"final": _final},
    "cosine": {"final": _final},
    "wsd": {"decay": _updates(0.01, 1.0), "final": _final},
    "polynomial": {"exponent": _share(0.1, 10.0), "final": _final},
    "power_decay": {"beta": _share(0.55, 5.0), "final": _final},
    "exponential": {"final": _final},
    "rex": {"final": _final},
    "uba": {"phi": _share(0.05, 20.0), "final": _final},
    "inverse_sqrt": {"timescale": _timescale},
    "power": {"decay": _updates(0.01, 0.9), "knee": _knee, "exponent": _exponent, "final": _final},
    "step": {"first": _updates(0.01, 0.9), "second": _second, "between": _dropped("peak"), "last": _dropped("between")},
}
SIMPLE = ("linear", "cosine", "polynomial", "wsd")  # what trainers have at hand
