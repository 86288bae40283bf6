"""Numbers as people in the field write them: 7B parameters, 300B tokens, 3e-4."""

import re

from .errors import OptLawsError

SMALLEST, LARGEST = 1e-30, 1e30  # beyond them powers of an amount, as laws take them, leave the range of floats
SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_NUMBER = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d[\d_]*)(?:\.\d*)?|\.\d+"  # a comma only between groups of three digits
_AMOUNT = re.compile(rf"((?:{_NUMBER})(?:e[+-]?\d+)?)\s*([kmbgt]?)\s*(?:tokens?|params?|parameters)?", re.I)


def amount(text: str, name: str = "An amount") -> float:
    """`7B`, `1.3e9`, `300 B tokens` or `12,000` as a number. Raises `OptLawsError` unless it is finite and above 0."""
    found = _AMOUNT.fullmatch(text.strip())
    value = float(re.sub("[_,]", "", found[1])) * SUFFIXES.get(found[2].lower(), 1.0) if found else 0.0
    if not SMALLEST < value < LARGEST:
        raise OptLawsError(f"{name} reads like 7B or 3e-4 and is above 0, got {text.strip()[:40]!r}.")
    return value


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


__all__ = ["amount", "amounts", "written"]
