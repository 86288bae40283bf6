"""Rates that fall with a power of the step: inverse square roots, found from the line that 1/rate² is."""

import numpy as np

from ..families import InverseSqrt
from .curves import SHIFTS, Candidate, Logged, built, warmups
from .fall_forms import crossing
from .precision import rounded, roundest, shorter

BIASED = 8.0  # standard deviations that a result may be off where rounding errors do not average out


def inverse_roots(log: Logged) -> list[Candidate]:
    """Inverse square roots p·√(s/(t−W+s)): 1/rate² = (t − z)/(p²s) with z = W − s in the log's steps."""
    if log.fall > len(log.rates) - 3 or not log.rises_once or log.rates[log.fall - 1 :].min() <= 0:
        return []
    few = log.few
    late = few.part(np.arange(few.fall, len(few.rates)))
    line = crossing(late.steps, late.rates**-2, late.rates**3 / (2 * late.within))
    if line is None or line.slope <= 0:
        return []
    found, far = [], 10**9  # so that no step is negative
    wide = 0.02 + BIASED * line.deviation
    for z in roundest(line.at + far - wide, line.at + far + wide, 3):
        found += _with_peaks(few, z - far, 1 / line.slope, BIASED * line.slope_deviation / line.slope + 1e-9)
    return [c for c in found if c.agrees(few)]


def _with_peaks(log: Logged, zero: int, product: float, wide: float) -> list[Candidate]:
    """Peaks and warm-ups for p²s = `product`, relative deviation `wide`, and the step at which the law begins."""
    found = []
    if log.top:
        for s in _times(log, zero, product):
            peak = float(np.sqrt(product / s))
            for short in shorter(peak, wide * peak, 3):
                for warmup, shape, early in warmups(log, short):
                    if abs(s + zero + early - warmup) <= 1:
                        found += _made(log, product, wide, s, warmup, early, shape)
        return found
    first = log.steps[0]
    for shift in SHIFTS:
        starts = range(max(0, zero + 1 + shift), int(first) + 1 + shift)
        likely = np.array(starts[-20_000:], dtype=int)
        peaks = np.sqrt(product / (likely - shift - zero))
        few = likely[np.abs(rounded(peaks, 2) - peaks) <= wide * peaks]
        for w in few[:-20:-1].tolist():  # the lowest peak that has few digits: higher ones are not in the log
            made = _made(log, product, wide, w - shift - zero, w, shift, "linear")
            if any(c.agrees(log) for c in made):
                found += made
                break
    return found


def _times(log: Logged, zero: int, product: float) -> list[int]:
    """Timescales for which the fall begins between the rows around the peak."""
    head = log.steps[log.top - 1]
    if log.rates[log.top - 1] > 0:  # p = r·W/x through a straight warm-up, and p²s = product with s = W − z
        root = _crossing(
            lambda w: (log.rates[log.top - 1] / head * w) ** 2 * max(w - zero, 1e-9) - product, head, product
        )
        return [s for s in {int(np.floor(root)) - zero, int(np.ceil(root)) - zero} if s > 0]
    return [int(log.steps[log.top]) - zero]


def _crossing(rises, low: float, high: float) -> float:
    high = low + 1.0
    while rises(high) < 0 and high < 1e12:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return low


def _made(log: Logged, product: float, wide: float, s: int, warmup: int, early: int, shape: str) -> list[Candidate]:
    peak = float(np.sqrt(product / s))
    total = log.total if log.total is not None and log.total >= log.last else log.last + 1
    time = None if s == warmup else s
    made = [
        built(InverseSqrt, peak=p, warmup=warmup, total=total, timescale=time, warmup_shape=shape)
        for p in shorter(peak, wide * peak, 3)
    ]
    return [Candidate(m, early, early) for m in made if m is not None]
