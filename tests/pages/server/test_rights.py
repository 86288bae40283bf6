"""Every object, every kind of visitor, every way to it: who gets what of a real server, spoken to without a browser."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.cookies import SimpleCookie

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from benchmarks.store import example
from optlaws_core.saved import to_bundle
from optlaws_core.saved.rights import Viewer, Visibility
from optlaws_core.saved.store import Store
from pages.parts.server.api import API, ON
from pages.parts.server.guard import COOKIE
from pages.parts.server.login import LOGIN, MEMBERS, METRICS
from tests.browser.conftest import Server
from tests.places import ROOT
from tests.support.accounts import ADA, cookies, secrets

pytestmark = pytest.mark.slow

XSRF = generate_xsrf_token_string()
PEOPLE = {
    "Ada, whose they are": ADA,
    "Bob, logged in": {**ADA, "sub": "bob", "email": "bob@lab.example"},
    "Eve, whom the list does not name": {**ADA, "sub": "eve", "email": "eve@other.example"},
    "a browser": {},
    "nobody": None,
}
OUTSIDE = ("Eve, whom the list does not name", "a browser", "nobody")
MAY_OPEN = {
    Visibility.private: {"Ada, whose they are"},
    Visibility.members: {"Ada, whose they are", "Bob, logged in"},
    Visibility.link: {*PEOPLE},
}
WORD = "the operator's word"


@dataclass(frozen=True)
class Visitor:
    """Somebody at a server, by the cookies that their browser sends."""

    url: str
    cookies: dict[str, str]

    @contextmanager
    def stream(self, origin: str | None = None, visit: str = "") -> Iterator[ClientConnection]:
        """A WebSocket, from a page of this server unless another origin is given; back to a visit, if one is named."""
        said = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        names = ["streamlit", XSRF, *([visit] if visit else [])]
        address = f"{self.url.replace('http', 'ws')}/_stcore/stream"
        with connect(
            address,
            origin=origin or self.url,
            subprotocols=names,
            additional_headers={"Cookie": said} if said else None,
            max_size=None,
        ) as opened:
            yield opened

    def shown(self, query: str) -> list[ForwardMsg]:
        """What the Shared page sends."""
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = "share", query
        asked.rerun_script.context_info.url = f"{self.url}/share?{query}"
        with self.stream() as opened:
            return list(answers(opened, asked))

    def ask(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, str, dict]:
        """Status, text and headers of an answer."""
        said = SimpleCookie(self.cookies).output(attrs=[], header="", sep=";")
        all = {"Cookie": said.strip(), "Accept": "text/html,*/*", **headers}
        request = urllib.request.Request(self.url + path, data, {k: v for k, v in all.items() if v}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace"), dict(answer.headers)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode(), dict(refusal.headers)


def answers(opened: ClientConnection, asked: BackMsg) -> Iterator[ForwardMsg]:
    """What the server says to a message, until its script has run."""
    opened.send(asked.SerializeToString())
    while True:
        message = ForwardMsg.FromString(opened.recv(timeout=120))
        yield message
        if message.WhichOneof("type") == "script_finished":
            return


def begun(opened: ClientConnection) -> str:
    """The id of the visit, which the server tells when the first page runs."""
    asked = BackMsg()
    asked.rerun_script.page_name = "share"
    (visit,) = {m.new_session.initialize.session_id for m in answers(opened, asked) if m.HasField("new_session")}
    return visit


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def ids(place) -> dict[Visibility, str]:
    """One comparison of Ada's for each way of being open."""
    ada = Viewer(f"{ADA['iss']} {ADA['sub']}", logged_in=True)
    with closing(Store(str(place / "saved.sqlite"))) as store:
        return {kind: store.save(replace(example(), title=f"Kestrel {kind.name}"), ada, kind) for kind in Visibility}


