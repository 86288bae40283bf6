"""Who may see a saved comparison. One place decides it, for opening and for listing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Row


class Visibility(Enum):
    """Who may open a snapshot besides its owner; the value is the sentence that the user reads."""

    private = "Only you."
    link = "Everybody who has the link."
    members = "Everybody who is logged in."

    @property
    def opened(self) -> str:
        """The same about a snapshot that was saved, as a sentence."""
        who = self.value.removesuffix(".")
        return f"{who} may open it."


def visibility_of(row: Row) -> Visibility:
    """Whom a snapshot's row lets in; a word that this version does not know lets in nobody."""
    return Visibility.__members__.get(row.visibility, Visibility.private)


@dataclass(frozen=True)
class Viewer:
    """Who asks: a browser by its own secret random key, or someone logged in by a name that never changes."""

    key: str = ""  # empty: a stranger, who owns nothing
    logged_in: bool = False
    operator: bool = False  # whoever can read the database itself: the command line, never a page
    browser: str = ""  # the key of a browser, of someone logged in: what it saved without log-in is theirs, too

    @property
    def owner(self) -> str:
        """What is stored of the key: its digest, so that the database holds neither keys nor names of people."""
        return _digest("user" if self.logged_in else "browser", self.key)

    @property
    def owners(self) -> list[str]:
        """Every owner that the viewer is."""
        before = [_digest("browser", self.browser)] if self.browser else []
        return ([self.owner] if self.key else []) + before

    def owns(self, row: Row) -> bool:
        """Whether a snapshot is the viewer's to change."""
        return self.operator or row.owner in self.owners

    def sees(self, row: Row) -> bool:
        """Whether the viewer may open a snapshot, given its id."""
        shared = {Visibility.private: False, Visibility.link: True, Visibility.members: self.logged_in}
        return shared[visibility_of(row)] or self.owns(row)

    def listing(self) -> tuple[str, dict[str, str]]:
        """Which snapshots the viewer finds without an id: a condition in SQL and its values."""
        if self.operator:
            return "1 = 1", {}
        own = {f"owner{i}": owner for i, owner in enumerate(self.owners)}
        shared = [f"visibility = '{Visibility.members.name}'"] if self.logged_in else []
        return " or ".join([f"owner = :{name}" for name in own] + shared) or "1 = 0", own


def _digest(kind: str, key: str) -> str:
    return hashlib.sha256(f"{kind}:{key}".encode()).hexdigest()


STRANGER = Viewer()
OPERATOR = Viewer(operator=True)
