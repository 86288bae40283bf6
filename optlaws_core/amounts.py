"""Numbers as people in the field write them: 7B parameters, 300B tokens, 3e-4."""

import re
from contextlib import suppress

from .errors import OptLawsError

SMALLEST, LARGEST = 1e-30, 1e30  # beyond them powers of an amount, as laws take them, leave the range of floats
MOST = 10**15  # whole numbers beyond it are not exact in floating point
SUFFIXES = {"k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d[\d_]*)(?:\.\d*)?|\.\d+"  # a comma only between groups of three digits
_AMOUNT = re.compile(rf"({_DIGITS})(?:e([+-]?\d{{1,9}}))?\s*([kmbgt]?)\s*(?:tokens?|params?|parameters)?", re.I)


def amount(text: str, name: str = "An amount", zero: bool = False) -> float:
    """`7B`, `1.3e9`, `300 B tokens` or `12,000` as a number. Raises `OptLawsError` for what is none or not above 0.

    zero: whether 0 will do, too. Any other number lies between `SMALLEST` and `LARGEST`.
    """
    found, got = _AMOUNT.fullmatch(text.strip()), f"got {text.strip()[:40]!r}."
    digits = re.sub("[_,]", "", found[1]) if found else ""
    nought = not digits.strip("0.")
    if not found or nought and not zero:
        raise OptLawsError(f"{name} reads like 7B or 3e-4 and is {'0 or above' if zero else 'above 0'}, {got}")
    value = float(f"{digits}e{int(found[2] or 0) + SUFFIXES.get(found[3].lower(), 0)}")
    if not nought and not SMALLEST <= value <= LARGEST:
        raise OptLawsError(f"{name} must lie between {SMALLEST:g} and {LARGEST:g}, {got}")
    return value


def whole(text: str, name: str = "A number", least: int = 0, most: int = MOST) -> int:
    """`24k`, `2e3` or `12,000` as a whole number. Raises `OptLawsError` unless it lies from `least` to `most`."""
    with suppress(OptLawsError):
        value = amount(text, name, zero=True)
        if least <= value <= most and value == round(value):
            return round(value)
    got = text.strip()[:40]
    raise OptLawsError(f"{name} must be a whole number from {least:,} to {most:,}, such as 2e3 or 24k, got {got!r}.")


def amounts(text: str, name: str = "An amount") -> tuple[float, ...]:
    """Several, between semicolons or spaces. Raises `OptLawsError` like `amount`, and for none."""
    found = [amount(word, name) for word in re.split(r"[;\s]+", text.strip()) if word]
    if not found:
        raise OptLawsError(f"{name} reads like 7B or 3e-4, several with spaces between; got nothing.")
    return tuple(dict.fromkeys(found))


def written(value: float, digits: int | None = None) -> str:
    """The shortest text that `amount` reads back as exactly `value`, or to so many `digits`: 7B, 123587328, 123.6M."""
    for letter, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), *((("k", 1e3),) if digits else ())):
        text = f"{value / size:.{digits or 6}g}"
        if value >= size and "e" not in text and (digits or amount(text + letter) == value):
            return text + letter
    return f"{value:.{digits or 15}g}"


__all__ = ["amount", "amounts", "whole", "written"]
