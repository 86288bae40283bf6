"""Bad cells and rows: every fault gets one sentence with the file, the place, the rule and what was found."""

import json

import numpy as np
import pytest

from optlaws_core.readers import Layout, Source, cells, read_all, read_source
from tests.knowledge.logs import GOOD, fault


def cleaned(data: str, name: str = "x.csv"):
    """The run of a file that could be repaired, and the sentences about it."""
    report = read_source(Source(name, data.encode()))
    assert report.error is None
    (run,) = report.runs
    return run, [n.text for n in report.notes if n.level == "repaired"]


@pytest.mark.parametrize(
    "data, sentence",
    [
        ("step,accuracy\n0,1\n1,2\n", "no column is known as a loss; columns found: step, accuracy."),
        ("0,3.5\n1,3.4\n", "line 1 must name the columns, but it holds numbers (0, 3.5)."),
        ("# only\n# words", "the file holds comments only, no table."),
        ("\n\n,,\n1,2,3\n", "line 3 must name the columns, but it names none."),
        (
            "step,loss\n0,a\n1,b\n2,3\n",
            "train: more than half of the cells must be numbers, but 2 of 3 hold text, first 'a' in line 2.",
        ),
        (
            "step,loss\nx,3\ny,2\n2,3\n",
            "steps: they must be numbers, but 2 of 3 are text, first 'x' in line 2.",
        ),
        ("step,loss\n0,3\n", "train: a curve needs at least 2 points, got only step 0."),
        (
            "step,loss\n0,3\n0,2\n0,1\n",
            "train: a curve needs at least 2 steps, but all 3 points are at step 0; were they logged without steps?",
        ),
        ("step,loss\n", "no finite loss in the column loss."),
        ("step,loss\n0,nan\n1,inf\n", "no finite loss in the column loss."),
        (
            "step,loss\n0,2.5\n1,2.5\n2,2.5\n",
            "train: losses must change, but all 3 are 2.5; is this the loss column?",
        ),
        ("step,loss\n-5,3\n1,2\n", "steps: they must not be negative, got -5 in line 2."),
        (
            "step,loss\n0,3\n0.5,2\n1,1\n",
            "steps: they must be whole numbers, got 0.5 in line 3; is this column an epoch or a time?",
        ),
        (
            "step,loss\n0,3\n1762000000000,2\n",
            "steps: the largest may be 1,000,000,000,000, got 1.76e+12; is this column a time?",
        ),
        ("step,loss\n0,3\n1,2,9\n", "line 3 has 3 cells, but the header names 2 columns."),
        (
            "tokens,loss\n0,3\n1,2\n",
            "the x axis 'tokens' counts tokens; declare the batch size (tokens per update) to turn it into steps.",
        ),
        (
            "consumed samples,loss\n0,3\n1,2\n",
            "the x axis 'consumed samples' counts samples; "
            "declare the batch size (samples per update) to turn it into steps.",
        ),
        ("step,ppl\n0,3\n1,-2\n", "a perplexity must be above 0, got -2; choose another loss unit."),
        (
            '"Runtime","a - loss"\n0.1,3\n',
            "the x axis is 'Runtime'; export the chart with steps or tokens on its x axis.",
        ),
        (
            '{"step": 0, "loss"\n',
            "the JSON breaks off at line 2, column 1; is the file complete? Copy or download it again.",
        ),
        ('{step: 0, "loss"\n', """each line must be a JSON object, but line 1 holds '{step: 0, "loss"'."""),
        ("[1, 2, 3]", "a JSON array must hold objects, one for each logged step."),
        ('{"a": [1, 2], "b": [1]}', "the columns of a JSON object must have one length, got a: 2, b: 1."),
        ("[" * 100_000, "the JSON is nested too deeply to be a log."),
        ('{"log_history": [{"predict_loss": 1}]}', "log_history holds no row with a step and a loss."),
        ('{"history": {"wa": {"iter": []}}}', "no section of the history has steps and values; sections: wa."),
        ('{"step": 0, "text": "a"}\n{"step": 1}\n', "no column is known as a loss; columns found: step, text."),
    ],
)
def test_a_log_without_a_curve_says_why(data, sentence):
    assert fault(data) == f"x.csv: {sentence}"


