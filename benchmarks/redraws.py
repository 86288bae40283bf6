"""What a run of each page costs the server: opened, opened again, a candidate edited, another length of the big run.

    python -m benchmarks redraws [--times 7]

One visitor without a browser, who tried the bundled runs, speaks the server's protocol and draws nothing. CPU time is
that of the server's process, so that other work on the machine changes it little; the seconds until the page stands
are told beside it. The fit is over before anything is counted.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from streamlit.proto.WidgetStates_pb2 import WidgetState

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from benchmarks.visitor import Tab  # noqa: E402
from tests.browser.conftest import Server  # noqa: E402

PAGES = {name.capitalize(): name for name in ("evidence", "schedules", "plan", "live", "runs")} | {"Shared": "share"}
WARM_UP = 10  # seconds in which the server loads what later pages need
QUIET = 0.3  # seconds without a message, after which a run of a page has been sent


def main() -> None:
    """Print the median and the most of each."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=7)
    times = options.parse_args().times
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}\n")
    server = Server("app.py")
    try:
        visitor = Visitor(server.start(), psutil.Process(server.process.pid))
        asyncio.run(visitor.measure(times))
        show(("page", "of", "server's CPU, median", "most", "seconds, median", "kB sent"), visitor.rows)
    finally:
        server.stop()


class Visitor(Tab):
    """One tab of a visitor; what was measured is in `rows`."""

    def __init__(self, url: str, server: psutil.Process) -> None:
        super().__init__(url)
        self.server = server
        self.rows: list[tuple] = []

    async def measure(self, times: int) -> None:
        """Open, edit, and open the other pages."""
        await asyncio.sleep(WARM_UP)
        async with self:
            await self.run()
            await self.run(states=[self.button("Try it with real runs")])
            await self.until("plotly_chart")
            await self.several("Decide", times, lambda k: ("", []))
            table = next(e.id for e in self.found("dataframe") if e.editing_mode)
            await self.several("Decide, a cooldown edited", times, lambda k: ("", [_edit(table, k)]))
            await self.several("Decide, another length", times, lambda k: ("", [self.length(k)]))
            for name, page in PAGES.items():
                await self.run(page)
                await self.several(name, times, lambda k, page=page: (page, []))

    async def several(self, name: str, times: int, asked: Callable[[int], tuple[str, list[WidgetState]]]) -> None:
        """A row of what some runs of a page took."""
        took = []
        for k in range(times):
            page, states = asked(k)
            before = self.cpu()
            seconds = await self.run(page, states=states, quiet=QUIET)
            took.append((self.cpu() - before, seconds, self.bytes))
        if not self.elements or self.found("exception"):
            raise RuntimeError(f"{name} did not stand")
        cpu, seconds, sent = zip(*took, strict=True)
        told = (f"{statistics.median(cpu):.2f} s", f"{max(cpu):.2f} s", f"{statistics.median(seconds):.2f} s")
        self.rows.append((name, times, *told, round(statistics.median(sent) / 1000)))

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        return sum(self.server.cpu_times()[:2])

    def length(self, k: int) -> WidgetState:
        """The k-th other length, typed into the card of the big run."""
        return self.text("Length", f"{12_000 + 700 * k}")


def _edit(table: str, k: int) -> WidgetState:
    """The k-th other cooldown of the fifth candidate, typed into the table."""
    edited = {"edited_rows": {"4": {"decay": f"{700 + 37 * k}"}}, "added_rows": [], "deleted_rows": []}
    return WidgetState(id=table, string_value=json.dumps(edited))


if __name__ == "__main__":
    main()
