"""What programs read and save by HTTP: the rights of the page, one sentence as JSON for every fault."""

import json
from contextlib import closing
from dataclasses import replace

import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from benchmarks.store import example
from optlaws_core.errors import StoreError
from optlaws_core.saved import Snapshot, from_bundle, to_bundle, versions
from optlaws_core.saved.rights import STRANGER, Viewer, Visibility
from optlaws_core.saved.store import MISSING, Store
from pages.parts.server import api
from pages.parts.server.guard import COOKIE, Guard
from pages.parts.server.hosts import Hosts
from pages.parts.server.login import Login
from pages.parts.share import exchange, preview
from pages.parts.state import settings
from tests.support.accounts import ADA, cookies, secrets, written

KEY, OTHER = "a" * 32, "b" * 32
HERE = "http://lab.example"
SENT = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def bundle() -> bytes:
    return to_bundle(replace(example(), title="Kestrel"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    with closing(Store(tmp_path / "saved.sqlite")) as opened:
        monkeypatch.setattr(settings, "store", lambda: opened)
        yield opened


@pytest.fixture
def client(store):
    """`client(writes=True, required=False, **cookies) -> TestClient`, of a browser or a program."""

    def made(writes: bool = True, required: bool = False, **jar: str) -> TestClient:
        around = [
            Middleware(Guard),
            Middleware(Hosts, names=("lab.example",)),
            Middleware(Login, required=required),
            Middleware(api.Api, desk=lambda: exchange, writes=writes),
        ]
        app = Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse("in"))], middleware=around)
        return TestClient(app, base_url=HERE, cookies=jar, headers={"accept": "*/*"})

    return made


@pytest.fixture
def ids(store, bundle) -> dict[Visibility, str]:
    """A comparison of the browser `KEY` for each way of being open."""
    return {kind: store.save(from_bundle(bundle), Viewer(KEY), kind) for kind in Visibility}


