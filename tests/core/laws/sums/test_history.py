"""Clocks and history sums: the fast ones equal the sums they stand for, at any horizon, from few nodes."""

import numpy as np
import pytest

from optlaws_core.laws import LAWS
from optlaws_core.laws.evaluation import batch, predict, predict_with_jacobian
from optlaws_core.laws.sums.clocks import ETA_REF, Trace
from optlaws_core.laws.sums.history import history
from optlaws_core.laws.sums.panels import NODES, Panels
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, Cosine, parse
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS, TWINS, shipped

# The bound divides by lags, and at the end of a decay to 0 these are differences of a clock in its last digits.
CLOSE = {"convex_bound": 1e-6}
HORIZONS = [
    (0, 7),
    (20, 300),
    *(pytest.param(*long, marks=pytest.mark.slow) for long in ((2160, 24_000), (1000, 150_000))),
]


@pytest.mark.parametrize("r", [0, 1.0, 1.5])
@pytest.mark.parametrize("warmup, total", HORIZONS)
def test_clocks_equal_their_sums(warmup, total, r):
    for text in shipped(warmup, total):
        schedule = parse(text)
        eta = schedule(np.arange(total + 1))
        exact = np.cumsum(ETA_REF * (eta / ETA_REF) ** r if r else np.ones_like(eta), dtype=np.longdouble)
        clock = Trace(schedule).clock(r)
        np.testing.assert_allclose(
            clock(np.arange(total + 1)), exact.astype(float), rtol=1e-9, atol=1e-12 * float(exact[-1])
        )
        assert clock(-1) == 0


def test_closed_forms_of_the_cumulative_learning_rate():
    """Half a cosine sums to p(T + 1)/2 over t = 0..T by symmetry, at a horizon that no array could hold."""
    total = 10**12
    S = Trace(Cosine(2.0, total=total)).clock(1.0)
    assert float(S(total)) == pytest.approx(2.0 * (total + 1) / 2, rel=1e-12)


@pytest.mark.parametrize("n", [*range(NODES + 1, 80), 1000, 12345, 10**9])
def test_the_rule_is_exact_for_polynomials(n):
    panel = Panels.of([Constant(1.0, total=n)], *(np.array([v]) for v in (0, 0, n)))
    x, w = panel.step[0], panel.weight[0]
    assert len(set(x.tolist())) == NODES and 0 <= x.min() and x.max() <= n - 1 and (w > 0).all()
    for degree in range(2 * NODES):
        assert float((w * (x / n) ** degree).sum()) == pytest.approx(sum_of_powers(n, degree), rel=1e-9)


def sum_of_powers(n: int, degree: int) -> float:
    """Σ_{k<n} (k/n)^degree by Faulhaber's formula with exact integers."""
    from fractions import Fraction
    from math import comb

    bernoulli = [Fraction(1)]
    for m in range(1, degree + 1):
        bernoulli.append(-sum(comb(m + 1, j) * bernoulli[j] for j in range(m)) / Fraction(m + 1))
    total = sum(Fraction(comb(degree + 1, j)) * bernoulli[j] * n ** (degree + 1 - j) for j in range(degree + 1))
    return float(total / (degree + 1) / Fraction(n) ** degree)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("warmup, total", HORIZONS)
def test_laws_equal_their_slow_twins(name, warmup, total):
    """≤ 1e-8 relative (`CLOSE`), for every shipped schedule and coefficient set, early, late and at every kink."""
    for text in shipped(warmup, total):
        schedule = parse(text)
        spread = np.concatenate((np.geomspace(1, total, 25), np.linspace(1, total, 25))).astype(int)
        near = np.add.outer(schedule.breaks, [-1, 0, 1, 5]).ravel()
        steps = np.unique(np.clip(np.concatenate((spread, near)), 0, total))
        eta = schedule(np.arange(total + 1))
        data = batch(LAWS[name], [(Plan(schedule, PARAMS, BATCH_TOKENS), steps)])
        for theta in THETAS[name]:
            slow = TWINS[name](eta, steps, **theta)
            fast = predict(data, LAWS[name].vector(theta))
            np.testing.assert_allclose(fast, slow, rtol=CLOSE.get(name, 1e-8), err_msg=f"{text} {theta}")


def test_the_cost_hardly_grows_with_the_horizon():
    """A thousand times the updates, less than twice the nodes."""
    pairs = []
    for total in (10**5, 10**8):
        past = history(Trace(Cosine(3e-4, warmup=1000, total=total)), np.linspace(2000, total, 200).astype(int), 1.5)
        pairs.append(len(past.node))
    assert pairs[1] < 2 * pairs[0]


@pytest.mark.parametrize("name", LAWS)
def test_jacobians_are_exact(name):
    """Against central differences with h = ε^(1/3)·|θ|, which balances truncation and rounding, or wide if linear."""
    law = LAWS[name]
    steps = np.array([150, 700, 1500, 1999])
    data = batch(law, [(Plan(parse(text), PARAMS, BATCH_TOKENS), steps) for text in shipped(100, 2000)[:6]])
    for theta in THETAS[name]:
        x = law.vector(theta)
        value, jacobian = predict_with_jacobian(data, x)
        np.testing.assert_allclose(value, predict(data, x), rtol=1e-14)
        for i in range(len(x)):
            h = (0.5 if law.names[i] in law.linear else 6e-6) * (abs(x[i]) or 1.0)
            if law.names[i] == "lam":
                h = 6e-6 * (1 - x[i])
            ahead, behind = x.copy(), x.copy()
            ahead[i] += h
            behind[i] -= h
            numeric = (predict(data, ahead) - predict(data, behind)) / (ahead[i] - behind[i])
            scale = np.abs(jacobian[:, i]).max() + 1e-9 / h  # differences of losses near 3 are good to 1e-15
            assert np.abs(jacobian[:, i] - numeric).max() < 1e-6 * scale, law.names[i]


def test_runs_together_equal_runs_alone():
    law, theta = LAWS["opt_laws_curve"], THETAS["opt_laws_curve"][0]
    parts = [(Plan(parse(text), PARAMS, BATCH_TOKENS), np.arange(100, 2000, 37)) for text in shipped(100, 2000)]
    together = batch(law, parts)
    alone = [predict(batch(law, [part]), law.vector(theta)) for part in parts]
    assert all(
        np.array_equal(predict(together, law.vector(theta))[s], y) for s, y in zip(together.slices, alone, strict=True)
    )