@pytest.fixture(scope="module", params=["open", "closed"])
def server(request, place, ids) -> Iterator[tuple[str, bool]]:
    """The address of a server with log-ins for those at lab.example, and whether it is for them alone."""
    (place / "secrets.toml").write_text(secrets("http://127.0.0.1:{port}"))
    closed = request.param == "closed"
    told = {"OPTLAWS_STORE": str(place / "saved.sqlite"), MEMBERS: "@lab.example", METRICS: WORD, API: ON}
    made = Server("app.py", told | ({LOGIN: "required"} if closed else {}), (f"--secrets.files={place}/secrets.toml",))
    try:
        yield made.start(), closed
    finally:
        made.stop()


@pytest.fixture(params=PEOPLE)
def visitor(request, server) -> tuple[str, Visitor]:
    """Their name, and they at the server."""
    claims = PEOPLE[request.param]
    jar = {} if claims is None else {COOKIE: f"{[*PEOPLE].index(request.param):032x}", "_streamlit_xsrf": XSRF}
    return request.param, Visitor(server[0], jar | (cookies(claims, server[0]) if claims else {}))


@pytest.mark.parametrize("kind", Visibility)
@pytest.mark.parametrize("way", ["page", "embed"])
def test_a_comparison_is_shown_to_whom_it_is_open(server, visitor, ids, kind, way):
    name, who = visitor
    query = f"id={ids[kind]}" + ("&embed=true" if way == "embed" else "")
    if server[1] and name in OUTSIDE:
        with pytest.raises(InvalidStatus, match="403"):
            who.shown(query)
        return
    seen = b"".join(message.SerializeToString() for message in who.shown(query))
    assert (f"Kestrel {kind.name}".encode() in seen) is (name in MAY_OPEN[kind])


@pytest.mark.parametrize("kind", Visibility)
def test_its_link_tells_chats_of_it_where_everybody_may_open_it(server, visitor, ids, kind):
    told = not server[1] and kind is Visibility.link
    _, page, _ = visitor[1].ask(f"/share?id={ids[kind]}")
    assert ("og:title" in page and "Kestrel" in page) is told and ("Kestrel" in page) is told
    status, _, headers = visitor[1].ask(f"/share-preview/{ids[kind]}.png")
    assert (status == 200 and headers["content-type"] == "image/png") is told


@pytest.mark.parametrize("kind", Visibility)
def test_a_program_reads_what_the_page_shows(server, visitor, ids, kind):
    name, who = visitor
    opens, closed = name in MAY_OPEN[kind], server[1] and name in OUTSIDE
    for end, type in (("", "application/json"), (".png", "image/png")):
        for method in ("GET", "HEAD"):
            status, text, headers = who.ask(f"/api/comparisons/{ids[kind]}{end}", method, Accept="*/*")
            assert status == (403 if closed else 200 if opens else 404)
            assert (status == 200 and headers["content-type"] == type) is (opens and not closed)
            if end == "" and method == "GET":
                assert (f"Kestrel {kind.name}" in text) is (opens and not closed)
            elif status != 200:
                assert "Kestrel" not in text


def test_a_program_deletes_what_it_saved_and_nothing_else(server, visitor, ids):
    name, who = visitor
    closed, ada = server[1] and name in OUTSIDE, Visitor(server[0], cookies(ADA, server[0]))
    if name != "Ada, whose they are":
        for kind, id in ids.items():
            status = who.ask(f"/api/comparisons/{id}", "DELETE", Accept="*/*")[0]
            assert status == (403 if closed or name in MAY_OPEN[kind] else 404)
            assert ada.ask(f"/api/comparisons/{id}", Accept="*/*")[0] == 200
    sent = {"Content-Type": "application/json", "Accept": "*/*"}
    path = "/api/comparisons?for=private"
    assert who.ask(path, "POST", to_bundle(example()), Origin="http://evil.example", **sent)[0] == 403
    status, text, _ = who.ask(path, "POST", to_bundle(example()), **sent)
    assert status == (403 if closed else 201)
    if closed:
        return
    made = json.loads(text)
    key = {"Authorization": f"Bearer {made['owner_key']}"} if "owner_key" in made else {}
    assert bool(key) is (name == "nobody")
    others = Visitor(server[0], cookies(PEOPLE["Bob, logged in"], server[0]) if name.startswith("Ada") else ada.cookies)
    one = f"/api/comparisons/{made['id']}"
    for method in ("GET", "DELETE"):
        assert others.ask(one, method, Accept="*/*")[0] == 404
    assert who.ask(one, Accept="*/*", **key)[0] == 200
    assert who.ask(one, "DELETE", Accept="*/*", **key)[0] == 204
    assert who.ask(one, Accept="*/*", **key)[0] == 404


