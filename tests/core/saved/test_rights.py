"""Rights in the store, on SQLite and on PostgreSQL: who opens, finds and changes a saved comparison."""

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.saved.rights import STRANGER, Viewer, Visibility
from optlaws_core.saved.store import MISSING
from tests.support.stores import ALICE, BOB, ME

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
