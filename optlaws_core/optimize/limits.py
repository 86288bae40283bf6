"""What a schedule must keep to, and how many updates a budget pays for."""

from dataclasses import dataclass

import numpy as np

from ..errors import DesignError
from ..fitting.result import Coverage
from ..runs import MOST_UPDATES

KNOTS = 40
MOST_KNOTS = 200
FLOPS_PER_TOKEN = 6  # and parameter, forward and backward pass: C ≈ 6NBS, Kaplan et al. 2020, arXiv:2001.08361


@dataclass(frozen=True)
class Limits:
    """What a schedule must keep to. Raises `DesignError` for limits that no schedule keeps to."""

    peak: float  # highest rate
    total: int  # updates, warm-up included
    warmup: int = 0  # updates of linear warm-up
    floor: float = 0.0  # lowest rate after the warm-up
    slope: float | None = None  # largest change of the rate between two updates after the warm-up; None: any
    knots: int = KNOTS  # of a free-form curve, after the warm-up
    falling: bool = True  # whether the rate may only fall after the warm-up

    def __post_init__(self) -> None:
        if not 0 < self.peak < np.inf:
            raise DesignError(f"The peak must be a finite number above 0, got {self.peak:g}.")
        for name, value in (("run", self.total), ("warm-up", self.warmup)):
            if not value == np.rint(value):
                raise DesignError(f"The {name} must be a whole number of updates, got {value:g}.")
        if not 1 <= self.total <= MOST_UPDATES:
            raise DesignError(f"The run must have 1 to {MOST_UPDATES:,} updates, got {self.total:,}.")
        if not 0 <= self.warmup < self.total:
            raise DesignError(f"The warm-up must end before the run of {self.total:,} updates, got {self.warmup:,}.")
        if not 0 <= self.floor <= self.peak:
            raise DesignError(f"The floor must lie between 0 and the peak {self.peak:g}, got {self.floor:g}.")
        if self.slope is not None and not 0 < self.slope < np.inf:
            raise DesignError(f"The largest slope must be a finite number above 0, got {self.slope:g}.")
        if not 3 <= self.knots <= MOST_KNOTS:
            raise DesignError(f"A curve takes 3 to {MOST_KNOTS} knots, got {self.knots}.")


def updates_within(coverage: Coverage, *, tokens: float | None = None, flops: float | None = None) -> int:
    """Whole updates that a budget of `tokens`, or of training compute in `flops`, pays for.

    The batch, and for compute the model size, are those of the training runs, or the ones asked for. Raises
    `DesignError` where there are none, or several, and for a budget below one update.
    """
    params, batch_tokens = coverage.usual
    if tokens is not None and flops is None:
        budget, unit, cost = tokens, "tokens", _one(batch_tokens, "number of tokens per update")
    elif flops is not None and tokens is None:
        budget, unit, cost = flops, "FLOPs", _one(batch_tokens, "number of tokens per update")
        cost *= FLOPS_PER_TOKEN * _one(params, "model size")
    else:
        raise DesignError("A budget is either tokens or compute, got both or neither.")
    if not 0 < budget < np.inf:
        raise DesignError(f"A budget must be a finite number of {unit} above 0, got {budget:g}.")
    found = int(budget / cost * (1 + 1e-12))  # a quotient that is whole may round to just below
    if not found:
        raise DesignError(f"A budget must pay for one update of {cost:g} {unit}, got {budget:g} {unit}.")
    return found


def _one(value: float | None, what: str) -> float:
    if value is None:
        raise DesignError(f"Such a budget needs the {what}: the training runs have none, or several, so give one.")
    return value
