"""Fields that follow from others, warm-up shapes in the text form, refusals, and schedules from gradient norms."""

import dataclasses
import re

import numpy as np
import pytest

from optlaws_core.errors import ScheduleError
from optlaws_core.laws.sums.clocks import Trace
from optlaws_core.laws.sums.functionals import functionals
from optlaws_core.schedules import (
    COOLDOWNS,
    SCHEDULES,
    SGDR,
    WARMUPS,
    WSD,
    WSDS,
    Constant,
    Cosine,
    Exponential,
    Knots,
    OneCycle,
    PowerScheduler,
    Rex,
    parse,
    refined,
)
from tests.knowledge.families import texts

EXAMPLES = [parse(text) for text in texts(20, 300)]


def test_a_linear_warm_up_is_not_written_down():
    schedule = Cosine(3e-4, warmup=20, total=300)
    assert schedule.text == "cosine(peak=3e-4, warmup=20, total=300)"
    assert parse("cosine(peak=3e-4, warmup=20, total=300, warmup_shape=linear)") == schedule
    bent = dataclasses.replace(schedule, warmup_shape="1-sqrt")
    assert bent.text == "cosine(peak=3e-4, warmup=20, total=300, warmup_shape=1-sqrt)"
    assert parse(bent.text) == bent != schedule


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
@pytest.mark.parametrize("shape", WARMUPS)
def test_every_family_warms_up_in_every_shape(schedule, shape):
    if schedule.family == "knots":
        schedule = dataclasses.replace(schedule, values=(1e-4,) * len(schedule.values), warmup=20)
    bent = dataclasses.replace(schedule, warmup_shape=shape)
    assert parse(bent.text) == bent and bent.rescaled(900).warmup_shape == shape
    early = bent(np.arange(21))
    assert early[20] == pytest.approx(schedule(20), rel=1e-14) and (np.diff(early) > 0).all()
    assert early[0] == (bent.peak / 25 if schedule.family == "one_cycle" else 0)
    np.testing.assert_array_equal(bent(np.arange(20, 300)), schedule(np.arange(20, 300)))


