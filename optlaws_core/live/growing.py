"""Logs that are read while they are written."""

import os
from pathlib import Path

from ..errors import LogError
from ..readers import Reading, Source, Sources, read_all, sources_from_paths
from ..readers.base import Note
from ..readers.files import FEWEST_LINES
from ..readers.formats.manifest import opens_manifest
from ..readers.sniff import as_utf8
from ..text import counted, listed


def reread(path: Path) -> Reading:
    """A log, or the logs in a folder, as they are now.

    What is still being written waits: a last line without its end, and a file that has no row yet. Names are relative
    to the folder. Links that lead out of the folder are left out: whoever may write logs there must not choose what
    else the reader opens. Raises `LogError` for a path that is not there or holds no logs.
    """
    folder = path if path.is_dir() else path.parent
    now: list[Source] = []
    waiting: list[str] = []
    outside: list[str] = []
    found = sources_from_paths([path])
    for source in found:
        name = os.path.relpath(source.name, folder)
        if not _inside(source, path):
            outside.append(name)
            continue
        try:
            text = _whole(source)
        except LogError:  # gone, too large or no text: told by the reader
            text = source.data
        if text is None:
            waiting.append(name)
        else:
            now.append(Source(name, text))
    notes = list(found.notes)
    if waiting:
        notes.append(Note("info", f"{counted(len(waiting), 'log')} without a row so far: {listed(waiting, 6)}."))
    if outside:
        left = f"{counted(len(outside), 'link')} out of the folder not followed: {listed(outside, 6)}."
        notes.append(Note("info", left))
    return read_all(Sources(now, notes))


def _inside(source: Source, path: Path) -> bool:
    """Whether a file lies in the folder `path` even where it is a link; a path to a single log may lead anywhere."""
    return not path.is_dir() or Path(source.name).resolve().is_relative_to(path.resolve())


def _whole(source: Source) -> bytes | Path | None:
    """The lines of a log that have an end, None without a row; anything that does not grow by lines as it is."""
    least = FEWEST_LINES.get(Path(source.name).suffix.lower())
    if least is None:
        return source.data
    text = as_utf8(source.read(), source.shown, whole=False)
    if text.strip() and opens_manifest(source):
        return source.data
    text = text[: text.rfind(b"\n") + 1]
    return text if text.count(b"\n") >= least else None


def version(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of every file that `reread` reads: equal for as long as nothing has changed.

    A file that has just gone has size −1. Raises like `reread`.
    """
    return tuple(_stamp(source) for source in sources_from_paths([path]))


def _stamp(source: Source) -> tuple[str, int, int]:
    try:
        found = os.stat(source.data)
    except OSError:
        return source.name, -1, 0
    return source.name, found.st_size, found.st_mtime_ns


__all__ = ["reread", "version"]
