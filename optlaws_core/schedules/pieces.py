"""Schedules given by their pieces: constant ones, and straight lines between knots."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Peaked, Schedule, Shapes
from .code_pieces import FIND, LINES, Code, Piece
from .entries import WARMUPS, checked, entry, rounded_rate, warmup_entry, warmup_shape_entry
from .search_ranges import Draft, Range, Reading, between, evenly, updates


def _second(x: float, draft: Draft) -> int:
    first = draft.fields["first"]
    return round(evenly(x, max(1, 0.02 * first), max(1, first - 1)))


def _dropped(above: str) -> Reading:
    """A rate after a drop within one update from the field `above`."""

    def reading(x: float, draft: Draft) -> float:
        top = draft.fields[above]
        return between(x, max(draft.limits.floor, top - draft.slope), top)

    return reading


@dataclass(frozen=True)
class Step(Peaked):
    """Constant pieces: the peak, then `values[i]` from step `boundaries[i]` on."""

    family: ClassVar[str] = "step"
    formula: ClassVar[str] = (
        r"\eta(t) = v_i \quad \text{for } b_i \le t < b_{i+1}, \qquad b_0 = W,\ b_{n+1} = T,\ v_0 = p"
    )
    shapes: ClassVar[Shapes] = {
        "step 8-1-1": lambda p, t: {"boundaries": (round(0.8 * t), round(0.9 * t)), "values": (0.316 * p, 0.1 * p)}
    }
    boundaries: tuple[int, ...] = entry(
        "steps at which the rate changes",
        "updates",
        symbol="b_i",
        usual=lambda p, w, t: (max(w + 1, round(0.6 * t)), max(w + 2, round(0.85 * t))),
        search="read off two drops",
        kw_only=True,
    )
    values: tuple[float, ...] = entry(
        "rates from those steps on",
        "LR",
        symbol="v_i",
        usual=lambda p, w, t: (rounded_rate(0.3 * p), rounded_rate(0.1 * p)),
        search="read off two drops",
        kw_only=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.boundaries or len(self.boundaries) != len(self.values):
            raise ScheduleError(
                f"step: boundaries and values must be lists of the same length, at least 1, "
                f"got {len(self.boundaries)} and {len(self.values)}."
            )
        steps = (self.warmup, *self.boundaries, self.total)
        if any(b <= a for a, b in pairwise(steps)):
            raise ScheduleError(
                f"step: boundaries must rise strictly between warmup = {self.warmup} and total = {self.total}, "
                f"got {_brief(self.boundaries)}."
            )
        if max(self.values) > self.peak:
            raise ScheduleError(
                f"step: no value may exceed the peak {format_number(self.peak)}, "
                f"got {format_number(max(self.values))}; "
                "use knots for a rate that rises again."
            )

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        rates = np.array((self.peak, *self.values))
        return rates[np.searchsorted(self.boundaries, t, side="right")]

    @classmethod
    def search_ranges(cls) -> dict[str, Range]:
        """Two drops, `first` and `second` updates before the end, and the rates after them."""
        return {
            "first": updates(0.01, 0.9),
            "second": Range(_second),
            "between": Range(_dropped("peak")),
            "last": Range(_dropped("between")),
        }

    @classmethod
    def from_search(cls, values: dict) -> "Step":
        said = dict(values)
        said["boundaries"] = tuple(said["total"] - said.pop(name) for name in ("first", "second"))
        said["values"] = tuple(said.pop(name) for name in ("between", "last"))
        return cls(**said)

    def as_code(self) -> Code:
        constants = {"STEPS": (0, *self.boundaries, self.total), "VALUES": (self.peak, *self.values)}
        return Code(constants, (Piece("WARMUP", "VALUES[i]", (FIND,)),))

    def _turns(self) -> tuple[int, ...]:
        return self.boundaries

    def _stretched(self, factor: float) -> dict:
        return {"boundaries": tuple(self._stretch(b, factor) for b in self.boundaries)}


@dataclass(frozen=True)
class Knots(Schedule):
    """Any curve: straight lines between (step, rate) knots. A step that stands twice is a jump, to its second rate.

    The first knot is at step 0, the last one at `total`. With a `warmup`, the rise from 0 replaces the curve before.
    """

    family: ClassVar[str] = "knots"
    formula: ClassVar[str] = (
        r"\eta(t) = v_i + (v_{i+1} - v_i)\,\frac{t - k_i}{k_{i+1} - k_i} \quad \text{for } k_i \le t < k_{i+1}"
    )
    warmup_code: ClassVar[str] = "TOP * {rise}"  # the rate at the end of the warm-up need not be the highest
    example: ClassVar[Mapping[str, float]] = {**Schedule.example, "warmup": 0}
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "a free-form curve is what the best schedule is without a family"
    steps: tuple[int, ...] = entry(
        "steps of the knots, from 0 to the total",
        "updates",
        symbol="k_i",
        usual=lambda p, w, t: (0, w + max(1, t // 20), *((max(w + 2, round(0.6 * t)),) * 2), t),
    )
    values: tuple[float, ...] = entry(
        "rates at those steps",
        "LR",
        symbol="v_i",
        usual=lambda p, w, t: (p if w else 0.0, p, rounded_rate(0.7 * p), rounded_rate(0.3 * p), 0.0),
    )
    warmup: int = warmup_entry()
    warmup_shape: str = warmup_shape_entry()

    def __post_init__(self) -> None:
        for name in ("steps", "values"):
            if not hasattr(getattr(self, name), "__len__") or isinstance(getattr(self, name), str):
                raise ScheduleError(
                    f"knots: {name} must be a list such as [0, 100, 2000], got {getattr(self, name)!r}."
                )
        if len(self.steps) != len(self.values) or len(self.steps) < 2:
            raise ScheduleError(
                "knots: steps and values must be lists of the same length, at least 2, "
                f"got {len(self.steps)} and {len(self.values)}."
            )
        # Before anything divides by their distances.
        k = np.array(checked(self.family, next(f for f in fields(self) if f.name == "steps"), self.steps))
        if k[0] != 0 or (np.diff(k) < 0).any() or (k[2:] == k[:-2]).any() or k[-1] == k[-2] or k[1] == 0:
            raise ScheduleError(
                "knots: steps must start at 0 and rise; a step may occur twice (a jump), but not the first or last, "
                f"got {_brief(self.steps)}."
            )
        super().__post_init__()

    @cached_property
    def peak(self) -> float:
        """The highest rate: of the knots, without those that a warm-up replaces."""
        late = [v for k, v in zip(self.steps, self.values, strict=True) if k >= self.warmup]
        top = float(self._after_warmup(np.asarray(float(self.warmup)))) if self.warmup else 0.0
        return max((top, *late))

    @property
    def total(self) -> int:
        """The last knot's step."""
        return self.steps[-1]

    def _in_warmup(self, t: FloatArray) -> FloatArray:
        top = self._after_warmup(np.asarray(float(self.warmup)))  # need not be the peak
        return top * WARMUPS[self.warmup_shape](t / self.warmup)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        k, v = self._table
        right = np.clip(np.searchsorted(k, t, side="right"), 1, len(k) - 1)
        left = right - 1
        return v[left] + (v[right] - v[left]) * ((t - k[left]) / (k[right] - k[left]))

    def as_code(self) -> Code:
        top = {"TOP": float(self(self.warmup))} if self.warmup else {}
        return Code({"STEPS": self.steps, "VALUES": self.values} | top, (LINES,))

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.steps, dtype=float), np.array(self.values)

    def _turns(self) -> tuple[int, ...]:
        return tuple(k for k in self.steps if k > self.warmup)

    @property
    def warmup_end(self) -> int:
        """The declared end; else, for a curve that starts below half the peak, where it first comes to 99 % of it."""
        if self.warmup or self.values[0] >= 0.5 * self.peak:
            return self.warmup
        return next(k for k, v in zip(self.steps, self.values, strict=True) if v >= 0.99 * self.peak)

    def rescaled(self, total: int) -> "Knots":
        if total <= self.warmup:
            raise ScheduleError(f"knots: a horizon of {total} leaves nothing after {self.warmup} warm-up updates.")
        factor = (total - self.warmup) / (self.total - self.warmup)
        steps = tuple(k if k <= self.warmup else self._stretch(k, factor) for k in self.steps)
        return replace(self, steps=steps)


def _brief(steps: tuple[int, ...]) -> str:
    shown = ", ".join(str(s) for s in steps[:8])
    return f"[{shown}{', …' if len(steps) > 8 else ''}]"
