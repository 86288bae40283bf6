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
from ..fitting.coverage import TOLERANCE
from ..fitting.result import Model
from ..laws import law_named
from ..parallel import one_thread
from ..runs import Plan
from ..schedules import Batch, Joint, Schedule, parts
from ..text import format_amount, format_number, listed, percent, relative_error, shortened
from . import family_search
from .batch_search import LARGEST, MORE
from .limits import Limits
from .objective import Objective
from .progress import Progress, ProgressMeter
from .ranges import FAMILIES, read

EQUAL = 1e-6  # relative difference of losses that two searches for one optimum may leave
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
    one: JointFound  # of the smallest size that keeps to the limits, or the best plan where that has one batch
    reasons: tuple[str, ...] = ()  # why the best plan lies beyond the training runs

    @property
    def summary(self) -> str:
        """What there is to gain, in a sentence."""
        one, gain = self.one.plan, self.one.loss - self.best.loss
        if self.best.plan == one:
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
    `DesignError` for other sizes, where none of these keeps to all that by itself, for a batch that was asked for
    (`sized`) and is not the training runs', and for laws that do not tell noise from slow progress.
    """
    check_sizes(sizes)
    family_search.check_family(family)
    check_unit(model, plan.batch_tokens if plan else model.coverage.usual[1])
    _check_laws(model, sizes)
    fewest = int(np.ceil(limits.total / sizes[-1]))
    if most is not None and most < fewest:
        raise DesignError(
            f"{limits.total:,} updates of the usual batch are {fewest:,} of {format_number(sizes[-1])}x, so no plan "
            f"reads their tokens in at most {most:,}."
        )
    keeping = _keeping(limits, sizes, most)
    objective = Objective.of(model, limits, plan)
    told = ProgressMeter(progress, 2)
    singly = (_searched(objective, Space(limits, family, (size,), most), told) for size in keeping)
    one = next((found for found in singly if found is not None), None)
    if one is None:
        raise DesignError(
            f"No schedule of the family {family} was found with one batch, {_sizes(keeping)}, within these limits: "
            f"a warm-up of {limits.warmup:,} updates, {family_search.kept(limits)}."
        )
    told.part()
    best = None if len(sizes) == 1 else _searched(objective, Space(limits, family, tuple(sizes), most), told)
    best, one = _compared(best or one, one)
    reasons = model.reasons(replace(plan, schedule=best.plan) if plan else best.plan)
    return JointFinding(best, one, tuple(reasons))


def _compared(best: JointFound, one: JointFound) -> tuple[JointFound, JointFound]:
    """The best plan and the best one with one batch: the same where nothing is gained beyond what searches leave."""
    batch = parts(best.plan)[1]
    if best.loss < one.loss and (batch is None or batch.constant):
        return best, best
    return (best if one.loss - best.loss > EQUAL * one.loss else one), one


def check_unit(model: Model, batch_tokens: float | None) -> None:
    """Raises `DesignError` where updates of `batch_tokens` are not the training runs', whose multiples sizes are."""
    trained = model.coverage.batch
    if trained is not None and batch_tokens is not None and abs(batch_tokens / trained - 1) > TOLERANCE:
        raise DesignError(
            f"The sizes of the batch are multiples of the training runs' {format_amount(trained, 3)} tokens per "
            "update, and the budget is counted in these: leave out the tokens per update, got "
            f"{format_amount(batch_tokens, 3)}."
        )


def _check_laws(model: Model, sizes: Sequence[float]) -> None:
    """Raises `DesignError` where a law knows nothing of the batch."""
    silent = [law.name for law in (law_named(f.law) for f, _ in model.parts) if not law.knows_noise]
    if silent and tuple(sizes) != (1,):
        raise DesignError(
            f"The law {silent[0]} does not separate noise from slow progress, so it cannot compare batches of "
            f"{_sizes(sizes)}; fit one that does: noisy_quadratic."
        )


def _keeping(limits: Limits, sizes: Sequence[float], most: int | None) -> list[float]:
    """The sizes that keep to the limits by themselves, as one batch. Raises `DesignError` where none does."""
    why = {size: _broken(limits, size, most) for size in sizes}
    if all(why.values()):
        said = "; ".join(filter(None, why.values()))
        raise DesignError(f"No plan with one batch keeps to these limits, to compare others with: {said}.")
    return [size for size, reason in why.items() if reason is None]


def _broken(limits: Limits, size: float, most: int | None) -> str | None:
    """Which limit one batch of a size does not keep to, in words; None where it keeps to all."""
    updates, name = int(np.ceil(limits.total / size * (1 - 1e-12))), f"{format_number(size)}x"
    more = updates * size / limits.total - 1
    if most is not None and updates > most:
        return f"{name} takes {updates:,} updates, more than the {most:,} there may be"
    if more > MORE:
        return (
            f"whole updates of {name}, {updates:,}, read {relative_error(more)} more tokens than {limits.total:,} of "
            f"the usual batch, and {percent(MORE)} is allowed"
        )
    if updates <= limits.warmup:
        return f"{name} takes {updates:,} updates, and the warm-up alone {limits.warmup:,}"
    return None


def _sizes(sizes: Sequence[float]) -> str:
    return listed([f"{format_number(size)}x" for size in sizes])


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
            f"to {LARGEST:.0f}, got {_sizes(sizes)}."
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


def _searched(objective: Objective, space: Space, told: ProgressMeter) -> JointFound | None:
    """The best plan of a space; None where no place that was tried has one."""

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

    place = family_search.best_place(loss_of, space.family, space.fields)
    if place is None:
        return None
    x, shape, finished = place
    plan = space.at(shape, x)
    assert plan is not None  # as its loss is finite
    return JointFound(plan, objective.judge(plan), finished)


__all__ = ["JointFinding", "JointFound", "check_sizes", "check_unit", "find_joint", "multiples_of"]
