"""Laws as records: what each declares, its limits, its LaTeX and its JavaScript."""

import inspect

import numpy as np
import pytest

from optlaws_core.errors import OptLawsError
from optlaws_core.evaluation import batch, predict
from optlaws_core.laws import LAWS, law_named
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, Step, parse
from tests.twins import BATCH_TOKENS, PARAMS, THETAS, TWINS, shipped


def losses(name, schedule, steps, theta):
    return predict(
        batch(LAWS[name], [(Plan(schedule, PARAMS, BATCH_TOKENS), np.asarray(steps))]), LAWS[name].vector(theta)
    )


def test_every_law_has_a_slow_twin_and_known_coefficients():
    assert set(TWINS) == set(THETAS) == set(LAWS)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_declares_exactly_what_it_computes(law):
    _, _, *names = inspect.signature(TWINS[law.name]).parameters
    assert tuple(names) == law.names
    used = law._unfolded.free_symbols
    assert all(p.symbol in used for p in law.params)
    for p in law.params:
        middle = p.from_scale((p.to_scale(p.low) + p.to_scale(p.high)) / 2)
        assert p.low < middle < p.high and p.meaning
        assert p.from_scale(p.to_scale(middle)) == pytest.approx(middle)
        x = p.to_scale(middle)
        step = 1e-6 * max(1.0, abs(x))
        assert (p.from_scale(x + step) - p.from_scale(x - step)) / (2 * step) == pytest.approx(
            p.slope(middle), rel=1e-6
        )


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_formula_is_shown_with_its_source(law):
    assert law.latex.startswith("L(t) = ") and law.reference and law.summary
    assert all(p.latex.strip("\\") in law.latex for p in law.params)


def test_linear_coefficients_are_found_from_the_formula():
    assert LAWS["opt_laws_curve"].linear == ("L_inf", "A", "A0", "A1", "D")
    assert LAWS["annealing"].linear == ("L0", "A", "C")
    assert LAWS["power_law"].linear == ("L_inf", "A")


def test_an_unknown_law_is_named_with_the_known_ones():
    with pytest.raises(OptLawsError, match="Unknown law 'magic'. Known laws: opt_laws_curve, .*, power_law"):
        law_named("magic")


def test_a_constant_rate_anneals_nothing():
    theta = dict(L0=2.0, A=1.0, alpha=0.5, C=3.0, lam=0.99)
    steps = np.array([10, 100, 999])
    flat = losses("annealing", Constant(1e-3, total=1000), steps, theta)
    np.testing.assert_allclose(flat, 2.0 + (1e-3 * (steps + 1)) ** -0.5, rtol=1e-9)  # two sums cancel


def test_one_drop_anneals_by_the_closed_form():
    """A drop of size d at step k: S2(t) = d·(1 − λ^(t−k+1))/(1 − λ)."""
    theta = dict(L0=2.0, A=1.0, alpha=0.5, C=3.0, lam=0.99)
    schedule = Step(1e-3, total=1000, boundaries=(500,), values=(4e-4,))
    steps = np.array([499, 500, 501, 700])
    S1 = np.cumsum(schedule(np.arange(1000)))[steps]
    S2 = np.where(steps >= 500, 6e-4 * (1 - 0.99 ** (steps - 499.0)) / 0.01, 0.0)
    np.testing.assert_allclose(losses("annealing", schedule, steps, theta), 2 + S1**-0.5 - 3 * S2, rtol=1e-9)


def test_the_baseline_is_blind_to_the_schedule():
    predictions = [losses("power_law", parse(s), [50, 299], THETAS["power_law"][0]) for s in shipped(20, 300)]
    assert all(np.array_equal(p, predictions[0]) for p in predictions)


def test_without_noise_the_curve_law_is_a_power_of_S():
    theta = THETAS["opt_laws_curve"][0] | {"A0": 0.0, "A1": 0.0}
    schedule = Constant(1e-3, total=1000)
    steps = np.array([10, 999])
    np.testing.assert_allclose(
        losses("opt_laws_curve", schedule, steps, theta),
        theta["L_inf"] + theta["A"] * (1e-3 * (steps + 1)) ** -theta["q"],
        rtol=1e-12,
    )


def test_a_lower_rate_lowers_the_noise_at_once():
    theta = THETAS["opt_laws_curve"][0]
    drop = Step(1e-3, total=2000, boundaries=(1000,), values=(1e-4,))
    flat = Constant(1e-3, total=2000)
    assert losses("opt_laws_curve", drop, [1100], theta) < losses("opt_laws_curve", flat, [1100], theta) - 1e-3


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_javascript_has_the_functions_that_the_browser_calls(law):
    code = law.javascript
    assert "theta[0]" in code["formula"] and len(code["sums"]) == len(law.sums)
    assert all(f"H[{i}]" in code["formula"] for i in range(len(law.sums)))
    for part in code["sums"]:
        assert "// Not supported" not in part["source"] + part["kernel"]
