"""What the logs of one reading tell about each other: a warm-up that all of them were cut behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..runs import Run
from ..schedules import Schedule
from ..schedules.recognition import Recognised
from ..text import counted
from .base import FileReport, Note
from .rates import FLAT, NO_WARMUP


@dataclass(frozen=True)
class Cut:
    """A run whose log begins behind its warm-up, as far as its recognised schedule tells."""

    run: Run
    found: Recognised


def with_shared_warmups(files: Sequence[FileReport]) -> tuple[FileReport, ...]:
    """The reports, with the warm-up of runs that do not tell it taken from runs of the same peak that begin alike.

    A curve such as a cosine tells where its warm-up ended, a plateau does not: of runs that were cut at one step, some
    would start at 0 and some at the peak, though they are one experiment. Taken only where all that tell it agree.
    """
    cuts = [Cut(run, found) for f in files for run in f.runs if (found := f.recognised.get(run.name)) is not None]
    told = [c for c in cuts if 0 < c.found.schedule.warmup <= c.found.first]
    return tuple(_completed(report, told) if told and report.recognised else report for report in files)


def _completed(report: FileReport, told: Sequence[Cut]) -> FileReport:
    for run in report.runs:
        found, facts = report.recognised.get(run.name), report.facts.get(run.name)
        if found is None or facts is None or facts.warmup_steps is not None or not _lacks(found):
            continue
        alike = [c for c in told if _begin_alike(c.found, found)]
        if len({c.found.schedule.warmup for c in alike}) == 1:
            report = _with_warmup(report, run, found, min(alike, key=lambda c: c.run.name))
    return report


def _lacks(found: Recognised) -> bool:
    """Whether a schedule was taken to be at its peak from step 0 on, for want of rows."""
    return found.schedule.family in FLAT and found.schedule.warmup == 0 and found.first > 1


def _begin_alike(one: Recognised, other: Recognised) -> bool:
    near = max(one.interval, other.interval)
    return (
        one.schedule.peak == other.schedule.peak
        and abs(one.first - other.first) <= near
        and one.schedule.warmup <= other.first
    )


def _told_anew(note: Note, found: Recognised, schedule: Schedule) -> Note:
    return replace(note, text=note.text.replace(found.schedule.text, schedule.text))


def _with_warmup(report: FileReport, run: Run, found: Recognised, teller: Cut) -> FileReport:
    warmup = teller.found.schedule.warmup
    schedule = replace(found.schedule, warmup=warmup)  # type: ignore[call-arg]
    text = f"Its log begins after its warm-up: that of {teller.run.name!r}, {counted(warmup, 'step')}, was taken, "
    taken = Note("info", f"{text}whose log begins alike.", run.name)
    own = {n: taken if n.text.startswith(NO_WARMUP) else _told_anew(n, found, schedule) for n in report.notes}
    plan = replace(run.known_plan, schedule=schedule)
    return replace(
        report,
        runs=tuple(replace(r, plan=plan) if r is run else r for r in report.runs),
        notes=tuple(own[n] if n.run == run.name else n for n in report.notes),
        recognised={**report.recognised, run.name: replace(found, schedule=schedule)},
    )
