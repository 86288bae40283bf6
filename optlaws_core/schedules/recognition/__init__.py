"""Which schedule a log of rates comes from: the simplest family that agrees with every rate, and how far it does.

>>> import numpy as np
>>> from optlaws_core.schedules import parse
>>> cosine = parse("cosine(peak=3e-4, warmup=100, total=2000, final=3e-5)")
>>> steps = np.arange(0, 2000, 10)
>>> print(recognise(steps, cosine(steps)).schedule)
cosine(peak=3e-4, warmup=100, total=2000, final=3e-5)
"""

from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray, IntArray
from ..base import Schedule
from .curves import Candidate, Logged
from .fall_forms import OTHERS, SIMPLE
from .falls import falls
from .pieces_found import constants, staircases
from .powers import inverse_roots
from .precision import exact, tolerance

FEWEST = 6  # rates from which a schedule is recognised
LOWEST, HIGHEST = 1e-15, 1e6  # peaks that a schedule may have
COARSE = 1 / 20  # of the peak: rates that were rounded to larger units tell no curve
SHALLOW = 0.9  # of the peak: schedules of these families end below it
BEYOND = 4.0  # digits that the rates must tell more than the fields of a schedule need

# Tried in this order: of two families that agree, the simpler one is taken.
TIERS = (
    constants,
    staircases,
    lambda log: falls(log, SIMPLE),
    lambda log: [*inverse_roots(log), *falls(log, OTHERS)],
)


@dataclass(frozen=True)
class Recognised:
    """A schedule that agrees with every logged rate."""

    schedule: Schedule
    difference: float  # the largest one from a logged rate
    tolerance: float  # the largest difference that was allowed, from the digits of the log
    shift: int = 0  # steps that the log is ahead of the schedule: 1 where it has the rate of the next update
    early: int = 0  # the same in the warm-up, which some programs count from 1
    first: int = 0  # step of the first rate
    interval: int = 1  # updates between two rates, the median
    beyond: bool = False  # whether the schedule goes on after the log


def recognise(
    steps: IntArray,
    rates: FloatArray,
    *,
    total: int | None = None,
    warmup: int | None = None,
    last: int | None = None,
) -> Recognised | None:
    """The schedule of rates (n,) logged at rising steps (n,), or None where no family agrees with all of them.

    total, warmup: what is known of the run; last: its last logged step of any quantity. Fields that the rates leave
    open are as simple as can be; no constant rate or staircase goes on after the log.
    """
    if len(rates) < FEWEST or rates.min() < 0 or not LOWEST <= rates.max() <= HIGHEST:
        return None
    with np.errstate(all="ignore"):  # of starts and ends that are tried and dropped
        return _found(np.asarray(steps), np.asarray(rates, float), total, warmup, last)


def _found(
    steps: IntArray, rates: FloatArray, total: int | None, warmup: int | None, last: int | None
) -> Recognised | None:
    """As `recognise`: first as if the rates were exact, where they have few digits, then as they are printed."""
    end = max(int(steps[-1]), last or 0)
    printed = tolerance(rates)
    allowed = [exact(rates)] if printed.max() > 1e-3 * rates.max() else []
    if printed.max() * 2 <= COARSE * rates.max():
        allowed.append(printed)
    for within in allowed:
        if (found := _simplest(Logged(steps.astype(float), rates, within, end, total, warmup))) is not None:
            return found
    return None


def _simplest(log: Logged) -> Recognised | None:
    for tier in TIERS:
        for candidate in sorted(tier(log), key=lambda c: c.cost(log)):
            if _is_told(candidate, log) and candidate.agrees(log):
                return _result(candidate, log)
    return None


def _result(candidate: Candidate, log: Logged) -> Recognised:
    schedule = candidate.schedule
    return Recognised(
        schedule,
        candidate.largest_difference(log),
        float(log.within.max()),
        candidate.shift,
        candidate.early,
        int(log.steps[0]),
        log.interval,
        schedule.total > log.last + log.interval,
    )


def _is_told(candidate: Candidate, log: Logged) -> bool:
    """Whether the rates tell more than the fields that they were found for, so that no chance made them agree."""
    schedule = candidate.schedule
    if schedule.family in ("constant", "step"):
        return True
    if getattr(schedule, "final", 0.0) > SHALLOW * schedule.peak:
        return False  # so near the peak all curves are alike
    return log.information >= candidate.cost(log) + BEYOND


__all__ = ["FEWEST", "Recognised", "recognise"]
