"""What outlives a fault, on SQLite and on PostgreSQL: damage, lost files, killed processes, migrations."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.saved import database
from optlaws_core.saved.rights import OPERATOR
from optlaws_core.saved.store import MISSING, Store, unpacked
from tests.places import ROOT
from tests.support.stores import ME, numbers, without

# ---------------------------------------------------------------------------------------------------- the database


@pytest.mark.parametrize("whole, damaged", [(b"comments_by", b"comm\xffnts_by"), (b"CREATE TABLE", b"CREA\x80E TABLE")])
def test_a_damaged_schema_is_told_in_a_sentence(tmp_path, whole, damaged):
    Store(str(tmp_path / "saved.sqlite")).close()
    place = tmp_path / "damaged.sqlite"
    place.write_bytes((tmp_path / "saved.sqlite").read_bytes().replace(whole, damaged, 1))
    with pytest.raises(OptLawsError, match=r"^The store .*damaged.sqlite failed: malformed database schema .*\.$"):
        Store(str(place))


@pytest.mark.parametrize(
    "damage",
    [
        "update bodies set content = substr(content, 1, 20)",
        "update bodies set content = substr(content, 3)",
        "update bodies set content = (select content from bodies where number = 2) where number = 1",
        "delete from bodies",
    ],
)
def test_damage_is_told(store, snapshot, damage):
    id = store.save(snapshot, ME)
    store.save(replace(snapshot, note="another"), ME)
    with store._transaction(writes=True) as db:
        db.execute(text(damage))
    with pytest.raises(OptLawsError, match="was damaged in the store"):
        store.open(id, ME)


def test_a_content_that_unpacks_without_end_is_not_unpacked(store, snapshot, monkeypatch):
    id = store.save(snapshot, ME)
    bomb = zlib.compress(bytes(10 * 2**20))
    with store._transaction(writes=True) as db:
        db.execute(text("update bodies set content = :bomb"), {"bomb": bomb})
    monkeypatch.setattr("optlaws_core.saved.store.MOST_BYTES", 1_000)
    assert len(unpacked(bomb)) == 1_001
    with pytest.raises(OptLawsError, match="was damaged in the store"):
        store.open(id, ME)


def test_an_early_failure_leaves_nothing(store, snapshot, monkeypatch):
    monkeypatch.setattr("optlaws_core.saved.store.zlib.compress", lambda data: None)  # a content of null is refused
    with pytest.raises(OptLawsError, match="failed"):
        store.save(snapshot, ME)
    assert store.count(OPERATOR) == 0 and store.listed(ME) == []


@pytest.mark.parametrize(
    "place, said",
    [
        ("mysql://root@host/x", "begins with mysql"),
        ("://", "begins with none"),
        ("sqlite://", "begins with sqlite"),
        ("sqlite:///:memory:", "begins with sqlite"),
        ("sqlite:///file:x?uri=true", "begins with sqlite"),
        ("postgresql://host:abc/x", "begins with none"),
        ("~nobody-of-this-name/x", "must be the path of a file"),
        ("a\0b", "must be the path of a file"),
        ("postgresql+asyncpg://host/x", "begins with postgresql"),
        ("/proc/nowhere/x", "cannot be written .*OPTLAWS_STORE sets its place"),
        (str(ROOT / "tests"), "The store must be a file, got the folder .*tests"),
        (str(ROOT / "LICENSE"), "file is not a database"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"The store postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x failed"),
    ],
)
def test_a_place_that_cannot_be_used_is_named(place, said):
    with pytest.raises(OptLawsError, match=said) as told:
        Store(place)
    assert "secret" not in str(told.value)


def of_another_program(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("create table theirs (x)")


@pytest.mark.parametrize(
    "written, make, said",
    [
        (
            lambda file: file.touch(),
            False,
            "mine.csv exists, but is not a store of comparisons, so it was left unchanged",
        ),
        *(
            (lambda file: file.write_text("run,loss\n"), make, "The store .*mine.csv failed: file is not a database")
            for make in (False, True)
        ),
        *((of_another_program, make, "mine.csv exists, but is not a store of comparisons") for make in (False, True)),
    ],
)
def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path, written, said, make):
    file = tmp_path / "mine.csv"
    written(file)
    before = file.read_bytes()
    with pytest.raises(OptLawsError, match=said):
        Store(file, make)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_an_empty_file_becomes_a_store_where_one_is_to_be_made(tmp_path, snapshot):
    """SQLite's own tools leave one behind, a backup of a store that is not there yet, say."""
    place = tmp_path / "store.sqlite"
    place.touch()
    with closing(Store(place)) as store:
        id = store.save(snapshot, ME)
    with closing(Store(place, make=False)) as store:
        assert store.open(id, ME).digest == snapshot.digest


@pytest.mark.parametrize("fault, kept", [(FileExistsError, "theirs"), (PermissionError, "mine")])
def test_a_store_is_made_at_once_or_not_at_all(tmp_path, monkeypatch, snapshot, fault, kept):
    """Somebody else makes it meanwhile; or the file system knows no hard links."""
    place, theirs = tmp_path / "store.sqlite", tmp_path / "theirs"
    with closing(Store(theirs)) as store:
        store.save(snapshot, ME)

    def link(made, file) -> None:
        if fault is FileExistsError:
            theirs.rename(file)
        raise fault

    monkeypatch.setattr("os.link", link)
    with closing(Store(place)) as store:
        assert store.count(OPERATOR) == (1 if kept == "theirs" else 0)
        store.save(snapshot, ME)
    assert place.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"store.sqlite"} | ({"theirs"} if kept == "mine" else set())


