"""Tables in which a row is a whole run: small CSV files, read as text, every cell as it stands."""

import csv
import io
from collections import Counter
from pathlib import Path

import pandas as pd

from ..errors import LogError
from ..text import counted, shortened
from .base import MOST_COLUMNS, Source
from .format import Content
from .formats import event_files, parquet
from .header import unique_names
from .sniff import HEAD, check_text

MOST_LINES = 100_000
MOST_CELLS = 5_000_000  # short rows count as long as the header: they are filled up


def read_frame(table: Path | str | bytes, what: str) -> pd.DataFrame:
    """The cells of a CSV file or of its content as text, empty ones as ""; rows of nothing but these are left out.

    `what` names the table in messages. Raises `LogError` where it is too large or no CSV table in UTF-8, for a name
    that two columns have, and for a row with more cells than the header; delimiters at a line's end separate nothing.
    """
    try:
        data = table if isinstance(table, bytes) else Path(table).read_bytes()
        if data.strip():
            _check_text(data, what)
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = []
        for row in lines:
            if any(cell.strip() for cell in row):
                rows.append((lines.line_num, row))
                _check_size(len(rows), len(rows[0][1]), what)
    except LogError:
        raise
    except FileNotFoundError:
        raise LogError(f"{what}: there is no such file.", what) from None
    except (OSError, ValueError, csv.Error) as fault:
        raise LogError(f"{what} must be a CSV table, got {shortened(str(fault), 80)!r}.", what) from None
    if not rows:
        raise LogError(f"{what} must be a CSV table, got no columns.", what)
    head = [name.strip() for name in rows[0][1]]
    if twice := next((name for name, times in Counter(filter(None, head)).items() if times > 1), None):
        raise LogError(
            f"{what}: each column must have a name of its own, got {shortened(twice)!r} more than once.", what
        )
    for number, row in rows[1:]:
        while len(row) > len(head) and not row[-1].strip():
            row.pop()
        if len(row) > len(head):
            named = counted(len(head), "column")
            raise LogError(f"{what}: line {number:,} has {len(row):,} cells, but the header names {named}.", what)
        row += [""] * (len(head) - len(row))
    return pd.DataFrame([row for _, row in rows[1:]], columns=list(unique_names(head)), dtype=str)


def _check_text(data: bytes, what: str) -> None:
    """Raises `LogError` for what is no text, unless it is a binary log: that it is no CSV table says enough."""
    content = Content(Source(what, data), data)
    if not any(format.recognises(content) for format in (event_files.FORMAT, parquet.FORMAT)):
        check_text(data[:HEAD], what)


def _check_size(lines: int, columns: int, what: str) -> None:
    for most, found, thing in (
        (MOST_COLUMNS, columns, "columns"),
        (MOST_LINES, lines, "lines"),
        (MOST_CELLS, lines * columns, "cells"),
    ):
        if found > most:
            raise LogError(f"{what}: a table may have {most:,} {thing}, this one has {found:,} or more.", what)


__all__ = ["read_frame"]
