"""Cells to numbers, exactly: a float that a log printed comes back bit for bit.

What a comma means, `decimal` or `thousands`, is told by all cells of a column together, and by the other columns.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..text import shortened
from .opened import Numbers

Mark = Literal["decimal", "thousands"]  # what a comma in a number stands for

# Cells that say "not logged here". NaN is not among them: a loss of NaN is something to tell the user about.
EMPTY = {"", "na", "n/a", "null", "none", "-", "#n/a", "<na>"}
_NAN = {"nan", "+nan", "-nan", "nan()"}
_TAIL = r"(?:[eE][+-]?\d+)?"
_THOUSANDS = re.compile(rf"[+-]?\d{{1,3}}(,\d{{3}})+(\.\d*)?{_TAIL}")
_SPACED = re.compile(rf"[+-]?\d{{1,3}}([ '’\u00a0\u2009\u202f]\d{{3}})+([.,]\d*)?{_TAIL}")
_COMMA = re.compile(rf"[+-]?\d*,\d*{_TAIL}")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 4,942 is 4.942 or 4942
_DOTTED = re.compile(rf"[+-]?\d{{1,3}}(\.\d{{3}})+(,\d*)?{_TAIL}")  # 1.000 of a writer of decimal commas is 1000
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d+$)")
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmb])", re.I)
_SIZES = {"k": 3, "m": 6, "b": 9}
_MINUS = str.maketrans({"\u2212": "-", "\u00a0": " "})


def from_cells(
    cells: Sequence[object], mark: Mark = "thousands", dotted: bool = False, amounts: bool = False
) -> Numbers:
    """A column from cells as a file held them: numbers, texts, None. Slow (1 µs a cell) but tells text from NaN.

    `mark` is what commas stand for; `dotted`: whether 1.000 is a thousand; `amounts`: whether 2.5k is 2500.
    """
    values = np.full(len(cells), np.nan)
    nans: list[int] = []
    words: list[int] = []
    word = ""
    for row, cell in enumerate(cells):
        value = _number(cell, mark, dotted)
        if amounts and isinstance(value, str):
            value = _amount(value)
        if isinstance(value, str):
            word = word if words else shortened(value)
            words.append(row)
        elif value is not None:
            values[row] = value
            if value != value:
                nans.append(row)
    return Numbers(values, np.array(nans, np.int64), np.array(words, np.int64), word)


@dataclass
class Commas:
    """What the cells of one column show of their commas."""

    decimal: int = 0  # cells whose comma can only be a decimal one: 3,14
    thousands: int = 0  # 1,234,567 and 1,234.5
    either: int = 0  # 4,942
    points: int = 0  # 3.14
    plain: int = 0  # 998
    first: str = ""  # the first number with a comma

    def see(self, cells: Iterable[object]) -> None:
        """Looks at further cells."""
        for cell in cells:
            if isinstance(cell, str) and (text := cell.strip()):
                self._see(text)

    def _see(self, text: str) -> None:
        if "," not in text:
            self.points += "." in text and text[:1] in "+-.0123456789"
            self.plain += text.isdigit()
            return
        if _EITHER.fullmatch(text):
            self.either += 1
        elif _THOUSANDS.fullmatch(text) and not text.lstrip("+-").startswith("0"):
            self.thousands += 1
        elif (_COMMA.fullmatch(text) or _DOTTED.fullmatch(text)) and any(map(str.isdigit, text)):
            self.decimal += 1
        else:
            return
        self.first = self.first or text


@dataclass(frozen=True)
class Marks:
    """What commas stand for in each column of a table."""

    of: Mapping[object, Mark]
    dotted: frozenset[object] = frozenset()  # columns in which 1.000 is a thousand
    unsure: Mapping[object, str] = field(default_factory=dict)  # columns in which nothing tells -> a cell of theirs
    first: Mapping[object, str] = field(default_factory=dict)  # the first cell with a comma
    amounts: frozenset[object] = frozenset()  # columns that count, in which 2.5k is 2500

    def are_decimal(self, columns: Iterable[object]) -> bool:
        """Whether commas stand for decimals in all of `columns` that have any, and in one at least."""
        with_commas = [self.of.get(column) for column in columns if self.first.get(column)]
        return set(with_commas) == {"decimal"}

    def numbers(self, column: object, cells: Sequence[object]) -> Numbers:
        """A column's cells as numbers."""
        return from_cells(cells, self.of.get(column, "thousands"), column in self.dotted, column in self.amounts)


def marks_of(
    seen: Mapping[object, Commas],
    counts: Collection[object] = (),
    chosen: Mark | None = None,
    spreadsheet: bool = False,
) -> Marks:
    """What commas stand for, from what the columns show. `counts` are those of whole numbers, such as steps.

    Columns in which nothing tells take the `chosen` mark, else the likely one: a loss of 4,942 is 4.942. A
    `spreadsheet` separates cells by semicolons where commas are its decimal ones.
    """
    sure: dict[object, Mark] = {}
    for column, commas in seen.items():
        if bool(commas.decimal) != bool(commas.thousands):
            sure[column] = "decimal" if commas.decimal else "thousands"
    writer = set(sure.values())
    if spreadsheet and not writer and not any(c.points for c in seen.values()):
        writer = {"decimal"}
    of, unsure = dict(sure), {}
    for column, commas in seen.items():
        if column in sure or not commas.either or commas.thousands:
            continue
        counted = column in counts and (commas.plain or any(c.points for c in seen.values()))
        if len(writer) == 1:
            of[column] = next(iter(writer))
        elif counted and "decimal" not in writer:
            of[column] = "thousands"  # 998, 999, 1,000; or the file has points for its decimals
        else:
            of[column] = chosen or ("thousands" if column in counts else "decimal")
            if chosen is None:
                unsure[column] = commas.first
    dotted = frozenset(c for c in counts if "decimal" in writer and seen.get(c, Commas()).points)
    return Marks(of, dotted, unsure, {column: commas.first for column, commas in seen.items()})


def _number(cell: object, mark: Mark, dotted: bool) -> float | str | None:
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
    if "," in text or dotted:
        text = _with_points(text, mark, dotted)
    try:
        # float() would read 1_000 as a number; no log means that.
        return float(text) if "_" not in text else text
    except ValueError:
        return _odd_number(text)


def _with_points(text: str, mark: Mark, dotted: bool) -> str:
    """The number with a point for its decimals and nothing between thousands; what is no number stays."""
    if mark == "decimal":
        if _DOTTED.fullmatch(text) and (dotted or "," in text):
            return text.replace(".", "").replace(",", ".")
        return text.replace(",", ".") if _COMMA.fullmatch(text) else text
    if dotted and _DOTTED.fullmatch(text):
        return text.replace(".", "")
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _odd_number(text: str) -> float | str | None:
    lower = text.lower()
    if lower in EMPTY:
        return None
    if lower in _NAN:
        return float("nan")
    if _SPACED.fullmatch(text):
        return float(re.sub("[ '’\u00a0\u2009\u202f]", "", text).replace(",", "."))
    plain = _FORTRAN.sub("e", text.translate(_MINUS))
    try:
        return float(plain) if plain != text and "_" not in plain else text
    except ValueError:
        return text


def _amount(text: str) -> float | str:
    """The number of an amount such as 2.5k; any other text itself."""
    found = _AMOUNT.fullmatch(text.strip())
    return float(f"{found[1]}e{_SIZES[found[2].lower()]}") if found else text
