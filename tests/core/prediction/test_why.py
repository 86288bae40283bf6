"""Why a schedule is ahead: the crossing against a scan of every update, what a final rate adds, the user's own runs."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Average, Plan, Run, parse, predict
from optlaws_core.fitting.result import Scores
from optlaws_core.prediction.losses import predict_each
from optlaws_core.prediction.why import crossing, why
from optlaws_core.runs import Series
from tests.core.prediction.test_losses import made

COSINE = "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)"
WSD = "wsd(peak=1e-3, warmup=50, total=1000, decay=200)"
LINEAR = "linear(peak=1e-3, warmup=50, total=1000)"
FLOORED = "wsd(peak=1e-3, warmup=50, total=1000, decay=200, final=1e-4)"
SCORES = Scores(9, 1e-3, 1e-3, 1, 0, 0)
MODEL = replace(made(), train={"a wsd": SCORES, "a cosine": SCORES})


def ended(name, text, loss, params=None, batch=None):
    plan = Plan(parse(text), params, batch)
    return Run(name, plan, {"train": Series(np.array([500, 999]), np.array([3.0, loss]))}, "train", "declared")


def ahead(one: str, other: str):
    """The two in the order of their predicted final losses."""
    return sorted((parse(one), parse(other)), key=lambda schedule: predict(MODEL, schedule)[0])


@pytest.mark.parametrize(
    "pair", [(WSD, COSINE), (COSINE, "constant(peak=1e-3, warmup=50, total=1000)"), (FLOORED, WSD)]
)
def test_the_crossing_is_that_of_a_scan_of_every_update(pair):
    best, other = ahead(*pair)
    steps = np.arange(50, 1000)
    behind = steps[predict(MODEL, best, steps) >= predict(MODEL, other, steps)]
    found = crossing(MODEL, best, other)
    assert found == (behind[-1] + 1 if len(behind) else None)


def test_curves_of_averages_are_compared_at_few_steps(monkeypatch):
    asked = []
    monkeypatch.setattr("optlaws_core.prediction.why.predict_each", lambda *of: asked.append(of) or predict_each(*of))
    best, other = (parse(f"rate={text}; average=ema(20)") for text in (WSD, COSINE))
    best, other = sorted((best, other), key=lambda schedule: predict(MODEL, schedule)[0])
    found = crossing(MODEL, best, other)
    assert predict(MODEL, best, [found - 1]) >= predict(MODEL, other, [found - 1])
    assert predict(MODEL, best, [found]) < predict(MODEL, other, [found])
    assert sum(len(steps) for _, of in asked for _, steps in of) <= 140


def test_whoever_is_ahead_early_on_is_told_with_when_half_of_its_lead_is_won():
    best, other = ahead(COSINE, "constant(peak=1e-3, warmup=50, total=1000)")
    assert (crossing(MODEL, best, other) or 0) < 100
    steps = np.arange(50, 1000)
    ahead_by = predict(MODEL, other, steps) - predict(MODEL, best, steps)
    half = steps[ahead_by <= ahead_by[-1] / 2][-1] + 1
    said = why(MODEL, best, other, "the constant")
    assert f"It is ahead from early on, and wins half of its lead after update {half}." in said
    assert not any("falls below" in sentence for sentence in said)


def test_a_lower_final_rate_is_told_from_the_rest_of_the_lead():
    model = replace(MODEL, theta=MODEL.theta | {"A0": 3e5})  # so noisy that the last updates count
    best, other = parse(WSD), parse(FLOORED.replace("decay=200", "decay=190"))
    gap = predict(model, other)[0] - predict(model, best)[0]
    part = predict(model, parse(FLOORED))[0] - predict(model, best)[0]
    assert 0.05 * gap < part < gap
    runs = [ended("a wsd", FLOORED, 2.9), ended("a cosine", COSINE, 2.95)]
    (said,) = (s for s in why(model, best, other, "the short WSD", runs) if "final rates" in s)
    assert said == (
        f"Their final rates differ (0 and 1e-4): {part:.4f} of its lead of {gap:.4f} comes from that; no run of the "
        "fit ended below 1e-4."
    )
    ran = why(model, best, other, "the short WSD", [*runs, ended("a wsd", WSD, 2.9)])
    assert said.split(";")[0] + "." in ran
    longer = parse(WSD.replace("decay=200", "decay=190"))
    assert not any("final rates" in s for s in why(model, best, longer, "another with its final rate"))
    flat = parse("constant(peak=1e-3, warmup=50, total=1000)")
    assert not any("final rates" in s for s in why(model, best, flat, "a rate that never falls"))
    all_of_it = why(model, best, parse(FLOORED), "itself but for the floor")
    assert any("(0 and 1e-4): all of its lead of" in s for s in all_of_it)


def test_final_rates_that_differ_are_told_also_where_they_add_nothing_or_hold_the_best_back():
    calm = replace(MODEL, theta=MODEL.theta | {"A0": 0.0, "A1": 0.0})  # the rate alone counts, and more of it is better
    for model in (MODEL, calm):
        best, other = sorted(map(parse, (WSD, COSINE)), key=lambda s: predict(model, s)[0])
        (said,) = (s for s in why(model, best, other, "the other") if s.startswith("Their final rates differ"))
        part = predict(model, replace(best, final=float(other(1000))))[0] - predict(model, best)[0]
        gap = predict(model, other)[0] - predict(model, best)[0]
        much = "almost nothing" if abs(part) < 0.05 * gap else f"{abs(part):.4f}"
        assert much in said or "all of its lead" in said and part >= gap


@pytest.mark.parametrize("beside", ["average=ema(20)", "weight_decay=0.1"])
def test_a_final_rate_is_told_also_of_plans_with_more_than_a_rate(beside):
    best, other = (parse(f"rate={text}; {beside}") for text in (WSD, FLOORED))
    if predict(MODEL, best)[0] > predict(MODEL, other)[0]:
        best, other = other, best
    (said,) = (s for s in why(MODEL, best, other, "the other") if s.startswith("Their final rates differ"))
    assert "all of its lead of" in said


def test_own_runs_of_both_kinds_are_held_against_each_other():
    best, other = parse(FLOORED), parse(COSINE)
    runs = [ended("a wsd", FLOORED, 2.9), ended("a cosine", COSINE, 2.95)]
    assert why(MODEL, best, other, "the cosine", runs)[-1] == (
        "Of the runs over 1,000 updates, a wsd ended at 2.9000 and a cosine at 2.9500."
    )
    for unlike in (
        ended("a cosine", COSINE.replace("1e-3", "2e-3"), 2.95),  # another peak
        ended("a cosine", COSINE.replace("1000", "1001"), 2.95),
        ended("a cosine", COSINE, 2.95, params=1e8),  # another size
        ended("a cosine", COSINE, 2.95, batch=512),  # another batch
        ended("another", COSINE, 2.95),  # not of the fit
    ):
        assert not any("ended at" in s for s in why(MODEL, best, other, "the cosine", [runs[0], unlike]))


def test_of_own_runs_with_other_final_rates_these_are_told_and_those_with_the_same_come_first():
    best, other = parse(FLOORED), parse(COSINE)
    lower = [ended("a wsd", WSD, 2.95), ended("a cosine", COSINE, 2.9)]
    assert why(MODEL, best, other, "the cosine", lower)[-1].startswith(
        "Yet of the runs over 1,000 updates, whose final rates were 0 and 1e-4, a wsd ended at 2.9500, above a cosine "
    )
    runs = [*lower, ended("a wsd", FLOORED, 2.97)]
    assert "Yet of the runs over 1,000 updates, a wsd ended at 2.9700" in why(MODEL, best, other, "it", runs)[-1]


def test_whoever_is_not_ahead_has_no_reasons():
    best, other = ahead(WSD, COSINE)
    assert why(MODEL, other, best, "the other") == [] == why(MODEL, best, best, "itself")


def test_laws_that_have_the_two_in_the_other_order_are_named():
    noisy, calm = (replace(MODEL, theta=MODEL.theta | {"A0": a, "A1": a}) for a in (3e5, 0.0))
    best, other = parse(WSD), parse("constant(peak=1e-3, warmup=50, total=1000)")
    above, below = (float(predict(m, other)[0] - predict(m, best)[0]) for m in (noisy, calm))
    assert above > -below > 1e-3
    both = Average((noisy, calm), (0.5, 0.5), {}, {}, misfit=None, left_out=None)
    said = why(both, best, other, "the constant")[0]
    assert said == (
        f"The laws disagree: it ends {-below:.4f} above the constant under {calm.title}, but {above:.4f} below under "
        f"{noisy.title}."
    )
    assert not any("disagree" in s for s in why(noisy, best, other, "the constant"))


def test_own_runs_that_went_the_other_way_say_so():
    runs = [ended("a wsd", FLOORED, 2.95), ended("a cosine", COSINE, 2.9)]
    ends = [float(predict(MODEL, run.plan, run.steps[-1:])[0]) for run in runs]
    assert why(MODEL, parse(FLOORED), parse(COSINE), "the cosine", runs)[-1] == (
        "Yet of the runs over 1,000 updates, a wsd ended at 2.9500, above a cosine at 2.9000. "
        f"The law has it {ends[1] - ends[0]:.4f} below."
    )


def test_runs_that_went_the_other_way_because_of_their_final_rates_speak_against_nothing():
    noisy = replace(MODEL, theta=MODEL.theta | {"A0": 3e5})
    high, low = (COSINE.replace("final=1e-4", f"final={final}") for final in ("8e-4", "0"))
    runs = [ended("a wsd", FLOORED.replace("1e-4", "8e-4"), 2.95), ended("a cosine", low, 2.9)]
    ends = [float(predict(noisy, run.plan, run.steps[-1:])[0]) for run in runs]
    assert ends[0] > ends[1] and predict(noisy, parse(WSD))[0] < predict(noisy, parse(high))[0]
    assert why(noisy, parse(WSD), parse(high), "the cosine", runs)[-1].startswith(
        "Of the runs over 1,000 updates, whose final rates were 8e-4 and 0, a wsd ended at 2.9500, above a cosine at "
    )


def test_a_crossing_late_in_a_run_with_a_long_warm_up_is_told():
    best, other = (parse(text.replace("warmup=50", "warmup=450")) for text in (WSD.replace("200", "300"), LINEAR))
    if predict(MODEL, best)[0] > predict(MODEL, other)[0]:
        best, other = other, best
    step = crossing(MODEL, best, other)
    assert 550 < step < 900
    assert f"Its curve falls below that of the other at update {step:,}." in why(MODEL, best, other, "the other")
