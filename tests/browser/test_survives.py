"""A workspace survives F5, a second tab, a typed address and a restart of the server; other browsers see none of it."""

import pytest

from tests.browser.conftest import go, ready
from tests.browser.test_isolation import log

NAMES = ("heron-1", "heron-2")
DRAWN = """() => [...new Set([...document.querySelectorAll('.js-plotly-plot')]
    .flatMap(plot => plot._fullData.map(t => t.name)))].sort()"""


def shows(at) -> None:
    """The visitor's own runs are there, and the bundled ones are not."""
    ready(at)
    assert at.evaluate(DRAWN) == list(NAMES)


@pytest.fixture
def visitor(server, page):
    """Somebody who uploaded two runs, and added a candidate."""
    at = page(f"{server.url}/runs")
    files = [
        {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": log(0.4 + i / 10)} for i, name in enumerate(NAMES)
    ]
    at.locator('input[type="file"]').first.set_input_files(files)
    at.get_by_text("Read 2 runs from 2 files").wait_for()
    ready(at)
    go(at, "Schedules")
    at.get_by_role("button", name="Add to the candidates").click()
    at.get_by_text("Added. Schedules on the Decide page: 1.").wait_for()
    ready(at)
    return at


def candidates_are_there(at, server) -> None:
    at.goto(f"{server.url}/schedules")
    ready(at)
    at.get_by_role("button", name="Add to the candidates").click()
    at.get_by_text("Added. Schedules on the Decide page: 2.").wait_for()
    ready(at)


def test_nothing_is_lost(visitor, server, page):
    visitor.goto(f"{server.url}/runs")  # a typed address
    shows(visitor)
    visitor.reload()
    shows(visitor)
    second = visitor.context.new_page()
    second.goto(f"{server.url}/runs")
    shows(second)
    server.restart()
    second.goto(f"{server.url}/runs")
    shows(second)
    candidates_are_there(second, server)
    stranger = page(f"{server.url}/runs")
    assert not set(NAMES) & set(stranger.evaluate(DRAWN))
    assert "heron" not in stranger.content()


def test_two_tabs_destroy_nothing_of_each_other(visitor, server):
    second = visitor.context.new_page()
    second.goto(f"{server.url}/schedules")
    ready(second)
    second.get_by_role("button", name="Add to the candidates").click()
    second.get_by_text("Added. Schedules on the Decide page: 2.").wait_for()
    ready(second)
    visitor.get_by_role("button", name="Add to the candidates").click()
    visitor.get_by_text("Another tab of this browser changed the same work at the same time").wait_for()
    ready(visitor)
    go(visitor, "Shared")
    visitor.get_by_text("Your work on this server").wait_for()
    visitor.get_by_role("button", name="Open", exact=True).wait_for()


def test_everything_can_be_forgotten(visitor, server, said):
    go(visitor, "Shared")
    visitor.get_by_text("Forget everything on this server").click()
    visitor.get_by_role("button", name="Forget it all").click()
    visitor.get_by_text("Nothing is kept yet.").wait_for()
    visitor.goto(f"{server.url}/runs")
    ready(visitor)
    assert not set(NAMES) & set(visitor.evaluate(DRAWN))
    assert "Traceback" not in said(), said()[-3000:]
