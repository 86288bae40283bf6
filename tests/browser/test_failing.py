"""An error that nobody foresaw, in a real browser: one sentence and an id, and the same id in the server's log."""

import re

import pytest

from tests.browser.conftest import Server, ready

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def server(browser):
    """A server whose page fails on request, with room for 1 MB of uploads."""
    running = Server("tests/browser/failing_app.py")
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("where", ("script", "fragment", "callback"))
def test_an_error_shows_an_id_and_loses_nothing(server, said, page, where):
    at = page(server.url)
    at.get_by_role("button", name="Count").click()
    at.get_by_text("Counted 1").wait_for()
    at.get_by_role("button", name=f"Fail in the {where}").click()
    told = at.get_by_text("Something went wrong here")
    told.wait_for()
    ready(at)
    id = re.search(r"id ([0-9a-f]{8})\.", told.inner_text())[1]
    shown = at.content()
    assert [word for word in ("KeyError", "Traceback", "unforeseen") if word in shown] == []
    logged = said()
    assert logged.count("Traceback") == 1 and f"id {id}" in logged
    assert f"KeyError: 'unforeseen: {where}'" in logged
    at.get_by_role("button", name="Show the page again").click()
    told.wait_for(state="detached")
    at.get_by_text("Counted 1").wait_for()


@pytest.mark.parametrize("name", ("Stop", "Run again"))
def test_control_flow_is_no_error(server, said, page, name):
    at = page(server.url)
    at.get_by_role("button", name=name).click()
    ready(at)
    assert at.get_by_text("Something went wrong").count() == 0 and "Traceback" not in said()


def test_uploads_past_a_visitors_room_are_refused_and_the_others_stay(server, page):
    at, statuses = page(server.url), {}
    at.on("response", lambda r: statuses.update({r.url: r.status}) if r.request.method == "PUT" else None)
    files = [
        {"name": name, "mimeType": "text/csv", "buffer": b"x" * size}
        for name, size in (("a.csv", 600_000), ("b.csv", 600_000), ("c.csv", 100))
    ]
    at.locator('input[type="file"]').set_input_files(files)
    at.get_by_text("2 here").wait_for()
    assert sorted(statuses.values()) == [204, 204, 413]
    other = page(server.url)  # the room of one visitor is not taken from another
    other.locator('input[type="file"]').set_input_files(files[:1])
    other.get_by_text("1 here").wait_for()
    assert len(files[0]["buffer"]) < MEGABYTE < 2 * len(files[0]["buffer"])
