"""A schedule's formula as Python code: what exports print, beside the NumPy formula that the package computes with.

In code, a name in capitals is a constant (`FINAL` is the field `final`), `t` is the step, `x` and `z` are shares of the
part after the warm-up, and `find(TABLE)` is the index of the last entry up to `t`, but not of the very last. Functions
are those of `math`. Exports write the same code for numbers and for arrays; a test holds it against the rates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..arrays import FloatArray


@dataclass(frozen=True)
class Curve:
    """One formula twice: `rate`, called on arrays, and `code`, the same as Python."""

    rate: Callable[..., FloatArray]
    code: str

    def __call__(self, *values) -> FloatArray:
        return self.rate(*values)


@dataclass(frozen=True)
class Piece:
    """One stretch: the constant that holds its first step, its rate in terms of `t`, variables that it needs."""

    start: str
    rate: str
    lets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """Constants besides PEAK, WARMUP and TOTAL by name, and the pieces after the warm-up by ascending start.

    A constant is a number, a tuple of numbers or an expression of those before it.
    """

    constants: dict[str, Any]
    pieces: tuple[Piece, ...]


PASSED = "x = (t - WARMUP) / (TOTAL - WARMUP)"
LEFT = "z = (TOTAL - t) / (TOTAL - WARMUP)"
DOWN = "y = (t - START) / (TOTAL - START)"
FIND = "i = find(STEPS)"
LINES = Piece(
    "WARMUP", "VALUES[i] + (VALUES[i + 1] - VALUES[i]) * x", (FIND, "x = (t - STEPS[i]) / (STEPS[i + 1] - STEPS[i])")
)
