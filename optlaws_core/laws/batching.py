"""What a batch schedule does to a run, in terms of laws that know the learning rate alone.

Under Adam an update moves the weights by the rate times a gradient that is divided by its own root mean square. With a
batch of b times the reference the gradient's noise has 1/b of its variance, so the signal's share of the update grows
by s(b) = √((1 + κ) / (1 + κ / b)), where κ is the noise scale of the gradients over the reference batch (McCandlish et
al. 2018, arXiv:1812.06162). Convergence then runs on the clock of the effective rate η·s(b), and an update injects
noise (η·s(b))² / b. Far below the noise scale, κ → ∞, s is √b: the square-root rule of Adam (Malladi et al. 2022,
arXiv:2205.10287), under which a rate cut by √2 with a doubled batch is a rate cut by 2 at the same number of tokens
(Seesaw, arXiv:2510.14717). At κ = 0, and for SGD, s is 1.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import DesignError
from ..runs import Plan
from ..schedules import Average, Joint, Schedule, parts
from ..schedules.batch import Pieces


@dataclass(frozen=True)
class EffectiveRate(Schedule):
    """The rate on whose clock a run with a batch schedule converges: η·√((1 + κ) / (1 + κ / b))."""

    family = "effective rate"
    formula = r"\eta(t)\sqrt{\frac{1 + \kappa}{1 + \kappa / b(t)}}"

    plan: Joint
    batch: Pieces  # in multiples of the reference
    noise_scale: float = np.inf  # κ, in the same unit

    def __post_init__(self) -> None:
        """Nothing: both parts were checked when they were made."""

    def __call__(self, t: ArrayLike) -> FloatArray:
        size = self.batch(np.clip(t, 0, self.total))
        squared = size if np.isinf(self.noise_scale) else (1 + self.noise_scale) / (1 + self.noise_scale / size)
        return self.plan(t) * np.sqrt(squared)

    @property
    def peak(self) -> float:
        """That of the rate itself, as laws with a term for the peak were fitted to it."""
        return self.plan.peak

    @property
    def total(self) -> int:
        """Updates."""
        return self.plan.total

    @property
    def warmup(self) -> int:
        """That of the rate."""
        return self.plan.warmup

    @property
    def breaks(self) -> tuple[int, ...]:
        """Those of the rate and of the batch."""
        return tuple(sorted({*self.plan.rate.breaks, *self.batch.begin}))

    @property
    def text(self) -> str:
        """The plan's."""
        return self.plan.text


def driving(plan: Plan) -> tuple[Schedule, Average | None]:
    """What a law takes for the learning rate of a plan, and the average that its loss is read from.

    A batch schedule in tokens is compared with the plan's own `batch_tokens`. Raises `DesignError` where it has none.
    """
    schedule = in_multiples(plan, plan.batch_tokens).schedule
    if isinstance(schedule, Joint):
        return (EffectiveRate(schedule, schedule.batch.pieces) if schedule.batch else schedule.rate), schedule.average
    return schedule, average_of(schedule)


def average_of(schedule: Schedule) -> Average | None:
    """The average that the loss of a plan is read from; None for its last weights."""
    return parts(schedule.plan if isinstance(schedule, EffectiveRate) else schedule)[2]


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
            f"{schedule.batch.text:.60} could be compared with; tell it, or write multiples such as 1x and 4x."
        )
    return replace(plan, schedule=EffectiveRate(schedule, schedule.batch.pieces.over(reference)))


def shares_of_noise(schedule: Schedule, steps: FloatArray) -> FloatArray | float:
    """What the noise of updates `steps` (n,) is multiplied with, beside the square of the effective rate: 1 / b."""
    return 1 / schedule.batch(steps) if isinstance(schedule, EffectiveRate) else 1.0


__all__ = ["EffectiveRate", "average_of", "driving", "in_multiples", "shares_of_noise"]
