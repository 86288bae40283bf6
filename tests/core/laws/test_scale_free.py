"""Scale-free coordinates: there and back, exact slopes, and that they are free of scale."""

import numpy as np
import pytest

from optlaws_core import Plan, parse
from optlaws_core.laws import LAWS
from optlaws_core.laws.evaluation import batch, predict
from optlaws_core.laws.scale_free import Scale, log_remembered, log_sum

ABLE = [law for law in LAWS.values() if law.coordinates is not None]
SCALE = Scale(1e-3, 25_000.0, 3.0)
USUAL = {
    "opt_laws_curve": (-3.2, -0.7, 0.8, 1.2, 7.0, 0.4),
    "opt_laws_sublinear": (-3.1, -0.7, 0.7, -0.1, 8.2, 0.25, -0.3, -0.9),
}


def searched(law, psi, scale):
    """Search coordinates (params,) at scale-free ones; a coefficient that they do not tell is at its neutral value."""
    told = law.coordinates.back(np.array(psi), scale)
    return np.array([told.get(p.name, p.neutral) for p in law.params], float)


def theta(law, psi, scale):
    return np.array([p.from_scale(x) for p, x in zip(law.params, searched(law, psi, scale), strict=True)])


def losses(law, psi, scale, text, steps):
    return predict(batch(law, [(Plan(parse(text)), np.array(steps))]), theta(law, psi, scale))


def test_the_laws_of_the_average_have_coordinates():
    assert {law.name for law in ABLE} == set(USUAL)


@pytest.mark.parametrize("law", ABLE, ids=lambda law: law.name)
def test_the_way_back_leads_where_the_way_there_began(law):
    psi = USUAL[law.name]
    assert law.coordinates.at(law.names, searched(law, psi, SCALE), SCALE) == pytest.approx(psi, abs=1e-12)


@pytest.mark.parametrize("law", ABLE, ids=lambda law: law.name)
def test_slopes_are_those_of_differences(law):
    x, h = searched(law, USUAL[law.name], SCALE), 1e-6
    found = law.coordinates.slopes(law.names, x, SCALE)
    for i in range(len(x)):
        aside = h * np.eye(len(x))[i]
        up, down = (law.coordinates.at(law.names, x + s * aside, SCALE) for s in (1, -1))
        assert found[:, i] == pytest.approx((up - down) / (2 * h), abs=2e-8)


@pytest.mark.parametrize("law", ABLE, ids=lambda law: law.name)
def test_ten_times_the_rates_are_the_same_run(law):
    at = [3_000, 12_000, 24_999]
    one = losses(law, USUAL[law.name], SCALE, "cosine(peak=1e-3, warmup=300, total=25000, final=1e-4)", at)
    ten = losses(
        law, USUAL[law.name], Scale(1e-2, 25_000.0, 3.0), "cosine(peak=1e-2, warmup=300, total=25000, final=1e-3)", at
    )
    assert ten == pytest.approx(one, rel=1e-9)


@pytest.mark.parametrize("law", ABLE, ids=lambda law: law.name)
def test_losses_in_bits_are_losses_in_nats_times_a_constant(law):
    text, at = "wsd(peak=1e-3, warmup=300, total=25000, decay=5000)", [5_000, 20_000, 24_999]
    nats, bits = (losses(law, USUAL[law.name], Scale(1e-3, 25_000.0, y), text, at) for y in (3.0, 3.0 / np.log(2)))
    assert bits == pytest.approx(nats / np.log(2), rel=1e-9)


def test_remembered_noise_is_the_integral():
    u = np.linspace(0, 1000.0, 2_000_001)
    for pace, rho in ((0.03, 1.5), (0.2, 1.0), (0.2, 0.4), (1e-4, 2.0)):
        direct = np.trapezoid((1 + pace * u) ** -rho, u)
        assert log_remembered(np.log(pace), 1000.0, rho) == pytest.approx(np.log(direct), abs=1e-6)


def test_a_sum_of_logarithms_does_not_overflow():
    assert log_sum(np.array(800.0), np.array(800.0)) == pytest.approx(800 + np.log(2))
    assert log_sum(np.array(-5.0), np.array(2.0)) == pytest.approx(np.logaddexp(-5.0, 2.0))
