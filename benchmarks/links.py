"""The heaviest links that can be written: seconds until they are answered, memory, and what works on for a closed tab.

    python -m benchmarks links [--laws multi_power forcing_memory] [--only cycles knots]

Each is opened on Decide by a new visitor, on a server of its own, and asks for as many candidates as a link holds, all
of one kind, under the usual fit of the bundled runs, or one of the laws named; that fit alone comes first, which a
process of its own works out. Visitors speak the server's protocol, and draw nothing.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.table import show  # noqa: E402
from benchmarks.visitor import Tab  # noqa: E402
from optlaws_core import LAWS  # noqa: E402
from pages.parts.compare.table import LINK  # noqa: E402
from pages.parts.state.candidates import MOST, MOST_LINK  # noqa: E402
from tests.browser.conftest import WORKING, Server  # noqa: E402
from tests.pages.compare.test_heavy_candidates import HEAVIEST  # noqa: E402

WARM_UP = 10  # seconds in which the server loads what later pages need
BEGUN = 1.0  # seconds after which a tab is closed
LOOK = 0.25  # seconds between two looks at the server
IDLE = 0.1  # of a core: below that nothing is worked out
PATIENCE = 120  # seconds


def main() -> None:
    """Print a row for each kind of candidates."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--laws", nargs="+", default=[], choices=LAWS)
    options.add_argument("--only", nargs="+", default=list(HEAVIEST), choices=HEAVIEST)
    given = options.parse_args()
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}\n")
    fit = [*(("law", law) for law in given.laws), ("fit", "average")]
    rows = []
    for kind in given.only:
        rows.append(asyncio.run(_measured(kind, fit)))
        print(*rows[-1], sep=", ", file=sys.stderr)
    show(("candidates", "in the link", "answered", "server's CPU", "MB more", "works on for a closed tab"), rows)


async def _measured(kind: str, fit: Sequence[tuple[str, str]]) -> tuple:
    """What the link with candidates of one kind takes: the first time, and opened by another who closes it."""
    server = Server("app.py", WORKING)
    try:
        url = server.start()
        process = psutil.Process(server.process.pid)
        await asyncio.sleep(WARM_UP)
        async with Tab(url) as tab:
            await tab.run("", urlencode(fit))
            await _answered(tab)
        await _idle(process)
        before = _megabytes(process)
        most = [before]
        watch = asyncio.create_task(_watch(process, most))
        texts = list(_candidates(HEAVIEST[kind], 1))
        async with Tab(url) as tab:
            began, worked = time.perf_counter(), _cpu(process)
            await tab.run("", urlencode([*((LINK, text) for text in texts), *fit]))
            await _answered(tab)
            if tab.found("exception"):
                raise RuntimeError(f"{kind}: {tab.faults()}")
            took, worked = time.perf_counter() - began, _cpu(process) - worked
        watch.cancel()
        await _idle(process)
        async with Tab(url) as tab:
            run = asyncio.create_task(
                tab.run("", urlencode([*((LINK, text) for text in _candidates(HEAVIEST[kind], 2)), *fit]))
            )
            await asyncio.sleep(BEGUN)
            run.cancel()
        closed = await _idle(process)
        return kind, len(texts), f"{took:.1f} s", f"{worked:.1f} s", round(max(most) - before), f"{closed:.1f} s"
    finally:
        server.stop()


async def _answered(tab: Tab) -> None:
    """Look at a page until no fit runs; where no candidate can take part, it has no chart."""
    while "Cancel" in [button.label for button in tab.found("button")]:
        await asyncio.sleep(LOOK)
        await tab.run(*tab.at, fragment=tab.fragment)
    await tab.run(*tab.at)


def _candidates(text: str, digit: int) -> Iterator[str]:
    """As many candidates like `text` as a link holds, each with a peak or a first knot of its own, told by `digit`."""
    size = 0
    for i in range(1, MOST + 1):
        own = f"{4 + i / 10:.1f}{digit}e-3"
        one = re.sub(r"(peak=|values=\[)[\d.e-]+", rf"\g<1>{own}", text, count=1)
        size += len(one)
        if size > MOST_LINK:
            return
        yield one


async def _idle(process: psutil.Process) -> float:
    """Seconds until the server works no more. Raises `TimeoutError`."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        before = _cpu(process)
        await asyncio.sleep(LOOK)
        if _cpu(process) - before < IDLE * LOOK:
            return time.perf_counter() - began - LOOK
    raise TimeoutError("the server does not come to rest")


async def _watch(process: psutil.Process, most: list[float]) -> None:
    """Note the memory of the server and its processes."""
    while True:
        most.append(_megabytes(process))
        await asyncio.sleep(LOOK)


def _all(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    """CPU seconds so far."""
    return sum(sum(one.cpu_times()[:2]) for one in _all(process))


def _megabytes(process: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in _all(process)) / 2**20


if __name__ == "__main__":
    main()
