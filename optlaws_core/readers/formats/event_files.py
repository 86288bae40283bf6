"""TensorBoard event files, every point of them (TensorBoard's own reader keeps 10,000 points a scalar by default).

A file is a row of records `length (8 bytes), its checksum (4), Event (protobuf), its checksum (4)`. Scalars stand there
as `simple_value` (PyTorch, TF1) or as tensors of one element (TF2, JAX). Needs the package tensorboard, not TensorFlow.
"""

import struct
from base64 import b64decode

import numpy as np

from ...errors import LogError
from ..base import MOST_ROWS, Layout, Note
from ..format import Content, Format
from ..layout import guess_layout
from ..opened import Numbers, Opened, RawRun

CUT_OFF = "An event file ends inside a record (the run was killed or still writes); what stands before it was read."
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # tensorflow.DataType of scalars


def is_events(content: Content) -> bool:
    """Whether a file is an event file: its first record says the version."""
    return b"brain.Event:" in content.data[:64]


def open_events(content: Content) -> Opened:
    """The event files of one run, in the order they were written. Raises `LogError` without tensorboard or scalars."""
    scalars: dict[str, tuple[list[int], list[float]]] = {}  # tag -> steps, values
    notes = []
    for _, data in content.pieces:
        if _collect(data, scalars):
            notes.append(Note("repaired", CUT_OFF))
    columns = {tag: Numbers(np.array(values), _nan_rows(values)) for tag, (_, values) in scalars.items()}
    own_x = {tag: Numbers(np.array(steps, float)) for tag, (steps, _) in scalars.items()}
    if not columns:
        raise LogError("the event file holds no scalars.")
    raw = RawRun(content.run_name, columns, own_x)
    return Opened(tuple(columns), _layout(tuple(columns)), lambda layout: [raw], tuple(notes))


def piece_of(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """The folder of an event file: all event files of one folder are one run."""
    return parts[:-1] if "tfevents" in parts[-1] else None


def _layout(tags: tuple[str, ...]) -> Layout:
    guess = guess_layout(tags)
    return Layout("step", "step", guess.losses, guess.lr, tokens=guess.tokens, loss_unit=guess.loss_unit)


def _nan_rows(values: list[float]) -> np.ndarray:
    return np.flatnonzero(np.isnan(values))


def _collect(data: bytes, scalars: dict[str, tuple[list[int], list[float]]]) -> bool:
    """Adds a file's scalars; True when its last record is cut off or damaged."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError:
        raise LogError("reading event files needs the package tensorboard (pip install tensorboard).") from None
    at, end, rows = 0, len(data), 0
    while at + 12 <= end:
        (length,) = struct.unpack_from("<Q", data, at)
        at += 12
        if length > end - at - 4:
            return True
        try:
            event = Event.FromString(data[at : at + length])
        except DecodeError:
            return True
        at += length + 4
        for value in event.summary.value:
            number = _scalar(value)
            if number is not None:
                steps, values = scalars.setdefault(value.tag, ([], []))
                steps.append(event.step)
                values.append(number)
                rows += 1
        if rows > MOST_ROWS:
            raise LogError(f"a file may have {MOST_ROWS:,} points, this one has more.")
    return at != end


def _scalar(value) -> float | None:
    """The number of a summary value, or None when it is an image, a text, a histogram or the like."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    if kind != "tensor" or value.tensor.dtype not in _DTYPES or any(d.size != 1 for d in value.tensor.tensor_shape.dim):
        return None
    tensor = value.tensor
    if tensor.tensor_content:
        dtype = np.dtype(_DTYPES[tensor.dtype])
        if len(tensor.tensor_content) != dtype.itemsize:
            return None
        return float(np.frombuffer(tensor.tensor_content, dtype)[0])
    field = (*tensor.float_val, *tensor.double_val, *tensor.int_val, *tensor.int64_val)
    return float(field[0]) if len(field) == 1 else None


# The curve of every sample: losses 3.25, 2.5, 2.125, 2 and rates 1e-3, 1e-3, 5e-4, 0 at steps 0, 10, 20, 30.
SAMPLE = b64decode(
    "DwAAAAAAAABtUysJGg1icmFpbi5FdmVudDoy/JhRKSYAAAAAAAAAc0/jACokChEKCnRyYWluL2xvc3MVAABQQAoPCgh0cmFpbi9schVvEoM6ltHO"
    "PSgAAAAAAAAA/3AWShAKKiQKEQoKdHJhaW4vbG9zcxUAACBACg8KCHRyYWluL2xyFW8SgzqrzThpKAAAAAAAAAD/cBZKEBQqJAoRCgp0cmFpbi9s"
    "b3NzFQAACEAKDwoIdHJhaW4vbHIVbxIDOiXVn2MoAAAAAAAAAP9wFkoQHiokChEKCnRyYWluL2xvc3MVAAAAQAoPCgh0cmFpbi9schUAAAAAMkjV"
    "6Q=="
)
FORMAT = Format("TensorBoard events", (), is_events, open_events, SAMPLE, piece_of=piece_of)
