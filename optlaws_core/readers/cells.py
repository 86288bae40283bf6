"""Cells of a delimited table, block by block, so that memory stays near that of the numbers themselves.

Each block goes through pandas' C parser straight to floats, exact and 10 million cells a second. A block that holds
anything but floats and empty cells goes through it again as text, so that what is no number is counted and shown.
"""

import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ..arrays import IntArray
from ..errors import LogError
from ..text import shortened
from .numbers import Commas, Mark, Marks, marks_of
from .opened import Numbers

BLOCK = 2**20  # bytes
# Since pandas 3.1 the default parser is exact and this argument is deprecated.
_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}


@dataclass(frozen=True)
class Table:
    """The rows of a table: bytes from `start` to `end`, `width` cells a row."""

    data: bytes = field(repr=False)
    start: int
    delimiter: str
    width: int
    end: int

    def numbers(
        self, wanted: Sequence[int], counts: Collection[int] = (), commas: Mark | None = None
    ) -> tuple[dict[int, Numbers], Marks]:
        """The columns `wanted`, all of one length, and what their commas were taken for.

        A blank line is a row of empty cells, so rows count lines. `counts` are columns of whole numbers, `commas` is
        what the user says of cells that leave it open. Raises `LogError` when the rows cannot be told apart.
        """
        wanted = sorted(set(wanted))
        marks = None
        parts: dict[int, list[Numbers]] = {i: [] for i in wanted}
        for block in self._blocks():
            try:
                columns = _floats(block, self._options(wanted), wanted)
            except (ValueError, OverflowError):  # a cell is neither a float nor empty, and the slow way tells which
                marks = marks or replace(self._marks(wanted, counts, commas), amounts=frozenset(counts))
                if marks.dotted:  # a block of floats, too, may hold thousands such as 1.000
                    return self._from_texts(wanted, marks), marks
                columns = self._odd(block, wanted, marks)
            for i, numbers in columns.items():
                parts[i].append(numbers)
        return {i: joined(parts.pop(i)) for i in wanted}, marks or Marks({})

    def _odd(self, block: bytes, wanted: list[int], marks: Marks) -> dict[int, Numbers]:
        """The columns of a block that holds more than floats with points: decimal commas alone, or anything."""
        found = self._with_commas(block, wanted) if marks.are_decimal(wanted) else None
        return found or {i: marks.numbers(i, text) for i, text in _texts(block, self._options(wanted), wanted).items()}

    def _with_commas(self, block: bytes, wanted: list[int]) -> dict[int, Numbers] | None:
        """The columns of a block whose numbers have decimal commas; None where a cell is no such number, nor empty."""
        if self.delimiter == ",":
            return None
        try:
            return _floats(block, self._options(wanted) | {"decimal": ","}, wanted)
        except (ValueError, OverflowError):
            return None

    def _from_texts(self, wanted: list[int], marks: Marks) -> dict[int, Numbers]:
        """The columns, no block of them taken for floats."""
        texts = [_texts(block, self._options(wanted), wanted) for block in self._blocks()]
        return {i: joined([marks.numbers(i, text[i]) for text in texts]) for i in wanted}

    def _marks(self, wanted: list[int], counts: Collection[int], commas: Mark | None) -> Marks:
        """What commas stand for in the columns, of which every cell is looked at where any may hold one."""
        if self.delimiter == "," and self.data.find(b'"', self.start, self.end) < 0:
            return Marks({})  # a comma separates cells
        if self.data.find(b",", self.start, self.end) < 0:
            return Marks({})
        seen: dict[object, Commas] = {i: Commas() for i in wanted}
        for block in self._blocks():
            sure = [i for i in wanted if seen[i].decimal]
            # Cells that are numbers with decimal commas tell nothing new of a column that is known to have some.
            open_ones = [i for i in wanted if i not in sure] if sure and self._with_commas(block, sure) else wanted
            if open_ones:
                for i, text in _texts(block, self._options(open_ones), open_ones).items():
                    seen[i].see(text)
        return marks_of(seen, counts, commas, self.delimiter == ";")

    def texts(self) -> dict[int, list[str]]:
        """All cells as texts, by column. Raises `LogError` when the rows cannot be told apart."""
        found: dict[int, list[str]] = {i: [] for i in range(self.width)}
        for block in self._blocks():
            for i, texts in _texts(block, self._options(list(found)), list(found)).items():
                found[i] += texts
        return found

    def names(self, column: int) -> tuple[IntArray, list[str]]:
        """A column of names: the code of each row, −1 for an empty cell; and the names in the order they appear."""
        known: dict[str, int] = {"": -1}
        codes = []
        for block in self._blocks():
            cells = _readable(block, self._options([column]), dtype="category", na_filter=False)[column]
            here = cells.cat.codes.to_numpy()
            names = [str(name).strip() for name in cells.cat.categories]
            order = np.argsort(np.unique(here, return_index=True)[1])
            for code in np.unique(here)[order]:
                known.setdefault(names[code], len(known) - 1)
            codes.append(np.array([known.get(name, -1) for name in names], np.int64)[here])
        return np.concatenate(codes) if codes else np.empty(0, np.int64), list(known)[1:]

    def _blocks(self) -> Iterator[bytes]:
        """Whole lines, about `BLOCK` bytes at a time, under a first row that shows the width and is dropped again."""
        guide = self.delimiter.join("0" * self.width).encode() + b"\n"
        # A quoted cell may hold a line end, so such a table is not cut.
        size = len(self.data) if self.data.find(b'"', self.start, self.end) >= 0 else BLOCK
        at = self.start
        while at < self.end:
            end = self.data.find(b"\n", at + size, self.end)
            end = self.end if end < 0 else end + 1
            yield guide + _without_comments(self.data[at:end])
            at = end

    def _options(self, wanted: list[int]) -> dict:
        return {
            "sep": r"\s+" if self.delimiter == " " else self.delimiter,
            "names": range(self.width),
            "usecols": wanted,
        }


