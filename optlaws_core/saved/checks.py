"""What the plain values of a snapshot may be. Each check returns the value or raises `OptLawsError`: what, rule, found.

They hold against whoever sends a snapshot, not only against accidents: sizes are limited before anything is computed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from ..errors import OptLawsError
from ..text import brief

POINTS = 2_000  # of one split of a run, as many as a chart shows
MOST_BYTES = 16 * 2**20  # of the canonical form
MOST = {
    "runs": 2_000,
    "splits": 50,
    "fits": 500,
    "drawn": 20,
    "candidates": 100,
    "tags": 20,
    "settings": 50,
    "points": POINTS,
}
LONGEST = {"title": 200, "tag": 40, "author": 200, "name": 500, "setting": 200, "note": 20_000}  # characters

Setting = str | float | int | bool | None


def limited_text(value: object, what: str, limit: str) -> str:
    """A text of limited length."""
    if not isinstance(value, str) or len(value) > LONGEST[limit]:
        got = f"{len(value):,} characters" if isinstance(value, str) else repr(brief(value))
        raise OptLawsError(f"{what} must be a text of at most {LONGEST[limit]:,} characters, got {got}.")
    return value


def name(value: object, what: str) -> str:
    """A name of anything: a text that is not empty."""
    if not (found := limited_text(value, what, "name")):
        raise OptLawsError(f"{what} must not be empty.")
    return found


def printable(value: object, what: str, limit: str, also: str = "") -> str:
    """A text without control characters, other than those of `also`: databases refuse some of them."""
    text = limited_text(value, what, limit)
    wrong = next((c for c in text if (c < " " or "\x7f" <= c < "\xa0") and c not in also), "")
    if wrong:
        raise OptLawsError(f"{what} must have no control characters, got U+{ord(wrong):04X}.")
    return text


def printable_line(value: object, what: str, limit: str) -> str:
    """A text without control characters that is more than spaces."""
    if not (found := printable(value, what, limit)).strip():
        raise OptLawsError(f"{what} must not be empty.")
    return found


def mapping(value: object, what: str, limit: str = "runs") -> dict:
    """An object of limited size."""
    if not isinstance(value, dict) or len(value) > MOST[limit]:
        raise OptLawsError(f"{what} must be an object of at most {MOST[limit]:,} entries, got {_counted(value)}.")
    return value


def items(value: object, what: str, limit: str) -> Sequence:
    """A list of limited length."""
    if not isinstance(value, (list, tuple)) or len(value) > MOST[limit]:
        raise OptLawsError(f"{what} must be a list of at most {MOST[limit]:,} entries, got {_counted(value)}.")
    return value


def _counted(value: object) -> str:
    return f"{len(value):,}" if isinstance(value, (dict, list, tuple)) else repr(brief(value))


def finite(value: object, what: str) -> float:
    """A finite number, its type unchanged."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise OptLawsError(f"{what} must be a finite number, got {brief(value)!r}.")
    return value


def natural_number(value: object, what: str) -> int:
    """A whole number from 0 on."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise OptLawsError(f"{what} must be a whole number of 0 or more, got {brief(value)!r}.")
    return value


def boolean(value: object, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise OptLawsError(f"{what} must be true or false, got {brief(value)!r}.")
    return value


def share(value: object, what: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (found := finite(value, what)) <= 1:
        raise OptLawsError(f"{what} must lie between 0 and 1, got {value}.")
    return found


def setting(value: object, what: str) -> Setting:
    """A text, a number, true, false or nothing."""
    if isinstance(value, str):
        return limited_text(value, what, "setting")
    return value if value is None or isinstance(value, bool) else finite(value, what)


def digest(value: object, what: str) -> str:
    """A SHA-256 in hex."""
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise OptLawsError(f"{what} must be a digest of 64 hexadecimal digits, got {brief(value)!r}.")
    return value


def time(value: object, what: str) -> str:
    """A time with its zone, ISO 8601."""
    found = limited_text(value, what, "tag")
    try:
        zone = datetime.fromisoformat(found).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise OptLawsError(
            f"{what} must be a time with its zone such as 2026-01-31T12:00:00+00:00, got {brief(value)!r}."
        )
    return found


def among(names: Collection[str], known: Collection[str], what: str) -> tuple[str, ...]:
    """Names of things that are there."""
    for given in names:
        if given not in known:
            raise OptLawsError(f"{what} must name what the comparison has, got {brief(given)!r}.")
    return tuple(names)


def different(names: Sequence[str], what: str) -> None:
    """Names, each once."""
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise OptLawsError(f"{what} must have different names, got {brief(twice)!r} more than once.")


def size(data: bytes, room: int = 0) -> None:
    """At most as many bytes as a snapshot may have, and `room` for what is around it."""
    if len(data) > MOST_BYTES + room:
        raise OptLawsError(
            f"A saved comparison may have {MOST_BYTES // 2**20} MB, this one has {len(data) / 2**20:,.1f} MB."
        )
