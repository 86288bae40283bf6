"""What a chat is told of a link: tags in the document and a picture, of what anybody with the link may open alone."""

from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.parts.server.guard import Guard
from pages.parts.server.previews import Preview, Previews

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
KNOWN, UNKNOWN, BROKEN = "a" * 32, "b" * 32, "c" * 32
TITLE = 'Which "decay" & <why>?'


def told(id: str) -> Preview | None:
    if id == BROKEN:
        raise RuntimeError("The store is away.")
    return Preview(TITLE, "c0 ends 0.01 below c1.", lambda: b"PNG") if id == KNOWN else None


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/{page}", lambda _: FileResponse(INDEX, headers={"Cache-Control": "no-cache"}))]
    app = Starlette(routes=routes, middleware=[Middleware(Guard), Middleware(Previews, told=told)])
    return TestClient(app, base_url="https://lab.example")


def test_the_document_of_a_link_says_title_verdict_and_picture(client):
    answer = client.get(f"/share?id={KNOWN}&embed=true")
    page, plain = answer.text, INDEX.read_text("utf-8")
    assert '<meta property="og:title" content="Which &quot;decay&quot; &amp; &lt;why&gt;?" />' in page
    assert 'og:description" content="c0 ends 0.01 below c1." />' in page
    assert f'og:image" content="https://lab.example/share-preview/{KNOWN}.png" />' in page
    head, rest = page.split("<meta property=", 1)[0], page[page.index("</head>") :]
    assert head + rest == plain  # and all else is Streamlit's
    assert int(answer.headers["content-length"]) == len(answer.content) and "etag" not in answer.headers
    assert "set-cookie" in client.get(f"/share?id={KNOWN}", headers={"accept": "text/html"}).headers
    again = client.get(f"/share?id={KNOWN}", headers={"if-none-match": client.get("/share").headers["etag"]})
    assert again.status_code == 200 and "og:title" in again.text


def test_all_that_must_not_be_told_of_answers_like_an_id_that_is_none(client):
    plain = client.get("/share").content
    for id in (UNKNOWN, BROKEN, "x", "", "%00", "A" * 32):
        assert client.get(f"/share?id={id}").content == plain
    assert client.get(f"/compare?id={KNOWN}").content == plain
    pictures = [client.get(f"/share-preview/{id}.png") for id in (UNKNOWN, BROKEN)]
    assert {p.status_code for p in pictures} == {404} and len({p.content for p in pictures}) == 1


def test_a_picture_is_shown_by_other_sites(client):
    answer = client.get(f"/share-preview/{KNOWN}.png")
    assert (answer.status_code, answer.content) == (200, b"PNG") and answer.headers["content-type"] == "image/png"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "private, max-age=300"


def test_a_head_request_has_no_body(client):
    assert client.head(f"/share?id={KNOWN}").content == b""


def test_a_proxy_tells_the_scheme(client):
    client.base_url = "http://lab.example"
    page = client.get(f"/share?id={KNOWN}", headers={"x-forwarded-proto": "https"}).text
    assert 'content="https://lab.example/share-preview/' in page