def joined(parts: list[Numbers]) -> Numbers:
    """Parts of one column, one after another."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(p) for p in parts)])
    nans, words = (
        np.concatenate([np.empty(0, np.int64), *(getattr(p, kind) + s for p, s in zip(parts, starts, strict=False))])
        for kind in ("nans", "words")
    )
    values = np.concatenate([np.empty(0), *(p.values for p in parts)])
    return Numbers(values, nans, words, next((p.word for p in parts if len(p.words)), ""))


def _floats(block: bytes, options: dict, wanted: list[int]) -> dict[int, Numbers]:
    frame = _frame(block, options, dtype="float64", keep_default_na=False, na_values=[""], **_EXACT)
    return {i: Numbers(frame[i].to_numpy()) for i in wanted}


def _texts(block: bytes, options: dict, wanted: list[int]) -> dict[int, list[str]]:
    frame = _readable(block, options, dtype="str", na_filter=False)
    return {i: frame[i].to_list() for i in wanted}


def _readable(block: bytes, options: dict, **more) -> pd.DataFrame:
    """`_frame` of text. Raises `LogError` for what is no table."""
    try:
        return _frame(block, options, **more)
    except ValueError as error:
        if "EOF inside string" in str(error):
            raise LogError("a quotation mark is never closed: was the file cut off, or is a cell damaged?") from None
        raise LogError(f"the table cannot be read ({shortened(str(error), 120)}).") from None


def _frame(block: bytes, options: dict, **more) -> pd.DataFrame:
    frame = pd.read_csv(
        io.BytesIO(block),
        header=None,
        index_col=False,
        skip_blank_lines=False,
        encoding="utf-8",
        encoding_errors="replace",
        engine="c",
        low_memory=False,
        **options,
        **more,
    )
    return frame.iloc[1:]


def _without_comments(block: bytes) -> bytes:
    """The block with comment lines emptied; line numbers stay."""
    if not block.startswith(b"#") and b"\n#" not in block:
        return block
    return re.sub(rb"(?m)^#[^\n]*", b"", block)
