"""A chart exported from W&B as CSV: `"Step","brisk-pond-1 - train/loss","brisk-pond-1 - train/loss__MIN",…`.

Wide and sparse: one column a run and metric. Bands (`__MIN`, `__MAX`) are dropped; a group's curve is its mean. Runs of
one name have columns of one name, the first ones being those of the first run.
"""

import re
from dataclasses import replace

import numpy as np

from ...errors import LogError
from ...text import listed, shortened
from ..base import Layout, Note
from ..format import Content, Format
from ..header import Header
from ..layout import guess_layout
from ..opened import Opened, RawRun
from ..questions import LOG_CALLS, Answer, Question, Unanswered
from ..rows import Rows, rows_of
from ..step_axis import log_calls
from .delimited import read_columns

_BANDS = ("__MIN", "__MAX")
_GROUP = "Group: "
_SAMPLED = Note("info", "W&B samples the curves of a chart when it exports them; the run's history has every point.")
_CALLS = Question(
    "x",
    "The chart's x axis counts no steps, and '_step' beside it counts calls of wandb.log: how many updates is a call?",
    (LOG_CALLS, Answer("updates", "Each call is one update.")),
)

Cells = dict[tuple[str, int], dict[str, str]]  # (run, which of that name) -> metric -> column of the file


def is_chart(content: Content) -> bool:
    """Whether a table's header is that of an exported chart: an x axis, then `run - metric` columns only."""
    x, *rest = content.header.columns
    return content.header.delimiter in ",;\t" and bool(rest) and " - " not in x and all(" - " in c for c in rest)


def open_chart(content: Content) -> Opened:
    """The chart, opened; its columns are the x axis and the metrics. Raises `LogError` when x cannot give steps."""
    header = content.header
    rows = rows_of(content.text, header, content.file)
    cells = _cells(header)
    metrics = tuple(dict.fromkeys(m for table in cells.values() for m in table))
    columns = (header.columns[0], *metrics)
    layout = guess_layout(columns)
    own = guess_layout(columns[1:])
    if own.x is not None and own.x_unit == "step" and own.x != "_step":
        layout = replace(layout, x=own.x, x_unit="step")  # the run's own steps, whatever the chart's axis counts
    if (layout.x is None or layout.x_unit == "epochs") and len(columns) > 1:
        raise LogError(
            f"the x axis is {shortened(header.columns[0])!r}; export the chart with steps or tokens on its x axis."
        )
    questions = (_CALLS,) if _counts_calls(layout, header) else ()
    return Opened(
        columns, layout, lambda chosen: _runs(rows, header, chosen, cells), (_SAMPLED, *rows.notes), questions
    )


def _counts_calls(layout: Layout, header: Header) -> bool:
    """Whether the steps are those of a metric `_step`, the chart's own axis being none."""
    return layout.x == "_step" != header.columns[0]


def _cells(header: Header) -> Cells:
    """The column of each run's metrics; of several columns of one name, the second is a second run's, and so on."""
    table: Cells = {}
    for column in header.columns[1:]:
        bare, which = column, 1
        again = re.fullmatch(r"(.*) \((\d+)\)", column)
        if again and again[1] in header.columns:
            bare, which = again[1], int(again[2])
        run, _, metric = bare.rpartition(" - ")
        if not metric.endswith(_BANDS):
            table.setdefault((run, which), {})[metric] = column
    return table


def _runs(rows: Rows, header: Header, layout: Layout, cells: Cells) -> list[RawRun]:
    x = header.columns[0]
    used = {run: {m: c for m, c in table.items() if m in layout.columns} for run, table in cells.items()}
    if not any(used.values()):
        raise LogError(f"no run has the metrics {listed(layout.columns)}.")
    wanted = (x, *(c for table in used.values() for c in table.values()))
    columns, notes, questions = read_columns(rows, wanted, replace(layout, x=x if layout.x == x else None))
    for table in used.values():
        calls = columns[table["_step"]].values if "_step" in table else np.empty(0)
        calls = calls[np.isfinite(calls)]
        if _counts_calls(layout, header) and "x" not in layout.answered and len(calls) and np.ptp(calls) < len(calls):
            raise Unanswered(_CALLS.text, _CALLS)  # 0, 1, 2, …: surely no steps of a log
    if layout.x == x == "Step" and layout.x_unit == "step" and (asked := log_calls(x, columns[x])):
        questions = (*questions, asked)
    return [
        RawRun(
            run.removeprefix(_GROUP),
            {x: columns[x], **{metric: columns[c] for metric, c in table.items()}},
            lines=header.line + 1,
            notes=(*_group_notes(run), *_twin_notes(run, which, cells), *notes),
            questions=questions,
        )
        for (run, which), table in used.items()
        if any(column in table for _, column in layout.losses)
    ]


def _group_notes(run: str) -> tuple[Note, ...]:
    if not run.startswith(_GROUP):
        return ()
    name = run.removeprefix(_GROUP)
    return (Note("info", "This curve is the mean of a group of runs.", name),)


def _twin_notes(run: str, which: int, cells: Cells) -> tuple[Note, ...]:
    """What to say of one of several runs that share their name."""
    times = sum(name == run for name, _ in cells)
    if times == 1:
        return ()
    return (Note("info", f"{times} runs of the chart are called {shortened(run)!r}; this is number {which}."),)


SAMPLE = (
    b'"Step","brisk - pond-1 - train/loss","brisk - pond-1 - train/loss__MIN","brisk - pond-1 - '
    b'train/loss__MAX","brisk - pond-1 - train/lr"\n'
    b'"0","3.25","3.15","3.35","0.001"\n'
    b'"10","2.5","2.4","2.6","0.001"\n'
    b'"20","2.125","2.025","2.225","0.0005"\n'
    b'"30","2.0","1.9","2.1","0.0"'
)
FORMAT = Format("W&B chart CSV", (".csv",), is_chart, open_chart, SAMPLE)
