"""Columns that say of each row to which split or to which run it belongs: no loss lands in another curve."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from optlaws_core.readers import Layout, Source, read_source
from tests.knowledge.logs import said

STEPS = [10, 20, 30, 40]
TRAIN, VAL = [5.0, 4.0, 3.5, 3.25], [5.5, 4.5, 4.0, 3.75]


def read(rows, kind: str = "csv", **answers: str):
    frame = pd.DataFrame(rows)
    data = {
        "csv": lambda: frame.to_csv(index=False).encode(),
        "tsv": lambda: frame.to_csv(index=False, sep="\t").encode(),
        "jsonl": lambda: "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "json": lambda: json.dumps(rows).encode(),
        "parquet": lambda: parquet(frame),
    }[kind]()
    report = read_source(Source(f"a.{kind}", data), answers=answers)
    assert report.error is None, report.error
    return report


def parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


def curves(report) -> dict[str, dict[str, list[float]]]:
    return {run.name: {split: s.loss.tolist() for split, s in run.series.items()} for run in report.runs}


def split_rows(column: str = "split", train: object = "train", val: object = "val", rates: bool = True):
    rows = []
    for i, (step, a, b) in enumerate(zip(STEPS, TRAIN, VAL, strict=True)):
        rate = {"lr": 1e-3 / (1 + i)} if rates else {}
        rows += [{"step": step, column: train, "loss": a, **rate}, {"step": step, column: val, "loss": b, **rate}]
    return rows


# ---- splits


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_column_that_names_the_split_of_each_row_gives_each_split_its_curve(kind):
    report = read(split_rows(), kind)
    assert curves(report) == {"a": {"train": TRAIN, "val": VAL}}
    (run,) = report.runs
    assert run.split == "train" and run.steps.tolist() == STEPS and report.questions == ()
    assert report.layout.losses == (("train", "loss (split=train)"), ("val", "loss (split=val)"))
    assert report.layout.lr == "lr (split=train)" and run.lr_source != "none"
    assert "The column 'split' tells splits apart: train, val." in said(report)
    assert "stood twice" not in said(report)


@pytest.mark.parametrize(
    "column, train, val, name",
    [
        ("phase", "training", "validation", "validation"),
        ("mode", "Train", "Eval", "eval"),
        ("event", "train_step", "eval_step", "eval"),
        ("type", "train", "test", "test"),
        ("stage", "train", "dev", "dev"),
        ("dataset", "train", "eval_wikitext", "eval_wikitext"),
        ("set", "train", "valid", "valid"),
        ("Subset", "TRAIN", "EVALUATION", "evaluation"),
        ("partition", "train", "val/c4", "val/c4"),
        ("message", "train loss", "validation loss", "validation"),
        ("is_train", True, False, "val"),
        ("is_train", 1, 0, "val"),
        ("isEval", False, True, "val"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_splits_are_known_by_many_names(column, train, val, name, kind):
    assert curves(read(split_rows(column, train, val), kind)) == {"a": {"train": TRAIN, name: VAL}}


def test_several_evaluations_and_one_after_another():
    rows = sorted(split_rows(), key=lambda row: row["split"])
    rows += [{**row, "split": "eval_c4", "loss": row["loss"] + 1} for row in rows if row["split"] == "val"]
    assert curves(read(rows)) == {"a": {"train": TRAIN, "eval_c4": [y + 1 for y in VAL], "val": VAL}}


def test_rates_come_from_the_rows_of_training():
    rows = [{**row, "lr": row["lr"] if row["split"] == "train" else 0.0} for row in split_rows()]
    (run,) = read(rows).runs
    (plain,) = read(split_rows()).runs
    assert run.plan == plain.plan and run.lr_source == plain.lr_source
    only = [{**row, "lr": row["lr"] if row["split"] == "train" else None} for row in split_rows()]
    assert read(only).layout.lr == "lr"  # the other rows have none


def test_a_table_of_evaluations_alone_gives_no_training():
    rows = [row for row in split_rows() if row["split"] == "val"]
    assert curves(read(rows)) == {"a": {"val": VAL}}


def test_rows_whose_losses_have_columns_of_their_own_are_left_as_they_are():
    rows = []
    for step, a, b in zip(STEPS, TRAIN, VAL, strict=True):
        rows += [{"event": "train", "step": step, "loss": a}, {"event": "eval", "step": step, "val_loss": b}]
    report = read(rows, "jsonl")
    assert curves(report) == {"a": {"train": TRAIN, "val": VAL}}
    assert report.layout.losses == (("train", "loss"), ("val", "val_loss"))


def test_other_events_have_no_loss_and_other_words_name_no_split():
    rows = [*split_rows("event"), {"step": 40, "event": "checkpoint", "loss": None, "lr": None}]
    assert curves(read(rows)) == {"a": {"train": TRAIN, "val": VAL}}
    rows = [{"step": s, "mode": "amp", "loss": y} for s, y in zip(STEPS, TRAIN, strict=True)]
    report = read(rows)
    assert curves(report) == {"a": {"train": TRAIN}} and report.layout.losses == (("train", "loss"),)
    rows = [{"step": s, "message": f"train {s}", "loss": y} for s, y in zip(STEPS, TRAIN, strict=True)]
    assert curves(read(rows)) == {"a": {"train": TRAIN}}


def test_splits_of_several_runs():
    rows = [
        {**row, "seed": seed, "loss": row["loss"] + seed, "lr": 1e-3 * seed} for seed in (1, 2) for row in split_rows()
    ]
    expected = {f"seed={n}": {"train": [y + n for y in TRAIN], "val": [y + n for y in VAL]} for n in (1, 2)}
    for kind in ("csv", "jsonl", "parquet"):
        assert curves(read(rows, kind)) == expected


def test_splits_of_a_long_table():
    rows = [{"split": r["split"], "step": r["step"], "metric": "loss", "value": r["loss"]} for r in split_rows()]
    assert curves(read(rows)) == {"a": {"train": TRAIN, "val": VAL}}


@pytest.mark.parametrize("column", ["run", "Run Name", "run_uuid", "name", "experiment"])
def test_runs_of_a_long_table_are_told_by_the_columns_that_name_runs_elsewhere(column):
    rows = [{column: r, "step": s, "metric": "loss", "value": y} for r in ("one", "two") for s, y in _curve()]
    assert curves(read(rows)) == {name: {"train": TRAIN} for name in ("one", "two")}


# ---- runs


def of_runs(column: str, values, alternating: bool):
    rows = [
        {column: value, "step": step, "loss": loss + n} for n, value in enumerate(values) for step, loss in _curve()
    ]
    return sorted(rows, key=lambda row: row["step"]) if alternating else rows


def _curve():
    return zip(STEPS, TRAIN, strict=True)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
@pytest.mark.parametrize(
    "column, values, names",
    [
        ("model", ["125M", "350M"], ["125M", "350M"]),
        ("seed", [1, 2, 3], ["seed=1", "seed=2", "seed=3"]),
    ],
)
def test_a_column_that_tells_runs_apart_is_found(kind, column, values, names, alternating):
    report = read(of_runs(column, values, alternating), kind)
    assert curves(report) == {name: {"train": [y + n for y in TRAIN]} for n, name in enumerate(names)}
    assert report.layout.run == column and report.questions == ()
    assert f"the rows were taken apart as runs by {column!r}" in said(report)


@pytest.mark.parametrize(
    "column",
    ["model_size", "optimizer", "config", "trial", "name", "schedule", "width", "lr_peak", "exp_id", "batch_size"]
    + ["params", "exp_name", "experimentId", "weight_decay", "d_model", "variant"],
)
def test_runs_are_told_apart_by_many_names(column):
    report = read(of_runs(column, [64, 128], True))
    assert curves(report) == {f"{column}={v}": {"train": [y + n for y in TRAIN]} for n, v in enumerate((64, 128))}


def test_two_columns_may_name_a_run_together():
    rows = [
        {"model": model, "seed": seed, "step": step, "loss": loss + seed + (model == "B") / 2}
        for step, loss in _curve()
        for model in "AB"
        for seed in (1, 2)
    ]
    report = read(rows)
    assert report.layout.run == "model + seed" and "model + seed" in report.columns
    assert list(curves(report)) == ["A, seed=1", "A, seed=2", "B, seed=1", "B, seed=2"]
    assert curves(report)["B, seed=1"] == {"train": [y + 1.5 for y in TRAIN]}


def test_runs_of_one_name_and_several_seeds():
    rows = [{**row, "run": "x"} for row in of_runs("seed", [1, 2], True)]
    assert curves(read(rows)) == {f"x, seed={n + 1}": {"train": [y + n for y in TRAIN]} for n in (0, 1)}


def test_a_constant_rate_of_each_run_tells_runs_apart_and_is_asked_about():
    rows = of_runs("lr", [1e-3, 3e-4], True)
    report = read(rows)
    assert curves(report) == {
        "lr=0.001": {"train": TRAIN},
        "lr=0.0003": {"train": [y + 1 for y in TRAIN]},
    }
    assert [q.options for q in report.questions] == ["runs=apart, runs=one"]
    assert read(rows, runs="apart").questions == ()
    assert len(read(rows, runs="one").runs) == 1


def test_a_column_of_other_names_is_asked_about():
    rows = of_runs("flavour", ["dense", "moe"], True)
    report = read(rows)
    assert list(curves(report)) == ["dense", "moe"]
    (question,) = report.questions
    assert question.text == (
        "Steps occur several times, with different values of 'flavour' (dense, moe): is each of these a run of its own?"
    )
    assert list(curves(read(rows, runs="one"))) == ["a"]


def test_what_changes_where_a_run_was_resumed_is_asked_about_and_stays_one_run():
    rows = [{"step": s, "host": "a", "loss": 5 - s / 100} for s in range(0, 100, 10)]
    rows += [{"step": s, "host": "b", "loss": 5 - s / 100} for s in range(70, 200, 10)]
    report = read(rows)
    assert list(curves(report)) == ["a"] and report.runs[0].last_step == 190
    assert [q.options for q in report.questions] == ["runs=one, runs=apart"]
    assert list(curves(read(rows, runs="apart"))) == ["a", "b"]


def test_what_tells_nothing_apart_is_left_alone():
    for more in (
        lambda i: {"seed": 1},  # one run that was logged twice
        lambda i: {"epoch": 1 + i // 4},  # a counter that begins anew with each epoch
        lambda i: {"batch_size": 32 * (1 + i % 3)},
    ):
        rows = [{"step": 10 * (1 + i % 4), **more(i), "loss": 5 - i / 10} for i in range(8)]
        report = read(rows)
        assert len(report.runs) == 1 and report.layout.run is None
        assert "runs" not in [q.key for q in report.questions]
    rows = [{"step": i, "seed": i // 50, "loss": 5 - i / 100} for i in range(100)]
    assert len(read(rows).runs) == 1  # no step stands twice


def test_one_resumed_run_among_several_keeps_them_apart_with_a_question():
    rows = of_runs("seed", [1, 2, 3, 4], False)
    rows = [*rows[:4], {"seed": 1, "step": 30, "loss": 3.4}, {"seed": 1, "step": 40, "loss": 3.2}, *rows[4:]]
    report = read(rows)
    assert list(curves(report)) == [f"seed={n}" for n in (1, 2, 3, 4)]
    assert curves(report)["seed=1"]["train"] == [5.0, 4.0, 3.4, 3.2]
    assert [q.key for q in report.questions] == ["runs"]


def test_data_sets_beside_the_training_may_be_evaluations_and_are_asked_about():
    report = read(of_runs("dataset", ["train", "c4"], True))
    assert list(curves(report)) == ["train", "c4"]
    assert [q.options for q in report.questions] == ["runs=apart, runs=one"]


def test_a_run_that_has_just_begun_stands_among_others():
    report = read([*of_runs("seed", [1, 2], False), {"seed": 3, "step": 10, "loss": 9.0}])
    assert list(curves(report)) == ["seed=1", "seed=2"]
    assert "Run 'seed=3': train: a curve needs at least 2 points" in said(report)


# ---- restarts


def test_a_header_that_stands_again_at_a_restart_makes_several_runs_likely():
    one = "".join(f"{s},{y}\n" for s, y in _curve())
    two = "".join(f"{s},{y + 1}\n" for s, y in _curve())
    data = f"step,loss\n{one}step,loss\n{two}".encode()
    report = read_source(Source("a.csv", data))
    assert curves(report) == {"a": {"train": TRAIN}, "a (2)": {"train": [y + 1 for y in TRAIN]}}
    (question,) = report.questions
    assert question.answers[0].key == "separate" and "a header stands there" in question.text
    over = read_source(Source("a.csv", data), answers={"restart": "over"})
    assert curves(over) == {"a": {"train": [y + 1 for y in TRAIN]}} and over.questions == ()
    assert len(read_source(Source("a.csv", data), answers={"restart": "separate"}).runs) == 2


def test_a_rate_that_changes_at_a_restart_makes_several_runs_likely():
    rows = of_runs("lr", [1e-3, 3e-4], False)
    data = pd.DataFrame(rows).to_csv(index=False).encode()
    report = read_source(Source("a.csv", data), Layout("step", losses=(("train", "loss"),), lr="lr"))
    assert [len(run.loss) for run in report.runs] == [4, 4]
    assert "restart" in [q.key for q in report.questions]
    assert np.allclose(report.runs[1].loss, [y + 1 for y in TRAIN])
