"""What a format makes of a file, nothing dropped yet: `Opened` with the columns of its runs, or a `Manifest`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import FloatArray, IntArray
from .base import Facts, Layout, Note, Source
from .questions import Question


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column as numbers. NaN is an empty cell, except at `nans` (the log says NaN) and `words` (the log has text)."""

    values: FloatArray  # (n,)
    nans: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # rows
    words: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # rows
    word: str = ""  # the first text found

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: IntArray) -> "Numbers":
        """The same column, `rows` only (rising)."""
        nans, words = (_positions(rows, bad) for bad in (self.nans, self.words))
        return Numbers(self.values[rows], nans, words, self.word)


@dataclass(frozen=True, eq=False)
class RawRun:
    """One run as its log wrote it. Columns share their rows, unless `own_x` gives a column an x of its own."""

    name: str
    columns: Mapping[str, Numbers]
    own_x: Mapping[str, Numbers] = field(default_factory=dict)
    lines: IntArray | int | None = None  # line of each row, or of the first one; None where a format has no lines
    facts: Facts = Facts()
    notes: tuple[Note, ...] = ()
    questions: tuple[Question, ...] = ()
    headers: tuple[int, ...] = ()  # rows at which the header stands again

    def taken(self, rows: IntArray, name: str) -> "RawRun":
        """The run of that name that has `rows` (rising) of this one's, whose columns share them all."""
        lines = self.lines
        own = None if lines is None else rows + lines if isinstance(lines, int) else lines[rows]
        columns = {c: numbers.take(rows) for c, numbers in self.columns.items()}
        at = np.searchsorted(rows, self.headers).tolist()
        return replace(self, name=name, columns=columns, lines=own, headers=tuple(at))

    def line(self, row: int) -> int | None:
        """The line in the file that row `row` stands on, 1-based."""
        if self.lines is None:
            return None
        return int(self.lines + row if isinstance(self.lines, int) else self.lines[row])


@dataclass(frozen=True, eq=False)
class Opened:
    """A log whose format is known: its columns, the layout they suggest, and its runs under any layout."""

    columns: tuple[str, ...]
    layout: Layout
    runs: Callable[[Layout], list[RawRun]]
    notes: tuple[Note, ...] = ()
    # What the columns' names and the format leave open; the layout is that of the likely answers.
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One row of a manifest."""

    manifest: Source
    row: int  # as a spreadsheet counts, the header being row 1
    run: str
    file: str
    facts: Facts

    @property
    def at(self) -> str:
        return f"{self.manifest.shown}, row {self.row}"


@dataclass(frozen=True)
class Manifest:
    """A table that declares what the logs beside it do not say; at least one row."""

    source: Source
    entries: tuple[Entry, ...]


def _positions(rows: IntArray, some: IntArray) -> IntArray:
    """Where in `rows` those of `some` stand, both rising: at the cost of `rows`, however many `some` are."""
    at = np.searchsorted(some, rows)
    return np.flatnonzero(some[np.minimum(at, len(some) - 1)] == rows) if len(some) else np.empty(0, np.int64)
