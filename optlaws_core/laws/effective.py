"""What laws that know the learning rate alone are shown in the place of a plan: an effective rate.

**Batch.** Under Adam an update moves the weights by the rate times a gradient that is divided by its own root mean
square. With a batch of b times the reference the gradient's noise has 1/b of its variance, so the signal's share of the
update grows by s(b) = √((1 + κ) / (1 + κ / b)), where κ is the noise scale of the gradients over the reference batch
(McCandlish et al. 2018, arXiv:1812.06162). Convergence runs on the clock of the effective rate η·s(b), and an update
injects noise (η·s(b))² / b. Far below the noise scale, κ → ∞, s is √b: the square-root rule of Adam (Malladi et al.
2022, arXiv:2205.10287), under which a rate cut by √2 with a doubled batch is a rate cut by 2 at the same number of
tokens (Seesaw, arXiv:2510.14717). At κ = 0, and for SGD, s is 1.

**Average.** Averaged weights Σ_j w_j x_j are the start plus every update k times c_k = Σ_{j ≥ k} w_j: the weights that
a run would have whose rate decays as η_k·c_k, if its gradients were the same (WSM, arXiv:2507.17634). So the loss at an
average after update t is that of a schedule of its own which ends there, and a law needs no more than it knows of
decays. A filter on the law's noise, exact for a quadratic loss, was tried first: it hangs on how a fit tells noise from
slow progress, which schedules alone leave open (docs/lab-notes.md).

**Another peak.** A fit to runs of one peak rate sees the rates of another one multiplied, see `fitting.peaks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray, IntArray
from ..errors import DesignError
from ..runs import Plan
from ..schedules import EMA, Average, Batch, Joint, Schedule, parts
from ..schedules.batch import Pieces
from ..schedules.of_rate import OfRate
from ..text import shortened

DENSE = 64  # more merged checkpoints than that are taken as evenly spread over every update
TURNS = (20.0, 10.0, 5.0, 2.0, 1.0, 0.5)  # half-lives before the end at which the decay of an EMA is cut


@dataclass(frozen=True)
class EffectiveRate(Schedule):
    """The rate that a run with a batch schedule, or read at an average of its weights, amounts to."""

    family = "effective rate"
    formula = r"\eta(t)\, c(t) \sqrt{\frac{1 + \kappa}{1 + \kappa / b(t)}}"

    plan: Joint
    batch: Pieces | None  # in multiples of the reference
    end: int | None = None  # the update after which the average is read; None for the run itself
    noise_scale: float = np.inf  # κ, in multiples of the reference

    def __post_init__(self) -> None:
        """Nothing: the parts were checked when they were made."""

    def __call__(self, t: ArrayLike) -> FloatArray:
        step = np.clip(np.asarray(t, float), 0, self.total)
        rate = self.plan(step)
        if self.batch is not None:
            size = self.batch(step)
            squared = size if np.isinf(self.noise_scale) else (1 + self.noise_scale) / (1 + self.noise_scale / size)
            rate = rate * np.sqrt(squared)
        if self.end is None or self.plan.average is None:
            return rate
        return rate * share_of_update(self.plan.average, self.end, step)

    @property
    def peak(self) -> float:
        """That of the rate itself, as laws with a term for the peak were fitted to it."""
        return self.plan.peak

    @property
    def total(self) -> int:
        """Updates."""
        return self.plan.total if self.end is None else self.end + 1

    @property
    def warmup(self) -> int:
        """That of the rate, as far as it lies before the end."""
        return min(self.plan.warmup, self.total - 1)

    @cached_property
    def breaks(self) -> tuple[int, ...]:
        """Those of the rate, of the batch and of the average."""
        inner = {*self.plan.rate.breaks, *(self.batch.begin if self.batch else ())}
        if self.end is not None and self.plan.average is not None:
            inner |= set(_turns(self.plan.average, self.end))
        return (0, *sorted(b for b in inner if 0 < b < self.total), self.total)

    @property
    def text(self) -> str:
        """The plan's."""
        return self.plan.text


@dataclass(frozen=True)
class ScaledRate(OfRate):
    """A schedule's rates times a factor: exact, where `resized` rounds what follows from the peak."""

    family = "scaled rate"
    formula = r"c\,\eta(t)"

    factor: float  # above 0

    def __post_init__(self) -> None:
        """Nothing: the schedule was checked when it was made."""

    def __call__(self, t: ArrayLike) -> FloatArray:
        return self.factor * self.rate(t)

    @property
    def peak(self) -> float:
        """The highest rate, multiplied."""
        return self.factor * self.rate.peak


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """The schedule or plan with every rate times `factor`, for laws to see."""
    if factor == 1:
        return schedule
    if isinstance(schedule, EffectiveRate):
        return replace(schedule, plan=replace(schedule.plan, rate=ScaledRate(schedule.plan.rate, factor)))
    if isinstance(schedule, Joint):
        return replace(schedule, rate=ScaledRate(schedule.rate, factor))
    return ScaledRate(schedule, factor)


