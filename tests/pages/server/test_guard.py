"""What the server adds to answers: a browser is known by a cookie, pages are fenced in, a log-in leads back."""

import base64
import hashlib
import re
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.web.server.starlette import starlette_auth_routes, starlette_routes

from pages.parts.server.guard import (
    BACK,
    COOKIE,
    LIFE,
    SECURE,
    Guard,
    browser_key,
    embedders,
    new_key,
    policy,
)
from tests.support.accounts import ADA, GROUPS, secrets, written

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
HOST = "http://lab.example"
DOCUMENT = {"accept": "text/html,*/*"}  # what a browser says when it opens a page
ANSWERS = {
    "/share": lambda _: FileResponse(INDEX, headers={"Cache-Control": "no-cache"}),
    "/same": lambda _: PlainTextResponse(status_code=304, headers={"Cache-Control": "no-cache"}),
    "/media/x.json": lambda _: PlainTextResponse("{}"),
    "/static/x.js": lambda _: PlainTextResponse("", headers={"Cache-Control": "public, immutable"}),
    "/auth/login": lambda _: RedirectResponse("https://provider.example/authorize"),
    "/oauth2callback": lambda _: RedirectResponse("/"),
}


def client(base: str = HOST, sites: str = "", **headers: str) -> TestClient:
    routes = [Route(path, answer) for path, answer in ANSWERS.items()]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, sites=embedders(sites))])
    return TestClient(app, base_url=base, headers={**DOCUMENT, **headers}, follow_redirects=False)


def cookie(answer, name: str):
    """A cookie that the answer sets, or None."""
    found = [SimpleCookie(line) for line in answer.headers.get_list("set-cookie")]
    return next((jar[name] for jar in found if name in jar), None)


def test_a_browser_gets_a_key_and_keeps_it():
    browser = client()
    first = cookie(browser.get("/share"), COOKIE)
    assert re.fullmatch("[0-9a-f]{32}", first.value)  # 128 bits
    assert (first["httponly"], first["samesite"].lower(), first["path"]) == (True, "lax", "/")
    assert first["max-age"] == str(LIFE) and not first["secure"] and not first["domain"]
    again = cookie(browser.get("/same"), COOKIE)  # also where the page comes from the browser's cache
    assert again.value == first.value and again["max-age"] == str(LIFE)
    assert cookie(client().get("/share"), COOKIE).value != first.value


@pytest.mark.parametrize("how", [{"base": "https://lab.example"}, {"x-forwarded-proto": "https, http"}])
def test_on_https_the_cookie_is_of_this_host_alone(how):
    browser = client(**how)
    browser.cookies.set(COOKIE, "0" * 32)  # by another host of the same domain
    answer = browser.get("/share")
    made = cookie(answer, SECURE)
    assert made["secure"] and made.value != "0" * 32 and cookie(answer, COOKIE) is None
    assert browser_key({COOKIE: "0" * 32, SECURE: made.value}) == made.value
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def log_in(request):
    """Streamlit's part: every cookie that it sets."""
    request.session["_state_default_0"] = {}
    answer = RedirectResponse("/")
    await starlette_auth_routes._set_auth_cookie(answer, {**ADA, "groups": GROUPS}, {"id_token": "x"})
    starlette_routes._ensure_xsrf_cookie(request, answer)
    answer.set_cookie("insecure", "secure", path="/secure")
    return answer


@pytest.mark.parametrize(
    "base, said, secure",
    [("https://lab.example", {}, True), (HOST, {"x-forwarded-proto": "https"}, True), (HOST, {}, False)],
)
def test_on_https_every_cookie_travels_encrypted_alone(tmp_path, base, said, secure):
    around = [Middleware(Guard), Middleware(SessionMiddleware, secret_key="x", session_cookie="_streamlit_session")]
    app = Starlette(routes=[Route("/oauth2callback", log_in)], middleware=around)
    with written(tmp_path / "secrets.toml", secrets()):
        browser = TestClient(app, base_url=base, headers={**DOCUMENT, **said}, follow_redirects=False)
        lines = browser.get("/oauth2callback").headers.get_list("set-cookie")
    names = {line.partition("=")[0] for line in lines}
    assert names >= {"_streamlit_user", "_streamlit_user_1", "_streamlit_user_tokens", "_streamlit_session"}
    assert names >= {"_streamlit_xsrf", "insecure", SECURE if secure else COOKIE}
    for line in lines:
        assert [part for part in line.split("; ")[1:] if part.lower() == "secure"] == ["Secure"] * secure, line


