"""Plans that schedule more than the learning rate: their text form, the batch at every update, and what they refuse."""

import numpy as np
import pytest

from optlaws_core.errors import ScheduleError
from optlaws_core.runs import Plan
from optlaws_core.schedules import (
    EMA,
    Batch,
    Joint,
    Merge,
    at_tokens,
    like_tokens,
    parse,
    parts,
    token_ratio,
    tokens_before,
)

RATE = "wsd(peak=3e-4, warmup=500, total=24000, decay=4800, shape=linear)"
BATCHES = (
    "steps([0, 12000], [4M, 16M])",
    "ramp([0, 12000], [1x, 2.5x])",
    "steps([0, 5B, 20B], [1M, 2M, 4M], by=tokens)",
    "ramp([0, 5B, 20B], [1M, 4M, 2M], by=tokens)",
    "steps([0], [1x])",
)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("average", ["", "; average=ema(100)", "; average=merge(8, 1000)"])
def test_a_plan_reads_back_from_its_text(batch, average):
    text = f"rate={RATE}; batch={batch}{average}"
    plan = parse(text)
    assert plan.text == text
    assert parse(plan.text) == plan and hash(parse(plan.text)) == hash(plan)


def test_parts_come_in_any_order_and_a_rate_alone_is_a_schedule():
    assert parse(f"average=ema(50); rate={RATE}") == Joint(parse(RATE), None, EMA(50))
    assert parse(f"rate={RATE}") == parse(RATE)
    assert parse(f"rate={RATE};") == parse(RATE)


def test_starts_may_be_shares_of_the_updates():
    assert parse(f"rate={RATE}; batch=steps([0, 50%], [1x, 2x])").batch == Batch((0, 12000), (1, 2), relative=True)


def test_as_a_schedule_a_plan_is_its_rate():
    plan, rate = parse(f"rate={RATE}; batch=steps([0, 9000], [1x, 2x])"), parse(RATE)
    steps = np.arange(0, 24001, 7)
    assert np.array_equal(plan(steps), rate(steps))
    assert (plan.peak, plan.total, plan.warmup, plan.warmup_end) == (
        rate.peak,
        rate.total,
        rate.warmup,
        rate.warmup_end,
    )
    assert set(plan.breaks) == {*rate.breaks, 9000}


@pytest.mark.parametrize("text", BATCHES)
def test_what_was_read_is_the_sum_of_all_updates_before(text):
    batch = parse(f"rate={RATE}; batch={text}").batch
    every = batch(np.arange(24000))
    at = np.array([0, 1, 2, 700, 5000, 12000, 12001, 23999, 24000])
    assert np.allclose(batch.pieces.seen(at), np.concatenate(([0], np.cumsum(every)))[at], rtol=1e-12)
    assert batch.updates_for(batch.pieces.seen(700)) == 700
    assert batch.updates_for(batch.pieces.seen(700) * 1.0000001) == 701


def test_a_size_by_tokens_begins_with_the_first_update_that_finds_its_tokens_read():
    batch = parse(f"rate={RATE}; batch=steps([0, 5B, 20B], [1M, 3M, 4M], by=tokens)").batch
    sizes = batch(np.arange(24000))
    seen = np.cumsum(sizes) - sizes
    assert np.array_equal(sizes, np.select([seen < 5e9, seen < 20e9], [1e6, 3e6], 4e6))


def test_sizes_by_tokens_that_no_update_has_are_left_out():
    batch = parse(f"rate={RATE}; batch=steps([0, 10, 20, 1B], [4M, 8M, 16M, 2M], by=tokens)").batch
    assert batch(np.array([0, 1, 2, 63, 64])).tolist() == [4e6, 16e6, 16e6, 16e6, 2e6]
    ramp = parse(f"rate={RATE}; batch=ramp([0, 1M, 2M, 100M], [4M, 8M, 16M, 4M], by=tokens)").batch
    assert ramp.pieces.seen(ramp.breaks[-1]) == pytest.approx(100e6, abs=16e6)


