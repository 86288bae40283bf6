"""Work of visitors in the store, on SQLite and on PostgreSQL: round trip, limits, expiry, two tabs, other owners."""

import hashlib
from contextlib import closing

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.saved import shelf as shelves
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.shelf import Full, Moved, Shelf, TooMuch
from optlaws_core.saved.store import Store

ME, OTHER = Viewer("my browser").owner, Viewer("another browser").owner


def parts(*contents: bytes) -> dict:
    return {hashlib.sha256(data).hexdigest(): lambda data=data: data for data in contents}


def never() -> bytes:
    raise AssertionError("a part that is there already was made again")


@pytest.fixture
def shelf(place):
    with closing(Shelf(place)) as shelf:
        yield shelf


def rows(shelf: Shelf, table: str) -> int:
    with shelf._transaction() as db:
        return db.execute(text(f"select count(*) from {table}")).scalar_one()


def test_a_state_comes_back_as_it_was(shelf):
    kept = shelf.save(ME, b"text", parts(b"one", b"two"))
    assert [state.id for state in shelf.states(ME)] == [kept.id]
    opened = shelf.open(ME, kept.id)
    assert opened.kept == kept and opened.content == b"text"
    assert sorted(opened.parts.values()) == [b"one", b"two"]


def test_what_is_there_is_not_written_again_and_what_nobody_names_goes(shelf):
    one, two = parts(b"one"), parts(b"two")
    kept = shelf.save(ME, b"first", one | two)
    kept = shelf.save(ME, b"second", {digest: never for digest in one}, kept)
    assert kept.revision == 2 and rows(shelf, "works") == rows(shelf, "work_parts") == 1
    assert shelf.open(ME, kept.id).content == b"second"


def test_nobody_else_sees_it_even_by_its_id(shelf):
    kept = shelf.save(ME, b"text", parts(b"one"))
    assert shelf.states(OTHER) == [] and shelf.open(OTHER, kept.id) is None
    theirs = shelf.save(OTHER, b"theirs", parts(b"one"))
    assert rows(shelf, "work_parts") == 2  # a part of one owner tells the other nothing
    for attempt in (shelf.drop, shelf.touch):
        attempt(OTHER, kept.id)
    with pytest.raises(Moved):
        shelf.save(OTHER, b"mine now", {}, kept)
    shelf.forget(OTHER)
    assert shelf.open(ME, kept.id).content == b"text" and shelf.open(OTHER, theirs.id) is None
    assert shelf.open(ME, kept.id).parts


def test_the_database_holds_no_key(shelf):
    shelf.save(ME, b"text", {})
    with shelf._transaction() as db:
        assert "my browser" not in str(db.execute(text("select * from works")).all())


def test_the_later_of_two_tabs_overwrites_nothing(shelf):
    begun = shelf.save(ME, b"begun", parts(b"shared"))
    first = shelf.save(ME, b"of the first tab", parts(b"shared", b"1"), begun)
    with pytest.raises(Moved) as told:
        shelf.save(ME, b"of the second tab", parts(b"shared", b"2"), begun)
    assert not told.value.gone
    second = shelf.save(ME, b"of the second tab", parts(b"shared", b"2"))
    assert [state.id for state in shelf.states(ME)] == [second.id, first.id]
    assert {shelf.open(ME, k.id).content for k in (first, second)} == {b"of the first tab", b"of the second tab"}
    assert rows(shelf, "work_parts") == 3
    shelf.drop(ME, second.id)
    assert rows(shelf, "work_parts") == 2


def test_what_was_forgotten_does_not_come_back_by_another_tab(shelf):
    kept = shelf.save(ME, b"text", parts(b"one"))
    shelf.forget(ME)
    with pytest.raises(Moved) as told:
        shelf.save(ME, b"more", {}, kept)
    assert told.value.gone and rows(shelf, "works") == rows(shelf, "work_parts") == 0


def test_one_owner_has_so_much_room(shelf, monkeypatch):
    monkeypatch.setattr(shelves, "MOST_BYTES", 1_000)
    noise = parts(b"".join(hashlib.sha256(bytes([i])).digest() for i in range(40)))  # which cannot be made shorter
    kept = shelf.save(ME, b"small", parts(b"one"))
    with pytest.raises(TooMuch, match="are kept for one visitor"):
        shelf.save(ME, b"large", noise, kept)
    assert shelf.open(ME, kept.id).content == b"small" and rows(shelf, "work_parts") == 1


