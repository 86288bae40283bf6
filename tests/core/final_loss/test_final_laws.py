"""Final-loss laws: they recover what was planted, derivatives are exact, the evidence chooses, files come back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from optlaws_core.errors import DesignError, FitError, OptLawsError
from optlaws_core.final_loss import (
    FINAL_LAWS,
    TERMS,
    TableRun,
    beyond,
    cross_validated,
    final_law,
    fit_final,
    fit_table,
    fold,
    load_final,
    predict_final,
    read_table,
    shares,
    with_folds,
)
from optlaws_core.final_loss.final_laws import PlanFeatures, features, losses
from optlaws_core.final_loss.form_fit import HUBER, NOISES, STRENGTHS, Search
from optlaws_core.fitting.result import Status
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, parse
from optlaws_core.schedules.chain import Chain

THETA = {
    "E": 1.4, "A": 1.1, "alpha": 0.2, "F": 0.5, "beta": 0.45, "phi": -0.1, "C": 1e4, "c": 200.0, "rho": 1.3,
    "omega": 0.3, "gamma": 0.25, "m": -0.45, "g": -0.5, "P": 0.02, "h": 1.2, "k": 0.1,
}  # fmt: skip
N0, B0 = 1e8, 1e5
SHAPED = [law.name for law in FINAL_LAWS.values() if law.params]
OTHER = "another text"


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


def exact(name: str, some: list[Plan], theta=THETA):
    law = FINAL_LAWS[name]
    return losses(law, PlanFeatures(some, N0, B0), {p.name: theta[p.name] for p in law.params} | dict(law.held))[0]


def planted(name: str = "opt_laws", noise: float = 0.0, n: int = 60, theta=THETA) -> list[TableRun]:
    """Runs that obey a law exactly, but for log-normal noise."""
    some = plans(n=n)
    ends = exact(name, some, theta) * np.exp(noise * np.random.default_rng(1).standard_normal(n))
    return [TableRun(f"run {i}", p, float(v)) for i, (p, v) in enumerate(zip(some, ends, strict=True))]


def whole_table() -> list[TableRun]:
    """Planted runs, 12 that diverged, and 6 children that went on to another text, where losses are 0.3 higher."""
    runs = planted(noise=2e-3)
    wild = [
        TableRun(f"wild {i}", Plan(Constant(0.5 * (1 + i), warmup=10, total=3000), 1.2e8, 1e5), np.nan, diverged=True)
        for i in range(12)
    ]
    small = [Plan(Chain(r.plan.schedule, Constant(1e-4, total=500)), r.plan.params, 1e5) for r in runs[:6]]
    ends = exact("opt_laws", small) * np.exp(0.3)
    children = [TableRun(f"c{i}", small[i], float(ends[i]), parent=runs[i].name, text=OTHER) for i in range(6)]
    return [*runs, *wild, *children]


@pytest.fixture(scope="module")
def fitted():
    return fit_final(planted(noise=2e-3), strength=1.0)


@pytest.fixture(scope="module")
def full():
    return fit_table(whole_table(), strength=1.0, bands=False)


@pytest.mark.parametrize("name", SHAPED)
def test_a_fit_predicts_what_was_planted(name):
    """Other runs of the same kind to 0.3 %: priors hold coefficients a little, which trade off with one another."""
    fit = fit_final(planted(name), name, strength=0.03, bands=False)
    assert fit.status is not Status.out_of_steps and max(abs(e.rel_error) for e in fit.train.values()) < 2e-3
    others = plans(seed=5)
    loss, half = predict_final(fit, others)
    np.testing.assert_allclose(loss, exact(name, others), rtol=3e-3)
    assert np.isnan(half).all() and fit.left_out is None and fit.seconds > 0


@pytest.mark.parametrize("name", SHAPED)
def test_derivatives_are_exact(name):
    """Of all coefficients, held ones too."""
    search = Search(replace(FINAL_LAWS[name], held={}), PlanFeatures(plans(n=12), N0, B0), np.zeros(12))
    assert [p.name for p in search.free] == [p.name for p in FINAL_LAWS[name].params]
    x, every = np.array([p.to_scale(THETA[p.name]) for p in search.free]), np.arange(12)
    _, J = search.rows(x, every, 1.0)
    for i in range(len(x)):
        step = 1e-6 * np.eye(len(x))[i]
        central = (search.rows(x + step, every, 1.0)[0] - search.rows(x - step, every, 1.0)[0]) / 2e-6
        np.testing.assert_allclose(J[:, i], central, rtol=2e-6, atol=2e-9, err_msg=search.free[i].name)


def test_the_loss_of_one_run_by_hand():
    """Every update on its own, for one plan of 3·N0 parameters with a batch of 2·B0 and a peak of 2e-3."""
    plan = Plan(parse("wsd(peak=2e-3, warmup=20, total=200, decay=40)"), 3e8, 2e5)
    eta = plan.schedule(np.arange(200))
    S, live, b, n = np.cumsum(eta), eta > 0, 2.0, 3.0
    pace = np.sqrt(b) * 200.0 * (eta[live] / 1e-3) ** -0.5
    noise = np.sum(eta[live] ** 2 * S[live] ** -0.45 * (1 + pace * (S[-1] - S)[live]) ** -1.3)
    price = 0.02 * 2**1.2 * n**0.1
    loss = 1.4 + 1.1 * n**-0.2 + 0.5 * n**-0.1 * (S[-1] * np.sqrt(b)) ** -0.45
    loss += (1e4 * noise / np.sqrt(b)) ** 0.3 * n**0.25 + price
    assert exact("opt_laws", [plan])[0] == pytest.approx(loss, rel=1e-9)
    structural = 1.4 + 1.1 * n**-0.2 + 0.5 * S[-1] ** -0.45
    structural += (1e4 * np.sum(eta**2 * (1 + 200 * (S[-1] - S)) ** -1.3) / b) ** 0.3 * n**0.25 + price
    assert exact("opt_laws_structural", [plan])[0] == pytest.approx(structural, rel=1e-9)


@pytest.mark.parametrize("name", ["opt_laws", "opt_laws_structural"])
def test_plans_that_share_a_schedule_have_the_losses_that_they_have_alone(name):
    first, second = plans(n=2)
    some = [first, replace(second, batch_tokens=3e5), replace(first, params=9e8), second, first]
    np.testing.assert_array_equal(exact(name, some), [exact(name, [plan])[0] for plan in some])
    again = features(PlanFeatures(some, N0, B0), 30.0, 1e-3)
    np.testing.assert_array_equal(again, [features(PlanFeatures([plan], N0, B0), 30.0, 1e-3)[0] for plan in some])


def test_the_law_of_lines_fits_and_has_bands():
    runs = planted(noise=1e-3)
    fit = fit_final(runs, "opt_laws_log_linear")
    loss, half = predict_final(fit, [r.plan for r in runs])
    np.testing.assert_allclose(loss, [e.predicted for e in fit.train.values()], rtol=1e-12)
    assert np.mean([abs(e.rel_error) for e in fit.train.values()]) < 0.01 and (half > 0).all()
    assert len(fit.theta) == 16 and np.isfinite(list(fit.theta.values())).all()
    assert {"mu", "kappa"} < set(fit.references)


def test_ends_are_by_name_with_what_was_seen(fitted):
    runs = planted(noise=2e-3)
    assert list(fitted.train) == [r.name for r in runs] and fitted.test == {} and fitted.held_out_error is None
    for run in runs:
        end = fitted.train[run.name]
        assert end.observed == run.final_loss and end.rel_error == end.predicted / end.observed - 1
    r = np.log([e.predicted / e.observed for e in fitted.train.values()])
    huber = np.where(np.abs(r) <= HUBER, r**2 / 2, HUBER * (np.abs(r) - HUBER / 2))
    assert fitted.objective == pytest.approx(huber.sum(), rel=1e-9)


def test_a_fit_is_the_same_each_time_and_in_any_order():
    runs = planted(noise=2e-3)
    one, again = (fit_final(some, bands=False) for some in (runs, runs[::-1]))
    assert again.strength == one.strength and dict(again.theta) == pytest.approx(dict(one.theta), rel=1e-4)


def test_intervals_hold_what_was_planted(fitted):
    """Most of them, and about the coefficient; none where it is held."""
    assert fitted.interval["m"] is None and fitted.theta["m"] == -0.45
    known = {n: ends for n, ends in fitted.interval.items() if ends}
    assert all(low < fitted.theta[n] < high for n, (low, high) in known.items())
    inside = [low <= THETA[n] <= high for n, (low, high) in known.items()]
    assert len(inside) >= 10 and np.mean(inside) >= 0.7


def test_weak_priors_win_where_runs_know_better():
    """Without noise the runs tell all that there is to know."""
    assert fit_final(planted(), bands=False).strength in STRENGTHS[:2]


def test_strong_priors_win_where_few_runs_agree_with_them():
    law = final_law("opt_laws")
    usual = {p.name: p.prior[0] for p in law.params}
    runs = planted(noise=5e-3, n=20, theta=usual)
    assert fit_final(runs, bands=False).strength in STRENGTHS[-2:]


def test_the_evidence_is_exact_where_a_law_is_a_line():
    """There it is the density of a normal distribution with the priors' spread and the noise, up to a constant."""
    search = Search(final_law("opt_laws"), PlanFeatures(plans(n=20), N0, B0), np.zeros(20))
    random, free = np.random.default_rng(2), len(search.free)
    X, y = 1e-3 * random.standard_normal((20, free)), 5e-4 * random.standard_normal(20)

    def rows(x, among, strength):
        grip = HUBER * strength / search.width
        return np.append(X @ (x - search.centre) - y, grip * (x - search.centre)), np.vstack((X, np.diag(grip)))

    search.rows = rows
    found, slow = [], []
    for strength in STRENGTHS:
        grip = np.diag((HUBER * strength / search.width) ** 2)
        found.append(search.evidence(search.centre + np.linalg.solve(X.T @ X + grip, X.T @ y), strength))
        shape = np.eye(20) + X @ np.linalg.inv(grip) @ X.T
        slow.append(max(multivariate_normal.logpdf(y, cov=s**2 * shape) for s in NOISES))
    np.testing.assert_allclose(np.diff(found), np.diff(slow), rtol=1e-6)


