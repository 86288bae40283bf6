"""Whatever takes something away can be undone, asks first, or opens beside it: every action listed is done here."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.readers import Source
from optlaws_core.saved import Candidate as Saved
from optlaws_core.saved import Snapshot
from pages.parts.compare import table as candidate_table
from pages.parts.share import kept
from pages.parts.state import session, undo
from pages.parts.state.candidates import Candidate
from pages.parts.state.table_file import TableFile
from pages.parts.state.undo import ACTIONS, BACK, STEPS, UNDONE, History
from pages.parts.state.workspace import Workspace
from tests.core.saved.test_packing import logs
from tests.pages.compare.compare_page import THREE, a_fit, space_with
from tests.places import ROOT

FROM_TABLE = {"final_source": "A table"}
MINE = [Candidate(text) for text in THREE]


def at_work() -> Workspace:
    """Somebody with runs of two files, a fit to one of them and candidates."""
    space = Workspace(candidates=list(MINE))
    space.upload([source for source in logs() if source.name in ("cosine.csv", "bare.csv")])
    space.runs["long"] = space_with(a_fit()).runs["long"]
    space.keep("a fit", a_fit())
    undo.look(space)
    return space


def on(page: str, space: Workspace, **address: object) -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=90)
    at.session_state.workspace = space
    at.query_params |= address
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def press(at: AppTest, label: str) -> AppTest:
    next(b for b in at.button if b.label.startswith(label)).click()
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def removed_row(space: Workspace) -> None:
    with pytest.MonkeyPatch.context() as patch:
        memory = {"menu": {"row": 0, "label": candidate_table.REMOVE}}
        patch.setattr(session, "state", lambda: memory)
        patch.setattr(session, "workspace", lambda: space)
        candidate_table._act("menu")


def copied(space: Workspace) -> None:
    other = space_with(a_fit())
    found = Snapshot("t", tuple(other.runs.values()), dict(other.fits), "fit 0", (Saved(MINE[1].schedule),))
    space.become(kept.workspace(found), found.digest)


def test_a_copy_with_the_same_losses_takes_nothing_away():
    space = space_with(a_fit())
    undo.look(space)
    found = Snapshot.from_bytes(Snapshot("t", tuple(space.runs.values()), dict(space.fits), "fit 0").to_bytes())
    assert all(found.runs[i].series is not run.series for i, run in enumerate(space.runs.values()))
    space.become(kept.workspace(found), found.digest)
    undo.look(space)
    assert space.aside == []
    space.runs.clear()
    undo.look(space)
    assert len(space.aside) == 1


def uploaded_over_examples(space: Workspace) -> None:
    space.load_example()
    space.keep("of the examples", a_fit())
    undo.look(space)
    space.aside.clear()
    space.upload([Source("cosine.csv", logs()[0].data)])


def read_again(space: Workspace) -> None:
    layout = space.reports["cosine.csv"].layout
    space.correct({"cosine.csv": replace(layout, losses=layout.losses[:1])})


def runs_removed(space: Workspace) -> None:
    at = on("runs", space, run="cosine")
    press(at, "Remove 1 run")


DONE = {
    ("Decide", "Start over"): lambda space: press(on("decide", space), "Start over"),
    ("Decide", "Remove"): removed_row,
    ("Decide", "an address with candidates"): lambda space: on("decide", space, s=[THREE[2]]),
    ("Pre-select", "Compare curves"): lambda space: press(on("preselect", space), "Compare"),
    ("Runs", "Remove runs"): runs_removed,
    ("Runs", "Clear"): lambda space: press(on("runs", space), "Clear"),
    ("Runs", "Load the example runs"): lambda space: press(on("runs", space), "Replace"),
    ("Runs", "an upload in place of the example runs"): uploaded_over_examples,
    ("Runs", "Read again"): read_again,
    ("Sweep", "Work with runs"): lambda space: press(on("sweep", space, sweep_groups="seeds"), "Work with"),
    ("Share", "Open a copy"): copied,
    ("Evidence", "Delete a fit"): lambda space: press(on("evidence", space), "Delete"),
}


def held(space: Workspace) -> tuple:
    return [id(run.series) for run in space.runs.values()], list(space.fits), list(space.candidates)


def test_every_action_that_can_be_undone_is_done_here():
    assert DONE.keys() == {action for action, how in ACTIONS.items() if how == UNDONE}


@pytest.mark.parametrize("action", DONE, ids=" ".join)
def test_what_it_took_away_comes_back(action):
    space = at_work()
    before = held(space)
    if action == ("Runs", "an upload in place of the example runs"):
        DONE[action](space)
        undo.look(space)
        undo.bring_back(space)
        assert space.example and "of the examples" in space.fits
        return
    DONE[action](space)
    undo.look(space)
    assert held(space) != before
    if held(space)[:2] != before[:2]:
        undo.bring_back(space)
    else:
        space.candidates = space.history.undo()
    assert held(space) == before


@pytest.mark.parametrize(("page", "name", "address"), [("plan", "sweep", {}), ("preselect", "table", FROM_TABLE)])
def test_a_table_that_another_took_the_place_of_comes_back(page, name, address):
    assert ACTIONS[page.capitalize().replace("select", "-select"), "a table in place of another"] == BACK
    space = at_work()
    setattr(space, name, TableFile("first.csv", b"params,tokens,loss\n1e6,1e9,3\n"))
    at = on(page, space, **address)
    assert not [b for b in at.button if b.label.startswith("Back to")]
    at.get("file_uploader")[0].upload("second.csv", b"params,tokens,loss\n1e6,1e9,2\n", "text/csv").run()
    assert getattr(space, name).name == "second.csv"
    press(at, "Back to first.csv")
    assert getattr(space, name).name == "first.csv" and getattr(space, name).before.name == "second.csv"
    at.run()
    assert getattr(space, name).name == "first.csv"  # what the widget held is not read again
    press(at, "Back to second.csv")
    assert getattr(space, name).content.endswith(b",2\n")


def test_undo_and_redo_on_the_page():
    space = at_work()
    at = press(on("decide", space), "Start over")
    assert len(space.candidates) == 6
    press(at, "Undo")
    assert space.candidates == MINE
    press(at, "Redo")
    assert len(space.candidates) == 6
    press(at, "Undo")
    space.candidates = MINE[:1]
    at.run()
    assert not space.history.future  # another change, after which there is nothing to redo


def test_the_sentence_above_a_page_brings_back_what_went():
    space = at_work()
    at = press(on("runs", space), "Clear")
    assert any("3 runs and 1 fit are no longer loaded." in t.value for t in at.text)
    press(at, "Undo")
    assert set(space.runs) == {"cosine", "bare", "long"} and list(space.fits) == ["a fit"]


def test_bringing_back_takes_nothing_away_either():
    space = at_work()
    space.clear()
    space.upload([Source("later.csv", logs()[0].data.replace(b"0,3.0,", b"0,3.5,", 1))])  # other losses
    undo.bring_back(space)
    assert "later" not in space.runs and len(space.runs) == 3
    undo.bring_back(space)
    assert list(space.runs) == ["later"]


def test_what_was_typed_and_saved_since_runs_were_removed_stays_when_they_come_back():
    space = at_work()
    space.draft = {"Title": "before"}
    undo.look(space)
    del space.runs["bare"]
    undo.look(space)
    space.draft = since = {"Title": "since", "saved as": "an id"}
    undo.bring_back(space)
    assert "bare" in space.runs and space.draft == since


@pytest.mark.parametrize("before", [{"Title": "before"}, {}], ids=["words", "none"])
def test_what_was_typed_comes_back_with_the_work_that_it_went_with(before):
    space = at_work()
    space.draft = before
    undo.look(space)
    copied(space)
    undo.look(space)
    space.draft = of_copy = {"Title": "of the copy"}
    undo.bring_back(space)
    assert space.draft == before
    undo.bring_back(space)
    assert space.draft == of_copy


def test_renaming_and_declaring_are_no_loss():
    space = at_work()
    space.rename("bare", "another")
    undo.look(space)
    space.rename_fit("a fit", "another fit")
    undo.look(space)
    space.change({"another": space.runs["another"].declared(space.runs["long"].plan)})
    undo.look(space)
    assert not space.aside


def test_the_projects_own_runs_are_no_loss():
    space = Workspace()
    space.load_example()
    undo.look(space)
    space.clear()
    undo.look(space)
    assert not space.aside


def test_the_history_is_bounded_and_an_empty_list_is_no_step():
    history = History()
    for i in range(3 * STEPS):
        history.follow([Candidate(str(i))])
    assert len(history.past) == STEPS and history.undo() == [Candidate(str(3 * STEPS - 2))]
    fresh = History()
    fresh.follow([])
    fresh.follow([Candidate("a")])
    assert fresh.undo() == [Candidate("a")] and fresh.redo() == [Candidate("a")]
