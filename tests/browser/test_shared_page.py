"""A shared page in a browser: read, in a frame of another site, as a file, and without a request to any other host."""

import re
import threading
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

from optlaws_core.saved.rights import Viewer
from optlaws_core.saved.store import Store
from tests.browser.conftest import Server, free_port, ready

TITLE = "Which decay?"


@pytest.fixture(scope="module")
def wiki(tmp_path_factory):
    """A site of its own with one page that frames what is in `frame.html`'s query; its address."""
    folder = tmp_path_factory.mktemp("wiki")
    (folder / "page.html").write_text(
        "<!doctype html><title>Wiki</title><iframe width=1100 height=1400></iframe>"
        "<script>document.querySelector('iframe').src = decodeURIComponent(location.search.slice(1))</script>"
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", free_port()), partial(Quiet, directory=folder))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served.server_address[1]
    served.shutdown()
    served.server_close()


@pytest.fixture(scope="module")
def shared(browser, wiki, snapshot, tmp_path_factory):
    """The address of the app, with a comparison in its store, and the comparison's id."""
    place = str(tmp_path_factory.mktemp("store") / "s.sqlite")
    with closing(Store(place)) as store:
        id = store.save(replace(snapshot, title=TITLE), Viewer("the author's browser"))
    server = Server("app.py", {"OPTLAWS_STORE": place, "OPTLAWS_EMBED": f"http://127.0.0.1:{wiki}"})
    yield server.start(), id
    server.stop()


def asked_of(at) -> list[str]:
    """Addresses that a page asks for from now on."""
    seen = []
    at.on("request", lambda request: seen.append(request.url))
    return seen


def test_a_reader_sees_title_verdict_evidence_and_no_page_asks_another_host(shared, page):
    url, id = shared
    at = page(f"{url}/share?id={id}")
    seen = asked_of(at)
    at.reload()
    ready(at)
    at.locator("h1", has_text=TITLE).wait_for()
    at.locator("h3", has_text="ends at").wait_for()
    at.locator("h3", has_text="Evidence").wait_for()
    assert at.title() == f"{TITLE} · Opt-Laws"
    icon = at.locator("link[rel='shortcut icon']").get_attribute("href")
    assert "/media/" in icon and "gstatic" not in icon
    at.goto(url)
    ready(at)
    assert len(seen) > 10
    assert [address for address in seen if not address.startswith((url, "data:", "blob:"))] == []
    assert [c for c in at.complaints if "Content Security Policy" in c] == []


def test_the_contents_on_top_lead_to_the_parts(shared, page):
    url, id = shared
    at = page(f"{url}/share?id={id}")
    contents = at.locator("[data-testid='stCaptionContainer']", has_text="Predicted curves")
    comments = at.locator("h3", has_text="Comments")
    comments.wait_for()
    names = contents.get_by_role("link").all_inner_texts()
    assert len(names) == 7 and names[-1] == "Comments"
    for name in names:
        anchor = contents.get_by_role("link", name=name).get_attribute("href").removeprefix("#")
        assert at.locator(f"[id='{anchor}']").count() == 1, name
    for name, heading in (("Comments", comments), ("Runs", at.locator("h4", has_text="Runs"))):
        assert not at.evaluate("e => e.getBoundingClientRect().top < innerHeight", heading.element_handle())
        contents.get_by_role("link", name=name, exact=True).click()
        at.wait_for_function(
            "e => e.getBoundingClientRect().top >= 0 && e.getBoundingClientRect().top < innerHeight",
            arg=heading.element_handle(),
        )
        assert at.locator("h1", has_text=TITLE).count() == 1 and len(at.context.pages) == 1
        contents.scroll_into_view_if_needed()


def test_a_site_that_the_operator_named_shows_it_in_a_frame(shared, wiki, page):
    url, id = shared
    framed = f"{url}/share?id={id}%26embed=true"
    at = page()
    at.goto(f"http://127.0.0.1:{wiki}/page.html?{framed}")
    inside = at.frame_locator("iframe")
    inside.locator("h1", has_text=TITLE).wait_for()
    inside.locator(".js-plotly-plot").first.wait_for()
    inside.locator("h3", has_text="Ranking").wait_for()
    assert inside.locator("h3", has_text="Evidence").count() == 0
    assert inside.get_by_role("button", name="Who may open it").count() == 0
    assert inside.get_by_role("link", name="Decide").count() == 0  # the menu


@pytest.mark.parametrize("host, query", [("localhost", "%26embed=true"), ("127.0.0.1", "")])
def test_no_other_site_and_no_other_page_is_shown_in_a_frame(shared, wiki, page, host, query):
    url, id = shared
    at = page()
    at.goto(f"http://{host}:{wiki}/page.html?{url}/share?id={id}{query}")
    for _ in range(100):
        if any("frame" in complaint.lower() for complaint in at.complaints):
            break
        at.wait_for_timeout(100)
    assert any("ancestor" in complaint for complaint in at.complaints), at.complaints
    assert at.frame_locator("iframe").locator("h1").count() == 0


def fetched(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code, fault.read()


def test_a_chat_gets_title_verdict_and_picture_of_the_link(shared):
    url, id = shared
    _, page = fetched(f"{url}/share?id={id}")
    said = re.search(r'og:description" content="([^"]+)"', page.decode()).group(1)
    assert f'og:title" content="{TITLE}"'.encode() in page and "ends at" in said
    picture = re.search(r'og:image" content="([^"]+)"', page.decode()).group(1)
    assert picture == f"{url}/share-preview/{id}.png"
    if find_spec("matplotlib"):
        assert fetched(picture)[1].startswith(b"\x89PNG")
    unknown = "0" * 32
    assert b"og:" not in fetched(f"{url}/share?id={unknown}")[1]
    assert fetched(f"{url}/share-preview/{unknown}.png")[0] == 404
