"""A table for each metric, called by it: DVCLive's `plots/metrics/train/loss.tsv`, and the CSV files of DeepSpeed.

DeepSpeed's monitor counts samples where its tags say so (`Train_Samples_train_loss.csv`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import LogError
from ...text import shortened
from ..base import Source
from ..declared import facts_of, from_yaml
from ..format import Content, Format, peek
from ..header import Header, header_of
from ..layout import STEP
from ..metric_curves import IN_SAMPLES, asking_alone, own_layout
from ..opened import Numbers, Opened, RawRun
from ..rows import rows_of
from ..sniff import as_utf8

_DVC = ("plots", "metrics")
_BESIDE = ("params.yaml", "metrics.json")
_MONITOR = re.compile(r"(Train|Validation|Eval)_\w+")  # how DeepSpeed's own tags begin


@dataclass(frozen=True)
class _Place:
    """Where a metric's table stands: the folder of its run, and the metric."""

    folder: tuple[str, ...]
    metric: str


def is_metric(content: Content) -> bool:
    """Whether a file is the table of one metric, as its own columns or those of the files beside it tell."""
    if content.opens_json:
        return False
    header = content.header
    beside = any(source.name.lower().endswith((".csv", ".tsv", *_BESIDE)) for source in content.others)
    return _metric(header) is not None and (
        beside or any(map(_MONITOR.match, (header.columns[-1], content.source.stem)))
    )


def open_metrics(content: Content) -> Opened:
    """The metrics of one run, opened. Raises `LogError` for a table that cannot be read."""
    columns: dict[str, Numbers] = {}
    own_x: dict[str, Numbers] = {}
    params: dict[str, object] = {}
    place = None
    for source, data in content.pieces:
        if source.parts[-1:] == (_BESIDE[0],):
            params = from_yaml(data)
        elif source.parts[-1:] != (_BESIDE[1],):
            data = as_utf8(data, source.shown)
            header = header_of(data, source.shown)
            here = _place(source, header) or _Place(source.parts[:-1], header.columns[-1])
            place = place or here
            if _metric(header) is None:
                raise LogError(
                    f"{source.shown}: the table must have the columns step and {shortened(here.metric)}.", source.name
                )
            step, value = header.columns[-2:]
            numbers, _, _ = rows_of(data, header, source.shown).read((step, value), (step,))
            columns[here.metric], own_x[here.metric] = numbers[value], numbers[step]
    name = _name(place.folder) if place else ""
    facts, notes = facts_of(params, name)
    raw = RawRun(name, columns, own_x, None, facts, notes)
    return asking_alone(Opened(tuple(columns), own_layout(columns), lambda chosen: [raw]))


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """The tables of each run; a table alone in its folder only where its metric says what it is."""
    runs: dict[tuple[str, ...], list[Source]] = {}
    sure: set[tuple[str, ...]] = set()
    for source in sources:
        if (header := _header(source)) and (place := _place(source, header)):
            runs.setdefault(place.folder, []).append(source)
            if _DVC == _inside(source) or IN_SAMPLES.match(place.metric):
                sure.add(place.folder)
    kept = {folder: run for folder, run in runs.items() if folder in sure or len(run) > 1}
    for source in sources:
        if source.parts[-1:] and source.parts[-1] in _BESIDE and source.parts[:-1] in kept:
            kept[source.parts[:-1]].append(source)
    return [*kept.values()]


def _header(source: Source) -> Header | None:
    if not source.name.lower().endswith((".csv", ".tsv")):
        return None
    try:
        first, _, _ = as_utf8(peek(source), source.shown, whole=False).partition(b"\n")
        return header_of(first, source.shown) if first.strip() else None
    except LogError:
        return None


def _metric(header: Header) -> str | None:
    """The metric of a table of steps and values, which may have times before them; None for any other."""
    *more, step, metric = ("", "", *header.columns)
    known = step.lower() in STEP and [c for c in more if c] in ([], ["timestamp"])
    return metric if known and header.delimiter in (",", "\t") else None


def _place(source: Source, header: Header) -> _Place | None:
    """Where a table stands that is called by its metric; None for any other."""
    metric = _metric(header)
    if metric and IN_SAMPLES.match(source.stem) and source.stem.endswith(metric):
        metric = source.stem  # the header may have the last part of the tag alone
    if metric is None or metric != source.stem:
        return None
    if inside := _inside(source):
        at = next(i for i in range(len(source.parts)) if source.parts[i : i + 2] == inside)
        return _Place(source.parts[:at], "/".join((*source.parts[at + 2 : -1], metric)))
    return _Place(source.parts[:-1], metric)


def _inside(source: Source) -> tuple[str, ...]:
    """DVCLive's folders of metrics, where a file is in them."""
    pairs = zip(source.parts[:-1], source.parts[1:-1], strict=False)
    return _DVC if _DVC in pairs else ()


def _name(folder: tuple[str, ...]) -> str:
    """The run's folder, or the one above where it bears DVCLive's own name."""
    named = [part for part in folder if part not in ("/", "\\")]
    if len(named) > 1 and named[-1] == "dvclive":
        named.pop()
    return named[-1] if named else ""


SAMPLE = b"step,Train_loss\n0,3.25\n10,2.5\n20,2.125\n30,2.0\n"
FORMAT = Format("a table for each metric", (".csv", ".tsv"), is_metric, open_metrics, SAMPLE, 2, gather)
