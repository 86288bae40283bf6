"""A saved comparison: everything it takes to show it again, with the same numbers, without the files it came from.

Names are loaded when they are first asked for: who only looks into the database does not wait for SciPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .changes import anonymised, mapped_model, mapped_selection, renamed, thinned, without_places
    from .checks import MOST_BYTES
    from .record import Candidate, Snapshot, from_bundle, is_usual, to_bundle, usual_title

_HOME = {
    "changes": ("anonymised", "mapped_model", "mapped_selection", "renamed", "thinned", "without_places"),
    "checks": ("MOST_BYTES",),
    "record": ("Candidate", "Snapshot", "from_bundle", "is_usual", "to_bundle", "usual_title"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "MOST_BYTES",
    "Candidate",
    "Snapshot",
    "anonymised",
    "from_bundle",
    "is_usual",
    "mapped_model",
    "mapped_selection",
    "renamed",
    "thinned",
    "without_places",
    "to_bundle",
    "usual_title",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE[name]}", __name__), name)
