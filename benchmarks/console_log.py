"""Console logs of 1,000,000 lines, and 20 MB of one with source code on top: seconds to read them, and memory.

    python -m benchmarks console_log [--lines 1000000]

Each file is read in a process of its own. Memory is what that process grew by at most, in sizes of the file.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from optlaws_core.readers import Source, read_source

from .table import show

SOURCE = "    x = self.norm(x) + self.attention(x, step, loss_fn(x, y))  # a line of the program\n"
LINES = {
    "nanoGPT": "iter {s}: loss {y:.4f}, time 193.77ms, mfu 12.30%\n",
    "llm.c": "s:{s} trl:{y:.4f} lr:{lr:.6f} norm:1.53\n",
    "torchtune": "Step {s} | loss:{y:.7f} lr:{lr:.8f} tokens_per_second_per_gpu:1234.5 \n",
    "logging": "2025-08-17 21:21:15,070 - x - INFO - Step {s}: Loss={y:.4f}, LR={lr:.2e}\n",
    "Megatron-LM": (
        " [2025-03-31 05:54:07] iteration {s:8d}/ 1000000 | consumed samples: {n:12d} | elapsed time (ms): "
        "1552.8 | learning rate: {lr:.6E} | global batch size:  1008 | lm loss: {y:.6E} | loss scale: 1.0 | "
        "grad norm: 1.520 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
    ),
    "one loss in 1,000 lines": "2025-08-17 21:21:15,070 - train - INFO - worker {s} is well and has nothing to say\n"
    * 999
    + "step {s} | loss {y:.4f}\n",
}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.read:
        print(*measure(chosen.read))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        for name in (*LINES, "modded-nanogpt, 20 MB"):
            with path.open("w", encoding="utf-8") as file:
                file.writelines(islice(lines(name), chosen.lines) if name in LINES else modded())
            wall, cpu, grown, points = read_apart(path)
            size = path.stat().st_size
            rows.append(
                (name, f"{size / 2**20:.0f} MB", f"{wall:.2f}", f"{cpu:.2f}", f"{grown / size:.1f}", f"{points:,.0f}")
            )
    show(("lines", "file", "seconds", "of the processor", "memory / file", "points"), rows)


def read_apart(log: Path) -> tuple[float, float, float, float]:
    """What `measure` tells of a file that is read in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "console_log", "--read", str(log)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    wall, cpu, grown, points = map(float, said[-4:])
    return wall, cpu, grown, points


def lines(name: str) -> Iterator[str]:
    """Lines of a kind, without an end; the loss falls."""
    template, s = LINES[name], 0
    while True:
        values = {"s": s, "n": 1008 * s, "y": 2 + 9 / (s + 9) ** 0.1, "lr": 3e-4 / (1 + s / 1e5)}
        yield from template.format(**values).splitlines(keepends=True)
        s += 1


def modded() -> Iterator[str]:
    """10 MB of source code, and 10 MB of lines with losses below it."""
    yield from islice(cycle([SOURCE]), 10 * 2**20 // len(SOURCE))
    for s in range(10 * 2**20 // 60):
        yield f"step:{s}/6200 train_loss:{2 + 9 / (s + 9) ** 0.1:.4f} train_time:{s * 7}ms step_avg:{s / 7:.2f}ms\n"


def measure(path: Path) -> tuple[float, float, int, int]:
    """Seconds of the clock and of the processor, bytes of memory, points read."""
    before = peak()
    began, worked = time.perf_counter(), time.process_time()
    report = read_source(Source("train.log", path))
    wall, cpu = time.perf_counter() - began, time.process_time() - worked
    return wall, cpu, peak() - before, len(report.runs[0].loss)


def peak() -> int:
    """The most memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
