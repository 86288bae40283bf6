"""Formulas as functions: what is worked out once, and what for each set of coefficients."""

import numpy as np
import pytest
import sympy as sp

from optlaws_core.laws import LAWS
from optlaws_core.laws.compiled import Expression

a, q = sp.symbols("a q", real=True)
x, y = sp.symbols("x y", positive=True)


def test_what_depends_on_data_alone_is_known_before_the_coefficients():
    made = Expression(a * x**2 * sp.log(y) + x ** (-q), [a, q, x, y], [a, q], [x, y])
    seen = np.array([2.0, 3.0]), np.array([4.0, 5.0])
    known = made.known(*seen)
    value, by_a, by_q = made.both(1.5, 0.5, *seen, *known)
    np.testing.assert_allclose(value, 1.5 * seen[0] ** 2 * np.log(seen[1]) + seen[0] ** -0.5)
    np.testing.assert_allclose(by_a, seen[0] ** 2 * np.log(seen[1]))
    np.testing.assert_allclose(by_q, -np.log(seen[0]) * seen[0] ** -0.5)
    np.testing.assert_allclose(made.value(1.5, 0.5, *seen, *known), value)
    assert made.fixed == [False, True, False]


def test_without_data_nothing_is_known():
    made = Expression(a * x**2, [a, x], [a])
    assert made.known() == [] and made.both(2.0, 3.0) == [18.0, 9.0]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_sum_is_straight_where_its_slopes_know_no_coefficient(law):
    assert law.compiled.straight == [law.name == "noisy_quadratic"] * len(law.sums)
