"""What one visitor has loaded, fitted and drawn up: the only user of `st.session_state` for anything but widgets.

Every page starts with `session.page(...)`, which works whether or not another page was opened before.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from optlaws_core import Fit, Run
from optlaws_core.readers import FileReport, Layout, Reading, Source, read, read_all
from optlaws_core.search import Cancelled

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "data" / "manifest.csv"
KEPT_BYTES = 256 * 2**20  # uploads kept per visitor, so that their columns can be corrected later


@dataclass
class Job:
    """A fit that runs in the background."""

    title: str
    future: Future
    share: float = 0.0  # of the search, 0..1
    best: float = float("inf")  # objective so far
    cancelled: bool = False

    @property
    def running(self) -> bool:
        """Whether the result is still to come."""
        return not self.future.done()


@dataclass
class Choice:
    """What was chosen on the Fit page, so that other pages speak of the same."""

    law: str = "opt_laws_curve"
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    split: str = "train"
    from_step: int | None = None


@dataclass
class Workspace:
    """Everything one visitor works on. Runs and fits are immutable; these containers change."""

    runs: dict[str, Run] = field(default_factory=dict)
    reports: dict[str, FileReport] = field(default_factory=dict)  # by the name of the file
    sources: dict[str, Source] = field(default_factory=dict)  # uploads, while they fit into KEPT_BYTES
    layouts: dict[str, Layout] = field(default_factory=dict)  # corrections by the user, by the name of the file
    fits: dict[str, Fit] = field(default_factory=dict)  # by the name they were kept under
    current: str | None = None  # name of the fit in use
    candidates: list[str] = field(default_factory=list)  # schedules as text forms
    choice: Choice = field(default_factory=Choice)
    job: Job | None = None
    example: bool = False  # whether the runs are the bundled ones

    @property
    def fit(self) -> Fit | None:
        """The fit in use."""
        return self.fits.get(self.current) if self.current else None

    @property
    def fittable(self) -> dict[str, Run]:
        """Runs whose learning rate is known, by name."""
        return {name: run for name, run in self.runs.items() if run.plan is not None}

    def take(self, reading: Reading) -> None:
        """Add what was read. Runs of a file that was read before are replaced; everything else stays."""
        for report in reading.files:
            before = self.reports.get(report.file)
            if report.error and before and before.runs:
                continue  # a failed correction loses nothing
            for run in before.runs if before else ():
                self.runs.pop(run.name, None)
            self.reports[report.file] = report
        self.runs.update({run.name: run for run in reading.runs})

    def upload(self, sources: Iterable[Source]) -> Reading:
        """Read uploads, replacing the example runs by them if anything could be read."""
        sources = list(sources)
        reading = read_all(sources, self.layouts)
        if reading.runs and self.example:
            self.clear()
        self.take(reading)
        for source in sources:
            if sum(s.size for s in self.sources.values()) + source.size <= KEPT_BYTES:
                self.sources[source.name] = source
        return reading

    def correct(self, file: str, layout: Layout) -> Reading:
        """Read an upload again under the columns and units that the user gives. Manifests uploaded with it still apply."""
        layouts = self.layouts | {file: layout}
        reading = read_all(list(self.sources.values()), layouts)
        if not any(r.error for r in reading.files if r.file == file):
            self.layouts = layouts
        self.take(reading)
        return reading

    def remove(self, names: Iterable[str]) -> None:
        """Forget runs."""
        for name in names:
            self.runs.pop(name, None)

    def clear(self) -> None:
        """Forget all runs, files and fits."""
        self.__init__()

    def keep(self, name: str, fit: Fit) -> None:
        """Store a fit under a name and use it."""
        self.fits[name], self.current = fit, name

    def start(self, title: str, work: Callable[[Callable[[float, float], bool]], Fit]) -> None:
        """Run `work(progress)` in the background; its progress shows in `job`."""
        self.stop()
        job = Job(title, Future())

        def progress(share: float, best: float) -> bool:
            job.share, job.best = share, best
            return not job.cancelled

        job.future = _executor().submit(work, progress)
        self.job = job

    def stop(self) -> None:
        """Ask the running job to end; its result is dropped."""
        if self.job:
            self.job.cancelled = True
            self.job = None

    def finish(self) -> Fit | None:
        """The finished job's fit, once; None while it runs or when it was cancelled. Raises what the fit raised."""
        job = self.job
        if job is None or job.running:
            return None
        self.job = None
        try:
            return job.future.result()
        except Cancelled:
            return None


@st.cache_resource(show_spinner=False)
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="fit")


@st.cache_resource(show_spinner=False)
def _bundled(digest: str) -> Reading:
    return read(BUNDLED)


def bundled() -> Reading:
    """The project's own runs."""
    return _bundled(hashlib.sha256(BUNDLED.read_bytes()).hexdigest())


def page(title: str, lead: str = "") -> Workspace:
    """Begin a page: its heading and one sentence, and the visitor's workspace, with the bundled runs in a new one."""
    st.set_page_config(page_title=f"{title} · Opt-Laws", page_icon=":material/ssid_chart:", layout="wide")
    st.title(title, anchor=False)
    if lead:
        st.caption(lead)
    return workspace()


def workspace() -> Workspace:
    """The visitor's workspace."""
    if "workspace" not in st.session_state:
        space = Workspace()
        st.session_state.workspace = space
        load_example(space)
    return st.session_state.workspace


def load_example(space: Workspace) -> None:
    """Put the bundled runs in place of whatever is loaded."""
    space.clear()
    space.take(bundled())
    space.example = True


def state() -> Mapping:
    """Widget state, for the few pages that must set a widget's value."""
    return st.session_state
