"""CSV, TSV, semicolon- and space-separated tables, with any column names."""

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...arrays import IntArray
from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_ROWS, Layout
from ..cells import Table
from ..finished_runs import check_is_log
from ..format import Content, Format
from ..header import Header, cells_of
from ..layout import guess_layout
from ..opened import Numbers, Opened, RawRun

MOST_RUNS = 2_000  # in one file
SAMPLE = b"step,loss,lr\n0,3.25,0.001\n10,2.5,0.001\n20,2.125,0.0005\n30,2.0,0.0\n"


def open_delimited(content: Content) -> Opened:
    """A table with a header, opened. Raises `FinishedRuns` for one whose rows are runs."""
    check_is_log(content)
    # The runs hold on to no more of the content than they need.
    header, text, file = content.header, content.text, content.file
    return Opened(
        header.columns, guess_layout(header.columns), lambda layout: read_delimited(text, layout, header, file)
    )


def table_of(data: bytes, header: Header, file: str) -> Table:
    """The rows below a header. Raises `LogError` for a row with more cells than the header, and for too many rows."""
    _check_width(data, header, file)
    return Table(data, header.start, header.delimiter, len(header.columns))


def read_columns(data: bytes, header: Header, names: Iterable[str], file: str) -> dict[str, Numbers]:
    """The columns `names` as numbers, all of one length. Raises `LogError` as `table_of` does."""
    index = {name: header.columns.index(name) for name in names}
    numbers = table_of(data, header, file).numbers(list(index.values()))
    return {name: numbers[i] for name, i in index.items()}


def read_delimited(data: bytes, layout: Layout, header: Header, file: str) -> list[RawRun]:
    """One raw run, or one for each name in the layout's run column. Its name is empty where the file does not say."""
    names = tuple(c for c in layout.columns if c != layout.run) or header.columns[:1]
    columns = read_columns(data, header, names, file)
    first = header.line + 1
    if layout.run is None:
        return [RawRun("", columns, lines=first)]
    codes, runs = table_of(data, header, file).names(header.columns.index(layout.run))
    return one_per_run(columns, codes, runs, layout.run, first)


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


def _check_width(data: bytes, header: Header, file: str) -> None:
    """Raises `LogError` for the first row with more cells than the header, and for too many rows."""
    rows = data.count(b"\n", header.start) + (not data.endswith(b"\n"))
    if rows > MOST_ROWS:
        raise LogError(f"{file}: a file may have {MOST_ROWS:,} rows, this one has {rows:,}.", file)
    delimiter, width = header.delimiter.encode(), len(header.columns)
    if header.delimiter == " " or data.count(delimiter, header.start) <= (width - 1) * rows:
        return
    lines = io.BytesIO(data)
    lines.seek(header.start)
    for number, line in enumerate(lines, header.line + 1):
        if line.startswith(b"#"):
            continue
        if line.count(delimiter) >= width:
            cells = cells_of(line.decode("utf-8", "replace").rstrip("\r\n"), header.delimiter)
            while len(cells) > width and not cells[-1].strip():
                cells.pop()  # delimiters at the end of a line separate nothing
            if len(cells) > width:
                raise LogError(
                    f"{file}: line {number:,} has {len(cells)} cells, but the header names {width} columns.", file
                )


def _format(name: str, delimiter: str, suffix: str) -> Format:
    """Tables with that delimiter."""
    sample = SAMPLE.replace(b",", delimiter.encode())
    return Format(name, (suffix,), lambda c: c.header.delimiter == delimiter, open_delimited, sample, fewest_lines=2)


CSV = _format("CSV", ",", ".csv")
TSV = _format("TSV", "\t", ".tsv")
SEMICOLONS = _format("CSV with semicolons", ";", ".csv")
SPACES = _format("table with spaces", " ", ".txt")
