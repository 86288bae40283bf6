"""Makes the corpus: output of real tools, each run for a few steps. Not run by the test suite.

    python tests/corpus/make.py OUT wandb mlflow_files ...

runs the named tools, which must be installed (`tool` names the package above each), and writes OUT/<tool>/ with a
TRUTH.json in each: the runs, what stands in them, and the tool's version. Trackers are given three known curves
(`RUNS`); trainers train a tiny model for a few steps, and the truth is what they were given. In the end

    python tests/corpus/make.py OUT keep

takes what OUT has over into the corpus, without what is no part of a log, and puts the truths into one table.

Nothing of the machine may be in the output. Each tool runs in a process of its own, from a copy of this file in `WORK`,
with a home, user and host that are none; in the end `leaks` looks for the real ones in every file. Tools that ask the
system for its name see it all the same: `unshare --uts sh -c 'hostname host; python ...'` gives them another one.
"""

import contextlib
import csv
import getpass
import gzip
import importlib.metadata
import json
import math
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

WORK = Path("/tmp/corpus")  # where tools work: the only folder whose name may be in their output
STEPS = range(0, 400, 10)
VAL_STEPS = range(100, 400, 100)
TOTAL = 400


@dataclass(frozen=True)
class Run:
    """A known curve: a name, a configuration, a schedule and a loss at each step."""

    name: str
    family: str
    fields: dict[str, float]
    params: int
    batch_size: int
    floor: float

    @property
    def schedule(self) -> str:
        """The schedule as Opt-Laws writes it."""
        return f"{self.family}({', '.join(f'{k}={v:g}' for k, v in self.fields.items())})"

    def rate(self, step: float) -> float:
        """The learning rate of an update, counted from 0."""
        f = self.fields
        peak, warmup, total, final = f["peak"], f["warmup"], f["total"], f["final"]
        if step < warmup:
            return peak * step / warmup
        if self.family == "cosine":
            return final + (peak - final) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
        start = total - f["decay"] if self.family == "wsd" else warmup
        return peak if step <= start else final + (peak - final) * (total - step) / (total - start)

    def loss(self, step: int) -> float:
        """A training loss that falls."""
        return round(self.floor + 2 / math.sqrt(1 + step / 25) + 0.02 * math.sin(step), 6)

    def val_loss(self, step: int) -> float:
        """A validation loss, a little above the training loss."""
        return round(self.loss(step) + 0.1, 6)

    @property
    def config(self) -> dict[str, float | int | str]:
        """What a user hands to a tracker as configuration."""
        return {
            "n_params": self.params,
            "batch_size": self.batch_size,
            "learning_rate": self.fields["peak"],
            "warmup_steps": int(self.fields["warmup"]),
            "max_steps": int(self.fields["total"]),
            "lr_scheduler": self.family,
        }

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Step and metrics: train_loss, learning_rate, grad_norm, and val_loss where there was a validation."""
        for step in STEPS:
            metrics = {"train_loss": self.loss(step), "learning_rate": self.rate(step), "grad_norm": 1 / (1 + step)}
            if step in VAL_STEPS:
                metrics["val_loss"] = self.val_loss(step)
            yield step, metrics


RUNS = (
    Run("amber-fox", "cosine", {"peak": 3e-4, "warmup": 60, "total": TOTAL, "final": 3e-5}, 1_200_000, 32, 2.5),
    Run(
        "birch-owl",
        "wsd",
        {"peak": 1e-3, "warmup": 40, "total": TOTAL, "decay": 80, "final": 0.0},
        3_400_000,
        64,
        2.25,
    ),
    Run("cedar-elk", "linear", {"peak": 6e-4, "warmup": 20, "total": TOTAL, "final": 6e-5}, 5_600_000, 16, 2.0),
)


def truth_of(run: Run, config: bool = True) -> dict:
    """What a reader must find of a known curve."""
    rates = [run.rate(step) for step in STEPS]
    return {
        "name": run.name,
        "points": len(STEPS),
        "steps": [STEPS[0], STEPS[-1]],
        "loss": [run.loss(STEPS[0]), run.loss(STEPS[-1])],
        "rate": [rates[0], rates[-1], max(rates)],
        "schedule": run.schedule,
        "val": {"steps": list(VAL_STEPS), "loss": [run.val_loss(step) for step in VAL_STEPS]},
        "params": run.params if config else None,
        "batch_size": run.batch_size if config else None,
    }


SLASHED = {
    "train_loss": "train/loss",
    "learning_rate": "train/lr",
    "grad_norm": "train/grad_norm",
    "val_loss": "val/loss",
}


def slashed(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics under names with slashes, as W&B and its kin are usually given them."""
    return {SLASHED[key]: value for key, value in metrics.items()}


TOOLS: dict[str, tuple[str, Callable[[Path], list[dict]]]] = {}


