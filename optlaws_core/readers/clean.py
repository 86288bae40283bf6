"""Points of one quantity, cleaned: what was dropped or reordered is counted and said, never silent.

Order of the rules: rows without a step, cells with text, NaN and inf, resumes and repeated steps, order.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray, different
from ..errors import LogError, NoNumbers
from ..text import counted, shortened
from .base import LARGEST_STEP, Note
from .doubts import wild
from .micro_batches import mean_of_each, means
from .opened import Numbers, RawRun
from .questions import EPOCHS, Question, Unanswered

Several = Literal["last", "first", "mean"]
ALL = slice(None)
MOST_RESUMES = 200  # with more steps backwards than this a file is unsorted, not resumed


@dataclass(frozen=True, eq=False)
class Points:
    """Steps that rise strictly, and a finite value at each."""

    steps: IntArray  # (n,)
    values: FloatArray  # (n,)
    notes: tuple[Note, ...] = ()
    rows: int = 0  # with a step and a value, where they were counted


def points(
    raw: RawRun, x: Numbers, y: Numbers, what: str, per_step: float | None = None, several: Several = "last"
) -> Points:
    """The points of `y` over `x`. `what` names y in messages; `per_step` is what one update adds to x, if not 1.

    `several` says what the value of a step with several rows is, where the rows are in the order of their steps.
    Raises `LogError` when most cells are text, or when x cannot be a step.
    """
    what, notes = shortened(what), list[str]()
    rows = _rows_with_numbers(raw, x, y, what, notes)
    steps = _whole_steps(raw, x.values[rows], rows, per_step)
    if several != "last" and (np.diff(steps) >= 0).all():
        return _of_each(steps, y.values[rows], several)
    values = y.values[rows]
    given = len(values)
    if together := mean_of_each(steps, values):
        steps, values, told = together
        notes.append(told)
    order, more = _last_of_each(steps, _unsorted(x.values))
    notes += more
    values = values[order]
    said = [Note("repaired", f"{what}: {n}", raw.name) for n in notes]
    said += [Note("info", f"{what}: {n}", raw.name) for n in wild(steps[order], values)]
    return Points(steps[order], values, tuple(said), given)


def _of_each(steps: IntArray, values: FloatArray, several: Several) -> Points:
    """One value for each step of (n,) that rise: the mean or the first of its rows, as of micro-batches."""
    found, first = np.unique(steps, return_index=True)
    return Points(found, values[first] if several == "first" else means(values, first), rows=len(values))


def _rows_with_numbers(raw: RawRun, x: Numbers, y: Numbers, what: str, notes: list[str]) -> IntArray | slice:
    """Rows in which both a step and a finite value stand; a slice where all do, which copies nothing."""
    filled = ~np.isnan(y.values)
    said = int(filled.sum()) + len(y.words) + len(y.nans)
    if len(y.words):
        where = _where(raw, y.words[0])
        if 2 * len(y.words) > said:
            raise NoNumbers(
                f"{what}: more than half of the cells must be numbers, but {len(y.words):,} of {said:,} hold text, "
                f"first {y.word!r}{where}."
            )
        notes.append(f"{counted(len(y.words), 'row')} with text instead of a number dropped (first {y.word!r}{where}).")
    bad_x = len(x.words) and np.isin(x.words, np.flatnonzero(filled)).sum()
    if bad_x:
        where = _where(raw, x.words[0])
        if 2 * bad_x > filled.sum():
            raise NoNumbers(
                f"steps: they must be numbers, but {bad_x:,} of {filled.sum():,} are text, first {x.word!r}{where}."
            )
        notes.append(f"{counted(int(bad_x), 'row')} with text instead of a step dropped (first {x.word!r}{where}).")
    unplaced = filled & ~np.isfinite(x.values)
    missing = int(unplaced.sum()) - int(bad_x)
    if missing:
        notes.append(
            f"{counted(missing, 'row')} without a step dropped{_where(raw, int(np.argmax(unplaced)), ' (first')}."
        )
    filled &= ~unplaced
    _note_not_finite(raw, x, y, filled, notes)
    filled &= _finite(y.values)
    return ALL if filled.all() else np.flatnonzero(filled)


def _note_not_finite(raw: RawRun, x: Numbers, y: Numbers, filled, notes: list[str]) -> None:
    odd = np.union1d(y.nans, np.flatnonzero(filled & ~_finite(y.values)))
    if len(odd):
        step = x.values[odd[0]]
        at = f"first at step {step:,.0f}" if np.isfinite(step) else "without a step"
        notes.append(f"{counted(len(odd), 'row')} with NaN or infinity dropped ({at}).")


def _finite(values: FloatArray) -> NDArray[np.bool_]:
    """Which values are finite; the largest float is how MLflow writes infinity."""
    return np.abs(values) < np.finfo(float).max


def _whole_steps(raw: RawRun, x: FloatArray, rows: IntArray | slice, per_step: float | None) -> IntArray:
    """x as steps, (n,) in the file's order."""
    if len(x) and x.min() < 0:
        i = int(np.argmax(x < 0))
        raise LogError(f"steps: they must not be negative, got {x[i]:g}{_where(raw, _row(rows, i))}.")
    steps = np.round(x if per_step is None else x / per_step)
    if len(x) and steps.max() > LARGEST_STEP:
        raise LogError(f"steps: the largest may be {LARGEST_STEP:,}, got {steps.max():.3g}; is this column a time?")
    if per_step is None and (off := np.abs(x - steps) > 1e-6).any():
        i = int(np.argmax(off))
        where = _where(raw, _row(rows, i))
        raise Unanswered(
            f"steps: they must be whole numbers, got {x[i]:g}{where}; is this column an epoch or a time?",
            Question("x", "Do the fractions on the x axis count epochs?", (EPOCHS,)),
        )
    return steps.astype(np.int64)


