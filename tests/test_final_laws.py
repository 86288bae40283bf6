"""Final-loss laws: they recover what was planted, their derivatives are exact, tables are read with care."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.table import PUBLIC
from optlaws_core import final_loss as fl
from optlaws_core.errors import DesignError, FitError, LogError, OptLawsError
from optlaws_core.final_loss import (
    FINAL_LAWS,
    beyond,
    cross_validated,
    final_law,
    fit_final,
    load_final,
    predict_final,
    shares,
)
from optlaws_core.fits import Status
from optlaws_core.run_table import TableRun, fold, read_table
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, parse

THETA = {
    "E": 1.4, "A": 1.1, "alpha": 0.2, "F": 0.5, "beta": 0.45, "C": 1e4, "c": 200.0, "rho": 1.3, "omega": 0.3,
    "gamma": 0.25, "m": -0.45, "g": -0.5, "P": 0.02, "h": 1.2, "k": 0.1,
}  # fmt: skip
N0, B0 = 1e8, 1e5
SHAPED = [law.name for law in FINAL_LAWS.values() if law.params]
ROW = {
    "run": "a", "params": 1e8, "batch_tokens": 1e5, "tokens": 1e9,
    "schedule": "cosine(peak=1e-3, warmup=300, total=10000)", "final_loss": 3.0,
}  # fmt: skip


def plans(seed: int = 0, n: int = 60) -> list[Plan]:
    random, made = np.random.default_rng(seed), []
    for i in range(n):
        total, peak = int(random.choice([3000, 8000, 20_000, 50_000])), float(random.choice([2e-4, 5e-4, 1e-3, 3e-3]))
        text = (
            f"constant(peak={peak}, warmup=300, total={total})",
            f"cosine(peak={peak}, warmup=300, total={total}, final={peak / 10})",
            f"wsd(peak={peak}, warmup=300, total={total}, decay={total // 5})",
            f"wsd(peak={peak}, warmup=300, total={total}, decay={total // 3}, shape=1-sqrt)",
        )[i % 4]
        size = float(random.choice([3e7, 6e7, 1.2e8, 3e8]))
        made.append(Plan(parse(text), size, float(random.choice([1e5, 2e5]))))
    return made


def planted(name: str, noise: float = 0.0) -> list[TableRun]:
    """Runs that obey a law exactly, but for log-normal noise."""
    law = FINAL_LAWS[name]
    theta = {p.name: THETA[p.name] for p in law.params} | dict(law.held)
    losses, _ = fl._losses(law, fl._Plans(plans(), N0, B0), theta)
    losses = losses * np.exp(noise * np.random.default_rng(1).standard_normal(len(losses)))
    return [TableRun(f"run {i}", p, float(v)) for i, (p, v) in enumerate(zip(plans(), losses, strict=True))]


@pytest.mark.parametrize("name", SHAPED)
def test_a_fit_predicts_what_was_planted(name):
    """Other runs of the same kind to 0.3 %: priors hold coefficients a little, which trade off with one another."""
    runs = planted(name)
    fit = fit_final(runs, name, strength=0.03, bands=False)
    assert fit.status is not Status.out_of_steps and max(map(abs, fit.rel_error.values())) < 2e-3
    others, law = plans(seed=5), FINAL_LAWS[name]
    exact, _ = fl._losses(law, fl._Plans(others, N0, B0), {p.name: THETA[p.name] for p in law.params} | dict(law.held))
    loss, half = predict_final(fit, others)
    np.testing.assert_allclose(loss, exact, rtol=3e-3)
    assert np.isnan(half).all()


@pytest.mark.parametrize("name", SHAPED)
def test_derivatives_are_exact(name):
    law, known = FINAL_LAWS[name], fl._Plans(plans(n=12), N0, B0)
    search = fl._Search(replace(law, held={}), known, np.zeros(12))
    x = np.array([p.to_scale(THETA[p.name]) for p in search.free])
    every = np.arange(12)
    _, J = search.rows(x, every, 1.0)
    for i in range(len(x)):
        step = 1e-6 * np.eye(len(x))[i]
        central = (search.rows(x + step, every, 1.0)[0] - search.rows(x - step, every, 1.0)[0]) / 2e-6
        np.testing.assert_allclose(J[:, i], central, rtol=2e-6, atol=2e-9, err_msg=search.free[i].name)


def test_the_loss_of_one_run_by_hand():
    """Every update on its own, for one plan with a batch of 2·B0."""
    plan = Plan(parse("wsd(peak=2e-3, warmup=20, total=200, decay=40)"), 3e8, 2e5)
    eta = plan.schedule(np.arange(200))
    S, live, b, n = np.cumsum(eta), eta > 0, 2.0, 3.0
    lag = (S[-1] - S)[live]
    pace = np.sqrt(b) * 200.0 * (eta[live] / 1e-3) ** -0.5
    noise = np.sum(eta[live] ** 2 * S[live] ** -0.45 * (1 + pace * lag) ** -1.3)
    t = THETA
    exact = t["E"] + t["A"] * n**-0.2 + t["F"] * (S[-1] * np.sqrt(b)) ** -0.45
    exact += (t["C"] * noise / np.sqrt(b)) ** 0.3 * n**0.25
    loss, _ = fl._losses(FINAL_LAWS["sublinear"], fl._Plans([plan], N0, B0), THETA | {"P": 0.0})
    assert loss[0] == pytest.approx(exact, rel=1e-9)
    structural = t["E"] + t["A"] * n**-0.2 + t["F"] * S[-1] ** -0.45
    structural += (t["C"] * np.sum(eta**2 * (1 + 200 * (S[-1] - S)) ** -1.3) / b) ** 0.3 * n**0.25
    structural += t["P"] * 2**1.2 * n**0.1
    without = {k: v for k, v in THETA.items() if k not in "mg"}
    loss, _ = fl._losses(FINAL_LAWS["structural"], fl._Plans([plan], N0, B0), without)
    assert loss[0] == pytest.approx(structural, rel=1e-9)


@pytest.fixture(scope="module")
def fitted():
    return fit_final(planted("sublinear", noise=2e-3), "sublinear", strength=1.0)


def test_the_law_of_lines_fits_and_has_bands():
    runs = planted("sublinear", noise=1e-3)
    fit = fit_final(runs, "log_linear")
    loss, half = predict_final(fit, [r.plan for r in runs])
    np.testing.assert_allclose(loss, list(fit.predicted.values()), rtol=1e-12)
    assert np.mean(np.abs(list(fit.rel_error.values()))) < 0.01 and (half > 0).all()
    assert len(fit.theta) == 16 and np.isfinite(list(fit.theta.values())).all()


def test_a_fit_is_the_same_each_time_and_in_any_order(fitted):
    runs = planted("sublinear", noise=2e-3)
    again = fit_final(runs[::-1], "sublinear", strength=1.0, bands=False)
    assert dict(again.theta) == pytest.approx(dict(fitted.theta), rel=1e-4)


def test_left_out_sizes_may_choose_how_much_priors_count():
    """Without noise the runs tell all that there is to know, so weak priors win by more than a standard error."""
    assert fit_final(planted("sublinear"), strength=None, bands=False).strength in fl.STRENGTHS[:2]
    errors = [
        np.array([1.0, 3.0, 2.0]),
        np.array([1.0, 3.0, 3.5]),
        np.array([5.0, 5.0, 5.0]),
        np.array([9.0, 9.0, 9.0]),
    ]
    assert fl._strongest(errors) == fl.STRENGTHS[1]


def test_bands_hold_runs_that_were_left_out():
    runs = planted("sublinear", noise=2e-3)
    errors, halves = cross_validated(runs, "log_linear", fold(runs, "random"), bands=True)
    assert 0.8 <= np.mean(np.abs(np.log1p(errors)) <= halves) <= 1.0


def test_terms_add_up_to_the_loss(fitted):
    plan = plans()[3]
    parts = shares(fitted, plan)
    assert list(parts) == ["floor", "size", "progress", "noise"]
    assert sum(parts.values()) == pytest.approx(predict_final(fitted, [plan])[0][0], rel=1e-12)
    with pytest.raises(OptLawsError, match="log_linear is no sum of terms"):
        shares(replace(fitted, law="log_linear"), plan)


def test_extrapolation_is_told_with_how_far(fitted):
    assert beyond(fitted, plans()[0]) == []
    far = Plan(Constant(6e-3, total=100_000), 1e9, 1e4)
    told = beyond(fitted, far)
    assert len(told) == 4
    assert told[0] == "The peak learning rate, 0.006, is 2 times above the largest of the training runs, 0.003."
    assert "The model size, 1e+09, is 3.33 times above" in told[2] and "10 times below the smallest" in told[3]


def test_what_is_saved_comes_back(fitted, tmp_path):
    path = tmp_path / "fit.json"
    fitted.save(path)
    back = load_final(path)
    assert back == fitted and back.to_dict() == fitted.to_dict()
    np.testing.assert_array_equal(predict_final(back, plans())[1], predict_final(fitted, plans())[1])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.pop("theta"), "This is not a final-loss fit: KeyError"),
        (lambda d: d["theta"].pop("E"), "This is not a final-loss fit: KeyError"),
        (lambda d: d["theta"].update(E="x"), "theta.E must be a finite number, got 'x'"),
        (lambda d: d.update(law="none"), "Unknown final-loss law 'none'. Known laws: sublinear"),
        (lambda d: d.update(covariance=[[1.0]]), "This is not a final-loss fit: KeyError"),
        (lambda d: d.update(coverage=None), "This is not a final-loss fit: AttributeError"),
    ],
)
def test_files_that_are_no_fits(change, message, fitted, tmp_path):
    d = json.loads(json.dumps(fitted.to_dict()))
    change(d)
    (tmp_path / "fit.json").write_text(json.dumps(d))
    with pytest.raises(OptLawsError, match=message):
        load_final(tmp_path / "fit.json")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OptLawsError, match="there is no such file"):
        load_final(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(OptLawsError, match="a final-loss fit is a JSON file"):
        load_final(tmp_path / "bad.json")


def test_tables_are_read(tmp_path):
    frame = pd.DataFrame([ROW, ROW | {"run": "b", "final_loss": None}])
    frame.to_csv(tmp_path / "table.csv", index=False)
    one, two = read_table(tmp_path / "table.csv")
    assert one == TableRun("a", Plan(parse(ROW["schedule"]), 1e8, 1e5), 3.0)
    assert np.isnan(two.final_loss)
    assert read_table(frame.drop(columns="tokens"))[0] == one
    assert read_table(frame.drop(columns="batch_tokens"))[0] == one
    big = ROW | {"schedule": "constant(peak=3, total=10000)"}
    assert read_table(pd.DataFrame([big]), sure=True)[0].plan.schedule.peak == 3


def test_families_are_schedules_with_the_shape_of_their_cooldown():
    texts = ("constant(peak=1e-3, total=9)", "cosine(peak=1e-3, total=9)", "wsd(peak=1e-3, total=9, decay=3)")
    families = [TableRun("a", Plan(parse(t)), 3.0).family for t in texts]
    assert families == ["constant", "cosine", "wsd-linear"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schedule": "constant(peak=3, total=10000)"}, "is the unit right.*peak learning rate above 1.*got 3"),
        ({"tokens": 10}, "is the unit right.*tokens below 1,000.*got 10"),
        ({"params": 0.1}, "is the unit right.*params below 1,000.*got 0.1"),
        ({"params": -5}, "params must be a number above 0, got '-5'"),
        ({"params": "many"}, "params must be a number above 0, got 'many'"),
        ({"tokens": 2e9}, r"tokens must be batch_tokens × updates = 1e\+09, got 2e\+09"),
        ({"schedule": "sine(peak=1)"}, "Run 'a': Unknown schedule 'sine'"),
        ({"final_loss": -1}, "final_loss must be above 0, got -1"),
    ],
)
def test_rows_that_cannot_be(change, message):
    with pytest.raises(LogError, match=message):
        read_table(pd.DataFrame([ROW | change]))


def test_tables_that_are_none(tmp_path):
    with pytest.raises(LogError, match="there is no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(LogError, match="must be a CSV table"):
        read_table(tmp_path / "empty.csv")
    with pytest.raises(LogError, match="must have the column 'params', got run, tokens"):
        read_table(pd.DataFrame([ROW])[["run", "tokens", "batch_tokens", "schedule", "final_loss"]])
    with pytest.raises(LogError, match="must have the column 'batch_tokens'"):
        read_table(pd.DataFrame([ROW]).drop(columns=["tokens", "batch_tokens"]))
    with pytest.raises(LogError, match="at least 1 run, got none"):
        read_table(pd.DataFrame([ROW])[:0])


def test_runs_that_tell_too_little():
    runs = planted("sublinear")
    with pytest.raises(DesignError, match="sublinear needs at least 12 runs with a final loss, got 5"):
        fit_final(runs[:5])
    with pytest.raises(DesignError, match="got 'run 0' more than once"):
        fit_final([*runs, runs[0]])
    with pytest.raises(DesignError, match="at least 3 different schedules, got 1"):
        fit_final([replace(runs[0], name=str(i)) for i in range(20)])
    bare = replace(runs[0], plan=Plan(runs[0].plan.schedule))
    with pytest.raises(DesignError, match="Run 'run 0': a final-loss law needs the model size"):
        fit_final([bare, *runs[1:]])
    with pytest.raises(OptLawsError, match="Unknown final-loss law 'x'"):
        final_law("x")
    with pytest.raises(OptLawsError, match="left out by random, family or params, got 'size'"):
        fold(runs, "size")
    with pytest.raises(FitError, match="no finite losses"):
        fit_final([replace(r, final_loss=1e-9 if i % 2 else 1e9) for i, r in enumerate(runs)], strength=1.0)


def test_plans_that_tell_too_little(fitted):
    with pytest.raises(DesignError, match="needs the model size"):
        predict_final(fitted, [Plan(Constant(1e-3, total=1000))])
    assert len(predict_final(fitted, [])[0]) == 0


def test_public_runs_of_several_sizes_are_fitted():
    if not PUBLIC.exists():
        pytest.skip("The public runs are not beside the checkout.")
    runs = [r for r in read_table(PUBLIC / "lr_scheduling" / "table.csv") if r.final_loss < 4]
    errors, _ = cross_validated(runs[::3], "sublinear", fold(runs[::3], "random", k=3))
    assert len(runs) == 194 and np.mean(np.abs(errors)) < 0.004
