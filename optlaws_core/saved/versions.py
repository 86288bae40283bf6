"""Versions of a saved comparison under one link: the link shows the newest, each older one is found by its content.

A version never changes: it is named by the SHA-256 of its content, which is checked whenever it is opened. A new one
takes the place of the newest in the list, so that rights, revoking and deleting are those of the one link. Title and
note of the list can be edited; the content, and with it the digest, stays as it was saved.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import Missing, OptLawsError
from . import Snapshot, checks
from .rights import Viewer
from .store import MISSING, Connection, Store, canonical_content, checked_content, listed_values, text

MOST = 100  # versions of one comparison
CONTENT = text(  # in one statement, since the newest one becomes an earlier one at any moment
    "select b.content from snapshots s join bodies b on b.number = s.number "
    "where s.number = :number and s.digest = :digest "
    "union all select content from earlier where number = :number and digest = :digest"
)


@dataclass(frozen=True)
class Version:
    """A version as a list shows it."""

    place: int  # 1 is the first
    digest: str  # SHA-256 of its content
    title: str
    author: str
    saved: str  # UTC, ISO 8601


@dataclass(frozen=True)
class History:
    """All versions of a comparison, the first one first, and when the newest was edited."""

    versions: tuple[Version, ...]
    edited: str | None  # UTC, ISO 8601; None: title and note are those that were saved


def publish(store: Store, id: str, viewer: Viewer, snapshot: Snapshot) -> None:
    """Make a snapshot the newest version of a comparison; for the owner alone.

    Raises `OptLawsError` like `Store.save`, where it is the newest already, and for more than `MOST` versions.
    """
    data = canonical_content(snapshot)
    values = listed_values(snapshot, data)
    with store.owned(id, viewer) as (db, row):
        _lock(db, row)
        now = db.execute(text("select digest from snapshots where number = :number"), row).scalar_one()
        if now == values["digest"]:
            raise OptLawsError("This is the newest version already.")
        count = db.execute(text("select count(*) from earlier where number = :number"), row).scalar_one()
        if count + 2 > MOST:
            raise OptLawsError(f"A comparison has at most {MOST} versions; save this one as a new comparison.")
        db.execute(
            text(
                "insert into earlier (number, saved, title, author, digest, content) "
                "select s.number, s.saved, s.title, s.author, s.digest, b.content "
                "from snapshots s join bodies b on b.number = s.number where s.number = :number"
            ),
            row,
        )
        changed = ", ".join(f"{name} = :{name}" for name in values)
        db.execute(text(f"update snapshots set {changed} where number = :number"), row | values)
        body = row | {"content": zlib.compress(data)}
        db.execute(text("update bodies set content = :content where number = :number"), body)
        db.execute(text("delete from edits where number = :number"), row)


def history(store: Store, id: str, viewer: Viewer) -> History:
    """The versions of a comparison. Raises like `Store.open`."""
    asked = "select digest, title, author, saved from earlier where number = :number order by place"
    with store.reading(id, viewer) as (db, row):
        rows = [*db.execute(text(asked), {"number": row.number}), row]
        edited = text("select edited from edits where number = :number")
        when = db.execute(edited, {"number": row.number}).scalar()
    return History(tuple(Version(i, r.digest, r.title, r.author, r.saved) for i, r in enumerate(rows, 1)), when)


def open_version(store: Store, id: str, viewer: Viewer, digest: str) -> Snapshot:
    """The version of a comparison that has this content. Raises like `Store.open`, also where it has none such."""
    return Snapshot.from_bytes(content(store, id, viewer, digest))


def content(store: Store, id: str, viewer: Viewer, digest: str) -> bytes:
    """Its canonical form, as it was saved. Raises like `open_version`."""
    known = {"digest": digest if digest.isascii() and digest.isprintable() else ""}
    with store.reading(id, viewer) as (db, row):
        packed = db.execute(CONTENT, known | {"number": row.number}).scalar()
    if packed is None:
        raise Missing(MISSING)
    return checked_content(bytes(packed), digest)


def edit(store: Store, id: str, viewer: Viewer, title: str, note: str) -> None:
    """Give a comparison another title and note in lists and on its page; for the owner alone.

    The content keeps those that it was saved with, and with them its digest. Raises `OptLawsError` for texts that a
    snapshot may not have.
    """
    values = {
        "title": checks.printable_line(title, "title", "title"),
        "note": checks.printable(note, "note", "note", "\n\t"),
        "edited": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with store.owned(id, viewer) as (db, row):
        _lock(db, row)
        tags = db.execute(text("select tags from snapshots where number = :number"), row).scalar_one()
        words = {"words": "\n".join(filter(None, (values["title"], values["note"], tags))).casefold()}
        update = "update snapshots set title = :title, note = :note, words = :words where number = :number"
        db.execute(text(update), row | values | words)
        db.execute(text("delete from edits where number = :number"), row)
        db.execute(text("insert into edits (number, edited) values (:number, :edited)"), row | values)


def _lock(db: Connection, row: dict[str, int]) -> None:
    """Nobody else changes this comparison until the transaction ends; in SQLite nobody else writes at all."""
    db.execute(text("update snapshots set digest = digest where number = :number"), row)


__all__ = ["MOST", "History", "Version", "content", "edit", "history", "open_version", "publish"]