def test_more_tokens_than_any_schedule_reads_are_refused():
    with pytest.raises(ScheduleError, match="more than 1e\\+15 updates"):
        at_tokens(parse("constant(peak=1e-3, total=100)"), 1e25, 1e6)


def test_a_ramp_by_tokens_is_linear_in_the_tokens_read():
    batch = parse(f"rate={RATE}; batch=ramp([0, 20B], [1M, 4M], by=tokens)").batch
    sizes = batch(np.arange(24000))
    seen = np.cumsum(sizes) - sizes
    wanted = 1e6 + 3e6 * np.minimum(seen / 20e9, 1)
    assert np.abs(sizes / wanted - 1).max() < 1e-3  # an update reads its tokens at once


def test_tokens_of_a_plan():
    assert Plan(parse(f"rate={RATE}; batch=steps([0, 12000], [4M, 16M])")).tokens == 12000 * 20e6
    assert Plan(parse(f"rate={RATE}; batch=steps([0, 12000], [1x, 4x])"), batch_tokens=1e6).tokens == 12000 * 5e6
    assert Plan(parse(f"rate={RATE}; batch=steps([0, 12000], [1x, 4x])")).tokens is None
    assert Plan(parse(f"rate={RATE}; average=ema(10)"), batch_tokens=1e6).tokens == 24000e6


def test_batch_changes_keep_their_share_of_another_horizon():
    plan = parse(f"rate={RATE}; batch=steps([0, 12000], [4M, 16M]); average=merge(8, 100)")
    longer = plan.resized(total=48000)
    assert longer.text.startswith("rate=wsd(peak=3e-4, warmup=1000, total=48000, decay=9600")
    assert longer.batch.starts == (0, 24000)
    assert longer.average == Merge(8, 100)
    assert plan.rescaled(12250).batch.starts == (0, 6250)  # the warm-up stays, what follows is half as long
    by_tokens = parse(f"rate={RATE}; batch=steps([0, 5B], [1M, 2M], by=tokens)").resized(total=12000)
    assert by_tokens.batch.starts == (0, 2.5e9)


def test_a_horizon_that_leaves_no_update_between_two_sizes_keeps_the_later_one():
    plan = parse(f"rate={RATE}; batch=steps([0, 12000, 12001, 12002], [1x, 2x, 3x, 4x])").resized(total=240)
    assert plan.batch == Batch((0, 120), (1, 4), relative=True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"rate={RATE}; batch=steps([0, 24000], [1M, 2M])", "before the end of the run"),
        (f"rate={RATE}; batch=steps([5, 9], [1M, 2M])", "starts must rise from 0"),
        (f"rate={RATE}; batch=steps([0, 9, 9], [1M, 2M, 3M])", "starts must rise from 0"),
        (f"rate={RATE}; batch=steps([0, 9.5], [1M, 2M])", "whole numbers"),
        (f"rate={RATE}; batch=steps([0, 9], [1M])", "each start needs its size"),
        (f"rate={RATE}; batch=steps([0, 9], [1M, 2x])", "all multiples"),
        (f"rate={RATE}; batch=steps([0, 9], [1x, 2x], by=tokens)", "by=tokens needs sizes in tokens"),
        (f"rate={RATE}; batch=steps([0, 50%], [1M, 2M], by=tokens)", "share of the updates"),
        (f"rate={RATE}; batch=steps([0, 0.001%], [1x, 2x])", "0.001% of 24,000 updates is update 0, at which"),
        (f"rate={RATE}; batch=steps([0, 9], [1, 2M])", "1,000,000 times the smallest"),
        (f"rate={RATE}; batch=steps([0, 9], [0, 2M])", "above 0"),
        (f"rate={RATE}; batch=stairs([0, 9], [1M, 2M])", "batch reads like"),
        (f"rate={RATE}; average=ema(0)", "above 0"),
        (f"rate={RATE}; average=ema(1e10)", "half-life"),
        (f"rate={RATE}; average=merge(8)", "average reads like"),
        (f"rate={RATE}; average=merge(8, 2.5)", "checkpoints"),
        (f"rate={RATE}; rate={RATE}", "given twice"),
        (f"rate={RATE}; momentum=3", "A plan reads like"),
        ("batch=steps([0, 9], [1M, 2M])", "needs its learning rate"),
        (f"rate=rate={RATE}; average=ema(1)", "A schedule reads like"),
        ("rate=sine(total=9); average=ema(1)", "Unknown schedule"),
    ],
)
def test_what_is_no_plan_is_told_in_one_sentence(said, told):
    with pytest.raises(ScheduleError) as caught:
        parse(said)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_of_nothing_but_a_rate_is_none():
    with pytest.raises(ScheduleError, match="has a batch schedule, .* or a sequence length beside its rate, got none"):
        Joint(parse(RATE))
    with pytest.raises(ScheduleError, match="rate must be a schedule"):
        Joint(parse(f"rate={RATE}; average=ema(1)"), None, EMA(1))


