"""What was predicted, in the tracker of the run that it is of: a curve with its band beside the losses, and its end.

A run is known by what it can do, so that no tracker has to be installed: one of W&B by `define_metric`, one of MLflow
by `info`, one of trackio by `log` and `config`.
"""

import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from optlaws_core import __version__

from ..errors import OptLawsError
from ..text import shortened
from .bands import Prediction

STEP = "optlaws/step"
CURVE = ("optlaws/predicted_loss", "optlaws/predicted_low", "optlaws/predicted_high")
FINAL = ("optlaws/predicted_final_loss", "optlaws/predicted_final_low", "optlaws/predicted_final_high")
MOST = 500  # points of a curve; each is a row in the run's history
MOST_TEXT = 1000  # characters of a schedule; MLflow takes a few thousand

Row = dict[str, float]


@runtime_checkable
class WandbRun(Protocol):
    """What is asked of a `wandb.Run`, whose steps only rise: a curve has an axis of its own."""

    summary: Any
    config: Any

    def define_metric(self, name: str, *, step_metric: str, summary: str) -> object: ...

    def log(self, data: Mapping[str, float]) -> None: ...


@runtime_checkable
class TrackioRun(Protocol):
    """What is asked of a `trackio.Run`, which sends its `config` with its first row, and has no summary."""

    config: MutableMapping[str, Any]

    def log(self, metrics: dict[str, float], step: int | None = None) -> None: ...


@runtime_checkable
class MlflowRun(Protocol):
    """What is asked of an `mlflow.ActiveRun`, or an `mlflow.entities.Run`."""

    info: Any


def log_prediction(run: object, prediction: Prediction, *, x: str = STEP) -> None:
    """Log what was predicted of a run to the run itself: of W&B (`wandb.Run`), trackio (`trackio.Run`) or MLflow.

    The curve is `optlaws/predicted_loss`, with the 90 % prediction band `optlaws/predicted_low` and `…_high` where it
    has one, at the prediction's steps, of which at most `MOST` are logged, the first and the last among them. Where
    that is the schedule's last update, it is also `optlaws/predicted_final_loss`, `…_low` and `…_high`, in W&B's
    summary, else as metrics of that step. The laws, the schedule and the version of Opt-Laws are in W&B's and
    trackio's config, and in MLflow's tags.

    x: W&B's metric of the horizontal axis, such as `train/global_step`, which transformers log. W&B counts each row of
    the curve as a step, and takes no earlier one after it: a loop that passes `step=` to W&B logs the prediction after
    its last update, or to a run of its own. With trackio a loop that passes no `step=` goes on after the curve's end.

    Raises `OptLawsError` for another kind of run and a prediction without a step or of no number, and what the tracker
    raises.
    """
    curve = _curve(prediction)
    last, row = curve[-1]
    ends = prediction.updates is not None and last >= prediction.updates - 1
    end = dict(zip(FINAL, row.values(), strict=False)) if ends else {}
    about = {
        "law": ", ".join(prediction.laws),
        "schedule": shortened(prediction.schedule, MOST_TEXT),
        "version": __version__,
    }
    if isinstance(run, WandbRun):
        _to_wandb(run, curve, end, about, x)
    elif isinstance(run, MlflowRun) and hasattr(run.info, "run_id"):
        _to_mlflow(run.info.run_id, curve, end, about)
    elif isinstance(run, TrackioRun):
        _to_trackio(run, curve, end, about)
    else:
        raise OptLawsError(
            f"A prediction can be logged to a run of W&B, trackio or MLflow, got {shortened(repr(run))}."
        )


def _curve(prediction: Prediction) -> list[tuple[int, Row]]:
    """Steps, and what is predicted of each."""
    n = len(prediction.steps)
    if not n or not np.isfinite(prediction.loss).all():
        raise OptLawsError("A prediction that is logged must be of at least one step, and a number at each.")
    order = np.argsort(prediction.steps, kind="stable")
    some = order[np.unique(np.linspace(0, n - 1, min(n, MOST)).round().astype(int))]
    half = prediction.prediction
    values = (prediction.loss, *(() if half is None else prediction.band(half)))
    return [(int(prediction.steps[i]), dict(zip(CURVE, (float(v[i]) for v in values), strict=False))) for i in some]


def _to_wandb(run: WandbRun, curve: list[tuple[int, Row]], end: Row, about: dict[str, str], x: str) -> None:
    for name in curve[0][1]:
        run.define_metric(name, step_metric=x, summary="none")
    known = {} if x == STEP or run.summary.get(x) is None else {x: run.summary.get(x)}
    for step, row in curve:
        run.log({x: step, **row})
    run.summary.update(end | known)  # the last row's is the curve's end, where the loop has not come to
    run.config.update({"optlaws": about}, allow_val_change=True)


def _to_trackio(run: TrackioRun, curve: list[tuple[int, Row]], end: Row, about: dict[str, str]) -> None:
    run.config["optlaws"] = about
    *before, (last, row) = curve
    for step, earlier in before:
        run.log(earlier, step=step)
    run.log(row | end, step=last)


def _to_mlflow(run: str, curve: list[tuple[int, Row]], end: Row, about: dict[str, str]) -> None:
    from mlflow import MlflowClient  # there where a run of it is
    from mlflow.entities import Metric, RunTag

    now = int(time.time() * 1000)
    client, last = MlflowClient(), curve[-1][0]
    for name in curve[0][1]:
        client.log_batch(run, metrics=[Metric(name, row[name], now, step) for step, row in curve])
    tags = [RunTag(f"optlaws.{key}", value) for key, value in about.items()]
    client.log_batch(run, metrics=[Metric(name, value, now, last) for name, value in end.items()], tags=tags)


__all__ = ["log_prediction"]
