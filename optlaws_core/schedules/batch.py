"""A batch size for every update: constant stretches, or ramps between sizes.

The text form is `steps([0, 100k], [4M, 16M])` or `ramp([0, 100k], [4M, 16M])`: where each size begins, in updates, and
the tokens in an update. `2x` is twice the batch of the training runs. With `by=tokens` the first list is in tokens
seen, as reports state it: `steps([0, 252M, 2.87T], [4M, 8M, 16M], by=tokens)`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_amount, format_number
from .entries import LARGEST, listed_values, number

SHAPES = ("steps", "ramp")
BY = ("updates", "tokens")
MOST_SIZES = 250
V = TypeVar("V")
RANGE = 1e6  # largest ratio of two sizes of a schedule


@dataclass(frozen=True)
class Pieces:
    """A batch size piece by piece: constant, or growing by the same amount or share with every update.

    `pieces(t)` takes updates of any shape and returns sizes of that shape.
    """

    begin: tuple[int, ...]  # first update of each piece, ascending from 0
    size: tuple[float, ...]  # there
    growth: tuple[float, ...]  # an update, of the size or of its logarithm
    geometric: bool = False  # whether of its logarithm

    def __call__(self, t: ArrayLike) -> FloatArray:
        since, size, growth = self._at(t)
        return size * np.exp(growth * since) if self.geometric else size + growth * since

    def seen(self, t: ArrayLike) -> FloatArray:
        """What all updates before update `t` read together, in the unit of the sizes; shape of `t`."""
        return self._before[self._piece(t)] + self._summed(*self._at(t))

    def over(self, reference: float) -> "Pieces":
        """The same with sizes as multiples of `reference`, in their unit."""
        growth = self.growth if self.geometric else tuple(g / reference for g in self.growth)
        return Pieces(self.begin, tuple(s / reference for s in self.size), growth, self.geometric)

    @cached_property
    def _before(self) -> FloatArray:
        """What was read before each piece, (pieces,)."""
        begin, size, growth = (np.array(v, float) for v in (self.begin, self.size, self.growth))
        return np.concatenate(([0.0], np.cumsum(self._summed(np.diff(begin), size[:-1], growth[:-1]))))

    def _piece(self, t: ArrayLike) -> np.ndarray:
        return np.maximum(np.searchsorted(self.begin, np.asarray(t), side="right") - 1, 0)

    def _at(self, t: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Updates since the piece of each `t` began, its first size, and its growth; shape of `t`."""
        piece = self._piece(t)
        begin, size, growth = (np.array(v, float)[piece] for v in (self.begin, self.size, self.growth))
        return np.asarray(t, float) - begin, size, growth

    def _summed(self, n: FloatArray, size: FloatArray, growth: FloatArray) -> FloatArray:
        """The sum over the first `n` updates of pieces that begin at `size`."""
        if not self.geometric:
            return n * size + growth * n * (n - 1) / 2
        grows = growth != 0
        rate, some = np.where(grows, growth, 1.0), np.where(grows, n, 0.0)
        return size * np.where(grows, np.expm1(rate * some) / np.expm1(rate), n)


