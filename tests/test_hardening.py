"""What a public server must withstand: too many uploads, hostile tables, numbers out of bounds, unforeseen errors."""

import ast
import asyncio
import gc
import gzip
import logging
import re
import threading
import tomllib
from dataclasses import fields, replace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.testing.v1 import AppTest

from optlaws_core import LogError, OptLawsError, Plan, ScheduleError, parse
from optlaws_core.errors import Cancelled
from optlaws_core.exports import TARGETS, export
from optlaws_core.final_loss import candidates, fit_table, rank_final, read_table
from optlaws_core.final_loss.final_laws import PlanFeatures
from optlaws_core.hyper import recommend
from optlaws_core.readers import MOST_BYTES, MOST_FILES, Source, frames
from optlaws_core.readers.frames import read_frame
from optlaws_core.runs import MOST_UPDATES
from optlaws_core.text import parse_amount
from pages.parts.runs import files
from pages.parts.schedules import gallery
from pages.parts.server import errors, limits
from pages.parts.state import library, workspace
from pages.parts.state.table_file import TableFile
from tests.places import ROOT
from tests.support import loops

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
LOG = b"step,loss,lr\n" + b"".join(b"%d,%f,1e-3\n" % (t, 4 - t / 100) for t in range(0, 200, 10))


# ---------------------------------------------------------------------------------------------------- uploads


class Server:
    """Streamlit's part: where uploads wait, and which sessions there are."""

    def __init__(self) -> None:
        self.uploaded_file_mgr = MemoryUploadedFileManager("/_stcore/upload_file")
        self.active = {"one", "other"}
        self.gate = limits.UploadLimits(self._take)

    def is_active_session(self, session: str) -> bool:
        return session in self.active

    async def _take(self, scope, receive, send) -> None:
        """Keep an upload of the announced length, as Streamlit's route does."""
        if scope["method"] == "PUT" and (found := re.fullmatch(r".*/upload_file/(.*)/(.*)", scope["path"])):
            size = int(dict(scope["headers"])[b"content-length"])
            record = UploadedFileRec(found[2], "a.csv", "text/csv", b"x" * size)
            self.uploaded_file_mgr.add_file(found[1], record)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def put(self, session: str, file: str, size: int | None, *headers, method: str = "PUT") -> tuple[int, str]:
        """Status and text of the answer."""
        length = [] if size is None else [(b"content-length", b"%d" % size)]
        path, said = f"/_stcore/upload_file/{session}/{file}", []
        scope = {"type": "http", "method": method, "path": path, "headers": [*length, *headers]}

        async def send(message) -> None:
            said.append(message)

        async def ask() -> None:
            await self.gate(scope, None, send)

        loops.run(ask())
        return said[0]["status"], b"".join(m.get("body", b"") for m in said).decode()


@pytest.fixture
def server(monkeypatch) -> Server:
    """Room for 1 MB a visitor, 1.5 MB in all, three files."""
    made = Server()
    monkeypatch.setattr(limits, "Runtime", type("Runtime", (), {"instance": staticmethod(lambda: made)}))
    monkeypatch.setattr(limits, "MOST_WAITING", 2**20)
    monkeypatch.setattr(limits, "MOST_TOGETHER", 3 * 2**19)
    monkeypatch.setattr(limits, "MOST_WAITING_FILES", 3)
    monkeypatch.setattr(limits, "_refused", {})
    return made


def test_a_visitors_uploads_are_limited_in_sum(server):
    assert server.put("one", "a", 2**19) == (204, "") == server.put("one", "b", 2**19)
    status, said = server.put("one", "c", 2**18)
    assert status == 413 and said == "1 MB at once may be uploaded, with this file it would be 2 MB."
    assert server.put("other", "a", 2**19)[0] == 204  # has room of its own
    assert server.put("other", "b", 2**19)[1].startswith("2 MB at once by all visitors")
    server.uploaded_file_mgr.remove_file("one", "a")
    assert server.put("one", "c", 2**18)[0] == 204  # what was read makes room


def test_a_visitors_uploads_are_limited_in_number(server):
    assert [server.put("one", name, 1)[0] for name in "abcd"] == [204, 204, 204, 413]
    assert server.put("one", "a", 2)[0] == 204  # in the place of one that is there


@pytest.mark.parametrize("size, headers", [(None, ()), (5, ((b"transfer-encoding", b"chunked"),)), (-5, ())])
def test_an_upload_of_unknown_length_is_refused(server, size, headers):
    assert server.put("one", "a", size, *headers) == (
        411,
        "An upload must state its length in advance; this one does not.",
    )


