"""What every schedule is: a frozen record that can be called on steps.

Convention, for every schedule here and everything that uses one: steps are 0-based; `lr(t)` is the rate that
update `t` uses; the warm-up rises from 0, linearly unless said otherwise, and reaches the peak at `t = warmup`; the end
value belongs to `t = total`, one past the last update; the cumulative learning rate after update `t` is
`S(t) = Σ_{τ≤t} lr(τ)`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..markup import formula as formula_of
from ..text import SMALLEST, format_number
from .code_pieces import LEFT, PASSED, Code, Piece
from .entries import WARMUPS, checked, entry, final_entry, rounded_rate, warmup_entry, warmup_shape_entry
from .schedule_shown import frame_of, html_of
from .search_ranges import Range

if TYPE_CHECKING:
    import pandas as pd

LETS = {"x": PASSED, "z": LEFT}
Shapes = Mapping[str, Callable[[float, int], dict]]  # titles to what defaults lack, from peak and total


def AS_IS(peak: float, total: int) -> dict:
    """The fields of a shape that takes the family's defaults."""
    return {}


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every update. `schedule(t)` takes steps of any shape and returns rates of that shape.

    Before `warmup` the rate rises from 0 as `warmup_shape` says; from there on the family's `_after_warmup` decides;
    from `total` on it stays at its end value. Raises `ScheduleError` when the fields contradict each other.
    """

    family: ClassVar[str]
    summary: ClassVar[str]  # the first line of the docstring: one sentence, with its source
    formula: ClassVar[str]  # LaTeX of the part after the warm-up, in the symbols of the fields
    # The rate after the warm-up as Python (code_pieces.py), lines before the last one being variables that it needs;
    # empty for a family that has an `as_code` of its own.
    code: ClassVar[str] = ""
    warmup_code: ClassVar[str] = "PEAK * {rise}"  # the rate before, from the code of the warm-up's shape
    example: ClassVar[Mapping[str, float]] = {"peak": 1e-3, "warmup": 500, "total": 10_000}
    shapes: ClassVar[Shapes]  # that Pre-select offers; {} for none
    unsearched: ClassVar[str] = ""  # why no search looks for the best schedule of this family; empty where one does

    if TYPE_CHECKING:  # fields or properties of every family, in an order of its own

        @property
        def peak(self) -> float: ...

        @property
        def total(self) -> int: ...

        @property
        def warmup(self) -> int: ...

        @property
        def warmup_shape(self) -> str: ...

    def __init_subclass__(cls) -> None:
        cls.summary = next(iter((cls.__dict__.get("__doc__") or "").strip().splitlines()), "")

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, checked(self.family, f, getattr(self, f.name)))
        for name, value in self._defaults().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if not self.peak > 0:
            raise ScheduleError(
                f"{self.family}: the peak learning rate must be above 0, got {format_number(self.peak)}."
            )
        if self.peak < SMALLEST:
            raise ScheduleError(
                f"{self.family}: the peak learning rate must be at least {format_number(SMALLEST)}, "
                f"got {format_number(self.peak)}."
            )
        if self.total < 1:
            raise ScheduleError(f"{self.family}: total must be at least 1 update, got {self.total}.")
        if not 0 <= self.warmup < self.total:
            raise ScheduleError(
                f"{self.family}: warmup must lie between 0 and total − 1 = {self.total - 1} updates, got {self.warmup}."
            )
        if self.warmup_shape not in WARMUPS:
            raise ScheduleError(
                f"{self.family}: warmup_shape must be one of {', '.join(WARMUPS)}, got {self.warmup_shape[:40]!r}."
            )
        final = getattr(self, "final", 0.0)
        if final > self.peak:
            raise ScheduleError(
                f"{self.family}: final must not exceed the peak {format_number(self.peak)}, got {format_number(final)}."
            )

    def __call__(self, t: ArrayLike) -> FloatArray:
        at = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        if not self.warmup:
            return self._after_warmup(at)
        late = self._after_warmup(np.maximum(at, self.warmup))
        return np.where(at < self.warmup, self._in_warmup(np.minimum(at, self.warmup)), late)

    @classmethod
    def usual(cls, **numbers: float) -> "Schedule":
        """An example of the family, with `numbers` in the place of its own peak, warm-up or total."""
        values = {**cls.example, **numbers}
        found = {f.name: cls.usual_value(f, values) for f in fields(cls)}
        return cls(**{name: value for name, value in found.items() if value is not None})

    @classmethod
    def usual_value(cls, f: Field, numbers: Mapping[str, float]) -> Any:
        """What an example has in a field; None for one that is left out. `numbers`: peak, warm-up, total, or more."""
        if f.name in numbers:
            return numbers[f.name]
        if f.default is None or f.metadata["usual"] is None:
            return None if f.default is MISSING else f.default
        return f.metadata["usual"](numbers["peak"], numbers["warmup"], numbers["total"])

    @classmethod
    def search_ranges(cls) -> dict[str, Range]:
        """What is searched besides the peak and the shape of a cooldown, in the order in which it is read."""
        if cls.unsearched:
            return {}
        found = {f.name: r for f in fields(cls) if isinstance(r := f.metadata["search"], Range)}
        return dict(sorted(found.items(), key=lambda item: item[1].order))

    @classmethod
    def from_search(cls, values: dict) -> "Schedule":
        """The schedule with the `values` of `search_ranges`, and of peak, warm-up, total. Raises `ScheduleError`."""
        return cls(**values)

    def as_code(self) -> Code | None:
        """The formula as Python code, what the family's `code` says; None where it has none."""
        if not self.code:
            return None
        *lets, rate = self.code.splitlines()
        lets = [let for name, let in LETS.items() if re.search(rf"\b{name}\b", self.code)] + lets
        names = dict.fromkeys(re.findall(r"\b[A-Z][A-Z_]+\b", self.code))
        own = {name: getattr(self, name.lower()) for name in names if name not in ("PEAK", "WARMUP", "TOTAL")}
        return Code(own, (Piece("WARMUP", rate, tuple(lets)),))

    def _defaults(self) -> dict:
        """Values that follow from the other fields, for fields that may be left out. The others are not yet checked."""
        return {}

    def _in_warmup(self, t: FloatArray) -> FloatArray:
        """Rates at steps `0 ≤ t ≤ warmup`, where there is a warm-up; same shape as `t`."""
        return self.peak * WARMUPS[self.warmup_shape](t / self.warmup)

    def _left(self, t: FloatArray) -> FloatArray:
        """z: the share of the part after the warm-up that is still to come, from 1 to 0; same shape as `t`."""
        return (self.total - t) / (self.total - self.warmup)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        """Rates at steps `warmup ≤ t ≤ total`; same shape as `t`."""
        raise NotImplementedError

    def _turns(self) -> tuple[int, ...]:
        """Steps after the warm-up at which the formula changes (kinks and jumps)."""
        return ()

    @property
    def last(self) -> "Schedule":
        """The part that can still be chosen: the schedule itself, of a chain the second part."""
        return self

    @property
    def warmup_end(self) -> int:
        """First step after the warm-up, declared or, in a logged curve, seen."""
        return self.warmup

    @property
    def beyond(self) -> str:
        """A sentence on what lies outside the experiments that the family's constants come from; empty for nothing."""
        return ""

    @property
    def breaks(self) -> tuple[int, ...]:
        """First steps of the stretches on which the rate is one smooth formula: ascending, from 0 to `total`."""
        inner = {int(t) for t in (self.warmup, *self._turns()) if 0 < t < self.total}
        return (0, *sorted(inner), self.total)

    @property
    def text(self) -> str:
        """The text form, which `parse` turns back into an equal schedule."""
        words = ", ".join(f"{f.name}={_word(getattr(self, f.name))}" for f in ordered_fields(self) if _is_said(self, f))
        return f"{self.family}({words})"

    def __str__(self) -> str:
        return self.text

    def to_frame(self, at: ArrayLike | None = None) -> "pd.DataFrame":
        """Columns step, lr and, of a plan with a batch schedule, batch, at the updates `at` (n,).

        By default some 1,000 updates: evenly spread, with both sides of every change of the formula.
        """
        return frame_of(self, at)

    def plot(self) -> Any:
        """The rate over the updates, or rate and batch over tokens, as a plotly `Figure`. Needs the extra `figures`."""
        from ..figures.of_records import of_schedule

        return of_schedule(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def _repr_latex_(self) -> str:
        return formula_of(self.formula)

    def rescaled(self, total: int) -> "Schedule":
        """The same shape over another horizon: the warm-up stays, everything after it stretches in proportion.

        Raises `ScheduleError` when `total` leaves no update after the warm-up.
        """
        if total <= self.warmup:
            raise ScheduleError(
                f"{self.family}: a horizon of {total} leaves nothing after {self.warmup} warm-up updates."
            )
        factor = (total - self.warmup) / (self.total - self.warmup)
        changed = {"total": total, **self._stretched(factor)}
        return replace(self, **changed)

    def _stretched(self, factor: float) -> dict:
        """Fields, other than `total`, that change when the part after the warm-up is stretched by `factor`."""
        return {}

    def resized(self, *, total: int | None = None, peak: float | None = None, warmup: int | None = None) -> "Schedule":
        """The schedule for another run, with every share kept; what is None follows in proportion.

        total, warmup: in updates, from 1 and from 0. peak: a rate, above 0. Lengths keep their share of the total,
        rates their share of the peak: a cooldown over the last fifth stays the last fifth. Raises `ScheduleError` where
        no schedule of the family is left, as with a warm-up that is longer than the run.
        """
        length = 1.0 if total is None else total / self.total
        height = 1.0 if peak is None else peak / self.peak
        changed = {f.name: _scaled(f, getattr(self, f.name), length, height) for f in fields(self)}
        changed |= self._resized(length)
        given = {"total": total, "peak": peak, "warmup": warmup}
        return replace(self, **changed | {k: v for k, v in given.items() if v is not None and k in changed})

    def _resized(self, length: float) -> dict:
        """Fields that are neither lengths nor rates of the run and yet change with its length, or that must not."""
        return {}

    def _stretch(self, step: int, factor: float) -> int:
        return round(self.warmup + (step - self.warmup) * factor)

    def _check_least(self, least: float, *names: str) -> None:
        """Raises `ScheduleError` for a field of `names` that is below `least`, or not above it where it is 0."""
        for name in names:
            value = getattr(self, name)
            if value < least or not value > 0:
                rule = f"at least {format_number(least)}" if least else "above 0"
                raise ScheduleError(f"{self.family}: {name} must be {rule}, got {format_number(value)}.")


@dataclass(frozen=True)
class Peaked(Schedule):
    """A schedule that is told its peak, its warm-up and its horizon: every family but knots adds its own fields."""

    peak: float = entry(
        "highest learning rate, reached at the end of the warm-up",
        "LR",
        symbol="p",
        usual=lambda p, w, t: p,
        search="always searched",
    )
    warmup: int = warmup_entry()
    total: int = entry(
        "updates in total, warm-up included",
        "updates",
        symbol="T",
        usual=lambda p, w, t: t,
        search="a limit",
        kw_only=True,
    )
    warmup_shape: str = warmup_shape_entry()


@dataclass(frozen=True)
class Falling(Peaked):
    """One formula from the peak to a final rate: a family says how high the rate still is between the two."""

    final: float = final_entry()

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        return self.final + (self.peak - self.final) * self._height(self._left(t))

    def _height(self, z: FloatArray) -> FloatArray:
        """From 1 at z = 1, the end of the warm-up, to 0 at z = 0, the end; same shape as `z`."""
        raise NotImplementedError


def _scaled(f: Field, value, length: float, height: float):
    """A field's value in a run `length` times as long, under a peak `height` times as high."""
    if isinstance(value, tuple):
        return tuple(_scaled(f, v, length, height) for v in value)
    if f.metadata["unit"] == "updates" and value and length != 1:
        return max(round(value * length), 1)
    return rounded_rate(value * height) if f.metadata["unit"] == "LR" and value and height != 1 else value


def ordered_fields(schedule: Schedule | type[Schedule]) -> list[Field]:
    """The fields in the order of the text form: the shape of the warm-up, which is rarely given, comes last."""
    return sorted(fields(schedule), key=lambda f: f.name == "warmup_shape")


def _is_said(schedule: Schedule, f) -> bool:
    value = getattr(schedule, f.name)
    return f.name == "warmup" or value is not None and (f.name == "shape" or value != f.default)


def _word(value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_word(v) for v in value) + "]"
    return str(value) if isinstance(value, int) else format_number(value)
