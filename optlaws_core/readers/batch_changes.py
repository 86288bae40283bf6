"""Where the batch of a run changed, from a column of tokens beside the steps."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..schedules.batch import Batch

ALIKE = 1e-3  # batches that differ by less, relative, are one
MOST = 50  # sizes; more are no staircase


def staircase(steps: FloatArray, tokens: FloatArray) -> Batch | None:
    """The batch schedule in steps that gives the tokens (n,) seen after the updates `steps` (n,); None for none.

    steps: finite and ascending. A size counts where two rows in a row agree on it; between two of them it changes once.
    """
    if len(steps) < 4 or (np.diff(steps) <= 0).any():
        return None
    sizes = np.diff(tokens) / np.diff(steps)
    if not (sizes > 0).all():
        return None
    found = list(_levels(sizes))
    if not 2 <= len(found) <= MOST or any(_alike(one, other) for (_, _, one), (_, _, other) in pairwise(found)):
        return None  # no change, or gaps between stretches of one size
    starts = [0.0]
    for (_, last, size), (first, _, following) in pairwise(found):
        # tokens between the rows: (change − 1 − step before) updates of one size, the others of the next
        before, after, grown = steps[last + 1], steps[first], tokens[first] - tokens[last + 1]
        starts.append(float(round((grown - following * (after + 1) + size * (before + 1)) / (size - following))))
    try:
        batch = Batch(tuple(starts), tuple(float(round(size)) for _, _, size in found))
    except ScheduleError:  # sizes that no order of changes explains
        return None
    seen = batch.pieces.seen(steps + 1)
    return batch if (np.abs(seen - seen[0] - (tokens - tokens[0])) <= ALIKE * tokens + 1).all() else None


def _levels(sizes: FloatArray) -> Iterator[tuple[int, int, float]]:
    """Stretches of at least two alike sizes in a row: the first place, the last, and the size."""
    first = 0
    for i in range(1, len(sizes) + 1):
        if i == len(sizes) or not _alike(sizes[first], sizes[i]):
            if i - first > 1:
                yield first, i - 1, float(np.median(sizes[first:i]))
            first = i


def _alike(one: float, other: float) -> bool:
    return bool(abs(other - one) <= ALIKE * one)


__all__ = ["staircase"]
