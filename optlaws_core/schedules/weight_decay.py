"""The weight decay of a plan, AdamW's λ: one value, or one for every update.

The text form is `0.1`, `steps([0, 12000], [0.1, 0.3])` or `ramp([0, 24000], [0.1, 0])`: where each value begins, in
updates. An update with the rate η takes η·λ of the weights that decay.
"""

from dataclasses import dataclass

from ..errors import ScheduleError
from .batch import listed
from .course import Course

HIGHEST = 100.0


@dataclass(frozen=True)
class WeightDecay(Course):
    """Weight decay by update. `decay(t)` takes steps of any shape. Raises `ScheduleError` as `Course` does."""

    part = "weight_decay"

    values: tuple[float, ...]

    def _check_values(self) -> None:
        if not all(0 <= v <= HIGHEST for v in self.values):
            raise ScheduleError(f"{self.part}: values must lie between 0 and {HIGHEST:g}, got {listed(self.values)}.")


__all__ = ["WeightDecay"]
