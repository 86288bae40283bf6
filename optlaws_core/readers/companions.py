"""What the logs of one reading tell about each other: a warm-up that all were cut behind, a length that rates hide."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ..errors import ScheduleError
from ..runs import Run
from ..schedules import Schedule
from ..schedules.joint_schedule import with_rate
from ..schedules.recognition import Recognised
from ..text import counted
from .base import FileReport, Note
from .rates import FLAT, NO_WARMUP

ENDLESS = ("constant", "step", "inverse_sqrt")  # families whose rates are the same whenever the run ends


@dataclass(frozen=True)
class Logged:
    """A run, and the schedule that its logged rates were recognised as."""

    run: Run
    found: Recognised


def with_shared_warmups(files: Sequence[FileReport]) -> tuple[FileReport, ...]:
    """The reports, with the warm-up of runs that do not tell it taken from runs of the same peak that begin alike.

    A curve such as a cosine tells where its warm-up ended, a plateau does not: of runs that were cut at one step, some
    would start at 0 and some at the peak, though they are one experiment. Taken only where all that tell it agree.
    """
    told = [one for one in _recognised(files) if 0 < one.found.schedule.warmup <= one.found.first]
    return tuple(_completed(report, told) if told and report.recognised else report for report in files)


def _recognised(files: Sequence[FileReport]) -> list[Logged]:
    return [Logged(run, found) for f in files for run in f.runs if (found := f.recognised.get(run.name)) is not None]


def _completed(report: FileReport, told: Sequence[Logged]) -> FileReport:
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
    return _near(one, other, one.first, other.first) and one.schedule.warmup <= other.first


def _near(one: Recognised, other: Recognised, step: int, its: int) -> bool:
    """Whether two schedules have one peak, and a step of each is the same as far as their rows tell."""
    return one.schedule.peak == other.schedule.peak and abs(step - its) <= max(one.interval, other.interval)


def _with_warmup(report: FileReport, run: Run, found: Recognised, teller: Logged) -> FileReport:
    warmup = teller.found.schedule.warmup
    schedule = replace(found.schedule, warmup=warmup)  # type: ignore[call-arg]
    text = f"Its log begins after its warm-up: that of {teller.run.name!r}, {counted(warmup, 'step')}, was taken, "
    taken = Note("info", f"{text}whose log begins alike.", run.name)
    notes = tuple(taken if n.run == run.name and n.text.startswith(NO_WARMUP) else n for n in report.notes)
    return _with_schedule(replace(report, notes=notes), run, found, schedule)


def _with_schedule(report: FileReport, run: Run, found: Recognised, schedule: Schedule) -> FileReport:
    """The report with another schedule for a run, also where its notes tell the one that was `found`."""

    def told_anew(note: Note) -> Note:
        return replace(note, text=note.text.replace(found.schedule.text, schedule.text))

    plan = replace(run.known_plan, schedule=with_rate(run.known_plan.schedule, schedule))  # its batch schedule stays
    return replace(
        report,
        runs=tuple(replace(r, plan=plan) if r is run else r for r in report.runs),
        notes=tuple(told_anew(n) if n.run == run.name else n for n in report.notes),
        recognised={**report.recognised, run.name: replace(found, schedule=schedule)},
    )


def with_shared_lengths(files: Sequence[FileReport]) -> tuple[FileReport, ...]:
    """The reports, with the length of runs whose rates do not tell it taken from runs whose logs end alike.

    A constant rate goes on for ever: with a log that ends at step 4,000 its run may have 4,000 updates, counted from 1,
    or 4,001, counted from 0, or a few more up to the next row. A cosine of the same peak and warm-up beside it tells
    which; any other one only how steps are counted. Where no log beside it tells, or these disagree, steps that begin
    with their own distance (10, 20, …) count updates that are done. A length that is declared stays.
    """
    told = defaultdict(list)
    for one in _recognised(files):
        if one.found.schedule.family not in ENDLESS:
            told[_last(one.run), one.found.interval].append(one)
    return tuple(_lengthened(report, told) if report.recognised else report for report in files)


def _lengthened(report: FileReport, told: Mapping[tuple[int, int], Sequence[Logged]]) -> FileReport:
    """told: runs that tell their length, by the last step of their log and its interval."""
    for run in report.runs:
        found, facts, last = report.recognised.get(run.name), report.facts.get(run.name), _last(run)
        if found is None or found.schedule.family not in ENDLESS or found.schedule.total != last + 1:
            continue
        if facts is not None and facts.total_steps is not None:
            continue
        teller = _teller(found, last, told.get((last, found.interval), ()))
        if teller is None and not (found.first == found.interval and last % found.interval == 0):
            continue
        total = last if teller is None else teller.found.schedule.total
        if total != found.schedule.total:
            report = _with_length(report, run, found, total, teller)
    return report


def _teller(found: Recognised, last: int, beside: Sequence[Logged]) -> Logged | None:
    """Which of the runs beside one, whose logs end where its own does, tells its length; None where they disagree.

    A run of another peak or warm-up is another experiment, which tells no more than whether steps are counted from 0.
    """
    possible = [one for one in beside if last <= one.found.schedule.total <= last + found.interval]
    alike = [
        one
        for one in possible
        if _near(one.found, found, one.found.first, found.first)
        and _near(one.found, found, one.found.schedule.warmup, found.schedule.warmup)
    ]
    tellers = alike or [one for one in possible if abs(one.found.schedule.total - found.schedule.total) <= 1]
    if len({one.found.schedule.total for one in tellers}) != 1:
        return None
    return min(tellers, key=lambda one: one.run.name)


def _with_length(report: FileReport, run: Run, found: Recognised, total: int, teller: Logged | None) -> FileReport:
    """The report with another length of a run. teller: the run that told it; None where its own steps did."""
    with suppress(ScheduleError):  # a staircase whose last step falls behind the end
        report = _with_schedule(report, run, found, replace(found.schedule, total=total))  # type: ignore[call-arg]
        if teller is not None:
            text = f"Its rates do not tell its length: that of {teller.run.name!r}, {counted(total, 'update')}, was "
            taken = Note("info", f"{text}taken, whose log ends at the same step.", run.name)
            report = replace(report, notes=(*report.notes, taken))
    return report


def _last(run: Run) -> int:
    """The last step that a run logged a loss at."""
    return max(int(series.steps[-1]) for series in run.series.values() if len(series))
