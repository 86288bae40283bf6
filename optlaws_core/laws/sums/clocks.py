"""Cumulative learning rates of a schedule at any step, at a cost that does not grow with the number of steps.

A schedule is cut into cells: stretches of steps on which a polynomial of degree 8 reproduces the learning rate, and its
power that drives a clock, to a relative 1e-10. The sum of a polynomial over consecutive integers is a polynomial again
(Euler–Maclaurin ends after finitely many terms there), so every clock is known exactly at every step from a table of
some dozens of cells, whether the schedule has a thousand steps or a billion.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.polynomial import chebyshev as cheb
from numpy.typing import ArrayLike

from ...arrays import FloatArray, IntArray
from ...schedules import Schedule
from .panels import halves, rates

ETA_REF = 1e-3  # at this rate every clock runs at one pace; absolute, so that laws carry over between peaks
DEGREE = 8
TOLERANCE = 1e-10  # of the largest value in the cell
AT_ONCE = 250  # schedules whose clocks are made together, so that cells in the making stay small


@dataclass(frozen=True, eq=False)
class Clock:
    """c(k) = Σ_{i≤k} η_ref (η_i/η_ref)^r at any step k. r = 1 is the cumulative learning rate S, r = 0 counts steps."""

    start: IntArray  # (cells,) first step of each cell
    length: IntArray  # (cells,) steps in each cell
    before: FloatArray  # (cells,) clock one step before the cell
    sums: FloatArray  # (cells, DEGREE + 2) Chebyshev coefficients of the sum since the cell's start

    def __call__(self, k: ArrayLike, origin: int | IntArray = 0) -> FloatArray:
        """Clock after update `k`; 0 before the first update. Steps of any shape, between updates as well.

        origin: where `start` counts the updates of each step's schedule from.
        """
        k = np.asarray(k)
        whole = k if k.dtype.kind == "i" else np.floor(k).astype(np.int64)
        cell = np.searchsorted(self.start, whole + origin, side="right") - 1
        cell = np.maximum(cell, 0)
        y = 2.0 * (k - (self.start[cell] - origin)) / self.length[cell] - 1.0
        return np.where(k < 0, 0.0, self.before[cell] + _chebyshev(self.sums, cell, y))


class Trace:
    """The learning rate of a schedule and its clocks. Clocks are made when first asked for."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._clocks: dict[float, Clock] = {}

    def clock(self, r: float) -> Clock:
        """The clock with power `r`; steps up to and including `total` are covered."""
        if r not in self._clocks:
            make_clocks([self], r)
        return self._clocks[r]

    @property
    def S(self) -> Clock:
        """The cumulative learning rate."""
        return self.clock(1.0)

    @cached_property
    def first_rate(self) -> float:
        """The first learning rate above 0 at a turn of the schedule, or one step behind it."""
        turns = self.schedule.breaks
        rate = self.schedule(np.array(sorted({k for b in turns for k in (b, b + 1)})))
        return float(rate[rate > 0][0])


@lru_cache(maxsize=256)
def trace(schedule: Schedule) -> Trace:
    """The trace of `schedule`, made once."""
    return Trace(schedule)


def make_clocks(traces: Iterable[Trace], r: float) -> None:
    """Make the clocks with power `r` that the traces still lack: much faster for many schedules than one by one."""
    lacking = list({id(t): t for t in traces if r not in t._clocks}.values())
    for i in range(0, len(lacking), AT_ONCE):
        some = lacking[i : i + AT_ONCE]
        for t, clock in zip(some, _clocks([t.schedule for t in some], r), strict=True):
            t._clocks[r] = clock