def test_columns_of_a_correction_must_be_there():
    layout = Layout("step", losses=(("train", "nll"),))
    assert fault(GOOD, layout=layout) == "x.csv: there is no column 'nll'; columns found: step, loss, lr."
    report = read_source(Source("x.csv", GOOD), layout)
    assert report.columns == ("step", "loss", "lr")  # for the form in which the user corrects it


def test_a_run_without_a_curve_does_not_take_the_others_along():
    report = read_source(Source("x.csv", b"run,step,loss\na,0,3\na,1,2\nb,0,3\n"))
    assert [r.name for r in report.runs] == ["a"]
    assert [n.text for n in report.notes] == [
        "No learning rate is logged or declared; declare a schedule before fitting.",
        "Run 'b': train: a curve needs at least 2 points, got only step 0.",
    ]


def test_a_split_without_a_curve_does_not_take_the_others_along():
    report = read_source(Source("x.csv", b"step,loss,val_loss\n0,3,a\n1,2,b\n"))
    assert list(report.runs[0].series) == ["train"]
    assert report.notes[0].text.endswith("2 of 2 hold text, first 'a' in line 2; this split was left out.")


@pytest.mark.parametrize(
    "data, steps, loss, sentences",
    [
        (
            "step,loss\n0,3\n1,abc\n2,2\n3,1\n",
            [0, 2, 3],
            [3, 2, 1],
            ["train: 1 row with text instead of a number dropped (first 'abc' in line 3)."],
        ),
        (
            "step,loss\n0,3\nstep,2.5\n2,2\n",
            [0, 2],
            [3, 2],
            ["train: 1 row with text instead of a step dropped (first 'step' in line 3)."],
        ),
        (
            "step,loss\n0,3\n10,nan\n20,2\n30,inf\n40,NaN\n50,1\n",
            [0, 20, 50],
            [3, 2, 1],
            ["train: 3 rows with NaN or infinity dropped (first at step 10)."],
        ),
        (
            "step,loss\n0,3\n,2.5\n20,2\n",
            [0, 20],
            [3, 2],
            ["train: 1 row without a step dropped (first in line 3)."],
        ),
        (
            "step,loss\n0,3\n10,2.9\n20,2.8\n10,2.5\n20,2.25\n30,2\n",
            [0, 10, 20, 30],
            [3, 2.5, 2.25, 2],
            ["train: 2 steps stood twice (the run was resumed at step 10); the last value of each was kept."],
        ),
        (
            "step,loss\n0,3\n10,2.9\n20,2.8\n30,2.7\n15,2.5\n25,2.25\n",
            [0, 10, 15, 25],
            [3, 2.9, 2.5, 2.25],
            [
                "train: 2 points from before a resume dropped (the run was resumed at step 15); "
                "the later ones were kept."
            ],
        ),
        (
            "step,loss\n500,2\n510,1.9\n520,1.8\n0,3\n10,2.9\n",
            [0, 10, 500, 510, 520],
            [3, 2.9, 2, 1.9, 1.8],
            ["train: the rows were not in the order of their steps (first at step 0) and were sorted."],
        ),
        (
            "step,loss\n50,1\n40,2\n30,3\n20,4\n10,5\n0,6\n",
            [0, 10, 20, 30, 40, 50],
            [6, 5, 4, 3, 2, 1],
            ["train: the rows were not in the order of their steps (first at step 40) and were sorted."],
        ),
        (
            "step,loss\n0,3\n0,2.9\n10,2\n10,1\n",
            [0, 10],
            [2.9, 1],
            ["train: 2 steps stood twice (first step 0); the last value of each was kept."],
        ),
        (
            "step,loss\n0,6\n1,5\n2,4\n1,4.5\n2,3.5\n3,3\n2,3.25\n3,2\n4,1\n",
            [0, 1, 2, 3, 4],
            [6, 4.5, 3.25, 2, 1],
            [
                "train: 4 steps stood twice (the run was resumed at step 1, 2 times in all); "
                "the last value of each was kept."
            ],
        ),
    ],
)
def test_what_can_be_repaired_is_repaired_and_told(data, steps, loss, sentences):
    run, told = cleaned(data)
    assert (run.steps.tolist(), run.loss.tolist(), told) == (steps, loss, sentences)


