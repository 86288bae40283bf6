"""What a column of steps counts: row numbers, counters that begin anew, micro-batches; asked, and read as answered."""

import numpy as np
import pytest

from optlaws_core.errors import LogError
from optlaws_core.readers import Layout, Source, read_all, read_source
from tests.knowledge.logs import one

LOSS = [3 + 2 / (1 + i) for i in range(100)]
RATES = [min(1, (i + 1) / 10) * 1e-3 for i in range(100)]


def log(steps, losses=LOSS, rates=None, name="step"):
    rows = [
        f"{s},{y:.6f}" + ("" if rates is None else f",{rates[i]!r}")
        for i, (s, y) in enumerate(zip(steps, losses, strict=True))
    ]
    return "\n".join([f"{name},loss" + ("" if rates is None else ",lr"), *rows]) + "\n"


def under(text: str, **answers: str):
    report = read_source(Source("a.csv", text.encode()), answers=answers)
    assert report.error is None and report.questions == ()
    return report.runs


def test_rows_are_updates_until_told_otherwise():
    text = "loss\n" + "".join(f"{y}\n" for y in LOSS)
    run, report = one("a.csv", text)
    assert run.steps.tolist() == list(range(100)) and [q.key for q in report.questions] == ["x"]
    assert run.open_questions == ("No column counts steps: is each row one update?",)
    (run,) = under(text, x="updates")
    assert run.open_questions == () and run.last_step == 99
    (run,) = under(text, x="log-calls:50")
    assert run.steps.tolist() == list(range(0, 5000, 50))


TWICE = [*range(10, 510, 10), *range(10, 510, 10)]


def test_a_counter_that_begins_anew_while_the_loss_goes_on_counts_on():
    run, report = one("a.csv", log(TWICE))
    assert run.steps.tolist() == list(range(10, 1010, 10)) and len(run.loss) == 100
    (question,) = report.questions
    assert question.text == (
        "The counter 'step' falls from 500 back to 10, where the loss is 3.039, near the last loss before: did "
        "training continue?"
    )
    assert question.typed == ("restart=continued", "restart=over", "restart=separate")
    (run,) = under(log(TWICE), restart="over")
    assert run.steps.tolist() == TWICE[:50] and run.loss[0] == pytest.approx(LOSS[50], abs=1e-6)
    one_, two = under(log(TWICE), restart="separate")
    assert (one_.name, two.name) == ("a", "a (2)") and one_.loss[0] == 5 and len(two.loss) == 50


def test_a_counter_that_begins_anew_with_the_loss_begins_another_training():
    again = log(TWICE, [*LOSS[:50], *[y + 0.25 for y in LOSS[:50]]])
    run, report = one("a.csv", again)
    assert run.steps.tolist() == TWICE[:50] and run.loss[0] == 5.25
    assert report.questions[0].answers[0].key == "over" and "near the first loss of the log" in report.questions[0].text
    (run,) = under(again, restart="continued")
    assert run.last_step == 1000


def test_an_ordinary_resume_and_rows_in_no_order_ask_nothing():
    assert one("a.csv", log([*range(0, 500, 10), *range(200, 700, 10)]))[1].questions == ()
    assert one("a.csv", log(list(reversed(range(0, 1000, 10)))))[1].questions == ()
    assert one("a.csv", log([*range(500, 1000, 10), *range(0, 500, 10)]))[1].questions == ()


def test_evaluations_count_on_with_the_training():
    rows = "".join(f"{s},{y},{y + 1 if s % 100 == 0 else ''}\n" for s, y in zip(TWICE, LOSS, strict=True))
    run, _ = one("a.csv", "step,loss,val_loss\n" + rows)
    assert run.series["val"].steps.tolist() == list(range(100, 1100, 100))


