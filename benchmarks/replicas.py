"""Many visitors on two replicas of the app behind the proxy of deploy/, on one PostgreSQL: does everything hold?

    python -m benchmarks replicas [--visitors 50] [--minutes 10] [--pace 60]

Each visitor, who speaks the server's protocol and draws nothing, works over and over, at a random moment of each pace:
uploads the log of a run, waits for the answer, saves it, and opens a comparison that somebody saved; as a browser that
is new each time. In the end every comparison that was said to be saved has to be in the store, whole.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from benchmarks.visitor import Tab  # noqa: E402
from optlaws_core import Run, read  # noqa: E402
from optlaws_core.saved.rights import OPERATOR  # noqa: E402
from optlaws_core.saved.store import Store  # noqa: E402
from tests.browser.conftest import KEPT, WORKING, Server  # noqa: E402
from tests.support.install_postgres import programs  # noqa: E402
from tests.support.proxies import PROXIES, before  # noqa: E402
from tests.support.stores import database, postgres  # noqa: E402

WARM_UP = 20  # seconds in which the servers load what fits need
LINK = "share?id="


def main() -> None:
    """Print how long each kind of work took, the memory of the replicas, and what was lost."""
    options = argparse.ArgumentParser(prog="python -m benchmarks replicas")
    options.add_argument("--visitors", type=int, default=50)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--pace", type=float, default=60, help="seconds in which each visitor does all once")
    chosen = options.parse_args()
    proxy = next((p for p in PROXIES if shutil.which(p.__name__)), None)
    if proxy is None or (found := programs()) is None:
        print("Neither nginx nor caddy, or no PostgreSQL, is installed, so there are no replicas.")
        return
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}, {proxy.__name__}\n")
    with ExitStack() as stack:
        place = database(stack.enter_context(postgres(found)), "replicas")
        servers = [Server("app.py", KEPT | WORKING | {"OPTLAWS_STORE": place}) for _ in range(2)]
        for server in servers:
            stack.callback(server.stop)
            server.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # the proxy's workers enter it
        url = stack.enter_context(before([s.url for s in servers], proxy, folder))
        load = Load(url, [psutil.Process(s.process.pid) for s in servers], chosen.pace)
        asyncio.run(load.run(chosen.visitors, 60 * chosen.minutes))
        with closing(Store(place)) as store:
            kept = {entry.id: entry.title for entry in store.listed(OPERATOR, limit=10**6)}
            lost = [t for t, key in load.saved.items() if kept.get(key) != t or not store.open(key, OPERATOR).fits]
        load.tell()
        wrong = [line for s in servers for line in s.output().splitlines() if "Traceback" in line or "Error" in line]
        print(f"\nsaved: {len(load.saved)}, lost: {len(lost)}; errors in logs: {len(wrong)}")
        print(*lost, *wrong[:20], *load.faults[:20], sep="\n")


class Load:
    """What visitors of an address did, and how long it took them."""

    def __init__(self, url: str, servers: list[psutil.Process], pace: float) -> None:
        self.url, self.servers, self.pace = url, servers, pace
        self.logs = [_log(run) for run in read(ROOT / "data" / "examples.csv").runs[:3]]
        self.times: dict[str, list[float]] = defaultdict(list)
        self.memory: list[list[float]] = []  # MiB of each replica, at the start and at the end
        self.saved: dict[str, str] = {}  # titles that pages said were saved, with the ids of their links
        self.faults: list[str] = []
        self.chance = random.Random(0)

    async def run(self, visitors: int, seconds: float) -> None:
        """All of it, over so many seconds."""
        await asyncio.sleep(WARM_UP)
        for _ in self.servers:  # each has drawn a page and fitted once, or its memory would still grow by that
            await self.once("Warm-up")
        self.times.clear()
        self.saved.clear()
        self.memory.append(self.resident())
        over = time.monotonic() + seconds
        await asyncio.gather(*(self.visitor(k, over) for k in range(visitors)))
        self.memory.append(self.resident())

    async def visitor(self, k: int, over: float) -> None:
        """One who comes back in each pace until the time is over."""
        turn = 0
        while (begins := time.monotonic()) < over - self.pace:
            await asyncio.sleep(self.chance.uniform(0, self.pace / 2))
            try:
                await self.once(f"Visitor {k}, {turn}")
            except Exception as fault:  # whatever it is, the others go on, and it is told in the end
                self.faults.append(f"visitor {k}: {type(fault).__name__}: {str(fault).splitlines()[0][:200]}")
            turn += 1
            await asyncio.sleep(max(0.0, begins + self.pace - time.monotonic()))

    async def once(self, title: str) -> None:
        """Come, upload, wait for the answer, save it, and open what somebody saved."""
        async with Tab(self.url) as tab:
            await self.timed("first page", tab.run())
            began = time.perf_counter()
            await tab.run(states=[await tab.file("run.csv", self.chance.choice(self.logs))])
            self.times["upload and read"].append(time.perf_counter() - began)
            await self.timed("answer after that", tab.until("plotly_chart"))
            await tab.run()
            await tab.run(states=[tab.unfolded("Save and share")])
            named = [tab.text("Title", title), tab.button("Save and get a link")]
            await self.timed("save", tab.run(states=named))
            links = [c.code_text for c in tab.found("code") if LINK in c.code_text]
            if not links:
                raise RuntimeError(f"nothing was saved, {tab.faults()}")
            self.saved[title] = links[0].partition(LINK)[2]
            query = f"id={self.chance.choice(list(self.saved.values()))}"
            await self.timed("open another's comparison", tab.run("share", query))
            if not tab.found("plotly_chart"):
                raise RuntimeError(f"a comparison was not shown, {tab.faults()}")

    async def timed(self, name: str, work) -> None:
        """Do it, and note how long it took."""
        began = time.perf_counter()
        await work
        self.times[name].append(time.perf_counter() - began)

    def resident(self) -> list[float]:
        """Memory of each replica in MiB, without that of its fits."""
        return [server.memory_info().rss / 2**20 for server in self.servers]

    def tell(self) -> None:
        """A table of the times, and the memory."""
        rows = []
        for name, times in self.times.items():
            shown = (f"{t:.2f} s" for t in (*np.quantile(times, (0.5, 0.95)), max(times)))
            rows.append((name, len(times), *shown))
        show(("what", "of", "p50", "p95", "slowest"), rows)
        told = (" and ".join(f"{m:.0f}" for m in memory) for memory in self.memory)
        print("\nmemory of the replicas in MiB: {} at the start, {} at the end".format(*told))


def _log(run: Run) -> bytes:
    """A log of the kind that visitors upload: steps, losses and rates as a table."""
    losses, rates = run.on("train"), run.known_plan.schedule
    rows = zip(losses.steps.tolist(), losses.loss.tolist(), rates(losses.steps).tolist(), strict=True)
    return ("step,loss,lr\n" + "".join(f"{step},{loss:.5f},{rate:.9g}\n" for step, loss, rate in rows)).encode()


if __name__ == "__main__":
    main()
