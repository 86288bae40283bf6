"""Runs that are cheaper than the candidates and tell something of them: which ones there are, and what each costs.

All have the candidates' model and batch, so that updates are the cost. A run that has another's rates up to an update
on the plateau after the warm-up goes on from that one's checkpoint: its cost is the rest alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ScheduleError
from ..fitting.coverage import Coverage, Range
from ..fitting.under_prior import LATEST
from ..runs import Run
from ..schedules import Schedule
from ..schedules.families import Constant, Cosine
from ..schedules.multi_stage import WSD
from .observed import AT_END, rates_of

STANDARD = (Constant, Cosine, WSD)  # shapes that tell a law what the rate does: none of it falls, all, the end


@dataclass(frozen=True)
class CheapRun:
    """A run to train."""

    schedule: Schedule
    updates: int  # to be trained
    parent: str | None = None  # the run, at hand or proposed before it, from whose checkpoint it goes on; None: none
    at: int = 0  # updates that the checkpoint has behind it


def priced(schedule: Schedule, stems: Mapping[str, Schedule]) -> CheapRun:
    """The run of a schedule, from the checkpoint of that one of `stems` that leaves the least to train."""
    shared = {name: common(schedule, stem) for name, stem in stems.items()}
    parent = max(shared, key=lambda name: shared[name], default=None)
    if parent is None or not shared[parent]:
        return CheapRun(schedule, schedule.total)
    return CheapRun(schedule, schedule.total - shared[parent], parent, shared[parent])


def common(one: Schedule, other: Schedule) -> int:
    """Updates that two schedules have in common, where they part on a plateau after the warm-up; else 0."""
    if any(getattr(one, name) != getattr(other, name) for name in ("peak", "warmup", "warmup_shape")):
        return 0
    return min(plateau_end(one), plateau_end(other))


def plateau_end(schedule: Schedule) -> int:
    """First update after a plateau at the peak that follows the warm-up; 0 for schedules without one."""
    if isinstance(schedule, Constant):
        return schedule.total
    return schedule.total - schedule.decay if isinstance(schedule, WSD) else 0


def trained(run: Run) -> Schedule:
    """The schedule of a run as far as there can be checkpoints of its plateau: of one that ended early, up to there."""
    schedule = run.known_plan.schedule
    (_, seen), warmup = Coverage.of([run]).total, schedule.warmup
    if seen >= (1 - AT_END) * plateau_end(schedule):
        return schedule
    return Constant(peak=schedule.peak, warmup=warmup, warmup_shape=schedule.warmup_shape, total=max(seen, warmup + 1))


def options(
    candidates: Sequence[Schedule],
    stems: Iterable[Schedule],
    updates: int,
    most: int,
    *,
    begin: int | None = None,
    warmup: Range | None = None,
) -> list[Schedule]:
    """Schedules that one to `most` runs within a budget of `updates` may have, each once, none of them among `stems`.

    The candidates' own shapes and the `STANDARD` ones at the candidates' peaks, over the whole budget, half of it, …;
    and their cooldowns from the plateaus of `stems`, the runs at hand. Warm-ups keep their share of the updates as far
    as that stays within `warmup`, the shortest and the longest that laws were fitted to. Shorter than the shortest
    candidate, and so long that losses count for most of them where they do from update `begin` on.
    """
    known, longest = list(stems), min(c.total for c in candidates)
    shapes = [*candidates, *_standard(candidates)]
    found = [
        *_resized(shapes, [updates // k for k in range(1, most + 1)], warmup),
        *(branch for stem in known for shape in shapes for branch in _branch(shape, stem, updates)),
    ]
    rates = {rates_of(s) for s in known}
    good: list[Schedule] = []
    for schedule in found:
        first = schedule.warmup_end if begin is None else begin
        if first <= LATEST * schedule.total and schedule.total < longest and rates_of(schedule) not in rates:
            rates.add(rates_of(schedule))
            good.append(schedule)
    return good


def _standard(candidates: Sequence[Schedule]) -> Iterator[Schedule]:
    """The standard shapes at every peak of the candidates, with the warm-up of the first candidate of that peak."""
    for peak in dict.fromkeys(c.peak for c in candidates):
        like = next(c for c in candidates if c.peak == peak)
        for family in STANDARD:
            with suppress(ScheduleError):
                yield family.usual(peak=peak, warmup=like.warmup, total=like.total)


def _resized(shapes: Iterable[Schedule], totals: Iterable[int], warmup: Range | None) -> Iterator[Schedule]:
    lengths = list(totals)
    for shape in shapes:
        for total in lengths:
            with suppress(ScheduleError):
                made = shape.resized(total=total)
                usual = made.warmup if warmup is None else int(np.clip(made.warmup, *warmup))
                yield made if usual == made.warmup else shape.resized(total=total, warmup=usual)


def _branch(shape: Schedule, stem: Schedule, updates: int) -> Iterator[Schedule]:
    """The cooldown of `shape` from the plateau of `stem`, as late as its end and `updates` allow; none without both."""
    if not (isinstance(shape, WSD) and isinstance(stem, Constant | WSD) and shape.peak == stem.peak):
        return
    share = shape.decay / shape.total
    start = min(plateau_end(stem), int(updates * (1 - share) / share) if share < 1 else 0)
    decay = round(start * share / (1 - share)) if start else 0
    with suppress(ScheduleError):
        yield replace(shape, warmup=stem.warmup, warmup_shape=stem.warmup_shape, total=start + decay, decay=decay)


__all__ = ["CheapRun", "common", "options", "plateau_end", "priced", "trained"]
