"""Fits: planted coefficients come back, published numbers are reached, whatever the order, start and length."""

import numpy as np
import pytest

from optlaws_core.errors import Cancelled
from optlaws_core.fitting.least_squares import HUBER, huber
from optlaws_core.fitting.loss_curves import curve
from optlaws_core.fitting.result import Status
from optlaws_core.fitting.single import fit, tuned
from optlaws_core.laws import LAWS
from optlaws_core.laws.evaluation import batch, predict
from optlaws_core.prediction.verdict import doubts
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import Cosine, parse
from tests.knowledge.planted import HELD_OUT, OTHER_PEAK, PLANTED, TRAINING, twin_run
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, TWINS

# Laws whose coefficients mean something one by one; the weights of a spectrum do not.
SINGLE = {name: theta for name, theta in PLANTED.items() if not LAWS[name].ridge}


def test_every_law_is_planted():
    assert set(PLANTED) == set(LAWS)


@pytest.mark.slow
@pytest.mark.parametrize("name, theta", SINGLE.items(), ids=SINGLE)
def test_planted_coefficients_are_recovered(name, theta):
    runs = [twin_run(name, text, theta) for text in (*TRAINING, OTHER_PEAK)]
    held_out = twin_run(name, HELD_OUT, theta)
    found = fit(name, runs, test=[held_out])
    assert found.theta == pytest.approx(theta, rel=2e-3)  # the fast sums differ from the twin's by up to 1e-7
    assert found.test[HELD_OUT].worst_rel < 1e-6 and found.objective < 1e-10


SIZED = {"annealing": dict(B=200.0, beta=0.3), "chinchilla": dict(A=400.0), "forward_momentum": dict(B=50.0)}


@pytest.mark.parametrize("name", SIZED)
def test_planted_model_sizes_are_told_apart(name):
    theta = PLANTED[name] | SIZED[name]
    runs = [twin_run(name, text, theta, params=size) for text in TRAINING for size in (2.5e7, 1e8, 4e8)]
    held_out = twin_run(name, HELD_OUT, theta, params=2e8)
    found = fit(name, runs, test=[held_out])
    assert found.theta == pytest.approx(theta, rel=2e-3) and found.test[held_out.name].worst_rel < 1e-6


ONE_SIZE = {
    "25M": dict(L0=3.0373695, A=0.52116022, alpha=0.50541752, C=1.6439863, lam=0.99570499),
    "100M": dict(L0=2.6797855, A=0.56532344, alpha=0.49609442, C=0.72884608, lam=0.99843844),
}


def test_one_model_size_is_fitted_as_if_there_were_no_term_in_it(published):
    """The coefficients that these runs gave before the annealing law knew of sizes."""
    size, train, _ = published
    found = fit("annealing", train)
    theta = {n: found.theta[n] for n in ONE_SIZE[size]}
    assert theta == pytest.approx(ONE_SIZE[size], rel=1e-4) and (found.theta["B"], found.theta["beta"]) == (0.0, 0.34)
    assert found.interval["B"] is None and "B" not in found.message


@pytest.mark.slow
@pytest.mark.parametrize("name, theta", SINGLE.items(), ids=SINGLE)
def test_intervals_hold_the_planted_coefficients(name, theta):
    """Of 90 % intervals over ten noisy repeats most must hold the truth: at least two in three of all coefficients."""
    hits = []
    for seed in range(10):
        runs = [twin_run(name, text, theta, 5e-4, 10 * seed + i) for i, text in enumerate((*TRAINING, OTHER_PEAK))]
        found = fit(name, runs)
        hits += [low <= theta[n] <= high for n, ends in found.interval.items() if ends for low, high in (ends,)]
    assert len(hits) >= 20 and np.mean(hits) > 2 / 3


@pytest.mark.slow
def test_the_published_benchmark(published):
    """Mean held-out RMSE on multi_power_law; the published Multi-Power Law has 0.00465 (25M) and 0.00592 (100M)."""
    size, train, test = published
    found = fit("opt_laws_curve", train, test=test)
    assert found.held_out_rmse <= {"25M": 0.0045, "100M": 0.0027}[size]
    assert len(found.test) == 6 and found.status is Status.converged
    assert fit("annealing", train, test=test).held_out_rmse < fit("power_law", train, test=test).held_out_rmse


def test_huber_by_hand():
    assert huber(np.array([HUBER / 2, -3 * HUBER])) == pytest.approx(HUBER**2 * (1 / 8 + 2.5))
    assert huber(np.array([np.nan])) == np.inf


def test_a_locked_coefficient_stays_and_the_rest_are_refitted():
    theta = PLANTED["annealing"]
    runs = [twin_run("annealing", text, theta) for text in TRAINING]
    free, held = fit("annealing", runs), fit("annealing", runs, locked={"lam": 0.99})
    assert held.theta["lam"] == 0.99 and held.interval["lam"] is None and held.locked == ("lam",)
    assert held.objective > free.objective and held.theta["C"] != pytest.approx(free.theta["C"], rel=0.1)
    everything = fit("annealing", runs, locked=theta)
    assert everything.theta == theta and everything.objective < 1e-10


