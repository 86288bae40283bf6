"""Training runs of several peak rates: each peak is predicted by its own runs, others by all of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Plan, Run, parse, predict, select, with_bands
from optlaws_core.errors import OptLawsError
from optlaws_core.fitting.peaks import apart, shares
from optlaws_core.fitting.priors import from_fits, learned
from optlaws_core.fitting.result import Fit, model_from_dict
from optlaws_core.fitting.selection import POOL
from optlaws_core.fitting.single import first_fitted, fit, usable
from optlaws_core.laws import law_named
from optlaws_core.laws.evaluation import batch
from optlaws_core.laws.evaluation import predict as evaluated
from optlaws_core.laws.scale_free import Scale
from optlaws_core.optimize import find
from optlaws_core.optimize.limits import Limits
from optlaws_core.optimize.objective import Cells, Objective
from optlaws_core.prediction.bands import ends_with_bands
from optlaws_core.prediction.beside_runs import losses_beside
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.losses import predict_each, sized
from optlaws_core.runs import Series

PRIORS = {law: learned(law) for law in POOL}
ASKED = "wsd(peak={:g}, warmup=300, total=30000, decay=6000, shape=linear)"
TRAINED = (1e-3, 4e-3)


def run_at(peak: float, name: str, higher: float = 1.0) -> Run:
    """A WSD made by the curve law at its prior's mean, which means other coefficients at another peak."""
    law = law_named("opt_laws_curve")
    told = law.coordinates.back(np.array(learned(law).mean), Scale(peak, 15_000.0, 3.1))
    theta = np.array([p.from_scale(told.get(p.name, p.neutral)) for p in law.params], float)
    plan = Plan(parse(f"wsd(peak={peak:g}, warmup=300, total=15000, decay=3000, shape=linear)"), 1e8, 1e5)
    steps = np.arange(100, 15_000, 100)
    loss = evaluated(batch(law, [(plan, steps)]), theta) * higher
    noise = np.exp(np.random.default_rng(round(peak * 1e5)).normal(0, 1e-3, len(steps)))
    return Run(name, plan, {"train": Series(steps, loss * noise)}, "train", "declared")


@pytest.fixture(scope="module")
def runs():
    return [run_at(TRAINED[0], "low"), run_at(TRAINED[1], "high", 1.02)]


@pytest.fixture(scope="module")
def both(runs):
    return select(POOL, runs, priors=PRIORS, processes=1)


def test_a_peak_is_its_own_runs_and_an_octave_away_all_runs():
    peaks = [(1e-3, 1e-3), (4e-3, 4.02e-3)]
    np.testing.assert_allclose(shares(peaks, 1e-3), [1, 0])
    np.testing.assert_allclose(shares(peaks, 4.01e-3), [0, 1])  # runs that count as of one peak
    np.testing.assert_allclose(shares(peaks, 4.02e-3), [0, 1])
    np.testing.assert_allclose(shares(peaks, 2e-3), [0, 0], atol=1e-12)
    np.testing.assert_allclose(shares(peaks, 5e-4), [0, 0], atol=1e-12)
    np.testing.assert_allclose(shares(peaks, 8.04e-3 / np.sqrt(2)), [0, 0.5])
    np.testing.assert_allclose(shares([(1e-3, 1e-3), (2e-3, 2e-3)], np.sqrt(2) * 1e-3), [0.5, 0.5])  # an octave apart
    assert shares([], 1e-3).tolist() == []


def test_shares_jump_nowhere():
    grid = np.geomspace(4e-4, 1.2e-2, 2_001)
    found = np.array([shares([(1e-3, 1e-3), (1.7e-3, 1.71e-3), (4e-3, 4e-3)], p) for p in grid])
    assert (found >= 0).all() and (found.sum(axis=1) <= 1 + 1e-12).all()
    assert np.abs(np.diff(found, axis=0)).max() < 0.01  # 400 rates an octave


def test_runs_are_parted_by_peak(runs):
    near = runs[0].renamed("near")
    near = replace(near, plan=replace(near.plan, schedule=parse(ASKED.format(1.005e-3))))
    found = apart([runs[1], near, runs[0]])
    assert [[r.name for r in some] for some in found] == [["low", "near"], ["high"]]


def test_a_run_at_another_peak_changes_no_digit_at_this_one(runs, both):
    alone = select(POOL, runs[:1], priors=PRIORS, processes=1).average
    asked = parse(ASKED.format(TRAINED[0]))
    np.testing.assert_array_equal(predict(both.average, asked), predict(alone, asked))
    assert both.average.train["low"] == alone.train["low"]
    assert with_bands(both.average, asked).parameter == with_bands(alone, asked).parameter
    said = both.average.fits[0].notes
    assert any("The training runs have 2 peak rates (1e-3, 4e-3)." in note for note in said)


