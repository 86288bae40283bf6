"""Console lines that were misread once: rates, lines that lost their end, evaluations named behind, brackets, bits."""

import pytest

from optlaws_core.readers import Source, read_source
from tests.knowledge.logs import said
from tests.support.console_logs import lines, points, rates, run_of

TENS = (10, 20, 30, 40)
ROUGH = "with 4 decimals, too few to use it"


# ---- rates


def test_rates_with_all_their_digits_are_kept_whatever_their_names():
    text = "".join(f"step={s} train/loss={5 - s / 100} train/lr={1.234e-5 * s:.4g}\n" for s in TENS)
    run, report = run_of(text)
    assert rates(run, TENS) == pytest.approx([1.234e-5 * s for s in TENS]) and ROUGH not in said(report)


def composer(rate: str) -> str:
    head = "[batch={s}/100]:\n Train loss/train/total: {y:.4f}\n Train lr-DecoupledAdamW/group0: "
    return "".join(head.format(s=s, y=5 - s / 100) + rate.format(1.234e-5 * s) + "\n" for s in TENS)


@pytest.mark.parametrize(("rate", "digits"), [("{:.8f}", 8), ("{:.6e}", 10), ("{:.6f}", 6)])
def test_rates_of_composer_with_enough_digits_are_kept(rate, digits):
    run, report = run_of(composer(rate))
    expected = [round(1.234e-5 * s, digits) for s in TENS]
    assert rates(run, TENS) == pytest.approx(expected) and ROUGH not in said(report)


def test_rates_of_composer_and_olmo_with_4_decimals_are_not_used():
    assert ROUGH in said(run_of(composer("{:.4f}"))[1])
    head = "[step={s}/100]\n    train/CrossEntropyLoss={y:.4f}\n    optim/learning_rate_group0="
    for printed in (["0.0001", "0.0002", "0.0002", "0.0003"], ["0.0", "9.39e-05", "0.0002", "0.0003"]):
        text = "".join(head.format(s=s, y=5 - s / 100) + r + "\n" for s, r in zip(TENS, printed, strict=True))
        assert ROUGH in said(run_of(text)[1])
    whole = "".join(head.format(s=s, y=5 - s / 100) + "1e-3\n" for s in TENS)
    assert rates(run_of(whole)[0], TENS) == [1e-3] * 4


def test_one_of_several_rates_in_a_line_is_asked_for():
    text = "".join(f"step {s} loss {5 - s / 100} lr_muon 2e-2 lr_adam {1e-5 * s:.3e}\n" for s in TENS)
    run, report = run_of(text)
    (question,) = report.questions
    assert question.text == "Which number is the learning rate: lr_muon, lr_adam?"
    assert question.typed == ("lr=lr_muon", "lr=lr_adam") and rates(run, TENS) == [2e-2] * 4
    run, report = run_of(text, {"lr": "lr_adam"})
    assert rates(run, TENS) == pytest.approx([1e-5 * s for s in TENS]) and not report.questions


def test_a_rate_called_lr_stands_beside_one_called_learning_rate():
    text = "".join(f"step {s} loss {5 - s / 100} learning rate 2e-2 lr 1e-3\n" for s in TENS)
    assert rates(run_of(text)[0], TENS) == [2e-2] * 4
    assert rates(run_of(text, {"lr": "lr"})[0], TENS) == [1e-3] * 4


def test_rates_that_are_the_same_are_no_question():
    text = "".join(f"step {s} loss {5 - s / 100} lr_0 2e-2 lr_1 2e-2\n" for s in TENS)
    run, report = run_of(text)
    assert not report.questions and rates(run, TENS) == [2e-2] * 4


# ---- lines that lost their end


