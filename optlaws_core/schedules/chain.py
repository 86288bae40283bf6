"""One schedule after another: training that goes on from a checkpoint, or a run whose plan is changed on its way."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import shortened
from .base import Schedule
from .entries import LARGEST, entry


@dataclass(frozen=True)
class Chain(Schedule):
    """`first` up to update `at`, from there on `second` from its own step 0, warm-up included.

    To its end (the default) for continual training and fine-tuning; to an earlier step for a run that turns there,
    whose past stays what it was. A whole, so that sums over the past reach back behind the joint. Not among
    `SCHEDULES`: it has no text form that `parse` reads, and a horizon of its own only in its second part.
    """

    family = "chain"
    formula = r"\eta^{(1)}(t) \text{ for } t < t_1, \quad \eta^{(2)}(t - t_1) \text{ from there on}"

    first: Schedule
    second: Schedule
    at: int = entry("t₁, after the warm-up of the first part; None for its end", "updates", default=None)

    def __post_init__(self) -> None:
        for part in (self.first, self.second):
            if not isinstance(part, Schedule):
                raise ScheduleError(f"chain: both parts must be schedules, got {part!r:.60}.")
            if part.family == "joint":
                raise ScheduleError(
                    "chain: both parts must be learning rates alone, without batch schedule or average of the weights, "
                    f"got {shortened(part.text, 60)}."
                )
        if self.at is None:
            object.__setattr__(self, "at", self.first.total)
        earliest, end = min(self.first.warmup_end + 1, self.first.total), self.first.total
        if not earliest <= self.at <= end:
            raise ScheduleError(
                "chain: the second part must begin after the first one's warm-up and at its end at the latest, so at "
                f"step {earliest:,} to {end:,}, got {self.at:,}."
            )
        if self.total > LARGEST:
            raise ScheduleError(f"chain: both parts together may have {LARGEST:g} updates, got {self.total:g}.")

    def __call__(self, t: ArrayLike) -> FloatArray:
        step = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        before = self.first(np.minimum(step, self.at))
        return np.where(step < self.at, before, self.second(np.maximum(step - self.at, 0.0)))

    @property
    def peak(self) -> float:
        """The higher of both peaks."""
        return max(self.first.peak, self.second.peak)

    @property
    def total(self) -> int:
        """Updates of both parts."""
        return self.at + self.second.total

    @property
    def warmup(self) -> int:
        """That of the first part: the second one's is part of the curve."""
        return self.first.warmup

    @property
    def warmup_end(self) -> int:
        """That of the first part."""
        return self.first.warmup_end

    @property
    def last(self) -> Schedule:
        """The second part."""
        return self.second

    @property
    def breaks(self) -> tuple[int, ...]:
        """Breaks of both parts, the joint among them."""
        return (*(b for b in self.first.breaks if b < self.at), *(self.at + b for b in self.second.breaks))

    @property
    def text(self) -> str:
        """Both parts, for the eye."""
        until = "" if self.at == self.first.total else f" up to step {self.at - 1:,},"
        return f"{self.first.text}{until} then {self.second.text}"

    def rescaled(self, total: int) -> "Chain":
        """The second part over another horizon: what was trained stays. Raises `ScheduleError` as its part does."""
        return replace(self, second=self.second.rescaled(total - self.at))


__all__ = ["Chain"]