def test_a_start_may_be_partial():
    runs = [twin_run("annealing", text, PLANTED["annealing"]) for text in TRAINING]
    assert fit("annealing", runs, start={"lam": 0.99}).theta == pytest.approx(PLANTED["annealing"], rel=2e-3)


@pytest.mark.slow
def test_dense_logs_are_averaged_for_the_search_and_scored_on_every_point():
    theta, dense = PLANTED["opt_laws_curve"] | {"D": 0.0}, []
    for i, text in enumerate(TRAINING):
        schedule = parse(text)
        steps = np.arange(200, schedule.total)
        exact = TWINS["opt_laws_curve"](schedule(np.arange(schedule.total + 1)), steps, **theta)
        loss = exact * np.exp(1e-3 * np.random.default_rng(i).standard_normal(len(steps)))
        dense.append(
            Run(text, Plan(schedule, PARAMS, BATCH_TOKENS), {"train": Series(steps, loss)}, lr_source="declared")
        )
    found = fit("opt_laws_curve", dense)
    assert "averaged over 600 windows" in found.message and doubts(found) == []
    assert [s.n for s in found.train.values()] == [len(r.loss) for r in dense]
    noise = [1e-3 * float(np.sqrt((r.loss**2).mean())) for r in dense]
    assert [s.rmse for s in found.train.values()] == pytest.approx(noise, rel=0.05)


def test_a_long_curve_is_interpolated_faithfully():
    schedule = parse("step(peak=3e-4, warmup=200, total=30000, boundaries=[15000], values=[3e-5])")
    steps = np.arange(200, 30000)
    run = Run(
        "x",
        Plan(schedule, PARAMS, BATCH_TOKENS),
        {"train": Series(steps, np.full(len(steps), 3.0))},
        lr_source="declared",
    )
    law = LAWS["opt_laws_curve"]
    theta = law.vector(PLANTED["opt_laws_curve"])
    some = np.concatenate((np.arange(14_990, 15_100), np.arange(300, 29_000, 97)))
    exact = predict(batch(law, [(run.plan, some)]), theta)
    np.testing.assert_allclose(curve(law, theta, run)[some - 200], exact, rtol=2e-5)


def test_a_start_of_ones_own_leads_to_the_same_fit():
    theta = PLANTED["annealing"]
    runs = [twin_run("annealing", text, theta) for text in TRAINING]
    near = {k: v * 1.02 for k, v in theta.items() if k != "lam"} | {"lam": 0.994}
    assert fit("annealing", runs, start=near).theta == pytest.approx(theta, rel=2e-3)


def test_the_peak_term_is_left_out_for_one_peak():
    runs = [twin_run("opt_laws_curve", text, PLANTED["opt_laws_curve"] | {"D": 0.0}) for text in TRAINING]
    found = fit("opt_laws_curve", runs)
    assert found.theta["D"] == 0.0 and found.interval["D"] is None


def test_order_of_runs_does_not_matter():
    runs = [twin_run("annealing", text, PLANTED["annealing"], 1e-3, i) for i, text in enumerate(TRAINING)]
    ahead, back = fit("annealing", runs), fit("annealing", runs[::-1])
    assert ahead.theta == pytest.approx(back.theta, rel=1e-4) and ahead.objective == pytest.approx(
        back.objective, rel=1e-9
    )


def test_progress_is_told_and_can_cancel():
    runs = [twin_run("annealing", text, PLANTED["annealing"], 1e-3) for text in TRAINING]
    seen = []
    fit("annealing", runs, progress=lambda share, best: seen.append((share, best)))
    shares = [s for s, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0 and seen[-1][1] < 1e-2
    with pytest.raises(Cancelled):
        fit("annealing", runs, progress=lambda share, best: False)


def test_a_tuned_fit_is_scored_like_a_fit():
    runs = [twin_run("annealing", text, PLANTED["annealing"]) for text in TRAINING]
    base = fit("annealing", runs)
    by_hand = tuned(base, base.theta | {"L0": base.theta["L0"] + 0.1}, runs)
    assert by_hand.status is Status.tuned and by_hand.objective > base.objective
    assert all(s.mae == pytest.approx(0.1, rel=1e-3) for s in by_hand.train.values())


def test_warm_ups_are_left_out_by_default():
    schedule = Cosine(3e-4, warmup=200, total=1000)
    steps = np.arange(0, 1000, 10)
    run = Run(
        "a", Plan(schedule, PARAMS, BATCH_TOKENS), {"train": Series(steps, 3 + 1 / (steps + 1.0))}, lr_source="declared"
    )
    assert fit("power_law", [run]).train["a"].n == 80
    assert fit("power_law", [run], from_step=500).train["a"].n == 50
