"""What the benchmarks share: a Markdown table, medians of repeated timings, the public data."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"


def show(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    cells = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
    width = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, width, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in width) + "|")
    print("\n".join(lines), flush=True)


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of `work()` after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def has_public() -> bool:
    """Whether the public runs are beside the checkout; says so when they are not."""
    if not PUBLIC.exists():
        print("The public runs are not beside the checkout, so this benchmark has nothing to run on.")
    return PUBLIC.exists()
