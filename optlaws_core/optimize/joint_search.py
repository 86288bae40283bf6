"""Rate and batch together: of the plans that read as many tokens, in few enough updates, the one that ends lowest.

The batch may grow through some sizes, of which each may be left out: the first that is used, when each following one
begins, and the rate, a schedule of a family, are looked for together. Where updates are limited, places are taken from
the plans that keep to that, so that the search never runs into its edge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, ScheduleError
from ..fitting.result import Model
from ..parallel import one_thread
from ..runs import Plan
from ..schedules import Batch, Joint, Schedule
from ..text import format_number, listed, shortened
from . import family_search
from .batch_search import LARGEST, MORE
from .limits import Limits
from .objective import Objective
from .progress import Progress, ProgressMeter
from .ranges import FAMILIES, read

MOST_SIZES = 8  # each has a place of its own in the search


@dataclass(frozen=True)
class JointFound:
    """A plan that a search came to."""

    plan: Schedule
    loss: float  # final loss, predicted
    finished: bool  # False: the search stopped before it had converged


@dataclass(frozen=True)
class JointFinding:
    """The best plan, and what one batch comes to within the same limits."""

    best: JointFound
    one: JointFound  # with the smallest of the sizes that keeps to the updates
    reasons: tuple[str, ...] = ()  # why the best plan lies beyond the training runs

    @property
    def summary(self) -> str:
        """What there is to gain, in a sentence."""
        one, gain = self.one.plan, self.one.loss - self.best.loss
        if self.best.plan == one or gain <= 0:
            return f"No plan was found that ends below one batch, {one.text}."
        return (
            f"The best plan takes {self.best.plan.total:,} updates and ends {gain:.2g} below the best one with one "
            f"batch, of {one.total:,} updates."
        )

    @property
    def doubts(self) -> list[str]:
        """Why not to believe it, in sentences."""
        said = [f"This extrapolates: {'; '.join(self.reasons)}."] if self.reasons else []
        if not (self.best.finished and self.one.finished):
            said.append("A search stopped before it had converged.")
        return said


@one_thread()
def find_joint(
    model: Model,
    limits: Limits,
    family: str,
    sizes: Sequence[float],
    most: int | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> JointFinding:
    """The plan with the lowest final loss whose rate is of a `family` in `FAMILIES` and whose batch grows in `sizes`.

    `sizes`: (n,) multiples of the training runs' batch, ascending, the last what the hardware takes. Every plan reads
    as many tokens as `limits.total` updates of the usual batch, up to 1 % more since updates are whole, and takes at
    most `most` updates; its warm-up has as many as `limits` say. Arguments and errors else as of `find`; raises
    `DesignError` for other sizes, where these take more updates than `most`, and for laws that do not tell noise from
    slow progress.
    """
    check_sizes(sizes)
    family_search.check_family(family)
    fewest = int(np.ceil(limits.total / sizes[-1]))
    if most is not None and most < fewest:
        raise DesignError(
            f"{limits.total:,} updates of the usual batch are {fewest:,} of {format_number(sizes[-1])}x, so no plan "
            f"reads their tokens in at most {most:,}."
        )
    objective = Objective.of(model, limits, plan)
    space = Space(limits, family, tuple(sizes), most)
    smallest = next(s for s in sizes if most is None or np.ceil(limits.total / s) <= most)
    alone = Space(limits, family, (smallest,), most)
    told = ProgressMeter(progress, 2)
    one = _searched(objective, alone, told)
    best = one if len(sizes) == 1 else _searched(objective, space, told)
    best = min(best, one, key=lambda found: found.loss)
    reasons = model.reasons(replace(plan, schedule=best.plan) if plan else best.plan)
    return JointFinding(best, one, tuple(reasons))


def multiples_of(text: str) -> tuple[float, ...]:
    """The sizes of a batch in a text, `1x, 2x, 4x`. Raises `DesignError` for one that has others."""
    try:
        sizes = tuple(float(word.strip().lower().removesuffix("x")) for word in text.split(","))
    except ValueError:
        raise DesignError(f"The sizes of the batch read like 1x, 2x, 4x, got {shortened(text)!r}.") from None
    check_sizes(sizes)
    return sizes


def check_sizes(sizes: Sequence[float]) -> None:
    """Raises `DesignError` for sizes that no batch grows through."""
    rising = all(a < b for a, b in zip(sizes, sizes[1:], strict=False))
    if not 1 <= len(sizes) <= MOST_SIZES or not rising or not all(1 / LARGEST <= s <= LARGEST for s in sizes):
        raise DesignError(
            f"The sizes of the batch must be 1 to {MOST_SIZES} rising multiples of the usual one, from 1/{LARGEST:.0f} "
            f"to {LARGEST:.0f}, got {listed([f'{format_number(s)}x' for s in sizes])}."
        )


@dataclass(frozen=True)
class Space:
    """The plans of a family within limits, as places of a cube: the rate's fields, then one for each later size."""

    limits: Limits
    family: str
    sizes: tuple[float, ...]
    most: int | None

    @property
    def fields(self) -> int:
        """Dimensions of the cube."""
        return 1 + len(FAMILIES[self.family]) + len(self.sizes) - 1

    def at(self, shape: str | None, x: FloatArray) -> Schedule | None:
        """The plan at a place `x` (fields,); None where whole updates do not come to the tokens.

        Raises `ScheduleError` where the family has none.
        """
        rate, ramp = np.split(x, [self.fields - len(self.sizes) + 1])
        updates = self._updates(ramp)
        if updates is None or updates.sum() <= self.limits.warmup:
            return None
        schedule = read(self.family, shape, replace(self.limits, total=int(updates.sum())), rate)
        return _with_batch(schedule, self.sizes, updates)

    def _updates(self, ramp: FloatArray) -> FloatArray | None:
        """Updates of every size (sizes,), 0 for one that is left out."""
        sizes, left, tokens = np.array(self.sizes), self._left(ramp), self.limits.total
        if left is None:
            return None
        shares = np.append(-np.diff(left), left[-1])  # of the tokens, read at each size
        updates = np.floor(shares * tokens / sizes)
        if not updates.any():
            updates[-1] = 1
        last = int(np.flatnonzero(updates)[-1])
        # The last size that is used has the rest: never fewer tokens, and as these are floors never more updates.
        updates[last] = np.ceil((tokens - updates[:last] @ sizes[:last]) / sizes[last] * (1 - 1e-12))
        within = updates @ sizes <= tokens * (1 + MORE) and (self.most is None or updates.sum() <= self.most)
        return updates if within else None

    def _left(self, ramp: FloatArray) -> FloatArray | None:
        """Share of the tokens that is left when each size begins, (sizes,), 1 first; None beyond the most updates.

        A place says, of what is left, how much is read before the next size begins; that of the first size counts in
        the most that the limit of updates allows.
        """
        later = np.cumprod(np.append(1.0, 1 - ramp[1:])) if len(ramp) else np.zeros(0)  # behind the first size
        if not len(ramp):
            return np.ones(1)
        first = 1.0
        if self.most is not None:
            inverse = 1 / np.array(self.sizes)
            # updates over tokens: of what is read behind the first size, and of what is read at it
            behind = float(np.append(-np.diff(later), later[-1]) @ inverse[1:])
            room = (self.most / self.limits.total - behind) / (inverse[0] - behind) if behind < inverse[0] else 1.0
            if room < 0:
                return None
            first = min(room, 1.0)
        return np.append(1.0, (1 - first * ramp[0]) * later)


def _with_batch(rate: Schedule, sizes: Sequence[float], updates: FloatArray) -> Schedule:
    """The rate with its batch, in multiples; alone where that is the usual one throughout."""
    used = np.flatnonzero(updates).tolist()
    if len(used) == 1 and sizes[used[0]] == 1:
        return rate
    starts = np.append(0.0, np.cumsum(updates[used])[:-1])
    return Joint(rate, Batch(tuple(starts.tolist()), tuple(sizes[i] for i in used), relative=True))


def _searched(objective: Objective, space: Space, told: ProgressMeter) -> JointFound:
    def loss_of(shape: str | None) -> Callable[[FloatArray], float]:
        def loss(x: FloatArray) -> float:
            try:
                plan = space.at(shape, x)
            except ScheduleError:
                return np.inf
            if plan is None:
                return np.inf
            value = float(np.log(objective.judge(plan)))
            told(value)
            return value

        return loss

    x, shape, finished = family_search.best_place(loss_of, space.family, space.fields, space.limits)
    told.part()
    plan = space.at(shape, x)
    assert plan is not None  # as its loss is finite
    return JointFound(plan, objective.judge(plan), finished)


__all__ = ["JointFinding", "JointFound", "check_sizes", "find_joint", "multiples_of"]
