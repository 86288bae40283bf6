"""The convex last-iterate bound: the reference's values, closed forms, and transfer between schedules and horizons."""

import numpy as np
import pytest

from optlaws_core.errors import OptLawsError
from optlaws_core.hyper import bound, transferred_peak
from optlaws_core.schedules import parse

SHAPES = {
    "constant": "constant(peak=1, total={T})",
    "wsd": "wsd(peak=1, total={T}, decay={d})",
    "1-sqrt": "wsd(peak=1, total={T}, decay={d}, shape=1-sqrt)",
    "linear": "linear(peak=1, total={T})",
    "cosine": "cosine(peak=1, total={T})",
}
# (γ*, Ω*) with D = G = 1, from the reference code of arXiv:2501.18965
REFERENCE = {
    100: {
        "constant": (0.04023444, 0.24854331),
        "wsd": (0.04954420, 0.22302758),
        "1-sqrt": (0.05242681, 0.21871320),
        "linear": (0.09725521, 0.20360842),
        "cosine": (0.09469451, 0.20911435),
    },
    400: {
        "constant": (0.01817590, 0.13754481),
        "wsd": (0.02537366, 0.10932301),
        "1-sqrt": (0.02684614, 0.10728815),
        "linear": (0.04956313, 0.10062987),
        "cosine": (0.04824189, 0.10338591),
    },
    1600: {
        "constant": (0.00835440, 0.07481085),
        "wsd": (0.01280504, 0.05421330),
        "1-sqrt": (0.01352473, 0.05330147),
        "linear": (0.02493417, 0.05010069),
        "cosine": (0.02423278, 0.05155080),
    },
}


def made(shape: str, T: int, **more):
    return parse(SHAPES[shape].format(T=T, d=T // 5))


@pytest.mark.parametrize("T", REFERENCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_reference_values(T, shape):
    found = bound(made(shape, T))
    factor, lowest = REFERENCE[T][shape]
    assert found.best_factor == pytest.approx(factor, rel=1e-6, abs=1.01e-8)  # printed to eight places
    assert found.lowest == pytest.approx(lowest, rel=1e-6, abs=1.01e-8)


@pytest.mark.parametrize("T", [1, 10, 5000])
def test_a_constant_rate_has_a_closed_form(T):
    """D²/(2gt), gG²/2 and (g/2)·G²·H_{t−1} at rate g."""
    g, D, G = 0.03, 2.0, 0.7
    found = bound(parse(f"constant(peak={g}, total={T})"), D, G)
    harmonic = np.sum(1 / np.arange(1, T))
    assert found.distance == pytest.approx(D**2 / (2 * g * T), rel=1e-9)
    assert found.noise == pytest.approx(g * G**2 / 2 * (1 + harmonic), rel=1e-6)


def test_the_factor_moves_with_distance_and_gradient():
    one, other = bound(made("cosine", 300)), bound(made("cosine", 300), distance=3.0, gradient=2.0)
    assert other.best_factor == pytest.approx(1.5 * one.best_factor)
    assert other.lowest == pytest.approx(6 * one.lowest)


def test_peaks_transfer_between_horizons_and_shapes():
    assert transferred_peak(1e-3, made("wsd", 400), made("wsd", 1600)) == pytest.approx(1e-3 * 0.5047, rel=1e-3)
    # The shape counts, not the rates it is written with.
    smaller = parse("linear(peak=0.2, total=400)")
    expected = 1e-3 * REFERENCE[400]["linear"][0] / REFERENCE[400]["cosine"][0]
    assert transferred_peak(1e-3, made("cosine", 400), smaller) == pytest.approx(expected, rel=1e-6)
    assert transferred_peak(1e-3, smaller, smaller) == pytest.approx(1e-3)


def test_more_updates_than_laws_are_asked_about_are_refused():
    with pytest.raises(OptLawsError, match=r"^The bound covers at most 1,000,000,000 updates, got 10,000,000,000 in "):
        bound(parse("sgdr(peak=1e-3, warmup=0, total=10000000000, period=1000000000)"))
