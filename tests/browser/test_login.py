"""Who may see what, in real browsers: known by a cookie, or logged in with an identity provider of the tests' own."""

from dataclasses import replace

import pytest

from benchmarks.store import example
from optlaws_core.saved.rights import Viewer, Visibility
from optlaws_core.saved.store import MISSING, Store
from pages.parts.server.login import CLOSED
from tests.browser.conftest import answered, ready, try_the_examples
from tests.browser.provider import CLIENT, SECRET, provider

TITLE = "Ada's cosine"


@pytest.fixture(scope="module")
def issuer(browser):
    """An identity provider that knows Ada and Bob."""
    with provider("Ada", "Bob") as url:
        yield url


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> str:
    """The database behind the app."""
    return str(tmp_path_factory.mktemp("store") / "saved.sqlite")


@pytest.fixture(scope="module")
def set_up(issuer, tmp_path_factory) -> tuple[str, ...]:
    """What an operator writes down for log-ins, as an option of `streamlit run`."""
    secrets = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    secrets.write_text(
        f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{"c" * 64}"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""
    )
    return (f"--secrets.files={secrets}",)


@pytest.fixture(scope="module")
def app(serve, place, set_up) -> str:
    """The app with log-ins."""
    return serve("app.py", {"OPTLAWS_STORE": place}, set_up)


@pytest.fixture
def kept(place, issuer):
    """`kept(visibility) -> id` of a comparison that Ada saved."""
    snapshot, store = replace(example(), title=TITLE, author="Ada"), Store(place)
    ada = Viewer(f"{issuer} ada", logged_in=True)
    yield lambda visibility: store.save(snapshot, ada, visibility)
    for entry in store.listed(ada):
        if entry.mine:
            store.delete(entry.id, ada)
    store.close()


def log_in(at, person: str) -> None:
    at.get_by_role("button", name="Log in").click()
    at.get_by_role("link", name=person).click()
    at.get_by_text(f"Logged in as {person}").wait_for()
    ready(at)


def go(at, url: str) -> None:
    at.goto(url)
    ready(at)


def titles(at) -> list[str]:
    """What the list holds."""
    return at.locator('[class*="st-key-open"] button').all_inner_texts()


def refused(at) -> bool:
    """Whether the page says one sentence, and nothing of the comparison."""
    ready(at)
    alert = at.locator('[data-testid="stAlert"]')
    alert.first.wait_for()
    seen = at.locator('[data-testid="stMain"]').inner_text()
    return MISSING in alert.first.inner_text() and alert.count() == 1 and TITLE not in seen and "Ranking" not in seen


def save(at, url: str, title: str) -> str:
    """Save what is on Decide, as the page proposes it; its link."""
    go(at, url)
    if at.get_by_role("button", name="Try it with real runs").count():
        try_the_examples(at)
    answered(at)
    at.get_by_text("Save and share").click()
    at.get_by_label("Title", exact=True).fill(title)
    at.get_by_role("button", name="Save and get a link").click()
    at.get_by_text("This link shows it").wait_for()
    return at.locator('[data-testid="stCode"] code').last.inner_text()


def test_a_browser_keeps_its_list_over_reloads_and_tabs_and_a_log_in(app, page):
    at = page(app)
    link = save(at, app, "Saved before")
    go(at, f"{app}/share")
    assert [t for t in titles(at) if "Saved before" in t]
    at.reload()
    ready(at)
    assert [t for t in titles(at) if "Saved before" in t]
    tab = at.context.new_page()
    go(tab, f"{app}/share")
    assert [t for t in titles(tab) if "Saved before" in t]
    other = page(f"{app}/share")
    assert titles(other) == []
    go(other, link)
    assert other.locator("h1", has_text="Saved before").count() == 1  # the link is for everybody who has it
    assert other.get_by_text("Revoke the link").count() == 0
    log_in(tab, "Ada")
    assert [t for t in titles(tab) if "Saved before" in t]
    go(tab, link)
    tab.get_by_text("Who may open it").click()
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("button", name="Delete it").click()
    tab.get_by_role("button", name="Delete it").wait_for(state="detached")
    go(at, f"{app}/share")
    assert titles(at) == []
    key = next(c for c in at.context.cookies() if c["name"] == "optlaws_browser")
    assert key["httpOnly"] and key["sameSite"] == "Lax" and key["value"] not in at.evaluate("document.cookie")


