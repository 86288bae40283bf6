"""What was predicted, in trackers: stand-ins with the signatures of wandb 0.31, trackio 0.43 and mlflow 3.17."""

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from optlaws_core import OptLawsError, Prediction, __version__, log_prediction, read
from optlaws_core.prediction import in_tracker

STEPS = np.arange(0, 2000, 2)
PREDICTED = Prediction(
    STEPS, 3 - STEPS / 4000, None, np.full(1000, 0.01), ("annealing",), "constant(peak=1e-3, total=1999)", 1999
)
ABOUT = {"law": "annealing", "schedule": "constant(peak=1e-3, total=1999)", "version": __version__}
LAST = PREDICTED.loss[-1]
END = dict(zip(in_tracker.FINAL, (LAST, LAST * np.exp(-0.01), LAST * np.exp(0.01)), strict=True))


class Config(dict):
    def update(self, d, allow_val_change=None):
        super().update(d)


class Wandb:
    def __init__(self):
        self.rows, self.axes, self.summary, self.config = [], {}, {}, Config()

    def define_metric(self, name, step_metric=None, step_sync=None, hidden=None, summary=None, overwrite=None):
        self.axes[name] = step_metric

    def log(self, data, step=None, commit=None):
        assert step is None  # one that falls would be dropped
        self.rows.append(data)


class Trackio:
    def __init__(self):
        self.rows, self.config, self.sent = [], {"_Group": None}, None

    def log(self, metrics, step=None):
        self.sent = self.sent or dict(self.config)  # with the first row alone
        self.rows.append({"step": step, **metrics})


class Mlflow(ModuleType):
    """The package, with the one run that it has."""

    def __init__(self):
        super().__init__("mlflow")
        self.points, self.tags = [], {}
        self.entities = ModuleType("mlflow.entities")
        self.entities.Metric = lambda key, value, timestamp, step: (key, step, value)
        self.entities.RunTag = lambda key, value: (key, value)

    def MlflowClient(self):  # noqa: N802  as it is called there
        return self

    def log_batch(self, run_id, metrics=(), params=(), tags=(), synchronous=None):
        assert run_id == "r1" and len(metrics) <= 1000
        self.points += metrics
        self.tags |= dict(tags)


def curve(rows, x):
    """(steps, losses) that were logged, both ends of the band beside them checked."""
    for row in rows:
        loss, low, high = (row[name] for name in in_tracker.CURVE)
        assert (low, high) == pytest.approx((loss * np.exp(-0.01), loss * np.exp(0.01)))
    return [row[x] for row in rows], [row[in_tracker.CURVE[0]] for row in rows]


def told(rows, x):
    steps, losses = curve(rows, x)
    assert (steps[0], steps[-1], len(steps)) == (0, 1998, in_tracker.MOST)
    assert losses == pytest.approx([3 - step / 4000 for step in steps])


def test_wandb_gets_the_curve_on_an_axis_of_its_own_and_the_end_in_its_summary():
    run = Wandb()
    log_prediction(run, PREDICTED)
    told(run.rows, "optlaws/step")
    assert run.axes == dict.fromkeys(in_tracker.CURVE, "optlaws/step")
    assert run.summary == pytest.approx(END) and run.config == {"optlaws": ABOUT}
    run = Wandb()
    run.summary["train/global_step"] = 700  # where the loop is
    log_prediction(run, PREDICTED, x="train/global_step")
    told(run.rows, "train/global_step")
    assert run.summary == pytest.approx({"train/global_step": 700, **END})
    assert set(run.axes.values()) == {"train/global_step"}


def test_trackio_gets_the_curve_at_its_steps_and_the_end_with_the_last():
    run = Trackio()
    log_prediction(run, PREDICTED)
    told(run.rows, "step")
    assert {name: run.rows[-1][name] for name in END} == pytest.approx(END) and run.sent["optlaws"] == ABOUT


def test_mlflow_gets_the_curve_at_its_steps_and_tags(monkeypatch):
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.entities", mlflow.entities)
    log_prediction(SimpleNamespace(info=SimpleNamespace(run_id="r1"), data=None), PREDICTED)
    rows = {}
    for name, step, value in mlflow.points:
        rows.setdefault(step, {"step": step})[name] = value
    told(list(rows.values()), "step")
    assert {name: rows[1998][name] for name in END} == pytest.approx(END)
    assert mlflow.tags == {f"optlaws.{key}": value for key, value in ABOUT.items()}


def test_a_prediction_without_a_band_is_a_curve_alone():
    run = Wandb()
    log_prediction(run, Prediction(STEPS[-1:], PREDICTED.loss[-1:], None, None, updates=1999))
    assert run.rows == [{"optlaws/step": 1998, "optlaws/predicted_loss": LAST}]
    assert run.summary == {"optlaws/predicted_final_loss": LAST}


def test_only_the_end_of_the_schedule_is_a_final_loss_in_whatever_order_the_steps_come():
    back = Prediction(STEPS[::-1], PREDICTED.loss[::-1], None, PREDICTED.prediction, updates=1999)
    run = Wandb()
    log_prediction(run, back)
    told(run.rows, "optlaws/step")
    assert run.summary == pytest.approx(END)
    for updates in (2001, None):  # another step is the last, or nobody knows
        run = Wandb()
        log_prediction(run, replace(back, updates=updates))
        assert run.rows and run.summary == {}


def test_a_prediction_of_nothing_is_refused_in_a_sentence():
    for some, loss in ((STEPS[:0], STEPS[:0]), (STEPS[:1], np.array([np.nan]))):
        with pytest.raises(OptLawsError, match="must be of at least one step, and a number at each"):
            log_prediction(Wandb(), Prediction(some, loss, None, None))


def test_what_is_no_run_is_refused_in_a_sentence():
    with pytest.raises(OptLawsError, match="^A prediction can be logged to a run of W&B, trackio or MLflow, got 'run'"):
        log_prediction("run", PREDICTED)
    with pytest.raises(OptLawsError, match="got namespace"):
        log_prediction(SimpleNamespace(info="a logger"), PREDICTED)


def test_a_run_that_was_told_its_prediction_is_read_as_before(tmp_path):
    """Curves of ours are no losses of the run, wherever its log comes from."""
    run = Trackio()
    log_prediction(run, PREDICTED)
    rows = {row["step"]: row for row in run.rows}
    lines = ["step,loss,lr," + ",".join(in_tracker.CURVE)]
    for step in range(0, 2000):
        cells = [rows.get(step, {}).get(name, "") for name in in_tracker.CURVE]
        lines.append(",".join(map(str, (step, 2 + 1 / (1 + step), 1e-3, *cells))))
    (tmp_path / "run.csv").write_text("\n".join(lines))
    (found,) = read(tmp_path / "run.csv").runs
    assert list(found.series) == ["train"] and found.loss[0] == 3 and len(found.loss) == 2000
