"""One file to a report, many files to a reading. Bad content never raises here: its sentence goes into the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import LogError, OptLawsError
from ..runs import Run
from ..text import counted, listed, shortened
from .assembly import assemble
from .base import LONGEST_NAME, MOST_FILES, FileReport, Layout, Note, Reading, Source
from .files import is_piece_name, sources_from_paths
from .format import Content, Format
from .formats import format_of, manifest
from .opened import Entry, Manifest, Opened, RawRun

UNKNOWN = "unknown"


def read_source(source: Source, layout: Layout | None = None) -> FileReport:
    """One file under its own layout, or the one given. Never raises for bad content: the report says what is wrong."""
    return _read([source], layout, ())


def read(*paths: str | Path) -> Reading:
    """Files, folders or manifests on disk; a manifest brings its files along. Raises `LogError` for no such path."""
    return read_all(sources_from_paths(paths))


def read_all(sources: Sequence[Source], layouts: Mapping[str, Layout] = {}) -> Reading:  # noqa: B006 (never written to)
    """Many files; manifests among them declare what the other files do not say. `layouts` go by source name.

    Event files of one folder are one run. Raises `LogError` for more than `MOST_FILES` files.
    """
    if len(sources) > MOST_FILES:
        raise LogError(f"{MOST_FILES:,} files can be read at once, got {len(sources):,}; choose a smaller folder.")
    notes = tuple(getattr(sources, "notes", ()))
    sources = list(dict.fromkeys(sources))
    manifests = {i: read for i, s in enumerate(sources) if (read := _manifest(s)) is not None}
    logs = [s for i, s in enumerate(sources) if i not in manifests]
    declared, reports = _joined(manifests, logs)
    groups = _grouped(logs)
    for first, members in groups.items():
        group = [logs[i] for i in members]
        report = _read(group, layouts.get(group[0].name), declared.get(first, ()))
        reports[sources.index(group[0])] = report
        for other in group[1:]:
            text = f"Read together with {group[0].shown}: event files of one folder are one run."
            reports[sources.index(other)] = FileReport(other.name, report.format, notes=(Note("info", text),))
    files = _uniquely_named([reports[i] for i in sorted(reports)], sources)
    return Reading(files, tuple(run for report in files for run in report.runs), notes)


def _open(sources: Sequence[Source]) -> tuple[Format, Opened | Manifest]:
    """One log, which is one file or several event files, in its format. Raises `LogError` for what cannot be read."""
    content = Content.of(*sources)
    format = format_of(content)
    return format, format.open(content)


def _read(sources: list[Source], layout: Layout | None, entries: Sequence[Entry]) -> FileReport:
    """The report on one log, which is one file or several event files."""
    source = sources[0]
    report = FileReport(source.name, UNKNOWN)
    try:
        format, opened = _open(sources)
        if isinstance(opened, Manifest):
            return _manifest_report(opened)
        layout = layout or opened.layout
        report = replace(report, format=format.name, layout=layout, columns=opened.columns)
        _check_layout(opened, layout)
        raws, notes = _named(source, opened.runs(layout)), opened.notes
        del opened  # lets go of the file's bytes
        return _assembled(report.noted(*notes), layout, raws, entries)
    except OptLawsError as error:
        return replace(report, error=sentence(source, error))
    except MemoryError:
        return FileReport(
            source.name, UNKNOWN, error=f"{source.shown}: the file is too large for this machine's memory."
        )


def _check_layout(opened: Opened, layout: Layout) -> None:
    """Raises `LogError` for columns that are not there, and for a layout without a loss."""
    if not layout.losses:
        raise LogError(f"no column is known as a loss; columns found: {listed(opened.columns, 30)}.")
    own = {opened.layout.x}  # event files and histories have steps that are no column
    for column in layout.columns:
        if column not in opened.columns and column not in own:
            raise LogError(f"there is no column {shortened(column)!r}; columns found: {listed(opened.columns, 30)}.")


def _named(source: Source, raws: list[RawRun]) -> list[RawRun]:
    """Runs under printable names of one line, the file's where a log gives none; each name once."""
    named: dict[str, RawRun] = {}
    times: Counter[str] = Counter()
    for raw in raws:
        bare = name = shortened(raw.name, LONGEST_NAME) or shortened(source.stem, 200) or "run"
        while name in named:
            times[bare] += 1
            name = f"{bare} ({times[bare] + 1})"
        named[name] = replace(raw, name=name, notes=tuple(replace(note, run=name) for note in raw.notes))
    return list(named.values())


def _assembled(report: FileReport, layout: Layout, raws: list[RawRun], entries: Sequence[Entry]) -> FileReport:
    """The report with every run of the file that gives a curve. Raises `LogError` when none does."""
    raws, renamed = _renamed(raws, entries)
    notes = [*report.notes, *renamed]
    if layout.x is None:
        notes.append(
            Note("info", "No column counts steps, tokens or samples; the row number, from 0, was taken as the step.")
        )
    by_run = {e.run: e.facts for e in entries}
    runs, facts, errors = [], {}, []
    for raw in raws:
        try:
            run, said, facts[raw.name] = assemble(raw, layout, by_run.get(raw.name, raw.facts))
            runs.append(run)
            notes += said
        except OptLawsError as error:
            errors.append(f"Run {raw.name!r}: {error}" if len(raws) > 1 else str(error))
    if not runs:
        raise LogError(errors[0] if errors else "the table has no rows.")
    notes += [Note("refused", text) for text in errors]
    return replace(report, runs=tuple(runs), notes=tuple(notes), facts=facts)


