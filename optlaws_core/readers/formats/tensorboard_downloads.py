"""What TensorBoard's page downloads: one curve a file, as CSV (`Wall time,Step,Value`) or JSON ([[time, step, value]]).

The run and the tag stand in the file's name alone, `run-<run>-tag-<tag>.csv`. The curves of one run are read together,
and those of its `train` and `validation` folders too.
"""

import re
from collections.abc import Sequence

from ...errors import LogError
from ..base import Source, base_name
from ..format import Content, Format, peek
from ..header import header_of
from ..metric_curves import Curves
from ..opened import Opened
from ..rows import rows_of
from .event_files import SPLITS, opened_scalars

_NAME = re.compile(r"run-(?P<run>.*?)-tag-(?P<tag>.+?)( \(\d+\))?\.(csv|json)", re.IGNORECASE)
_HEAD = re.compile(rb'("?)Wall time\1,\1Step\1,\1Value\1 *\r?(\n|$)')
_JSON = re.compile(rb"\s*\[\s*\[\s*1\d{9}(\.\d+)?\s*,\s*\d+\s*,\s*[^\],]+\]")
_SPLIT = re.compile(r"(?P<run>.*)[_/\\](?P<split>train|training|val|valid|validation|eval|test)", re.IGNORECASE)


def is_csv(content: Content) -> bool:
    """Whether a file is a curve as CSV."""
    return bool(_HEAD.match(content.data[:100]))


def is_json(content: Content) -> bool:
    """Whether a file is a curve as JSON: lists of a time, a step and a value."""
    return bool(_JSON.match(content.data[:200]))


def open_curves(content: Content) -> Opened:
    """The curves of one run, opened. Raises `LogError` for what cannot be read."""
    curves = Curves()
    pieces = [*content.pieces]
    parents = _parents([source for source, _ in pieces])
    for source, data in pieces:
        run, tag = _run_and_tag(source)
        if parents.get(run, run) != run and not SPLITS.match(tag):
            tag = f"{run[len(parents[run]) + 1 :]}/{tag}"
        for step, value in _points(source, data):
            curves.add(tag, step, value)
    run, _ = _run_and_tag(content.source)
    name = parents.get(run, run)
    alone = not _NAME.fullmatch(base_name(content.source.name))
    return opened_scalars(curves, content.run_name if name == "." else name, (), alone)


def _points(source: Source, data: bytes):
    if _HEAD.match(data[:100]):
        header = header_of(data, source.shown)
        columns, _, _ = rows_of(data, header, source.shown).read(header.columns, ("Step",))
        return zip(columns["Step"].values.tolist(), columns["Value"].values.tolist(), strict=True)
    rows = Content(source, data).json
    if not isinstance(rows, list):
        raise LogError(f"{source.shown}: the JSON breaks off or is damaged; download the curve again.", source.name)
    return [(row[1], row[2]) for row in rows if isinstance(row, list) and len(row) == 3]


def _run_and_tag(source: Source) -> tuple[str, str]:
    found = _NAME.fullmatch(base_name(source.name))
    return (found["run"], found["tag"]) if found else ("", source.stem)


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """The curves of each run in a folder."""
    curves = [s for s in sources if _NAME.fullmatch(base_name(s.name)) and _is_curve(peek(s))]
    runs: dict[tuple[tuple[str, ...], str], list[Source]] = {}
    for source in curves:
        parents = _parents([s for s in curves if s.parts[:-1] == source.parts[:-1]])
        run, _ = _run_and_tag(source)
        runs.setdefault((source.parts[:-1], parents.get(run, run)), []).append(source)
    return [*runs.values()]


def _is_curve(head: bytes) -> bool:
    return bool(_HEAD.match(head[:100]) or _JSON.match(head[:200]))


def _parents(sources: Sequence[Source]) -> dict[str, str]:
    """Run -> the run that it is a split of, where the names of several say so."""
    splits: dict[str, set[str]] = {}
    for run in {_run_and_tag(source)[0] for source in sources}:
        if found := _SPLIT.fullmatch(run):
            splits.setdefault(found["run"], set()).add(run)
    return {run: parent for parent, runs in splits.items() if len(runs) > 1 for run in runs}


CSV_SAMPLE = (
    b"Wall time,Step,Value\n1700000013.0,0,3.25\n1700000026.0,10,2.5\n1700000039.0,20,2.125\n1700000052.0,30,2.0\n"
)
JSON_SAMPLE = b"[[1700000013.5, 0, 3.25], [1700000026.5, 10, 2.5], [1700000039.5, 20, 2.125], [1700000052.5, 30, 2.0]]"
CSV = Format("TensorBoard CSV download", (".csv",), is_csv, open_curves, CSV_SAMPLE, 2, gather)
JSON = Format("TensorBoard JSON download", (".json",), is_json, open_curves, JSON_SAMPLE)
