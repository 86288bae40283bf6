"""How exactly a log tells its learning rates: from the digits of the values themselves."""

import math
from decimal import Decimal

import numpy as np

from ...arrays import FloatArray

SAMPLE = 400  # values whose digits are counted
EXACT = 1e-8  # of the peak: what formulas in double precision may differ by, one being a recursion
SINGLE = 1e-6  # the same in single precision, where a cosine comes from a fast library
ROUNDING = 1.5e-7  # the same of rates that were rounded, which may have been in single precision before
FULL = 13  # digits from which on a number was not rounded for the eye


def tolerance(rates: FloatArray) -> FloatArray:
    """By how much each rate, (n,), may differ from its schedule: half of its last printed digit, and rounding errors.

    The digits are the most that any value has: so many significant ones, or so many after the point, whichever leaves
    a value less exact. A log rounded to 6 places has both few digits in small values and few places in large ones.
    """
    some = rates[np.unique(np.linspace(0, len(rates) - 1, SAMPLE).astype(int))]
    peak = float(rates.max())
    digits, places = (max(each) for each in zip(*(_counted(float(v)) for v in some), strict=True))
    if digits >= FULL or digits >= 8 and _are_single(some):
        return np.full(len(rates), (SINGLE if _are_single(some) else EXACT) * peak)
    with np.errstate(divide="ignore"):
        leading = np.floor(np.log10(rates * (1 + 1e-12)))
    unit = np.maximum(10.0**-places, 10.0 ** (leading - digits + 1))
    return unit * 0.5000001 + ROUNDING * peak


def exact(rates: FloatArray) -> FloatArray:
    """The tolerance of rates that happen to have few digits but were not rounded, (n,)."""
    return np.full(len(rates), EXACT * float(rates.max()))


def _counted(value: float) -> tuple[int, int]:
    """Significant digits of a number, and its digits after the point."""
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    return len(digits), -int(exponent)


def _are_single(values: FloatArray) -> bool:
    """Whether all values are numbers of single precision, as they are or in their shortest form."""
    single = values.astype(np.float32)
    return all(v == float(s) or v == float(str(s)) for v, s in zip(values.tolist(), single, strict=True))


def digits(value: float) -> int:
    """Significant digits of a number as people write it; 0 for 0."""
    return 0 if value == 0 else _counted(float(value))[0]


def places(value: float) -> int:
    """Digits of a number after its point."""
    return _counted(value)[1]


def rounded(values: FloatArray, digits: int) -> FloatArray:
    """Values of at least 0 with so many significant digits, as far as floating point has them; same shape."""
    with np.errstate(divide="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-300))) - digits + 1)
    return np.round(values / unit) * unit


def shortest(low: float, high: float) -> float:
    """The number with the fewest significant digits from `low` to `high`, at least 0; the nearest to their middle."""
    middle = (low + high) / 2
    if low <= 0:
        return 0.0
    for n in range(1, 18):
        found = float(f"{middle:.{n - 1}e}")
        if low <= found <= high:
            return found
    return middle


def shorter(value: float, within: float, most: int = 4) -> list[float]:
    """Up to `most` numbers near `value`, each with more digits than the one before; 0 where it is near."""
    found = [0.0] if abs(value) <= within else []
    if value > 0:
        for n in range(1, 18):
            near = float(f"{value:.{n - 1}e}")
            if abs(near - value) <= within and near not in found:
                found.append(near)
            if len(found) == most:
                break
        if len(found) < most and value not in found:
            found.append(value)
    return found


def roundest(low: float, high: float, most: int = 4) -> list[int]:
    """Up to `most` whole numbers from `low` to `high`, at least −1, the roundest first, then those near the middle."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    found = [-1] if low <= -1 <= high else []
    low, high = max(math.ceil(low - 1e-9), 0), math.floor(high + 1e-9)
    for k in range(len(str(max(high, 1))) - 1, -1, -1):
        unit = 10**k
        first = -(-low // unit)
        near = sorted(range(first, min(high // unit, first + 200) + 1), key=lambda i: abs(2 * i * unit - low - high))
        found += [i * unit for i in near[:most] if i * unit not in found]
        if len(found) >= most:
            break
    return found[:most]
