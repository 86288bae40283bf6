"""A fault at every statement of everything that the store does: what was saved before is whole, and the sentence clear.

In the manner of SQLite's own tests: the first statement fails, then the second, and so on until the whole succeeds.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from optlaws_core import OptLawsError
from optlaws_core.saved import Snapshot, comments, versions
from optlaws_core.saved.database import Database
from optlaws_core.saved.rights import OPERATOR, Visibility
from optlaws_core.saved.shelf import Shelf
from optlaws_core.saved.store import Store
from tests.places import ROOT
from tests.support.stores import ME

Action = Callable[[Store, str], object]  # from the store and the id of a comparison in it
OWNER, PART = "an owner", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of b"hello"


def actions(snapshot: Snapshot) -> dict[str, Action]:
    """Everything that changes a store."""
    other = replace(snapshot, note="another")
    return {
        "save": lambda store, id: store.save(other, ME),
        "publish": lambda store, id: versions.publish(store, id, ME, other),
        "edit": lambda store, id: versions.edit(store, id, ME, "another title", "another note"),
        "comment": lambda store, id: comments.comment(store, id, ME, "said"),
        "delete a comment": lambda store, id: comments.delete_comment(store, id, ME, 1),
        "visibility": lambda store, id: store.set_visibility(id, ME, Visibility.private),
        "revoke": lambda store, id: store.revoke(id, ME),
        "delete": lambda store, id: store.delete(id, ME),
    }


NAMES = ("save", "publish", "edit", "comment", "delete a comment", "visibility", "revoke", "delete")


def begun(place: str, snapshot: Snapshot) -> str:
    """A store with a comparison of two versions, which has a comment; the comparison's id."""
    with closing(Store(place)) as store:
        id = store.save(snapshot, ME)
        versions.publish(store, id, ME, replace(snapshot, note="second"))
        comments.comment(store, id, ME, "first")
        return id


def held(store: Store) -> list:
    """All that a reader may see of a store but its links, every snapshot opened."""
    return [
        (
            entry.title,
            entry.note,
            entry.visibility,
            store.open(entry.id, OPERATOR).digest,
            [(c.number, c.said) for c in comments.comments(store, entry.id, OPERATOR)],
            [v.digest for v in versions.history(store, entry.id, OPERATOR).versions],
        )
        for entry in store.listed(OPERATOR)
    ]


def at_statement(database: Database, number: int, fault: Callable[[], None]) -> list[int]:
    """Have the `number`-th statement of a database fail, the end of a transaction being one; how many there were."""
    seen = [0]

    def count(*_) -> None:
        seen[0] += 1
        if seen[0] == number:
            fault()

    for name in ("before_cursor_execute", "commit"):
        event.listen(database._engine, name, count)
    return seen


def full() -> None:
    raise OperationalError("", None, Exception("database or disk is full"))


def test_every_action_is_tried(snapshot):
    assert tuple(actions(snapshot)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_that_fails_leaves_all_as_it_was(place, snapshot, name):
    id = begun(place, snapshot)
    with closing(Store(place)) as whole:
        before = held(whole)
        for number in itertools.count(1):
            with closing(Store(place)) as store:
                seen = at_statement(store, number, full)
                try:
                    actions(snapshot)[name](store, id)
                except OptLawsError as fault:
                    assert str(fault) == f"The store {store.name} failed: database or disk is full."
                else:
                    break
            assert held(whole) == before
        assert number > 2 and seen[0] == number - 1 and held(whole) != before


def test_work_between_visits_is_kept_whole_or_as_it_was(place):
    with closing(Shelf(place)) as whole:
        first = whole.save(OWNER, b"state", {PART: lambda: b"hello"})
        for number in itertools.count(1):
            with closing(Shelf(place)) as shelf:
                at_statement(shelf, number, full)
                with suppress(OptLawsError):
                    shelf.save(OWNER, b"another", {PART: lambda: b"hello"}, first)
                    break
            opened = whole.open(OWNER, first.id)
            assert (opened.kept, opened.content, opened.parts) == (first, b"state", {PART: b"hello"})
        assert number > 2 and whole.open(OWNER, first.id).content == b"another"


def killed(folder: str) -> dict[str, list[int]]:
    """By action: statements before which a process was ended, those after which all was as before, and as afterwards.

    In a process without threads, since it forks.
    """
    import shutil

    from benchmarks.store import example, forked

    snapshot, found = example(), {}
    template = Path(folder) / "template.sqlite"
    id = begun(str(template), snapshot)
    for name, act in actions(snapshot).items():
        with closing(Store(shutil.copy(template, Path(folder) / f"{name}.sqlite"))) as store:
            before = held(store)
            act(store, id)
            after = held(store)
        found[name] = [0, 0, 0]
        for number in itertools.count(1):
            place = shutil.copy(template, Path(folder) / f"{name} {number}.sqlite")

            def work() -> None:
                store = Store(place)  # noqa: B023 a fork has its own
                at_statement(store, number, lambda: os._exit(9))  # noqa: B023
                act(store, id)  # noqa: B023

            _, status = os.waitpid(forked(work), 0)
            with closing(Store(place)) as store:
                now = held(store)
            found[name] = [n + i for n, i in zip(found[name], (1, now == before, now == after), strict=True)]
            if os.waitstatus_to_exitcode(status) == 0:
                break
            assert os.waitstatus_to_exitcode(status) == 9, name
    return found


@pytest.mark.slow
def test_a_process_that_ends_at_any_statement_loses_nothing(tmp_path):
    code = "import json, sys; from tests.core.saved.test_faults import killed; print(json.dumps(killed(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == set(NAMES)
    for name, (ended, before, after) in found.items():
        assert ended > 2 and before == ended - 1 and after == 1, name  # the last try was not ended
