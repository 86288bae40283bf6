"""Runs in progress: the anchored forecast on planted curves, decays that share a past, the alarm, growing logs."""

import os
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Plan, Run, Series, parse, predict, read, with_bands
from optlaws_core.errors import DesignError, LogError
from optlaws_core.fitting.selection import select
from optlaws_core.live import (
    ALARM,
    MEMORY,
    PULL,
    averages,
    cut,
    decays,
    diverging,
    evidence,
    forecast,
    outcomes,
    reread,
    risen,
    version,
)
from tests.knowledge.planted import HELD_OUT, OTHER_PEAK, PLANTED, TRAINING, twin_run
from tests.knowledge.twins import TWINS
from tests.places import ROOT

LAW = "annealing"
WSD = parse("wsd(peak=3e-4, warmup=200, total=4000, decay=800, shape=linear)")


@pytest.fixture(scope="module")
def model():
    runs = [twin_run(LAW, text, PLANTED[LAW], 2e-3, i) for i, text in enumerate((*TRAINING, OTHER_PEAK))]
    return select([LAW, "power_law"], runs, processes=1)[LAW]


def made(model, schedule=WSD, offset=0.0, noise=0.0, every=20, seed=0):
    """A run of losses the model tells, times exp(offset), with white log noise."""
    steps = np.arange(schedule.warmup_end, schedule.total, every)
    wrong = offset + noise * np.random.default_rng(seed).standard_normal(len(steps))
    return Run(
        "live",
        Plan(schedule),
        {"train": Series(steps, predict(model, schedule, steps) * np.exp(wrong))},
        lr_source="declared",
    )


def test_ways_to_go_on_keep_the_batch_schedule_and_the_average(model):
    plan = parse(f"rate={WSD.text}; batch=ramp([0, 1000, 3500], [1x, 4x, 2x]); average=ema(50)")
    run, now = made(model), 1500
    ways = dict(decays(replace(run, plan=Plan(plan)), now, 4200, [500], [0]))
    assert len(ways) == 4
    for name, way in ways.items():
        every = np.arange(min(way.total, 3500))
        assert way.average == plan.average, name
        np.testing.assert_allclose(way.batch(every), plan.batch(every), rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    "auxiliary",
    ["cosine(peak=3e-3, warmup=30, total=4000)", f"wsd(peak=3e-3, warmup={WSD.warmup}, total=4000, decay=2000)"],
)
def test_ways_to_go_on_share_the_past_of_an_auxiliary_rate_and_keep_its_proportion(model, auxiliary):
    plan = parse(f"rate={replace(WSD, total=4000).text}; auxiliary={auxiliary}")
    run, now = made(model), 1500
    ways = decays(replace(run, plan=Plan(plan)), now, 4200, [500], [0])
    past, then = np.arange(now + 1), np.array([1600, 1900])
    share = plan.auxiliary(now) / plan(now)
    for name, way in ways:
        np.testing.assert_allclose(way.auxiliary(past), plan.auxiliary(past), rtol=1e-12, err_msg=name)
        if name != "as planned":
            np.testing.assert_allclose(way.auxiliary(then), share * way(then), rtol=1e-3, err_msg=name)


def noisy(y, steps=None, plan=None):
    steps = np.arange(len(y)) if steps is None else steps
    return Run("noise", plan, {"train": Series(steps, y)}, lr_source="declared" if plan else "missing")


# ---------------------------------------------------------------------------------------------------- forecasts


def test_a_cut_run_has_what_was_seen_by_then_and_its_whole_plan(model):
    run = made(model)
    run = replace(run, series=dict(run.series) | {"val": Series([3000], [2.0])}, last_step=3990)
    seen = cut(run, 1000)
    assert seen.steps.tolist() == [s for s in run.steps if s <= 1000] and seen.plan == run.plan
    assert len(seen.series["val"]) == 0 and seen.last_step == 1000
    assert cut(run, 10**6).steps.tolist() == run.steps.tolist()
    with pytest.raises(DesignError, match="'live' has no train loss up to step 100; its first is at step 200"):
        cut(run, 100)


