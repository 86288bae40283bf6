"""TensorBoard event files, every point of them (TensorBoard's own reader keeps 10,000 points a scalar by default).

A file is a row of records `length (8 bytes), its checksum (4), Event (protobuf), its checksum (4)`. Scalars stand there
as `simple_value` (PyTorch, TF1) or as tensors of one element (TF2, JAX).

The files of one folder are one run, and so are those of `train/` and `validation/` in it (Keras), and of the folders
that `SummaryWriter.add_scalars` makes: one for each curve, called by its tag and its name.
"""

import re
import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...arrays import FloatArray
from ...errors import LogError
from ...text import counted
from ..base import MOST_ROWS, Layout, Note, Source
from ..checksums import damaged
from ..format import SETTINGS, Content, Format, peek
from ..metric_curves import Curves, asking_alone, own_layout
from ..opened import Numbers, Opened, RawRun
from ..wire import BYTES, FIXED32, VARINT, Damaged, as_text, fields, float32, numbers, signed

CUT_OFF = "An event file ends inside a record (the run was killed or still writes); what precedes that was read."
SPLITS = re.compile(r"(train|training|val|valid|validation|eval|evaluation|test|dev)\b", re.IGNORECASE)
# tensorflow.DataType of scalars -> how its bytes are read, and the field of TensorProto that may hold it instead.
_DTYPES = {1: ("<f4", 5), 2: ("<f8", 6), 3: ("<i4", 7), 9: ("<i8", 10)}
# Nearly every record of PyTorch: wall time, step, and a summary of one value, which is a tag and a float.
_PLAIN = re.compile(
    rb"\x09.{8}(?:\x10([\x80-\xff]{0,9}[\x00-\x7f]))?\x2a([\x00-\x7f])\x0a([\x00-\x7f])\x0a([\x00-\x7f])(.*)\x15(.{4})",
    re.DOTALL,
)
_BEFORE = "evaluation_{}_vs_iterations"  # Keras: a validation metric over updates, while all others are over epochs


def is_events(content: Content) -> bool:
    """Whether a file is an event file: its first record says the version."""
    return b"brain.Event:" in content.data[:64]


def open_events(content: Content) -> Opened:
    """The event files of one run, in the order they were written. Raises `LogError` without scalars."""
    found = _Points()
    for source, data in content.pieces:
        if source.parts[-1:] != (SETTINGS,):
            found.add(data, _place(source))
    if not found.scalars:
        raise LogError("the event file holds no scalars.")
    columns = {tag: Numbers(np.array(values), _nan_rows(values)) for tag, (_, values) in found.scalars.items()}
    own_x = {tag: Numbers(np.array(steps, float)) for tag, (steps, _) in found.scalars.items()}
    return _opened(RawRun(_run_name(content), columns, own_x), tuple(found.notes))


def opened_scalars(curves: Curves, name: str, notes: tuple[Note, ...], alone: bool = False) -> Opened:
    """Scalars that TensorBoard wrote elsewhere, opened. `alone`: nothing says what the only curve is."""
    if not curves.points:
        raise LogError("the file holds no points.")
    return asking_alone(_opened(curves.raw_run(name), notes)) if alone else _opened(curves.raw_run(name), notes)


def _opened(raw: RawRun, notes: tuple[Note, ...]) -> Opened:
    layout, own_x, more = _in_updates({tag: x.values for tag, x in raw.own_x.items()})
    xs = {tag: replace(x, values=own_x[tag]) for tag, x in raw.own_x.items()}
    return Opened(tuple(raw.columns), layout, lambda chosen: [replace(raw, own_x=xs)], (*notes, *more))


# ---- which files are one run


@dataclass(frozen=True)
class _Place:
    """Where an event file stands: the folder of its run, and how its tags become columns there."""

    folder: tuple[str, ...]
    before: str = ""
    after: str = ""

    def column(self, tag: str) -> str:
        """The column of a tag."""
        return tag if self.before and SPLITS.match(tag) else f"{self.before}{tag}{self.after}"


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """Event files, run by run."""
    runs: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if source.parts and "tfevents" in source.parts[-1]:
            runs.setdefault(_place(source).folder, []).append(source)
    return [*runs.values()]


def _place(source: Source) -> _Place:
    folder = source.parts[:-1]
    if not folder:
        return _Place(folder)
    if SPLITS.fullmatch(folder[-1]):
        return _Place(folder[:-1], before=f"{folder[-1].lower()}/")
    if curve := _curve(source, folder[-1]):
        return _Place(folder[:-1], after=f"/{curve}")
    return _Place(folder)


