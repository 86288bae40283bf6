"""Fits under a prior: from one run, from one's own fits, whatever the order of the files, and where they begin."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Fit, Run, parse, predict, with_bands
from optlaws_core.errors import DesignError, OptLawsError
from optlaws_core.fitting.priors import FILE, Prior, coordinates_of, from_fits, learned, provenance
from optlaws_core.fitting.selection import POOL, select
from optlaws_core.fitting.single import first_fitted, fit
from optlaws_core.fitting.under_prior import windows
from optlaws_core.laws import law_named
from optlaws_core.laws.evaluation import batch
from optlaws_core.laws.evaluation import predict as evaluated
from optlaws_core.laws.scale_free import Scale
from optlaws_core.runs import Plan, Series

WSD = "wsd(peak=1e-3, warmup=300, total=15000, decay=3000, shape=linear)"
COSINE = "cosine(peak=1e-3, warmup=300, total=25000, final=1e-4)"
CONSTANT = "constant(peak=1e-3, warmup=300, total=12000)"
LONG = "wsd(peak=1e-3, warmup=300, total=50000, decay=10000, shape=linear)"
SCALE = Scale(1e-3, 15_000.0, 3.1)


def made(law, text, name, noise=1e-3, seed=0, psi=None, every=100):
    """A run of a law at its prior's mean, or at other scale-free coordinates, with noise on the logarithm."""
    law, known = law_named(law), learned(law)
    told = law.coordinates.back(np.array(known.mean if psi is None else psi), SCALE)
    theta = np.array([p.from_scale(told.get(p.name, p.neutral)) for p in law.params], float)
    plan = Plan(parse(text))
    steps = np.arange(every, plan.schedule.total, every)
    loss = evaluated(batch(law, [(plan, steps)]), theta)
    off = np.random.default_rng(seed).normal(0, noise, len(steps))
    return Run(name, plan, {"train": Series(steps, loss * np.exp(off))}, "train", "declared")


@pytest.fixture(scope="module")
def one():
    run = made("opt_laws_curve", WSD, "wsd")
    return run, fit("opt_laws_curve", [run], prior=learned("opt_laws_curve"))


def test_the_shipped_priors_say_where_they_come_from():
    rows = provenance()
    assert len(rows) > 40 and all({"group", "runs", "source"} == set(row) for row in rows)
    assert json.loads(FILE.read_text())["made"] == "python -m benchmarks priors"


@pytest.mark.parametrize("law", POOL)
def test_a_shipped_prior_is_a_distribution_over_the_laws_coordinates(law):
    known = learned(law)
    assert len(known.mean) == len(law_named(law).coordinates.names)
    assert np.linalg.eigvalsh(np.array(known.covariance)).min() > 1e-4


def test_a_law_without_coordinates_has_no_prior():
    assert learned("multi_power") is None


def test_one_run_tells_a_run_of_three_times_its_length(one):
    _, found = one
    unseen = made("opt_laws_curve", LONG, "long", noise=0)
    told = with_bands(found, unseen.plan, unseen.steps[-1:])
    off = float(np.log(told.loss[0] / unseen.loss[-1]))
    assert abs(off) < 0.004
    assert told.prediction is not None and abs(off) < told.prediction[0] < 0.02


def test_without_prior_one_run_has_no_prediction_band(one):
    run, _ = one
    found = fit("opt_laws_curve", [run])
    assert found.informed is None and with_bands(found, parse(LONG)).prediction is None


def test_the_report_says_how_far_the_runs_moved_the_prior(one):
    _, found = one
    assert found.informed.source == "learned from public curves"
    assert max(map(abs, found.informed.moved.values())) < 1.5  # the run was made at the prior's mean
    assert found.notes[0].startswith("Prior learned from public curves: the runs moved it by up to 0.")
    assert found.message == "Converged." and not found.informed.contradicted


