"""Fits of many visitors at once: how long each waits and works, what other visitors' pages notice, who gets the cores.

    python -m benchmarks.fits [--visitors 40] [--opens 20] [--megabytes 500]

Visitors speak the server's protocol and draw nothing. A fit of two laws alone comes first; then many visitors want it
at the same moment, beside eight tabs of one that were closed after each had begun twelve laws; then pages are opened
while nobody computes, and beside the heaviest that one visitor can do: twelve laws in two tabs, of which one is
cancelled and one closed in the end, a search for the best schedule, pre-selection, and the upload of a large log. On a
machine that does other work, too, only ratios within one run say something.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from secrets import token_hex

import psutil
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import visitor  # noqa: E402
from benchmarks.table import show  # noqa: E402
from benchmarks.visitor import LOOK  # noqa: E402
from optlaws_core import LAWS  # noqa: E402
from tests.browser.conftest import KEPT, WORKING, Server  # noqa: E402

SMALL = "fit=average"
HEAVY = "&".join([*(f"law={name}" for name in LAWS if name != "power_law"), "fit=multi_power"])
TABS = 8  # closed ones of a visitor
ALONE = 3
WARM_UP = 15  # seconds in which the server loads what fits need


class Tab(visitor.Tab):
    """A tab on the page Evidence, and what it told since it was opened."""

    cancel = ""  # the button that ends a fit
    waited = False  # whether a fit said that it waits

    def saw(self, message: ForwardMsg) -> None:
        """Keep what is told of a fit, too."""
        super().saw(message)
        element = message.delta.new_element
        self.waited |= element.progress.text.startswith("Waits for ")
        if element.button.label == "Cancel":
            self.cancel = element.button.id

    async def fit(self) -> float:
        """Seconds from opening the page to the report of the usual fit."""
        began = time.perf_counter()
        await self.run("evidence", SMALL)
        await self.until("dataframe")
        return time.perf_counter() - began


class Load:
    """One load after the other on one server; what was found is in `rows` and `said`."""

    def __init__(self, url: str, server: psutil.Process, megabytes: int) -> None:
        self.url, self.server, self.megabytes = url, server, megabytes
        self.rows: list[tuple] = []
        self.said: list[str] = []
        self.waited = 0  # fits of a load that said that they wait
        self.copies: dict[int, float] = {}  # CPU seconds of each process of work, by its id

    def tab(self, browser: str = "") -> Tab:
        """A tab of a browser; of a new one, unless it is named."""
        return Tab(self.url, browser or token_hex(16))

    async def run(self, visitors: int, opens: int) -> None:
        """All loads."""
        watch = asyncio.create_task(self.watch())
        await asyncio.sleep(WARM_UP)
        self.said.append(f"first fit of the server: {await self.one_fit():.1f} s")
        alone = await self.measure("a fit alone", [self.one_fit] * ALONE, at_once=False)
        await self.closed_tabs()
        slowest = max(await self.measure(f"{visitors} fits beside {TABS} closed tabs", [self.one_fit] * visitors))
        share = max(1.0, visitors / len(os.sched_getaffinity(0)))
        times = slowest / (statistics.median(alone) * share)
        self.said.append(f"slowest of {visitors}: {times:.1f} × its time alone × its share of {share:g}")
        await self.measure("a page beside nothing", [self.open] * opens, at_once=False)
        await self.heavy(opens)
        await self.beside("a search for the best schedule", self.search, opens)
        await self.beside("pre-selection", self.preselect, opens)
        if self.megabytes:
            await self.beside(f"the upload of a log of {self.megabytes} MB", self.upload, opens)
        watch.cancel()

    async def one_fit(self) -> float:
        async with self.tab() as tab:
            took = await tab.fit()
            self.waited += tab.waited
            return took

    async def open(self) -> float:
        """Seconds to open the page Runs."""
        async with self.tab() as tab:
            began = time.perf_counter()
            await tab.run("runs")
            return time.perf_counter() - began

    async def closed_tabs(self) -> None:
        """One visitor begins much in many tabs, and closes them."""
        browser = token_hex(16)
        for _ in range(TABS):
            async with self.tab(browser) as tab:
                await tab.run("evidence", HEAVY)

    async def heavy(self, opens: int) -> None:
        """Pages beside the heaviest fits of one visitor in two tabs; then one is cancelled, and the other closed."""
        browser = token_hex(16)
        async with self.tab(browser) as one:
            await one.run("evidence", HEAVY)
            async with self.tab(browser) as other:
                await other.run("evidence", HEAVY)
                await self.measure("a page beside twelve laws of a visitor, twice", [self.open] * opens, at_once=False)
                before = self.work()
                pressed = WidgetState(id=one.cancel, trigger_value=True)
                await one.run("evidence", HEAVY, [pressed], one.fragment)
                self.said.append(f"processes before a press of Cancel: {before}, {await self.until(before - 1)}")
        self.said.append(f"before the other tab is closed: {self.work()}, {await self.until(0)}")

    async def beside(self, name: str, work: Callable[[asyncio.Event], Awaitable[object]], opens: int) -> None:
        """Pages beside what one visitor does over and over, from when it has begun."""
        begun = asyncio.Event()

        async def over_and_over() -> None:
            while True:
                await work(begun)

        busy = asyncio.create_task(over_and_over())
        await asyncio.wait([busy, asyncio.create_task(begun.wait())], return_when=asyncio.FIRST_COMPLETED)
        await self.measure(f"a page beside {name}", [self.open] * opens, at_once=False)
        if busy.done():
            await busy  # it failed
        busy.cancel()
        await asyncio.wait([busy])
        self.said.append(f"after {name}: {await self.until(0)} left")

    async def search(self, begun: asyncio.Event) -> None:
        """The search for any curve under the fit to the bundled runs, on Decide."""
        async with self.tab() as tab:
            await tab.run()
            await tab.run(states=[tab.button("Try it with real runs")])
            await tab.until("plotly_chart")
            await tab.run()
            await tab.run(states=[tab.unfolded("Find the best schedule")])
            await tab.run(states=[tab.button("Find")])
            begun.set()
            while "Cancel" in [b.label for b in tab.found("button")]:
                await asyncio.sleep(LOOK)
                await tab.run(*tab.at, fragment=tab.fragment)

    async def preselect(self, begun: asyncio.Event) -> None:
        """The page Pre-select with the bundled table of final losses, by a visitor who is new."""
        begun.set()
        async with self.tab() as tab:
            await tab.run("preselect")
            await tab.until("plotly_chart")

    async def upload(self, begun: asyncio.Event) -> None:
        """A log of many megabytes, to the end of its reading."""
        rows = b"".join(b"%d,2.%05d,0.0003\n" % (k, k * 7919 % 100_000) for k in range(100_000))
        content = b"step,loss,lr\n" + rows * (self.megabytes * 10**6 // len(rows))
        async with self.tab() as tab:
            await tab.run()
            begun.set()
            await tab.run(states=[await tab.file("large.csv", content)])

    async def until(self, most: int) -> str:
        """How long it takes until no more than so many processes work."""
        began = time.perf_counter()
        while (left := self.work()) > most and time.perf_counter() - began < 60:
            await asyncio.sleep(0.02)
        return f"{left} after {time.perf_counter() - began:.2f} s"

    def work(self) -> int:
        """Processes that work for visitors now."""
        return len(self.children())

    def children(self) -> list[psutil.Process]:
        return [c for template in self.server.children() for c in template.children()]

    async def watch(self) -> None:
        """Note the CPU time of processes of work while they live."""
        while True:
            for child in self.children():
                with contextlib.suppress(psutil.Error):
                    self.copies[child.pid] = sum(child.cpu_times()[:2])
            await asyncio.sleep(0.1)

    def cpu(self) -> float:
        """CPU seconds that the server and its processes have used so far."""
        return sum(self.server.cpu_times()[:2]) + sum(self.copies.values())

    async def measure(
        self, name: str, works: Sequence[Callable[[], Awaitable[float]]], at_once: bool = True
    ) -> list[float]:
        """Do all, at once or one after the other; a row of what their times were."""
        self.waited = 0
        before, began = self.cpu(), time.perf_counter()
        if at_once:
            times = sorted(await asyncio.gather(*(work() for work in works)))
        else:
            times = sorted([await work() for work in works])
        used = (self.cpu() - before) / (time.perf_counter() - began)
        cuts = statistics.quantiles(times, n=20, method="inclusive")
        told = (f"{t:.2f} s" for t in (cuts[9], cuts[18], times[-1]))
        self.rows.append((name, len(times), *told, f"{used:.1f}", self.waited))
        return times


def main() -> None:
    """Print a table of the loads."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--visitors", type=int, default=40, help="who want a fit at the same moment")
    options.add_argument("--opens", type=int, default=20, help="of a page beside a heavy fit")
    options.add_argument("--megabytes", type=int, default=500, help="of the large log; 0: none")
    chosen = options.parse_args()
    server = Server("app.py", KEPT | WORKING)
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}\n")
    try:
        load = Load(server.start(), psutil.Process(server.process.pid), chosen.megabytes)
        asyncio.run(load.run(chosen.visitors, chosen.opens))
        show(("load", "of", "p50", "p95", "slowest", "cores in use", "said to wait"), load.rows)
        print("", *load.said, *(line for line in server.output().splitlines() if "Error" in line), sep="\n")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
