"""CSV, TSV, semicolon- and space-separated tables, with any column names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ...arrays import IntArray
from ...errors import LogError
from ...text import counted, shortened
from ..base import Layout, Note
from ..finished_runs import check_is_log
from ..format import Content, Format
from ..opened import Numbers, Opened, RawRun
from ..questions import Question
from ..row_kinds import MOST_RUNS, with_kinds
from ..rows import Rows, rows_of
from ..suggest import about_commas, suggested

SAMPLE = b"step,loss,lr\n0,3.25,0.001\n10,2.5,0.001\n20,2.125,0.0005\n30,2.0,0.0\n"


def open_delimited(content: Content) -> Opened:
    """A table with a header, opened. Raises `FinishedRuns` for one whose rows are runs."""
    check_is_log(content)
    # The runs hold on to no more of the content than they need.
    rows = rows_of(content.text, content.header, content.file)
    first = content.header.line + 1
    layout, notes, questions = suggested(rows.columns, lambda names: rows.read(names)[0])
    notes = (*rows.notes, *notes)
    opened = Opened(rows.columns, layout, lambda layout: read_rows(rows, layout, first), notes, questions)
    return with_kinds(opened, lambda names: rows.read(names)[0], rows.names, cache(rows.head))


def read_columns(
    rows: Rows, names: Iterable[str], layout: Layout
) -> tuple[dict[str, Numbers], tuple[Note, ...], tuple[Question, ...]]:
    """The columns `names` as numbers, all of one length, and what is said and asked about their commas."""
    counts = [c for c in (layout.x, layout.tokens) if c is not None]
    columns, decimal, unsure = rows.read(names, counts, layout.commas)  # type: ignore[arg-type]
    return columns, *about_commas(decimal, unsure, layout)


def read_rows(rows: Rows, layout: Layout, first: int) -> list[RawRun]:
    """One raw run, or one for each name in the layout's run column. Its name is empty where the file does not say."""
    names = tuple(c for c in layout.columns if c != layout.run) or rows.columns[:1]
    columns, notes, questions = read_columns(rows, names, layout)
    if layout.run is None:
        return [RawRun("", columns, lines=first, notes=notes, questions=questions, headers=rows.headers)]
    codes, runs = rows.names(layout.run)
    filled = len(next(iter(columns.values())))  # 0 for a line that ends with the file and is no row of numbers
    found = one_per_run(columns, codes[:filled], runs, layout.run, first)
    return [replace(run, notes=notes, questions=questions) for run in found]


def one_per_run(
    columns: Mapping[str, Numbers], codes: IntArray, runs: Sequence[str], by: str, first: int | None = None
) -> list[RawRun]:
    """The rows of each run: `codes` tell whose a row is, as an index of `runs`, −1 for nobody's; `first` is its line.

    Raises `LogError` for more than `MOST_RUNS` runs.
    """
    if len(runs) > MOST_RUNS:
        raise LogError(
            f"a file may hold {counted(MOST_RUNS, 'run')}, but the column {shortened(by)!r} names {len(runs):,}."
        )
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(runs) + 1))
    groups = (order[a:b] for a, b in zip(bounds, bounds[1:], strict=False))
    return [
        RawRun(run, {n: c.take(rows) for n, c in columns.items()}, lines=None if first is None else rows + first)
        for run, rows in zip(runs, groups, strict=True)
    ]


def _format(name: str, delimiter: str, suffix: str) -> Format:
    """Tables with that delimiter."""
    sample = SAMPLE.replace(b",", delimiter.encode())
    return Format(name, (suffix,), lambda c: c.header.delimiter == delimiter, open_delimited, sample, fewest_lines=2)


CSV = _format("CSV", ",", ".csv")
TSV = _format("TSV", "\t", ".tsv")
SEMICOLONS = _format("CSV with semicolons", ";", ".csv")
SPACES = _format("table with spaces", " ", ".txt")
