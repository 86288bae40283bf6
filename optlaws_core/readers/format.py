"""`Format`, what a log format is, and `Content`, the file that it looks at."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import LogError
from ..text import shortened
from .archives import SUFFIX
from .base import Source
from .header import BOM, Header, header_of
from .opened import Manifest, Opened
from .sniff import HEAD, as_utf8, check_text, is_utf16
from .sqlite import MAGIC as SQLITE
from .sqlite import WAL, tables_of

# Folders that do not name the run in them: of a checkpoint, of Lightning's versions of a named run; and the root.
_NO_NAME = re.compile(r"checkpoint-\d+|version_\d+|vis_data|csv|[/\\]")
NO_NAME = re.compile(
    r"metrics|scalars|history|logs?|progress|(trainer|training|train)_log|results|loss(es)?", re.IGNORECASE
)
SETTINGS = "hparams.yaml"  # which Lightning leaves beside its logs
_LOGGERS = ("lightning_logs", "csv_logs", "tb_logs", "logs")
# How JSON opens: `[0.5s]`, `[info]` and `[ 10] loss` are the words of a program.
_JSON = re.compile(
    rb"\s*(?:\{|\[\s*(?:$|[\[{\"'\]]|(?:-?[0-9][0-9.eE+-]*|true|false|null|-?Infinity|NaN)"
    rb"\s*(?:$|,|\][ \t]*(?:$|[\r\n,]))))"
)
_LITGPT = ("logs", "csv")  # its folders of logs, below the run's


@dataclass(frozen=True)
class Content:
    """A file as formats look at it. What several of them ask for is made once, when it is first asked for."""

    source: Source
    data: bytes = field(repr=False)
    others: tuple[Source, ...] = ()  # the further files of the run, where a run is several files
    cut: bool = False  # `data` is only the beginning

    @classmethod
    def of(cls, source: Source, *others: Source) -> "Content":
        """All of a file. Raises `LogError` when it cannot be read."""
        return cls(source, source.read(), others)

    @classmethod
    def beginning(cls, source: Source) -> "Content":
        """The first bytes of a file, `sniff.HEAD` at most. Raises `LogError` when it cannot be read."""
        return cls(source, source.head(HEAD), cut=True)

    @property
    def file(self) -> str:
        """The file's name as messages show it."""
        return self.source.shown

    @property
    def pieces(self) -> Iterator[tuple[Source, bytes]]:
        """Every file of the run, in the order of their names. Raises `LogError` when one cannot be read."""
        yield self.source, self.data
        for source in self.others:
            yield source, source.read()

    @property
    def run_name(self) -> str:
        """The folder that holds the file, or the one above a folder that names no run; the stem without folders."""
        parts = self.source.parts
        while _LITGPT in zip(parts, parts[1:], strict=False):
            at = next(i for i in range(len(parts)) if parts[i : i + 2] == _LITGPT)
            parts = (*parts[:at], parts[-1]) if at else parts[2:]
        for above, folder in reversed([*zip(("", *parts[:-2]), parts[:-1], strict=False)]):
            if not _NO_NAME.fullmatch(folder) or (above in _LOGGERS and folder.startswith("version_")):
                return shortened(SUFFIX.sub("", folder), 200)
        return parts[-1].rsplit(".", 1)[0] if parts else ""

    @cached_property
    def text(self) -> bytes:
        """The text: UTF-16 is turned into UTF-8, all else is as it came, valid or not.

        Raises `LogError` for what is empty, binary or otherwise no text.
        """
        check_text(self.data[:HEAD], self.file)
        text = as_utf8(self.data, self.file, whole=not self.cut)
        # Line ends of old Macs, which some spreadsheets still write.
        return text if b"\n" in text[:HEAD] or b"\r" not in text[:HEAD] else text.replace(b"\r", b"\n")

    @property
    def start(self) -> bytes:
        """The beginning of the text, `sniff.HEAD` bytes at most: as much as a format may search to recognise a file."""
        return self.text[:HEAD]

    @cached_property
    def opens_json(self) -> bool:
        """Whether the text opens with a JSON object or array; one in UTF-16, as from a spreadsheet, is a table."""
        return not is_utf16(self.data) and bool(_JSON.match(self.start.removeprefix(BOM)))

    @cached_property
    def json(self) -> Any:
        """The JSON value of the whole text, None when it is not one. Raises `LogError` for a nesting bomb."""
        if not self.opens_json:
            return None
        try:
            return json.loads(self.text)
        except ValueError:
            return None
        except RecursionError:
            raise LogError("the JSON is nested too deeply to be a log.") from None

    @cached_property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """The tables of a SQLite database and their columns, none for any other file. Raises `LogError` for damage."""
        return tables_of(self.data, self.last_written) if self.data.startswith(SQLITE) else {}

    @property
    def last_written(self) -> bytes:
        """What a SQLite database has not taken in yet, from the file beside it."""
        return next((source.read() for source in self.others if source.name.endswith(WAL)), b"")

    @cached_property
    def header(self) -> Header:
        """The header of a table. Raises `LogError` when there is none."""
        return header_of(self.text, self.file)


def peek(source: Source) -> bytes:
    """The beginning of a file by which `gather` may judge it; nothing where it cannot be read."""
    try:
        return source.head(HEAD)
    except LogError:
        return b""  # reading it tells the fault


@dataclass(frozen=True)
class Format:
    """A kind of file that the readers know: one record, defined in a module of `formats` and listed in `FORMATS`."""

    name: str  # as the user reads it
    suffixes: tuple[str, ...]  # ends of file names, in lower case, by which a folder's logs are known
    # By content and cheaply, given that no format before it in `FORMATS` recognised the file. May raise `LogError`
    # where the file is no log at all.
    recognises: Callable[[Content], bool]
    open: Callable[[Content], Opened | Manifest]  # raises `LogError` for what it cannot read
    sample: bytes = field(repr=False)  # a small valid file, for tests, for the fuzzer and as documentation
    fewest_lines: int = 0  # with which a file that is still written has a row; 0 where files do not grow by lines
    # For formats whose runs are several files: those of the files given that are such runs, each a list that begins
    # with the file by which it is recognised and opened. What it does not take may be a log by itself, or none.
    gather: Callable[[Sequence[Source]], list[list[Source]]] | None = None
