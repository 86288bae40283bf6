"""A law's final loss as a function of the rate of every update, with its exact derivatives.

A rate acts in two ways: by what its update does itself, and by how far it moves the clocks on which earlier updates are
forgotten. Updates far from the end are taken together in cells, so that the cost does not grow with the horizon.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import sympy as sp

from ..arrays import FloatArray, IntArray
from ..errors import DesignError
from ..fitting.result import Fit, Model
from ..laws import law_named
from ..laws.base import HistorySum, Law, S, S_k, d_k, eta, eta_k, pace_k, params, peak, t, u
from ..laws.base import tokens as seen
from ..laws.compiled import Expression
from ..laws.evaluation import LOWEST, NOTHING, batch
from ..laws.evaluation import predict as evaluate
from ..laws.sums.clocks import ETA_REF
from ..prediction.losses import predict
from ..runs import Plan
from ..schedules import Constant, Schedule
from .limits import Limits

Share = Callable[[float], float]  # peak rate -> weight of a part among all that predict schedules of it, 0 to 1
MOST_CELLS = 6_000  # updates that are looked at one by one; of more, those far from the end share cells
RISING, EARLY = 200, 1_000  # cells in the warm-up, and edges of cells behind it that get wider with the distance to it
KNOWN = {S, eta, peak, t, params, seen}  # features whose slope in the rates is written here


@dataclass(frozen=True, eq=False)
class Cells:
    """Stretches of updates that share a rate, that of their middle; those where the rate may turn are single ones."""

    start: FloatArray  # (cells,) first update of each
    count: FloatArray  # (cells,) updates in each
    limits: Limits

    @classmethod
    def of(cls, limits: Limits, turns: Iterable[float] = ()) -> "Cells":
        """One update each where there are few, else wider away from the end.

        The first and the last update, those about the end of the warm-up and about the steps `turns` stay single.
        """
        if limits.total <= MOST_CELLS:
            return _single(limits)
        edges = _edges(limits.total, limits.warmup)
        about = {int(t) + i for t in turns for i in (-1, 0, 1) if 0 < t < limits.total}
        more = np.array(sorted(about), dtype=np.int64)
        place = np.searchsorted(edges, more)
        new = edges[place] != more
        edges = np.insert(edges, place[new], more[new])
        return cls(edges[:-1].astype(float), np.diff(edges).astype(float), limits)

    @cached_property
    def middle(self) -> FloatArray:
        """Step at which a cell's rate is read, (cells,)."""
        return self.start + (self.count - 1) / 2

    @cached_property
    def _halves(self) -> tuple[FloatArray, FloatArray]:
        """What part of the fall from the middle of the cell before, and of that to the next one, is in a cell."""
        m, both = self.count, self.count[:-1] + self.count[1:]
        return np.append(1.0, (m[1:] + 1) / both), np.append((m[:-1] - 1) / both, 0.0)

    def drop(self, rate: FloatArray) -> FloatArray:
        """Mean fall of the rate into an update of each cell, (cells,); into the first, a cell by itself, from 0."""
        before, after = self._halves
        fall = np.append(rate[:-1] - rate[1:], 0.0)  # to the next cell
        return (before * np.append(-rate[0], fall[:-1]) + after * fall) / self.count

    def pulled(self, by_drop: FloatArray) -> FloatArray:
        """A slope by the rates (cells,), from one by `drop`."""
        before, after = self._halves
        slope = by_drop / self.count
        by_fall = np.append((before * slope)[1:], 0.0) + after * slope
        return by_fall - np.append(before[0] * slope[0], by_fall[:-1])


@lru_cache(maxsize=8)
def _single(limits: Limits) -> Cells:
    """A cell for every update."""
    return Cells(np.arange(float(limits.total)), np.ones(limits.total), limits)


@lru_cache(maxsize=8)
def _edges(total: int, warmup: int) -> IntArray:
    """First updates of the cells, and the total, ascending; the cells that every schedule has."""
    half = MOST_CELLS // 2
    wide = total - np.geomspace(half, total, half).astype(np.int64)
    rise = np.linspace(0, warmup, min(warmup, RISING) + 1).astype(np.int64)
    # What a law says of an early update may hang on how little was summed up by then.
    early = warmup + np.geomspace(1, total - warmup, EARLY).astype(np.int64)
    single = [t for t in (0, 1, warmup - 1, warmup, warmup + 1) if 0 <= t <= total]
    return np.array(sorted({*wide.tolist(), *range(total - half, total + 1), *rise.tolist(), *early.tolist(), *single}))


@dataclass(frozen=True, eq=False)
class Part:
    """A law with coefficients (params,), its share in what predicts, and what it sees of rates, both by peak rate."""

    law: Law
    theta: FloatArray
    share: Share = lambda peak: 1.0
    factor: Callable[[float], float] = lambda peak: 1.0


