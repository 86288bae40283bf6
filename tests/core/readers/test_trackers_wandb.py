"""W&B's transaction logs: values, config, damage, folders of runs, and what their steps count."""

import pytest

from optlaws_core.readers import Source, read, read_all, read_source
from tests.knowledge.logs import LOSS, LR, STEPS, one, said
from tests.knowledge.trackers import THREE, framed, message, wandb_log
from tests.places import CASES

ROWS = [{"iter": s, "train/loss": y, "train/lr": e} for s, y, e in zip(STEPS, LOSS, LR, strict=True)]


def test_a_run_has_its_name_config_and_every_row():
    config = {"model": {"n_params": 5e6}, "batch_size": 8, "grad_accum_steps": 1, "seq_len": 256, "max_steps": 40}
    run, report = one("run-ab12cd34.wandb", wandb_log("sunny", ROWS, config))
    assert (run.name, run.lr_source) == ("sunny", "logged")
    assert run.steps.tolist() == STEPS and run.loss.tolist() == LOSS
    facts = report.facts["sunny"]
    assert (facts.params, facts.batch_size, facts.batch_tokens, facts.total_steps) == (5e6, 8, 2048, 40)
    assert "The batch size, 8 samples per update, was taken from the configuration (batch_size" in said(report)


def test_records_over_several_blocks_are_joined():
    rows = [{"iter": t, "loss": 3 + 1 / (t + 1), "text": "x" * 40_000} for t in range(5)]
    run, report = one("run-a.wandb", wandb_log("long", rows))
    assert len(run.loss) == 5 and report.notes[0].text.startswith("No learning rate")


@pytest.mark.parametrize("harm", [lambda d: d[:-9], lambda d: d[:-20] + bytes([d[-20] ^ 4]) + d[-19:]])
def test_what_stands_before_the_damage_is_read_and_told(harm):
    run, report = one("run-a.wandb", harm(wandb_log("cut", ROWS)))
    assert run.steps.tolist() == STEPS[:-1] and "is damaged or ends inside a record" in said(report)


def test_a_log_without_history_says_so():
    report = read_source(Source("run-a.wandb", wandb_log("empty", [])))
    assert report.error == "run-a.wandb: the transaction log holds no history."
    report = read_source(Source("run-a.wandb", wandb_log("empty", ROWS)[:20]))
    assert report.error == "run-a.wandb: the transaction log holds no history, since its start is damaged."


def test_steps_that_count_calls_are_asked_about():
    rows = [{"train/loss": y, "train/lr": e} for y, e in zip(LOSS, LR, strict=True)]
    source = Source("run-a.wandb", wandb_log("calls", rows))
    report = read_source(source)
    assert [q.key for q in report.questions] == ["x"] and report.runs[0].open_questions
    answered = read_source(source, answers={"x": "log-calls:50"})
    assert answered.runs[0].steps.tolist() == [0, 50, 100, 150]
    given = [{"train/loss": y, "_step": s} for s, y in zip(STEPS, LOSS, strict=True)]
    report = read_source(Source("run-a.wandb", wandb_log("given", given, step=False)))
    assert report.questions == () and report.runs[0].steps.tolist() == STEPS


def test_the_step_of_a_record_stands_where_its_items_lack_it():
    item = message((1, message((1, "loss"), (16, "2.5"))), (2, message((1, 7))))
    more = message((1, message((1, "loss"), (16, "2.0"))), (2, message((1, 9))))
    run, _ = one("run-a.wandb", framed([message((2, item)), message((2, more))]))
    assert run.steps.tolist() == [7, 9] and run.loss.tolist() == [2.5, 2.0]


