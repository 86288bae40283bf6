"""A chart exported from W&B as CSV: `"Step","brisk-pond-1 - train/loss","brisk-pond-1 - train/loss__MIN",…`.

Wide and sparse: one column a run and metric. Bands (`__MIN`, `__MAX`) are dropped; a group's curve is its mean. Runs of
one name have columns of one name, the first ones being those of the first run. Charts of further metrics of the same
runs, as of their rates, are one log with theirs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import LogError
from ...text import counted, listed, shortened
from ..base import Layout, Note, Source
from ..format import SETTINGS, Content, Format, peek
from ..header import LONGEST_HEADER, Header, header_of
from ..layout import guess_layout
from ..opened import Opened, RawRun
from ..questions import LOG_CALLS, Answer, Question, Unanswered
from ..row_kinds import MOST_RUNS
from ..rows import Rows, rows_of
from ..sniff import as_utf8
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


@dataclass(frozen=True, eq=False)
class _Chart:
    """One file."""

    header: Header
    rows: Rows
    cells: Cells

    @property
    def x(self) -> str:
        return self.header.columns[0]


def is_chart(content: Content) -> bool:
    """Whether a table's header is that of an exported chart: an x axis, then `run - metric` columns only."""
    return _is_chart(content.header)


def _is_chart(header: Header) -> bool:
    x, *rest = header.columns
    return header.delimiter in ",;\t" and bool(rest) and " - " not in x and all(" - " in c for c in rest)


def open_chart(content: Content) -> Opened:
    """The charts, opened; their columns are the x axis and the metrics. Raises `LogError` when x cannot give steps."""
    charts = [_chart(Content(source, data)) for source, data in content.pieces if source.parts[-1:] != (SETTINGS,)]
    if (runs := max(len(chart.cells) for chart in charts)) > MOST_RUNS:
        raise LogError(f"a file may hold {counted(MOST_RUNS, 'run')}, this one has {runs:,}.")
    x = charts[0].x
    columns = (x, *_metrics(charts[0].cells if len(charts) == 1 else _together(charts)))
    layout = guess_layout(columns)
    own = guess_layout(columns[1:])
    if own.x is not None and own.x_unit == "step" and own.x != "_step":
        layout = replace(layout, x=own.x, x_unit="step")  # the run's own steps, whatever the chart's axis counts
    if (layout.x is None or layout.x_unit == "epochs") and len(columns) > 1:
        raise LogError(f"the x axis is {shortened(x)!r}; export the chart with steps or tokens on its x axis.")
    questions = (_CALLS,) if _counts_calls(layout, x) else ()
    notes = (_SAMPLED, *(note for chart in charts for note in chart.rows.notes))
    return Opened(columns, layout, lambda chosen: _runs(charts, chosen), notes, questions)


def _chart(content: Content) -> _Chart:
    header = content.header
    return _Chart(header, rows_of(content.text, header, content.file), _cells(header))


def _metrics(cells: Cells) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m for table in cells.values() for m in table))


def _together(charts: Sequence[_Chart]) -> Cells:
    """The cells of all charts."""
    cells: Cells = {}
    for chart in charts:
        for run, table in chart.cells.items():
            cells.setdefault(run, {}).update(table)
    return cells


def _counts_calls(layout: Layout, x: str) -> bool:
    """Whether the steps are those of a metric `_step`, the chart's own axis being none."""
    return layout.x == "_step" != x


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


def _runs(charts: Sequence[_Chart], layout: Layout) -> list[RawRun]:
    """The runs of all charts, in each of which a run's metrics have an x of their own where there are several."""
    cells = _together(charts)
    read = [_read(chart, layout) for chart in charts]
    if set(layout.columns).isdisjoint(_metrics(cells)):
        raise LogError(f"no run has the metrics {listed(layout.columns)}.")
    runs = []
    for run, which in cells:
        raw = RawRun(run.removeprefix(_GROUP), {}, notes=(*_group_notes(run), *_twin_notes(run, which, cells)))
        for part in read:
            raw = _with(raw, part.get((run, which)), alone=len(charts) == 1)
        if any(column in raw.columns for _, column in layout.losses):
            runs.append(raw)
    return runs


def _with(raw: RawRun, part: RawRun | None, alone: bool) -> RawRun:
    """A run with what one chart holds of it."""
    if part is None:
        return raw
    notes, questions = (*raw.notes, *part.notes), (*raw.questions, *part.questions)
    if alone:
        return replace(part, name=raw.name, notes=notes, questions=questions)
    (_, x), *metrics = part.columns.items()
    columns, own_x = {**raw.columns, **dict(metrics)}, {**raw.own_x, **{metric: x for metric, _ in metrics}}
    return replace(raw, columns=columns, own_x=own_x, notes=notes, questions=questions)


