"""The text form of a schedule: `wsd(peak=3e-4, warmup=2160, total=24000, decay=4000, final=3e-5)`.

One form for the command line, links, saved comparisons and the app. `parse(s.text) == s` for every schedule. Updates
may be typed as shares of the total, rates as shares of the peak: `wsd(peak=3e-4, warmup=2%, total=24000, decay=20%)`.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass
from typing import Any

from ..errors import ScheduleError
from ..text import format_number
from .base import Schedule, ordered_fields
from .entries import LARGEST, rounded_rate

_CALL = re.compile(r"\s*([A-Za-z_][\w-]*)\s*\((.*)\)\s*", re.DOTALL)
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\[[^\]]*\]|[^,\[\]]+?)\s*(?:,|$)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?")
LONGEST_TEXT = 1_000_000  # characters; a knot table of 50,000 rows fits
WHOLES = {"updates": "total", "LR": "peak"}  # what a share is a share of, by the unit of the field


@dataclass(frozen=True)
class _Share:
    """A number typed in percent, until it is known of what."""

    of_one: float

    def __str__(self) -> str:
        return f"{format_number(100 * self.of_one)}%"


def parse_with(families: dict[str, type[Schedule]], text: str) -> Schedule:
    """The schedule that `text` describes. Raises `ScheduleError` with the rule that was broken."""
    if len(text) > LONGEST_TEXT:
        raise ScheduleError(f"A schedule text may have {LONGEST_TEXT:,} characters, got {len(text):,}.")
    call = _CALL.fullmatch(" ".join(text.split()))  # runs of spaces would be tried in every way
    if not call:
        raise ScheduleError(f"A schedule reads like cosine(peak=3e-4, warmup=100, total=2000), got {_short(text)!r}.")
    name, body = call.groups()
    if name not in families:
        close = difflib.get_close_matches(name, families, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ScheduleError(f"Unknown schedule {_short(name)!r}. Known schedules: {', '.join(families)}.{hint}")
    family = families[name]
    known = {f.name: f for f in ordered_fields(family)}
    given = _pairs(name, body)
    for key in given:
        if key not in known:
            raise ScheduleError(
                f"{name} has no field {_short(key)!r}. Its fields: {', '.join(known)}; such as {family.usual().text}."
            )
    missing = [k for k, f in known.items() if f.default is MISSING and k not in given]
    if missing:
        raise ScheduleError(f"{name} needs {', '.join(missing)}, got {_short(text)!r}.")
    values = {key: _values(name, key, text) for key, text in given.items()}
    return family(**{key: _counted(name, known[key], value, values) for key, value in values.items()})


def _pairs(name: str, body: str) -> dict[str, str]:
    """`a=1, b=[2, 3], c=word` as a dict."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(body.rstrip()):
        pair = _PAIR.match(body, at)
        if not pair:
            raise ScheduleError(f"{name}: fields read like peak=3e-4 with commas between, got {_short(body[at:])!r}.")
        key, value = pair.groups()
        if key in pairs:
            raise ScheduleError(f"{name}: {_short(key)} is given twice.")
        pairs[key] = value
        at = pair.end()
    return pairs


def _counted(name: str, f: Field, value: Any, values: Mapping[str, Any]) -> Any:
    """The value of a field with its shares, if any, as updates or rates."""
    if isinstance(value, list):
        return [_counted(name, f, v, values) for v in value]
    if not isinstance(value, _Share):
        return value
    whole = WHOLES.get(f.metadata["unit"])
    if whole is None or f.name == whole:
        raise ScheduleError(f"{name}: {f.name} cannot be given as a share, got {value}.")
    base = values.get(whole)
    if not isinstance(base, (int, float)):
        raise ScheduleError(f"{name}: {f.name}={value} is a share of {whole}, which the text does not give.")
    amount = value.of_one * base
    if not abs(amount) <= LARGEST:
        return amount  # which the family refuses in its own words
    return round(amount) if whole == "total" else rounded_rate(amount)


def _values(name: str, key: str, text: str):
    """What stands behind a field's equals sign: one value, or a list of them."""
    if text.startswith("["):
        return [_value(name, key, word) for word in text[1:-1].split(",") if word.strip()]
    return _value(name, key, text)


def _value(name: str, key: str, word: str) -> float | int | str | _Share | None:
    word = word.strip().strip("\"'")
    if word == "None":
        return None
    if word.endswith("%") and _NUMBER.fullmatch(part := word[:-1].rstrip()):
        return _Share(float(part.replace("_", "")) / 100)
    if _NUMBER.fullmatch(word):
        plain = word.replace("_", "")
        return int(plain) if re.fullmatch(r"[+-]?\d{1,18}", plain) else float(plain)
    if key.endswith("shape"):
        return word
    raise ScheduleError(f"{name}: {_short(key)} must be a number such as 3e-4 or 24000, got {_short(word)!r}.")


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
