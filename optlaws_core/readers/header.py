"""The header of a table of text: the first line that is no comment names the columns."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import LogError
from ..text import listed
from .base import MOST_COLUMNS

BOM = b"\xef\xbb\xbf"
LONGEST_HEADER = 1_000_000  # bytes
_NUMBER = re.compile(r"[+-]?(?=[\d.])[\d.,]+([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.I)
_SEPARATED = re.compile(r"[\"']?sep=(.)[\"']?")  # Excel's own first line


@dataclass(frozen=True)
class Header:
    """The first line that is no comment."""

    columns: tuple[str, ...]
    delimiter: str  # a comma, a tab, a semicolon, or a space for any number of spaces
    line: int  # 1-based
    start: int  # bytes before the data


def header_of(data: bytes, file: str) -> Header:
    """The header of a table. Raises `LogError` when there is none, or when it names more than `MOST_COLUMNS`.

    Where numbers come first, a comment above them that names as many columns is the header, as NumPy writes it.
    """
    at, line = len(BOM) if data.startswith(BOM) else 0, 1
    comment, delimiter = "", ""
    while True:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if at >= len(data):
            raise LogError(f"{file}: the file holds comments only, no table.", file)
        if end - at > LONGEST_HEADER:
            raise LogError(
                f"{file}: line {line} is longer than {LONGEST_HEADER:,} bytes, so it is no table header.", file
            )
        text = data[at:end].decode("utf-8", "replace").strip("\r\n")
        if (said := _SEPARATED.fullmatch(text.strip("\r\n "))) and said[1] in ",;\t" and not delimiter:
            delimiter = said[1]
        elif data[at : at + 1] == b"#":
            comment = text
        elif data[at : at + 1] not in (b"\n", b"\r", b""):
            break
        at, line = end + 1, line + 1
    delimiter = delimiter or _delimiter(text)
    columns = tuple(c.strip() for c in cells_of(text, delimiter))
    if len(columns) > MOST_COLUMNS:
        raise LogError(f"{file}: a table may have {MOST_COLUMNS:,} columns, line {line} names {len(columns):,}.", file)
    if not any(columns):
        raise LogError(f"{file}: line {line} must name the columns, but it names none.", file)
    if all(_NUMBER.fullmatch(c) for c in columns):
        named = tuple(c.strip() for c in cells_of(comment.lstrip("# "), delimiter))
        if len(named) == len(columns) and not any(is_number(c) or not c for c in named):
            return Header(unique_names(named), delimiter, line - 1, at)
        raise LogError(f"{file}: line {line} must name the columns, but it holds numbers ({listed(columns, 4)}).", file)
    return Header(unique_names(columns), delimiter, line, end + 1)


def is_number(cell: str) -> bool:
    """Whether a cell of a table is a number rather than a name."""
    return bool(_NUMBER.fullmatch(cell.strip()))


def _delimiter(line: str) -> str:
    counts = {d: len(cells_of(line, d)) for d in (",", "\t", ";")}
    best = max(counts, key=lambda d: counts[d])
    if counts[best] > 1:
        return best
    return " " if len(line.split()) > 1 and '"' not in line else ","


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line, quotes taken off."""
    if delimiter == " ":
        return line.split()
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def unique_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Column names, each once: a second `loss` becomes `loss (2)`, an empty one `column 3`."""
    seen: dict[str, int] = {}
    out = []
    for i, name in enumerate(columns, 1):
        name = name or f"column {i}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(out)
