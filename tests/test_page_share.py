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
from tests.compare_page import THREE, a_fit, opened, space_with, texts

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


def share(viewer: Viewer, user: dict | None = None, auth: dict | None = None, **address: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "share.py"), default_timeout=60)
    app.session_state.browser = viewer.key
    app.user = user or {}
    app.secrets.update({"auth": auth} if auth else {})
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def labels(app: AppTest) -> list[str]:
    return [b.label for b in app.button]


def saved(app: AppTest, store: Store, **typed: str) -> tuple[Snapshot, Viewer]:
    for label, value in typed.items():
        next(x for x in (*app.text_input, *app.text_area) if x.label == label).set_value(value)
    next(b for b in app.button if b.label == "Save and get a link").click().run()
    assert not app.exception and not app.error, [e.value for e in (*app.exception, *app.error)]
    viewer = Viewer(app.session_state.browser)
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
    again.session_state.browser = "another browser"
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


ISSUER, AUTH = "https://provider.example", {"client_id": "x", "redirect_uri": "http://localhost/oauth2callback"}
ADA, BOB = ({"is_logged_in": True, "iss": ISSUER, "sub": n.lower(), "name": n} for n in ("Ada", "Bob"))
HERS = Viewer(f"{ISSUER} ada", logged_in=True)


def test_somebody_logged_in_saves_for_themselves_and_may_let_members_in(compared, store):
    compared.user = ADA
    compared.run()
    opens = next(s for s in compared.selectbox if s.label == "Who may open it")
    assert opens.value is Visibility.private and opens.options == [kind.value for kind in Visibility]
    assert next(t for t in compared.text_input if t.label == "Author").value == "Ada"
    next(b for b in compared.button if b.label == "Save and get a link").click().run()
    (entry,) = store.listed(HERS)
    assert (entry.visibility, entry.author) == (Visibility.private, "Ada")
    for user in (BOB, {}):
        assert share(Viewer("elsewhere"), user, AUTH, id=entry.id).error and not store.listed(Viewer("elsewhere"))
    mine = share(Viewer("another browser"), ADA, AUTH, id=entry.id)
    mine.radio(key=f"share_visibility {entry.id}").set_value(Visibility.members).run()
    next(b for b in mine.button if b.label == "Change").click().run()
    his = share(Viewer("elsewhere"), BOB, AUTH, id=entry.id)
    assert his.dataframe and "Delete" not in labels(his)
    assert len(share(Viewer("elsewhere"), BOB, AUTH).get("page_link")) == 1
    assert share(Viewer("elsewhere"), {}, AUTH, id=entry.id).error


def test_a_browser_without_log_in_offers_no_members(compared, store):
    opens = next(s for s in compared.selectbox if s.label == "Who may open it")
    assert opens.value is Visibility.link and Visibility.members.value not in opens.options
    opens.set_value(Visibility.private)
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    assert share(Viewer("another browser"), id=entry.id).error and share(viewer, id=entry.id).dataframe


def test_what_a_browser_saved_stays_its_own_through_a_log_in(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    logged_in = share(viewer, ADA, AUTH, id=entry.id)
    logged_in.radio(key=f"share_visibility {entry.id}").set_value(Visibility.members).run()
    next(b for b in logged_in.button if b.label == "Change").click().run()
    assert store.entry(entry.id, viewer).visibility is Visibility.members
    out = share(viewer, {}, AUTH, id=entry.id)  # still told as it is, and still the browser's
    assert out.radio(key=f"share_visibility {entry.id}").value is Visibility.members
    assert not store.entry(entry.id, HERS).mine  # nothing was handed over to the account


@pytest.mark.parametrize("claims", [{"sub": "ada"}, {"iss": ISSUER}, {"iss": "", "sub": ""}, {"is_logged_in": "yes"}])
def test_somebody_of_whom_not_all_is_known_is_not_logged_in(store, claims):
    app = share(
        Viewer("here"), {"is_logged_in": True, **claims} | ({} if "is_logged_in" not in claims else claims), AUTH
    )
    assert "Log in" in labels(app) and "Log out" not in labels(app)


def test_the_ways_to_log_in_are_the_operators(store):
    assert "Log in" not in labels(share(Viewer("here")))
    assert "Log in" in labels(share(Viewer("here"), auth=AUTH))
    both = share(Viewer("here"), auth={"cookie_secret": "x", "google": AUTH, "okta": AUTH})
    assert [label for label in labels(both) if "Log in" in label] == ["Log in with google", "Log in with okta"]
    assert "Log in" not in labels(share(Viewer("here"), ADA, AUTH)) and "Log out" in labels(
        share(Viewer("here"), ADA, AUTH)
    )
    told = share(Viewer("here"), {**ADA, "name": "**<b>x**"}, AUTH)
    assert any(r"\*\*\<b\>x" in caption.value for caption in told.caption)


def test_a_log_in_that_is_not_set_up_rightly_is_one_sentence(store):
    app = share(Viewer("here"), auth=AUTH)
    next(b for b in app.button if b.label == "Log in").click().run()
    assert len(app.error) == 1 and not app.exception and "not set up rightly" in app.error[0].value


@pytest.mark.parametrize(
    "wanted, user, auth, said",
    [("required", {}, AUTH, "for those who are logged in"), ("required", {}, None, "no [auth] section"),
     ("yes", {}, AUTH, "must be required or empty, got yes")],
)  # fmt: skip
def test_an_operator_may_ask_everybody_to_log_in(compared, store, monkeypatch, wanted, user, auth, said):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    monkeypatch.setenv("OPTLAWS_LOGIN", wanted)
    app = share(viewer, user, auth, id=entry.id)
    assert any(said in element.value for element in (*app.info, *app.error)) and not app.dataframe
    if wanted == "required":
        assert share(viewer, ADA, AUTH, id=entry.id).dataframe
