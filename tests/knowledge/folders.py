"""Folders as trackers leave them after three runs: the logs, and all that lies around them.

The layouts are those of the real outputs in `tests/corpus`. Each run has 400 steps, a validation every 100, and a
configuration.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.knowledge.logs import events
from tests.knowledge.trackers import THREE, Told, comet_zip, mlflow_db, swanlab_log, trackio_db, wandb_log

VAL_STEPS = range(100, 400, 100)


@dataclass(frozen=True)
class Tracker:
    """A tracker whose folder is known: what writes it, and whether the configuration is kept in it."""

    name: str
    write: Callable[[Path], None]
    config: bool = True


def val_loss(told: Told, step: int) -> float:
    """The validation loss that goes with a run."""
    return told.loss[step] + 0.1


def curves(told: Told, train: str, rate: str, val: str) -> dict[str, list[tuple[int, float]]]:
    """The points of a run under the names that a tool gives them."""
    return {
        train: [*enumerate(told.loss)],
        rate: [*enumerate(told.lr)],
        val: [(step, val_loss(told, step)) for step in VAL_STEPS],
    }


def rows(told: Told, train: str, rate: str, val: str) -> list[dict[str, float]]:
    """The same a row a step, with the step beside them: those of the tracker itself may count its calls."""
    made: list[dict[str, float]] = [{"train/global_step": t} for t in range(len(told.loss))]
    for name, pairs in curves(told, train, rate, val).items():
        for step, value in pairs:
            made[step][name] = value
    return made


def put(path: Path, content: str | bytes = "") -> None:
    """A file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def yaml_of(config: dict, wrapped: bool = False) -> str:
    """A flat configuration as YAML, each value below `value:` where a tool wraps it so."""
    return "".join(f"{k}:\n    value: {v}\n" if wrapped else f"{k}: {v}\n" for k, v in config.items())


def wandb(folder: Path) -> None:
    for i, told in enumerate(THREE):
        run = folder / "wandb" / f"offline-run-20261129_09302{i}-abcdefg{i}"
        history = rows(told, "train/loss", "train/lr", "val/loss")
        put(run / f"run-abcdefg{i}.wandb", wandb_log(told.name, history, told.config, id=f"abcdefg{i}"))
        put(run / "files" / "output.log", "".join(f"iter {t}: loss {y:.4f}\n" for t, y in enumerate(told.loss)))
        put(run / "files" / "requirements.txt", "numpy==2.4.6\ntorch==2.13.0\n")
        put(run / "files" / "config.yaml", yaml_of(told.config, wrapped=True))
        put(run / "files" / "wandb-summary.json", json.dumps({"train/loss": told.loss[-1], "_step": 399}))
        put(run / "files" / "wandb-metadata.json", json.dumps({"program": "train.py", "args": ["--lr", "3e-4"]}))
        put(run / "logs" / "debug.log", "2026-11-29 09:30:20,100 INFO    MainThread:1 [setup.py:_flush():80] start\n")
    (folder / "wandb" / "latest-run").symlink_to(run.name)
    (folder / "wandb" / "debug.log").symlink_to(run / "logs" / "debug.log")


