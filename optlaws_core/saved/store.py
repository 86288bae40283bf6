"""Where saved comparisons are kept.

A snapshot never changes once it is saved; a link may come to show another one, and keeps those before (versions.py).
Its id, of 128 random bits, is the key that a link carries; to revoke a link is to give the snapshot another id. What a
viewer may not see answers as if it were not there. The content is kept with its SHA-256, which is checked whenever it
is opened.
"""

import hashlib
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import Missing, OptLawsError, extra
from . import database
from .checks import MOST_BYTES
from .record import UNREADABLE, Snapshot
from .rights import Viewer, Visibility, visibility_of

with extra("store", "The store of saved comparisons"):
    from sqlalchemy import Connection, Row, text

MISSING = (
    "There is no such comparison: it was never saved, it was deleted, its link was revoked, or it is not open to you."
)
REMARKS = "from comments c where c.number = snapshots.number"
FIELDS = (
    "number, id, owner, visibility, saved, title, note, tags, author, digest, "
    f"(select count(*) {REMARKS}) as remarks, (select max(written) {REMARKS}) as last_remark"
)
LONGEST_SEARCH = 200  # characters


@dataclass(frozen=True)
class Entry:
    """A saved comparison as a list shows it."""

    id: str
    title: str
    note: str
    tags: tuple[str, ...]
    author: str
    saved: str  # UTC, ISO 8601
    digest: str  # of the content; a copy names it as its parent
    visibility: Visibility
    mine: bool  # whether the viewer may change who sees it, and delete it
    comments: int  # how many there are
    commented: str | None  # when the latest of them was written, UTC, ISO 8601; None without any


class Store(database.Database):
    """Saved comparisons in one database.

    Every method raises `OptLawsError` when the database fails, and where the viewer may not do what is asked.
    """

    def save(self, snapshot: Snapshot, viewer: Viewer, visibility: Visibility = Visibility.link) -> str:
        """Keep a snapshot as the viewer's, whole or not at all; returns its id."""
        data = canonical_content(snapshot)
        row = {
            "id": _new_id(),
            "owner": viewer.owner,
            "visibility": visibility.name,
            **listed_values(snapshot, data),
        }
        columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        packed = zlib.compress(data)
        with self._transaction(writes=True) as db:
            insert = text(f"insert into snapshots ({columns}) values ({values}) returning number")
            body = {"number": db.execute(insert, row).scalar_one(), "content": packed}
            db.execute(text("insert into bodies (number, content) values (:number, :content)"), body)
        return row["id"]

    def open(self, id: str, viewer: Viewer) -> Snapshot:
        """The snapshot. Raises `Missing` alike for one that is not there and one that the viewer
        may not see, and `OptLawsError` for one that was damaged in the database.
        """
        with self._transaction() as db:
            row = _seen(db, id, viewer)
            asked = text("select content from bodies where number = :number")
            packed = db.execute(asked, {"number": row.number}).scalar()
            if packed is None:
                _seen(db, id, viewer)  # deleted meanwhile
        return Snapshot.from_bytes(checked_content(bytes(packed or b""), row.digest))

    def entry(self, id: str, viewer: Viewer) -> Entry:
        """What a list would show of it. Raises like `open`."""
        with self._transaction() as db:
            return _entry(_seen(db, id, viewer), viewer)

    def listed(self, viewer: Viewer, search: str = "", limit: int = 50, offset: int = 0) -> list[Entry]:
        """The viewer's own and, for one who is logged in, those that are open to all who are; the latest first.

        `search`: words that all stand in title, note or tags, in upper or lower case.
        """
        where, values = _found(viewer, search)
        asked = f"select {FIELDS} from snapshots where {where} order by number desc limit :limit offset :offset"
        with self._transaction() as db:
            return [_entry(row, viewer) for row in db.execute(text(asked), values | {"limit": limit, "offset": offset})]

    def count(self, viewer: Viewer, search: str = "") -> int:
        """How many `listed` would list without a limit."""
        where, values = _found(viewer, search)
        with self._transaction() as db:
            return db.execute(text(f"select count(*) from snapshots where {where}"), values).scalar_one()

    def find(self, digest: str, viewer: Viewer) -> Entry | None:
        """The latest in the viewer's list with this content, or an older version with it; None where there is none.

        The parent of a copy, where it may be seen.
        """
        where, values = _found(viewer)
        had = "(digest = :digest or number in (select number from earlier where digest = :digest))"
        asked = f"select {FIELDS} from snapshots where {had} and {where} order by number desc limit 1"
        with self._transaction() as db:
            row = db.execute(text(asked), values | {"digest": digest}).first()
        return None if row is None else _entry(row, viewer)

    def set_visibility(self, id: str, viewer: Viewer, visibility: Visibility) -> None:
        """Let others in, or keep them out; for the owner alone."""
        with self.owned(id, viewer) as (db, row):
            db.execute(
                text("update snapshots set visibility = :to where number = :number"), row | {"to": visibility.name}
            )

    def revoke(self, id: str, viewer: Viewer) -> str:
        """End a link for good; for the owner alone. The snapshot is private under another id, which is returned."""
        changes = {"id": _new_id(), "to": Visibility.private.name}
        with self.owned(id, viewer) as (db, row):
            db.execute(text("update snapshots set id = :id, visibility = :to where number = :number"), row | changes)
        return changes["id"]

    def delete(self, id: str, viewer: Viewer) -> None:
        """Remove a snapshot with all its versions and comments; for the owner alone."""
        with self.owned(id, viewer) as (db, row):
            for table in database.OF_A_SNAPSHOT:
                db.execute(text(f"delete from {table} where number = :number"), row)
            db.execute(text("delete from snapshots where number = :number"), row)

    @contextmanager
    def owned(self, id: str, viewer: Viewer) -> Iterator[tuple[Connection, dict[str, int]]]:
        """A transaction, and the number of the viewer's own snapshot as a value for SQL."""
        with self._transaction(writes=True) as db:
            row = _seen(db, id, viewer)
            if not viewer.owns(row):
                raise OptLawsError(
                    "Only whoever saved this comparison can change it, delete it, or say who may open it."
                )
            yield db, {"number": row.number}

    @contextmanager
    def reading(self, id: str, viewer: Viewer, writes: bool = False) -> Iterator[tuple[Connection, Row]]:
        """A transaction, and the row of a snapshot that the viewer may open. Raises like `open`."""
        with self._transaction(writes) as db:
            yield db, _seen(db, id, viewer)


