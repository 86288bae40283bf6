"""Readers: the learning rate has one known origin, and what cannot be a rate is refused."""

import numpy as np
import pytest

from optlaws_core.readers import thinning
from optlaws_core.readers.rates import asks
from optlaws_core.readers.thinning import thin
from optlaws_core.schedules import WSD, Constant, Cosine, Knots, Linear, parse
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
    log = csv_of(steps, falling(200), [f"{x:.{digits}f}" for x in declared(steps)])
    run, report = with_manifest(log, declared.text)
    assert run.plan.schedule == declared and "too coarse for its curve." in said(report)
    run, report = one("a.csv", log)
    assert f"printed in steps of {quantum}" in said(report)
    if digits == 4:  # eight levels in all
        assert run.lr_source == "missing"
        assert "too coarse to be used; declare the schedule of this run." in said(report)
    else:
        assert run.lr_source == "logged" and run.plan.schedule == declared
        assert "the schedule is known to half of one" in said(report)
        assert not any(asks(note) for note in report.notes)


def test_six_digits_are_enough():
    rates = Linear(peak=8e-4, warmup=0, total=4000)(np.arange(4000))
    run, report = one("a.csv", csv_of(range(4000), falling(4000), [f"{x:.6f}" for x in rates]))
    text = "linear(peak=8e-4, warmup=0, total=4000)"
    assert said(report) == f"Recognised from 4,000 logged rates: {text}, largest difference 4e-07."
    assert run.plan.schedule.text == text


EXACT = [round(1e-5 * i, 5) for i in range(100)] + [1e-3] * 20  # a warm-up logged at every step


@pytest.mark.parametrize("lr", [[3e-4] * 60 + [9e-5] * 60, [1e-3] * 120, [3e-4] * 60 + [3e-5] * 60, EXACT])
def test_a_staircase_is_not_taken_for_rounding(lr):
    run, report = one("a.csv", csv_of(range(120), falling(120), lr))
    assert [n.text.split(":")[0] for n in report.notes] == ["Recognised from 120 logged rates"]
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


def test_rates_that_jump_up_and_down_are_not_looked_at_once_for_every_knot(monkeypatch):
    t, looked, worst = np.arange(5_000), [], thinning._worst
    rates = 3e-4 * (1 + t % 2 / 10)
    monkeypatch.setattr(thinning, "_worst", lambda of, a, b, **how: looked.append(b - a) or worst(of, a, b, **how))
    kept, off = thin(t, rates, 3e-8, 1_000)
    assert len(kept) == 1_000 and sum(looked) < 3 * thinning.PATIENCE * len(t)
    assert off == pytest.approx(np.abs(np.interp(t, t[kept], rates[kept]) - rates).max())


@pytest.mark.parametrize("cycle", (lambda u: 1 - u % 1, lambda u: 2 * np.abs(u % 1 - 0.5)), ids=("saw", "triangle"))
def test_a_curve_of_many_straight_lines_is_met_in_every_kink(cycle):
    """Kinks of equal height are found one after the other, from an end, until patience is over."""
    t, cycles = np.arange(40_000), 400
    rates = 3e-4 * cycle(t * cycles / len(t))
    kept, off = thin(t, rates, 3e-13, 2_000)
    assert off < 1e-15 and len(kept) <= 2 * cycles + 1


@pytest.mark.parametrize("jagged", [False, True])
def test_points_looked_at_one_by_one_or_together_give_the_same_knots(monkeypatch, jagged):
    t, chance = np.arange(3_000), np.random.default_rng(1)
    rates = chance.random(3_000) if jagged else 3e-4 * np.cos(t / 2e3) + 1e-6 * chance.random(3_000)
    found = []
    for short in (0, 24, 3_000):
        monkeypatch.setattr(thinning, "SHORT", short)
        kept, off = thin(t, rates, 1e-9, 1_000)
        found.append((kept.tolist(), off))
    assert found[0] == found[1] == found[2]


def test_a_knot_on_the_line_between_its_neighbours_is_none():
    run, _ = one("a.csv", csv_of(range(3), [3, 2, 1], [0.5e-3, 1.7e-3, 1.7e-3]))
    assert run.plan.schedule.steps == (0, 1, 3)


def test_noise_is_thinned_to_the_most_knots_and_told():
    lr = np.random.default_rng(0).uniform(1e-4, 1e-3, 5000).tolist()
    run, report = one("a.csv", csv_of(range(5000), falling(5000), lr))
    assert len(run.plan.schedule.steps) == 2001  # 2,000, and the end
    assert "thinned to 2,000 knots, which deviate by at most" in said(report)


