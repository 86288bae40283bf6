"""How early the batch may grow: fewer updates for the same tokens, at about the same final loss.

A batch of m times the usual reads as many tokens in 1/m of the updates. That saves hours where the hardware is not yet
busy with the usual batch, and costs loss where it comes too early. Grown is by doublings, as public training plans do
it, each after the same share of the tokens that were left (after all of them at once: one jump). The rate keeps its
shape over the updates, which become fewer, and its peak.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import DesignError, ScheduleError
from ..fitting.result import Model
from ..parallel import one_thread
from ..prediction.joint_losses import joint
from ..prediction.losses import predict
from ..prediction.pairs import Pair, against
from ..schedules import Batch, Joint, Schedule

WITHIN = 1e-3  # of the loss that a larger batch may cost: less than repeats of a run differ by
LARGEST = 1024.0  # times the usual batch
LEFT = (0.0, 0.5, 0.75)  # of the remaining tokens, what a doubling leaves; 0 for one jump
PLACES = 16  # of the first doubling that are tried; between the last good and the first bad one it is closed in on
HALVINGS = 8
MORE = 0.01  # share of the tokens that a plan may read beyond the schedule's, since each size has whole updates


@dataclass(frozen=True)
class Growth:
    """A plan whose batch grows, beside the same schedule with one batch and as many tokens."""

    times: float  # the last batch over the first
    plan: Joint
    share: float  # of the tokens, read before the batch first grows; 0 where it is larger from the start
    loss: float  # final loss, predicted
    pair: Pair  # against one batch
    saved: float  # share of the updates
    reasons: tuple[str, ...]  # why the prediction is an extrapolation


@one_thread()
def growths(model: Model, schedule: Schedule, largest: float = 8.0, within: float = WITHIN) -> list[Growth]:
    """For 2, 4, … up to `largest` times the batch the plan with the fewest updates, at equal tokens: up to `MORE` more.

    Its predicted final loss is at most `within` (a share) above that of `schedule` with the training runs' batch. Sizes
    that would cost more wherever they begin are left out. Raises `DesignError` for a schedule that has a batch or an
    average already, for a `largest` below 2 or a `within` below 0, and as `predict` does, for laws that do not tell
    noise from slow progress too.
    """
    if isinstance(schedule, Joint):
        raise DesignError(f"The batch of a learning-rate schedule is looked for, got the plan {schedule.text:.80}.")
    if not 2 <= largest <= LARGEST:
        raise DesignError(f"The largest batch must be 2 to {LARGEST:,.0f} times the usual one, got {largest:g}.")
    if not 0 <= within < 1:
        raise DesignError(f"What a larger batch may cost must be a share from 0 to below 1, got {within:g}.")
    most = float(predict(model, schedule)[0]) * (1 + within)
    found = [(m, best) for m in _doublings(largest) if (best := _fewest(model, schedule, m, most)) is not None]
    if not found:
        return []
    pairs = against(joint(model, [schedule, *(plan for _, (_, plan) in found)]), 0)[1:]
    return [
        Growth(
            m,
            plan,
            share,
            float(predict(model, plan)[0]),
            pair,
            1 - plan.total / schedule.total,
            model.reasons(plan),
        )
        for (m, (share, plan)), pair in zip(found, pairs, strict=True)
    ]


def _doublings(largest: float) -> list[float]:
    """2, 4, … and `largest` itself."""
    sizes = [2.0**n for n in range(1, int(np.log2(largest)) + 1)]
    return sizes if sizes[-1] == largest else [*sizes, largest]


def _fewest(model: Model, schedule: Schedule, times: float, most: float) -> tuple[float, Joint] | None:
    """The plan of the fewest updates that ends at `most` or below, with where its batch first grows; None for none."""
    found = [best for left in _manners(times) if (best := _earliest(model, schedule, times, left, most)) is not None]
    return min(found, key=lambda one: one[1].total, default=None)


def _manners(times: float) -> tuple[float, ...]:
    """Ways to come to a batch: of several doublings also one jump; of one doubling it is the only way."""
    return LEFT if times > 2 else LEFT[:1]


def _earliest(model: Model, schedule: Schedule, times: float, left: float, most: float) -> tuple[float, Joint] | None:
    """Where the batch can grow the earliest, growing earlier and earlier until that costs too much."""

    def tried(share: float) -> Joint | None:
        plan = _grown(schedule, times, share, left)
        return plan if plan is not None and float(predict(model, plan)[0]) <= most else None

    best, good, bad = None, 1.0, 0.0
    for share in np.linspace(1, 0, PLACES + 1)[1:]:
        plan = tried(float(share))
        if plan is not None:
            best, good = plan, float(share)
        elif best is not None:
            bad = float(share)
            break  # before anything was good the last size may have had no update, or no time to come to rest
    if best is None:
        return None
    for _ in range(HALVINGS if good > 0 else 0):
        middle = (good + bad) / 2
        if (plan := tried(middle)) is None:
            bad = middle
        else:
            best, good = plan, middle
    return good, best


def _grown(schedule: Schedule, times: float, share: float, left: float) -> Joint | None:
    """The plan whose batch first grows after a share of the tokens; None where whole updates do not come to that."""
    sizes = [1.0, *(_doublings(times) if left else [times])]
    begin = [0.0, *(1 - (1 - share) * left**i for i in range(len(sizes) - 1))]
    if share == 0:  # no update has the first size
        sizes, begin = sizes[1:], [0.0, *begin[2:]]
    updates = np.round(np.diff([*begin, 1.0]) * schedule.total / sizes).astype(int)
    updates[-1] = np.ceil((schedule.total - updates[:-1] @ sizes[:-1]) / sizes[-1])  # never fewer tokens
    if (updates < 1).any() or updates @ sizes > schedule.total * (1 + MORE):
        return None
    starts = np.concatenate(([0], np.cumsum(updates)[:-1]))
    try:
        rate = schedule.resized(total=int(updates.sum()))
        return Joint(rate, Batch(tuple(starts.tolist()), tuple(sizes), relative=True))
    except ScheduleError:  # no schedule of the family is that short
        return None


__all__ = ["Growth", "growths"]
