"""JSON in the shapes that programs and people give it."""

import json

import numpy as np
import pytest

from optlaws_core.readers import Source, read_source
from tests.knowledge.logs import fault, one, said

ROWS = [{"step": 10, "loss": 4.5}, {"step": 20, "loss": 3.5}, {"step": 30, "loss": 2.5}]
TRUTH = ([10, 20, 30], [4.5, 3.5, 2.5])


def values(value: object, name: str = "a.json") -> tuple[list[int], list[float]]:
    run, _ = one(name, value if isinstance(value, (str, bytes)) else json.dumps(value))
    return run.steps.tolist(), run.loss.tolist()


def read(value: object, **answers: str):
    return read_source(Source("a.json", json.dumps(value).encode()), answers=answers)


@pytest.mark.parametrize(
    "value",
    [
        {"info": {"name": "x"}, "train_info": {"time": 1, "metrics": ROWS}},
        {"schema": {"fields": []}, "data": ROWS},
        {"columns": ["step", "loss"], "index": [0, 1, 2], "data": [[10, 4.5], [20, 3.5], [30, 2.5]]},
        {"step": {"0": 10, "1": 20, "2": 30}, "loss": {"0": 4.5, "1": 3.5, "2": 2.5}},
        {"0": ROWS[0], "1": ROWS[1], "2": ROWS[2]},
        {"history": {"loss": [4.5, 3.5, 2.5], "step": [10, 20, 30]}, "params": {"epochs": 3}},
        {"curves": {"train": {"iter": [10, 20, 30], "loss": [4.5, 3.5, 2.5]}}},
        {"loss": [[10, 4.5], [20, 3.5], [30, 2.5]], "val_loss": [[20, 3.75]]},
        {"train_loss": [{"step": r["step"], "value": r["loss"]} for r in ROWS], "name": "x"},
        [["step", "loss"], [10, 4.5], [20, 3.5], [30, 2.5]],
        [{"step": r["step"], "loss": [r["loss"]]} for r in ROWS],
        [*ROWS, {"step": 30, "train_loss": 9.0, "train_runtime": 1.0}],
        "\n".join(json.dumps(r, indent=1) for r in ROWS),
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + ",\n]",
        "\ufeff" + "".join(json.dumps(r) + "\n" for r in ROWS),
    ],
)
def test_records_are_found_whatever_surrounds_them(value):
    assert values(value) == TRUTH


def test_lists_of_several_splits_are_one_run():
    run, report = one("a.json", json.dumps({"train": ROWS, "val": [{"step": 20, "loss": 3.75}]}))
    assert (run.steps.tolist(), run.loss.tolist()) == TRUTH and run.series["val"].loss.tolist() == [3.75]
    assert "The records at train, val were read." in said(report)


def test_rows_without_names_are_asked_about():
    rows = [[200, 5.5, 6.5], [400, 4.5, 5.5]]
    report = read(rows)
    assert report.runs[0].loss.tolist() == [5.5, 4.5] and report.runs[0].series["val"].loss.tolist() == [6.5, 5.5]
    assert [q.options for q in report.questions] == [
        "columns=step-train-val, columns=step-val-train, columns=step-loss-lr"
    ]
    assert read(rows, columns="step-val-train").runs[0].loss.tolist() == [6.5, 5.5]
    assert read([[1, 5.5, 1e-3], [2, 4.5, 1e-3]]).runs[0].lr_source == "logged"
    assert read([[1, 5.5], [2, 4.5]]).runs[0].steps.tolist() == [1, 2]
    assert fault(json.dumps([[1, 2, 3, 4], [2, 3, 4, 5]]), "a.json").startswith(
        "a.json: its rows of numbers have no names"
    )
    assert fault("[[]]", "a.json").startswith("a.json: its rows of numbers have no names")


def test_lists_of_another_length_than_the_loss_are_left_out():
    table = {"train_losses": [4.5, 3.5], "val_losses": [4.0], "track_tokens_seen": [512, 1024]}
    report = read(table)
    assert "Columns of another length than 'train_losses' were left out: val_losses" in said(report)
    assert report.layout.x == "track_tokens_seen" and "counts tokens" in report.error


def test_rates_by_group():
    equal = [{**r, "lr": [1e-3, 1e-3]} for r in ROWS]
    report = read(equal)
    assert report.layout.lr == "lr" and report.questions == () and report.runs[0].lr_source == "logged"
    report = read([{**r, "lr": [1e-3, 1e-2]} for r in ROWS])
    assert report.layout.lr == "lr/0" and [q.key for q in report.questions] == ["lr"]
    assert read([{**r, "lr": [1e-3, 1e-2]} for r in ROWS], lr="lr/1").runs[0].plan.schedule(10) == 1e-2


def test_names_of_llama_factory_and_maxtext():
    rows = [{"current_steps": r["step"], "total_steps": 99, "loss": r["loss"], "total_tokens": 0} for r in ROWS]
    report = read(rows)
    assert report.runs[0].steps.tolist() == TRUTH[0] and report.facts["a"].total_steps == 99
    rows = [
        {"learning/loss": r["loss"], "learning/current_learning_rate": 1e-3, "step": float(r["step"])} for r in ROWS
    ]
    report = read(rows)
    assert report.layout.lr == "learning/current_learning_rate" and report.runs[0].loss.tolist() == TRUTH[1]


def test_decimal_commas_in_texts_are_read():
    rows = [{"step": str(r["step"]), "loss": f"{r['loss']:.2f}".replace(".", ",")} for r in ROWS]
    assert values(rows) == TRUTH
    assert "Commas were read as decimal points in the columns loss" in said(read(rows))


def test_a_damaged_key_is_told():
    lines = [json.dumps(r) for r in ROWS]
    lines[1] = lines[1].replace("loss", "los")
    run, report = one("a.jsonl", "\n".join(lines) + "\n")
    assert run.steps.tolist() == [10, 30] and "1 row without a loss left out (first in line 2)." in said(report)


def test_a_cut_array_says_so():
    assert fault(json.dumps(ROWS, indent=1)[:-9], "a.json") == (
        "a.json: the JSON breaks off at line 12, column 10; is the file complete? Copy or download it again."
    )


def state(apart: int, **more) -> bytes:
    history = [{"step": s, "loss": 5 - s / 10_000, "lr": 1e-4} for s in range(apart, 10 * apart, apart)]
    return json.dumps({"log_history": history, "max_steps": 99_999, **more}).encode()


def test_what_a_trainers_loss_is_the_mean_of():
    _, report = one("trainer_state.json", state(401, logging_steps=500))
    assert "a mean of the steps before it, at most of the 401 since the row before" in said(report)
    assert "500" not in said(report).replace("9,500", "")
    _, report = one("trainer_state.json", state(10, logging_steps=10))
    assert "mean over the last 10 steps (logging_steps)" in said(report)
    assert report.runs[0].lr_source == "logged" and report.facts["trainer_state"].total_steps == 99_999


def test_numbers_are_bit_for_bit():
    losses = np.random.default_rng(0).normal(3, 1, 50).tolist()
    assert values([{"step": i, "loss": y} for i, y in enumerate(losses)])[1] == losses