@pytest.mark.parametrize(
    "text, first, ends",
    [
        ("cosine(peak=3e-4, warmup=2160, total=24000, final=3e-5)", 2160, 24_000),
        ("linear(peak=1e-3, warmup=100, total=8000)", 0, 8000),
        ("wsd(peak=1e-3, warmup=100, total=8000, decay=1600, shape=1-sqrt)", 0, 8000),
        ("step(peak=3e-4, warmup=200, total=7937, boundaries=[4000], values=[9e-5])", 0, 7937),
    ],
)
def test_a_family_that_agrees_with_every_rate_becomes_the_plan(text, first, ends):
    schedule = parse(text)
    steps = np.arange(first, ends, 32)
    run, report = one("a.csv", csv_of(steps.tolist(), falling(len(steps)), schedule(steps).tolist()))
    assert run.plan.schedule == schedule and run.lr_source == "logged"
    assert report.recognised["a"].schedule == schedule
    assert f"Recognised from {len(steps):,} logged rates: {text}, largest difference" in said(report)


def stopped(schedule, at: int, total: int, every: int = 10):
    """A run that was to have `total` updates, and whose log ends at step `at`."""
    steps = list(range(every, at + 1, every))
    return with_manifest(csv_of(steps, falling(len(steps)), schedule(steps).tolist()), str(total), head="total_steps")


def test_a_run_that_was_stopped_goes_on_as_its_family_does():
    run, report = stopped(Linear(peak=3e-4, warmup=0, total=5000), 1000, 5000)
    assert run.plan.schedule == Linear(peak=3e-4, warmup=0, total=5000)
    assert "The schedule's end at step 5,000, the total that the log names, lies beyond the log." in said(report)


def test_a_family_that_contradicts_the_total_does_not_go_on():
    schedule = Cosine(peak=3e-4, warmup=0, total=4000)
    run, report = stopped(schedule, 1000, 5000)
    assert run.plan.schedule.total == 1001 and isinstance(run.plan.schedule, Knots)
    assert "The log ends at step 1,000 of 5,000, and nothing tells the rates after it" in said(report)
    assert asks(report.notes[-1]) and not report.recognised


@pytest.mark.parametrize(
    "schedule", [Constant(peak=1e-4, total=9), Knots(steps=(0, 400, 900), values=(1e-3, 2e-3, 1e-5))]
)
def test_nothing_is_filled_with_the_last_rate_in_silence(schedule):
    run, report = stopped(schedule, 800, 252_780)
    assert run.plan.schedule.total == 801 and run.last_step == 800
    assert "The log ends at step 800 of 252,780, and" in said(report)
    assert "so the schedule ends with the log; declare the schedule of this run." in said(report)
    assert sum(asks(note) for note in report.notes) == 1


def test_the_shift_of_a_log_is_told():
    schedule = Cosine(peak=6e-4, warmup=70, total=1900)
    t = np.arange(0, 1900, 10)
    late = schedule(np.maximum(t, 70)).tolist()
    rates = [6e-4 * (s + 1) / 70 if s < 70 else r for s, r in zip(t, late, strict=True)]
    run, report = one("a.csv", csv_of(t.tolist(), falling(len(t)), rates))
    assert run.plan.schedule == schedule and "the log being one step ahead in the warm-up." in said(report)
    ahead = schedule(t + 1).tolist()
    assert "the log being one step ahead." in said(one("a.csv", csv_of(t.tolist(), falling(len(t)), ahead))[1])


def test_a_line_without_a_known_total_ends_with_its_log():
    steps = list(range(0, 700, 10))
    rates = [float(f"{r:.4g}") for r in Linear(peak=6e-4, warmup=50, total=1000, final=1.1e-4)(steps)]
    run, report = one("a.csv", csv_of(steps, falling(70), rates))
    assert run.plan.schedule.total <= 700 and "nothing tells whether it was to go on." in said(report)


def test_straight_lines_are_told_where_no_family_agrees():
    text = "No family of schedules agrees with all that the log tells of its learning rate"
    bent = (1e-3 * (1 - np.linspace(0, 0.9, 40) ** 1.3 + 0.1 * np.sin(np.arange(40)))).tolist()
    run, report = one("a.csv", csv_of(range(0, 400, 10), falling(40), bent))
    assert isinstance(run.plan.schedule, Knots)
    assert f"{text}; straight lines between the logged rates are used." in said(report)
    few = one("a.csv", csv_of(range(0, 50, 10), falling(5), bent[:5]))[1]  # too few for any family
    flat = one("a.csv", csv_of(range(0, 400, 10), falling(40), [1e-3] * 40))[1]
    assert text not in said(few) + said(flat)


def test_a_hole_in_the_log_is_told_and_no_schedule_is_made_up_in_it():
    steps = [*range(0, 600), *range(19_000, 19_100)]
    rates = [f"{1e-6 * (s + 1):.6f}" if s < 600 else f"{1e-6 * (19_100 - s):.6f}" for s in steps]
    run, report = one("a.csv", csv_of(steps, falling(700), rates))
    assert "No learning rate is logged between steps 599 and 19,000, where a straight line was taken" in said(report)
    assert isinstance(run.plan.schedule, Knots)
