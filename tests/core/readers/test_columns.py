"""Readers: columns, axes and units are recognised, or corrected by the user."""

import json
import math

import numpy as np
import pytest

from optlaws_core.readers import Layout, Source, read, read_all, read_source
from optlaws_core.readers.layout import eval_name, guess_layout
from tests.knowledge.logs import LOSS, STEPS, csv_of, history, one, said, trainer_state, with_manifest


@pytest.mark.parametrize(
    "columns, x, x_unit, losses, lr, loss_unit",
    [
        ("step lr loss", "step", "step", {"train": "loss"}, "lr", "nats"),
        (
            "_step train/global_step train/loss train/learning_rate eval/loss",
            "train/global_step",
            "step",
            {"train": "train/loss", "eval": "eval/loss"},
            "train/learning_rate",
            "nats",
        ),
        (
            "epoch lr-AdamW step train_loss_epoch train_loss_step val_loss",
            "step",
            "step",
            {"train": "train_loss_step", "val": "val_loss"},
            "lr-AdamW",
            "nats",
        ),
        ("iter train/loss val/loss lr mfu", "iter", "step", {"train": "train/loss", "val": "val/loss"}, "lr", "nats"),
        (
            "consumed_samples reduced_train_loss lr",
            "consumed_samples",
            "samples",
            {"train": "reduced_train_loss"},
            "lr",
            "nats",
        ),
        ("tokens loss", "tokens", "tokens", {"train": "loss"}, None, "nats"),
        (
            "time/batch loss/train/total metrics/train/LanguageCrossEntropy lr-DecoupledAdamW/group0",
            "time/batch",
            "step",
            {"train": "metrics/train/LanguageCrossEntropy"},
            "lr-DecoupledAdamW/group0",
            "nats",
        ),
        (
            "loss_metrics/global_avg_loss step validation_metrics/loss lr",
            "step",
            "step",
            {"train": "loss_metrics/global_avg_loss", "validation": "validation_metrics/loss"},
            "lr",
            "nats",
        ),
        (
            "step train/CrossEntropyLoss optim/learning_rate_group0",
            "step",
            "step",
            {"train": "train/CrossEntropyLoss"},
            "optim/learning_rate_group0",
            "nats",
        ),
        ("step val/bpb", "step", "step", {"val": "val/bpb"}, None, "bits"),
        ("step val/bpb train/loss", "step", "step", {"train": "train/loss"}, None, "nats"),
        ("step train_perplexity lrm", "step", "step", {"train": "train_perplexity"}, None, "perplexity"),
        ("s trl tel", "s", "step", {"train": "trl", "val": "tel"}, None, "nats"),
        ("step my_special_loss aux_loss", "step", "step", {"train": "my_special_loss"}, None, "nats"),
        ("epoch accuracy", None, "step", {}, None, "nats"),
    ],
)
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
        ("val_loss_c4", "val_c4"),
        ("val_loss/c4", "val/c4"),
        ("eval_c4_loss", "eval_c4"),
        ("loss/val/c4", "val/c4"),
        ("validation_loss_wikitext-103", "validation_wikitext-103"),
        ("train/val_loss_c4_en", "val_c4_en"),
        ("val_loss_best", None),
        ("val_loss_mean", None),
        ("val_loss_per_token", None),
        ("val_loss_epoch", None),
        ("val_loss_1", None),
        ("val_aux_loss_c4", None),
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


def test_losses_on_several_texts_are_splits_named_after_them():
    run, report = one("a.csv", "step,loss,val_loss_c4,val_loss/books\n10,3,3.5,4.5\n20,2,2.5,\n30,1.5,2.25,3.25\n")
    assert run.split == "train" and report.questions == ()
    assert {name: (s.steps.tolist(), s.loss.tolist()) for name, s in run.series.items()} == {
        "train": ([10, 20, 30], [3, 2, 1.5]),
        "val_c4": ([10, 20, 30], [3.5, 2.5, 2.25]),
        "val/books": ([10, 30], [4.5, 3.25]),
    }
    run, report = one("a.csv", "step,val_loss_c4,lr\n10,3.5,0.1\n20,2.5,0.1\n")
    assert (run.split, run.loss.tolist()) == ("val_c4", [3.5, 2.5])
    log = "".join(f"step {s} | loss {5 - s / 10:.2f} | val_loss_c4 {6 - s / 10:.2f}\n" for s in (1, 2, 3, 4))
    run, _ = one("a.log", log)
    assert run.series["val_c4"].loss.tolist() == [5.9, 5.8, 5.7, 5.6]


@pytest.mark.parametrize(
    "name, size",
    [
        ("Tokens (B)", 1e9),
        ("tokens_B", 1e9),
        ("tokensB", 1e9),
        ("consumed tokens [millions]", 1e6),
        ("tokens in billions", 1e9),
        ("tokens_seen_M", 1e6),
    ],
)
def test_tokens_may_be_counted_in_millions_and_billions(name, size):
    log = f"{name},loss\n0.5,3\n1.25,2.5\n2,2\n"
    assert guess_layout((name, "loss")).x_unit == "tokens"
    run, report = one("a.csv", log, Layout(name, "tokens", (("train", "loss"),), batch=size / 100))
    assert run.steps.tolist() == [50, 125, 200]
    assert f"The numbers of the column {name!r} were multiplied by {size:,.0f}, as its name says." in said(report)
    run, _ = one("a.csv", f"step,{name},loss,lr\n10,0.5,3,1e-3\n20,1.0,2,1e-3\n")
    assert run.plan.batch_tokens == size / 20
    assert guess_layout((name, "tokens", "loss")).x == "tokens"