class Objective:
    """The logarithm of the final loss under a law or an average of laws, for rates of cells and for schedules."""

    def __init__(self, parts: list["Part"], limits: Limits, plan: Plan, judge: Callable[[Schedule], float]) -> None:
        """`judge`: the loss that is reported. Raises `DesignError` as it does."""
        judge(flat(limits))  # whatever is wrong with the law or the length is told before any search
        self.judge, self.limits = judge, limits
        self.laws = [part.law for part in parts]
        self.walks = next((law.name for law in self.laws if not set(law.features) <= KNOWN), None)
        self.parts = [] if self.walks else [(_Final(p.law, p.theta, limits, plan), p) for p in parts]

    @classmethod
    def of(cls, model: Model, limits: Limits, plan: Plan | None = None) -> "Objective":
        """Of a fit; `plan`: its model size and batch are the schedule's, by default the training runs'."""
        told = plan or model.coverage.plan(flat(limits))
        parts = [Part(law_named(f.law), f.vector, share, f.rate_factor) for f, share in _shares(model)]
        return cls(parts, limits, told, lambda s: float(predict(model, Plan(s, told.params, told.batch_tokens))[0]))

    @classmethod
    def under(
        cls, law: Law, theta: FloatArray, limits: Limits, size: float | None = None, batch_tokens: float | None = None
    ) -> "Objective":
        """Of a law with coefficients `theta` (params,), for a model of `size` parameters."""

        def judge(schedule: Schedule) -> float:
            plan = Plan(schedule, size, batch_tokens)
            return float(evaluate(batch(law, [(plan, np.array([schedule.total - 1]))]), theta)[0])

        return cls([Part(law, theta)], limits, Plan(flat(limits), size, batch_tokens), judge)

    def check_curves(self) -> None:
        """Raises `DesignError` where a free-form curve cannot be searched for."""
        if self.walks:
            raise DesignError(
                f"The law {self.walks} walks through every update, so no curve is optimised under it; families are."
            )
        for law in self.laws:
            if not self.limits.falling and any(h.drops_only for h in law.sums):
                raise DesignError(
                    f"The law {law.name} rewards every drop, so under it a rate that may rise has no optimum."
                )

    def __call__(self, rate: FloatArray, cells: Cells) -> tuple[float, FloatArray]:
        """Of the rates of `cells` (cells,), and its slope (cells,)."""
        value, slope = 0.0, np.zeros_like(rate)
        for part, weight, factor in self._heard(self.limits.peak):  # as an average predicts
            loss, by_rate = part(factor * rate, cells)
            part.check(loss)
            value, slope = value + weight * np.log(loss), slope + weight * factor / loss * by_rate
        return float(value), slope

    def _heard(self, peak: float) -> list[tuple["_Final", float, float]]:
        """The laws that predict schedules of a peak rate, their weights, and what each multiplies rates with."""
        return [(law, weight, p.factor(peak)) for law, p in self.parts if (weight := p.share(peak)) > 0]

    def of_schedule(self, schedule: Schedule) -> float:
        """The same of a schedule, on the cells where the law allows it."""
        if self.walks:
            return float(np.log(self.judge(schedule)))
        cells, value = Cells.of(self.limits, schedule.breaks), 0.0
        rate = schedule(cells.middle)
        for part, weight, factor in self._heard(schedule.peak):
            part.check(loss := part.loss(factor * rate, cells))
            value += weight * np.log(loss)
        return float(value)


def _shares(model: Model) -> list[tuple[Fit, Share]]:
    """All fits of a model, and what each has to say at a peak rate."""

    def share(fit: Fit, place: int, weight: float) -> Share:
        return lambda peak: weight * float(fit.shares_at(peak)[place])

    return [(member, share(fit, i, weight)) for fit, weight in model.parts for i, member in enumerate(fit.members)]


def flat(limits: Limits) -> Schedule:
    """The peak to the end: what no decay at all gives."""
    return Constant(limits.peak, warmup=limits.warmup, total=limits.total)


