"""SQLite databases out of the bytes of a file: nothing is written beside it, and nothing in it can run."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import LogError
from ..text import shortened

MAGIC = b"SQLite format 3\x00"
WAL = "-wal"  # the end of the name of a file with what was written last, until it is taken into the database
_MOST_STEPS = 20_000  # of 100,000 instructions: minutes, which no query here takes on a database of 512 MB


@contextmanager
def database(data: bytes, wal: bytes = b"") -> Iterator[sqlite3.Connection]:
    """A database to read from. Raises `LogError` for one that is damaged."""
    if not wal and _pages(data) * _page_size(data) > len(data):
        raise LogError("the SQLite database ends before its last page; is the file complete?")
    try:
        with _connected(data, wal) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            left = iter(range(_MOST_STEPS))
            connection.set_progress_handler(lambda: next(left, None) is None, 100_000)
            yield connection
    except (sqlite3.Error, MemoryError, OverflowError, UnicodeError) as error:
        text = "a text is damaged" if isinstance(error, UnicodeError) else shortened(str(error), 80) or "out of memory"
        raise LogError(f"the SQLite database cannot be read ({text}); is the file complete?") from None


@contextmanager
def _connected(data: bytes, wal: bytes) -> Iterator[sqlite3.Connection]:
    if wal:  # SQLite itself takes it in, from files
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log.db"
            path.write_bytes(data)
            Path(f"{path}{WAL}").write_bytes(wal)
            with closing(sqlite3.connect(path)) as connection:
                yield connection
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        if data[18:20] == b"\x02\x02":  # one with a write-ahead log, which a database in memory cannot have
            data = data[:18] + b"\x01\x01" + data[20:]
        connection.deserialize(data)
        yield connection


def tables_of(data: bytes, wal: bytes = b"") -> dict[str, tuple[str, ...]]:
    """Table -> its columns. Raises `LogError` for a database that is damaged."""
    with database(data, wal) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: _columns(connection, name) for name in names if isinstance(name, str)}


def _page_size(data: bytes) -> int:
    size = int.from_bytes(data[16:18], "big")
    return 65_536 if size == 1 else size


def _pages(data: bytes) -> int:
    """The number of pages that the header tells; 0 where an old program wrote it, which leaves it as it was."""
    return int.from_bytes(data[28:32], "big") if data[24:28] == data[92:96] else 0


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return tuple(str(name) for (name,) in rows)
