"""Work is kept for its browser alone, restored in a new tab, never overwritten by another tab, and can be forgotten."""

import random
from contextlib import closing

import pytest
from sqlalchemy import text

from optlaws_core import OptLawsError
from optlaws_core.readers import Source
from optlaws_core.saved import packing
from optlaws_core.saved import shelf as shelves
from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.shelf import Shelf
from pages.parts.state import keeping, settings
from pages.parts.state.candidates import Candidate
from pages.parts.state.table_file import TableFile
from pages.parts.state.undo import ACTIONS, ASKS
from pages.parts.state.workspace import Workspace
from tests.core.saved.test_packing import logs, same
from tests.pages.compare.compare_page import THREE, a_fit, a_run
from tests.pages.state.kept_pages import BROWSER, OTHER, drawn, press, said, tab
from tests.places import ROOT

ME = Viewer(BROWSER).owner


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """A store of its own for each test, and nothing that an earlier failure left behind."""
    monkeypatch.setattr(keeping, "_failed", 0.0)
    with closing(Shelf(tmp_path / "kept.sqlite")) as made:
        monkeypatch.setattr(settings, "shelf", lambda days: made)
        yield made


def space(at) -> Workspace:
    return at.session_state.workspace


def worked(at):
    """The tab after its visitor uploaded logs, renamed a run, declared another, fitted and compared."""
    mine = space(at)
    mine.upload(logs())
    mine.rename("cosine", "renamed")
    mine.runs["long"] = a_run()
    mine.keep("a fit", a_fit())
    mine.candidates = [Candidate(THREE[0], "mine", color=4), Candidate("no schedule", on=False)]
    mine.sweep = TableFile("s.csv", b"peak,loss\n", True, {"peak": "p"}, "1k")
    mine.choice.train = ("long",)
    mine.trainer = "megatron"
    return drawn(at)


def test_a_new_tab_has_all_of_it():
    one = space(worked(tab("schedules")))
    two = space(tab("schedules"))
    assert two is not one and not two.example
    for name in ("runs", "reports", "layouts", "fits", "bases", "candidates", "choice", "sweep", "current", "trainer"):
        assert same(getattr(two, name), getattr(one, name)), name
    assert [row.color for row in two.candidates] == [4, None]
    assert {n: s.read() for n, s in two.sources.items()} == {n: s.read() for n, s in one.sources.items()}


def test_what_a_page_that_ends_early_had_is_kept(shelf):
    at = tab("decide")
    space(at).upload(logs())
    drawn(at)
    assert space(at).job is not None or not space(at).fits  # it waits for its first fit, and stops there
    space(at).stop()
    assert list(space(tab("schedules")).runs) == list(space(at).runs) and not space(tab("schedules")).example


def test_another_browser_and_one_without_cookies_see_nothing_and_keep_nothing(shelf):
    worked(tab("schedules"))
    for browser in (OTHER, None):
        at = tab("schedules", browser)
        assert space(at).example and not space(at).candidates
    at = tab("schedules", None)
    space(at).candidates = [Candidate(THREE[0])]
    drawn(at, None)
    with shelf._transaction() as db:
        assert [row.owner for row in db.execute(text("select owner from works"))] == [ME]


def test_a_visitor_who_did_nothing_keeps_nothing(shelf):
    drawn(tab("schedules"))
    assert shelf.states(ME) == []


def test_what_did_not_change_is_not_saved_again(shelf, monkeypatch):
    at = worked(tab("schedules"))
    (kept,) = shelf.states(ME)
    monkeypatch.setattr(shelf, "save", None)
    monkeypatch.setattr(packing, "packed", None)
    drawn(drawn(at))
    assert shelf.states(ME) == [kept]


def test_an_operator_can_switch_it_off(shelf, monkeypatch):
    worked(tab("schedules"))
    monkeypatch.setenv(settings.KEEP, "off")
    at = tab("schedules")
    assert space(at).example
    worked(at)
    assert len(shelf.states(ME)) == 1
    assert "its operator switched that off" in said(tab("share"))


@pytest.mark.parametrize("word, days", [("", 30), ("7", 7), ("0", None), ("OFF", None), ("-1", None), ("a week", None)])
def test_days_are_the_operators(monkeypatch, word, days):
    monkeypatch.setenv(settings.KEEP, word)
    assert settings.days_kept() == days


def test_two_tabs_keep_both(shelf):
    one = worked(tab("schedules"))
    two = tab("schedules")
    space(two).candidates = [Candidate(THREE[1])]
    drawn(two)
    drawn(one)  # unchanged, so it is offered what is newer and writes nothing
    assert "Another tab of this browser went on with this work." in said(one) and len(shelf.states(ME)) == 1
    space(one).candidates = [Candidate(THREE[2])]
    drawn(one)
    assert "Both are kept" in said(one) and len(shelf.states(ME)) == 2
    texts = [[c.text for c in space(tab("schedules")).candidates]]
    at = tab("share")
    other = shelf.states(ME)[1]
    press(at, f"kept_open {other.id}")
    assert [*texts, [c.text for c in space(at).candidates]] == [[THREE[2]], [THREE[1]]]