@dataclass(frozen=True)
class Batch:
    """Tokens in an update, or multiples of the training runs' batch. `batch(t)` takes steps of any shape.

    `steps`: `sizes[i]` from `starts[i]` on. `ramp`: linear from one size to the next, constant from the last start on;
    linear in what `starts` count. Raises `ScheduleError` where the fields contradict each other.
    """

    part: ClassVar[str] = "batch"  # its name in the text form of a plan
    called: ClassVar[str] = "size"  # what one of the sizes is

    starts: tuple[float, ...]  # ascending from 0; updates, or tokens seen
    sizes: tuple[float, ...]
    shape: str = "steps"
    by: str = "updates"
    relative: bool = False  # whether sizes are multiples of the training runs' batch

    def __post_init__(self) -> None:
        for name in ("starts", "sizes"):
            given = listed_values(self.part, name, getattr(self, name))
            object.__setattr__(self, name, tuple(number(self.part, f"each of the {name}", v) for v in given))
        if self.by not in BY:
            raise ScheduleError(f"batch: by must be {' or '.join(BY)}, got {self.by!r:.40}.")
        check_stretches("batch", self.shape, self.starts, self.sizes, "size")
        rises = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if self.starts[0] != 0 or not rises or not self.starts[-1] <= LARGEST**2:
            raise ScheduleError(f"batch: starts must rise from 0, got {listed(self.starts)}.")
        if self.by == "updates" and any(s != int(s) or s > LARGEST for s in self.starts):
            raise ScheduleError(f"batch: starts in updates must be whole numbers, got {listed(self.starts)}.")
        if not all(0 < s <= LARGEST for s in self.sizes):
            raise ScheduleError(f"batch: sizes must be above 0 and at most {LARGEST:g}, got {listed(self.sizes)}.")
        if (ratio := max(self.sizes) / min(self.sizes)) > RANGE:
            raise ScheduleError(f"batch: the largest size may be {RANGE:,.0f} times the smallest, got {ratio:.3g}.")
        if self.by == "tokens" and self.relative:
            raise ScheduleError("batch: by=tokens needs sizes in tokens, such as 4M, got multiples such as 2x.")

    def __call__(self, t: ArrayLike) -> FloatArray:
        """Sizes at updates `t`, shape of `t`."""
        return self.pieces(t)

    @cached_property
    def pieces(self) -> Pieces:
        """What the batch is at every update."""
        (begin, sizes), geometric = self._stages, self.by == "tokens" and self.shape == "ramp"
        growth = np.zeros(len(begin))
        if self.shape == "ramp":
            size = np.log(sizes) if geometric else np.array(sizes)
            growth[:-1] = np.diff(size) / np.diff(begin)
        return Pieces(begin, sizes, tuple(growth.tolist()), geometric)

    @property
    def _stages(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The update at which each size begins, and these sizes; without those that no update has."""
        if self.by == "updates":
            return tuple(int(s) for s in self.starts), self.sizes
        begin, sizes, seen = [0], [self.sizes[0]], 0.0
        for start, following in zip(self.starts[1:], self.sizes[1:], strict=True):
            size = sizes[-1]
            ramps = self.shape == "ramp" and size != following
            count = int(np.ceil((start - seen) / (_mean(size, following) if ramps else size) - 1e-9))
            if count < 1:  # the updates before have read so much already
                sizes[-1] = following
                continue
            growth = np.log(following / size) / count
            seen += size * float(np.expm1(growth * count) / np.expm1(growth)) if ramps else size * count
            begin.append(begin[-1] + count)
            sizes.append(following)
        return tuple(begin), tuple(sizes)

    def updates_for(self, amount: float) -> int:
        """The fewest updates that read at least `amount`, in the unit of the sizes. Raises for more than `LARGEST`."""
        low, high = 0, 1
        while self.pieces.seen(high) < amount:
            low, high = high, 2 * high
            if high > LARGEST:
                raise ScheduleError(f"batch: {format_number(amount)} tokens take more than {LARGEST:g} updates.")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.pieces.seen(middle) < amount else (low, middle)
        return high

    def updates_at(self, amounts: FloatArray) -> FloatArray:
        """The update before which nearest to each of `amounts` is read, in the unit of the sizes.

        nan for what is no amount: below 0, not finite, or more than `LARGEST` updates read.
        """
        amounts = np.where((amounts >= 0) & (amounts <= self.pieces.seen(LARGEST)), amounts, np.nan)
        most = min(np.ceil(np.nanmax(amounts, initial=0.0) / min(self.sizes)) + 1, LARGEST)
        low, high = np.zeros_like(amounts), np.full_like(amounts, most)
        while (high - low).max(initial=0.0) > 1:
            middle = np.floor((low + high) / 2)
            below = self.pieces.seen(middle) < amounts
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        nearer = amounts - self.pieces.seen(low) < self.pieces.seen(high) - amounts
        return np.where(np.isnan(amounts), np.nan, np.where(nearer, low, high))

    @property
    def breaks(self) -> tuple[int, ...]:
        """First updates of the stretches on which the size is constant or one ramp: ascending, from 0."""
        return self.pieces.begin

    @property
    def constant(self) -> bool:
        """Whether every update has the same size."""
        return len(set(self.sizes)) == 1

    @property
    def text(self) -> str:
        """The text form, which `part_texts.parse_batch` turns back into an equal schedule."""
        starts = ", ".join(map(_amount, self.starts))
        sizes = ", ".join(f"{format_number(s)}x" if self.relative else _amount(s) for s in self.sizes)
        return f"{self.shape}([{starts}], [{sizes}]{', by=tokens' if self.by == 'tokens' else ''})"

    def written(self, size: float) -> str:
        """A size of it to three digits: `4x`, or `4M` where sizes are tokens."""
        return f"{format_number(float(f'{size:.3g}'))}x" if self.relative else format_amount(size, 3)

    def stretched(self, factor: float, origin: int = 0) -> "Batch":
        """The same schedule with what lies behind update `origin` `factor` times as long; by tokens, all of it."""
        if self.by == "tokens":
            return replace(self, starts=tuple(s * factor for s in self.starts))
        starts, sizes = lengthened(self.starts, self.sizes, factor, origin)
        return replace(self, starts=starts, sizes=sizes)

    def until(self, end: int) -> "Batch":
        """The same sizes in all updates before update `end`, from 1 on, behind which nothing begins.

        A ramp that is not over by then ends there, at the size that it has reached.
        """
        kept = sum(b < end for b in self.breaks)
        starts, sizes = self.starts[:kept], self.sizes[:kept]
        if self.shape == "ramp" and kept < len(self.sizes):
            size, start = float(self(end)), self.starts[kept]
            if end < self.breaks[kept]:
                # by tokens half an update early, as a size begins with the first update that finds its tokens read
                early = end - self.breaks[kept - 1] - 0.5
                start = end if self.by == "updates" else starts[-1] + early * _mean(sizes[-1], size)
            starts, sizes = (*starts, start), (*sizes, size)
        return replace(self, starts=starts, sizes=sizes)


def _mean(size: float, following: float) -> float:
    """The mean of a batch that goes from one size to the next by the same share in every update: linear in tokens."""
    return (following - size) / np.log(following / size) if size != following else size


def _amount(value: float) -> str:
    return format_amount(value).replace(",", "")


def check_stretches(
    what: str,
    shape: str,
    starts: tuple[float, ...],
    values: tuple[V, ...],
    called: str,
    shapes: tuple[str, ...] = SHAPES,
) -> None:
    """Raises `ScheduleError` unless the shape is known and each of a few stretches has a start and a value."""
    if shape not in shapes:
        raise ScheduleError(f"{what}: shape must be {' or '.join(shapes)}, got {shape!r:.40}.")
    if not 1 <= len(starts) == len(values) <= MOST_SIZES:
        raise ScheduleError(
            f"{what}: each start needs its {called}, and there may be {MOST_SIZES:,} of both, "
            f"got {len(starts):,} and {len(values):,}."
        )


def lengthened(
    starts: tuple[float, ...], values: tuple[V, ...], factor: float, origin: int
) -> tuple[tuple[float, ...], tuple[V, ...]]:
    """Starts in updates, moved away from update `origin` by a factor, and the values of those that stay apart."""
    moved = [s if s <= origin else float(round(origin + (s - origin) * factor)) for s in starts]
    kept = [i for i, s in enumerate(moved) if s < min((*moved[i + 1 :], np.inf))]
    return tuple(moved[i] for i in kept), tuple(values[i] for i in kept)


def listed(values: tuple[float, ...]) -> str:
    """The first of the numbers, for a message."""
    return ", ".join(map(format_number, values[:6])) + ("…" if len(values) > 6 else "")


__all__ = ["BY", "SHAPES", "Batch", "Pieces", "check_stretches", "lengthened", "listed"]
