"""Bands: they agree with refits and with repeated noise, scale with it, and widen where laws disagree."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import LAWS, Average, Fit, fit, parse, predict, refits, tuned, with_bands
from optlaws_core.errors import DesignError, OptLawsError
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting.covariance import QUANTILE, covariance
from optlaws_core.fitting.least_squares import HUBER
from optlaws_core.fitting.selection import select
from optlaws_core.prediction.error_terms import LEFT_OUT, SPREAD
from optlaws_core.runs import Series
from tests.knowledge.planted import HELD_OUT, OTHER_PEAK, PLANTED, TRAINING, twin_run

pytestmark = pytest.mark.slow

LAW = "annealing"
THETA = PLANTED[LAW]
TEXTS = (*TRAINING, OTHER_PEAK)
UNSEEN = parse(HELD_OUT)
STEPS = [500, 2000, 4000, 5200, 5600, 5999]


def planted(noise, seed=0, law=LAW):
    return [twin_run(law, text, PLANTED[law], noise, 10 * seed + i) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def runs():
    return planted(2e-3)


@pytest.fixture(scope="module")
def fitted(runs):
    return fit(LAW, runs)


@pytest.fixture(scope="module")
def judged(runs):
    return select([LAW, "power_law", "convex_bound"], runs, processes=1)


@pytest.fixture(scope="module")
def repeats():
    """Fits to thirty draws of the noise, and their bands on the unseen schedule."""
    found = []
    for seed in range(30):
        made = fit(LAW, planted(2e-3, seed), start=THETA)
        found.append(with_bands(made, UNSEEN, STEPS))
    return found


def test_a_prediction_knows_what_it_is_of(fitted, judged):
    one, several = (with_bands(model, UNSEEN) for model in (fitted, judged.average))
    assert one.laws == (LAW,) and one.schedule == several.schedule == UNSEEN.text
    assert set(several.laws) == {fit.law for fit, _ in judged.average.parts}


def test_the_parameter_band_is_what_refits_spread(fitted, runs):
    drawn = refits(fitted, runs, 60, processes=1)
    curves = [
        np.log(predict(replace(fitted, theta=dict(zip(LAWS[LAW].names, map(float, d), strict=True))), UNSEEN, STEPS))
        for d in drawn
    ]
    told = with_bands(fitted, UNSEEN, STEPS).parameter
    assert told == pytest.approx(QUANTILE * np.std(curves, axis=0), rel=0.35)


@pytest.mark.slow
def test_the_parameter_band_holds_the_truth_nine_times_in_ten(repeats):
    from tests.knowledge.twins import TWINS

    truth = TWINS[LAW](UNSEEN(np.arange(UNSEEN.total + 1)), np.array(STEPS), **THETA)
    inside = []
    for one in repeats:
        low, high = one.band(one.parameter)
        inside.append((low <= truth) & (truth <= high))
    assert 0.75 <= np.mean(inside) < 1


def test_the_parameter_band_is_what_repeated_noise_spreads(repeats):
    spread = np.std([np.log(one.loss) for one in repeats], axis=0)
    assert QUANTILE * spread == pytest.approx(np.mean([one.parameter for one in repeats], axis=0), rel=0.45)


def test_the_band_scales_with_the_noise():
    narrow, wide = (with_bands(fit(LAW, planted(noise)), UNSEEN, STEPS).parameter for noise in (2e-4, 2e-3))
    assert wide / narrow == pytest.approx(10, rel=0.3)


def test_the_prediction_band_holds_the_parameter_band(judged):
    for model in (*judged.fits, judged.average):
        told = with_bands(model, UNSEEN, STEPS)
        assert (told.prediction > told.parameter).all()
        (low, high), (inner_low, inner_high) = told.band(told.prediction), told.band(told.parameter)
        assert (low < inner_low).all() and (inner_low <= told.loss).all() and (inner_high < high).all()
        np.testing.assert_array_equal(told.loss, predict(model, UNSEEN, STEPS))


def test_what_a_prediction_band_is_made_of(judged):
    one = judged[LAW]
    told = with_bands(one, UNSEEN, STEPS)
    own = np.hypot(one.misfit, LEFT_OUT * one.left_out)
    np.testing.assert_allclose(told.prediction, np.hypot(told.parameter, QUANTILE * own))


def test_without_left_out_runs_there_is_no_prediction_band(fitted, runs):
    assert fitted.left_out is None and with_bands(fitted, UNSEEN).prediction is None
    by_hand = tuned(fitted, fitted.theta, runs)
    told = with_bands(by_hand, UNSEEN)
    assert told.prediction is None and told.parameter is None and by_hand.expected_error == np.inf


def test_fewer_points_than_coefficients_give_no_band(runs):
    """What is not known is not certain."""
    few = [replace(r, series={"train": Series(r.steps[:3], r.loss[:3])}) for r in runs[:1]]
    told = with_bands(fit(LAW, few), UNSEEN)
    assert told.parameter is None and told.prediction is None


def test_laws_that_disagree_widen_the_band_of_their_average(fitted):
    near, far = (replace(fitted, theta=fitted.theta | {"L0": fitted.theta["L0"] + up}) for up in (0.0, 0.2))
    alike, apart = (
        Average((near, other), (0.5, 0.5), near.train, {}, misfit=1e-3, left_out=1e-3) for other in (near, far)
    )
    same, wide = (with_bands(model, UNSEEN, STEPS) for model in (alike, apart))
    gap = np.log(predict(far, UNSEEN, STEPS) / predict(near, UNSEEN, STEPS)) / 2
    np.testing.assert_allclose(wide.prediction, np.hypot(QUANTILE * SPREAD * gap, same.prediction), rtol=0.02)
    alone = with_bands(replace(near, misfit=1e-3, left_out=1e-3), UNSEEN, STEPS)
    np.testing.assert_allclose(same.prediction, alone.prediction)


def test_a_law_of_no_weight_is_not_asked(fitted):
    absurd = replace(fitted, theta=fitted.theta | {"L0": -50.0})
    model = Average((fitted, absurd), (1.0, 0.0), fitted.train, {}, misfit=1e-3, left_out=1e-3)
    assert with_bands(model, UNSEEN).loss == pytest.approx(predict(fitted, UNSEEN), rel=1e-14)


def test_locked_coefficients_have_no_band(runs):
    locked = fit(LAW, runs, locked=THETA)
    assert locked.free == () and (with_bands(locked, UNSEEN, STEPS).parameter == 0).all()


@pytest.mark.parametrize("law", [LAW, "opt_laws_curve", "opt_laws_sublinear", "multi_power", "forward_momentum"])
def test_a_band_before_the_first_rate_is_finite(law):
    told = with_bands(fit(law, planted(1e-3, law=law)), UNSEEN, [0, 1, 2])
    assert np.isfinite(told.parameter).all() and np.isfinite(told.loss).all()


def test_a_coefficient_on_its_bound_has_no_variance():
    flat = [twin_run("power_law", text, dict(L_inf=0.0, A=30.0, alpha=0.2), 1e-4) for text in TRAINING]
    found = fit("power_law", [r.after(0) for r in flat])
    covariance = np.array(found.covariance)
    at = found.free.index("L_inf")
    assert "On its bound: L_inf" in found.message
    assert (covariance[at] == 0).all() and (covariance[:, at] == 0).all() and (np.diag(covariance) > 0).sum() == 2
    assert 0 < with_bands(found, UNSEEN).parameter[0] < 0.1


def test_a_coefficient_without_effect_on_the_runs_has_no_variance():
    """Two constant runs say nothing of the noise that a lower rate would not make."""
    constants, law = ("constant(peak=3e-4, total=4000)", "constant(peak=3e-4, total=3000)"), "scaling_collapse"
    found = fit(law, [twin_run(law, text, PLANTED[law], 1e-3, i) for i, text in enumerate(constants)])
    covariance = np.array(found.covariance)
    at = found.free.index("V")
    assert found.interval["V"] is None and covariance[at, at] < 1e-6 and np.isfinite(covariance).all()
    assert with_bands(found, parse(constants[0])).parameter[0] < 0.01


def test_a_coefficient_without_slope_leaves_the_others_alone():
    random = np.random.default_rng(0)
    J, r, slices = random.standard_normal((200, 2)), 1e-3 * random.standard_normal(200), [slice(0, 200)]
    alone, _ = covariance(r, J, slices, HUBER)
    beside, blind = covariance(r, np.insert(J, 1, 0.0, axis=1), slices, HUBER)
    assert blind.tolist() == [False, True, False] and (beside[1] == 0).all()
    np.testing.assert_allclose(beside[np.ix_([0, 2], [0, 2])], alone, rtol=1e-12)


def test_a_covariance_is_that_of_least_squares_for_small_white_noise():
    """Noise far below δ: Huber's loss is that of squares, whose covariance is σ² (JᵀJ)⁻¹."""
    random = np.random.default_rng(0)
    J, r = random.standard_normal((4000, 2)), 1e-5 * random.standard_normal(4000)
    found, _ = covariance(r, J, [slice(i, i + 100) for i in range(0, 4000, 100)], HUBER)
    assert np.diag(found) == pytest.approx(1e-10 * np.diag(np.linalg.inv(J.T @ J)), rel=0.25)


