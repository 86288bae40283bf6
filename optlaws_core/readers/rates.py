"""Where the learning rate comes from: the log first, what is declared second, nothing third. It is never guessed.

A declared schedule that agrees with every logged rate is used in its place: it is exact between the logged steps and
knows the warm-up. Otherwise the rates are those of the simplest family that agrees with all of them as printed, and
where none does, knots: straight lines between the logged rates. Neither fills what lies beyond the log with the last
rate: a family goes on to the total that the run is known to have where the curve leads there, all else ends with the
log, which is said.
"""

from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray, IntArray
from ..runs import LrSource
from ..schedules import Knots, Schedule
from ..schedules.recognition import FEWEST, Recognised, recognise
from ..text import SMALLEST, counted, format_number
from .base import Facts, Note
from .clean import Points
from .thinning import bends, thin

AGREES = 1e-3  # of the peak: a declared schedule this close to every logged rate is the schedule of the run
THIN = 1e-4  # of the peak: straight lines between knots stay this close to the logged rates
MOST_KNOTS = 2000
ON_LINE = 1e-12  # of the peak: a knot this close to the line through its neighbours is none
HOLE, MANY = 0.2, 10  # a hole in a log is wider than this share of it, and than so many usual distances
LEAST_UNITS = 20  # of the last printed digit in the peak: rates with fewer are no curve
FLAT = ("constant", "step", "wsd")  # families that may have come from their warm-up to a plateau before the log
NO_WARMUP = "No warm-up was logged or declared"  # how the note on a log's start begins
WANTED = ("declare a schedule before fitting.", "declare the schedule of this run.")  # how notes end that ask for one


@dataclass(frozen=True)
class Rates:
    """A run's schedule (None when nothing tells it), where it comes from, and what to say about it."""

    schedule: Schedule | None
    source: LrSource
    notes: tuple[Note, ...] = ()
    recognised: Recognised | None = None  # what the schedule was recognised as, where it was


def rates_of(run: str, logged: Points | None, facts: Facts, last_step: int) -> Rates:
    """The learning rate of a run whose last logged step, of any quantity, is `last_step`."""
    notes: list[Note] = []
    if logged is not None and (why := _unusable(logged.values)):
        notes.append(Note("refused", why, run))
        logged = None
    if logged is not None:
        quantum = printed_quantum(logged.values)
        schedule, more, found = _from_log(logged, facts, last_step, quantum)
        if quantum is not None and not found and not facts.schedule and logged.values.max() < LEAST_UNITS * quantum:
            text = (
                f"The learning rate is printed in steps of {format_number(quantum)}, too coarse to be used; {WANTED[1]}"
            )
            return Rates(None, "missing", (Note("info", text, run),))
        return Rates(schedule, "logged", tuple(Note(n.level, n.text, run) for n in more), found)
    if facts.schedule is not None:
        if last_step > facts.schedule.total:
            text = f"The log goes on to step {last_step:,}, past the declared total of {facts.schedule.total:,} steps."
            notes.append(Note("info", text, run))
        return Rates(facts.schedule, "declared", tuple(notes))
    notes.append(Note("info", f"No learning rate is logged or declared; {WANTED[0]}", run))
    return Rates(None, "missing", tuple(notes))


def asks(note: Note) -> bool:
    """Whether a note asks for a schedule, so that it is settled once one is declared."""
    return note.text.endswith(WANTED)


def printed_quantum(rates: FloatArray) -> float | None:
    """The spacing of rates that were printed with too few digits (1e-4 for 0.0003, 0.0002, …), or None.

    Too few means: half a spacing is more than `AGREES` of the peak, and the rates look like a curve that was rounded.
    """
    peak = float(rates.max())
    for exponent in range(0, 13):
        quantum = 10.0**-exponent
        if len(rates) < 8 or peak >= 0.5 / AGREES * quantum:
            return None
        if peak >= 0.9 * quantum and _are_multiples(rates[:100], quantum) and _are_multiples(rates, quantum):
            return quantum if _looks_rounded(np.round(rates / quantum)) else None
        # Programs that print 0.0002 may print what is below 0.0001 as 9.39e-05.
        large = rates[rates >= 0.9 * quantum]
        if len(large) >= 8 and peak < LEAST_UNITS * quantum and _are_multiples(large, quantum):
            return quantum if _looks_rounded(np.round(large / quantum)) else None
    return None


