"""Processes for work that takes seconds: it uses all cores, and pages do not wait for it. Threads share one core.

A template process loads the libraries once, while the first visitor still reads, and makes a copy of itself for each
piece of work: that takes milliseconds, and what both have in memory is there once. The server itself has threads and
must not be copied. A copy does one piece of work, tells how far it is, sends back what came of it, and ends; it also
ends at once when the server closes the line to it, or ends. The system gives it only what pages leave of the cores,
and takes it first where memory is short. It computes on one thread, as the server does: the digits are the same.

Where there is no template, because it still loads or the system cannot copy processes, work is done in the server's
own thread.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from optlaws_core.errors import Cancelled, FitError, OptLawsError
from optlaws_core.parallel import one_thread

from . import libraries, options

ROOT = Path(__file__).resolve().parents[3]
WORKERS = "OPTLAWS_WORKERS"  # environment variable or secret: "off" where fits are to run in the server's own process
POSSIBLE = sys.platform == "linux"  # elsewhere a copy of a process that has loaded its libraries may not work
TURN = 0.1  # s between two questions whether the work is still wanted, and between two words on how far it is
NICE, NICER = 5, 15  # of a copy, and of one that works for `LONG` seconds; 0 is the server's, 19 gives way to all
LONG = 20.0  # s
FIRST_TO_GO = "500"  # of 1000, by which the system chooses whom to end when memory is short
ENDED = (
    "The server's process for this task was killed before it finished, most often because memory ran out. Nothing is "
    "lost; start it again, or use fewer runs or laws."
)
MODULES = (
    "optlaws_core.final_loss",
    "optlaws_core.fitting.selection",
    "optlaws_core.fitting.single",
    "optlaws_core.hyper",
    "optlaws_core.optimize",
    "optlaws_core.optimize.autolrs",
)

T = TypeVar("T")


class Report(Protocol):
    """What work is given, as `progress`, to say how far it is. False: it is to end, by raising `Cancelled`."""

    def __call__(self, share: float, best: float | None = None, /) -> bool: ...


def done(work: Callable[..., T], report: Report) -> T:
    """What `work(progress=…)` returns, from a process of its own if there can be one; what it raises is raised here.

    `work` and its result are pickled. report: told how far it is, and asked at least every `TURN` seconds whether to go
    on: `Cancelled` is raised otherwise, without waiting for the work. Raises `OptLawsError` for a process that died.
    """
    line = _copied()
    if line is None:
        with one_thread():
            return work(progress=report)
    with line:
        return _answer(line, work, report)


def whole(call: Callable[..., T], *args: object, progress: Report) -> T:
    """Work that tells nothing before its end: `call(*args)`."""
    return call(*args)


def _answer(line: Connection, work: Callable[..., T], report: Report) -> T:
    told: tuple[float, float | None] = (0.0, None)
    try:
        line.send(work)
        while True:
            if not report(*told):
                raise Cancelled  # closing the line ends the process
            if not line.poll(TURN):
                continue
            kind, content = line.recv()
            if kind != "progress":
                break
            told = content
    except (EOFError, ConnectionError):
        raise OptLawsError(ENDED) from None
    if kind == "error":
        raise content
    return content


# ---------------------------------------------------------------------------------------------------- the template


class Template:
    """The process that copies of itself are made of. It loads its libraries by itself, while the server goes on."""

    def __init__(self) -> None:
        self._line, its = socket.socketpair()
        self._ready = False
        self._lock = threading.Lock()
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve({its.fileno()})"],
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                env=os.environ | threads | {"PYTHONPATH": paths},
            )

    def ready(self, patience: float = 0.0) -> bool:
        """Whether it has loaded its libraries, which may be waited for, in seconds."""
        with self._lock:
            if not self._ready and select.select([self._line], [], [], patience)[0]:
                self._ready = self._line.recv(1) != b""
            return self._ready

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def copied(self) -> Connection | None:
        """The line to a new copy; None where there can be none yet, or no more."""
        if not self.ready():
            return None
        mine, its = socket.socketpair()
        with its, self._lock:
            try:
                socket.send_fds(self._line, [b"\0"], [its.fileno()])
            except OSError:  # it has ended
                mine.close()
                return None
        return Connection(mine.detach())

    def close(self) -> None:
        """End it; its copies go on."""
        self.process.kill()
        self.process.wait()
        self._line.close()


_template: Template | None = None
_beginning = threading.Lock()


def begin() -> None:
    """Have a template, unless there is one: at the start of a server, and when one has died."""
    global _template
    with _beginning:
        if _template is not None and _template.dead:
            _template.close()
            _template = None
        if POSSIBLE and _template is None and options.said(WORKERS) != "off":
            _template = Template()


def _copied() -> Connection | None:
    if _template is None:
        return None
    line = _template.copied()
    if line is None and _template.dead:
        begin()
    return line


# ------------------------------------------------------------------------------------ in the template and its copies


def serve(fd: int) -> None:
    """The template: load what work needs, then make a copy for every line that comes in over socket `fd`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server ends, and this with it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for copies
    os.nice(NICE)
    _load()
    with socket.socket(fileno=fd) as line:
        line.send(b"\0")
        while True:
            word, lines, *_ = socket.recv_fds(line, 1, 1)
            if not word:
                return
            with contextlib.suppress(OSError):  # no room for one more: its line is closed, which says so
                if os.fork() == 0:
                    line.close()
                    _work(Connection(lines[0]))
            os.close(lines[0])


def _load() -> None:
    libraries.load((*(name for name in libraries.LAWS if name not in libraries.OWN), *MODULES))
    from optlaws_core import LAWS  # here, since the server itself begins without them

    for law in LAWS.values():
        law.compiled  # noqa: B018  kept by the law
    gc.collect()
    gc.freeze()


def _work(line: Connection) -> None:
    """A copy: one piece of work, and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    try:
        answer = _outcome(line)
        try:
            line.send(answer)
        except Exception as fault:  # whatever cannot be pickled
            line.send(("error", RuntimeError(f"{type(fault).__name__}: {fault}")))
    finally:
        os._exit(0)


def _outcome(line: Connection) -> tuple[str, Any]:
    """What the work that comes over the line returns or raises."""
    last = 0.0

    def report(share: float, best: float | None = None, /) -> bool:
        nonlocal last
        if time.monotonic() - last > TURN:
            last = time.monotonic()
            line.send(("progress", (share, best)))
        return True

    try:
        work = line.recv()
        threading.Thread(target=_watch, args=(line,), daemon=True).start()
        with one_thread():
            return "result", work(progress=report)
    except (OptLawsError, FitError, Cancelled) as fault:
        return "error", fault
    except Exception as fault:
        fault.add_note(traceback.format_exc())  # what the server's log would not know
        return "error", fault


def _watch(line: Connection) -> None:
    """End this process with its line; let it give way to others once it has worked for long."""
    with contextlib.suppress(OSError, EOFError):
        if not line.poll(LONG):
            os.setpriority(os.PRIO_PROCESS, os.getpid(), NICER)  # of the thread that works
        line.recv()
    os._exit(0)
