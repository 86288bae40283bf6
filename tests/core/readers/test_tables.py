"""Tables as spreadsheets, pandas and people leave them: each value is read, or a sentence or question speaks of it."""

import math
from dataclasses import replace

import pytest

from optlaws_core.errors import LogError
from optlaws_core.readers import Layout, Source, cells, read_source
from optlaws_core.readers.header import header_of
from optlaws_core.readers.numbers import Commas, from_cells, marks_of
from tests.knowledge.logs import fault, one, said


def values(data: str | bytes, name: str = "a.csv") -> tuple[list[int], list[float]]:
    run, _ = one(name, data)
    return run.steps.tolist(), run.loss.tolist()


def questions(data: str | bytes, name: str = "a.csv", **answers: str) -> list[str]:
    report = read_source(Source(name, data.encode() if isinstance(data, str) else data), answers=answers)
    return [q.options for q in report.questions]


# ---- commas


@pytest.mark.parametrize(
    "data",
    [
        "step\tloss\tlr\n10\t4,942\t0,00003\n20\t3,253\t0,00006\n",
        "step;loss;lr\n10;4,942;0,00003\n20;3,253;0,00006\n",
        'step,loss,lr\n10,"4,942","0,00003"\n20,"3,253","0,00006"\n',
        "step  loss  lr\n10  4,942  0,00003\n20  3,253  0,00006\n",
        "step;loss\n10;4,942\n20;3,253\n",  # a spreadsheet separates by semicolons where commas are decimal ones
    ],
)
def test_decimal_commas_are_told_by_the_whole_table(data):
    assert values(data) == ([10, 20], [4.942, 3.253])
    assert questions(data) == []


def test_a_column_in_which_nothing_tells_is_asked_about():
    data = "step\tloss\n10\t4,942\n20\t3,253\n"
    assert values(data) == ([10, 20], [4.942, 3.253])
    assert questions(data) == ["commas=decimal, commas=thousands"]
    report = read_source(Source("a.tsv", data.encode()), answers={"commas": "thousands"})
    assert report.runs[0].loss.tolist() == [4942, 3253] and report.questions == ()
    assert "4.942" not in said(report)


