"""What a visitor works on, as it is kept between visits: names and references alone, so that it costs nothing to hold.

`packing` makes the bytes of it and reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..fitting.result import Model
    from ..fitting.selection import Selection
    from ..prediction.divergence import Risk
    from ..readers import FileReport, Layout, Source
    from ..runs import Run

# A candidate: its text, which need not be a schedule yet; its label; whether it is on; its colour, None: not given yet.
Row = tuple[str, str, bool, int | None]
Rows = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Stock:
    """Runs with the files they came from, and the fits to them. Two are the same when they hold the same objects."""

    runs: Mapping[str, Run] = field(default_factory=dict)
    reports: Mapping[str, FileReport] = field(default_factory=dict)  # by the name of the file
    sources: Mapping[str, Source] = field(default_factory=dict)  # uploads, as they came
    layouts: Mapping[str, Layout] = field(default_factory=dict)  # corrections by the user, by the name of the file
    example: bool = False  # whether the runs are the project's own
    fits: Mapping[str, Model] = field(default_factory=dict)
    selections: Mapping[str, Selection] = field(default_factory=dict)  # what a fit was judged beside
    bases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # fit -> training run -> digest of its content
    current: str | None = None  # name of the fit in use
    choice: Mapping[str, object] = field(default_factory=dict)  # what was chosen to be fitted, plain values
    parent: str | None = None  # digest of the saved comparison that this began as a copy of
    risk: Risk | None = None  # of divergence, that came with it
    aim: Mapping[str, float | None] = field(default_factory=dict)  # the run that is decided about; empty: not known
    draft: Mapping[str, str] = field(default_factory=dict)  # words of a comparison to be saved


@dataclass(frozen=True)
class Table:
    """An uploaded table of final losses, and what was said of it."""

    name: str
    content: bytes
    sure: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True)
class Before:
    """Work that another took the place of, so that it can be had back."""

    stock: Stock
    rows: Rows  # the candidates then
    after: Rows  # and just after
    said: str  # what became of it, one sentence


@dataclass(frozen=True)
class Work:
    """Everything of a visitor that outlives the visit."""

    stock: Stock = field(default_factory=Stock)
    rows: Rows = ()  # the candidates
    proposed: Rows = ()  # those that were proposed last, which give way to other proposals while nobody edits them
    past: tuple[Rows, ...] = ()  # lists of candidates before this one, the latest last
    future: tuple[Rows, ...] = ()  # those that were undone, the next to be redone last
    tables: Mapping[str, Table] = field(default_factory=dict)
    before: tuple[Before, ...] = ()  # the latest last
    trainer: str | None = None  # what the big run is trained with
