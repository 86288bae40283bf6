"""What is scheduled beside the learning rate: batch, context and weight decay, each a `Course` over the updates.

steps([0, 1000], [8, 16])           # 8 in updates 0 to 999, 16 from update 1000 on
ramp([0, 1000], [0.2, 0])           # linear from 0.2 at update 0 to 0 at update 1000, and 0 from then on
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optlaws_core.text import format_number

from .checks import SweepError

FORM = re.compile(r"(steps|ramp)\(\s*\[([^\[\]]*)\]\s*,\s*\[([^\[\]]*)\]\s*\)")


@dataclass(frozen=True)
class Course:
    """A quantity given at some updates: held until the next of them (`steps`) or linear in between (`ramp`)."""

    kind: str  # steps or ramp
    starts: tuple[float, ...]  # updates
    values: tuple[float, ...]  # in the unit of the quantity

    def __call__(self, updates: ArrayLike) -> NDArray[np.float64]:
        """The value for each update, 0-based, in the shape of `updates`."""
        if self.kind == "ramp":
            return np.interp(updates, self.starts, self.values)
        return np.asarray(self.values, float)[np.searchsorted(self.starts, updates, side="right") - 1]

    @property
    def text(self) -> str:
        """The form that `parse_course` reads."""
        return f"{self.kind}({_listed(self.starts)}, {_listed(self.values)})"

    def check(self, name: str, total: int, *, whole: bool) -> None:
        """Raise `SweepError` for what cannot be run in `total` updates; `whole` values must be counts."""
        starts, values = self.starts, self.values
        if len(starts) != len(values):
            raise SweepError(
                f"{name} needs a value for every start, got {len(starts)} starts and {len(values)} values."
            )
        rising = all(a < b for a, b in zip(starts, starts[1:], strict=False))
        last = total if self.kind == "ramp" else total - 1
        if not rising or starts[0] != 0 or starts[-1] > last or not all(s == int(s) for s in starts):
            raise SweepError(
                f"{name}: starts must be whole updates that rise from 0 to {last} at most, got {_listed(starts)}."
            )
        if whole and not all(v >= 1 and v == int(v) for v in values):
            raise SweepError(f"{name}: values must be whole numbers of at least 1, got {_listed(values)}.")
        if min(values) < 0:
            raise SweepError(f"{name}: values must not be negative, got {_listed(values)}.")

    def times(self, factor: float) -> "Course":
        """The course with every value multiplied."""
        return Course(self.kind, self.starts, tuple(factor * v for v in self.values))


def parse_course(name: str, text: str) -> Course:
    """Read `steps([…], […])` or `ramp([…], […])`; raises `SweepError` with the name of the quantity."""
    found = FORM.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        starts, values = (tuple(float(number) for number in found[i].split(",")) for i in (2, 3))
        if not all(map(isfinite, starts + values)):
            raise ValueError
    except ValueError:
        raise SweepError(
            f"{name} must read like steps([0, 0.5T], [8, 16]) or ramp([0, T], [8, 32]), got {text!r}."
        ) from None
    return Course(found[1], starts, values)


def stepwise_product(one: Course, other: Course) -> Course:
    """The product of two courses in steps, without steps that change nothing."""
    starts = sorted({*one.starts, *other.starts})
    values = (one(starts) * other(starts)).tolist()
    kept = [i for i, value in enumerate(values) if i == 0 or value != values[i - 1]]
    return Course("steps", tuple(starts[i] for i in kept), tuple(values[i] for i in kept))


def _listed(numbers: Sequence[float]) -> str:
    """Whole numbers in full: 1000 updates rather than 1e3."""
    return f"[{', '.join(str(int(n)) if n == int(n) else format_number(n) for n in numbers)}]"