def share_of_update(average: Average, end: int, step: FloatArray) -> FloatArray:
    """c_k: the share of update k, at each `step`, that averaged weights after update `end` have; shape of `step`."""
    later = np.maximum(end - step, -1.0)
    if isinstance(average, EMA):
        log_kept = np.log(average.decay)
        return np.expm1(log_kept * (later + 1)) / np.expm1(log_kept * (end + 1))
    count = min(average.count, end // average.every + 1)
    if count > DENSE:
        return np.clip((later + (average.every + 1) / 2) / average.every / count, 0, 1)
    return np.clip((np.floor(later / average.every) + 1) / count, 0, 1)


def _turns(average: Average, end: int) -> Iterator[int]:
    if isinstance(average, EMA):
        yield from (end - round(n * average.half_life) for n in TURNS)
        return
    count = min(average.count, end // average.every + 1)
    if count > DENSE:
        yield end - round(average.every * count - (average.every + 1) / 2)
        return
    yield from (end - i * average.every + 1 for i in range(count))


def driven(plan: Plan, steps: IntArray) -> list[tuple[Plan, IntArray]]:
    """Plans as laws see them, with their share of the `steps` (n,), in the order of these.

    A plan that is read at an average is one for each step. A batch in tokens is compared with the plan's own
    `batch_tokens`. Raises `DesignError` where it has none.
    """
    plan = in_multiples(plan, plan.batch_tokens)
    schedule = plan.schedule
    whole = schedule if isinstance(schedule, EffectiveRate) else None
    if isinstance(schedule, Joint):
        whole = EffectiveRate(schedule, schedule.batch.pieces if schedule.batch else None)
    if whole is None:
        return [(plan, steps)]
    if whole.plan.average is None:
        return [(replace(plan, schedule=whole), steps)]
    first = _first_moved(whole.plan.rate)
    # before the first update that moves them, an average of the weights is the weights
    ends = [replace(whole, end=int(t)) if t >= first else whole for t in steps]
    return [(replace(plan, schedule=end), np.array([t])) for end, t in zip(ends, steps, strict=True)]


def summed_breaks(schedule: Schedule) -> tuple[int, ...]:
    """First updates of the stretches, and the end, of what laws sum over to tell a schedule's end.

    Its batch and average turn it, too; a weight decay does not.
    """
    if isinstance(schedule, Joint):
        batch = schedule.batch.pieces if schedule.batch else None
        return EffectiveRate(schedule, batch, schedule.total - 1).breaks
    return schedule.breaks


def stretches(schedule: Schedule) -> int:
    """How many stretches these are, each a part of every sum."""
    return len(summed_breaks(schedule)) - 1


def _first_moved(rate: Schedule) -> int:
    """The first update with a rate above 0, at a turn of the rate or one step behind it."""
    turns = np.unique([k for b in rate.breaks for k in (b, b + 1)])
    return int(turns[rate(turns) > 0][0])


def beside_rate(schedule: Schedule) -> tuple[Batch | None, Average | None]:
    """The batch schedule of a plan, and the average that its loss is read from; None for what it has not."""
    _, batch, average = parts(plan_of(schedule))
    return batch, average


def plan_of(schedule: Schedule) -> Schedule:
    """The schedule as it was planned, also where it is the effective rate of a plan."""
    return schedule.plan if isinstance(schedule, EffectiveRate) else schedule


def in_multiples(plan: Plan, reference: float | None) -> Plan:
    """The plan with its batch schedule in multiples of `reference`, the tokens in an update of the training runs.

    Raises `DesignError` where the schedule is in tokens and nobody knows that batch.
    """
    schedule = plan.schedule
    if not isinstance(schedule, Joint) or schedule.batch is None or schedule.batch.relative:
        return plan
    if reference is None:
        raise DesignError(
            "The training runs have no batch in common that is known, which the batch schedule "
            f"{shortened(schedule.batch.text, 60)} could be compared with; declare it, or write multiples: 1x, 4x."
        )
    return replace(plan, schedule=EffectiveRate(schedule, schedule.batch.pieces.over(reference)))


def share_of_noise(schedule: Schedule, steps: FloatArray) -> FloatArray:
    """What the noise of updates `steps` (n,) is multiplied with, beside the square of the effective rate: 1 / b."""
    if not isinstance(schedule, EffectiveRate) or schedule.batch is None:
        return np.ones(len(steps))
    return 1 / schedule.batch(steps)


__all__ = [
    "EffectiveRate",
    "ScaledRate",
    "beside_rate",
    "driven",
    "in_multiples",
    "plan_of",
    "scaled",
    "share_of_noise",
    "share_of_update",
    "stretches",
    "summed_breaks",
]