def _renamed(raws: list[RawRun], entries: Sequence[Entry]) -> tuple[list[RawRun], list[Note]]:
    """Runs under the manifest's names: a file's only run takes its row's name, several are found by their names."""
    if len(raws) == 1 and len(entries) == 1:
        name = entries[0].run
        raw = raws[0]
        return [replace(raw, name=name, notes=tuple(replace(n, run=name) for n in raw.notes))], []
    names = {raw.name for raw in raws}
    strays = [e for e in entries if e.run not in names]
    text = "{}: the run {!r} is not in the file, which has {}; what the row declares was not used."
    return raws, [Note("refused", text.format(e.at, shortened(e.run), listed(sorted(names)))) for e in strays]


def _manifest(source: Source) -> Manifest | LogError | None:
    """A manifest, its fault, or None when the source is a log."""
    try:
        if not manifest.opens_manifest(source):
            return None
    except LogError:
        return None  # reading it as a log tells the fault
    try:
        return manifest.open_manifest(Content.of(source))
    except LogError as error:
        return error


def _joined(
    manifests: Mapping[int, Manifest | LogError], logs: list[Source]
) -> tuple[dict[int, list[Entry]], dict[int, FileReport]]:
    """Rows of the manifests by index of their log, and the reports on the manifests by index of theirs."""
    declared: dict[int, list[Entry]] = {}
    reports: dict[int, FileReport] = {}
    for index, found in manifests.items():
        if isinstance(found, LogError):
            reports[index] = FileReport(found.source, manifest.FORMAT.name, error=str(found))
            continue
        report, absent = _manifest_report(found), []
        for entry in found.entries:
            try:
                at = manifest.find(entry, logs)
            except LogError as error:
                report = report.noted(Note("refused", str(error)))
                continue
            if at is None:
                absent.append(entry)
            else:
                declared.setdefault(at, []).append(entry)
        if absent:
            text = f"{counted(len(absent), 'file')} of the manifest not given: {listed([e.file for e in absent])}."
            report = replace(report.noted(Note("info", text)), absent=tuple(e.file for e in absent))
        reports[index] = report
    return declared, reports


def _manifest_report(found: Manifest) -> FileReport:
    note = Note("info", f"It declares {counted(len(found.entries), 'run')}.")
    return FileReport(found.source.name, manifest.FORMAT.name, notes=(note,))


def _grouped(logs: list[Source]) -> dict[int, list[int]]:
    """Indices of the sources that are one log, by the first of them: event files of one folder, all others alone."""
    groups: dict[int, list[int]] = {}
    folders: dict[tuple[str, ...], int] = {}
    for i in sorted(range(len(logs)), key=lambda i: logs[i].name):
        folder = logs[i].parts[:-1]
        if logs[i].parts and is_piece_name(logs[i].parts[-1]):
            first = folders.setdefault(folder, i) if folder else i
            groups.setdefault(first, []).append(i)
        else:
            groups[i] = [i]
    return groups


def _uniquely_named(reports: Sequence[FileReport], sources: Sequence[Source]) -> tuple[FileReport, ...]:
    """The reports with no run name twice: a repeated one takes the name of its file, or of its folder, as a suffix."""
    times = Counter(run.name for report in reports for run in report.runs)
    taken: set[str] = set()
    out = []
    for report, source in zip(reports, sources, strict=True):
        renamed = {run.name: _free(run, source, taken) if times[run.name] > 1 else run.name for run in report.runs}
        taken |= set(renamed.values())
        said = tuple(
            Note("info", f"{counted(times[old], 'run')} are called {old!r}; this one is shown as {new!r}.", new)
            for old, new in renamed.items()
            if old != new
        )
        runs = tuple(run.renamed(renamed[run.name]) for run in report.runs)
        notes = tuple(replace(n, run=renamed.get(n.run, n.run)) for n in report.notes)
        facts = {renamed.get(name, name): f for name, f in report.facts.items()}
        out.append(replace(report, runs=runs, notes=(*notes, *said), facts=facts))
    return tuple(out)


def _free(run: Run, source: Source, taken: set[str]) -> str:
    folder = source.parts[-2] if len(source.parts) > 1 else ""
    suffix = source.stem if source.stem != run.name or not folder else folder
    name, n = f"{run.name} ({shortened(suffix, 80)})", 2
    while name in taken:
        name, n = f"{run.name} ({shortened(suffix, 80)}, {n})", n + 1
    return name


def sentence(source: Source, error: OptLawsError) -> str:
    """What is wrong with a file, beginning with its name."""
    text = str(error)
    return text if text.startswith(source.shown) else f"{source.shown}: {text}"
