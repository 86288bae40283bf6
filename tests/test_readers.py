"""Readers: every format gives the runs that stand in it, bit for bit; and the learning rate has one known origin."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core.errors import LogError
from optlaws_core.readers import (
    FORMATS,
    Layout,
    Source,
    read,
    read_all,
    read_source,
    sources_from_paths,
)
from optlaws_core.readers.aliases import eval_name, guess_layout
from optlaws_core.readers.base import Numbers
from optlaws_core.readers.thinning import thin
from optlaws_core.schedules import WSD, Constant, Cosine, Knots, Linear

STEPS, LOSS, LR = [0, 10, 20, 30], [3.25, 2.5, 2.125, 2.0], [1e-3, 1e-3, 5e-4, 0.0]


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


# Format -> (file name, content, run name); event files and manifests need a folder and have tests of their own.
SAMPLES = {
    "CSV": ("a.csv", table(","), "a"),
    "TSV": ("a.tsv", table("\t"), "a"),
    "CSV with semicolons": ("a.csv", table(";"), "a"),
    "table with spaces": ("a.txt", table("  "), "a"),
    "Parquet": ("a.parquet", parquet(), "a"),
    "JSON lines": ("a.jsonl", "\n".join(map(json.dumps, records())).encode(), "a"),
    "JSON records": ("a.json", json.dumps(records()).encode(), "a"),
    "JSON columns": ("a.json", json.dumps({"step": STEPS, "loss": LOSS, "lr": LR}).encode(), "a"),
    "Hugging Face trainer_state.json": ("my-run/trainer_state.json", json.dumps(trainer_state()).encode(), "my-run"),
    "W&B chart CSV": ("chart.csv", chart(), "brisk - pond-1"),
    "W&B history JSON": ("a.json", json.dumps(history()).encode(), "from-json"),
}


def one(name: str, data: bytes | str, layout: Layout | None = None):
    """The only run of a file, and its report."""
    report = read_source(Source(name, data.encode() if isinstance(data, str) else data), layout)
    assert report.error is None
    (run,) = report.runs
    return run, report


def said(report) -> str:
    return " | ".join(note.text for note in report.notes)


def test_every_format_has_a_sample():
    assert {*SAMPLES, "TensorBoard events", "Manifest"} == set(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_gives_the_run_that_stands_in_it(name):
    file, data, run_name = SAMPLES[name]
    run, report = one(file, data)
    assert (report.format, run.name, run.lr_source, run.last_step) == (name, run_name, "logged", 30)
    assert run.steps.tolist() == STEPS and run.loss.tolist() == LOSS
    assert run.plan.schedule(STEPS).tolist() == LR
    assert run.plan.schedule.total == 31  # one past the last update


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_known_by_its_content_not_by_its_name(name):
    _, data, _ = SAMPLES[name]
    assert one("x.bin", data)[1].format == name


@pytest.mark.parametrize("name", SAMPLES)
def test_the_layout_found_can_be_given_back(name):
    file, data, _ = SAMPLES[name]
    run, report = one(file, data)
    again, _ = one(file, data, report.layout)
    assert again.loss.tolist() == run.loss.tolist() and again.plan == run.plan
    assert set(report.layout.columns) - {report.layout.x} <= set(report.columns)


@pytest.mark.parametrize("tensors", [False, True], ids=["scalars", "tensors"])
def test_event_files_give_every_point(tmp_path, tensors):
    n = 12_000  # TensorBoard itself keeps 10,000
    loss = [(t, float(np.float32(3 + 1 / (t + 1)))) for t in range(n)]
    lr = [(t, float(np.float32(1e-3))) for t in range(n)]
    data = events(tmp_path, {"train/loss": loss, "lr-AdamW": lr, "eval/loss": loss[::100]}, tensors)
    run, report = one("runs/big/events.out.tfevents.1.host", data)
    assert (report.format, run.name) == ("TensorBoard events", "big")
    assert run.steps.tolist() == list(range(n)) and run.loss.tolist() == [y for _, y in loss]
    assert list(run.series) == ["train", "eval"] and len(run.series["eval"]) == 120
    assert run.plan.schedule == Knots(steps=(0, n), values=(lr[0][1], lr[0][1]))


def test_event_files_of_one_folder_are_one_run(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    old = events(first, {"loss": [(0, 3.0), (10, 2.0), (20, 1.5)]})
    new = events(second, {"loss": [(15, 1.75), (25, 1.25)]})
    names = ["exp/events.out.tfevents.2.host", "exp/events.out.tfevents.1.host"]
    reading = read_all([Source(names[0], new), Source(names[1], old)])
    (run,) = reading.runs
    assert run.name == "exp"
    assert run.steps.tolist() == [0, 10, 15, 25]  # step 20 belongs to what the resumed run overtook
    assert [f.file for f in reading.files] == names
    assert "Read together with exp/events.out.tfevents.1.host" in said(reading.files[0])


def test_an_event_file_that_ends_in_a_record_keeps_what_stands_before(tmp_path):
    data = events(tmp_path, event_points())
    run, report = one("events.out.tfevents.1", data[:-7])
    assert run.steps.tolist() == STEPS and "ends inside a record" in said(report)


# ---- the learning rate


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


def test_a_declared_schedule_that_agrees_becomes_the_plan():
    declared = Cosine(peak=3e-4, warmup=100, total=1000, final=3e-5)
    steps = list(range(100, 1000, 50))
    run, report = with_manifest(csv_of(steps, falling(18), declared(steps).tolist()), declared.text)
    assert run.name == "mine" and run.plan.schedule == declared and run.lr_source == "logged"
    assert "agrees with the logged learning rate at all 18 steps (largest difference 0)" in said(report)


def test_a_log_that_is_one_step_ahead_still_agrees():
    declared = Linear(peak=1e-3, warmup=10, total=100)
    steps = list(range(100))
    run, report = with_manifest(csv_of(steps, falling(100), declared(np.arange(1, 101)).tolist()), declared.text)
    assert run.plan.schedule == declared and "the log being one step ahead" in said(report)


def test_a_declared_schedule_that_contradicts_the_log_loses():
    declared = Constant(peak=1e-3, warmup=0, total=100)
    lr = [1e-3] * 5 + [2e-4] * 5
    run, report = with_manifest(csv_of(range(0, 100, 10), falling(10), lr), declared.text)
    assert run.plan.schedule == Knots(steps=(0, 40, 50, 91), values=(1e-3, 1e-3, 2e-4, 2e-4))
    assert "contradicts the log: at step 50 it gives 0.001, the log 0.0002" in said(report)
    assert [n.level for n in report.notes] == ["refused"]


def test_a_declared_schedule_stands_in_where_nothing_is_logged():
    run, report = with_manifest(csv_of(STEPS, LOSS), "constant(peak=1e-3, warmup=5, total=20)")
    assert run.lr_source == "declared" and run.plan.schedule == Constant(peak=1e-3, warmup=5, total=20)
    assert "goes on to step 30, past the declared total of 20 steps" in said(report)


def test_without_a_rate_there_is_no_plan_but_the_facts_are_kept():
    run, report = with_manifest(csv_of(STEPS, LOSS), "1e8", "2048", head="params,batch_tokens")
    assert run.plan is None and run.lr_source == "missing"
    assert report.facts["mine"].params == 1e8 and report.facts["mine"].batch_tokens == 2048
    assert "No learning rate is logged or declared" in said(report)


def test_facts_of_a_manifest_reach_the_plan():
    run, _ = with_manifest(csv_of(STEPS, LOSS, LR), "1e8", "2048", "40", head="params,batch_tokens,total_steps")
    assert (run.plan.params, run.plan.batch_tokens, run.plan.tokens) == (1e8, 2048.0, 2048.0 * 40)


@pytest.mark.parametrize(
    "head, cells, first, knots",
    [
        ("total_steps", ["40"], 20, Knots(steps=(0, 40), values=(1e-3, 1e-3))),
        ("warmup_steps", ["10"], 20, Knots(steps=(0, 51), values=(1e-3, 1e-3), warmup=10)),
        ("warmup_steps", ["20"], 20, Knots(steps=(0, 51), values=(1e-3, 1e-3), warmup=20)),
        ("warmup_steps,total_steps", ["10", "50"], 20, Knots(steps=(0, 50), values=(1e-3, 1e-3), warmup=10)),
    ],
)
def test_the_start_and_the_end_that_a_log_lacks_are_declared(head, cells, first, knots):
    steps = range(first, first + 40, 10) if cells != ["40"] else range(20, 40, 5)
    run, report = with_manifest(csv_of(steps, falling(4), [1e-3] * 4), *cells, head=head)
    assert run.plan.schedule == knots
    assert ("No warm-up was logged or declared before step 20" in said(report)) == ("warmup" not in head)


def test_a_logged_warmup_is_kept_and_known_where_it_is_a_line():
    steps, declared = list(range(5, 100, 5)), WSD(peak=1e-3, warmup=20, total=100, decay=30)
    run, _ = with_manifest(
        csv_of(steps, falling(19), declared(steps).tolist()), "20", "100", head="warmup_steps,total_steps"
    )
    assert run.plan.schedule.warmup == 20 and run.plan.schedule.total == 100
    np.testing.assert_allclose(run.plan.schedule(steps), declared(steps), atol=1e-3 * 1e-4)


def test_a_logged_warmup_that_is_no_line_is_not_rebuilt():
    steps = np.arange(5, 100, 5)
    rates = 1e-3 * np.minimum(steps / 20, 1) ** 2
    run, _ = with_manifest(csv_of(steps, falling(19), rates.tolist()), "20", head="warmup_steps")
    assert run.plan.schedule.warmup == 0 and run.plan.schedule.warmup_end == 20
    np.testing.assert_allclose(run.plan.schedule(steps), rates, atol=1e-3 * 1e-4)
    assert run.plan.schedule(0) == 0


@pytest.mark.parametrize(
    "schedule", [Constant(peak=1e-3, warmup=7, total=9), Knots(steps=(0, 9), values=(1.0, 0.1), warmup=3)]
)
def test_a_declared_warmup_ends_where_it_says(schedule):
    assert schedule.warmup_end == schedule.warmup


@pytest.mark.parametrize("digits, quantum", [(4, "1e-4"), (5, "1e-5")])
def test_rates_printed_with_few_digits_are_told_and_the_declared_schedule_is_used(digits, quantum):
    declared = Linear(peak=8e-4, warmup=0, total=400)
    steps = list(range(0, 400, 2))
    printed = [f"{x:.{digits}f}" for x in declared(steps)]
    log = csv_of(steps, falling(200), printed)
    run, report = with_manifest(log, declared.text)
    assert run.plan.schedule == declared and "too coarse for its curve." in said(report)
    run, report = one("a.csv", log)
    assert isinstance(run.plan.schedule, Knots) and run.lr_source == "logged"
    assert f"printed in steps of {quantum}, too coarse for its curve; declare the schedule of this run." in said(report)


def test_six_digits_are_enough():
    rates = Linear(peak=8e-4, warmup=0, total=4000)(np.arange(4000))
    assert one("a.csv", csv_of(range(4000), falling(4000), [f"{x:.6f}" for x in rates]))[1].notes == ()


EXACT = [round(1e-5 * i, 5) for i in range(100)] + [1e-3] * 20  # a warm-up logged at every step


@pytest.mark.parametrize("lr", [[3e-4] * 60 + [9e-5] * 60, [1e-3] * 120, [3e-4] * 60 + [3e-5] * 60, EXACT])
def test_a_staircase_is_not_taken_for_rounding(lr):
    run, report = one("a.csv", csv_of(range(120), falling(120), lr))
    assert report.notes == ()
    np.testing.assert_allclose(run.plan.schedule(np.arange(120)), lr, rtol=1e-14)


def test_zeros_in_the_middle_of_the_rates_are_rounding():
    lr = ["0.0010"] * 5 + ["0.0000"] * 5 + ["0.0010"] * 5
    assert "too coarse" in said(one("a.csv", csv_of(range(15), falling(15), lr))[1])


@pytest.mark.parametrize(
    "lr, why",
    [
        ([0, 0, 0, 0], "must be above 0, but all 4 logged rates are 0"),
        ([1e-3, 1e-3, -1e-3, 1e-3], "must not be negative, but the log has -1e-3"),
        (["x", "x", "x", 1], "learning rate: more than half of the cells must be numbers, but 3 of 4 hold text"),
        (["", "", "", ""], "holds no numbers"),
    ],
)
def test_rates_that_cannot_be_are_refused_and_the_curve_is_read(lr, why):
    run, report = one("a.csv", csv_of(STEPS, LOSS, lr))
    assert run.plan is None and run.lr_source == "missing" and run.loss.tolist() == LOSS
    assert [n.level for n in report.notes] == ["refused", "info"] and why in report.notes[0].text


def test_knots_stay_within_their_bound_and_are_few():
    t = np.arange(200_000)
    for schedule in (
        Cosine(peak=3e-4, warmup=2000, total=200_000, final=3e-5),
        WSD(peak=3e-4, warmup=2000, total=200_000, decay=40_000, shape="1-sqrt"),
    ):
        rates = schedule(t)
        kept, off = thin(t, rates, 1e-4 * 3e-4, 2000)
        assert len(kept) < 120 and off <= 1e-4 * 3e-4
        np.testing.assert_allclose(np.interp(t, t[kept], rates[kept]), rates, atol=1e-4 * 3e-4)


def test_noise_is_thinned_to_the_most_knots_and_told():
    lr = np.random.default_rng(0).uniform(1e-4, 1e-3, 5000).tolist()
    run, report = one("a.csv", csv_of(range(5000), falling(5000), lr))
    assert len(run.plan.schedule.steps) == 2001  # 2,000, and the end
    assert "thinned to 2,000 knots, which deviate by at most" in said(report)


# ---- columns, axes and units


@pytest.mark.parametrize(
    "columns, x, x_unit, losses, lr, loss_unit",
    [
        ("step lr loss", "step", "step", {"train": "loss"}, "lr", "nats"),
        ("_step train/global_step train/loss train/learning_rate eval/loss", "train/global_step", "step",
         {"train": "train/loss", "eval": "eval/loss"}, "train/learning_rate", "nats"),
        ("epoch lr-AdamW step train_loss_epoch train_loss_step val_loss", "step", "step",
         {"train": "train_loss_step", "val": "val_loss"}, "lr-AdamW", "nats"),
        ("iter train/loss val/loss lr mfu", "iter", "step", {"train": "train/loss", "val": "val/loss"}, "lr", "nats"),
        ("consumed_samples reduced_train_loss lr", "consumed_samples", "samples",
         {"train": "reduced_train_loss"}, "lr", "nats"),
        ("tokens loss", "tokens", "tokens", {"train": "loss"}, None, "nats"),
        ("time/batch loss/train/total metrics/train/LanguageCrossEntropy lr-DecoupledAdamW/group0", "time/batch",
         "step", {"train": "metrics/train/LanguageCrossEntropy"}, "lr-DecoupledAdamW/group0", "nats"),
        ("loss_metrics/global_avg_loss step validation_metrics/loss lr", "step", "step",
         {"train": "loss_metrics/global_avg_loss", "validation": "validation_metrics/loss"}, "lr", "nats"),
        ("step train/CrossEntropyLoss optim/learning_rate_group0", "step", "step", {"train": "train/CrossEntropyLoss"},
         "optim/learning_rate_group0", "nats"),
        ("step val/bpb", "step", "step", {"val": "val/bpb"}, None, "bits"),
        ("step val/bpb train/loss", "step", "step", {"train": "train/loss"}, None, "nats"),
        ("step train_perplexity lrm", "step", "step", {"train": "train_perplexity"}, None, "perplexity"),
        ("s trl tel", "s", "step", {"train": "trl", "val": "tel"}, None, "nats"),
        ("step my_special_loss aux_loss", "step", "step", {"train": "my_special_loss"}, None, "nats"),
        ("epoch accuracy", None, "step", {}, None, "nats"),
    ],
)  # fmt: skip
def test_columns_are_known_by_the_names_that_trainers_give_them(columns, x, x_unit, losses, lr, loss_unit):
    found = guess_layout(columns.split())
    assert (found.x, found.x_unit, dict(found.losses), found.lr, found.loss_unit) == (x, x_unit, losses, lr, loss_unit)


@pytest.mark.parametrize(
    "column, name",
    [
        ("eval_loss", "eval"),
        ("eval_wikitext_loss", "eval_wikitext"),
        ("val/c4/loss", "val/c4"),
        ("final-val/loss", "final-val"),
        ("loss/val", "val"),
        ("lm loss validation", "validation"),
        ("val_loss_best", None),
        ("eval_runtime", None),
        ("loss", None),
    ],
)
def test_eval_sets_keep_their_names(column, name):
    assert eval_name(column) == name


@pytest.mark.parametrize("unit, factor", [("bits", math.log(2)), ("nats", 1.0)])
def test_losses_come_in_nats(unit, factor):
    run, _ = one("a.csv", csv_of(STEPS, LOSS), Layout("step", losses=(("train", "loss"),), loss_unit=unit))
    assert run.loss.tolist() == [y * factor for y in LOSS]


def test_a_perplexity_comes_as_its_logarithm():
    run, report = one("a.csv", "step,ppl\n0,20.085536923187668\n10,7.38905609893065\n")
    assert report.layout.loss_unit == "perplexity"
    np.testing.assert_allclose(run.loss, [3, 2], rtol=1e-15)


def test_tokens_become_steps_by_the_declared_batch():
    log = "tokens,loss\n0,3\n2048,2.5\n4096,2\n"
    layout = Layout("tokens", "tokens", (("train", "loss"),), batch=1024)
    run, report = one("a.csv", log, layout)
    assert run.steps.tolist() == [0, 2, 4] and report.facts["a"].batch_tokens == 1024
    run, _ = with_manifest(log, "512", head="batch_tokens")
    assert run.steps.tolist() == [0, 4, 8]


def test_samples_become_steps_by_the_batch_of_the_manifest():
    run, _ = with_manifest("consumed_samples,loss\n128,3\n256,2\n", "64", head="batch_size")
    assert run.steps.tolist() == [2, 4]


def test_a_column_of_tokens_beside_the_steps_gives_the_batch():
    run, report = one("a.csv", "step,tokens,loss,lr\n10,10240,3,1e-3\n20,20480,2,1e-3\n")
    assert run.plan.batch_tokens == 1024 and "The batch size, 1,024 tokens per update" in said(report)
    run, report = one("a.csv", "step,tokens,loss,lr\n10,10240,3,1e-3\n20,40960,2,1e-3\n30,50000,1,1e-3\n")
    assert run.plan.batch_tokens is None and "do not grow evenly" in said(report)


def test_without_a_step_column_the_row_number_counts_and_is_told():
    run, report = one("a.csv", "loss\n3\n2\n1\n")
    assert run.steps.tolist() == [0, 1, 2] and "the row number, from 0, was taken as the step" in said(report)


def test_several_runs_in_one_file_are_told_apart():
    log = "run,step,loss\nb,0,3\na,0,4\nb,1,2\na,1,3\n,5,9\n"
    report = read_source(Source("all.csv", log.encode()))
    assert [(r.name, r.loss.tolist()) for r in report.runs] == [("b", [3, 2]), ("a", [4, 3])]
    lines = [{"run_id": r, "step": s, "loss": y} for r, s, y in [("b", 0, 3), ("a", 0, 4), ("b", 1, 2), ("a", 1, 3)]]
    report = read_source(Source("all.jsonl", "\n".join(map(json.dumps, lines)).encode()))
    assert [(r.name, r.loss.tolist()) for r in report.runs] == [("b", [3, 2]), ("a", [4, 3])]


def test_a_table_is_read_whatever_surrounds_it():
    log = '\ufeff# a comment with a "quote\r\nstep,loss,note\r\n0,"3,000.5","two\r\nlines"\r\n# more\r\n\r\n10,2,\r\n'
    run, _ = one("a.csv", log)
    assert run.steps.tolist() == [0, 10] and run.loss.tolist() == [3000.5, 2]
    run, _ = one("a.csv", "step;loss\n0;3,5\n10;2,25\n")
    assert run.loss.tolist() == [3.5, 2.25]
    run, _ = one("a.csv", "step\tloss\n1,000\t3.5\n2,000\t2.25\n")
    assert run.steps.tolist() == [1000, 2000]
    run, _ = one("a.csv", "step,loss\n0,3\n10,2\n".encode("utf-16"))
    assert run.loss.tolist() == [3, 2]
    run, _ = one("a.csv", "step,loss,loss\n0,3,4\n10,2,4,\n20")
    assert run.loss.tolist() == [3, 2]


def test_nested_records_and_printed_numbers_are_read():
    lines = [{"step": "1", "train": {"loss": "3.472"}}, {"step": "2", "train": {"loss": "2.5"}, "eval": {"loss": 3}}]
    run, report = one("a.jsonl", "\n".join(map(json.dumps, lines)))
    assert report.columns == ("step", "train/loss", "eval/loss") and run.loss.tolist() == [3.472, 2.5]
    assert run.series["eval"].steps.tolist() == [2]


def test_a_trainer_state_leaves_out_means_and_predictions():
    state = trainer_state()
    state["log_history"].insert(2, {"step": 10, "eval_loss": 2.75, "eval_runtime": 1.0, "num_input_tokens_seen": 1000})
    for row in state["log_history"]:
        row["num_input_tokens_seen"] = 100 * row.get("step", 0)
    run, report = one("checkpoint-30/trainer_state.json", json.dumps(state))
    assert run.name == "trainer_state"  # an upload: nothing above the checkpoint's folder
    assert run.loss.tolist() == LOSS and run.series["eval"].loss.tolist() == [2.75]
    assert run.plan.batch_tokens == 100 and run.plan.schedule.total == 31
    assert "mean over the last 10 steps (logging_steps)" in said(report)


def test_a_trainer_state_on_disk_is_named_after_its_folder(tmp_path):
    folder = tmp_path / "llama-1b" / "checkpoint-30"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps(trainer_state()))
    assert [r.name for r in read(tmp_path).runs] == ["llama-1b"]


def test_a_chart_of_groups_and_sparse_runs():
    log = '"train/global_step","Group: small - loss","big - loss","big - lr"\n0,3,,\n5,,4,0.1\n10,2,,\n15,,3,0.2\n'
    report = read_source(Source("c.csv", log.encode()))
    assert [(r.name, r.steps.tolist(), r.lr_source) for r in report.runs] == [
        ("small", [0, 10], "missing"),
        ("big", [5, 15], "logged"),
    ]
    assert "mean of a group" in said(report) and "W&B samples" in said(report)
    log = '"Relative Time","a - _step","a - train/loss"\n0.1,0,3\n0.2,100,2\n'
    assert one("c.csv", log)[0].steps.tolist() == [0, 100]


def test_the_config_of_a_history_is_used():
    run = history()
    run["config"] = {"batch_size": 50, "acc_steps": 2, "world_size": 2, "sequence_length": 512, "iterations": 30}
    run["config"]["resume_from"] = "other/run"
    run["summary"] = {"parameters": 33479040}
    got, report = one("a.json", json.dumps(run))
    assert (got.plan.params, got.plan.batch_tokens, got.plan.schedule.total) == (33479040, 102400, 30)
    assert "resumed from another one, 'other/run'" in said(report)


# ---- many files


def test_a_manifest_names_and_declares_the_runs_of_other_files():
    head = "run,file,params,schedule,warmup_steps,total_steps\n"
    manifest = head + '\none,logs/a.csv,1e8,"constant(peak=1e-3, total=40)",0,40\ntwo,b.csv,,,,\nthree,c.csv,,,,\n'
    sources = [
        Source("m.csv", manifest.encode()),
        Source("logs/a.csv", csv_of(STEPS, LOSS, [1e-3] * 4).encode()),
        Source("b.csv", csv_of(STEPS, LOSS).encode()),
        Source("other.csv", csv_of(STEPS, LOSS).encode()),
    ]
    reading = read_all(sources)
    assert reading.errors == () and [f.file for f in reading.files] == [s.name for s in sources]
    assert [(r.name, r.lr_source) for r in reading.runs] == [
        ("one", "logged"),
        ("two", "missing"),
        ("other", "missing"),
    ]
    assert reading.files[0].format == "Manifest" and "1 file of the manifest not given: c.csv" in said(reading.files[0])
    assert list(reading.rows()[0]) == ["run", "format", "points", "first_step", "last_step", "lr_source", "notes"]
    assert reading.rows()[0]["points"] == 4 and "agrees with the logged" in reading.rows()[0]["notes"][0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_manifest_is_read_in_the_encodings_of_spreadsheets(tmp_path, encoding):
    log = csv_of(STEPS, LOSS, LR)
    rows = "".join(
        f"fäst 🚀 {i},a.csv,1e6\n" for i in range(3_000)
    )  # the head that is looked at ends inside a character
    for shift in range(4):
        text = f"run,file,params\nmine{'e' * shift},b.csv,1e6\n{rows}"
        manifest = Source("manifest.csv", text.encode(encoding))
        reading = read_all([manifest, Source("b.csv", log.encode(encoding))])
        assert [r.name for r in reading.runs] == [f"mine{'e' * shift}"] and reading.errors == ()
    (tmp_path / "manifest.csv").write_text("run,file,params\nmine,b.csv,1e6\n", encoding=encoding)
    (tmp_path / "b.csv").write_text(log, encoding=encoding)
    assert [r.name for r in read(tmp_path / "manifest.csv").runs] == ["mine"]


def test_a_manifest_finds_the_runs_inside_a_file():
    manifest = b"run,file,total_steps\na,all.csv,50\nz,all.csv,60\n"
    log = b"run,step,loss,lr\nb,0,3,1\na,0,4,1\nb,1,2,1\na,1,3,1\n"
    reading = read_all([Source("m.csv", manifest), Source("all.csv", log)])
    assert {r.name: r.plan.schedule.total for r in reading.runs} == {"b": 2, "a": 50}
    assert "m.csv, row 3: the run 'z' is not in the file, which has a, b" in said(reading.files[1])


def test_runs_of_one_name_are_told_apart():
    log = csv_of(STEPS, LOSS).encode()
    reading = read_all([Source(name, log) for name in ("25M/x.csv", "100M/x.csv", "y.csv")])
    assert [r.name for r in reading.runs] == ["x (25M)", "x (100M)", "y"]
    assert "2 runs are called 'x'; this one is shown as 'x (25M)'" in said(reading.files[0])
    same = [Source("a.json", json.dumps(history()).encode()), Source("b.json", (json.dumps(history()) + " ").encode())]
    assert [r.name for r in read_all(same).runs] == ["from-json (a)", "from-json (b)"]


def test_paths_bring_manifests_folders_and_files(tmp_path):
    log = csv_of(STEPS, LOSS, LR)
    for name in ("a.csv", "sub/b.csv", "sub/README.md", ".hidden/c.csv", "outside.csv"):
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_text(log)
    manifest = tmp_path / "runs" / "manifest.csv"
    manifest.write_text("run,file,params\nfirst,a.csv,1e6\nsecond,sub/b.csv,1e6\n")
    assert [r.name for r in read(manifest).runs] == ["first", "second"]
    found = sources_from_paths([tmp_path / "runs"])
    assert [Path(s.name).name for s in found] == ["a.csv", "manifest.csv", "outside.csv", "b.csv"]
    assert found.notes[0].text == "1 file of other kinds ignored: README.md."
    assert [r.name for r in read(tmp_path / "runs").runs] == ["first", "outside", "second"]
    assert len(sources_from_paths([manifest, manifest.parent / "a.csv"])) == 3  # each file once


def test_a_source_knows_its_content():
    data = csv_of(STEPS, LOSS).encode()
    source = Source("a.csv", data)
    assert source.sha256 == Source("b.csv", data).sha256 and source.size == len(data)


def test_a_source_on_disk_is_the_same_source(tmp_path):
    (tmp_path / "a.csv").write_bytes(table(","))
    on_disk = Source("shown.csv", tmp_path / "a.csv")
    assert on_disk.sha256 == Source("x", table(",")).sha256 and on_disk.read() == table(",")
    assert read_source(on_disk).file == "shown.csv"


# ---- round trips


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(0, 10**9), st.tuples(finite, st.floats(0, 1)), min_size=2),
    st.sampled_from(["CSV", "TSV", "Parquet", "JSON lines", "JSON columns"]),
)
def test_what_is_written_is_read_bit_for_bit(rows, form):
    steps = sorted(rows)
    loss, lr = [rows[s][0] for s in steps], [rows[s][1] for s in steps]
    frame = pd.DataFrame({"step": steps, "loss": loss, "lr": lr})
    text = {
        "CSV": lambda: frame.to_csv(index=False),
        "TSV": lambda: frame.to_csv(index=False, sep="\t"),
        "Parquet": lambda: frame.to_parquet(),
        "JSON lines": lambda: "\n".join(json.dumps(r) for r in frame.to_dict("records")),
        "JSON columns": lambda: json.dumps(frame.to_dict("list")),
    }[form]()
    report = read_source(Source("a", text if isinstance(text, bytes) else text.encode()))
    if len(set(loss)) == 1:
        assert "losses must change" in report.error
        return
    (run,) = report.runs
    assert run.steps.tolist() == steps
    assert run.loss.tolist() == loss
    if max(lr) > 0:
        np.testing.assert_allclose(run.plan.schedule(steps), lr, atol=1.001e-4 * max(lr))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), finite), min_size=1, max_size=60))
def test_any_order_of_rows_gives_rising_steps_and_values_that_stand_in_the_file(pairs):
    text = "step,loss\n" + "".join(f"{s},{y!r}\n" for s, y in pairs)
    report = read_source(Source("a.csv", text.encode()))
    for run in report.runs:
        assert (np.diff(run.steps) > 0).all()
        assert set(zip(run.steps.tolist(), run.loss.tolist(), strict=True)) <= set(pairs)
        assert pairs[-1] in set(zip(run.steps.tolist(), run.loss.tolist(), strict=True))


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_some_rows_of_a_column_keep_their_marks(rows, nans, words):
    rows, nans, words = (np.array(sorted(some), np.int64) for some in (rows, nans, words))
    part = Numbers(np.arange(31.0), nans, words, "x").take(rows)
    assert part.values.tolist() == rows.tolist()
    assert rows[part.nans].tolist() == sorted(set(rows) & set(nans))
    assert rows[part.words].tolist() == sorted(set(rows) & set(words))


STARTS = [
    b"",
    b"step,loss,lr\n0,3,1e-3\n1,2,1e-3\n",
    b'{"step": 0, "loss": 3}\n',
    b'{"history": {"train": ',
    b"run,file,params\n",
    b"PAR1",
]
SCRAPS = st.text(alphabet='step,los\n\r\t;"#{}[]: 0123456789.-e', max_size=300).map(str.encode)


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=300) | st.builds(bytes.__add__, st.sampled_from(STARTS), SCRAPS))
def test_no_bytes_at_all_raise(data):
    report = read_source(Source("x", data))
    assert (report.error is None) == bool(report.runs or report.format == "Manifest")


def test_a_large_table_takes_the_fast_way():
    n = 50_000
    steps = np.arange(n)
    text = io.StringIO()
    pd.DataFrame({"step": steps, "loss": 2 + 1 / (steps + 1), "lr": 1e-3}).to_csv(text, index=False)
    run, _ = one("a.csv", text.getvalue())
    assert run.loss.tolist() == (2 + 1 / (steps + 1)).tolist()


# ---- the public runs


def test_every_published_run_is_read_and_its_schedule_confirmed(published, public):
    size, train, rest = published
    manifest = pd.read_csv(public / "multi_power_law" / size / "manifest.csv")
    runs = {r.name: r for r in (*train, *rest)}
    assert set(runs) == set(manifest.run)
    for row in manifest.itertuples():
        run, log = runs[row.run], pd.read_csv(public / "multi_power_law" / size / row.file)
        assert run.steps.tolist() == log.step.tolist() and run.loss.tolist() == log.loss.tolist()
        assert run.lr_source == "logged" and run.plan.params == row.params
        assert not isinstance(run.plan.schedule, Knots)  # the declared one: it agrees with the log
        np.testing.assert_allclose(run.plan.schedule(log.step), log.lr, rtol=1e-12)
        assert (run.plan.schedule.warmup, run.plan.schedule.total) == (row.warmup_steps, row.total_steps)


def test_the_exported_histories_hold_what_the_table_of_curves_holds(public):
    folder = public / "lr_scheduling"
    curves, table = pd.read_parquet(folder / "curves.parquet"), pd.read_csv(folder / "runs.csv", index_col="run_id")
    runs = read(folder / "raw").runs
    assert len(runs) == 6
    for run in runs:
        rows, facts = curves[curves.run_id == run.name], table.loc[run.name]
        for split, column in (("train", "train_loss"), ("val", "val_loss")):
            known = rows[rows[column].notna()]
            assert run.series[split].steps.tolist() == known.step.tolist()
            assert run.series[split].loss.tolist() == known[column].tolist()
        known = rows[rows.train_loss.notna()]
        np.testing.assert_allclose(run.plan.schedule(known.step), known.lr, atol=1.001e-4 * facts.peak_lr)
        assert (run.plan.params, run.plan.batch_tokens) == (facts.params, facts.batch_tokens)
        assert run.plan.schedule.total == facts.total_steps and run.lr_source == "logged"
        assert run.plan.schedule.warmup_end == 300
        assert run.series["final-val"].loss[-1] == facts.final_val_loss


def test_two_sizes_together_keep_their_runs_apart(public):
    names = [r.name for r in read(public / "multi_power_law").runs]
    assert len(names) == len(set(names)) == 18 and "cosine_24000 (25M)" in names


def test_a_layout_of_unknown_units_is_a_mistake():
    with pytest.raises(LogError, match="x_unit must be one of step, tokens, samples, got 'weeks'"):
        Layout("step", "weeks")
    with pytest.raises(LogError, match="loss_unit must be one of nats, bits, perplexity, got 'bans'"):
        Layout("step", loss_unit="bans")
    with pytest.raises(LogError, match="batch must be above 0, got 0"):
        Layout("tokens", "tokens", batch=0)
