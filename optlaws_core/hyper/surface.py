"""The loss surface of one cell over learning rate and batch, and its minimum.

Near its minimum the logarithm of the loss is taken for a quadratic in (log learning rate, log batch) plus a cube of the
former, since losses rise faster towards high rates than towards low ones. "Near" is decided by the surface itself, not
by the noisy losses; outliers weigh less.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mixtures import remedy, told
from .sweep_cells import SweepCell

# Of the loss above the minimum: how much of a surface is looked at. Chosen by leaving out one training cell of the Step
# Law's at a time (benchmarks/hyper.py has the split).
NEAR = 0.007
FEWEST_VALUES, FEWEST_POINTS = 3, 9  # of learning rates and of batches; of runs
ENOUGH_POINTS = 15  # near the minimum, where there are as many: the surface has seven coefficients
DRAWS = 400
LEVEL = 0.9  # of all intervals


@dataclass(frozen=True)
class Optimum:
    """The minimum of one cell's surface. Pairs are (log lr, log batch)."""

    params: float
    tokens: float
    center: NDArray  # (2,)
    covariance: NDArray  # (2, 2)
    curvature: NDArray  # (2, 2) of log loss
    loss: float  # of the surface at its minimum
    noise: float  # rms of log loss around the surface, where it was fitted
    used: int  # runs near the minimum
    low: NDArray  # (2,) interval's ends
    high: NDArray
    trouble: str = ""  # why the optimum is not to be relied on

    @property
    def lr(self) -> float:
        """The best learning rate."""
        return float(np.exp(self.center[0]))

    @property
    def batch(self) -> float:
        """The best batch, in tokens."""
        return float(np.exp(self.center[1]))


def optimum(cell: SweepCell) -> Optimum:
    """The minimum of the cell's loss surface; with `trouble` where the runs cannot tell one."""
    alive = np.isfinite(cell.loss)
    x, y = np.log(np.column_stack((cell.lr, cell.batch)))[alive], np.log(cell.loss[alive])
    low, high = x.min(0), x.max(0)
    wide = np.diag((high - low) ** 2)
    if lacking := _lacking(cell):
        unknown = np.full((2, 2), np.nan)
        return Optimum(
            cell.params,
            cell.tokens,
            x[y.argmin()],
            wide,
            unknown,
            float(np.exp(y.min())),
            np.nan,
            len(y),
            low,
            high,
            lacking,
        )
    middle, scale = x[y.argmin()], np.log(2)
    skewed = len(np.unique(cell.lr[alive])) > 3 and len(y) >= ENOUGH_POINTS
    basis = _basis((x - middle) / scale, skewed)
    height, weight = y - y.min(), np.ones(len(y))
    for _ in range(12):
        chosen = (height <= reach(height, NEAR)) * weight
        theta = np.linalg.lstsq(basis * np.sqrt(chosen)[:, None], y * np.sqrt(chosen), rcond=None)[0]
        residual = y - basis @ theta
        sigma = max(1.4826 * np.median(np.abs(residual[chosen > 0])), 1e-7)
        weight = 1 / np.maximum(1, np.abs(residual) / (1.5 * sigma))
        bowl, lowest = _minimum(theta)
        if not np.isfinite(lowest):
            break
        height = capped(basis @ theta - lowest, y - y.min())
    used = chosen > 0
    free = max(used.sum() - len(theta), 1)
    noise = float(np.sqrt(np.sum(residual[used] ** 2) / free))
    trouble = ""
    if not np.isfinite(lowest):
        trouble, bowl, lowest = "its losses have no minimum", np.zeros(2), y.min()
    center = middle + scale * bowl
    for i, name in enumerate(("learning rate", "batch")):
        if not trouble and not low[i] <= center[i] <= high[i]:
            trouble = f"its best {name} lies outside the sweep"
    covariance, ends = wide, (low, high)
    if not trouble:
        draws = middle + scale * _draws(basis[used], y[used], chosen[used])
        if len(draws) < 0.8 * DRAWS:
            trouble = "its losses hardly have a minimum"
        else:
            draws = np.clip(draws, low - scale, high + scale)
            covariance = np.cov(draws.T) + 1e-8 * np.eye(2)
            tail = (1 - LEVEL) / 2
            ends = tuple(np.quantile(draws, (tail, 1 - tail), axis=0))
    return Optimum(
        cell.params,
        cell.tokens,
        center,
        covariance,
        _curvature(theta, bowl) / scale**2,
        float(np.exp(lowest)),
        noise,
        int(used.sum()),
        *ends,
        _with_cause(trouble, cell),
    )