def test_a_law_that_holds_is_left_alone(model):
    told = forecast(model, cut(made(model), 2000))
    np.testing.assert_allclose(told.loss, predict(model, WSD, told.steps), rtol=1e-12)
    assert told.offset == pytest.approx(0, abs=1e-12) and told.now == 2000
    assert told.steps[0] == 2001 and told.steps[-1] == 3999 and {3199, 3200} <= set(told.steps.tolist())


def test_an_error_of_the_stated_form_is_undone_but_for_the_pull(model):
    """The law is off by a (now/t)^½ from now on, and by a in the window: the forecast is exact."""
    n = round(0.1 * len(cut(made(model), 2000).loss))
    told = forecast(model, cut(made(model, offset=0.05), 2000))
    shrunk = 0.05 * n / (n + PULL)
    assert told.offset == pytest.approx(shrunk, rel=1e-9)
    true = predict(model, WSD, told.steps) * np.exp(shrunk * (2000 / told.steps) ** MEMORY)
    np.testing.assert_allclose(told.loss, true, rtol=1e-12)


@pytest.mark.parametrize("offset", [-0.06, -0.02, 0.03, 0.08])
def test_anchoring_brings_a_constant_offset_nearer(model, offset):
    run = made(model, offset=offset, noise=3e-3)
    for now in (1000, 2000, 3000):
        later = run.steps[run.steps > now]
        near, far = (forecast(model, cut(run, now), at=later, anchored=way) for way in (True, False))
        errors = [np.abs(np.log(f.loss / run.loss[-len(later) :])).mean() for f in (near, far)]
        assert errors[0] < 0.75 * errors[1]
    np.testing.assert_array_equal(far.loss, predict(model, WSD, later))


def test_one_wild_loss_moves_the_forecast_little(model):
    run = cut(made(model, noise=1e-3), 2000)
    wild = replace(run, series={"train": Series(run.steps, np.append(run.loss[:-1], 3 * run.loss[-1]))})
    assert abs(forecast(model, wild).offset - forecast(model, run).offset) < 1e-3


def test_bands_widen_with_distance_up_to_that_of_the_model(model):
    told = forecast(model, cut(made(model, noise=1e-4), 2000))
    half = np.log(told.high / told.loss)
    np.testing.assert_allclose(np.log(told.loss / told.low), half)
    own = with_bands(model, WSD, told.steps).prediction
    assert (half < own).all() and half[0] < 0.1 * own[0] and half[-1] > 0.5 * own[-1]
    early = forecast(model, cut(made(model, noise=1e-4), 400))
    assert np.log(early.high[-1] / early.loss[-1]) > half[-1]


@pytest.mark.slow
def test_bands_hold_nine_in_ten_where_their_picture_is_true(model):
    """Offsets of the model's stated spread, of correlation (now/t)^½ between now and the end."""
    random, inside = np.random.default_rng(1), []
    sigma = with_bands(model, WSD).prediction[0] / 1.645
    rho = (2000 / 3999) ** MEMORY
    for seed in range(300):
        now_off = sigma * random.standard_normal()
        end_off = rho * now_off + np.sqrt(1 - rho**2) * sigma * random.standard_normal()
        run = cut(made(model, offset=now_off, noise=1e-3, seed=seed), 2000)
        told = forecast(model, run, at=[3999])
        true = predict(model, WSD)[0] * np.exp(end_off + 1e-3 * random.standard_normal())
        inside.append(told.low[0] <= true <= told.high[0])
    assert 0.82 < np.mean(inside) < 0.97


def test_a_model_without_bands_forecasts_without(model):
    told = forecast(replace(model, left_out=None), cut(made(model), 2000))
    assert told.low is None and told.high is None and np.isfinite(told.loss).all()


