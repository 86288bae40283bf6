"""Server start to the first chart in a browser, the bundled runs on the page Runs; was torch imported on the way?"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from tests.browser.conftest import KEPT, WORKING, Server, chromium  # noqa: E402

REPEATS = 5
CHART = ".js-plotly-plot .scatterlayer path.js-line"


def main() -> None:
    """Print the median over fresh servers."""
    with chromium() as browser:
        times = [_once(browser) for _ in range(REPEATS)]
    code = "import app, pages.parts.fit.report, sys; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [(f"{statistics.median(times):.2f} s", f"{max(times):.2f} s", "yes" if "True" in told else "no")]
    show((f"server start to first chart, median of {REPEATS}", "slowest", "torch imported"), rows)


def _once(browser) -> float:
    """Seconds from starting a fresh server to a drawn chart in a fresh browser context."""
    server, page = Server("app.py", KEPT | WORKING), browser.new_context().new_page()
    began = time.perf_counter()
    try:
        page.goto(f"{server.start()}/runs")
        page.wait_for_selector(CHART, timeout=60_000)
        return time.perf_counter() - began
    finally:
        page.context.close()
        server.stop()


if __name__ == "__main__":
    main()
