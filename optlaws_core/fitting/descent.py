"""Descent to a minimum of Huber's loss on log residuals, to the last digits: the end does not hang on the way there.

Each step minimises a model in which residuals are straight lines and Huber's loss is kept as it is, kinks included,
plus the curvature of the residuals themselves (Fletcher 1982, A model algorithm for composite nondifferentiable
optimization problems). Gauss-Newton steps with reweighted residuals know neither: most residuals lie beyond δ, where
Huber's loss has no curvature of its own. So they creep along bent valleys until their iterations are used up, and where
they stop hangs on the last digits of the linear algebra. Coefficients in which the law is linear are solved for after a
step (Ruhe and Wedin 1980, Algorithms for separable nonlinear least squares problems), which straightens those valleys.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arrays import BoolArray, FloatArray

HUBER = 1e-3  # log residuals beyond 0.1 % count linearly (Luo et al. 2025, arXiv:2503.12811, use the same)
FAR = 10.0  # log residual where a law has no finite loss: beyond any ratio of losses
WIDER = 100.0  # radii that a coordinate in which losses are linear may go in one step
FACTOR = 3.0  # by which the radius grows and shrinks
NEARBY = 20.0  # first radius of a refit, in units of that of another descent
TRIES = 20  # radii before a step is given up
LEAST = 1e-4  # share of the promised decrease that a step must keep
GOOD = 0.9  # share from which the linear coordinates stay as the step has them
SLOW = 0.02  # decrease of a step, as a share of the objective, from which the curvature of residuals is used
SHIFT = 1e-6  # of the searched width: distance over which slopes are compared for that curvature
SETTLED = 1e-13  # decrease promised by the model, as a share of the objective, at which a descent has converged
ENOUGH = 1e-8  # the same where a refit need only be as good as its draw: a hundredth of their spread
NOISE = 1e-10  # share of the objective below which a decrease is mostly rounding
EXACT = 1e-12  # log residuals of a law on losses that it made itself are rounding up to about this size
INNER = 50  # iterations on the model
SURE = 1e-8  # least pivot, as a share of the largest curvature, from which curvatures are known to be above 0
SINGULAR = 1e-11  # share of the largest curvature that a direction without any is taken to have


class Residuals(Protocol):
    """What is descended on: coordinates within bounds, those among them in which losses are linear, and residuals."""

    low: FloatArray  # (free,)
    high: FloatArray  # (free,)
    linear: BoolArray  # (free,)
    logs: int  # how many of the residuals are logarithms of predicted over observed losses; the others are priors

    def __call__(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals (rows,), those of losses first, and their Jacobian (rows, free)."""
        ...

    def searched(self, z: FloatArray) -> FloatArray:
        """Coordinates of the search (free,) from those of the descent."""
        ...


@dataclass(frozen=True, eq=False)
class Point:
    """Coordinates with their residuals, Jacobian and objective."""

    z: FloatArray  # (free,)
    r: FloatArray  # (rows,)
    J: FloatArray  # (rows, free)
    cost: float


