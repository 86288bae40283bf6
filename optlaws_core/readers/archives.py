"""Archives: ZIP, tar, and what is packed by gzip, bzip2 or xz. All is unpacked in memory, names are never paths.

What comes out together may have `MOST_BYTES`, and an archive in an archive counts with what it holds.
"""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from ..errors import LogError
from ..text import listed, shortened
from . import base
from .base import MOST_PIECES, Source, base_name

SUFFIX = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|gz|bz2|xz)$", re.IGNORECASE)
_NAMES = {"zip": "ZIP"}  # of kinds in messages, where they are not written as here
DEEPEST = 3  # a .tar.gz in a ZIP
COMET = ("experiment.json", "messages.json")  # what Comet's offline experiment holds
_MEMORY = 128 * 2**20  # bytes that xz may take for what it remembers
_BLOCK = 2**20
_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # an encrypted member
    NotImplementedError,
    ValueError,
    OverflowError,
    IndexError,
)
# What a ZIP is that is no archive of files: a member that tells it, what it is, what to do.
_DOCUMENTS = (
    ("xl/workbook.xml", "an Excel workbook", "save the sheet as CSV"),
    ("xl/workbook.bin", "an Excel workbook", "save the sheet as CSV"),
    ("word/document.xml", "a Word document", "give the log itself"),
    ("ppt/presentation.xml", "a presentation", "give the log itself"),
    ("content.xml", "an OpenDocument file", "save the sheet as CSV"),
)


def kind_of(head: bytes) -> str:
    """The kind of an archive by its first bytes, empty for any other file."""
    for magic, kind in ((b"PK\x03\x04", "zip"), (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz")):
        if head.startswith(magic):
            return kind
    return "tar" if head[257:262] == b"ustar" else ""


def members(data: bytes) -> tuple[str, ...]:
    """The names of the files in a ZIP; none for any other file, and for one that is damaged."""
    if kind_of(data) != "zip":
        return ()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return tuple(archive.namelist())
    except _FAULTS:
        return ()


def is_store(data: bytes) -> bool:
    """Whether a file is a ZIP that a tracker keeps a run in, and not an archive of logs."""
    return {*COMET} <= {*members(data)}


def unzipped(data: bytes, name: str) -> bytes:
    """One file of a ZIP. Raises `LogError` when it is damaged, encrypted or too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(name) as file:
            return _Budget().read(file)
    except LogError:
        raise
    except _FAULTS as error:
        raise _fault(error, "zip") from None


def unpacked(source: Source, wanted: Callable[[str], bool]) -> list[Source]:
    """The files of an archive whose names are `wanted`. Raises `LogError` when it is damaged, encrypted or too large,
    when it is a document, and when it holds none."""
    passed: list[str] = []
    found = [*_files(source.name, source.read(), wanted, _Budget(), passed, 1)]
    if not found:
        held = f"only {listed(passed, 6)}" if passed else "no files"
        raise LogError(f"the archive holds no logs, {held}.")
    return found


class _Budget:
    """The bytes that may still be unpacked."""

    def __init__(self) -> None:
        self.left, self.files = base.MOST_BYTES, MOST_PIECES

    def read(self, file) -> bytes:
        """A whole file. Raises `LogError` when it is more than what is left."""
        return self.took(file.read(self.left + 1))

    def took(self, data: bytes) -> bytes:
        """Counts what was unpacked. Raises `LogError` when it is more than what is left."""
        self.left, self.files = self.left - len(data), self.files - 1
        if self.left < 0 or self.files < 0:
            raise LogError(
                f"the archive unpacks to more than {base.MOST_BYTES // 2**20:,} MB or {MOST_PIECES:,} files; give the "
                "logs themselves."
            )
        return data


def _files(
    name: str, data: bytes, wanted: Callable[[str], bool], budget: _Budget, passed: list[str], depth: int
) -> Iterator[Source]:
    """The wanted files below one; what is no archive is itself the file."""
    kind = kind_of(data[:512])
    if not kind or depth > DEEPEST or is_store(data):
        yield Source(name, data)
        return
    try:
        if kind not in ("zip", "tar"):
            inner = SUFFIX.sub(lambda found: ".tar" if found[1].lower().startswith("t") else "", name)
            yield from _files(inner, budget.took(_plain(kind, data, budget.left)), wanted, budget, passed, depth + 1)
            return
        for member, content in (_zipped if kind == "zip" else _tarred)(data, wanted, budget, passed):
            yield from _files(f"{name}/{member}", content, wanted, budget, passed, depth + 1)
    except LogError:
        raise
    except _FAULTS as error:
        raise _fault(error, kind) from None


def _plain(kind: str, data: bytes, most: int) -> bytes:
    """What is packed as one stream, one byte more than `most` at most."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read(most + 1)
    if kind == "bzip2":
        return bz2.BZ2File(io.BytesIO(data)).read(most + 1)
    stream = lzma.LZMADecompressor(memlimit=_MEMORY)
    found = stream.decompress(data, most + 1)
    if not stream.eof and len(found) <= most:
        raise EOFError("the stream does not end")
    return found


def _zipped(data: bytes, wanted: Callable[[str], bool], budget: _Budget, passed: list[str]):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        for member, what, instead in _DOCUMENTS:
            if member in names:
                raise LogError(f"this is {what}; {instead}.")
        for info in archive.infolist():
            if info.is_dir() or _hidden(info.filename):
                continue
            if not wanted(info.filename):
                passed.append(base_name(info.filename))
                continue
            with archive.open(info) as file:
                yield info.filename, budget.read(file)


def _tarred(data: bytes, wanted: Callable[[str], bool], budget: _Budget, passed: list[str]):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            if not info.isreg() or _hidden(info.name):
                continue
            file = archive.extractfile(info) if wanted(info.name) else None
            if file is None:
                passed.append(base_name(info.name))
                continue
            yield info.name, budget.read(file)


def _hidden(name: str) -> bool:
    """Whether a file or one of its folders is hidden, as those are that macOS adds."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/") if part not in (".", ".."))


def _fault(error: Exception, kind: str) -> LogError:
    if "encrypted" in str(error) or "password" in str(error):
        return LogError("the archive is encrypted; pack it without a password.")
    what = shortened(str(error), 80) or "it ends too early"
    return LogError(f"the {_NAMES.get(kind, kind)} archive cannot be unpacked ({what}); is it complete?")
