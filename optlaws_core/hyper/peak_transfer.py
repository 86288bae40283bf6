"""The convex last-iterate bound without any fit: its best base rate, and what follows for other schedules.

For rates γ·s(t) of a shape s, start at distance D from the minimum and gradient norms of at most G, the expected excess
after the last update is at most Ω = T1/γ + γ·T2 with T1 = D²/(2 Σ s) and T2 = G²·R, R the feature `bound_noise` of s
(Defazio et al. 2023, arXiv:2310.07831, Theorem 10; Schaipp et al. 2025, arXiv:2501.18965). γ* = √(T1/T2).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..laws.base import S, bound_noise
from ..laws.features import feature
from ..runs import Plan
from ..schedules import Schedule
from ..sums.clocks import trace


@dataclass(frozen=True)
class Bound:
    """The two terms of the bound after a schedule's last update, for its rates as they are."""

    distance: float  # T1
    noise: float  # T2

    @property
    def best_factor(self) -> float:
        """γ*: what the schedule's rates are to be multiplied with so that the bound is lowest."""
        return sqrt(self.distance / self.noise)

    @property
    def lowest(self) -> float:
        """Ω* = 2 √(T1·T2), the bound at γ*."""
        return 2 * sqrt(self.distance * self.noise)


def bound(schedule: Schedule, distance: float = 1.0, gradient: float = 1.0) -> Bound:
    """The bound of `schedule` for a start at `distance` and gradient norms of `gradient`."""
    plan, path, last = Plan(schedule), trace(schedule), np.array([schedule.total - 1])
    summed, noise = (float(feature(f, plan, path, last)[0]) for f in (S, bound_noise))
    return Bound(distance**2 / (2 * summed), gradient**2 * noise)


def transferred_peak(peak: float, tuned: Schedule, other: Schedule) -> float:
    """The peak that does for `other` what `peak` does for `tuned`, where it was found to be the best.

    The unknown distance and gradient norms drop out: γ*₂/γ*₁ is a matter of the two shapes alone.
    """
    ratio = bound(other).best_factor * other.peak / (bound(tuned).best_factor * tuned.peak)
    return peak * ratio
