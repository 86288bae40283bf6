"""What a fitted law says of schedules that were not run: curves, rankings, and what a better schedule saves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .errors import ScheduleError
from .evaluation import batch
from .evaluation import predict as evaluate
from .fits import Coverage, Fit
from .laws import law_named
from .runs import Plan
from .schedules import Schedule, number
from .schedules.base import FloatArray

SLACK = 0.01  # a peak or horizon within 1 % of what was covered counts as covered


@dataclass(frozen=True)
class Ranked:
    """One candidate in a ranking, best first."""

    schedule: Schedule
    final_loss: float  # after the last update
    delta: float  # final loss above the best candidate's
    saved_updates: int | None  # updates that the best candidate's shape needs fewer for this loss; None for the best
    reasons: tuple[str, ...]  # why the prediction is an extrapolation; empty when it is none

    @property
    def extrapolates(self) -> bool:
        """Whether the candidate lies outside what the training runs cover."""
        return bool(self.reasons)


def predict(fit: Fit, schedule: Schedule | Plan, at: ArrayLike | None = None) -> FloatArray:
    """Losses of `schedule` after the updates `at` (n,), by default after its last one (1,). Raises `DesignError`."""
    plan = schedule if isinstance(schedule, Plan) else Plan(schedule)
    steps = np.atleast_1d(plan.schedule.total - 1 if at is None else at)
    return evaluate(batch(law_named(fit.law), [(plan, steps)]), fit.vector)


def rank(fit: Fit, schedules: Sequence[Schedule]) -> list[Ranked]:
    """Candidates by predicted final loss, best first; equal ones keep their order."""
    finals = [float(predict(fit, s)[0]) for s in schedules]
    order = sorted(range(len(schedules)), key=finals.__getitem__)
    ranked = []
    for i in order:
        best = schedules[order[0]]
        saved = None if i == order[0] else _saved(fit, best, finals[order[0]], schedules[i], finals[i])
        ranked.append(
            Ranked(
                schedules[i], finals[i], finals[i] - finals[order[0]], saved, outside(fit.coverage, schedules[i])
            )
        )
    return ranked


def outside(coverage: Coverage, schedule: Schedule) -> tuple[str, ...]:
    """Sentences on how `schedule` leaves what the training runs cover; empty when it stays inside."""
    low, high = coverage.peak
    reasons = []
    if not low * (1 - SLACK) <= schedule.peak <= high * (1 + SLACK):
        seen = number(low) if low == high else f"{number(low)} to {number(high)}"
        reasons.append(f"peak {number(schedule.peak)}, the training runs had {seen}")
    if schedule.total > coverage.total[1] * (1 + SLACK):
        reasons.append(f"{schedule.total:,} updates, the longest training run had {coverage.total[1]:,}")
    return tuple(reasons)


def updates_for(fit: Fit, shape: Schedule, loss: float) -> int | None:
    """Updates after which `shape`, stretched to that horizon, ends at `loss`; None if no shorter horizon reaches it."""

    def above(total: float) -> float:
        return float(predict(fit, shape.rescaled(round(total)))[0]) - loss

    shortest = min(shape.warmup + max(4, shape.total // 1000), shape.total)
    try:
        if above(shape.total) > 0 or above(shortest) < 0:
            return None
        return round(brentq(above, shortest, shape.total, xtol=max(0.5, shape.total * 1e-6), maxiter=60))
    except ScheduleError:  # a step schedule whose boundaries fall together when it is shortened that much
        return None


def _saved(fit: Fit, best: Schedule, best_loss: float, other: Schedule, loss: float) -> int | None:
    if loss <= best_loss:
        return other.total - best.total
    needed = updates_for(fit, best, loss)
    return None if needed is None else other.total - needed
