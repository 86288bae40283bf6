"""The store, on SQLite and on PostgreSQL: what is kept, how it is found, how it is carried to another store."""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.cli import main
from optlaws_core.saved import from_bundle, to_bundle
from optlaws_core.saved.comments import comment
from optlaws_core.saved.database import PLACE, default_place
from optlaws_core.saved.rights import OPERATOR, STRANGER, Visibility
from optlaws_core.saved.store import MISSING, Store
from tests.places import ROOT
from tests.support.stores import ME, OTHER, numbers


@pytest.mark.slow
def test_what_was_saved_shows_the_same_numbers_in_another_process(place, store, snapshot):
    id = store.save(snapshot, ME)
    code = """
import sys
from optlaws_core import rank
from optlaws_core.saved.rights import STRANGER
from optlaws_core.saved.store import Store
found = Store(sys.argv[1]).open(sys.argv[2], STRANGER)
print(found.digest, *(str(vars(r)) for r in rank(found.fit, [c.schedule for c in found.candidates])), sep="\\n")
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
    with closing(Store(elsewhere)) as store:
        comment(store, rows[0]["id"], STRANGER, "Which seed?")
    assert rows[0]["comments"] == 0 and "(1 comment)" in told("list", "--store", elsewhere)[1]
    code, out, _ = told("export", rows[0]["id"], "--store", elsewhere, "--anonymous")
    assert code == 0 and from_bundle(out.encode()).title == "Comparison" and "constant_4000" not in out

    assert told("export", "nothing", "--store", elsewhere) == (1, "", MISSING + "\n")
    bundle.write_bytes(to_bundle(snapshot).replace(b'"most_risk":0.2', b'"most_risk":0.3'))
    code, _, err = told("import", str(bundle), "--store", elsewhere)
    assert code == 1 and "bundle.json: This bundle was changed after it was written" in err
    assert told("import", str(tmp_path / "none.json"), "--store", elsewhere)[0] == 1


@pytest.mark.parametrize("argv", [["list"], ["export", "x"]])
def test_reading_a_store_makes_none(tmp_path, capsys, argv):
    gone = tmp_path / "no folder" / "x.sqlite"
    assert main(["share", *argv, "--store", str(gone)]) == 1
    assert capsys.readouterr() == ("", f"There is no store of comparisons at {gone}.\n")
    assert not gone.parent.exists()


def test_reading_a_database_makes_no_store_in_it(place, capsys):
    assert main(["share", "list", "--store", place]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("There is no store of comparisons at ") and err.count("\n") == 1
    assert "?" not in err  # a password may stand there
    with closing(Store(place)):
        assert main(["share", "list", "--store", place]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_long_list_says_how_much_is_left(tmp_path, snapshot, capsys, monkeypatch):
    monkeypatch.setattr("optlaws_core.cli.share.MOST_LISTED", 2)
    with closing(Store(tmp_path / "s")) as store:
        for _ in range(5):
            store.save(snapshot, ME)
    assert main(["share", "list", "--store", str(tmp_path / "s")]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err == "3 more are not listed; name words with --search.\n"
