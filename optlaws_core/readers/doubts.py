"""Values that a log may hold and that are hardly what was trained: told, never mended.

A flipped bit, a cell of another column or a unit shows as a value orders of magnitude off its neighbours. In binary
files without checksums it may also show as the one number with more digits than all others, or one step off the grid.
"""

import math

import numpy as np

from ..arrays import FloatArray, IntArray
from ..text import format_number

OFF = 100.0  # times as large as all four neighbours, or as small: no loss spikes like that, and no rate
BEYOND = 1000  # times the usual distance, for the last step
FEWEST = 8  # points from which a habit is seen
PEAK = 10.0  # a learning rate above it is none that anyone used
DIGITS = 3  # more significant digits than all other numbers
ROUNDED = 2  # units in the last place that a few operations on printed numbers are off by


def wild(steps: IntArray, values: FloatArray) -> list[str]:
    """Sentences about values far off their neighbours, and about a last step far beyond the others."""
    if len(values) < FEWEST:
        return []
    off = np.flatnonzero(_off_neighbours(values))
    said = []
    if 0 < len(off) <= max(3, len(values) // 50):
        at = f"{format_number(float(f'{values[off[0]]:.6g}'))} at step {steps[off[0]]:,}"
        more = f", and {len(off) - 1:,} more" if len(off) > 1 else ""
        said.append(f"a value lies far from its neighbours ({at}{more}); is the file damaged?")
    gaps = np.diff(steps)
    if gaps[-1] > BEYOND * np.median(gaps):
        said.append(
            f"the last step, {steps[-1]:,}, lies far beyond the one before, {steps[-2]:,}; is the file damaged?"
        )
    return said


def _off_neighbours(values: FloatArray) -> np.ndarray:
    """Which values are `OFF` times as large, signs aside, as each of the two on either side, (n,) bool."""
    size = np.abs(values)
    padded = np.concatenate([np.zeros(2), size, np.zeros(2)])
    around = np.max([padded[i : i + len(size)] for i in (0, 1, 3, 4)], axis=0)
    return (size / OFF > around) & (around > 0)


def high_rate(peak: float, column: str) -> str | None:
    """A sentence about a learning rate above `PEAK`."""
    if peak <= PEAK:
        return None
    return f"The learning rate peaks at {format_number(peak)}, far above any that is used; is {column!r} a rate?"


def odd_digits(values: FloatArray) -> int | None:
    """The index of a number that has more digits than all others, where these have few; None where there is none.

    Numbers out of a computation have 16 digits, or 7 as single ones; those that were printed have a few.
    """
    if len(values) < FEWEST:
        return None
    with np.errstate(over="ignore"):
        single = values.astype(np.float32).astype(float) == values
    if 0 < (~single).sum() <= len(values) // 8:
        return int(np.argmin(single))
    digits = np.array([_digits(float(v)) for v in values[:20_000].tolist()])
    ordered = np.sort(digits)
    usual = ordered[-max(2, len(ordered) // 8 + 1)]
    odd = np.flatnonzero((digits >= usual + DIGITS) & (usual <= 12))
    largest = _largest(values)
    return next((int(i) for i in odd if not _rounded(float(values[i]), largest)), None)


def _largest(values: FloatArray) -> float:
    """The largest size, signs aside, of values that are neither infinite nor far above nearly all others."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(size[size / OFF <= np.quantile(size, 0.9)].max()) if len(size) else 0.0


def _digits(value: float) -> int:
    """Significant digits of the shortest text that reads back as the number."""
    return len(repr(abs(value)).partition("e")[0].replace(".", "").strip("0"))


def _rounded(value: float, largest: float) -> bool:
    """Whether a number of fewer digits lies within what a computation rounds off: 0.0077599999999999995.

    What falls to zero from `largest` is off by units of that one's last place.
    """
    off = ROUNDED * math.ulp(largest)
    fewer = range(1, _digits(value) - DIGITS + 1)
    return any(abs(float(f"{value:.{digits - 1}e}") - value) <= off for digits in fewer)


def off_grid(steps: FloatArray) -> int | None:
    """The index of the one step that breaks an even spacing, the last one aside; None where there is none."""
    if len(steps) < FEWEST or not np.isfinite(steps).all():
        return None
    gaps = np.diff(steps)
    usual = float(np.median(gaps))
    off = np.flatnonzero(gaps[:-1] != usual)
    if len(off) == 1:
        return int(off[0]) if off[0] == 0 else None
    if len(off) == 2 and off[1] == off[0] + 1 and gaps[off].sum() == 2 * usual:
        return int(off[1])
    return None
