"""Predictions and rankings: order, differences, what a better schedule saves, what counts as extrapolation."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from optlaws_core import LAWS, Coverage, DesignError, Fit, Ranked, Status, fit, parse, predict, rank, updates_for
from optlaws_core.fitting.coverage import outside
from optlaws_core.laws.evaluation import batch
from optlaws_core.laws.evaluation import predict as evaluate
from optlaws_core.prediction import losses as prediction
from optlaws_core.prediction.bands import with_bands
from optlaws_core.prediction.divergence import Risk, learn_risk
from optlaws_core.runs import MOST_UPDATES, Plan, Run, Series
from optlaws_core.schedules import Constant
from tests.knowledge.twins import THETAS

# Round numbers near those that the laws take on real runs; not a fit of anything.
THETA = {
    "opt_laws_curve": {"L_inf": 2.6, "A": 0.2, "q": 0.5, "A0": 3e4, "A1": 3e4, "c": 1e3, "rho": 1.2, "D": 0.0},
    "power_law": {"L_inf": 2.0, "A": 30.0, "alpha": 0.5},
}
SHAPES = [
    "constant(peak=1e-3, warmup=50, total=1000)",
    "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)",
    "linear(peak=1e-3, warmup=50, total=1000)",
    "wsd(peak=1e-3, warmup=50, total=1000, decay=200)",
    "wsd(peak=1e-3, warmup=50, total=1000, decay=200, shape=1-sqrt)",
    "step(peak=1e-3, warmup=50, total=1000, boundaries=[800], values=[1e-4])",
    "knots(steps=[0, 800, 1000], values=[1e-3, 1e-3, 0], warmup=50)",
]


def made(law: str = "opt_laws_curve", **changes) -> Fit:
    """A fit record with chosen coefficients."""
    names = LAWS[law].names
    theta = {n: THETA[law][n] for n in names}
    return Fit(
        law=law,
        theta=theta | changes,
        interval=dict.fromkeys(names),
        status=Status.tuned,
        message="",
        objective=0.0,
        train={},
        coverage=Coverage((1e-3, 1e-3), (500, 1000)),
    )


TOGETHER = 200  # horizons that the law is asked for at once


def scanned(fit: Fit, shape, loss: float) -> int | None:
    """The slow twin of `updates_for`: every horizon, from its own down to the first that ends above."""
    for highest in range(shape.total, shape.warmup, -TOGETHER):
        horizons = range(highest, max(highest - TOGETHER, shape.warmup), -1)
        plans = [Plan(shape.rescaled(total)) for total in horizons]
        ends = evaluate(batch(LAWS[fit.law], [(p, np.array([p.schedule.total - 1])) for p in plans]), fit.vector)
        above = np.flatnonzero(ends > loss)
        if len(above):
            total = horizons[above[0]]
            return total + 1 if total < shape.total else None
    return None


def test_a_prediction_is_that_of_the_law():
    fit, schedule, steps = made(), parse(SHAPES[1]), [60, 400, 999]
    expected = evaluate(batch(LAWS[fit.law], [(Plan(schedule), np.array(steps))]), fit.vector)
    np.testing.assert_array_equal(predict(fit, schedule, steps), expected)
    np.testing.assert_array_equal(predict(fit, schedule), expected[-1:])  # the last update by default
    np.testing.assert_array_equal(predict(fit, Plan(schedule), 999), expected[-1:])


def test_rank_goes_from_the_lowest_final_loss_up():
    fit, schedules = made(), [parse(s) for s in SHAPES]
    ranked = rank(fit, schedules)
    assert sorted(s.text for s in schedules) == sorted(r.schedule.text for r in ranked)
    finals = [r.final_loss for r in ranked]
    assert finals == sorted(finals)
    for r in ranked:
        assert r.final_loss == predict(fit, r.schedule)[0]
        assert r.delta == r.final_loss - finals[0]


def test_the_order_of_the_input_does_not_matter_except_among_equals():
    fit, schedules = made(), [parse(s) for s in SHAPES[:6]]
    assert rank(fit, schedules) == rank(fit, schedules[::-1])
    equal = rank(made("power_law"), schedules)  # a law of the step alone tells no schedules of one horizon apart
    assert [r.schedule for r in equal] == schedules
    assert {r.delta for r in equal} == {0.0}
    assert [r.saved_updates for r in equal] == [None, 0, 0, 0, 0, 0]


def test_none_and_one_candidate():
    assert rank(made(), []) == []
    (only,) = rank(made(), [parse(SHAPES[0])])
    assert (only.delta, only.saved_updates, only.reasons) == (0.0, None, ())


@pytest.mark.parametrize("text", [s for s in SHAPES if not s.startswith("constant")])
def test_saved_updates_are_those_of_a_scan_over_all_horizons(text):
    fit, best, other = made(), parse(text), parse(SHAPES[0])
    ranked = rank(fit, [other, best])
    assert ranked[0].schedule == best
    needed = scanned(fit, best, ranked[1].final_loss)
    assert 50 < needed < 1000
    assert ranked[1].saved_updates == other.total - needed


def test_saved_updates_close_the_gap():
    fit, best, other = made(), parse(SHAPES[3]), parse(SHAPES[1])
    needed = updates_for(fit, best, loss := float(predict(fit, other)[0]))
    assert predict(fit, best.rescaled(needed))[0] <= loss < predict(fit, best.rescaled(needed - 1))[0]


@pytest.mark.slow
def test_a_best_candidate_that_is_only_longer_saves_a_negative_number():
    fit, longer, shorter = made(), parse("constant(peak=1e-3, warmup=50, total=6000)"), parse(SHAPES[3])
    first, second = rank(fit, [shorter, longer])
    assert first.schedule == longer
    assert second.saved_updates == shorter.total - scanned(fit, longer, second.final_loss) < 0


def test_a_longer_best_candidate_is_measured_at_the_others_loss():
    fit, best, other = made(), parse(SHAPES[3].replace("1000", "2000")), parse(SHAPES[0])
    ranked = rank(fit, [best, other])
    assert ranked[1].saved_updates == 1000 - scanned(fit, best, ranked[1].final_loss)


def test_more_loss_is_reached_with_fewer_updates():
    fit, shape = made(), parse(SHAPES[4])
    losses = np.linspace(predict(fit, shape)[0], predict(fit, shape.rescaled(200))[0], 25)
    needed = [updates_for(fit, shape, loss) for loss in losses]
    assert needed[0] == 1000
    assert needed == sorted(needed, reverse=True)


def test_a_loss_out_of_reach_has_no_horizon():
    fit, shape = made(), parse(SHAPES[1])
    assert updates_for(fit, shape, float(predict(fit, shape)[0]) - 1e-6) is None  # not even at its own
    assert updates_for(fit, shape, 100.0) is None  # lower than that as soon as the warm-up is over


def test_a_shape_that_cannot_be_shortened_far_enough_saves_nothing_that_can_be_told():
    crowded = parse("step(peak=1e-3, warmup=50, total=1000, boundaries=[996, 998], values=[1e-4, 1e-5])")
    assert updates_for(made(), crowded, float(predict(made(), crowded)[0]) + 0.2) is None
    ample = parse("step(peak=1e-3, warmup=50, total=1000, boundaries=[700, 998], values=[1e-4, 1e-5])")
    loss = float(predict(made(), ample)[0]) + 0.002
    assert updates_for(made(), ample, loss) == scanned(made(), ample, loss)


def test_a_best_candidate_whose_warm_up_outlasts_the_others():
    fit = made()
    ranked = rank(fit, [parse("linear(peak=1e-3, warmup=900, total=1000)"), parse("constant(peak=1e-3, total=20)")])
    assert ranked[0].schedule.total == 1000
    assert ranked[1].saved_updates is None  # after 900 updates of warm-up it ends lower already


def test_it_takes_a_handful_of_rounds(monkeypatch):
    from optlaws_core.prediction import losses as prediction

    calls = []
    monkeypatch.setattr(prediction, "evaluate", lambda *a: calls.append(1) or evaluate(*a))
    shape = parse("cosine(peak=1e-3, warmup=500, total=1000000)")
    assert updates_for(made(), shape, float(predict(made(), shape)[0]) + 0.01) is not None
    assert len(calls) <= 6  # the end that is asked for among them


@pytest.mark.parametrize(
    "text, reasons",
    [
        ("constant(peak=1e-3, total=1000)", 0),
        ("constant(peak=1.009e-3, total=1009)", 0),  # within the slack of 1 %
        ("constant(peak=1.02e-3, total=1000)", 1),
        ("constant(peak=5e-4, total=1000)", 1),
        ("constant(peak=1e-3, total=1011)", 1),
        ("constant(peak=2e-3, total=2000)", 2),
        ("constant(peak=1e-3, total=20)", 1),
    ],
)
def test_what_training_runs_do_not_cover_is_extrapolation(text, reasons):
    schedule = parse(text)
    found = outside(made().coverage, schedule)
    assert len(found) == reasons
    assert rank(made(), [schedule])[0].extrapolates is bool(reasons)


def test_reasons_name_both_numbers():
    two = Coverage((1e-3, 2e-3), (500, 1000))
    assert outside(two, parse("constant(peak=4e-3, total=2500)")) == (
        "peak 4e-3, the training runs had 1e-3 to 2e-3",
        "2,500 updates, the longest training run had 1,000",
    )


def test_another_model_size_or_batch_than_the_training_runs_is_extrapolation():
    covered = Coverage((1e-3, 1e-3), (500, 1000), (1e6, 2e6), (512.0, 512.0))
    schedule = parse("constant(peak=1e-3, total=1000)")
    assert outside(covered, schedule) == outside(covered, Plan(schedule, 1.5e6, 512)) == ()
    assert outside(covered, Plan(schedule, 7e9, 4e6)) == (
        "7B parameters, the training runs had 1M to 2M",
        "4M tokens per update, the training runs had 512",
    )
    law = replace(made(), coverage=covered)
    asked = prediction.sized(law, 7e9)
    assert rank(asked, [schedule])[0].reasons == ("7B parameters, the training runs had 1M to 2M",)
    assert not rank(prediction.sized(law, 1e6, 512), [schedule])[0].extrapolates
    assert asked.to_dict() == law.to_dict()  # what was asked for is not part of the fit


def test_a_text_is_no_schedule():
    sentence = r"^A prediction needs a schedule, got 'constant\(peak=1\)'; parse\(text\) makes one of its text form\.$"
    for call in (predict, lambda law, text: rank(law, [text])):
        with pytest.raises(DesignError, match=sentence):
            call(made(), "constant(peak=1)")


def test_what_cannot_be_predicted_is_said():
    with pytest.raises(DesignError, match="at most 1,000,000,000 updates, got 1,000,000,001 in constant"):
        predict(made(), parse(f"constant(peak=1e-3, total={MOST_UPDATES + 1})"))
    with pytest.raises(DesignError, match="has no finite loss for constant"):
        rank(made(A=1e308), [parse("constant(peak=1e-6, total=1)")])
    with pytest.raises(DesignError, match="between 0 and the schedule's total of 1,000, got 1001"):
        predict(made(), parse(SHAPES[0]), [1001])


def test_a_ranking_is_json_once_its_schedules_are_texts():
    for r in rank(made(), [parse(s) for s in SHAPES]):
        plain = asdict(replace(r, schedule=None)) | {"schedule": r.schedule.text}
        assert json.loads(json.dumps(plain, allow_nan=False))["saved_updates"] == r.saved_updates
        assert isinstance(r, Ranked)


def sized(params: float | None, batch: float | None, name: str = "run") -> Run:
    plan = Plan(parse(SHAPES[0]), params, batch)
    steps = np.arange(100, plan.schedule.total, 20)
    loss = 1.7 + (400 * (params or 1e6) ** -0.34) + 3000 * (512.0 * (steps + 1)) ** -0.6
    return Run(name, plan, {"train": Series(steps, loss)}, lr_source="declared")


def test_a_bare_schedule_has_the_size_and_batch_of_the_training_runs():
    law = fit("chinchilla", [sized(1e6, 512.0)])
    assert law.theta["A"] == 0 and law.coverage.params == (1e6, 1e6)
    known = predict(law, Plan(parse(SHAPES[1]), 1e6, 512.0))
    assert predict(law, parse(SHAPES[1])) == known
    assert rank(law, [parse(SHAPES[1])])[0].final_loss == known[0]
    assert Fit.from_dict(law.to_dict()).coverage == law.coverage


def test_a_loss_that_nothing_has_is_refused():
    with pytest.raises(DesignError, match="gives an impossible loss, -"):
        predict(replace(made(), theta=made().theta | {"D": -1e3 * 4}), parse(SHAPES[0]))


def test_a_law_of_several_sizes_wants_to_know_which():
    law = fit("chinchilla", [sized(1e6, 512.0, "a"), sized(1e7, 512.0, "b"), sized(1e8, 512.0, "c")])
    assert law.theta["A"] != 0
    with pytest.raises(DesignError, match="several model sizes; say which one"):
        predict(law, parse(SHAPES[1]))
    small, large = (predict(law, Plan(parse(SHAPES[1]), n, 512.0))[0] for n in (1e6, 1e8))
    assert small > large


def test_runs_that_do_not_tell_their_size_or_batch():
    with pytest.raises(DesignError, match="needs the batch size in tokens"):
        fit("chinchilla", [sized(1e6, None)])
    law = fit("chinchilla", [sized(1e6, 512.0, "a"), sized(None, 512.0, "b")])
    assert law.theta["A"] == 0 and law.coverage.params is None


def test_a_stored_fit_may_know_neither(tmp_path):
    stored = fit("power_law", [sized(1e6, 512.0)]).to_dict()
    for key in ("params", "batch_tokens"):
        del stored["coverage"][key]
    assert Fit.from_dict(stored).coverage.params is None


def risk_of(sizes: tuple[float, ...] = (1e5,)) -> Risk:
    """Learned from runs that diverge from a peak of 2e-3 on."""
    plans = [Plan(Constant(float(p), warmup=50, total=1000), n) for p in np.geomspace(2e-5, 1e-1, 14) for n in sizes]
    return learn_risk(plans, [p.schedule.peak > 2e-3 for p in plans])


def test_candidates_that_are_likely_to_diverge_rank_behind_all_others():
    law = replace(made(), coverage=Coverage((1e-3, 1e-3), (500, 1000), params=(1e5, 1e5)))
    high, calm = parse("linear(peak=2e-2, warmup=50, total=1000)"), [parse(s) for s in SHAPES[:3]]
    assert rank(law, [*calm, high])[0].schedule == high and rank(law, [high])[0].risk is None  # lowest, if it lasts
    found = rank(law, [high, *calm], risk_of())
    assert [r.schedule for r in found[:3]] == [r.schedule for r in rank(law, calm)] and found[3].schedule == high
    assert found[3].apart and found[3].risk > 0.9 and found[3].delta < 0 == found[0].delta
    assert not any(r.apart for r in found[:3]) and max(r.risk for r in found[:3]) < 0.1
    assert [r.saved_updates for r in found[:3]] == [r.saved_updates for r in rank(law, calm)]
    assert rank(law, [high, *calm], risk_of(), most_risk=1.0)[0].schedule == high


@pytest.mark.parametrize("params", [None, (1e7, 1e7), (1e5, 1e6)])
def test_a_risk_is_not_told_of_sizes_that_its_runs_did_not_have(params):
    law = replace(made(), coverage=Coverage((1e-3, 1e-3), (500, 1000), params=params))
    assert [(r.risk, r.apart) for r in rank(law, [parse("linear(peak=0.8, warmup=50, total=1000)")], risk_of())] == [
        (None, False)
    ]


PLAN = "rate=constant(peak=1e-3, warmup=100, total=2000); batch=steps([0, 1000], [{}])"


def noisy_quadratic(batch_tokens) -> Fit:
    return replace(
        made(),
        law="noisy_quadratic",
        theta=LAWS["noisy_quadratic"].complete(THETAS["noisy_quadratic"][0]),
        coverage=Coverage((1e-3, 1e-3), (2000, 2000), None, batch_tokens),
    )


def test_a_batch_schedule_is_counted_in_the_training_runs_batch():
    found = [
        predict(noisy_quadratic(ends), parse(PLAN.format(sizes)))[0]
        for ends, sizes in (((1e6, 1e6), "1M, 4M"), ((2e6, 2e6), "2M, 8M"), (None, "1x, 4x"), ((2e6, 2e6), "1M, 4M"))
    ]
    assert found[0] == found[1] == found[2] != found[3]


@pytest.mark.parametrize("ends", [None, (1e6, 2e6)])
def test_a_batch_in_tokens_needs_the_training_runs_batch(ends):
    with pytest.raises(DesignError, match="no batch in common that is known"):
        predict(noisy_quadratic(ends), parse(PLAN.format("1M, 4M")))


def test_another_batch_that_is_asked_for_is_not_what_a_schedule_is_counted_in():
    told = prediction.sized(noisy_quadratic((1e6, 1e6)), batch_tokens=2e6)
    plain = predict(noisy_quadratic((1e6, 1e6)), parse(PLAN.format("1M, 4M")))
    assert np.array_equal(predict(told, parse(PLAN.format("1M, 4M"))), plain)


def test_multiples_of_another_batch_than_the_training_runs_had_are_refused():
    told = prediction.sized(noisy_quadratic((1e6, 1e6)), batch_tokens=2e6)
    with pytest.raises(DesignError, match="in multiples of 2M tokens per update, but the training runs had 1M"):
        predict(told, parse(PLAN.format("1x, 4x")))


@pytest.mark.parametrize("sizes", ["1x, 4x", "1M, 4M"])
def test_a_law_that_does_not_tell_noise_refuses_a_batch_schedule(sizes):
    told = replace(made(), coverage=Coverage((1e-3, 1e-3), (2000, 2000), None, (1e6, 1e6)))
    for asked in (predict, with_bands):
        with pytest.raises(DesignError, match="does not separate noise from slow progress"):
            asked(told, parse(PLAN.format(sizes)))


def test_a_law_that_does_not_tell_noise_takes_an_average():
    text = "rate=constant(peak=1e-3, warmup=100, total=2000); average=ema(20)"
    assert predict(made(), parse(text))[0] < predict(made(), parse("constant(peak=1e-3, warmup=100, total=2000)"))[0]
