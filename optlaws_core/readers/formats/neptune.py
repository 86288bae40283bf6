"""Neptune's offline run, `.neptune/offline/run__…/data-1.log`: a JSON object for each thing that was told it."""

import json
import re
from collections.abc import Sequence

from ...errors import LogError
from ...text import counted
from ..base import Note, Source
from ..declared import facts_of
from ..format import Content, Format, peek
from ..metric_curves import Curves, opened
from ..opened import Opened

_DATA = re.compile(r"data-\d+\.log")
_START = re.compile(rb'\s*\{"obj": ?\{"type": ?"[A-Z]')


def is_neptune(content: Content) -> bool:
    """Whether a file opens with an operation of Neptune's client."""
    return bool(_START.match(content.data[:200]))


def open_neptune(content: Content) -> Opened:
    """The run, opened. Raises `LogError` when it logged no numbers."""
    curves, told, bad = Curves(), {}, 0
    for _, data in content.pieces:
        for line in data.split(b"\n"):
            operation = _operation(line)
            bad += operation is None
            for obj in [operation] if operation else []:
                path = "/".join(map(str, obj["path"]))
                if obj.get("type") == "LogFloats":
                    _add(curves, path, obj.get("values"))
                elif str(obj.get("type")).startswith("Assign"):
                    told[path] = obj.get("value")
    if not curves.points:
        raise LogError("the run logged no series of numbers.")
    name = str(told.get("sys/name") or "") or content.run_name
    params = {key: value for key, value in told.items() if not key.startswith(("sys/", "monitoring/", "source_code/"))}
    notes = (Note("repaired", f"{counted(bad, 'line')} without an operation dropped."),) if bad else ()
    return opened([curves.raw_run(name, *facts_of(params, name))], notes)


def _operation(line: bytes) -> dict | None:
    """The operation in a line, an empty one for a blank line; None where it is damaged."""
    if not line.strip():
        return {}
    try:
        operation = json.loads(line)
    except (ValueError, RecursionError):
        return None
    obj = operation.get("obj") if isinstance(operation, dict) else None
    return obj if isinstance(obj, dict) and isinstance(obj.get("path"), list) else None


def _add(curves: Curves, path: str, values: object) -> None:
    if path.startswith("monitoring/"):
        return
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            curves.add(path, value.get("step"), value.get("value"))


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """The files of each run."""
    runs: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if source.parts and _DATA.fullmatch(source.parts[-1]) and _START.match(peek(source)[:200]):
            runs.setdefault(source.parts[:-1], []).append(source)
    return [*runs.values()]


SAMPLE = b"".join(
    b'{"obj": {"type": "LogFloats", "path": ["train", "%s"], "values": [{"value": %s, "step": %d}]}, "version": 1}\n'
    % (name, value, step)
    for step, loss, rate in (
        (0, b"3.25", b"0.001"),
        (10, b"2.5", b"0.001"),
        (20, b"2.125", b"0.0005"),
        (30, b"2", b"0"),
    )
    for name, value in ((b"loss", loss), (b"lr", rate))
)
FORMAT = Format("Neptune offline run", (), is_neptune, open_neptune, SAMPLE, gather=gather)
