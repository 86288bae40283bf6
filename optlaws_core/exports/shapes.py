"""Rises and falls that trainers have in common, as shares of the peak."""

import numpy as np

from ..arrays import FloatArray


def fall(shape: str, x: FloatArray) -> FloatArray:
    """From 1 at `x` = 0 to 0 at `x` = 1, (n,): linear, cosine, exponential; 1-sqrt for every other name."""
    x = np.clip(x, 0.0, 1.0)
    if shape == "linear":
        return 1 - x
    if shape == "cosine":
        return 0.5 * (1 + np.cos(np.pi * x))
    if shape == "exponential":  # Megatron's, which is shifted so that it reaches 0
        return 2 * 0.5**x - 1
    return 1 - np.sqrt(x)


def rise(t: FloatArray, warmup: int) -> FloatArray:
    """The line from 0 at update 0 to 1 at update `warmup`, going on beyond it; (n,), or (m, n) of a column."""
    return t / np.maximum(warmup, 1)
