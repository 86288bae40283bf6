"""How well the runs determine the coefficients: covariance under the fit's own loss, with autocorrelated residuals."""

import numpy as np

from .schedules.base import FloatArray

LEVEL = 0.90
QUANTILE = 1.6448536269514722  # of the normal distribution, at (1 + LEVEL)/2
VAGUE = 3.0  # half-width in the logarithm from which an interval says nothing: a factor of 20 each way
VAGUE_SHARE = 0.1  # the same on a linear scale, as a share of the searched range


def covariance(residual: FloatArray, jacobian: FloatArray, slices, delta: float) -> FloatArray:
    """Covariance of M-estimates, H⁻¹ G H⁻¹, (free, free), in search coordinates.

    H is the curvature of the Huber objective; G the long-run variance of its gradient, from Bartlett-weighted
    autocovariances inside each run (Newey and West 1987), since neighbouring losses of a log share their noise and the
    law's misfit. Coefficients that the runs do not determine get a very large variance.
    """
    weight = (np.abs(residual) <= delta).astype(float)
    score = np.clip(residual, -delta, delta)[:, None] * jacobian
    H = (jacobian * weight[:, None]).T @ jacobian
    G = np.zeros_like(H)
    for part in slices:
        s = score[part]
        lags = min(len(s) - 1, int(np.ceil(4 * (len(s) / 100) ** (2 / 9))) + int(np.sqrt(len(s))))
        G += s.T @ s
        for lag in range(1, lags + 1):
            cross = s[lag:].T @ s[:-lag]
            G += (1 - lag / (lags + 1)) * (cross + cross.T)
    size = np.sqrt(np.maximum(np.diag(H), 1e-300))
    inverse = np.linalg.pinv(H / np.outer(size, size), rcond=1e-12, hermitian=True) / np.outer(size, size)
    return inverse @ G @ inverse


def intervals(problem, x: FloatArray, delta: float) -> dict[str, tuple[float, float] | None]:
    """90 % intervals of the coefficients of a `search.Problem`; None where fixed, on a bound, or hardly determined."""
    found: dict[str, tuple[float, float] | None] = dict.fromkeys(problem.law.names)
    if not len(x):
        return found
    residual, jacobian = problem.residuals(x)
    spread = QUANTILE * np.sqrt(np.maximum(np.diag(covariance(residual, jacobian, problem.slices, delta)), 0))
    for p, value, half, low, high in zip(problem.params, x, spread, problem.low, problem.high, strict=True):
        bounded = min(value - low, high - value) < 1e-3 * (high - low)
        widest = VAGUE_SHARE * (high - low) if p.scale == "linear" else VAGUE
        if np.isfinite(half) and not bounded and half < widest:
            ends = p.from_scale(np.clip([value - half, value + half], low, high))
            found[p.name] = (float(min(ends)), float(max(ends)))
    return found
