"""Where the work of visitors is kept between their visits, and how much of it for how long.

An owner (`Viewer.owner`, a digest of a secret key) has a few states of work. A state is a short text and the parts
that it names by their SHA-256: losses, files, fits. A part is kept once for an owner, however many states name it, and
never shared between owners. So saving writes what is new alone, and nothing can be had without the owner's key.

Nothing that others wrote is overwritten: a state is saved under the revision that the writer knows. If it has another
one by now, `Moved` is raised, and the writer may save a state of its own beside it.
"""

import hashlib
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import OptLawsError, extra
from .database import Database

with extra("store", "Keeping work between visits"):
    from sqlalchemy import Connection, bindparam, text

DAYS = 30  # since the last visit, after which work is deleted
MOST_BYTES = 64 * 2**20  # of one owner, as stored
TOTAL_BYTES = 8 * 2**30  # of all owners
STATES = 6  # of one owner; the one that was touched longest ago gives way
UNPACKED = 512 * 2**20  # bytes of one part, as many as an upload may have
PATIENCE = 5  # seconds for a database that does not answer: no page should wait long for what it can do without
SWEEP = timedelta(hours=1)  # between two looks for what is to be deleted
FIELDS = "id, revision, touched, bytes"

Parts = Mapping[str, Callable[[], bytes]]  # by SHA-256; made when they are not there yet


class Moved(OptLawsError):
    """A state has another revision than the writer knows, or is not there any more (`gone`)."""

    def __init__(self, gone: bool) -> None:
        super().__init__("This work was forgotten elsewhere." if gone else "This work was changed elsewhere.")
        self.gone = gone


class TooMuch(OptLawsError):
    """Work that is larger than one owner's may be."""


class Full(OptLawsError):
    """No room for anybody's work."""


@dataclass(frozen=True)
class Kept:
    """A state as the writer knows it."""

    id: str
    revision: int
    touched: str  # UTC, ISO 8601
    bytes: int  # of the state and its parts, as stored


@dataclass(frozen=True)
class Opened:
    """A state that was read. What was damaged is None, or not among the parts."""

    kept: Kept
    content: bytes | None
    parts: Mapping[str, bytes]


