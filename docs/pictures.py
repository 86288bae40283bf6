"""The README's pictures, taken anew from the app with its bundled runs: `python -m docs.pictures`."""

from pathlib import Path

from benchmarks.startup import Server, chromium

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1280, 1000  # px of the window, before it is as high as the page
SETTLED = 3_000  # ms after which charts and tables are drawn
PATIENCE = 120_000  # ms for a fit


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
    page.goto(f"{url}/fit")
    page.get_by_role("button", name="Fit", exact=True).click()
    page.get_by_text("Predicted and observed").wait_for()
    _picture(page, "fit.png")
    _open(page, "Compare")
    page.get_by_role("heading", name="Ranking").wait_for()
    _picture(page, "compare.png", above="Find the best schedule")
    _open(page, "Live")
    page.get_by_text("Low and high: a 90 % band").wait_for()
    _picture(page, "live.png", above="AutoLRS: stages of constant rate")
    _open(page, "Plan")
    page.get_by_role("heading", name="What goes with it").wait_for()
    _picture(page, "plan.png", above="What goes with it")
    _open(page, "Sweep")
    page.get_by_text("standard deviation").first.wait_for()
    _picture(page, "sweep.png")


def _dark(page, url: str) -> None:
    page.goto(url)
    page.locator(".js-plotly-plot").first.wait_for()
    _picture(page, "runs-dark.png")


def _open(page, name: str) -> None:
    page.locator("header").get_by_role("link", name=name).click()


def _picture(page, name: str, above: str | None = None) -> None:
    """The page from its top to its end, or to what lies `above` a text."""
    page.wait_for_timeout(SETTLED)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": int(height)})
    page.wait_for_timeout(SETTLED)
    end = page.get_by_text(above, exact=True).first.bounding_box()["y"] - 24 if above else height
    page.screenshot(path=HERE / name, clip={"x": 0, "y": 0, "width": WIDTH, "height": end})
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


if __name__ == "__main__":
    main()
