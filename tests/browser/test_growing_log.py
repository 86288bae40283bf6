"""A growing log on the Live page, in a real browser: it arrives by itself, and what was chosen stays."""

import pytest

from tests.browser.conftest import ready

SEEN = """() => document.querySelector('.js-plotly-plot')?._fullData.find(t => t.name === 'observed')?.x.at(-1)"""
PLACED = "() => window.placed.every(element => element.isConnected)"
PLACE = """() => { window.placed = [...document.querySelectorAll(
    '[data-testid="stSelectbox"], [data-testid="stMetric"], [data-testid="stCheckbox"]')] }"""


@pytest.fixture
def folder(tmp_path):
    """Two logs; the last line of one is half written."""
    for name, last in (("first", 40), ("second", 60)):
        lines = "".join(f"{i},{3 - i / 100},1e-3\n" for i in range(0, last + 1, 2))
        (tmp_path / f"{name}.csv").write_text(f"step,loss,lr\n{lines}")
    with (tmp_path / "second.csv").open("a") as log:
        log.write("62,2.")
    return tmp_path


def test_a_log_that_grows_arrives_by_itself(serve, page, folder):
    at = page(f"{serve('app.py', env={'OPTLAWS_LIVE': str(folder)})}/live")
    at.get_by_text("Re-read the server's logs").click()
    at.wait_for_timeout(500)
    ready(at)  # a list that is open when the page is drawn anew closes
    run = at.locator('[data-testid="stSelectbox"]').filter(has=at.get_by_text("Run", exact=True)).locator("input")
    option = at.get_by_role("option", name="second")
    for _ in range(20):
        if option.is_visible():
            break
        run.click()
        at.wait_for_timeout(500)
    option.click()
    at.wait_for_function(f"() => ({SEEN})() === 60")
    ready(at)
    at.evaluate(PLACE)
    with (folder / "second.csv").open("a") as log:
        log.write("38,1e-3\n64,2.36,1e-3\n66,2.3")
    at.wait_for_function(f"() => ({SEEN})() === 64")
    assert run.input_value() == "second" and at.evaluate(PLACED)
    assert at.locator('[data-testid="stException"]').count() == 0
