"""What a column of steps counts, where its numbers leave that open: questions, and columns turned into updates.

Three signs are looked for: no column at all (row numbers), a counter that begins anew, and a learning rate that changes
only with every k-th row (micro-batches).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import FloatArray, IntArray
from ..text import counted, shortened
from .base import LARGEST_STEP, Layout
from .opened import Numbers, RawRun
from .questions import LOG_CALLS, MICRO_BATCHES, Answer, Question

MOST_RESTARTS = 50  # of a counter; with more the rows are in no order
FEWEST_STEPS = 3  # of a stretch that may have been trained
LARGEST_CALL = 5  # logged steps that are multiples of as many were named by the program
MOST_MICRO_BATCHES = 4096  # of one update
FEWEST_CHANGES = 3  # of a rate, from which its rhythm is read

ROWS = Answer("updates", "Each row is one update.")
CONTINUED = Answer(
    "continued",
    "Training continued: the counter lost its place when the run was resumed.",
    {"restarts": "continued"},
)
OVER = Answer("over", "Training started over: the later rows replace the earlier ones.", {"restarts": "resumed"})
SEPARATE = Answer("separate", "These are several runs, one after another.", {"restarts": "separate"})


@dataclass(frozen=True)
class Stretch:
    """Rows of a counter between two restarts: from `start` up to `stop`."""

    start: int
    stop: int


def row_numbers() -> Question:
    """The question of a log without a column of steps."""
    rows = replace(LOG_CALLS, text="Each row stands for several updates.", amount="updates per row")
    return Question("x", "No column counts steps: is each row one update?", (ROWS, rows))


def log_calls(name: str, x: Numbers) -> Question | None:
    """The question of a column in which W&B counts; None where the steps are such as only a program names."""
    steps = np.unique(x.values[np.isfinite(x.values)])
    whole = len(steps) > 1 and (steps == np.round(steps)).all() and np.abs(steps).max() <= LARGEST_STEP
    if whole and np.gcd.reduce(steps.astype(np.int64)) >= LARGEST_CALL:
        return None
    text = f"W&B counts calls of its logger unless a program says otherwise: does {shortened(name)!r} count updates?"
    calls = replace(LOG_CALLS, text="No: it counts calls of the logger, each of which stands for several updates.")
    return Question("x", text, (Answer("updates", "Yes, each is one update."), calls))


def restarted(raw: RawRun, layout: Layout, x: Numbers, y: Numbers) -> Question | None:
    """The question of a counter that begins anew at its start, with the losses (n,) beside it; None for any other."""
    rows = np.flatnonzero(np.isfinite(x.values) & np.isfinite(y.values))
    found = stretches(x.values[rows])
    if len(found) < 2:
        return None
    loss, (first, second, *_) = y.values[rows], found
    last, again, begun = loss[first.stop - 1], loss[second.start], loss[first.start]
    went_on = abs(again - last) < abs(again - begun)
    near = "near the last loss before" if went_on else "near the first loss of the log"
    at = x.values[rows[second.start]]
    text = (
        f"The counter {shortened(str(layout.x or 'step'))!r} falls from {x.values[rows[first.stop - 1]]:,.0f} back to "
        f"{at:,.0f}{_times(len(found) - 1)}, where the loss is {again:.4g}, {near}"
    )
    if sign := _another_run(raw, layout, [rows[s.start : s.stop] for s in found]):
        return about_restart(f"{text}; {sign}: are these several runs?", True, went_on, raw.name)
    return about_restart(f"{text}: did training continue?", False, went_on, raw.name)


def about_restart(text: str, several: bool, went_on: bool, run: str = "") -> Question:
    """The question what a counter that begins anew means: likely `several` runs, or one that `went_on` or did not."""
    if several:
        return Question("restart", text, (SEPARATE, *((CONTINUED, OVER) if went_on else (OVER, CONTINUED))), run)
    return Question("restart", text, (CONTINUED, OVER, SEPARATE) if went_on else (OVER, SEPARATE, CONTINUED), run)


def _another_run(raw: RawRun, layout: Layout, found: Sequence[IntArray]) -> str:
    """What shows, at each restart between the stretches whose rows are `found`, that another run begins there."""
    both = list(zip(found, found[1:], strict=False))
    if all(any(a[-1] < header < b[0] for header in raw.headers) for a, b in both):
        return "a header stands there"
    rates = raw.columns.get(layout.lr or "")
    if rates is None or len(rates) <= found[-1][-1]:
        return ""
    held = [values[np.isfinite(values)] for values in (rates.values[rows] for rows in found)]
    if all(len(v) > 1 and (v == v[0]).all() for v in held) and all(
        a[0] != b[0] for a, b in zip(held, held[1:], strict=False)
    ):
        return f"{shortened(str(layout.lr))!r} changes there"
    return ""


def _times(falls: int) -> str:
    return "" if falls == 1 else f" ({falls} times in all)"


def stretches(x: FloatArray) -> list[Stretch]:
    """The stretches of a counter, (n,), that falls back to its start and counts past it again; else the whole of it."""
    falls = np.flatnonzero(x[1:] < x[:-1]) + 1  # differences of the largest numbers overflow
    bounds = [0, *falls.tolist(), len(x)]
    found = [Stretch(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    if not 0 < len(falls) <= MOST_RESTARTS or any(len(np.unique(x[s.start : s.stop])) < FEWEST_STEPS for s in found):
        return [Stretch(0, len(x))]
    if any(x[s.start] > x[0] or x[s.stop - 1] < x[0] for s in found[1:]):
        return [Stretch(0, len(x))]
    return found


def continued(x: Numbers, ends: FloatArray) -> Numbers:
    """A counter that began anew, counted on from the `ends`, (k,), that it had come to before each restart."""
    rows = np.flatnonzero(np.isfinite(x.values))
    found = stretches(x.values[rows])
    if len(found) != len(ends) + 1:
        return x
    values = x.values.copy()
    for stretch, before in zip(found[1:], np.cumsum(ends), strict=True):
        values[rows[stretch.start : stretch.stop]] += before
    return replace(x, values=values)


def ends(x: Numbers) -> FloatArray:
    """What a counter had come to before each restart, (k,); empty for one that did not begin anew."""
    counted_to = x.values[np.isfinite(x.values)]
    return np.array([counted_to[s.stop - 1] for s in stretches(counted_to)[:-1]])


def updates(x: FloatArray, layout: Layout) -> FloatArray:
    """A column of micro-batches, log calls or epochs as updates, (n,); any other as it is."""
    if layout.batch is None or layout.x_unit in ("step", "tokens", "samples"):
        return x
    if layout.x_unit == "micro-batches":
        from_one = bool(np.isfinite(x).any()) and np.nanmin(x) >= 1  # the first micro-batch is 1, or 0
        return np.ceil(x / layout.batch) if from_one else np.floor(x / layout.batch)
    return np.round(x / layout.batch)


def apart(raw: RawRun, layout: Layout) -> list[RawRun]:
    """The runs of a counter that begins anew with each; the run itself where it does not.

    Where they are only likely to be runs of their own, each asks about it.
    """
    x = raw.columns.get(layout.x) if layout.x else None
    if x is None:
        return [raw]
    if layout.restarts != "separate":
        y = next((raw.columns[c] for _, c in layout.losses if c in raw.columns and c not in raw.own_x), None)
        counted = "restart" in layout.answered or layout.x_unit in ("tokens", "samples")
        question = None if counted or y is None or len(y) != len(x) else restarted(raw, layout, x, y)
        if question is None or question.answers[0] is not SEPARATE:
            return [raw]
        raw = replace(raw, questions=(*raw.questions, replace(question, run="")))
    rows = np.flatnonzero(np.isfinite(x.values))
    found = stretches(x.values[rows])
    if len(found) < 2:
        return [raw]
    starts = [0, *(int(rows[s.start]) for s in found[1:]), len(x)]
    groups = [np.arange(a, b) for a, b in zip(starts, starts[1:], strict=False)]
    return [raw.taken(group, f"{raw.name} {n}" if raw.name else "") for n, group in enumerate(groups, 1)]


def rhythm(x: FloatArray, rates: FloatArray) -> int | None:
    """Rows between two changes of a rate that changes at every k-th of consecutive rows only; None for any other.

    Two equal updates in a row, as in a plateau, give no such rhythm: every gap must be k itself. Nor does a curve whose
    rates were rounded: they change by one unit of the last digit, half-way between the updates that fit it exactly.
    """
    fine = np.flatnonzero(np.isfinite(x) & np.isfinite(rates))
    x, rates = x[fine], rates[fine]
    if len(x) < 2 or (x[1:] != x[:-1] + 1).any():
        return None
    changes = np.flatnonzero(np.diff(rates)) + 1
    gaps = np.diff(changes)
    if len(changes) < FEWEST_CHANGES or gaps.min() != gaps.max() or not 2 <= gaps[0] <= MOST_MICRO_BATCHES:
        return None
    every = int(gaps[0])
    if changes[0] > every or len(x) - changes[-1] > every:
        return None
    exact = every > 2 and x[changes[0]] % every in (0, 1)
    return every if exact or np.abs(np.diff(rates)[changes - 1]).min() > 1.5 * last_digit(rates) else None


def last_digit(values: FloatArray) -> float:
    """One unit of the last decimal that numbers, (n,), were printed with; 0 for more than fifteen decimals."""
    for decimals in range(16):
        units = values * 10.0**decimals
        if np.abs(units - np.round(units)).max() < 1e-6:
            return 10.0**-decimals
    return 0.0


def micro_batches(raw: RawRun, layout: Layout, x: Numbers, rates: Numbers) -> Question | None:
    """The question of a log whose rate changes at every k-th step only; None for any other."""
    every = rhythm(x.values, rates.values) if len(x) == len(rates) else None
    if every is None:
        return None
    name = shortened(str(layout.x or "step"))
    text = f"The learning rate changes only at every {every:,}th {name!r}: does {name!r} count updates?"
    said = "No: it counts micro-batches, several of which make one update."
    rows = replace(MICRO_BATCHES, text=said, suggested=float(every))
    updates = Answer("updates", f"Yes: the rate is held for {counted(every, 'update')}.")
    return Question("x", text, (rows, updates), raw.name)
