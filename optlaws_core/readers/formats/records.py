"""JSON Lines, a JSON array of records or rows, and an object of columns. Nested objects become `outer/inner` columns.

Records may stand deeper in an object (`{"info": {"metrics": [{"step": …}]}}`), and pandas' ways of writing a table
(`orient`) are known. What lists hold is left out, but for those of one number and for learning rates by group.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ...arrays import IntArray, largest
from ...errors import LogError
from ...schedules.entries import LARGEST
from ...text import counted, listed, shortened
from ..base import MOST_COLUMNS, MOST_ROWS, Facts, Layout, Note
from ..format import Content, Format
from ..header import BOM
from ..layout import STEP, guess_layout, is_lr
from ..numbers import Commas, Marks, from_cells, marks_of
from ..opened import Numbers, Opened, RawRun
from ..questions import Answer, Question
from ..row_kinds import with_kinds
from ..suggest import about_commas, suggested
from .json_rows import DEEPEST, nested, of_pairs, of_pandas, values_of

FIRST = 500  # cells of a column that show what it holds
MOST_GROUPS = 8  # of parameters, each with a learning rate
TOTALS = ("total_steps", "max_steps", "num_training_steps", "total_iters", "max_iters")

Rows = Iterable[tuple[int | None, dict]]  # (line number or None, record)
_OF = re.compile(r"(\d{1,15})/(\d{1,15})")  # "100/873", a step and the last one


class Records:
    """Rows of named cells, sparse: a row holds only what its log line held."""

    def __init__(self, rows: Rows) -> None:
        self.lines: list[int] = []
        self.cells: dict[str, tuple[list[int], list[object]]] = {}  # column -> rows, cells
        self.length = 0
        self._groups: dict[str, int] = {}  # learning rates that are lists -> the most groups
        for line, record in rows:
            self._add(record, "", 1)
            self.length += 1
            if line is not None:
                self.lines.append(line)
            if self.length > MOST_ROWS:
                raise LogError(f"a file may have {MOST_ROWS:,} rows, this one has more.")
        for name, groups in self._groups.items():
            self._join_groups(name, groups)

    def _add(self, record: dict, prefix: str, depth: int) -> None:
        for key, value in record.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict):
                if depth < DEEPEST:
                    self._add(value, f"{name}/", depth + 1)
            elif isinstance(value, list):
                self._add_list(name, value)
            elif isinstance(value, str) and (parts := _OF.fullmatch(value)) and name.count("/") == 1:
                for part, number in zip(name.split("/"), parts.groups(), strict=True):  # of "global_step/max_steps"
                    self._put(part, int(number))
            elif value is not None:
                self._put(name, value)

    def _add_list(self, name: str, cells: list) -> None:
        """A list of one number as the number, the learning rates of several groups as a column each."""
        if len(cells) == 1 and not isinstance(cells[0], (dict, list, type(None))):
            self._put(name, cells[0])
        elif 1 < len(cells) <= MOST_GROUPS and is_lr(name) and all(isinstance(c, (int, float)) for c in cells):
            self._groups[name] = max(len(cells), self._groups.get(name, 0))
            for i, cell in enumerate(cells):
                self._put(f"{name}/{i}", cell)

    def _put(self, name: str, cell: object) -> None:
        if name not in self.cells and len(self.cells) >= MOST_COLUMNS:
            raise LogError(f"a log may have {MOST_COLUMNS:,} columns, this one has more.")
        rows, cells = self.cells.setdefault(name, ([], []))
        rows.append(self.length)
        cells.append(cell)

    def _join_groups(self, name: str, groups: int) -> None:
        """Learning rates of groups that are the same in every row as one column."""
        first, *others = (self.cells[f"{name}/{i}"] for i in range(groups))
        if name not in self.cells and all(other == first for other in others):
            self.cells = {
                (name if column == f"{name}/0" else column): cells
                for column, cells in self.cells.items()
                if column not in {f"{name}/{i}" for i in range(1, groups)}
            }

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in which numbers, or texts that could name a run, stand."""
        return tuple(self.cells)

    def numbers(self, column: str, marks: Marks | None = None) -> Numbers:
        """A column over all rows; rows without it are empty."""
        listed, cells = self.cells[column]
        rows = np.array(listed, np.int64)
        part = marks.numbers(column, cells) if marks else from_cells(cells)
        values = np.full(self.length, np.nan)
        values[rows] = part.values
        return Numbers(values, rows[part.nans], rows[part.words], part.word)

    def read(self, names: Sequence[str]) -> dict[str, Numbers]:
        """Columns as numbers."""
        return {name: self.numbers(name) for name in names if name in self.cells}

    def names(self, column: str) -> tuple[IntArray, list[str]]:
        """A column of names: the code of each row, −1 for an empty cell; and the names in the order they appear."""
        known: dict[str, int] = {"": -1}
        codes = np.full(self.length, -1, np.int64)
        for row, cell in zip(*self.cells[column], strict=True):
            codes[row] = known.setdefault(str(cell).strip(), len(known) - 1)
        return codes, list(known)[1:]

    def head(self) -> dict[str, list[str]]:
        """The first cells of each column as texts."""
        return {column: [str(cell) for cell in cells[:FIRST]] for column, (_, cells) in self.cells.items()}

    def runs(self, layout: Layout, name: str = "") -> list[RawRun]:
        """One raw run, or one for each value of the layout's run column."""
        wanted = [c for c in layout.columns if c != layout.run and c in self.cells]
        marks = self._marks(wanted, layout)
        columns = {c: self.numbers(c, marks) for c in wanted}
        decimal = {str(c): marks.first[c] for c, mark in marks.of.items() if mark == "decimal"}
        notes, questions = about_commas(decimal, marks.unsure, layout)  # type: ignore[arg-type]
        lines = np.array(self.lines, np.int64) if self.lines else None
        notes = (*notes, *self._without_loss(layout))
        raw = RawRun(name, columns, lines=lines, facts=self._facts(layout), notes=notes, questions=questions)
        if layout.run is None:
            return [raw]
        groups: dict[str, list[int]] = {}
        for row, cell in zip(*self.cells[layout.run], strict=True):
            groups.setdefault(str(cell), []).append(row)
        return [
            replace(
                raw,
                name=run,
                columns={c: n.take(rows) for c, n in columns.items()},
                lines=None if lines is None else lines[rows],
            )
            for run, rows in ((run, np.array(rows, np.int64)) for run, rows in groups.items())
        ]

    def _without_loss(self, layout: Layout) -> tuple[Note, ...]:
        """What to say of the few rows that lack what all others have: a key may be damaged."""
        held = np.zeros(self.length, bool)
        for _, column in layout.losses:
            if column in self.cells:
                held[self.cells[column][0]] = True
        lacking = np.flatnonzero(~held)
        if not 0 < len(lacking) <= max(1, self.length // 10) or self.length < 3:
            return ()
        where = f" (first in line {self.lines[lacking[0]]:,})" if self.lines else ""
        return (Note("info", f"{counted(len(lacking), 'row')} without a loss left out{where}."),)

    def _marks(self, columns: Sequence[str], layout: Layout) -> Marks:
        """What commas stand for in columns that hold numbers as texts."""
        seen: dict[object, Commas] = {}
        for column in columns:
            if any(isinstance(c, str) and "," in c for c in self.cells[column][1]):
                seen[column] = Commas()
                seen[column].see(self.cells[column][1])
        counts = [c for c in (layout.x, layout.tokens) if c is not None]
        marks = marks_of(seen, counts, layout.commas) if seen else Marks({})  # type: ignore[arg-type]
        return replace(marks, amounts=frozenset(counts))

    def _facts(self, layout: Layout) -> Facts:
        """The total of updates, where every row says the same."""
        for column in TOTALS:
            cells = set(self.cells[column][1]) if column in self.cells and column != layout.x else set()
            if len(cells) == 1 and isinstance(total := cells.pop(), int) and 0 < total <= LARGEST:
                return Facts(total_steps=int(total))
        return Facts()


def opened(records: Records, notes: tuple[Note, ...]) -> Opened:
    """Records, opened."""
    layout, more, questions = suggested(records.columns, records.read)
    found = Opened(records.columns, layout, records.runs, (*notes, *more), questions)
    return with_kinds(found, records.read, records.names, cache(records.head))


def from_lines(data: bytes) -> tuple[Records, tuple[Note, ...]]:
    """One record a line, or one after another. Raises `LogError` when most lines are not JSON objects."""
    bad: list[tuple[int, str]] = []
    records = Records(_objects(data.removeprefix(BOM), bad))
    if not bad:
        return records, ()
    line, text = bad[0]
    if len(bad) >= max(1, records.length):
        values, whole = values_of(data.removeprefix(BOM).decode("utf-8", "replace"))
        if whole and len(values) > 1 and all(isinstance(v, dict) for v in values):
            return Records((None, v) for v in values if isinstance(v, dict)), ()
        if not whole and (data.lstrip()[:1] == b"[" or text.strip() in ("{", "[")):
            raise LogError("the JSON ends early or is damaged: was the file cut off, or is it still being written?")
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
        if not line or line in (b"[", b"]"):
            continue
        try:
            record = json.loads(line.removesuffix(b","))
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
    # The last row of a Hugging Face log is a summary, whose train_loss is the mean of the whole run.
    rows = [row for row in rows if not {"train_runtime", "train_loss"} <= set(row)] or rows
    notes = (
        (Note("repaired", f"{counted(odd, 'item')} of the array dropped, since it must hold objects."),) if odd else ()
    )
    return Records((None, row) for row in rows), notes


def open_array(content: Content) -> Opened:
    """A JSON array, or the records that stand somewhere in a JSON object, opened."""
    if not isinstance(content.json, list):
        return _open_nested(content.json)
    rows = [item for item in content.json if isinstance(item, list)]
    if rows and len(rows) == len(content.json) and len({len(row) for row in rows}) == 1:
        return _open_rows(rows)
    return opened(*from_array(content.json))


def _open_rows(rows: list[list]) -> Opened:
    """Rows of cells, with names in the first one, or of two or three numbers whose names are asked for."""
    head, width = rows[0], len(rows[0])
    if head and all(isinstance(cell, str) for cell in head) and len(rows) > 1:
        return opened(Records((None, dict(zip(head, row, strict=True))) for row in rows[1:]), ())
    names = [f"column {i + 1}" for i in range(width)]
    records = Records((None, dict(zip(names, row, strict=True))) for row in rows)
    steps = records.numbers(names[0]).values if names and names[0] in records.cells else np.empty(0)
    if not 2 <= width <= 3 or len(records.columns) != width or not (len(steps) > 1 and (steps[1:] > steps[:-1]).all()):
        raise LogError(
            "its rows of numbers have no names; give each row as an object, as in {'step': 10, 'loss': 3.2}."
        )
    first, second, *third = names
    pair = Answer("step-loss", "Step and training loss.", {"losses": (("train", second),), "lr": None})
    answers = [pair]
    if third:
        train, val = (("train", second), ("val", third[0])), (("train", third[0]), ("val", second))
        rates = Answer("step-loss-lr", "Step, training loss, learning rate.", {"losses": train[:1], "lr": third[0]})
        answers = [
            Answer("step-train-val", "Step, training loss, validation loss.", {"losses": train, "lr": None}),
            Answer("step-val-train", "Step, validation loss, training loss.", {"losses": val, "lr": None}),
        ]
        top = largest(records.numbers(third[0]).values)
        answers = [rates, *answers] if top is not None and top < 0.1 else [*answers, rates]
    question = Question("columns", f"Each row holds {width} numbers without names: what are they?", tuple(answers))
    layout = replace(Layout(first), **answers[0].change)  # type: ignore[arg-type]
    return Opened(records.columns, layout, records.runs, (), (question,))


def _open_nested(value: dict) -> Opened:
    """Lists of records that stand somewhere in an object; of several, each gives its name to its columns."""
    found = list(nested(value))
    where = listed(["/".join(path) for path, _ in found])
    notes = (Note("info", f"The records at {where} were read."),)
    if len(found) == 1:
        records, more = from_array(found[0][1])
        return opened(records, (*notes, *more))
    rows = [
        {(k if k.lower() in STEP or k == path[-1] else f"{path[-1]}/{k}"): v for k, v in record.items()}
        for path, records in found
        for record in records
    ]
    return opened(Records((None, row) for row in rows), notes)


def open_columns(content: Content) -> Opened:
    """An object of columns, opened."""
    return opened(*from_columns(content.json))


def from_columns(table: dict) -> tuple[Records, tuple[Note, ...]]:
    """An object of columns, `{"step": [0, 10], "loss": [3.1, 2.9]}`, or a table as pandas writes it.

    Of columns of unlike length those as long as the training loss are taken. Raises `LogError` where there is none.
    """
    if (rows := of_pandas(table)) is not None:
        return Records((None, row) for row in rows), ()
    lists = {k: v for k, v in table.items() if isinstance(v, list)}
    if not lists:
        held = shortened(", ".join(table), 100) or "nothing"
        raise LogError(f"a JSON object must hold columns, that is lists of numbers; this one holds {held}.")
    if (pairs := of_pairs(lists)) is not None:
        return Records((None, row) for row in pairs), ()
    notes: tuple[Note, ...] = ()
    lengths = {k: len(v) for k, v in lists.items()}
    if len(set(lengths.values())) > 1:
        losses = guess_layout(tuple(lists)).losses
        said = ", ".join(f"{shortened(k)}: {n}" for k, n in list(lengths.items())[:6])
        if not losses:
            raise LogError(f"the columns of a JSON object must have one length, got {said}.")
        lists = {k: v for k, v in lists.items() if len(v) == lengths[losses[0][1]]}
        out = listed([k for k in lengths if k not in lists])
        notes = (Note("info", f"Columns of another length than {losses[0][1]!r} were left out: {out} ({said})."),)
    keys = list(lists)
    return Records((None, dict(zip(keys, row, strict=True))) for row in zip(*lists.values(), strict=True)), notes


def _is_columns(content: Content) -> bool:
    table = content.json
    return isinstance(table, dict) and (
        any(isinstance(column, list) for column in table.values()) or of_pandas(table) is not None
    )


def _has_records(content: Content) -> bool:
    if isinstance(content.json, list):
        return True
    return next(nested(content.json), None) is not None


JSON_RECORDS = Format(
    "JSON records",
    (".json",),
    _has_records,
    open_array,
    sample=(
        b'[{"step": 0, "loss": 3.25, "lr": 0.001}, {"step": 10, "loss": 2.5, "lr": 0.001}, {"step": 20, "loss": '
        b'2.125, "lr": 0.0005}, {"step": 30, "loss": 2.0, "lr": 0.0}]'
    ),
)
JSON_COLUMNS = Format(
    "JSON columns",
    (".json",),
    _is_columns,
    open_columns,
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
