"""Cumulative learning rates of a schedule at any step, at a cost that does not grow with the number of steps.

A schedule is cut into cells: stretches of steps on which a polynomial of degree 8 reproduces the learning rate, and its
power that drives a clock, to a relative 1e-10. The sum of a polynomial over consecutive integers is a polynomial again
(Euler–Maclaurin ends after finitely many terms there), so every clock is known exactly at every step from a table of
some dozens of cells, whether the schedule has a thousand steps or a billion.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev as cheb
from numpy.typing import ArrayLike

from ..arrays import FloatArray, IntArray
from ..schedules import Schedule

ETA_REF = 1e-3  # at this rate every clock runs at one pace; absolute, so that laws carry over between peaks
DEGREE = 8
TOLERANCE = 1e-10  # of the largest value in the cell


@dataclass(frozen=True, eq=False)
class Clock:
    """c(k) = Σ_{i≤k} η_ref (η_i/η_ref)^r at any step k. r = 1 is the cumulative learning rate S, r = 0 counts steps."""

    start: IntArray  # (cells,) first step of each cell
    length: IntArray  # (cells,) steps in each cell
    before: FloatArray  # (cells,) clock one step before the cell
    sums: FloatArray  # (cells, DEGREE + 2) Chebyshev coefficients of the sum since the cell's start

    def __call__(self, k: ArrayLike) -> FloatArray:
        """Clock after update `k`; 0 before the first update. Steps of any shape."""
        k = np.asarray(k)
        cell = np.clip(np.searchsorted(self.start, k, side="right") - 1, 0, None)
        y = 2.0 * (k - self.start[cell]) / self.length[cell] - 1.0
        return np.where(k < 0, 0.0, self.before[cell] + _chebyshev(self.sums, cell, y))


class Trace:
    """The learning rate of a schedule and its clocks. Clocks are made when first asked for."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._clocks: dict[float, Clock] = {}

    def clock(self, r: float) -> Clock:
        """The clock with power `r`; steps up to and including `total` are covered."""
        if r not in self._clocks:
            self._clocks[r] = _clock(self.schedule, r)
        return self._clocks[r]

    @property
    def S(self) -> Clock:
        """The cumulative learning rate."""
        return self.clock(1.0)

    def cells(self) -> tuple[IntArray, IntArray]:
        """First steps and lengths of the stretches on which the rate is smooth."""
        fine = self.clock(1.5)  # smooth for the power 1.5 means smooth for the rate itself
        return fine.start, fine.length


@lru_cache(maxsize=256)
def trace(schedule: Schedule) -> Trace:
    """The trace of `schedule`, made once."""
    return Trace(schedule)


def _clock(schedule: Schedule, r: float) -> Clock:
    power = np.ones_like if r == 0 else lambda eta: ETA_REF * (eta / ETA_REF) ** r
    start, length, values = _smooth_cells(schedule, power)
    sums = _indefinite_sums(values, length)
    every = np.arange(len(start))
    sums[:, 0] -= _chebyshev(sums, every, -1.0 - 2.0 / length)  # zero one step before the cell
    totals = _chebyshev(sums, every, 1.0 - 2.0 / length)  # up to the cell's last step
    before = np.concatenate(([0.0], np.cumsum(totals)[:-1]))
    return Clock(start, length, before, sums)


def _smooth_cells(schedule: Schedule, power) -> tuple[IntArray, IntArray, FloatArray]:
    """Cells (c,), (c,) and the Chebyshev coefficients of `power(rate)` in y = 2(k − start)/length − 1, (c, d + 1)."""
    doublings = 2 ** np.arange(schedule.total.bit_length())  # early sums are small
    edges = np.array(sorted({*schedule.breaks, *doublings.tolist(), schedule.total + 1}))
    start, length = edges[:-1], np.diff(edges)
    done = []
    while len(start):
        k, fit = _samples(length)
        value = power(schedule(start[:, None] + k))  # (cells, fit points then check points)
        n_fit = DEGREE + 1
        coefficients = np.einsum("cij,cj->ci", fit, value[:, :n_fit])
        y = 2.0 * k[:, n_fit:] / length[:, None] - 1.0
        missed = np.abs(cheb.chebval(y.T, coefficients.T, tensor=False).T - value[:, n_fit:]).max(axis=1)
        good = (length <= n_fit) | (missed <= TOLERANCE * np.abs(value).max(axis=1))
        done.append((start[good], length[good], coefficients[good]))
        start, length = halves(start[~good], length[~good])
    start, length, coefficients = (np.concatenate(parts) for parts in zip(*done, strict=True))
    order = np.argsort(start)
    return start[order], length[order], coefficients[order]


def halves(start: IntArray, length: IntArray) -> tuple[IntArray, IntArray]:
    """Each stretch cut in the middle: first all left halves, then all right ones."""
    left = length // 2
    return np.concatenate((start, start + left)), np.concatenate((left, length - left))


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
        derivative = cheb.chebder(derivative, axis=1)
        out[:, : derivative.shape[1]] += bernoulli * power * derivative
        derivative, power = cheb.chebder(derivative, axis=1), power * h * h
    return out


def _chebyshev(coefficients: FloatArray, row: IntArray, y: FloatArray) -> FloatArray:
    """Σ_j coefficients[row, j]·T_j(y) by Clenshaw's recurrence; shape of `y`."""
    high = low = 0.0
    for j in range(coefficients.shape[1] - 1, 0, -1):
        low, high = coefficients[row, j] + 2 * y * low - high, low
    return coefficients[row, 0] + y * low - high
