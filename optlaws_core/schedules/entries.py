"""The fields of schedules: what each says about itself, so that forms, searches and pages need no list of families."""

from collections.abc import Callable, Iterable
from dataclasses import Field, field
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

import numpy as np

from ..errors import ScheduleError
from ..text import brief, format_number
from .code_pieces import Curve
from .search_ranges import FINAL, Range

LARGEST = 1e15  # steps beyond it are not exact in floating point; no field means anything there

# u runs from 0 at step 0 to 1 at the end of the warm-up; each maps it to a share of the peak, from 0 to 1.
WARMUPS = {
    "linear": Curve(lambda u: u, "t / WARMUP"),
    # (1 − cos πu)/2 without its rounding near 0
    "cosine": Curve(lambda u: np.sin(0.5 * np.pi * u) ** 2, "0.5 * (1 - cos(pi * t / WARMUP))"),
    "1-sqrt": Curve(lambda u: u / (1 + np.sqrt(1 - u)), "(1 - sqrt(1 - t / WARMUP))"),
    # (100ᵘ − 1)/99: a hundredfold rise, moved to start at 0
    "exponential": Curve(lambda u: np.expm1(np.log(100) * u) / 99, "(100 ** (t / WARMUP) - 1) / 99"),
}

Usual = Callable[[float, int, int], object]  # a field's value from peak, warm-up and total


def entry(
    meaning: str,
    unit: str = "",
    choices: Iterable[str] = (),
    *,
    symbol: str = "",
    usual: Usual | None = None,
    search: Range | str = "",
    **kwargs: Any,
) -> Any:
    """A dataclass field that carries what forms, pages and searches need.

    `meaning`: a tooltip. `unit`: "LR" for a rate, "updates", or another. `choices`: of a word. `symbol`: its letter in
    the LaTeX formula. `usual`: the value that examples give it; needed where there is no default. `search`: the range
    in which the best schedule of the family is looked for, or a phrase on why the field keeps its default there.
    """
    metadata = {
        "meaning": meaning,
        "unit": unit,
        "choices": tuple(choices),
        "symbol": symbol,
        "usual": usual,
        "search": search,
    }
    return field(metadata=metadata, **kwargs)


def warmup_entry(default: int | None = 0, meaning: str = "updates of warm-up from 0") -> Any:
    usual = None if default is None else lambda p, w, t: w
    return entry(meaning, "updates", symbol="W", usual=usual, search="a limit", kw_only=True, default=default)


def warmup_shape_entry(default: str = "linear") -> Any:
    return entry(
        "form of the warm-up: " + ", ".join(WARMUPS), choices=WARMUPS, search="a limit", kw_only=True, default=default
    )


def final_entry(search: Range | str = FINAL) -> Any:
    return entry(
        "learning rate at t = total, one past the last update",
        "LR",
        symbol="f",
        usual=lambda p, w, t: rounded_rate(0.1 * p),
        search=search,
        kw_only=True,
        default=0.0,
    )


def rounded_rate(rate: float) -> float:
    """A rate in four digits, for examples."""
    return float(f"{rate:.4g}")


def checked(family: str, f: Field, value: Any) -> Any:
    """`value` in the type that field `f` declares: int, float, str or a tuple of one of them; None where allowed."""
    if value is None and f.default is None:
        return None
    declared: Any = f.type
    kind, several = _declared(declared)
    if not several:
        return _scalar(family, f.name, kind, value)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise ScheduleError(f"{family}: {f.name} must be a list such as [100, 200], got {value!r}.")
    return tuple(_scalar(family, f.name, kind, v) for v in value)


@cache
def _declared(declared: Any) -> tuple[Any, bool]:
    """The type of a field's values, and whether it holds several: of `int | None`, int and False."""
    kind = get_args(declared)[0] if isinstance(declared, UnionType) else declared
    return (get_args(kind)[0], True) if get_origin(kind) is tuple else (kind, False)


def listed_values(part: str, name: str, given: Any) -> tuple[Any, ...]:
    """What a part of a plan is given as a list. Raises `ScheduleError` for what is none."""
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise ScheduleError(f"{part}: {name} must be a list, got {brief(given)}.")
    return tuple(given)


def number(part: str, name: str, value: Any) -> float:
    """What a part of a plan is given as a number. Raises `ScheduleError` for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ScheduleError(f"{part}: {name} must be a number, got {brief(value)}.") from None


def _scalar(family: str, name: str, kind: Any, value):
    if kind is str:
        return str(value)
    if isinstance(value, (str, bytes, bool)) or not np.isscalar(value):
        raise ScheduleError(f"{family}: {name} must be a number, got {value!r}.")
    number: Any = value
    if not -LARGEST <= number <= LARGEST:  # NaN fails every comparison
        raise ScheduleError(f"{family}: {name} must be a finite number below {LARGEST:g}, got {str(value)[:20]}.")
    if kind is int and number != int(number):
        raise ScheduleError(f"{family}: {name} counts updates and must be a whole number, got {format_number(number)}.")
    if kind is float and number < 0:
        raise ScheduleError(f"{family}: {name} must not be negative, got {format_number(number)}.")
    return kind(number) + 0  # no −0, which the text form cannot tell from 0