def _read(chart: _Chart, layout: Layout) -> dict[tuple[str, int], RawRun]:
    """What a chart holds of each run: the x axis first, then the metrics that the layout asks for."""
    x = chart.x
    named = set(layout.columns)
    used = {run: {m: c for m, c in table.items() if m in named} for run, table in chart.cells.items()}
    wanted = (x, *(c for table in used.values() for c in table.values()))
    columns, notes, questions = read_columns(chart.rows, wanted, replace(layout, x=x if layout.x == x else None))
    for table in used.values():
        calls = columns[table["_step"]].values if "_step" in table else np.empty(0)
        calls = calls[np.isfinite(calls)]
        if _counts_calls(layout, x) and "x" not in layout.answered and len(calls) and np.ptp(calls) < len(calls):
            raise Unanswered(_CALLS.text, _CALLS)  # 0, 1, 2, …: surely no steps of a log
    if layout.x == x == "Step" and layout.x_unit == "step" and (asked := log_calls(x, columns[x])):
        questions = (*questions, asked)
    return {
        run: RawRun(
            "",
            {x: columns[x], **{metric: columns[c] for metric, c in table.items()}},
            lines=chart.header.line + 1,
            notes=notes,
            questions=questions,
        )
        for run, table in used.items()
    }


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


# ---- which charts are of the same runs


@dataclass(eq=False)
class _Set:
    """Charts of one folder that are one log."""

    folder: tuple[str, ...]
    x: str
    cells: Cells
    sources: list[Source] = field(default_factory=list)

    def joins(self, other: "_Set") -> bool:
        """Whether two sets tell of the same runs, each other things of them, and call the same things alike."""
        shared = self.cells.keys() & other.cells.keys()
        if self.folder != other.folder or self.x != other.x or not shared:
            return False
        mine, theirs = guess_layout(_metrics(self.cells)), guess_layout(_metrics(other.cells))
        losses, more = dict(mine.losses), dict(theirs.losses)
        alike = (
            all(losses.get(split, column) == column for split, column in more.items())
            and (not losses or not more or mine.loss_unit == theirs.loss_unit)
            and (mine.lr is None or theirs.lr is None or mine.lr == theirs.lr)
        )
        return alike and not any(self.cells[run].keys() & other.cells[run].keys() for run in shared)

    def add(self, other: "_Set") -> None:
        """Takes the charts of another set."""
        self.sources += other.sources
        for run, table in other.cells.items():
            self.cells.setdefault(run, {}).update(table)


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """Charts of the same runs, with the same x axis, in one folder."""
    sets: list[_Set] = []
    for source in sources:
        if (new := _set_of(source)) is None:
            continue
        for known in [known for known in sets if known.joins(new)]:
            if known.joins(new):
                new.add(known)
                sets.remove(known)
        sets.append(new)
    place = {id(source): i for i, source in enumerate(sources)}
    return [sorted(found.sources, key=lambda s: place[id(s)]) for found in sets if len(found.sources) > 1]


def _set_of(source: Source) -> _Set | None:
    """A chart by itself; None for any other file, and for a chart whose steps are one of its metrics."""
    header = _header(source)
    if header is None or not _is_chart(header):
        return None
    cells = _cells(header)
    layout, own = guess_layout((header.columns[0], *_metrics(cells))), guess_layout(_metrics(cells))
    if layout.x != header.columns[0] or layout.x_unit == "epochs" or own.x is not None:
        return None
    return _Set(source.parts[:-1], header.columns[0].lower(), cells, [source])


def _header(source: Source) -> Header | None:
    """The header of a table, as far as the beginning of the file shows it."""
    if not source.name.lower().endswith(".csv") or b" - " not in (start := peek(source)):
        return None
    try:
        if b"\n" not in start:
            start = source.head(LONGEST_HEADER)
        return header_of(as_utf8(start, source.shown, whole=False), source.shown)
    except LogError:
        return None  # reading it tells the fault


SAMPLE = (
    b'"Step","brisk - pond-1 - train/loss","brisk - pond-1 - train/loss__MIN","brisk - pond-1 - '
    b'train/loss__MAX","brisk - pond-1 - train/lr"\n'
    b'"0","3.25","3.15","3.35","0.001"\n'
    b'"10","2.5","2.4","2.6","0.001"\n'
    b'"20","2.125","2.025","2.225","0.0005"\n'
    b'"30","2.0","1.9","2.1","0.0"'
)
FORMAT = Format("W&B chart CSV", (".csv",), is_chart, open_chart, SAMPLE, gather=gather)
