"""Whether the server says that it can do its work."""

import threading

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from optlaws_core.errors import StoreError
from optlaws_core.saved.store import Store
from pages.parts.server import errors, ready
from pages.parts.server.ready import Ready

WHERE = "/srv/secret/store.sqlite"


@pytest.fixture
def client(monkeypatch):
    """`client(ask) -> TestClient`; no answer is given twice."""
    monkeypatch.setattr(ready, "HELD", -1)
    monkeypatch.setattr(ready, "PATIENCE", 0.2)

    def made(ask) -> TestClient:
        routes = [Route("/{path:path}", lambda _: PlainTextResponse("in"))]
        return TestClient(Starlette(routes=routes, middleware=[Middleware(Ready, ask=ask)]))

    return made


def test_a_store_that_answers_is_told_and_so_is_one_that_went(client, tmp_path, caplog):
    store = Store(tmp_path / "store.sqlite")
    with client(store.check) as asked:
        answer = asked.get("/ready")
        assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "ok", "no-store")
        for file in tmp_path.iterdir():
            file.unlink()
        answer = asked.get("/ready")
        assert (answer.status_code, answer.text) == (503, "The server cannot reach its store; its log says why.")
        assert str(tmp_path) in caplog.text and str(tmp_path) not in answer.text
        assert asked.get("/readiness").text == asked.get("/").text == "in"
    store.close()


def test_a_store_that_hangs_is_not_waited_for(client, caplog):
    go = threading.Event()
    with client(lambda: go.wait(60)) as asked:
        answers = [asked.get("/ready") for _ in range(2)]
        go.set()
    assert {a.status_code for a in answers} == {503} and "did not answer within" in caplog.text


def test_whoever_asks_often_hears_the_same_for_a_while(client, monkeypatch):
    monkeypatch.setattr(ready, "HELD", 60)
    times = []
    with client(lambda: times.append(1)) as asked:
        assert {asked.get("/ready").text for _ in range(5)} == {"ok"}
    assert times == [1]


def test_a_visitor_is_not_told_where_the_store_is(caplog):
    assert errors.sentence(StoreError(f"The store {WHERE} failed: disk I/O error.")) == errors.STORE
    assert WHERE in caplog.text and WHERE not in errors.STORE