def _are_multiples(rates: FloatArray, quantum: float) -> bool:
    units = rates / quantum
    return bool(np.abs(units - np.round(units)).max() < 1e-6 * max(1.0, units.max()))


def _looks_rounded(units: FloatArray) -> bool:
    """Whether whole multiples of the spacing look like a smooth curve that was rounded, not like a staircase."""
    lit = np.flatnonzero(units)
    if (units[lit[0] : lit[-1]] == 0).any():
        return True  # a rate of 0 in the middle of a run
    stays = units[np.flatnonzero(np.diff(units, prepend=-1.0))]  # the value of each stretch of equal rates
    between = (stays > units.min()) & (stays < units.max())
    rows = int(((units > units.min()) & (units < units.max())).sum())
    repeats = rows >= 1.5 * max(1, int(between.sum()))  # an exact warm-up logged at every step does not repeat
    by_one = (np.abs(np.diff(stays)) == 1).sum() >= 2 / 3 * (len(stays) - 1)
    return bool(len(np.unique(stays[between])) >= 2 and repeats and by_one)


def _unusable(rates: FloatArray) -> str | None:
    """Why logged rates cannot be a learning rate, or None."""
    if len(rates) == 0:
        return "The learning-rate column holds no numbers, so it was not used."
    if rates.min() < 0:
        low = format_number(float(rates.min()))
        return f"A learning rate must not be negative, but the log has {low}, so its column was not used."
    if rates.max() == 0:
        return (
            f"A learning rate must be above 0, but all {len(rates):,} logged rates are 0, so the column was not used."
        )
    if rates.max() < SMALLEST:
        high = format_number(float(rates.max()))
        return (
            f"A peak must be at least {format_number(SMALLEST)}, but the log's is {high}, so its column was not used."
        )
    return None


def _from_log(
    logged: Points, facts: Facts, last_step: int, quantum: float | None
) -> tuple[Schedule, list[Note], Recognised | None]:
    if facts.schedule is not None:
        agrees, note = compare(facts.schedule, logged, quantum)
        notes = [note] if quantum is None else [_quantised(quantum, facts), note]
        if agrees:
            return facts.schedule, notes, None
        schedule, more = knots_from(logged, facts, last_step)
        return schedule, notes + more, None
    found = _recognised(logged, facts, last_step)
    if found is None:
        schedule, notes = knots_from(logged, facts, last_step)
        why = _unrecognised(logged) if quantum is None else [_quantised(quantum, facts)]
        return schedule, [*why, *notes], None
    notes = _on_recognised(found, logged, facts, last_step)
    if quantum is not None:
        text = (
            f"The learning rate is printed in steps of {format_number(quantum)}; the schedule is known to half of one."
        )
        notes.insert(0, Note("info", text))
    return found.schedule, notes, found


def _recognised(logged: Points, facts: Facts, last_step: int) -> Recognised | None:
    """The schedule that the rates come from, unless what it says of the steps after the log contradicts the facts."""
    total = facts.total_steps
    steps, rates = logged.steps, logged.values
    if _hole(steps):
        return None  # a peak or an end in it would be made up
    found = recognise(steps, rates, total=total, warmup=facts.warmup_steps, last=last_step)
    if found is None or not found.beyond or total is None or total < last_step:
        return found
    return found if abs(found.schedule.total - total) <= 1 else None


def _unrecognised(logged: Points) -> list[Note]:
    """That no schedule came out of rates that were searched for one; nothing of a few rates, or of one rate."""
    if len(logged.steps) < FEWEST or _hole(logged.steps) or logged.values.min() == logged.values.max():
        return []
    text = "No family of schedules agrees with all that the log tells of its learning rate"
    return [Note("info", f"{text}; straight lines between the logged rates are used.")]


def _hole(steps: IntArray) -> tuple[int, int] | None:
    """The logged steps around a stretch without any, which is a good part of the run; None where there is none."""
    gaps = np.diff(steps)
    if len(gaps) < 2:
        return None
    widest = int(np.argmax(gaps))
    if gaps[widest] <= max(HOLE * (steps[-1] - steps[0]), MANY * np.median(gaps)):
        return None
    return int(steps[widest]), int(steps[widest + 1])


