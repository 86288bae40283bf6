"""One file to a report, many files to a reading. Bad content never raises here: its sentence goes into the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ..errors import LogError, NoLoss, NoNumbers, OptLawsError
from ..runs import Run
from ..text import counted, listed, shortened
from . import archives
from .assembly import assemble
from .base import LONGEST_NAME, MOST_FILES, MOST_PIECES, FileReport, Layout, Note, Reading, Source
from .companions import with_shared_lengths, with_shared_warmups
from .declared import facts_of, from_yaml
from .files import in_order, is_archive, may_be_log, runs_among, sources_from_paths, unpacked
from .finished_runs import FinishedRuns
from .format import NO_NAME, SETTINGS, Content, Format
from .formats import format_of, manifest
from .opened import Entry, Manifest, Opened, RawRun
from .questions import Question, Unanswered, answered, open_questions
from .refusals import about_pairs, refuse
from .step_axis import apart

UNKNOWN = "unknown"
MOST_QUESTIONS = 10  # of one file, one after another


def read_source(
    source: Source, layout: Layout | None = None, answers: Mapping[str, str] = MappingProxyType({})
) -> FileReport:
    """One file under its own layout, or the one given. Never raises for bad content: the report says what is wrong.

    `answers` are to the questions that the report would ask: their key, or `FILE:key`, to `answer` or `answer:number`.
    """
    groups = runs_among(unpacked([source])[0])
    if len(groups) == 1:
        return _read(groups[0], layout, (), answers)
    text = f"{source.shown}: the archive holds {counted(len(groups), 'log')}; unpack it, or read them all at once."
    return FileReport(source.name, UNKNOWN, error=text)


def read(*paths: str | Path, answers: Mapping[str, str] = MappingProxyType({})) -> Reading:
    """Files, folders or manifests on disk; a manifest brings its files along. `answers` as for `read_source`.

    Raises `LogError` for no such path, and for answers to what no file asks.
    """
    return read_all(sources_from_paths(paths), answers=answers)


def read_all(
    sources: Sequence[Source],
    layouts: Mapping[str, Layout] = MappingProxyType({}),
    answers: Mapping[str, str] = MappingProxyType({}),
) -> Reading:
    """Many files; manifests among them declare what the other files do not say. `layouts` go by source name.

    The pieces of one run, such as event files of one folder, are read together. Reports and runs come in one order,
    by folders and names, however the files are given; those that a manifest declares in the order of its rows.
    Raises `LogError` for more than `MOST_FILES` files, and for answers to what no file asks.
    """
    unpacking, known = unpacked(dict.fromkeys(sources)), tuple(getattr(sources, "notes", ()))
    sources, notes = in_order(unpacking[0]), (*known, *unpacking[1])
    manifests = {i: found for i, s in enumerate(sources) if (found := _manifest(s)) is not None}
    groups = runs_among([s for i, s in enumerate(sources) if i not in manifests])
    _check_number(len(manifests) + len(groups), len(sources))
    declared, reports = _joined([(sources[i], found) for i, found in manifests.items()], groups)
    said = [(sources[i], report) for i, report in zip(manifests, reports, strict=True)]
    for i in sorted(range(len(groups)), key=lambda i: (_declared_at(declared.get(i), sources), i)):
        first, *others = groups[i]
        report = _read(groups[i], layouts.get(first.name), declared.get(i, ()), answers)
        text = f"Read together with {first.shown}: they are one log."
        said.append((first, report))
        said += ((s, FileReport(s.name, report.format, notes=(Note("info", text),))) for s in others)
    named = _uniquely_named([report for _, report in said], [source for source, _ in said])
    files = with_shared_lengths(with_shared_warmups(named))
    _check_answers(answers, files)
    return Reading(files, tuple(run for report in files for run in report.runs), notes)


def _check_number(logs: int, files: int) -> None:
    """Raises `LogError` for too many logs, and for too many files that they consist of."""
    for most, found in ((MOST_FILES, logs), (MOST_PIECES, files)):
        if found > most:
            raise LogError(f"{most:,} files can be read at once, got {found:,}; choose a smaller folder.")


def _declared_at(entries: Sequence[Entry] | None, sources: list[Source]) -> tuple[int, int]:
    """Where a log's first row stands in the manifests, behind which come logs that none declares."""
    return min(((sources.index(e.manifest), e.row) for e in entries or ()), default=(len(sources), 0))


def _open(sources: Sequence[Source]) -> tuple[Format, Opened | Manifest]:
    """One log, which is one file or several event files, in its format. Raises `LogError` for what cannot be read."""
    if is_archive(sources[0]):
        archives.unpacked(sources[0], may_be_log)  # raises for what kept it from being unpacked
    content = Content.of(*sources)
    format = format_of(content)
    return format, format.open(content)


