"""The joint distribution of final losses: its diagonal is the band's, and what candidates share cancels."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import LAWS, Average, DesignError, Plan, Status, parse, predict, with_bands
from optlaws_core.fitting.covariance import QUANTILE
from optlaws_core.prediction.error_terms import ALIKE, LEFT_OUT, LENGTHS_ALIKE, SPREAD, ErrorTerms, error_terms
from optlaws_core.prediction.joint_losses import OF_SHAPE, _alike, joint
from tests.core.prediction.test_losses import SHAPES, made

PLANS = [parse(text) for text in SHAPES]
FREE = {"free": ("L_inf", "A"), "covariance": ((4e-6, 1e-6), (1e-6, 9e-4)), "status": Status.converged}


def sure(misfit=2e-3, left_out=6e-3, **changes):
    """A fit whose two coefficients and whose errors on left-out runs are known."""
    return replace(made(**changes), misfit=misfit, left_out=left_out, **FREE)


def average(*weights, misfit=2e-3, left_out=6e-3):
    fits = tuple(sure(L_inf=2.6 + 0.02 * i, A=0.2 - 0.05 * i) for i in range(len(weights)))
    return Average(fits, weights, {}, {}, misfit=misfit, left_out=left_out)


MODELS = [sure(), average(0.75, 0.25), average(0.5, 0.3, 0.2), average(1.0, 0.0)]


@pytest.mark.parametrize("model", MODELS, ids=["fit", "two laws", "three laws", "one law of two"])
@pytest.mark.parametrize("at", [None, 400])
def test_the_diagonal_is_the_variance_of_the_prediction_band(model, at):
    found = joint(model, PLANS, None if at is None else [at] * len(PLANS))
    bands = [with_bands(model, plan, at) for plan in PLANS]
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)) * QUANTILE, [b.prediction[0] for b in bands])
    np.testing.assert_allclose(np.exp(found.log_loss), [b.loss[0] for b in bands], rtol=1e-14)


@pytest.mark.parametrize("model", MODELS[:3], ids=["fit", "two laws", "three laws"])
def test_it_is_a_covariance(model):
    C = joint(model, PLANS).covariance
    np.testing.assert_allclose(C, C.T, rtol=1e-12)
    assert np.linalg.eigvalsh(C).min() > -1e-12 * C.max()
    assert (np.abs(C) <= np.sqrt(np.outer(np.diag(C), np.diag(C))) * (1 + 1e-12)).all()


def test_what_is_between_two_candidates_is_the_sum_of_what_they_share():
    """Of a fit: the coefficients' covariance through slopes taken by differences, and the schedules' error."""
    model, (a, b) = sure(), PLANS[:2]

    def slope(plan):

        law, found = LAWS[model.law], []
        for name in model.free:
            h, value = 1e-6, model.theta[name]
            up, down = (replace(model, theta=model.theta | {name: value + s * h}) for s in (1, -1))
            by_value = float(np.log(predict(up, plan)[0] / predict(down, plan)[0])) / (2 * h)
            found.append(by_value * law.params[law.names.index(name)].slope(value))
        return np.array(found)

    own = 2e-3**2 + (LEFT_OUT * 6e-3) ** 2
    C = joint(model, [a, b]).covariance
    expected = slope(a) @ np.array(model.covariance) @ slope(b) + ALIKE * own
    assert C[0, 1] == pytest.approx(expected, rel=1e-6)
    assert error_terms(model, model.coverage.peak[0]) == ErrorTerms(1.0, SPREAD**2, pytest.approx(own), 0.0)


def test_laws_that_disagree_alike_do_not_widen_a_difference():
    """One law is off by the same share everywhere: that says nothing of which candidate is the better one."""
    near = sure()
    theta = near.theta | {k: near.theta[k] * 1.1 for k in ("L_inf", "A", "A0", "A1")}
    model = Average((near, replace(near, theta=theta)), (0.5, 0.5), {}, {}, misfit=2e-3, left_out=6e-3)
    alone, both = (joint(m, PLANS[:2]) for m in (near, model))
    off = [[np.log(predict(f, p)[0] / predict(model, p)[0]) for p in PLANS[:2]] for f in model.fits]
    shared = SPREAD**2 * 0.5 * sum(np.outer(o, o) for o in off)
    np.testing.assert_allclose(both.covariance - alone.covariance, shared, rtol=0.05)

    def of_difference(C):
        return C[0, 0] + C[1, 1] - 2 * C[0, 1]

    assert of_difference(shared) < 0.1 * shared[0, 0]


def test_the_same_candidate_twice_has_one_error():
    C = joint(MODELS[1], [PLANS[0], PLANS[1], PLANS[0]]).covariance
    assert C[0, 2] == pytest.approx(C[0, 0], rel=1e-12) and C[0, 1] ** 2 < C[0, 0] * C[1, 1]
    for one, other in ((PLANS[0], Plan(PLANS[0])), (PLANS[3], PLANS[6])):  # the last two are WSD, and WSD as knots
        same = joint(sure(), [one, other]).covariance
        assert same[0, 1] == pytest.approx(same[0, 0], rel=1e-9)
    assert np.linalg.matrix_rank(joint(sure(), PLANS).covariance, tol=1e-12) == len(PLANS) - 1


def test_a_model_whose_error_is_not_known_has_none():
    for model in (made(), replace(sure(), left_out=None), replace(sure(), misfit=None), replace(sure(), covariance=())):
        found = joint(model, PLANS[:2])
        assert found.covariance is None and with_bands(model, PLANS[0]).prediction is None
        np.testing.assert_allclose(np.exp(found.log_loss), [predict(model, p)[0] for p in PLANS[:2]])
    assert error_terms(made(), 1e-3) is None


def test_what_cannot_be_predicted_has_no_joint_distribution():
    with pytest.raises(DesignError, match="between 0 and the schedule's total of 1,000, got 1001"):
        joint(sure(), PLANS[:1], [1001])
    with pytest.raises(ValueError):
        joint(sure(), PLANS[:2], [1000])


def test_errors_of_one_shape_are_alike_at_near_lengths_and_those_of_two_shapes_less():
    model = sure()
    model = replace(model, covariance=((0.0, 0.0), (0.0, 0.0)))  # nothing but what is wrong from schedule to schedule
    wsd, cosine = PLANS[3], PLANS[1]
    near, far = (wsd.resized(total=total) for total in (500, 125))
    C = joint(model, [wsd, near, far, cosine, cosine.resized(total=500)]).covariance
    alike = C / C[0, 0]
    fades = np.exp(-0.5 / LENGTHS_ALIKE**2)
    assert alike[0, 1] == pytest.approx(fades * (ALIKE + (1 - ALIKE) * OF_SHAPE), rel=2e-2) and alike[0, 2] < 0.01
    assert alike[0, 3] == pytest.approx(ALIKE) and alike[0, 4] == pytest.approx(ALIKE * fades, rel=1e-2)


def test_plans_of_one_rate_that_differ_in_something_else_are_two_runs():
    beside = ("batch=steps([0], [2x])", "weight_decay=0.1", "batch=steps([0], [1x])")
    plans = [Plan(parse(text)) for text in (SHAPES[3], *(f"rate={SHAPES[3]}; {more}" for more in beside))]
    one = _alike([(plan, np.array([plan.schedule.total - 1])) for plan in plans])[0]
    assert one[0] == one[3] == pytest.approx(1) and one[1] < 0.9 and one[2] < 0.9


def test_no_choice_among_many_near_shapes_has_a_variance_below_0():
    model = replace(sure(), covariance=((0.0, 0.0), (0.0, 0.0)))
    wsd = [parse(f"wsd(peak=1e-3, warmup=50, total=1000, decay={d})") for d in range(150, 280, 5)]
    C = joint(model, [*wsd, *(s.resized(total=700) for s in wsd[::5])]).covariance
    size = np.linalg.eigvalsh(C)
    assert size[0] > -1e-12 * size[-1]
    rest = C - C[0, 0] * (1 - ALIKE) * (1 - OF_SHAPE) * np.eye(len(C))  # what single runs have of their own
    assert np.linalg.eigvalsh(rest)[0] > -1e-12 * size[-1]
    to_first = C[0, 0] + np.diag(C)[:26] - 2 * C[0, :26]
    assert (np.diff(to_first[:10]) > 0).all()  # who is further off is known less, without a jump