def test_a_fault_that_all_columns_share_is_told_once():
    _, told = cleaned("step,loss,lr\n0,3,1e-3\n10,2.9,1e-3\n0,2.8,1e-3\n10,2,1e-3\n")
    assert len(told) == 1


def test_shuffled_rows_are_sorted():
    steps = np.random.default_rng(0).permutation(1000)
    run, told = cleaned("step,loss\n" + "".join(f"{s},{s / 7!r}\n" for s in steps.tolist()))
    assert run.steps.tolist() == list(range(1000)) and run.loss.tolist() == [s / 7 for s in range(1000)]
    assert "sorted" in told[0]


def test_line_numbers_survive_comments_blank_lines_and_blocks(monkeypatch):
    monkeypatch.setattr(cells, "BLOCK", 64)
    lines = ["# head", "step,loss", *(f"{i},{1000 - i}" for i in range(100)), "", "# middle", "100,oops", "101,5"]
    run, told = cleaned("\n".join(lines))
    assert told == ["train: 1 row with text instead of a number dropped (first 'oops' in line 105)."]
    assert lines[104] == "100,oops" and len(run.steps) == 101


def test_lines_that_are_no_objects_are_counted():
    run, told = cleaned('{"step": 0, "loss": 3}\n{"step": 1, "loss": 2}\n{"step": 2, "lo', "x.jsonl")
    assert run.steps.tolist() == [0, 1]
    assert told == ["""1 line without a JSON object dropped (first line 3: '{"step": 2, "lo')."""]
    run, told = cleaned('[{"step": 0, "loss": 3}, 7, {"step": 1, "loss": 2}]', "x.json")
    assert told == ["1 item of the array dropped, since it must hold objects."]


def test_a_trainers_not_a_number_is_counted():
    rows = [{"step": 0, "loss": 3.0}, {"step": 1, "loss": float("nan")}, {"step": 2, "loss": 2.0}]
    _, told = cleaned(json.dumps({"log_history": rows}), "trainer_state.json")
    assert told == ["train: 1 row with NaN or infinity dropped (first at step 1)."]


def test_run_names_are_one_printable_line_each_once():
    rows = [{"run": name, "step": s, "loss": 3 - s} for name in ("a\nb", "a\x1bb", "a b", "\ud800") for s in (0, 1)]
    report = read_source(Source("x.json", json.dumps(rows).encode()))
    assert [run.name for run in report.runs] == ["a b", "a b (2)", "a b (3)", "x"]
    manifest = Source("m.csv", b'run,file,params\n"one\n\x07two",a.csv,1e6\n')
    assert [run.name for run in read_all([manifest, Source("a.csv", GOOD)]).runs] == ["one two"]


def test_numbers_beyond_all_counts_declare_nothing():
    huge = 10**400
    state = {"max_steps": huge, "logging_steps": huge, "log_history": [{"step": s, "loss": 3.0 - s} for s in (1, 2)]}
    table = {"iter": [0, 1], "train_loss": [3.0, 2.0]}
    config = {"parameters": huge, "max_steps": huge, "warmup_steps": huge}
    for value in (state, {"config": config, "history": {"train": table}}):
        report = read_source(Source("x.json", json.dumps(value).encode()))
        assert report.error is None
        (facts,) = report.facts.values()
        assert facts.total_steps is facts.params is facts.warmup_steps is None