def test_where_a_fit_begins_is_found_for_each_peak(runs):
    late = runs[1]
    rising = late.loss * (1 + 0.3 * np.exp(-late.steps / 800.0))
    late = replace(late, series={"train": Series(late.steps, rising)})
    begins = first_fitted([runs[0], late])
    assert begins["low"] == first_fitted(runs[:1])["low"] < 3_000 < begins["high"]
    found = fit("opt_laws_curve", [runs[0], late], prior=learned("opt_laws_curve"))
    assert [f.begin for f in found.by_peak] == list(begins.values()) and found.begin == begins["high"]


def test_a_peak_that_no_run_had_is_less_sure(both):
    wide = [with_bands(both.average, parse(ASKED.format(p))).prediction[0] for p in (1e-3, 1.3e-3, 2e-3, 3e-3, 4e-3)]
    assert min(wide[1:4]) > max(wide[0], wide[4])
    far = [with_bands(both.average, parse(ASKED.format(p))).prediction[0] for p in (8e-3, 1.6e-2, 3.2e-2)]
    assert far[0] < far[1] < far[2]


def test_bands_and_differences_have_the_same_variance_at_every_peak(both):
    plans = [parse(ASKED.format(p)) for p in (5e-4, 1e-3, 1.3e-3, 2e-3, 4e-3, 9e-3)]
    found = joint(both.average, plans)
    bands = [with_bands(both.average, p) for p in plans]
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)) * 1.6448536, [b.prediction[0] for b in bands], 1e-6)
    assert np.linalg.eigvalsh(found.covariance).min() > 0
    np.testing.assert_allclose(np.exp(found.log_loss), [b.loss[0] for b in bands], rtol=1e-12)


def test_what_is_predicted_at_once_is_what_is_predicted_alone(both):
    """To the last digit, whichever fits have a say."""
    plans = [parse(ASKED.format(p)) for p in (4e-3, 5e-4, 1e-3, 1.3e-3)] + [parse("cosine(peak=4e-3, total=9000)")]
    asked = [(plan, at) for plan in plans for at in (None, [500, 8000, 8999])]
    for found, (plan, at) in zip(predict_each(both.average, asked), asked, strict=True):
        assert np.array_equal(found, predict(both.average, plan, at))
    for found, plan in zip(ends_with_bands(both.average, plans), plans, strict=True):
        alone = with_bands(both.average, plan)
        assert [found.loss, found.parameter, found.prediction] == [alone.loss, alone.parameter, alone.prediction]
        assert (found.laws, found.schedule, found.updates) == (alone.laws, alone.schedule, alone.updates)


@pytest.mark.parametrize("peak", [5e-4, 1e-3, 1.3e-3, 2e-3, 4e-3])
def test_the_search_for_a_schedule_sees_what_is_predicted(both, peak):
    objective = Objective.of(both.average, Limits(peak=peak, warmup=300, total=30_000))
    asked = parse(ASKED.format(peak))
    assert np.exp(objective.of_schedule(asked)) == pytest.approx(predict(both.average, asked)[0], rel=1e-5)


@pytest.fixture(scope="module")
def alone(runs):
    law = "opt_laws_curve"
    return fit(law, runs[:1], test=runs[1:], prior=PRIORS[law])


BESIDE = "; average=ema(50)"


@pytest.mark.parametrize("beside", ["", BESIDE])
def test_rates_of_another_peak_count_with_the_root_of_the_ratio(alone, beside):
    asked, between = ("{}" + ASKED.format(peak) + "{}" for peak in (4e-3, 2e-3))
    ends = ("rate=", beside) if beside else ("", "")
    other, half_way = (parse(text.format(*ends)) for text in (asked, between))
    as_they_are = replace(alone, peak_power=1.0)
    np.testing.assert_allclose(predict(alone, other), predict(as_they_are, half_way), rtol=1e-12)
    assert predict(alone, other) != predict(as_they_are, other)
    own = parse(ASKED.format(TRAINED[0]))
    assert predict(alone, own) == predict(as_they_are, own)


def test_whoever_asks_of_another_peak_hears_the_same(alone, runs):
    schedule, limits = parse(ASKED.format(2e-3)), Limits(total=30_000, peak=2e-3, warmup=300)
    told = float(predict(alone, schedule)[0])
    assert np.exp(Objective.of(alone, limits).of_schedule(schedule)) == pytest.approx(told, rel=1e-5)
    assert with_bands(alone, schedule).loss[0] == told
    other = usable(runs[1], alone.first_step)
    seen = predict(alone, other.plan, other.steps)
    assert alone.test["high"].rmse == pytest.approx(float(np.sqrt(np.mean((seen - other.loss) ** 2))), rel=1e-9)
    np.testing.assert_allclose(losses_beside(alone, [other])["high"], seen, rtol=1e-12)