def _on_recognised(found: Recognised, logged: Points, facts: Facts, last_step: int) -> list[Note]:
    """What was recognised, and what the log leaves open at its start and at its end."""
    schedule, first, seen = found.schedule, int(logged.steps[0]), max(int(logged.steps[-1]), last_step)
    shifted = "" if not found.shift else f", the log being one step {'ahead' if found.shift > 0 else 'behind'}"
    if found.early != found.shift and schedule.warmup > first:
        shifted += f", {'and' if shifted else 'the log being'} one step {'ahead' if found.early > 0 else 'behind'}"
        shifted += " in the warm-up"
    text = f"Recognised from {len(logged.steps):,} logged rates: {schedule.text}, largest difference"
    notes = [Note("info", f"{text} {found.difference:.2g}{shifted}.")]
    if first > 1 and schedule.family in FLAT and schedule.warmup <= first:
        notes += _on_start(first, facts)
    notes += _past(seen, facts)
    if found.beyond:
        named = ", the total that the log names," if schedule.total == facts.total_steps else ""
        notes.append(Note("info", f"The schedule's end at step {schedule.total:,}{named} lies beyond the log."))
    elif _is_cut(schedule):
        final = format_number(float(f"{schedule.final:.4g}"))  # type: ignore[attr-defined]
        text = f"The schedule ends with the log, at a rate of {final}: nothing tells whether it was to go on"
        notes.append(Note("info", f"{text}; {WANTED[1]}" if _unfinished(seen, logged.steps, facts) else f"{text}."))
    elif _unfinished(seen, logged.steps, facts):
        notes.append(_ends_early(seen, facts, f"a rate that is {_so_far(schedule)} so far does not tell what follows"))
    return notes


def _is_cut(schedule: Schedule) -> bool:
    """Whether the final rate is none that people choose: neither it nor its share of the peak has three digits."""
    final = getattr(schedule, "final", 0.0)
    return final > 0 and all(float(f"{x:.3g}") != float(f"{x:.9g}") for x in (final, final / schedule.peak))


def _so_far(schedule: Schedule) -> str:
    return "constant" if schedule.family in FLAT else schedule.family.replace("_", " ")


def _unfinished(seen: int, steps: IntArray, facts: Facts) -> bool:
    """Whether the run is known to go on after the log, for longer than the log's own interval."""
    interval = max(1, round(float(np.median(np.diff(steps))))) if len(steps) > 1 else 1
    return facts.total_steps is not None and facts.total_steps > seen + interval


def _ends_early(seen: int, facts: Facts, why: str) -> Note:
    text = f"The log ends at step {seen:,} of {facts.total_steps:,}, and {why}, so the schedule ends with the log"
    return Note("info", f"{text}; {WANTED[1]}")


def _past(seen: int, facts: Facts) -> list[Note]:
    if facts.total_steps is None or facts.total_steps >= seen:
        return []
    text = f"The log goes on to step {seen:,}, past the declared total of {facts.total_steps:,} steps."
    return [Note("info", text)]


def _quantised(quantum: float, facts: Facts) -> Note:
    text = f"The learning rate is printed in steps of {format_number(quantum)}, too coarse for its curve"
    return Note("info", text + ("." if facts.schedule else f"; {WANTED[1]}"))


def compare(declared: Schedule, logged: Points, quantum: float | None = None) -> tuple[bool, Note]:
    """Whether a declared schedule agrees with every logged rate, and the sentence about it.

    Programs log the rate of the update just done or of the next one, so a shift of one step along the log is allowed.
    """
    allowed = max(AGREES * declared.peak, 0.5001 * (quantum or 0.0))
    n = len(logged.steps)
    for shift in (0, 1, -1):
        off, _ = _largest_difference(declared, logged, shift)
        if off <= allowed:
            shifted = "" if not shift else f", the log being one step {'ahead' if shift > 0 else 'behind'}"
            text = f"The declared schedule agrees with the logged learning rate at all {n:,} steps"
            return True, Note("info", f"{text} (largest difference {off:.2g}{shifted}).")
    off, worst = _largest_difference(declared, logged, 0)
    step = logged.steps[worst]
    text = (
        f"The declared schedule contradicts the log: at step {step:,} it gives {float(declared(step)):.4g}, the log "
        f"{logged.values[worst]:.4g} (the largest difference, {off:.2g}); the logged learning rate is used."
    )
    return False, Note("refused", text)