def test_what_cannot_be_forecast_is_said(model):
    run = made(model)
    with pytest.raises(DesignError, match="nothing left to forecast: its losses reach step 3,980"):
        forecast(model, replace(run, plan=Plan(replace(WSD, total=3981))))
    with pytest.raises(DesignError, match="needs at least 2 losses after its warm-up, got 1"):
        forecast(model, cut(run, 210))
    with pytest.raises(DesignError, match="has no learning rate"):
        forecast(model, replace(run, plan=None, lr_source="missing"))
    with pytest.raises(DesignError, match="starts after step 2,000, the last that was seen, got 2,000"):
        forecast(model, cut(run, 2000), at=[2000, 2001])
    with pytest.raises(DesignError, match="must have the rates of run 'live' up to step 2,000; at step .* got 1.5e-4"):
        forecast(model, cut(run, 2000), parse("constant(peak=1.5e-4, total=4000)"))
    with pytest.raises(DesignError, match="must go on after step 2,000, got 1,000 updates"):
        forecast(model, cut(run, 2000), WSD.rescaled(1000))


# ---------------------------------------------------------------------------------------------------- decays


@pytest.mark.parametrize("text", [WSD.text, "cosine(peak=3e-4, warmup=200, total=4000)", HELD_OUT])
def test_decays_share_the_past_exactly_and_part_after_it(model, text):
    first = parse(text)
    ways = dict(decays(made(model, first), 1999, first.total, [400, 10**6], [0, 500]))
    past, after = np.arange(2000), np.arange(2000, first.total)
    for schedule in ways.values():
        np.testing.assert_array_equal(schedule(past), first(past))
        assert schedule.warmup_end == first.warmup_end
    rate = float(first(1999))
    assert list(ways)[:2] == ["decay now, over 400", "decay in 500 updates, over 400"]
    assert [s.total for s in ways.values()] == [2400, 2900, first.total, first.total, first.total]
    late = first.total - 400
    now, then, end, never, planned = (s(after) for s in ways.values())
    assert now[400] == 0 and now[200] == pytest.approx(rate / 2) and then[500] == rate and then[700] < rate
    assert (end[: late - 2000 + 1] == rate).all() and end[-1] < 0.01 * rate and (never == rate).all()
    np.testing.assert_array_equal(planned, first(after))


def test_a_way_to_go_on_predicts_as_its_twin_does(model):
    """The fast sums over a past of another family agree with the plain sum over all updates."""
    for text in ("cosine(peak=3e-4, warmup=200, total=4000)", WSD.text):
        (way,) = [s for n, s in decays(made(model, parse(text)), 1999, 4000, [700], [300]) if "in 300 " in n]
        steps = np.array([500, 1999, 2000, 2299, 2300, 2600, 2999])
        told = predict(model, way, steps)
        np.testing.assert_allclose(told, TWINS[LAW](way(np.arange(way.total + 1)), steps, **model.theta), rtol=1e-7)


def test_outcomes_are_ranked_and_anchored(model):
    run = cut(made(model, offset=0.05), 2000)
    ways = decays(run, 2000, 4000, [400], [0, 600])
    found = outcomes(model, run, ways)
    assert sorted(o.loss for o in found) == [o.loss for o in found] and {o.name for o in found} == set(dict(ways))
    by_name = {o.name: o for o in found}
    told = forecast(model, run, at=[3999])
    assert by_name["as planned"].loss == told.loss[0] and by_name["as planned"].high == told.high[0]
    assert by_name["no decay"].loss > by_name["decay at the end, over 400"].loss
    assert all(o.low < o.loss < o.high and o.loss > predict(model, o.schedule)[0] for o in found)
    assert outcomes(replace(model, left_out=None), run, ways[:1])[0].low is None


def test_averages_now_lie_between_the_last_weights_and_a_decay(model):
    hold = parse("constant(peak=3e-4, warmup=200, total=4000)")
    run = cut(made(model, hold, offset=0.05), 2999)
    found = averages(model, run)
    now = int(run.steps[-1])
    assert [o.name for o in sorted(found, key=lambda o: o.name)] == [
        "average now, 8 checkpoints, 42 updates apart",
        "average now, EMA with a half-life of 30 updates",
        "average now, EMA with a half-life of 89 updates",
    ]
    assert all(o.schedule.average.reach <= 0.1 * now for o in found)  # as far as laws were borne out
    raw = predict(model, hold, now)[0] * np.exp(0.05)
    decayed = outcomes(model, run, decays(run, now, 4000, [600], [0]))[0].loss
    assert all(decayed < o.loss < raw and o.low < o.loss < o.high and o.updates == now + 1 for o in found)
    assert [o.loss for o in found] == sorted(o.loss for o in found)
    assert averages(replace(model, left_out=None), run)[0].low is None