@pytest.mark.slow
def test_bands_hold_runs_that_were_not_seen(fitted):
    others = plans(seed=7, n=200)
    noise = 2e-3 * np.random.default_rng(3).standard_normal(200)
    loss, half = predict_final(fitted, others)
    assert 0.8 <= np.mean(np.abs(np.log(exact("opt_laws", others)) + noise - np.log(loss)) <= half) <= 1.0
    assert np.median(half) < 0.03 and (half >= fitted.left_out * (1 - 1e-12)).all()
    runs = planted(noise=2e-3)
    shares_done: list[float] = []
    how = {"bands": True, "progress": shares_done.append}
    errors, halves = cross_validated(runs, "opt_laws_log_linear", fold(runs, "random"), **how)
    assert 0.8 <= np.mean(np.abs(np.log1p(errors)) <= halves) <= 1.0
    assert shares_done == pytest.approx([i / 10 for i in range(1, 11)])


def test_bands_are_wider_far_away(fitted):
    near, far = Plan(Constant(1e-3, total=8000), 1e8, 1e5), Plan(Constant(3e-2, total=500_000), 3e9, 1e5)
    _, (one, other) = predict_final(fitted, [near, far])
    assert other > 2 * one


def test_terms_add_up_to_the_loss(fitted):
    plan = plans()[3]
    parts = shares(fitted, plan)
    assert list(parts) == list(TERMS) == ["floor", "size", "progress", "noise", "peak"]
    assert min(parts.values()) > 0 and parts["floor"] == pytest.approx(fitted.theta["E"])
    assert sum(parts.values()) == pytest.approx(predict_final(fitted, [plan])[0][0], rel=1e-12)
    with pytest.raises(OptLawsError, match="opt_laws_log_linear is no sum of terms; choose opt_laws or"):
        shares(replace(fitted, law="opt_laws_log_linear"), plan)


