"""Many visitors at once: a saved comparison is opened and saved anew, over and over; then every save must be there.

    python -m benchmarks.load [--browsers 20] [--pace 60] [--alone]

Browsers and server share this machine's cores, and a browser draws for longer than the server computes. So four loads
are told apart: visitors without a browser, who speak the server's protocol and draw nothing; browsers at a pace, each
opening or saving once in so many seconds, at a random moment; one browser at a time, beside visitors without; and
browsers that all start at the same moment, where each waits for the others' drawing. CPU time says whose the time was.
Browsers that are open go to another page of the menu, too.
It takes five times the pace, and a few minutes. `--alone` leaves the browsers out.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.async_api import BrowserContext, Page, async_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from benchmarks.visitor import Tab  # noqa: E402
from optlaws_core import parse, read, select  # noqa: E402
from optlaws_core.fitting.selection import POOL  # noqa: E402
from optlaws_core.saved import Candidate, Snapshot, thinned  # noqa: E402
from optlaws_core.saved.rights import OPERATOR, Viewer  # noqa: E402
from optlaws_core.saved.store import Store  # noqa: E402
from tests.browser.conftest import KEPT, WORKING, Server  # noqa: E402
from tests.browser.install_browser import installed  # noqa: E402

RUNS = 8
TRAIN = ("constant_4000", "cosine10_4000", "drop30_4000")
CANDIDATES = (
    "cosine(peak=8e-3, warmup=200, total=8000)",
    "linear(peak=8e-3, warmup=200, total=8000)",
    "wsd(peak=8e-3, warmup=200, total=8000, decay=1600)",
    "wsd(peak=8e-3, warmup=200, total=8000, decay=800)",
    "rex(peak=8e-3, warmup=200, total=8000)",
    "constant(peak=8e-3, warmup=200, total=8000)",
)
ROUNDS = 3  # times that every visitor without a browser opens the link
BESIDE = 5  # browsers that in turn open it beside them
WARM_UP = 10  # seconds in which the server loads what later pages need
PATIENCE = 240_000  # ms that a browser may take for anything; what takes longer is an error
CHART = ".js-plotly-plot .scatterlayer path.js-line"
SHOWN = f"""() => document.querySelector('{CHART}')
    && document.querySelector('[data-testid="stDataFrame"] canvas')
    && [...document.querySelectorAll('h3')].some(h => h.textContent.includes('Ranking'))"""
STANDS = """() => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale="true"]')"""
PAGES = ("evidence", "share", "plan", "")  # opened one after another from the menu, by each browser from another one on
WRONG = '[data-testid="stException"], [data-testid="stAlertContentError"]'
HARMLESS = ("404", "ERR_NAME_NOT_RESOLVED")  # Streamlit looks for itself beside a deep link, and for its own host