def _curve(source: Source, folder: str) -> str:
    """The name of the curve, where the folder is one that `add_scalars` made: all of its tags begin its name."""
    if "_" not in folder:
        return ""
    tags = {*_scalars_of(peek(source)).by_tag}
    begun = {folder.removeprefix(tag.replace("/", "_") + "_") for tag in tags}
    return begun.pop() if len(begun) == 1 and folder not in begun else ""


def _run_name(content: Content) -> str:
    folder = _place(content.source).folder
    return Content(Source("/".join((*folder, "x")), b""), b"").run_name if folder else content.run_name


# ---- records


@dataclass
class _Points:
    """The scalars of the event files of a run: column -> steps, values."""

    scalars: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def add(self, data: bytes, place: _Place) -> None:
        """All scalars of a file. Raises `LogError` when it has too many."""
        found = _scalars_of(data)
        dropped = found.broken
        for tag, points in found.by_tag.items():
            wrong = damaged(data, [p[0] for p in points], [p[1] for p in points]).tolist()
            dropped += len(wrong)
            for i in reversed(wrong):
                del points[i]
            if points:
                steps, values = self.scalars.setdefault(place.column(tag), ([], []))
                steps += [float(step) for _, _, step, _ in points]
                values += [value for *_, value in points]
        if dropped:
            self.notes.append(
                Note("repaired", f"{counted(dropped, 'damaged record')} dropped: the checksums do not fit.")
            )
        if found.end != len(data):
            self.notes.append(Note("repaired", CUT_OFF))


@dataclass
class _Found:
    """The scalars of one file: tag -> (start of the record, its length, step, value) of each point."""

    by_tag: dict[str, list[tuple[int, int, int, float]]] = field(default_factory=dict)
    broken: int = 0  # records that are no message
    end: int = 0  # behind the last whole record


def _scalars_of(data: bytes) -> _Found:
    """The scalars of every record that is there in full. Raises `LogError` when they are too many."""
    found, of_plain, rows = _Found(), dict[bytes, list[tuple[int, int, int, float]]](), 0
    match, length_at, number_at = _PLAIN.fullmatch, struct.Struct("<Q").unpack_from, struct.Struct("<f").unpack
    at, end = 0, len(data)
    while at + 12 <= end:
        (length,) = length_at(data, at)
        start = at + 12
        if length > end - start - 4:
            break
        at = found.end = start + length + 4
        if plain := match(data, start, start + length):
            step, summary, value, size, tag, number = plain.groups()
            if size[0] == len(tag) and value[0] == len(tag) + 7 and summary[0] == len(tag) + 9:
                points = of_plain.get(tag)
                if points is None:
                    points = of_plain[tag] = found.by_tag.setdefault(as_text(tag), [])
                points.append((start, length, _step(step), number_at(number)[0]))
                rows += 1
                continue
        try:
            for step_, tag_, value_ in _scalars(data[start : start + length]):
                found.by_tag.setdefault(tag_, []).append((start, length, step_, value_))
                rows += 1
        except Damaged:
            found.broken += 1
        if rows > MOST_ROWS:
            break
    if rows > MOST_ROWS:
        raise LogError(f"a file may have {MOST_ROWS:,} points, this one has more.")
    return found


def _step(varint: bytes | None) -> int:
    count = 0
    for i, byte in enumerate(varint or b""):
        count |= (byte & 127) << (7 * i)
    return count if count < 2**63 else signed(count & 2**64 - 1)


def _scalars(event: bytes) -> list[tuple[int, str, float]]:
    """(step, tag, value) of the scalars of an event. Raises `Damaged`."""
    step, summary = 0, b""
    for number, kind, value in fields(event):
        if number == 2 and kind == VARINT:
            step = signed(int(value))
        elif number == 5 and isinstance(value, bytes):
            summary = value
    values = (value for number, kind, value in fields(summary) if number == 1 and kind == BYTES)
    read = (_value(value) for value in values if isinstance(value, bytes))
    return [(step, tag, number) for tag, number in read if number is not None]


def _value(value: bytes) -> tuple[str, float | None]:
    """A summary's tag, and its number, or None when it is an image, a text, a histogram or the like."""
    tag, found = "", None
    for number, kind, content in fields(value):
        if number == 1 and kind == BYTES:
            tag = as_text(content)
        elif number == 2 and kind == FIXED32 and isinstance(content, bytes):
            found = float32(content)
        elif number == 8 and kind == BYTES and isinstance(content, bytes):
            found = _tensor(content)
    return tag, found


