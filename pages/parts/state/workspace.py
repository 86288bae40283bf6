"""What one visitor has loaded, fitted and drawn up. Plain records; no Streamlit."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from optlaws_core import Run
from optlaws_core.errors import Cancelled, LogError
from optlaws_core.readers import FileReport, Layout, Note, Reading, Source, read_all

from .bundled import bundled, example_runs
from .candidates import Candidate
from .jobs import Job, executor

if TYPE_CHECKING:
    from optlaws_core import Fit, Prediction, Selection
    from optlaws_core.fitting.result import Model
    from optlaws_core.prediction.divergence import Risk

KEPT_BYTES = 256 * 2**20  # uploads kept per visitor, so that their columns can be corrected later
MOST_RUNS, MOST_LOSSES = 5_000, 20_000_000  # loaded by one visitor; a loss takes 24 bytes


@dataclass
class TableFile:
    """An uploaded table of runs."""

    name: str
    content: bytes
    sure: bool = False  # whether the visitor said that unlikely units are right
    columns: dict[str, str] = field(default_factory=dict)  # its names by ours, as they were chosen
    unit: str = ""  # tokens in one unit of its batch column, as typed; empty for 1


@dataclass
class Choice:
    """What was chosen on the Fit page, so that other pages speak of the same."""

    laws: tuple[str, ...] = ()  # nothing chosen yet
    train: tuple[str, ...] | None = None  # None: nothing chosen yet
    test: tuple[str, ...] | None = None
    split: str | None = None  # None: each run on its own
    from_step: int | None = None


@dataclass
class Workspace:
    """Everything one visitor works on. Runs and fits are immutable; these containers change."""

    runs: dict[str, Run] = field(default_factory=dict)
    reports: dict[str, FileReport] = field(default_factory=dict)  # by the name of the file
    sources: dict[str, Source] = field(default_factory=dict)  # uploads, while they fit into KEPT_BYTES
    layouts: dict[str, Layout] = field(default_factory=dict)  # corrections by the user, by the name of the file
    fits: dict[str, Model] = field(default_factory=dict)  # by the name they were kept under
    selections: dict[str, Selection] = field(default_factory=dict)  # what a fit was judged beside, by the same name
    current: str | None = None  # name of the fit in use
    candidates: list[Candidate] = field(default_factory=list)  # what the Compare page compares
    choice: Choice = field(default_factory=Choice)
    job: Job | None = None
    packed: tuple[Fit, dict] | None = None  # the fit in the tuner, and what the tuner was given; costly to make
    banded: tuple[Model, tuple[Run, ...], dict[str, Prediction]] | None = None  # the same for bands of held-out runs
    failure: str = ""  # why the last fit gave nothing
    example: bool = False  # whether the runs are the bundled ones
    revision: int = 0  # counts readings; in the keys of widgets that start afresh with each
    news: tuple[Note, ...] = ()  # what the last reading said as a whole
    table: TableFile | None = None  # final losses
    sweep: TableFile | None = None  # final losses over learning rate and batch
    parent: str | None = None  # digest of the saved comparison that all this began as a copy of
    risk: Risk | None = None  # of divergence, that this copy came with

    @property
    def fit(self) -> Model | None:
        """The fit in use."""
        return self.fits.get(self.current) if self.current else None

    @property
    def fittable(self) -> dict[str, Run]:
        """Runs whose learning rate is known, by name."""
        return {name: run for name, run in self.runs.items() if run.plan is not None}

    @property
    def uploaded(self) -> bool:
        """Whether there are files to speak of besides the bundled ones."""
        known = {report.file for report in bundled().files} if self.example else set()
        return not set(self.reports) <= known

    def take(self, reading: Reading) -> None:
        """Add what was read. Runs of a file that was read before are replaced; everything else stays."""
        for report in reading.files:
            before = self.reports.get(report.file)
            if report.error and before and before.runs:
                continue  # a failed correction loses nothing
            for run in before.runs if before else ():
                self.runs.pop(run.name, None)
            self.reports[report.file] = report = _apart(report, self.runs)
            self.runs.update({run.name: run for run in report.runs})

    def upload(self, sources: Iterable[Source]) -> Reading:
        """Read uploads, replacing the example runs by them if anything could be read.

        Raises `LogError`, and loads nothing, for more than `MOST_RUNS` runs or `MOST_LOSSES` losses in all.
        """
        sources = list(sources)
        reading = read_all(sources, self.layouts)
        if self.sources and all(report.format == "Manifest" for report in reading.files):
            # A manifest that comes alone speaks of the logs that came before it.
            names = {source.name for source in sources}
            reading = read_all([*(s for s in self.sources.values() if s.name not in names), *sources], self.layouts)
        self._check_room(reading)
        if reading.runs and self.example:
            self.clear()
        self.take(reading)
        for source in sources:
            self.sources.pop(source.name, None)
            if sum(s.size for s in self.sources.values()) + source.size <= KEPT_BYTES:
                self.sources[source.name] = source
        return reading

    def _check_room(self, reading: Reading) -> None:
        replaced = set(self.reports) if self.example else {report.file for report in reading.files}
        kept = [run for file, report in self.reports.items() if file not in replaced for run in report.runs]
        runs = [*kept, *reading.runs]
        losses = sum(len(series) for run in runs for series in run.series.values())
        for most, found, thing in ((MOST_RUNS, len(runs), "runs"), (MOST_LOSSES, losses, "losses")):
            if found > most:
                raise LogError(f"{most:,} {thing} can be loaded at once, these make it {found:,}; remove some first.")

    def correct(self, file: str, layout: Layout) -> Reading:
        """Read an upload again under the columns and units that the user gives. Manifests still apply."""
        layouts = self.layouts | {file: layout}
        reading = read_all(list(self.sources.values()), layouts)
        files = tuple(report for report in reading.files if report.file == file)
        if not any(report.error for report in files):
            if self.example:  # the first logs of one's own take the place of the bundled runs
                sources, known = self.sources, {f: r for f, r in self.reports.items() if f in self.sources}
                self.clear()
                self.sources, self.reports = sources, known
            self.layouts = layouts
        reading = Reading(files, tuple(run for report in files for run in report.runs), reading.notes)
        self.take(reading)
        return reading

    def change(self, runs: Mapping[str, Run | None]) -> None:
        """Put other runs in the place of those called so; None forgets one. Order, and with it colours, stays."""
        self.runs = {new.name: new for name, run in self.runs.items() if (new := runs.get(name, run)) is not None}
        for file, report in list(self.reports.items()):
            left = tuple(new for run in report.runs if (new := runs.get(run.name, run)) is not None)
            if report.runs and not left:
                for known in (self.reports, self.sources, self.layouts):
                    known.pop(file, None)
            else:
                self.reports[file] = replace(report, runs=left)

    def rename(self, old: str, new: str) -> None:
        """Give a run another name, also in fits, in what they were judged beside, and in runs that began from it."""
        from optlaws_core.saved import mapped_model, mapped_selection  # they bring SciPy

        def told(name: str) -> str:
            return new if name == old else name

        children = {r.name: r for r in self.runs.values() if r.about.get("parent") == old and r.name != old}
        renamed = {old: self.runs[old].renamed(new)}
        self.change(renamed | {n: replace(r, about={**r.about, "parent": new}) for n, r in children.items()})
        self.fits = {name: mapped_model(model, told) for name, model in self.fits.items()}
        self.selections = {name: mapped_selection(s, told) for name, s in self.selections.items()}
        for kind in ("train", "test"):
            names = getattr(self.choice, kind)
            setattr(self.choice, kind, names and tuple(map(told, names)))

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it when a fit has that name already."""
        numbered = (f"{wanted} ({i})" for i in itertools.count(2))
        return next(name for name in itertools.chain((wanted,), numbered) if name not in self.fits)

    def remove(self, names: Iterable[str]) -> None:
        """Forget runs, and files none of whose runs are left."""
        self.change(dict.fromkeys(names))

    def clear(self) -> None:
        """Forget all runs, files and fits. Candidates stay: a link may have brought them. So do tables."""
        self.stop()
        self.__init__(candidates=self.candidates, table=self.table, sweep=self.sweep)

    def become(self, other: Workspace, parent: str) -> None:
        """Take over another workspace's runs, fits and candidates, which were saved as `parent`."""
        self.clear()
        self.runs, self.fits, self.current = dict(other.runs), dict(other.fits), other.current
        self.selections, self.candidates = dict(other.selections), list(other.candidates)
        self.parent, self.risk = parent, other.risk
        self.revision += 1

    def load_example(self) -> None:
        """Put the bundled runs in place of whatever is loaded."""
        self.clear()
        self.take(bundled())
        self.runs = {run.name: run for run in example_runs()}
        self.example = True

    def use(self, runs: Iterable[Run]) -> None:
        """Work with these of the project's own runs in place of whatever is loaded."""
        self.clear()
        self.runs = {run.name: run for run in runs}
        self.example = True

    def keep(self, name: str, fit: Model, selection: Selection | None = None) -> None:
        """Store a fit under a name, with what it was judged beside, and use it."""
        self.fits[name], self.current = fit, name
        self.selections.pop(name, None)
        if selection is not None:
            self.selections[name] = selection

    def start(self, title: str, work: Callable[[Callable[[float, float], bool]], Fit | Selection]) -> None:
        """Run `work(progress)` in the background; its progress shows in `job`. It ends once its visitor has gone."""
        self.stop()
        self.failure = ""
        job, visitor = Job(title, Future()), weakref.ref(self)

        def progress(share: float, best: float) -> bool:
            job.share, job.best = share, best
            return not job.cancelled and visitor() is not None

        job.future = executor().submit(work, progress)
        self.job = job

    def stop(self) -> None:
        """Ask the running job to end; its result is dropped."""
        if self.job:
            self.job.cancelled = True
            self.job = None

    def finish(self) -> Fit | Selection | None:
        """The finished job's result, once; None while it runs or when it was cancelled. Raises what the fit raised."""
        job = self.job
        if job is None or job.running:
            return None
        self.job = None
        try:
            return job.future.result()
        except Cancelled:
            return None


def _apart(report: FileReport, taken: Mapping[str, Run]) -> FileReport:
    """The report, its runs under names that are still free: two folders may both hold a `cosine`."""
    names = {}
    for run in report.runs:
        name, n = run.name, 2
        while name in taken:
            name, n = f"{run.name} ({n})", n + 1
        names[run.name] = name
    if all(old == new for old, new in names.items()):
        return report
    return replace(
        report,
        runs=tuple(run.renamed(names[run.name]) for run in report.runs),
        notes=tuple(replace(note, run=names.get(note.run, note.run)) for note in report.notes),
        facts={names.get(name, name): facts for name, facts in report.facts.items()},
    )