def test_extrapolation_is_told_with_how_far(fitted):
    assert beyond(fitted, plans()[0]) == []
    assert beyond(fitted, Plan(Constant(6e-3, total=100_000), 1e9, 1e4)) == [
        "peak 6e-3, the training runs had 2e-4 to 3e-3",
        "100,000 updates, the longest training run had 50,000",
        "1B parameters, the training runs had 30M to 300M",
        "10k tokens per update, the training runs had 100k to 200k",
        "no warm-up, the training runs had one of 300 updates",
    ]
    plan = plans()[0]
    again = replace(plan, schedule=Chain(plan.schedule.rescaled(plan.schedule.total // 2), plan.schedule))
    assert "it continues from a checkpoint, while the training runs started from scratch" in beyond(fitted, again)
    assert not any("checkpoint" in reason for reason in beyond(fitted, again, "another text"))


def test_a_final_fit_tells_of_itself_what_a_curve_fit_does(fitted):
    errors = [np.log(end.predicted) - np.log(end.observed) for end in fitted.train.values()]
    assert fitted.misfit == pytest.approx(np.sqrt(np.mean(np.square(errors)))) and 0 < fitted.misfit < 0.01
    assert fitted.title == FINAL_LAWS[fitted.law].title and fitted.doubts == []
    assert replace(fitted, status=Status.at_bound, message="On a bound.").doubts == ["On a bound."]


@pytest.mark.slow
def test_folds_are_the_errors_of_a_cross_validation(fitted):
    runs, name = planted(noise=2e-3), "opt_laws_log_linear"
    fit = fit_final(runs, name, bands=False)
    again = with_folds(fit, [*runs, replace(runs[0], name="gone", final_loss=np.nan)], 5)
    errors, _ = cross_validated(runs, name, fold(runs, "random", 5))
    assert again.folds == 5 and list(again.test) == [r.name for r in runs] and again.train == fit.train
    assert [e.rel_error for e in again.test.values()] == pytest.approx(errors.tolist(), rel=1e-9)
    for k in (1, 61):
        with pytest.raises(DesignError, match=f"needs 2 to 60 folds, as many as runs, got {k}"):
            with_folds(fit, runs, k)


@pytest.mark.parametrize("which", ["fitted", "full"])
def test_what_is_saved_comes_back(which, request, tmp_path):
    fit, path = request.getfixturevalue(which), tmp_path / "fit.json"
    fit.save(path)
    back = load_final(path)
    assert back == fit and back.to_dict() == fit.to_dict()
    keys = ["law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds"]
    assert list(json.loads(path.read_text()))[:9] == keys  # as in a fit of a curve
    np.testing.assert_array_equal(predict_final(back, plans())[1], predict_final(fit, plans())[1])
    if which == "full":
        children = [r.plan for r in whole_table()[-6:]]
        np.testing.assert_array_equal(predict_final(back, children, OTHER), predict_final(fit, children, OTHER))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.pop("theta"), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d["theta"].pop("E"), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d["theta"].update(E="x"), "theta.E must be a finite number, got 'x'"),
        (lambda d: d["theta"].update(E=float("nan")), "theta.E must be a finite number, got 'nan'"),
        (lambda d: d.update(law="none"), "Unknown final-loss law 'none'. Known laws: opt_laws"),
        (lambda d: d.update(law=["opt_laws"]), "This is not a final-loss fit: a value"),
        (lambda d: d.update(law="opt_laws_log_linear"), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d.update(covariance=[[1.0]]), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d.update(free=["x"]), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d.update(coverage=None), "This is not a final-loss fit: a value"),
        (lambda d: d.update(status="fine"), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d["references"].pop("N0"), "This is not a final-loss fit: .* is missing or not known"),
        (lambda d: d["train"]["run 0"].pop("observed"), "This is not a final-loss fit: a value"),
        (lambda d: d["train"]["run 0"].update(observed=True), "train.run 0.observed must be a finite number, got 'Tr"),
        (lambda d: d["risk"].pop("weights"), "This is not a divergence risk: .* is missing or not known"),
        (lambda d: d["transfers"][OTHER].pop("step"), "This is not a final-loss fit: a value"),
        (lambda d: d["transfers"][OTHER].update(covariance=[[1.0]]), "covariance. is missing or not known"),
        (lambda d: d["transfers"][OTHER].update(power="x"), "transfers.another text.power must be a finite number"),
    ],
)
def test_files_that_are_no_fits(change, message, full, tmp_path):
    d = json.loads(json.dumps(full.to_dict()))
    change(d)
    (tmp_path / "fit.json").write_text(json.dumps(d))
    with pytest.raises(OptLawsError, match=message):
        load_final(tmp_path / "fit.json")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OptLawsError, match="there is no such file"):
        load_final(tmp_path / "none.json")
    for text in ("{", "[" * 100_000):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(OptLawsError, match="a final-loss fit is a JSON file"):
            load_final(tmp_path / "bad.json")


