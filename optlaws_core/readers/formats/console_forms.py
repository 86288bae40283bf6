"""Lines of one form, those that differ in their digits only: the fastest way to read many of them.

A program that pads its numbers, or prints as many digits on each line, writes lines of one form for a long time. Where
each digit stands is then known before a line is looked at: the text is a table of characters, some of whose columns are
the numbers. A form is learnt from lines that were read by their skeletons (`console_blocks.py`), and means the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from ...arrays import FloatArray, IntArray
from .console_blocks import FEWEST, TENS, Slot, span_of

MOST = 8  # forms that are kept, the last ones
FEW = 8  # of a text's lines, fewer than one in as many are left to others
_DIGITS = 15  # of a number that floats hold exactly
_POWER = 22  # of ten that floats hold exactly
_NUMBER = re.compile(rb"[ \t]*([0-9]*)(?:(\.)([0-9]*))?(?:e([+-])([0-9]{1,3}))?")

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """Where the digits of a number stand in a line."""

    digits: tuple[int, ...]
    decimals: int  # of them
    exponent: tuple[int, ...] = ()
    sign: int = 1  # of the exponent


@dataclass(frozen=True, eq=False)
class Form(Generic[T]):
    """How the lines of one form look, whose they are, and where their numbers stand."""

    look: np.ndarray  # (width,) uint8: a line with its end, its digits 0
    owner: T
    figures: tuple[Figure, ...]

    def read(self, lines: np.ndarray) -> tuple[FloatArray, np.ndarray]:
        """(numbers, lines) out of (lines, width) characters, and which lines could be read."""
        values, good = np.empty((len(self.figures), len(lines))), np.ones(len(lines), bool)
        for value, figure in zip(values, self.figures, strict=True):
            value[:] = _whole(lines, figure.digits)
            if figure.exponent:
                power = figure.sign * _whole(lines, figure.exponent).astype(np.int64) - figure.decimals
                good &= np.abs(power) <= _POWER
                tens = TENS[np.minimum(np.abs(power), _POWER)]
                value[:] = np.where(power < 0, value / tens, value * tens)
            elif figure.decimals:
                value /= TENS[figure.decimals]
        return values, good


@dataclass(eq=False)
class Forms(Generic[T]):
    """The forms of late."""

    known: dict[bytes, Form[T]] = field(default_factory=dict)

    def learn(self, line: bytes, slots: Sequence[Slot], owner: T) -> None:
        """Takes the form of a line without its end, if its numbers are such that all of their digits are known."""
        look = plain(np.frombuffer(line + b"\n", np.uint8))
        figures = [_figure(line, *span_of(line, slot), slot.whole) for slot in slots]
        fine = [figure for figure in figures if figure is not None]
        if len(fine) < len(figures) or look.tobytes() in self.known:
            return
        if len(self.known) >= MOST:
            self.known.pop(next(iter(self.known)))
        self.known[look.tobytes()] = Form(look, owner, tuple(fine))

    def found(self, text: np.ndarray, ends: IntArray) -> Iterator[tuple[Form[T], IntArray, np.ndarray]]:
        """Of a text's lines those of each form: which they are, and their characters, (lines, width)."""
        widths = np.diff(ends, prepend=-1)
        for width in {len(form.look) for form in self.known.values()}:
            own = np.flatnonzero(widths == width)
            if len(own) < max(FEWEST, len(ends) // FEW):
                continue  # to take them out of the others costs more than it saves
            lines = _cut_out(text, ends, own, width)
            looks = plain(lines)
            for form in [form for form in self.known.values() if len(form.look) == width]:
                same = (looks == form.look).all(axis=1)
                if same.all():
                    yield form, own, lines
                    break
                if same.any():
                    yield form, own[same], lines[same]


def plain(text: np.ndarray) -> np.ndarray:
    """A text of uint8 with 0 for each of its digits."""
    digits = text - np.uint8(48)
    return text - digits * (digits < 10)


def _cut_out(text: np.ndarray, ends: IntArray, own: IntArray, width: int) -> np.ndarray:
    """(lines, width) Lines of one width, which mostly stand one behind another."""
    begins = ends[own] + 1 - width
    if begins[-1] - begins[0] == width * (len(own) - 1):
        return text[begins[0] : begins[-1] + width].reshape(-1, width)
    return np.lib.stride_tricks.sliding_window_view(text, width)[begins]


def _figure(line: bytes, start: int, end: int, whole: bool) -> Figure | None:
    """Where the digits of a number stand; None for one that is written otherwise, or with too many of them."""
    found = _NUMBER.fullmatch(line, start, end)
    if found is None:
        return None
    digits = (*range(*found.span(1)), *(range(*found.span(3)) if found[3] else ()))
    if not 0 < len(digits) <= _DIGITS or (whole and (found[2] or found[4])):
        return None
    exponent = tuple(range(*found.span(5))) if found[5] else ()
    return Figure(digits, len(found[3] or b""), exponent, -1 if found[4] == b"-" else 1)


def _whole(lines: np.ndarray, digits: tuple[int, ...]) -> FloatArray:
    """The whole numbers that some columns of digits write."""
    value = np.zeros(len(lines))
    for column in digits:
        value *= 10
        value += lines[:, column] - np.uint8(48)
    return value