def tool(name: str, package: str) -> Callable:
    """Registers what runs a tool: a function of the output folder that returns the truth."""

    def register(function: Callable[[Path], list[dict]]) -> Callable[[Path], list[dict]]:
        TOOLS[name] = (package, function)
        return function

    return register


def neutral() -> None:
    """Replaces what tells of this machine, for tools that ask Python."""
    socket.gethostname = socket.getfqdn = platform.node = lambda *_: "host"  # type: ignore[assignment]
    getpass.getuser = lambda: "user"  # type: ignore[assignment]


def private_words() -> list[str]:
    """Words that must not stand in the corpus: host, user, home, and where this file and the packages are."""
    words = [str(Path.home()), str(Path(__file__).resolve().parents[2]), sys.prefix, os.uname().nodename]
    return [word for word in words if word not in ("host", "/")]


def leaks(folder: Path, words: list[str]) -> list[str]:
    """The files of a folder in which one of the words stands."""
    files = (f for f in sorted(folder.rglob("*")) if f.is_file())
    return [str(f) for f in files if any(w.encode() in f.read_bytes() or w in f.name for w in words)]


# ---- trackers, given a known curve


@tool("wandb", "wandb")
def wandb_offline(out: Path) -> list[dict]:
    """W&B in offline mode: a run folder each."""
    import wandb

    os.environ["WANDB_SILENT"] = "true"
    for run in RUNS:
        settings = wandb.Settings(
            console="wrap", x_disable_meta=True, x_disable_stats=True, disable_code=True, disable_git=True, host="host"
        )
        logged = wandb.init(
            project="corpus", name=run.name, config=run.config, mode="offline", dir=str(out), settings=settings
        )
        for step, metrics in run.rows():
            logged.log({**slashed(metrics), "iter": step}, step=step)
            print(f"iter {step}: loss {metrics['train_loss']:.4f}")
        logged.finish()
    return [truth_of(run) for run in RUNS]


@tool("tensorboard", "tensorboard")
def tensorboard(out: Path) -> list[dict]:
    """torch's SummaryWriter: a folder of events each, the rate under a tag of its own."""
    from torch.utils.tensorboard import SummaryWriter

    for run in RUNS:
        with SummaryWriter(str(out / "runs" / run.name)) as writer:
            for step, metrics in run.rows():
                writer.add_scalar("Loss/train", metrics["train_loss"], step)
                writer.add_scalar("lr", metrics["learning_rate"], step)
                if "val_loss" in metrics:
                    writer.add_scalar("Loss/val", metrics["val_loss"], step)
    return [truth_of(run, config=False) for run in RUNS]


@tool("tensorboard_add_scalars", "tensorboard")
def tensorboard_add_scalars(out: Path) -> list[dict]:
    """torch's SummaryWriter.add_scalars: a folder for each curve below that of the run."""
    from torch.utils.tensorboard import SummaryWriter

    for run in RUNS:
        with SummaryWriter(str(out / "runs" / run.name)) as writer:
            for step, metrics in run.rows():
                pair = {"train": metrics["train_loss"]}
                if "val_loss" in metrics:
                    pair["val"] = metrics["val_loss"]
                writer.add_scalars("loss", pair, step)
                writer.add_scalar("lr", metrics["learning_rate"], step)
    return [truth_of(run, config=False) for run in RUNS]


@tool("tensorboard_csv", "tensorboard")
def tensorboard_csv(out: Path) -> list[dict]:
    """What TensorBoard's page downloads, a CSV of one tag of one run, as its server answers; beside it, as JSON."""
    import urllib.parse
    import urllib.request

    from tensorboard import program
    from torch.utils.tensorboard import SummaryWriter

    logs = WORK / "board"
    for run in RUNS:
        with SummaryWriter(str(logs / run.name)) as writer:
            for step, metrics in run.rows():
                writer.add_scalar("train/loss", metrics["train_loss"], step)
                writer.add_scalar("train/lr", metrics["learning_rate"], step)
    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(logs), "--port", "6123", "--load_fast", "false"])
    url = server.launch()
    for run in RUNS:
        for tag in ("train/loss", "train/lr"):
            for kind in ("csv", "json"):
                query = urllib.parse.urlencode({"run": run.name, "tag": tag, "format": kind})
                with _patiently(lambda q=query: urllib.request.urlopen(f"{url}data/plugin/scalars/scalars?{q}")) as got:
                    name = f"run-{run.name}-tag-{tag.replace('/', '_')}.{kind}"  # as the page names the download
                    (beside(out, f"tensorboard_{kind}") / name).write_bytes(got.read())
    return [truth_of(run, config=False) | {"val": None} for run in RUNS]


def _patiently(call: Callable, seconds: int = 60):
    """The answer of a server that needs a while to be ready."""
    for _ in range(seconds):
        with contextlib.suppress(OSError):
            return call()
        time.sleep(1)
    return call()