@pytest.mark.parametrize("value", ["", "1", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "\n", "٣" * 32])
def test_a_key_that_is_none_of_ours_is_not_taken(value):
    assert browser_key({COOKIE: value}) is None
    assert browser_key({COOKIE: "0" * 32, SECURE: value or "x"}) is None


def test_a_browser_with_a_key_that_is_none_of_ours_gets_a_new_one():
    made = cookie(client(cookie=f"{COOKIE}=guessed").get("/share"), COOKIE)
    assert browser_key({COOKIE: made.value}) == made.value


def test_keys_do_not_repeat():
    assert len({new_key() for _ in range(1000)}) == 1000


def test_files_of_a_page_set_no_cookie_and_documents_are_kept_by_no_proxy():
    browser = client()
    for path in ("/static/x.js", "/media/x.json"):
        assert "set-cookie" not in browser.get(path, headers={"accept": "*/*"}).headers
    assert browser.get("/static/x.js", headers={"accept": "*/*"}).headers["cache-control"] == "public, immutable"
    assert browser.get("/share").headers["cache-control"] == "private, no-cache"
    for accept in ("*/*", DOCUMENT["accept"]):  # a download is written down nowhere on its way
        assert browser.get("/media/x.json", headers={"accept": accept}).headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", [*ANSWERS, "/nowhere"])
def test_every_answer_is_fenced_in(path):
    headers = client().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["content-security-policy"] == policy()
    assert "cross-origin-opener-policy" not in headers  # which browsers ignore without https, and complain


def test_the_policy_lets_in_streamlits_own_inline_scripts_alone():
    rules = dict(part.strip().split(" ", 1) for part in policy().split(";"))
    scripts = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", INDEX.read_text("utf-8"), re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    assert scripts and hashes == {source for source in rules["script-src"].split() if "sha256" in source}
    assert "'unsafe-inline'" not in rules["script-src"] and "http" not in rules["script-src"]
    assert rules["default-src"] == "'self'" and rules["frame-ancestors"] == "'self'" and rules["object-src"] == "'none'"


def test_a_log_in_leads_back_to_where_it_began():
    browser = client()
    begun = "/share?id=0123&x=%26%2B"
    browser.get("/auth/login?provider=x", headers={"referer": f"http://lab.example{begun}"})
    answer = browser.get("/oauth2callback?state=x")
    assert answer.headers["location"] == begun
    assert cookie(answer, BACK)["max-age"] == "0"
    assert browser.get("/oauth2callback?state=x").headers["location"] == "/"  # once


@pytest.mark.parametrize(
    "referer", ["", "https://evil.example/share?id=1", "http://lab.example.evil.example/share", "x"]
)
def test_a_log_in_that_began_elsewhere_ends_on_the_first_page(referer):
    browser = client()
    browser.get("/auth/login", headers={"referer": referer})
    assert browser.get("/oauth2callback").headers["location"] == "/"


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)"])
def test_a_log_in_never_ends_on_another_server(back):
    browser = client()
    browser.cookies.set(BACK, back)
    assert browser.get("/oauth2callback").headers["location"] == "/"


def test_where_a_log_in_began_sets_no_cookie_of_its_own():
    browser = client()
    browser.cookies.set(BACK, "/a%0D%0ASet-Cookie:%20x=y")
    answer = browser.get("/oauth2callback")
    assert answer.headers["location"].startswith("/a%0D%0A") and cookie(answer, "x") is None


SITES = "https://wiki.example.org https://*.lab.example:8443"
FRAMED = "/share?id=0123456789abcdef&embed=true"


def ancestors(answer) -> str:
    rules = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    return rules["frame-ancestors"]


def test_sites_that_the_operator_names_may_embed_a_comparison_and_nothing_else():
    browser = client(sites=SITES)
    framed = browser.get(FRAMED)
    assert ancestors(framed) == f"'self' {SITES}" and "x-frame-options" not in framed.headers
    assert framed.headers["x-content-type-options"] == "nosniff"
    for other in ("/share", "/share?id=1", "/share?embed=true", "/same?id=1&embed=true", "/share?id=1&embed=false"):
        answer = browser.get(other)
        assert ancestors(answer) == "'self'" and answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_nobody_embeds_anything_unless_the_operator_says_so():
    answer = client().get(FRAMED)
    assert ancestors(answer) == "'self'" and answer.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "said",
    ["*", "https://a.example; script-src *", "wiki.example", "https://a.example/path", "'none'", "data:", "https:"],
)
def test_a_site_that_is_none_is_told_at_the_start(said):
    with pytest.raises(ValueError, match="must be addresses of sites such as"):
        embedders(said)


def test_the_policy_names_no_other_host():
    assert "://" not in policy()