class _Final:
    """The final loss of one law."""

    def __init__(self, law: Law, theta: FloatArray, limits: Limits, plan: Plan) -> None:
        self.law, self.theta = law, theta
        symbols = [p.symbol for p in law.params]
        self.held = {h.symbol: i for i, h in enumerate(law.sums)}
        self.formula = Expression(law.formula, [*symbols, *law.features, *self.held], [*law.features, *self.held])
        self.sums = [_Sum(h, symbols) for h in law.sums]
        # A law that needs a model size or a batch that nobody tells was refused when the flat schedule was judged.
        seen_in_all = (plan.batch_tokens or 1.0) * limits.total
        self.fixed = {t: float(limits.total), params: plan.params or 1.0, seen: seen_in_all}

    def __call__(self, rate: FloatArray, cells: Cells) -> tuple[float, FloatArray]:
        """Final loss for the rates of `cells` (cells,), and its slope (cells,)."""
        S_node = _summed_up(rate, cells)
        summed = [self._summed(h, rate, S_node, cells) for h in self.sums]
        value, *outer = self.formula.both(*self.theta, *self._features(rate, cells), *(v for v, _ in summed))
        slope = np.zeros_like(rate)
        for symbol, d in zip(self.formula.wrt, outer, strict=True):
            if symbol in self.held:
                slope += d * summed[self.held[symbol]][1]
            elif symbol is S:
                slope += d * cells.count
            elif symbol is eta:
                slope[-1] += d
            elif symbol is peak:
                slope[int(np.argmax(rate))] += d
        return float(value), slope

    def loss(self, rate: FloatArray, cells: Cells) -> float:
        """The final loss alone, which takes half as long."""
        S_node = _summed_up(rate, cells) if any(h.progress for h in self.sums) else np.array(0.0)
        m, summed = cells.count, []
        for h in self.sums:
            g = 1.0 if h.pace is None else h.pace.value(*self.theta, np.maximum(rate, LOWEST))
            a = h.source.value(*self.theta, rate, S_node, cells.drop(rate) if h.drops else 0.0)
            summed.append(float((m * a * h.kernel.value(*self.theta, h.lag(rate, m), g)).sum()) or NOTHING)
        return float(self.formula.value(*self.theta, *self._features(rate, cells), *summed))

    def check(self, loss: float) -> None:
        """Raises `DesignError` for a loss that nothing has."""
        if not 0 < loss < np.inf:
            raise DesignError(
                f"The law {self.law.name} gives a schedule of the search an impossible loss, {loss:.3g}, so nothing "
                "is optimised under it within these limits."
            )

    def _features(self, rate: FloatArray, cells: Cells) -> list[float]:
        known = {S: float((cells.count * rate).sum()), eta: rate[-1], peak: rate.max()} | self.fixed
        return [known[f] for f in self.law.features]

    def _summed(self, h: "_Sum", rate: FloatArray, S_node: FloatArray, cells: Cells) -> tuple[float, FloatArray]:
        """A history sum at the last update, and its derivative by the rate of each cell, (cells,)."""
        m, clock = cells.count, h.clock
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = np.zeros_like(rate) if clock == 0 else clock * (rate / ETA_REF) ** (clock - 1)
        lag = h.lag(rate, m)
        g, by_g = (1.0, {}) if h.pace is None else _named(h.pace, self.theta, np.maximum(rate, LOWEST))
        a, source = _named(h.source, self.theta, rate, S_node, cells.drop(rate))
        k, kernel = _named(h.kernel, self.theta, lag, g)
        by_S, by_lag, by_drop = (
            np.broadcast_to(x, rate.shape)
            for x in (m * k * source.get(S_k, 0.0), m * a * kernel.get(u, 0.0), m * k * source.get(d_k, 0.0))
        )
        slope = m * k * source.get(eta_k, 0.0)
        slope = slope + m * a * kernel.get(pace_k, 0.0) * by_g.get(eta_k, 0.0) * (rate > LOWEST)
        slope = slope + m * _after(by_S) + by_S * (m + 1) / 2
        slope = slope + speed * (m * _before(by_lag) + by_lag * (m - 1) / 2) + (by_lag if h.inclusive else 0.0)
        return float((m * a * k).sum()) or NOTHING, slope + cells.pulled(by_drop)


class _Sum:
    """A history sum's source, kernel and pace, with their derivatives by what a rate moves."""

    def __init__(self, h: HistorySum, symbols: list[sp.Symbol]) -> None:
        self.clock, self.inclusive = h.clock, h.inclusive
        self.source = Expression(h.source, [*symbols, eta_k, S_k, d_k], [eta_k, S_k, d_k])
        self.kernel = Expression(h.paced(pace_k), [*symbols, u, pace_k], [u, pace_k])
        self.pace = None if h.pace is None else Expression(h.pace, [*symbols, eta_k], [eta_k])
        self.progress, self.drops = (x in h.source.free_symbols for x in (S_k, d_k))  # whether its source needs them

    def lag(self, rate: FloatArray, count: FloatArray) -> FloatArray:
        """What the clock moves on from each cell to the end, for rates and numbers of updates of cells; (cells,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.ones_like(rate) if self.clock == 0 else ETA_REF * (rate / ETA_REF) ** self.clock
        lag = _after(count * moved) + moved * (count - 1) / 2
        return np.maximum(lag + rate if self.inclusive else lag, 0.0)


def _summed_up(rate: FloatArray, cells: Cells) -> FloatArray:
    """S in the middle of each cell, (cells,)."""
    m = cells.count
    return np.maximum(_before(m * rate) + rate * (m + 1) / 2, rate[rate > 0][0])


def _named(expression: Expression, theta: FloatArray, *at) -> tuple[FloatArray, dict[sp.Symbol, FloatArray]]:
    """Value, and derivatives by symbol."""
    value, *slopes = expression.both(*theta, *at)
    return value, dict(zip(expression.wrt, slopes, strict=True))


def _before(x: FloatArray) -> FloatArray:
    """Sums over all cells before each, (cells,)."""
    return np.concatenate(([0.0], np.cumsum(x)[:-1]))


def _after(x: FloatArray) -> FloatArray:
    """Sums over all cells after each, (cells,)."""
    return np.concatenate((np.cumsum(x[::-1])[::-1][1:], [0.0]))
