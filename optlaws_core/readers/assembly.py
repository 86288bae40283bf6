"""From columns to a `Run`: losses in nats over steps, and a plan where the learning rate is known."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import LogError, ScheduleError
from ..runs import Plan, Run, Series
from ..schedules import Schedule
from ..schedules.joint_schedule import batched
from ..schedules.recognition import Recognised
from ..text import listed, shortened
from . import observed_batch, step_axis
from .base import AMOUNTS, Facts, Layout, Note
from .clean import Points, Several, checked_losses, points
from .doubts import high_rate
from .layout import multiple
from .opened import Numbers, RawRun
from .questions import UNITS, Question, Unanswered, provisional
from .rates import rates_of


@dataclass(frozen=True, eq=False)
class Assembled:
    """A run, what to say about it, all that is declared about it, what its log leaves open, and its schedule."""

    run: Run
    notes: tuple[Note, ...]
    facts: Facts
    questions: tuple[Question, ...]
    recognised: Recognised | None = None  # where the schedule was recognised from logged rates


def assemble(raw: RawRun, layout: Layout, declared: Facts) -> Assembled:
    """A run out of its columns. Raises `LogError` when it gives no curve, `Unanswered` for want of an answer."""
    facts, raw = declared.over(raw.facts), _in_ones(raw, layout)
    asked = tuple(_asked(raw, layout))
    layout, questions = provisional(layout, asked), (*asked, *raw.questions)
    raw, layout = observed_batch.in_updates(raw, layout, facts)
    per_step = _per_step(layout, facts)
    raw = _in_updates(raw, layout)
    losses, notes = _losses(raw, layout, per_step)
    split = next(iter(losses))
    checked_losses(losses[split], split)
    rates = _logged_rates(raw, layout, per_step, notes)
    facts, told = observed_batch.with_batch(raw, layout, facts, _counted(raw, layout))
    notes += told
    ends = [int(p.steps[-1]) for p in (*losses.values(), rates) if p is not None and len(p.steps)]
    found = rates_of(raw.name, rates, facts, max(ends))
    plan = None if found.schedule is None else _planned(raw.name, found.schedule, facts)
    series = {name: Series(p.steps, p.values) for name, p in losses.items()}
    run = Run(raw.name, plan, series, split, found.source, max(ends), facts.about or {})
    return Assembled(run, (*notes, *found.notes), facts, questions, found.recognised)


def _planned(run: str, rate: Schedule, facts: Facts) -> Plan:
    """The plan of a run, with what is declared of its batch. Raises `LogError` where that leaves no plan."""
    try:
        schedule = rate if facts.batch_schedule is None else batched(rate, facts.batch_schedule)
    except ScheduleError as error:
        raise LogError(f"{run}: {str(error)[0].lower()}{str(error)[1:]}") from None
    return Plan(schedule, facts.params, facts.batch_tokens)


def _asked(raw: RawRun, layout: Layout) -> Iterator[Question]:
    """What the numbers of a run leave open about its steps."""
    main = next((c for _, c in sorted(layout.losses, key=lambda pair: pair[0] != "train") if c in raw.columns), None)
    if main is None or layout.x_unit in ("tokens", "samples"):
        return
    if layout.x is None and main not in raw.own_x:
        yield step_axis.row_numbers()
        return
    x = raw.own_x.get(main) or raw.columns.get(layout.x or "")
    if x is None:
        return
    if layout.x == "_step" and (calls := step_axis.log_calls(layout.x, x)):
        yield calls
    if restart := step_axis.restarted(raw, layout, x, raw.columns[main]):
        yield restart
    rates = raw.columns.get(layout.lr or "") if layout.lr not in raw.own_x else None
    if rates is not None and layout.x_unit == "step" and (beat := step_axis.micro_batches(raw, layout, x, rates)):
        yield beat


def _in_ones(raw: RawRun, layout: Layout) -> RawRun:
    """The run with counters in thousands, millions or billions, as their names say, counting ones."""
    sizes = {c: size for c in (layout.x, layout.tokens) if c is not None and (size := multiple(c)[1]) != 1}
    if not sizes:
        return raw

    def ones(counter: Numbers, column: str | None) -> Numbers:
        return replace(counter, values=counter.values * sizes[column]) if column in sizes else counter

    text = "The numbers of the column {!r} were multiplied by {:,.0f}, as its name says."
    notes = [Note("info", text.format(shortened(c), size), raw.name) for c, size in sizes.items()]
    columns = {c: ones(numbers, c) for c, numbers in raw.columns.items()}
    own_x = {c: ones(numbers, layout.x) for c, numbers in raw.own_x.items()}
    return replace(raw, columns=columns, own_x=own_x, notes=(*raw.notes, *notes))


def _in_updates(raw: RawRun, layout: Layout) -> RawRun:
    """The run with its counters counted on over restarts, and micro-batches, log calls and epochs as updates."""
    if layout.x is None and raw.columns:
        rows = np.arange(len(next(iter(raw.columns.values()))), dtype=float)
        own = {c: Numbers(step_axis.updates(rows, layout)) for c in raw.columns if len(raw.columns[c]) == len(rows)}
        return replace(raw, own_x={**own, **raw.own_x})
    if layout.restarts != "continued" and layout.x_unit in ("step", "tokens", "samples"):
        return raw
    main = next(c for _, c in sorted(layout.losses, key=lambda pair: pair[0] != "train") if c in raw.columns)
    x = raw.own_x.get(main) or raw.columns.get(layout.x or "")
    ends = step_axis.ends(x) if x is not None and layout.restarts == "continued" else np.empty(0)

    def turned(counter: Numbers) -> Numbers:
        counter = step_axis.continued(counter, ends)
        return replace(counter, values=step_axis.updates(counter.values, layout))

    columns = {c: turned(n) if c == layout.x else n for c, n in raw.columns.items()}
    return replace(raw, columns=columns, own_x={c: turned(n) for c, n in raw.own_x.items()})


def _losses(raw: RawRun, layout: Layout, per_step: float | None) -> tuple[dict[str, Points], list[Note]]:
    """Points of every split, the one to use first; and notes. Raises `LogError` when that one is faulty."""
    columns = {split: c for split, c in layout.losses if c in raw.columns}
    found: dict[str, Points] = {}
    notes = list(raw.notes)
    for split in sorted(columns, key=lambda name: name != "train"):
        try:
            curve = _in_nats(_points(raw, layout, columns[split], split, per_step), layout.loss_unit)
        except LogError as error:
            if not found:
                raise
            notes.append(Note("refused", f"{str(error).rstrip('.')}; this split was left out.", raw.name))
            continue
        if len(curve.steps):
            found[split] = curve
            notes += curve.notes
    if not found:
        names = [column for _, column in layout.losses]
        raise LogError(f"no finite loss in the column{'s' if len(names) > 1 else ''} {listed(names)}.")
    return found, notes


def _points(raw: RawRun, layout: Layout, column: str, what: str, per_step: float | None) -> Points:
    several: Several = "last"
    if layout.x_unit == "micro-batches":  # an update's loss is the mean of its micro-batches; its rate comes first
        several = "first" if column == layout.lr else "mean"
    return points(raw, _x(raw, layout, column), raw.columns[column], what, per_step, several)


def _x(raw: RawRun, layout: Layout, column: str) -> Numbers:
    """The x of a column: its own, the layout's, or the row number."""
    if column in raw.own_x:
        return raw.own_x[column]
    if layout.x is None:
        return Numbers(np.arange(len(raw.columns[column]), dtype=float))
    if layout.x not in raw.columns:
        raise LogError(f"the x axis {shortened(layout.x)!r} is missing; columns found: {listed(raw.columns)}.")
    return raw.columns[layout.x]


