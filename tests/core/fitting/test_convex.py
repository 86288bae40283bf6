"""Fits whose weights are solved for, and priors: the noisy quadratic's spectrum, and what is believed beforehand."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core.errors import Cancelled, OptLawsError
from optlaws_core.fitting.result import Status
from optlaws_core.fitting.single import fit
from optlaws_core.laws import LAWS
from optlaws_core.runs import Series
from tests.knowledge.planted import HELD_OUT, OTHER_PEAK, PLANTED, TRAINING, twin_run


@pytest.mark.parametrize("ridge, worst", [(1e-10, 1e-4), (5e-4, 2e-2)])  # the shipped ridge costs 1.2 %
def test_a_planted_spectrum_gives_its_curve_on_another_schedule(ridge, worst):
    theta = PLANTED["noisy_quadratic"]
    runs = [twin_run("noisy_quadratic", text, theta) for text in (*TRAINING, OTHER_PEAK)]
    law = replace(LAWS["noisy_quadratic"], ridge=ridge)
    found = fit(law, runs, test=[twin_run("noisy_quadratic", HELD_OUT, theta)])
    assert found.test[HELD_OUT].worst_rel < worst


@pytest.fixture(scope="module")
def spectral():
    """Noisy runs of the noisy quadratic."""
    texts = (*TRAINING, OTHER_PEAK)
    return [twin_run("noisy_quadratic", t, PLANTED["noisy_quadratic"], 1e-3, i) for i, t in enumerate(texts)]


def test_weights_at_zero_are_no_reason_for_doubt(spectral):
    found = fit("noisy_quadratic", spectral)
    idle = sum(found.theta[p.name] == 0 for p in LAWS["noisy_quadratic"].params if p.weight)
    assert idle > 10 and f"{idle} of 44 weights are 0, as usual" in found.message and len(found.message) < 300
    assert found.status in (Status.converged, Status.weak) and {
        v for n, v in found.interval.items() if n != "L_inf"
    } == {None}
    assert fit("noisy_quadratic", spectral, locked={"L_inf": 2.5}).status is Status.converged


def test_a_spectrum_is_the_same_in_any_order_and_unit_of_the_loss(spectral):
    found, back = fit("noisy_quadratic", spectral), fit("noisy_quadratic", spectral[::-1])
    bits = [replace(r, series={"train": Series(r.steps, r.loss / np.log(2))}) for r in spectral]
    other = fit("noisy_quadratic", bits)
    assert back.objective == pytest.approx(found.objective, rel=1e-6)
    assert other.objective == pytest.approx(found.objective, rel=1e-6)
    for alike, scale in ((back, 1.0), (other, np.log(2))):
        for name, row in found.train.items():
            assert alike.train[name].rmse * scale == pytest.approx(row.rmse, rel=1e-4)


@pytest.mark.slow
def test_a_spectrum_on_the_public_runs(published):
    """Held-out RMSE near what the form with (1 − ηh)² was measured at: 0.00544 (25M) and 0.00492 (100M)."""
    size, train, test = published
    assert fit("noisy_quadratic", train, test=test).held_out_rmse < {"25M": 0.0059, "100M": 0.0054}[size]


def test_a_convex_search_tells_progress_cancels_and_needs_no_start(spectral):
    seen = []
    found = fit("noisy_quadratic", spectral, progress=lambda share, best: seen.append((share, best)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert [best for _, best in seen] == sorted((best for _, best in seen), reverse=True)
    with pytest.raises(Cancelled):
        fit("noisy_quadratic", spectral, progress=lambda share, best: False)
    assert fit("noisy_quadratic", spectral, start={"a5": 1.0}).theta == found.theta
    with pytest.raises(OptLawsError, match="noisy_quadratic: a5 must lie between 0 and 20, got -1"):
        fit("noisy_quadratic", spectral, start={"a5": -1.0})


def test_locked_weights_stay_and_the_rest_are_solved_for(spectral):
    held = {"b3": 50.0, "a9": 0.5}
    found = fit("noisy_quadratic", spectral, locked=held)
    assert {n: found.theta[n] for n in held} == held and found.locked == tuple(held)


def believed(law, **priors):
    """`law` with priors on some of its coefficients."""
    return replace(law, params=tuple(replace(p, prior=priors.get(p.name)) for p in law.params))


@pytest.mark.parametrize("name, near", [("annealing", {"alpha": 0.3}), ("power_law", {"L_inf": 2.0})])
def test_a_prior_pulls_as_far_as_it_is_narrow(name, near):
    runs = [twin_run(name, text, PLANTED[name], 5e-3, i) for i, text in enumerate(TRAINING)]
    (which, centre), plain = *near.items(), fit(name, runs)
    loose, tight = (fit(believed(LAWS[name], **{which: (centre, width)}), runs) for width in (1e3, 1e-6))
    assert loose.theta == pytest.approx(plain.theta, rel=1e-4)
    assert tight.theta[which] == pytest.approx(centre, rel=1e-3) and plain.theta[which] != pytest.approx(
        centre, rel=0.05
    )
    assert tight.objective == pytest.approx(
        fit(name, runs, locked=near).objective, rel=1e-3
    )  # without the prior's cost
    locked = {which: plain.theta[which]}
    assert fit(believed(LAWS[name], **{which: (centre, 1e-6)}), runs, locked=locked).theta[which] == locked[which]


def test_a_prior_holds_a_convex_search_too(spectral):
    law = believed(LAWS["noisy_quadratic"], L_inf=(2.5, 1e-6))
    assert fit(law, spectral).theta["L_inf"] == pytest.approx(2.5, abs=1e-3)
    assert abs(fit("noisy_quadratic", spectral).theta["L_inf"] - 2.5) > 0.01
