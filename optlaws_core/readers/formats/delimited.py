"""CSV, TSV, semicolon- and space-separated tables, with any column names."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import IntArray
from ...errors import LogError
from ...text import counted, listed, shortened
from ..base import MOST_ROWS, Layout, Numbers, Opened, RawRun
from ..cells import Table
from ..layout import guess_layout

DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", " ": "table with spaces"}
BOM = b"\xef\xbb\xbf"
LONGEST_HEADER = 1_000_000  # bytes
MOST_RUNS = 2_000  # in one file


@dataclass(frozen=True)
class Header:
    """The first line that is no comment."""

    columns: tuple[str, ...]
    delimiter: str
    line: int  # 1-based
    start: int  # bytes before the data

    @property
    def format(self) -> str:
        return DELIMITERS[self.delimiter]


def open_delimited(data: bytes, header: Header, file: str) -> Opened:
    """A table with a header, opened."""
    return Opened(
        header.format,
        header.columns,
        guess_layout(header.columns),
        lambda layout: read_delimited(data, layout, header, file),
    )


def header_of(data: bytes, file: str) -> Header:
    """The header of a table. Raises `LogError` when there is none."""
    at, line = len(BOM) if data.startswith(BOM) else 0, 1
    while data[at : at + 1] in (b"#", b"\n", b"\r"):
        end = data.find(b"\n", at)
        if end < 0:
            raise LogError(f"{file}: the file holds comments only, no table.", file)
        at, line = end + 1, line + 1
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    if end - at > LONGEST_HEADER:
        raise LogError(f"{file}: line {line} is longer than {LONGEST_HEADER:,} bytes, so it is no table header.", file)
    text = data[at:end].decode("utf-8", "replace").strip("\r\n")
    delimiter = _delimiter(text)
    columns = tuple(c.strip() for c in _cells(text, delimiter))
    if not any(columns):
        raise LogError(f"{file}: line {line} must name the columns, but it names none.", file)
    if all(re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", c) for c in columns):
        raise LogError(f"{file}: line {line} must name the columns, but it holds numbers ({listed(columns, 4)}).", file)
    return Header(unique_names(columns), delimiter, line, end + 1)


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
            cells = _cells(line.decode("utf-8", "replace").rstrip("\r\n"), header.delimiter)
            while len(cells) > width and not cells[-1].strip():
                cells.pop()  # delimiters at the end of a line separate nothing
            if len(cells) > width:
                raise LogError(
                    f"{file}: line {number:,} has {len(cells)} cells, but the header names {width} columns.", file
                )


def _delimiter(line: str) -> str:
    counts = {d: len(_cells(line, d)) for d in (",", "\t", ";")}
    best = max(counts, key=counts.get)
    if counts[best] > 1:
        return best
    return " " if len(line.split()) > 1 and '"' not in line else ","


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def unique_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Column names, each once: a second `loss` becomes `loss (2)`, an empty one `column 3`."""
    seen: dict[str, int] = {}
    out = []
    for i, name in enumerate(columns, 1):
        name = name or f"column {i}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(out)