def _row(rows: IntArray | slice, i: int) -> int:
    return i if isinstance(rows, slice) else int(rows[i])


def _unsorted(x: FloatArray) -> bool:
    """Whether the rows stand in no order: seen by all of them, since a sparse column may look like a resume."""
    x = x[np.isfinite(x)]
    return int((np.diff(x) < 0).sum()) > max(MOST_RESUMES, len(x) // 5)


def _last_of_each(steps: IntArray, unsorted: bool = False) -> tuple[IntArray | slice, list[str]]:
    """Indices that put `steps` in strict order, the last value of each step kept; and what to say about it."""
    falls = np.flatnonzero(np.diff(steps) < 0) + 1  # (r,) where a step is below the one before
    if len(falls) == 0 and not (len(steps) > 1 and (np.diff(steps) == 0).any()):
        return ALL, []
    resumed = not unsorted and len(falls) <= min(MOST_RESUMES, max(3, len(steps) // 20))
    kept = np.flatnonzero(_not_overtaken(steps, falls)) if resumed else np.arange(len(steps))
    order = kept[np.argsort(steps[kept], kind="stable")]
    last = np.append(np.diff(steps[order]) > 0, True)
    order = order[last]
    return order, _said(steps, falls, order, resumed)


def _not_overtaken(steps: IntArray, falls: IntArray) -> np.ndarray:
    """False for points that a later, resumed stretch went over again, (n,) bool.

    A stretch that lies wholly after a later one was not resumed: the file is only out of order there.
    """
    keep = np.ones(len(steps), bool)
    bounds = [0, *falls.tolist(), len(steps)]
    stretches = list(zip(bounds, bounds[1:], strict=False))
    for k, (start, stop) in enumerate(stretches):
        later = [steps[a] for a, b in stretches[k + 1 :] if steps[b - 1] >= steps[start]]
        if later:
            keep[start:stop] = steps[start:stop] < min(later)
    return keep


def _said(steps: IntArray, falls: IntArray, order: IntArray, resumed: bool) -> list[str]:
    """Sentences about repeats and order."""
    twice = len(steps) - different(steps)
    gone = len(steps) - len(order)
    stood = f"{twice:,} {'step' if twice == 1 else 'steps'} stood twice"
    if resumed and gone and len(falls):
        back = f"the run was resumed at step {steps[falls[0]]:,}"
        more = f", {len(falls)} times in all" if len(falls) > 1 else ""
        if gone == twice:
            return [f"{stood} ({back}{more}); the last value of each was kept."]
        return [f"{counted(gone, 'point')} from before a resume dropped ({back}{more}); the later ones were kept."]
    said = []
    if len(falls):
        said.append(
            f"the rows were not in the order of their steps (first at step {steps[falls[0]]:,}) and were sorted."
        )
    if gone:
        first = _first_repeat(steps)
        said.append(f"{stood} (first step {first:,}); the last value of each was kept.")
    return said


def _first_repeat(steps: IntArray) -> int:
    ordered = np.sort(steps)
    return int(ordered[:-1][np.diff(ordered) == 0][0])


def _where(raw: RawRun, row: int, lead: str = "") -> str:
    """` in line 12`, or nothing where the format has no lines."""
    line = raw.line(int(row))
    if line is None:
        return ""
    return f"{lead} in line {line:,})" if lead else f" in line {line:,}"


def checked_losses(found: Points, what: str) -> None:
    """Raises `LogError` when there is nothing to fit: fewer than two points, or one value all along."""
    if len(found.steps) == 1 and found.rows > 1:
        raise LogError(
            f"{shortened(what)}: a curve needs at least 2 steps, but all {found.rows:,} points are at step "
            f"{found.steps[0]:,}; were they logged without steps?"
        )
    if len(found.steps) < 2:
        one = f"only step {found.steps[0]:,}" if len(found.steps) else "none"
        raise LogError(f"{shortened(what)}: a curve needs at least 2 points, got {one}.")
    if (found.values == found.values[0]).all():
        raise LogError(
            f"{shortened(what)}: losses must change, but all {len(found.values):,} are {found.values[0]:g}; "
            "is this the loss column?"
        )