@tool("trackio", "trackio")
def trackio(out: Path) -> list[dict]:
    """trackio: an SQLite file a project, exported to Parquet when it is synced."""
    os.environ.update(TRACKIO_DIR=str(out), TRACKIO_ANALYTICS="false", HF_HUB_OFFLINE="1")
    import trackio

    for run in RUNS:
        trackio.init(
            project="corpus", name=run.name, config=run.config, embed=False, auto_log_gpu=False, auto_log_cpu=False
        )
        for step, metrics in run.rows():
            trackio.log(slashed(metrics), step=step)
        trackio.finish()
    return [truth_of(run) for run in RUNS]


@tool("clearml", "clearml")
def clearml(out: Path) -> list[dict]:
    """ClearML's offline mode: a folder a task, metrics.jsonl with a list a line; beside it, the same as ZIP."""
    from clearml import Task

    Task.set_offline(True)
    for run in RUNS:
        task = Task.init(
            project_name="corpus",
            task_name=run.name,
            auto_connect_frameworks=False,
            auto_connect_arg_parser=False,
            auto_connect_streams=False,
            auto_resource_monitoring=False,
        )
        task.connect(dict(run.config))
        logger = task.get_logger()
        for step, metrics in run.rows():
            logger.report_scalar("loss", "train", metrics["train_loss"], step)
            logger.report_scalar("lr", "lr", metrics["learning_rate"], step)
            if "val_loss" in metrics:
                logger.report_scalar("loss", "val", metrics["val_loss"], step)
        folder = Path(task.get_offline_mode_folder())
        task.close()
        shutil.copytree(folder, out / folder.name)
        for archive in folder.parent.glob(f"{folder.name}*.zip"):
            shutil.copy(archive, beside(out, "clearml_zip"))
    return [truth_of(run) for run in RUNS]


@tool("mlflow_files", "mlflow")
def mlflow_files(out: Path) -> list[dict]:
    """MLflow's file store, a folder `mlruns`."""
    return _mlflow(f"file://{out}/mlruns")


@tool("mlflow_sqlite", "mlflow")
def mlflow_sqlite(out: Path) -> list[dict]:
    """MLflow's usual store, a file `mlflow.db`."""
    return _mlflow(f"sqlite:///{out}/mlflow.db")


def _mlflow(uri: str) -> list[dict]:
    os.environ.update(MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_ENABLE_ASYNC_LOGGING="false", DO_NOT_TRACK="true")
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("corpus")
    for run in RUNS:
        with mlflow.start_run(run_name=run.name):
            mlflow.log_params(run.config)
            for step, metrics in run.rows():
                mlflow.log_metrics(metrics, step=step)
    return [truth_of(run) for run in RUNS]


@tool("mlflow_download", "mlflow")
def mlflow_download(out: Path) -> list[dict]:
    """The long table that MLflow's page downloads of the metrics of several runs: run ids, no names, no parameters."""
    from mlflow import MlflowClient

    truth = _mlflow(f"sqlite:///{WORK}/mlflow.db")
    client = MlflowClient(f"sqlite:///{WORK}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("corpus").experiment_id])
    ids = {run.info.run_name: run.info.run_id for run in found}
    with (out / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "key", "value", "timestamp", "step"])
        for run_id in ids.values():
            for key in ("train_loss", "val_loss", "learning_rate"):
                for m in client.get_metric_history(run_id, key):
                    writer.writerow([run_id, m.key, m.value, m.timestamp, m.step])
    return [run | {"name": ids[run["name"]], "params": None, "batch_size": None} for run in truth]


@tool("dvclive", "dvclive")
def dvclive(out: Path) -> list[dict]:
    """DVCLive: a folder a run, a TSV a metric."""
    os.environ.update(DVC_NO_ANALYTICS="1", DVCLIVE_LOGLEVEL="ERROR")
    from dvclive import Live

    for run in RUNS:
        with Live(str(out / run.name / "dvclive"), save_dvc_exp=False, dvcyaml=None) as live:
            live.log_params(run.config)
            for step, metrics in run.rows():
                live.step = step
                live.log_metric("train/loss", metrics["train_loss"])
                live.log_metric("lr", metrics["learning_rate"])
                if "val_loss" in metrics:
                    live.log_metric("eval/loss", metrics["val_loss"])
    return [truth_of(run) for run in RUNS]


@tool("swanlab", "swanlab")
def swanlab(out: Path) -> list[dict]:
    """SwanLab in offline mode: a folder a run."""
    import swanlab

    for run in RUNS:
        swanlab.init(
            project="corpus", experiment_name=run.name, config=run.config, mode="offline", logdir=str(out / "swanlog")
        )
        for step, metrics in run.rows():
            swanlab.log(slashed(metrics), step=step)
        swanlab.finish()
    return [truth_of(run) for run in RUNS]


