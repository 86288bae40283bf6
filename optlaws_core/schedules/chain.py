"""Training that goes on from a checkpoint: one schedule after another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ScheduleError
from .base import LARGEST, FloatArray, Schedule


@dataclass(frozen=True)
class Chain(Schedule):
    """`first` to its end, then `second` from its own step 0, warm-up included: continual training and fine-tuning.

    A whole, so that sums over the past reach back behind the checkpoint. Not among `SCHEDULES`: it has no text form
    that `parse` reads, and a horizon of its own only in its second part.
    """

    family = "chain"
    formula = r"\eta^{(1)}(t) \text{ for } t < T_1, \quad \eta^{(2)}(t - T_1) \text{ from there on}"

    first: Schedule
    second: Schedule

    def __post_init__(self) -> None:
        for part in (self.first, self.second):
            if not isinstance(part, Schedule):
                raise ScheduleError(f"chain: both parts must be schedules, got {part!r:.60}.")
        if self.total > LARGEST:
            raise ScheduleError(f"chain: both parts together may have {LARGEST:g} updates, got {self.total:g}.")

    def __call__(self, t: ArrayLike) -> FloatArray:
        t = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        before = self.first(np.minimum(t, self.first.total))
        return np.where(t < self.first.total, before, self.second(np.maximum(t - self.first.total, 0.0)))

    @property
    def peak(self) -> float:
        """The higher of both peaks."""
        return max(self.first.peak, self.second.peak)

    @property
    def total(self) -> int:
        """Updates of both parts."""
        return self.first.total + self.second.total

    @property
    def warmup(self) -> int:
        """That of the first part: the second one's is part of the curve."""
        return self.first.warmup

    @property
    def warmup_end(self) -> int:
        """That of the first part."""
        return self.first.warmup_end

    @property
    def breaks(self) -> tuple[int, ...]:
        """Breaks of both parts."""
        return (*self.first.breaks, *(self.first.total + b for b in self.second.breaks[1:]))

    @property
    def text(self) -> str:
        """Both parts, for the eye."""
        return f"{self.first.text} then {self.second.text}"

    def rescaled(self, total: int) -> "Chain":
        """The second part over another horizon: what was trained stays. Raises `ScheduleError` as its part does."""
        return Chain(self.first, self.second.rescaled(total - self.first.total))


__all__ = ["Chain"]