def test_an_average_of_few_updates_is_none(model):
    assert averages(model, cut(made(model, parse("constant(peak=3e-4, warmup=2, total=4000)"), every=5), 60)) == []


@pytest.mark.parametrize(
    "now, total, lengths, starts, said",
    [
        (100, 4000, [400], [0], "still warming up at step 100; a decay can start from step 200"),
        (3999, 4000, [400], [0], "has nothing left: step 3,999 of 4,000"),
        (2000, 4000, [0], [0], "at least 1 update and starts now or later, got lengths .0."),
        (2000, 4000, [400], [-5], "starts now or later, got lengths .400. and starts .-5."),
    ],
)
def test_decays_that_cannot_be(model, now, total, lengths, starts, said):
    with pytest.raises(DesignError, match=said):
        decays(made(model), now, total, lengths, starts)


def test_no_decay_without_a_rate(model):
    with pytest.raises(DesignError, match="has no learning rate, logged or declared"):
        decays(replace(made(model), plan=None, lr_source="missing"), 2000, 4000, [10])
    off = parse("step(peak=3e-4, warmup=200, total=4000, boundaries=[1000], values=[0])")
    with pytest.raises(DesignError, match="learning rate of 0 at step 2,000"):
        decays(replace(made(model), plan=Plan(off)), 2000, 4000, [10])


# ---------------------------------------------------------------------------------------------------- divergence


def scores(y):
    return [risen(noisy(y[:n])) for n in range(1, len(y) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.003, 0.02])
def test_stationary_noise_raises_no_alarm(noise):
    random = np.random.default_rng(0)
    rung = [max(scores(np.exp(noise * random.standard_normal(100)))) >= ALARM for _ in range(40)]
    assert np.mean(rung) <= 0.05


def test_loud_noise_seldom_raises_one_at_any_one_look():
    random = np.random.default_rng(0)
    rung = [risen(noisy(np.exp(0.1 * random.standard_normal(60)))) >= ALARM for _ in range(300)]
    assert np.mean(rung) <= 0.03


def test_a_blow_up_is_seen_soon_and_stays_seen():
    random, t = np.random.default_rng(0), np.arange(200)
    y = (2 + 2 * (t + 1.0) ** -0.5) * np.exp(0.01 * random.standard_normal(200) + 0.03 * np.maximum(t - 120, 0))
    told = scores(y)
    first = next(i for i, s in enumerate(told) if s >= ALARM)
    assert 120 < first < 130 and min(told[140:]) >= ALARM and max(told[:120]) < 0.5


def test_a_spike_that_comes_back_ends_the_alarm():
    y = np.full(120, 2.0) * np.exp(0.005 * np.random.default_rng(0).standard_normal(120))
    y[60:70] *= 1.4
    assert risen(noisy(y[:70])) >= ALARM > 0.5 > risen(noisy(y))


def test_a_rise_with_the_rate_is_no_divergence():
    """A cyclic rate, and a loss that goes along with it."""
    plan, steps = Plan(parse("cyclic(peak=8e-3, warmup=100, total=4000, final=8e-4)")), np.arange(100, 4000, 25)
    y = (1.6 + 30 * plan.schedule(steps)) * np.exp(0.005 * np.random.default_rng(0).standard_normal(len(steps)))
    rose = int(np.argmax(plan.schedule(steps[40:]))) + 41
    assert risen(noisy(y[:rose], steps[:rose])) >= ALARM  # who does not know the rate is alarmed
    assert max(risen(noisy(y[:n], steps[:n], plan)) for n in range(6, len(y))) < 0.5


def test_few_losses_say_nothing_and_constant_ones_neither():
    assert risen(noisy([1.0, 2, 4, 8, 16])) == 0
    assert risen(noisy([2.0] * 50)) == 0 and risen(noisy([2.0] * 50 + [3.0] * 10)) == 1
    with pytest.raises(DesignError, match="'noise': losses must be above 0, got -1"):
        risen(noisy([1.0, -1.0, 2.0]))


