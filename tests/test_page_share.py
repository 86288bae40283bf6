"""Sharing: a comparison saved on Compare opens on Share as it was to whoever has its link, and comes back as a copy."""

import re
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, rank
from optlaws_core.snapshot import Snapshot, from_bundle, to_bundle
from optlaws_core.store import Store, Viewer, Visibility
from pages.parts import ranking, reporting, session, sharing
from pages.parts.candidates import Candidate
from tests.test_page_compare import THREE, a_fit, opened, space_with, texts

PAGES = Path(__file__).resolve().parents[1] / "pages"


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """A store of its own for each test."""
    made = Store(tmp_path / "store.sqlite")
    monkeypatch.setattr(session, "store", lambda: made)
    yield made
    made.close()


@pytest.fixture
def compared() -> AppTest:
    """Compare with its sharing section open."""
    app = opened(space_with(a_fit(), candidates=[Candidate(t, f"c{i}") for i, t in enumerate(THREE)]))
    app.session_state["share_box"] = True
    return app.run()


def share(viewer: Viewer, **address: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "share.py"), default_timeout=60)
    app.session_state.viewer = viewer
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def saved(app: AppTest, store: Store, **typed: str) -> tuple[Snapshot, Viewer]:
    for label, value in typed.items():
        next(x for x in (*app.text_input, *app.text_area) if x.label == label).set_value(value)
    next(b for b in app.button if b.label == "Save and get a link").click().run()
    assert not app.exception and not app.error, [e.value for e in (*app.exception, *app.error)]
    viewer = app.session_state.viewer
    (entry,) = store.listed(viewer)
    assert any(entry.id in code.value for code in app.code)
    return store.open(entry.id, viewer), viewer


def test_what_is_saved_is_what_is_compared(compared, store):
    space = compared.session_state.workspace
    found, _ = saved(compared, store, Title="Which decay?", Note="*not* markup", Tags="a, b,a", Author="me")
    assert (found.title, found.note, found.tags, found.author) == ("Which decay?", "*not* markup", ("a", "b"), "me")
    assert [c.schedule.text for c in found.candidates] == [c.schedule.text for c in space.candidates]
    assert [c.label for c in found.candidates] == ["c0", "c1", "c2"]
    assert found.fit == space.fit and set(found.runs[0].series) == {"train"}


def test_the_same_numbers_stand_there_for_somebody_else(compared, store):
    table = compared.dataframe[-1].value
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(Viewer("another browser"), id=entry.id)
    assert shown.dataframe[-1].value.equals(table)
    assert not any(b.label == "Delete" for b in shown.button)
    assert [s.value for s in shown.subheader][0] == sharing.literal(entry.title)


def test_a_link_that_leads_nowhere_is_one_sentence(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    store.set_visibility(entry.id, viewer, Visibility.private)
    for id in (entry.id, "x" * 22, "../../etc", "%00"):
        shown = share(Viewer("another browser"), id=id)
        assert len(shown.error) == 1 and not shown.dataframe
    assert share(viewer, id=entry.id).dataframe


def test_the_list_has_ones_own_and_is_searched(compared, store):
    _, viewer = saved(compared, store, Title="Cosine or not", Tags="nightly")
    assert not share(Viewer("another browser")).get("page_link")
    assert len(share(viewer).get("page_link")) == 1
    assert len(share(viewer, share_search="nightl").get("page_link")) == 1
    nothing = share(viewer, share_search="100%")
    assert not nothing.get("page_link") and any("Nothing that you saved matches." in t for t in texts(nothing))


def test_an_owner_revokes_and_deletes(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    shown = share(viewer, id=entry.id)
    next(b for b in shown.button if b.label == "Revoke the link").click().run()
    assert not shown.exception
    (new,) = store.listed(viewer)
    assert new.id != entry.id and new.visibility is Visibility.private
    assert shown.query_params["id"] == new.id and share(viewer, id=entry.id).error
    next(b for b in shown.button if b.label == "Delete").click().run()
    assert not shown.exception and store.listed(viewer) == []


def test_an_anonymised_one_names_nothing(compared, store):
    next(c for c in compared.checkbox if c.label == "Anonymise").set_value(True)
    found, _ = saved(compared, store, Title="Public", Author="somebody", Note="in /home/somebody")
    assert found.title == "Public" and b"somebody" not in found.to_bytes()
    assert [r.name for r in found.runs] == ["run-1"]


def test_a_copy_is_the_same_comparison_and_names_its_parent(compared, store):
    found, viewer = saved(compared, store)
    space = session.Workspace()
    space.become(sharing._workspace(found), found.digest)
    assert (space.fit, space.parent) == (found.fit, found.digest)
    again = opened(space)
    assert again.dataframe[-1].value.equals(compared.dataframe[-1].value)
    again.session_state["share_box"] = True
    again.session_state.viewer = Viewer("another browser")
    child, _ = saved(again.run(), store)
    assert child.parent == found.digest


def test_a_file_brings_it_elsewhere(compared, store):
    found, _ = saved(compared, store)
    assert from_bundle(to_bundle(found)).digest == found.digest
    app = share(Viewer("elsewhere"))
    app.file_uploader[0].upload("comparison.json", to_bundle(found), "application/json").run()
    next(b for b in app.button if b.label == "Save it here").click().run()
    assert not app.exception and not app.error
    assert store.open(app.query_params["id"], Viewer("elsewhere")).digest == found.digest
    bad = share(Viewer("elsewhere"))
    bad.file_uploader[0].upload("comparison.json", b'{"kind": 3}', "application/json").run()
    next(b for b in bad.button if b.label == "Save it here").click().run()
    assert len(bad.error) == 1 and not bad.exception


def test_a_report_is_one_file_with_the_same_numbers_and_no_markup_of_users(compared, store):
    found, _ = saved(compared, store, Title="<script>alert(1)</script>", Note="a & <b>")
    table = ranking.rows(rank(found.fit, [c.schedule for c in found.candidates]), ["c0", "c1", "c2"], None)
    page = reporting.html(found, go.Figure(go.Scatter(y=[1.0])), table, "Verdict.", "Yard.")
    library = max(re.findall(r"<script[^>]*>.*?</script>", page, re.DOTALL), key=len)
    own = page.replace(library, "")
    assert "<script>alert" not in own and "&lt;script&gt;alert(1)&lt;/script&gt;" in own and "a &amp; &lt;b&gt;" in own
    assert all(f"{loss:.5f}" in own for loss in table.final_loss)
    assert all(p.name in own for p in LAWS["opt_laws_curve"].params) and "<math" in own
    assert not re.search(r"(src|href)=.?https?:", own) and len(page.encode()) < 8e6
