"""Values of a fit out of JSON, each checked. Errors are one sentence that names what the value stands for."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import OptLawsError, unread
from ..text import shortened

T = TypeVar("T")


def read_json(path: Path, build: Callable[[object], T], rule: str) -> T:
    """What `build` makes of a JSON file, which is read once.

    Raises `OptLawsError` that names the file, and states `rule` where it is no JSON.
    """
    try:
        return build(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise OptLawsError(f"{path}: there is no such file.") from None
    except OptLawsError as fault:
        raise OptLawsError(f"{path}: {fault}") from None
    except (OSError, ValueError, RecursionError) as fault:
        raise OptLawsError(f"{path}: {rule}, but {unread(fault)}.") from None


class JsonRecord:
    """A record that is stored as JSON: its plain values, in the order of `to_dict`."""

    def to_dict(self) -> dict:
        """Plain values of the record."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write the record as JSON. Raises `ValueError` for a number that is not finite, `OSError` as writing does."""
        path.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def number(value: object, name: str) -> float:
    """A finite number, its type unchanged."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise OptLawsError(
            f"This is not a fit: {shortened(name, 100)} must be a finite number, got {str(value)[:40]!r}."
        )
    return value


def share(value: object, name: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= (known := number(value, name)) <= 1:
        raise OptLawsError(f"This is not a fit: {name} must lie between 0 and 1, got {value}.")
    return known


def error(value: object, name: str) -> float:
    """An error of 0 or more."""
    if (known := number(value, name)) < 0:
        raise OptLawsError(f"This is not a fit: {name} must be 0 or more, got {value}.")
    return known


def optional(check: Callable[[object, str], T], value: object, name: str) -> T | None:
    """What `check` makes of a value that may be missing."""
    return None if value is None else check(value, name)


def pair(value: object, name: str) -> tuple[float, float]:
    """Two numbers, the lower first."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise OptLawsError(f"This is not a fit: {name} must be two numbers, got {str(value)[:40]!r}.")
    low, high = (number(v, name) for v in value)
    if low > high:
        raise OptLawsError(f"This is not a fit: {name} must hold the lower number first, got {low} and {high}.")
    return low, high


def coefficient_names(given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Coefficients that a covariance is about, each once, all of them among those `known` to the law."""
    if len(set(given)) != len(given) or not set(given) <= set(known):
        raise OptLawsError(f"This is not a fit: free must name coefficients of the law, each once, got {given!r:.60}.")
    return tuple(given)


def square(rows: Sequence[Sequence[float]], n: int) -> tuple[tuple[float, ...], ...]:
    """A covariance of `n` coefficients, or none."""
    if rows and len(rows) != n or any(len(row) != n for row in rows):
        raise OptLawsError(f"This is not a fit: covariance must have {n} rows of {n} numbers, as free has names.")
    return tuple(tuple(number(v, "covariance") for v in row) for row in rows)