ODD = ["", " ", "nan", "3,", "+,5", "-1,5E-3", "1.234,5", "3.14", "1_0,5", "4,942", "12,000,000", "1,2,3", ",", "a"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("column", [0, 1])
def test_tables_of_decimal_commas_are_read_at_once_as_cell_by_cell(monkeypatch, odd, column):
    """Whatever else a later part holds: the same numbers, the same words, and the same meaning of commas."""
    monkeypatch.setattr(cells, "BLOCK", 60)
    rows = [[str(i), f"{1 / (i + 3):.17g}".replace(".", ","), "2,25"] for i in range(20)]
    rows[15][column] = odd
    data = "".join(";".join(row) + "\n" for row in rows).encode()
    table = cells.Table(data, 0, ";", 3, len(data))
    found, marks = table.numbers([0, 1, 2], [0])
    texts, seen = table.texts(), {i: Commas() for i in range(3)}
    for i, commas in seen.items():
        commas.see(texts[i])
    expected = replace(marks_of(seen, [0], None, spreadsheet=True), amounts=frozenset([0]))
    assert marks == expected
    for i, made in found.items():
        by_cell = expected.numbers(i, texts[i])
        assert made.values.tobytes() == by_cell.values.tobytes() and made.word == by_cell.word
        assert made.nans.tolist() == by_cell.nans.tolist() and made.words.tolist() == by_cell.words.tolist()


def test_thousands_are_told_from_decimal_commas():
    assert values('step,loss\n"1,000",4.942\n"2,000",3.253\n') == ([1000, 2000], [4.942, 3.253])
    assert values("step\tloss\n990\t4\n1,000\t3.5\n") == ([990, 1000], [4, 3.5])
    assert values('step,loss\n1,"1,234,567"\n2,"1,003"\n') == ([1, 2], [1234567, 1003])
    assert values("step;loss\n1.000;4,5\n2.000;3,25\n") == ([1000, 2000], [4.5, 3.25])
    assert values("step\tloss\n1\u00a0000\t4.5\n2\u202f000\t3.25\n") == ([1000, 2000], [4.5, 3.25])
    steps = "step\tloss\n1,000\t4,942\n2,000\t3,253\n"  # nothing tells, in neither column
    assert questions(steps) == ["commas=thousands, commas=decimal"]


def test_what_commas_stand_for_is_known_of_columns():
    seen = {"a": Commas(), "b": Commas(), "c": Commas()}
    seen["a"].see(["3,14", "", "nan"])
    seen["b"].see(["4,942"])
    seen["c"].see(["1,234.5"])
    marks = marks_of(seen)
    assert marks.of["a"] == "decimal" and marks.of["c"] == "thousands"
    assert marks.unsure == {"b": "4,942"}  # the others contradict each other
    assert marks_of({"a": seen["a"], "b": seen["b"]}).of["b"] == "decimal"
    assert from_cells(["1.234,5", "3,5e-4", "7"], "decimal").values.tolist() == [1234.5, 3.5e-4, 7]
    assert from_cells(["1,234.5", "−2", "3.0D-04"]).values.tolist() == [1234.5, -2, 3e-4]
    assert from_cells(["3,5", "1_000"]).words.tolist() == [0, 1]


def test_the_note_names_the_columns_with_decimal_commas():
    _, report = one("a.csv", "step;loss;lr\n10;4,5;0,001\n20;3,5;0,001\n")
    assert "Commas were read as decimal points in the columns loss, lr (first 'loss': 4,5)." in said(report)


# ---- headers


def test_lines_above_the_header_are_known():
    assert values("sep=;\nstep;loss\n10;4,5\n20;3,5\n") == ([10, 20], [4.5, 3.5])
    assert values("sep=\t\r\nstep\tloss\r\n10\t4.5\r\n20\t3.5\r\n") == ([10, 20], [4.5, 3.5])
    assert values("# step loss\n10 4.5\n20 3.5\n") == ([10, 20], [4.5, 3.5])
    with pytest.raises(LogError, match="it holds numbers"):
        header_of(b"# made on Monday\n10,4.5\n", "x")


def test_a_further_header_begins_another_part():
    data = "step,loss\n10,4\n20,3\nstep,loss,val_loss\n30,2,2.5\n40,1,1.5\n"
    run, report = one("a.csv", data)
    assert run.steps.tolist() == [10, 20, 30, 40] and run.series["val"].loss.tolist() == [2.5, 1.5]
    assert "Another header stands in line 4; the rows below it are step, loss, val_loss." in said(report)
    assert values("step,loss,lr\n10,4,1e-3\n20,3,1e-3\nlr,step,loss\n1e-3,30,2\n") == ([10, 20, 30], [4, 3, 2])
    assert values("step,loss\n10,4\n20,3\n\nstep,lr\n10,0.5\n20,0.25\n") == ([10, 20], [4, 3])
    data = "run,step,loss\na,10,4\na,20,3\nrun,step,loss,lr\na,30,2,1e-3\nb,10,5,1e-3\nb,20,4,1e-3\n"
    report = read_source(Source("a.csv", data.encode()))
    assert [(r.name, r.loss.tolist()) for r in report.runs] == [("a", [4, 3, 2]), ("b", [5, 4])]


def test_the_first_column_of_pandas_is_asked_about():
    data = ",train_loss,lr\n10,4,1e-3\n20,3,1e-3\n"
    assert values(data) == ([10, 20], [4, 3])
    assert questions(data) == ["x=updates, x=rows, x=micro-batches:NUMBER, x=samples:NUMBER, x=epochs:NUMBER"]
    report = read_source(Source("a.csv", data.encode()), answers={"x": "rows"})
    assert report.runs[0].steps.tolist() == [0, 1]
    report = read_source(Source("a.csv", data.encode()), answers={"x": "micro-batches:10"})
    assert report.runs[0].steps.tolist() == [1, 2]
    assert questions(",step,loss\n0,10,4\n1,20,3\n") == []


def test_a_table_as_pandas_prints_it():
    assert values("   step  loss\n0    10   4.5\n1    20   3.5\n", "a.txt") == ([10, 20], [4.5, 3.5])
    assert values("      loss   lr\nstep\n10     4.5  0.1\n20     3.5  0.1\n", "a.txt") == ([10, 20], [4.5, 3.5])
    _, report = one(
        "a.txt", "    step  loss\n0     10   4.5\n..   ...   ...\n9    100   3.5\n\n[10 rows x 2 columns]\n"
    )
    assert "Rows are missing: pandas left them out" in said(report) and report.runs[0].steps.tolist() == [10, 100]
    wrapped = "   step  loss  \\\n0    10   4.5\n1    20   3.5\n\n    lr\n0  0.1\n1  0.1\n"
    assert fault(wrapped, "a.txt") == (
        "a.txt: this table was printed with its columns in several blocks; print it with to_csv instead."
    )
    _, report = one("a.txt", "step loss lr\n10 4.5 0.1\n20 3.5\n30 2.5 0.1\n40 2 0.1\n")
    assert "1 row of another width than the header dropped (first line 3)." in said(report)
    assert report.runs[0].steps.tolist() == [10, 30, 40]
    assert fault("train loss of step\n10 4.5\n20 3.5\n", "a.txt").endswith(
        "most rows have 2 cells between spaces, but the header names 4 columns."
    )


# ---- rows


def test_short_rows_are_dropped_where_they_are_few_and_filled_up_where_they_are_many():
    rows = [f"{s},{5 - s / 100},0.1,1\n" for s in range(10, 210, 10)]
    rows[7] = "80,0.1,1\n"  # it lacks a loss, or a rate
    run, report = one("a.csv", "step,loss,lr,x\n" + "".join(rows))
    assert 80 not in run.steps and len(run.steps) == 19
    assert "1 row has fewer cells than the header names (first line 9) and was dropped." in said(report)
    _, report = one("a.csv", "step,loss,val_loss\n10,4,4\n20,3\n30,2,2\n40,1\n")
    assert len(report.runs[0].steps) == 4
    assert "2 rows have fewer cells than the header names (first line 3); those missing were taken" in said(report)
    assert fault("step,loss,lr\n10,4\n20,3,0.1,9\n") == "x.csv: line 3 has 4 cells, but the header names 3 columns."


def test_a_cut_end_is_seen():
    _, report = one("a.csv", "step,loss,lr\n10,4,0.1\n20,3,0.1\n30,2.")
    assert report.runs[0].steps.tolist() == [10, 20]
    assert "The last line, 4, ends early and was dropped: the file was cut off." in said(report)
    _, report = one("a.csv", "step,loss\n10,4.25\n20,3.5\n30,2.")
    assert "if it was cut off, its last number, 2., may be too short." in said(report)
    assert "cut off" not in said(one("a.csv", "step,loss\n10,4.25\n20,3.50")[1])
    assert "cut off" not in said(one("a.csv", 'step,loss\n"10","4.25"\n"20","3.5"')[1])
    assert fault('step,loss\n"10","4.25"\n"20","3').endswith(
        "a quotation mark is never closed: was the file cut off, or is a cell damaged?"
    )


def test_rows_of_one_step_all_along_are_averaged():
    rows = [(s, y) for s in range(10, 70, 10) for y in (s / 10, s / 10 + 1)]
    run, report = one("a.csv", "step,loss\n" + "".join(f"{s},{y}\n" for s, y in rows))
    assert run.steps.tolist() == [10, 20, 30, 40, 50, 60] and run.loss.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert "6 steps stood 2 times; the mean of each was taken." in said(report)
    rows = rows[:-1]
    assert "6 steps stood 2 times (1 times the last one)" in said(
        one("a.csv", "step,loss\n" + "".join(f"{s},{y}\n" for s, y in rows))[1]
    )


def test_line_ends_of_old_macs_are_read():
    assert values(b"step,loss\r10,4.5\r20,3.5\r") == ([10, 20], [4.5, 3.5])


# ---- which column


def test_the_loss_that_spans_the_run_is_taken_and_the_other_offered():
    rows = [f"{s},{9 - s},\n" for s in range(4)] + [f"{s},,{5 - s / 100}\n" for s in range(100, 500, 100)]
    data = "step,loss,train/loss\n" + "".join(rows)
    assert values(data) == ([100, 200, 300, 400], [4, 3, 2, 1])
    assert questions(data) == ["loss=train/loss, loss=loss"]
    report = read_source(Source("a.csv", data.encode()), answers={"loss": "loss"})
    assert report.runs[0].loss.tolist() == [9, 8, 7, 6]
    assert questions("step,loss,train_loss\n1,4,4\n2,3,3\n") == []  # the same twice
    _, report = one("a.csv", "step,loss,ce_loss\n1,4,3\n2,3,2\n")
    assert report.questions == () and "taken from 'ce_loss', not from loss" in said(report)


def test_a_rate_is_asked_for_where_several_differ():
    data = "step,loss,lr-AdamW/pg1,lr-AdamW/pg2\n1,4,0.1,0.2\n2,3,0.1,0.2\n"
    assert questions(data) == ["lr=lr-adamw/pg1, lr=lr-adamw/pg2"]
    report = read_source(Source("a.csv", data.encode()), answers={"lr": "lr-adamw/pg2"})
    assert report.runs[0].plan.schedule(1) == 0.2
    assert questions(data.replace("0.2", "0.1")) == []
    settings = (
        "step,loss,lr_decay_iters,lr_mult,lrm,lr-AdamW-momentum,lr\n1,4,9,0.5,0.5,0.9,1e-3\n2,3,9,0.5,0.5,0.9,1e-3\n"
    )
    assert one("a.csv", settings)[1].layout.lr == "lr" and questions(settings) == []


def test_a_rate_that_is_none_is_doubted():
    _, report = one("a.csv", "step,loss,lr\n1,4,1000\n2,3,1000\n")
    assert "The learning rate peaks at 1e3, far above any that is used; is 'lr' a rate?" in said(report)


def test_epochs_are_asked_for():
    data = "epoch,loss,val_loss,lr\n0,4,4.5,0.1\n1,3,3.5,0.1\n"
    assert questions(data) == ["x=epochs:NUMBER"]
    report = read_source(Source("a.csv", data.encode()), answers={"x": "epochs:100"})
    assert report.runs[0].steps.tolist() == [0, 100]
    assert one("a.csv", "epoch,step,loss\n0,10,4\n1,20,3\n")[0].steps.tolist() == [10, 20]


def test_units_in_names_count():
    assert values("step,loss (nats)\n1,4\n2,3\n") == ([1, 2], [4, 3])
    run, report = one("a.csv", "step,loss (bits)\n1,4\n2,3\n")
    assert report.layout.loss_unit == "bits" and run.loss.tolist() == [4 * math.log(2), 3 * math.log(2)]
    assert one("a.csv", "step,loss,lr (x1e-3)\n1,4,0.3\n2,3,0.3\n")[0].lr_source == "missing"
    assert "'log10(loss)' was taken for the training loss" in said(one("a.csv", "step,log10(loss)\n1,4\n2,3\n")[1])


def test_what_is_no_training_loss_is_named():
    _, report = one("a.csv", "step,objective,val_loss\n1,4,4.5\n2,3,3.5\n")
    assert "No column is known as the training loss; columns left out: objective." in said(report)


def test_one_run_a_column():
    report = read_source(Source("a.csv", b"step,lr=1e-3,lr=3e-4\n10,4.5,5.5\n20,3.5,\n30,2.5,3.5\n"))
    assert [(r.name, r.steps.tolist(), r.loss.tolist()) for r in report.runs] == [
        ("lr=1e-3", [10, 20, 30], [4.5, 3.5, 2.5]),
        ("lr=3e-4", [10, 30], [5.5, 3.5]),
    ]
    assert "Each of 2 columns was taken for the training loss of a run of its name." in said(report)


def test_runs_of_a_chart_that_share_their_name_are_both_kept():
    data = (
        '"Step","base - loss","base - lr","base - loss","base - lr"\n"1","4","0.1","5","0.2"\n"2","3","0.1","4","0.2"\n'
    )
    report = read_source(Source("c.csv", data.encode()))
    assert [(r.name, r.loss.tolist(), r.plan.schedule(1)) for r in report.runs] == [
        ("base", [4, 3], 0.1),
        ("base (2)", [5, 4], 0.2),
    ]
    assert "2 runs of the chart are called 'base'; this is number 1." in said(report)


def test_the_steps_of_the_run_are_preferred_to_calls_of_the_logger():
    data = '"Step","a - train/global_step","a - loss"\n"0","100","4"\n"1","200","3"\n'
    assert values(data) == ([100, 200], [4, 3])
    assert values("_step,iter,loss\n0,100,4\n1,200,3\n") == ([100, 200], [4, 3])
    assert questions(",_step,loss\n0,10,4\n1,20,3\n") == ["x=updates, x=log-calls:NUMBER"]


def test_a_mean_of_the_epoch_counts_where_there_is_no_other():
    steps = "epoch,step,train_loss_epoch,train_loss_step,val_loss\n0,9,,4,\n0,19,,3,\n0,19,3.5,,3.25\n"
    assert values(steps) == ([9, 19], [4, 3]) and questions(steps) == []
    assert values("epoch,step,train_loss_epoch,val_loss\n0,9,4,5\n1,19,3,4\n") == ([9, 19], [4, 3])


def test_calls_of_the_logger_beside_epochs_are_asked_for():
    data = '"epoch","a - _step","a - train/loss"\n' + "".join(f'"{i / 25}","{i}","{9 - i}"\n' for i in range(5))
    report = read_source(Source("c.csv", data.encode()))
    assert report.runs == () and [q.options for q in report.questions] == ["x=log-calls:NUMBER, x=updates"]
    report = read_source(Source("c.csv", data.encode()), answers={"x": "log-calls:50"})
    assert report.runs[0].steps.tolist() == [0, 50, 100, 150, 200]


def test_a_layout_has_what_commas_are():
    with pytest.raises(LogError, match="commas must be one of None, decimal, thousands, got 'x'"):
        Layout(commas="x")
