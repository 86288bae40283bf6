"""Comments on a saved comparison, by those who may open it: plain text, limited in length, number and pace."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import OptLawsError
from . import checks
from .rights import Viewer
from .store import Store, text

LONGEST = 2_000  # characters
MOST = 200  # of one comparison
AT_ONCE = 5  # comments that one writer may leave within `PACE`, over all comparisons
AT_ONCE_ALL = 20  # and all writers together on one comparison
PACE = timedelta(minutes=1)


@dataclass(frozen=True)
class Comment:
    """A comment as a page shows it."""

    number: int
    author: str  # empty: not known
    said: str
    written: str  # UTC, ISO 8601
    mine: bool  # whether the viewer may delete it: who wrote it, or owns the comparison


def comments(store: Store, id: str, viewer: Viewer) -> list[Comment]:
    """All comments on a comparison, the first one first. Raises like `Store.open`."""
    asked = "select place, writer, author, said, written from comments where number = :number order by place"
    with store.reading(id, viewer) as (db, row):
        found = db.execute(text(asked), {"number": row.number}).all()
    owns = viewer.owns(row)
    return [Comment(r.place, r.author, r.said, r.written, owns or r.writer in viewer.owners) for r in found]


def comment(store: Store, id: str, viewer: Viewer, said: str, author: str = "") -> None:
    """Leave a comment on a comparison that the viewer may open; `author`: a name, empty for nobody's.

    Raises `OptLawsError` like `Store.open`, for a text that is empty, too long or has control characters, for one
    that the same writer has just left there, and where there are too many comments, altogether or at once.
    """
    if not said.strip():
        raise OptLawsError("A comment needs a text, this one has none.")
    if len(said) > LONGEST:
        raise OptLawsError(f"A comment may have {LONGEST:,} characters, this one has {len(said):,}.")
    now = datetime.now(UTC)
    values = {
        "writer": viewer.owner,
        "author": checks.printable(author.strip(), "author", "author"),
        "said": checks.printable(said.replace("\r\n", "\n").strip(), "a comment", "note", "\n\t"),
        "written": now.isoformat(timespec="seconds"),
        "since": (now - PACE).isoformat(timespec="seconds"),
    }
    with store.reading(id, viewer, writes=True) as (db, found):
        row = {"number": found.number} | values
        db.execute(text("update snapshots set digest = digest where number = :number"), row)  # one writer at a time
        counts = [
            db.execute(text(f"select count(*) from comments where {condition}"), row).scalar_one()
            for condition in (
                "number = :number",
                "writer = :writer and written > :since",
                "number = :number and written > :since",
            )
        ]
        last = "select writer, author, said from comments where number = :number order by place desc limit 1"
        newest = db.execute(text(last), row).first()
        if newest is not None and all(getattr(newest, name) == row[name] for name in ("writer", "author", "said")):
            raise OptLawsError("This comment is there already, as the last one; it was not posted twice.")
        if counts[0] >= MOST:
            raise OptLawsError(f"A comparison holds {MOST} comments, and this one is full; its owner may delete some.")
        if counts[1] >= AT_ONCE or counts[2] >= AT_ONCE_ALL:
            raise OptLawsError("Too many comments within a minute; try again a little later.")
        insert = (
            "insert into comments (number, writer, author, said, written) "
            "values (:number, :writer, :author, :said, :written)"
        )
        db.execute(text(insert), row)


def delete_comment(store: Store, id: str, viewer: Viewer, number: int) -> None:
    """Remove a comment; for who wrote it and for the comparison's owner. One that is gone already is no fault."""
    with store.reading(id, viewer, writes=True) as (db, row):
        known = {"number": row.number, "place": number}
        asked = text("select writer from comments where number = :number and place = :place")
        writer = db.execute(asked, known).scalar()
        if writer is None:
            return
        if not viewer.owns(row) and writer not in viewer.owners:
            raise OptLawsError("Only who wrote a comment, or who saved the comparison, can delete it.")
        db.execute(text("delete from comments where number = :number and place = :place"), known)


__all__ = ["AT_ONCE", "AT_ONCE_ALL", "LONGEST", "MOST", "PACE", "Comment", "comment", "comments", "delete_comment"]
