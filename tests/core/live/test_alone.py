"""A run in progress forecast from itself: where it is, the prior is carried to; what it has not seen, bands know."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import DesignError, with_bands
from optlaws_core.fitting.priors import calibration, carried, learned
from optlaws_core.fitting.result import Fit
from optlaws_core.fitting.selection import POOL
from optlaws_core.fitting.single import fit
from optlaws_core.laws import law_named
from optlaws_core.laws.scale_free import Scale
from optlaws_core.live import cut, forecast, from_itself
from tests.core.fitting.test_priors import WSD, made

SO_FAR, WHOLE = Scale(1e-3, 6_000.0, 3.2), Scale(1e-3, 15_000.0, 3.2)


@pytest.mark.parametrize("law", POOL)
def test_a_carried_prior_means_the_same_coefficients(law):
    prior, to = learned(law), law_named(law).coordinates
    here = carried(prior, WHOLE, SO_FAR)
    before, after = to.back(np.array(prior.mean), WHOLE), to.back(np.array(here.mean), SO_FAR)
    assert {k: v for k, v in after.items() if k != "L_inf"} == pytest.approx(
        {k: v for k, v in before.items() if k != "L_inf"}
    )
    back = carried(here, SO_FAR, WHOLE)
    np.testing.assert_allclose(back.mean, prior.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back.covariance, prior.covariance, rtol=1e-4, atol=1e-6)
    assert np.linalg.eigvalsh(np.array(here.covariance)).min() > 0


def test_earlier_more_is_left_to_remove_and_noise_weighs_less():
    prior = learned("opt_laws_curve")
    here = carried(prior, WHOLE, SO_FAR)
    assert here.mean[0] > prior.mean[0] and here.mean[2] < prior.mean[2] and here.mean[4] < prior.mean[4]
    assert carried(prior, WHOLE, WHOLE).mean == pytest.approx(prior.mean)


def test_a_forecast_from_itself_is_an_average_with_bands_that_hold_what_made_the_run():
    run = made("opt_laws_curve", WSD, "wsd")
    seen = cut(run, 9_000)
    model = from_itself(seen)
    assert [f.law for f in model.fits] and {f.law for f in model.fits} == set(POOL)
    told = forecast(model, seen, at=run.steps[-1:])
    assert told.low[0] < run.loss[-1] < told.high[0]
    later = forecast(from_itself(cut(run, 14_000)), cut(run, 14_000), at=run.steps[-1:])
    assert later.high[0] / later.low[0] < told.high[0] / told.low[0]
    assert abs(later.loss[0] / run.loss[-1] - 1) < 0.01


def test_a_run_whose_rate_has_not_fallen_says_less_of_a_fall():
    run = made("opt_laws_curve", WSD, "wsd")
    prior = learned("opt_laws_curve")
    before, after = (fit("opt_laws_curve", [cut(run, t)], prior=prior) for t in (11_000, 14_000))
    assert (before.informed.fell, after.informed.fell) == (False, True)
    assert calibration(before.informed) > calibration(after.informed)
    same = replace(before, informed=replace(before.informed, fell=True))
    wide, narrow = (with_bands(f, run.plan).prediction[0] for f in (before, same))
    assert wide > 1.2 * narrow
    assert Fit.from_dict(json.loads(json.dumps(before.to_dict()))).informed == before.informed
    plain = after.to_dict()
    del plain["informed"]["fell"]  # from before it was kept
    assert Fit.from_dict(plain) == after


def test_too_few_losses_are_refused():
    run = made("opt_laws_curve", WSD, "short")
    with pytest.raises(
        DesignError, match="A forecast of run 'short' from its own losses needs 10 losses past its warm-up, got 3"
    ):
        from_itself(cut(run, 500))
