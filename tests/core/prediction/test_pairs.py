"""A or B, and how sure: against closed forms, draws of NumPy's own, and the order in which candidates are given."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from optlaws_core import Plan, Run, Series, parse, rank
from optlaws_core.fitting.covariance import QUANTILE
from optlaws_core.prediction.error_terms import ALIKE
from optlaws_core.prediction.joint_losses import Joint, joint
from optlaws_core.prediction.pairs import Compared, Pair, against, chances, compare
from tests.core.prediction.test_joint_losses import PLANS, average, sure
from tests.core.prediction.test_losses import SHAPES, made

DRAWN = 2e-3  # largest error of the draws, in a probability


def given(losses, deviation, correlation=0.5):
    """A joint distribution with one deviation of all log losses, and one correlation of any two."""
    n = len(losses)
    shared = np.full((n, n), correlation) + (1 - correlation) * np.eye(n)
    return Joint(np.log(losses), deviation**2 * shared)


def test_a_difference_has_the_normal_distribution_of_its_logarithm():
    found = given([3.0, 3.03], 0.01, correlation=0.68)  # the difference of logarithms has the deviation 0.008
    one, itself = against(found, 1)
    assert one.difference == pytest.approx(-0.03, rel=1e-12)
    assert one.p_below == pytest.approx(norm.cdf(np.log(1.01) / 0.008), rel=1e-9)
    middle, m = np.sqrt(3.0 * 3.03), -np.log(1.01)
    assert one.low == pytest.approx(2 * middle * np.sinh((m - QUANTILE * 0.008) / 2), rel=1e-9)
    assert one.high == pytest.approx(2 * middle * np.sinh((m + QUANTILE * 0.008) / 2), rel=1e-9)
    assert itself == Pair(0.0, 0.0, 0.0, 0.5) and itself.itself and not one.itself and not Pair(0.0).itself


def test_turning_a_pair_around_turns_its_sign():
    found = given([3.0, 3.01, 2.97], 0.004)
    (_, there, _), (back, _, _) = against(found, 0), against(found, 1)
    assert (there.difference, there.low, there.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert there.p_below == pytest.approx(1 - back.p_below)


def test_the_interval_leaves_zero_out_where_the_probability_is_95_percent():
    for gap, apart in ((1.64, False), (1.65, True)):
        one, other = (against(given(np.exp([0, x * gap * 0.01]), 0.01, 0.5), 1)[0] for x in (1, -1))
        assert one.told_apart is apart is other.told_apart
        assert (one.p_below > 0.95) is apart is (other.p_below < 0.05)


def test_without_a_known_error_there_is_a_difference_alone():
    (one, _), found = against(joint(made(), PLANS[:2]), 1), joint(made(), PLANS[:2])
    assert one == Pair(pytest.approx(float(np.diff(np.exp(found.log_loss[::-1]))[0])))
    assert one.told_apart is None and chances(found) is None


def test_chances_are_those_of_plain_draws():
    found = joint(average(0.6, 0.4), PLANS)
    told = chances(found)
    drawn = np.exp(np.random.default_rng(0).multivariate_normal(found.log_loss, found.covariance, 400_000))
    wins = np.bincount(drawn.argmin(axis=1), minlength=len(PLANS)) / len(drawn)
    np.testing.assert_allclose(told.p_best, wins, atol=2 * DRAWN)
    assert 0.05 < told.p_best.max() < 0.95  # nothing is settled here, so the comparison says something
    np.testing.assert_allclose(told.regret, (drawn - drawn.min(axis=1)[:, None]).mean(axis=0), rtol=0.01, atol=1e-5)
    assert told.p_best.sum() == pytest.approx(1)


def test_of_two_the_chance_to_be_the_best_is_that_of_ending_below():
    for gap in (0.0, 1e-4, 0.003, 0.02):
        found = given([3.0, 3.0 * np.exp(gap)], 0.006)
        p = against(found, 1)[0].p_below
        assert chances(found).p_best == pytest.approx([p, 1 - p], abs=DRAWN)


def test_the_expected_regret_of_two_has_a_closed_form():
    found, s = given([3.0, 3.006], 0.004), 0.004  # correlation a half: the difference has the same deviation
    m = np.log(3.006 / 3.0)
    gain = s * norm.pdf(m / s) - m * norm.cdf(-m / s)  # of the second over the first, in logarithms
    assert chances(found).regret == pytest.approx([3 * gain, 3 * (gain + m)], rel=0.01)


def test_the_order_of_the_candidates_changes_nothing():
    found = joint(average(0.6, 0.4), [*PLANS, PLANS[2]])
    n = len(found.log_loss)
    told = chances(found)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(n)
        turned = chances(Joint(found.log_loss[order], found.covariance[np.ix_(order, order)]))
        np.testing.assert_allclose(turned.p_best, told.p_best[order], atol=1e-3)
        np.testing.assert_allclose(turned.regret, told.regret[order], rtol=1e-6)


def test_candidates_that_are_equal_share_their_chance():
    pair = against(joint(average(0.6, 0.4), [PLANS[0], PLANS[0]]), 1)[0]
    assert pair == Pair(0.0, 0.0, 0.0, 0.5)
    one, twice = (chances(joint(average(0.6, 0.4), [*PLANS[:2], *again])) for again in ((), PLANS[1:2]))
    assert twice.p_best == pytest.approx([one.p_best[0], one.p_best[1] / 2, one.p_best[1] / 2], abs=1e-12)
    assert twice.regret == pytest.approx([one.regret[0], one.regret[1], one.regret[1]], rel=1e-12)


def test_a_model_without_any_error_knows_the_best():
    found = Joint(np.log([3.0, 2.9, 3.1]), np.zeros((3, 3)))
    assert chances(found).p_best.tolist() == [0.0, 1.0, 0.0]
    assert chances(found).regret == pytest.approx([0.1, 0.0, 0.2])
    assert [p.p_below for p in against(found, 0)] == [0.5, 1.0, 0.0]


def test_ranked_candidates_are_compared_with_the_second_best_or_with_one_that_is_named():
    model, schedules = sure(), [parse(text) for text in SHAPES[:4]]
    ranked = rank(model, schedules)
    order = [r.schedule for r in ranked]
    for baseline, place in ((None, 1), (order[3], 3), (order[0], 0)):
        told = compare(model, ranked, baseline)
        assert [c.pair for c in told] == against(joint(model, order), place)
        assert [c.to_best for c in told] == against(joint(model, order), 0)
        same = chances(joint(model, order))
        assert [c.p_best for c in told] == same.p_best.tolist() and [c.regret for c in told] == same.regret.tolist()
    assert compare(model, []) == []
    with pytest.raises(ValueError):
        compare(model, ranked, parse(SHAPES[5]))


def test_the_benchmark_takes_repeats_by_their_mean_and_scores_what_was_said():
    from benchmarks.pairs import Pairs, calibration_error, merged

    plans = [Plan(parse(text)) for text in SHAPES[:2]]
    ends = [(plans[0], 3.0), (plans[1], 2.9), (plans[0], 3.2)]
    runs = [
        Run(str(i), p, {"train": Series([10, 999], [4.0, end])}, lr_source="declared")
        for i, (p, end) in enumerate(ends)
    ]
    assert merged(runs) == {(plans[0], 999): pytest.approx(3.1), (plans[1], 999): 2.9}
    found, one, other = given([3.0, 3.006], 0.004, ALIKE), np.array([0, 0]), np.array([1, 1])
    for better, right in ((0.0, 1.0), (-0.01, 0.0)):  # the second schedule ends 1 % below what was predicted
        pairs = Pairs("x", tuple(plans), one, other, np.array([0.0, better]), found, np.full(2, 0.004))
        said, came_out = pairs.said
        assert came_out.mean() == right
        p = norm.cdf(np.log(3.006 / 3.0) / (0.004 * np.sqrt(2 * (1 - ALIKE))))
        assert said == pytest.approx([p, p]) and calibration_error([pairs]) == pytest.approx(abs(p - right))
        assert pairs.deviation(0.0) == pytest.approx([0.004 * np.sqrt(2)] * 2)


def test_one_candidate_has_nothing_to_be_compared_with():
    assert compare(sure(), rank(sure(), PLANS[:1])) == [Compared(None, Pair(0.0, 0.0, 0.0, 0.5), 1.0, 0.0)]
    assert compare(made(), rank(made(), PLANS[:1])) == [Compared(None, Pair(0.0), None, None)]


def test_a_candidate_that_is_set_apart_takes_no_part_in_who_is_the_best():
    model, ranked = sure(), rank(sure(), PLANS[:3])
    hot = [*ranked[1:], replace(ranked[0], apart=True)]
    told = compare(model, hot)
    assert told[2].p_best is None and told[2].regret is None and told[2].pair.difference < 0
    same = chances(joint(model, [r.schedule for r in hot[:2]]))
    assert [c.p_best for c in told[:2]] == same.p_best.tolist()