def test_runs_unlike_all_others_contradict_the_prior():
    mean = np.array(learned("opt_laws_curve").mean)
    spread = np.sqrt(np.diag(learned("opt_laws_curve").covariance))
    far = mean + spread * [0, 5, 3, 0, 0, 0]
    texts = (WSD, COSINE, CONSTANT)
    runs = [made("opt_laws_curve", text, text[:6], psi=far, seed=i) for i, text in enumerate(texts)]
    found = fit("opt_laws_curve", runs, prior=learned("opt_laws_curve"))
    assert found.informed.contradicted and "The runs contradict the prior" in found.message


@pytest.mark.parametrize("law", POOL)
def test_order_and_names_of_the_files_change_no_digit(law):
    runs = [made("opt_laws_curve", text, f"run {i}", seed=i) for i, text in enumerate((WSD, COSINE, CONSTANT))]
    wanted = fit(law, runs, prior=learned(law))
    random = np.random.default_rng(1)
    for _ in range(4):
        names = random.permutation(["a", "b", "zz"])
        again = [runs[i].renamed(str(n)) for i, n in zip(random.permutation(3), names, strict=True)]
        found = fit(law, again, prior=learned(law))
        assert (found.theta, found.covariance, found.begin) == (wanted.theta, wanted.covariance, wanted.begin)


def test_locked_coefficients_stay_under_a_prior(one):
    run, _ = one
    found = fit("opt_laws_curve", [run], locked={"rho": 1.25}, prior=learned("opt_laws_curve"))
    assert found.theta["rho"] == 1.25 and found.interval["rho"] is None and "rho" not in found.free


def test_a_fit_under_a_prior_survives_its_file(one, tmp_path):
    _, found = one
    found.save(tmp_path / "fit.json")
    again = Fit.from_dict(json.loads((tmp_path / "fit.json").read_text()))
    assert again == found and again.informed == found.informed and again.first_step == found.begin


def test_a_file_from_before_there_were_priors_is_read(one):
    _, found = one
    plain = found.to_dict()
    del plain["informed"], plain["begin"]
    assert Fit.from_dict(plain) == replace(found, informed=None, begin=None)


@pytest.mark.parametrize(("key", "value"), [("sigma", 0), ("peak", "x"), ("distance", -1), ("moved", {"q": "far"})])
def test_a_spoilt_prior_in_a_file_is_refused(one, key, value):
    _, found = one
    plain = found.to_dict()
    plain["informed"][key] = value
    with pytest.raises(OptLawsError, match=f"This is not a fit: informed.{key}"):
        Fit.from_dict(plain)


def test_ones_own_earlier_fit_is_a_narrower_prior(one):
    _, found = one
    own, strangers = from_fits("opt_laws_curve", [found]), learned("opt_laws_curve")
    assert own.source == "from an earlier fit of yours"
    psi, _ = coordinates_of(found)
    for i in range(2):  # what a run determines best
        assert abs(own.mean[i] - psi[i]) < abs(strangers.mean[i] - psi[i]) + 0.05
    assert np.linalg.slogdet(np.array(own.covariance))[1] < np.linalg.slogdet(np.array(strangers.covariance))[1]


def test_a_fit_without_prior_or_of_another_law_is_no_prior(one):
    run, found = one
    with pytest.raises(OptLawsError, match="needs an earlier fit of that law made under a prior; got none"):
        from_fits("opt_laws_sublinear", [found])
    with pytest.raises(OptLawsError, match="got 1 of that law, none of them under one"):
        from_fits("opt_laws_curve", [fit("opt_laws_curve", [run])])
    with pytest.raises(OptLawsError, match="no scale-free coordinates"):
        from_fits("multi_power", [found])


