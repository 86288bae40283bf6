"""To whom the server answers: names that are its own, and pages that came from it."""

import subprocess
import sys

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit import net_util
from streamlit.web.server import server_util
from streamlit.web.server.starlette import starlette_websocket

from pages.parts.server import hosts
from pages.parts.server.hosts import Hosts, is_own_page, named
from tests.places import ROOT

HERE = "http://lab.example:8501"
STREAM = "/_stcore/stream"


async def stream(websocket) -> None:
    """Streamlit's part, after its own check of the origin."""
    said = websocket.headers
    assert starlette_websocket._is_origin_allowed(said.get("origin"), said.get("host"))
    await websocket.accept()
    await websocket.close()


def client(said: str = "lab.example") -> TestClient:
    answer = Route("/{path:path}", lambda _: PlainTextResponse("here"), methods=["GET", "PUT", "DELETE"])
    app = Starlette(routes=[WebSocketRoute(STREAM, stream), answer], middleware=[Middleware(Hosts, names=named(said))])
    return TestClient(app, base_url=HERE)


def let_in(asked: TestClient, host: str, origin: str | None) -> bool:
    """Whether a WebSocket from a page of that origin is opened."""
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    try:
        with asked.websocket_connect(STREAM, headers=headers):
            return True
    except WebSocketDisconnect as refusal:
        assert refusal.code == 1008
        return False


@pytest.mark.parametrize(
    "host, origin",
    [
        ("lab.example:8501", "http://lab.example:8501"),
        ("lab.example", "https://lab.example"),
        ("localhost:8501", "http://localhost:8501"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("[::1]:8501", "http://[::1]:8501"),
        ("192.168.1.5:8501", "http://192.168.1.5:8501"),
        ("gpu-box:8501", "http://gpu-box:8501"),
        ("laws.localhost:8501", "http://laws.localhost:8501"),
        ("lab.example:8501", None),  # no browser, which could say whatever it likes
    ],
)
def test_a_page_of_this_server_is_let_in_by_every_name_of_it(host, origin):
    assert let_in(client(), host, origin)


@pytest.mark.parametrize(
    "host, origin",
    [
        ("lab.example:8501", "http://evil.example"),
        ("lab.example:8501", "http://lab.example:9000"),  # another program of the same machine
        ("lab.example:8501", "http://lab.example.evil.example:8501"),
        ("localhost:8501", "http://127.0.0.1:8501"),
        ("lab.example:8501", "null"),  # a page without a host: a file, or a frame that was shut in
        ("lab.example:8501", ""),
        ("lab.example:8501", "http://lab.example:8501/path"),
        ("lab.example:8501", "chrome-extension://lab.example:8501"),
        ("lab.example:8501", "http://lab.example:x"),
        ("evil.example:8501", "http://evil.example:8501"),  # a name that was pointed here: both agree
        ("evil.example:8501", None),
        ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example"),
        ("lab.example@evil.example", "http://evil.example"),
        ("", "http://lab.example:8501"),
    ],
)
def test_pages_of_others_and_names_of_others_are_refused_before_streamlit_hears_of_them(monkeypatch, host, origin):
    monkeypatch.setattr(server_util, "is_url_from_allowed_origins", lambda _: pytest.fail("Streamlit was asked"))
    assert not let_in(client(), host, origin)


def test_nobody_outside_is_asked_for_this_servers_address(monkeypatch):
    monkeypatch.setattr(net_util, "_make_blocking_http_get", lambda *_, **__: pytest.fail("another host was asked"))
    assert not server_util.is_url_from_allowed_origins("http://evil.example")  # Streamlit's own check, after ours


def test_the_start_asks_nobody_outside():
    script = """
from streamlit import net_util
from streamlit.web import bootstrap
net_util.get_external_ip = lambda: print("another host was asked")
bootstrap.load_config_options({"server_headless": True, "server_port": 8501})
bootstrap._print_url(False)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "http://localhost:8501" in done.stdout and "another host" not in done.stdout, done.stderr


def test_sites_that_the_operator_named_to_streamlit_may_connect(monkeypatch):
    wiki = "https://wiki.example"
    monkeypatch.setattr(server_util, "allowlisted_origins", lambda: {wiki})
    assert let_in(client(), "lab.example:8501", wiki)
    assert not let_in(client(), "lab.example:8501", f"{wiki}:8443")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_pages_of_others_send_nothing(method):
    asked = client()
    answer = asked.request(method, "/_stcore/upload_file/a/b", headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.text) == (403, "This server takes nothing from pages of other sites.")
    assert asked.request(method, "/_stcore/upload_file/a/b", headers={"origin": HERE}).status_code == 200
    assert asked.get("/media/a", headers={"origin": "http://evil.example"}).status_code == 200  # browsers see to it


def test_a_document_under_the_name_of_another_is_refused_with_the_way_out():
    asked = client()
    answer = asked.get("/", headers={"host": "laws.example"})
    assert answer.status_code == 421
    assert answer.text == (
        "This server is not known as laws.example. Its operator names the hosts that it is reached by in OPTLAWS_HOSTS."
    )
    for path in ("/_stcore/health", "/ready"):  # of whoever balances loads
        assert asked.get(path, headers={"host": "laws.example"}).status_code == 200
    assert client("laws.example").get("/", headers={"host": "laws.example"}).status_code == 200


@pytest.mark.parametrize(
    "said, names",
    [
        ("", ()),
        ("laws.example", ("laws.example",)),
        ("Laws.Example, *.lab.example", ("laws.example", "*.lab.example")),
        ("https://laws.example:8443/ http://127.0.0.1:80", ("laws.example", "127.0.0.1")),  # as a proxy may be told
        ("*", ("*",)),
    ],
)
def test_hosts_are_named_as_proxies_name_them(said, names):
    assert named(said) == names


@pytest.mark.parametrize("said", [":443", "a b;c", "lab.example/path", "**.example", "https://", "*.", "laws..example"])
def test_what_names_no_host_is_told_at_the_start(said):
    with pytest.raises(ValueError, match="must be names of hosts such as"):
        named(said)


def test_a_name_below_another_is_meant_with_a_star_alone():
    for said, host, known in (
        ("*.lab.example", "a.lab.example", True),
        ("*.lab.example", "lab.example", False),
        ("lab.example", "a.lab.example", False),
        ("*", "evil.example", True),
    ):
        assert hosts.is_ours(host, named(said)) is known


def test_where_log_ins_come_back_to_is_a_name_of_the_server(monkeypatch):
    monkeypatch.setattr(hosts.auth_util, "get_origin_from_redirect_uri", lambda: "https://Laws.example:8443")
    assert "laws.example" in hosts.ours()
    assert is_own_page("https://laws.example:8443", "laws.example:8443")
