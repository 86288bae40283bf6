"""Simulated SGD on a bowl and on a double well, and what the schedule functionals say about both."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from optlaws_core.errors import OptLawsError
from optlaws_core.laws.sums.functionals import functionals
from optlaws_core.schedules import WSD, Constant, Cosine, Linear, parse
from tests.oracles.sde import (
    critical_rate,
    double_well,
    escape_probability,
    expected_quadratic,
    predicted_quadratic,
    quadratic,
)

MU, SIGMA, START = 2.0, 1.5, 3.0
SHAPES = {
    "constant": "constant(peak={p}, warmup={w}, total={T})",
    "cosine": "cosine(peak={p}, warmup={w}, total={T})",
    "wsd": "wsd(peak={p}, warmup={w}, total={T}, decay={d})",
    "linear": "linear(peak={p}, warmup={w}, total={T})",
}


def made(shape: str, p: float, T: int, w: int = 0):
    return parse(SHAPES[shape].format(p=p, w=w, T=T, d=T // 4))


def standard_error(x) -> float:
    return float(x.std(ddof=1)) / math.sqrt(len(x))


# --- the bowl ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [15, 150])  # at first the start decides, then the noise
@pytest.mark.parametrize("shape", SHAPES)
def test_the_mean_of_simulated_losses_is_the_expected_one(shape, total):
    schedule = made(shape, 0.1, total, total // 10)
    loss = quadratic(schedule, MU, SIGMA, START, paths=40_000, seed=1)
    assert loss.shape == (40_000,)
    assert standard_error(loss) < 0.01 * loss.mean()  # so that the next line says something
    assert abs(loss.mean() - expected_quadratic(schedule, MU, SIGMA, START)) < 4 * standard_error(loss)


@pytest.mark.parametrize("shape", SHAPES)
def test_half_the_rate_for_twice_as_long_halves_the_error_of_the_prediction(shape):
    for start, noise in ((START, 0.0), (0.0, SIGMA)):
        off = []
        for n in (1, 2, 4):
            schedule = made(shape, 0.04 / n, 100 * n, 10 * n)
            off.append(predicted_quadratic(schedule, MU, noise, start) / expected_quadratic(schedule, MU, noise, start))
        first, second, third = np.log(off)
        assert 0.002 < third < 0.2
        assert second / first == pytest.approx(0.5, rel=0.15)
        assert third / second == pytest.approx(0.5, rel=0.08)


def test_the_first_order_of_that_error():
    """A share μ²·I2 of what is left of the start and, at a constant rate, ημ/2 of the noise."""
    schedule = Constant(1e-3, total=10_000)
    exact, predicted = (f(schedule, MU, SIGMA, 0.0) for f in (expected_quadratic, predicted_quadratic))
    assert predicted / exact - 1 == pytest.approx(1e-3 * MU / 2, rel=0.01)
    assert exact == pytest.approx(1e-3 * SIGMA**2 / 4, rel=2e-3)  # half the temperature
    for schedule in (made(shape, 1e-3, 1000) for shape in SHAPES):
        exact, predicted = (f(schedule, MU, 0.0, START) for f in (expected_quadratic, predicted_quadratic))
        assert predicted / exact - 1 == pytest.approx(MU**2 * functionals(schedule).I2[0], rel=0.01)


@pytest.mark.parametrize("noise", [0.0, SIGMA])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bound_of_a_bowl_with_many_curvatures_holds(shape, noise):
    """E[f] ≤ f0 e^{−2μ·I1} + (L/2)·tr Σ·V_μ with μ the lowest and L the highest curvature, for rates up to 1/L."""
    curvatures, starts = np.array([0.5, 1.0, 8.0]), np.array([2.0, -1.0, 1.0])
    mu, L = curvatures.min(), curvatures.max()
    schedule = made(shape, 1 / L, 40)
    f = functionals(schedule)
    both = list(zip(curvatures, starts, strict=True))
    simulated = sum(quadratic(schedule, k, noise, x, paths=500, seed=i) for i, (k, x) in enumerate(both)).mean()
    expected = sum(expected_quadratic(schedule, k, noise, x) for k, x in both)
    signal = np.sum(curvatures / 2 * starts**2) * math.exp(-2 * mu * f.I1[0])
    bound = signal + L / 2 * len(both) * noise**2 * f.V_mu(mu)[0]
    assert simulated <= bound and expected <= bound


def test_the_bound_fails_for_updates_that_overshoot():
    """(1 − x)² ≤ e^{−2x} for x = ημ up to 1.278."""
    for rate, holds in ((1.27, True), (1.29, False)):
        found, bound = (f(Constant(rate, total=5), 1.0, 0.0, START) for f in (expected_quadratic, predicted_quadratic))
        assert (found <= bound) == holds


def test_without_noise_all_paths_are_the_same():
    schedule = Cosine(0.1, total=50)
    loss = quadratic(schedule, MU, 0.0, START, paths=3, seed=0)
    np.testing.assert_allclose(loss, expected_quadratic(schedule, MU, 0.0, START), rtol=1e-12)


# --- noise that grows with the loss -----------------------------------------------------------------------------------


@pytest.mark.parametrize("curvature, growing", [(1.0, 0.0), (1.0, 2.0), (2.0, 40.0), (0.01, 1.0)])
def test_the_loss_grows_above_the_critical_rate_and_shrinks_below(curvature, growing):
    rate, f0 = critical_rate(curvature, growing), curvature / 2
    at, below, above = (
        expected_quadratic(Constant(rate * x, total=2000), curvature, 0.0, 1.0, growing) for x in (1, 0.98, 1.02)
    )
    assert at == pytest.approx(f0, rel=1e-9)
    assert below < 0.99 * f0 and above > 1.01 * f0


def test_the_critical_rate_of_the_sde_and_of_gradient_descent():
    assert critical_rate(0.01, 1.0) == pytest.approx(4 * 0.01 / 1.0, rel=3e-4)
    assert critical_rate(5.0, 0.0) == 2 / 5.0


def test_simulated_growth():
    """Means over a few updates only: later they rest on few paths, as the median shows."""
    mu, c = 1.0, 8.0
    rate = critical_rate(mu, c)
    for factor in (0.7, 1.0, 1.3):
        schedule = Constant(factor * rate, total=4)
        loss = quadratic(schedule, mu, 0.3, 1.0, paths=100_000, seed=2, growing=c)
        assert standard_error(loss) < 0.04 * loss.mean()
        assert abs(loss.mean() - expected_quadratic(schedule, mu, 0.3, 1.0, c)) < 4 * standard_error(loss)
    schedule = Constant(1.3 * rate, total=100)
    assert expected_quadratic(schedule, mu, 0.0, 1.0, c) > 1e6 * mu / 2
    assert np.median(quadratic(schedule, mu, 0.0, 1.0, paths=1000, seed=3, growing=c)) < 1e-6 * mu / 2


def test_paths_that_leave_the_range_of_numbers_are_infinitely_bad():
    assert np.all(quadratic(Constant(1.0, total=2000), 5.0, 1.0, 1.0, paths=3, seed=0, growing=1.0) == math.inf)


# --- the double well --------------------------------------------------------------------------------------------------

H, PEAK = 1.0, 0.02
COLD = 5.0  # barrier over temperature at the peak rate


def sigma(cold: float = COLD) -> float:
    """The noise for which κ = 2H/σ² is `cold` times the peak."""
    return math.sqrt(2 * H / (cold * PEAK))


def exposure(share: float) -> float:
    return -math.log1p(-share)


@pytest.mark.parametrize("width", [1.0, 0.5])
@pytest.mark.parametrize("cold", [5.0, 10.0, 20.0, 40.0])
def test_the_prefactor_is_that_of_the_well(cold, width):
    """Against the exact mean time from bottom to bottom, (1/D) ∫ dy e^{f(y)/D} ∫_{z<y} dz e^{−f(z)/D}.

    Laplace's method gives Kramers' formula and a share (3/8)·D/H, half of it from the bottom, half from the ridge.
    """

    def f(x):
        return cold * ((x / width) ** 2 - 1) ** 2  # over the temperature

    edges = np.linspace(-1, 1, 21) * width  # so that the quadrature sees both peaks
    filled = quad(lambda z: math.exp(-f(z)), -3 * width, edges[0])[0]
    time = 0.0
    for a, b in zip(edges[:-1], edges[1:], strict=True):

        def inner(y, a=a, filled=filled):
            return math.exp(f(y) - cold) * (filled + quad(lambda z: math.exp(-f(z)), a, y)[0])

        time += quad(inner, a, b)[0] * cold / H
        filled += quad(lambda z: math.exp(-f(z)), a, b)[0]
    schedule = Constant(PEAK, total=10)
    kramers = exposure(escape_probability(schedule, H, sigma(cold), width)) / (10 * PEAK) * math.exp(cold)
    assert kramers * time == pytest.approx(1 + 0.375 / cold, abs=1 / cold**2)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_simulated_escapes_are_those_that_the_exposure_predicts(shape):
    """To what the theory leaves out: (3/8)·D/H = 7.5 % too few, or 10 % with the higher orders; ηH = 2 % too many from
    updates that are not small; a settling time of about 1 of the 100 or more of summed rate. On top, 4 standard errors.
    """
    schedule = made(shape, PEAK, 7000 if shape == "constant" else 10_000, 500)
    paths, predicted = 12_000, escape_probability(schedule, H, sigma())
    share = double_well(schedule, H, sigma(), paths, seed=5)
    error = math.sqrt(share / (1 - share) / paths) / exposure(predicted)  # relative, of the exposure
    assert 0.1 < predicted < 0.7 and error < 0.025
    assert exposure(share) / exposure(predicted) == pytest.approx(0.92, abs=0.03 + 4 * error)


def test_a_narrow_well_is_left_sooner():
    """Half as wide at the same barrier: four times the curvature, so four times the escapes in the same summed rate."""
    schedule, paths = Constant(PEAK / 4, total=7000), 8000
    noise = 2 * sigma()  # the same temperature at a quarter of the rate
    predicted, share = escape_probability(schedule, H, noise, 0.5), double_well(schedule, H, noise, paths, 6, 0.5)
    assert predicted == pytest.approx(escape_probability(Constant(PEAK, total=7000), H, sigma()), rel=1e-9)
    error = math.sqrt(share / (1 - share) / paths) / exposure(predicted)
    assert exposure(share) / exposure(predicted) == pytest.approx(0.92, abs=0.03 + 4 * error)


@pytest.mark.slow
def test_the_highest_rates_decide():
    """A decay from the same peak escapes less often than a constant rate; than one with the same I1, more often."""
    T, paths = 8000, 2000
    decays = (Linear(PEAK, total=T), Cosine(PEAK, total=T), WSD(PEAK, total=T, decay=T // 4))
    held = Constant(PEAK, total=T)
    for escapes in (lambda s: double_well(s, H, sigma(), paths, 7), lambda s: escape_probability(s, H, sigma())):
        constant, half, (linear, cosine, wsd) = (
            escapes(held),
            escapes(Constant(PEAK / 2, total=T)),
            map(escapes, decays),
        )
        assert linear < cosine < wsd < constant - 0.05
        assert linear > half + 0.05


def test_the_same_seed_gives_the_same_runs():
    bowl, well = Linear(0.1, total=50), Constant(PEAK, total=2000)
    first, again, other = (quadratic(bowl, MU, SIGMA, START, 10, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert double_well(well, H, sigma(), 500, 1) == double_well(well, H, sigma(), 500, 1)


# --- arguments that cannot be -----------------------------------------------------------------------------------------

SHORT = Constant(0.01, total=10)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: quadratic(SHORT, 0.0, 1.0, 1.0, 10, 0), "curvature must be above 0 and finite, got 0"),
        (lambda: quadratic(SHORT, 1.0, -1.0, 1.0, 10, 0), "noise must be at least 0 and finite, got -1"),
        (lambda: quadratic(SHORT, 1.0, 1.0, math.nan, 10, 0), "start must be finite, got nan"),
        (lambda: quadratic(SHORT, 1.0, 1.0, 1.0, 0, 0), "paths must be a whole number of at least 1, got 0"),
        (lambda: quadratic(SHORT, 1.0, 1.0, 1.0, 10, -1), "seed must be a whole number of at least 0, got -1"),
        (lambda: quadratic(SHORT, 1.0, 1.0, 1.0, 10, 0, -2.0), "growing must be at least 0 and finite, got -2"),
        (
            lambda: quadratic(Constant(0.01, total=10**8), 1.0, 1.0, 1.0, 10, 0),
            "at most 10000000 updates, got 100000000",
        ),
        (lambda: expected_quadratic(SHORT, math.inf, 1.0, 1.0), "curvature must be above 0 and finite, got inf"),
        (lambda: predicted_quadratic(SHORT, 1.0, math.nan, 1.0), "noise must be at least 0 and finite, got nan"),
        (lambda: critical_rate(1.0, -1.0), "growing must be at least 0 and finite, got -1"),
        (lambda: double_well(SHORT, -1.0, 1.0, 10, 0), "barrier must be above 0 and finite, got -1"),
        (lambda: double_well(SHORT, 1.0, 1.0, 1.5, 0), "paths must be a whole number of at least 1, got 1.5"),
        (lambda: double_well(SHORT, 1.0, 1.0, 10, 0, 0.1), "curvature of the well must be at most 0.5, got 8"),
        (lambda: double_well(SHORT, 1.0, 20.0, 10, 0), "temperature ησ²/2 must be at most the barrier 1, got 2"),
        (lambda: escape_probability(SHORT, 1.0, 0.0), "noise must be above 0 and finite, got 0"),
        (lambda: escape_probability(SHORT, 1.0, 1.0, -1.0), "width must be above 0 and finite, got -1"),
    ],
)
def test_arguments_that_cannot_be(call, message):
    with pytest.raises(OptLawsError, match=message):
        call()
