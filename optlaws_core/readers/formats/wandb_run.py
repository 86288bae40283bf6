"""W&B's transaction log, `run-<id>.wandb`, which an offline run leaves; and the files that lie beside it.

Its records are protobuf messages, `wandb_internal.Record`: of the run with its name and config, of history.
"""

import json
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import LogError
from ..base import Layout, Note, Source
from ..declared import facts_of
from ..format import Content, Format
from ..framing import framed
from ..layout import guess_layout
from ..opened import Numbers, Opened, RawRun
from ..questions import LOG_CALLS, Answer, Question
from ..wire import BYTES, VARINT, Damaged, as_text, fields, signed
from .records import Records

MAGIC = b":W&B"
_HISTORY, _CONFIG, _RUN = 2, 5, 17  # of Record
FOLDER = re.compile(r"(offline-)?run-\d{8}_\d{6}-(?P<id>\w+)")
CUT_OFF = (
    "The transaction log is damaged or ends inside a record (the run was killed or still writes); what precedes that "
    "was read."
)
STEPS = Question(
    "x",
    "W&B's '_step' counts calls of wandb.log where the program gives no step; does it count updates here?",
    (Answer("updates", "Yes, it was logged at every update."), LOG_CALLS),
)


@dataclass
class _Log:
    """What a transaction log tells."""

    rows: list[dict] = field(default_factory=list)
    config: dict = field(default_factory=dict)
    id: str = ""
    name: str = ""
    whole: bool = True

    def add(self, data: bytes) -> None:
        """The records of a file, as far as they can be read."""
        try:
            for record in framed(data):
                for number, kind, message in fields(record):
                    if kind == BYTES and isinstance(message, bytes):
                        self._take(number, message)
        except Damaged:
            self.whole = False

    def _take(self, number: int, message: bytes) -> None:
        if number == _HISTORY:
            self.rows.append(_row(message))
        elif number == _CONFIG:
            _configure(self.config, message)
        elif number == _RUN:
            for part, kind, value in fields(message):
                if part == 1:
                    self.id = as_text(value)
                elif part == 8:
                    self.name = as_text(value)
                elif part == 4 and kind == BYTES and isinstance(value, bytes):
                    _configure(self.config, value)


def is_wandb(content: Content) -> bool:
    """Whether a file opens as a transaction log."""
    return content.data.startswith(MAGIC)


def open_wandb(content: Content) -> Opened:
    """The run, opened. Raises `LogError` when it logged nothing."""
    log = _Log()
    for _, data in content.pieces:
        if data.startswith(MAGIC):
            log.add(data)
    if not log.rows:
        raise LogError("the transaction log holds no history" + ("." if log.whole else ", since its start is damaged."))
    records = Records((None, row) for row in log.rows)
    facts, said = facts_of(log.config)
    name = log.name or log.id or content.run_name
    notes = () if log.whole else (Note("repaired", CUT_OFF),)

    def runs(layout: Layout) -> list[RawRun]:
        return [replace(raw, facts=facts, notes=said) for raw in records.runs(layout, name)]

    layout = guess_layout(records.columns)
    asked = (STEPS,) if layout.x == "_step" and counts_calls(records.numbers("_step")) else ()
    return Opened(records.columns, layout, runs, notes, asked)


def counts_calls(steps: Numbers) -> bool:
    """Whether W&B's own steps may be nothing but a count of calls: 0, 1, 2 …"""
    values = steps.values[np.isfinite(steps.values)]
    return len(values) > 1 and bool((values[1:] - values[:-1] <= 1).all())


def gather(sources: Sequence[Source]) -> list[list[Source]]:
    """The files of W&B's run folders. A run that was resumed has several folders, with one id.

    What the run printed and its summary say nothing that its transaction log does not.
    """
    runs: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if key := _run_of(source.parts):
            runs.setdefault(key, []).append(source)
    return [sorted(run, key=lambda source: not _is_log(source)) for run in runs.values() if any(map(_is_log, run))]


def _is_log(source: Source) -> bool:
    return source.parts[-1].endswith(".wandb")


def _run_of(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Folder and id of the run that a file in a run folder belongs to."""
    for i, part in enumerate(parts[:-1]):
        if found := FOLDER.fullmatch(part):
            kept = parts[-1].endswith(".wandb") or parts[i + 1 :] in (("files", "output.log"), ("files", SUMMARY))
            return (*parts[:i], found["id"]) if kept else ()
    return ()


SUMMARY = "wandb-summary.json"


def _row(history: bytes) -> dict:
    """One call of wandb.log. Raises `Damaged`."""
    row: dict = {}
    step = None
    for number, kind, message in fields(history):
        if kind != BYTES or not isinstance(message, bytes):
            continue
        if number == 1:
            _put(row, message)
        elif number == 2:
            step = next((signed(int(v)) for n, k, v in fields(message) if n == 1 and k == VARINT), 0)
    if step is not None:
        row.setdefault("_step", step)
    return dict(sorted(row.items()))  # W&B's own program writes the keys in a random order


def _configure(config: dict, message: bytes) -> None:
    """What a record changes in the configuration. Raises `Damaged`."""
    for number, kind, item in fields(message):
        if number == 1 and kind == BYTES and isinstance(item, bytes):
            _put(config, item)


def _put(target: dict, item: bytes) -> None:
    """One item, a key (or the keys of nested ones) and a JSON value. Raises `Damaged`."""
    keys: list[str] = []
    value: object = None
    for number, kind, part in fields(item):
        if kind == BYTES and number in (1, 2):
            keys.append(as_text(part))
        elif kind == BYTES and number == 16:
            try:
                value = json.loads(as_text(part))
            except (ValueError, RecursionError):
                value = None
    if keys and keys[0] != "_wandb":
        target["/".join(keys)] = value


SAMPLE = b64decode(
    "OlcmQuG+ACVoOwY+AAGKATsKCGFiMTJjZDM0IiUKERIIbl9wYXJhbXOCAQQxMjAwChASCmJhdGNoX3NpemWCAQE4Qghmcm9tLWxvZ52GRh9EAAES"
    "QgoKEgRpdGVyggEBMAoTEgp0cmFpbi9sb3NzggEEMy4yNQoSEgh0cmFpbi9scoIBBTAuMDAxCgsSBV9zdGVwggEBMHDHN/REAAESQgoLEgRpdGVy"
    "ggECMTAKEhIKdHJhaW4vbG9zc4IBAzIuNQoSEgh0cmFpbi9scoIBBTAuMDAxCgsSBV9zdGVwggEBMbOjB69HAAESRQoLEgRpdGVyggECMjAKFBIK"
    "dHJhaW4vbG9zc4IBBTIuMTI1ChMSCHRyYWluL2xyggEGMC4wMDA1CgsSBV9zdGVwggEBMqkNCatCAAESQAoLEgRpdGVyggECMzAKEhIKdHJhaW4v"
    "bG9zc4IBAzIuMAoQEgh0cmFpbi9scoIBAzAuMAoLEgVfc3RlcIIBATM="
)
FORMAT = Format("W&B transaction log", (".wandb",), is_wandb, open_wandb, SAMPLE, gather=gather)
