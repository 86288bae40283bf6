"""ClearML's offline task: `metrics.jsonl`, a JSON list of reports a line; `task.json` has name and settings."""

import json
import re
from collections.abc import Mapping, Sequence

from ...errors import LogError
from ...text import counted
from ..base import Note, Source
from ..declared import facts_of
from ..format import Content, Format, peek
from ..metric_curves import Curves, opened
from ..opened import Opened

METRICS, BESIDE = "metrics.jsonl", ("task.json", "log.jsonl")
_KIND = "training_stats_scalar"
_START = re.compile(rb'\s*\[\s*\{[^{}]*"training_stats_[a-z]+"')


def is_clearml(content: Content) -> bool:
    """Whether a file opens with a list of ClearML's reports."""
    return bool(_START.match(content.data[:4096]))


def open_clearml(content: Content) -> Opened:
    """The task, opened. Raises `LogError` when it reported no scalars."""
    curves, bad = Curves(), 0
    for line in content.data.split(b"\n"):
        if not line.strip():
            continue
        try:
            events = json.loads(line)
        except (ValueError, RecursionError):
            events = None
        bad += not isinstance(events, list)
        for event in events if isinstance(events, list) else ():
            if isinstance(event, dict) and event.get("type") == _KIND and not _of_machine(event):
                curves.add(_column(event), event.get("iter"), event.get("value"))
    if not curves.points:
        raise LogError("the task reported no scalars.")
    task = _task(content)
    name = str(task.get("name") or "") or content.run_name
    settings = task.get("hyperparams")
    notes = (Note("repaired", f"{counted(bad, 'line')} without a JSON list dropped."),) if bad else ()
    facts = facts_of(settings if isinstance(settings, Mapping) else {}, name)
    return opened([curves.raw_run(name, *facts)], notes)


def _of_machine(event: Mapping[str, object]) -> bool:
    return str(event.get("metric")).startswith(":monitor:")


def _column(event: Mapping[str, object]) -> str:
    metric, variant = str(event.get("metric")), str(event.get("variant"))
    return metric if metric == variant else f"{metric}/{variant}"


def _task(content: Content) -> dict:
    data = next((s.read() for s in content.others if s.parts[-1] == BESIDE[0]), b"{}")
    try:
        task = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return task if isinstance(task, dict) else {}


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """Reports with the task beside them."""
    runs = {
        source.parts[:-1]: [source]
        for source in sources
        if source.parts[-1:] == (METRICS,) and _START.match(peek(source)[:4096])
    }
    for source in sources:
        if source.parts[-1:] and source.parts[-1] in BESIDE and source.parts[:-1] in runs:
            runs[source.parts[:-1]].append(source)
    return [*runs.values()]


SAMPLE = (
    b'[{"type": "training_stats_scalar", "iter": 0, "metric": "loss", "variant": "train", "value": 3.25}, '
    b'{"type": "training_stats_scalar", "iter": 0, "metric": "lr", "variant": "lr", "value": 0.001}]\n'
    b'[{"type": "training_stats_scalar", "iter": 10, "metric": "loss", "variant": "train", "value": 2.5}, '
    b'{"type": "training_stats_scalar", "iter": 10, "metric": "lr", "variant": "lr", "value": 0.001}]\n'
    b'[{"type": "training_stats_scalar", "iter": 20, "metric": "loss", "variant": "train", "value": 2.125}, '
    b'{"type": "training_stats_scalar", "iter": 20, "metric": "lr", "variant": "lr", "value": 0.0005}]\n'
    b'[{"type": "training_stats_scalar", "iter": 30, "metric": "loss", "variant": "train", "value": 2.0}, '
    b'{"type": "training_stats_scalar", "iter": 30, "metric": "lr", "variant": "lr", "value": 0.0}]\n'
)
FORMAT = Format("ClearML offline task", (".jsonl",), is_clearml, open_clearml, SAMPLE, gather=gather)