@tool("comet", "comet_ml")
def comet(out: Path) -> list[dict]:
    """Comet's offline experiment: a ZIP a run."""
    os.environ.update(COMET_LOGGING_CONSOLE="ERROR", COMET_GIT_DIRECTORY=str(WORK))
    import comet_ml

    quiet = dict.fromkeys(("log_code", "log_graph", "log_git_metadata", "log_git_patch", "log_env_details"), False)
    for run in RUNS:
        experiment = comet_ml.OfflineExperiment(
            project_name="corpus",
            workspace="user",
            offline_directory=str(out),
            auto_output_logging=False,
            auto_param_logging=False,
            parse_args=False,
            **quiet,
        )
        experiment.set_name(run.name)
        experiment.log_parameters(run.config)
        for step, metrics in run.rows():
            experiment.log_metrics(metrics, step=step)
        experiment.end()
    return [truth_of(run) for run in RUNS]


@tool("aim", "aim")
def aim(out: Path) -> list[dict]:
    """Aim: one repository `.aim`, a key-value store."""
    os.environ["AIM_UI_TELEMETRY_ENABLED"] = "0"
    import aim

    for run in RUNS:
        tracked = aim.Run(
            repo=str(out),
            experiment="corpus",
            system_tracking_interval=None,
            capture_terminal_logs=False,
            log_system_params=False,
        )
        tracked.name = run.name
        tracked["hparams"] = run.config
        for step, metrics in run.rows():
            tracked.track(metrics["train_loss"], name="loss", step=step, context={"subset": "train"})
            tracked.track(metrics["learning_rate"], name="lr", step=step)
            if "val_loss" in metrics:
                tracked.track(metrics["val_loss"], name="loss", step=step, context={"subset": "val"})
        tracked.close()
    return [truth_of(run) for run in RUNS]


@tool("neptune", "neptune")
def neptune(out: Path) -> list[dict]:
    """Neptune's offline mode: a queue of operations a run."""
    import neptune

    for run in RUNS:
        tracked = neptune.init_run(
            mode="offline",
            name=run.name,
            project="user/corpus",
            capture_stdout=False,
            capture_stderr=False,
            capture_hardware_metrics=False,
            source_files=[],
            git_ref=False,
        )
        tracked["parameters"] = run.config
        for step, metrics in run.rows():
            for key, value in metrics.items():
                tracked[f"metrics/{key}"].append(value, step=step)
        tracked.stop()
    shutil.copytree(WORK / ".neptune", out / ".neptune")
    return [truth_of(run) for run in RUNS]


# ---- trainers, which train a tiny model


def shortened_run(run: Run, total: int = 60) -> Run:
    """The run with a schedule of fewer updates."""
    share = total / TOTAL
    fields = {k: round(v * share) if k in ("warmup", "total", "decay") else v for k, v in run.fields.items()}
    return replace(run, fields=fields)


def trained(run: Run, points: list[tuple[int, float, float]], **more) -> dict:
    """The truth about a run that was trained: step, loss and rate of each point, as the tool was given them.

    `more` may name the answer to what a reader has to ask, and in `forms` what is different in a further folder.
    """
    steps, losses, rates = zip(*points, strict=True)
    return {
        "name": run.name,
        "points": len(points),
        "steps": [steps[0], steps[-1]],
        "loss": [losses[0], losses[-1]],
        "rate": [rates[0], rates[-1], max(rates)],
        "schedule": run.schedule,
        "val": None,
        "params": None,
        "batch_size": None,
        **more,
    }


def tiny(seed: int):
    """A tiny model, and batches of inputs and targets for it."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    inputs = torch.randn(1024, 8)
    return model, inputs, inputs.sum(1, keepdim=True).sin() + 2


def _lightning(out: Path, logger_of: Callable[[Run], object]) -> list[dict]:
    import lightning
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor

    class Module(lightning.LightningModule):
        def __init__(self, run: Run, seed: int) -> None:
            super().__init__()
            self.save_hyperparameters(run.config)
            self.run, self.points, self.vals = run, [], {"steps": [], "loss": []}
            self.model, _, _ = tiny(seed)

        def training_step(self, batch):
            loss = torch.nn.functional.mse_loss(self.model(batch[0]), batch[1])
            rate = self.optimizers().param_groups[0]["lr"]
            self.points.append((self.global_step, loss.item(), rate))
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch):
            loss = torch.nn.functional.mse_loss(self.model(batch[0]), batch[1])
            self.log("val_loss", loss)

        def on_validation_epoch_end(self):
            if not self.trainer.sanity_checking:
                self.vals["steps"].append(self.global_step - 1)
                self.vals["loss"].append(self.trainer.callback_metrics["val_loss"].item())

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), lr=1.0)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.run.rate)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    truth = []
    for seed, run in enumerate(map(shortened_run, RUNS)):
        _, inputs, targets = tiny(seed)
        data = torch.utils.data.TensorDataset(inputs[: 20 * run.batch_size], targets[: 20 * run.batch_size])
        loader = torch.utils.data.DataLoader(data, batch_size=run.batch_size)
        module = Module(run, seed)
        trainer = lightning.Trainer(
            max_steps=60,
            accelerator="cpu",
            logger=logger_of(run),
            log_every_n_steps=1,
            callbacks=[LearningRateMonitor("step")],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=str(out),
        )
        trainer.fit(module, loader, loader)
        truth.append(trained(run, module.points, params=run.params, batch_size=run.batch_size, val=module.vals))
    return truth


@tool("lightning_csv", "lightning")
def lightning_csv(out: Path) -> list[dict]:
    """Lightning's CSVLogger with LearningRateMonitor: train and val in rows of their own."""
    from lightning.pytorch.loggers import CSVLogger

    return _lightning(out, lambda run: CSVLogger(str(out), name=run.name, flush_logs_every_n_steps=10))