def _read(
    sources: list[Source], layout: Layout | None, entries: Sequence[Entry], answers: Mapping[str, str]
) -> FileReport:
    """The report on one log, which is one file or the pieces of one run, read again under each answer to a question."""
    report = _read_under(sources, layout, entries)
    for _ in range(MOST_QUESTIONS):
        said = [(q, a) for q in report.questions if (a := _said(answers, report.file, q.key)) is not None]
        if not said or report.layout is None:
            break
        layout = report.layout
        try:
            for question, answer in said:
                layout = answered(layout, question, answer)
        except OptLawsError as error:
            return replace(report, runs=(), error=sentence(sources[0], error))
        report = _read_under(sources, layout, entries)
    return report


def _said(answers: Mapping[str, str], file: str, key: str) -> str | None:
    """The answer to a question of a file: one for this file, or for all."""
    own = (
        answer for name, answer in answers.items() if name.endswith(f":{key}") and file.endswith(name[: -len(key) - 1])
    )
    return next(own, answers.get(key))


def _check_answers(answers: Mapping[str, str], files: Sequence[FileReport]) -> None:
    """Raises `LogError` for an answer that no file asks for; of one that it cannot take, its report tells."""
    for name in answers:
        key = name.rpartition(":")[2]
        told = (f for f in files if _said(answers, f.file, key) == answers[name])
        if not any(f.layout and (key in f.layout.answered or key in {q.key for q in f.questions}) for f in told):
            asked = list(dict.fromkeys(option for f in files for q in f.questions for option in q.typed))
            what = f"; what can be answered: {listed(asked)}" if asked else "; no question is open"
            raise LogError(f"No file asks {shortened(name)!r}{what}.")


def _read_under(sources: list[Source], layout: Layout | None, entries: Sequence[Entry]) -> FileReport:
    """The report on one log under a layout, or under the one that its columns suggest."""
    source = sources[0]
    report = FileReport(source.name, UNKNOWN)
    try:
        format, opened = _open(sources)
        if isinstance(opened, Manifest):
            return _manifest_report(opened)
        layout = layout or opened.layout
        report = replace(report, format=format.name, layout=layout, columns=opened.columns)
        _check_layout(opened, layout)
        report = replace(report.noted(*opened.notes), questions=open_questions(opened.questions, layout))
        raws = _with_settings(opened.runs(layout), sources)
        raws = _named(source, [part for raw in raws for part in apart(raw, layout)])
        del opened  # lets go of the file's bytes
        return _assembled(report, layout, raws, entries)
    except FinishedRuns as error:
        return replace(report, format="Table of finished runs", error=str(error), is_table=True)
    except OptLawsError as error:
        if (known := _what_it_is(sources, error)) is not error or not isinstance(error, Unanswered):
            return replace(report, error=sentence(source, known))
        asked = open_questions((*report.questions, error.question), layout or Layout())
        return replace(report, error=sentence(source, error), questions=asked)
    except MemoryError:
        return FileReport(
            source.name, UNKNOWN, error=f"{source.shown}: the file is too large for this machine's memory."
        )


def _with_settings(raws: list[RawRun], sources: list[Source]) -> list[RawRun]:
    """Runs with what the settings beside the log declare, and its folder's name where the file's says nothing."""
    if not raws or (not sources[1:] and (raws[0].name or not NO_NAME.fullmatch(sources[0].stem))):
        return raws
    data = next((source.read() for source in sources[1:] if source.parts[-1:] == (SETTINGS,)), b"")
    name = Content(sources[0], b"").run_name
    facts, notes = facts_of(from_yaml(data))
    return [
        replace(raw, name=raw.name or name, facts=raw.facts.over(facts), notes=(*raw.notes, *notes)) for raw in raws
    ]


def _what_it_is(sources: Sequence[Source], error: OptLawsError) -> OptLawsError:
    """Why a file gave nothing: what it is, where that is known, else the error of the format that took it."""
    try:
        refuse(Content.of(*sources))
    except LogError as better:
        return better
    if not isinstance(error, (NoLoss, NoNumbers)):
        return error
    if isinstance(error, NoLoss) and sources[0].name.lower().endswith((".log", ".out")):
        error = LogError("no line of it has a step and a loss; give what the training itself printed.")
    return about_pairs(Content.of(*sources)) or error