def canonical_content(snapshot: Snapshot) -> bytes:
    """The canonical form of a snapshot that can be opened again. Raises `OptLawsError`."""
    data = snapshot.to_bytes()
    try:
        Snapshot.from_bytes(data)  # whatever is saved can be opened
    except OptLawsError as fault:
        raise OptLawsError(f"Not saved: {str(fault).removeprefix(UNREADABLE)}") from None
    return data


def listed_values(snapshot: Snapshot, data: bytes) -> dict[str, str]:
    """What a list shows of a snapshot and searches in, by column; `data`: its canonical form."""
    return {
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "title": snapshot.title,
        "note": snapshot.note,
        "tags": "\n".join(snapshot.tags),
        "author": snapshot.author,
        "digest": hashlib.sha256(data).hexdigest(),
        "words": "\n".join((snapshot.title, snapshot.note, *snapshot.tags)).casefold(),
    }


def checked_content(packed: bytes, digest: str) -> bytes:
    """The canonical form of a snapshot from how it is stored. Raises `OptLawsError` where it was damaged."""
    data = unpacked(packed)
    if hashlib.sha256(data).hexdigest() != digest:
        raise OptLawsError(
            "This comparison was damaged in the store: its content does not have the digest that it was saved with."
        )
    return data


def _new_id() -> str:
    return secrets.token_hex(16)  # 128 bits; none begins with a dash, which the command line would take for an option


def _seen(db: Connection, id: str, viewer: Viewer) -> Row:
    """The snapshot's row. Raises `Missing`."""
    plain = id.isascii() and id.isprintable()  # an address may hold anything, and PostgreSQL takes no NUL
    row = db.execute(text(f"select {FIELDS} from snapshots where id = :id"), {"id": id}).first() if plain else None
    if row is None or not viewer.sees(row):
        raise Missing(MISSING)
    return row


def _found(viewer: Viewer, search: str = "") -> tuple[str, dict[str, object]]:
    """Which snapshots a list has: a condition in SQL and its values."""
    where, own = viewer.listing()
    values: dict[str, object] = {**own}
    conditions = [f"({where})"]
    for i, word in enumerate(w for w in search[:LONGEST_SEARCH].casefold().split() if w.isprintable()):
        for sign in "\\%_":  # they mean themselves
            word = word.replace(sign, f"\\{sign}")
        conditions.append(f"words like :word{i} escape '\\'")
        values[f"word{i}"] = f"%{word}%"
    return " and ".join(conditions), values


def _entry(row: Row, viewer: Viewer) -> Entry:
    tags = tuple(row.tags.split("\n")) if row.tags else ()
    shown = (row.id, row.title, row.note, tags, row.author, row.saved, row.digest)
    return Entry(*shown, visibility_of(row), viewer.owns(row), row.remarks, row.last_remark)


def unpacked(packed: bytes) -> bytes:
    """The content, never more of it than a snapshot may have; nothing where it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed, MOST_BYTES + 1)
    except zlib.error:
        return b""
