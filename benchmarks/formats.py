"""A log of 1,000,000 rows, three columns, in every kind of file: seconds to read it, and memory.

    python -m benchmarks formats [--rows 1000000]

Each file is read in a process of its own. Memory is what that process grew by at most, in sizes of the file.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from .console_log import read_apart
from .table import show

Rows = list[tuple[int, float, float]]  # step, loss, rate


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    count = options.parse_args().rows
    step = np.arange(count)
    rate = 3e-4 * np.minimum(1, step / 2000) * (0.55 + 0.45 * np.cos(np.pi * step / count))
    loss = 2.5 + 8 * (step + 10.0) ** -0.2 + 0.05 * np.random.default_rng(0).standard_normal(count)
    rows = list(zip(step.tolist(), np.round(loss, 5).tolist(), rate.tolist(), strict=True))
    found = []
    for name, (path, write) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, rows)
            file = next(file.parent.iterdir())  # TensorBoard names its own
            size = file.stat().st_size
            wall, cpu, grown, _ = read_apart(file)
            found.append((name, f"{size / 2**20:.0f} MB", f"{wall:.2f}", f"{cpu:.2f}", f"{grown / size:.1f}"))
    show(("a log of", "size", "seconds", "CPU seconds", "memory / size"), found)


def lines(form: str, head: str = "") -> Callable[[Path, Rows], None]:
    """Writes a line for each row."""

    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.write(head)
            file.writelines(form.format(s=s, y=y, lr=lr) for s, y, lr in rows)

    return write


def decimal_commas(path: Path, rows: Rows) -> None:
    """Writes a table as spreadsheets do in many countries."""
    lines("{s};{y:.5f};{lr:.6e}\n", "step;loss;lr\n")(path, rows)
    path.write_bytes(path.read_bytes().replace(b".", b","))


def records(path: Path, rows: Rows) -> None:
    """Writes an array of objects."""
    path.write_text(json.dumps([{"step": s, "loss": y, "lr": lr} for s, y, lr in rows]), encoding="utf-8")


def columns(path: Path, rows: Rows) -> None:
    """Writes an object of lists."""
    path.write_text(json.dumps(dict(zip(("step", "loss", "lr"), zip(*rows, strict=True), strict=True))))


def trainer_state(path: Path, rows: Rows) -> None:
    """Writes what a Trainer of Hugging Face leaves in a checkpoint."""
    history = [{"epoch": s / 1e5, "grad_norm": 1.2, "learning_rate": lr, "loss": y, "step": s} for s, y, lr in rows]
    path.write_text(json.dumps({"log_history": history, "max_steps": len(rows)}, indent=2))


def parquet(path: Path, rows: Rows) -> None:
    """Writes a table of pandas."""
    pd.DataFrame(rows, columns=["step", "loss", "lr"]).to_parquet(path)


def events(path: Path, rows: Rows) -> None:
    """Writes an event file of TensorBoard, two scalars a step."""
    writer = EventFileWriter(str(path.parent))
    for s, y, lr in rows:
        for tag, value in (("train/loss", y), ("train/lr", lr)):
            writer.add_event(Event(step=s, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])))
    writer.close()


KINDS: dict[str, tuple[str, Callable[[Path, Rows], None]]] = {
    "CSV": ("a.csv", lines("{s},{y:.5f},{lr:.6e}\n", "step,loss,lr\n")),
    "CSV with quotes": ("a.csv", lines('"{s}","{y:.5f}","{lr:.6e}"\n', '"step","loss","lr"\n')),
    "CSV with semicolons and decimal commas": ("a.csv", decimal_commas),
    "table with spaces": ("a.txt", lines("{s} {y:.5f} {lr:.6e}\n", "step loss lr\n")),
    "long table": ("a.csv", lines("a,loss,{s},{y:.5f}\na,lr,{s},{lr:.6e}\n", "run,key,step,value\n")),
    "JSON lines": ("a.jsonl", lines('{{"step": {s}, "loss": {y:.5f}, "lr": {lr:.6e}}}\n')),
    "JSON records": ("a.json", records),
    "JSON columns": ("a.json", columns),
    "Hugging Face trainer_state.json": ("trainer_state.json", trainer_state),
    "Parquet": ("a.parquet", parquet),
    "MLflow file store, one metric": ("mlruns/1/a/metrics/loss", lines("1795310878756 {y:.10f} {s}\n")),
    "TensorBoard events": ("big/events", events),
}
