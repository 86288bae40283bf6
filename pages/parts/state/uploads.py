"""Uploads of one name: which are one run, grown longer, and which are runs of their own that happen to share it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from optlaws_core import Run, Series
from optlaws_core.readers import FileReport, Note, Reading, Source
from optlaws_core.text import listed


def apart(sources: Iterable[Source]) -> tuple[list[Source], list[Note]]:
    """Sources under names of their own, in the order of names, and what to say: a second `a.csv` is `a (2).csv`."""
    found: dict[str, Source] = {}
    names: dict[str, list[str]] = {}
    for source in sorted(dict.fromkeys(sources), key=lambda s: (natural(s.name), s.sha256)):
        name = free(source.name, found)
        found[name] = source if name == source.name else replace(source, name=name)
        names.setdefault(source.name, []).append(name)
    twice = [(name, kept) for name, kept in names.items() if len(kept) > 1]
    return list(found.values()), [
        Note("info", f"{len(kept)} files are called {name}; they are kept as {listed(kept)}.") for name, kept in twice
    ]


def beside(
    known: Mapping[str, FileReport], reading: Reading, sources: Iterable[Source]
) -> tuple[Reading, list[Source]]:
    """The reading and its sources, under other names where a known file of that name is another run.

    A file that could not be read keeps its name.
    """
    taken, renamed, notes = {*known, *(report.file for report in reading.files)}, {}, list(reading.notes)
    given = {source.name for source in sources}
    for report in reading.files:
        if report.file not in given or not report.runs or not _has_runs(known, report.file):
            continue
        same = next((name for name in _names(report.file, known) if _goes_on(known[name], report)), None)
        renamed[report.file] = new = same or free(report.file, taken)
        taken.add(new)
        if same is None:
            notes.append(Note("info", f"{report.file} is another run than the one of that name; it is kept as {new}."))
    files = tuple(replace(report, file=renamed.get(report.file, report.file)) for report in reading.files)
    kept = [replace(source, name=renamed.get(source.name, source.name)) for source in sources]
    return replace(reading, files=files, notes=tuple(notes)), kept


def _has_runs(known: Mapping[str, FileReport], file: str) -> bool:
    return file in known and bool(known[file].runs)


def _names(name: str, known: Mapping[str, FileReport]) -> Iterator[str]:
    """The known files of a name: itself, `a (2).csv`, …"""
    passed: set[str] = set()
    while (found := free(name, passed)) in known:
        yield found
        passed.add(found)


def _goes_on(before: FileReport, after: FileReport) -> bool:
    """Whether every run of a file is there in another one, all of its points with it."""
    return all(any(_contains(new, old) for new in after.runs) for old in before.runs)


def _contains(new: Run, old: Run) -> bool:
    return all(split in new.series and _has(new.series[split], series) for split, series in old.series.items())


def _has(new: Series, old: Series) -> bool:
    """Whether the points of a series are among those of another."""
    at = np.minimum(np.searchsorted(new.steps, old.steps), len(new) - 1)
    return bool((new.steps[at] == old.steps).all() and (new.loss[at] == old.loss).all())


def free(name: str, taken: Iterable[str]) -> str:
    """The name, or the next of `a (2).csv`, `a (3).csv`, … that is not taken."""
    taken = set(taken)
    folders, slash, base = name.rpartition("/")
    stem, dot, suffix = base.partition(".")
    n, found = 2, name
    while found in taken:
        found, n = f"{folders}{slash}{stem} ({n}){dot}{suffix}", n + 1
    return found


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key under which a2 comes before a10, and a.csv before a (2).csv."""
    stem, _, suffix = name.rpartition(".")
    parts = [*re.findall(r"\d{1,18}|\D+|\d+", stem or suffix), suffix]
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
