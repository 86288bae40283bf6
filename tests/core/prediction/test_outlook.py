"""What a decision is expected to cost, now and once runs were seen: against closed forms and draws of NumPy's own."""

import numpy as np
import pytest
from scipy.stats import norm

from optlaws_core.prediction.joint_losses import Joint, joint
from optlaws_core.prediction.outlook import gain, outlook
from optlaws_core.prediction.pairs import chances
from tests.core.prediction.test_joint_losses import PLANS, average
from tests.core.prediction.test_losses import made

TWO = (0, 1)


def of_two(gap: float, to_run: tuple[float, float]) -> Joint:
    """Two candidates at log losses 0 and `gap` and a run, all of deviation 0.01; correlations of both with the run."""
    shared = np.array([[1, 0.2, to_run[0]], [0.2, 1, to_run[1]], [*to_run, 1]])
    return Joint(np.array([0.0, gap, 0.3]), 1e-4 * shared)


def test_one_run_between_two_candidates_has_the_closed_form_of_the_knowledge_gradient():
    for gap, to_run in ((0.0, (0.6, -0.2)), (0.003, (0.5, 0.0)), (0.01, (0.1, 0.7))):
        s = 0.01 * abs(to_run[0] - to_run[1])
        closed = s * norm.pdf(gap / s) - gap * norm.cdf(-gap / s)
        assert gain(of_two(gap, to_run), TWO, [2]) == pytest.approx(closed, rel=0.02)


def test_a_run_that_moves_both_candidates_alike_says_nothing():
    assert gain(of_two(0.003, (0.5, 0.5)), TWO, [2]) == pytest.approx(0, abs=1e-7)


def test_the_outlook_of_now_is_that_of_the_ranking():
    found = joint(average(0.6, 0.4), PLANS)
    told, now = chances(found), outlook(found, range(len(PLANS)))
    first = int(np.argmin(found.log_loss + np.diag(found.covariance) / 2))
    assert now.regret == pytest.approx(told.regret[first], rel=0.05)
    assert now.wrong == pytest.approx(1 - told.p_best[first], abs=0.01)


def test_what_is_expected_of_two_runs_is_what_plain_draws_of_them_come_to():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5)) * 0.01
    found = Joint(np.array([1.0, 1.002, 1.004, 0.9, 0.8]), root @ root.T)
    drawn = rng.multivariate_normal(found.log_loss, found.covariance, 200_000)
    C = found.covariance
    weights = C[:3, 3:] @ np.linalg.inv(C[3:, 3:])
    told = found.log_loss[:3] + (drawn[:, 3:] - found.log_loss[3:]) @ weights.T
    left = np.diag(C[:3, :3] - weights @ C[3:, :3])
    taken = drawn[np.arange(len(drawn)), (told + left / 2).argmin(axis=1)]
    best = drawn[:, :3].min(axis=1)
    then = outlook(found, range(3), [3, 4])
    assert then.regret == pytest.approx(np.mean(np.exp(taken) - np.exp(best)), rel=0.03)
    assert then.wrong == pytest.approx(np.mean(taken > best), abs=0.01)
    now = outlook(found, range(3))
    assert gain(found, range(3), [3, 4]) == pytest.approx(now.regret - then.regret, rel=0.05)


def test_candidates_that_are_the_same_run_are_no_wrong_choice():
    found = joint(average(0.6, 0.4), [PLANS[0], PLANS[0]])
    assert outlook(found, TWO).wrong == outlook(found, TWO).regret == 0


def test_seeing_the_candidates_themselves_leaves_no_regret():
    found = joint(average(0.6, 0.4), PLANS[:3])
    after = outlook(found, range(3), range(3))
    assert after.wrong == 0 and after.regret == pytest.approx(0, abs=1e-9)


def test_a_distribution_without_a_covariance_is_refused():
    with pytest.raises(ValueError, match="without a covariance"):
        outlook(joint(made(), PLANS), range(2))
