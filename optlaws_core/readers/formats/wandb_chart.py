"""A chart exported from W&B as CSV: `"Step","brisk-pond-1 - train/loss","brisk-pond-1 - train/loss__MIN",…`.

Wide and sparse: one column a run and metric. Bands (`__MIN`, `__MAX`) are dropped; a group's curve is its mean.
"""

from ...errors import LogError
from ...text import listed, shortened
from ..base import Layout, Note
from ..format import Content, Format
from ..header import Header
from ..layout import guess_layout
from ..opened import Opened, RawRun
from ..step_axis import log_calls
from .delimited import read_columns

_BANDS = ("__MIN", "__MAX")
_GROUP = "Group: "
_SAMPLED = Note("info", "W&B samples the curves of a chart when it exports them; the run's history has every point.")


def is_chart(content: Content) -> bool:
    """Whether a table's header is that of an exported chart: an x axis, then `run - metric` columns only."""
    x, *rest = content.header.columns
    return content.header.delimiter == "," and bool(rest) and " - " not in x and all(" - " in c for c in rest)


def open_chart(content: Content) -> Opened:
    """The chart, opened; its columns are the x axis and the metrics. Raises `LogError` when x cannot give steps."""
    header, text, file = content.header, content.text, content.file
    cells = _cells(header)
    metrics = tuple(dict.fromkeys(m for table in cells.values() for m in table))
    columns = (header.columns[0], *metrics)
    layout = guess_layout(columns)
    if layout.x is None and len(columns) > 1:
        raise LogError(
            f"the x axis is {shortened(header.columns[0])!r}; export the chart with steps or tokens on its x axis."
        )
    return Opened(columns, layout, lambda chosen: _runs(text, header, chosen, cells, file), (_SAMPLED,))


def _cells(header: Header) -> dict[str, dict[str, str]]:
    """run -> metric -> column of the file."""
    table: dict[str, dict[str, str]] = {}
    for column in header.columns[1:]:
        run, _, metric = column.rpartition(" - ")
        if not metric.endswith(_BANDS):
            table.setdefault(run, {})[metric] = column
    return table


def _runs(data: bytes, header: Header, layout: Layout, cells: dict[str, dict[str, str]], file: str) -> list[RawRun]:
    x = header.columns[0]
    used = {run: {m: c for m, c in table.items() if m in layout.columns} for run, table in cells.items()}
    if not any(used.values()):
        raise LogError(f"no run has the metrics {listed(layout.columns)}.")
    columns = read_columns(data, header, (x, *(c for table in used.values() for c in table.values())), file)
    calls = log_calls(x, columns[x]) if layout.x == x == "Step" and layout.x_unit == "step" else None
    return [
        RawRun(
            run.removeprefix(_GROUP),
            {x: columns[x], **{metric: columns[c] for metric, c in table.items()}},
            lines=header.line + 1,
            notes=_group_notes(run),
            questions=(calls,) if calls else (),
        )
        for run, table in used.items()
        if any(column in table for _, column in layout.losses)
    ]


def _group_notes(run: str) -> tuple[Note, ...]:
    if not run.startswith(_GROUP):
        return ()
    name = run.removeprefix(_GROUP)
    return (Note("info", "This curve is the mean of a group of runs.", name),)


SAMPLE = (
    b'"Step","brisk - pond-1 - train/loss","brisk - pond-1 - train/loss__MIN","brisk - pond-1 - '
    b'train/loss__MAX","brisk - pond-1 - train/lr"\n'
    b'"0","3.25","3.15","3.35","0.001"\n'
    b'"10","2.5","2.4","2.6","0.001"\n'
    b'"20","2.125","2.025","2.225","0.0005"\n'
    b'"30","2.0","1.9","2.1","0.0"'
)
FORMAT = Format("W&B chart CSV", (".csv",), is_chart, open_chart, SAMPLE)
