"""What a value of a plan is from which update on: stretches of one value, or lines between values."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScheduleError
from ..text import format_number
from .batch import SHAPES, Pieces, check_stretches, lengthened, listed
from .entries import LARGEST, listed_values, number


@dataclass(frozen=True)
class Course:
    """A value for every update. `course(t)` takes steps of any shape and returns values of that shape.

    `steps`: `values[i]` from `starts[i]` on. `ramp`: linear from one value to the next, constant from the last start
    on. Raises `ScheduleError` where the fields contradict each other.
    """

    part: ClassVar[str]  # its name in the text form of a plan
    called: ClassVar[str] = "value"  # what one of the values is
    shapes: ClassVar[tuple[str, ...]] = SHAPES

    starts: tuple[float, ...]  # updates, ascending from 0
    values: tuple[Any, ...]
    shape: str = "steps"

    def __post_init__(self) -> None:
        starts, values = (listed_values(self.part, name, getattr(self, name)) for name in ("starts", "values"))
        object.__setattr__(self, "starts", tuple(number(self.part, "each start", s) for s in starts))
        object.__setattr__(self, "values", tuple(map(self._value, values)))
        check_stretches(self.part, self.shape, self.starts, self.values, self.called, self.shapes)
        rises = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if self.starts[0] != 0 or not rises or any(s > LARGEST or s != int(s) for s in self.starts):
            raise ScheduleError(
                f"{self.part}: starts must be whole updates that rise from 0, got {listed(self.starts)}."
            )
        self._check_values()

    @classmethod
    def _value(cls, value: Any) -> Any:
        """A value as it is kept. Raises `ScheduleError` for one of another type."""
        return number(cls.part, f"each {cls.called}", value)

    def _check_values(self) -> None:
        """Raises `ScheduleError` for a value that is none."""

    def __call__(self, t: ArrayLike) -> NDArray[Any]:
        """Values at updates `t`, shape of `t`."""
        return self.pieces(t)

    @cached_property
    def pieces(self) -> Pieces:
        """What the value is at every update, where it is a number."""
        growth = np.zeros(len(self.breaks))
        if self.shape == "ramp":
            growth[:-1] = np.diff(self.values) / np.diff(self.breaks)
        return Pieces(self.breaks, self.values, tuple(growth.tolist()))

    @property
    def breaks(self) -> tuple[int, ...]:
        """First updates of the stretches: ascending, from 0."""
        return tuple(int(s) for s in self.starts)

    @property
    def constant(self) -> bool:
        """Whether every update has the same."""
        return len(set(self.values)) == 1

    @property
    def text(self) -> str:
        """The text form, which `part_texts` turns back into an equal course."""
        if len(self.values) == 1 and self.shape == SHAPES[0]:
            return self.written(self.values[0])
        return f"{self.shape}([{', '.join(map(format_number, self.starts))}], [{', '.join(self.words)}])"

    @property
    def words(self) -> list[str]:
        """Its values in the text form; of a constant one alone."""
        return [self.written(value) for value in self.values]

    @property
    def told(self) -> str:
        """The text form, that of its value where every update has the same: what tells one course from another."""
        return self.words[0] if self.constant else self.text

    def written(self, value: Any) -> str:
        """A value in the text form."""
        return format_number(value)

    def stretched(self, factor: float, origin: int = 0) -> Self:
        """The same course with what lies behind update `origin` `factor` times as long."""
        starts, values = lengthened(self.starts, self.values, factor, origin)
        return replace(self, starts=starts, values=values)

    def until(self, end: int) -> Self:
        """The same values in all updates before update `end`, from 1 on, behind which nothing begins."""
        kept = sum(s < end for s in self.starts)
        starts, values = self.starts[:kept], self.values[:kept]
        if self.shape == "ramp" and kept < len(self.values):
            starts, values = (*starts, float(end)), (*values, float(self(end)))
        return replace(self, starts=starts, values=values)


__all__ = ["Course"]
