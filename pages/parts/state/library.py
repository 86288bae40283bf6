"""A visitor's training logs: what was uploaded, what was read of it, and the runs that came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from optlaws_core import Run
from optlaws_core.errors import LogError
from optlaws_core.readers import FileReport, Layout, Note, Reading, Source, read_all
from optlaws_core.schedules.recognition import Recognised

from . import uploads
from .bundled import bundled, example_runs
from .records import reset

KEPT_BYTES = 256 * 2**20  # uploads kept per visitor, so that their columns can be corrected later
MOST_RUNS, MOST_LOSSES = 5_000, 20_000_000  # loaded by one visitor; a loss takes 24 bytes


@dataclass
class Library:
    """Runs by name, and the files they came from. Runs are immutable; these containers change."""

    runs: dict[str, Run] = field(default_factory=dict)
    reports: dict[str, FileReport] = field(default_factory=dict)  # by the name of the file
    sources: dict[str, Source] = field(default_factory=dict)  # uploads, while they fit into KEPT_BYTES
    layouts: dict[str, Layout] = field(default_factory=dict)  # corrections by the user, by the name of the file
    example: bool = False  # whether the runs are the bundled ones
    tried: bool = False  # whether the visitor has asked for those, rather than found them there
    revision: int = 0  # counts readings; in the keys of widgets that start afresh with each
    news: tuple[Note, ...] = ()  # what the last reading said as a whole

    @property
    def fittable(self) -> dict[str, Run]:
        """Runs whose learning rate is known, by name."""
        return {name: run for name, run in self.runs.items() if run.plan is not None}

    def recognised(self, run: Run) -> Recognised | None:
        """How a run's schedule was found from its logged rates; None where it was not, or is declared by now."""
        if run.plan is None or run.lr_source != "logged":
            return None
        found = next((r.recognised[run.name] for r in self.reports.values() if run.name in r.recognised), None)
        return found if found and found.schedule == run.plan.schedule else None

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

        A file of a known name takes the place of the known one only where it is the same run, longer; else both stay.
        The order in which files come changes nothing. Raises `LogError`, and loads nothing, for more than `MOST_RUNS`
        runs or `MOST_LOSSES` losses in all.
        """
        sources, told = uploads.apart(sources)
        reading = read_all(sources, self.layouts)
        if self.sources and all(report.format == "Manifest" for report in reading.files):
            # A manifest that comes alone speaks of the logs that came before it.
            names = {source.name for source in sources}
            reading = read_all([*(s for s in self.sources.values() if s.name not in names), *sources], self.layouts)
        self._check_room(reading)
        if reading.runs and self.example:
            self.clear()
        reading, sources = uploads.beside(self.reports, reading, sources)
        reading = replace(reading, notes=(*told, *reading.notes))
        self.take(reading)
        failed = {report.file for report in reading.files if report.error}
        for source in sources:
            if source.name in failed and self.reports[source.name].runs:
                continue  # what was read under that name stays, and so does what it was read from
            self.sources.pop(source.name, None)
            if sum(s.size for s in self.sources.values()) + source.size <= KEPT_BYTES:
                self.sources[source.name] = source
        self._in_order()
        return reading

    def _in_order(self) -> None:
        """Files, and with them runs, by name."""
        self.reports = {file: self.reports[file] for file in sorted(self.reports, key=uploads.natural)}
        names = dict.fromkeys(run.name for report in self.reports.values() for run in report.runs)
        self.runs = {name: self.runs[name] for name in (*names, *self.runs) if name in self.runs}

    def _check_room(self, reading: Reading) -> None:
        replaced = set(self.reports) if self.example else {report.file for report in reading.files}
        kept = [run for file, report in self.reports.items() if file not in replaced for run in report.runs]
        runs = [*kept, *reading.runs]
        losses = sum(len(series) for run in runs for series in run.series.values())
        for most, found, thing in ((MOST_RUNS, len(runs), "runs"), (MOST_LOSSES, losses, "losses")):
            if found > most:
                raise LogError(f"{most:,} {thing} can be loaded at once, these make it {found:,}; remove some first.")

    def correct(self, corrections: Mapping[str, Layout]) -> Reading:
        """Read uploads again under the columns and units that the user gives for each. Manifests still apply."""
        layouts = self.layouts | corrections
        reading = read_all(list(self.sources.values()), layouts)
        files = tuple(report for report in reading.files if report.file in corrections)
        if not any(report.error for report in files):
            if self.example:  # the first logs of one's own take the place of the bundled runs
                sources, known = self.sources, {f: r for f, r in self.reports.items() if f in self.sources}
                self.clear()
                self.sources, self.reports = sources, known
            self.layouts = layouts
        reading = Reading(files, tuple(run for report in files for run in report.runs), reading.notes)
        self.take(reading)
        return reading

    def rename(self, old: str, new: str) -> None:
        """Give a run another name, also in runs that began from it."""
        children = {r.name: r for r in self.runs.values() if r.about.get("parent") == old and r.name != old}
        renamed = {old: self.runs[old].renamed(new)}
        self.change(renamed | {n: replace(r, about={**r.about, "parent": new}) for n, r in children.items()})

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

    def remove(self, names: Iterable[str]) -> None:
        """Forget runs, and files none of whose runs are left."""
        self.change(dict.fromkeys(names))

    def clear(self) -> None:
        """Forget all runs and files, and what was said of them."""
        reset(self, Library)

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
        recognised={names.get(name, name): found for name, found in report.recognised.items()},
        questions=tuple(replace(question, run=names.get(question.run, question.run)) for question in report.questions),
    )
