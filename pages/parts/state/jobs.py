"""Work in the background: fits, searches and simulations, which take longer than a visitor should wait for a page.

It takes its turn in the one queue of the server (`server/turns.py`), and is done in a process of its own where there
can be one (`server/workers.py`).
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import streamlit as st

from optlaws_core.errors import Cancelled, OptLawsError

from ..server import workers
from ..server.turns import AWAY, Turn, Turns, Wait
from . import visitor

EVERY = 0.25  # s between two looks of a page at its job
LOOKS = 20  # of all pages in a second, about: the one core that draws pages has more to do
LOST = f"The connection to this tab was lost for more than {AWAY:g} s, so its computation was stopped. Start it again."

T = TypeVar("T")
turns = Turns()


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    share: float = 0.0  # of the work, 0..1
    best: float | None = None  # the lowest objective or loss so far; None where there is none yet


@dataclass
class Job(Generic[T]):
    """Work that waits for its turn, and runs. It ends when nobody holds the job any more, or its tab was closed."""

    title: str
    future: Future[T] = field(default_factory=Future)
    progress: Progress = Progress()
    cancelled: bool = False
    lost: bool = False  # whether it ended because its tab was closed
    settled: bool = False  # whether the page has been told of the end
    turn: Turn | None = None

    @classmethod
    def start(cls, title: str, work: Callable[..., T], apart: bool = True) -> Job[T]:
        """Run `work(progress=…)` in the background, for the tab whose page runs.

        apart: in a process of its own if possible, for which the work must be a function of a module, or a partial of
        one, and it and its result must be picklable. Otherwise in a thread of the server.
        """
        job, tab = cls(title), visitor.tab()
        held, future = weakref.ref(job), job.future

        def report(share: float, best: float | None = None, /) -> bool:
            job = held()
            if job is None or job.cancelled or job.lost:
                return False
            job.progress = Progress(share, best if best is not None and math.isfinite(best) else None)
            return True

        def run() -> None:
            try:
                result = workers.done(work, report) if apart else work(progress=report)
            except BaseException as fault:  # whatever it is, it is raised where the result is asked for
                future.set_exception(fault)
            else:
                future.set_result(result)

        def here() -> bool:
            return held() is not None and (not tab or visitor.connected(tab))

        def gone() -> None:
            if (job := held()) is not None:
                job.lost = True
                job._leave()

        job.turn = Turn(visitor.key(), run, here, gone)
        turns.join(job.turn)
        return job

    def drop_after(self, seconds: float, why: str) -> None:
        """Let go of the result where no page has taken it so many seconds after the end; `result` then raises `why`."""
        held = weakref.ref(self)

        def drop() -> None:
            if (job := held()) is not None and not job.settled:
                dropped: Future[T] = Future()
                dropped.set_exception(OptLawsError(why))
                job.future, job.turn = dropped, None  # what ran holds the result, too

        def wait(done: Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:  # a fault is small, and to be told however late
                timer = threading.Timer(seconds, drop)
                timer.daemon = True  # a server that ends does not wait for it
                timer.start()

        self.future.add_done_callback(wait)

    @property
    def running(self) -> bool:
        """Whether the result is still to come."""
        return not self.future.done()

    def cancel(self) -> None:
        """End the work; its result is dropped."""
        self.cancelled = True
        self._leave()

    def result(self) -> T | None:
        """What the work returned; None for a job that was cancelled. Raises what the work raised.

        Raises `OptLawsError` for one that ended because its tab was closed, and came back.
        """
        if self.cancelled:
            return None
        try:
            return self.future.result()
        except Cancelled:
            if self.lost:
                raise OptLawsError(LOST) from None
            return None

    @property
    def waits(self) -> str:
        """What it waits for before it begins, one sentence; empty once it has begun."""
        wait = None if self.turn is None else turns.wait(self.turn)
        return "" if wait is None else waiting(wait)

    def _leave(self) -> None:
        """Give up the place in the queue, if it waits there."""
        if self.turn is not None and turns.leave(self.turn):
            self.future.set_exception(Cancelled())


def awaited(title: str, call: Callable[..., T], *args: object) -> T:
    """What `call(*args)` returns, for a page that cannot go on without: a job, whose page stands until it ends.

    `call` is a function of a module, and what it takes and returns is picklable. Raises what `call` raises, and
    `OptLawsError` for a tab that was closed. The job ends if the visitor asks for another run of the page.
    """
    job: Job[T] = Job.start(title, functools.partial(workers.whole, call, *args))
    try:
        while not futures.wait([job.future], workers.TURN).done:
            visitor.give_way()
        return job.result()
    finally:
        job.cancel()


def waiting(wait: Wait) -> str:
    """What a piece of work waits for, one sentence."""
    if wait.own:
        return f"Waits for {_other(wait.own)} of yours to end"
    return f"Waits for {_other(wait.others)} on this server to end"


def _other(n: int) -> str:
    return "another fit or search" if n == 1 else f"{n:,} other fits or searches"


def watch(
    job: Job[T],
    said: Callable[[Progress], str],
    ended: Callable[[Job[T]], None],
    key: str,
    *,
    stop: str = "Cancel",
    beneath: Callable[[], object] = lambda: None,
    every: float = EVERY,
) -> None:
    """Progress of a job under the sentence `said`, and a button that cancels it; at its end, `ended(job)`, once.

    While it waits, what it waits for stands there instead. Then the page is drawn anew. `key` is the button's, `stop`
    its label. `beneath` draws what else is to be seen while it runs, at each look, every so many seconds at most.
    """
    st.fragment(_look, run_every=max(every, len(turns) / LOOKS))(job, said, ended, key, stop, beneath)


def _look(
    job: Job[T],
    said: Callable[[Progress], str],
    ended: Callable[[Job[T]], None],
    key: str,
    stop: str,
    beneath: Callable[[], object],
) -> None:
    if job.settled:  # a look that was under way when the page was drawn anew
        return
    if job.running:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(min(job.progress.share, 1.0), job.waits or said(job.progress))
            stopped = st.button(stop, key=key)
        if not stopped:
            beneath()
            return
        job.cancel()
    job.settled = True
    ended(job)
    st.rerun()


@dataclass
class FitJob:
    """The fit that runs for a visitor, one at a time, and why the last one gave nothing."""

    job: Job | None = None
    failure: str = ""
    basis: dict[str, str] | None = None  # what the training runs were when it began, by name
    job_parts: tuple[str, ...] = ()  # of the fit that runs: what is fitted one after the other, each as long as another

    def start(
        self,
        title: str,
        work: Callable[..., object],
        basis: dict[str, str] | None = None,
        parts: tuple[str, ...] = (),
        apart: bool = True,
    ) -> None:
        """Fit in the background, in place of a fit that still runs. Arguments as of `Job.start`."""
        self.stop()
        self.failure, self.basis, self.job_parts = "", basis, parts
        self.job = Job.start(title, work, apart)

    def stop(self) -> None:
        """Ask the running fit to end; its result is dropped."""
        if self.job is not None:
            self.job.cancel()
            self.job = None
