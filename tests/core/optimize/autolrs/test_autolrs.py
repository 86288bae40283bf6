"""AutoLRS: exponentials through noisy stages, the process over rates, what a log's next stage is, simulated runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from optlaws_core import LAWS, DesignError, Fit, Plan, Run, Series, Status, parse, predict
from optlaws_core.cli import main
from optlaws_core.fitting.result import Coverage
from optlaws_core.laws.multi_power import MULTI_POWER
from optlaws_core.optimize.autolrs import (
    Search,
    Stage,
    exponential,
    forecasts,
    inliers,
    lengths,
    next_stage,
    probe_of,
    propose_rate,
    rivals,
    simulate_stages,
    stages_of,
)
from optlaws_core.optimize.autolrs.stage_forecast import _jacobian
from optlaws_core.prediction.losses import sized
from tests.knowledge.twins import THETAS
from tests.places import ROOT

pytestmark = pytest.mark.slow
BUNDLED = str(ROOT / "data" / "examples.csv")
X = np.linspace(1, 100, 80)
TAU = 1000
SEARCH = Search(1e-4, 1e-2)


def planted(c=3.0, a=0.5, time=40.0, noise=0.0, seed=0, x=X):
    return c + a * np.exp(-x / time) + noise * np.random.default_rng(seed).standard_normal(len(x))


def published(size="25M") -> Fit:
    """The Multi-Power Law with its published coefficients: the truth of the simulations here."""
    return Fit(
        law="multi_power",
        theta=MULTI_POWER.complete(MULTI_POWER.published[size]),
        interval={},
        status=Status.converged,
        message="",
        objective=0.0,
        train={},
        coverage=Coverage((3e-4, 3e-4), (24_000, 72_000)),
    )


def a_run(text="step(peak=8e-3, warmup=200, total=4000, boundaries=[2000], values=[2e-3])", last=3999, every=10):
    steps = np.arange(0, last + 1, every)
    return Run("run", Plan(parse(text)), {"train": Series(steps, 2 + 1 / (1 + steps / 500))}, lr_source="declared")


# ---------------------------------------------------------------------------------------------------- the forecaster


@pytest.mark.parametrize("a, time", [(0.5, 10.0), (0.5, 40.0), (0.5, 200.0), (-0.3, 40.0)])
def test_an_exponential_without_noise_is_found(a, time):
    told = exponential(X, planted(a=a, time=time), TAU)
    assert (told.c, told.a, told.b) == pytest.approx((3.0, a, 1 / time), rel=1e-4)
    assert told(TAU) == pytest.approx(3.0 + a * np.exp(-TAU / time), rel=1e-6) and told.error(TAU) < 1e-4


def test_the_jacobian_is_that_of_the_exponential():
    J = _jacobian(0.5, 0.02, X)
    for row, x in zip(J[::20], X[::20], strict=True):
        numeric = approx_fprime(
            np.array([3.0, 0.5, np.log(0.02)]), lambda p, x=x: p[0] + p[1] * np.exp(-np.exp(p[2]) * x), 1e-7
        )
        np.testing.assert_allclose(row, numeric, atol=1e-5)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_intervals_hold_the_truth_as_often_as_they_say(correlation):
    held = []
    for seed in range(150):
        white = np.random.default_rng(seed).standard_normal(len(X))
        noise = np.zeros(len(X))
        for i, w in enumerate(white):
            noise[i] = correlation * noise[i - 1] + np.sqrt(1 - correlation**2) * w
        low, high = exponential(X, planted() + 0.01 * noise, TAU).interval(TAU)
        held.append(low <= 3.0 <= high)
    assert 0.82 <= np.mean(held) <= 0.97  # of a nominal 90 %, within three standard errors and what is estimated


def test_spikes_of_the_first_half_are_left_out_and_others_weigh_little():
    clean, loss = planted(noise=0.005), planted(noise=0.005)
    loss[[5, 17, 30]] += [3.0, -2.0, 5.0]
    assert not inliers(X, loss)[[5, 17, 30]].any() and inliers(X, loss)[len(X) // 2 :].all()
    loss[70] += 2.0
    assert exponential(X, loss, TAU)(TAU) == pytest.approx(exponential(X, clean, TAU)(TAU), abs=0.01)


def test_losses_that_fall_in_a_line_are_not_forecast_below_zero():
    assert exponential(X, 2.0 - 0.01 * X, 10 * TAU)(10 * TAU) >= 0


@pytest.mark.parametrize(
    "x, loss, end, message",
    [
        (X[:4], planted()[:4], TAU, "at least 5 losses, got 4"),
        (X, np.where(X > 50, np.nan, planted()), TAU, "needs finite losses, got nan after 51"),
        (X, np.where(X > 50, 1e300, planted()), TAU, r"needs losses of at most 1e\+30, got 1e\+300 after 51"),
        (X[::-1], planted(), TAU, "must rise strictly from above 0"),
        (X, planted(), 0, "finite number of updates above 0, got 0"),
        (X, planted()[:5], TAU, "need one update each"),
    ],
)
def test_what_cannot_be_forecast_is_one_sentence(x, loss, end, message):
    with pytest.raises(DesignError, match=message):
        exponential(x, loss, end)


# ---------------------------------------------------------------------------------------------------- the planner


def probed(rate: float, noise=0.0, best=1.5e-3) -> Stage:
    """A probe whose rate ends, after the stage, the higher the farther it is from the best one."""
    end = 2.5 + 0.05 * np.log(rate / best) ** 2
    return Stage(rate, 0, TAU, X, planted(c=end, time=30.0, noise=noise, seed=int(1e7 * rate)))


def searched(search: Search, noise=0.0):
    probes = []
    while not (told := propose_rate(probes, search, TAU, 1e-2)).train:
        probes.append(probed(told.rate, noise))
    return told


@pytest.mark.parametrize("kappa", [1e6, 2.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_best_rate_is_found_and_the_process_knows_the_losses(kappa, noise):
    told = searched(Search(1e-4, 1e-2, kappa=kappa), noise)
    truth = 2.5 + 0.05 * np.log(told.rates / 1.5e-3) ** 2
    low, high = told.band
    assert len(told.tried) == 10 and abs(np.log(told.rate / 1.5e-3)) < 0.6  # ten probes of two decades lie 0.5 apart
    assert told.rate in [t.rate for t in told.tried]
    near = abs(np.log(told.rates / 1.5e-3)) < 1
    assert np.abs(told.mean - truth)[near].max() < 0.02
    assert ((low <= truth + 1e-3) & (truth - 1e-3 <= high))[near].mean() > 0.7


def test_probes_go_where_least_is_known_and_never_twice_to_one_rate():
    told = propose_rate([], SEARCH, TAU, 2e-3)
    assert told.rate == 2e-3 and told.mean is None and not told.train
    assert propose_rate([], SEARCH, TAU).rate == 1e-3  # the middle, where nothing was trained before
    assert propose_rate([], SEARCH, TAU, 0.5).rate == 1e-2  # within the range
    rates = [t.rate for t in searched(SEARCH).tried]
    assert rates[0] == 1e-2 and rates[1] == 1e-4
    assert np.diff(np.sort(np.log(rates))).min() > np.log(100) / 25


def test_the_same_probes_give_the_same_rates():
    one, two = searched(SEARCH, 0.01), searched(SEARCH, 0.01)
    assert one.tried == two.tried and one.rate == two.rate
    np.testing.assert_array_equal(one.mean, two.mean)


def test_a_vague_forecast_weighs_little():
    sure = [probed(r) for r in (3e-4, 1e-3, 3e-3)]
    vague = replace(probed(1e-2), loss=planted(c=0.0, a=3.0, time=1000.0, noise=0.05))
    told = propose_rate([*sure, vague], replace(SEARCH, probes=4), TAU)
    assert told.tried[3].error > 1 > 0.1 > max(t.error for t in told.tried[:3])
    assert told.tried[3].loss < 1.5 and told.rate == 1e-3 and told.mean[-1] > 2.4


def test_a_probe_that_diverged_is_the_worst_and_never_trained():
    probes = [probed(1e-3), probed(3e-3), replace(probed(1e-2), loss=np.where(X > 60, np.nan, 9.0))]
    tried = forecasts(probes, TAU)
    assert tried[2].diverged and tried[2].loss == max(probes[0].loss.max(), probes[1].loss.max())
    assert propose_rate(probes, replace(SEARCH, probes=3), TAU).rate == 1e-3
    with pytest.raises(DesignError, match="All 1 probes diverged"):
        forecasts(probes[2:], TAU)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Search(1e-2, 1e-3), "two above 0, the lower one first, got 0.01 and 0.001"),
        (lambda: Search(0, 1e-3), "two above 0"),
        (lambda: Search(1e-3, np.nan), "two above 0"),
        (lambda: Search(1e-4, 1e-3, probes=1), "2 to 100 probes, got 1"),
        (lambda: Search(1e-4, 1e-3, kappa=-1), "0 or more, got -1"),
        (lambda: forecasts([replace(probed(1e-3), x=X[:3], loss=X[:3])], TAU), "probe at 1e-3: .* at least 5"),
    ],
)
def test_searches_that_cannot_be_are_one_sentence(make, message):
    with pytest.raises(DesignError, match=message):
        make()


# ---------------------------------------------------------------------------------------------------- stages of a log


def test_stages_are_where_the_rate_is_constant():
    one, two = stages_of(a_run())
    assert (one.rate, one.start, one.end) == (8e-3, 200, 2000) and (two.rate, two.start, two.end) == (2e-3, 2000, 4000)
    assert one.x[0] == 1 and one.x[-1] == 1791 and len(one.loss) == 180  # losses after updates 200, 210, …, 1990
    (held,) = stages_of(a_run("wsd(peak=8e-3, warmup=200, total=4000, decay=800)"))
    assert (held.start, held.end) == (200, 3200)
    # A logged rate is knots, with or without one within a stage.
    knots = "knots(steps=[0, 500, 1000, 1010, 4000], values=[1e-3, 1e-3, 1e-3, 5e-4, 5e-4])"
    assert [(s.start, s.end) for s in stages_of(a_run(knots))] == [(0, 1000), (1010, 4000)]


def test_the_next_stage_is_twice_as_long_up_to_eight_times_the_first():
    ahead = next_stage(a_run())
    assert (ahead.start, ahead.length, ahead.rate, len(ahead.stages)) == (3991, 2 * 1991, 2e-3, 2)
    ahead = next_stage(a_run(), 1000)
    assert (ahead.start, ahead.length, ahead.rate) == (1000, 1600, 8e-3) and ahead.stages[0].x[-1] <= 800
    short = a_run("step(peak=8e-3, warmup=0, total=4000, boundaries=[100], values=[2e-3])")
    assert next_stage(short).length == 800


def test_a_probe_is_what_a_run_did_from_there():
    probe = probe_of(a_run(), 2000, 1500, 150)
    assert (probe.rate, probe.start, probe.end, probe.x[0], probe.x[-1]) == (2e-3, 2000, 3500, 1, 141)
    assert probe_of(a_run(), 1900, 1500).x[-1] == 91  # the rate changes then


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: stages_of(a_run("cosine(peak=1e-3, warmup=100, total=4000)")), "has no stage: .* nowhere constant"),
        (lambda: stages_of(replace(a_run(), plan=None, lr_source="missing")), "declare its schedule first"),
        (lambda: next_stage(a_run(), 200), "no stage before update 200; its first begins with update 200"),
        (lambda: probe_of(a_run(), 2000, 100, 30), "has 3 losses in the 30 updates from 2,000 on; a probe needs 5"),
        (
            lambda: probe_of(a_run("wsd(peak=1e-3, warmup=9, total=4000, decay=800)"), 3500, 99),
            "its rate changes there",
        ),
    ],
)
def test_logs_without_stages_are_one_sentence(call, message):
    with pytest.raises(DesignError, match=message):
        call()


# ---------------------------------------------------------------------------------------------------- simulated runs


def test_stages_double_and_fill_the_run():
    assert lengths(700) == [100, 200, 400]
    assert lengths(2300, 100) == [100, 200, 400, 800, 800]
    assert lengths(750, 100) == [100, 200, 450] and sum(lengths(12_345, 77)) == 12_345
    with pytest.raises(DesignError, match="first stage takes 5 to 100 updates, all after the warm-up, got 101"):
        lengths(100, 101)


@pytest.mark.parametrize("size", MULTI_POWER.published)
def test_a_simulated_run_beats_every_constant_rate(size):
    """Of this length: at 72,000 updates it does not, since a stage is chosen for its own end."""
    law, search, total = published(size), Search(3e-5, 3e-4), 24_000
    ran = simulate_stages(law, search, total, 2160)
    constant, simple, curve = rivals(law, search, total, 2160)
    assert curve.loss <= simple.loss < ran.loss < constant.loss
    assert ran.loss < 1.03 * curve.loss
    assert ran.loss == pytest.approx(predict(law, ran.schedule)[0], rel=1e-9) == ran.stages[-1].loss
    assert parse(ran.schedule.text) == ran.schedule and ran.schedule.total == total
    assert ran.probed == pytest.approx(total - 2160, abs=30)  # ten tenths of every stage
    for stage in ran.stages:
        assert stage.proposal.train and ran.schedule(stage.start) == stage.proposal.rate
        assert predict(law, ran.schedule, stage.end - 1)[0] == pytest.approx(stage.loss, rel=1e-9)
        assert stage.forecast == pytest.approx(stage.loss, rel=0.07)


def test_the_best_constant_rate_is_the_best():
    law, search = published(), Search(3e-5, 3e-4)
    best = rivals(law, search, 24_000, 2160)[0]
    grid = [parse(f"constant(peak={r:.6g}, warmup=2160, total=24000)") for r in np.geomspace(3e-5, 3e-4, 30)]
    assert best.loss <= min(predict(law, s)[0] for s in grid) + 1e-6


def test_a_law_without_free_curves_leaves_the_constant_rate():
    theta = THETAS["forward_momentum"][0]
    walking = replace(published(), law="forward_momentum", theta=LAWS["forward_momentum"].complete(theta))
    assert [r.name for r in rivals(sized(walking, 1e8), Search(1e-4, 1e-3), 500, 50)] == ["best constant"]


def test_noise_comes_from_its_seed():
    law, search = published(), Search(3e-5, 3e-4, probes=3)
    one, two = (simulate_stages(law, search, 6000, 500, noise=0.01, seed=1) for _ in range(2))
    assert one.schedule == two.schedule and [s.forecast for s in one.stages] == [s.forecast for s in two.stages]
    other = simulate_stages(law, search, 6000, 500, noise=0.01, seed=2)
    assert [s.forecast for s in other.stages] != [s.forecast for s in one.stages]


def test_a_simulation_can_be_watched_and_refuses_what_cannot_be():
    from optlaws_core.errors import Cancelled

    law, seen = published(), []
    with pytest.raises(Cancelled):
        simulate_stages(law, Search(3e-5, 3e-4, 2), 6000, 500, progress=lambda *told: seen.append(told) or False)
    assert len(seen) == 1 and 0 < seen[0][0] < 1 < seen[0][1]
    with pytest.raises(DesignError, match="warm-up must end before the run of 100 updates, got 100"):
        simulate_stages(law, Search(3e-5, 3e-4), 100, 100)
    with pytest.raises(DesignError, match="from 0 to below 1, got nan"):
        simulate_stages(law, Search(3e-5, 3e-4), 1000, 100, noise=np.nan)


# ---------------------------------------------------------------------------------------------------- command line


def told(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(["autolrs", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_says_what_python_says(capsys):
    from optlaws_core import read

    argv = ("--runs", BUNDLED, "--run", "drop30_4000", "--split", "train", "--start", "2000")
    probes = ("--probe", "drop30_4000", "constant_4000")
    code, out, _ = told(capsys, *argv, *probes, "--json")
    row, runs = json.loads(out), {r.name: r.on("train") for r in read(BUNDLED).runs}
    ahead = next_stage(runs["drop30_4000"], 2000)
    known = [probe_of(runs[n], 2000, ahead.length) for n in probes[1:]]
    expected = propose_rate(known, Search(8e-4, 8e-3), ahead.length, ahead.rate)
    assert code == 0 and [s["rate"] for s in row["stages"]] == [8e-3]
    assert row["next"] == {"do": "probe", "rate": expected.rate, "start": 2000, "updates": 360, "stage": 3600}
    assert [p["loss"] for p in row["probes"]] == [t.loss for t in expected.tried]
    assert [p["mean"] for p in row["posterior"]] == expected.mean.tolist()
    code, out, _ = told(capsys, *argv, *probes, "--tries", "2")
    assert code == 0 and "Train the stage at 0.0024 for 3,600 updates from 2,000 on." in out
    code, out, _ = told(capsys, *argv[:-2])
    assert code == 0 and "Probe at 0.0024 for 400 updates from 4,000 on." in out and out.count("stage at") == 2


def test_the_command_simulates(capsys, tmp_path):
    fit = tmp_path / "fit.json"
    published().save(fit)
    argv = ("--fit", str(fit), "--high", "3e-4", "--total", "6000", "--warmup", "500", "--tries", "3")
    code, out, err = told(capsys, *argv, "--json")
    row, ran = json.loads(out), simulate_stages(published(), Search(3e-5, 3e-4, 3), 6000, 500)
    assert code == 0 and row["final_loss"] == ran.loss and row["schedule"] == ran.schedule.text
    assert f"another {row['probed']:,} updates" in err and row["beside"][0]["name"] == "best constant"


@pytest.mark.parametrize(
    "argv, message",
    [
        ((), "one of the arguments --runs --fit is required"),
        (("--runs", BUNDLED), "--run is needed"),
        (("--runs", BUNDLED, "--run", "cosine10_4000"), "has no stage"),
        (("--runs", BUNDLED, "--run", "drop30_4000", "--probe", "linear_4000"), "has no stage"),
        (("--runs", BUNDLED, "--run", "drop30_4000", "--length", "3"), "at least 5 updates, got 3"),
        (("--fit", "x.json", "--high", "1e-3"), "needs --total"),
    ],
)
def test_bad_input_is_one_sentence(argv, message, capsys):
    code, out, err = told(capsys, *argv)
    assert (code, out) == (1, "") and message in err and err.count("\n") == 1
