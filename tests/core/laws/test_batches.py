"""Predictions of rates that turn often: some steps at a time, the same losses, and an end when it is asked for."""

import numpy as np
import pytest

from optlaws_core import LAWS, Plan, errors, parse
from optlaws_core.laws import evaluation
from optlaws_core.laws.evaluation import RECENT, batch, batches, in_parts, predict, predict_with_jacobian

OFTEN = parse("cyclic(peak=1e-3, warmup=100, total=100_000_000, cycles=1000)")  # 2,000 stretches
PASTED = parse("knots(steps=[0, 9, 40, 700, 900, 5000], values=[0, 1e-3, 8e-4, 9e-4, 1e-4, 2e-5])")
STEPS = np.linspace(100, OFTEN.total - 1, 60).astype(np.int64)


@pytest.fixture(autouse=True)
def nobody_asked(monkeypatch):
    RECENT.clear()
    monkeypatch.setattr(errors, "_asked", [])


def middle(law):
    return np.array([p.from_scale((p.to_scale(p.low) + p.to_scale(p.high)) / 2) for p in law.params])


def test_what_lies_before_the_steps_of_a_part_is_bounded():
    parts = in_parts(OFTEN, STEPS)
    assert np.array_equal(np.concatenate(parts), STEPS) and len(parts) > 1
    before = [np.searchsorted(OFTEN.breaks, part, side="right").sum() for part in parts]
    assert max(before) <= evaluation.AT_ONCE_OFTEN + len(OFTEN.breaks)


def test_curves_of_ordinary_schedules_are_one_part():
    steps = np.linspace(0, 4999, 400).astype(np.int64)
    assert [len(part) for part in in_parts(PASTED, steps)] == [400]
    longest_pasted = parse(f"knots(steps={list(range(0, 120_000, 1000))}, values={[1e-3] * 120})")
    assert len(in_parts(longest_pasted, np.linspace(0, 118_999, 400).astype(np.int64))) == 1


@pytest.mark.parametrize("name", ["opt_laws_curve", "multi_power", "convex_bound"])
def test_parts_say_what_the_whole_says(name, monkeypatch):
    law, schedule = LAWS[name], parse("cyclic(peak=1e-3, warmup=100, total=1_000_000, cycles=60)")
    plan, steps = Plan(schedule), np.linspace(200, 999_999, 40).astype(np.int64)
    whole, slopes = predict_with_jacobian(batch(law, [(plan, steps)]), middle(law))
    monkeypatch.setattr(evaluation, "AT_ONCE_PAST", 300)
    parts = list(batches(law, [(plan, steps)]))
    assert len(parts) > 5
    np.testing.assert_allclose(np.concatenate([predict(p, middle(law)) for p in parts]), whole, rtol=1e-9)
    found = np.concatenate([predict_with_jacobian(p, middle(law))[1] for p in parts])
    np.testing.assert_allclose(found, slopes, rtol=1e-7, atol=1e-12 * np.abs(slopes).max())


def test_several_plans_are_asked_together_as_far_as_memory_bears(monkeypatch):
    """Each with the losses that it has alone, to the last digit."""
    law, steps = LAWS["opt_laws_curve"], np.arange(10, 5000, 40)
    plans = [Plan(PASTED), Plan(OFTEN), *(Plan(parse(f"cosine(peak={i}e-4, total=5000)")) for i in range(1, 6))]
    asked = [(plan, steps if plan.schedule is not OFTEN else STEPS[:3]) for plan in plans]
    alone = [predict(part, middle(law)) for one in asked for part in batches(law, [one])]
    assert [len(part) for part in batches(law, asked)] == [125, 3, 5 * 125]
    assert np.array_equal(np.concatenate([predict(p, middle(law)) for p in batches(law, asked)]), np.concatenate(alone))
    monkeypatch.setattr(evaluation, "AT_ONCE_PAST", 600)  # of these 125 steps, with 2 turns each, two cosines
    assert [len(part) for part in batches(law, asked[2:])] == [250, 250, 125]


class Enough(BaseException):
    pass


def test_work_ends_between_two_parts():
    looks = []

    def asked():
        looks.append(1)
        if len(looks) == 3:
            raise Enough

    errors.ask_whether_to_go_on(asked)
    done = []
    with pytest.raises(Enough):
        for part in batches(LAWS["opt_laws_curve"], [(Plan(OFTEN), STEPS)]):
            done.append(len(part))
    assert len(done) < len(in_parts(OFTEN, STEPS))


def test_the_latest_is_asked_in_place_of_anyone_before():
    said = []
    errors.ask_whether_to_go_on(lambda: said.append("first"))
    errors.ask_whether_to_go_on(lambda: said.append("second"))
    errors.may_end_here()
    assert said == ["second"]


def test_fewer_averages_are_worked_out_together_where_more_turns_lie_before_them():
    starts, sizes = ", ".join(map(str, range(0, 2500, 10))), ", ".join(f"{i % 7 + 1}x" for i in range(250))
    plan = parse(f"rate=constant(peak=1e-3, total=10000); batch=steps([{starts}], [{sizes}]); average=ema(50)")
    parts = in_parts(plan, np.arange(0, 10_000, 50))
    assert max(map(len, parts)) * len(plan.breaks) <= evaluation.AT_ONCE_OFTEN
    assert np.array_equal(np.concatenate(parts), np.arange(0, 10_000, 50))
