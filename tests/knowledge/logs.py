"""Small logs in every format for tests of readers, and what must be read of them."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from optlaws_core.readers import FORMATS, Layout, Source, read_all, read_source

STEPS, LOSS, LR = [0, 10, 20, 30], [3.25, 2.5, 2.125, 2.0], [1e-3, 1e-3, 5e-4, 0.0]
GOOD = b"step,loss,lr\n0,3,1e-3\n10,2.5,1e-3\n20,2,1e-3\n"


@dataclass(frozen=True)
class Curve:
    """What must be read of one run."""

    run: str
    steps: list[int] = field(default_factory=lambda: STEPS)
    loss: list[float] = field(default_factory=lambda: LOSS)
    lr: list[float] | None = field(default_factory=lambda: LR)  # the logged rates; None where none are logged
    split: str = "train"
    total: int = 31  # updates of the schedule, where rates are logged


# Every format of `readers.FORMATS` -> a file name for its sample, and the runs that stand in the sample, in order.
READINGS: dict[str, tuple[str, list[Curve]]] = {
    "TensorBoard events": ("big/events.out.tfevents.1", [Curve("big", lr=np.float32(LR).tolist())]),
    "downloaded run": ("run.json", [Curve("from-afar")]),
    "W&B transaction log": ("offline-run-20261129_093643-ab12cd34/run-ab12cd34.wandb", [Curve("from-log")]),
    "MLflow database": ("mlflow.db", [Curve("from-mlflow")]),
    "trackio database": ("project.db", [Curve("from-trackio")]),
    "SwanLab log": ("run-20261129_094837-vksj7m9y/run-vksj7m9y.swanlab", [Curve("from-swanlab")]),
    "Comet offline experiment": ("0c45b8cd.zip", [Curve("from-comet")]),
    "MLflow file store": ("mlruns/1/4f2c/metrics/train_loss", [Curve("4f2c", lr=None)]),
    "ClearML offline task": ("offline-a26e/metrics.jsonl", [Curve("offline-a26e")]),
    "Neptune offline run": ("run__1689/data-1.log", [Curve("run__1689")]),
    "TensorBoard CSV download": ("run-dawn-tag-train_loss.csv", [Curve("dawn", lr=None)]),
    "TensorBoard JSON download": ("run-dawn-tag-train_loss.json", [Curve("dawn", lr=None)]),
    "a table for each metric": ("monitor/Train_loss.csv", [Curve("monitor", lr=None)]),
    "long table": ("metrics.csv", [Curve("from-long")]),
    "Parquet": ("a.parquet", [Curve("a")]),
    "console log": ("a.log", [Curve("a")]),
    "Hugging Face trainer_state.json": ("my-run/trainer_state.json", [Curve("my-run")]),
    "W&B history JSON": ("a.json", [Curve("from-json")]),
    "JSON records": ("a.json", [Curve("a")]),
    "JSON columns": ("a.json", [Curve("a")]),
    "JSON lines": ("a.jsonl", [Curve("a")]),
    "Manifest": ("manifest.csv", []),
    "W&B chart CSV": ("chart.csv", [Curve("brisk - pond-1")]),
    "CSV with one run a column": (
        "sweep.csv",
        [Curve("lr=1e-3", lr=None), Curve("lr=3e-4", loss=[y + 0.25 for y in LOSS], lr=None)],
    ),
    "CSV": ("a.csv", [Curve("a")]),
    "TSV": ("a.tsv", [Curve("a")]),
    "CSV with semicolons": ("a.csv", [Curve("a")]),
    "table with spaces": ("a.txt", [Curve("a")]),
}


def sample(name: str) -> bytes:
    """The sample of the format of that name."""
    return next(format.sample for format in FORMATS if format.name == name)


def table(delimiter: str) -> bytes:
    rows = [("step", "loss", "lr"), *zip(STEPS, LOSS, LR, strict=True)]
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows).encode()


def trainer_state() -> dict:
    return json.loads(sample("Hugging Face trainer_state.json"))


def history() -> dict:
    return json.loads(sample("W&B history JSON"))


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
    return run, next(report for report in reading.files if report.format != "Manifest")