def test_run_folders_give_a_run_each_whatever_lies_beside_the_log(tmp_path):
    for i, told in enumerate(THREE):
        folder = tmp_path / "wandb" / f"offline-run-20261129_09364{i}-id{i}"
        (folder / "files").mkdir(parents=True)
        (folder / "logs").mkdir()
        rows = [
            {"iter": t, "train/loss": y, "train/lr": e} for t, (y, e) in enumerate(zip(told.loss, told.lr, strict=True))
        ]
        (folder / f"run-id{i}.wandb").write_bytes(wandb_log(told.name, rows, told.config, f"id{i}"))
        (folder / "files" / "requirements.txt").write_text("numpy==2.4.6\nwandb==0.31.0\n")
        (folder / "files" / "output.log").write_text("step 1 loss 9.0\nstep 2 loss 8.0\n")
        (folder / "files" / "wandb-summary.json").write_text('{"_step": 399, "train/loss": 2.1}')
        (folder / "files" / "wandb-metadata.json").write_text('{"python": "3.11"}')
        (folder / "logs" / "debug.log").write_text("2026-11-29 INFO loss\n")
    reading = read(tmp_path / "wandb")
    assert reading.errors == () and [run.name for run in reading.runs] == [told.name for told in THREE]
    for run, told in zip(reading.runs, THREE, strict=True):
        assert run.loss.tolist() == list(told.loss) and run.steps.tolist() == list(range(400))
        assert run.plan.schedule(range(400)).tolist() == pytest.approx(told.lr, rel=1e-3, abs=1e-7)
        facts = next(f.facts[run.name] for f in reading.files if run.name in f.facts)
        assert (facts.params, facts.batch_size) == (told.config["n_params"], told.config["batch_size"])


def test_a_resumed_run_is_one_run():
    early, late = ([{"iter": t, "loss": 5 - t / 10} for t in some] for some in (range(0, 20), range(15, 30)))
    names = [f"wandb/run-20261129_0936{n}-ab12cd34/run-ab12cd34.wandb" for n in (10, 55)]
    sources = [Source(names[0], wandb_log("again", early)), Source(names[1], wandb_log("again", late))]
    for order in (sources, sources[::-1]):
        (run,) = read_all(order).runs
        assert run.steps.tolist() == list(range(30))


def test_the_case_of_a_transaction_log():
    path = CASES / "run-ab12cd34.wandb"
    if not path.exists():
        pytest.skip("The cases beside the checkout are not here.")
    (run,) = read(path).runs
    assert (run.name, run.lr_source, len(run.loss), run.last_step) == ("sunny-fox-1", "logged", 101, 1000)


# ---- charts


def chart(metric: str, runs: dict[str, list[tuple[int, float]]], x: str = "Step") -> bytes:
    """A chart as W&B exports it: sparse, with bands."""
    steps = sorted({step for points in runs.values() for step, _ in points})
    names = [f"{run} - {metric}{band}" for run in runs for band in ("", "__MIN", "__MAX")]
    lines = [",".join(f'"{name}"' for name in (x, *names))]
    for step in steps:
        cells = [str(dict(points).get(step, "")) for points in runs.values() for _ in range(3)]
        lines.append(",".join(f'"{cell}"' for cell in (step, *cells)))
    return "\n".join(lines).encode() + b"\n"


LOSSES = {"run-a": [(0, 4.0), (10, 3.0), (20, 2.5), (30, 2.25)], "run-b": [(0, 4.5), (10, 3.5), (20, 3.0)]}
RATES = {"run-a": [(0, 0.001), (15, 0.001), (30, 0.0)], "run-b": [(0, 0.002), (20, 0.001)]}
JOINED = [
    ("run-a", [0, 10, 20, 30], [4.0, 3.0, 2.5, 2.25], "logged"),
    ("run-b", [0, 10, 20], [4.5, 3.5, 3.0], "logged"),
]


def joined(runs):
    return [(r.name, r.steps.tolist(), r.loss.tolist(), r.lr_source) for r in runs]


def test_charts_of_the_same_runs_are_joined_in_a_folder(tmp_path):
    (tmp_path / "wandb_export (1).csv").write_bytes(chart("train/lr", RATES))
    (tmp_path / "wandb_export.csv").write_bytes(chart("train/loss", LOSSES))
    found = read(tmp_path)
    assert joined(found.runs) == JOINED
    assert [f.error for f in found.files] == [None, None]
    assert [run.plan.schedule(0) for run in found.runs] == [0.001, 0.002]
    assert [run.plan.schedule(20) for run in found.runs][1] == 0.001
    assert "they are one log" in said(found.files[1])


