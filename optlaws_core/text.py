"""Words for the user: amounts as people in the field write them (7B parameters, 3e-4), short lines, lists, counts."""

import re
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from .errors import OptLawsError

SMALLEST, LARGEST = 1e-30, 1e30  # beyond them powers of an amount, as laws take them, leave the range of floats
MOST = 10**15  # whole numbers beyond it are not exact in floating point
NEAR = 10**6  # bounds up to it are told wherever a whole number is refused
SUFFIXES = {"k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d[\d_]*)(?:\.\d*)?|\.\d+"  # a comma only between groups of three digits
_AMOUNT = re.compile(rf"({_DIGITS})(?:e([+-]?\d{{1,9}}))?\s*([kmbgt]?)\s*(?:tokens?|params?|parameters)?", re.I)


def parse_amount(text: str, name: str = "An amount", zero: bool = False, examples: str = "7B or 3e-4") -> float:
    """`7B`, `1.3e9`, `300 B tokens` or `12,000` as a number. Raises `OptLawsError` for what is none or not above 0.

    zero: whether 0 will do, too. Any other number lies between `SMALLEST` and `LARGEST`. examples: what fits there, for
    the sentence about what does not, such as `24k` for a length.
    """
    found = _AMOUNT.fullmatch(" ".join(text.split()))  # runs of spaces would be tried in every way
    got = f"got {text.strip()[:40]!r}."
    digits = re.sub("[_,]", "", found[1]) if found else ""
    nought = not digits.strip("0.")
    if not found or nought and not zero:
        raise OptLawsError(f"{name} must be {'0 or more' if zero else 'above 0'}, such as {examples}, {got}")
    value = float(f"{digits}e{int(found[2] or 0) + SUFFIXES.get(found[3].lower(), 0)}")
    if not nought and not SMALLEST <= value <= LARGEST:
        raise OptLawsError(f"{name} must lie between {SMALLEST:g} and {LARGEST:g}, {got}")
    return value


def parse_int(
    text: str, name: str = "A number", least: int = 0, most: int = MOST, examples: str = "2000 or 24k"
) -> int:
    """`24k`, `2e3` or `12,000` as a whole number. Raises `OptLawsError` unless it lies from `least` to `most`."""
    value = 0.0
    with suppress(OptLawsError):
        value = parse_amount(text, name, zero=True)
        if least <= value <= most and value == round(value):
            return round(value)
    near = most <= NEAR or value > most  # a bound that nobody comes near tells nothing
    rule = f"from {least:,} to {most:,}" if near else f"of {least:,} or more"
    got = text.strip()[:40]
    raise OptLawsError(f"{name} must be a whole number {rule}, such as {examples}, got {got!r}.")


def parse_amounts(text: str, name: str = "An amount", examples: str = "7B or 3e-4") -> tuple[float, ...]:
    """Several, between semicolons or spaces. Raises `OptLawsError` like `parse_amount`, and for none."""
    found = [parse_amount(word, name, examples=examples) for word in re.split(r"[;\s]+", text.strip()) if word]
    if not found:
        raise OptLawsError(f"{name} must be above 0, such as {examples}, several with spaces between; got nothing.")
    return tuple(dict.fromkeys(found))


def format_amount(value: float, digits: int | None = None) -> str:
    """The shortest text that `parse_amount` reads as exactly `value`, or to so many `digits`: 7B, 500,000, 123.6M."""
    for letter, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), *((("k", 1e3),) if digits else ())):
        text = f"{value / size:.{digits or 6}g}"
        if value >= size and "e" not in text and (digits or parse_amount(text + letter) == value):
            return text + letter
    if not digits and 1e3 <= value < MOST and value == round(value):
        return f"{round(value):,}"
    return f"{value:.{digits or 15}g}"


def format_number(x: float | str) -> str:
    """The shortest text that reads back as exactly `x`: 3e-4 rather than 0.0003. A word stays a word."""
    if isinstance(x, str) or not np.isfinite(x):
        return str(x)
    plain = repr(float(x)).removesuffix(".0")
    digits, _, exponent = np.format_float_scientific(x, trim="-").partition("e")
    short = f"{digits}e{int(exponent)}"
    return min(plain, short, key=len)


def percent(share: float, decimals: int = 0) -> str:
    """A share as a percentage: `20 %`, or `0.25 %` with two `decimals`."""
    return f"{100 * share:.{decimals}f} %"


def chance(p: float, in_words: bool = False) -> str:
    """A probability in whole percent, short of never and of always: `45 %`, `<1 %`, `>99 %`, or that `in_words`."""
    if 0.005 <= p <= 0.995:
        return percent(p)
    less, more = ("less than ", "more than ") if in_words else ("<", ">")
    return f"{less}1 %" if p < 0.005 else f"{more}99 %"


def relative_error(share: float) -> str:
    """A relative error with two digits that count, wherever one is told: `0.091 %`, `1.2 %`, `120 %`, `<0.001 %`."""
    if 0 < share < 1e-5:
        return "<0.001 %"
    return percent(share) if abs(share) >= 0.0995 else f"{100 * share:.2g} %"


def one_line(text: str) -> str:
    """`text` as one printable line: no control characters, line breaks or halves of characters, single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shortened(text: str, most: int = 40) -> str:
    """`text` as one printable line of at most `most` characters."""
    line = one_line(text[: 4 * most])
    return line if len(line) <= most else line[: most - 1] + "…"


def brief(value: object, most: int = 40) -> str:
    """The beginning of a value in one printable line; an integer of thousands of digits has no text."""
    try:
        return shortened(str(value), most)
    except (ValueError, RecursionError):
        return type(value).__name__


def listed(names: Iterable[object], most: int = 12) -> str:
    """`a, b, c` with at most `most` names, the rest counted."""
    known = [shortened(str(n)) for n in names]
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return (", ".join(known[:most]) + more) or "none"


def counted(n: int, thing: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


__all__ = [
    "brief",
    "chance",
    "counted",
    "format_amount",
    "format_number",
    "listed",
    "one_line",
    "parse_amount",
    "parse_amounts",
    "parse_int",
    "percent",
    "relative_error",
    "shortened",
]
