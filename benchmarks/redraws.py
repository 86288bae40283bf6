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
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from tests.browser.conftest import Server  # noqa: E402

PAGES = {name.capitalize(): name for name in ("evidence", "schedules", "plan", "live", "runs")} | {"Shared": "share"}
WARM_UP = 10  # seconds in which the server loads what later pages need
QUIET = 0.3  # seconds without a message, after which a run of a page has been sent
LOOK = 0.5  # seconds between two looks at the fit
PATIENCE = 300  # seconds that anything may take


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


class Visitor:
    """One tab of a visitor; what was measured is in `rows`."""

    def __init__(self, url: str, server: psutil.Process) -> None:
        self.url, self.server = url, server
        self.rows: list[tuple] = []
        self.elements: list = []  # of the last run of a page
        self.looks = ""  # the fragment that looks at the fit

    async def measure(self, times: int) -> None:
        """Open, edit, and open the other pages."""
        await asyncio.sleep(WARM_UP)
        address = f"{self.url.replace('http', 'ws')}/_stcore/stream"
        async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as self.connection:
            await self.answered()
            await self.several("Decide", times, lambda k: ("", []))
            table = next(e.id for e in self.found("dataframe") if e.editing_mode)
            await self.several("Decide, a cooldown edited", times, lambda k: ("", [_edit(table, k)]))
            await self.several("Decide, another length", times, lambda k: ("", [self.length(k)]))
            for name, page in PAGES.items():
                await self.run(page)
                await self.several(name, times, lambda k, page=page: (page, []))

    async def answered(self) -> None:
        """Try the bundled runs, until the fit is over and the answer stands."""
        await self.run()
        begin = next(e.id for e in self.found("button") if e.label == "Try it with real runs")
        await self.run(states=[WidgetState(id=begin, trigger_value=True)])
        deadline = time.monotonic() + PATIENCE
        while not self.found("plotly_chart"):
            if time.monotonic() > deadline:
                raise RuntimeError("the fit of the bundled runs did not end")
            await asyncio.sleep(LOOK)
            await self.run(fragment=self.looks)

    async def several(self, name: str, times: int, asked: Callable[[int], tuple[str, list[WidgetState]]]) -> None:
        """A row of what some runs of a page took."""
        took = []
        for k in range(times):
            page, states = asked(k)
            took.append(await self.run(page, states))
        if not self.elements or self.found("exception"):
            raise RuntimeError(f"{name} did not stand")
        cpu, seconds, sent = zip(*took, strict=True)
        told = (f"{statistics.median(cpu):.2f} s", f"{max(cpu):.2f} s", f"{statistics.median(seconds):.2f} s")
        self.rows.append((name, times, *told, round(statistics.median(sent) / 1000)))

    async def run(
        self, page: str = "", states: Sequence[WidgetState] = (), fragment: str = ""
    ) -> tuple[float, float, int]:
        """CPU seconds of one run of a page, seconds until it stood, bytes sent."""
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.fragment_id = page, fragment
        asked.rerun_script.context_info.url = f"{self.url}/{page}"
        asked.rerun_script.widget_states.widgets.extend(states)
        before, began, sent, over = self.cpu(), time.perf_counter(), 0, False
        last, self.elements = began, []
        await self.connection.send(asked.SerializeToString())
        while True:
            try:
                raw = await asyncio.wait_for(self.connection.recv(), QUIET if over else PATIENCE)
            except TimeoutError:
                return self.cpu() - before, last - began, sent
            message, last, sent = ForwardMsg.FromString(raw), time.perf_counter(), sent + len(raw)
            self.elements.append(message.delta.new_element)
            self.looks = message.auto_rerun.fragment_id or self.looks
            over = over or message.WhichOneof("type") == "script_finished"

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        return sum(self.server.cpu_times()[:2])

    def found(self, kind: str) -> list:
        """The elements of a kind in the last run of a page."""
        return [getattr(e, kind) for e in self.elements if e.WhichOneof("type") == kind]

    def length(self, k: int) -> WidgetState:
        """The k-th other length, typed into the card of the big run."""
        field = next(e.id for e in self.found("text_input") if e.label == "Length")
        return WidgetState(id=field, string_value=f"{12_000 + 700 * k}")


def _edit(table: str, k: int) -> WidgetState:
    """The k-th other cooldown of the fifth candidate, typed into the table."""
    edited = {"edited_rows": {"4": {"decay": f"{700 + 37 * k}"}}, "added_rows": [], "deleted_rows": []}
    return WidgetState(id=table, string_value=json.dumps(edited))


if __name__ == "__main__":
    main()