def test_a_fit_begins_where_the_transient_ends(one):
    run, found = one
    rising = run.loss * (1 + 0.3 * np.exp(-run.steps / 800.0))  # below 0.1 % after 4,600 steps
    late = replace(run, series={"train": Series(run.steps, rising)})
    (early,), (later,) = first_fitted([run]).values(), first_fitted([late]).values()
    assert early < 3_000 < 3_700 < later <= 4_500
    assert f"The fit uses losses from step {found.begin:,}" in found.notes[1]
    asked = fit("opt_laws_curve", [run], from_step=2_000, prior=learned("opt_laws_curve"))
    assert (asked.from_step, asked.begin, asked.first_step) == (2_000, None, 2_000)
    assert not any("uses losses" in note for note in asked.notes)


def test_windows_are_cut_where_the_schedule_turns():
    run = made("opt_laws_curve", WSD, "wsd", noise=0)
    mean, share = windows(run)
    assert share.sum() == pytest.approx(1) and 30 <= len(mean.steps) <= 33
    assert not ((mean.steps[:-1] < 12_000 - 250) & (mean.steps[1:] > 12_000 + 250)).any()
    first = run.steps < run.steps[0] + (run.steps[-1] + 1 - run.steps[0]) / 30
    assert mean.loss[0] != run.loss[0] and run.loss[: first.sum()].max() >= mean.loss[0] >= run.loss[first].min()


def test_laws_under_priors_are_averaged_in_equal_parts():
    run = made("opt_laws_curve", WSD, "wsd")
    found = select(POOL, [run], priors={name: learned(name) for name in POOL}, processes=1)
    assert found.trusted is found.average and found.average.weights == (0.5, 0.5)
    assert "in equal parts, under priors learned from public curves" in found.advice
    assert with_bands(found.average, parse(LONG)).prediction is not None
    both = [predict(f, parse(LONG))[0] for f in found.fits]
    assert predict(found.average, parse(LONG))[0] == pytest.approx(np.sqrt(both[0] * both[1]), rel=1e-12)


def test_a_prior_that_knows_nothing_leaves_the_runs_to_speak():
    texts = (WSD, COSINE, CONSTANT)
    runs = [made("opt_laws_curve", text, text[:6], seed=i) for i, text in enumerate(texts)]
    known = learned("opt_laws_curve")
    vague = Prior(known.law, known.mean, tuple(map(tuple, (100 * np.array(known.covariance)).tolist())), "vague")
    found = fit("opt_laws_curve", runs, prior=vague)
    psi, spread = coordinates_of(found)
    off = np.abs(psi - known.mean) / np.sqrt(np.diag(spread))  # from what the runs were made with
    assert off.max() < 3 and np.sqrt(spread[1, 1]) < 0.1 < np.sqrt(known.covariance[1][1])


def test_a_warm_up_longer_than_a_shorter_run_does_not_swallow_it():
    slow = made("opt_laws_curve", "cosine(peak=1e-3, warmup=6000, total=25000)", "slow")
    short = made("opt_laws_curve", "constant(peak=1e-3, warmup=100, total=4000)", "short", every=40)
    assert first_fitted([slow, short]) == {"slow": None, "short": None}
    found = fit("opt_laws_curve", [slow, short], prior=learned("opt_laws_curve"))
    assert (found.begin, found.first_step, found.train["short"].n) == (None, None, len(short.after(100).loss))


def test_a_log_of_few_losses_is_fitted_under_a_prior():
    run = made("opt_laws_curve", WSD, "few", every=3_000)
    found = fit("opt_laws_curve", [run], prior=learned("opt_laws_curve"))
    assert len(run.loss) == 4 and found.begin == 300 and with_bands(found, parse(LONG)).prediction[0] < 0.05


def test_runs_are_looked_at_before_their_transient(one):
    run, _ = one
    with pytest.raises(DesignError, match="at least one training run, got none"):
        fit("opt_laws_curve", [], prior=learned("opt_laws_curve"))
    with pytest.raises(DesignError, match="is given twice"):
        fit("opt_laws_curve", [run, run], prior=learned("opt_laws_curve"))
