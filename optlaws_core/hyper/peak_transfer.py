"""The convex last-iterate bound without any fit: its best base rate, and what follows for other schedules.

For rates γ·s(t) of a shape s, start at distance D from the minimum and gradient norms of at most G, the expected excess
after the last update is at most Ω = T1/γ + γ·T2 with T1 = D²/(2 Σ s) and T2 = G²·R, R the feature `bound_noise` of s
(Defazio et al. 2023, arXiv:2310.07831, Theorem 10; Schaipp et al. 2025, arXiv:2501.18965). γ* = √(T1/T2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..errors import OptLawsError
from ..laws.base import S, bound_noise
from ..laws.features import feature
from ..laws.sums.clocks import trace
from ..runs import MOST_UPDATES, Plan
from ..schedules import Schedule


@dataclass(frozen=True)
class Bound:
    """The two terms of the bound after a schedule's last update, for its rates as they are."""

    distance: float  # T1
    noise: float  # T2

    @property
    def value(self) -> float:
        """Ω = T1 + T2, the bound at the schedule's own rates."""
        return self.distance + self.noise

    @property
    def best_factor(self) -> float:
        """γ*: what the schedule's rates are to be multiplied with so that the bound is lowest."""
        return sqrt(self.distance / self.noise)

    @property
    def lowest(self) -> float:
        """Ω* = 2 √(T1·T2), the bound at γ*."""
        return 2 * sqrt(self.distance * self.noise)


@dataclass(frozen=True)
class Transfer:
    """What the bound says of one schedule where another one's peak was found to be the best."""

    schedule: Schedule
    peak: float  # that does for this schedule what its peak does for the tuned one
    bound: float  # at this peak over that of the tuned schedule at its own: below 1 where this schedule is better

    @property
    def factor(self) -> float:
        """What this schedule's rates are to be multiplied with so that they reach `peak`."""
        return self.peak / self.schedule.peak


def bound(schedule: Schedule, distance: float = 1.0, gradient: float = 1.0) -> Bound:
    """The bound on the loss after `schedule`'s last update, above the minimum's.

    `distance`: how far the start lies from the minimum, D; `gradient`: the largest norm of a gradient, G. Both are of
    the problem and drop out of `transferred_peak`. Raises `OptLawsError` for what is not above 0, and for more than
    `MOST_UPDATES`.
    """
    for what, value in (("distance", distance), ("gradient norm", gradient)):
        if not 0 < value < float("inf"):
            raise OptLawsError(f"The {what} of the bound must be a number above 0, got {value:g}.")
    if schedule.total > MOST_UPDATES:
        raise OptLawsError(
            f"The bound covers at most {MOST_UPDATES:,} updates, got {schedule.total:,} in {schedule.text[:200]}."
        )
    plan, path, last = Plan(schedule), trace(schedule), np.array([schedule.total - 1])
    summed, noise = (float(feature(f, plan, path, last)[0]) for f in (S, bound_noise))
    if not summed > 0 or not noise > 0:
        raise OptLawsError(f"The bound needs an update at a rate above 0, got {schedule.text[:200]}.")
    return Bound(distance**2 / (2 * summed), gradient**2 * noise)


def transferred_peak(peak: float, tuned: Schedule, other: Schedule) -> float:
    """The peak that does for `other` what `peak` does for `tuned`, where it was found to be the best.

    The unknown distance and gradient norms drop out: γ*₂/γ*₁ is a matter of the two shapes alone.
    """
    ratio = bound(other).best_factor * other.peak / (bound(tuned).best_factor * tuned.peak)
    return peak * ratio


def transfers(tuned: Schedule, others: Sequence[Schedule]) -> tuple[Transfer, ...]:
    """What the bound says of each of `others`, where `tuned` has the best peak for its shape and length.

    Base-rate transfer of Schaipp et al. 2025, arXiv:2501.18965. Raises `OptLawsError` like `bound`.
    """
    known = bound(tuned)
    return tuple(
        Transfer(other, transferred_peak(tuned.peak, tuned, other), bound(other).lowest / known.lowest)
        for other in others
    )