def _check_layout(opened: Opened, layout: Layout) -> None:
    """Raises `LogError` for columns that are not there, and for a layout without a loss."""
    if not layout.losses:
        raise NoLoss(f"no column is known as a loss; columns found: {listed(opened.columns, 30)}.")
    known = {opened.layout.x, *opened.columns}  # event files and histories have steps that are no column
    for column in layout.columns:
        if column not in known:
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
    by_run = {e.run: e.facts for e in entries}
    found, faults = [], []
    for raw in raws:
        try:
            found.append(assemble(raw, layout, by_run.get(raw.name, raw.facts)))
        except OptLawsError as error:
            faults.append((raw.name, error))
    if not found:
        raise faults[0][1] if len(raws) == 1 else _all_refused(faults)
    notes += [note for part in found for note in part.notes]
    notes += [Note("refused", f"Run {name!r}: {error}") for name, error in faults]
    asked = open_questions([*(q for part in found for q in part.questions), *report.questions], layout)
    return replace(
        report,
        runs=tuple(replace(part.run, open_questions=_open_of(part.run, asked)) for part in found),
        notes=tuple(notes),
        facts={part.run.name: part.facts for part in found},
        recognised={part.run.name: part.recognised for part in found if part.recognised is not None},
        questions=asked,
    )


def _open_of(run: Run, asked: Sequence[Question]) -> tuple[str, ...]:
    """The texts of the questions that this run hangs on."""
    return tuple(q.text for q in asked if q.run in ("", run.name))


def _all_refused(faults: Sequence[tuple[str, OptLawsError]]) -> LogError:
    """The first fault of runs of which none gives a curve, and its question, if it asks one."""
    if not faults:
        return LogError("the table has no rows.")
    name, error = faults[0]
    text = f"Run {name!r}: {error}"
    return Unanswered(text, error.question) if isinstance(error, Unanswered) else LogError(text)


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
    manifests: Sequence[tuple[Source, Manifest | LogError]], groups: list[list[Source]]
) -> tuple[dict[int, list[Entry]], list[FileReport]]:
    """Rows of the manifests by index of the log that they declare, and the report on each manifest."""
    declared: dict[int, list[Entry]] = {}
    reports = []
    log_of = [i for i, group in enumerate(groups) for _ in group]
    given = manifest.Given([source for group in groups for source in group])
    for source, found in manifests:
        if isinstance(found, LogError):
            reports.append(FileReport(source.name, manifest.FORMAT.name, error=str(found)))
            continue
        report, absent = _manifest_report(found), []
        for entry in found.entries:
            try:
                at = given.find(entry)
            except LogError as error:
                report = report.noted(Note("refused", str(error)))
                continue
            if at is None:
                absent.append(entry)
            else:
                declared.setdefault(log_of[at], []).append(entry)
        if absent:
            text = f"{counted(len(absent), 'file')} of the manifest not given: {listed([e.file for e in absent])}."
            report = replace(report.noted(Note("info", text)), absent=tuple(e.file for e in absent))
        reports.append(report)
    return declared, reports


def _manifest_report(found: Manifest) -> FileReport:
    note = Note("info", f"It declares {counted(len(found.entries), 'run')}.")
    return FileReport(found.source.name, manifest.FORMAT.name, notes=(note,))


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
        known = {renamed.get(name, name): f for name, f in report.recognised.items()}
        asked = tuple(replace(q, run=renamed.get(q.run, q.run)) for q in report.questions)
        out.append(replace(report, runs=runs, notes=(*notes, *said), facts=facts, recognised=known, questions=asked))
    return tuple(out)


def _free(run: Run, source: Source, taken: set[str]) -> str:
    suffix = _told_apart(run, source)
    name, n = f"{run.name} ({shortened(suffix, 80)})", 2
    while name in taken:
        name, n = f"{run.name} ({shortened(suffix, 80)}, {n})", n + 1
    return name


def _told_apart(run: Run, source: Source) -> str:
    """What tells a run from others of its name: of one called by a folder, the folder in it or the one above."""
    folders = source.parts[:-1]
    if run.name in folders:
        at = max(i for i, folder in enumerate(folders) if folder == run.name)
        more = (*folders[at + 1 :], *reversed(folders[:at]))
        return next((folder for folder in more if folder not in ("/", "\\")), source.stem)
    return source.stem if source.stem != run.name or not folders else folders[-1]


def sentence(source: Source, error: OptLawsError) -> str:
    """What is wrong with a file, beginning with its name, or with that of another file of the same run."""
    text, at_fault = str(error), getattr(error, "source", "") or source.name
    return text if text.startswith((source.shown, replace(source, name=at_fault).shown)) else f"{source.shown}: {text}"