def test_the_slope_of_the_search_at_another_peak_is_that_of_what_it_judges(alone):
    objective, schedule = (
        Objective.of(alone, Limits(total=3_000, peak=2e-3, warmup=300)),
        parse("wsd(peak=2e-3, warmup=300, total=3000, decay=600, shape=linear)"),
    )
    cells = Cells.of(objective.limits)
    rate, step = schedule(cells.middle), 1e-8
    moved = np.where(np.arange(len(rate)) == 2_800, step, 0.0)
    rise = (objective(rate + moved, cells)[0] - objective(rate - moved, cells)[0]) / (2 * step)
    assert objective(rate, cells)[1][2_800] == pytest.approx(rise, rel=1e-4)


def test_a_stored_fit_says_what_it_said(alone):
    stored = alone.to_dict()
    assert model_from_dict(json.loads(json.dumps(stored))) == alone
    del stored["peak_power"]
    older, schedule = model_from_dict(stored), parse(ASKED.format(2e-3))
    assert predict(older, schedule) == predict(replace(alone, peak_power=1.0), schedule)


def test_a_fit_tells_what_its_law_is_given_at_another_peak(alone):
    assert "whose peak is r times 1e-3, the law is given the rates times r^−0.5" in " ".join(alone.notes)
    assert not any("times r^" in note for note in replace(alone, peak_power=1.0).notes)


@pytest.mark.parametrize("power", [-0.1, 1.5, 1e9, True, None])
def test_a_power_that_no_fit_has_is_refused(alone, power):
    with pytest.raises(OptLawsError, match="This is not a fit: peak_power must"):
        model_from_dict(alone.to_dict() | {"peak_power": power})


def test_a_peak_between_those_of_the_runs_is_told(both):
    plans = {p: parse(ASKED.format(p)) for p in (1e-3, 1.5e-3, 4e-3, 4.03e-3)}
    said = {p: [r for r in both.average.reasons(plan) if "between" in r] for p, plan in plans.items()}
    assert said[1.5e-3] == ["peak 0.0015, between those of the training runs (1e-3, 4e-3)"]
    assert not said[1e-3] and not said[4e-3] and not said[4.03e-3]


def test_a_higher_limit_finds_no_worse_curve():
    """The lower peak is the better one, so a limit between the two, or at the higher one, must not cost anything."""
    model = select(POOL, [run_at(1e-3, "low"), run_at(2e-3, "high", 1.05)], priors=PRIORS, processes=1).average
    ends = [find(model, Limits(peak=p, warmup=300, total=15_000)) for p in (1e-3, 1.4e-3, 2e-3)]
    assert ends[0].best.loss >= ends[1].best.loss - 1e-6 >= ends[2].best.loss - 2e-6
    assert all(found.best.loss <= found.simple.loss * (1 + 1e-6) for found in ends)


def test_fits_by_peak_survive_a_file_new_names_and_a_size(both):
    again = model_from_dict(json.loads(json.dumps(both.average.to_dict())))
    assert again == both.average and [len(f.by_peak) for f in again.fits] == [2, 2]
    named = both.average.renamed(lambda n: n.upper(), lambda s: s)
    assert [list(f.train) for f in named.fits[0].by_peak] == [["LOW"], ["HIGH"]]
    assert set(named.fits[0].train) == {"LOW", "HIGH"}
    told = sized(both.average, 2e8)
    assert {f.coverage.asked for f in told.members} == {(2e8, None)}


def test_a_file_with_fits_of_another_law_by_peak_is_refused(both):
    plain = both.average.fits[0].to_dict()
    plain["by_peak"][0]["law"] = "power_law"
    with pytest.raises(OptLawsError, match="This is not a fit"):
        Fit.from_dict(plain)


def test_each_peak_is_a_setting_that_a_prior_learns_from(both):
    one = next(f for f in both.average.fits if f.law == "opt_laws_curve")
    found, apart = from_fits("opt_laws_curve", [one]), from_fits("opt_laws_curve", [*one.by_peak])
    assert (found.mean, found.covariance) == (apart.mean, apart.covariance)
    assert (found.source, apart.source) == ("from an earlier fit of yours", "from 2 earlier fits of yours")


def test_order_and_names_change_no_digit(runs, both):
    swapped = [runs[1].renamed("a"), runs[0].renamed("b")]
    found = select(POOL, swapped, priors=PRIORS, processes=1).average
    for p in (7e-4, 1e-3, 1.3e-3, 2e-3):
        asked = parse(ASKED.format(p))
        np.testing.assert_array_equal(predict(found, asked), predict(both.average, asked))


def test_without_a_prior_all_peaks_share_their_coefficients(runs):
    found = fit("power_law", runs)
    assert found.by_peak == () and found.parts_at(1e-3) == ((found, 1.0),)
