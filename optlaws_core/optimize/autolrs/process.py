"""A Gaussian process of one variable, whose three numbers are those of the greatest likelihood.

Its kernel is a Matérn one of smoothness 5/2, plus white noise: a² (1 + s + s²/3) exp(-s) + ν², with s = √5 |x - x'| / ℓ
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: eq. 4.17, algorithm 2.1 and eq. 5.9).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from ...arrays import FloatArray

POWER = 1.0, (1e-4, 1e2)  # a²: start, bounds
NOISE = 1e-4, (1e-8, 1.0)  # ν², alike
LENGTH = 1.0  # ℓ: start
FEWEST = 3  # values that three numbers are sought from; fewer leave them where they start


@dataclass(frozen=True, eq=False)
class Process:
    """What is known of a function that was seen, with errors, at a few points."""

    x: FloatArray  # (n,), where it was seen
    factor: FloatArray  # (n, n), Cholesky's lower one of the covariance of what was seen
    weights: FloatArray  # (n,), that covariance's inverse times what was seen
    power: float  # a², variance of the function itself
    length: float  # ℓ, in units of x
    noise: float  # ν², beyond the errors that are known

    def mean(self, at: FloatArray) -> FloatArray:
        """Means of the function at points, (m,)."""
        return self._covariance(at) @ self.weights

    def deviation(self, at: FloatArray) -> FloatArray:
        """Standard deviations of the function itself, without the noise of a look at it, at points, (m,)."""
        told = (solve_triangular(self.factor, self._covariance(at).T, lower=True) ** 2).sum(axis=0)
        return np.sqrt(np.maximum(self.power - told, 0.0))

    def _covariance(self, at: FloatArray) -> FloatArray:
        return self.power * matern(np.abs(at[:, None] - self.x) / self.length)[0]


def process(x: FloatArray, y: FloatArray, variance: FloatArray, lengths: tuple[float, float]) -> Process:
    """The process through y, of mean 0 and a variance near 1, seen at x with errors of known variances: all (n,).

    lengths: the least and the greatest ℓ, with `LENGTH` between them. Variances are at least 1e-8, with which the
    covariance of a hundred points is positive definite whatever the three numbers are.
    """
    apart = np.abs(x[:, None] - x)

    def covariance(power: float, length: float, noise: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of what was seen; its part from the function itself; and the slope of that in log ℓ: (n, n) each."""
        alike, slope = matern(apart / length)
        return power * alike + np.diag(noise + variance), power * alike, power * slope

    def unlikeliness(logs: FloatArray) -> tuple[float, FloatArray]:
        """Negative log likelihood, and its slopes in the logs of the three numbers."""
        power, length, noise = np.exp(logs)
        seen, hidden, slope = covariance(power, length, noise)
        factor = cho_factor(seen, lower=True)
        weights = cho_solve(factor, y)
        inner = np.outer(weights, weights) - cho_solve(factor, np.eye(len(x)))
        slopes = [np.sum(inner * hidden), np.sum(inner * slope), noise * np.trace(inner)]
        value = y @ weights / 2 + np.log(np.diag(factor[0])).sum() + len(x) / 2 * np.log(2 * np.pi)
        return value, -np.array(slopes) / 2

    logs = np.log([POWER[0], LENGTH, NOISE[0]])
    if len(x) >= FEWEST:
        bounds = np.log([POWER[1], lengths, NOISE[1]])
        logs = minimize(unlikeliness, logs, jac=True, method="L-BFGS-B", bounds=bounds).x
    power, length, noise = map(float, np.exp(logs))
    factor = cho_factor(covariance(power, length, noise)[0], lower=True)
    return Process(x, factor[0], cho_solve(factor, y), power, length, noise)


def matern(distance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlations of smoothness 5/2 at distances in units of ℓ, and their slopes in log ℓ; of the same shape."""
    s = np.sqrt(5) * distance
    decay = np.exp(-s)
    return (1 + s + s**2 / 3) * decay, s**2 * (1 + s) / 3 * decay
