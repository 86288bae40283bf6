"""A log of 1,000,000 rows in the browser: seconds from choosing the file to the drawn chart, and the server's memory.

    python benchmarks/big_csv.py [--rows 1000000] [--app app.py]

Needs Playwright and a Chromium or Chrome; memory is read from /proc, so it runs on Linux. Prints a table.
"""

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 10_000  # ms until the server has loaded what other pages need, which no file is to blame for
DRAWN = """name => [...document.querySelectorAll('.js-plotly-plot')].some(
    plot => plot._fullData && plot._fullData.some(trace => trace.name === name && trace._length > 100)
        && plot.querySelectorAll('.scatterlayer path.js-line').length > 0)"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--app", default=str(ROOT / "app.py"))
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = write_log(Path(folder) / "big.csv", chosen.rows)
        size = log.stat().st_size
        print(f"{chosen.rows:,} rows, {size / 2**20:.1f} MB\n")
        print("| server | file chosen to chart drawn, s | smoothed, s | peak memory / file | kept memory / file |")
        print("|---|---|---|---|---|")
        for n in range(chosen.repeats):
            seconds, redraw, peak, kept = measure(chosen.app, log)
            print(f"| {n + 1} | {seconds:.2f} | {redraw:.2f} | {peak / size:.2f} | {kept / size:.2f} |")


def write_log(path: Path, rows: int) -> Path:
    """A log with a noisy falling loss and a cosine of a learning rate."""
    step = np.arange(rows)
    rate = 3e-4 * np.minimum(1, step / 2000) * (0.55 + 0.45 * np.cos(np.pi * step / rows))
    loss = 2.5 + 8 * (step + 10.0) ** -0.2 + 0.05 * np.random.default_rng(0).standard_normal(rows)
    with path.open("w") as file:
        file.write("step,loss,lr\n")
        file.writelines(f"{s},{y:.5f},{r:.6e}\n" for s, y, r in zip(step, loss, rate, strict=True))
    return path


def measure(app: str, log: Path) -> tuple[float, float, int, int]:
    """Seconds to the chart, seconds to redraw it smoothed, peak and kept growth of the server's memory in bytes."""
    with server(app) as (process, address), browser() as page:
        page.goto(address)
        page.wait_for_selector(".js-plotly-plot .scatterlayer path.js-line", timeout=60_000)
        page.wait_for_timeout(WARM_UP)
        before = memory(process.pid, "VmRSS")
        reset_peak(process.pid)
        start = time.perf_counter()
        page.locator("input[type=file]").first.set_input_files(log)
        page.wait_for_function(DRAWN, arg=log.stem, timeout=120_000)
        seconds = time.perf_counter() - start
        redraw = smooth(page)
        page.wait_for_timeout(1000)
        return seconds, redraw, memory(process.pid, "VmHWM") - before, memory(process.pid, "VmRSS") - before


def smooth(page: Page) -> float:
    """Seconds from a key on the smoothing slider to the chart with the smoothed curve."""
    start = time.perf_counter()
    page.locator("input[type=range]").first.press("ArrowRight")
    page.wait_for_function("document.querySelector('.js-plotly-plot').data.length > 2", timeout=60_000)
    return time.perf_counter() - start


@contextlib.contextmanager
def server(app: str):
    """A fresh server and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", app, "--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"The server ended with code {process.returncode}: {' '.join(command)}")
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
                break
            time.sleep(0.1)
        yield process, address
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def browser():
    """A page of the Chromium or Chrome that the system has, or of Playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium.new_page(viewport={"width": 1280, "height": 900})
        chromium.close()


def memory(pid: int, field: str) -> int:
    """A line of /proc/PID/status in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def reset_peak(pid: int) -> None:
    """Let the peak start from the present memory."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