def _clocks(schedules: Sequence[Schedule], r: float) -> list[Clock]:
    owner, start, length, values = _smooth_cells(schedules, r)
    sums = _indefinite_sums(values, length)
    every = np.arange(len(start))
    sums[:, 0] -= _chebyshev(sums, every, -1.0 - 2.0 / length)  # zero one step before the cell
    totals = _chebyshev(sums, every, 1.0 - 2.0 / length)  # up to the cell's last step
    edges = np.searchsorted(owner, np.arange(len(schedules) + 1))
    return [
        Clock(start[a:b], length[a:b], np.concatenate(([0.0], np.cumsum(totals[a : b - 1]))), sums[a:b])
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def _smooth_cells(schedules: Sequence[Schedule], r: float) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Cells: schedule, first step and length (c,), and Chebyshev coefficients (c, d + 1) of the pace of the clock.

    They are in y = 2(k − start)/length − 1, by schedule and step.
    """
    owner, start, length = _first_cells(schedules)
    done = []
    while len(start):
        k, fit = _samples(length)
        rate = rates(schedules, owner, start[:, None] + k)  # (cells, fit points then check points)
        value = np.ones_like(rate) if r == 0 else ETA_REF * (rate / ETA_REF) ** r
        n_fit = DEGREE + 1
        coefficients = np.einsum("cij,cj->ci", fit, value[:, :n_fit])
        y = 2.0 * k[:, n_fit:] / length[:, None] - 1.0
        missed = np.abs(cheb.chebval(y.T, coefficients.T, tensor=False).T - value[:, n_fit:]).max(axis=1)
        good = (length <= n_fit) | (missed <= TOLERANCE * np.abs(value).max(axis=1))
        done.append((owner[good], start[good], length[good], coefficients[good]))
        owner = np.tile(owner[~good], 2)
        start, length = halves(start[~good], length[~good])
        order = np.argsort(owner, kind="stable")
        owner, start, length = owner[order], start[order], length[order]
    owner, start, length, coefficients = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.lexsort((start, owner))
    return owner[order], start[order], length[order], coefficients[order]


def _first_cells(schedules: Sequence[Schedule]) -> tuple[IntArray, IntArray, IntArray]:
    """Schedule, first step and length of stretches between turns that at most double the number of updates done."""
    edges = []
    for s in schedules:
        doublings = 2 ** np.arange(s.total.bit_length())  # early sums are small
        edges.append(np.array(sorted({*s.breaks, *doublings.tolist(), s.total + 1})))
    owner = np.repeat(np.arange(len(schedules)), [len(e) - 1 for e in edges])
    return owner, np.concatenate([e[:-1] for e in edges]), np.concatenate([np.diff(e) for e in edges])


def _samples(length: IntArray) -> tuple[IntArray, FloatArray]:
    """Offsets to sample each cell at, (c, 2d + 2), and matrices from samples to coefficients, (c, d + 1, d + 1)."""
    unique, index = np.unique(length, return_inverse=True)
    offsets, matrices = zip(*(_interpolation(int(n)) for n in unique), strict=True)
    return np.array(offsets)[index], np.array(matrices)[index]


@lru_cache(maxsize=4096)
def _interpolation(n: int) -> tuple[IntArray, FloatArray]:
    """Sample offsets in a cell of `n` steps (interpolation points, then check points) and the interpolation matrix."""
    points = min(n, DEGREE + 1)
    if points == n:  # few steps: through all of them
        fit = np.arange(n)
    else:
        fit = np.rint((n - 1) * 0.5 * (1 - np.cos(np.pi * np.arange(points) / (points - 1)))).astype(np.int64)
        if len(np.unique(fit)) < points:
            fit = np.rint(np.linspace(0, n - 1, points)).astype(np.int64)
    middle = (fit[1:] + fit[:-1]) // 2
    check = np.concatenate((middle, np.full(2 * DEGREE + 2 - (DEGREE + 1) - len(middle), n - 1)))
    matrix = np.zeros((DEGREE + 1, DEGREE + 1))
    matrix[:points, :points] = np.linalg.inv(cheb.chebvander(2.0 * fit / n - 1.0, points - 1))
    padded = np.concatenate((fit, np.full(DEGREE + 1 - points, n - 1)))
    return np.concatenate((padded, check)), matrix


def _indefinite_sums(p: FloatArray, length: IntArray) -> FloatArray:
    """Coefficients of P with P(k) − P(k−1) = p(k), by Euler–Maclaurin: ∫p + p/2 + p'/12 − p'''/720 + …"""
    h = (2.0 / length)[:, None]
    out = np.zeros((len(p), DEGREE + 2))
    out += cheb.chebint(p, axis=1) / h
    out[:, : DEGREE + 1] += p / 2
    derivative, power = p, h
    for bernoulli in (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600):
        derivative = np.asarray(cheb.chebder(derivative, axis=1), float)
        out[:, : derivative.shape[1]] += bernoulli * power * derivative
        derivative, power = np.asarray(cheb.chebder(derivative, axis=1), float), power * h * h
    return out


def _chebyshev(coefficients: FloatArray, row: IntArray, y: FloatArray) -> FloatArray:
    """Σ_j coefficients[row, j]·T_j(y) by Clenshaw's recurrence; shape of `y`."""
    c, twice = np.take(coefficients.T, row, axis=1), 2 * y
    high, low = 0.0, c[-1]
    for a in c[-2:0:-1]:
        low, high = a + twice * low - high, low
    return c[0] + y * low - high
