"""What the losses of a stage say of its end: an exponential, by Huber's loss, without outliers, with its error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_lsq_spline
from scipy.optimize import least_squares
from scipy.special import stdtrit

from ...arrays import FloatArray
from ...errors import DesignError
from ...fitting.covariance import LEVEL
from ...runs import HIGHEST_LOSS

FEWEST = 5  # losses that an exponential needs: three coefficients, and something to judge them by
ROUNDS, WORST = 10, 0.03  # of leaving outliers out, and the share that each may take
TUNED = 1.345  # standard deviations from which on Huber's loss is linear: 95 % efficient under Gaussian noise
SLOWEST = 1.0  # longest time constant in stages: beyond it, noise makes straight lines into the blue


@dataclass(frozen=True, eq=False)
class Exponential:
    """c + a·exp(−b·x) through the losses of a stage, x updates after its start."""

    c: float
    a: float
    b: float  # per update
    spread: FloatArray  # (3, 3) covariance of c, a and log b
    freedom: float  # degrees of freedom behind it
    kept: NDArray[np.bool_]  # (n,) losses that are no outliers

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Losses after `x` updates of the stage, of any shape."""
        return self.c + self.a * np.exp(-self.b * np.asarray(x, dtype=float))

    def error(self, x: ArrayLike) -> FloatArray:
        """Standard error of that, of the shape of `x`."""
        J = _jacobian(self.a, self.b, np.asarray(x, dtype=float))
        return np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", J, self.spread, J), 0.0))

    def interval(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """90 % interval of the loss without its noise, each of the shape of `x`."""
        half = stdtrit(self.freedom, (1 + LEVEL) / 2) * self.error(x)
        return self(x) - half, self(x) + half


def exponential(x: ArrayLike, loss: ArrayLike, end: float) -> Exponential:
    """The exponential through losses (n,) after `x` (n,) updates of a stage, to be asked for its loss after `end`.

    By Huber's loss on the losses that `inliers` keeps. Raises `DesignError` for fewer than `FEWEST` losses, one that is
    not finite or larger than `HIGHEST_LOSS`, updates that do not rise from above 0, or an end not above 0.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(loss, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise DesignError(f"The losses of a stage need one update each, got shapes {y.shape} and {x.shape}.")
    if len(y) < FEWEST:
        raise DesignError(f"The forecast of a stage needs at least {FEWEST} losses, got {len(y)}.")
    if not (fine := np.abs(y) <= HIGHEST_LOSS).all():  # NaN is not
        bad = int(np.argmin(fine))
        rule = f"losses of at most {HIGHEST_LOSS:g}" if np.isfinite(y[bad]) else "finite losses"
        raise DesignError(f"The forecast of a stage needs {rule}, got {y[bad]} after {x[bad]:g} updates.")
    if not (x[0] > 0 and (np.diff(x) > 0).all() and np.isfinite(x[-1])):
        raise DesignError("The updates of a stage must rise strictly from above 0.")
    if not 0 < end < np.inf:
        raise DesignError(f"The end of a stage must be a finite number of updates above 0, got {end:g}.")
    kept = inliers(x, y)
    X, Y = x[kept], y[kept]
    low, high = -np.log(max(SLOWEST * end, x[-1])), np.log(4 / np.diff(x).min())
    floor = 0.0 if y.min() >= 0 else -np.inf

    def residual(p: FloatArray) -> FloatArray:
        return p[0] + p[1] * np.exp(-np.exp(p[2]) * X) - Y

    def slope(p: FloatArray) -> FloatArray:
        return _jacobian(p[1], np.exp(p[2]), X)

    grid = [_linear(X, Y, beta) for beta in np.linspace(low, high, 24)[1:-1]]
    start = min(grid, key=lambda p: float((residual(p) ** 2).sum()))
    ends = ([floor, -np.inf, low], [np.inf, np.inf, high])
    plain = least_squares(residual, np.maximum(start, ends[0]), slope, ends, x_scale="jac")
    delta = TUNED * max(_scale(plain.fun), 1e-12 * float(np.abs(y).max()))  # rounding is the least of noises
    c, a, beta = least_squares(residual, plain.x, slope, ends, x_scale="jac", loss="huber", f_scale=delta).x
    b = float(np.exp(beta))
    return Exponential(float(c), float(a), b, *_spread(x, y - c - a * np.exp(-b * x), kept, a, b, delta), kept)


def _spread(
    x: FloatArray, off: FloatArray, kept: NDArray[np.bool_], a: float, b: float, delta: float
) -> tuple[FloatArray, float]:
    """Covariance of c, a and log b, (3, 3), and degrees of freedom, from the residuals `off` (n,) of all losses.

    Neighbours' correlation, of the first order and freed from the bias that fitting leaves, makes losses count less.
    """
    n, power = len(off), float((off**2).sum())
    rho = float(np.clip((off[1:] * off[:-1]).sum() / power + 4 / n, 0, 0.95)) if power else 0.0
    each = (1 + rho) / (1 - rho)  # losses that count as one
    weight = np.minimum(1, delta / np.maximum(np.abs(off[kept]), 1e-300))
    J = _jacobian(a, b, x[kept])
    variance = _scale(off) ** 2 * n / (n - 3) / 0.95 * each
    covariance = variance * np.linalg.pinv(J.T @ (weight[:, None] * J), hermitian=True)
    return np.asarray(covariance, float), max(n / each - 3, 1.0)


def _scale(off: FloatArray) -> float:
    """Standard deviation of residuals, from their median."""
    return 1.4826 * float(np.median(np.abs(off)))


def _jacobian(a: float, b: float, x: FloatArray) -> FloatArray:
    """Derivatives by c, a and log b, (..., 3)."""
    e = np.exp(-b * x)
    return np.stack((np.ones_like(e), e, -a * b * x * e), axis=-1)


def _linear(x: FloatArray, y: FloatArray, beta: float) -> FloatArray:
    """The best c and a for a given log b: coefficients (3,)."""
    e = np.exp(-np.exp(beta) * x)
    return np.append(np.linalg.lstsq(np.stack((np.ones_like(e), e), axis=1), y, rcond=None)[0], beta)


def inliers(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    """Which losses (n,) to keep: in each round those go that lie farthest from a spline through the others.

    Only losses of the first half may go, since the second carries the forecast; of fewer than 17, none.
    """
    keep, half = np.ones(len(y), bool), len(y) // 2
    for _ in range(ROUNDS):
        at = np.flatnonzero(keep)
        if not (count := round(WORST * len(at))):
            break
        off = np.abs(y[at] - _spline(x[at], y[at]))
        worst = at[np.argsort(off, kind="stable")[-count:]]
        keep[worst[worst < half]] = False
    return keep


def _spline(x: FloatArray, y: FloatArray) -> FloatArray:
    """Values (n,) of the spline of degree 2 with three inner knots, closer at the start, where a stage bends."""
    n = len(x)
    knots = np.concatenate((3 * [x[0]], x[[n // 8, n // 4, n // 2]], 3 * [x[-1]]))
    return make_lsq_spline(x, y, knots, k=2)(x)
