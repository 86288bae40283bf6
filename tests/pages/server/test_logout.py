"""A log-out ends the log-in, in all tabs and for copies of its cookie."""

import time
from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pages.parts.server import login, logout
from pages.parts.server.logout import LogOut
from tests.support import loops
from tests.support.accounts import ADA, GROUPS, ORIGIN, cookies, secrets, written

STREAM = "/_stcore/stream"


async def stream(websocket) -> None:
    """Streamlit's part: who it is, told again for each message."""
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_json(login.of(websocket.cookies).get("sub"))
            await websocket.receive_bytes()


def who(request) -> JSONResponse:
    return JSONResponse([login.of(request.cookies).get("sub"), request.cookies.get("other")])


@pytest.fixture
def client(tmp_path):
    """`client(jar) -> TestClient`, all of one server."""
    app = Starlette(
        routes=[WebSocketRoute(STREAM, stream), Route("/{path:path}", who)], middleware=[Middleware(LogOut)]
    )
    with written(tmp_path / "secrets.toml", secrets()):
        yield lambda jar: TestClient(app, base_url=ORIGIN, cookies={**jar, "other": "1"})


@pytest.mark.parametrize("more", [{}, {"groups": GROUPS}])
def test_a_log_out_closes_other_tabs_and_voids_the_cookie(client, more):
    ada, bob = cookies({**ADA, **more}), cookies({**ADA, "sub": "bob", **more})
    tab, copy, other = client(ada), client(ada), client(bob)
    with tab.websocket_connect(STREAM) as open_tab, other.websocket_connect(STREAM) as bobs:
        assert open_tab.receive_json() == "ada" and bobs.receive_json() == "bob"
        assert client(ada).get("/auth/logout").json() == ["ada", "1"]  # Streamlit knows whom to log out, and where
        with pytest.raises(WebSocketDisconnect) as closed:
            open_tab.receive_json()
        assert closed.value.code == 1008
        bobs.send_bytes(b"x")
        assert bobs.receive_json() == "bob"
    assert copy.get("/").json() == [None, "1"]
    with copy.websocket_connect(STREAM) as again:
        assert again.receive_json() is None
    assert other.get("/").json() == ["bob", "1"]
    assert client(cookies({**ADA, **more, "nonce": "2"})).get("/").json() == ["ada", "1"]  # a new log-in


def test_only_a_log_in_is_remembered(client):
    made_up = {"_streamlit_user": "x"}
    stranger = client(made_up)
    stranger.get("/auth/logout")
    app = stranger.app.middleware_stack
    while not isinstance(app, LogOut):
        app = app.app
    assert app.ended == {} and app.open == {}


def test_what_streamlit_would_not_take_any_more_is_forgotten():
    made = LogOut(None)
    made.ended = {"old": time.time() - logout.LONGEST - 1, "recent": time.time()}
    loops.run(made._end("new"))
    assert set(made.ended) == {"recent", "new"}
