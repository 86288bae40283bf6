"""A saved comparison: everything it takes to show it again, with the same numbers, without the files it came from."""

from .changes import anonymised, mapped_model, mapped_selection, renamed, thinned
from .checks import MOST_BYTES
from .record import Candidate, Snapshot, from_bundle, to_bundle

__all__ = [
    "MOST_BYTES",
    "Candidate",
    "Snapshot",
    "anonymised",
    "from_bundle",
    "mapped_model",
    "mapped_selection",
    "renamed",
    "thinned",
    "to_bundle",
]
