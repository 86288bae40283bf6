"""One file to a report, many files to a reading. Bad content never raises here: its sentence goes into the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import LogError, OptLawsError
from ..runs import Run
from ..text import counted, listed, shortened
from .assembly import assemble
from .base import LONGEST_NAME, MOST_FILES, FileReport, Layout, Note, Opened, RawRun, Reading, Source
from .files import sources_from_paths
from .formats import records
from .formats.delimited import header_of, open_delimited
from .formats.event_files import open_events
from .formats.parquet import open_parquet
from .formats.trainer_state import is_trainer_state, open_trainer_state
from .formats.wandb_chart import is_chart, open_chart
from .formats.wandb_history import is_history, open_history
from .manifest import Entry, find, is_manifest, opens_manifest, read_manifest
from .sniff import as_utf8, is_utf16, kind_of

UNKNOWN = "unknown"
MANIFEST = "Manifest"


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


def _read(sources: list[Source], layout: Layout | None, entries: Sequence[Entry]) -> FileReport:
    """The report on one log, which is one file or several event files."""
    source, opened = sources[0], None
    try:
        opened = _open(sources)
        if opened is None:
            return _manifest_report(source, read_manifest(source))
        layout = layout or opened.layout
        _check_layout(opened, layout)
        raws = _named(source, opened.runs(layout))
        opened = replace(opened, runs=None)  # lets go of the file's bytes
        return _report(source, opened, layout, raws, entries)
    except OptLawsError as error:
        shape = (opened.format, layout or opened.layout, opened.columns) if opened else (UNKNOWN, None, ())
        return FileReport(source.name, *shape, error=_sentence(source, error))
    except MemoryError:
        return FileReport(
            source.name, UNKNOWN, error=f"{source.shown}: the file is too large for this machine's memory."
        )


def _open(sources: list[Source]) -> Opened | None:
    """The file in its format; None for a manifest."""
    source = sources[0]
    file = source.shown
    data = source.read()
    kind = kind_of(data[:65_536], file)
    if kind == "events":
        return open_events([data, *(s.read() for s in sources[1:])], source.parts)
    if kind == "parquet":
        return open_parquet(data)
    data = as_utf8(data, file) if is_utf16(data) else data
    if kind == "json":
        return _open_json(data, source.parts)
    header = header_of(data, file)
    if is_manifest(header):
        return None
    return open_chart(data, header, file) if is_chart(header) else open_delimited(data, header, file)


def _open_json(data: bytes, parts: tuple[str, ...]) -> Opened:
    value = records.parsed(data)
    if is_trainer_state(value):
        return open_trainer_state(value, parts)
    if is_history(value):
        return open_history(value)
    if isinstance(value, list):
        return records.opened("JSON records", *records.from_array(value))
    if isinstance(value, dict) and any(isinstance(v, list) for v in value.values()):
        return records.opened("JSON columns", *records.from_columns(value))
    return records.opened("JSON lines", *records.from_lines(data))


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


def _report(source: Source, opened: Opened, layout: Layout, raws: list[RawRun], entries: Sequence[Entry]) -> FileReport:
    """Every run of a file that gives a curve; the file's error when none does."""
    raws, notes = _renamed(raws, entries)
    notes = [*opened.notes, *notes]
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
    return FileReport(source.name, opened.format, layout, opened.columns, tuple(runs), tuple(notes), None, facts)


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


def _manifest(source: Source) -> tuple[Entry, ...] | LogError | None:
    """The rows of a manifest, its fault, or None when the source is a log."""
    try:
        if not opens_manifest(source):
            return None
    except LogError:
        return None  # reading it as a log tells the fault
    try:
        return read_manifest(source)
    except LogError as error:
        return error


def _joined(manifests: Mapping[int, tuple[Entry, ...] | LogError], logs: list[Source]):
    """Rows of the manifests by index of their log, and the reports on the manifests by index of theirs."""
    declared: dict[int, list[Entry]] = {}
    reports: dict[int, FileReport] = {}
    for index, entries in manifests.items():
        if isinstance(entries, LogError):
            reports[index] = FileReport(entries.source, MANIFEST, error=str(entries))
            continue
        report, absent = _manifest_report(entries[0].manifest, entries), []
        for entry in entries:
            try:
                at = find(entry, logs)
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


def _manifest_report(source: Source, entries: Sequence[Entry]) -> FileReport:
    return FileReport(source.name, MANIFEST, notes=(Note("info", f"It declares {counted(len(entries), 'run')}."),))


def _grouped(logs: list[Source]) -> dict[int, list[int]]:
    """Indices of the sources that are one log, by the first of them: event files of one folder, all others alone."""
    groups: dict[int, list[int]] = {}
    folders: dict[tuple[str, ...], int] = {}
    for i in sorted(range(len(logs)), key=lambda i: logs[i].name):
        folder = logs[i].parts[:-1]
        if "tfevents" in logs[i].parts[-1:][0] if logs[i].parts else False:
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


def _sentence(source: Source, error: OptLawsError) -> str:
    text = str(error)
    return text if text.startswith(source.shown) else f"{source.shown}: {text}"
