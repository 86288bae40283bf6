"""Fits for schedules of one length: runs of other lengths count less, so that what laws get wrong there tells less."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import DesignError, Fit, OptLawsError, parse, predict
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.result import Average
from optlaws_core.fitting.selection import POOL, select
from optlaws_core.fitting.single import fit
from optlaws_core.fitting.under_prior import trust
from optlaws_core.runs import Series
from tests.core.fitting.test_priors import CONSTANT, COSINE, LONG, WSD, made

MADE_FOR = (
    "Made to compare schedules of 50,000 updates: runs of other lengths count less, and the losses themselves are "
    "further off."
)

NATURAL = "a whole number of updates from 1 to 1,000,000,000"
NO_HORIZONS = [
    (0, "0"),
    (-5, "-5"),
    (10**9 + 1, "1000000001"),
    (10**400, "1" + "0" * 38 + "…"),
    (1.5, "1.5"),
    (float("nan"), "nan"),
    (True, "True"),
    ("8000", "'8000'"),
]
LAW = "opt_laws_curve"
PRIOR = learned(LAW)
RUN = made(LAW, WSD, "wsd")
AT_END = int(RUN.steps[-1]) + 1
ODD = np.array(PRIOR.mean) + np.sqrt(np.diag(PRIOR.covariance)) * [0, 1, 1, 0, 0, 0]  # what a short run tells wrongly


@pytest.fixture(scope="module")
def short():
    return made(LAW, CONSTANT, "short", psi=ODD)


@pytest.fixture(scope="module")
def fits(short):
    """A fit to the short run for each horizon; None: without one."""
    return {h: fit(LAW, [short], prior=PRIOR, horizon=h) for h in (None, 50_000, 400_000)}


def test_a_run_counts_the_less_the_farther_its_length_is():
    shares = [trust(RUN, AT_END * 2**k, PRIOR) for k in range(4)]
    assert shares[0] == 1 and sorted(shares, reverse=True) == shares and shares[3] < 0.01
    assert trust(RUN, AT_END * 4, PRIOR) == pytest.approx(trust(RUN, AT_END // 4, PRIOR), rel=1e-3)
    assert trust(RUN, AT_END * 4, replace(PRIOR, per_octave=0.0)) == trust(RUN, None, PRIOR) == 1


def test_a_run_is_as_long_as_it_was_logged():
    n = len(RUN.steps) // 2
    half = replace(RUN, series={RUN.split: Series(RUN.steps[:n], RUN.loss[:n])})
    assert trust(half, int(half.steps[-1]) + 1, PRIOR) == 1 > trust(half, AT_END, PRIOR)


def test_a_far_horizon_leaves_the_prior_more_to_say(fits):
    off = [fits[h].informed.distance for h in (None, 50_000, 400_000)]
    assert sorted(off, reverse=True) == off and off[-1] < 0.3 * off[0]


def test_what_a_long_run_tells_of_long_ones_outweighs_a_short_run(short):
    long, unseen = made(LAW, LONG, "long"), made(LAW, COSINE.replace("25000", "50000"), "unseen", noise=0)
    off = {}
    for horizon in (None, 50_000):
        found = fit(LAW, [short, long], prior=PRIOR, horizon=horizon)
        off[horizon] = abs(float(np.log(predict(found, unseen.plan, unseen.steps[-1:])[0] / unseen.loss[-1])))
    assert off[50_000] < off[None] / 2


def test_runs_of_the_horizon_count_as_without_one(fits, short):
    same = fit(LAW, [short], prior=PRIOR, horizon=int(short.steps[-1]) + 1)
    assert same.theta == fits[None].theta and same.covariance == fits[None].covariance


def test_a_fit_says_and_keeps_its_horizon(fits):
    found = fits[50_000]
    assert MADE_FOR in found.notes
    assert Fit.from_dict(found.to_dict()) == found and not any("compare" in note for note in fits[None].notes)
    before = found.to_dict()
    del before["informed"]["horizon"]
    assert Fit.from_dict(before).informed.horizon is None


def test_schedules_of_another_length_than_a_fit_was_made_for_are_told(fits):
    def said(found, total):
        return [r for r in found.reasons(parse(f"cosine(peak=1e-3, warmup=100, total={total})")) if "made for" in r]

    mixed = Average((fits[50_000], fits[None]), (0.5, 0.5), {}, {}, 0.01, None)
    for found in (fits[50_000], mixed):
        assert said(found, 70_000) == said(found, 36_000) == said(found, 50_000) == []
        assert said(found, 72_000) == ["72,000 updates, the fit was made for schedules of 50,000 updates"]
        assert said(found, 25_000) == ["25,000 updates, the fit was made for schedules of 50,000 updates"]
    assert said(fits[None], 25_000) == []


def test_a_horizon_may_be_an_integer_of_numpy(short):
    found = fit(LAW, [short], prior=PRIOR, horizon=np.int64(50_000))
    assert json.loads(json.dumps(found.to_dict()))["informed"]["horizon"] == 50_000


@pytest.mark.parametrize(("bad", "got"), NO_HORIZONS, ids=[got for _, got in NO_HORIZONS])
def test_a_file_with_no_horizon_is_no_fit(fits, bad, got):
    stored = fits[50_000].to_dict()
    stored["informed"]["horizon"] = bad
    with pytest.raises(
        OptLawsError, match=f"^This is not a fit: informed.horizon must be {NATURAL}, got {re.escape(got)}.$"
    ):
        Fit.from_dict(stored)


def test_select_gives_its_horizon_to_every_law():
    found = select(POOL, [RUN], priors={name: learned(name) for name in POOL}, horizon=50_000, processes=1)
    assert {f.law: f.informed.horizon for f in found.fits} == dict.fromkeys(POOL, 50_000)


def test_select_mixes_no_laws_that_heed_a_horizon_with_others():
    laws = (*POOL, "power_law", "multi_power")
    with pytest.raises(DesignError, match="none is given for power_law, multi_power; leave the horizon out"):
        select(laws, [RUN], priors={name: learned(name) for name in POOL}, horizon=50_000, processes=1)


def test_a_horizon_is_for_every_peak():
    hot = made(LAW, WSD.replace("1e-3", "2e-3"), "hot")
    found = fit(LAW, [RUN, hot], prior=PRIOR, horizon=50_000)
    assert [f.informed.horizon for f in found.by_peak] == [50_000, 50_000]


@pytest.mark.parametrize(
    ("horizon", "prior", "said"),
    [
        *(
            pytest.param(bad, PRIOR, f"^A horizon must be {NATURAL}, got {re.escape(got)}.$", id=got)
            for bad, got in NO_HORIZONS
        ),
        (50_000, None, "beside a prior, and none is given for opt_laws_curve; leave the horizon out"),
    ],
)
def test_a_horizon_that_means_nothing_is_refused_in_a_sentence(horizon, prior, said):
    with pytest.raises(DesignError, match=said):
        fit(LAW, [RUN], prior=prior, horizon=horizon)
    with pytest.raises(DesignError, match=said):
        select([LAW], [RUN], priors={LAW: prior} if prior else None, horizon=horizon, processes=1)
