"""Small models trained for visitors by the program in data/, in a process of its own, one at a time on a server.

The process is `data/small_run.py`, which is given schedules as text and nothing else of a visitor's: the model, the
text that it learns and the number of runs are fixed, updates are bounded by whoever calls. It has one core at most and
gives way to all else; it ends when its work is no longer wanted, at a time limit, and with the server, since it then
speaks to nobody.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec

from optlaws_core.errors import Cancelled, OptLawsError

from . import options
from .workers import ENDED, ROOT, TURN

PROVE = "OPTLAWS_PROVE"  # environment variable or secret: "off" where visitors are not to train anything
PROGRAM = "data.small_run"
LIMIT = 600.0  # s for each run, which takes some 30 s where a core is free
MISSING = (
    "Training a small run needs PyTorch, which is not installed where this app runs: "
    "`pip install -r requirements-train.txt` in its environment, then restart the app."
)
BUSY = (
    "This server trains small runs for one tab at a time, and those of another are under way. "
    "They end within minutes; try again then."
)
SLOW = f"It was stopped after {LIMIT / 60:g} minutes per run, this server's limit, before its last update."

_place = threading.Lock()  # held while a process trains


def allowed() -> bool:
    """Whether whoever runs the server lets visitors train."""
    return options.said(PROVE) != "off"


def missing() -> str:
    """Why nothing can be trained here, one sentence; empty where it can."""
    return "" if find_spec("torch") and (ROOT / "data" / "small_run.py").exists() else MISSING


def busy() -> bool:
    """Whether a run is being trained now."""
    return _place.locked()


def train(
    schedules: Sequence[str],
    validate_every: int,
    heard: Callable[[dict], object],
    wanted: Callable[[], bool],
    command: Sequence[str] = (sys.executable, "-m", PROGRAM),
) -> None:
    """Train the schedules, text forms, one after the other. `heard(message)` gets what data/small_run.py tells of them.

    validate_every: updates between two held-out losses. wanted: asked at least every `TURN` seconds whether to go on;
    `Cancelled` is raised otherwise, and the process has ended then. Raises `OptLawsError` with one sentence where
    another visitor's runs are trained, for a fault of the program, for a process that died, and at the time limit.
    """
    if not _place.acquire(blocking=False):
        raise OptLawsError(BUSY)
    try:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process:
            try:
                _ask(process, {"schedules": list(schedules), "validate_every": validate_every})
                _hear(process, heard, wanted, LIMIT * len(schedules))
            finally:
                process.kill()
    finally:
        _place.release()


# One core, as the bundled runs had, and no GPU, whose digits are others. glibc gives big arrays back to the system at
# once and asks for them again; keeping them saves a fifth of the time (data/train.py).
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31),
    "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
}


def _ask(process: subprocess.Popen, what: dict) -> None:
    try:
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.close()
    except OSError:  # it has died; so says the end of what it tells
        pass


def _hear(process: subprocess.Popen, heard: Callable[[dict], object], wanted: Callable[[], bool], limit: float) -> None:
    began = time.monotonic()
    for line in _lines(process):
        if not wanted():
            raise Cancelled
        if time.monotonic() - began > limit:
            raise OptLawsError(SLOW)
        if (message := _message(line)) is None:
            continue
        if "fault" in message:
            raise OptLawsError(message["fault"])
        heard(message)
    if process.wait():
        raise OptLawsError(ENDED)


def _message(line: str) -> dict | None:
    """What a line tells; None for whatever else a library printed."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _lines(process: subprocess.Popen) -> Iterator[str]:
    """What a process prints until it ends, line by line, and an empty text whenever nothing came for `TURN` seconds."""
    came: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with suppress(ValueError):  # closed, since nobody wants what is left
            for line in process.stdout:
                came.put(line)
        came.put(None)

    threading.Thread(target=read, name="trainer", daemon=True).start()
    while True:
        try:
            line = came.get(timeout=TURN)
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line
