"""Every document says where the server is, so that nothing is looked for beside a deep link."""

import re
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.parts.server.base import DRAWING, TAG, Base
from pages.parts.server.guard import Guard

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
PAGE = {"accept": "text/html,*/*"}


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/{page:path}", lambda _: FileResponse(INDEX))]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard), Middleware(Base)]))


@pytest.mark.parametrize("path", ["/", "/share?id=x", "/evidence"])
def test_a_document_loads_the_script_before_streamlit_s_own(client, path):
    answer = client.get(path, headers=PAGE)
    plain = INDEX.read_text("utf-8")
    assert answer.text.replace(TAG.decode(), "", 1) == plain
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"].split("style-src")[0]
    again = client.get(path, headers=PAGE | {"if-none-match": client.get(path).headers["etag"]})
    assert again.status_code == 200 and "base.js" in again.text


def test_a_document_asks_early_for_what_draws_charts_and_tables(client):
    links = re.findall(
        r'<link rel="modulepreload" fetchpriority="low" [^>]*href="\./(.*?)">', client.get("/", headers=PAGE).text
    )
    assert [Path(link).name.split(".")[0] for link in links] == list(DRAWING)
    assert all((INDEX.parent / link).is_file() for link in links)


def test_the_script_says_where_it_came_from_and_files_stay_as_they_are(client):
    script = client.get("/base.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "BACKEND_BASE_URL" in script.text and "currentScript.src" in script.text
    assert "base.js" not in client.get("/static/js/index.js").text  # no document was asked for
