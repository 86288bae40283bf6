"""A table with one run a column, named by what it varies: `step,lr=1e-3,lr=3e-4`. The cells are training losses."""

from ...errors import LogError
from ...text import counted
from ..base import Layout, Note
from ..format import Content, Format
from ..layout import guess_layout
from ..opened import Opened, RawRun
from ..row_kinds import MOST_RUNS
from ..rows import Rows, rows_of
from .delimited import read_columns

LOSS = "loss"  # what the cells of every run are called


def is_one_run_a_column(content: Content) -> bool:
    """Whether a table has steps and, besides, only columns named like `lr=1e-3`."""
    columns = content.header.columns
    guess = guess_layout(columns)
    return (
        len(columns) > 2 and guess.x is not None and not guess.losses and all("=" in c for c in columns if c != guess.x)
    )


def open_run_columns(content: Content) -> Opened:
    """The table, opened; its columns are the x axis and the loss. Raises `LogError` for more than `MOST_RUNS` runs."""
    rows, first = rows_of(content.text, content.header, content.file), content.header.line + 1
    guess = guess_layout(rows.columns)
    layout = Layout(guess.x, guess.x_unit, (("train", LOSS),))
    runs = tuple(c for c in rows.columns if c != guess.x)
    if len(runs) > MOST_RUNS:
        raise LogError(f"a file may hold {counted(MOST_RUNS, 'run')}, this one has {len(runs):,}.")
    text = f"Each of {counted(len(runs), 'column')} was taken for the training loss of a run of its name."
    return Opened(
        (str(guess.x), LOSS),
        layout,
        lambda chosen: _runs(rows, str(guess.x), runs, chosen, first),
        (*rows.notes, Note("info", text)),
    )


def _runs(rows: Rows, x: str, runs: tuple[str, ...], layout: Layout, first: int) -> list[RawRun]:
    columns, notes, questions = read_columns(rows, (x, *runs), layout)
    return [
        RawRun(run, {x: columns[x], LOSS: columns[run]}, {}, first, notes=notes, questions=questions) for run in runs
    ]


SAMPLE = b"step,lr=1e-3,lr=3e-4\n0,3.25,3.5\n10,2.5,2.75\n20,2.125,2.375\n30,2.0,2.25\n"
FORMAT = Format(
    "CSV with one run a column", (".csv", ".tsv"), is_one_run_a_column, open_run_columns, SAMPLE, fewest_lines=2
)
