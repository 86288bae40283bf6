"""Parquet: flat columns of numbers and texts, each read only when it is used. Needs the package pyarrow.

`parquet_sizes` looks at a file first, since a small one can unpack to any size.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...arrays import IntArray, different
from ...errors import LogError
from ...text import listed, shortened
from ..base import MOST_COLUMNS, Layout, Note
from ..doubts import odd_digits, off_grid
from ..format import Content, Format
from ..header import unique_names
from ..numbers import Commas, Marks, marks_of
from ..opened import Numbers, Opened, RawRun
from ..row_kinds import with_kinds
from ..suggest import about_commas, suggested
from .delimited import one_per_run
from .parquet_sizes import MAGIC, Footer, check_sizes, dictionary_entries, read_footer
from .records import FIRST

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# What is read, by how it is stored and what that stands for. Not read: times, identifiers, lists, maps and the like.
_READ = {
    "BOOLEAN": {"NONE"},
    "INT32": {"NONE", "INT", "DECIMAL", "UNKNOWN"},
    "INT64": {"NONE", "INT", "DECIMAL"},
    "FLOAT": {"NONE"},
    "DOUBLE": {"NONE"},
    "BYTE_ARRAY": {"NONE", "STRING", "ENUM"},
    "FIXED_LEN_BYTE_ARRAY": {"DECIMAL", "FLOAT16"},
}
_WIDEST = 32  # bytes of a decimal
_EXACT = 2**53  # whole numbers up to here are floats
_FAULT = re.compile(r"\b\w+(Exception|Error): ?")  # what a fault is called inside pyarrow says nothing to a user


@dataclass(frozen=True, eq=False)
class Table:
    """A file whose footer was read."""

    data: bytes
    footer: Footer
    file: pq.ParquetFile
    places: dict[str, int]  # columns that are read -> which of the file's columns they are
    texts: frozenset[int]  # places
    ranges: dict[str, range]  # columns that pandas wrote as their start, stop and step

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that can be read."""
        return (*self.ranges, *self.places)


def open_parquet(content: Content) -> Opened:
    """A Parquet file, opened; no column is read yet. Raises `LogError` for what is damaged, encrypted or too large."""
    with _as_log_errors():
        table, ignored = _table(content.data)
    text = f"Only flat columns of numbers or texts are read; ignored: {listed(ignored, 6)}."
    notes = (Note("info", text),) if ignored else ()
    layout, more, questions = suggested(table.columns, lambda names: _read(table, names))
    opened = Opened(table.columns, layout, lambda layout: read_parquet(table, layout), (*notes, *more), questions)
    return with_kinds(opened, lambda names: _read(table, names), lambda c: _names_of(table, c), lambda: _Heads(table))


class _Heads(dict[str, Sequence[str]]):
    """What stands in the columns, each read when it is asked for."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def get(self, column: str, default: object = None) -> Sequence[str]:
        codes, names = _names_of(self.table, column, FIRST)
        return [names[code] if code >= 0 else "" for code in codes]


def _names_of(table: Table, column: str, first: int | None = None) -> tuple[IntArray, list[str]]:
    """A column of names, as `_names`; or its `first` rows."""
    with _as_log_errors():
        check_sizes(table.data, table.footer, [table.places[column]] if column in table.places else [], table.texts)
        return _names(_column(table, column).slice(0, first))


def _read(table: Table, names: Sequence[str]) -> dict[str, Numbers]:
    """Columns as numbers."""
    with _as_log_errors():
        check_sizes(table.data, table.footer, [table.places[n] for n in names if n in table.places], table.texts)
        return {name: _numbers(_column(table, name), name) for name in names}


def read_parquet(table: Table, layout: Layout) -> list[RawRun]:
    """One raw run, or one for each name in the layout's run column."""
    with _as_log_errors():
        places = [table.places[c] for c in layout.columns if c in table.places]
        check_sizes(table.data, table.footer, places, table.texts)
        stored = {c: _column(table, c) for c in layout.columns if c != layout.run}
        marks = _marks(stored, layout)
        columns = {c: _numbers(column, c, marks) for c, column in stored.items()}
        decimal = {str(c): marks.first[c] for c, mark in marks.of.items() if mark == "decimal"}
        notes, questions = about_commas(decimal, marks.unsure, layout)  # type: ignore[arg-type]
        notes = (*notes, *_damage(table, columns, layout))
        if layout.run is None:
            return [RawRun("", columns, notes=notes, questions=questions)]
        codes, runs = _names(_column(table, layout.run))
    found = one_per_run(columns, codes, runs, layout.run)
    return [replace(run, notes=notes, questions=questions) for run in found]


