"""The recorder: what it writes is read without a question, also after a resume; what it says of the end is on time."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from optlaws_core.errors import LogError, OptLawsError, ScheduleError
from optlaws_core.live import Outcome, cut, from_itself, outcomes
from optlaws_core.parallel import Background
from optlaws_core.readers import read
from optlaws_core.schedules import parse
from optlaws_core.torch import Recorder, ScheduleLR, estimates, log_file
from tests.support.schedulers import optimizer_of

TOTAL = 400
WSD = f"wsd(peak=1e-3, warmup=20, total={TOTAL}, decay=100, shape=linear)"
PLAN = f"rate={WSD}; batch=steps([0, 200], [1024, 4096]); average=ema(20)"


def loss_at(step: int) -> float:
    """A loss as runs have it, with noise that hangs on the step alone."""
    return 2 + 3 * (step + 30.0) ** -0.3 + 0.02 * float(np.sin(37.0 * step * step))


def steps_in(path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def recorded(path, steps, *, losses=loss_at, **options) -> Recorder:
    """A recorder that is closed again after rows of `steps`."""
    with Recorder(path, WSD, **options) as recorder:
        for step in steps:
            recorder.record(step, losses(step))
    return recorder


@pytest.mark.parametrize("where", [".", "a.manifest.csv"])
def test_a_recorded_loop_is_read_without_a_question(tmp_path, where):
    optimizer = optimizer_of(1.0, 0.1)
    scheduler = ScheduleLR(optimizer, PLAN)
    with Recorder(tmp_path / "a.jsonl", scheduler.schedule, params=123_200, optimizer=optimizer) as recorder:
        for step in range(300):
            optimizer.step()
            scheduler.step()  # the rate that is recorded is that of the update, whoever has moved on before
            recorder.record(step, torch.tensor(loss_at(step), dtype=torch.float64))
            if step % 100 == 99:
                recorder.record_evaluation(step, {"val_loss": 2.5, "val_loss_c4": 2.75, "accuracy": 0.5})
    reading = read(tmp_path / where)
    (run,) = reading.runs
    assert not reading.errors and not any(report.questions for report in reading.files)
    assert run.loss.tolist() == [loss_at(step) for step in range(300)]
    assert {name: s.steps.tolist() for name, s in run.series.items() if name != "train"} == {
        "val": [99, 199, 299],
        "val_c4": [99, 199, 299],
    }
    assert run.plan.schedule.rate == parse(WSD) and run.plan.schedule.batch == parse(PLAN).batch
    assert (run.name, run.plan.params, run.lr_source) == ("a", 123_200, "logged")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows[-2:] == [
        {"step": 299, "loss": loss_at(299), "lr": 1e-3, "tokens": 200 * 1024 + 100 * 4096, "batch_tokens": 4096},
        {"step": 299, "val_loss": 2.5, "val_loss_c4": 2.75},
    ]


def test_a_log_alone_tells_its_batch_and_its_rates(tmp_path):
    recorder = Recorder(tmp_path / "a.jsonl", batch_tokens=512)
    for step in range(0, 300, 3):
        recorder.record(step, loss_at(step), lr=float(parse(WSD)(step)))
    recorder.close()
    (run,) = read(tmp_path / "a.jsonl").runs
    assert run.plan.batch_tokens == 512 and run.lr_source == "logged"
    assert recorder.manifest.read_text().splitlines()[0] == "run,file,batch_tokens"


def test_what_is_not_known_is_not_written(tmp_path):
    with Recorder(tmp_path / "a.jsonl") as recorder:
        recorder.record(0, 3.5)
        recorder.record(1, float("nan"), tokens=10)
    assert (tmp_path / "a.jsonl").read_text() == '{"step": 0, "loss": 3.5}\n{"step": 1, "loss": NaN, "tokens": 10}\n'
    assert not recorder.manifest.exists()


# ---------------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize("again", [0, 40, 60, 75])
def test_a_resumed_run_writes_its_steps_once_and_loses_nothing(tmp_path, again):
    path = tmp_path / "a.jsonl"
    recorded(path, range(60), losses=lambda step: 9.0)
    before = path.read_text().splitlines()
    recorded(path, range(again, 90))
    assert steps_in(path) == [*range(min(again, 60)), *range(again, 90)]
    assert path.read_text().splitlines()[: min(again, 60)] == before[:again]
    aside = tmp_path / "a.jsonl.replaced"
    assert (aside.read_text().split() if aside.exists() else []) == "\n".join(before[again:]).split()
    assert [run.name for run in read(tmp_path).runs] == ["a"]


def test_a_line_that_was_never_finished_is_set_aside(tmp_path):
    path = tmp_path / "a.jsonl"
    recorded(path, range(3))
    whole = path.read_text()
    path.write_text(whole + '{"step": 3, "lo')
    Recorder(path, WSD).close()
    assert path.read_text() == whole + '{"step": 3, "lo'  # nothing is changed before there is a row
    recorded(path, [3])
    assert steps_in(path) == [0, 1, 2, 3]
    assert (tmp_path / "a.jsonl.replaced").read_text() == '{"step": 3, "lo\n'


def test_a_run_may_go_back_while_it_trains(tmp_path, caplog):
    with Recorder(tmp_path / "a.jsonl") as recorder:
        for step in (0, 1, 2, 3, 2, 3, 4):
            recorder.record(step, loss_at(step))
        recorder.record_evaluation(4, {"val_loss": 2.0})
        recorder.record_evaluation(4, {"eval_loss": 2.0})
        recorder.record_evaluation(4, {"val_loss": 1.0})
    assert "a.jsonl goes back from update 3 to 2: what is recorded anew replaces earlier rows" in caplog.text
    assert steps_in(tmp_path / "a.jsonl") == [0, 1, 2, 3, 4, 4]
    assert (tmp_path / "a.jsonl").read_text().splitlines()[-1] == '{"step": 4, "val_loss": 1.0}'


@pytest.mark.parametrize("held", ["step,loss\n0,3.5\n", "[1, 2]\n", '{"loss": 3}\n', '{"step": true}\n'])
def test_a_file_of_something_else_is_refused_and_stays(tmp_path, held):
    (tmp_path / "a.csv").write_text(held)
    with pytest.raises(LogError, match=r"a\.csv is not a recorder's log, whose lines are JSON objects with a step;"):
        Recorder(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == held


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(LogError, match="cannot be continued: it is a folder, and a file is needed.$"):
        Recorder(tmp_path)


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path, caplog):
    folder = tmp_path / "runs"
    folder.write_text("a file is in its place")
    recorder = Recorder(folder / "a.jsonl", WSD)
    for step in range(2 * log_file.MOST_WAITING):
        recorder.record(step, loss_at(step))
    assert [r.getMessage().endswith("Its rows are kept and tried again.") for r in caplog.records].count(True) == 1
    folder.unlink()
    recorder.close()
    assert steps_in(folder / "a.jsonl") == [*range(2 * log_file.MOST_WAITING)]


def test_a_disk_that_refuses_is_tried_every_few_seconds_and_each_row_is_written_out_once(tmp_path, monkeypatch):
    now, tried, encoded = 0.0, [], []
    monkeypatch.setattr(log_file.time, "monotonic", lambda: now)
    monkeypatch.setattr(log_file.json, "dumps", lambda row, dumps=json.dumps: encoded.append(row) or dumps(row))
    folder = tmp_path / "runs"
    folder.write_text("a file is in its place")
    recorder = Recorder(folder / "a.jsonl")
    monkeypatch.setattr(
        type(folder), "mkdir", lambda path, mkdir=Path.mkdir, **how: tried.append(now) or mkdir(path, **how)
    )
    for step in range(3 * log_file.MOST_WAITING):
        now = step * 10 * log_file.PATIENCE / (3 * log_file.MOST_WAITING)
        recorder.record(step, loss_at(step))
    assert len(tried) <= 10 and len(encoded) <= 3 * log_file.MOST_WAITING
    monkeypatch.undo()
    folder.unlink()
    recorder.record(2, 9.0)  # also what was written out already is replaced
    recorder.close()
    assert steps_in(folder / "a.jsonl") == [0, 1, 2]


def test_a_file_that_was_deleted_begins_anew(tmp_path):
    recorder = Recorder(tmp_path / "a.jsonl")
    recorder.record(0, 3.0)
    recorder.close()
    (tmp_path / "a.jsonl").unlink()
    recorder.record(1, 2.0)
    recorder.close()
    assert (tmp_path / "a.jsonl").read_text() == '{"step": 1, "loss": 2.0}\n'


def test_a_program_that_ends_early_has_its_rows_on_disk(tmp_path, monkeypatch):
    at_exit = []
    monkeypatch.setattr(log_file.atexit, "register", at_exit.append)
    recorder = Recorder(tmp_path / "a.jsonl")
    for step in range(3):
        recorder.record(step, 3.5)
    (write,) = at_exit
    write()
    assert steps_in(tmp_path / "a.jsonl") == [0, 1, 2]


# ---------------------------------------------------------------------------------------------------- what is given


def test_a_tensor_may_change_once_it_is_recorded(tmp_path):
    loss, rate = torch.tensor([2.5]), torch.tensor(1e-3, dtype=torch.float64)
    with Recorder(tmp_path / "a.jsonl") as recorder:
        recorder.record(0, loss, lr=rate)
        loss.fill_(9.0), rate.fill_(9.0)
        recorder.record(np.int64(1), np.float32(2.0))
    rows = (tmp_path / "a.jsonl").read_text().splitlines()
    assert rows == ['{"step": 0, "loss": 2.5, "lr": 0.001}', '{"step": 1, "loss": 2.0}']


def test_what_cannot_be_a_row_is_refused_at_once(tmp_path):
    recorder = Recorder(tmp_path / "a.jsonl")
    with pytest.raises(OptLawsError, match="^A recorder counts updates from 0, got step -1.$"):
        recorder.record(-1, 2.0)
    with pytest.raises(OptLawsError, match=r"takes one number for each column, got a tensor of shape \(2,\).$"):
        recorder.record(0, torch.zeros(2))
    with pytest.raises(ScheduleError):
        Recorder(tmp_path / "a.jsonl", "wsd(peak=1e-3)")


@pytest.mark.parametrize(
    "loss, said",
    [(torch.ones(2), r"a tensor of shape \(2,\)"), (np.ones(2), r"an array of shape \(2,\)"), ("x", "'x'")],
    ids=["tensor", "array", "text"],
)
def test_what_is_refused_changes_no_row(tmp_path, loss, said):
    recorder = recorded(tmp_path / "a.jsonl", range(5))
    before = (tmp_path / "a.jsonl").read_text()
    with pytest.raises(OptLawsError, match=f"^A recorder takes one number for each column, got {said}.$"):
        recorder.record(2, loss)
    recorder.record(5, loss_at(5))
    recorder.close()
    assert (tmp_path / "a.jsonl").read_text().startswith(before) and steps_in(tmp_path / "a.jsonl") == [*range(6)]


@pytest.mark.parametrize("ratios, lr", [([0.1, 1.0], 1e-3), ([0.0, 3.0], 1e-3), ([0.0, 0.0], 0.0)])
def test_a_log_has_the_rates_of_its_schedule_whatever_share_the_first_group_has(tmp_path, ratios, lr):
    optimizer = optimizer_of(1.0, 1.0)
    scheduler = ScheduleLR(optimizer, WSD, ratios=ratios)
    scheduler.load_state_dict(scheduler.state_dict())
    with Recorder(tmp_path / "a.jsonl", scheduler.schedule, optimizer=optimizer) as recorder:
        for step in range(100):
            optimizer.step()
            recorder.record(step, loss_at(step))
            scheduler.step()
    (run,) = read(tmp_path).runs
    assert json.loads((tmp_path / "a.jsonl").read_text().splitlines()[-1])["lr"] == pytest.approx(lr, rel=1e-12)
    assert lr == 0.0 or run.plan.schedule == parse(WSD)


def declared(recorder: Recorder) -> dict[str, str]:
    names, values = csv.reader(recorder.manifest.read_text().splitlines())
    return dict(zip(names, values, strict=True))


def test_a_resume_that_says_less_leaves_what_was_declared(tmp_path, caplog):
    first = declared(recorded(tmp_path / "a.jsonl", range(5), params=5.0, batch_tokens=512))
    assert first["schedule"] == WSD and first["batch_tokens"] == "512"
    with Recorder(tmp_path / "a.jsonl", params=5) as recorder:
        recorder.record(5, loss_at(5))
    assert declared(recorder) == first | {"params": "5"} and not caplog.records
    with Recorder(tmp_path / "a.jsonl", params=7) as recorder:
        recorder.record(6, loss_at(6))
    assert declared(recorder) == first | {"params": "7"}
    assert caplog.messages == [f"{recorder.manifest} declared before: params 5. It now declares: params 7."]


def test_a_resume_under_another_plan_declares_that_alone(tmp_path, caplog):
    with Recorder(tmp_path / "a.jsonl", PLAN, params=5) as recorder:
        recorder.record(0, 3.0)
    with Recorder(tmp_path / "a.jsonl", "constant(peak=1e-3, warmup=0, total=900)") as recorder:
        recorder.record(1, 3.0)
    assert declared(recorder) == {
        "run": "a",
        "file": "a.jsonl",
        "params": "5",
        "schedule": "constant(peak=1e-3, warmup=0, total=900)",
        "total_steps": "900",
    }
    assert "It now declares: schedule constant(peak=1e-3, warmup=0, total=900)," in caplog.text
    assert caplog.text.count("batch_schedule none") == 1
    (tmp_path / "a.jsonl").unlink()
    with Recorder(tmp_path / "a.jsonl", params=6) as recorder:  # another run, since nothing is left of the one before
        recorder.record(0, 3.0)
    assert declared(recorder) == {"run": "a", "file": "a.jsonl", "params": "6"}


def test_what_trainers_know_later_does_not_outdo_what_was_said(tmp_path):
    recorder = Recorder(tmp_path / "a.jsonl", WSD, params=5)
    recorder.declare(parse("constant(peak=1, total=9)"), 7, 9)
    assert recorder.manifest.read_text().splitlines()[1] == f'a,a.jsonl,5,"{WSD}",{TOTAL}'
    silent = Recorder(tmp_path / "b.jsonl")
    silent.declare(params=7, total=9)
    assert silent.manifest.read_text().splitlines() == ["run,file,params,total_steps", "b,b.jsonl,7,9"]


# ---------------------------------------------------------------------------------------------------- forecasts


class AtOnce:
    """A `Background` whose tasks are done, or not, before anyone looks; `done` of them are."""

    started, done = 0, 1_000

    def start(self, work, task):
        return Told(work, task, self)

    def end(self):
        pass


class Told:
    def __init__(self, work, task, background):
        background.started += 1
        self.number, self.background = background.started, background
        self.result = lambda: work(task)

    def done(self):
        return self.number <= self.background.done

    def exception(self):
        try:
            self.result()
        except Exception as fault:
            return fault


@pytest.fixture
def at_once(monkeypatch):
    background = AtOnce()
    monkeypatch.setattr(estimates, "Background", lambda: background)
    return background


@pytest.mark.slow
def test_the_estimate_is_that_of_the_run_so_far_and_disturbs_nothing(tmp_path):
    """In the process that is really used for it."""
    recorder = recorded(tmp_path / "a.jsonl", range(240), params=1e6)
    before = torch.get_num_threads(), torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())
    found = recorder.estimate()
    after = torch.get_num_threads(), torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())
    recorder.close()
    assert before == after
    (run,) = read(tmp_path).runs
    (own,) = outcomes(from_itself(cut(run, 239)), run, [("as planned", parse(WSD))])
    assert (found.loss, found.low, found.high) == pytest.approx((own.loss, own.low, own.high), rel=1e-9)


def test_a_forecast_is_said_every_so_many_updates_with_the_row_after_it(tmp_path, at_once, monkeypatch):
    found = Outcome("as planned", parse(WSD), 2.3141, 2.29, 2.34, TOTAL)
    monkeypatch.setattr(estimates, "planned_end", lambda manifest: (39, found))
    said = []
    recorder = Recorder(tmp_path / "a.jsonl", WSD, forecast_every=40, say=said.append)
    for step in range(41):
        assert not said
        recorder.record(step, loss_at(step))
    assert said == ["update 40 of 400: estimated final loss 2.314 (90 %: 2.29 to 2.34)"]
    at_once.done = 1
    for step in range(41, TOTAL):  # the second one is not there yet, so that no other is asked for
        recorder.record(step, loss_at(step))
    assert len(said) == 1 and at_once.started == 2


def test_the_last_update_asks_for_no_forecast(tmp_path, at_once):
    recorded(tmp_path / "a.jsonl", range(TOTAL - 1, TOTAL), forecast_every=TOTAL)
    assert at_once.started == 0


@pytest.mark.parametrize(
    "loss, said",
    [
        (loss_at, "No forecast: A forecast of run 'a' from its own losses needs 10 losses past its warm-up, got 5."),
        (lambda step: float("nan"), "No forecast: a.jsonl: no finite loss in the column loss."),
    ],
)
def test_a_forecast_that_fails_is_one_sentence(tmp_path, at_once, loss, said):
    lines = []
    recorded(tmp_path / "a.jsonl", range(26), losses=loss, forecast_every=25, say=lines.append)
    assert lines == [said]


@pytest.mark.parametrize(
    "fault, said", [(RuntimeError("it broke"), "RuntimeError: it broke"), (MemoryError(), "MemoryError")]
)
def test_whatever_goes_wrong_with_a_forecast_training_goes_on(tmp_path, monkeypatch, fault, said):
    def start(self, work, task):
        raise fault

    monkeypatch.setattr(Background, "start", start)
    lines = []
    recorded(tmp_path / "a.jsonl", range(30), forecast_every=25, say=lines.append)
    assert lines == [f"No forecast ({said})."] and steps_in(tmp_path / "a.jsonl") == [*range(30)]


@pytest.mark.parametrize(
    "schedule, said", [(None, "A forecast needs the schedule of"), (PLAN, "A forecast needs updates")]
)
def test_where_nothing_can_be_forecast_that_is_said_once(tmp_path, schedule, said):
    lines = []
    with Recorder(tmp_path / "a.jsonl", schedule, forecast_every=2, say=lines.append) as recorder:
        for step in range(9):
            recorder.record(step, 3.0)
    assert len(lines) == 1 and lines[0].startswith(said)
    with pytest.raises(OptLawsError, match=f"^{said}"):
        recorder.estimate()
