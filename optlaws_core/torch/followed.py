"""Which schedule a trainer's own scheduler follows."""

from contextlib import suppress

import numpy as np
from torch.optim.lr_scheduler import LambdaLR

from ..schedules import Schedule
from ..schedules.recognition import recognise
from .group_rates import first_main
from .schedule_lr import ScheduleLR

NEAR, EVEN = 1000, 2000  # rates looked at: at both ends, where warm-ups and decays are, and evenly over all updates


def followed(scheduler: object, total: int | None) -> Schedule | None:
    """The schedule of a `ScheduleLR`; of a LambdaLR, which transformers' are, the family that has its rates.

    total: updates of the run. None for other schedulers, and for rates that no family has.
    """
    scheduler = getattr(scheduler, "scheduler", scheduler)  # what accelerate's holds
    if isinstance(scheduler, ScheduleLR):
        return scheduler.schedule
    if isinstance(scheduler, LambdaLR) and total:
        with suppress(Exception):  # whatever the function of a user makes of updates that are still to come
            return _recognised(scheduler, total)
    return None


def _recognised(scheduler: LambdaLR, total: int) -> Schedule | None:
    ends = (np.arange(min(NEAR, total)), np.arange(max(0, total - NEAR), total))
    even = np.rint(np.linspace(0, total - 1, min(EVEN, total))).astype(np.int64)
    steps = np.unique(np.concatenate((even, *ends)))
    main = first_main(scheduler.optimizer)
    factor = scheduler.lr_lambdas[main]
    rates = float(scheduler.base_lrs[main]) * np.array([float(factor(t)) for t in steps.tolist()])
    found = recognise(steps, rates, total=total)
    if found is None or found.shift or found.early or found.schedule.total != total:
        return None
    return found.schedule


__all__ = ["followed"]