def _marks(columns: dict[str, pa.ChunkedArray], layout: Layout) -> Marks:
    """What commas stand for in columns of texts."""
    import pyarrow as pa

    seen: dict[object, Commas] = {}
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            seen[name] = Commas()
            seen[name].see(_encoded(column)[1])
    return marks_of(seen, [c for c in (layout.x, layout.tokens) if c], layout.commas)  # type: ignore[arg-type]


def _damage(table: Table, columns: dict[str, Numbers], layout: Layout) -> tuple[Note, ...]:
    """Signs of a flipped bit, which a file without checksums does not notice by itself.

    One that leaves a number likely in size and in digits cannot be seen.
    """
    found = (
        [f"its table of pandas names a column {shortened(lost)!r}, which is not there"]
        if (lost := _lost(table))
        else []
    )
    for name, numbers in columns.items():
        if name in table.places and (why := _against_footer(table, table.places[name], numbers)):
            found.append(f"the column {shortened(name)!r} {why}")
        values = numbers.values[np.isfinite(numbers.values)]
        if name == layout.x and layout.run is None and (at := off_grid(numbers.values)) is not None:
            found.append(f"the step {numbers.values[at]:,.0f} breaks the even spacing of the others")
        elif name not in (layout.x, layout.tokens) and (at := odd_digits(values)) is not None:
            found.append(f"{float(values[at])!r} in {shortened(name)!r} has more digits than the other numbers")
    return tuple(Note("info", f"The file may be damaged: {why}.") for why in found[:4])


def _lost(table: Table) -> str:
    """A column that pandas says it wrote and that the file does not have."""
    metadata = table.file.metadata.metadata or {}
    names = {table.file.schema.column(i).path.split(".")[0] for i in range(len(table.file.schema))}
    try:
        said = [c["field_name"] for c in json.loads(metadata.get(b"pandas", b"{}")).get("columns", [])]
        return next((n for n in said if isinstance(n, str) and n not in names), "")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return ""


def _against_footer(table: Table, place: int, numbers: Numbers) -> str:
    """How a column differs from the least, the largest and the count of empty cells that the footer tells of it."""
    stored, at = table.file.schema.column(place), 0
    if stored.physical_type not in ("INT32", "INT64", "FLOAT", "DOUBLE") or stored.logical_type.type == "DECIMAL":
        return ""
    for group in range(table.file.metadata.num_row_groups):
        about = table.file.metadata.row_group(group)
        here = numbers.values[at : at + about.num_rows]
        at += about.num_rows
        known = dictionary_entries(table.data, table.footer.groups[group][place])
        if known and different(here) < known:
            return "lacks some of the values that its dictionary holds"
        said = about.column(place).statistics
        if said is None:
            continue
        if said.has_null_count and said.null_count > np.isnan(here).sum():
            return "has fewer empty cells than the footer says"
        real = here[~np.isnan(here)]
        if said.has_min_max and len(real) and (float(said.min), float(said.max)) != (real.min(), real.max()):
            return f"ranges from {real.min():g} to {real.max():g}, but the footer says {said.min:g} to {said.max:g}"
    return ""


