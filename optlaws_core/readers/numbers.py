"""Cells to numbers, exactly: a float that a log printed comes back bit for bit."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..text import shortened
from .opened import Numbers

# Cells that say "not logged here". NaN is not among them: a loss of NaN is something to tell the user about.
EMPTY = {"", "na", "n/a", "null", "none", "-", "#n/a", "<na>"}
_NAN = {"nan", "+nan", "-nan", "nan()"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?")


def from_cells(cells: Sequence[object], decimal_comma: bool = False) -> Numbers:
    """A column from cells as a file held them: numbers, texts, None. Slow (1 µs a cell) but tells text from NaN."""
    values = np.full(len(cells), np.nan)
    nans: list[int] = []
    words: list[int] = []
    word = ""
    for row, cell in enumerate(cells):
        value = _number(cell, decimal_comma)
        if isinstance(value, str):
            word = word if words else shortened(value)
            words.append(row)
        elif value is not None:
            values[row] = value
            if value != value:
                nans.append(row)
    return Numbers(values, np.array(nans, np.int64), np.array(words, np.int64), word)


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Whether numbers such as 3,14 appear and none such as 3.14 (in files that separate cells by semicolons)."""
    commas = False
    for cell in cells:
        if re.fullmatch(r"\s*[+-]?\d+\.\d+([eE][+-]?\d+)?\s*", cell):
            return False
        commas = commas or bool(re.fullmatch(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*", cell))
    return commas


def _number(cell: object, decimal_comma: bool) -> float | str | None:
    """The number in a cell, None for an empty cell, the text itself where there is no number."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, (int, float)):
        try:
            return float(cell)
        except OverflowError:
            return str(cell)[:60]
    text = str(cell).strip()
    try:
        # float() would read 1_000 as a number; no log means that.
        return float(text.replace(",", ".") if decimal_comma else text) if "_" not in text else text
    except ValueError:
        return _odd_number(text)


def _odd_number(text: str) -> float | str | None:
    lower = text.lower()
    if lower in EMPTY:
        return None
    if lower in _NAN:
        return float("nan")
    if _THOUSANDS.fullmatch(text):
        return float(text.replace(",", ""))
    return text
