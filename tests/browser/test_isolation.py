"""Two visitors of one server: what one uploads, fits and downloads does not reach the other, nor the server's log."""

import pytest

from tests.browser.conftest import LONG, TOOLS, go, ready

PAGES = ("Decide", "Evidence", "Shared", *TOOLS)
SECRET = "kestrel-9173"  # in names of files and runs
LOSS = 4.321987  # of the secret runs' first rows


def log(level: float) -> bytes:
    """A run whose loss falls from `LOSS`."""
    rows = "".join(f"{t},{LOSS - 1.3 * (1 - (1 + t / 50) ** -level):.6f},{1e-3:.6g}\n" for t in range(0, 1000, 10))
    return f"step,loss,lr\n{rows}".encode()


@pytest.fixture(autouse=True)
def _the_log_names_no_runs(said):
    yield
    assert SECRET not in said() and "Traceback" not in said(), said()[-2000:]


def uploaded(page, server):
    """A visitor who has uploaded three secret runs; the addresses that the browser uploaded to are in `sent`."""
    at = page(f"{server.url}/runs")
    at.sent = []
    at.on("request", lambda request: at.sent.append(request) if "upload_file" in request.url else None)
    files = [
        {"name": f"{SECRET}-{i}.csv", "mimeType": "text/csv", "buffer": log(level)}
        for i, level in enumerate((0.4, 0.5, 0.6))
    ]
    at.locator('input[type="file"]').first.set_input_files(files)
    at.get_by_text("Read 3 runs from 3 files").wait_for()
    ready(at)
    return at


def everything(at) -> str:
    """All that a page holds, seen or not: its text, its fields, its charts' names and its addresses."""
    return at.content() + at.evaluate(
        """() => JSON.stringify([
            [...document.querySelectorAll('input, textarea')].map(field => field.value),
            [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot._fullData.map(t => [t.name, t.text])),
        ])"""
    )


def none_has_the_secret(at) -> None:
    """Walk over all pages by the menu."""
    for name in PAGES:
        go(at, name)
        assert SECRET not in everything(at), name


def test_nothing_of_one_visitor_is_on_any_page_of_another_even_while_a_fit_runs(server, page):
    one = uploaded(page, server)
    assert SECRET in everything(one)
    go(one, "Evidence")
    one.get_by_role("button", name="Fit", exact=True).click()
    other = page(server.url)
    none_has_the_secret(other)
    one.get_by_text("Fitting").first.wait_for(state="detached", timeout=LONG)
    ready(one)
    assert SECRET in everything(one)
    other.reload()  # another visit
    ready(other)
    none_has_the_secret(other)


def test_uploads_and_files_of_the_server_cannot_be_had_by_their_addresses(server, page):
    one, other = uploaded(page, server), page(f"{server.url}/share")
    assert one.sent
    for request in one.sent:
        for method in ("GET", "POST"):
            answer = other.request.fetch(request.url, method=method)
            # an unknown address shows the app itself, which holds no data
            assert (answer.status >= 400 or b"<title>" in answer.body()) and str(LOSS).encode() not in answer.body()
        # a visit of another browser is as good as none
        assert other.request.fetch(request.url, method="DELETE").status == 400
    for path in (
        "/media/",
        "/media/0a1b2c.csv",
        "/media/..%2f..%2fapp.py",
        "/media/../app.py",
        "/component/..%2f..%2fapp.py",
        "/app/static/app.py",
        "/static/..%2f..%2fapp.py",
        "/data/examples.csv",
        "/.streamlit/config.toml",
        "//app.py",
    ):
        answer = other.request.get(server.url + path)
        assert answer.status >= 400 or b"<title>" in answer.body(), path
        assert not any(word in answer.body() for word in (b"import streamlit", b"step,", b"maxUploadSize")), path


def test_an_upload_to_no_session_is_refused(server, page):
    answer = page(f"{server.url}/share").request.put(f"{server.url}/_stcore/upload_file/nobody/1", data=b"x" * 100)
    assert answer.status in (400, 403)


def test_equal_logs_keep_their_names(server, page):
    """Caches go by content, so two visitors with the same losses may share a result, but never a name."""
    one, twin = uploaded(page, server), page(f"{server.url}/runs")
    files = [{"name": "mine.csv", "mimeType": "text/csv", "buffer": log(0.4)}]  # as the first secret run
    twin.locator('input[type="file"]').first.set_input_files(files)
    twin.get_by_text("Read 1 run from 1 file").wait_for()
    ready(twin)
    assert "mine" in everything(twin) and SECRET not in everything(twin)
    assert SECRET in everything(one) and "mine" not in everything(one)