def test_all_have_so_much_room(shelf, monkeypatch):
    kept = shelf.save(ME, b"mine", parts(b"one"))
    monkeypatch.setattr(shelves, "TOTAL_BYTES", 20)
    with pytest.raises(Full, match="no room left"):
        shelf.save(OTHER, b"theirs", parts(b"two", b"three"))
    assert shelf.states(OTHER) == []
    assert shelf.save(ME, b"mine, renamed", parts(b"one"), kept).revision == 2  # what is there needs no new room


def test_an_owner_has_so_many_states(shelf):
    kept = [shelf.save(ME, f"{i}".encode(), parts(f"part {i}".encode())) for i in range(shelves.STATES + 1)]
    assert {state.id for state in shelf.states(ME)} == {state.id for state in kept[1:]}
    assert rows(shelf, "work_parts") == shelves.STATES


def test_what_nobody_touches_ends(place):
    with closing(Shelf(place, days=30)) as shelf:
        old, new = shelf.save(ME, b"old", parts(b"1")), shelf.save(OTHER, b"new", parts(b"2"))
        with shelf._transaction(writes=True) as db:
            db.execute(text("update works set touched = '2020-01-01T00:00:00+00:00' where id = :id"), {"id": old.id})
        assert shelf.states(ME) == [] and len(shelf.states(OTHER)) == 1
        shelf.sweep()
        assert shelf.open(ME, old.id) is None and rows(shelf, "work_parts") == 1
        assert shelf.open(OTHER, new.id).content == b"new"


def test_a_visit_puts_off_the_end(shelf):
    kept = shelf.save(ME, b"text", {})
    with shelf._transaction(writes=True) as db:
        db.execute(text("update works set touched = '2020-01-01T00:00:00+00:00'"))
    assert shelf.states(ME) == []
    shelf.touch(ME, kept.id)
    assert [state.id for state in shelf.states(ME)] == [kept.id]


def test_a_save_deletes_what_has_ended(place):
    with closing(Shelf(place)) as shelf:
        shelf.save(ME, b"old", parts(b"1"))
        with shelf._transaction(writes=True) as db:
            db.execute(text("update works set touched = '2020-01-01T00:00:00+00:00'"))
    with closing(Shelf(place)) as anew:  # one that has not swept within the hour
        anew.save(OTHER, b"new", {})
        assert rows(anew, "works") == 1 and rows(anew, "work_parts") == 0


@pytest.mark.parametrize(
    "damage, content, left",
    [
        ("update works set content = substr(content, 3)", None, 2),
        ("update works set digest = 'x'", None, 2),
        ("delete from work_parts where bytes = (select min(bytes) from work_parts)", b"text", 1),
        ("update work_parts set content = substr(content, 3) where bytes > 12", b"text", 1),
    ],
)
def test_damage_is_seen_and_takes_nothing_else(shelf, damage, content, left):
    kept = shelf.save(ME, b"text", parts(b"1", b"a longer part"))
    with shelf._transaction(writes=True) as db:
        db.execute(text(damage))
    opened = shelf.open(ME, kept.id)
    assert opened.content == content and len(opened.parts) == left


def test_a_save_that_fails_leaves_what_was_there(shelf):
    kept = shelf.save(ME, b"text", parts(b"one"))
    with pytest.raises(OptLawsError, match="failed"):
        shelf.save(ME, b"more", parts(b"two") | {None: lambda: b""}, kept)  # a part without a digest is refused
    assert shelf.open(ME, kept.id).content == b"text" and rows(shelf, "work_parts") == 1


def test_comparisons_of_an_older_store_stay(place, snapshot):
    with closing(Store(place)) as store:
        id = store.save(snapshot, Viewer("me"))
    with closing(Shelf(place)) as shelf:
        shelf.save(ME, b"text", parts(b"one"))
        shelf.forget(ME)
    with closing(Store(place)) as store:
        assert store.open(id, Viewer("me")).digest == snapshot.digest
