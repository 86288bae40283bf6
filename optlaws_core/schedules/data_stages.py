"""What a run reads from which update on: the tokens in a sequence, and the text or mix of texts.

The text forms are `4096` or `steps([0, 19200], [4096, 32768])`, and `web` or `steps([0, 19200], [web, code])`.
"""

from dataclasses import dataclass
from typing import Any
from unicodedata import category

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScheduleError
from ..text import brief, format_number, shortened
from .course import Course

LONGEST = 2**31  # tokens in a sequence
MOST_LETTERS = 60  # of a name
SIGNS = "_ % + - . / : & '"


@dataclass(frozen=True)
class Stages(Course):
    """A course of steps alone."""

    shapes = ("steps",)

    def __call__(self, t: ArrayLike) -> NDArray[Any]:
        return np.array(self.values)[np.maximum(np.searchsorted(self.breaks, np.asarray(t), side="right") - 1, 0)]


@dataclass(frozen=True)
class SequenceLength(Stages):
    """Tokens in a sequence by update. Raises `ScheduleError` as `Course` does, and for what is no whole number."""

    part = "sequence"
    called = "length"

    values: tuple[int, ...]

    @classmethod
    def _value(cls, value: Any) -> float:
        length: float = super()._value(value)
        return int(length) if length.is_integer() else length

    def _check_values(self) -> None:
        for value in self.values:
            if not isinstance(value, int) or not 1 <= value <= LONGEST:
                raise ScheduleError(
                    f"{self.part}: lengths must be whole numbers of tokens from 1 to {LONGEST:,}, "
                    f"got {format_number(value)}."
                )

    def written(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True)
class Texts(Stages):
    """The name of the text, or mix of texts, by update. Raises `ScheduleError` as `Course` does, and for no name."""

    part = "text"
    called = "name"

    values: tuple[str, ...]

    @classmethod
    def _value(cls, value: Any) -> str:
        if not isinstance(value, str):
            raise ScheduleError(f"{cls.part}: each name must be a text, got {brief(value)}.")
        return " ".join(value.split())

    def _check_values(self) -> None:
        for value in self.values:
            if not _is_name(value):
                raise ScheduleError(
                    f"{self.part}: a name begins with a letter or digit and has at most {MOST_LETTERS} letters, "
                    f"digits, spaces and signs of {SIGNS}, got {shortened(value, 60)!r}."
                )

    def written(self, value: Any) -> str:
        return value


def _is_name(text: str) -> bool:
    """Whether a text is a name. Spreadsheets take one that begins with a sign for a formula."""
    known = all(c.isalnum() or c in SIGNS or category(c).startswith("M") for c in text)  # M: vowel signs, accents
    return known and text[:1].isalnum() and len(text) <= MOST_LETTERS


__all__ = ["SequenceLength", "Texts"]
