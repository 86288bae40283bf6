"""The weight decay of a plan, AdamW's λ: one value, or one for every update.

The text form is `0.1`, `steps([0, 12000], [0.1, 0.3])` or `ramp([0, 24000], [0.1, 0])`: where each value begins, in
updates. An update with the rate η takes η·λ of the weights that decay.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .batch import SHAPES, Pieces, check_stretches, lengthened, listed
from .entries import LARGEST

HIGHEST = 100.0


@dataclass(frozen=True)
class WeightDecay:
    """Weight decay by update. `decay(t)` takes steps of any shape.

    `steps`: `values[i]` from `starts[i]` on. `ramp`: linear from one value to the next, constant from the last start
    on. Raises `ScheduleError` where the fields contradict each other.
    """

    starts: tuple[float, ...]  # updates, ascending from 0
    values: tuple[float, ...]
    shape: str = "steps"

    def __post_init__(self) -> None:
        for name in ("starts", "values"):
            object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        check_stretches("weight_decay", self.shape, self.starts, self.values, "value")
        rises = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if self.starts[0] != 0 or not rises or any(s != int(s) or s > LARGEST for s in self.starts):
            raise ScheduleError(
                f"weight_decay: starts must be whole updates that rise from 0, got {listed(self.starts)}."
            )
        if not all(0 <= v <= HIGHEST for v in self.values):
            raise ScheduleError(f"weight_decay: values must lie between 0 and {HIGHEST:g}, got {listed(self.values)}.")

    def __call__(self, t: ArrayLike) -> FloatArray:
        """Values at updates `t`, shape of `t`."""
        return self.pieces(t)

    @cached_property
    def pieces(self) -> Pieces:
        """What the weight decay is at every update."""
        begin = tuple(int(s) for s in self.starts)
        growth = np.zeros(len(begin))
        if self.shape == "ramp":
            growth[:-1] = np.diff(self.values) / np.diff(begin)
        return Pieces(begin, self.values, tuple(growth.tolist()))

    @property
    def constant(self) -> bool:
        """Whether every update has the same."""
        return len(set(self.values)) == 1

    @property
    def text(self) -> str:
        """The text form, which `joint_text.parse_weight_decay` turns back into an equal schedule."""
        if len(self.values) == 1 and self.shape == SHAPES[0]:
            return format_number(self.values[0])
        return f"{self.shape}([{_all(self.starts)}], [{_all(self.values)}])"

    def stretched(self, factor: float, origin: int = 0) -> "WeightDecay":
        """The same schedule with what lies behind update `origin` `factor` times as long."""
        starts, values = lengthened(self.starts, self.values, factor, origin)
        return replace(self, starts=starts, values=values)

    def until(self, end: int) -> "WeightDecay":
        """The same values in all updates before update `end`, from 1 on, behind which nothing begins."""
        kept = sum(s < end for s in self.starts)
        starts, values = self.starts[:kept], self.values[:kept]
        if self.shape == "ramp" and kept < len(self.values):
            starts, values = (*starts, float(end)), (*values, float(self(end)))
        return replace(self, starts=starts, values=values)


def _all(numbers: tuple[float, ...]) -> str:
    return ", ".join(map(format_number, numbers))


__all__ = ["WeightDecay"]