def test_uploads_on_their_way_count(server):
    server.gate.coming["one", "a"] = 2**20
    assert server.put("one", "b", 1)[0] == 413
    assert server.put("one", "a", 1)[1] == "This file is already being uploaded; wait until that has ended."
    del server.gate.coming["one", "a"]
    assert server.put("one", "b", 1)[0] == 204 and server.gate.coming == {}


def test_an_upload_that_stops_coming_gives_up_its_room(server, monkeypatch):
    monkeypatch.setattr(limits, "PATIENCE", 0.05)
    heard = []

    async def never():
        await asyncio.sleep(600)

    async def streamlit(scope, receive, send):
        heard.append((dict(server.gate.coming), await receive()))

    server.gate.app = streamlit
    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/_stcore/upload_file/one/a",
        "headers": [(b"content-length", b"9")],
    }
    loops.run(server.gate(scope, never, None))
    assert heard == [({("one", "a"): 9}, {"type": "http.disconnect"})] and server.gate.coming == {}


def test_other_requests_pass(server):
    server.gate.coming["one", "a"] = 2**20
    assert server.put("one", "a", None, method="DELETE")[0] == 204
    assert server.put("one", "a/b", None, method="GET")[0] == 204


def test_a_page_hears_of_what_was_refused_once_and_of_no_other_visitor(server):
    for session_id in ("one", "one", "nobody"):
        server.put(session_id, "a", None)
    assert limits.refusals("nobody") == "" == limits.refusals("other")
    assert limits.refusals("one") == "2 files refused: An upload must state its length in advance; this one does not."
    assert limits.refusals("one") == ""
    server.put("one", "a", None)
    server.active.remove("one")
    server.put("other", "a", None)
    assert set(limits._refused) == {"other"}


def test_the_servers_limits_are_the_readers():
    assert CONFIG["server"]["maxUploadSize"] * 2**20 == MOST_BYTES >= files.MOST_MB * 2**20
    assert limits.MOST_WAITING == 2 * MOST_BYTES and limits.MOST_WAITING_FILES == 10 * MOST_FILES
    assert limits.MOST_TOGETHER == 8 * MOST_BYTES


@pytest.mark.parametrize("limit, thing", [("MOST_RUNS", "2 runs"), ("MOST_LOSSES", "50 losses")])
def test_a_visitors_runs_are_limited_and_too_many_lose_nothing(monkeypatch, limit, thing):
    space = workspace.Workspace()
    space.load_example()
    monkeypatch.setattr(library, limit, int(thing.split()[0]))
    space.upload([Source("a.csv", LOG), Source("b.csv", LOG)])
    before = dict(space.runs), dict(space.reports), dict(space.sources)
    with pytest.raises(LogError, match=f"^{thing} can be loaded at once, these make it (3|60); remove some first.$"):
        space.upload([Source("c.csv", LOG)])
    assert (space.runs, space.reports, space.sources) == before
    assert len(space.upload([Source("b.csv", LOG)]).runs) == 1  # in the place of one that is there


# ---------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "data, what",
    [
        (gzip.compress(b"x" * 10_000, mtime=0), "this is a gzip archive; unpack it and give the logs inside."),
        (b"PK\x03\x04" + b"\0" * 100, "this is a ZIP archive; unpack it and give the logs inside."),
        (b"\x80\x04\x95" + b"x" * 100, "this is a Python pickle, which could run code when opened; export it as CSV."),
        (b"\0" * 1000, "a log must be text, a Parquet file or a TensorBoard event file, but this holds binary data."),
        (b",".join(b"c%d" % i for i in range(6_000)), "a table may have 5,000 columns, this one has 6,000 or more."),
        (b"a\n" + b"1\n" * 100_000, "a table may have 100,000 lines, this one has 100,001 or more."),
        (
            b",".join(b"c%d" % i for i in range(4_000)) + b"\n" + b"1\n" * 5_000,
            "a table may have 5,000,000 cells, this one has 5,004,000 or more.",
        ),
    ],
    ids=["gzip", "zip", "pickle", "binary", "columns", "lines", "cells"],
)
@pytest.mark.parametrize("read", [lambda data: read_frame(data, "t.csv"), lambda d: TableFile("t.csv", d).frame])
def test_a_table_that_is_none_or_unpacks_to_too_much_is_refused(read, data, what):
    with pytest.raises(LogError) as refused:
        read(data)
    assert str(refused.value) == f"t.csv: {what}"


def test_a_table_at_its_limits_is_read(monkeypatch):
    monkeypatch.setattr(frames, "MOST_LINES", 3)
    assert read_frame(b"a,b\n1,2\n3,4\n\n\n", "t.csv").shape == (2, 2)


# ---------------------------------------------------------------------------------------------------- work


