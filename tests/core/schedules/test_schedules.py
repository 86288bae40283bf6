"""Schedules: the convention, every family's values at its turning points, the text form, and every refusal."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlaws_core.errors import ScheduleError
from optlaws_core.schedules import (
    COOLDOWNS,
    SCHEDULES,
    WSD,
    Constant,
    Cosine,
    Cyclic,
    InverseSqrt,
    Knots,
    Linear,
    Power,
    Rex,
    Step,
    parse,
)
from tests.knowledge.families import texts

EXAMPLES = [parse(text) for text in texts(20, 300) + texts(0, 50)]


def test_the_convention():
    """0-based steps; the peak at t = warmup; the end value at t = total, one past the last update."""
    schedule = WSD(1.0, warmup=2, total=10, decay=4)
    np.testing.assert_allclose(schedule(np.arange(12)), [0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0])


@pytest.mark.parametrize(
    "schedule, t, rates",
    [
        (Constant(2.0, warmup=4, total=10), [0, 1, 4, 9], [0, 0.5, 2, 2]),
        (Linear(1.0, total=4, final=0.2), [0, 1, 2, 4], [1, 0.8, 0.6, 0.2]),
        (Cosine(1.0, warmup=2, total=10), [2, 4, 6, 8, 10], [1, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2, 0]),
        (WSD(1.0, total=8, decay=4, final=0.01, shape="exponential"), [4, 6, 8], [1, 0.1, 0.01]),
        (WSD(1.0, total=8, decay=4, shape="cosine"), [4, 6, 8], [1, 0.5, 0]),
        (WSD(1.0, total=8, decay=4, shape="1-sqrt"), [4, 5, 8], [1, 0.5, 0]),
        (InverseSqrt(1.0, warmup=4, total=100), [2, 4, 16, 64], [0.5, 1, 0.5, 0.25]),
        (InverseSqrt(1.0, total=100, timescale=9), [0, 27, 72], [1, 0.5, 1 / 3]),
        (Power(1.0, warmup=4, total=100, exponent=0.5), [2, 4, 16, 64], [0.5, 1, 0.5, 0.25]),
        (Power(1.0, warmup=4, total=74, exponent=0.5, knee=16, decay=10), [9, 16, 64, 69, 74], [1, 1, 0.5, 0.25, 0]),
        # pytorch_optimizer's REX over 5 steps, from its first on.
        (Rex(1.0, total=5), [1, 2, 3, 4, 5], [8 / 9, 3 / 4, 4 / 7, 1 / 3, 0]),
        (Cyclic(1.0, total=10, final=0.2), [0, 1, 2, 4, 6, 9, 10], [1, 0.6, 0.2, 1, 0.2, 0.6, 0.2]),
        (Cyclic(1.0, warmup=2, total=12, shrink=0.5), [1, 2, 3, 4, 6, 8, 10], [0.5, 1, 0.5, 0, 0.5, 0, 0.25]),
        (Step(1.0, total=10, boundaries=(5, 8), values=(0.3, 0.1)), [4, 5, 7, 8, 9], [1, 0.3, 0.3, 0.1, 0.1]),
        (Knots((0, 4, 4, 8), (1.0, 1.0, 0.5, 0.0)), [0, 3, 4, 6, 8], [1, 1, 0.5, 0.25, 0]),
        (Knots((0, 8), (1.0, 0.0), warmup=2), [0, 1, 2, 8], [0, 0.375, 0.75, 0]),
    ],
)
def test_values_at_turning_points(schedule, t, rates):
    np.testing.assert_allclose(schedule(t), rates, rtol=1e-15, atol=1e-15)


def test_power_is_the_power_schedulers_rate():
    """arXiv:2408.13359: min(0.02, 1024 · 4 · n^-0.51) over n tokens; here an update is a million tokens."""
    knee = (0.02 / (1024 * 4)) ** (-1 / 0.51) / 1e6
    rates = Power(0.02, total=10**7, knee=round(knee))([10**4, 10**5, 10**6])
    np.testing.assert_allclose(rates, [0.02, 0.01005449, 0.00310713], rtol=1e-5)


def test_matches_transformers_published_vectors():
    """transformers tests/optimization/test_optimization.py: lr 10, 2 warm-up steps, 10 in all; cut to two decimals."""
    t = np.arange(10)
    np.testing.assert_allclose(Linear(10.0, warmup=2, total=10)(t), [0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25])
    cosine = [0, 5, 10, 9.61, 8.53, 6.91, 5, 3.08, 1.46, 0.38]
    np.testing.assert_allclose(Cosine(10.0, warmup=2, total=10)(t), cosine, atol=0.01)
    np.testing.assert_allclose(Constant(10.0, warmup=4, total=10)(t), [0, 2.5, 5, 7.5] + [10] * 6)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_a_schedule_is_a_value(schedule):
    assert parse(schedule.text) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert len({schedule, parse(schedule.text)}) == 1
    rates = schedule(np.arange(schedule.total + 1))
    assert rates.max() == pytest.approx(schedule.peak) and rates.min() >= 0
    assert schedule(0).shape == () and schedule(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_stretched_schedules_keep_their_shape(schedule):
    longer = schedule.rescaled(schedule.warmup + 3 * (schedule.total - schedule.warmup))
    assert longer.warmup == schedule.warmup and longer.peak == schedule.peak
    if schedule.family not in (
        "inverse_sqrt",
        "power",
        "power_scheduler",
    ):  # set in steps, not in shares of the horizon
        t = np.linspace(schedule.warmup, schedule.total, 50)[1:-1]
        stretched = schedule.warmup + 3 * (t - schedule.warmup)
        moved = np.abs(longer(stretched) - schedule(t)) > 1e-9 * schedule.peak
        assert moved.sum() <= 4  # a jump may fall between two of the steps compared


def test_every_family_has_a_doc_a_formula_and_described_fields():
    for name, cls in SCHEDULES.items():
        assert cls.family == name and cls.__doc__ and cls.formula
        assert all(f.metadata["meaning"] for f in dataclasses.fields(cls))
    assert set(COOLDOWNS) == {"linear", "exponential", "cosine", "1-sqrt", "mirror-cosine", "square"}
    assert set(SCHEDULES) == {parse(text).family for text in texts(20, 300)}


@given(
    peak=st.floats(1e-12, 1e3),
    warmup=st.integers(0, 10**9),
    after=st.integers(1, 10**9),
    final=st.floats(0, 1),
    shape=st.sampled_from(("linear", "cosine", "1-sqrt")),
)
def test_any_wsd_reads_back(peak, warmup, after, final, shape):
    schedule = WSD(peak, warmup=warmup, total=warmup + after, decay=after, final=final * peak, shape=shape)
    assert parse(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text, found",
    [
        ("", "reads like"),
        ("cosine", "reads like"),
        ("cosine(peak=1, total=10", "reads like"),
        ("__import__('os').system('x')", "Unknown schedule '__import__'"),
        ("cosin(peak=1, total=10)", "Known schedules: constant.*Did you mean cosine"),
        ("cosine(peak=1, total=10, finale=0)", "no field 'finale'. Its fields: peak, warmup, total, final"),
        ("cosine(peak=1)", "needs total"),
        ("cosine(peak=1, peak=2, total=10)", "peak is given twice"),
        ("cosine(1, total=10)", "fields read like"),
        ("cosine(peak=one, total=10)", "peak must be a number.*'one'"),
        ("cosine(peak=0, total=10)", "peak learning rate must be above 0, got 0"),
        ("cosine(peak=1e-300, total=10)", "peak learning rate must be at least 1e-30, got 1e-300"),
        ("cosine(peak=-1, total=10)", "peak must not be negative, got -1"),
        ("cosine(peak=1e999, total=10)", "peak must be a finite number"),
        ("cosine(peak=1, total=1" + "0" * 400 + ")", "total must be a finite number below 1e\\+15"),
        ("cosine(peak=1, total=1" + "0" * 9000 + ")", "total must be a finite number below 1e\\+15"),
        ("cosine(peak=1, total=1.5)", "whole number, got 1.5"),
        ("cosine(peak=1, total=0)", "total must be at least 1"),
        ("cosine(peak=1, warmup=10, total=10)", "warmup must lie between 0 and total − 1 = 9"),
        ("cosine(peak=1, total=10, final=2)", "final must not exceed the peak 1, got 2"),
        ("wsd(peak=1, total=10, decay=11)", "decay must lie between 1 and total − warmup = 10"),
        ("wsd(peak=1, total=10, decay=5, shape=round)", "shape must be one of linear, exponential, cosine, 1-sqrt"),
        ("wsd(peak=1, total=10, decay=5, shape=exponential)", "final must be above 0"),
        ("inverse_sqrt(peak=1, total=10)", "timescale is needed"),
        ("inverse_sqrt(peak=1, total=10, timescale=0)", "timescale must be at least 1"),
        ("power(peak=1, total=10)", "a knee is needed"),
        ("power(peak=1, warmup=5, total=10, knee=4)", "knee must lie between warmup = 5 .* 10, got 4"),
        (
            "power(peak=1, warmup=5, total=10, decay=6)",
            "decay must lie between 0 and total − warmup = 5 updates, got 6",
        ),
        (
            "power(peak=1, warmup=1, total=16, exponent=0.5, final=.5)",
            "rate at the start of the cooldown, 0.25, got 0.5",
        ),
        ("cyclic(peak=1, total=10, cycles=6)", "cycles must lie between 1 and 5, .* got 6"),
        ("cyclic(peak=1, total=10, shrink=2)", "shrink must be at most 1, got 2"),
        ("step(peak=1, total=10, boundaries=[5], values=[])", "same length"),
        ("step(peak=1, total=10, boundaries=[5, 5], values=[.5, .4])", "must rise strictly"),
        ("step(peak=1, total=10, boundaries=[5], values=[2])", "no value may exceed the peak"),
        ("step(peak=1, total=10, boundaries=5, values=[.5])", "boundaries must be a list"),
        ("knots(steps=[0, 5], values=[1])", "same length"),
        ("knots(steps=[1, 5], values=[1, 1])", "must start at 0 and rise"),
        ("knots(steps=[0, 5, 5, 5, 9], values=[1, 1, 1, 1, 1])", "must start at 0 and rise"),
        ("knots(steps=[0, 5], values=[0, 0])", "peak learning rate must be above 0"),
        ("knots(steps=3, values=[0, 0])", "steps must be a list"),
    ],
)
def test_a_refusal_names_the_rule(text, found):
    with pytest.raises(ScheduleError, match=found) as fault:
        parse(text)
    assert "\n" not in str(fault.value)


def test_the_end_of_a_warm_up_is_declared_or_seen():
    assert Cosine(3e-4, warmup=200, total=1000).warmup_end == 200
    assert Knots((0, 150, 1000), (0.0, 3e-4, 0.0)).warmup_end == 150
    assert Knots((0, 150, 1000), (3e-4, 3e-4, 0.0)).warmup_end == 0


def test_a_text_without_end_is_refused():
    with pytest.raises(ScheduleError, match="1,000,000 characters"):
        parse("knots(" + "1," * 600_000 + ")")


def test_a_schedule_cannot_be_stretched_to_nothing():
    for schedule in (Cosine(1.0, warmup=5, total=10), Knots((0, 10), (1.0, 0.0), warmup=5)):
        with pytest.raises(ScheduleError, match="leaves nothing after 5 warm-up updates"):
            schedule.rescaled(5)


def test_spaces_without_end_are_read_at_once():
    with pytest.raises(ScheduleError, match="read like"):
        parse("cosine(a=" + " " * 4000 + "[)")
    assert parse("cosine( peak = 3e-4 ,\n warmup=100,  total=2000 )") == parse(
        "cosine(peak=3e-4, warmup=100, total=2000)"
    )


@pytest.mark.parametrize("text", ["knots(points=0:1e-3 100:0)", "knots(points=1)", "cosine(top=1e-3)"])
def test_an_unknown_field_is_told_before_its_value_with_an_example(text):
    family, field = text.split("(")[0], text.split("(")[1].split("=")[0]
    with pytest.raises(ScheduleError, match=f"{family} has no field '{field}'. Its fields: .*; such as ") as told:
        parse(text)
    example = str(told.value).split("such as ")[1].removesuffix(".")
    assert parse(example).family == family
