"""Several rows at each step all along, one a micro-batch or a rank: their mean is the step's value."""

import numpy as np

from ..arrays import FloatArray, IntArray
from ..text import counted

FEWEST_STEPS = 5  # fewer may stand twice for another reason, such as a resume


def mean_of_each(steps: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray, str] | None:
    """Each step once with the mean of its values, and the sentence about it; None where rows are not alike.

    Alike means that steps do not fall, and that each stands as often as the others, but for the last one.
    """
    if len(steps) < 2 * FEWEST_STEPS or steps[0] != steps[1] or (steps[1:] < steps[:-1]).any():
        return None
    starts = np.flatnonzero(np.concatenate(([True], steps[1:] != steps[:-1])))
    times = np.diff(starts, append=len(steps))
    if len(starts) < FEWEST_STEPS or (times[:-1] != times[0]).any() or times[-1] > times[0]:
        return None
    short = f" ({times[-1]} times the last one)" if times[-1] != times[0] else ""
    text = f"{counted(len(starts), 'step')} stood {times[0]} times{short}; the mean of each was taken."
    return steps[starts], means(values, starts), text


def means(values: FloatArray, starts: IntArray) -> FloatArray:
    """The mean of the values of each step, the rows of which begin at `starts`."""
    found = np.add.reduceat(values, starts) / np.diff(starts, append=len(values))
    lows, highs = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.where(lows == highs, lows, found)  # the mean of equal values may differ in its last digit