def test_a_long_log_is_judged_too():
    y = np.exp(0.02 * np.random.default_rng(0).standard_normal(30_000))
    assert risen(noisy(y)) < 0.5
    y[-3000:] *= 1.2
    assert risen(noisy(y)) >= ALARM


def blown(total, decay=None, seed=0):
    """A run that falls, then rises by three quarters from step 400 on, under a rate that is held or decays at once."""
    text = f"constant(peak=1e-3, total={total})" if decay is None else f"wsd(peak=1e-3, total={total}, decay={decay})"
    steps = np.arange(0, 600, 10)
    rise = 1 + 0.75 * np.clip((steps - 400) / 100, 0, 1)
    y = (2 + (steps + 1.0) ** -0.5) * rise * np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(steps)))
    return noisy(y, steps, Plan(parse(text)))


def test_a_probability_grows_with_the_rise_and_falls_with_the_rate_to_come():
    held, ended, decaying = blown(10_000), blown(591), blown(1000, 409)
    early = diverging(cut(held, 390))
    assert 0.001 < early < 0.05 and evidence(cut(held, 390)) == 0
    assert early < diverging(cut(held, 430)) < diverging(held) and diverging(held) > 0.95
    assert diverging(ended) == diverging(held)  # what has risen at the end stays
    assert evidence(decaying) == pytest.approx(0.5 * evidence(held), rel=0.01)  # a line to 0: half of today's rate
    assert diverging(replace(held, plan=None, lr_source="missing")) == diverging(held)


def test_the_risk_of_the_plan_counts_most_before_the_loss_says_anything():
    run = blown(10_000)
    quiet = [diverging(cut(run, 390), p) for p in (0.0, 0.01, 0.5, 0.99, 1.0)]
    assert quiet == sorted(quiet) and quiet[0] > 0 and quiet[-1] < 1 and quiet[3] > 0.9
    assert diverging(cut(run, 30), 0.5) == quiet[2] and diverging(run, 0.5) > 0.8 > quiet[2]
    assert diverging(cut(run, 30)) is None and evidence(cut(run, 30)) is None


def test_the_probability_of_noise_stays_low():
    """However loud it is, and however long the log."""
    random = np.random.default_rng(0)
    for noise, n in ((0.003, 100), (0.1, 60), (0.1, 5000)):
        told = [diverging(noisy(np.exp(noise * random.standard_normal(n)))) for _ in range(40)]
        assert np.mean(told) < 0.03