class Descent:
    """A descent from one start: `step` until it is `over`.

    Steps lie within a radius, in units of the coordinates' sizes: how strongly each acts on the weighted residuals.
    """

    def __init__(self, residuals: Residuals, z: FloatArray, bends: FloatArray | None = None) -> None:
        """`bends`: what `bends_at` gives near by, used from the first step on; None: found where they are needed.

        With those from near by the last digits would take many steps, so the descent ends at `ENOUGH`.
        """
        self.of, self.low, self.high, self.linear = residuals, residuals.low, residuals.high, residuals.linear
        self.over = self.converged = False
        self.curvature = np.zeros((len(z), len(z)))  # Σ ψ(r)·∇²r, with the slopes ψ of Huber's loss
        self.curved = self.fresh = False  # whether it is used, and whether it was found at this very point
        self.settled = SETTLED if bends is None else ENOUGH
        self.bends, self.outdated = bends, False  # whether they no longer foresee how residuals bend
        self.wanted = bends is not None  # whether the curvature is to be found before the next step
        self.at = self._point(np.clip(z, self.low, self.high))
        solved, cost = self._linear_part(self.at)
        if cost < self.at.cost:
            self.at = self._point(solved)
        # Half the weighted squares of the residuals are at least the objective. Whoever knows bends is near the end.
        self.radius = np.sqrt(self.at.cost) * (1.0 if bends is None else NEARBY)

    def _point(self, z: FloatArray) -> Point:
        r, J = self.of(z)
        return Point(z, r, J, huber(r))

    def step(self) -> None:
        """One step down, or the end."""
        size = _sizes(self.at.r, self.at.J)
        if self.wanted:
            self._find_curvature(size)
        hopes = []
        for _ in range(TRIES):
            s, promised, length = self._proposal(size)
            hopes.append(promised)
            whole = length < 0.99 * self.radius
            new, kept = self._tried(s, promised)
            if whole and promised <= self._nothing(self.settled):
                self.at = new if kept > 0 else self.at
                break
            if kept > 0.75 and not whole:
                self.radius *= FACTOR
            elif kept < 0.25 and (kept > LEAST or self.fresh or self.bends is not None):
                self.radius = min(self.radius, length) / FACTOR
            if kept > LEAST:
                self._move(new, kept)
                return
            if not self.fresh:
                self._find_curvature(size)
        self.over, self.converged = True, min(hopes[0], hopes[-1]) <= self._nothing(NOISE)

    def _nothing(self, share: float) -> float:
        """A decrease that is none."""
        return share * self.at.cost + len(self.at.r) * EXACT**2

    def _move(self, new: Point, kept: float) -> None:
        self.curved |= kept < 0.5 or self.at.cost - new.cost < SLOW * self.at.cost
        near = self.at.cost - new.cost <= self._nothing(NOISE)
        self.wanted = self.curved and (near or not self.curvature.any() or not 0.8 < kept < 1.2)
        slow = self.at.cost - new.cost < 1e-3 * self.at.cost
        self.outdated |= slow and not 0.5 < kept < 1.3
        self.at, self.fresh = new, False

    def _proposal(self, size: FloatArray) -> tuple[FloatArray, float, float]:
        """The step (free,) that is best by the model, the decrease that it promises, and its length."""
        s, e = self._model_step(size)
        promised = self.at.cost - huber(e) - 0.5 * float(s @ self.curvature @ s)
        return s, promised, float(np.abs(s * size)[~self.linear].max(initial=0.0))

    def _model_step(self, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The step (free,) and the residuals (rows,) that the model expects after it."""
        room = self.radius / size * np.where(self.linear, WIDER, 1.0)
        low, high = np.maximum(self.low - self.at.z, -room), np.minimum(self.high - self.at.z, room)
        return minimised(self.at.r, self.at.J, self.curvature + np.diag(1e-14 * size**2), low, high, size)

    def _tried(self, s: FloatArray, promised: float) -> tuple[Point, float]:
        """The point that step `s` (free,) leads to, and its decrease as a share of the promised one."""
        at = self.at
        new = self._point(np.clip(at.z + s, self.low, self.high))
        if promised <= self._nothing(NOISE) and new.cost <= at.cost + self._nothing(NOISE / 10):
            return new, 1.0
        kept = (at.cost - new.cost) / promised
        if kept < GOOD and self.linear.any():
            solved, cost = self._linear_part(new)
            if cost < new.cost and (at.cost - cost) / promised > LEAST:
                new = self._point(solved)
                kept = (at.cost - new.cost) / promised
        return new, kept

    def _linear_part(self, point: Point) -> tuple[FloatArray, float]:
        """`point.z` with its linear coordinates solved for, and the objective there, without evaluating the law."""
        of, logs = self.linear, self.of.logs
        z, cost = point.z.copy(), point.cost
        if not of.any():
            return z, cost
        ratio, others = np.exp(point.r[:logs]), huber(point.r[logs:])
        columns, begin = point.J[:logs, of] * ratio[:, None], ratio
        low, high = self.low[of], self.high[of]
        r, cost = point.r[:logs], cost - others
        none = np.zeros((len(low),) * 2)
        for _ in range(3):
            J = columns / ratio[:, None]
            size = _sizes(r, J)
            s, _ = minimised(r, J, none + np.diag(1e-14 * size**2), low - z[of], high - z[of], size)
            for share in (1.0, 0.25, 0.06, 0.015):
                moved = np.clip(z[of] + share * s, low, high)
                new = begin + columns @ (moved - point.z[of])
                if (new > 0).all() and (now := huber(np.log(new))) <= cost:
                    break
            else:
                break
            gained, cost = cost - now, now
            z[of], ratio, r = moved, new, np.log(new)
            if gained <= 1e-3 * cost:
                break
        return z, cost + others

    def _find_curvature(self, size: FloatArray) -> None:
        """Σ ψ(r)·∇²r, (free, free), from slopes a little further on; ψ is what the model expects after the step."""
        at, linear, logs = self.at, self.linear, self.of.logs
        _, e = self._model_step(size)
        psi, found = _clipped(e), np.zeros_like(self.curvature)
        if self.bends is None or self.outdated:
            bends, self.outdated = self.bends_at(), False
            self.bends = self.bends if self.bends is None else bends
        else:
            bends = self.bends
        found[~linear] = psi @ bends
        rest = np.ix_(~linear, ~linear)
        found[rest] = (found[rest] + found[rest].T) / 2
        found[np.ix_(linear, ~linear)] = found[np.ix_(~linear, linear)].T
        J = at.J[:logs, linear]
        found[np.ix_(linear, linear)] = -(J.T * psi[:logs]) @ J  # of the logarithm
        self.curvature, self.curved, self.fresh, self.wanted = found, True, True, False

    def bends_at(self) -> FloatArray:
        """How the Jacobian changes with each coordinate in which losses are not linear, (not linear, rows, free)."""
        at, found = self.at, []
        for k in np.flatnonzero(~self.linear):
            z, far = at.z.copy(), SHIFT * (self.high[k] - self.low[k])
            z[k] += far if z[k] + far <= self.high[k] else -far
            found.append((self.of(z)[1] - at.J) / (z[k] - at.z[k]))
        return np.array(found).reshape(-1, *at.J.shape)


def huber(r: FloatArray, delta: float = HUBER) -> float:
    """Σ r²/2 where |r| ≤ δ, else δ(|r| − δ/2), with δ = `delta`; infinite if any residual is not finite."""
    size = np.abs(r)
    near = np.minimum(size, delta)
    found = float(near @ (size - 0.5 * near))
    return found if np.isfinite(found) else np.inf


def log_residuals(loss: FloatArray, slopes: FloatArray, log_loss: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log predicted minus log observed, (n,), and the Jacobian (n, free), from losses (n,) and their slopes (n, free).

    Rows that are not finite become `FAR` with no slope, so that a search turns back. `log_loss`: observed, (n,).
    """
    with np.errstate(all="ignore"):
        r, J = np.log(loss) - log_loss, slopes / loss[:, None]
    bad = ~(np.isfinite(r) & np.isfinite(J).all(axis=1))
    r[bad], J[bad] = FAR, 0.0
    return r, J


def _sizes(r: FloatArray, J: FloatArray) -> FloatArray:
    """How strongly each coordinate acts, (free,): the root of the curvature that reweighted least squares give it."""
    size = np.sqrt((J**2 * (HUBER / np.maximum(np.abs(r), HUBER))[:, None]).sum(axis=0))
    return np.maximum(size, 1e-8 * max(size.max(), 1e-300))


def minimised(
    r: FloatArray, J: FloatArray, C: FloatArray, low: FloatArray, high: FloatArray, size: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The step s (free,) within `low`..`high` at which Σ Huber(r + J·s) + s·C·s/2 is least, and r + J·s (rows,) there.

    Newton steps, with an exact search along those that fall short (Madsen and Nielsen 1990, Finite algorithms for
    robust linear regression). `size`: (free,) units in which coordinates are comparable. Where C has directions that
    fall, s is one of the local minima.
    """
    s, e = np.zeros(J.shape[1]), r
    before = now = huber(r)
    for _ in range(INNER):
        gradient = J.T @ _clipped(e) + C @ s
        at_low, at_high = s <= low, s >= high
        free = ~((at_low & (gradient >= 0)) | (at_high & (gradient <= 0)))
        if ((gradient / size)[free] ** 2).sum() <= 1e-26 * before:
            break
        inside = np.abs(e) <= HUBER
        d = _newton((J * inside[:, None]).T @ J + C, gradient, free, at_low, at_high, size)
        falls = -float(gradient @ d)
        if not falls > 1e-16 * before:
            break
        room, b = _room(s, d, low, high), J @ d
        # A whole step is as good as the best one near the end; a search for that takes ten times as long.
        share, value = 1.0, np.inf
        if room >= 1:
            further = s + d
            value = huber(e + b) + 0.5 * float(further @ C @ further)
        if not now - value > 0.25 * falls:
            share = _along(e, b, -falls, float(d @ C @ d), room)
        s = _between(s + share * d, low, high)
        e = r + J @ s
        now = value if share == 1.0 else huber(e) + 0.5 * float(s @ C @ s)
    return s, e


def _clipped(e: FloatArray) -> FloatArray:
    """Slopes of Huber's loss at residuals, (rows,)."""
    return np.minimum(np.maximum(e, -HUBER), HUBER)


def _between(s: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """`s` within the bounds, (free,); np.clip takes longer."""
    return np.minimum(np.maximum(s, low), high)


def _newton(H, gradient, free, at_low, at_high, size) -> FloatArray:
    """The Newton direction (free,), 0 for coordinates that it or the gradient would push over their bound."""
    d = np.zeros(len(gradient))
    H, slope = H / (size[:, None] * size), gradient / size
    free = np.flatnonzero(free)
    while len(free):
        move = -_solved(H if len(free) == len(d) else H[free[:, None], free], slope[free]) / size[free]
        held = (at_low[free] & (move < 0)) | (at_high[free] & (move > 0))
        if not held.any():
            d[free] = move
            return d
        free = free[~held]
    return d


def _solved(H: FloatArray, slope: FloatArray) -> FloatArray:
    """H⁻¹·slope, (n,), with absolute curvatures where some are negative, and `SINGULAR` of the largest where 0."""
    from scipy.linalg.lapack import dposv  # slow to import

    half, found, fault = dposv(H, slope)  # by Cholesky's decomposition
    if not fault and half.diagonal().min() ** 2 > SURE * H.diagonal().max():
        return found
    w, V = np.linalg.eigh(H)
    w = np.abs(w)
    w = np.maximum(w, SINGULAR * max(w.max(), 1e-300))
    return V @ ((slope @ V) / w)


def _room(s: FloatArray, d: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """How many times `d` fits between `s` and the first bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(d > 0, (high - s) / d, np.where(d < 0, (low - s) / d, np.inf))
    return float(room.min())


def _along(e: FloatArray, b: FloatArray, slope: float, bent: float, most: float) -> float:
    """The share t in 0..most at which Σ Huber(e + t·b) + slope' t + bent·t²/2 first stops falling; `slope`: at 0."""
    moving = b != 0
    e, b = e[moving], b[moving]
    square = b**2
    entering, leaving = (-np.sign(b) * HUBER - e) / b, (np.sign(b) * HUBER - e) / b
    now = square[(entering <= 0) & (leaving > 0)].sum() + bent
    at, change = np.concatenate((entering, leaving)), np.concatenate((square, -square))
    ahead = (at > 0) & (at < most)
    at, change = at[ahead], change[ahead]
    order = np.argsort(at, kind="stable")
    bends = now + np.concatenate(([0.0], np.cumsum(change[order])))
    knots = np.concatenate(([0.0], at[order], [min(most, 1e6)]))
    slopes = slope + np.concatenate(([0.0], np.cumsum(bends * np.diff(knots))))
    rising = slopes[1:] >= 0
    if not rising.any():
        return float(knots[-1])
    j = int(np.argmax(rising))
    return float(min(knots[j] - slopes[j] / bends[j] if bends[j] > 0 else knots[j + 1], most))
