"""Targets that are tables of steps and rates."""

import json
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..schedules.base import Schedule
from ..schedules.joint_schedule import parts, unknown_to_laws
from ..schedules.plan_parts import PARTS
from ..text import relative_error
from .base import EXACT, Export, Target, compared, deviation

ROWS = 200
MOST_ROWS = 10_000_000


def rows(schedule: Schedule, steps: int | None = None) -> list[int]:
    """Steps of a table: all where `steps` (200) are as many as the updates, else about as many, evenly spaced.

    Every break is there with the update before it. Raises `ScheduleError` for fewer than 1 or more than `MOST_ROWS`.
    """
    most = ROWS if steps is None else steps
    if most < 1:
        raise ScheduleError(f"A table needs at least 1 row, got {most}.")
    if most > MOST_ROWS:
        raise ScheduleError(f"A table may have {MOST_ROWS:,} rows, got {most:,}.")
    if most >= schedule.total:
        return list(range(schedule.total + 1))
    kept = {t for b in schedule.breaks for t in (b - 1, b) if t >= 0}
    # As many even ones as fit beside the breaks; some of them coincide.
    even = np.linspace(0, schedule.total, max(most - len(kept), 0)).round()
    return sorted(kept | {int(t) for t in even})


def csv(schedule: Schedule, steps: int | None = None) -> Export:
    """Columns step and lr; of a plan with a batch its tokens or multiples, and the weight decay of one that has it."""
    found = _table(schedule, steps)
    average = parts(schedule)[2]
    lacking = (f"The table does not hold the average that the plan is judged by, {average.text}.",) if average else ()
    lines = [",".join(found.columns), *(",".join(map(_cell, row)) for row in found.rows)]
    exact = found.exact and not lacking
    return Export("csv", "\n".join(lines) + "\n", ".csv", exact, found.deviation, (*lacking, *found.notes))


def _cell(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def json_table(schedule: Schedule, steps: int | None = None) -> Export:
    """The schedule's text and its points."""
    found = _table(schedule, steps)
    points = ",\n".join(f"  {json.dumps(dict(zip(found.columns, row, strict=True)))}" for row in found.rows)
    average = parts(schedule)[2]
    head: dict[str, object] = {"schedule": schedule.text, **({"average": average.text} if average else {})}
    head |= {"breaks": list(schedule.breaks), "deviation": found.deviation, "notes": list(found.notes)}
    words = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in head.items())
    text = f'{{\n{words} "points": [\n{points}\n ]\n}}\n'
    return Export("json", text, ".json", found.exact, found.deviation, found.notes)


@dataclass(frozen=True)
class _Table:
    columns: tuple[str, ...]
    rows: list[tuple[float, ...]]
    deviation: float  # of straight lines between the rates, over the peak
    exact: bool
    notes: tuple[str, ...]


def _table(schedule: Schedule, steps: int | None) -> _Table:
    at, batch = rows(schedule, steps), parts(schedule)[1]
    rates: FloatArray = schedule(at)
    far = deviation(schedule, lambda t: np.interp(t, at, rates))
    notes = list(_between(far, "peak"))
    columns, values = ["step", "lr"], [at, rates.tolist()]
    if batch:
        sizes = batch(at)
        t = compared(schedule)
        notes += _between(float(np.abs(np.interp(t, at, sizes) - batch(t)).max()) / max(batch.sizes), "largest batch")
        columns.append("batch_multiple" if batch.relative else "batch_tokens")
        values.append(sizes.tolist())
    for name, part in unknown_to_laws(schedule).items():
        values.append(part(at).tolist())
        columns.append(PARTS[name].column)
        if isinstance(part, Schedule) or part.shape == "ramp":
            t = compared(schedule)
            highest = part.peak if isinstance(part, Schedule) else max(part.values)
            off = float(np.abs(np.interp(t, at, values[-1]) - part(t)).max())
            notes += _between(off / (highest or 1.0), f"highest {PARTS[name].noun}")
    exact = not notes
    notes.append("The last row belongs to the step after the last update.")
    return _Table(tuple(columns), list(zip(*values, strict=True)), far, exact, tuple(notes))


def _between(far: float, what: str) -> tuple[str, ...]:
    """The sentence on straight lines between the rows, which are so far off over `what`."""
    if far <= EXACT:
        return ()
    return (
        f"The rows are exact; straight lines between them are off by up to {relative_error(far)} of the {what}: more "
        "rows (--steps) bring them closer.",
    )


CSV = Target(
    "csv",
    "CSV",
    csv,
    takes="table",
    plan=csv,
    holds=frozenset({"weight_decay", "auxiliary", "text", "sequence"}),
    native="the rates of some steps",
    source="https://www.rfc-editor.org/rfc/rfc4180",
    version="RFC 4180",
)
JSON = Target(
    "json",
    "JSON",
    json_table,
    takes="table",
    plan=json_table,
    holds=frozenset({"weight_decay", "auxiliary", "text", "sequence"}),
    native="the rates of some steps",
    source="https://www.rfc-editor.org/rfc/rfc8259",
    version="RFC 8259",
)