def _tensor(tensor: bytes) -> float | None:
    """The number of a tensor of one element, None for any other."""
    parts = {number: (kind, value) for number, kind, value in fields(tensor)}
    dtype = _DTYPES.get(int(parts.get(1, (VARINT, 0))[1])) if parts.get(1, (VARINT, 0))[0] == VARINT else None
    if dtype is None:
        return None
    how, where = dtype
    content = parts.get(4, (BYTES, b""))[1]
    if isinstance(content, bytes) and content:
        return float(np.frombuffer(content, how)[0]) if len(content) == np.dtype(how).itemsize else None
    if where not in parts:
        return None
    found = numbers(parts[where][1], parts[where][0], how)
    return float(found[0]) if len(found) == 1 else None


def _nan_rows(values: list[float]) -> np.ndarray:
    return np.flatnonzero(np.isnan(values))


# ---- columns


def _in_updates(own_x: dict[str, FloatArray]) -> tuple[Layout, dict[str, FloatArray], tuple[Note, ...]]:
    """The layout, and every column's x in updates where it is known how many of them are an epoch."""
    plain = {tag: _without_keras(tag) for tag in own_x}
    epochs = [tag for tag in own_x if "epoch_" in tag.rpartition("/")[2][:6]]
    batches = [tag for tag in own_x if tag not in epochs and plain[tag] != tag]
    # A curve over updates is preferred to the same one over epochs.
    names = {plain[tag]: tag for tag in (*epochs, *own_x)} | {plain[tag]: tag for tag in batches}
    guess = own_layout(names)
    losses = tuple((split, names[column]) for split, column in guess.losses)
    lr = names[guess.lr] if guess.lr is not None else None
    tokens = names[guess.tokens] if guess.tokens is not None else None
    layout = replace(guess, losses=losses, lr=lr, tokens=tokens)
    used = [column for _, column in losses if column in epochs]
    if not used:
        return layout, own_x, ()
    per_epoch = _updates_per_epoch(own_x)
    if per_epoch is None:
        # Keras writes at the end of an epoch, and counts from 0.
        return replace(layout, x_unit="epochs"), {t: x + (t in epochs) for t, x in own_x.items()}, ()
    note = Note("info", f"An epoch has {per_epoch:,g} updates, as the validation metrics over iterations tell.")
    return layout, {t: (x + 1) * per_epoch if t in epochs else x for t, x in own_x.items()}, (note,)


def _without_keras(tag: str) -> str:
    """A tag of Keras' callback as other programs would call it."""
    folder, slash, name = tag.rpartition("/")
    bare = re.sub(r"^(epoch|batch)_(?=\w)|^evaluation_(?=.*_vs_iterations$)|_vs_iterations$", "", name)
    return f"{folder}{slash}{bare}"


def _updates_per_epoch(own_x: Mapping[str, FloatArray]) -> float | None:
    """Updates of one epoch, where a metric of Keras is logged over both."""
    for tag, updates in own_x.items():
        if tag.endswith("_vs_iterations") and (epochs := own_x.get(_twin(tag))) is not None:
            each = updates[0] / (epochs[0] + 1)
            if len(updates) == len(epochs) and each > 0 and np.allclose(updates, each * (epochs + 1), rtol=1e-9):
                return float(each)
    return None


def _twin(tag: str) -> str:
    """The tag over epochs of a validation metric over iterations."""
    folder, slash, name = tag.rpartition("/")
    return f"{folder}{slash}epoch_{name.removeprefix('evaluation_').removesuffix('_vs_iterations')}"


# The curve of every sample: losses 3.25, 2.5, 2.125, 2 and rates 1e-3, 1e-3, 5e-4, 0 at steps 0, 10, 20, 30.
SAMPLE = b64decode(
    "DwAAAAAAAABtUysJGg1icmFpbi5FdmVudDoy/JhRKSYAAAAAAAAAc0/jACokChEKCnRyYWluL2xvc3MVAABQQAoPCgh0cmFpbi9schVvEoM6ltHO"
    "PSgAAAAAAAAA/3AWShAKKiQKEQoKdHJhaW4vbG9zcxUAACBACg8KCHRyYWluL2xyFW8SgzqrzThpKAAAAAAAAAD/cBZKEBQqJAoRCgp0cmFpbi9s"
    "b3NzFQAACEAKDwoIdHJhaW4vbHIVbxIDOiXVn2MoAAAAAAAAAP9wFkoQHiokChEKCnRyYWluL2xvc3MVAAAAQAoPCgh0cmFpbi9schUAAAAAMkjV"
    "6Q=="
)
FORMAT = Format("TensorBoard events", (), is_events, open_events, SAMPLE, gather=gather)