def fault(answer, status: int) -> str:
    """The sentence of an answer that has that status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    assert answer.json().keys() == {"error"}
    return answer.json()["error"]


def whole(answer) -> tuple:
    return answer.status_code, sorted(answer.headers.items()), answer.content


# ---------------------------------------------------------------------------------------------------- reading


def test_a_link_gives_the_file_that_its_page_downloads(client, ids, bundle):
    path = f"/api/comparisons/{ids[Visibility.link]}"
    answer = client(writes=False).get(path)
    assert answer.status_code == 200 and answer.content == bundle
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-cache" and "cookie" in answer.headers["vary"].lower()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == f'"{json.loads(bundle)["sha256"]}"'
    head = client().head(path)
    del answer.headers["content-length"]  # a question for the head alone writes no file
    assert head.content == b"" and head.headers == answer.headers
    for known in (answer.headers["etag"], f'"x" ,\tW/{answer.headers["etag"]},', "*"):
        again = client().get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    for unknown in ('"x"', "", '"*"', f"{answer.headers['etag']}{' ' * api.MOST_KNOWN}"):
        assert client().get(path, headers={"If-None-Match": unknown}).content == bundle


def test_the_file_is_what_was_saved_of_which_nothing_is_read_anew(client, ids, bundle, monkeypatch):
    monkeypatch.setattr(Snapshot, "from_dict", lambda values: pytest.fail("the file was read"))
    assert client().get(f"/api/comparisons/{ids[Visibility.link]}").content == bundle


def test_a_link_gives_its_picture(client, ids, store, bundle):
    path = f"/api/comparisons/{ids[Visibility.link]}.png"
    answer = client().get(path)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    head = client().head(path)
    assert head.content == b"" and head.headers["content-length"] == str(len(answer.content))
    assert client().get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    bare = replace(from_bundle(bundle), fits={}, current=None, candidates=())
    assert "has no picture" in fault(client().get(f"/api/comparisons/{store.save(bare, Viewer(KEY))}.png"), 404)


def test_an_earlier_version_is_had_by_its_content(client, ids, store, bundle):
    id = ids[Visibility.link]
    versions.publish(store, id, Viewer(KEY), replace(from_bundle(bundle), title="Newer"))
    first, newest = json.loads(bundle)["sha256"], client().get(f"/api/comparisons/{id}").json()
    assert newest["snapshot"]["title"] == "Newer"
    assert client().get(f"/api/comparisons/{id}?content={first}").content == bundle
    assert client().get(f"/api/comparisons/{id}?content={newest['sha256']}").json() == newest
    assert fault(client().get(f"/api/comparisons/{id}?content={'0' * 64}"), 404) == MISSING


def test_nothing_is_opened_for_whoever_has_it_or_asks_for_the_head_alone(client, ids, store, bundle, monkeypatch):
    id, first = ids[Visibility.link], json.loads(bundle)["sha256"]
    versions.publish(store, id, Viewer(KEY), replace(from_bundle(bundle), title="Newer"))
    monkeypatch.setattr(versions, "content", None)
    for said in ("", f"?content={first}"):
        path = f"/api/comparisons/{id}{said}"
        head = client().head(path)
        assert head.status_code == 200 and "content-length" not in head.headers
        assert client().get(path, headers={"If-None-Match": head.headers["etag"]}).status_code == 304


def test_beyond_some_requests_that_wait_programs_are_asked_to_come_again(client, ids, bundle, monkeypatch):
    path = f"/api/comparisons/{ids[Visibility.link]}"
    for most, asks in (
        ("WAITING", lambda: client().get(path)),
        ("SENT_AT_ONCE", lambda: client().post("/api/comparisons", content=bundle, headers=SENT)),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(api, most, 0)
            answer = asks()
            assert "more API requests" in fault(answer, 503) and answer.headers["retry-after"] == "5"
        assert asks().status_code < 300


def test_what_was_found_is_given_whatever_is_published_meanwhile(ids, store, bundle, monkeypatch):
    id, drawn = ids[Visibility.link], []
    monkeypatch.setattr(preview, "picture", lambda digest, title, load: drawn.append((digest, load().digest)) or b"")
    found, told = exchange.found(id, STRANGER), preview.of(id)
    versions.publish(store, id, Viewer(KEY), replace(from_bundle(bundle), title="Newer"))
    assert found.bundle() == bundle and found.digest == json.loads(bundle)["sha256"]
    found.picture(), told.picture()
    assert drawn == [(found.digest, found.digest)] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("end", ["", ".png"])
def test_what_is_not_open_answers_like_what_is_not_there(client, ids, method, end):
    if end and method == "DELETE":
        return
    for asking in (client(), client(**{COOKIE: OTHER})):
        answers = [
            asking.request(method, f"/api/comparisons/{id}{end}")
            for id in (ids[Visibility.private], ids[Visibility.members], "0" * 32, "x/y", "%00", "ü")
        ]
        assert len({repr(whole(answer)) for answer in answers}) == 1
        assert answers[0].status_code == 404 and "etag" not in answers[0].headers
        assert method == "HEAD" or fault(answers[0], 404) == MISSING


@pytest.mark.parametrize("how", [{"cookies": {COOKIE: KEY}}, {"headers": {"Authorization": f"Bearer {KEY}"}}])
def test_its_owner_reads_what_is_private(client, ids, bundle, how):
    asking = client(**how.get("cookies", {}))
    answer = asking.get(f"/api/comparisons/{ids[Visibility.private]}", headers=how.get("headers"))
    assert answer.content == bundle and "private" in answer.headers["cache-control"]


def test_the_password_of_a_proxy_is_no_key_and_leaves_the_cookie_to_count(client, ids, bundle):
    path, asked = f"/api/comparisons/{ids[Visibility.private]}", {"Authorization": "Basic eDp5"}
    assert client(**{COOKIE: KEY}).get(path, headers=asked).content == bundle
    assert fault(client().get(path, headers=asked), 404) == MISSING


def test_whoever_is_logged_in_reads_what_is_for_members(client, ids, bundle, tmp_path):
    with written(tmp_path / "secrets.toml", secrets(HERE)):
        logged_in, path = client(required=True, **cookies(ADA, HERE)), f"/api/comparisons/{ids[Visibility.members]}"
        assert logged_in.get(path).content == bundle
        assert fault(logged_in.get(f"/api/comparisons/{ids[Visibility.private]}"), 404) == MISSING
        for end in ("", ".png"):
            refused = client(required=True, **{COOKIE: KEY}).get(f"/api/comparisons/{ids[Visibility.link]}{end}")
            assert "requires a log-in" in fault(refused, 403)


def test_a_store_that_fails_is_told_without_its_place(client, monkeypatch):
    def failing():
        raise StoreError("/srv/secret failed")

    monkeypatch.setattr(settings, "store", failing)
    assert fault(client().get(f"/api/comparisons/{KEY}"), 503) == "The server cannot reach its store; its log says why."


# ---------------------------------------------------------------------------------------------------- methods


def test_methods_that_mean_nothing_are_told(client, ids):
    one = f"/api/comparisons/{ids[Visibility.link]}"
    for path, method, allowed in (
        (one, "PUT", "GET, HEAD, DELETE"),
        (one, "POST", "GET, HEAD, DELETE"),
        (f"{one}.png", "DELETE", "GET, HEAD"),
        ("/api/comparisons", "GET", "POST"),
        ("/api/comparisons/", "DELETE", "POST"),
    ):
        answer = client().request(method, path)
        assert fault(answer, 405) == f"This address takes {allowed}, got {method}."
        assert answer.headers["allow"] == allowed
    assert client().get("/api/comparisonsx").text == client().get("/share").text == "in"


# ---------------------------------------------------------------------------------------------------- saving


def test_what_a_program_saves_opens_by_the_link_and_is_owned_by_a_key(client, store, bundle):
    answer = client().post("/api/comparisons", content=bundle, headers=SENT)
    made = answer.json()
    assert answer.status_code == 201 and made.keys() == {"id", "url", "owner_key"}
    assert made["url"] == f"{HERE}/share?id={made['id']}"
    assert client().get(answer.headers["location"]).content == bundle
    key = {"Authorization": f"Bearer {made['owner_key']}"}
    (entry,) = store.listed(Viewer(made["owner_key"]))
    assert entry.id == made["id"] and entry.visibility is Visibility.link

    again = client().post("/api/comparisons?for=private", content=bundle, headers=SENT | key).json()
    assert again.keys() == {"id", "url"} and len(store.listed(Viewer(made["owner_key"]))) == 2
    assert fault(client().get(f"/api/comparisons/{again['id']}"), 404) == MISSING
    assert client().get(f"/api/comparisons/{again['id']}", headers=key).content == bundle

    assert "Only whoever saved" in fault(client().delete(f"/api/comparisons/{made['id']}"), 403)
    assert client().delete(f"/api/comparisons/{made['id']}", headers=key).status_code == 204
    assert fault(client().get(f"/api/comparisons/{made['id']}"), 404) == MISSING


def test_what_a_browser_or_an_account_saves_is_theirs(client, store, bundle, tmp_path):
    made = client(**{COOKIE: KEY}).post("/api/comparisons", content=bundle, headers=SENT).json()
    assert "owner_key" not in made and [e.id for e in store.listed(Viewer(KEY))] == [made["id"]]
    ada = Viewer(f"{ADA['iss']} {ADA['sub']}", logged_in=True)
    with written(tmp_path / "secrets.toml", secrets(HERE)):
        logged_in = client(required=True, **cookies(ADA, HERE))
        made = [
            logged_in.post(f"/api/comparisons{said}", content=bundle, headers=SENT).json()
            for said in ("", "?for=members")
        ]
    assert all("owner_key" not in one for one in made)
    assert [store.entry(one["id"], ada).visibility.name for one in made] == ["private", "members"]


def test_nobody_saves_or_deletes_where_the_operator_does_not_say_so(client, store, ids, bundle):
    asking = client(writes=False, **{COOKIE: KEY})
    said = fault(asking.post("/api/comparisons", content=bundle, headers=SENT), 403)
    assert "OPTLAWS_API=on" in said
    assert fault(asking.delete(f"/api/comparisons/{ids[Visibility.link]}"), 403) == said
    assert store.count(Viewer(KEY)) == len(ids)


def test_what_cannot_be_opened_is_not_saved(client, store, bundle):
    plain = json.loads(bundle)
    odd = {**plain, "snapshot": {**plain["snapshot"], "gained": 1}}
    for body, status, said in (
        (b"{", 422, "must be a JSON text"),
        (b"{}", 422, "keys sha256 and snapshot"),
        (bundle.replace(b"Kestrel", b"Kestrels"), 422, "changed after it was written"),
        (json.dumps(odd).encode(), 422, "changed after it was written"),
        (_signed(plain, gained=1), 422, "missing or not known: gained"),
        (_signed(plain, most_risk=2), 422, "most_risk must lie between 0 and 1, got 2"),
        (_signed(plain, candidates=[{"text": 1, "label": "", "on": True}]), 422, "in candidate 1, a schedule must be"),
        (b" " * (exchange.MOST + 1), 413, "may have 16 MB, this one has 17 MB"),
    ):
        assert said in fault(client().post("/api/comparisons", content=body, headers=SENT), status)
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = client().post("/api/comparisons", content=bundle, headers=headers)
        assert "Content-Type" in fault(answer, 415)
    parts = client().post("/api/comparisons", content=iter([bundle]), headers=SENT)  # of no announced length
    assert "Content-Length" in fault(parts, 411)
    assert "must be one of private, link, got 'all'" in fault(
        client().post("/api/comparisons?for=all", content=bundle, headers=SENT), 422
    )
    for said in (f"Bearer {KEY}0", "bearer x", "Bearer"):
        answer = client().post("/api/comparisons", content=bundle, headers=SENT | {"Authorization": said})
        assert "32 hexadecimal digits" in fault(answer, 401) and answer.headers["www-authenticate"] == "Bearer"
    assert store.count(Viewer(operator=True)) == 0


def _signed(plain: dict, **changes) -> bytes:
    """The bundle with another snapshot, and the digest of that."""
    from optlaws_core.saved.record import _canonical, hashlib

    snapshot = {**plain["snapshot"], **changes}
    return _canonical({"sha256": hashlib.sha256(_canonical(snapshot)).hexdigest(), "snapshot": snapshot})


def test_pages_of_other_sites_save_and_delete_nothing(client, store, ids, bundle):
    asking = client(**{COOKIE: KEY})
    for origin in ("http://evil.example", "null", f"{HERE}:81"):
        headers = SENT | {"Origin": origin}
        assert "other sites" in fault(asking.post("/api/comparisons", content=bundle, headers=headers), 403)
        assert "other sites" in fault(
            asking.delete(f"/api/comparisons/{ids[Visibility.link]}", headers={"Origin": origin}), 403
        )
    assert store.count(Viewer(KEY)) == len(ids)
    assert asking.post("/api/comparisons", content=bundle, headers=SENT | {"Origin": HERE}).status_code == 201


def test_programs_save_so_many_within_a_minute(client, bundle, monkeypatch):
    monkeypatch.setattr(api, "SAVES", 2)
    now = [0.0]
    monkeypatch.setattr(api, "monotonic", lambda: now[0])
    asking = client()
    sent = {"content": bundle, "headers": SENT}
    broken = {"content": b"{", "headers": SENT}
    assert asking.post("/api/comparisons", **broken).status_code == 422  # which counts for nothing
    assert [asking.post("/api/comparisons", **sent).status_code for _ in range(2)] == [201, 201]
    answer = asking.post("/api/comparisons", **broken)
    assert "may save 2 comparisons in 60 s" in fault(answer, 429) and answer.headers["retry-after"] == "61"
    now[0] = 61.0
    assert asking.post("/api/comparisons", **sent).status_code == 201


def test_what_others_saved_while_one_is_sent_counts(client, bundle, store, monkeypatch):
    monkeypatch.setattr(api, "SAVES", 1)
    asking, body, others = client(), api._body, []

    def send():
        return asking.post("/api/comparisons", content=bundle, headers=SENT)

    async def slow(asked):
        if not others:
            others.append("on its way")
            others[0] = await anyio.to_thread.run_sync(send)
        return await body(asked)

    monkeypatch.setattr(api, "_body", slow)
    assert "in 60 s" in fault(send(), 429) and others[0].status_code == 201
    assert store.count(Viewer(operator=True)) == 1


def test_a_setting_that_means_nothing_is_told_at_the_start(monkeypatch):
    for said, allowed in (("", False), ("on", True)):
        monkeypatch.setenv(api.API, said)
        assert api.checked() is allowed
    monkeypatch.setenv(api.API, "yes")
    with pytest.raises(ValueError, match="OPTLAWS_API must be on or empty, got 'yes'"):
        api.checked()
