"""Descent to the highest posterior density: Huber's loss of the runs' residuals, and squares of the prior's.

Each step minimises a model in which residuals are straight lines and Huber's loss keeps its kinks: the Newton steps on
it cost next to nothing beside an evaluation of a law. Gauss-Newton steps on residuals whose squares are Huber's loss do
not know these kinks and take several times as many evaluations. A multiple of the prior's curvature damps the step, as
Levenberg 1944 and Marquardt 1963 damp by the identity and by the whole diagonal: among coordinates that the runs tell
apart by little, the diagonal of the whole would damp far too much. The multiple grows or shrinks by how well the model
foresaw the decrease (Nielsen 1999, Damping parameter in Marquardt's method).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray

DAMPING = 0.1  # how strongly the first step is damped, in units of the prior's curvature
WEAKEST = 1e-9  # share of its own curvature by which each coordinate is damped: the prior tells nothing of some
INNER = 12  # Newton steps on a model
LEAST = 1e-3  # share of the promised decrease that a step must keep


@dataclass(frozen=True, eq=False)
class Point:
    """A place of the search, with residuals in standard deviations and the objective."""

    x: FloatArray  # (free,)
    r: FloatArray  # (n,) of the runs
    J: FloatArray  # (n, free)
    off: FloatArray  # (k,) of the prior
    slopes: FloatArray  # (k, free)
    cost: float
    known: tuple[FloatArray, ...]  # what residuals follow from under any weights

    @classmethod
    def of(
        cls,
        x: FloatArray,
        r: FloatArray,
        J: FloatArray,
        off: FloatArray,
        slopes: FloatArray,
        linear: float,
        known: tuple[FloatArray, ...],
    ) -> "Point":
        """A place, whose residuals of the runs count linearly beyond `linear`. Infinite cost where one is no number."""
        cost = _huber(r, linear) + 0.5 * float(off @ off)
        whole = np.isfinite(cost) and bool(np.isfinite(J).all() and np.isfinite(slopes).all())
        return cls(x, r, J, off, slopes, cost if whole else np.inf, known)


@dataclass(frozen=True, eq=False)
class End:
    """Where a descent ended, and whether it had converged there."""

    at: Point
    finished: bool


def descended(
    evaluate: Callable[[FloatArray], Point],
    moved: Callable[[Point, FloatArray], FloatArray],
    at: Point,
    bounds: tuple[FloatArray, FloatArray],
    linear: float,
    settled: float,
    most: int,
) -> End:
    """The end of the descent from `at`, where a step promises less than `settled`, after at most `most` evaluations.

    moved: the coordinates (free,) within `bounds` to which a step (free,) from a point leads, alike to first order.
    """
    (low, high), damping, growth = bounds, DAMPING, 2.0
    for _ in range(most):
        if not np.isfinite(at.cost):
            return End(at, False)
        damped = damping * (at.slopes.T @ at.slopes) + np.diag(WEAKEST * max(damping, 1.0) * _curvature(at, linear))
        s, promised = _model_step(at, damped, low - at.x, high - at.x, linear)
        if promised <= settled:
            return End(at, True)
        new = evaluate(moved(at, s))
        kept = (at.cost - new.cost) / promised
        if kept > LEAST:
            at, growth = new, 2.0
            damping *= max(0.1, 1 - (2 * kept - 1) ** 3)
        else:
            damping, growth = damping * growth, 2 * growth
    return End(at, False)


def _curvature(at: Point, linear: float) -> FloatArray:
    """Diagonal of the curvature that reweighted least squares have, (free,)."""
    weight = linear / np.maximum(np.abs(at.r), linear)
    found = weight @ at.J**2 + (at.slopes**2).sum(axis=0)
    return np.maximum(found, 1e-16 * found.max())


def _model_step(
    at: Point, damped: FloatArray, low: FloatArray, high: FloatArray, linear: float
) -> tuple[FloatArray, float]:
    """The step (free,) within `low`..`high` that is least by the model with `damped` (free,), and its promise."""
    J, fixed, pull = at.J, at.slopes.T @ at.slopes + damped, at.slopes.T @ at.off
    s, e, cost = np.zeros(len(low)), at.r, _huber(at.r, linear)
    for _ in range(INNER):
        size = np.abs(e)
        inside = size <= linear
        gradient = J.T @ np.clip(e, -linear, linear) + pull + fixed @ s
        for weight in (inside, linear / np.maximum(size, linear)):  # Newton, and what never rises (Huber 1964)
            d = _direction((J.T * weight) @ J + fixed, gradient, s <= low, s >= high)
            share = min(1.0, _room(s, d, low, high))
            tried = np.clip(s + share * d, low, high)
            expected = at.r + J @ tried
            now = _huber(expected, linear) + float(tried @ (pull + 0.5 * (fixed @ tried)))
            if now < cost:
                break
        else:
            break
        s, e, cost = tried, expected, now
        if share >= 1 and np.array_equal(np.abs(e) <= linear, inside):
            break
    promised = _huber(at.r, linear) - cost + 0.5 * float(s @ damped @ s)
    return s, promised


def _direction(H: FloatArray, gradient: FloatArray, at_low: BoolArray, at_high: BoolArray) -> FloatArray:
    """−H⁻¹·gradient, (free,), 0 for coordinates on a bound that it would push over it."""
    size = np.sqrt(np.maximum(np.diag(H), 1e-300))
    H, slope = H / (size[:, None] * size), gradient / size
    d, free = np.zeros(len(size)), np.arange(len(size))
    while len(free):
        move = -np.linalg.solve(H[free[:, None], free], slope[free])
        held = (at_low[free] & (move < 0)) | (at_high[free] & (move > 0))
        if not held.any():
            d[free] = move / size[free]
            break
        free = free[~held]
    return d


def _room(s: FloatArray, d: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """How many times `d` fits between `s` and the first bound; all (free,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(d > 0, (high - s) / d, np.where(d < 0, (low - s) / d, np.inf))
    return float(room.min(initial=np.inf))


def _huber(r: FloatArray, linear: float) -> float:
    """Σ r²/2 where |r| ≤ `linear`, else linear·(|r| − linear/2) (Huber 1964); r: (n,)."""
    size = np.abs(r)
    near = np.minimum(size, linear)
    return float(near @ (size - 0.5 * near))


__all__ = ["End", "Point", "descended"]
