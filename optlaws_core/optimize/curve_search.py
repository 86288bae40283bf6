"""The best free-form curve: straight lines between knots, whose rates are found by the law's exact derivatives.

Two searches, since laws that reward drops have two kinds of optima. A curve without a jump is found from simple shapes.
A drop within one update is another thing to such a law than the same drop over many, however few: only what follows the
whole drop counts as trained at the lower rate. So curves with one jump are searched for on their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from ..arrays import FloatArray
from ..schedules import Knots, Schedule
from .limits import Limits
from .objective import Cells, Objective
from .progress import ProgressMeter

MOST_ROUNDS = 200  # of one descent
JUMPS = 8  # places of a jump that are tried, and as many between the best ones
EARLIEST, LATEST = 0.3, 0.2  # shares of the run behind a jump: the most that is tried, and the most room its knots need
JUMP_TO = 0.3  # of the peak: where a search for what follows a jump begins
LEAST = 3e-3  # of the peak: where a search for a falling curve begins at least
LEVELS = (1.0, 0.5, 0.25)  # of the peak: where a search begins
GRADED = 2.5  # how much closer knots lie towards the end, where the curve bends
PARTS = 1 + 2 * JUMPS  # of a search: descents


@dataclass(frozen=True, eq=False)
class Curve:
    """Knots with rates in units of the peak."""

    at: FloatArray  # (knots,) steps; one that stands twice is a jump
    y: FloatArray  # (knots,)
    loss: float  # its logarithm, on the cells
    finished: bool  # False: stopped before it had converged

    def schedule(self, limits: Limits) -> Knots:
        """The curve as a schedule, its rates written to six digits."""
        rates = np.array([float(f"{limits.peak * y:.6g}") for y in self.y])
        rates = np.clip(rates, limits.floor, limits.peak)
        if limits.falling:
            rates = np.minimum.accumulate(rates)  # rounding of the search
        steps, values = self.at.astype(int).tolist(), rates.tolist()
        if steps[0] > 0:
            steps, values = [0, *steps], [values[0], *values]
        return Knots(steps=tuple(steps), values=tuple(values), warmup=limits.warmup)


def search(objective: Objective, told: ProgressMeter, known: Sequence[Schedule] = ()) -> tuple[Curve, Curve | None]:
    """The best curve without a jump, and the best one with a jump where the limits leave room for one.

    `known`: schedules within the limits to begin with, besides simple shapes.
    """
    limits, at = objective.limits, knots(objective.limits)
    smooth = descend(objective, at, [*shapes(at, limits), *(schedule(at) / limits.peak for schedule in known)], told)
    told.part()
    length = limits.total - limits.warmup
    latest = max(4 * limits.knots / length, 0.01)  # room for the knots behind the jump
    if limits.slope is not None or not limits.falling or len(smooth.at) < 6 or latest > LATEST:
        return smooth, None
    return smooth, _with_jump(objective, smooth, latest, told)


def _with_jump(objective: Objective, smooth: Curve, latest: float, told: ProgressMeter) -> Curve:
    """The best curve with one jump, free on both sides of it; its step comes from a grid, then from between."""
    limits, known = objective.limits, {}

    def at_share(log_share: float) -> float:
        jump = int(limits.total - np.exp(log_share) * (limits.total - limits.warmup))
        if jump not in known:
            after = jump + (limits.total - jump) * (1 - (1 - np.linspace(0, 1, limits.knots - 3)) ** GRADED)
            at = np.concatenate(([limits.warmup, (limits.warmup + jump) // 2, jump], np.unique(np.rint(after))))
            y = np.interp(at, smooth.at, smooth.y)
            y[3:] = np.minimum(y[3:], max(JUMP_TO, limits.floor / limits.peak))
            known[jump] = descend(objective, at, [np.minimum.accumulate(y)], told)
        told.part()
        return known[jump].loss

    grid = np.log(np.geomspace(EARLIEST, latest, JUMPS))
    best = int(np.argmin([at_share(x) for x in grid]))
    around = grid[min(best + 1, JUMPS - 1)], grid[max(best - 1, 0)]
    minimize_scalar(at_share, bounds=around, method="bounded", options={"maxiter": JUMPS, "xatol": 0.01})
    return min(known.values(), key=lambda c: c.loss)


def descend(objective: Objective, at: FloatArray, starts: Sequence[FloatArray], told: ProgressMeter) -> Curve:
    """The best curve through knots at `at`, from the best of some `starts` (knots,) within the limits."""
    limits, cells = objective.limits, Cells.of(objective.limits, at)
    lines = Lines.of(at, cells)
    low = limits.floor / limits.peak

    def loss(y: FloatArray) -> tuple[float, FloatArray]:
        value, slope = objective(limits.peak * lines.rates(y), cells)
        told(value)
        return value, limits.peak * lines.pulled(slope)

    start = min(starts, key=lambda y: loss(y)[0])
    if limits.slope is not None:
        end = minimize(
            loss,
            start,
            jac=True,
            method="SLSQP",
            bounds=[(low, 1.0)] * len(at),
            constraints=_rules(at, limits, limits.slope),
            options={"maxiter": MOST_ROUNDS, "ftol": 1e-11},
        )
        return Curve(at, end.x, float(end.fun), bool(end.success))
    options = {"maxiter": MOST_ROUNDS, "ftol": 1e-11, "gtol": 1e-9, "maxcor": 30}
    if not limits.falling:
        end = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(low, 1.0)] * len(at), options=options)
        return Curve(at, end.x, float(end.fun), bool(end.success))
    # A curve that only falls is a product of shares that are kept from knot to knot: exp(−z) with z of 0 or more.
    span = 1 - low

    def kept(z: FloatArray) -> FloatArray:
        return np.exp(-np.cumsum(z))

    def falling(z: FloatArray) -> tuple[float, FloatArray]:
        y = kept(z)
        value, slope = loss(low + span * y)
        return value, -np.cumsum((span * slope * y)[::-1])[::-1]

    above = np.maximum((start - low) / span if span else np.ones_like(start), LEAST)
    z = np.maximum(-np.diff(np.log(above), prepend=0.0), 0.0)
    end = minimize(falling, z, jac=True, method="L-BFGS-B", bounds=[(0.0, 8.0)] * len(at), options=options)
    return Curve(at, low + span * kept(end.x), float(end.fun), bool(end.success))


def knots(limits: Limits) -> FloatArray:
    """Steps of the knots, (knots,): from the end of the warm-up to the last one, closer towards the end."""
    x = np.linspace(0, 1, limits.knots)
    graded = limits.warmup + (limits.total - limits.warmup) * (1 - (1 - x) ** GRADED)
    return np.unique(np.rint(graded))


def shapes(at: FloatArray, limits: Limits) -> list[FloatArray]:
    """Shapes to begin with, (knots,) each, that keep to the limits: straight decays at the end, and a cosine."""
    x, low = (at - at[0]) / (at[-1] - at[0]), limits.floor / limits.peak
    found = [np.where(x > 1 - d, (1 - x) / d, 1.0) for d in (0.1, 0.2, 0.4, 1.0)] + [(1 + np.cos(np.pi * x)) / 2]
    found = [low + (1 - low) * level * y for level in LEVELS for y in found]
    if limits.slope is not None:
        steepest = limits.slope / limits.peak * np.diff(at)
        for y in found:  # backwards from the end, no steeper than allowed
            for i in range(len(y) - 2, -1, -1):
                y[i] = min(y[i], y[i + 1] + steepest[i])
    return found


def _rules(at: FloatArray, limits: Limits, slope: float) -> list[dict]:
    """Linear constraints on the knots: no slope beyond `slope`, and no rise where the curve may only fall."""
    fall = np.eye(len(at))[:-1] - np.eye(len(at))[1:]
    steepest = slope / limits.peak * np.diff(at)
    rules = ((-fall, steepest), (fall, 0.0 if limits.falling else steepest))
    return [{"type": "ineq", "fun": lambda y, A=A, b=b: A @ y + b, "jac": lambda y, A=A: A} for A, b in rules]


@dataclass(frozen=True, eq=False)
class Lines:
    """How the rates of cells follow from those of knots: on a line between two, in the warm-up a share of the first."""

    left: NDArray[np.int64]  # (cells,) the knot before each cell
    by_left: FloatArray  # (cells,) weight of that knot
    by_right: FloatArray  # (cells,) weight of the next one
    knots: int

    @classmethod
    def of(cls, at: FloatArray, cells: Cells) -> "Lines":
        """For knots at the steps `at` (knots,)."""
        left = np.clip(np.searchsorted(at, cells.middle, side="right"), 1, len(at) - 1) - 1
        share = (cells.middle - at[left]) / (at[left + 1] - at[left])
        rising = cells.middle < cells.limits.warmup
        return cls(
            np.where(rising, 0, left),
            np.where(rising, cells.middle / max(cells.limits.warmup, 1), 1 - share),
            np.where(rising, 0.0, share),
            len(at),
        )

    def rates(self, y: FloatArray) -> FloatArray:
        """Rates of the cells (cells,) for rates `y` at the knots (knots,)."""
        return self.by_left * y[self.left] + self.by_right * y[self.left + 1]

    def pulled(self, slope: FloatArray) -> FloatArray:
        """A slope by the rates of the knots (knots,), from one by those of the cells (cells,)."""
        first = np.bincount(self.left, self.by_left * slope, self.knots)
        return np.asarray(first + np.bincount(self.left + 1, self.by_right * slope, self.knots), float)
