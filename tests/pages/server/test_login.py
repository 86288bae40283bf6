"""A server for those who are logged in answers nobody else, on no route and by no WebSocket."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit import auth_util

from pages.parts.server import login
from pages.parts.server.guard import BACK, Guard
from pages.parts.server.login import LOGIN, MEMBERS, METRICS, Login, checked, is_member, members
from tests.support.accounts import ADA, GROUPS, ORIGIN, cookies, secrets, written

DOCUMENT = {"accept": "text/html,*/*"}
STREAM = "/_stcore/stream"
CLOSED = (
    "/",
    "/share?id=0123",
    "/evidence",
    "/media/0123.csv",
    "/_stcore/metrics",
    "/_stcore/host-config",
    "/_stcore/upload_file/a/b",
    "/_stcore/agent/interact",
    "/_stcore/agent/openapi.json",
    "/_stcore/script-health-check",
    "/_stcore/bidi-components/a/b",
    "/component/a/b",
    "/app/static/x",
    "/share-preview/0123.png",
    "/x/_stcore/health",
    "/x/static/y",
    "//static/y",
)
OPENED = ("/_stcore/health", "/ready", "/static/js/index.js", "/auth/login", "/auth/logout", "/oauth2callback")
STRANGERS = {
    "nobody": {},
    "with a made-up cookie": {"_streamlit_user": '{"iss":"i","sub":"ada","is_logged_in":true}'},
    "signed by another server": cookies(ADA, secret="d" * 64),
    "logged in elsewhere": cookies(ADA, origin="http://other.example"),
    "without a name": cookies({"iss": "https://login.example"}),
}


async def stream(websocket) -> None:
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def secret(tmp_path):
    """An operator's secrets."""
    with written(tmp_path / "secrets.toml", secrets()):
        yield


def client(jar: dict[str, str] | None = None, required: bool = True, **headers: str) -> TestClient:
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
    routes = [WebSocketRoute(STREAM, stream), Route("/{path:path}", lambda _: PlainTextResponse("in"), methods=methods)]
    app = Starlette(routes=routes, middleware=[Middleware(Guard), Middleware(Login, required=required)])
    return TestClient(app, base_url=ORIGIN, headers=headers, cookies=jar, follow_redirects=False)


def streams(asked: TestClient) -> bool:
    """Whether a WebSocket opens."""
    try:
        with asked.websocket_connect(STREAM):
            return True
    except WebSocketDisconnect as refusal:
        assert refusal.code == 1008
        return False


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_gets_the_ways_to_log_in_and_nothing_else(secret, who):
    asked = client(STRANGERS[who])
    for path in CLOSED:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = asked.request(method, path)
            assert answer.status_code == 403 and answer.text in ("", login.CLOSED), f"{method} {path}"
    for path in OPENED:
        assert asked.get(path).text == "in", path
    assert not streams(asked)
    document = asked.get("/share?id=0123", headers=DOCUMENT)
    assert (document.status_code, login.CLOSED in document.text) == (403, True)
    assert document.headers["x-frame-options"] == "SAMEORIGIN" and "<script" not in document.text


@pytest.mark.parametrize("more", [{}, {"groups": GROUPS}])
def test_whoever_is_logged_in_gets_everything(secret, more):
    asked = client(cookies({**ADA, **more}))  # a long cookie comes in parts
    for path in (*CLOSED, *OPENED):
        assert asked.get(path).text == "in", path
    assert streams(asked)


def test_a_server_that_is_for_everybody_answers_everybody(secret):
    asked = client(required=False)
    assert all(asked.get(path).text == "in" for path in (*CLOSED, *OPENED)) and streams(asked)


def test_the_page_leads_to_the_provider_and_back_to_where_it_began(secret):
    asked = client()
    page = asked.get("/share?id=0123", headers=DOCUMENT)
    (way,) = re.findall(r'href="([^"]+)">Log in<', page.text)
    sent = asked.get(way, headers={**DOCUMENT, "referer": f"{ORIGIN}/share?id=0123"})
    there = urlsplit(sent.headers["location"])
    (token,) = parse_qs(there.query)["provider"]
    assert there.path == "/auth/login" and auth_util.decode_provider_token(token)["provider"] == "default"
    assert asked.cookies[BACK] == "%2Fshare%3Fid%3D0123"
    assert asked.get("/auth/login?with=nobody").status_code == 404