def _counted(raw: RawRun, layout: Layout) -> Numbers | None:
    """The updates that the column of tokens stands beside; None where there is no such column."""
    if layout.x is None or layout.tokens is None or layout.tokens not in raw.columns:
        return None
    return raw.columns.get(layout.x) or _x(raw, layout, layout.tokens)


def _per_step(layout: Layout, facts: Facts) -> float | None:
    """What one update adds to x; None when x counts updates, or is turned into them. Raises `Unanswered`."""
    if layout.x_unit == "step":
        return None
    known = {"tokens": facts.batch_tokens, "samples": facts.batch_size}.get(layout.x_unit)
    per_step = layout.batch or known
    if not per_step:
        raise _unknown(layout)
    return per_step if layout.x_unit in ("tokens", "samples") else None


def _unknown(layout: Layout) -> LogError:
    """That an x axis needs a number to become updates, and the question that asks for it."""
    x, unit = shortened(str(layout.x)), layout.x_unit
    what = "batch size " if unit in ("tokens", "samples") else "number "
    text = f"the x axis {x!r} counts {unit}; declare the {what}({AMOUNTS[unit]}) to turn it into steps."
    return Unanswered(
        text, Question("x", f"The x axis {x!r} counts {unit}; what is the number of {AMOUNTS[unit]}?", (UNITS[unit],))
    )


def _in_nats(found: Points, unit: str) -> Points:
    """The same points with losses in nats. Raises `LogError` for a perplexity of 0 or less."""
    if unit == "bits":
        return replace(found, values=found.values * math.log(2))
    if unit == "perplexity":
        if len(found.values) and found.values.min() <= 0:
            raise LogError(f"a perplexity must be above 0, got {found.values.min():g}; choose another loss unit.")
        return replace(found, values=np.log(found.values))
    return found


def _logged_rates(raw: RawRun, layout: Layout, per_step: float | None, notes: list[Note]) -> Points | None:
    """The logged learning rates; None where the log has none. Faults that the losses share are not told twice."""
    if layout.lr is None or layout.lr not in raw.columns:
        return None
    known = {n.text.partition(": ")[2] for n in notes}
    try:
        found = _points(raw, layout, layout.lr, "learning rate", per_step)
    except LogError as error:
        notes.append(Note("refused", f"{str(error).rstrip('.')}; the learning rate was not used.", raw.name))
        return None
    notes += [n for n in found.notes if n.text.partition(": ")[2] not in known]
    if len(found.values) and (doubt := high_rate(float(found.values.max()), layout.lr)):
        notes.append(Note("info", doubt, raw.name))
    return found
