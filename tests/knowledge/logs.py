"""Small logs in every format for tests of readers, and what is read of one file."""

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd

from optlaws_core.readers import Layout, Source, read_all, read_source

STEPS, LOSS, LR = [0, 10, 20, 30], [3.25, 2.5, 2.125, 2.0], [1e-3, 1e-3, 5e-4, 0.0]
GOOD = b"step,loss,lr\n0,3,1e-3\n10,2.5,1e-3\n20,2,1e-3\n"


def table(delimiter: str) -> bytes:
    rows = [("step", "loss", "lr"), *zip(STEPS, LOSS, LR, strict=True)]
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows).encode()


def records() -> list[dict]:
    return [{"step": s, "loss": y, "lr": e} for s, y, e in zip(STEPS, LOSS, LR, strict=True)]


def trainer_state() -> dict:
    rows = [{"step": s, "loss": y, "learning_rate": e, "epoch": 0.1} for s, y, e in zip(STEPS, LOSS, LR, strict=True)]
    summary = {"step": 30, "train_loss": 99.0, "train_runtime": 1.0, "total_flos": 1e18}
    return {"log_history": [*rows, {"predict_loss": 7.0}, summary], "max_steps": 31, "logging_steps": 10}


def history() -> dict:
    train = {"iter": STEPS, "train_loss": LOSS, "train_lr": LR, "train_perplexity": [math.exp(y) for y in LOSS]}
    return {
        "name": "from-json",
        "config": {},
        "summary": {},
        "history": {"train": train, "wa": {"iter": [], "loss": []}},
    }


def chart() -> bytes:
    rows = [f'"{s}","{y}","{y - 0.1}","{y + 0.1}","{e}"' for s, y, e in zip(STEPS, LOSS, LR, strict=True)]
    head = '"Step","brisk - pond-1 - train/loss","brisk - pond-1 - train/loss__MIN"'
    return "\n".join([head + ',"brisk - pond-1 - train/loss__MAX","brisk - pond-1 - train/lr"', *rows]).encode()


def parquet() -> bytes:
    out = io.BytesIO()
    pd.DataFrame({"step": STEPS, "loss": LOSS, "lr": LR}).to_parquet(out)
    return out.getvalue()


def events(folder: Path, points: dict[str, list[tuple[int, float]]], tensors: bool = False) -> bytes:
    """A real event file, written without TensorFlow."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(folder))
    for tag, pairs in points.items():
        for step, value in pairs:
            if tensors:
                summary = Summary.Value(tag=tag, tensor=make_tensor_proto(np.float32(value)))
            else:
                summary = Summary.Value(tag=tag, simple_value=value)
            writer.add_event(Event(step=step, summary=Summary(value=[summary])))
    writer.close()
    (file,) = folder.glob("events.out.tfevents.*")
    return file.read_bytes()


def event_points() -> dict[str, list[tuple[int, float]]]:
    return {"train/loss": list(zip(STEPS, LOSS, strict=True)), "train/lr": list(zip(STEPS, LR, strict=True))}


def one(name: str, data: bytes | str, layout: Layout | None = None):
    """The only run of a file, and its report."""
    report = read_source(Source(name, data.encode() if isinstance(data, str) else data), layout)
    assert report.error is None
    (run,) = report.runs
    return run, report


def fault(data: bytes | str, name: str = "x.csv", layout: Layout | None = None) -> str:
    """The error sentence of a file that cannot be read."""
    report = read_source(Source(name, data.encode() if isinstance(data, str) else data), layout)
    assert report.runs == () and report.error is not None
    assert report.error.startswith(f"{name}: ") and report.error[-1] in ".?" and "\n" not in report.error
    return report.error


def said(report) -> str:
    return " | ".join(note.text for note in report.notes)


def csv_of(steps, loss, lr=None, head="step,loss,lr") -> str:
    if lr is None:
        return "step,loss\n" + "".join(f"{s},{y!r}\n" for s, y in zip(steps, loss, strict=True))
    return head + "\n" + "".join(f"{s},{y!r},{e}\n" for s, y, e in zip(steps, loss, lr, strict=True))


def falling(n: int) -> list[float]:
    return [3 + 1 / (i + 1) for i in range(n)]


def with_manifest(log: str, *cells: str, head: str = "schedule") -> tuple:
    """Read a log and a manifest of one row; the run and the log's report."""
    row = ",".join(f'"{c}"' for c in cells)
    sources = [Source("a.csv", log.encode()), Source("manifest.csv", f"run,file,{head}\nmine,a.csv,{row}\n".encode())]
    reading = read_all(sources)
    assert reading.errors == ()
    (run,) = reading.runs
    return run, reading.files[0]
