"""Console logs that do not say which update a line is of: what is asked, and what each answer makes of it."""

import pytest

from tests.knowledge.logs import said
from tests.support.console_logs import SOURCE, TENS, TRAIN, close, lines, points, rates, report_of, run_of

# ---- what has no step


def dicts(quote: str = "", bars: bool = True) -> str:
    """What a Hugging Face Trainer prints, with its progress bars."""
    row = "{{'loss': {q}{y:.3f}{q}, 'grad_norm': {q}1.5{q}, 'learning_rate': {q}{lr:.4g}{q}, 'epoch': {q}{e:.2f}{q}}}\n"
    bar = "\r {s}%|█▎  | {s}/100 [00:10<01:30,  1.1it/s]"
    shown = [
        (
            bar.format(s=s) * bars
            + "\r"
            + row.format(q=quote, y=3 - s / 1000, lr=1e-6 * s, e=s / 40)
            + bar.format(s=s) * bars
        )
        for s in TENS
    ]
    evaluated = "\r  0%|    | 0/16 [00:00<?, ?it/s]\x1b[A\r 50%|██  | 8/16 [00:00<00:01, 2it/s]" * bars
    end = f"\n{evaluated}\r{{'eval_loss': {quote}2.5{quote}, 'eval_runtime': 1.2, 'epoch': {quote}1.0{quote}}}\n"
    return "".join(shown) + end + "{'train_runtime': 12.3, 'train_loss': 2.75, 'epoch': 1.0}\n"


@pytest.mark.parametrize("quote", ("", "'"))
def test_dicts_between_progress_bars_take_their_steps_from_the_bars_and_ask(quote):
    run, report = run_of(dicts(quote))
    assert close(points(run), TRAIN) and points(run, "eval") == [(40, 2.5)]
    assert rates(run, TENS) == pytest.approx([1e-6 * s for s in TENS])
    (question,) = report.questions
    assert "10 updates apart, from 10 to 40 of 100" in question.text
    assert [a.key for a in question.answers] == ["bars", "log-calls", "epochs"]
    assert run.open_questions == (question.text,)
    settled, report = run_of(dicts(quote), {"steps": "bars"})
    assert points(settled) == points(run) and report.questions == () and settled.open_questions == ()
    assert points(run_of(dicts(quote), {"steps": "log-calls:20"})[0])[-1][0] == 80
    assert points(run_of(dicts(quote), {"steps": "epochs"})[0])[-1][0] == 40


def test_dicts_without_bars_are_not_read_before_their_steps_are_said():
    text = dicts(bars=False)
    report = report_of(text)
    assert report.runs == () and report.error.endswith("how many updates do they stand for?")
    assert report.questions[0].options == "steps=log-calls:NUMBER, steps=epochs:NUMBER"
    run, _ = run_of(text, {"steps": "log-calls:10"})
    assert close(points(run), TRAIN) and points(run, "eval") == [(40, 2.5)]
    run, _ = run_of(text, {"steps": "epochs:400"})
    assert [s for s, _ in points(run)] == [100, 200, 300, 400]


@pytest.mark.parametrize("bar", ("[==============================] - 5s 2ms/step", "━━━━━━━━━━ 5s 2ms/step", "- 5s"))
def test_epochs_are_asked_about_and_never_steps(bar):
    early = "\r 5/1875 [>.....] - ETA: 5s - loss: 9.5" if bar[0] == "[" else ""
    rows = [
        f"Epoch {e}/5\n{early}\r1875/1875 {bar} - loss: {3 - e / 10:.4f} - val_loss: {4 - e / 10:.4f}\n"
        for e in (1, 2, 3)
    ]
    run, report = run_of("".join(rows))
    assert close(points(run), [(1875, 2.9), (3750, 2.8), (5625, 2.7)])
    assert close(points(run, "val"), [(1875, 3.9), (3750, 3.8), (5625, 3.7)])
    assert report.questions[0].options == "steps=epochs:NUMBER, steps=log-calls:NUMBER"


