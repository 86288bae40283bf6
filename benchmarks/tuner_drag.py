"""How long a step of the live tuner takes in Chromium, from the slider's event to the painted curves, eight runs shown.

    python benchmarks/tuner_drag.py

Measured in the page itself with `performance.measure`: from the event's time stamp to the start of the frame after the
one that drew, so the wait for the frame and the painting are in it.
"""

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.conftest import Server, chromium, ready  # noqa: E402

LAWS = {"opt_laws_curve": "q", "annealing": "lam", "power_law": "alpha"}  # law -> the coefficient that is dragged
STEPS = 150
BAR = 50  # ms, median
TIMES = "performance.getEntriesByName('optlaws-tuner-step').map(e => e.duration)"


def drag(page, name: str) -> list[float]:
    """Milliseconds of each redraw while the slider of `name` is dragged to and fro with the mouse."""
    page.evaluate("performance.clearMeasures()")
    box = page.locator(f'input[type="range"][data-param="{name}"]').bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    for i in range(STEPS):
        share = 0.5 + 0.4 * (1 - abs(1 - (4 * i / STEPS) % 2))
        page.mouse.move(box["x"] + share * box["width"], y)
        page.wait_for_timeout(5)  # a hand is slower than a script: else several steps fall into one frame
    page.mouse.up()
    return page.evaluate(TIMES)


def press(page, name: str) -> list[float]:
    """The same for arrow keys."""
    page.evaluate("performance.clearMeasures()")
    page.locator(f'input[type="range"][data-param="{name}"]').focus()
    for i in range(STEPS):
        page.keyboard.press("ArrowRight" if i < STEPS // 2 else "ArrowLeft")
    return page.evaluate(TIMES)


def measure() -> list[tuple[str, str, int, float, float]]:
    """Rows of (law, how, redraws, median ms, 90th percentile ms)."""
    server, rows = Server("tests/browser/tuner_app.py"), []
    try:
        url = server.start()
        with chromium() as browser:
            for law, name in LAWS.items():
                page = browser.new_page(viewport={"width": 1500, "height": 900})
                page.goto(f"{url}/?law={law}")
                ready(page)
                page.wait_for_function("window.optlawsTuner?.state('tuner')")
                for how in (drag, press):
                    how(page, name)  # the first time also compiles
                    times = how(page, name)
                    rows.append((law, how.__name__, len(times), statistics.median(times), percentile(times, 0.9)))
                page.close()
    finally:
        server.stop()
    return rows


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the others do not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> None:
    """Print the table."""
    print(f"| law | by | redraws | median ms | p90 ms | median ≤ {BAR} ms |\n|---|---|---|---|---|---|")
    for law, how, n, median, p90 in measure():
        print(f"| {law} | {how} | {n} | {median:.1f} | {p90:.1f} | {'yes' if median <= BAR else 'NO'} |")


if __name__ == "__main__":
    main()
