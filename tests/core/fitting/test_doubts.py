"""Fits that are doubtful, or cannot be: each doubt and each refusal is a sentence."""

import numpy as np
import pytest

from optlaws_core.errors import DesignError, FitError, OptLawsError
from optlaws_core.fitting.least_squares import LeastSquares
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.result import Status
from optlaws_core.fitting.single import doubts, fit
from optlaws_core.laws import LAWS
from optlaws_core.runs import Run, Series
from tests.knowledge.planted import BROKEN, DROP, PLANTED, TRAINING, twin_run


def test_doubtful_designs_are_said():
    law = LAWS["opt_laws_curve"]
    a, b, c = (twin_run("opt_laws_curve", t, PLANTED["opt_laws_curve"]) for t in TRAINING)
    assert "One training run" in doubts(law, [a])[0]
    longer = twin_run("opt_laws_curve", TRAINING[0].replace("4000", "6000"), PLANTED["opt_laws_curve"])
    assert "one schedule shape" in doubts(law, [a, longer])[0]
    assert doubts(law, [a, b, c]) == []
    alone = fit("annealing", [a])
    assert "One training run" in alone.message and any("One training run" in said for said in alone.doubts)
    assert not any("One training run" in said for said in fit("annealing", [a, b]).doubts)
    few = Run("few", a.plan, {"train": Series(a.steps[:12], a.loss[:12])}, lr_source="declared")
    assert any("12 points are few for 8 coefficients" in d for d in doubts(law, [few]))


def test_one_run_is_no_doubt_where_a_prior_tells_the_rest():
    law = LAWS["opt_laws_curve"]
    run = twin_run(law.name, TRAINING[0], PLANTED[law.name])
    assert not any("One training run" in said for said in fit(law, [run], prior=learned(law)).doubts)


def test_every_end_of_a_search_has_a_few_words():
    assert all(status.short and "_" not in status.short for status in Status)


def test_a_coefficient_on_its_bound_is_named():
    runs = [twin_run("power_law", text, dict(L_inf=0.0, A=30.0, alpha=0.2)) for text in TRAINING]
    found = fit("power_law", [r.after(0) for r in runs])
    assert found.status is Status.at_bound and "On its bound: L_inf" in found.message


def test_what_the_runs_do_not_determine_has_no_interval():
    a = twin_run("annealing", TRAINING[0], PLANTED["annealing"], 1e-3)
    two = Run("two", a.plan, {"train": Series(a.steps[[5, 50]], a.loss[[5, 50]])}, lr_source="declared")
    found = fit("annealing", [two])
    assert set(found.interval.values()) == {None} and found.status is not Status.converged


@pytest.mark.parametrize("values", [{"lam": 1.0}, {"lam": float("nan")}, {"A": -5.0}])
def test_given_coefficients_must_be_inside_their_bounds(values):
    runs = [twin_run("annealing", text, PLANTED["annealing"]) for text in TRAINING]
    name = next(iter(values))
    with pytest.raises(OptLawsError, match=f"annealing: {name} must lie between"):
        fit("annealing", runs, locked=values)
    with pytest.raises(OptLawsError, match=f"annealing: {name} must lie between"):
        fit("annealing", runs, start=values)


def test_a_run_counts_once():
    run = twin_run("power_law", TRAINING[0], PLANTED["power_law"])
    with pytest.raises(DesignError, match="is given twice; a run counts once"):
        fit("power_law", [run, run])


def test_unusable_runs_are_refused():
    good = twin_run("power_law", TRAINING[0], PLANTED["power_law"])
    with pytest.raises(DesignError, match="at least one training run"):
        fit("power_law", [])
    with pytest.raises(DesignError, match="'x' has no learning rate"):
        fit("power_law", [Run("x", None, {"train": good.series["train"]})])
    with pytest.raises(DesignError, match="'x' needs at least 2 losses after its warm-up, got 1"):
        fit("power_law", [Run("x", good.plan, {"train": Series([500], [3.0])}, lr_source="declared")])
    with pytest.raises(
        DesignError, match="must end with the schedule at step 4,000, but the log goes on to step 5,000"
    ):
        fit("power_law", [Run("x", good.plan, {"train": Series([500, 5000], [3.0, 2.0])}, lr_source="declared")])
    for loss, told in ((0.0, "0"), (1e-300, "1e-300"), (1e300, r"1e\+300")):
        sentence = rf"must lie between 1e-30 and 1e\+30 to be fitted, the one at step 600 is {told}\.$"
        odd = Run("x", good.plan, {"train": Series([500, 600], [3.0, loss])}, lr_source="declared")
        for train, test in (([odd], []), ([good], [odd])):
            with pytest.raises(DesignError, match=sentence):
                fit("power_law", train, test=test)
    with pytest.raises(OptLawsError, match="has no coefficient 'beta'. Its coefficients: L_inf, A, alpha"):
        fit("power_law", [good], locked={"beta": 1.0})


def test_no_finite_loss_is_a_fit_error():
    run = twin_run("power_law", DROP, PLANTED["power_law"])
    with pytest.raises(FitError, match="these coefficients give no finite losses"):
        fit("annealing", [run], locked=BROKEN | {"alpha": 0.5})
    with pytest.raises(FitError, match="no starting point gave finite losses"):
        fit("annealing", [run], locked=BROKEN)


def test_residuals_without_a_value_turn_the_search_back():
    problem = LeastSquares(LAWS["annealing"], [twin_run("power_law", DROP, PLANTED["power_law"])], BROKEN)
    r, J = problem.residuals(np.log([0.5]))
    assert r[-1] == 10.0 and (J[-1] == 0.0).all()
