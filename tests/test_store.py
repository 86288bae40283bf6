"""The store, on SQLite and on a real PostgreSQL server: what is kept, who sees it, what a killed process leaves."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.store import example
from optlaws_core import OptLawsError, rank
from optlaws_core.cli import main
from optlaws_core.snapshot import Snapshot, from_bundle, to_bundle
from optlaws_core.store import OPERATOR, PLACE, STRANGER, Store, Viewer, Visibility, database, default_place
from optlaws_core.store.store import MISSING, unpacked

ROOT = Path(__file__).resolve().parents[1]
ME, OTHER = Viewer("my session"), Viewer("another session")
ALICE, BOB = Viewer("issuer alice", logged_in=True), Viewer("issuer bob", logged_in=True)


@pytest.fixture(scope="session")
def server():
    """Folder of the socket of a PostgreSQL server of its own, where one is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = found[-1].parent if found else Path(shutil.which("initdb") or "").parent
    if not (programs / "initdb").exists():
        pytest.skip("PostgreSQL's server is not installed, so the store is tested on SQLite alone")
    folder = Path(tempfile.mkdtemp(prefix="optlaws-pg-"))
    whose = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    if whose:
        shutil.chown(folder, **whose)
    how = whose | {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # What stops the server waits for the end of its input, which comes with that of this process, even a killed one.
    stop = f"cat; '{programs}/pg_ctl' -D data -m immediate stop; rm -rf '{folder}'"
    watch = subprocess.Popen(["sh", "-c", stop], stdin=subprocess.PIPE, start_new_session=True, **how)
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "optlaws", "-A", "trust", "-E", "UTF8"], check=True, **how)
    start = [programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-o", f"-k {folder} -h ''", "start"]
    subprocess.run(start, check=True, **how)
    yield folder
    watch.communicate(timeout=60)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """An empty database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "new folder" / "comparisons.sqlite")
    import psycopg

    folder, name = request.getfixturevalue("server"), f"t{abs(hash(tmp_path))}"
    with closing(psycopg.connect(host=str(folder), user="optlaws", dbname="postgres", autocommit=True)) as admin:
        admin.execute(f"create database {name}")
    return f"postgresql://optlaws@/{name}?host={folder}"


@pytest.fixture
def store(place):
    with closing(Store(place)) as store:
        yield store


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return replace(example(), title="100 % größer", note="A_note\nof two lines", tags=("wsd", "Näher"))


def numbers(snapshot: Snapshot) -> list:
    return [repr(r) for r in rank(snapshot.fit, [c.schedule for c in snapshot.candidates])]


# ---------------------------------------------------------------------------------------------------- what is kept


def test_what_was_saved_shows_the_same_numbers_in_another_process(place, store, snapshot):
    id = store.save(snapshot, ME)
    code = """
import sys
from optlaws_core import rank
from optlaws_core.store import STRANGER, Store
found = Store(sys.argv[1]).open(sys.argv[2], STRANGER)
print(found.digest, *map(repr, rank(found.fit, [c.schedule for c in found.candidates])), sep="\\n")
"""
    told = subprocess.run(
        [sys.executable, "-c", code, place, id], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert told.stdout.splitlines() == [snapshot.digest, *numbers(snapshot)], told.stderr


def test_ids_are_random_and_entries_tell_what_is_there(store, snapshot):
    ids = [store.save(snapshot, ME) for _ in range(20)]
    assert len(set(ids)) == 20 and {len(bytes.fromhex(id)) for id in ids} == {16}
    entry = store.entry(ids[0], ME)
    assert (entry.id, entry.title, entry.note, entry.tags) == (ids[0], snapshot.title, snapshot.note, snapshot.tags)
    assert entry.digest == snapshot.digest and entry.mine and entry.visibility is Visibility.link
    assert not store.entry(ids[0], OTHER).mine
    assert [e.id for e in store.listed(ME)] == ids[::-1]  # the latest first


def test_what_could_not_be_opened_is_not_saved(store, snapshot):
    for wrong in ({"title": ""}, {"tags": ("a\nb",)}, {"current": "no fit"}, {"note": "\0"}):
        with pytest.raises(OptLawsError):
            store.save(replace(snapshot, **wrong), ME)
    assert store.count(OPERATOR) == 0


def test_a_list_is_searched_by_words_that_mean_themselves(store, snapshot):
    titles = ("100 % größer", "100 x kleiner", "a_b", "axb", r"back\slash", "'; drop table snapshots; --")
    for title in titles:
        store.save(replace(snapshot, title=title, note="", tags=("Batch", "lr")), ME)
    found = {
        "": 6, "GRÖSSER": 1, "100 %": 1, "%": 1, "a_b": 1, "_": 1, "\\": 1, "'; drop": 1, "batch LR": 6, "batch 100": 2,
        "batch nothing": 0, "\0": 6, "\ud800": 6, "kleiner" * 100: 0,
    }  # fmt: skip
    assert {words: len(store.listed(ME, words)) for words in found} == found
    assert {words: store.count(ME, words) for words in found} == found
    assert [e.title for e in store.listed(ME, limit=2, offset=1)] == [titles[-2], titles[-3]]


def test_a_copy_finds_its_parent_by_its_content(store, snapshot):
    id = store.save(snapshot, ME)
    copy = replace(snapshot, parent=store.entry(id, ME).digest)
    store.save(copy, ME)
    assert store.find(copy.parent, ME).id == id
    assert store.find(copy.parent, OTHER) is None and id.encode() not in copy.to_bytes()


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
    monkeypatch.setattr("optlaws_core.store.store.MOST_BYTES", 1_000)
    assert len(unpacked(bomb)) == 1_001
    with pytest.raises(OptLawsError, match="was damaged in the store"):
        store.open(id, ME)


def test_an_early_failure_leaves_nothing(store, snapshot, monkeypatch):
    monkeypatch.setattr("optlaws_core.store.store.zlib.compress", lambda data: None)  # a content of null is refused
    with pytest.raises(OptLawsError, match="failed"):
        store.save(snapshot, ME)
    assert store.count(OPERATOR) == 0 and store.listed(ME) == []


# ---------------------------------------------------------------------------------------------------- who sees it

VIEWERS = {"owner": ALICE, "member": BOB, "browser": ME, "stranger": STRANGER}
# Who opens it by its link, and who finds it in a list.
RIGHTS = {
    "private": ({"owner"}, {"owner"}),
    "link": ({"owner", "member", "browser", "stranger"}, {"owner"}),
    "members": ({"owner", "member"}, {"owner", "member"}),
    "revoked": (set(), set()),
    "deleted": (set(), set()),
}


@pytest.mark.parametrize("state", RIGHTS)
def test_rights(store, snapshot, state):
    id = store.save(snapshot, ALICE, Visibility[state] if state in Visibility.__members__ else Visibility.link)
    fresh = store.revoke(id, ALICE) if state == "revoked" else None
    if state == "deleted":
        store.delete(id, ALICE)
    opens, finds = RIGHTS[state]
    for name, viewer in VIEWERS.items():
        ways = [store.open, store.entry]
        if name != "owner":  # nor can they change what they may see
            ways += [store.revoke, store.delete, lambda id, v: store.set_visibility(id, v, Visibility.link)]
        for way in ways:
            if name in opens and way in ways[:2]:
                assert way(id, viewer).digest == snapshot.digest
                continue
            with pytest.raises(OptLawsError) as told:
                way(id, viewer)
            assert (str(told.value) == MISSING) == (name not in opens)
        assert (
            (id in [e.id for e in store.listed(viewer)]) == (name in finds) == bool(store.count(viewer) and not fresh)
        )
        assert (store.find(snapshot.digest, viewer) is not None) == (name in finds or bool(fresh) and name == "owner")
    if fresh:
        assert store.open(fresh, ALICE).digest == snapshot.digest
        for viewer in (BOB, ME, STRANGER):
            with pytest.raises(OptLawsError, match=MISSING):
                store.open(fresh, viewer)
    if state == "deleted":
        with store._transaction() as db:
            assert db.execute(text("select count(*) from bodies")).scalar() == 0


def test_no_key_stands_for_another(store, snapshot):
    """A browser's key is no login, a login no browser's key, and a stranger owns nothing, not even a stranger's."""
    mine, nobodys = (
        store.save(snapshot, Viewer("k"), Visibility.private),
        store.save(snapshot, STRANGER, Visibility.private),
    )
    assert store.open(mine, Viewer("k")).digest == snapshot.digest
    for viewer in (Viewer("k", logged_in=True), Viewer("K"), Viewer(""), STRANGER, Viewer("browser:k")):
        for id in (mine, nobodys):
            with pytest.raises(OptLawsError, match=MISSING):
                store.open(id, viewer)
    with store._transaction() as db:
        assert "k" not in db.execute(text("select owner from snapshots")).scalars().all()


@pytest.mark.parametrize("id", ["", "x", "%", "' or 1=1 --", "\0", "\ud800", "ü", "0" * 32, "0" * 100_000])
def test_what_is_no_id_is_missing(store, snapshot, id):
    store.save(snapshot, ME)
    with pytest.raises(OptLawsError, match=MISSING):
        store.open(id, STRANGER)


def test_visibility_changes_who_opens(store, snapshot):
    id = store.save(snapshot, ALICE, Visibility.private)
    for visibility, opens in ((Visibility.link, True), (Visibility.private, False), (Visibility.members, True)):
        store.set_visibility(id, ALICE, visibility)
        assert store.entry(id, ALICE).visibility is visibility
        if opens:
            assert store.open(id, BOB).digest == snapshot.digest
        else:
            with pytest.raises(OptLawsError, match=MISSING):
                store.open(id, BOB)


# ---------------------------------------------------------------------------------------------------- processes


def measured(call: str, place: str, *numbers: int) -> dict[str, int]:
    """What a part of the benchmark finds, in a process of its own, since it forks."""
    code = f"import json, sys; from benchmarks.store import *; found = {call}(sys.argv[1], example(), *{numbers})"
    code += "; print(json.dumps(found))"
    done = subprocess.run([sys.executable, "-c", code, place], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_killed_process_leaves_whole_snapshots_alone(place):
    found = measured("killed", place, 10)
    assert found["told"] > 0 and found["kept"] >= found["told"]  # what was told to be saved is there
    assert found["whole"] == found["kept"] and found["lost"] == 0


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


# ---------------------------------------------------------------------------------------------------- places


def test_the_default_is_a_file_among_the_users_data(tmp_path, monkeypatch):
    monkeypatch.delenv(PLACE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = tmp_path / "optlaws" / "comparisons.sqlite"
    assert default_place() == str(file)
    with closing(Store()) as store, store._transaction() as db:
        assert store.name == str(file)
        assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
        told = [
            db.execute(text(f"pragma {what}")).scalar() for what in ("journal_mode", "synchronous", "secure_delete")
        ]
        assert told == ["wal", 2, 1]
    monkeypatch.setenv(PLACE, f"sqlite:///{tmp_path}/mine.sqlite")
    with closing(Store()) as store:
        assert store.name == f"{tmp_path}/mine.sqlite"


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
        (str(ROOT / "tests"), "unable to open database file"),
        (str(ROOT / "LICENSE"), "file is not a database"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"The store postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x failed"),
    ],
)
def test_a_place_that_cannot_be_used_is_named(place, said):
    with pytest.raises(OptLawsError, match=said) as told:
        Store(place)
    assert "secret" not in str(told.value)


# ---------------------------------------------------------------------------------------------------- command line


def test_bundles_carry_a_comparison_from_store_to_store(place, snapshot, tmp_path, capsys):
    def told(*argv: str) -> tuple[int, str, str]:
        code = main(["share", *argv])
        return code, *capsys.readouterr()

    bundle, elsewhere = tmp_path / "bundle.json", str(tmp_path / "elsewhere.sqlite")
    with closing(Store(place)) as store:
        id = store.save(snapshot, ME, Visibility.private)
    assert told("export", id, "--store", place, "--out", str(bundle)) == (0, "", "")
    code, out, _ = told("import", str(bundle), str(bundle), "--store", elsewhere)
    assert code == 0 and len(out.split()) == 2
    with closing(Store(elsewhere)) as store:
        copy = store.open(out.split()[0], STRANGER)
    assert copy.digest == snapshot.digest and numbers(copy) == numbers(snapshot)

    code, out, _ = told("list", "--store", elsewhere, "--json")
    rows = json.loads(out)
    assert code == 0 and [row["title"] for row in rows] == [snapshot.title] * 2 and rows[0]["visibility"] == "link"
    code, out, _ = told("list", "--store", elsewhere, "--search", "größer WSD")
    assert code == 0 and out.count(rows[0]["id"]) == 1 and "#wsd" in out
    assert told("list", "--store", elsewhere, "--search", "nothing")[:2] == (0, "")
    code, out, _ = told("export", rows[0]["id"], "--store", elsewhere, "--anonymous")
    assert code == 0 and from_bundle(out.encode()).title == "Comparison" and "constant_4000" not in out

    assert told("export", "nothing", "--store", elsewhere) == (1, "", MISSING + "\n")
    bundle.write_bytes(to_bundle(snapshot).replace(b'"most_risk":0.2', b'"most_risk":0.3'))
    code, _, err = told("import", str(bundle), "--store", elsewhere)
    assert code == 1 and "bundle.json: This bundle was changed after it was written" in err
    assert told("import", str(tmp_path / "none.json"), "--store", elsewhere)[0] == 1


def test_a_long_list_says_how_much_is_left(tmp_path, snapshot, capsys, monkeypatch):
    monkeypatch.setattr("optlaws_core.cli.share.MOST_LISTED", 2)
    with closing(Store(tmp_path / "s")) as store:
        for _ in range(5):
            store.save(snapshot, ME)
    assert main(["share", "list", "--store", str(tmp_path / "s")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err == "3 more are not listed; name words with --search.\n"
