"""Many lines at once: those that differ in their numbers only are found together, and their numbers become arrays.

A line's skeleton is what is left without digits, signs, points, commas and blanks. In lines of one skeleton a number
stands between the same two letters, so that its characters are cut out of all lines in one go, and parsed in columns.
Whatever does not look like a number there is left to whoever looks into lines one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...arrays import FloatArray, IntArray

FEWEST = 8  # lines of one skeleton that are read together
WIDEST = 40  # characters of a number
_KEPT = np.ones(256, bool)
_KEPT[list(b"0123456789.+-, \t")] = False
_OF_WHOLE, _OF_NUMBER = np.zeros(256, bool), np.zeros(256, bool)
_OF_WHOLE[list(b"0123456789 ")] = _OF_NUMBER[list(b"0123456789 .e+-")] = True
TENS = 10.0 ** np.arange(23)  # exact
_WEIGHTS = np.random.default_rng(16).integers(1, 2**63, 16_384, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True)
class Slot:
    """Where a number stands in the lines of one skeleton."""

    after: int  # letters of the skeleton before it
    before: int  # letters before the next one behind it
    tail: int  # blanks and commas between it and that letter
    whole: bool  # it must be a whole number


class Block:
    """Lines, each with its end."""

    def __init__(self, text: np.ndarray) -> None:
        """`text`: (bytes,) uint8, that ends with a line."""
        self.text = text
        self.places = np.flatnonzero(_KEPT[text])  # of the letters
        self.letters = text[self.places]
        ends = np.flatnonzero(self.letters == 10)
        self.starts = np.concatenate(([0], ends[:-1] + 1))  # (lines,) of each skeleton, in letters
        self.lengths = ends + 1 - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def begins(self) -> IntArray:
        """(lines,) Where each line begins in the text."""
        ends = self.places[self.starts + self.lengths - 1]
        return np.concatenate(([0], ends[:-1] + 1))

    @cached_property
    def figures(self) -> IntArray:
        """(lines,) Runs of digits in each line."""
        digit = (self.text - np.uint8(48)) < 10
        digit[1:] &= ~digit[:-1].copy()
        return np.add.reduceat(digit.astype(np.int32), self.begins)

    def line(self, i: int) -> bytes:
        """A line without its end."""
        return self.text[self.begins[i] : self.places[self.starts[i] + self.lengths[i] - 1]].tobytes()

    def skeleton(self, i: int) -> bytes:
        """The letters of a line."""
        return self.letters[self.starts[i] : self.starts[i] + self.lengths[i]].tobytes()

    def alike(self) -> Iterator[IntArray]:
        """Lines of one skeleton, for each skeleton; lines that stand alone may come together with others."""
        width = int(self.lengths[0])
        if (self.lengths == width).all():
            table = self.letters.reshape(-1, width)
            if (table == table[0]).all():
                yield np.arange(len(self))
                return
        if self.lengths.max() > len(_WEIGHTS):
            yield from (np.array([i]) for i in range(len(self)))
            return
        at = np.arange(len(self.letters)) - np.repeat(self.starts, self.lengths)
        sums = np.add.reduceat(self.letters.astype(np.uint64) * _WEIGHTS[at], self.starts)
        turn = np.argsort(sums, kind="stable")
        cuts = np.flatnonzero(np.diff(sums[turn]) != 0) + 1
        for lines in np.split(turn, cuts):
            same = self._same(lines)
            yield lines[same]
            if not same.all():
                yield from (lines[i : i + 1] for i in np.flatnonzero(~same))

    def _same(self, lines: IntArray) -> np.ndarray:
        """Which of some lines have the skeleton of the first of them."""
        width = self.lengths[lines[0]]
        same = self.lengths[lines] == width
        own = lines[same]
        table = self.letters[self.starts[own][:, None] + np.arange(width)]
        same[same] = (table == table[0]).all(axis=1)
        return same

    def numbers(self, lines: IntArray, slot: Slot) -> tuple[FloatArray, np.ndarray]:
        """The numbers in a slot of lines of one skeleton, and in which lines there is one."""
        starts = self.starts[lines]
        begin = self.begins[lines] if slot.after == 0 else self.places[starts + slot.after - 1] + 1
        end = self.places[starts + slot.before] - slot.tail
        width = int((end - begin).max(initial=0))
        if width < 1 or width > WIDEST:
            return np.zeros(len(lines)), np.zeros(len(lines), bool)
        at = end[:, None] - np.arange(width, 0, -1)
        cells = np.where(at >= begin[:, None], self.text[np.maximum(at, 0)], 32).astype(np.uint8)
        cells[cells == 9] = 32
        return _parsed(cells, slot.whole)


def slot_of(line: bytes, start: int, end: int, whole: bool) -> Slot | None:
    """The slot of a number in a line; None where other numbers stand too close to tell them apart."""
    kept = _KEPT[np.frombuffer(line + b"\n", np.uint8)]
    after, before = int(kept[:start].sum()), int(kept[:end].sum())
    last = int(np.flatnonzero(kept[:start])[-1]) + 1 if after else 0
    tail = int(np.argmax(kept[end:]))
    if line[last:start].strip(b" \t") or line[end : end + tail].strip(b" \t,"):
        return None
    return Slot(after, before, tail, whole)


def span_of(line: bytes, slot: Slot) -> tuple[int, int]:
    """Where the characters of a slot begin and end in a line."""
    places = np.flatnonzero(_KEPT[np.frombuffer(line + b"\n", np.uint8)])
    return int(places[slot.after - 1]) + 1 if slot.after else 0, int(places[slot.before]) - slot.tail


def _parsed(cells: np.ndarray, whole: bool) -> tuple[FloatArray, np.ndarray]:
    """Numbers out of characters, (n, width), written to the right; and which of them are numbers."""
    blank = cells == 32
    good = ~(blank[:, 1:] & ~blank[:, :-1]).any(axis=1) & ~blank[:, -1]
    points, powers = cells == 46, cells == 101
    point, power = (np.flatnonzero(marks.any(axis=0)) for marks in (points, powers))
    even = all(len(c) == 0 or (len(c) == 1 and m[:, c[0]].all()) for c, m in ((point, points), (power, powers)))
    if not even or cells.shape[1] > 20 or (whole and (len(point) or len(power))):
        return _one_by_one(cells, good, whole)
    stop = int(power[0]) if len(power) else cells.shape[1]
    digits = cells - np.uint8(48)
    is_digit = digits < 10
    columns = [c for c in range(stop) if not (len(point) and c == point[0])]
    if not columns or len(columns) > 15 or (len(point) and point[0] > stop):
        return _one_by_one(cells, good, whole)
    mantissa = np.where(is_digit[:, columns], digits[:, columns], 0) @ TENS[: len(columns)][::-1]
    good &= (is_digit | blank)[:, columns].all(axis=1) & is_digit[:, columns].any(axis=1)
    scale = -(stop - 1 - int(point[0])) if len(point) else 0
    if not len(power):
        return mantissa / TENS[-scale], good
    return _scaled(cells, digits, is_digit, stop, mantissa, scale, good)


def _scaled(cells, digits, is_digit, stop: int, mantissa: FloatArray, scale: int, good: np.ndarray):
    """Numbers with an exponent of a sign and digits, that begins with the e in column `stop`."""
    signs, rest = cells[:, stop + 1 : stop + 2], slice(stop + 2, None)
    if signs.shape[1] == 0 or not 1 <= cells.shape[1] - stop - 2 <= 3:
        return _one_by_one(cells, good, False)
    good &= ((signs[:, 0] == 43) | (signs[:, 0] == 45)) & is_digit[:, rest].all(axis=1)
    size = np.where(is_digit[:, rest], digits[:, rest], 0) @ TENS[: cells.shape[1] - stop - 2][::-1]
    exponent = np.where(signs[:, 0] == 45, -size, size) + scale
    if (np.abs(exponent) > 22).any():
        return _one_by_one(cells, good, False)
    tens = TENS[np.abs(exponent).astype(np.int64)]
    return np.where(exponent < 0, mantissa / tens, mantissa * tens), good


def _one_by_one(cells: np.ndarray, good: np.ndarray, whole: bool) -> tuple[FloatArray, np.ndarray]:
    """Numbers that are written unevenly."""
    good = good & (_OF_WHOLE if whole else _OF_NUMBER)[cells].all(axis=1)
    values = np.zeros(len(cells))
    rows = np.flatnonzero(good)
    lines = np.hstack((cells[rows], np.full((len(rows), 1), 10, np.uint8))).tobytes().split(b"\n")[: len(rows)]
    try:
        values[rows] = list(map(float, lines))
    except ValueError:
        good = np.zeros(len(cells), bool)
    return values, good
