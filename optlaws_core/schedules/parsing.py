"""The text form of a schedule: `wsd(peak=3e-4, warmup=2160, total=24000, decay=4000, final=3e-5)`.

One form for the command line, links, saved comparisons and the app. `parse(s.text) == s` for every schedule.
"""

import difflib
import re
from dataclasses import MISSING
from typing import Any

from ..errors import ScheduleError
from .base import Schedule, ordered_fields

_CALL = re.compile(r"\s*([A-Za-z_][\w-]*)\s*\((.*)\)\s*", re.DOTALL)
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\[[^\]]*\]|[^,\[\]]+?)\s*(?:,|$)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?")
LONGEST_TEXT = 1_000_000  # characters; a knot table of 50,000 rows fits


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
            raise ScheduleError(f"{name} has no field {_short(key)!r}. Its fields: {', '.join(known)}.")
    missing = [k for k, f in known.items() if f.default is MISSING and k not in given]
    if missing:
        raise ScheduleError(f"{name} needs {', '.join(missing)}, got {_short(text)!r}.")
    return family(**given)


def _pairs(name: str, body: str) -> dict:
    """`a=1, b=[2, 3], c=word` as a dict."""
    pairs: dict[str, Any] = {}
    at = 0
    while at < len(body.rstrip()):
        pair = _PAIR.match(body, at)
        if not pair:
            raise ScheduleError(f"{name}: fields read like peak=3e-4 with commas between, got {_short(body[at:])!r}.")
        key, value = pair.groups()
        if key in pairs:
            raise ScheduleError(f"{name}: {_short(key)} is given twice.")
        if value.startswith("["):
            pairs[key] = [_value(name, key, v) for v in value[1:-1].split(",") if v.strip()]
        else:
            pairs[key] = _value(name, key, value)
        at = pair.end()
    return pairs


def _value(name: str, key: str, word: str) -> float | int | str | None:
    word = word.strip().strip("\"'")
    if word == "None":
        return None
    if _NUMBER.fullmatch(word):
        plain = word.replace("_", "")
        return int(plain) if re.fullmatch(r"[+-]?\d{1,18}", plain) else float(plain)
    if key.endswith("shape"):
        return word
    raise ScheduleError(f"{name}: {_short(key)} must be a number such as 3e-4 or 24000, got {_short(word)!r}.")


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