def main() -> None:
    """Print times and CPU seconds of each load, and what is wrong or lost after all of them."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--browsers", type=int, default=20)
    options.add_argument("--pace", type=float, default=60, help="seconds in which each browser opens or saves once")
    options.add_argument("--alone", action="store_true", help="visitors without a browser alone")
    chosen = options.parse_args()
    path, server, made = installed(), Server("app.py", KEPT | WORKING), comparison()
    if path is None and not chosen.alone:
        sys.exit("There is no Chromium or Chrome on this machine, so there are no browsers to load the server with.")
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}\n")
    try:
        url = server.start()
        store = Store(f"{server.folder.name}/saved.sqlite")
        link = f"{url}/share?id={store.save(made, Viewer('somebody'))}"
        load = Load(server, link, chosen.browsers, chosen.pace)
        asyncio.run(load.alone() if chosen.alone else load.run(path))
        head = ("load", "of", "p50", "p95", "slowest", "server's CPU, each", "browsers' CPU, each")
        show(head, load.rows)
        lost, log = missing(store, made, load.titles), server.output()
        store.close()
        faults = [*load.faults, *(line for line in log.splitlines() if "Traceback" in line or "Error" in line)]
        print(
            f"\nsaves: {len(load.titles)}, lost or damaged: {len(lost)}; errors on pages and in the log: {len(faults)}"
        )
        print(f"server's memory: {load.memory[0]:.0f} MiB before, {load.memory[1]:.0f} MiB after")
        print(*lost, *faults[:20], sep="\n")
    finally:
        server.stop()


def comparison() -> Snapshot:
    """Eight of the bundled runs, three fits and their average as the page Evidence makes them, six candidates."""
    runs = {run.name: run.on("val") for run in read(ROOT / "data" / "examples.csv").runs[:RUNS]}
    test = [run for name, run in runs.items() if name not in TRAIN]
    chosen = select(POOL, [runs[name] for name in TRAIN], test=test, processes=1)
    fits = {fit.law: fit for fit in chosen.fits} | {"average": chosen.average}
    return Snapshot("Load", thinned(runs.values()), fits, "average", tuple(Candidate(parse(c)) for c in CANDIDATES))


def missing(store: Store, made: Snapshot, titles: Sequence[str]) -> list[str]:
    """Titles that are not in the store exactly once, whole, and with the fits and candidates of what was copied."""
    kept = [(entry.title, store.open(entry.id, OPERATOR)) for entry in store.listed(OPERATOR, limit=10**6)]
    same = [title for title, found in kept if found.parent == made.digest and _content(found) == _content(made)]
    return [title for title in titles if same.count(title) != 1]


def _content(snapshot: Snapshot) -> dict:
    plain = snapshot.to_dict()
    return {name: plain[name] for name in ("fits", "candidates", "current")} | {"runs": [r.name for r in snapshot.runs]}


class Load:
    """One after the other, all loads on one server; what they found is in `rows`, `faults` and `titles`."""

    def __init__(self, server: Server, link: str, many: int, pace: float) -> None:
        self.server, self.link, self.many, self.pace = psutil.Process(server.process.pid), link, many, pace
        self.url = server.url
        self.rows: list[tuple] = []
        self.faults: list[str] = []
        self.titles: list[str] = []  # of comparisons that the pages said were saved
        self.memory: list[float] = []  # MiB
        self.turned = 0  # pages that were opened from the menu
        self.chance = random.Random(0)
        self.turn = asyncio.Lock()

    async def run(self, browser: str) -> None:
        """All loads, with the browser at that path."""
        many, at_once = range(self.many), f"{self.many} at once"
        await asyncio.sleep(WARM_UP)
        await self.speak()
        self.memory.append(self.server.memory_info().rss / 2**20)
        for _ in range(ROUNDS - 1):
            await asyncio.gather(*(self.speak() for _ in many))
        await self.measure(f"server alone, {at_once}: open", [self.speak for _ in many], 0)
        async with async_playwright() as p:
            running = await p.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-dev-shm-usage"])
            contexts = [await running.new_context(viewport={"width": 1280, "height": 900}) for _ in many]
            pages = [await self.page(context) for context in contexts]

            def each(what: Callable[[Page], Awaitable[float]]) -> list[Callable[[], Awaitable[float]]]:
                return [lambda page=page: what(page) for page in pages]

            paced = f"{self.many} browsers, one in {self.pace / self.many:.1f} s"
            await self.measure(f"{paced}: first visit", each(self.open), self.pace)
            await self.measure(f"{paced}: open", each(self.open), self.pace)
            await self.measure(f"{paced}: save", each(self.save), self.pace)
            await self.measure(f"{paced}: another page", each(self.turn_page), self.pace)
            await self.measure(f"{paced}: another page again", each(self.turn_page), self.pace)
            await self.measure(f"a browser beside {self.many - 1} without: open", each(self.beside)[:BESIDE], 0)
            self.memory.append(self.server.memory_info().rss / 2**20)
            await self.measure(f"browsers, {at_once}: open", each(self.open), 0)
            await self.measure(f"browsers, {at_once}: save", each(self.save), 0)
            await running.close()

    async def alone(self) -> None:
        """Visitors without a browser: at a pace, and all in the same instant."""
        await asyncio.sleep(WARM_UP)
        await self.speak()
        for spread in (self.pace, self.pace / 3, 0):
            self.memory.append(self.server.memory_info().rss / 2**20)
            when = f"within {spread:g} s" if spread else "at once"
            await self.measure(f"server alone, {self.many} {when}: open", [self.speak] * self.many, spread)

    async def measure(self, name: str, works: Sequence[Callable[[], Awaitable[float]]], spread: float) -> None:
        """Do all, each beginning at a random moment within `spread` seconds; a row of what their times were."""

        async def later(work: Callable[[], Awaitable[float]]) -> float | None:
            await asyncio.sleep(self.chance.uniform(0, spread))
            try:
                return await work()
            except Exception as fault:  # whatever it is, the others go on, and it is told in the end
                self.faults.append(f"{name}: {type(fault).__name__}: {str(fault).splitlines()[0]}")

        before = self.cpu()
        times = sorted(t for t in await asyncio.gather(*map(later, works)) if t is not None)
        used = [f"{(b - a) / len(works):.2f} s" for a, b in zip(before, self.cpu(), strict=True)]
        cuts = statistics.quantiles(times, n=20, method="inclusive") if len(times) > 1 else [float("nan")] * 19
        self.rows.append(
            (name, len(times), *(f"{t:.2f} s" for t in (cuts[9], cuts[18], max(times, default=0.0))), *used)
        )

    def cpu(self) -> tuple[float, float]:
        """CPU seconds that the server, and the browsers, have used so far."""
        others = [p for p in psutil.Process().children(recursive=True) if p.pid != self.server.pid]
        server, *rest = (sum(p.cpu_times()[:2]) for p in (self.server, *others))
        return server, sum(rest)

    async def speak(self) -> float:
        """Seconds from connecting to the end of the page's script, drawing nothing."""
        url, _, query = self.link.partition("/share?")
        began = time.perf_counter()
        async with Tab(url) as tab:
            await tab.run("share", query)
        if tab.faults() or not (tab.found("plotly_chart") and tab.found("dataframe")):
            raise RuntimeError(f"the page holds no chart and ranking, {tab.faults()}")
        return time.perf_counter() - began

    async def page(self, context: BrowserContext) -> Page:
        """A page whose complaints are collected."""
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda m: self.complain(m.text) if m.type == "error" else None)
        return page

    def complain(self, text: str) -> None:
        """Keep what a page wrote to its console as an error."""
        if not any(known in text for known in HARMLESS):
            self.faults.append(text)

    async def open(self, page: Page) -> float:
        """Seconds from following the link to the chart and the ranking on the screen."""
        began = time.perf_counter()
        await page.goto(self.link, wait_until="commit")
        await page.wait_for_function(SHOWN, polling=50)
        took = time.perf_counter() - began
        self.faults += await page.locator(WRONG).all_inner_texts()
        return took

    async def turn_page(self, page: Page) -> float:
        """Seconds from a click on another page in the menu until it stands."""
        self.turned += 1
        there = urlsplit(page.url).path.strip("/")
        path = PAGES[(self.turned + (PAGES[self.turned % len(PAGES)] == there)) % len(PAGES)]
        link = page.locator(f'a[href="{self.url}/{path}"], a[href="/{path}"]').first
        began = time.perf_counter()
        await link.click()
        await page.wait_for_url(lambda url: urlsplit(url).path.strip("/") == path)
        await page.wait_for_function(STANDS, polling=50)
        took = time.perf_counter() - began
        self.faults += await page.locator(WRONG).all_inner_texts()
        return took

    async def beside(self, page: Page) -> float:
        """`open` at the same moment as all others, of whom none draws: each would on a machine of their own."""
        async with self.turn:
            others = [asyncio.create_task(self.speak()) for _ in range(self.many - 1)]
            took = await self.open(page)
            await asyncio.gather(*others)
            return took

    async def save(self, page: Page) -> float:
        """Open a copy and save it under a title of its own; seconds from the click to the link on the screen."""
        title = f"Load {len(self.titles)}"
        self.titles.append(title)
        await page.get_by_role("button", name="Open a copy").click()
        await page.locator(".st-key-decide_answer").wait_for()
        await page.locator(CHART).first.wait_for()
        await page.get_by_text("Save and share").click()
        await page.get_by_label("Title", exact=True).fill(title)
        began = time.perf_counter()
        await page.get_by_role("button", name="Save and get a link").click()
        await page.locator('[data-testid="stCode"] code', has_text="share?id=").wait_for()
        took = time.perf_counter() - began
        self.faults += await page.locator(WRONG).all_inner_texts()
        return took


if __name__ == "__main__":
    main()