def _with_cause(trouble: str, cell: SweepCell) -> str:
    """Why an optimum is not to be relied on, and what its cell mixes, which may be the reason."""
    return f"{trouble}: it mixes {told(cell.mixes)}; {remedy(cell.mixes)}" if trouble and cell.mixes else trouble


def reach(height: NDArray, near: float) -> float:
    """Up to which height runs are near the minimum: `near`, or more where too few would be."""
    return max(near, np.sort(height)[min(ENOUGH_POINTS, len(height)) - 1])


def capped(height: NDArray, measured: NDArray) -> NDArray:
    """How high runs lie by a surface. Far off it is no guide: there, by their own losses above the least."""
    return np.maximum(height, 0.5 * measured)


def _lacking(cell: SweepCell) -> str:
    alive = np.isfinite(cell.loss)
    for name, values in (("learning rates", cell.lr[alive]), ("batch sizes", cell.batch[alive])):
        if (count := len(np.unique(values))) < FEWEST_VALUES:
            return f"it needs runs at {FEWEST_VALUES} or more {name}, got {count}"
    if alive.sum() < FEWEST_POINTS:
        return f"it needs {FEWEST_POINTS} or more runs that ended with a loss, got {alive.sum()}"
    return ""


def _basis(x: NDArray, skewed: bool) -> NDArray:
    a, b = x.T
    return np.column_stack((np.ones(len(a)), a, b, a * a, a * b, b * b, *([a**3] if skewed else [])))


def _curvature(theta: NDArray, at: NDArray) -> NDArray:
    cube = theta[6] if len(theta) > 6 else 0.0
    return np.array([[2 * theta[3] + 6 * cube * at[0], theta[4]], [theta[4], 2 * theta[5]]])


def _minimum(thetas: NDArray) -> tuple[NDArray, NDArray]:
    """Where surfaces (…, 6 or 7) are lowest (…, 2), and how low; NaN where one has no minimum.

    At each a the best b is −(t2 + t4 a)/(2 t5), which leaves a polynomial of degree three in a.
    """
    t0, t1, t2, t3, t4, t5 = np.moveaxis(thetas[..., :6], -1, 0)
    cube = thetas[..., 6] if thetas.shape[-1] > 6 else np.zeros_like(t0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p0, p1, p2 = t0 - t2**2 / (4 * t5), t1 - t2 * t4 / (2 * t5), t3 - t4**2 / (4 * t5)
        root = np.sqrt(p2**2 - 3 * cube * p1)
        a = np.where((t5 > 1e-9) & (root > 1e-9) & (p2 + root > 1e-9), -p1 / (p2 + root), np.nan)
        b = -(t2 + t4 * a) / (2 * t5)
    return np.stack((a, b), -1), p0 + a * (p1 + a * (p2 + a * cube))


def _draws(basis: NDArray, y: NDArray, weight: NDArray) -> NDArray:
    """Minima of refits to runs drawn with replacement; those without a minimum are left out."""
    counts = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), DRAWS) * weight
    normal = np.einsum("dn,ni,nj->dij", counts, basis, basis) + 1e-10 * np.eye(basis.shape[1])
    thetas = np.linalg.solve(normal, np.einsum("dn,ni,n->di", counts, basis, y)[..., None])[..., 0]
    found, _ = _minimum(thetas)
    return found[np.isfinite(found).all(1)]
