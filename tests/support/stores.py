"""A store for tests, on SQLite and on a real PostgreSQL server, a comparison to keep in it, and who asks for it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from optlaws_core import rank
from optlaws_core.saved import Snapshot
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.store import Store
from tests.support.install_postgres import programs as postgres_programs

ME, OTHER = Viewer("my session"), Viewer("another session")
ALICE, BOB = Viewer("issuer alice", logged_in=True), Viewer("issuer bob", logged_in=True)


@pytest.fixture(scope="session")
def server():
    """Folder of the socket of a PostgreSQL server of its own, where one is installed."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed, so the store is tested on SQLite alone")
    with postgres(programs) as folder:
        yield folder


@contextmanager
def postgres(programs: Path) -> Iterator[Path]:
    """Folder of the socket of a server of its own, made of the programs in a folder, as long as it is wanted."""
    folder = Path(tempfile.mkdtemp(prefix="optlaws-pg-"))
    whose = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    if whose:
        shutil.chown(folder, **whose)
    how = whose | {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # What stops the server waits for the end of its input, which comes with that of this process, even a killed one.
    stop = f"cat; '{programs}/pg_ctl' -D data -m immediate stop; rm -rf '{folder}'"
    watch = subprocess.Popen(["sh", "-c", stop], stdin=subprocess.PIPE, start_new_session=True, **how)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "optlaws", "-A", "trust", "-E", "UTF8", "-N"], check=True, **how
    )
    start = [programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-o", f"-k {folder} -h '' -c fsync=off", "start"]
    subprocess.run(start, check=True, **how)
    yield folder
    watch.communicate(timeout=300)  # hundreds of databases are deleted, on a disk that others use, too


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """An empty database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "new folder" / "comparisons.sqlite")
    return database(request.getfixturevalue("server"), f"t{abs(hash(tmp_path))}")


def database(server: Path, name: str) -> str:
    """The place of a new database of a PostgreSQL server, by the folder of its socket."""
    import psycopg

    with closing(psycopg.connect(host=str(server), user="optlaws", dbname="postgres", autocommit=True)) as admin:
        admin.execute(f"create database {name}")
    return f"postgresql://optlaws@/{name}?host={server}"


@pytest.fixture
def store(place):
    with closing(Store(place)) as store:
        yield store


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    from benchmarks.store import example  # which most tests do without

    return replace(example(), title="100 % größer", note="A_note\nof two lines", tags=("wsd", "Näher"))


def numbers(snapshot: Snapshot) -> list:
    return [repr(vars(r)) for r in rank(snapshot.fit, [c.schedule for c in snapshot.candidates])]


def without(place: Path) -> None:
    """Delete a SQLite file, with what belongs to it."""
    for file in place.parent.glob(f"{place.name}*"):
        file.unlink()