@pytest.mark.parametrize("name", ["tokens_per_b", "token_id_b", "t_b", "steps_b", "tokens (a)"])
def test_other_names_count_in_ones(name):
    assert guess_layout((name, "loss")).x is None


def test_steps_may_be_counted_in_thousands():
    run, _ = one("a.csv", "Step (k),loss\n0.1,3\n1,2.5\n2.35,2\n")
    assert run.steps.tolist() == [100, 1000, 2350]
    run, _ = one("a.csv", "step,loss\n500,3\n1k,2.5\n2.5k,2\n1.2M,1.5\n")
    assert run.steps.tolist() == [500, 1000, 2500, 1_200_000]
    run, _ = one("a.jsonl", '{"step": "1k", "loss": 3}\n{"step": "1.5k", "loss": 2}\n')
    assert run.steps.tolist() == [1000, 1500]
    report = read_source(Source("a.csv", b"step,loss\n1,3\n2,2.5\n3,2k\n"))
    assert "1 row with text instead of a number dropped (first '2k' in line 4)." in said(report)


def test_samples_become_steps_by_the_batch_of_the_manifest():
    run, _ = with_manifest("consumed_samples,loss\n128,3\n256,2\n", "64", head="batch_size")
    assert run.steps.tolist() == [2, 4]


def test_a_column_of_tokens_beside_the_steps_gives_the_batch():
    run, report = one("a.csv", "step,tokens,loss,lr\n10,10240,3,1e-3\n20,20480,2,1e-3\n")
    assert run.plan.batch_tokens == 1024 and "The batch size, 1,024 tokens per update" in said(report)
    run, report = one("a.csv", "step,tokens,loss,lr\n10,10240,3,1e-3\n20,40960,2,1e-3\n30,50000,1,1e-3\n")
    assert run.plan.batch_tokens is None and "do not grow evenly" in said(report)


def test_a_batch_that_changes_is_told_with_what_declares_it():
    tokens = np.cumsum(np.where(np.arange(400) < 173, 1024, 4096))
    rows = "".join(f"{k},{tokens[k]},{3 - k / 1000},1e-3\n" for k in range(9, 400, 10))
    run, report = one("a.csv", "step,tokens,loss,lr\n" + rows)
    assert "The batch changes: 1,024, then 4,096 tokens per update." in said(report)
    assert "batch_schedule=steps([0, 173], [1024, 4096]) declares it" in said(report)
    assert run.plan.schedule.family != "joint" and run.plan.batch_tokens is None


def test_a_batch_that_follows_no_staircase_is_told_without_one():
    tokens = np.cumsum(1000 + 10 * np.arange(400))
    rows = "".join(f"{k},{tokens[k]},{3 - k / 1000},1e-3\n" for k in range(9, 400, 10))
    assert "The tokens do not grow evenly" in said(one("a.csv", "step,tokens,loss,lr\n" + rows)[1])


def test_a_gap_between_stretches_of_one_batch_is_no_change():
    tokens = [1024 * (k + 1) + (9000 if k > 200 else 0) for k in range(400)]
    rows = "".join(f"{k},{tokens[k]},{3 - k / 1000},1e-3\n" for k in range(9, 400, 10))
    assert "The batch changes" not in said(one("a.csv", "step,tokens,loss,lr\n" + rows)[1])


def test_a_declared_batch_schedule_is_part_of_the_plan():
    cells = "steps([0, 4], [1024, 4096])", "linear(peak=1e-3, total=10)"
    run, _ = with_manifest("step,loss\n0,3\n9,2\n", *cells, head="batch_schedule,schedule")
    assert run.plan.schedule.text == "rate=linear(peak=1e-3, warmup=0, total=10); batch=steps([0, 4], [1024, 4096])"
    assert run.plan.batch_tokens == 1024 and run.plan.tokens == 4 * 1024 + 6 * 4096


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("steps([0, 4], [1024])", "manifest.csv, row 2, column batch_schedule: batch: each start needs its size"),
        ("steps([0, 40], [1024, 2048])", "before the end of the run"),
    ],
)
def test_a_batch_schedule_that_is_none_is_refused(cell, told):
    manifest = f'run,file,batch_schedule,schedule\nmine,a.csv,"{cell}","linear(peak=1e-3, total=10)"\n'
    reading = read_all([Source("a.csv", b"step,loss\n0,3\n9,2\n"), Source("manifest.csv", manifest.encode())])
    assert any(told in error for error in reading.errors)


def test_without_a_step_column_the_row_number_counts_and_is_told():
    run, report = one("a.csv", "loss\n3\n2\n1\n")
    assert run.steps.tolist() == [0, 1, 2]
    (question,) = report.questions
    assert question.text == "No column counts steps: is each row one update?" and run.open_questions == (question.text,)


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
