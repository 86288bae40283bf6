"""Sharing where the operator has set up a log-in, and where not."""

import pytest

from optlaws_core.saved.rights import Viewer, Visibility
from tests.pages.share.share_page import labels, rows, saved, share

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
    assert his.dataframe and "Delete it" not in labels(his)
    assert len(rows(share(Viewer("elsewhere"), BOB, AUTH))) == 1
    assert share(Viewer("elsewhere"), {}, AUTH, id=entry.id).error


def test_a_browser_without_log_in_offers_no_members(compared, store):
    opens = next(s for s in compared.selectbox if s.label == "Who may open it")
    assert opens.value is Visibility.link and Visibility.members.value not in opens.options
    opens.set_value(Visibility.private)
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    assert share(Viewer("another browser"), id=entry.id).error and share(viewer, id=entry.id).dataframe


def test_what_is_saved_from_a_private_comparison_is_offered_as_private(compared, store):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    store.set_visibility(entry.id, viewer, Visibility.private)
    compared.run()
    assert next(s for s in compared.selectbox if s.label == "Who may open it").value is Visibility.private


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
    assert len(app.error) == 1 and not app.exception and "not configured correctly" in app.error[0].value


def test_an_operator_may_ask_everybody_to_log_in(compared, store, monkeypatch):
    _, viewer = saved(compared, store)
    (entry,) = store.listed(viewer)
    monkeypatch.setenv("OPTLAWS_LOGIN", "required")
    app = share(viewer, {}, AUTH, id=entry.id)
    assert any("requires a log-in" in element.value for element in (*app.info, *app.error))
    assert not app.dataframe and share(viewer, ADA, AUTH, id=entry.id).dataframe
