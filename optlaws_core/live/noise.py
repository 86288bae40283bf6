"""The noise of one loss, from the curve itself."""

import numpy as np

from ..schedules.base import FloatArray


def single(log_loss: FloatArray) -> float:
    """Standard deviation of single log losses (n,), n ≥ 3, from second differences: a smooth curve has next to none.

    Their median absolute value, so that a few wild losses do not count; a Gaussian's is 0.6745 standard deviations, and
    a second difference of white noise has 6 times its variance.
    """
    return float(np.median(np.abs(np.diff(log_loss, 2)))) / 0.6745 / np.sqrt(6)


__all__ = ["single"]