@tool("lightning_tensorboard", "lightning")
def lightning_tensorboard(out: Path) -> list[dict]:
    """Lightning's TensorBoardLogger with LearningRateMonitor."""
    from lightning.pytorch.loggers import TensorBoardLogger

    return _lightning(out, lambda run: TensorBoardLogger(str(out), name=run.name))


@tool("transformers", "transformers")
def transformers(out: Path) -> list[dict]:
    """The Trainer of transformers: trainer_state.json; beside it, what it prints, and its TensorBoard events."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Model(torch.nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.inner, _, _ = tiny(seed)

        def forward(self, x, labels):
            return {"loss": torch.nn.functional.mse_loss(self.inner(x), labels)}

    class Seen(TrainerCallback):
        def __init__(self) -> None:
            self.points: list[tuple[int, float, float]] = []
            self.vals: list[tuple[int, float]] = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                self.points.append((state.global_step, logs["loss"], logs["learning_rate"]))
            if "eval_loss" in logs:
                self.vals.append((state.global_step, logs["eval_loss"]))

    kinds = {"cosine": "cosine_with_min_lr", "wsd": "warmup_stable_decay", "linear": "linear"}
    truth = []
    for seed, run in enumerate(map(shortened_run, RUNS)):
        f = run.fields
        more = {
            "cosine": {"min_lr": f["final"]},
            "wsd": {"num_decay_steps": int(f.get("decay", 0)), "decay_type": "linear"},
        }
        _, inputs, targets = tiny(seed)
        rows = [{"x": x, "labels": y} for x, y in zip(inputs, targets, strict=True)]
        folder, seen = out / run.name, Seen()
        arguments = TrainingArguments(
            output_dir=str(folder),
            max_steps=60,
            per_device_train_batch_size=run.batch_size,
            learning_rate=f["peak"],
            lr_scheduler_type=kinds[run.family],
            lr_scheduler_kwargs=more.get(run.family, {}),
            warmup_steps=int(f["warmup"]),
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=20,
            save_strategy="no",
            report_to=["tensorboard"],
            use_cpu=True,
            disable_tqdm=run.family == "wsd",
            label_names=["labels"],
        )
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(beside(out, "transformers_tensorboard") / run.name)
        with (beside(out, "transformers_stdout") / f"{run.name}.log").open("w") as printed, _all_output(printed):
            trainer = Trainer(Model(seed), arguments, train_dataset=rows, eval_dataset=rows[:64], callbacks=[seen])
            trainer.train()
        trainer.save_state()
        final = replace(run, fields=run.fields | ({"final": 0.0} if run.family == "linear" else {}))
        steps, losses = zip(*seen.vals, strict=True)
        forms = {"transformers_stdout": {"answer": f"{run.name}.log:steps=epochs:{len(rows) // run.batch_size}"}}
        truth.append(trained(final, seen.points, forms=forms, val={"steps": list(steps), "loss": list(losses)}))
    return truth


@tool("keras", "keras")
def keras(out: Path) -> list[dict]:
    """Keras: CSVLogger, which writes a row an epoch, of 5 updates here; the rate stays for an epoch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    truth = []
    for seed, run in enumerate(map(shortened_run, RUNS)):
        run = replace(run, fields=run.fields | {"warmup": 10})  # two epochs, so that the log can tell it
        _, inputs, targets = tiny(seed)
        data = [x[: 5 * run.batch_size].numpy() for x in (inputs, targets)]
        model = keras.Sequential([keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse")
        rates = keras.callbacks.LearningRateScheduler(lambda epoch, _, run=run: run.rate(5 * epoch))
        callbacks = [rates, keras.callbacks.CSVLogger(str(out / f"{run.name}.csv"))]
        more = {"batch_size": run.batch_size, "validation_data": data, "epochs": 12, "verbose": 0}
        seen = model.fit(*data, callbacks=callbacks, **more).history
        points = [(5 * epoch, loss, run.rate(5 * epoch)) for epoch, loss in enumerate(seen["loss"])]
        val = {"steps": [step for step, _, _ in points], "loss": seen["val_loss"]}
        truth.append(trained(run, points, val=val, answer=f"{run.name}.csv:x=epochs:5"))
    return truth


@tool("mmengine", "mmengine")
def mmengine(out: Path) -> list[dict]:
    """mmengine, which mmdetection and XTuner build on: a console log, and a JSON file of lines beside it."""
    import torch
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Model(BaseModel):
        def __init__(self, run: Run, seed: int) -> None:
            super().__init__()
            self.inner, _, _ = tiny(seed)
            self.points: list[tuple[int, float, float]] = []
            self.optimizer = torch.optim.AdamW(self.inner.parameters(), lr=run.fields["peak"])

        def forward(self, x, y, mode="loss"):
            loss = torch.nn.functional.mse_loss(self.inner(x), y)
            self.points.append((len(self.points) + 1, loss.item(), self.optimizer.param_groups[0]["lr"]))
            return {"loss": loss}

    truth = []
    for seed, run in enumerate(map(shortened_run, RUNS)):
        _, inputs, targets = tiny(seed)
        data = torch.utils.data.TensorDataset(inputs, targets)
        model = Model(run, seed)
        runner = Runner(
            model,
            str(WORK / run.name),
            train_dataloader=torch.utils.data.DataLoader(data, batch_size=run.batch_size),
            train_cfg={"by_epoch": False, "max_iters": 60},
            optim_wrapper={"optimizer": model.optimizer},
            param_scheduler=_mmengine_schedule(model.optimizer, run),
            default_hooks={"logger": {"type": "LoggerHook", "interval": 1}, "checkpoint": None},
            log_processor={"by_epoch": False, "window_size": 1},
            experiment_name=run.name,
        )
        runner.train()
        (folder,) = (path for path in (WORK / run.name).iterdir() if path.is_dir())
        shutil.copy(folder / f"{folder.name}.log", out / f"{run.name}.log")
        shutil.copy(folder / "vis_data" / "scalars.json", beside(out, "mmengine_json") / f"{run.name}.json")
        truth.append(trained(run, model.points))
    return truth


@tool("torchtune", "torchtune")
def torchtune(out: Path) -> list[dict]:
    """torchtune's DiskLogger, with what its recipes log."""
    from torchtune.training.metric_logging import DiskLogger

    for run in RUNS:
        logger = DiskLogger(str(out / run.name), filename="log.txt")
        for step, metrics in run.rows():
            row = {"loss": metrics["train_loss"], "lr": metrics["learning_rate"], "tokens_per_second_per_gpu": 1234.5}
            logger.log_dict({**row, "grad_norm": metrics["grad_norm"]}, step=step)
        logger.close()
    return [truth_of(run, config=False) | {"val": None} for run in RUNS]


@tool("litgpt", "litgpt")
def litgpt(out: Path) -> list[dict]:
    """litgpt's pre-training, with two micro-batches an update: Fabric's CSV; beside it, what it prints."""
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    import torch
    from litgpt import pretrain
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.config import Config
    from litgpt.data import DataModule

    pretrain.save_hyperparameters = lambda *_: None  # it reads a command line, which is none here

    class Tokens(DataModule):
        def connect(self, tokenizer=None, batch_size=1, max_seq_length=None, **kwargs) -> None:
            self.batch_size, self.length = batch_size, max_seq_length + 1

        def train_dataloader(self):
            torch.manual_seed(0)
            return torch.utils.data.DataLoader(torch.randint(0, 32, (400, self.length)), batch_size=self.batch_size)

        val_dataloader = train_dataloader

    truth = []
    for run in map(shortened_run, RUNS):
        f = run.fields | {"final": run.fields["peak"] / 10}
        run = replace(run, family="cosine", fields={k: f[k] for k in ("peak", "warmup", "total", "final")})
        size = {"block_size": 16, "n_layer": 1, "n_head": 2, "n_embd": 16, "vocab_size": 32, "padded_vocab_size": 32}
        arguments = TrainArgs(
            save_interval=None,
            global_batch_size=4,
            micro_batch_size=2,
            max_tokens=60 * 4 * 16,
            max_norm=1.0,
            lr_warmup_steps=int(f["warmup"]),
            min_lr=f["final"],
        )
        work = WORK / run.name
        with (beside(out, "litgpt_stdout") / f"{run.name}.log").open("w") as printed, _all_output(printed):
            pretrain.setup(
                "tiny",
                Config(name="tiny", **size),
                out_dir=work,
                precision="32-true",
                data=Tokens(),
                train=arguments,
                eval=EvalArgs(interval=20, max_iters=2, final_validation=False),
                optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": f["peak"]}},
                devices=1,
                logger_name="csv",
            )
        (made,) = work.rglob("metrics.csv")
        (out / run.name).mkdir()
        shutil.copy(made, out / run.name / "metrics.csv")
        with made.open(newline="") as file:
            rows = list(csv.DictReader(file))
        train = [row for row in rows if row["loss"]]
        points = [(n + 1, float(row["loss"]), run.rate(n + 0.5)) for n, row in enumerate(train)]
        val = {"steps": [20, 40, 60], "loss": [float(row["val_loss"]) for row in rows if row["val_loss"]]}
        # The CSV counts micro-batches; its rates, of an update's second one, are of no family in updates.
        counted = {"schedule": "", "answer": f"{run.name}/metrics.csv:x=micro-batches:2"}
        truth.append(trained(run, points, val=val, forms={"litgpt": counted, "litgpt_stdout": {"rate": None}}))
    return truth


@tool("olmo_core", "ai2-olmo-core")
def olmo_core(out: Path) -> list[dict]:
    """What OLMo-core's callback prints: a line with the step, and a line for each metric below it."""
    from types import SimpleNamespace

    from olmo_core.train.callbacks import ConsoleLoggerCallback
    from olmo_core.utils import setup_logging

    for run in RUNS:
        progress = SimpleNamespace(time_remaining=None)
        console = ConsoleLoggerCallback()
        console.trainer = SimpleNamespace(max_steps=TOTAL, epoch=1, training_progress=progress, hard_stop=False)
        with (out / f"{run.name}.log").open("w") as printed, _all_output(printed):
            setup_logging(force=True)
            for step, metrics in run.rows():
                loss = {"train/CE loss": metrics["train_loss"], "train/PPL": math.exp(metrics["train_loss"])}
                rate = {"optim/LR (group 0)": metrics["learning_rate"], "optim/total grad norm": metrics["grad_norm"]}
                console.log_metrics(step or 1, loss | rate)
    return [_in_lines(run, first=1) | {"rate": None} for run in RUNS]  # rates are printed with 4 decimals


@tool("torchtitan", "torchtitan")
def torchtitan(out: Path) -> list[dict]:
    """What torchtitan's MetricsProcessor prints, in colours; it prints no rates."""
    from types import SimpleNamespace

    from torchtitan.components.metrics import MetricsProcessor
    from torchtitan.tools import logging, utils

    memory = SimpleNamespace(max_reserved_gib=9.46, max_reserved_pct=64.99, max_active_gib=9.0, max_active_pct=60.0)
    memory.num_alloc_retries = memory.num_ooms = 0
    for run in RUNS:
        made = MetricsProcessor.__new__(MetricsProcessor)
        made.config, made.logger = SimpleNamespace(log_freq=10), SimpleNamespace(log=lambda *_: None)
        made.parallel_dims = SimpleNamespace(non_data_parallel_size=1)
        made.device_memory_monitor = SimpleNamespace(get_peak_stats=lambda: memory, reset_peak_stats=lambda: None)
        made.color, made.gpu_peak_flops, made.has_quantization = utils.Color(), 1e14, False
        made.num_flops_per_token, made.time_last_log, made.ntokens_since_last_log = 10**6, time.perf_counter(), 0
        with (out / f"{run.name}.log").open("w") as printed, _all_output(printed):
            logging.init_logger()
            for step, metrics in run.rows():
                made.ntokens_since_last_log, made.data_loading_times = 4096, [0.01]
                made.log(step, metrics["train_loss"], metrics["train_loss"], metrics["grad_norm"])
                if "val_loss" in metrics:
                    made.log_validation(metrics["val_loss"], step)
    return [truth_of(run, config=False) | {"rate": None} for run in RUNS]


def _in_lines(run: Run, first: int) -> dict:
    """The truth about a known curve without validation, whose first step is not 0."""
    truth = truth_of(run, config=False) | {"val": None}
    return truth | {"steps": [first, STEPS[-1]]}


def _mmengine_schedule(optimizer, run: Run) -> list:
    """The rates of a run, as mmengine composes them."""
    from mmengine.optim.scheduler import CosineAnnealingLR, LinearLR

    f = run.fields
    warmup, total, peak = int(f["warmup"]), int(f["total"]), f["peak"]
    rise = LinearLR(optimizer, start_factor=1e-9, end=warmup + 1, by_epoch=False)
    if run.family == "cosine":
        fall = CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=f["final"], begin=warmup, by_epoch=False)
    else:
        begin = total - int(f["decay"]) if run.family == "wsd" else warmup
        fall = LinearLR(
            optimizer, start_factor=1.0, end_factor=f["final"] / peak, begin=begin, end=total + 1, by_epoch=False
        )
    return [rise, fall]


def beside(out: Path, name: str) -> Path:
    """A folder of its own for a further form in which a tool writes the same runs."""
    folder = out.parent / name
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def _all_output(file) -> Iterator[None]:
    """Everything that is printed goes to a file, from libraries below Python, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for at, old in zip((1, 2), kept, strict=True):
            os.dup2(old, at)
            os.close(old)


def run_here(name: str) -> None:
    """Runs one tool in this process, whose folder and environment say nothing of the machine."""
    neutral()
    package, make = TOOLS[name]
    out = WORK / "out" / name
    out.mkdir(parents=True)
    truth = {"tool": package, "version": importlib.metadata.version(package), "runs": make(out)}
    (WORK / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


def run_apart(name: str, base: Path) -> None:
    """Runs one tool in a process of its own, from a copy of this file, and keeps its output in BASE/<tool>."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "home").mkdir(parents=True)
    shutil.copy(__file__, WORK / "corpus.py")
    script = WORK / "train.py"
    script.write_text("import corpus\n\ncorpus.main([])\n")  # tools may keep the whole script
    clean = {"HOME": str(WORK / "home"), "USER": "user", "LOGNAME": "user", "HOSTNAME": "host", "TZ": "UTC"}
    clean |= {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "CORPUS_TOOL": name}
    subprocess.run([sys.executable, str(script)], cwd=WORK, env=clean, check=True, stdin=subprocess.DEVNULL)
    truth = json.loads((WORK / "truth.json").read_text())
    for made in sorted((WORK / "out").iterdir()):
        kept = base / made.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(made, kept, symlinks=True)
        (kept / "TRUTH.json").write_text(json.dumps(truth, indent=1) + "\n")
        found = leaks(kept, private_words())
        print(f"{made.name}: {truth['tool']} {truth['version']}" + f"; LEAKS: {found}" * bool(found), flush=True)


NO_LOGS = (
    "TRUTH.json",
    ".gitignore",
    "latest-run",
    "*.lock",
    "*-shm",
    "*-wal",
    "debug*.log",
    "logs",
    "debug",
    "media",
    "swanlab-metadata.json",
)  # what tools leave besides

UNREAD = ("aim",)  # a RocksDB that nothing but its package reads; `aim runs` or its page export tables
LARGE = 1536  # bytes of a file that is kept packed


def keep(base: Path, corpus: Path) -> None:
    """Takes every tool's output over into the corpus, large files packed, and writes the table of truths."""
    rows = [row for row in _table(corpus / "truth.csv") if not (base / row["folder"]).exists()]
    for made in sorted(path for path in base.iterdir() if (path / "TRUTH.json").exists() and path.name not in UNREAD):
        truth = json.loads((made / "TRUTH.json").read_text())
        rows += [_truth_row(made.name, truth, run) for run in truth["runs"]]
        shutil.rmtree(corpus / made.name, ignore_errors=True)
        shutil.copytree(made, corpus / made.name, ignore=shutil.ignore_patterns(*NO_LOGS))
        for database in (corpus / made.name).rglob("*.db"):
            _compact(database)
        for file in [f for f in (corpus / made.name).rglob("*") if f.is_file() and f.stat().st_size > LARGE]:
            _packed(file)
        size = sum(f.stat().st_size for f in (corpus / made.name).rglob("*") if f.is_file())
        print(f"{made.name}: {size:,} bytes")
    with (corpus / "truth.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["folder"], row["run"])))


def _table(path: Path) -> list[dict]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _truth_row(folder: str, truth: dict, run: dict) -> dict:
    """One run as a row of the table; cells of what the tool does not keep are empty."""
    run = run | run.get("forms", {}).get(folder, {})
    val = run["val"] or {}
    return {
        "folder": folder,
        "tool": truth["tool"],
        "version": truth["version"],
        "run": run["name"],
        "points": run["points"],
        "first_step": run["steps"][0],
        "last_step": run["steps"][1],
        "first_loss": run["loss"][0],
        "last_loss": run["loss"][1],
        "first_rate": run["rate"][0] if run["rate"] else "",
        "last_rate": run["rate"][1] if run["rate"] else "",
        "peak": run["rate"][2] if run["rate"] else "",
        "schedule": run["schedule"] if run["rate"] else "",
        "answer": run.get("answer", ""),
        "val_points": len(val["steps"]) if val else "",
        "last_val_step": val["steps"][-1] if val else "",
        "last_val_loss": val["loss"][-1] if val else "",
        "params": run["params"] or "",
        "batch_size": run["batch_size"] or "",
    }


def _compact(database: Path) -> None:
    """An SQLite file of one piece, without a journal beside it."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode = delete")
        connection.execute("vacuum")


def _packed(file: Path) -> None:
    """The file in gzip, where that saves much; tests unpack it."""
    file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    file.unlink()


def main(arguments: list[str]) -> None:
    """Runs the tools that the command line names, or, in a process apart, the one of the environment."""
    if name := os.environ.get("CORPUS_TOOL"):
        return run_here(name)
    if len(arguments) < 2:
        sys.exit(f"usage: make.py OUT TOOL ...\ntools: {', '.join(TOOLS)}")
    if arguments[1:] == ["keep"]:
        return keep(Path(arguments[0]), Path(__file__).parent)
    for name in arguments[1:]:
        run_apart(name, Path(arguments[0]).resolve())


if __name__ == "__main__":
    main(sys.argv[1:])
