"""Long tables, a row for each point: `run,key,step,value`, as MLflow downloads them and exporters write them."""

from collections.abc import Sequence

import numpy as np

from ...errors import LogError
from ...text import counted, shortened
from ..base import MOST_COLUMNS
from ..format import Content, Format
from ..header import Header
from ..layout import RUN, STEP, train_rank
from ..metric_curves import opened
from ..opened import Opened, RawRun
from ..row_kinds import MOST_RUNS, may_name_splits, split_of
from ..rows import rows_of

KEYS = ("key", "metric", "metric_name", "tag", "attribute_path", "metrickey")
VALUES = ("value", "float_value", "metric_value")
RUNS = (*RUN, "run_uuid", "name")


def is_long(content: Content) -> bool:
    """Whether a file is a table whose header has one column for keys, one for values and one for steps."""
    return not content.opens_json and None not in _columns(content.header)


def open_long(content: Content) -> Opened:
    """The runs of a long table, opened. Raises `LogError` for too many runs or keys."""
    header = content.header
    key, value, step = (column for column in _columns(header) if column is not None)
    table = rows_of(content.text, header, content.file)
    numbers, _, _ = table.read((value, step), (step,))
    keys, names = table.names(key)
    if len(keys) != len(
        numbers[step]
    ):  # rows that repeat a part of the header are none in the one, and some in the other
        raise LogError("another header stands within the table, so it is not known which rows belong together.")
    for column in header.columns:
        if column not in (key, value, step) and may_name_splits(column):
            keys, names = _by_split(keys, names, column, *table.names(column))
    whose = [table.names(column) for column in header.columns if column.lower() in RUNS and column != key]
    runs, labels = _runs(whose, len(keys))
    for most, found, what in ((MOST_RUNS, len(labels), "run"), (MOST_COLUMNS, len(names), "key")):
        if found > most:
            raise LogError(f"a file may hold {counted(most, what)}, this one has {found:,}.")
    both = runs * len(names) + keys
    order = np.argsort(np.where(keys < 0, -1, both), kind="stable")
    bounds = np.searchsorted(np.where(keys < 0, -1, both)[order], np.arange(len(labels) * len(names) + 1))
    raws = []
    for run, label in enumerate(labels):
        columns, own_x = {}, {}
        for i, name in enumerate(names):
            at = run * len(names) + i
            rows = order[bounds[at] : bounds[at + 1]]
            if len(rows):
                columns[shortened(name, 200)], own_x[shortened(name, 200)] = (
                    numbers[c].take(rows) for c in (value, step)
                )
        if columns:
            raws.append(RawRun(label, columns, own_x))
    return opened(raws)


def _columns(header: Header) -> tuple[str | None, str | None, str | None]:
    """The columns of keys, values and steps."""
    lower = {column.lower(): column for column in header.columns}
    key, value, step = (next((lower[n] for n in names if n in lower), None) for names in (KEYS, VALUES, STEP))
    return key, value, step


def _by_split(
    keys: np.ndarray, names: Sequence[str], column: str, codes: np.ndarray, cells: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """The key of each row and all keys, where a column may name splits: those of evaluations are their own."""
    found = {name: i for i, name in enumerate(names)}
    splits = [split_of(cell, column) for cell in cells]
    if None in splits or len(codes) != len(keys):
        return keys, list(names)
    own = keys.copy()
    for key, name in enumerate(names):
        for code, split in enumerate(splits):
            if split != "train" and train_rank(name) is not None and (rows := (keys == key) & (codes == code)).any():
                own[rows] = found.setdefault(f"{split}/{name}", len(found))
    return own, list(found)


def _runs(whose: Sequence[tuple[np.ndarray, list[str]]], rows: int) -> tuple[np.ndarray, list[str]]:
    """The run of each row, told by all columns that may name one, and the names, of the last column with one."""
    if not whose:
        return np.zeros(rows, np.int64), [""]
    both = np.stack([codes for codes, _ in whose], axis=1)
    kinds, first, codes = np.unique(both, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    labels = []
    for kind in kinds[order]:
        told = [names[code] for code, (_, names) in zip(kind, whose, strict=True) if code >= 0]
        labels.append(told[-1] if told else "")
    return place[codes.reshape(-1)], labels


SAMPLE = b"run_id,key,value,step,timestamp\n" + b"".join(
    f"from-long,train_loss,{loss},{step},17953108797{step:02}\nfrom-long,learning_rate,{rate},{step},17953108797{step:02}\n".encode()
    for step, loss, rate in ((0, 3.25, 0.001), (10, 2.5, 0.001), (20, 2.125, 0.0005), (30, 2.0, 0.0))
)
FORMAT = Format("long table", (".csv", ".tsv"), is_long, open_long, SAMPLE, 2)
