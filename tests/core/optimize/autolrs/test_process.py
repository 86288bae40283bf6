"""The Gaussian process over rates is scikit-learn's, number for number; only tests install that."""

import warnings

import numpy as np
import pytest

from optlaws_core.optimize.autolrs.process import FEWEST, LENGTH, NOISE, POWER, matern, process

LENGTHS = np.log(1.5), np.log(1e3)
AT = np.linspace(-9.0, -4.0, 41)


def seen(n: int, seed: int):
    """A parabola at n points, with errors of very different sizes."""
    rng = np.random.default_rng(seed)
    x, variance = np.sort(rng.uniform(-9.0, -4.5, n)), 10 ** rng.uniform(-8, 0, n) + 1e-8
    y = (x + 6.5) ** 2 + rng.normal(size=n) * np.sqrt(variance)
    return x, (y - y.mean()) / max(y.std(), 0.1), variance


def theirs(x, y, variance):
    """Means and deviations at `AT`, and the three numbers, as scikit-learn has them."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(*POWER) * Matern(LENGTH, LENGTHS, nu=2.5) + WhiteKernel(*NOISE)
    found = GaussianProcessRegressor(kernel, alpha=variance, optimizer="fmin_l_bfgs_b" if len(x) >= FEWEST else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a number on its bound
        mean, deviation = found.fit(x[:, None], y).predict(AT[:, None], return_std=True)
    numbers = np.exp(found.kernel_.theta)
    return mean, np.sqrt(np.maximum(deviation**2 - numbers[2], 0.0)), numbers


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_process_is_that_of_scikit_learn(n, seed):
    x, y, variance = seen(n, seed)
    found = process(x, y, variance, LENGTHS)
    mean, deviation, numbers = theirs(x, y, variance)
    # Where the search ends differs by its own tolerance.
    assert (found.power, found.length, found.noise) == pytest.approx(numbers, rel=1e-3)
    np.testing.assert_allclose(found.mean(AT), mean, atol=1e-5)
    np.testing.assert_allclose(found.deviation(AT), deviation, atol=1e-5)


def test_the_slope_of_the_correlation_is_that_in_the_log_of_the_length():
    distance, step = np.linspace(0.0, 4.0, 9), 1e-6
    numeric = (matern(distance * np.exp(-step))[0] - matern(distance * np.exp(step))[0]) / (2 * step)
    np.testing.assert_allclose(matern(distance)[1], numeric, atol=1e-9)