def _largest_difference(declared: Schedule, logged: Points, shift: int) -> tuple[float, int]:
    """The largest difference between the rates declared `shift` steps later and those logged, and its index."""
    worst, at = -1.0, 0
    for start in range(0, len(logged.steps), 65_536):  # in parts: a schedule needs several arrays as long as its steps
        part = slice(start, start + 65_536)
        off = np.abs(declared(logged.steps[part] + shift) - logged.values[part])
        if off.max() > worst:
            worst, at = float(off.max()), start + int(np.argmax(off))
    return worst, at


def knots_from(logged: Points, facts: Facts, last_step: int) -> tuple[Knots, list[Note]]:
    """Logged rates as knots from step 0 to one past the last update."""
    notes: list[Note] = []
    if hole := _hole(logged.steps):
        text = f"No learning rate is logged between steps {hole[0]:,} and {hole[1]:,}, where a straight line was taken"
        notes.append(Note("info", f"{text}; {WANTED[1]}"))
    peak = float(logged.values.max())
    kept, off = thin(logged.steps, logged.values, THIN * peak, MOST_KNOTS)
    if off > THIN * peak:
        text = f"The logged learning rate was thinned to {len(kept):,} knots"
        notes.append(Note("info", f"{text}, which deviate by at most {off / peak:.2g} of the peak."))
    some = logged.values[kept] + 0.0  # no −0, which a schedule's text form cannot tell from 0
    steps, values, warmup = _with_start(logged.steps[kept], some, logged, facts, notes)
    total = _total(logged.steps, facts, last_step, notes)
    if total > steps[-1]:
        steps, values = np.append(steps, total), np.append(values, values[-1])
    if bends(steps, values).min(initial=np.inf) <= 3 * ON_LINE * peak:  # at both ends knots were added
        kept, _ = thin(steps, values, ON_LINE * peak, len(steps))
        steps, values = steps[kept], values[kept]
    return Knots(tuple(steps.tolist()), tuple(values.tolist()), warmup=warmup), notes


def _with_start(
    steps: IntArray, values: FloatArray, logged: Points, facts: Facts, notes: list[Note]
) -> tuple[IntArray, FloatArray, int]:
    """Knots from step 0 on, and the length of the linear warm-up that replaces their start."""
    first, declared = int(steps[0]), facts.warmup_steps
    if declared is not None and declared > first:
        # The log itself shows the warm-up; at most its very start is missing.
        if first:
            steps, values = np.insert(steps, 0, 0), np.insert(values, 0, 0.0)
        return steps, values, declared if _is_line(logged, declared) else 0
    if first:
        steps, values = np.insert(steps, 0, 0), np.insert(values, 0, values[0])
    notes += _on_start(first, facts)
    return steps, values, declared or 0


def _on_start(first: int, facts: Facts) -> list[Note]:
    """What stands for the steps before the first logged one, which is past any warm-up."""
    declared = facts.warmup_steps
    if declared is None and first > 1:
        return [Note("info", f"{NO_WARMUP} before step {first:,}; the first logged rate is held back to step 0.")]
    if declared:
        text = f"Before the first logged step {first:,}, the declared linear warm-up"
        return [Note("info", f"{text} of {counted(declared, 'step')} is used.")]
    return []


def _is_line(logged: Points, warmup: int) -> bool:
    """Whether the rates logged before `warmup` lie on the straight line from 0."""
    if warmup >= logged.steps[-1]:
        return False
    early = slice(0, int(np.searchsorted(logged.steps, warmup)))
    top = float(np.interp(warmup, logged.steps, logged.values))
    line = top * logged.steps[early] / warmup
    return bool(np.abs(logged.values[early] - line).max() <= AGREES * logged.values.max())


def _total(steps: IntArray, facts: Facts, last_step: int, notes: list[Note]) -> int:
    """One past the last update; a declared total may equal the last logged step, whose rate is then the final one."""
    seen = max(int(steps[-1]), last_step)
    notes += _past(seen, facts)
    if _unfinished(seen, steps, facts):
        notes.append(_ends_early(seen, facts, "nothing tells the rates after it"))
        return seen + 1
    declared = facts.total_steps or 0
    return declared if declared >= seen and declared > 0 else seen + 1
