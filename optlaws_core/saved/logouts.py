"""Log-ins that were logged out of, for all servers of one database: what voids a log-in on one holds on the others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import extra
from .database import Database

with extra("store", "Keeping log-outs"):
    from sqlalchemy import text

PATIENCE = 5  # seconds for a database that does not answer


class LogOuts(Database):
    """Digests of log-ins that have ended. Every method raises `StoreError` when the database fails."""

    def __init__(self, place: str | Path | None = None) -> None:
        """`place`: as for `Database`."""
        super().__init__(place, patience=PATIENCE)

    def end(self, login: str, life: float) -> None:
        """Note that a log-in, by its digest of 64 characters, has ended, and forget those older than `life` seconds."""
        now = datetime.now(UTC)
        values = {"login": login, "now": _said(now), "since": _said(now - timedelta(seconds=life))}
        with self._transaction(writes=True) as db:
            db.execute(text("delete from logouts where ended < :since"), values)
            note = "insert into logouts (login, ended) values (:login, :now) on conflict do nothing"
            db.execute(text(note), values)

    def has_ended(self, login: str) -> bool:
        """Whether a log-in has."""
        with self._transaction() as db:
            found = db.execute(text("select 1 from logouts where login = :login"), {"login": login})
            return found.first() is not None


def _said(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


__all__ = ["LogOuts"]