def test_a_download_is_for_whom_the_server_is(server, visitor):
    owner = Visitor(server[0], {"_streamlit_xsrf": XSRF, **cookies(ADA, server[0])})
    with owner.stream() as opened:
        asked = BackMsg()
        asked.rerun_script.page_name = "share"
        said = b"".join(message.SerializeToString() for message in answers(opened, asked))
        address = re.search(rb"/media/[0-9a-f]+\.png", said)[0].decode()  # of the page's icon; any file's is such
        status, text, _ = visitor[1].ask(address)
    assert status == (403 if server[1] and visitor[0] in OUTSIDE else 200) and ("PNG" in text) is (status == 200)


def test_the_first_message_tells_nothing_of_the_machine(server):
    owner = Visitor(server[0], {"_streamlit_xsrf": XSRF, **cookies(ADA, server[0])})
    (first,) = [message.new_session for message in owner.shown("") if message.HasField("new_session")]
    assert first.main_script_path == "router.py" and str(ROOT).encode() not in first.SerializeToString()
    about = first.initialize.environment_info
    assert about.python_version == about.server_os == "" and about.streamlit_version


def put(who: Visitor, visit: str, method: str = "PUT") -> int:
    """The status of an upload to a visit."""
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\nstep,loss\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x", "X-Xsrftoken": XSRF, "Content-Length": str(len(body))}
    jar = who.cookies | {"_streamlit_xsrf": XSRF}
    return replace(who, cookies=jar).ask(f"/_stcore/upload_file/{visit}/1", method, body, **headers)[0]


def test_a_visit_is_of_use_in_its_own_browser_alone(server, visitor):
    name, who = visitor
    outside = server[1] and name in OUTSIDE
    account = cookies(PEOPLE["Bob, logged in"], server[0]) if server[1] else {}
    owner = Visitor(server[0], {COOKIE: "f" * 32, "_streamlit_xsrf": XSRF, **account})
    with owner.stream() as opened:
        visit = begun(opened)
        assert put(owner, visit) == put(owner, visit, "DELETE") == 204
        assert put(who, visit) == put(who, visit, "DELETE") == (403 if outside else 400)
        assert put(who, "nobody's") == (403 if outside else 400)
        try:
            with who.stream(visit=visit) as other:  # while its own browser is there
                assert begun(other) != visit
        except InvalidStatus as refusal:
            assert outside and refusal.response.status_code == 403
        assert begun(opened) == visit
    with owner.stream(visit=visit) as again:  # after a connection was lost
        assert begun(again) == visit


def test_metrics_are_read_by_whom_the_server_is_for(server, visitor):
    name, who = visitor
    outside = server[1] and name in OUTSIDE
    status, text, _ = who.ask("/_stcore/metrics")
    assert (status, "active_sessions" in text) == ((403, False) if outside else (200, True))
    assert who.ask("/_stcore/metrics", Authorization=f"Bearer {WORD}")[0] == 200


def test_a_page_of_another_site_gets_nobodys_rights(server, visitor, ids):
    name, who = visitor
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
        with pytest.raises(InvalidStatus, match="403"), who.stream(origin=origin):
            pass
    status, text, _ = who.ask(f"/share?id={ids[Visibility.link]}", Host="evil.example")  # a name that was pointed here
    assert status == 421 and "Kestrel" not in text