@pytest.mark.parametrize("text", ["1e-300", "9" * 400, "1e400", "1e31", "0.0"])
def test_amounts_beyond_all_bounds_are_refused(text):
    with pytest.raises(OptLawsError, match="must be above 0" if text == "0.0" else "must lie between 1e-30 and 1e"):
        parse_amount(text)


@pytest.mark.parametrize("loss", [1.1e-30, 0.9e30])
def test_laws_take_whatever_amount_is_read(loss):
    assert recommend(parse_amount("1e9"), parse_amount("1e11"), None, loss)


@pytest.mark.slow
def test_final_losses_take_no_plan_that_would_keep_the_server_busy():
    fit = fit_table(read_table(ROOT / "data" / "manifest.csv", sure=True), bands=False)
    plans = candidates(1e8, 1.0, [MOST_UPDATES + 1e3], [1e-3])
    match = "^These laws take at most 1,000,000,000 updates of a run, got 1,000,001,000.$"
    with pytest.raises(OptLawsError, match=match):
        rank_final(fit, plans)
    with pytest.raises(OptLawsError, match="got 1,000,000,000,000"):
        PlanFeatures([Plan(parse("cosine(peak=1e-3, warmup=0, total=1000000000000)"), 1e8, 1e5)], 1e8, 1e5)


def test_a_fit_ends_when_its_visitor_has_gone():
    space, begun, gone, ended = workspace.Workspace(), threading.Event(), threading.Event(), threading.Event()

    def work(progress) -> None:
        assert progress(0.1, 1.0)
        begun.set()
        gone.wait(60)
        try:
            if not progress(0.2, 1.0):
                raise Cancelled
        finally:
            ended.set()

    space.start("A fit", work)
    future = space.job.future
    assert begun.wait(60)
    del space
    gc.collect()
    gone.set()
    assert ended.wait(60) and isinstance(future.exception(60), Cancelled)


# ---------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize("family", gallery.examples())
def test_no_text_gets_into_the_code_of_an_export(family):
    example = gallery.examples()[family]
    for name in (f.name for f in fields(example) if isinstance(getattr(example, f.name), str)):
        for text in ("__import__('os').system('true')", "linear\nimport os", "'); import os #"):
            with pytest.raises(ScheduleError):
                replace(example, **{name: text})
            with pytest.raises(ScheduleError):
                parse(f"{family}({name}={text})")
    for target in TARGETS:
        made = export(example, target)
        if made.suffix == ".py":
            assert not re.search(r"\b(os|sys|subprocess|__import__|eval|exec|open)\b", made.text)


# ---------------------------------------------------------------------------------------------------- errors


def test_an_unforeseen_error_is_a_sentence_and_an_id_with_the_traceback_in_the_log(caplog):
    def page() -> None:
        from pages.parts.server import errors

        try:
            raise KeyError("kestrel")
        except KeyError as error:
            assert errors.tell(error) is True

    with caplog.at_level(logging.ERROR, "optlaws.errors"):
        app = AppTest.from_function(page).run()
    assert not app.exception
    (told,), (record,) = app.error, caplog.records
    found = re.fullmatch(
        r"Something went wrong here; id ([0-9a-f]{8})\. None of your work was lost\. "
        r"The server's log has the details under this id\.",
        told.value,
    )
    assert found and record.getMessage() == f"Unforeseen error, id {found[1]}"
    assert record.exc_info[0] is KeyError and "kestrel" not in told.value
    assert app.button[0].label == "Show the page again"


def test_streamlits_own_record_of_the_same_error_is_left_out():
    streamlits = logging.getLogger("streamlit.error_util")
    for text, kept in ((errors.TWICE, False), ("on_script_error handler raised an exception", True)):
        record = streamlits.makeRecord(streamlits.name, logging.ERROR, "", 0, text, (), None)
        assert bool(streamlits.filter(record)) is kept


def test_details_of_errors_stay_on_the_server():
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert not {"enableXsrfProtection", "enableCORS", "enableStaticServing"} & set(CONFIG["server"])  # safe by default


def test_the_server_tells_errors_and_asks_who_comes_before_what_they_want():
    calls = [n for n in ast.walk(ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    (made,) = [n for n in calls if ast.unparse(n.func) == "st.App"]
    given = {k.arg: ast.unparse(k.value) for k in made.keywords}
    assert given == {"on_script_error": "errors.tell", "middleware": "around"}
    around = [ast.unparse(n.args[0]) for n in calls if ast.unparse(n.func) == "Middleware"]
    rest = [
        "ready.Ready",
        "api.Api",
        "visits.Visits",
        "messages.Messages",
        "base.Base",
        "previews.Previews",
        "limits.UploadLimits",
    ]
    assert around == ["guard.Guard", "hosts.Hosts", "logout.LogOut", "login.Login", *rest]
