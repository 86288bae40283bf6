"""What a run reads from which update on: the tokens in a sequence, and the text or mix of texts.

The text forms are `4096` or `steps([0, 19200], [4096, 32768])`, and `web` or `steps([0, 19200], [web, code])`.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScheduleError
from ..text import format_amount, shortened
from .course import Course

LONGEST = 2**31  # tokens in a sequence
NAME = re.compile(r"[\w%+./:&' -]{1,60}")


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

    @staticmethod
    def _value(value: Any) -> float:
        return int(value) if float(value).is_integer() else float(value)

    def _check_values(self) -> None:
        for value in self.values:
            if not isinstance(value, int) or not 1 <= value <= LONGEST:
                raise ScheduleError(
                    f"{self.part}: lengths must be whole numbers of tokens from 1 to {LONGEST:,}, "
                    f"got {format_amount(value)}."
                )

    def written(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True)
class Texts(Stages):
    """The name of the text, or mix of texts, by update. Raises `ScheduleError` as `Course` does, and for no name."""

    part = "text"
    called = "name"

    values: tuple[str, ...]

    @staticmethod
    def _value(value: Any) -> str:
        return " ".join(str(value).split())

    def _check_values(self) -> None:
        for value in self.values:
            if not NAME.fullmatch(value):
                raise ScheduleError(
                    f"{self.part}: a name has 1 to 60 letters, digits, spaces and signs such as % + - . / :, "
                    f"got {shortened(value, 60)!r}."
                )

    def written(self, value: Any) -> str:
        return value


__all__ = ["SequenceLength", "Texts"]
