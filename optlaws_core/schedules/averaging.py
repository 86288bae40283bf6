"""Averages of the weights that a run is judged by in place of its last ones.

`ema(100)` is an exponential moving average of the weights after every update, with a half-life of 100 updates and
weights of sum 1 from the first update on. `merge(8, 1000)` is the plain mean of the last 8 checkpoints, 1,000 updates
apart; of all of them where there are fewer.
"""

from dataclasses import dataclass
from math import log2

from ..errors import ScheduleError
from ..text import format_number
from .entries import number

MOST_MERGED = 10_000
LONGEST = 1e9  # updates


@dataclass(frozen=True)
class EMA:
    """An exponential moving average of the weights. Raises `ScheduleError` for a half-life that is none."""

    half_life: float  # updates

    def __post_init__(self) -> None:
        object.__setattr__(self, "half_life", number("average", "the half-life of an EMA", self.half_life))
        if not 0.1 <= self.half_life <= LONGEST:
            raise ScheduleError(
                "average: the half-life of an EMA must lie between 0.1 and 1e9 updates, "
                f"got {format_number(self.half_life)}."
            )

    @classmethod
    def of_decay(cls, decay: float) -> "EMA":
        """The average that keeps `decay` of itself at an update, above 0 and below 1, as trainers say it."""
        return cls(-1 / log2(decay))

    @property
    def decay(self) -> float:
        """What the average keeps of itself at an update, as trainers take it: 2^(−1 / half-life)."""
        return 0.5 ** (1 / self.half_life)

    @property
    def reach(self) -> float:
        """Updates over which 90 % of the average's weight lies."""
        return self.half_life * log2(10)

    @property
    def text(self) -> str:
        """The text form."""
        return f"ema({format_number(self.half_life)})"


@dataclass(frozen=True)
class Merge:
    """The mean of the last checkpoints. Raises `ScheduleError` for fewer than one of them or no updates between."""

    count: int
    every: int  # updates

    def __post_init__(self) -> None:
        for name, least, most in (("count", 1, MOST_MERGED), ("every", 1, int(LONGEST))):
            value = number("average", f"{name} of merge", getattr(self, name))
            if not least <= value <= most or value != int(value):
                raise ScheduleError(
                    f"average: merge takes a number of checkpoints, 1 to {MOST_MERGED:,}, and the updates between "
                    f"them, got {format_number(value)} for {'the first' if name == 'count' else 'the second'}."
                )
            object.__setattr__(self, name, int(value))

    @property
    def reach(self) -> float:
        """Updates over which the average's weight lies."""
        return float((self.count - 1) * self.every)

    @property
    def text(self) -> str:
        """The text form."""
        return f"merge({self.count}, {self.every})"


Average = EMA | Merge

__all__ = ["EMA", "Average", "Merge"]
