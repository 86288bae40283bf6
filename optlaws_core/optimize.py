"""The schedule with the lowest final loss under a fitted law, under constraints on its peak, floor, slope and shape.

A free-form schedule is a curve through knots. The law's final loss is a function of the rate of every update; its exact
derivatives come from the law's own expressions, along both ways in which a rate acts: what its update does itself, and
how far it moves the clocks on which earlier updates are forgotten. Updates far from the end are taken together, so that
the cost does not grow with the horizon; the loss that is reported is the law's own on the finished schedule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from scipy.optimize import minimize, minimize_scalar

from .errors import Cancelled, DesignError, ScheduleError
from .evaluation import LOWEST, NOTHING, batch
from .evaluation import predict as evaluate
from .final_loss import SHAPES
from .fits import Average, Model
from .laws import law_named
from .laws.base import Law, S, S_k, _Expression, _paced, d_k, eta, eta0, eta_k, pace_k, params, peak, t, tokens, u
from .prediction import predict
from .runs import Plan
from .schedules import Knots, Schedule
from .schedules.base import FloatArray
from .trace import ETA_REF

MOST_CELLS = 6_000  # updates that are looked at one by one; of more, those far from the end share cells
KNOTS = 40
MOST_ROUNDS = 200
JUMPS = 8  # places of a jump that are tried, and as many between the best ones
JUMP_TO = 0.3  # of the peak: where a search for what follows a jump begins
TOLD_APART = 1e-6  # relative gain below which a jump is not worth having
LEAST = 3e-3  # of the peak: where a search for a falling curve begins at least
GRADED = 2.5  # how much closer knots lie towards the end, where the curve bends
KNOWN = {S, eta, eta0, peak, t, params, tokens}  # features whose slope in the rates is written here


@dataclass(frozen=True)
class Limits:
    """What a schedule must keep to. Rates in units of the rate, lengths in updates."""

    peak: float
    total: int
    warmup: int = 0
    floor: float = 0.0  # lowest rate after the warm-up
    slope: float | None = None  # largest change of the rate from one update to the next; None: any
    knots: int = KNOTS
    falling: bool = True  # whether the rate may only fall after the warm-up

    def __post_init__(self) -> None:
        if not 0 < self.peak < np.inf:
            raise DesignError(f"The peak must be a finite number above 0, got {self.peak:g}.")
        if not 0 <= self.warmup < self.total:
            raise DesignError(f"The warm-up must end before the run of {self.total:,} updates, got {self.warmup:,}.")
        if not 0 <= self.floor <= self.peak:
            raise DesignError(f"The floor must lie between 0 and the peak {self.peak:g}, got {self.floor:g}.")
        if self.slope is not None and not 0 < self.slope < np.inf:
            raise DesignError(f"The largest slope must be above 0, got {self.slope:g}.")
        if not 3 <= self.knots <= 400:
            raise DesignError(f"A curve takes 3 to 400 knots, got {self.knots}.")


@dataclass(frozen=True)
class Best:
    """The best schedule that was found, and the best one without a jump, which may be the same.

    Where a jump is better under the law, that is the law's claim: look for a run with one before trusting it.
    """

    schedule: Knots
    loss: float  # the law's final loss on it
    smooth: Knots
    smooth_loss: float
    evaluations: int
    finished: bool  # False: stopped before it had converged


def best_schedule(
    model: Model, limits: Limits, plan: Plan | None = None, progress: Callable[[float, float], bool] | None = None
) -> Best:
    """The curve through knots with the lowest final loss under `model`.

    `plan`: its model size and batch are those of the schedule, by default the training runs'. `progress` is told the
    share of the rounds and the lowest loss so far; False stops. Raises `DesignError` for laws that walk through every
    update (forward momentum, convex bound), and `Cancelled`.
    """
    told = plan or model.coverage.plan(_flat(limits))
    fits = zip(model.fits, model.weights, strict=True) if isinstance(model, Average) else [(model, 1.0)]
    parts = [(_Final(law_named(f.law), f.vector, limits, told), w) for f, w in fits if w > 0]

    def judge(schedule: Schedule) -> float:
        return float(predict(model, Plan(schedule, told.params, told.batch_tokens))[0])

    return _search(parts, limits, judge, progress)


def best_under(law: Law, theta: FloatArray, limits: Limits) -> Best:
    """The same for a law with coefficients `theta` (params,), such as published ones."""

    def judge(schedule: Schedule) -> float:
        return float(evaluate(batch(law, [(Plan(schedule), np.array([schedule.total - 1]))]), theta)[0])

    return _search([(_Final(law, theta, limits, Plan(_flat(limits))), 1.0)], limits, judge, None)


@dataclass(frozen=True)
class Simple:
    """The best of the simple shapes under the same limits, and how much of what can be gained it has already."""

    name: str
    schedule: Schedule
    loss: float
    share: float  # of the way from the worst of these shapes to the best free curve


def best_simple(model: Model, limits: Limits, best: Best, plan: Plan | None = None) -> Simple:
    """The simple shape with the lowest final loss. Floors are kept; a largest slope is not asked of them."""
    told = plan or model.coverage.plan(_flat(limits))
    found = []
    for name, made in SHAPES.items():
        try:
            schedule = made(limits.peak, limits.warmup, limits.total)
        except ScheduleError:  # a shape that such a warm-up or length leaves no room for
            continue
        if limits.floor and schedule(limits.total - 1) < limits.floor:
            if not hasattr(schedule, "final"):
                continue
            schedule = replace(schedule, final=limits.floor)
        found.append((float(predict(model, Plan(schedule, told.params, told.batch_tokens))[0]), name, schedule))
    loss, name, schedule = min(found, key=lambda row: row[0])
    worst = max(row[0] for row in found)
    span = worst - best.loss
    return Simple(name, schedule, loss, (worst - loss) / span if span > 0 else 1.0)


def _flat(limits: Limits) -> Schedule:
    return Knots(steps=(0, limits.total), values=(limits.peak, limits.peak))


def _search(
    parts: "Sequence[tuple[_Final, float]]",
    limits: Limits,
    judge: Callable[[Schedule], float],
    progress: Callable[[float, float], bool] | None,
) -> Best:
    """A smooth curve first; then one with a jump, which some laws prefer, wherever it gains most."""
    told = _Told(progress)
    curve = _descend(parts, limits, _knots(limits), None, told)
    smooth = _schedule(curve.at, curve.y, limits)
    best = Best(smooth, loss := judge(smooth), smooth, loss, told.rounds, curve.finished)
    if limits.slope is not None or not limits.falling or len(curve.at) < 6:
        return best
    curve = _with_jump(parts, limits, curve, told)
    other = _schedule(curve.at, curve.y, limits)
    if (lower := judge(other)) >= loss - TOLD_APART * loss:
        return replace(best, evaluations=told.rounds)
    return Best(other, lower, smooth, loss, told.rounds, curve.finished)


@dataclass(frozen=True, eq=False)
class _Curve:
    """Knots with rates in units of the peak."""

    at: FloatArray  # (knots,) steps; one that stands twice is a jump
    y: FloatArray  # (knots,)
    loss: float  # its logarithm, on the cells
    finished: bool


class _Told:
    """Counts rounds, and asks whether to go on."""

    def __init__(self, progress: Callable[[float, float], bool] | None) -> None:
        self.progress, self.rounds, self.best = progress, 0, np.inf

    def __call__(self, loss: float) -> None:
        self.rounds, self.best = self.rounds + 1, min(self.best, loss)
        if self.progress and not self.progress(1 - np.exp(-self.rounds / MOST_ROUNDS), float(np.exp(self.best))):
            raise Cancelled


def _descend(parts, limits: Limits, at: FloatArray, start: FloatArray | None, told: _Told) -> _Curve:
    """The best curve through knots at `at`, from `start` (knots,) or the best of some simple shapes."""
    low, lines = limits.floor / limits.peak, [part.lines(at) for part, _ in parts]

    def loss(y: FloatArray) -> tuple[float, FloatArray]:
        values, slopes = zip(
            *(part.loss(limits.peak * y, line) for (part, _), line in zip(parts, lines, strict=True)), strict=True
        )
        logs = sum(w * np.log(v) for v, (_, w) in zip(values, parts, strict=True))  # as the average predicts
        slope = sum(w * g / v for v, g, (_, w) in zip(values, slopes, parts, strict=True))
        told(float(logs))
        return float(logs), limits.peak * slope

    if start is None:
        start = min(_shapes(at, limits), key=lambda y: loss(y)[0])
    if not limits.falling or limits.slope is not None:
        end = minimize(
            loss, start, jac=True, method="SLSQP", bounds=[(low, 1.0)] * len(at), constraints=_rules(at, limits),
            options={"maxiter": MOST_ROUNDS, "ftol": 1e-11},
        )  # fmt: skip
        y = end.x if np.isfinite(end.x).all() else start
        return _Curve(at, y, loss(y)[0], bool(end.success))
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
    end = minimize(falling, z, jac=True, method="L-BFGS-B", bounds=[(0.0, 8.0)] * len(at),
                   options={"maxiter": MOST_ROUNDS, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 30})  # fmt: skip
    return _Curve(at, low + span * kept(end.x), float(end.fun), bool(end.success))


def _with_jump(parts, limits: Limits, smooth: _Curve, told: _Told) -> _Curve:
    """The best curve with one jump, free on both sides of it; its step comes from a grid, then from between."""
    length, known = limits.total - limits.warmup, {}

    def at_share(log_share: float) -> float:
        jump = int(limits.total - np.exp(log_share) * length)
        if jump not in known:
            after = jump + (limits.total - jump) * (1 - (1 - np.linspace(0, 1, limits.knots - 3)) ** GRADED)
            at = np.concatenate(([limits.warmup, (limits.warmup + jump) // 2, jump], np.unique(np.rint(after))))
            y = np.interp(at, smooth.at, smooth.y)
            y[3:] = np.minimum(y[3:], max(JUMP_TO, limits.floor / limits.peak))
            known[jump] = _descend(parts, limits, at, np.minimum.accumulate(y), told)
        return known[jump].loss

    latest = max(4 * limits.knots / length, 0.01)  # room for the knots behind the jump
    if latest > 0.2:
        return smooth
    grid = np.log(np.geomspace(0.3, latest, JUMPS))
    best = int(np.argmin([at_share(x) for x in grid]))
    around = grid[min(best + 1, JUMPS - 1)], grid[max(best - 1, 0)]
    minimize_scalar(at_share, bounds=around, method="bounded", options={"maxiter": JUMPS, "xatol": 0.01})
    return min(known.values(), key=lambda c: c.loss)


def _knots(limits: Limits) -> FloatArray:
    """Steps of the knots, (knots,): from the end of the warm-up to the last one, closer towards the end."""
    x = np.linspace(0, 1, limits.knots)
    graded = limits.warmup + (limits.total - limits.warmup) * (1 - (1 - x) ** GRADED)
    return np.unique(np.rint(graded).astype(np.int64)).astype(float)


def _shapes(at: FloatArray, limits: Limits) -> list[FloatArray]:
    """Shapes to begin with, (knots,) each, that keep to the limits: straight decays at the end, and a cosine."""
    x, low = (at - at[0]) / (at[-1] - at[0]), limits.floor / limits.peak
    shapes = [np.where(x > 1 - d, (1 - x) / d, 1.0) for d in (0.1, 0.2, 0.4, 1.0)] + [(1 + np.cos(np.pi * x)) / 2]
    shapes = [np.clip(low + (1 - low) * y, low, 1.0) for y in shapes]
    if limits.slope is None:
        return shapes
    steepest = limits.slope / limits.peak * np.diff(at)
    kept = []
    for y in shapes:  # backwards from the end, no steeper than allowed
        y = y.copy()
        for i in range(len(y) - 2, -1, -1):
            y[i] = min(y[i], y[i + 1] + steepest[i])
        kept.append(y)
    return kept


def _rules(at: FloatArray, limits: Limits) -> list[dict]:
    """Linear constraints on the knots: no rise, no slope beyond the largest."""
    fall = np.eye(len(at))[:-1] - np.eye(len(at))[1:]
    rules = [(fall, 0.0)] if limits.falling else []
    if limits.slope is not None:
        steepest = limits.slope / limits.peak * np.diff(at)
        rules += [(-fall, steepest)] if limits.falling else [(-fall, steepest), (fall, steepest)]
    return [
        {"type": "ineq", "fun": lambda y, A=A, b=b: A @ y + b, "jac": lambda y, A=A: A} for A, b in rules
    ]  # fmt: skip


def _schedule(at: FloatArray, y: FloatArray, limits: Limits) -> Knots:
    rates = limits.peak * np.clip(y, limits.floor / limits.peak, 1.0)
    if limits.falling:
        rates = np.minimum.accumulate(rates)  # rounding of the search
    steps, values = at.astype(int).tolist(), [float(f"{r:.6g}") for r in rates]
    if steps[0] > 0:
        steps, values = [0, *steps], [values[0], *values]
    return Knots(steps=tuple(steps), values=tuple(values), warmup=limits.warmup)


class _Final:
    """A law's final loss as a function of the rates at the knots, with its exact slope."""

    def __init__(self, law: Law, theta: FloatArray, limits: Limits, plan: Plan) -> None:
        if unknown := [f for f in law.features if f not in KNOWN]:
            raise DesignError(f"The law {law.name} walks through every update ({unknown[0]}), so nothing is optimised.")
        if not limits.falling and any(h.drops_only for h in law.sums):
            raise DesignError(
                f"The law {law.name} rewards every drop, so under it a rate that may rise has no optimum."
            )
        self.law, self.theta = law, theta
        symbols = [p.symbol for p in law.params]
        self.held = [h.symbol for h in law.sums]
        self.formula = _Expression(law.formula, [*symbols, *law.features, *self.held], [*law.features, *self.held])
        self.sums = [
            (
                h,
                _Expression(h.source, [*symbols, eta_k, S_k, d_k], [eta_k, S_k, d_k]),
                _Expression(_paced(h, pace_k), [*symbols, u, pace_k], [u, pace_k]),
                None if h.pace is None else _Expression(h.pace, [*symbols, eta_k], [eta_k]),
            )
            for h in law.sums
        ]
        self.fixed = {t: float(limits.total), params: plan.params or 1.0,
                      tokens: (plan.batch_tokens or 1.0) * limits.total}  # fmt: skip
        start, self.count = _cells(limits.total, limits.warmup)
        self.middle, self.warmup, self.total = start + (self.count - 1) / 2, limits.warmup, limits.total
        gap = (self.count + np.concatenate((self.count[:1], self.count[:-1]))) / 2
        self.gap = np.where(np.arange(len(gap)) > 0, gap, np.inf)  # no drop before the first update

    def lines(self, at: FloatArray) -> FloatArray:
        """Weights of knots at the steps `at` in the rate of each cell, the last update and the first one."""
        return _lines(at, np.concatenate((self.middle, [self.total - 1.0, 0.0])), self.warmup)

    def loss(self, y: FloatArray, lines: FloatArray) -> tuple[float, FloatArray]:
        """Final loss for rates `y` at the knots (knots,), and its slope (knots,). `lines`: those of the knots."""
        basis, last, zero = lines[:-2], lines[-2], lines[-1]
        m, rate = self.count, basis @ y
        live = rate > 0
        moved = m * rate
        before = np.concatenate(([0.0], np.cumsum(moved)[:-1]))
        S_now = float(moved.sum())
        S_node = np.maximum(before + rate * (m + 1) / 2, rate[live][0])
        drop = -np.diff(rate, prepend=rate[0]) / self.gap
        by_rate, inner = [], []
        for h, source, kernel, pace in self.sums:
            value, slope = self._sum(h, source, kernel, pace, rate, S_node, drop)
            inner.append(value)
            by_rate.append(slope)
        top = int(np.argmax(y))
        features = {S: S_now, eta: float(last @ y), eta0: float(zero @ y), peak: float(y[top])} | self.fixed
        value, *outer = self.formula.both(*self.theta, *(features[f] for f in self.law.features), *inner)
        slope = np.zeros(len(y))
        for symbol, d in zip(self.formula.wrt, outer, strict=True):
            d = float(d)
            if symbol in self.held:
                slope += d * (by_rate[self.held.index(symbol)] @ basis)
            elif symbol == S:
                slope += d * (m @ basis)
            elif symbol == eta:
                slope += d * last
            elif symbol == eta0:
                slope += d * zero
            elif symbol == peak:
                slope[top] += d
        return float(value), slope

    def _sum(self, h, source, kernel, pace, rate, S_node, drop) -> tuple[float, FloatArray]:
        """A history sum at the last update, and its derivative by the rate of each cell, (cells,)."""
        m = self.count
        steps = h.clock == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.ones_like(rate) if steps else ETA_REF * (rate / ETA_REF) ** h.clock
            speed = np.zeros_like(rate) if steps else h.clock * (rate / ETA_REF) ** (h.clock - 1)
        after = np.concatenate((np.cumsum((m * moved)[::-1])[::-1][1:], [0.0]))
        lag = np.maximum(after + moved * (m - 1) / 2 + (rate if h.inclusive else 0.0), 0.0)
        slow = np.maximum(rate, LOWEST)
        g, dg = (1.0, 0.0) if pace is None else (np.broadcast_to(v, rate.shape) for v in _both(pace, self.theta, slow))
        a, slopes = _named(source, self.theta, rate, S_node, drop)
        k, kernels = _named(kernel, self.theta, lag, g)
        value = float((m * a * k).sum()) or NOTHING
        by_rate = m * k * slopes.get(eta_k, 0.0)
        by_rate = by_rate + m * a * kernels.get(pace_k, 0.0) * dg * (rate > LOWEST)
        by_S = np.broadcast_to(m * k * slopes.get(S_k, 0.0), rate.shape)
        by_rate = by_rate + m * _after(by_S) + by_S * (m + 1) / 2
        by_lag = np.broadcast_to(m * a * kernels.get(u, 0.0), rate.shape)
        by_rate = by_rate + speed * (m * _before(by_lag) + by_lag * (m - 1) / 2)
        if h.inclusive:
            by_rate = by_rate + by_lag
        by_drop = np.broadcast_to(m * k * slopes.get(d_k, 0.0), rate.shape) / self.gap
        return value, by_rate - by_drop + np.append(by_drop[1:], 0.0)


