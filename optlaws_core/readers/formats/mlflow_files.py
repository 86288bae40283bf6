"""MLflow's file store, `mlruns/<experiment>/<run>/`: a file for each metric, lines of `milliseconds value step`."""

import io
import re
from collections.abc import Iterator, Sequence

from ...errors import LogError
from ...text import counted
from ..base import Note, Source
from ..declared import facts_of, from_yaml
from ..format import Content, Format, peek
from ..metric_curves import Curves, asking_alone, opened
from ..opened import Opened

_LINE = re.compile(rb"\d{12,14} \S+( -?\d+)?\r?(\n|$)")
METRICS, PARAMS, NAME, META = "metrics", "params", ("tags", "mlflow.runName"), "meta.yaml"


def is_metric(content: Content) -> bool:
    """Whether a file is a metric: its first line is a time in milliseconds, a value and a step."""
    return bool(_LINE.match(content.data[:200]))


def open_store(content: Content) -> Opened:
    """A run, opened. Raises `LogError` when it was deleted or has no metrics."""
    curves, params, dropped = Curves(), {}, 0
    name, told = "", {}
    folder = _folder(content.source, {content.source.parts})
    for source, data in content.pieces:
        inside = source.parts[len(folder) :]
        if inside == NAME:
            name = data.decode("utf-8", "replace").strip()
        elif inside == (META,):
            told = from_yaml(data)
        elif inside[:1] == (PARAMS,):
            params["/".join(inside[1:])] = data[:500].decode("utf-8", "replace").strip()
        else:
            dropped += _read(curves, "/".join(inside[1:]) or source.stem, data)
    if told.get("lifecycle_stage") == "deleted":
        raise LogError("this run was deleted in MLflow; restore it there to read it.")
    name = name or str(told.get("run_name") or "") or (folder[-1] if folder else "")
    notes = (Note("repaired", f"{counted(dropped, 'line')} without a whole point dropped."),) if dropped else ()
    found = opened([curves.raw_run(name, *facts_of(params, name))], notes)
    return found if METRICS in content.source.parts[:-1] else asking_alone(found)


def _read(curves: Curves, key: str, data: bytes) -> int:
    """Adds a metric's points; the number of lines that are none. A line without an end may lack digits of its step."""
    end, dropped = data.rfind(b"\n") + 1, 0
    width = max((len(line.split()) for line in _lines(data, end)), default=0)  # old versions wrote no step
    for line in _lines(data, end):
        words = line.split()
        if len(words) == width and width in (2, 3):
            step = words[2].decode("utf-8", "replace") if width == 3 else "0"
            curves.add(key, step, words[1].decode("utf-8", "replace"))
        else:
            dropped += bool(words)
    return dropped + bool(data[end:].strip())


def _lines(data: bytes, end: int) -> Iterator[bytes]:
    """The lines up to `end`, one after another: all at once take many times the memory of the file."""
    return iter(io.BytesIO(data[:end]))


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """The files of runs: metrics, params, name."""
    known = {source.parts for source in sources}
    runs: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if METRICS in source.parts[:-1] and _LINE.match(peek(source)[:200]):
            runs.setdefault(_folder(source, known), []).append(source)
    for source in sources:
        for i in range(len(source.parts)):
            inside = source.parts[i:]
            if source.parts[:i] in runs and (inside in (NAME, (META,)) or inside[0] == PARAMS):
                runs[source.parts[:i]].append(source)
                break
    return [*runs.values()]


def _folder(source: Source, known: set[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder of a metric's run: the one that holds `metrics`, and where there are several also `meta.yaml`."""
    parts = source.parts
    folders = [parts[:i] for i, part in enumerate(parts[:-1]) if part == METRICS]
    told = [folder for folder in folders if (*folder, META) in known]
    return (told or folders or [parts])[-1]


SAMPLE = b"1795310878756 3.25 0\n1795310879756 2.5 10\n1795310880756 2.125 20\n1795310881756 2.0 30\n"
FORMAT = Format("MLflow file store", (), is_metric, open_store, SAMPLE, gather=gather)
