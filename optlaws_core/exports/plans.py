"""What a plan has beside its rate, a batch schedule and an average of the weights, for trainers that have such."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..schedules.averaging import EMA
from ..schedules.base import Schedule
from ..schedules.joint_schedule import Joint, beside
from ..schedules.plan_parts import PARTS
from ..text import format_amount, format_number, relative_error
from .base import EXACT


def cannot(title: str, what: str) -> ScheduleError:
    """The refusal of a plan for `what`, of which no loss goes unsaid."""
    return ScheduleError(
        f"An export to {title} cannot hold {what}: export the plan to PyTorch, CSV or JSON, or its learning rate alone."
    )


def told(plan: Schedule) -> str:
    """What the plan has beside its rate, in words."""
    *before, last = (PARTS[name].words for name in beside(plan))
    return f"{', '.join(before)} and {last}" if before else last


@dataclass(frozen=True)
class Staircase:
    """A batch that changes at some updates, in whole numbers of what a trainer counts: tokens, or sequences."""

    begin: tuple[int, ...]  # update from which each size holds, ascending from 0
    size: tuple[int, ...]  # neighbours differ
    notes: tuple[str, ...] = ()  # what was rounded

    @property
    def changes(self) -> bool:
        """Whether there is more than one size."""
        return len(self.size) > 1

    def __call__(self, t: FloatArray) -> FloatArray:
        """Sizes of updates `t`; same shape."""
        return np.array(self.size)[self._stretch(t)]

    def seen(self, t: FloatArray) -> FloatArray:
        """What all updates before `t` read; same shape."""
        stretch = self._stretch(t)
        before = np.concatenate([[0], np.cumsum(np.diff(self.begin) * np.array(self.size[:-1], float))])
        return before[stretch] + (np.asarray(t) - np.array(self.begin)[stretch]) * np.array(self.size)[stretch]

    def _stretch(self, t: FloatArray) -> np.ndarray:
        return np.maximum(np.searchsorted(self.begin, t, side="right") - 1, 0)


def staircase(plan: Joint, title: str, sequence: int = 1) -> Staircase:
    """The plan's batch in sequences of `sequence` tokens. Raises `ScheduleError` for multiples and for ramps."""
    batch = plan.batch
    assert batch is not None
    if batch.relative:
        raise ScheduleError(
            f"{title} needs the batch in tokens, such as 4M, got multiples of the training runs' batch, such as "
            f"{format_number(batch.sizes[0])}x."
        )
    pieces = batch.pieces
    if any(pieces.growth):
        raise cannot(title, "a batch that grows with every update, only steps")
    if min(pieces.size) < sequence:
        raise ScheduleError(
            f"{title} needs a batch of at least one sequence, here {sequence:,} tokens, got "
            f"{format_amount(min(pieces.size))}."
        )
    whole = [round(size / sequence) for size in pieces.size]
    kept = [i for i, size in enumerate(whole) if not i or size != whole[i - 1]]
    size = tuple(whole[i] for i in kept)
    return Staircase(tuple(pieces.begin[i] for i in kept), size, _rounded(pieces.size, whole, sequence))


def _rounded(wanted: tuple[float, ...], whole: list[int], sequence: int) -> tuple[str, ...]:
    off = [abs(n * sequence / size - 1) for n, size in zip(whole, wanted, strict=True)]
    worst = int(np.argmax(off))
    if off[worst] <= EXACT:
        return ()
    what = f"whole sequences of {sequence:,} tokens" if sequence > 1 else "whole tokens"
    return (
        f"The batch is rounded to {what}, by up to {relative_error(off[worst])}: "
        f"{whole[worst] * sequence:,} tokens for {format_amount(wanted[worst])}.",
    )


def sequences(plan: Joint, title: str, sequence: int | None) -> Staircase:
    """The plan's batch in sequences of so many tokens, which must be known. Raises `ScheduleError`."""
    if sequence is None:
        raise ScheduleError(f"{title} counts the batch in sequences: say how many tokens one has (--sequence-length).")
    return staircase(plan, title, sequence)


def ramp_up(batch: Staircase) -> tuple[int, int, int] | None:
    """First size, increment and samples of Megatron-LM's `--rampup-batch-size`; None where the batch is no ramp-up.

    Of n increments the j-th comes at the first update that begins with at least j / n of the samples seen.
    """
    if not batch.changes:
        return None
    increment, n = batch.size[1] - batch.size[0], len(batch.size) - 1
    if increment <= 0 or any(b - a != increment for a, b in pairwise(batch.size)):
        return None
    at = [round(float(batch.seen(np.array(b)))) for b in batch.begin[1:]]
    last = [seen - size for seen, size in zip(at, batch.size, strict=False)]  # at the update before
    longest = min(n * seen // j for j, seen in enumerate(at, 1))
    for samples in range(longest, max(longest - 3, 0), -1):  # it divides in floating point
        steps = [int(seen / (samples / n)) for seen in at]
        early = [int(seen / (samples / n)) for seen in last]
        if steps[:-1] == [*range(1, n)] and (steps[-1] == n or at[-1] > samples) and early == [*range(n)]:
            return batch.size[0], increment, samples
    return None


def begins_elsewhere(title: str, average: EMA, updates: int, start: str) -> tuple[str, ...]:
    """The sentence on a trainer whose average begins at `start`, so many updates before the end; none where all is one.

    The plan's own has weights of sum 1 from the first update on.
    """
    share = float(average.decay**updates)
    if not updates or share <= EXACT:
        return ()
    return (f"{title}'s average begins at {start}, which still have {relative_error(share)} of it at the end.",)