def test_a_spectrum_has_a_narrow_band_on_its_own_runs():
    some = planted(1e-3, law="noisy_quadratic")
    found = fit("noisy_quadratic", some)
    for run in some:
        half = with_bands(found, run.plan, run.steps).parameter
        assert (half > 0).all() and half.max() < 0.03


def test_covariances_are_symmetric_and_without_negative_variance(judged):
    for one in judged.fits:
        C = np.array(one.covariance)
        assert C.shape == (len(one.free),) * 2 and (np.diag(C) >= 0).all()
        np.testing.assert_allclose(C, C.T, atol=1e-9 * np.abs(C).max())


def test_a_band_survives_its_file(judged, tmp_path):
    for model in (judged[LAW], judged.average):
        model.save(tmp_path / "model.json")
        back = load_fit(tmp_path / "model.json")
        before, after = (with_bands(m, UNSEEN, STEPS) for m in (model, back))
        assert after.parameter.tobytes() == before.parameter.tobytes()
        assert after.prediction.tobytes() == before.prediction.tobytes()


def test_a_fit_from_before_there_were_bands_reads_as_one_without(judged):
    whole = judged[LAW].to_dict()
    for key in ("free", "covariance", "misfit", "left_out"):
        del whole[key]
    old = Fit.from_dict(whole)
    told = with_bands(old, UNSEEN)
    assert (old.free, old.covariance, old.misfit, old.left_out) == ((), (), None, None)
    assert told.prediction is None and told.parameter == [0.0] and old.expected_error == np.inf


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("free", ["x"], "free must name coefficients of the law, each once, got .'x'."),
        ("free", ["C", "C"], "free must name coefficients of the law, each once"),
        ("free", 3, "This is not a fit: a value"),
        ("free", [["C"]], "This is not a fit: a value"),
        ("free", ["C"], "covariance must have 1 rows of 1 numbers"),
        ("covariance", [[1.0]], "covariance must have 5 rows of 5 numbers, as free has names"),
        ("covariance", None, "This is not a fit: a value"),
        ("misfit", -0.1, "misfit must be 0 or more, got -0.1"),
        ("left_out", True, "left_out must be a finite number"),
    ],
)
def test_a_tampered_band_is_refused(judged, key, value, said):
    with pytest.raises(OptLawsError, match=said):
        Fit.from_dict(judged[LAW].to_dict() | {key: value})


def test_what_cannot_be_predicted_has_no_band(fitted):
    with pytest.raises(DesignError, match="between 0 and the schedule's total of 6,000, got 6001"):
        with_bands(fitted, UNSEEN, [6001])
    with pytest.raises(DesignError, match="gives an impossible loss, -"):
        with_bands(replace(fitted, theta=fitted.theta | {"L0": -50.0}), UNSEEN)
