"""Constant rates and staircases, found from their pieces."""

import numpy as np

from ..families import Constant
from ..pieces import Step
from .curves import Candidate, Logged, built, warmups
from .precision import places, roundest, shortest

MOST = 12  # pieces; more are a curve that was rounded


def constants(log: Logged) -> list[Candidate]:
    """Constant rates after a warm-up, or without one."""
    if log.fall < len(log.rates) or log.top > len(log.rates) - 2:
        return []  # it falls, or has risen to the last row
    late = slice(log.top, None)
    peak = _rate(log, late)
    if peak is None:
        return []
    rises = [
        (built(Constant, peak=peak, total=_total(log), warmup=w, warmup_shape=r), e) for w, r, e in warmups(log, peak)
    ]
    return [Candidate(made, early, early) for made, early in rises if made is not None]


def staircases(log: Logged) -> list[Candidate]:
    """Staircases: each piece of two rows or more, and of other rates than its neighbours by more than one unit."""
    late = log.part(np.arange(log.top, len(log.rates)))
    moves = np.abs(np.diff(late.rates)) > np.maximum(late.within[1:], late.within[:-1])
    if not 0 < moves.sum() < min(MOST, len(late.rates) / 3):
        return []
    starts = np.flatnonzero(moves) + 1
    bounds = [0, *starts.tolist(), len(late.rates)]
    parts = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    rates = [_rate(late, part) for part in parts]
    lone = [part.stop - part.start < 2 for part in parts]
    if None in rates or any(lone[:-1]):
        return []
    unit = 10.0 ** -max(places(float(r)) for r in rates if r is not None)
    if (np.abs(np.diff(np.array(rates, float))) <= 1.1 * unit).all():
        return []  # a curve that was rounded to its last digit
    peak, *values = rates
    found = []
    for warmup, shape, early in warmups(log, float(peak)):  # type: ignore[arg-type]
        for shift in {early, early - 1} if log.top else {0}:
            edges = [roundest(late.steps[i - 1] + 1 + shift, late.steps[i] + shift, 1)[0] for i in starts]
            fields = {"peak": peak, "warmup": warmup, "total": _total(log), "warmup_shape": shape}
            made = built(Step, **fields, boundaries=tuple(edges), values=tuple(values))
            if made is not None:
                found.append(Candidate(made, shift, early))
    return found


def _rate(log: Logged, part: slice) -> float | None:
    """The rate with the fewest digits of rows that have all the same, as far as their precision tells."""
    some, within = log.rates[part], log.within[part]
    low, high = float((some - within).max()), float((some + within).min())
    return shortest(low, high) if np.ptp(some) <= within.min() else None


def _total(log: Logged) -> int:
    """One past the last update: what is known where the log reaches it, else where the log ends."""
    return log.total if log.total is not None and log.ends and log.total >= log.last else log.last + 1