@pytest.mark.parametrize("between", ["", "[rank0] ", " | "])
def test_two_records_in_a_line_are_both_read(between):
    text = f"step 10 loss 5.0 lr 1e-4{between}step 20 loss 4.0 lr 2e-4\nstep 30 loss 3.5 lr 3e-4\n"
    run, report = run_of(text)
    assert points(run) == [(10, 5.0), (20, 4.0), (30, 3.5)]
    assert rates(run, [10, 20, 30]) == pytest.approx([1e-4, 2e-4, 3e-4])
    assert "1 line with a second step and its loss, as where the end of a line was lost, read as two" in said(report)


@pytest.mark.parametrize("counter", ["train step", "global_step", "Iteration", "it", "update"])
def test_two_records_in_a_line_are_read_whatever_counts(counter):
    text = f"{counter} 10 loss 5.0 lr 1e-4{counter} 20 loss 4.0 lr 2e-4\n{counter} 30 loss 3.5 lr 3e-4\n"
    run, _ = run_of(text)
    assert points(run) == [(10, 5.0), (20, 4.0), (30, 3.5)]
    assert rates(run, [10, 20, 30]) == pytest.approx([1e-4, 2e-4, 3e-4])


def test_a_text_without_any_ends_of_lines_is_read():
    run, report = run_of("".join(f"step {s} loss {5 - s / 100:.2f} lr 1e-4" for s in (*TENS, 50)) + "\n")
    assert points(run) == [(s, 5 - s / 100) for s in (*TENS, 50)] and "4 lines with a second step" in said(report)


def test_many_lines_with_two_records_are_read():
    text = "".join(
        f"step {s} loss {5 - s / 1000:.3f} lr 1e-4step {s + 10} loss 3.0 lr 1e-4\n" for s in range(0, 400, 20)
    )
    assert len(points(run_of(text)[0])) == 40


def test_two_records_in_a_last_line_without_an_end_are_read():
    run, _ = run_of("step 10 loss 5.00 lr 1e-4\nstep 20 loss 4.00 lr 2e-4step 30 loss 3.50 lr 3e-4")
    assert points(run) == [(10, 5.0), (20, 4.0), (30, 3.5)]


def test_records_of_a_known_program_in_a_line_are_both_read():
    one = "iter {}: loss {:.4f}, time 100.00ms, mfu 10.00%"
    run, _ = run_of(one.format(10, 5) + one.format(20, 4) + "\n" + one.format(30, 3.5) + "\n")
    assert points(run) == [(10, 5.0), (20, 4.0), (30, 3.5)]


@pytest.mark.parametrize(
    "behind", ["best step 5 best loss 4.9", "val loss 5.5", "iter 1.5 s mean loss 5", "step_loss 5"]
)
def test_a_second_loss_or_step_makes_no_second_record(behind):
    text = lines("step {s} loss {y:.3f} | " + behind, TENS)
    run, report = run_of(text)
    assert points(run) == [(s, 3 - s / 1000) for s in TENS] and "second step" not in said(report)


# ---- evaluations named behind their loss


@pytest.mark.parametrize(
    ("behind", "split"),
    [
        ("(validation)", "val"),
        ("[val]", "val"),
        ("(eval)", "eval"),
        ("| test", "test"),
        ("validation", "val"),
        ("on the validation set", "val"),
        ("split=val", "val"),
        ("split: 'eval'", "eval"),
        ("lr 1e-3 (val)", "val"),
    ],
)
def test_a_loss_is_of_the_evaluation_that_is_named_behind_it(behind, split):
    text = "".join(f"step {s} loss {5 - s / 100} lr 1e-3\n" for s in TENS)
    text = text.replace("step 30", f"step 20 loss 4.9 {behind}\nstep 30") + f"step 40 loss 4.8 {behind}\n"
    run, report = run_of(text)
    assert points(run) == [(s, 5 - s / 100) for s in TENS] and points(run, split) == [(20, 4.9), (40, 4.8)]
    assert "train: " not in said(report)