@contextmanager
def _as_log_errors() -> Iterator[None]:
    """Whatever pyarrow raises as a `LogError`, but for want of memory."""
    try:
        import pyarrow as pa
        import pyarrow.parquet  # noqa: F401 (loads what `pa` lacks)
    except ImportError:
        raise LogError("reading Parquet files needs the package pyarrow (pip install pyarrow).") from None
    try:
        yield
    except (LogError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        said = shortened(_FAULT.sub("", str(error)), 120).rstrip(". ")
        raise LogError(f"the Parquet file cannot be read ({said or 'it is damaged'}).") from None


def _table(data: bytes) -> tuple[Table, list[str]]:
    """The file, and the columns that are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    footer = read_footer(data)
    buffer, options = pa.BufferReader(data), {"pre_buffer": False, "page_checksum_verification": True}
    file = pq.ParquetFile(buffer, **options)
    if len(file.schema) > MOST_COLUMNS:
        raise LogError(f"a log may have {MOST_COLUMNS:,} columns, this one has {len(file.schema):,}.")
    if any(len(group) != len(file.schema) for group in footer.groups):
        raise LogError(f"every group of rows must have all {len(file.schema):,} columns; the file is damaged.")
    stored = [file.schema.column(i) for i in range(len(file.schema))]
    places = [i for i, column in enumerate(stored) if _is_read(column)]
    texts = frozenset(i for i in places if stored[i].physical_type == "BYTE_ARRAY")
    if texts:
        # As a dictionary, a long text that stands in every row is held once.
        file = pq.ParquetFile(buffer, metadata=file.metadata, read_dictionary=sorted(texts), **options)
    names = unique_names([stored[i].name for i in places])
    ignored = [c.name if c.name == c.path else c.path.split(".")[0] for c in stored if not _is_read(c)]
    ranges = _ranges(file.metadata.metadata or {}, footer.rows, names)
    table = Table(data, footer, file, dict(zip(names, places, strict=True)), texts, ranges)
    return table, list(dict.fromkeys(ignored))


def _is_read(column: pq.ColumnSchema) -> bool:
    flat = column.path == column.name and not column.max_repetition_level
    stored, kind = column.physical_type, column.logical_type.type
    return flat and kind in _READ.get(stored, ()) and (stored != "FIXED_LEN_BYTE_ARRAY" or column.length <= _WIDEST)


def _ranges(metadata: dict[bytes, bytes], rows: int, names: Sequence[str]) -> dict[str, range]:
    """An index of evenly spaced steps, which pandas writes beside the columns as `{"kind": "range", "name": …}`."""
    try:
        kept = [i for i in json.loads(metadata[b"pandas"])["index_columns"] if isinstance(i, dict)]
        ranges = {i["name"]: range(i["start"], i["stop"], i["step"]) for i in kept if i["kind"] == "range"}
        named = {n: steps for n, steps in ranges.items() if isinstance(n, str) and n not in names}
        return {n: s for n, s in named.items() if len(s) == rows and abs(s[0]) + abs(s[-1]) <= _EXACT}
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return {}  # no table of pandas, or none with such an index


def _column(table: Table, name: str) -> pa.ChunkedArray:
    """A column of the file."""
    import pyarrow as pa

    if name in table.ranges:
        steps = table.ranges[name]
        return pa.chunked_array([pa.array(np.arange(steps.start, steps.stop, steps.step))])
    groups = list(range(len(table.footer.groups)))
    # By its place: a name may stand for several columns here, or for what is nested in another.
    read = table.file.reader.read_row_groups(groups, column_indices=[table.places[name]], use_threads=False)
    if len(read) != table.footer.rows:
        raise LogError(
            f"the column {shortened(name)!r} must have {table.footer.rows:,} rows, but {len(read):,} were found."
        )
    return read.column(0)


def _numbers(column: pa.ChunkedArray, name: str, marks: Marks | None = None) -> Numbers:
    """A column as numbers; null is an empty cell."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(column.type) or types.is_boolean(column.type):
        return _from_texts(*_encoded(column), name, marks or Marks({}))
    if types.is_decimal(column.type):
        column = column.cast(pa.string())  # pyarrow's own way from decimals to floats is not exact
    elif not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_null(column.type)):
        raise LogError(f"the column {shortened(name)!r} must hold numbers or texts, but it holds {column.type}.")
    values = column.cast(pa.float64(), safe=False).to_numpy()
    odd = np.isnan(values)
    if column.null_count:
        odd &= column.is_valid().to_numpy()
    return Numbers(values, np.flatnonzero(odd))


