"""Curves as trackers keep them: points of one quantity, step and value, in the order in which they were logged."""

import re
from collections.abc import Iterable
from dataclasses import replace

from ..errors import LogError
from .base import MOST_COLUMNS, MOST_ROWS, Facts, Layout, Note
from .layout import guess_layout
from .numbers import from_cells
from .opened import Numbers, Opened, RawRun
from .questions import Answer, Question

# How DeepSpeed begins the names of what it writes over samples; they say so nowhere else.
IN_SAMPLES = re.compile(r"(?:Train|Validation|Eval)[_/]Samples[_/]", re.IGNORECASE)


class Curves:
    """The curves of one run, by the names of their quantities."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[list[object], list[object]]] = {}  # column -> steps, values
        self.rows = 0

    def add(self, column: str, step: object, value: object) -> None:
        """One point. Raises `LogError` for too many."""
        if column not in self.points and len(self.points) >= MOST_COLUMNS:
            raise LogError(f"a run may have {MOST_COLUMNS:,} quantities, this one has more.")
        steps, values = self.points.setdefault(column, ([], []))
        steps.append(step)
        values.append(value)
        self.rows += 1
        if self.rows > MOST_ROWS:
            raise LogError(f"a run may have {MOST_ROWS:,} points, this one has more.")

    def raw_run(self, name: str, facts: Facts | None = None, notes: tuple[Note, ...] = ()) -> RawRun:
        """The run; every column has its own steps."""
        columns = {column: from_cells(values) for column, (_, values) in self.points.items()}
        own_x = {column: from_cells(steps) for column, (steps, _) in self.points.items()}
        return RawRun(name, columns, own_x, None, facts or Facts(), notes)


def opened(raws: Iterable[RawRun], notes: tuple[Note, ...] = ()) -> Opened:
    """Runs whose columns have steps of their own, opened. Raises `LogError` where there are none."""
    runs = [*raws]
    columns = tuple(dict.fromkeys(column for raw in runs for column in raw.columns))
    if not columns:
        raise LogError("no metrics are logged here.")
    return Opened(columns, own_layout(columns), lambda layout: [_used(raw, layout) for raw in runs], notes)


def own_layout(columns: Iterable[str]) -> Layout:
    """The layout of columns each of which has steps of its own, or counts samples, as names of DeepSpeed say."""
    names = {IN_SAMPLES.sub("", column): column for column in columns}
    guess = guess_layout(("step", *names))
    losses = tuple((split, names[column]) for split, column in guess.losses)
    lr, tokens = (names.get(column) if column else None for column in (guess.lr, guess.tokens))
    unit = "samples" if any(IN_SAMPLES.match(column) for _, column in losses) else "step"
    return Layout("step", unit, losses, lr, tokens=tokens, loss_unit=guess.loss_unit)


def _used(raw: RawRun, layout: Layout) -> RawRun:
    """The run without the columns that nobody asks for."""
    used = set(layout.columns)
    columns = {c: numbers for c, numbers in raw.columns.items() if c in used}
    own_x: dict[str, Numbers] = {c: x for c, x in raw.own_x.items() if c in columns}
    return RawRun(raw.name, columns, own_x, None, raw.facts, raw.notes, raw.questions)


def asking_alone(opened: Opened) -> Opened:
    """A file of one curve that nothing names: it is taken for the training loss, and that is asked."""
    if opened.layout.losses or len(opened.columns) != 1:
        return opened
    (column,) = opened.columns
    answers = (
        Answer("train", "Yes, they are the training loss."),
        Answer("val", "They are a validation loss.", {"losses": (("val", column),)}),
    )
    question = Question("value", "The file does not say what its values are; are they the training loss?", answers)
    layout = replace(opened.layout, losses=(("train", column),), lr=None)
    return replace(opened, layout=layout, questions=(*opened.questions, question))
