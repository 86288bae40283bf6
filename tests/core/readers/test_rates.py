"""Readers: the learning rate has one known origin, and what cannot be a rate is refused."""

import numpy as np
import pytest

from optlaws_core.readers.thinning import thin
from optlaws_core.schedules import WSD, Constant, Cosine, Knots, Linear
from tests.knowledge.logs import LOSS, LR, STEPS, csv_of, falling, one, said, with_manifest


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
        ([1e-31, 1e-300, 0, 0], "A peak must be at least 1e-30, but the log's is 1e-31"),
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
