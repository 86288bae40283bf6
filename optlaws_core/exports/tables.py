"""Targets that are tables of steps and rates."""

import json

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..schedules.base import Schedule
from ..text import relative_error
from .base import EXACT, Export, Target, deviation

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
    """Columns step and lr."""
    at, rates, far, notes = _table(schedule, steps)
    text = "step,lr\n" + "".join(f"{t},{y!r}\n" for t, y in zip(at, rates, strict=True))
    return Export("csv", text, ".csv", far <= EXACT, far, notes)


def json_table(schedule: Schedule, steps: int | None = None) -> Export:
    """The schedule's text and its points."""
    at, rates, far, notes = _table(schedule, steps)
    points = ",\n".join(f'  {{"step": {t}, "lr": {y!r}}}' for t, y in zip(at, rates, strict=True))
    head = {"schedule": schedule.text, "breaks": list(schedule.breaks), "deviation": far, "notes": list(notes)}
    words = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in head.items())
    return Export("json", f'{{\n{words} "points": [\n{points}\n ]\n}}\n', ".json", far <= EXACT, far, notes)


def _table(schedule: Schedule, steps: int | None) -> tuple[list[int], list[float], float, tuple[str, ...]]:
    at = rows(schedule, steps)
    rates: FloatArray = schedule(at)
    far = deviation(schedule, lambda t: np.interp(t, at, rates))
    notes: tuple[str, ...] = ("The last row belongs to the step after the last update.",)
    if far > EXACT:
        notes = (
            f"The rows are exact; straight lines between them are off by up to {relative_error(far)} of the peak: more "
            "rows (--steps) bring them closer.",
            *notes,
        )
    return at, rates.tolist(), far, notes


CSV = Target(
    "csv",
    "CSV",
    csv,
    takes="table",
    native="the rates of some steps",
    source="https://www.rfc-editor.org/rfc/rfc4180",
    version="RFC 4180",
)
JSON = Target(
    "json",
    "JSON",
    json_table,
    takes="table",
    native="the rates of some steps",
    source="https://www.rfc-editor.org/rfc/rfc8259",
    version="RFC 8259",
)