def test_what_ada_saves_is_hers_until_she_lets_others_in(app, page):
    ada, bob, stranger = (page(f"{app}/share") for _ in range(3))
    log_in(ada, "Ada")
    link = save(ada, app, TITLE)
    assert ada.get_by_text("Only you may open it.").count() == 1
    assert ada.get_by_label("Author").input_value() == "Ada"
    go(bob, link)
    assert refused(bob)
    log_in(bob, "Bob")  # and is back at the link
    assert bob.url == link and refused(bob)
    go(bob, f"{app}/share")
    assert titles(bob) == []

    go(ada, link)
    ada.get_by_text("Who may open it").click()
    ada.get_by_text(Visibility.members.value).click()
    ready(ada)
    ada.get_by_role("button", name="Change").click()
    ready(ada)
    bob.reload()
    ready(bob)
    bob.get_by_role("button", name=TITLE).click()
    bob.locator("h3", has_text="Ranking").wait_for()
    assert bob.get_by_text("Revoke the link").count() == 0
    go(stranger, link)
    assert refused(stranger)
    go(stranger, f"{app}/share")
    assert titles(stranger) == []

    ada.get_by_role("button", name="Revoke the link").click()
    ada.get_by_role("button", name="Revoke it").click()
    ada.wait_for_function("link => location.href !== link", arg=link)
    ready(ada)
    mine = ada.url
    for old in (link, mine):
        go(bob, old)
        assert refused(bob)
    go(ada, link)
    assert refused(ada)
    ada.reload()
    ready(ada)
    go(ada, f"{app}/share")
    assert [t for t in titles(ada) if TITLE in t]
    ada.get_by_role("button", name="Log out").click()
    ada.locator("h1", has_text="Opt-Laws").wait_for()
    go(ada, mine)
    assert refused(ada)
    log_in(ada, "Ada")
    assert ada.url == mine
    ada.get_by_text("Who may open it").click()
    ada.get_by_role("button", name="Delete").click()
    ada.get_by_role("button", name="Delete it").click()
    ada.get_by_role("button", name="Delete it").wait_for(state="detached")
    go(ada, mine)
    assert refused(ada)


def test_guesses_lead_nowhere(app, page, kept, place, issuer):
    private, members = kept(Visibility.private), kept(Visibility.members)
    store = Store(place)
    entry = store.entry(private, Viewer(f"{issuer} ada", logged_in=True))
    store.close()
    stranger, bob = page(f"{app}/share"), page(f"{app}/share")
    log_in(bob, "Bob")
    guesses = [
        private,
        private.upper(),
        f"{private} ",
        f"%20{private}",
        entry.digest,
        entry.digest[:32],
        "0" * 32,
        "1",
        "%25",
        "x' or '1' = '1",
        "..%2F..%2Fsaved.sqlite",
        "%00",
        TITLE,
        "private",
        "true",
    ]
    for at, ids in ((stranger, [*guesses, members]), (bob, guesses)):
        for id in ids:
            go(at, f"{app}/share?id={id}")
            assert refused(at), id
    go(bob, f"{app}/share?id={members}")
    bob.locator("h3", has_text="Ranking").wait_for()
    for path in ("", "share/", "media/", "static/", "component/", "app/static/", "_stcore/", "_stcore/upload_file/x/"):
        for name in (
            private,
            entry.digest,
            f"{entry.digest}.json",
            f"comparison-{entry.digest[:12]}.json",
            "saved.sqlite",
        ):
            for context in (stranger.context, bob.context):
                answer = context.request.get(f"{app}/{path}{name}")
                assert TITLE not in answer.text() and "annealing" not in answer.text(), f"{path}{name}"


def test_a_cookie_that_was_made_up_is_nobody(app, page, kept, issuer):
    id = kept(Visibility.private)
    at = page(f"{app}/share")
    made_up = {"_streamlit_user": f'{{"iss":"{issuer}","sub":"ada","is_logged_in":true,"origin":"{app}"}}'}
    made_up["optlaws_browser"] = Viewer(f"{issuer} ada", logged_in=True).owner
    at.context.add_cookies([{"name": name, "value": value, "url": app} for name, value in made_up.items()])
    go(at, f"{app}/share")
    assert at.get_by_role("button", name="Log in").count() == 1 and titles(at) == []
    go(at, f"{app}/share?id={id}")
    assert refused(at)


def test_a_server_for_those_who_are_logged_in_shows_nobody_else_a_page(serve, page, place, set_up, kept):
    closed = serve("app.py", {"OPTLAWS_STORE": place, "OPTLAWS_LOGIN": "required"}, set_up)
    id = kept(Visibility.link)
    at = page()
    for path in ("", "evidence", f"share?id={id}"):
        at.goto(f"{closed}/{path}")
        assert at.locator("body").inner_text() == f"Opt-Laws\n\n{CLOSED}\n\nLog in"
    at.get_by_role("link", name="Log in").click()
    at.get_by_role("link", name="Bob").click()
    at.locator("h1", has_text=TITLE).wait_for()
    assert at.url == f"{closed}/share?id={id}"
    ready(at)


def test_the_tuner_runs_under_the_policy(app, page):
    at = page(f"{app}/evidence?law=annealing")
    at.get_by_role("button", name="Fit", exact=True).click()
    at.locator('input[type="range"]').first.wait_for(timeout=120_000)
    at.locator(".uplot canvas").first.wait_for()  # drawn by the law's own formula, compiled in the browser
    assert [c for c in at.complaints if "Content Security Policy" in c] == []
