"""A rate that is told stage by stage, as knots: what no single family says, within a known error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from .cooldowns import COOLDOWNS
from .pieces import Knots

ACCURACY = 1e-4  # of the peak: the largest error of the rate at any update
DIGITS = 7  # of a knot's rate
DENSE = 24  # points between two knots at which the error is measured


@dataclass(frozen=True)
class Stage:
    """What follows the stage before, up to update `until`: from one rate to another along a shape of a cooldown.

    A stage may be a part of its shape: `skipped` of the shape's `span` updates lie before it, others behind its end.
    """

    until: int
    first: float
    last: float
    shape: str = "linear"
    span: int | None = None  # updates; None for all of the stage
    skipped: int = 0  # updates

    def rates(self, since: FloatArray, length: int) -> FloatArray:
        """Rates `since` updates after the beginning of the stage, which has `length` of them; shape of `since`."""
        y = (since + self.skipped) / (self.span or length)
        return np.asarray(COOLDOWNS[self.shape](self.first, self.last, y))


def as_knots(stages: Sequence[Stage], warmup: int = 0) -> Knots:
    """The rate of all stages, the first of which begins at update 0, with a linear warm-up.

    Lines and constants are exact; of other shapes the rate is off by at most `ACCURACY` of the peak. Raises
    `ScheduleError` as `Knots` does.
    """
    most = ACCURACY * max(rate for stage in stages for rate in (stage.first, stage.last))
    steps: list[int] = []
    values: list[float] = []
    begin = 0
    for stage in stages:
        at, rates = _drawn(stage, stage.until - begin, most)
        new = 1 if values and values[-1] == rates[0] else 0  # without a jump the first knot is there
        steps += [begin + int(t) for t in at[new:]]
        values += rates[new:].tolist()
        begin = stage.until
    return Knots(tuple(steps), tuple(values), warmup=warmup)


def _drawn(stage: Stage, length: int, most: float) -> tuple[FloatArray, FloatArray]:
    """Knots (n,) of a stage, in updates since it began, and their rates; the fewest even ones within `most`."""
    count = 1
    while True:
        at = np.array(sorted({round(t) for t in np.linspace(0, length, count + 1).tolist()}), float)
        rates = np.array([float(f"{rate:.{DIGITS}g}") for rate in stage.rates(at, length)])
        between = np.linspace(0, length, DENSE * count + 1)
        error = np.abs(np.interp(between, at, rates) - stage.rates(between, length)).max()
        if error <= most or len(at) > length:
            return at, rates
        count = max(count + 1, int(count * np.sqrt(error / most)))  # the error falls with the square of the count


__all__ = ["ACCURACY", "Stage", "as_knots"]
