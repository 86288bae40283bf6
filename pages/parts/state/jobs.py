"""Work in the background: fits, searches and simulations, which take longer than a visitor should wait for a page."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import streamlit as st

from optlaws_core.errors import Cancelled

THREADS = 8  # jobs at once, over all visitors; they share the cores, so that none waits for another's to end
EVERY = 0.25  # s between two looks at a job

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    share: float = 0.0  # of the work, 0..1
    best: float | None = None  # the lowest objective or loss so far; None where there is none yet


class Report(Protocol):
    """What a job's work is given to say how far it is. False: it is to end, by raising `Cancelled`."""

    def __call__(self, share: float, best: float | None = None, /) -> bool: ...


@dataclass
class Job(Generic[T]):
    """Work in a thread of the server. It is asked to end when nobody holds the job any more: its visitor has gone."""

    title: str
    future: Future[T] = field(default_factory=Future)
    progress: Progress = Progress()
    cancelled: bool = False
    settled: bool = False  # whether the page has been told of the end

    @classmethod
    def start(cls, title: str, work: Callable[[Report], T]) -> Job[T]:
        """Run `work(report)` in the background."""
        job = cls(title)
        held = weakref.ref(job)

        def report(share: float, best: float | None = None, /) -> bool:
            job = held()
            if job is None or job.cancelled:
                return False
            job.progress = Progress(share, best if best is not None and math.isfinite(best) else None)
            return True

        job.future = _threads().submit(work, report)
        return job

    @property
    def running(self) -> bool:
        """Whether the result is still to come."""
        return not self.future.done()

    def cancel(self) -> None:
        """Ask the work to end; its result is dropped."""
        self.cancelled = True

    def result(self) -> T | None:
        """What the work returned; None for a job that was cancelled. Raises what the work raised."""
        if self.cancelled:
            return None
        try:
            return self.future.result()
        except Cancelled:
            return None


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="job")


@st.fragment(run_every=EVERY)
def watch(job: Job[T], said: Callable[[Progress], str], ended: Callable[[Job[T]], None], key: str) -> None:
    """Progress of a job under the sentence `said`, and a button that cancels it; at its end, `ended(job)`, once.

    Then the page is drawn anew. `key` is the button's.
    """
    if job.settled:  # a look that was under way when the page was drawn anew
        return
    if job.running:
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(min(job.progress.share, 1.0), said(job.progress))
        if not button.button("Cancel", width="stretch", key=key):
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
        work: Callable[[Report], object],
        basis: dict[str, str] | None = None,
        parts: tuple[str, ...] = (),
    ) -> None:
        """Fit in the background, in place of a fit that still runs."""
        self.stop()
        self.failure, self.basis, self.job_parts = "", basis, parts
        self.job = Job.start(title, work)

    def stop(self) -> None:
        """Ask the running fit to end; its result is dropped."""
        if self.job is not None:
            self.job.cancel()
            self.job = None
