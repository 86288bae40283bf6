"""The pictures of README and docs, taken anew from the app with its bundled runs: `python -m docs.pictures`."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmarks.startup import Server, chromium
from tests.browser.conftest import ready

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1280, 1000  # px of the window, before it is as high as the page
SETTLED = 3_000  # ms after which charts and tables are drawn
PATIENCE = 180_000  # ms for a fit
COLOURS = 256  # of a picture: charts have few, and it weighs a third of what it would in all of them
ABOVE_TEXT = 24  # px between the end of a picture and the text that it ends above
TITLE = "Schedules for the 8,000-update run"


def main() -> None:
    """Write the pictures beside this file."""
    server = Server("app.py")
    try:
        url = server.start()
        with chromium() as browser:
            for scheme, take in (("light", _light), ("dark", _dark)):
                page = browser.new_context(color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}).new_page()
                page.set_default_timeout(PATIENCE)
                take(page, url)
                page.context.close()
    finally:
        server.stop()


def _light(page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Try it with real runs").click()
    page.locator(".st-key-decide_answer h3").wait_for()
    _picture(page, "decide.png", above="Candidates")
    link = _shared(page)
    _open(page, "Evidence")
    page.get_by_text("Predicted and observed").wait_for()
    _picture(page, "evidence.png", above="Tune the coefficients")
    _open(page, "Live")
    page.get_by_text("Low and high: a 90 % band").wait_for()
    _picture(page, "live.png", above="AutoLRS: stages of constant rate")
    _open(page, "Plan")
    page.get_by_role("heading", name="What goes with it").wait_for()
    _picture(page, "plan.png", above="What goes with it")
    _open(page, "Sweep")
    page.get_by_text("standard deviation").first.wait_for()
    _picture(page, "sweep.png")
    page.goto(link)
    page.get_by_role("heading", name="Ranking").wait_for()
    _picture(page, "share.png", above="Ranking")


def _dark(page, url: str) -> None:
    page.goto(f"{url}/runs")
    page.locator(".js-plotly-plot").first.wait_for()
    _picture(page, "runs-dark.png")


def _shared(page) -> str:
    """The link of the comparison on the screen, saved."""
    page.get_by_text("Save and share").click()
    page.get_by_label("Title", exact=True).fill(TITLE)
    page.get_by_role("button", name="Save and get a link").click()
    found = page.locator('[data-testid="stCode"] code', has_text="share?id=")
    found.wait_for()
    return found.last.inner_text()


def _open(page, name: str) -> None:
    """A page of the menu, in which Tools open with a click."""
    there = page.locator('a[data-testid^="stTopNav"]', has_text=name)
    if not there.count():
        page.locator("header").get_by_text("Tools", exact=True).click()
    there.click()
    page.locator("h1", has_text=name).wait_for()


def _picture(page, name: str, above: str | None = None) -> None:
    """The page from its top to its end, or to what lies `above` a text."""
    ready(page)
    page.mouse.move(0, HEIGHT / 2)  # off the menu, so that nothing hangs open or is under the pointer
    page.wait_for_timeout(SETTLED)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": int(height)})
    page.wait_for_timeout(SETTLED)
    if above:  # the text itself rather than a link to it
        at = page.get_by_text(above, exact=True).and_(page.locator(":not(a)")).first
        height = at.bounding_box()["y"] - ABOVE_TEXT
    taken = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    few = Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(HERE / name, optimize=True)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


if __name__ == "__main__":
    main()