def test_every_provider_has_a_way(tmp_path):
    named = secrets().replace("client_id", "[auth.lab]\nclient_id") + '[auth."a&b"]\nclient_id = "1"\n'
    with written(tmp_path / "secrets.toml", named):
        page = client().get("/", headers=DOCUMENT).text
    assert re.findall(r'href="([^"]+)">([^<]+)<', page) == [
        ("/auth/login?with=lab", "Log in with lab"),
        ("/auth/login?with=a%26b", "Log in with a&amp;b"),
    ]


def test_metrics_are_read_by_whoever_has_the_operators_word(secret, monkeypatch):
    refused = (("", "Bearer "), ("w", "Bearer v"), ("w", "w"))
    for word, said, read in (("w", "Bearer w", True), *((*pair, False) for pair in refused)):
        monkeypatch.setenv(METRICS, word)
        asked = client(authorization=said)
        assert (asked.get("/_stcore/metrics").text == "in") is read
        assert asked.get("/media/x").status_code == 403


# ---------------------------------------------------------------------------------------------------- who


@pytest.mark.parametrize(
    "said, more, let_in",
    [
        ("", {}, True),
        ("@lab.example", {}, True),
        ("@LAB.example", {"email": "Ada@Lab.Example"}, True),
        ("ada@lab.example", {}, True),
        ("@other.example bob@lab.example", {}, False),
        ("@lab.example", {"email": "ada@evil.example"}, False),
        ("@lab.example", {"email": "ada@lab.example.evil.example"}, False),
        ("@lab.example", {"email": "ada@evil.example@lab.example", "email_verified": False}, False),
        ("@lab.example", {"email_verified": False}, False),  # anybody may write that
        ("@lab.example", {"email_verified": None}, False),
        ("@lab.example", {"email": None}, False),
        ("group:laws", {}, False),
        ("group:laws", {"groups": ["staff", "Laws"]}, True),
        ("group:laws", {"groups": "laws"}, True),
        ("group:laws", {"groups": "laws and orders"}, False),
        ("group:laws", {"groups": {"laws": 1}}, False),
        ("group:@lab.example", {}, False),
        ("@other.example, group:laws", {"groups": ["laws"]}, True),
    ],
)
def test_a_list_lets_in_whom_it_names_and_nobody_else(secret, monkeypatch, said, more, let_in):
    monkeypatch.setenv(MEMBERS, said)
    claims = {**ADA, **more}
    assert is_member(claims) is let_in
    asked = client(cookies(claims))
    assert streams(asked) is let_in and (asked.get("/").text == "in") is let_in


def test_whoever_is_not_on_the_list_is_told_and_may_log_out(secret, monkeypatch):
    monkeypatch.setenv(MEMBERS, "@other.example")
    page = client(cookies({**ADA, "email": "<b>@lab.example"})).get("/", headers=DOCUMENT).text
    assert "You are logged in as &lt;b&gt;@lab.example, who has no access to this server." in page
    assert re.findall(r'href="([^"]+)"', page) == ["/auth/logout"]


@pytest.mark.parametrize("said", ["lab.example", "ada", "@", "ada@", "group:", "@lab.example;", "a@b@c"])
def test_a_list_that_means_nothing_is_told_at_the_start(said):
    with pytest.raises(ValueError, match="OPTLAWS_MEMBERS must be domains"):
        members(said)


# ---------------------------------------------------------------------------------------------------- the start


def test_a_server_that_nobody_could_log_in_to_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setenv(LOGIN, "yes")
    with pytest.raises(ValueError, match="OPTLAWS_LOGIN must be required or empty, got 'yes'"):
        checked()
    monkeypatch.setenv(LOGIN, "required")
    path = tmp_path / "secrets.toml"
    for text, fault in (
        ("", "have no .auth. section"),
        (secrets().replace("cookie_secret", "other"), 'missing the "cookie_secret"'),
        (secrets().replace("client_secret", "other"), "client_secret"),
    ):
        with written(path, text), pytest.raises(ValueError, match=fault):
            checked()
    with written(path, secrets()):
        assert checked() is True
        monkeypatch.setattr(auth_util, "is_authlib_installed", lambda: False)
        with pytest.raises(ValueError, match="needs the package Authlib"):
            checked()


def test_secrets_that_cannot_be_read_leave_no_server_open(tmp_path, monkeypatch):
    monkeypatch.delenv(LOGIN, raising=False)
    with written(tmp_path / "secrets.toml", f'{LOGIN} = "required"\n[auth'), pytest.raises(ValueError, match="secrets"):
        checked()
    with written(tmp_path / "secrets.toml", secrets(**{LOGIN: "required"})):
        assert checked() is True
