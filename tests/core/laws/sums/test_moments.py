"""Sums at the observations of a dense log follow from those at a few moments."""

import numpy as np
import pytest

from optlaws_core.laws import LAWS
from optlaws_core.laws.evaluation import batch, predict, predict_with_jacobian
from optlaws_core.laws.sums.clocks import Trace
from optlaws_core.laws.sums.moments import POINTS, moments
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, Cosine, Step, parse
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS, TWINS, shipped

SUMMED = [name for name, law in LAWS.items() if law.sums]


@pytest.mark.parametrize("name", SUMMED)
def test_dense_logs_equal_the_slow_twins(name):
    for text in shipped(100, 3000):
        schedule, steps = parse(text), np.arange(3, 3000, 7)
        eta = schedule(np.arange(schedule.total + 1))
        data = batch(LAWS[name], [(Plan(schedule, PARAMS, BATCH_TOKENS), steps)])
        for theta in THETAS[name]:
            slow = TWINS[name](eta, steps, **theta)
            np.testing.assert_allclose(
                predict(data, LAWS[name].vector(theta)), slow, rtol=1e-8, err_msg=f"{text} {theta}"
            )


@pytest.mark.parametrize("name", SUMMED)
def test_derivatives_follow_as_well(name):
    law, steps = LAWS[name], np.arange(200, 3000, 7)
    for text in ("cosine(peak=3e-4, warmup=100, total=3000)", shipped(100, 3000)[-3]):
        plan = Plan(parse(text), PARAMS, BATCH_TOKENS)
        theta = law.vector(THETAS[name][0])
        _, jacobian = predict_with_jacobian(batch(law, [(plan, steps)]), theta)
        one_by_one = [(plan, steps[i : i + POINTS]) for i in range(0, len(steps), POINTS)]
        _, exact = predict_with_jacobian(batch(law, one_by_one), theta)
        assert (np.abs(jacobian - exact).max(axis=0) <= 1e-8 * np.abs(exact).max(axis=0)).all()


def test_a_dense_log_costs_hardly_more_than_a_sparse_one():
    counts = [
        len(moments(Trace(Cosine(3e-4, warmup=1000, total=10**6)), np.arange(2000, 10**6, n), 1.0)[0])
        for n in (5000, 50)
    ]
    assert counts[0] < 100 and counts[1] < 3 * counts[0]


def test_few_observations_are_moments_themselves():
    steps = np.array([700, 30, 500])
    chosen, spread = moments(Trace(Constant(1e-3, total=1000)), steps, 1.0)
    assert spread is None and np.array_equal(chosen, steps)


def test_the_shares_of_moments_give_polynomials_of_the_step_in_any_order():
    steps = np.random.default_rng(1).permutation(np.arange(100, 4000, 9))
    chosen, spread = moments(Trace(Constant(1e-3, total=4000)), steps, 1.0)
    assert len(chosen) < len(steps) / 4
    for degree in (0, 1, POINTS - 1):
        np.testing.assert_allclose(spread @ (chosen / 4000) ** degree, (steps / 4000) ** degree, rtol=1e-9)


def test_no_window_reaches_over_a_turn():
    schedule = Step(1e-3, total=4000, boundaries=(2000,), values=(1e-4,))
    steps = np.arange(10, 4000, 10)
    chosen, spread = moments(Trace(schedule), steps, 1.0)
    row, column = spread.nonzero()
    assert ((steps[row] < 2000) == (chosen[column] < 2000)).all()


def test_pasts_are_those_of_every_observation():
    data = batch(LAWS["opt_laws_curve"], [(Plan(Cosine(3e-4, total=3000)), np.arange(10, 3000, 10))])
    assert len(data.sums[0].now) < len(data) == len(data.pasts[0].now)
