"""Where saved comparisons are kept, and who may see them: SQLite without any set-up, PostgreSQL by a URL."""

from .database import PLACE, default_place
from .rights import OPERATOR, STRANGER, Viewer, Visibility
from .store import Entry, Store

__all__ = ["OPERATOR", "PLACE", "STRANGER", "Entry", "Store", "Viewer", "Visibility", "default_place"]
