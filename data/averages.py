"""Readouts: averages of a run's weights that are validated beside the weights themselves and never trained on.

ema(50)         exponential moving average of the weights after every update, with a half-life of 50 updates: the
                weighted mean over all updates so far, in which a weight halves every 50 updates, divided by the sum
                of the weights (so that the first weights count no more than others: "bias correction")
merge(16, 25)   plain mean of the last 16 checkpoints taken 25 updates apart, at updates 25, 50, …; of those there
                are while there are fewer, and nothing before the first
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import SweepError, check_count

if TYPE_CHECKING:
    from torch import Tensor

FORM = re.compile(r"ema\((\d+)\)|merge\((\d+), ?(\d+)\)")


class Ema:
    """A running exponential average of vectors, each given after one update."""

    def __init__(self, half_life: int) -> None:
        self.decay = 0.5 ** (1 / half_life)
        self.mean: Tensor | None = None

    def add(self, weights: "Tensor", done: int) -> None:
        """Take in the weights after `done` updates, counted from 1."""
        if self.mean is None:
            self.mean = weights.clone()
        else:  # the newest weight over the sum of all, 1 + d + … + d^(done - 1)
            self.mean.lerp_(weights, (1 - self.decay) / (1 - self.decay**done))


class Merge:
    """A mean of the last checkpoints, as vectors."""

    def __init__(self, count: int, every: int) -> None:
        self.every = every
        self.checkpoints: deque[Tensor] = deque(maxlen=count)

    def add(self, weights: "Tensor", done: int) -> None:
        """Take in the weights after `done` updates, counted from 1."""
        if done % self.every == 0:
            self.checkpoints.append(weights.clone())

    @property
    def mean(self) -> "Tensor | None":
        return sum(self.checkpoints) / len(self.checkpoints) if self.checkpoints else None


KINDS = {"ema": Ema, "merge": Merge}


@dataclass(frozen=True)
class Readout:
    """An average by its kind and numbers. Raises `SweepError` when a number is 0."""

    kind: str  # of KINDS
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        for number in self.numbers:
            check_count(f"averages: a number in {self.text}", number)

    @property
    def text(self) -> str:
        """Such as `merge(16, 25)`."""
        return f"{self.kind}({', '.join(map(str, self.numbers))})"

    @property
    def column(self) -> str:
        """The log's column of its held-out losses, such as `val_loss_merge_16_25`."""
        return "_".join(["val_loss", self.kind, *map(str, self.numbers)])

    def begin(self) -> Ema | Merge:
        """A new running average."""
        return KINDS[self.kind](*self.numbers)


def parse_averages(text: str) -> tuple[Readout, ...]:
    """Read readouts with commas between them, such as `ema(50), merge(16, 25)`; an empty text is none."""
    parts = re.split(r",\s*(?![^(]*\))", text.strip()) if text.strip() else []
    for part in parts:
        if not FORM.fullmatch(part):
            raise SweepError(f"averages must read like 'ema(50), merge(16, 25)', got {text!r}.")
    if len(set(parts)) < len(parts):
        raise SweepError(f"averages must name every readout once, got {text!r}.")
    return tuple(Readout(p.split("(")[0], tuple(map(int, re.findall(r"\d+", p)))) for p in parts)
