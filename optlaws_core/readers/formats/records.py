"""JSON Lines, a JSON array of records, and a JSON object of columns. Nested objects become `outer/inner` columns."""

import json
from collections.abc import Iterable, Sequence

import numpy as np

from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_ROWS, Layout, Note
from ..format import Content, Format
from ..layout import guess_layout
from ..numbers import from_cells
from ..opened import Numbers, Opened, RawRun

DEEPEST = 4  # levels of nesting that become column names
MOST_COLUMNS = 5_000


class Records:
    """Rows of named cells, sparse: a row holds only what its log line held."""

    def __init__(self, rows: Iterable[tuple[int | None, dict]]) -> None:
        """`rows` are (line number or None, record)."""
        self.lines: list[int] = []
        self.cells: dict[str, tuple[list[int], list[object]]] = {}  # column -> rows, cells
        self.length = 0
        for line, record in rows:
            self._add(record, "", 1)
            self.length += 1
            if line is not None:
                self.lines.append(line)
            if self.length > MOST_ROWS:
                raise LogError(f"a file may have {MOST_ROWS:,} rows, this one has more.")

    def _add(self, record: dict, prefix: str, depth: int) -> None:
        for key, value in record.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict):
                if depth < DEEPEST:
                    self._add(value, f"{name}/", depth + 1)
            elif not isinstance(value, list) and value is not None:
                if name not in self.cells and len(self.cells) >= MOST_COLUMNS:
                    raise LogError(f"a log may have {MOST_COLUMNS:,} columns, this one has more.")
                rows, cells = self.cells.setdefault(name, ([], []))
                rows.append(self.length)
                cells.append(value)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in which numbers, or texts that could name a run, stand."""
        return tuple(self.cells)

    def numbers(self, column: str) -> Numbers:
        """A column over all rows; rows without it are empty."""
        listed, cells = self.cells[column]
        rows = np.array(listed, np.int64)
        part = from_cells(cells)
        values = np.full(self.length, np.nan)
        values[rows] = part.values
        return Numbers(values, rows[part.nans], rows[part.words], part.word)

    def runs(self, layout: Layout, name: str = "") -> list[RawRun]:
        """One raw run, or one for each value of the layout's run column."""
        columns = {c: self.numbers(c) for c in layout.columns if c != layout.run and c in self.cells}
        lines = np.array(self.lines, np.int64) if self.lines else None
        if layout.run is None:
            return [RawRun(name, columns, lines=lines)]
        groups: dict[str, list[int]] = {}
        for row, cell in zip(*self.cells[layout.run], strict=True):
            groups.setdefault(str(cell), []).append(row)
        return [
            RawRun(run, {c: n.take(rows) for c, n in columns.items()}, lines=None if lines is None else lines[rows])
            for run, rows in ((run, np.array(rows, np.int64)) for run, rows in groups.items())
        ]


def opened(records: Records, notes: tuple[Note, ...]) -> Opened:
    """Records, opened."""
    return Opened(records.columns, guess_layout(records.columns), records.runs, notes)


def from_lines(data: bytes) -> tuple[Records, tuple[Note, ...]]:
    """One record a line. Raises `LogError` when most lines are not JSON objects."""
    bad: list[tuple[int, str]] = []
    records = Records(_objects(data, bad))
    if not bad:
        return records, ()
    line, text = bad[0]
    if len(bad) >= max(1, records.length):
        raise LogError(f"each line must be a JSON object, but line {line:,} holds {text!r}.")
    return records, (
        Note("repaired", f"{counted(len(bad), 'line')} without a JSON object dropped (first line {line:,}: {text!r})."),
    )


def _objects(data: bytes, bad: list[tuple[int, str]]) -> Iterable[tuple[int, dict]]:
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line, start, number = data[start:end].strip(), end + 1, number + 1
        if not line:
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            yield number, record
        else:
            bad.append((number, shortened(line[:200].decode("utf-8", "replace"))))


def from_array(items: Sequence[object]) -> tuple[Records, tuple[Note, ...]]:
    """A JSON array of objects. Raises `LogError` when most items are something else."""
    rows = [item for item in items if isinstance(item, dict)]
    odd = len(items) - len(rows)
    if odd >= max(1, len(rows)):
        raise LogError("a JSON array must hold objects, one for each logged step.")
    notes = (
        (Note("repaired", f"{counted(odd, 'item')} of the array dropped, since it must hold objects."),) if odd else ()
    )
    return Records((None, row) for row in rows), notes


def from_columns(table: dict) -> tuple[Records, tuple[Note, ...]]:
    """An object of columns, `{"step": [0, 10], "loss": [3.1, 2.9]}`. Raises `LogError` for columns of unlike length."""
    lists = {k: v for k, v in table.items() if isinstance(v, list)}
    if not lists:
        held = shortened(", ".join(table), 100) or "nothing"
        raise LogError(f"a JSON object must hold columns, that is lists of numbers; this one holds {held}.")
    lengths = {k: len(v) for k, v in lists.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{shortened(k)}: {n}" for k, n in list(lengths.items())[:6])
        raise LogError(f"the columns of a JSON object must have one length, got {said}.")
    keys = list(lists)
    return Records((None, dict(zip(keys, row, strict=True))) for row in zip(*lists.values(), strict=True)), ()


def _is_columns(content: Content) -> bool:
    return isinstance(content.json, dict) and any(isinstance(column, list) for column in content.json.values())


JSON_RECORDS = Format(
    "JSON records",
    (".json",),
    lambda content: isinstance(content.json, list),
    lambda content: opened(*from_array(content.json)),
    sample=(
        b'[{"step": 0, "loss": 3.25, "lr": 0.001}, {"step": 10, "loss": 2.5, "lr": 0.001}, {"step": 20, "loss": '
        b'2.125, "lr": 0.0005}, {"step": 30, "loss": 2.0, "lr": 0.0}]'
    ),
)
JSON_COLUMNS = Format(
    "JSON columns",
    (".json",),
    _is_columns,
    lambda content: opened(*from_columns(content.json)),
    sample=(
        b'{"step": [0, 10, 20, 30], "loss": [3.25, 2.5, 2.125, 2.0], "lr": [0.001, 0.001, 0.0005, 0.0], "name": "x"}'
    ),
)
JSON_LINES = Format(
    "JSON lines",
    (".jsonl", ".ndjson"),
    lambda content: content.opens_json,
    lambda content: opened(*from_lines(content.text)),
    sample=(
        b'{"step": 0, "loss": 3.25, "lr": 0.001}\n'
        b'{"step": 10, "loss": 2.5, "lr": 0.001}\n'
        b'{"step": 20, "loss": 2.125, "lr": 0.0005}\n'
        b'{"step": 30, "loss": 2.0, "lr": 0.0}\n'
    ),
    fewest_lines=1,
)