# ---------------------------------------------------------------------------------------------------- a file that goes


def copied(place: Path, backup: Path) -> None:
    with closing(sqlite3.connect(place)) as db:
        db.execute("vacuum into ?", [str(backup)])


def test_nothing_is_told_to_be_saved_into_a_file_that_was_deleted(tmp_path, snapshot):
    place, backup = tmp_path / "store.sqlite", tmp_path / "backup"
    with closing(Store(place)) as store:
        id = store.save(snapshot, ME)
        copied(place, backup)
        without(place)
        for ask in (lambda: store.save(snapshot, ME), lambda: store.open(id, ME), lambda: store.count(ME)):
            with pytest.raises(OptLawsError, match=rf"^The store {re.escape(str(place))} failed: [^\n]+\.$"):
                ask()
        assert not list(tmp_path.glob("store.sqlite*"))  # nor is it made anew, empty
        backup.replace(place)
        later = store.save(snapshot, ME)  # the restored file is taken up without a restart
        assert [entry.id for entry in store.listed(ME)] == [later, id]
    with closing(Store(place)) as store:
        assert [entry.id for entry in store.listed(ME)] == [later, id]


def test_a_file_that_was_replaced_is_the_store_from_then_on(tmp_path, snapshot):
    place, backup = tmp_path / "store.sqlite", tmp_path / "backup"
    with closing(Store(place)) as store:
        old = store.save(snapshot, ME)
        copied(place, backup)
        lost = store.save(snapshot, ME)
        without(place)
        backup.replace(place)
        new = store.save(snapshot, ME)
        assert [entry.id for entry in store.listed(ME)] == [new, old]
        with pytest.raises(OptLawsError, match=MISSING):
            store.open(lost, ME)


# ---------------------------------------------------------------------------------------------------- processes


def measured(call: str, place: str, *numbers: int) -> dict[str, int]:
    """What a part of the benchmark finds, in a process of its own, since it forks."""
    code = f"import json, sys; from benchmarks.store import *; found = {call}(sys.argv[1], example(), *{numbers})"
    code += "; print(json.dumps(found))"
    done = subprocess.run([sys.executable, "-c", code, place], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_killed_process_leaves_whole_snapshots_alone(place):
    found = measured("killed", place, 10)
    assert found["told"] > 0 and found["kept"] >= found["told"]  # what was told to be saved is there
    assert found["whole"] == found["kept"] and found["lost"] == 0


@pytest.mark.slow
def test_processes_make_and_fill_one_store_at_once(place):
    assert measured("together", place, 6, 5) == {"failed": 0, "kept": 30}


# ---------------------------------------------------------------------------------------------------- migrations


@pytest.mark.parametrize("version", range(2, len(database.MIGRATIONS) + 1))
def test_a_store_of_any_version_keeps_what_it_has(place, snapshot, monkeypatch, version):
    with monkeypatch.context() as then:
        then.setattr(database, "MIGRATIONS", database.MIGRATIONS[:version])
        with closing(Store(place)) as old:
            id = old.save(snapshot, ME)
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, "alter table snapshots add column later text"))
    for _ in range(2):
        with closing(Store(place)) as new:
            assert numbers(new.open(id, ME)) == numbers(snapshot)
            with new._transaction() as db:
                assert db.execute(text("select version, later from optlaws_version, snapshots")).all() == [
                    (len(database.MIGRATIONS), None)
                ]


def test_a_migration_that_fails_changes_nothing(place, snapshot, monkeypatch):
    with closing(Store(place)) as store:
        id = store.save(snapshot, ME)
    with monkeypatch.context() as then:
        broken = (
            *database.MIGRATIONS,
            "alter table snapshots add column later text",
            "alter table nothing add column x",
        )
        then.setattr(database, "MIGRATIONS", broken)
        with pytest.raises(OptLawsError, match="failed"):
            Store(place)
    with closing(Store(place)) as store:
        assert store.open(id, ME).digest == snapshot.digest
        with store._transaction() as db:
            assert "later" not in db.execute(text("select * from snapshots")).keys()


def test_a_store_of_a_newer_version_is_left_alone(place, snapshot, monkeypatch):
    Store(place).close()
    monkeypatch.setattr(database, "MIGRATIONS", database.MIGRATIONS[:-1])
    with pytest.raises(OptLawsError, match="written by a newer version"):
        Store(place)


@contextmanager
def standing_still(process: int):
    """A process that neither runs nor ends, meanwhile."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_server_that_stands_still_is_given_up_and_another_connection_found(server, snapshot):
    import psycopg

    name, backend = "stands_still", text("select pg_backend_pid()")
    with closing(psycopg.connect(host=str(server), user="optlaws", dbname="postgres", autocommit=True)) as admin:
        admin.execute(f"create database {name}")
    with closing(Store(f"postgresql://optlaws@/{name}?host={server}", patience=1)) as store:
        first = store.save(snapshot, ME)
        said = r"The store .* failed: no answer within 1 s\."
        with pytest.raises(OptLawsError, match=said), store._transaction() as db:
            with standing_still(db.execute(backend).scalar()):
                db.execute(backend)
        with store._transaction() as db:
            between = db.execute(backend).scalar()
        with standing_still(between):  # a connection that stood idle
            second = store.save(replace(snapshot, note="another"), ME)
        assert {entry.id for entry in store.listed(ME)} == {first, second}