@pytest.mark.slow
def test_the_sweep_agrees_with_the_probability():
    """Runs that it was learned from: not how good it is, but that what is shipped is what was learned."""
    runs = [r.on("train") for r in read(ROOT / "data" / "manifest.csv").runs[:255] if not r.about.get("parent")]
    seen = [(r, cut(r, r.plan.schedule.total // 2)) for r in runs if r.steps[-1] >= r.plan.schedule.total // 2]
    p, bad = np.array([diverging(s) for _, s in seen]), np.array([r.about["outcome"] == "diverged" for r, _ in seen])
    assert len(p) == 221 and bad.sum() == 25
    assert ((p - bad) ** 2).mean() < 0.03 and abs(p.mean() - bad.mean()) < 0.02


# ---------------------------------------------------------------------------------------------------- a growing folder


@pytest.mark.parametrize(
    "name, head, line, half",
    [
        ("a.csv", "step,loss,lr\n", "{},{},1e-3\n", "3,2."),
        ("a.jsonl", "", '{{"step": {}, "loss": {}, "lr": 1e-3}}\n', '{"step": 3, "lo'),
    ],
)
def test_a_half_written_last_line_is_waited_for(tmp_path, name, head, line, half):
    (tmp_path / "sub").mkdir()
    log = tmp_path / "sub" / name
    log.write_text(head + line.format(1, 3.0) + line.format(2, 2.5) + half)
    reading = reread(tmp_path)
    assert not reading.errors and not [n for f in reading.files for n in f.notes if n.level != "info"]
    (run,) = reading.runs
    assert run.loss.tolist() == [3.0, 2.5] and reading.files[0].file == str(log.relative_to(tmp_path))
    log.write_text(head + line.format(1, 3.0) + line.format(2, 2.5) + line.format(3, 2.25))
    assert reread(tmp_path).runs[0].loss.tolist() == [3.0, 2.5, 2.25]


def test_a_manifest_in_the_folder_still_applies(tmp_path):
    (tmp_path / "a.csv").write_text("step,loss\n1,3\n2,2.5\n3,2.4\n4,2.")
    (tmp_path / "manifest.csv").write_text('run,file,schedule\nlive,a.csv,"constant(peak=1e-3, total=100)"\n')
    (run,) = reread(tmp_path).runs
    assert run.name == "live" and run.plan.schedule.total == 100 and run.steps[-1] == 3


def test_a_log_may_be_named_itself_and_a_manifest_needs_no_last_line_end(tmp_path):
    (tmp_path / "a.csv").write_text("step,loss\n1,3\n2,2.5\n3,2.4\n4,2.")
    (run,) = reread(tmp_path / "a.csv").runs
    assert run.name == "a" and run.steps[-1] == 3 and reread(tmp_path / "a.csv").files[0].file == "a.csv"
    (tmp_path / "manifest.csv").write_text('run,file,schedule\nlive,a.csv,"constant(peak=1e-3, total=100)"')
    assert [r.name for r in reread(tmp_path).runs] == ["live"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_of_any_encoding_waits_at_its_last_line(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("step,loss\n1,3\n2,2.5\n3,2.", encoding=encoding)
    reading = reread(tmp_path)
    assert not reading.errors and reading.runs[0].loss.tolist() == [3.0, 2.5]


@pytest.mark.parametrize(
    "name, text",
    [("a.csv", ""), ("a.csv", "step,lo"), ("a.csv", "step,loss\n"), ("a.csv", "step,loss\n1,"), ("a.jsonl", '{"st')],
)
def test_a_log_without_a_row_is_waited_for(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "b.csv").write_text("step,loss\n1,3\n2,2.5\n")
    reading = reread(tmp_path)
    assert not reading.errors and [r.name for r in reading.runs] == ["b"]
    assert [n.text for n in reading.notes] == [f"1 log without a row so far: {name}."]


def test_what_cannot_be_read_is_told_and_the_rest_is_there(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\x1f\x8bpacked\n")
    (tmp_path / "b.csv").write_text("step,loss\n1,3\n2,2.5\n")
    reading = reread(tmp_path)
    assert [r.name for r in reading.runs] == ["b"] and "a.jsonl: the gzip archive cannot" in reading.errors[0]


def test_a_version_changes_with_every_change(tmp_path):
    log = tmp_path / "a.csv"
    log.write_text("step,loss\n1,3\n")
    first = version(tmp_path)
    assert version(tmp_path) == first
    with log.open("a") as file:
        file.write("2")
    grown = version(tmp_path)
    (tmp_path / "b.csv").write_text("step,loss\n1,3\n")
    assert len({first, grown, version(tmp_path)}) == 3
    with pytest.raises(LogError, match="there is no such file or folder"):
        version(tmp_path / "none")


def test_a_folder_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(LogError, match="there is no such file or folder"):
        reread(tmp_path / "none")
    with pytest.raises(LogError, match="no files to read"):
        reread(tmp_path)
    (tmp_path / "a.csv").write_text("step,lo")
    assert not reread(tmp_path).runs


def test_pipes_devices_and_links_out_of_the_folder_are_not_read(tmp_path):
    folder, elsewhere = tmp_path / "logs", tmp_path / "secret.csv"
    folder.mkdir()
    for file in (folder / "a.csv", elsewhere):
        file.write_text("step,loss\n0,3\n1,2.5\n2,2.25\n")
    os.mkfifo(folder / "pipe.csv")
    (folder / "endless.csv").symlink_to("/dev/zero")
    (folder / "out.csv").symlink_to(elsewhere)
    (folder / "within.csv").symlink_to(folder / "a.csv")
    reading = reread(folder)
    assert [run.name for run in reading.runs] == ["a"] and reading.errors == ()
    assert [n.text for n in reading.notes] == ["1 link out of the folder not followed: out.csv."]
    with pytest.raises(LogError, match=r"pipe\.csv: a log must be an ordinary file, this is not one\."):
        reread(folder / "pipe.csv")
