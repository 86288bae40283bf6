"""What every schedule is: a frozen record that can be called on steps.

Convention, for every schedule here and everything that uses one: steps are 0-based; `lr(t)` is the rate that
update `t` uses; the warm-up rises from 0, linearly unless said otherwise, and reaches the peak at `t = warmup`; the end
value belongs to `t = total`, one past the last update; the cumulative learning rate after update `t` is
`S(t) = Σ_{τ≤t} lr(τ)`.
"""

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from types import UnionType
from typing import ClassVar, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import SMALLEST, format_number

LARGEST = 1e15  # steps beyond it are not exact in floating point; no field means anything there

# u runs from 0 at step 0 to 1 at the end of the warm-up; each maps it to a share of the peak, from 0 to 1.
WARMUPS = {
    "linear": lambda u: u,
    "cosine": lambda u: np.sin(0.5 * np.pi * u) ** 2,  # (1 − cos πu)/2
    "1-sqrt": lambda u: u / (1 + np.sqrt(1 - u)),  # 1 − √(1−u)
    "exponential": lambda u: np.expm1(np.log(100) * u) / 99,  # (100ᵘ − 1)/99: a hundredfold rise, moved to start at 0
}


def entry(meaning: str, unit: str = "", choices: Iterable[str] = (), **kwargs):
    """A dataclass field that carries what a form needs: `meaning` (a tooltip), `unit` and, of a word, its `choices`."""
    return field(metadata={"meaning": meaning, "unit": unit, "choices": tuple(choices)}, **kwargs)


def warmup_entry(default: int | None = 0, meaning: str = "updates of warm-up from 0"):
    return entry(meaning, "updates", kw_only=True, default=default)


def warmup_shape_entry(default: str = "linear"):
    return entry("form of the warm-up: " + ", ".join(WARMUPS), kw_only=True, default=default, choices=WARMUPS)


def final_entry():
    return entry("learning rate at t = total, one past the last update", "LR", kw_only=True, default=0.0)


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every update. `schedule(t)` takes steps of any shape and returns rates of that shape.

    Before `warmup` the rate rises from 0 as `warmup_shape` says; from there on the family's `_after_warmup` decides;
    from `total` on it stays at its end value. Raises `ScheduleError` when the fields contradict each other.
    """

    family: ClassVar[str]
    formula: ClassVar[str]  # LaTeX of the part after the warm-up

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(self.family, f, getattr(self, f.name)))
        for name, value in self._left_out().items():
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
        if getattr(self, "final", 0.0) > self.peak:
            raise ScheduleError(
                f"{self.family}: final must not exceed the peak {format_number(self.peak)}, "
                f"got {format_number(self.final)}."
            )

    def __call__(self, t: ArrayLike) -> FloatArray:
        t = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        if not self.warmup:
            return self._after_warmup(t)
        late = self._after_warmup(np.maximum(t, self.warmup))
        return np.where(t < self.warmup, self._in_warmup(np.minimum(t, self.warmup)), late)

    def _left_out(self) -> dict:
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
    def warmup_end(self) -> int:
        """First step after the warm-up, declared or, in a logged curve, seen."""
        return self.warmup

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

    def rescaled(self, total: int) -> "Schedule":
        """The same shape over another horizon: the warm-up stays, everything after it stretches in proportion.

        Raises `ScheduleError` when `total` leaves no update after the warm-up.
        """
        if total <= self.warmup:
            raise ScheduleError(
                f"{self.family}: a horizon of {total} leaves nothing after {self.warmup} warm-up updates."
            )
        factor = (total - self.warmup) / (self.total - self.warmup)
        return replace(self, total=total, **self._stretched(factor))

    def _stretched(self, factor: float) -> dict:
        """Fields, other than `total`, that change when the part after the warm-up is stretched by `factor`."""
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

    peak: float = entry("highest learning rate, reached at the end of the warm-up", "LR")
    warmup: int = warmup_entry()
    total: int = entry("updates in all, warm-up included", "updates", kw_only=True)
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


def _checked(family: str, f: Field, value):
    """`value` in the type that field `f` declares: int, float, str or a tuple of one of them; None where allowed."""
    if value is None and f.default is None:
        return None
    kind = get_args(f.type)[0] if isinstance(f.type, UnionType) else f.type  # of `int | None`: int
    if get_origin(kind) is not tuple:
        return _scalar(family, f.name, kind, value)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise ScheduleError(f"{family}: {f.name} must be a list such as [100, 200], got {value!r}.")
    return tuple(_scalar(family, f.name, get_args(kind)[0], v) for v in value)


def _scalar(family: str, name: str, kind: type, value):
    if kind is str:
        return str(value)
    if isinstance(value, (str, bytes, bool)) or not np.isscalar(value):
        raise ScheduleError(f"{family}: {name} must be a number, got {value!r}.")
    if not -LARGEST <= value <= LARGEST:  # NaN fails every comparison
        raise ScheduleError(f"{family}: {name} must be a finite number below {LARGEST:g}, got {str(value)[:20]}.")
    if kind is int and value != int(value):
        raise ScheduleError(f"{family}: {name} counts updates and must be a whole number, got {format_number(value)}.")
    if kind is float and value < 0:
        raise ScheduleError(f"{family}: {name} must not be negative, got {format_number(value)}.")
    return kind(value) + 0  # no −0, which the text form cannot tell from 0
