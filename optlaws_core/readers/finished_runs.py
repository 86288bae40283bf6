"""Tables in which each row is a finished run: a sweep with sizes, rates and final losses, a tracker's table of runs.

Such a table is no curve, and its rows are no steps; it belongs where tables of final losses go.
"""

import re

import numpy as np

from ..arrays import FloatArray
from ..errors import LogError
from ..text import counted
from .base import Layout
from .cells import Table
from .format import Content
from .header import Header
from .layout import RUN, eval_name, guess_layout, is_lr, train_rank
from .sniff import HEAD

SIZES = ("n", "params", "n_params", "num_params", "parameters", "model_size", "model size", "non_embedding_params")
LENGTHS = ("d", "tokens", "n_tokens", "train_tokens", "total_tokens", "c", "compute", "flops", "training flop")
BATCHES = ("bs", "batch", "batch_size", "batch size", "global_batch_size", "batch_tokens")
NAMES = (*RUN, "name", "run id", "exp_name")
# What trackers' tables of runs have beside a name: W&B, MLflow, Neptune, Comet.
OF_TRACKERS = (
    "created",
    "runtime",
    "start time",
    "start_time",
    "duration",
    "sys/creation_time",
    "sys/id",
    "source name",
)
STATES = ("state", "status", "sys/state")


class FinishedRuns(LogError):
    """A table of finished runs, given as a log."""

    def __init__(self, file: str, rows: int) -> None:
        super().__init__(
            f"{file}: this is a table of {counted(rows, 'finished run')}, one a row, and no curve; it goes to the "
            "Pre-select or Plan page, or to `fit --table`.",
            file,
        )


def check_is_log(content: Content) -> None:
    """Raises `FinishedRuns` for a table whose rows are finished runs."""
    header = content.header
    names = {name.strip().lower(): name for name in reversed(header.columns)}
    rows = content.text.count(b"\n", header.start) + (not content.text.endswith(b"\n"))
    if rows < 1:
        return
    if any(name in names for name in STATES) and any(name in names for name in OF_TRACKERS):
        raise FinishedRuns(content.file, rows)
    if rows >= 2 and any(_is_loss(name) for name in header.columns) and _has_runs(content, header, names):
        raise FinishedRuns(content.file, rows)


def _is_loss(column: str) -> bool:
    bare = re.sub(r"^(final|smooth|last|min|best)[ _]", "", column.strip().lower())
    return train_rank(bare) is not None or eval_name(bare) is not None


def _has_runs(content: Content, header: Header, names: dict[str, str]) -> bool:
    """Whether names that are all different, or sizes that change between rows, tell rows apart as runs."""
    end = len(content.text)
    if end > header.start + HEAD:
        end = content.text.rfind(b"\n", 0, header.start + HEAD) + 1
    table = Table(content.text, header.start, header.delimiter, len(header.columns), end)
    try:
        return _named_apart(table, header, names) or _set_apart(table, header, guess_layout(header.columns))
    except LogError:
        return False


def _named_apart(table: Table, header: Header, names: dict[str, str]) -> bool:
    """Whether a column of names has another one in every row."""
    for column in (names[name] for name in NAMES if name in names):
        codes, found = table.names(header.columns.index(column))
        if len(found) >= 2 and len(found) == len(codes):
            return True
    return False


def _set_apart(table: Table, header: Header, layout: Layout) -> bool:
    """Whether, without steps, model sizes change between rows, or a batch does beside a rate, or a length falls."""
    if layout.x is not None and layout.x_unit == "step":
        return False
    at = {i: name.strip().lower() for i, name in enumerate(header.columns)}
    settings = [i for i, name in at.items() if name in (*SIZES, *LENGTHS, *BATCHES) or is_lr(name)]
    if not settings:
        return False
    values = {i: v.values[np.isfinite(v.values)] for i, v in table.numbers(settings)[0].items()}
    varied = {i for i, v in values.items() if len(v) >= 2 and len(np.unique(v)) >= 2}
    if any(at[i] in SIZES for i in varied):
        return True
    if any(at[i] in BATCHES for i in varied) and any(is_lr(at[i]) for i in varied):
        return any(_falls(values[i]) for i in varied if at[i] in BATCHES)
    return any(at[i] in SIZES for i in values) and any(at[i] in LENGTHS and _falls(values[i]) for i in varied)


def _falls(values: FloatArray) -> bool:
    """Whether a number among some, (n,), is below the one before it; differences of the largest ones overflow."""
    return bool((values[1:] < values[:-1]).any())
