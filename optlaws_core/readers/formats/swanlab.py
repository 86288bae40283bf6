"""SwanLab's log of a run, `run-<id>.swanlab`: a LevelDB log of protobuf messages, with the configuration beside it."""

from base64 import b64decode
from collections.abc import Sequence

from ...errors import LogError
from ..base import Note, Source
from ..declared import facts_of, from_yaml
from ..format import Content, Format
from ..framing import framed
from ..metric_curves import Curves, opened
from ..opened import Opened
from ..wire import BYTES, FIXED64, VARINT, Damaged, as_text, fields, float64, signed

MAGIC = b":SWL"
CUT_OFF = (
    "The log is damaged or ends inside a record (the run was killed or still writes); what precedes that was read."
)
_RUN, _SCALAR = 10, 13  # of a record
_FLOAT = 1  # the kind of a scalar


def is_swanlab(content: Content) -> bool:
    """Whether a file opens as SwanLab's log."""
    return content.data.startswith(MAGIC)


def open_swanlab(content: Content) -> Opened:
    """The run, opened. Raises `LogError` when it logged nothing."""
    curves, name = Curves(), ""
    notes: tuple[Note, ...] = ()
    try:
        for record in framed(content.data):
            for number, _, message in fields(record):
                if number == _RUN and isinstance(message, bytes):
                    name = next((as_text(v) for n, k, v in fields(message) if n == 4 and k == BYTES), name)
                elif number == _SCALAR and isinstance(message, bytes):
                    _add(curves, message)
    except Damaged:
        notes = (Note("repaired", CUT_OFF),)
    if not curves.points:
        raise LogError("the log holds no scalars" + (", since its start is damaged." if notes else "."))
    config = next((s.read() for s in content.others if s.parts[-1] == "config.yaml"), b"")
    name = name or content.run_name
    return opened([curves.raw_run(name, *facts_of(from_yaml(config), name))], notes)


def _add(curves: Curves, message: bytes) -> None:
    """A scalar; protobuf leaves out a step or a value of 0. Raises `Damaged`."""
    key, step, what, value = "", 0, _FLOAT, 0.0
    for number, kind, part in fields(message):
        if number == 1 and kind == BYTES:
            key = as_text(part)
        elif number == 2 and kind == VARINT:
            step = signed(int(part))
        elif number == 3 and kind == VARINT:
            what = int(part)
        elif number == 5 and isinstance(part, bytes):
            value = next((float64(v) for n, k, v in fields(part) if n == 1 and k == FIXED64), 0.0)
    if key and what == _FLOAT:
        curves.add(key, step, value)


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """Logs with the configuration beside them."""
    logs = {source.parts[:-1]: source for source in sources if source.name.endswith(".swanlab")}
    beside = {
        source.parts[:-2]: source
        for source in sources
        if source.parts[-2:] == ("files", "config.yaml") and source.parts[:-2] in logs
    }
    return [[log, *([beside[folder]] if folder in beside else [])] for folder, log in logs.items()]


SAMPLE = b64decode(
    "OlNXTNbhAovFROgbAAEIAVIXCgdwcm9qZWN0Igxmcm9tLXN3YW5sYWItJaSeHQABCAJqGQoKdHJhaW4vbG9zcxgBKgkJAAAAAAAACkBOvFuKHwAB"
    "CAJqGwoKdHJhaW4vbG9zcxAKGAEqCQkAAAAAAAAEQOchBVofAAEIAmobCgp0cmFpbi9sb3NzEBQYASoJCQAAAAAAAAFAPcopkR8AAQgCahsKCnRy"
    "YWluL2xvc3MQHhgBKgkJAAAAAAAAAECY1eT4GwABCAJqFwoIdHJhaW4vbHIYASoJCfyp8dJNYlA/msFHSh0AAQgCahkKCHRyYWluL2xyEAoYASoJ"
    "Cfyp8dJNYlA/J7qsrR0AAQgCahkKCHRyYWluL2xyEBQYASoJCfyp8dJNYkA/RPZGFhQAAQgCahAKCHRyYWluL2xyEB4YASoA"
)
FORMAT = Format("SwanLab log", (".swanlab",), is_swanlab, open_swanlab, SAMPLE, gather=gather)