def mlflow_files(folder: Path) -> None:
    put(folder / "mlruns" / "0" / "meta.yaml", "experiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    (folder / "mlruns" / ".trash").mkdir()
    experiment = folder / "mlruns" / "567596989430645785"
    put(experiment / "meta.yaml", "experiment_id: '567596989430645785'\nlifecycle_stage: active\nname: corpus\n")
    for i, told in enumerate(THREE):
        run = experiment / f"{i:032x}"
        put(run / "meta.yaml", f"lifecycle_stage: active\nrun_id: {i:032x}\nrun_name: {told.name}\nstatus: 3\n")
        for key, value in told.config.items():
            put(run / "params" / key, str(value))
        for key, pairs in curves(told, "train/loss", "learning_rate", "val/loss").items():
            put(run / "metrics" / key, "".join(f"{1795310878756 + t} {y!r} {t}\n" for t, y in pairs))
        put(run / "tags" / "mlflow.runName", told.name)
        put(run / "tags" / "mlflow.source.name", "train.py")
        (run / "artifacts").mkdir()


def mlflow_database(folder: Path) -> None:
    runs = ((told.name, curves(told, "train_loss", "learning_rate", "val_loss"), told.config) for told in THREE)
    put(folder / "mlflow.db", mlflow_db(*runs))
    put(folder / "mlartifacts" / "1" / "abc" / "artifacts" / "config.yaml", yaml_of(THREE[0].config))


def trackio(folder: Path) -> None:
    runs = ((told.name, [*enumerate(rows(told, "train/loss", "train/lr", "val/loss"))], told.config) for told in THREE)
    put(folder / "corpus.db", trackio_db(*runs))
    put(folder / "corpus.lock")
    put(folder / "media" / "corpus" / "notes.md", "# Notes\n")


def tensorboard(folder: Path) -> None:
    for told in THREE:
        run = folder / "runs" / told.name
        run.mkdir(parents=True)
        events(run, curves(told, "Loss/train", "lr", "Loss/val"))


def add_scalars(folder: Path) -> None:
    for told in THREE:
        loss, rate, val = curves(told, "loss", "lr", "val").values()
        for place, points in {"": {"lr": rate}, "loss_train": {"loss": loss}, "loss_val": {"loss": val}}.items():
            (folder / "runs" / told.name / place).mkdir(parents=True, exist_ok=True)
            events(folder / "runs" / told.name / place, points)


def comet(folder: Path) -> None:
    for i, told in enumerate(THREE):
        points = curves(told, "train_loss", "learning_rate", "val_loss")
        put(folder / f"{i:032x}.zip", comet_zip(told.name, points, told.config))


def clearml(folder: Path) -> None:
    for i, told in enumerate(THREE):
        run = folder / f"offline-{i:032x}"
        lines = []
        for (metric, variant), pairs in zip(
            (("loss", "train"), ("lr", "lr"), ("loss", "val")), curves(told, "a", "b", "c").values(), strict=True
        ):
            event = {"type": "training_stats_scalar", "task": run.name, "metric": metric, "variant": variant}
            lines.append(json.dumps([{**event, "timestamp": 1, "iter": t, "value": y} for t, y in pairs]))
        monitor = {"type": "training_stats_scalar", "task": run.name, "metric": ":monitor:machine", "variant": "cpu"}
        lines.append(json.dumps([{**monitor, "timestamp": 1, "iter": t, "value": 50.0} for t in range(9)]))
        put(run / "metrics.jsonl", "\n".join(lines) + "\n")
        put(run / "log.jsonl", json.dumps([{"type": "log", "level": "info", "msg": "loss 3.2 at step 10"}]) + "\n")
        values = {k: {"name": k, "section": "General", "value": str(v)} for k, v in told.config.items()}
        put(run / "task.json", json.dumps({"id": run.name, "name": told.name, "hyperparams": {"General": values}}))
        (run / "data").mkdir()


def dvclive(folder: Path) -> None:
    for told in THREE:
        run = folder / told.name / "dvclive"
        for key, pairs in curves(told, "train/loss", "lr", "eval/loss").items():
            head = f"step\t{key.rpartition('/')[2]}\n"
            put(run / "plots" / "metrics" / f"{key}.tsv", head + "".join(f"{t}\t{y!r}\n" for t, y in pairs))
        put(run / "params.yaml", yaml_of(told.config))
        put(run / "metrics.json", json.dumps({"train": {"loss": told.loss[-1]}, "lr": told.lr[-1], "step": 399}))
        put(folder / told.name / "dvc.yaml", "params:\n- dvclive/params.yaml\nmetrics:\n- dvclive/metrics.json\n")


def swanlab(folder: Path) -> None:
    for i, told in enumerate(THREE):
        run = folder / "swanlog" / f"run-20261129_09481{i}-abcdefg{i}"
        put(run / f"run-abcdefg{i}.swanlab", swanlab_log(told.name, curves(told, "train/loss", "train/lr", "val/loss")))
        config = {k: f"\n  value: {v}\n  sort: {n}\n  desc: ''" for n, (k, v) in enumerate(told.config.items())}
        put(run / "files" / "config.yaml", yaml_of(config))
        put(run / "files" / "requirements.txt", "numpy==2.4.6\n")
        put(run / "files" / "swanlab-metadata.json", json.dumps({"swanlab": {"version": "0.10.3"}}))
        put(run / "debug" / "debug.log", "2026-11-29 09:48:18 | INFO | start\n")


def lightning(folder: Path) -> None:
    for told in THREE:
        run = folder / told.name / "version_0"
        lines = ["epoch,lr-AdamW,step,train_loss,val_loss"]
        for t, (loss, rate) in enumerate(zip(told.loss, told.lr, strict=True)):
            lines += [f",{rate!r},{t},,", f"{t // 100},,{t},{loss!r},"]
            lines += [f"{t // 100},,{t},,{val_loss(told, t)!r}"] * (t in VAL_STEPS)
        put(run / "metrics.csv", "\n".join(lines) + "\n")
        put(run / "hparams.yaml", yaml_of(told.config))
        put(run / "checkpoints" / "epoch=3-step=400.ckpt", b"PK\x03\x04 weights")


def neptune(folder: Path) -> None:
    for i, told in enumerate(THREE):
        run = folder / ".neptune" / "offline" / f"run__{i:08x}-1dd3-4c5f-a498-d0a085c6377c__1__abcdefg{i}"
        said = [{"type": "AssignString", "path": ["sys", "name"], "value": told.name}]
        said += [{"type": "AssignInt", "path": ["parameters", k], "value": v} for k, v in told.config.items()]
        for key, pairs in curves(told, "train_loss", "learning_rate", "val_loss").items():
            path = {"type": "LogFloats", "path": ["metrics", key]}
            said += [{**path, "values": [{"value": y, "step": float(t), "ts": 1.0}]} for t, y in pairs]
        lines = (json.dumps({"obj": obj, "version": n, "at": 1.0}) + "\n" for n, obj in enumerate(said, 1))
        put(run / "data-1.log", "".join(lines))
        put(run / "metadata.json", json.dumps({"mode": "offline", "containerType": "run", "structureVersion": 3}))
        put(run / "last_ack_version", "0\n")
        put(run / "last_put_version", f"{len(said)}\n")


TRACKERS = (
    Tracker("W&B offline", wandb),
    Tracker("MLflow's file store", mlflow_files),
    Tracker("MLflow's database", mlflow_database),
    Tracker("trackio", trackio),
    Tracker("TensorBoard", tensorboard, config=False),
    Tracker("TensorBoard's add_scalars", add_scalars, config=False),
    Tracker("Comet offline", comet),
    Tracker("ClearML offline", clearml),
    Tracker("DVCLive", dvclive),
    Tracker("SwanLab", swanlab),
    Tracker("Lightning's CSVLogger", lightning),
    Tracker("Neptune offline", neptune),
)
