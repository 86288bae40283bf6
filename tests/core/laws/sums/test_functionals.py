"""Schedule functionals: equal to slow sums and to closed forms, at any horizon, for any coefficients."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.special import exp1, gamma

from optlaws_core.errors import OptLawsError
from optlaws_core.laws.sums import functionals as module
from optlaws_core.laws.sums.functionals import functionals
from optlaws_core.schedules import WSD, Constant, Cosine, Linear, parse
from optlaws_core.schedules.base import Schedule
from tests.knowledge.twins import shipped

HORIZONS = [(0, 7), (20, 300), (2160, 24_000), pytest.param(1000, 150_000, marks=pytest.mark.slow)]
MU = [0.0, 0.01, 1.0, 30.0, 1e3, 1e4]
KERNELS = [(c, rho) for c in (0.01, 1.0, 100.0, 1e4, 1e6) for rho in (0.1, 1.0, 3.0)]
HEIGHTS = [0.0, 1e-3, 0.1, 1.0, 10.0, 200.0]  # κ over the peak
p, T = 2e-3, 10_000_000


def rates(schedule: Schedule):
    """η_k, S_k and S_T − S_k of every update, summed in extended precision and then rounded."""
    eta = schedule(np.arange(schedule.total)).astype(np.longdouble)
    S = np.cumsum(eta)
    return [v.astype(float) for v in (eta, S, np.append(np.cumsum(eta[:0:-1])[::-1], 0))]


@pytest.mark.parametrize("warmup, total", HORIZONS)
def test_functionals_equal_slow_sums(warmup, total):
    for text in shipped(warmup, total):
        schedule = parse(text)
        eta, S, lag = rates(schedule)
        f = functionals(schedule)
        live = np.where(eta > 0, eta, 1)
        heights = np.array(HEIGHTS) * schedule.peak
        slow_escape = [np.sum(eta * np.exp(-h / live)) for h in heights]
        for name, fast, slow in (
            ("I1", f.I1, [eta.sum()]),
            ("I2", f.I2, [np.sum(eta**2)]),
            ("V_mu", f.V_mu(MU)[0], [np.sum(eta**2 * np.exp(-2 * mu * lag)) for mu in MU]),
            ("V_K", f.V_K(*zip(*KERNELS, strict=True))[0], [np.sum(eta**2 * (1 + c * lag) ** -r) for c, r in KERNELS]),
            ("E_kappa", f.E_kappa(heights)[0], slow_escape),
        ):
            # the schedules' own rates, near 0 at the end of a decay, are known to some 1e-16 of the peak
            atol = 1e-25 * schedule.peak if name == "E_kappa" else 0
            np.testing.assert_allclose(fast, np.array(slow, float), rtol=1e-8, atol=atol, err_msg=f"{name} of {text}")


@pytest.mark.parametrize("m, g", [(0.5, 0.0), (-0.4, 0.0), (0.0, 0.4), (0.1, -0.7)])
def test_noise_may_depend_on_progress_and_its_memory_on_the_rate(m, g):
    for text in shipped(200, 20_000):
        schedule = parse(text)
        every = rates(schedule)
        eta, S, lag = (v[every[0] > 0] for v in every)
        f = functionals(schedule)
        for c, rho in KERNELS:
            slow = np.sum(eta**2 * S**m * (1 + c * (eta / 1e-3) ** g * lag) ** -rho)
            assert f.V_K(c, rho, m, g)[0] == pytest.approx(float(slow), rel=1e-7), text


@pytest.mark.parametrize("r", [0.0, 0.1, 0.5])
def test_closed_forms_of_decays(r):
    """Integrals over T updates: the sums also have half of the first rate and lack half of the last."""
    cosine, line = functionals(Cosine(p, total=T, final=r * p)), functionals(Linear(p, total=T, final=r * p))
    ends1, ends2 = p * (1 - r) / 2, p**2 * (1 - r**2) / 2
    assert cosine.I1[0] == pytest.approx(p * T * (1 + r) / 2 + ends1, rel=1e-10)
    assert line.I1[0] == pytest.approx(p * T * (1 + r) / 2 + ends1, rel=1e-10)
    assert cosine.I2[0] == pytest.approx(p**2 * T * (3 + 2 * r + 3 * r * r) / 8 + ends2, rel=1e-10)
    assert line.I2[0] == pytest.approx(p**2 * T * (1 + r + r * r) / 3 + ends2, rel=1e-10)


def test_closed_forms_of_cooldowns_and_warmups():
    d, a, r = T // 5, 100_000, 0.1
    cooldown = functionals(WSD(p, total=T, decay=d, final=r * p))
    assert cooldown.I1[0] == pytest.approx(p * (T - d) + p * d * (1 + r) / 2 + p * (1 - r) / 2, rel=1e-10)
    expected = p**2 * (T - d) + p**2 * d * (1 + r + r * r) / 3 + p**2 * (1 - r * r) / 2
    assert cooldown.I2[0] == pytest.approx(expected, rel=1e-10)
    root = functionals(WSD(p, total=T, decay=d, shape="1-sqrt"), Constant(p, total=T - d))
    # at the root's start the sum and the integral differ by ζ(−1/2) = −0.2079 updates more than at a smooth one
    assert root.I1[0] - root.I1[1] == pytest.approx(p * d / 3 + p / 2, rel=1e-8)
    assert root.I2[0] - root.I2[1] == pytest.approx(p**2 * d / 6 + p**2 / 2, rel=1e-8)
    warm = functionals(Constant(p, total=T, warmup=a), Constant(p, total=T - a))
    assert warm.I1[0] - warm.I1[1] == pytest.approx(p * a / 2 - p / 2, rel=1e-10)
    assert warm.I2[0] - warm.I2[1] == pytest.approx(p**2 * a / 3 - p**2 / 2, rel=1e-9)


def test_noise_that_is_left_after_many_updates():
    """Limits for long horizons and small rates; a sum counts the last update whole, hence the share 1 + μp."""
    mu = 20.0
    held = functionals(Constant(1e-3, total=10**9)).V_mu(mu)[0]
    assert held == pytest.approx(1e-6 / -math.expm1(-2 * mu * 1e-3), rel=1e-9)  # the geometric series
    assert held == pytest.approx(1e-3 / (2 * mu) * (1 + mu * 1e-3), rel=2e-4)
    d = 10**9
    line = functionals(Linear(p, total=d)).V_mu(mu)[0]
    assert line == pytest.approx(math.sqrt(math.pi) / 4 * (p / d) ** 0.5 * mu**-1.5, rel=1e-6)
    cosine = functionals(Cosine(p, total=d)).V_mu(mu)[0]
    cube = (p * math.pi**2 / (4 * d * d)) ** (1 / 3)
    assert cosine == pytest.approx(gamma(5 / 3) / 3 * 1.5 ** (5 / 3) * cube * mu ** (-5 / 3), rel=1e-4)


@pytest.mark.parametrize("kappa", [1e-5, 1e-3, 0.02])
def test_escape_over_a_line(kappa):
    r = 0.1

    def F(x):
        return 0.5 * (x * x - kappa * x) * math.exp(-kappa / x) + 0.5 * kappa**2 * exp1(kappa / x)

    exact = T / (p * (1 - r)) * (F(p) - F(r * p))
    ends = (p * math.exp(-kappa / p) - r * p * math.exp(-kappa / (r * p))) / 2
    assert functionals(Linear(p, total=T, final=r * p)).E_kappa(kappa)[0] == pytest.approx(exact + ends, rel=1e-9)


def test_limits():
    f = functionals(*map(parse, shipped(20, 300)))
    np.testing.assert_allclose(f.V_mu(0), f.I2, rtol=1e-12)
    np.testing.assert_allclose(f.V_K(0, 2), f.I2, rtol=1e-12)
    np.testing.assert_allclose(f.V_K(5, 0), f.I2, rtol=1e-12)
    np.testing.assert_allclose(f.E_kappa(0), f.I1, rtol=1e-9)
    # (1 + 2μu/ρ)^−ρ → e^{−2μu}
    np.testing.assert_allclose(f.V_K(2 * 30 / 1e7, 1e7), f.V_mu(30), rtol=1e-5)


def test_many_schedules_and_coefficients_at_once_equal_one_by_one():
    schedules = [parse(text) for text in shipped(20, 300)]
    together = functionals(*schedules)
    mu, c, rho = np.array([[1.0, 20.0, 300.0]]), np.array([1.0, 100.0]), np.array([[0.5], [1.5], [2.0]])
    assert together.V_mu(mu).shape == (len(schedules), 1, 3)
    assert together.V_K(c, rho).shape == (len(schedules), 3, 2)
    assert together.V_mu(5.0).shape == (len(schedules),)
    for i, schedule in enumerate(schedules):
        alone = functionals(schedule)
        np.testing.assert_allclose(together.V_mu(mu)[i], alone.V_mu(mu)[0], rtol=1e-12)
        np.testing.assert_allclose(together.V_K(c, rho)[i, 2, 1], alone.V_K(100.0, 2.0)[0], rtol=1e-12)
        np.testing.assert_allclose(together.E_kappa([1e-4])[i, 0], alone.E_kappa(1e-4)[0], rtol=1e-12)


def often(cycles: int, peak: float = p) -> Schedule:
    """A rate of 2·cycles stretches."""
    return parse(f"cyclic(peak={peak}, total=1_000_000, cycles={cycles})")


def test_nodes_of_schedules_of_many_stretches_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "_LAG_NODES", {})
    monkeypatch.setattr(module, "CACHED_NODES", 30_000)
    first = functionals(often(40)).I1
    for i in range(1, 9):
        functionals(often(40, p / (i + 1)))
        assert sum(len(nodes.eta) for nodes in module._LAG_NODES.values()) < 60_000
    assert functionals(often(40)).I1 == first


def test_more_stretches_than_memory_bears_are_refused(monkeypatch):
    monkeypatch.setattr(module, "_LAG_NODES", {})
    monkeypatch.setattr(module, "MOST_NODES", 20_000)
    with pytest.raises(
        OptLawsError, match="these 3 schedules have too many kinks and jumps to be summed over together"
    ):
        functionals(*(often(40, p / (i + 1)) for i in range(3)))


def test_schedules_of_many_stretches_are_worked_out_a_few_at_a_time(monkeypatch):
    made, nodes = [], module._nodes
    monkeypatch.setattr(module, "_nodes", lambda some, fine: made.append(len(some)) or nodes(some, fine))
    monkeypatch.setattr(module, "_LAG_NODES", {})
    monkeypatch.setattr(module, "STRETCHES_AT_ONCE", 100)
    schedules = [often(20, p / (i + 1)) for i in range(5)]
    together = functionals(*schedules).I2
    assert made == [2, 2, 1]
    np.testing.assert_allclose(together, [functionals(s).I2[0] for s in schedules], rtol=1e-15)


def test_the_cost_hardly_grows_with_the_horizon():
    """A thousand times the updates, two and a half times the nodes: they grow with its logarithm."""
    few, many = (functionals(WSD(p, warmup=300, total=total, decay=total // 5)) for total in (10**4, 10**7))
    counts = len(few.nodes.eta), len(many.nodes.eta)
    assert counts[1] < 2.5 * counts[0]


def left(eta, mu):
    """The noise that is left after each update, (updates,), one after another."""
    keep, noise, found = np.exp(-2 * mu * eta).tolist(), 0.0, []
    for rate, kept in zip(eta.tolist(), keep, strict=True):
        noise = noise * kept + rate**2
        found.append(noise)
    return np.array(found)


@pytest.mark.parametrize("mu", [0.1, 30.0, 1000.0])
def test_the_highest_noise_is_that_of_some_cut_off_schedule(mu):
    for text in shipped(20, 300):
        schedule = parse(text)
        most = left(schedule(np.arange(schedule.total)), mu).max()
        found = functionals(schedule).highest_noise(mu)[0]
        assert 0.95 * most <= found <= most * (1 + 1e-8), text  # it looks after 64 updates, not after all


@pytest.mark.slow
@pytest.mark.parametrize("total", [20_000, 200_000])
@pytest.mark.parametrize("mu", [500.0, 5e4])
def test_the_highest_noise_of_a_run_that_forgets_many_times_over(total, mu):
    """Most of these schedules is passed over: its noise is forgotten before any is looked at."""
    for text in shipped(total // 50, total):
        schedule = parse(text)
        most = left(schedule(np.arange(total)), mu).max()
        found = functionals(schedule).highest_noise(mu)[0]
        assert 0.95 * most <= found <= most * (1 + 1e-8), text


def test_the_highest_noise_takes_little_memory_for_a_hundred_million_updates():
    tracemalloc.start()
    try:
        found = functionals(Cosine(1e-2, warmup=1000, total=10**8)).highest_noise(3.0)[0]
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == pytest.approx(1e-2 / 6, rel=0.05)  # settled at the peak: p/2μ
    assert used < 50e6


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f: f.V_mu(-1.0), "mu must be at least 0, got -1"),
        (lambda f: f.V_mu([1.0, math.nan]), "mu must be at least 0, got nan"),
        (lambda f: f.V_K(-2, 1), "c must be at least 0, got -2"),
        (lambda f: f.V_K(1, [1, -3]), "rho must be at least 0, got -3"),
        (lambda f: f.V_K(1, 1, m=math.inf), "m must be finite, got inf"),
        (lambda f: f.E_kappa(-1e-4), "kappa must be at least 0, got -0.0001"),
        (lambda f: f.highest_noise(-1), "mu must be at least 0, got -1"),
        (lambda f: functionals(), "Functionals are those of at least 1 schedule, got none"),
    ],
)
def test_coefficients_that_cannot_be(call, message):
    with pytest.raises(OptLawsError, match=message):
        call(functionals(Constant(p, total=100)))