def _both(expression: _Expression, theta: FloatArray, *at) -> tuple[FloatArray, FloatArray]:
    value, slopes = _named(expression, theta, *at)
    return value, next(iter(slopes.values()), np.zeros(()))


def _named(expression: _Expression, theta: FloatArray, *at) -> tuple[FloatArray, dict[sp.Symbol, FloatArray]]:
    """Value and derivatives by symbol."""
    value, *slopes = expression.both(*theta, *at)
    return value, dict(zip(expression.wrt, slopes, strict=True))


def _before(x: FloatArray) -> FloatArray:
    """Sums over all cells before each, (cells,)."""
    return np.concatenate(([0.0], np.cumsum(x)[:-1]))


def _after(x: FloatArray) -> FloatArray:
    """Sums over all cells after each, (cells,)."""
    return np.concatenate((np.cumsum(x[::-1])[::-1][1:], [0.0]))


def _cells(total: int, warmup: int) -> tuple[FloatArray, FloatArray]:
    """First updates and lengths of the cells: one update each where there are few, else wider away from the end."""
    if total <= MOST_CELLS:
        return np.arange(total, dtype=float), np.ones(total)
    half = MOST_CELLS // 2
    wide = total - np.geomspace(half, total, half).astype(np.int64)
    rise = np.linspace(0, warmup, min(warmup, 200) + 1).astype(np.int64)
    edges = np.unique(np.concatenate((wide, np.arange(total - half, total + 1), rise, [0])))
    return edges[:-1].astype(float), np.diff(edges).astype(float)


def _lines(at: FloatArray, steps: FloatArray, warmup: int) -> FloatArray:
    """Weights of the knots in the rate at each step, (steps, knots); in the warm-up a share of the first one."""
    right = np.clip(np.searchsorted(at, steps, side="right"), 1, len(at) - 1)
    share = (steps - at[right - 1]) / (at[right] - at[right - 1])
    weights = np.zeros((len(steps), len(at)))
    rows = np.arange(len(steps))
    weights[rows, right - 1], weights[rows, right] = 1 - share, share
    rising = steps < warmup
    weights[rising] = 0.0
    weights[rising, 0] = steps[rising] / max(warmup, 1)
    return weights


__all__ = ["Best", "Limits", "Simple", "best_schedule", "best_simple", "best_under"]