@pytest.mark.parametrize(
    "text",
    [
        RATE,
        f"rate={RATE}; average=ema(10)",
        f"rate={RATE}; batch=steps([0, 12000], [1x, 4x])",
        f"rate={RATE}; batch=ramp([0, 6000, 20000], [1x, 2x, 7x])",
        f"rate={RATE}; batch=steps([0, 5B, 20B], [1M, 3M, 4M], by=tokens)",
        f"rate={RATE}; batch=ramp([0, 20B], [1M, 4M], by=tokens)",
    ],
)
@pytest.mark.parametrize("amount", [3e9, 24e9, 1e11 + 7])
def test_a_schedule_over_the_updates_that_read_so_many_tokens(text, amount):
    made = at_tokens(parse(text), amount, 1e6)
    largest = 7e6
    assert abs(Plan(made, batch_tokens=1e6).tokens - amount) <= largest
    rate, share = parts(made)[0], parts(parse(text))[0]
    assert abs(rate.decay / rate.total - share.decay / share.total) < 1 / rate.total
    assert at_tokens(made, amount, 1e6) == made


def test_tokens_of_two_schedules_are_compared_in_whatever_unit_both_have():
    plain, four = parse(RATE), parse(f"rate={RATE}; batch=steps([0, 12000], [1x, 4x])")
    assert token_ratio(four, plain) == 2.5
    told = parse(f"rate={RATE}; batch=steps([0, 12000], [1M, 4M])")
    assert token_ratio(told, plain) is None
    assert token_ratio(told, plain, 1e6) == 2.5
    assert np.array_equal(tokens_before(four, [0, 1, 12001], 10), [0, 10, 120_040])
    with pytest.raises(ScheduleError, match="It is not known how many tokens"):
        at_tokens(four, 1e9, None)


def test_a_schedule_reads_the_tokens_of_another_one():
    plain, four = parse(RATE), parse(f"rate={RATE}; batch=steps([0, 12000], [1x, 4x])")
    told = parse(f"rate={RATE}; batch=steps([0, 12000], [1M, 4M])")
    assert like_tokens(four, plain).total == 9600 and like_tokens(plain, four).total == 60000
    assert like_tokens(told, plain, 1e6).total == 9600
    with pytest.raises(ScheduleError, match="It is not known how many tokens"):
        like_tokens(told, plain)


@pytest.mark.parametrize("text", BATCHES)
@pytest.mark.parametrize("end", [1, 700, 9000, 12000, 12001, 23999])
def test_a_batch_schedule_that_ends_early_has_the_same_sizes_until_then(text, end):
    batch = parse(f"rate={RATE}; batch={text}").batch
    cut, every = batch.until(end), np.arange(end)
    assert cut.breaks[-1] <= end - (cut.shape == "steps")
    np.testing.assert_allclose(cut(every), batch(every), rtol=1e-12)


def test_a_part_of_nothing_but_spaces_is_refused_at_once():
    """A pattern that tries them in every way takes a quarter of an hour."""
    with pytest.raises(ScheduleError, match="A plan reads like"):
        parse("rate=" + " " * 300_000 + "\n;")


def test_a_multiple_has_one_x():
    with pytest.raises(ScheduleError, match="a size must be above 0"):
        parse(f"rate={RATE}; batch=steps([0], [2xx])")