@pytest.mark.parametrize(
    "behind",
    ["val_every 10", "next val in 5", "| next eval in 10", "val 5.5", "(train)", "(train, val next)", "running val"],
)
def test_words_of_an_evaluation_that_are_no_name_change_nothing(behind):
    run, _ = run_of(lines("step {s} loss {y:.3f} " + behind, TENS))
    assert points(run) == [(s, 3 - s / 1000) for s in TENS]


def test_two_losses_in_a_line_have_their_own_names_behind():
    run, _ = run_of(lines("step {s} loss {y:.3f} (train), loss 3.5 (val)", TENS))
    assert points(run) == [(s, 3 - s / 1000) for s in TENS] and points(run, "val") == [(s, 3.5) for s in TENS]


# ---- brackets


def test_a_counter_in_brackets_and_a_loss_that_is_called_train_are_read():
    run, _ = run_of(
        "[     10] train=5.00 lr=1e-3\n[     20] train=4.00 lr=1e-3\n[     30] train=3.50 val=3.75 lr=1e-3\n"
    )
    assert points(run) == [(10, 5.0), (20, 4.0), (30, 3.5)] and points(run, "val") == [(30, 3.75)]
    assert rates(run, [10, 30]) == [1e-3, 1e-3]


@pytest.mark.parametrize(
    "opens", ["[0.{s}0s][info][gc] GC({s}) Pause Young 20M->3M(100M) 1.5ms", "[{s}] a word", "[info] {s}"]
)
def test_brackets_of_a_program_are_not_called_json(opens):
    error = fault_of(lines(opens, TENS))
    assert error.startswith("a.log: ") and "JSON" not in error


@pytest.mark.parametrize(
    "text", ['[{"step": 1, "loss": 2.5}, {"step"', "[[1, 2.5], [2, 2.", "[1, 2.5, 3", "[\n  1.5,\n"]
)
def test_json_that_breaks_off_is_still_called_so(text):
    assert "JSON" in fault_of(text)


# ---- refusals


def fault_of(text: str, name: str = "a.log") -> str:
    error = read_source(Source(name, text.encode())).error
    assert error is not None
    return error


@pytest.mark.parametrize("name", ["a.log", "a.out", "a.txt", "a.csv"])
@pytest.mark.parametrize(
    "line", ["it {s} xent {y} lr 1e-3", "it={s}, xent={y}, lr=1e-3", "it: {s} | xent: {y} | lr: 1e-3"]
)
def test_a_text_of_names_and_numbers_is_refused_by_these(line, name):
    error = fault_of(lines(line, TENS), name)
    assert error.startswith(f"{name}: its lines have the numbers it, xent, lr; none is known as a loss")


def test_tables_are_refused_by_their_columns():
    assert "columns found: step, acc" in fault_of("step,acc\n1,2\n2,3\n", "a.csv")
    assert "columns found: step, text" in fault_of('{"step": 0, "text": "a"}\n{"step": 1}\n', "a.jsonl")


# ---- bits per byte


def test_evaluations_of_nanochat_in_bits_per_byte_are_left_out_and_told():
    one = "step {s:05d}/00100 ({s:.2f}%) | loss: {y:.6f} | lrm: 1.00 | dt: 20.00ms | tok/sec: 1,000 | mfu: 40.00"
    text = lines(one, TENS).replace("step 00030", "Step 00020 | Validation bpb: 1.2500\nstep 00030")
    run, report = run_of(text + "Step 00040 | Validation bpb: 1.2000\n")
    assert points(run) == [(s, 3 - s / 1000) for s in TENS] and list(run.series) == ["train"]
    assert "2 evaluations in bits per byte left out: they are not comparable with losses per token" in said(report)


def test_a_text_of_bits_per_byte_alone_has_no_loss():
    text = "".join(f"Step {s:05d} | Validation bpb: 1.25\n" for s in TENS)
    assert "no line of this console log has a loss" in fault_of(text)
