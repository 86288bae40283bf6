"""Versions under one link, edits of title and note, comments: on SQLite and on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.saved import comments as remarks
from optlaws_core.saved import versions
from optlaws_core.saved.comments import comment, comments, delete_comment
from optlaws_core.saved.rights import OPERATOR, STRANGER, Viewer, Visibility
from optlaws_core.saved.store import MISSING
from optlaws_core.saved.versions import edit, history, open_version, publish
from tests.support.stores import ME, OTHER


def test_a_link_shows_the_newest_version_and_older_ones_stay_by_their_content(store, snapshot):
    id = store.save(snapshot, ME)
    later = [replace(snapshot, title=f"Version {i}", tags=("new",)) for i in (2, 3)]
    for version in later:
        publish(store, id, ME, version)
    assert store.open(id, STRANGER).digest == later[1].digest
    found = history(store, id, OTHER)
    digests = [snapshot.digest, *(v.digest for v in later)]
    assert [(v.place, v.digest, v.title) for v in found.versions] == list(
        zip((1, 2, 3), digests, (snapshot.title, "Version 2", "Version 3"), strict=True)
    )
    assert [open_version(store, id, STRANGER, d).digest for d in digests] == digests
    for wrong in ("0" * 64, "", "\0", "é"):
        with pytest.raises(OptLawsError, match="There is no such comparison"):
            open_version(store, id, ME, wrong)
    (entry,) = store.listed(ME, "new")  # one entry for all, that of the newest
    assert (entry.id, entry.title, entry.digest) == (id, "Version 3", later[1].digest)
    assert store.find(snapshot.digest, ME).id == id  # a copy of an older version knows where it began


def test_versions_go_where_their_link_goes(store, snapshot):
    id = store.save(snapshot, ME)
    publish(store, id, ME, replace(snapshot, title="Second"))
    comment(store, id, OTHER, "Seen.")
    store.set_visibility(id, ME, Visibility.private)
    for ask in (
        lambda id: open_version(store, id, OTHER, snapshot.digest),
        lambda id: history(store, id, OTHER),
        lambda id: comments(store, id, OTHER),
        lambda id: comment(store, id, OTHER, "x"),
    ):
        with pytest.raises(OptLawsError) as told:
            ask(id)
        assert str(told.value) == MISSING
    new = store.revoke(id, ME)
    assert len(history(store, new, ME).versions) == 2 and len(comments(store, new, ME)) == 1
    store.delete(new, ME)
    with store._transaction() as db:
        for table in ("snapshots", "bodies", "earlier", "edits", "comments"):
            assert db.execute(text(f"select count(*) from {table}")).scalar() == 0


def test_only_the_owner_publishes_and_edits(store, snapshot, monkeypatch):
    id = store.save(snapshot, ME)
    for act in (
        lambda: publish(store, id, OTHER, replace(snapshot, title="Mine now")),
        lambda: edit(store, id, OTHER, "Mine now", ""),
    ):
        with pytest.raises(OptLawsError, match="Only whoever saved"):
            act()
    with pytest.raises(OptLawsError, match="the newest version already"):
        publish(store, id, ME, snapshot)
    with pytest.raises(OptLawsError):
        publish(store, id, ME, replace(snapshot, current="no fit"))
    monkeypatch.setattr(versions, "MOST", 2)
    publish(store, id, ME, replace(snapshot, title="Second"))
    with pytest.raises(OptLawsError, match="at most 2 versions"):
        publish(store, id, ME, replace(snapshot, title="Third"))
    assert store.open(id, ME).title == "Second"


def test_title_and_note_are_edited_and_the_content_stays(store, snapshot):
    id = store.save(snapshot, ME)
    assert history(store, id, ME).edited is None
    edit(store, id, ME, "Another title", "Another note\nof two lines")
    edit(store, id, ME, "A third title", "")
    entry = store.entry(id, OTHER)
    assert (entry.title, entry.note, entry.digest) == ("A third title", "", snapshot.digest)
    assert store.open(id, ME).digest == snapshot.digest and history(store, id, ME).edited
    assert store.count(ME, "third title wsd") == 1 and store.count(ME, "größer") == 0
    for title, note in (("", "x"), ("x" * 201, ""), ("x", "\0"), ("a\nb", "")):
        with pytest.raises(OptLawsError):
            edit(store, id, ME, title, note)
    publish(store, id, ME, replace(snapshot, title="New"))
    assert history(store, id, ME).edited is None and store.entry(id, ME).title == "New"


def test_comments_are_plain_and_deleted_by_their_writer_or_the_owner(store, snapshot):
    id = store.save(snapshot, ME)
    comment(store, id, OTHER, " Which seed?\r\nAnd which batch? ", "Bob")
    comment(store, id, Viewer("third"), "<b>hm</b>")
    found = comments(store, id, OTHER)
    assert [(c.author, c.said, c.mine) for c in found] == [
        ("Bob", "Which seed?\nAnd which batch?", True),
        ("", "<b>hm</b>", False),
    ]
    assert all(c.mine for c in comments(store, id, ME))
    with pytest.raises(OptLawsError, match="Only who wrote"):
        delete_comment(store, id, OTHER, found[1].number)
    delete_comment(store, id, OTHER, found[0].number)
    delete_comment(store, id, ME, found[1].number)
    delete_comment(store, id, ME, found[1].number)  # gone already
    assert comments(store, id, ME) == []


@pytest.mark.parametrize(
    "said, why", [("", "needs a text"), (" \n", "needs a text"), ("x" * 2001, "2,000 characters"), ("a\0", "U\\+0000")]
)
def test_a_comment_that_is_none_is_refused(store, snapshot, said, why):
    id = store.save(snapshot, ME)
    with pytest.raises(OptLawsError, match=why):
        comment(store, id, OTHER, said)
    comment(store, id, OTHER, "x" * 2000)
    assert len(comments(store, id, ME)) == 1


def test_a_list_says_how_many_comments_there_are_and_when_the_latest_came(store, snapshot):
    silent, id = store.save(snapshot, ME), store.save(snapshot, ME)
    assert [(e.comments, e.commented) for e in store.listed(ME)] == [(0, None)] * 2
    comment(store, id, OTHER, "Which seed?")
    comment(store, id, ME, "The first.")
    (entry, other) = store.listed(ME)
    assert (entry.id, entry.comments, entry.commented) == (id, 2, comments(store, id, ME)[-1].written)
    assert (other.id, other.comments, store.entry(id, OTHER).comments) == (silent, 0, 2)
    store.delete(id, ME)
    assert [e.comments for e in store.listed(ME)] == [0]
    with pytest.raises(OptLawsError, match="it was deleted"):
        store.open(id, ME)


def test_the_same_comment_is_not_posted_twice_in_a_row(store, snapshot):
    one, two = store.save(snapshot, ME), store.save(snapshot, ME)
    comment(store, one, OTHER, "Which seed?", "Bob")
    with pytest.raises(OptLawsError, match="there already"):
        comment(store, one, OTHER, " Which seed? ", "Bob")
    comment(store, two, OTHER, "Which seed?", "Bob")  # another comparison
    comment(store, one, ME, "Which seed?", "Bob")  # another writer
    comment(store, one, OTHER, "Which seed?", "Bob")  # no longer the last one
    assert len(comments(store, one, ME)) == 3 and len(comments(store, two, ME)) == 1


def test_comments_are_bounded_in_number_and_pace(store, snapshot, monkeypatch):
    one, two = store.save(snapshot, ME), store.save(snapshot, ME)
    for i in range(remarks.AT_ONCE):
        comment(store, (one, two)[i % 2], OTHER, f"x{i}")
    with pytest.raises(OptLawsError, match="Too many comments within a minute"):
        comment(store, one, OTHER, "x")
    comment(store, one, ME, "x")  # others may go on
    monkeypatch.setattr(remarks, "AT_ONCE_ALL", len(comments(store, one, ME)))
    with pytest.raises(OptLawsError, match="Too many comments within a minute"):
        comment(store, one, Viewer("third"), "x")
    monkeypatch.setattr(remarks, "PACE", timedelta(0))
    comment(store, one, OTHER, "x")
    monkeypatch.setattr(remarks, "MOST", len(comments(store, one, ME)))
    with pytest.raises(OptLawsError, match="holds . comments"):
        comment(store, one, OTHER, "y")
    assert store.count(OPERATOR) == 2