class Shelf(Database):
    """Work of visitors in one database. Every method raises `OptLawsError` when the database fails."""

    def __init__(self, place: str | Path | None = None, days: float = DAYS) -> None:
        """`place`: as for `Database`; `days`: since the last visit, after which work is deleted."""
        super().__init__(place, patience=PATIENCE)
        self.days = days
        self._swept = datetime.min.replace(tzinfo=UTC)

    def states(self, owner: str) -> list[Kept]:
        """The owner's states, the one touched last first."""
        asked = f"select {FIELDS} from works where owner = :owner and touched > :since order by touched desc"
        with self._transaction() as db:
            return [Kept(*row) for row in db.execute(text(asked), {"owner": owner, "since": self._since()})]

    def open(self, owner: str, id: str) -> Opened | None:
        """One of the owner's states with its parts; None where there is none of this id."""
        asked = f"select {FIELDS}, digest, parts, content from works where owner = :owner and id = :id"
        with self._transaction() as db:
            row = db.execute(text(asked), {"owner": owner, "id": id}).first()
            packed = {} if row is None else _parts(db, owner, _names(row.parts))
        if row is None:
            return None
        content = _unpacked(row.digest, row.content)
        parts = {digest: data for digest, held in packed.items() if (data := _unpacked(digest, held)) is not None}
        return Opened(Kept(*row[:4]), content, parts)

    def touch(self, owner: str, id: str) -> None:
        """Say that the state was visited, which puts off its end."""
        with self._transaction(writes=True) as db:
            db.execute(
                text("update works set touched = :now where owner = :owner and id = :id"),
                {"owner": owner, "id": id, "now": _now()},
            )

    def save(self, owner: str, content: bytes, parts: Parts, base: Kept | None = None) -> Kept:
        """Keep a state in the place of `base`, or as a new one, whole or not at all. Only parts that are new are made.

        Raises `Moved` where `base` is not what is stored any more, `TooMuch` and `Full` for want of room.
        """
        packed: dict[str, bytes] = {}
        state = {"digest": hashlib.sha256(content).hexdigest(), "content": zlib.compress(content, 1)}
        with self._transaction() as db:
            missing = set(parts) - set(_sizes(db, owner))
        while True:
            packed |= {digest: zlib.compress(parts[digest](), 1) for digest in missing}
            with self._transaction(writes=True) as db:
                known = _sizes(db, owner)
                missing = set(parts) - set(known) - set(packed)
                if not missing:  # else another tab has deleted them meanwhile
                    kept = self._written(db, owner, state, list(parts), packed, known, base)
                    self._sweep(db)
                    return kept

    def _written(
        self,
        db: Connection,
        owner: str,
        state: dict,
        parts: list[str],
        packed: Mapping[str, bytes],
        known: Mapping[str, int],
        base: Kept | None,
    ) -> Kept:
        asked = text("select id, revision, parts, length(content) size from works where owner = :owner")
        others = {row.id: row for row in db.execute(asked, {"owner": owner})}
        if base is not None:
            here = others.pop(base.id, None)
            if here is None or here.revision != base.revision:
                raise Moved(here is None)
        new = {digest: data for digest, data in packed.items() if digest not in known}
        sizes = {**known, **{digest: len(data) for digest, data in new.items()}}
        own = len(state["content"]) + sum(sizes[digest] for digest in parts)
        used = {*parts, *(name for row in others.values() for name in _names(row.parts))}
        room = len(state["content"]) + sum(row.size for row in others.values())
        room += sum(sizes.get(digest, 0) for digest in used)
        if room > MOST_BYTES:
            raise TooMuch(
                f"At most {MOST_BYTES // 2**20} MB are kept for one visitor; this would make it {room / 2**20:,.0f} MB."
            )
        if new and _total(db) + sum(map(len, new.values())) > TOTAL_BYTES:
            raise Full("This server has no room left to keep the work of its visitors.")
        _drop(db, owner, set(known) - used)
        for digest, data in new.items():
            db.execute(
                text("insert into work_parts (owner, digest, bytes, content) values (:owner, :digest, :bytes, :data)"),
                {"owner": owner, "digest": digest, "bytes": len(data), "data": data},
            )
        kept = Kept(base.id if base else secrets.token_hex(16), base.revision + 1 if base else 1, _now(), own)
        row = state | vars(kept) | {"owner": owner, "parts": "\n".join(parts)}
        if base is None:
            columns = ", ".join(row)
            db.execute(text(f"insert into works ({columns}) values ({', '.join(f':{name}' for name in row)})"), row)
            self._make_way(db, owner)
        else:
            changed = ", ".join(f"{name} = :{name}" for name in row if name not in ("id", "owner"))
            db.execute(text(f"update works set {changed} where id = :id and owner = :owner"), row)
        return kept

    def drop(self, owner: str, id: str) -> None:
        """Delete one of the owner's states, and the parts that no other one names."""
        with self._transaction(writes=True) as db:
            db.execute(text("delete from works where owner = :owner and id = :id"), {"owner": owner, "id": id})
            _unused(db, owner)

    def forget(self, owner: str) -> None:
        """Delete everything of the owner."""
        with self._transaction(writes=True) as db:
            for table in ("works", "work_parts"):
                db.execute(text(f"delete from {table} where owner = :owner"), {"owner": owner})

    def sweep(self) -> None:
        """Delete whatever nobody has touched for as long as it is kept."""
        with self._transaction(writes=True) as db:
            self._sweep(db, at_once=True)

    def _sweep(self, db: Connection, at_once: bool = False) -> None:
        if not at_once and datetime.now(UTC) - self._swept < SWEEP:
            return
        self._swept = datetime.now(UTC)
        asked, since = text("select distinct owner from works where touched <= :since"), {"since": self._since()}
        ended = [row.owner for row in db.execute(asked, since)]
        db.execute(text("delete from works where touched <= :since"), since)
        for owner in ended:
            _unused(db, owner)

    def _make_way(self, db: Connection, owner: str) -> None:
        """Delete the states that were touched longest ago, where there are more than `STATES`."""
        asked = text("select id from works where owner = :owner order by touched desc")
        old = [row.id for row in db.execute(asked, {"owner": owner})][STATES:]
        for id in old:
            db.execute(text("delete from works where id = :id"), {"id": id})
        if old:
            _unused(db, owner)

    def _since(self) -> str:
        return (datetime.now(UTC) - timedelta(days=self.days)).isoformat()


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _names(parts: str) -> list[str]:
    return parts.split("\n") if parts else []


def _sizes(db: Connection, owner: str) -> dict[str, int]:
    """Bytes of the owner's parts, as stored."""
    asked = text("select digest, bytes from work_parts where owner = :owner")
    return {row.digest: row.bytes for row in db.execute(asked, {"owner": owner})}


def _total(db: Connection) -> int:
    return int(db.execute(text("select coalesce(sum(bytes), 0) from work_parts")).scalar_one())


def _parts(db: Connection, owner: str, digests: list[str], at_once: int = 500) -> dict[str, bytes]:
    asked = text("select digest, content from work_parts where owner = :owner and digest in :some")
    asked = asked.bindparams(bindparam("some", expanding=True))
    found: dict[str, bytes] = {}
    for start in range(0, len(digests), at_once):
        rows = db.execute(asked, {"owner": owner, "some": digests[start : start + at_once]})
        found |= {row.digest: bytes(row.content) for row in rows}
    return found


def _unused(db: Connection, owner: str) -> None:
    """Delete the owner's parts that no state names."""
    rows = db.execute(text("select parts from works where owner = :owner"), {"owner": owner})
    used = {name for row in rows for name in _names(row.parts)}
    _drop(db, owner, set(_sizes(db, owner)) - used)


def _drop(db: Connection, owner: str, digests: Iterable[str]) -> None:
    rows = [{"owner": owner, "digest": digest} for digest in digests]
    if rows:
        db.execute(text("delete from work_parts where owner = :owner and digest = :digest"), rows)


def _unpacked(digest: str, packed: bytes) -> bytes | None:
    """The content; None where it is damaged."""
    try:
        data = zlib.decompressobj().decompress(bytes(packed), UNPACKED + 1)
    except zlib.error:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None
