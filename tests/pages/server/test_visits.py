"""A visit belongs to the browser that began it."""

import re
import tomllib
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from streamlit.runtime import Runtime
from streamlit.web.server.starlette.starlette_websocket import gather_user_info

from pages.parts.server.guard import COOKIE, new_key
from pages.parts.server.visits import HEADER, Visits
from tests.places import ROOT

ADA, BOB = new_key(), new_key()
UPLOAD = "/_stcore/upload_file/visit/file"


async def stream(websocket) -> None:
    """Who Streamlit takes the browser for."""
    await websocket.accept()
    await websocket.send_json(websocket.headers.getlist(HEADER))
    await websocket.close()


@pytest.fixture(autouse=True)
def visiting(monkeypatch):
    """Ada's visit is going on, nobody else's."""
    client = SimpleNamespace(client_context=SimpleNamespace(cookies={COOKIE: ADA}))
    going_on = SimpleNamespace(get_client=lambda visit: client if visit == "visit" else None)
    monkeypatch.setattr(Runtime, "instance", lambda: going_on)


def client(key: str | None, **headers: str) -> TestClient:
    methods = ["GET", "PUT", "DELETE", "OPTIONS"]
    routes = [
        WebSocketRoute("/_stcore/stream", stream),
        Route("/_stcore/agent/interact", lambda asked: JSONResponse(asked.headers.getlist(HEADER)), methods=["POST"]),
        Route("/{path:path}", lambda _: PlainTextResponse("in"), methods=methods),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Visits)])
    return TestClient(app, headers=headers, cookies={COOKIE: key} if key else None)


def names(key: str | None, **headers: str) -> list[str]:
    with client(key, **headers).websocket_connect("/_stcore/stream") as stream:
        return stream.receive_json()


def test_a_program_cannot_say_that_it_is_a_browser():
    (ada,) = names(ADA)
    for key, headers in ((None, {HEADER: ada}), (ADA, {HEADER.lower(): ada}), (ADA, {})):
        assert client(key, **headers).post("/_stcore/agent/interact").json() == []


def test_streamlit_is_told_which_browser_it_is_whatever_the_browser_says():
    (ada,) = names(ADA)
    assert re.fullmatch("[0-9a-f]{64}", ada) and ADA not in ada
    assert names(ADA) == [ada] and names(BOB) != [ada]
    assert names(BOB, **{HEADER: ada}) == names(BOB) and names(BOB, **{HEADER.lower(): ada}) == names(BOB)


def test_a_browser_without_a_cookie_is_never_the_same():
    (one,), (other,) = names(None), names(None)
    assert one != other
    assert names("guessed") != names("guessed")


def test_the_app_tells_streamlit_to_ask_for_the_browser(monkeypatch):
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["trustedUserHeaders"] == f'{{"{HEADER}": "browser"}}'
    monkeypatch.setattr("streamlit.config.get_option", lambda _: {HEADER: "browser"})
    assert gather_user_info(SimpleNamespace(getlist=lambda _: ["a"])) == {"browser": "a"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_files_are_taken_of_the_browser_whose_visit_it_is(method):
    assert client(ADA).request(method, UPLOAD).text == "in"
    for key, address in ((BOB, UPLOAD), (None, UPLOAD), (ADA, UPLOAD.replace("visit", "other"))):
        answer = client(key).request(method, address)
        assert answer.status_code == 400
        assert answer.text == "This visit has ended, or is another browser's. Reload the page and upload again."


def test_everything_else_is_let_by():
    for key in (ADA, BOB, None):
        assert client(key).get("/media/x").text == client(key).options(UPLOAD).text == "in"
