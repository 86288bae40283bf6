"""How long a browser waits for a page of the menu, and for Decide after an edit of the big run, a fit at hand.

    python -m benchmarks pages [--times 5]

One Chromium on the server's machine, whose cores both share, with the bundled runs. A page stands when its script has
run to the end and all that it put there has been loaded. The first opening of each page is told beside the later ones:
until then the browser does not have its charts, nor the server its predictions.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from tests.browser.conftest import KEPT, WORKING, Server, answered, chromium, go, ready  # noqa: E402

PAGES = ("Evidence", "Schedules", "Plan", "Pre-select", "Live", "Sweep", "Runs", "Shared", "Decide")
EDITS = {"Length": lambda k: f"{20_000 + 700 * k}", "Final rate": lambda k: f"{k + 1}e-5"}  # fields of the big run
RUNNING = """() => document.querySelector('[data-testid="stApp"]').dataset.testScriptState === "running\""""
REST = 1000  # ms between two, in which nobody works


def main() -> None:
    """Print the first, the median and the slowest of each."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=5)
    times = options.parse_args().times
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}\n")
    server = Server("app.py", KEPT | WORKING)
    took: dict[str, list[float]] = {}
    try:
        with chromium() as browser:
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(server.start())
            page.get_by_role("button", name="Try it with real runs").click()
            answered(page)
            for _ in range(1 + times):
                for name in PAGES:
                    _keep(took, name, page, lambda name=name: go(page, name))
            for field, value in EDITS.items():
                for k in range(1 + times):
                    typed = value(k)
                    _keep(took, f"Decide, {field.lower()}", page, lambda f=field, t=typed: _edit(page, f, t))
    finally:
        server.stop()
    rows = [(name, *(f"{t:.2f} s" for t in (t[0], statistics.median(t[1:]), max(t[1:])))) for name, t in took.items()]
    show(("page", "first", f"median of {times} more", "slowest"), rows)


def _keep(took: dict[str, list[float]], name: str, page, work: Callable[[], None]) -> None:
    """Note what a piece of work takes, which begins when all before it is over."""
    page.wait_for_timeout(REST)
    began = time.perf_counter()
    work()
    took.setdefault(name, []).append(time.perf_counter() - began)


def _edit(page, field: str, value: str) -> None:
    """Type into a field of the big run, and wait until the page has answered."""
    page.get_by_label(field, exact=True).fill(value)
    page.get_by_label(field, exact=True).press("Enter")
    page.wait_for_function(RUNNING, polling=10)
    ready(page)
    page.wait_for_function("() => !document.querySelector('[data-stale=\"true\"]')", polling=20)


if __name__ == "__main__":
    main()