def test_a_line_with_nothing_but_a_loss_is_asked_about():
    report = report_of("loss: 3.5\nloss: 3.25\nloss: 3.0\n")
    assert report.runs == () and "no step: how many updates" in report.error
    assert points(run_of("loss: 3.5\nloss: 3.25\n", {"steps": "log-calls:5"})[0]) == [(5, 3.5), (10, 3.25)]


# ---- counters that begin anew


IN_EPOCH = {
    "PyTorch": "Epoch [{e}/5], Step [{s}/40], Loss: {y:.4f}",
    "Lightning": "Epoch {e}:  10%|█   | {s}/40 [00:10<01:30,  9.9it/s, v_num=0, train_loss={y:.3f}]",
    "mmengine": "mmengine - INFO - Epoch(train)  [{e}][{s:4d}/40]  lr: 2.0000e-04  eta: 1:23:45  loss: {y:.4f}",
    "torchvision": "Epoch: [{e}]  [{s:4d}/40]  eta: 0:10:00  lr: 0.1  img/s: 100  loss: {y:.4f} (9.9)  acc1: 1.2 (1.3)",
    "Composer": "[epoch={e}][batch={s}/40]:\n\t Train metrics/train/LanguageCrossEntropy: {y:.4f}",
    "timm": "Train: {e} [{s:4d}/40 ( 10%)]  Loss: {y:.3f} (9.9)  Time: 0.9s  LR: 1.0e-05",
}


@pytest.mark.parametrize("kind", IN_EPOCH)
def test_a_counter_within_an_epoch_of_known_length_counts_on(kind):
    losses = [(e, s, 3 - (40 * e + s) / 1000) for e in (1, 2) for s in TENS]
    run, report = run_of("".join(IN_EPOCH[kind].format(e=e, s=s, y=y) + "\n" for e, s, y in losses))
    assert close(points(run), [(40 * (e - 1) + s, y) for e, s, y in losses])
    assert "within an epoch of 40" in said(report)


def test_two_runs_in_one_file_are_two_runs():
    text = lines("step:{s}/40 train_loss:{y:.4f} train_time:9ms", TENS, 11, 0.2)
    report = report_of(SOURCE + text + SOURCE + text.replace("train_loss:", "train_loss:1"))
    first, second = report.runs
    assert close(points(first), [(s, 11 - 0.2 * s) for s in TENS])
    assert close(points(second), [(s, float(f"1{11 - 0.2 * s:.4f}")) for s in TENS])
    assert [run.name for run in report.runs] == ["a", "a (2)"]


def test_a_run_that_was_repeated_from_the_start_is_a_run_of_its_own():
    text = lines("step {s} | loss {y:.3f}", TENS, 11, 0.2)
    report = report_of(text + text.replace("loss ", "loss 0"))
    assert len(report.runs) == 1 and "repeat an earlier one" in said(report)
    report = report_of(text + lines("step {s} | loss {y:.3f}", TENS, 11, 0.21))
    assert len(report.runs) == 2 and "read as 2 runs" in said(report)


def test_a_counter_that_is_back_while_the_loss_goes_on_is_asked_about():
    text = lines("step {s} | loss {y:.3f}", TENS) + lines("step {s} | loss {y:.3f}", TENS, 2.95)
    run, report = run_of(text)
    assert [s for s, _ in points(run)] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert report.questions[0].options == "restart=continued, restart=over, restart=separate"
    assert len(report_of(text, {"restart": "separate"}).runs) == 2
    assert close(points(run_of(text, {"restart": "over"})[0]), [(s, 2.95 - s / 1000) for s in TENS])


def test_a_resumed_run_keeps_its_later_lines():
    text = lines("step {s} | loss {y:.3f}", range(10, 110, 10)) + lines(
        "step {s} | loss {y:.3f}", range(80, 200, 10), 2.5
    )
    run, report = run_of(text)
    assert close(points(run)[6:9], [(70, 2.93), (80, 2.42), (90, 2.41)]) and report.questions == ()
    assert "resumed at step 80" in said(report)