@pytest.mark.parametrize("first", [0, 1])
def test_a_rate_that_changes_with_every_kth_row_shows_micro_batches(first):
    rates = [2e-5 * (1 + i // 16) for i in range(96)]
    text = log(range(first, 96 + first), LOSS[:96], rates)
    run, report = one("a.csv", text)
    assert report.questions[0].text.startswith("The learning rate changes only at every 16th 'step'")
    means = np.array([float(f"{y:.6f}") for y in LOSS[:96]]).reshape(6, 16).mean(axis=1)
    np.testing.assert_allclose(run.loss, means, rtol=1e-12)
    assert run.steps.tolist() == [first + i for i in range(6)]
    np.testing.assert_allclose(run.plan.schedule(run.steps), [2e-5 * i for i in range(1, 7)], rtol=1e-9)
    (run,) = under(text, x="updates")
    assert len(run.loss) == 96
    (run,) = under(text, x="micro-batches:32")
    assert len(run.loss) == 3


def test_the_mean_of_equal_micro_batches_is_their_loss():
    rows = [(s, 0.1 * (2 - s // 3)) for s in range(6)]
    layout = Layout("step", "micro-batches", (("train", "loss"),), batch=3)
    run, _ = one("a.csv", "step,loss\n" + "".join(f"{s},{y}\n" for s, y in rows), layout)
    assert run.loss.tolist() == [0.2, 0.1]  # 0.1 + 0.1 + 0.1 is more than 0.3
    stood = "".join(f"{s},{0.1 * (9 - s)}\n" * 3 for s in range(6))
    assert one("a.csv", "step,loss\n" + stood)[0].loss.tolist() == [0.1 * (9 - s) for s in range(6)]


def test_rounded_rates_and_plateaus_are_no_micro_batches():
    line = [float(f"{8e-4 * (1 - i / 4000):.6f}") for i in range(4000)]
    assert one("a.csv", log(range(4000), [3 + 1 / (1 + i) for i in range(4000)], line))[1].questions == ()
    stairs = [1e-3] * 40 + [5e-4] * 20 + [2.5e-4] * 40
    assert one("a.csv", log(range(100), rates=stairs))[1].questions == ()
    assert one("a.csv", log(range(100), rates=RATES))[1].questions == ()


def test_epochs_on_the_x_axis_want_the_updates_of_one():
    text = log([round(0.04 * (i + 1), 2) for i in range(100)])
    report = read_source(Source("a.csv", text.encode()))
    assert report.runs == () and "is this column an epoch or a time?" in report.error
    assert report.questions[0].options == "x=epochs:NUMBER"
    (run,) = under(text, x="epochs:25")
    assert run.steps.tolist() == list(range(1, 101))


def test_answers_that_no_file_takes_are_told():
    plain = Source("a.csv", log(range(100)).encode())
    with pytest.raises(LogError, match=r"No file asks 'x'; no question is open\."):
        read_all([plain], answers={"x": "updates"})
    rows = Source("b.csv", b"loss\n3\n2\n1\n")
    with pytest.raises(LogError, match="No file asks 'restart'; what can be answered: x=updates, x=log-calls:NUMBER"):
        read_all([rows], answers={"restart": "over"})
    faults = (
        read_all([rows], answers={"x": "micro"}).errors if False else read_source(rows, answers={"x": "micro"}).error
    )
    assert "the question 'x' has the answers updates, log-calls, got 'micro'." in faults
    assert "needs updates per row, as in x=log-calls:16" in read_source(rows, answers={"x": "log-calls"}).error
    assert "takes no number, got '3'" in read_source(rows, answers={"x": "updates:3"}).error
    reading = read_all([plain, rows], answers={"b.csv:x": "log-calls:2"})
    assert [run.last_step for run in reading.runs] == [99, 4]


def chart(steps) -> str:
    rows = "".join(f'"{s}","{y:.4f}"\n' for s, y in zip(steps, LOSS, strict=True))
    return '"Step","a - train/loss"\n' + rows


def test_steps_of_wandb_may_be_calls_of_its_logger():
    run, report = one("a.csv", chart(range(100)))
    assert run.last_step == 99 and report.questions[0].text == (
        "W&B counts calls of its logger unless a program says otherwise: does 'Step' count updates?"
    )
    (run,) = under(chart(range(100)), x="log-calls:50")
    assert run.steps.tolist() == list(range(0, 5000, 50)) and run.open_questions == ()
    assert one("a.csv", chart(range(0, 1000, 10)))[1].questions == ()
    assert one("a.csv", log(range(100), name="_step"))[1].questions[0].key == "x"
    assert one("a.csv", log(range(100), name="Step"))[1].questions == ()


def test_a_step_beyond_the_integers_is_refused_without_a_warning():
    report = read_source(Source("a.csv", chart([*range(99), 9.3e18]).encode()))
    assert "steps: the largest may be 1,000,000,000,000, got 9.3e+18" in report.error