def test_runs_that_tell_too_little():
    runs = planted()
    with pytest.raises(DesignError, match="opt_laws needs at least 16 runs that ended with a loss.*, got 5"):
        fit_final(runs[:5])
    gone = [replace(r, diverged=True) for r in runs[5:30]] + [replace(r, final_loss=np.nan) for r in runs[30:]]
    with pytest.raises(DesignError, match="got 5"):
        fit_final([*runs[:5], *gone])
    with pytest.raises(DesignError, match="got 'run 0' more than once"):
        fit_final([*runs, runs[0]])
    with pytest.raises(DesignError, match="at least 3 different schedules, got 1"):
        fit_final([replace(runs[0], name=str(i)) for i in range(20)])
    bare = replace(runs[0], plan=Plan(runs[0].plan.schedule))
    with pytest.raises(DesignError, match="Run 'run 0': a final-loss law needs the model size"):
        fit_final([bare, *runs[1:]])
    with pytest.raises(OptLawsError, match="Unknown final-loss law 'x'. Known laws: opt_laws, opt_laws_structural"):
        fit_final(runs, "x")
    with pytest.raises(FitError, match="no finite losses"):
        fit_final([replace(r, final_loss=1e-9 if i % 2 else 1e9) for i, r in enumerate(runs)], strength=1.0)


def test_plans_that_tell_too_little(fitted):
    for plan in (Plan(Constant(1e-3, total=1000), 1e8), Plan(Constant(1e-3, total=1000), None, 1e5)):
        with pytest.raises(DesignError, match="needs the model size and the tokens per update"):
            predict_final(fitted, [plan])
    assert len(predict_final(fitted, [])[0]) == 0


def test_public_runs_of_several_sizes_are_fitted(public):
    runs = [r for r in read_table(public / "lr_scheduling" / "table.csv") if not r.diverged]
    errors, _ = cross_validated(runs[::3], "opt_laws", fold(runs[::3], "random", k=3), strength=1.0)
    assert len(runs) >= 190 and np.mean(np.abs(errors)) < 0.004


@pytest.mark.parametrize("more", ["batch=steps([0, 500], [1x, 4x])", "average=ema(10)"])
def test_a_plan_with_more_than_a_learning_rate_is_refused(more):
    plan = Plan(parse(f"rate=cosine(peak=1e-3, warmup=300, total=3000); {more}"), 1e8, 1e5)
    with pytest.raises(DesignError, match="cannot predict the batch schedule, average or weight decay in rate=cosine"):
        PlanFeatures([plan], N0, B0)
