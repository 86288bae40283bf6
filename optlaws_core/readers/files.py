"""Paths on disk to sources: files as they are, folders by known suffixes, a manifest with the files it names."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import LogError
from ..text import counted, listed
from .base import Note, Source
from .format import Content
from .formats import FORMATS
from .formats.manifest import open_manifest, opens_manifest

SUFFIXES = tuple(dict.fromkeys(suffix for format in FORMATS for suffix in format.suffixes))
# Suffixes of files that grow by lines -> lines with which the first row is there.
FEWEST_LINES = {
    suffix: max(f.fewest_lines for f in FORMATS if suffix in f.suffixes)
    for format in FORMATS
    for suffix in format.suffixes
    if format.fewest_lines
}


class Sources(list[Source]):
    """Sources, and notes about what was left out."""

    def __init__(self, sources: Iterable[Source] = (), notes: Iterable[Note] = ()) -> None:
        super().__init__(sources)
        self.notes = tuple(notes)


def sources_from_paths(paths: Iterable[str | Path]) -> Sources:
    """The files to read, each once, in the order given. Raises `LogError` for a path that is empty or not there.

    A folder gives its files, and those of its folders, that have a known suffix. A manifest brings the files beside it
    that it names.
    """
    found: dict[Path, Source] = {}
    ignored: list[str] = []
    for path in map(_path, paths):
        if not path.exists():
            raise LogError(f"{path}: there is no such file or folder.", str(path))
        for file in _in_folder(path, ignored) if path.is_dir() else [path, *_beside(path)]:
            found.setdefault(file.resolve(), Source(str(file), file))
    if not found and ignored:
        raise LogError(f"{', '.join(map(str, paths))}: no logs here, only files of other kinds ({listed(ignored, 6)}).")
    if not found:
        raise LogError(f"{', '.join(map(str, paths)) or 'nothing'}: no files to read.")
    notes = (
        [Note("info", f"{counted(len(ignored), 'file')} of other kinds ignored: {listed(ignored, 6)}.")]
        if ignored
        else []
    )
    return Sources(found.values(), notes)


def _path(path: str | Path) -> Path:
    """A path; an empty text would stand for the current folder, which nobody meant."""
    if not str(path).strip():
        raise LogError(f"A path must name a file or a folder, got {str(path)!r}.")
    return Path(path)


def is_log_name(name: str) -> bool:
    """Whether a file's name, with its folders where they are known, suggests a log."""
    return name.lower().endswith(SUFFIXES) or piece_of(Source(name, b"").parts) is not None


def piece_of(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """The run that a file is a piece of, by the parts of its path; None for a file that is a log by itself."""
    found = (format.piece_of(parts) for format in FORMATS if format.piece_of and parts)
    return next((run for run in found if run is not None), None)


def _in_folder(folder: Path, ignored: list[str]) -> list[Path]:
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            file = Path(parent) / name
            if is_log_name(str(file)):
                files.append(file)
            else:
                ignored.append(name)
    return files


def _beside(path: Path) -> list[Path]:
    """The files that a manifest names and that lie in its folder; none for a log."""
    source = Source(str(path), path)
    try:
        if not opens_manifest(source):
            return []
        names = [entry.file for entry in open_manifest(Content.of(source)).entries]
    except LogError:
        return []  # reading the file tells the fault
    folder = path.parent.resolve()
    files = [path.parent / name.replace("\\", "/") for name in dict.fromkeys(names)]
    # A link may lead out of the folder even where the name does not.
    return [f for f in files if f.is_file() and f.resolve().is_relative_to(folder)]
