"""A log-out ends the log-in, in all tabs, for copies of its cookie, and on every server of the store."""

import asyncio
import math
import threading
import time
from contextlib import closing, suppress

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from optlaws_core.errors import StoreError
from optlaws_core.saved.logouts import LogOuts
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
def server(tmp_path):
    """`server(kept) -> client`: a server whose log-outs are kept there, and `client(jar) -> TestClient` of it."""

    def made(kept):
        app = Starlette(
            routes=[WebSocketRoute(STREAM, stream), Route("/{path:path}", who)],
            middleware=[Middleware(LogOut, kept=kept)],
        )
        return lambda jar: TestClient(app, base_url=ORIGIN, cookies={**jar, "other": "1"})

    with written(tmp_path / "secrets.toml", secrets()):
        yield made


@pytest.fixture
def kept(tmp_path):
    """`kept()`: log-outs in a store."""
    with closing(LogOuts(tmp_path / "store.sqlite")) as kept:
        yield lambda: kept


@pytest.fixture
def client(server, kept):
    """`client(jar) -> TestClient`, all of one server."""
    return server(kept)


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


@pytest.mark.parametrize("more", [{}, {"groups": GROUPS}])
def test_a_copy_changed_where_streamlit_does_not_look_is_the_same_log_in(client, more):
    ada = cookies({**ADA, **more})
    spare, respelt = {**ada, "_streamlit_user_77": "x"}, {name: f"{value}!!!!" for name, value in ada.items()}
    assert client(spare).get("/").json()[0] == client(respelt).get("/").json()[0] == "ada"
    client(ada).get("/auth/logout")
    assert client(spare).get("/").json()[0] is client(respelt).get("/").json()[0] is None


def test_a_log_out_holds_on_another_server_of_the_store(server, kept, monkeypatch):
    monkeypatch.setattr(logout, "HELD", 0)
    monkeypatch.setattr(logout, "LOOK", 0.02)
    one, other, ada = server(kept), server(kept), cookies(ADA)
    with other(ada).websocket_connect(STREAM) as open_tab:
        assert open_tab.receive_json() == "ada"
        one(ada).get("/auth/logout")
        with pytest.raises(WebSocketDisconnect) as closed:
            open_tab.receive_json()
        assert closed.value.code == 1008
    assert other(ada).get("/").json() == [None, "1"]
    assert server(kept)(ada).get("/").json() == [None, "1"]  # one that was restarted


def test_the_store_is_asked_now_and_then_and_for_log_ins_alone(server, kept):
    asked = []

    class Counted:
        def has_ended(self, key):
            asked.append(key)
            return kept().has_ended(key)

    client, ada = server(Counted), cookies(ADA)
    for _ in range(3):
        client(ada).get("/")
        client({"_streamlit_user": "x"}).get("/")
        client({}).get("/")
    assert len(asked) == 1


def test_a_store_that_fails_ends_no_log_in_and_loses_no_log_out_of_its_own_server(server, caplog):
    def nobody():
        raise StoreError("The store is away.")

    client, ada = server(nobody), cookies(ADA)
    assert client(ada).get("/").json() == ["ada", "1"]
    assert client(ada).get("/auth/logout").json() == ["ada", "1"]
    assert client(ada).get("/").json() == [None, "1"]
    assert "The store failed to say whether a log-in has ended" in caplog.text
    assert "The store failed to take a log-out: it holds on this server alone" in caplog.text


class Away:
    """A store that fails while `trouble` is set, and counts the questions."""

    def __init__(self, kept):
        self.kept, self.trouble, self.asked = kept, StoreError("The store is away."), 0

    def has_ended(self, key):
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return self.kept.has_ended(key)

    def end(self, key, life):
        if self.trouble:
            raise self.trouble
        self.kept.end(key, life)


def test_a_log_out_that_the_store_missed_is_told_to_it_when_it_answers_again(kept):
    store = Away(kept())
    made = LogOut(None, lambda: store)

    async def missed_and_told():
        await made._end("ada")
        store.trouble, made.rests = None, -math.inf
        assert not await made._has_ended("bob")
        await made.telling

    loops.run(missed_and_told())
    assert kept().has_ended("ada") and not made.untold


def test_a_store_that_fails_is_left_alone_by_all_log_ins_and_then_asked_by_one(kept):
    store = Away(kept())
    made = LogOut(None, lambda: store)

    async def asked(*keys):
        before = store.asked
        for key in keys:
            assert not await made._has_ended(key)
        return store.asked - before

    async def all_asked():
        assert await asked("ada", "bob", "ada") == 1
        made.rests = time.monotonic()
        assert await asked("ada", "bob") == 1
        store.trouble, made.rests = None, time.monotonic()
        assert await asked("ada", "bob", "ada") == 2

    loops.run(all_asked())


def test_no_more_threads_than_said_wait_for_a_store_that_hangs(monkeypatch, caplog):
    monkeypatch.setattr(logout, "PATIENCE", 0.02)
    going, begun = threading.Event(), []

    class Hanging:
        def has_ended(self, key):
            begun.append(key)
            going.wait(60)
            return False

    made = LogOut(None, Hanging)

    async def asked():
        for i in range(2 * logout.AT_ONCE):
            made.rests = -math.inf
            assert not await made._has_ended(str(i))
        hanging = len(begun)
        going.set()
        await asyncio.gather(*made.asking.values())
        return hanging

    try:
        assert loops.run(asked()) == logout.AT_ONCE
    finally:
        going.set()
    assert not made.asking and "did not answer within 0.02 s whether a log-in has ended" in caplog.text


def test_only_a_log_in_is_remembered(client):
    made_up = {"_streamlit_user": "x"}
    stranger = client(made_up)
    stranger.get("/auth/logout")
    app = stranger.app.middleware_stack
    while not isinstance(app, LogOut):
        app = app.app
    assert app.ended == {} and app.open == {} and app.going_on == {}


def test_what_streamlit_would_not_take_any_more_is_forgotten(kept):
    made = LogOut(None, kept)
    made.ended = {"old": time.time() - logout.LONGEST - 1, "recent": time.time()}
    loops.run(made._end("new"))
    assert set(made.ended) == {"recent", "new"}
