"""How well the runs determine the coefficients: covariance under the fit's own loss, with autocorrelated residuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray

if TYPE_CHECKING:
    from .least_squares import LeastSquares

Intervals = Mapping[str, tuple[float, float] | None]  # 90 %, by coefficient
LEVEL = 0.90
QUANTILE = 1.6448536269514722  # of the normal distribution, at (1 + LEVEL)/2
VAGUE = 3.0  # half-width in the logarithm from which an interval says nothing: a factor of 20 each way
NULL = 1e-12  # eigenvalues of the scaled curvature below this share of the largest are rounding
FLAT = 1e-100  # curvatures up to this are none: their inverse would overflow
VAGUE_SHARE = 0.1  # the same on a linear scale, as a share of the searched range


def covariance(
    residual: FloatArray,
    jacobian: FloatArray,
    slices: Sequence[slice],
    delta: float,
    stiffness: FloatArray | float = 0.0,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Covariance of M-estimates, H⁻¹ G H⁻¹, (free, free), in search coordinates, and which of them are blind, (free,).

    H is the expected curvature of the Huber objective, with the `stiffness` that priors and ridges add; G the long-run
    variance of its gradient, from Bartlett-weighted autocovariances inside each run (Newey and West 1987), since
    neighbouring losses of a log share their noise and the law's misfit. Blind: the runs do not determine it, alone or
    against others. The covariance leaves such directions out: along them the training curves do not change.
    """
    score = np.clip(residual, -delta, delta)[:, None] * jacobian
    H = _curvature(residual, delta) * (jacobian.T @ jacobian) + stiffness
    size = np.sqrt(np.where(np.diag(H) > FLAT, np.diag(H), 1.0))  # a coefficient without effect is blind, not huge
    w, V = np.linalg.eigh(H / np.outer(size, size))
    seen = w > NULL * w.max()
    inverse = (V[:, seen] / w[seen]) @ V[:, seen].T / np.outer(size, size)
    found = inverse @ _long_run(score, slices) @ inverse
    return found, (V[:, ~seen] ** 2).sum(axis=1) > 1e-6


def _curvature(residual: FloatArray, delta: float) -> float:
    """Expected second derivative of the Huber loss, P(|r| ≤ δ), smoothed: a noisy log has few residuals that small."""
    sigma = 1.4826 * np.median(np.abs(residual))  # of a normal distribution with this median
    width = max(delta, 1.06 * sigma * len(residual) ** -0.2)  # Silverman's rule for a density
    return max(float(np.mean(np.abs(residual) <= width)), 1 / len(residual)) * delta / width


def _long_run(score: FloatArray, slices: Sequence[slice]) -> FloatArray:
    """Variance of the summed scores (n, free), autocorrelation inside each run included: (free, free)."""
    total = np.zeros((score.shape[1],) * 2)
    for part in slices:
        s = score[part]
        total += s.T @ s
        lags = min(len(s) - 1, int(np.ceil(4 * (len(s) / 100) ** (2 / 9))) + int(np.sqrt(len(s))))
        for lag in range(1, lags + 1):
            cross = s[lag:].T @ s[:-lag]
            total += (1 - lag / (lags + 1)) * (cross + cross.T)
    return total


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the training runs say about the free coefficients around their best values."""

    covariance: FloatArray | None  # (free, free), in search coordinates, zero on bounds; None: fewer points than free
    interval: Intervals  # None where fixed, on a bound, or hardly determined


def uncertainty(problem: "LeastSquares", x: FloatArray, delta: float) -> Uncertainty:
    """Covariance and intervals of the coefficients of a `search.Problem` that ended at `x` (free,)."""
    found: dict[str, tuple[float, float] | None] = dict.fromkeys(problem.law.names)
    residual, jacobian = problem.residuals(x)
    none = np.zeros((len(x), len(x)))
    if not len(x):
        return Uncertainty(none, found)
    near = np.where([p.weight for p in problem.params], 1e-9, 1e-3)  # a small weight is no weight on its bound
    on_bound = np.minimum(x - problem.low, problem.high - x) < near * (problem.high - problem.low)
    if len(residual) <= len(x) - on_bound.sum():
        return Uncertainty(None, found)
    matrix, blind = covariance(residual, jacobian, problem.slices, delta, problem.stiffness(x))
    spread = np.where(blind, np.inf, QUANTILE * np.sqrt(np.maximum(np.diag(matrix), 0)))
    inner, free = none.copy(), np.flatnonzero(~on_bound)
    if len(free):  # those on a bound stay there, which says something about the others
        stiff = problem.stiffness(x)[np.ix_(free, free)]
        inner[np.ix_(free, free)] = covariance(residual, jacobian[:, free], problem.slices, delta, stiff)[0]
    for p, value, half, low, high, bounded in zip(
        problem.params, x, spread, problem.low, problem.high, on_bound, strict=True
    ):
        widest = VAGUE_SHARE * (high - low) if p.scale == "linear" else VAGUE
        if np.isfinite(half) and not bounded and half < widest:
            ends = p.from_scale(np.clip([value - half, value + half], low, high))
            found[p.name] = (float(min(ends)), float(max(ends)))
    return Uncertainty(inner, found)