def _from_texts(codes: IntArray, cells: Sequence[object], name: str, marks: Marks) -> Numbers:
    """Rows of texts as numbers, each different text looked at once."""
    part = marks.numbers(name, [*cells, None])  # the last one stands for code −1
    words = np.flatnonzero(np.isin(codes, part.words))
    word = shortened(str(cells[codes[words[0]]])) if len(words) else ""
    return Numbers(part.values[codes], np.flatnonzero(np.isin(codes, part.nans)), words, word)


def _names(column: pa.ChunkedArray) -> tuple[IntArray, list[str]]:
    """A column of names: the code of each row, −1 for an empty cell; and the names in the order they appear."""
    codes, cells = _encoded(column)
    known = {"": -1}
    name_of = np.full(len(cells) + 1, -1, np.int64)
    found, first = np.unique(codes, return_index=True)
    for code in found[np.argsort(first)]:
        cell = cells[code] if code >= 0 else None
        empty = cell is None or cell != cell  # as pandas writes what is missing
        name_of[code] = known.setdefault("" if empty else str(cell).strip(), len(known) - 1)
    return name_of[codes], list(known)[1:]


def _encoded(column: pa.ChunkedArray) -> tuple[IntArray, list[object]]:
    """The different cells of a column, and the index of each row's among them, −1 for null."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    chunks = column.unify_dictionaries().chunks
    codes = [np.empty(0, np.int64), *(c.indices.cast(pa.int64()).fill_null(-1).to_numpy() for c in chunks)]
    cells = chunks[0].dictionary if chunks else pa.array([])
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        cells = cells.cast(pa.large_binary())  # texts may be no UTF-8
    return np.concatenate(codes), [_text(cell) for cell in cells.to_pylist()]


def _text(cell: object) -> object:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell


SAMPLE = b64decode(
    "UEFSMRUAFUwVTCwVCBUAFQYVBhwAAAACAAAACAEAAAAAAAAAAAoAAAAAAAAAFAAAAAAAAAAeAAAAAAAAABUAFUwVTCwVCBUAFQYVBhwAAAACAAAA"
    "CAEAAAAAAAAKQAAAAAAAAARAAAAAAAAAAUAAAAAAAAAAQBUAFUwVTCwVCBUAFQYVBhwAAAACAAAACAH8qfHSTWJQP/yp8dJNYlA//Knx0k1iQD8A"
    "AAAAAAAAABUEGUw1ABgGc2NoZW1hFQYAFQQlAhgEc3RlcAAVCiUCGARsb3NzABUKJQIYAmxyABYIGRwZPCYAHBUEGSUGABkYBHN0ZXAVABYIFnIW"
    "ciYISRwVABUAFQIAPCkGGSYACAAAACYAHBUKGSUGABkYBGxvc3MVABYIFnIWciZ6SRwVABUAFQIAPCkGGSYACAAAACYAHBUKGSUGABkYAmxyFQAW"
    "CBZyFnIm7AFJHBUAFQAVAgA8KQYZJgAIAAAAFtYCFggmCBbWAgAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGTwcAAAcAAAcAAAA"
    "9QAAAFBBUjE="
)
FORMAT = Format("Parquet", (".parquet",), lambda content: content.data.startswith(MAGIC), open_parquet, SAMPLE)
