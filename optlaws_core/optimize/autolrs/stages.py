"""The stages of a logged run, the one that it has before it, and the probes of that."""

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import FloatArray
from ...errors import DesignError
from ...runs import Run
from .stage_forecast import FEWEST, Exponential, exponential

SAME = 1e-6  # relative difference up to which two rates are one
SHARE = 0.1  # of a stage's updates that a probe of it takes
DOUBLINGS = 3  # of a stage's length; after them it stays


@dataclass(frozen=True, eq=False)
class Stage:
    """Updates `start` to `end` − 1 at one rate, and the losses that were seen after them."""

    rate: float
    start: int
    end: int
    x: FloatArray  # (n,) updates of the stage that each loss has behind it, from 1
    loss: FloatArray  # (n,)

    @property
    def length(self) -> int:
        """In updates, seen or planned."""
        return self.end - self.start

    @property
    def reached(self) -> float | None:
        """The median of its last losses; None without any."""
        return float(np.median(self.loss[-FEWEST:])) if len(self.loss) else None

    def hindsight(self, share: float = SHARE) -> Exponential | None:
        """What a probe of a share of its updates would have forecast; None where that has too few losses."""
        early = self.x <= share * self.length
        if early.sum() < FEWEST:
            return None
        return exponential(self.x[early], self.loss[early], self.length)


def stages_of(run: Run) -> list[Stage]:
    """The stretches of `run` after its warm-up on which the rate is constant and above 0, with their losses.

    Raises `DesignError` for a run without a learning rate or without such a stretch.
    """
    schedule = run.known_plan.schedule
    found: list[tuple[float, int, int]] = []
    first = schedule.warmup_end
    edges = [first, *(b for b in schedule.breaks if b > first)]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        rates = schedule(np.linspace(start, end - 1, 9).round())
        rate = float(rates[0])
        if end - start < 2 or rate <= 0 or np.ptp(rates) > SAME * rate:
            continue
        if found and found[-1][2] == start and abs(found[-1][0] / rate - 1) <= SAME:
            found[-1] = (found[-1][0], found[-1][1], end)
        else:
            found.append((rate, start, end))
    if not found:
        raise DesignError(
            f"Run {run.name!r} has no stage: after the warm-up its rate is nowhere constant for two updates."
        )
    return [_stage(run, *place) for place in found]


@dataclass(frozen=True, eq=False)
class Next:
    """The stage that a run has before it."""

    start: int
    length: int
    rate: float  # of the update before
    stages: tuple[Stage, ...]  # those before, up to `start`


def next_stage(run: Run, start: int | None = None) -> Next:
    """The stage of `run` from update `start` on, by default the one after its last loss: as long as AutoLRS has it.

    That is twice the stage before, at most 8 times the first. Raises `DesignError` like `stages_of`, and for a start
    that no stage comes before.
    """
    known = stages_of(run)
    start = int(run.steps[-1]) + 1 if start is None else start
    past = [_stage(run, s.rate, s.start, min(s.end, start)) for s in known if s.start < start]
    if not past:
        raise DesignError(
            f"Run {run.name!r} has no stage before update {start:,}; its first begins with update {known[0].start:,}."
        )
    length = min(2 * past[-1].length, 2**DOUBLINGS * past[0].length)
    return Next(start, length, float(run.known_plan.schedule(start - 1)), tuple(past))


def probe_length(length: int) -> int:
    """Updates that a probe of a stage of `length` updates takes."""
    return max(FEWEST, round(SHARE * length))


def probe_of(run: Run, start: int, length: int, updates: int | None = None) -> Stage:
    """The losses of `run` as a probe of a stage of `length` updates from update `start` on.

    updates: how many of them count, by default all at that rate. Raises `DesignError` where the rate is not constant
    from there on, or for too few losses.
    """
    held = next((s for s in stages_of(run) if s.start <= start < s.end), None)
    if held is None:
        raise DesignError(f"Run {run.name!r} is no probe of a stage from update {start:,} on: its rate changes there.")
    most = min(held.end - start, length if updates is None else updates)
    found = replace(_stage(run, held.rate, start, start + most), end=start + length)
    if len(found.loss) < FEWEST:
        raise DesignError(
            f"Run {run.name!r} has {len(found.loss)} losses in the {most:,} updates from {start:,} on; a probe needs "
            f"{FEWEST}."
        )
    return found


def _stage(run: Run, rate: float, start: int, end: int) -> Stage:
    inside = (run.steps >= start) & (run.steps < end)
    return Stage(rate, start, end, (run.steps[inside] - start + 1).astype(float), run.loss[inside])