@pytest.mark.parametrize("turn", [1, -1])
def test_charts_of_the_same_runs_are_joined_in_an_upload_in_any_order(turn):
    given = [
        Source("loss.csv", chart("train/loss", LOSSES)),
        Source("lr.csv", chart("train/lr", RATES)),
        Source("val.csv", chart("eval/loss", {"run-a": [(10, 3.25), (30, 2.375)]})),
    ]
    found = read_all(given[::turn])
    assert joined(found.runs) == JOINED
    assert found.runs[0].series["eval"].loss.tolist() == [3.25, 2.375]
    assert list(found.runs[1].series) == ["train"]


def test_a_chart_of_rates_joins_those_of_several_losses():
    given = [Source(f"{run}.csv", chart("train/loss", {run: LOSSES[run]})) for run in LOSSES]
    assert joined(read_all([*given, Source("lr.csv", chart("train/lr", RATES))]).runs) == JOINED


def test_charts_of_other_runs_of_the_same_loss_or_in_other_units_are_logs_of_their_own():
    def logs(*files: bytes) -> list[tuple[str, str]]:
        found = read_all([Source(f"{i}.csv", file) for i, file in enumerate(files)])
        return [(run.name, run.lr_source) for run in found.runs]

    losses = chart("train/loss", {"run-a": LOSSES["run-a"]})
    assert logs(losses, chart("train/lr", {"run-b": RATES["run-b"]})) == [("run-a", "missing")]
    assert logs(losses, chart("loss", {"run-a": LOSSES["run-b"]})) == [
        ("run-a (0)", "missing"),
        ("run-a (1)", "missing"),
    ]
    assert logs(losses, chart("train/lr", {"run-a": RATES["run-a"]}, x="tokens")) == [("run-a", "missing")]


def test_no_run_is_lost_where_charts_call_their_losses_otherwise():
    given = [
        Source("a.csv", chart("train/loss", {"run-a": LOSSES["run-a"]})),
        Source("b.csv", chart("loss", {"run-b": LOSSES["run-b"]})),
        Source("lr.csv", chart("train/lr", RATES)),
    ]
    runs = read_all(given).runs
    assert [(run.name, run.loss.tolist()) for run in runs] == [
        ("run-a", [4.0, 3.0, 2.5, 2.25]),
        ("run-b", [4.5, 3.5, 3.0]),
    ]
    assert [run.lr_source for run in runs] == ["logged", "missing"]


def test_charts_in_other_folders_are_not_joined():
    found = read_all(
        [
            Source("one/loss.csv", chart("train/loss", {"run-a": LOSSES["run-a"]})),
            Source("two/lr.csv", chart("train/lr", {"run-a": RATES["run-a"]})),
        ]
    )
    assert [(run.name, run.lr_source) for run in found.runs] == [("run-a", "missing")]
    assert "no column is known as a loss" in found.files[1].error


def test_calls_of_the_logger_are_asked_once_for_joined_charts():
    losses = {"run-a": [(i, 4.0 - i / 4) for i in range(5)]}
    given = [
        Source("loss.csv", chart("loss", losses)),
        Source("lr.csv", chart("lr", {"run-a": [(i, 0.001) for i in range(5)]})),
    ]
    found = read_all(given)
    assert [q.key for q in found.files[0].questions] == ["x"]
    (run,) = read_all(given, answers={"x": "log-calls:50"}).runs
    assert run.steps.tolist() == [0, 50, 100, 150, 200]
    assert run.lr_source == "logged"


def test_settings_beside_a_chart_are_no_chart():
    given = [Source("a/loss.csv", chart("loss", LOSSES)), Source("a/hparams.yaml", b"batch_size: 8\n")]
    assert [r.name for r in read_all(given).runs] == ["run-a", "run-b"]


def test_a_chart_of_more_runs_than_a_file_may_hold_is_refused():
    names = ",".join(f'"run-{i} - train/loss"' for i in range(2_001))
    found = read_source(Source("chart.csv", f'"Step",{names}\n0{",3.1" * 2_001}\n1{",3.0" * 2_001}\n'.encode()))
    assert found.error == "chart.csv: a file may hold 2,000 runs, this one has 2,001."
