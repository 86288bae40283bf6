"""The descent to the highest posterior density: its end is the lowest place, with kinks, bounds and bent valleys."""

import numpy as np
import pytest
from scipy.optimize import minimize

from optlaws_core.fitting.damped import Point, descended

LINEAR = 1.3
T = np.linspace(0, 4, 40)
SEEN = 2.0 * np.exp(-0.7 * T) + 1.0 + np.random.default_rng(0).standard_t(2, len(T)) * 0.01  # with stragglers
MEAN, WIDTH = np.array([0.5, -0.5]), np.array([0.8, 0.6])  # a prior of the first two of three coefficients
WIDE = np.array([-5.0, -5.0, -5.0]), np.array([5.0, 5.0, 5.0])


def at(x):
    """log A, log q and the floor of A·e^{−qt} + floor."""
    part = np.exp(x[0] - np.exp(x[1]) * T)
    r = (part + x[2] - SEEN) / 0.01
    J = np.column_stack((part, -part * np.exp(x[1]) * T, np.ones(len(T)))) / 0.01
    slopes = np.column_stack((np.diag(1 / WIDTH), np.zeros(2)))
    return Point.of(x, r, J, (x[:2] - MEAN) / WIDTH, slopes, LINEAR, ())


def end(x, bounds=WIDE, most=60):
    return descended(at, lambda p, s: np.clip(p.x + s, *bounds), at(np.array(x)), bounds, LINEAR, 1e-10, most)


def lowest(bounds):
    """The same end by a search of another kind, without slopes."""
    ends = [
        minimize(
            lambda x: at(x).cost,
            x,
            method="Nelder-Mead",
            bounds=list(zip(*bounds, strict=True)),
            options={"xatol": 1e-10, "fatol": 1e-12, "maxfev": 20_000, "maxiter": 20_000},
        )
        for x in ([0.7, -0.4, 0.8], [0.9, -0.6, 0.6])
    ]
    return min(ends, key=lambda e: e.fun)


@pytest.mark.parametrize("start", [(0.5, -0.5, 0.0), (-1.0, 0.8, 3.0), (2.0, -2.0, -1.0)])
def test_the_end_is_the_lowest_place(start):
    found, known = end(start), lowest(WIDE)
    assert found.finished and found.at.cost == pytest.approx(known.fun, rel=1e-8)
    assert found.at.x == pytest.approx(known.x, abs=1e-5)


def test_an_end_on_a_bound_is_the_lowest_place_within():
    bounds = WIDE[0], np.array([5.0, 5.0, 0.8])
    found, known = end((0.5, -0.5, 0.5), bounds), lowest(bounds)
    assert found.finished and found.at.x[2] == 0.8
    assert found.at.cost == pytest.approx(known.fun, rel=1e-8)


def test_too_few_evaluations_are_told():
    assert not end((2.0, -2.0, -1.0), most=2).finished


def test_a_place_without_numbers_has_no_way_down():
    nowhere = Point.of(np.zeros(1), np.full(3, np.nan), np.ones((3, 1)), np.zeros(1), np.ones((1, 1)), LINEAR, ())
    bounds = np.full(1, -1.0), np.ones(1)
    found = descended(lambda x: nowhere, lambda p, s: p.x + s, nowhere, bounds, LINEAR, 1e-8, 9)
    assert not found.finished and found.at.cost == np.inf