def test_a_tab_takes_over_what_another_one_saved(shelf):
    one = worked(tab("schedules"))
    two = tab("schedules")
    space(two).candidates = [Candidate(THREE[1])]
    drawn(two)
    press(drawn(one), "kept_take_newer")
    assert [c.text for c in space(one).candidates] == [THREE[1]] and "Another tab" not in said(one)
    space(one).candidates = []
    drawn(one)
    assert len(shelf.states(ME)) == 1


def test_everything_is_forgotten_and_another_tab_does_not_bring_it_back(shelf):
    one = worked(tab("schedules"))
    at = tab("share")
    press(at, "kept_forget_all")
    assert shelf.states(ME) == [] and space(at).example and "Nothing is kept yet." in said(at)
    space(one).candidates = []
    drawn(one)
    drawn(one)
    assert shelf.states(ME) == [] and "was deleted in another tab" in said(one)
    press(one, "kept_again")
    assert len(shelf.states(ME)) == 1 and not space(tab("schedules")).example


def test_what_is_deleted_for_good_asks_first(shelf):
    worked(tab("schedules"))
    shelf.save(ME, b"another state", {})
    at = tab("share")
    gone = [key for key in (b.key for b in at.button) if str(key).startswith(("kept_drop", "kept_forget"))]
    assert len({key.split()[0] for key in gone}) == sum(how == ASKS for how in ACTIONS.values()) == 2
    assert set(gone) == {b.key for b in at.button} & set(asked(at._tree, False))


def asked(node, within: bool):
    """Keys of the buttons that stand in something that pops up."""
    within = within or "popover" in str(getattr(node, "proto", ""))
    for child in getattr(node, "children", {}).values():
        yield from asked(child, within)
    if within and hasattr(node, "key") and not hasattr(node, "children"):
        yield node.key


def test_a_damaged_state_costs_a_sentence_and_stays_beside_what_comes_after(shelf):
    worked(tab("schedules"))
    with shelf._transaction(writes=True) as db:
        db.execute(text("update works set content = substr(content, 5)"))
    at = tab("schedules")
    assert "it was damaged in the store" in said(at) and space(at).example
    worked(at)
    assert len(shelf.states(ME)) == 2 and not space(tab("schedules")).example


def test_a_damaged_run_costs_that_run_alone(shelf):
    whole = space(worked(tab("schedules")))
    with shelf._transaction(writes=True) as db:
        db.execute(text("delete from work_parts where bytes = (select max(bytes) from work_parts)"))
    at = tab("schedules")
    found = space(at)
    assert "it was damaged in the store" in said(at)
    assert len(found.runs) + len(found.sources) + len(found.fits) < len(whole.runs) + len(whole.sources) + len(
        whole.fits
    )
    assert same(found.candidates, whole.candidates)
    space(at).candidates = []
    drawn(at)
    assert len(shelf.states(ME)) == 2


def test_a_store_that_fails_stops_nothing(monkeypatch):
    def failing(days):
        raise OptLawsError("The store is away.")

    monkeypatch.setattr(settings, "shelf", failing)
    at = tab("schedules")
    assert space(at).example
    worked(at)
    assert "Your work is not kept for now" in said(at) and len(space(at).candidates) == 2


def test_too_much_is_said_and_stays_in_the_tab(monkeypatch):
    monkeypatch.setattr(packing, "MOST_LOSSES", 10)
    at = worked(tab("schedules"))
    assert "at most 10 losses in total are kept" in said(at) and len(space(at).runs) > 2
    monkeypatch.undo()


def test_uploads_give_way_where_there_is_no_room_for_all(shelf, monkeypatch):
    at = worked(tab("schedules"))
    space(at).sources["noise.csv"] = Source("noise.csv", random.Random(0).randbytes(20_000))
    monkeypatch.setattr("optlaws_core.saved.shelf.MOST_BYTES", 20_000)
    drawn(at)
    found = space(tab("schedules"))
    assert found.runs.keys() == space(at).runs.keys() and not found.sources


def test_an_address_counts_on_top_of_what_was_kept():
    at = worked(tab("schedules"))
    link = [THREE[1].replace(", ", ",")]
    found = space(tab("decide", s=link))
    assert [c.text for c in found.candidates] == [THREE[1]] and found.runs.keys() == space(at).runs.keys()
    assert found.history.past[-1] == tuple(space(at).candidates)  # which can be had back


def test_the_address_of_a_long_list_does_not_cut_it():
    at = worked(tab("schedules"))
    many = [Candidate(f"constant(peak=1e-3, warmup=0, total={t})", "x" * 40) for t in range(1000, 1020)]
    space(at).candidates = [*many, *(Candidate("y" * 5000) for _ in range(3))]
    drawn(at)
    from pages.parts.state.candidates import to_link

    link = to_link(space(at).candidates)
    assert len(link) < 23
    assert len(space(tab("decide", s=link)).candidates) == 23


def test_the_limits_stand_in_the_documentation():
    told = (ROOT / "docs" / "deployment.md").read_text()
    assert f"| {shelves.MOST_BYTES // 2**20} MB as stored, {packing.MOST_LOSSES:,} losses" in told.replace(
        "visitor ", ""
    )
    assert f"{packing.MOST_SOURCES // 2**20} MB of uploaded files" in told
    assert f"| all visitors | {shelves.TOTAL_BYTES // 2**30} GB |" in told
    assert f"| states of one visitor | {shelves.STATES}:" in told and f"| time | {shelves.DAYS} days" in told
