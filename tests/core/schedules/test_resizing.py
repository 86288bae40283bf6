"""Schedules for another run: every share is kept, whatever the family; and shares as one types them."""

import numpy as np
import pytest

from optlaws_core import SCHEDULES, ScheduleError, parse

IN_TOKENS = {"power_scheduler"}  # set in tokens seen: it knows neither the horizon nor the peak


@pytest.mark.parametrize("family", SCHEDULES)
def test_a_resized_schedule_is_the_same_curve(family):
    one = SCHEDULES[family].usual()
    other = one.resized(total=3 * one.total, peak=one.peak / 2)
    assert (other.total, other.peak) == (3 * one.total, one.peak / 2)
    shares = np.array([0.02, 0.3, 0.58, 0.62, 0.85, 0.97])
    if family not in IN_TOKENS:
        np.testing.assert_allclose(other(shares * other.total) / other.peak, one(shares * one.total) / one.peak)
    assert one.resized() == one


def test_a_rate_a_step_gives_the_same_over_the_whole_run():
    one = parse("cyclic(peak=1e-3, warmup=100, total=1000, cycles=2, gamma=0.999)")
    other = one.resized(total=4000)
    np.testing.assert_allclose(other(3999 - np.arange(5) * 400), one((3999 - np.arange(5) * 400) / 4), rtol=1e-9)


def test_the_warm_up_is_its_own():
    one = parse("wsd(peak=1e-3, warmup=200, total=4000, decay=800)")
    assert one.resized(total=12000).text == "wsd(peak=1e-3, warmup=600, total=12000, decay=2400, shape=linear)"
    assert (
        one.resized(total=12000, warmup=200).text == "wsd(peak=1e-3, warmup=200, total=12000, decay=2400, shape=linear)"
    )
    with pytest.raises(ScheduleError, match="warmup must lie between"):
        one.resized(total=100, warmup=200)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("wsd(peak=3e-4, warmup=2%, total=24000, decay=20 %, final=10%)", (480, 4800, 3e-5)),
        ("wsd(decay=12.5%, total=24_000, final=0%, warmup=0, peak=3e-4)", (0, 3000, 0.0)),
    ],
)
def test_shares_are_of_the_total_and_of_the_peak(typed, read):
    schedule = parse(typed)
    assert (schedule.warmup, schedule.decay, schedule.final) == read
    assert parse(schedule.text) == schedule


def test_shares_stand_in_lists():
    found = parse("step(peak=1e-3, total=1000, warmup=0, boundaries=[60%, 80%], values=[30%, 10%])")
    assert (found.boundaries, found.values) == ((600, 800), (3e-4, 1e-4))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("cosine(peak=3%, total=100)", "peak cannot be given as a share, got 3%"),
        ("cosine(peak=1e-3, total=100%)", "total cannot be given as a share, got 100%"),
        ("power(peak=1e-3, total=100, warmup=1, exponent=5%)", "exponent cannot be given as a share, got 5%"),
        ("knots(steps=[0, 50%], values=[1, 0])", "steps=50% is a share of total, which the text does not give"),
        ("wsd(peak=1e-3, total=100, decay=150%)", "decay must lie between"),
        ("wsd(peak=1e-3, total=100, decay=1e999%)", "decay must be a finite number"),
    ],
)
def test_a_share_of_nothing_is_refused(typed, said):
    with pytest.raises(ScheduleError, match=said):
        parse(typed)