@pytest.mark.parametrize("shape", WARMUPS)
def test_sums_over_a_bent_warm_up_are_exact(shape):
    schedule = Cosine(3e-4, warmup=2160, total=24_000, warmup_shape=shape)
    eta = schedule(np.arange(24_001)).astype(np.longdouble)
    S = np.cumsum(eta).astype(float)
    np.testing.assert_allclose(Trace(schedule).clock(1.0)(np.arange(24_001)), S, rtol=1e-9, atol=1e-12 * S[-1])
    assert functionals(schedule).I2[0] == pytest.approx(float(np.sum(eta[:-1] ** 2)), rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_words_name_their_choices(name):
    for f in dataclasses.fields(SCHEDULES[name]):
        if f.name.endswith("shape"):
            assert f.metadata["choices"] == tuple(WARMUPS if f.name == "warmup_shape" else COOLDOWNS)
        else:
            assert f.metadata["choices"] == ()


def test_fields_that_were_left_out_follow_from_the_others():
    assert OneCycle(1.0, total=100).warmup == 30 and OneCycle(1.0, total=1).warmup == 0
    assert Exponential(1.0, total=100).final == 0.01
    assert SGDR(1.0, warmup=10, total=100).period == 30 and SGDR(1.0, total=100, growth=2).period == 15
    assert WSDS(1.0, warmup=20, total=100).ends == (40, 60) and WSDS(1.0, total=1).ends == ()
    assert parse("extended(peak=1, total=200)").text == (
        "extended(peak=1, warmup=0, total=200, first=100, factor=0.531555, shape=linear)"
    )
    assert parse("one_cycle(peak=1, total=100)").text == "one_cycle(peak=1, warmup=30, total=100, shape=cosine)"
    assert parse("sgdr(peak=1, total=90, period=None)") == SGDR(1.0, total=90, period=30)


def test_the_power_schedulers_knee_is_a_break():
    schedule = PowerScheduler(3e-4, warmup=10, total=1000, scale=0.1, batch=8, sequence=128, decay=100, shape="linear")
    knee = (0.1 * 8 / 3e-4) ** (1 / 0.51) / (8 * 128)
    assert schedule.breaks == (0, 10, int(np.ceil(knee)), 900, 1000) or knee > 900
    assert schedule(900) == pytest.approx(min(3e-4, 8 * 0.1 * (900 * 8 * 128) ** -0.51), rel=1e-12)
    assert schedule(950) == pytest.approx(schedule(900) / 2, rel=1e-12) and schedule(1000) == 0


@pytest.mark.parametrize("batch", [16, 32, 64, 128, 256, 512, 1024])
def test_the_power_scheduler_is_the_papers_equations_7_and_8(batch):
    """arXiv:2408.13359: table 3's batches and warm-up of 1B tokens, η_max = 0.02, where the minimum may be either."""
    total, warmup, decay = (round(n / (batch * 4096)) for n in (32e9, 1e9, 3.2e9))
    schedule = PowerScheduler(0.02, warmup=warmup, total=total, batch=batch, decay=decay)
    t = np.arange(1, total)
    law = np.minimum(0.02, batch * 4 * (t * batch * 4096.0) ** -0.51)
    stable, start = t[(t >= warmup) & (t <= total - decay)], total - decay
    np.testing.assert_allclose(schedule(stable), law[stable - 1], rtol=1e-12)
    np.testing.assert_allclose(schedule(t[:warmup]), t[:warmup] / warmup * law[warmup - 1], rtol=1e-12)
    rest = schedule(np.arange(start, total + 1)) / law[start - 1]
    assert rest[0] == pytest.approx(1) and rest[-1] == 0 and (np.diff(rest) < 0).all() and (np.diff(rest, 2) > 0).all()
    assert schedule.peak == pytest.approx(schedule(np.arange(total)).max(), rel=1e-14)
    assert schedule.peak == pytest.approx(law[warmup - 1])
    assert parse(schedule.text) == schedule and ("batch" in schedule.beyond) == (batch > 512)


def test_the_power_scheduler_takes_any_peak_and_flags_what_lies_beyond_its_search():
    limit = PowerScheduler(1.0, warmup=100_000, total=1_000_000).peak
    assert limit == pytest.approx(0.00483953, rel=1e-6)
    for typed in (limit, 0.00483953, 0.00484, 0.02):
        assert PowerScheduler(typed, warmup=100_000, total=1_000_000).peak == pytest.approx(limit, rel=1e-6)
    assert PowerScheduler(0.02, total=3_000_000).beyond == (
        "Beyond the search of arXiv:2408.13359: batch 1.02k, of 16 to 512 sequences, tokens 12.6T, of 2 to 256 billion."
    )
    assert Constant(1.0, total=10).beyond == ""


def test_an_exponential_cooldown_of_a_power_may_end_at_0():
    schedule = parse("power(peak=1, warmup=10, total=110, decay=100, shape=exponential)")
    np.testing.assert_allclose(schedule([10, 60, 110]), [1, (10 - 1) / 99, 0], atol=1e-15)


def test_many_updates_cost_no_more():
    """Breaks, and cells of the clock, at a thousand times the updates."""
    few, many = (
        [parse(text) for text in texts(1000, total) if not text.startswith("cyclic")] for total in (10**5, 10**8)
    )
    for short, long in zip(few, many, strict=True):
        assert len(long.breaks) <= len(short.breaks) + 4
        assert len(Trace(long).clock(1.5).start) < 2.5 * len(Trace(short).clock(1.5).start)


@pytest.mark.parametrize(
    "text, found",
    [
        (
            "cosine(peak=1, total=10, warmup_shape=round)",
            "warmup_shape must be one of linear, cosine, 1-sqrt, exp.*'round'",
        ),
        ("cosine(peak=1, total=10, warmup_shape=3)", "warmup_shape must be one of .* got '3'"),
        ("wsd(peak=1, total=10, decay=5, drop=2)", "drop is a share of the peak, above 0, .* got 2"),
        ("wsd(peak=1, total=10, decay=5, drop=0)", "drop is a share of the peak, above 0, .* got 0"),
        ("wsd(peak=1, total=10, decay=5, drop=.1, final=.2)", "not below final, got 0.1"),
        ("wsd(peak=1, total=10, decay=10, drop=.5)", "leave an update at the peak, so be at most 9, got 10"),
        ("wsd_s(peak=1, total=10, ends=[5, 5])", "ends must rise strictly between warmup = 0 and total = 10, .*5, 5"),
        ("wsd_s(peak=1, total=10, ends=[10])", "ends must rise strictly"),
        ("wsd_s(peak=1, total=10, ends=7)", "ends must be a list"),
        ("wsd_s(peak=1, total=10, ends=[1.5])", "ends counts updates and must be a whole number, got 1.5"),
        ("wsd_s(peak=1, total=10, share=2)", "share must be above 0 and at most 1, got 2"),
        ("wsd_s(peak=1, total=10, shape=exponential)", "final must be above 0"),
        ("power_scheduler(peak=1, total=10, batch=0)", "batch must be above 0, got 0"),
        (
            "power_scheduler(peak=1, warmup=9, total=10, exponent=400)",
            "end of the warm-up .* at least 1e-30, got 0",
        ),
        ("power_scheduler(peak=1, warmup=9, total=10, scale=1e-320)", "end of the warm-up must be at least 1e-30"),
        ("power_scheduler(peak=1, total=10, exponent=0)", "exponent must be above 0, got 0"),
        ("power_scheduler(peak=.02, total=10, decay=11)", "power_scheduler: decay must lie between 0 and .* = 10"),
        (
            "power_scheduler(peak=.02, total=1000000, decay=9, final=.02)",
            "rate at the start of the cooldown, .* got 0.02",
        ),
        ("rex(peak=1, total=10, d=1)", "rex: d must be at least 0 and below 1, got 1"),
        ("rex(peak=1, warmup=2, total=10, samples=9)", "samples must lie between 0 and 8, .* got 9"),
        ("polynomial(peak=1, total=10, exponent=0)", "exponent must be above 0, got 0"),
        ("power_decay(peak=1, total=10, beta=.5)", "beta must be above 0.5, got 0.5"),
        ("exponential(peak=1, total=10, final=0)", "final must be above 0, got 0"),
        ("exponential(peak=1, total=10, final=2)", "final must not exceed the peak 1, got 2"),
        ("uba(peak=1, total=10, phi=0)", "phi must be above 0, got 0"),
        ("cyclic(peak=1, total=10, gamma=0)", "gamma must be above 0, got 0"),
        ("cyclic(peak=1, total=10, gamma=1.1)", "gamma must be at most 1, got 1.1"),
        ("cyclic(peak=1, total=5000, cycles=1001)", "cycles must lie between 1 and 1000, got 1001"),
        ("extended(peak=1, total=10, first=12)", "first must be at most total = 10 .* got 12"),
        ("extended(peak=1, total=1)", "leave an update at the peak .* got 0"),
        ("extended(peak=1, warmup=8, total=20, first=9)", "the warm-up of 8 and its own cooldown, got 9"),
        ("extended(peak=1, total=10, share=0)", "share must lie between 1e-3 and 0.999, got 0"),
        ("extended(peak=1, total=10, factor=0)", "factor must be above 0 and at most 1, got 0"),
        ("extended(peak=1, total=10, factor=2)", "factor must be above 0 and at most 1, got 2"),
        ("extended(peak=1, total=10, shape=exponential)", "an exponential cooldown never reaches 0"),
        ("extended(peak=1, total=10, shape=round)", "extended: shape must be one of"),
        ("extended(peak=1, total=0)", "total must be at least 1"),
        ("sgdr(peak=1, total=10, period=0)", "period must be at least 1, got 0"),
        ("sgdr(peak=1, total=10, growth=0)", "growth must be at least 1, got 0"),
        (
            "sgdr(peak=1, total=1000000000, period=10)",
            "at most 1000 cycles, so period must be at least 1000000, got 10",
        ),
        ("one_cycle(peak=1, total=10, div=.5)", "div must be at least 1, got 0.5"),
        ("one_cycle(peak=1, total=10, final_div=0)", "final_div must be at least 1, got 0"),
        ("one_cycle(peak=1, total=0)", "total must be at least 1"),
        ("sgdr(peak=1, total=0)", "total must be at least 1"),
        ("wsd_s(peak=1, warmup=9, total=3)", "warmup must lie between 0 and"),
        ("exponential(peak=0, total=3)", "peak learning rate must be above 0"),
        ("knots(steps=[0, 5], values=[1, 1], warmup_shape=round)", "knots: warmup_shape must be one of"),
    ],
)
def test_a_refusal_names_the_rule(text, found):
    with pytest.raises(ScheduleError, match=found) as fault:
        parse(text)
    assert "\n" not in str(fault.value)


# --------------------------------------------------------------------------------------------------------- refinement


@pytest.mark.parametrize("norm, power", [("l2", -2), ("l1", -1)])
def test_knots_of_a_long_refined_schedule_stand_where_it_bends(norm, power):
    """Norms that jump in the first updates: every hundredth point misses that, knots by curvature do not."""
    n = 200_000
    norms = 1.0 + 0.2 * np.sin(np.arange(n) / 20_000)
    norms[:40] = 0.5
    weight = (norms / norms.min()) ** power
    rate = weight * np.append(np.cumsum(weight[:0:-1])[::-1], 0.0)
    found = refined(range(n), norms, 2.0, norm=norm, smoothing=0)
    rate *= 2.0 / rate.max()
    off = np.abs(found.schedule(np.arange(n)) - rate).max() / 2.0
    evenly = np.unique(np.append(np.rint(np.linspace(0, n - 1, 2000)).astype(int), rate.argmax()))
    assert np.abs(np.interp(np.arange(n), evenly, rate[evenly]) - rate).max() / 2.0 > 0.3
    assert off < 1e-5 and len(found.schedule.steps) <= 2000 and found.schedule.peak == pytest.approx(2.0)
    told = re.search(r"off by at most ([\d.e-]+) % of the peak", found.notes[-1])
    assert told and float(told[1]) / 100 == pytest.approx(off, rel=0.05)


def test_rex_has_the_trainers_bend_and_the_papers_sampling_rate():
    """z/(1 − d + d z); trainers that ship 0.9 write z/(0.1 + 0.9 z)."""
    t = np.arange(101)
    z = 1 - t / 100
    np.testing.assert_allclose(Rex(1.0, total=100, d=0.9)(t), z / (0.1 + 0.9 * z), atol=1e-15)
    np.testing.assert_allclose(Rex(1.0, total=100, d=0)(t), z, atol=1e-15)
    assert Rex(1.0, total=100).text == "rex(peak=1, warmup=0, total=100)"  # as before d and samples
    for warmup, total, samples in ((0, 100, 4), (3, 103, 7), (5, 1000, 995)):
        profile, held = Rex(1.0, warmup=warmup, total=total), Rex(1.0, warmup=warmup, total=total, samples=samples)
        starts = [b for b in held.breaks if warmup <= b < total]
        assert len(starts) == samples and held(total) == 0
        for i, (a, b) in enumerate(zip(starts, [*starts[1:], total], strict=True)):
            share = warmup + i * (total - warmup) / samples
            np.testing.assert_allclose(held(np.arange(a, b)), profile(share), rtol=1e-12)
        assert parse(held.text) == held


def test_a_refined_schedule_is_knots_with_that_peak():
    steps = np.arange(10, 2010, 10)
    norms = 1 + 9 * np.exp(-steps / 100)
    found = refined(steps, norms, 3e-3)
    schedule = found.schedule
    assert found.notes == () and isinstance(schedule, Knots) and schedule.total == 2000 and schedule(2000) == 0
    assert schedule.peak == pytest.approx(3e-3, rel=1e-15) and parse(schedule.text) == schedule
    rates = schedule(steps)
    assert schedule(0) == rates[0] < 0.9 * rates.max()  # high norms at first ask for a warm-up
    top = int(rates.argmax())
    assert 0 < top < 100 and (np.diff(rates[top:]) < 0).all()


def test_equal_norms_at_any_distance_are_a_line():
    for every in (1, 10):
        steps = np.arange(0, 5001 * every, every)  # more norms than there are knots
        schedule = refined(steps, np.full(len(steps), 0.3), 1.0).schedule
        assert len(schedule.steps) <= 2001
        np.testing.assert_allclose(schedule(steps), 1 - steps / steps[-1], atol=1e-12)


def test_norms_of_any_size():
    for size in (1e-300, 1e300):
        assert refined(range(4), [2 * size, size, size, 2 * size], 1.0, smoothing=0).schedule(1) == 1


@pytest.mark.parametrize(
    "steps, norms, more, found",
    [
        (range(4), [1, 0, 0, 0], {}, "finite, but 3 of 4 are not: the first is 0, at step 1; at least 2 must be left"),
        (
            [500, 501, 502],
            [1] * 3,
            {},
            "at every update, but none between steps 0 and 500; 499 would have to be made up, and only 3 were logged",
        ),
        (range(4), [1] * 3, {}, "same length, at least 2, got 4 and 3"),
        ([0], [1], {}, "same length, at least 2, got 1 and 1"),
        ([0, 2, 1], [1] * 3, {}, "rise strictly, got 1 after 2"),
        ([0, 1.5, 2], [1] * 3, {}, "whole numbers of 0 or more, got 1.5"),
        (range(4), [1] * 4, dict(norm="l3"), "norm must be one of l2, l1, got 'l3'"),
        (range(4), [1] * 4, dict(smoothing=1), "smoothing must be a share .* got 1"),
        (range(4), [1] * 4, dict(peak=0), "peak learning rate must be a number above 0, got 0"),
    ],
)
def test_norms_that_cannot_be_used_are_named(steps, norms, more, found):
    with pytest.raises(ScheduleError, match=found) as fault:
        refined(steps, norms, **{"peak": 1e-3, **more})
    assert "\n" not in str(fault.value)


RISING = np.exp(np.arange(101) / 100)  # straight lines between its logarithms are itself


@pytest.mark.parametrize(
    "bad, told",
    [
        ({40: 0.0}, "but 1 of 101 is not: the first is 0, at step 400. Such norms were left out."),
        ({40: np.nan, 41: np.inf, 60: -1.0}, "but 3 of 101 are not: the first is nan, at step 400."),
    ],
)
def test_norms_that_are_none_are_left_out_and_told(bad, told):
    norms = RISING.copy()
    norms[list(bad)] = list(bad.values())
    found = refined(np.arange(0, 1001, 10), norms, 1e-3)
    whole = refined(np.arange(0, 1001, 10), RISING, 1e-3)
    assert told in found.notes[0] and "none between steps 390 and 4" in found.notes[1] and not whole.notes
    np.testing.assert_allclose(found.schedule(range(1001)), whole.schedule(range(1001)), rtol=0, atol=1e-12)


def test_gaps_are_filled_and_told():
    kept = np.r_[0:20, 25:60, 61, 63:101]
    found = refined(10 * kept, RISING[kept], 1e-3)
    assert found.notes == (
        "Gradient norms stand about every 10 updates, but none between steps 190 and 250 and in 2 more gaps. "
        "They were filled by lines between the logarithms of the norms around them.",
    )
    whole = refined(np.arange(0, 1001, 10), RISING, 1e-3).schedule
    np.testing.assert_allclose(found.schedule(range(1001)), whole(range(1001)), rtol=0, atol=1e-12)


def test_a_log_that_begins_late_or_ends_early_is_told():
    late = refined(np.arange(300, 1001, 10), RISING[30:], 1e-3)
    assert "none between steps 0 and 300" in late.notes[0] and "before the first norm by that norm" in late.notes[0]
    assert late.schedule.steps[0] == 0 and late.schedule.total == 1000
    norms = RISING.copy()
    norms[90:] = 0
    early = refined(np.arange(0, 1001, 10), norms, 1e-3)
    assert "The schedule ends at step 890, the last with a norm." in early.notes[0] and early.schedule.total == 890


def test_too_few_norms_to_smooth_are_told():
    found = refined(range(10), [1, 9, 1, 9, 1, 9, 1, 9, 1, 9], 1e-3)
    assert found.notes == ("10 norms are too few to be smoothed over 10 % of them: they were taken as they stand.",)
    assert refined(range(10), [1.0] * 10, 1e-3, smoothing=0).notes == ()


def test_a_drop_is_felt_in_every_sum():
    whole, lowered = WSD(1e-3, total=1000, decay=200), WSD(1e-3, total=1000, decay=200, drop=0.7)
    lost = 1e-3 * 0.3 * np.sum(1 - np.arange(200) / 200)
    assert functionals(whole).I1[0] - functionals(lowered).I1[0] == pytest.approx(lost, rel=1e-9)
