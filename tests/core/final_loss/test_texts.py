"""Runs on several texts: a step of the loss for each, learned from one run on, and what predictions make of it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from optlaws_core.errors import DesignError, OptLawsError
from optlaws_core.final_loss import (
    FINAL_LAWS,
    TableRun,
    TextStep,
    contenders,
    cross_validated,
    fit_final,
    fit_table,
    fold,
    load_final,
    predict_final,
    rank_final,
    read_table,
    shares,
    table_runs,
    with_folds,
)
from optlaws_core.final_loss.final_laws import PlanFeatures
from optlaws_core.final_loss.form_fit import Search
from optlaws_core.final_loss.predictive import knows, predict_runs
from optlaws_core.final_loss.texts import texts_of
from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import Constant, parse
from optlaws_core.schedules.chain import Chain
from tests.core.final_loss.test_final_laws import B0, N0, OTHER, SHAPED, exact, plans, planted, whole_table
from tests.places import ROOT

STEP = 0.3  # of log losses: far beyond what a search would call near
ONE = planted()[0]


def learning(runs, which: dict[int, str], steps: dict[str, float], usual: str = "web") -> list[TableRun]:
    """Runs put on texts by their places, all others on the usual one, their losses moved by the texts' steps."""
    texts = [which.get(i, usual) for i in range(len(runs))]
    return [
        replace(r, first_text=t, final_loss=r.final_loss * np.exp(steps.get(t, 0.0)))
        for r, t in zip(runs, texts, strict=True)
    ]


@pytest.fixture(scope="module")
def runs() -> list[TableRun]:
    """60 runs with a known law and noise of 0.2 %: the last 6 on code, the seventh from the end on law."""
    which = dict.fromkeys(range(54, 60), "code") | {53: "law"}
    return learning(planted(noise=2e-3), which, {"code": STEP, "law": -STEP})


@pytest.fixture(scope="module")
def fitted(runs):
    return fit_table(runs, strength=1.0)


def test_the_text_of_most_runs_is_the_main_one():
    def of(*texts):
        found = texts_of([replace(ONE, first_text=t) for t in texts])
        return found.names, found.which.tolist(), found.counts.tolist()

    assert of("a", "b", "b") == (("b", "a"), [1, 0, 0], [2, 1])
    assert of("a", "b") == (("a", "b"), [0, 1], [1, 1])  # of equally frequent ones the first
    assert of("", "b", "b", "c") == (("b", "c"), [0, 0, 0, 1], [3, 1])  # not told: taken for the main one
    assert of("", "", "c") == (("", "c"), [0, 0, 1], [2, 1])
    assert of() == (("",), [], [0])


@pytest.mark.parametrize("column", ["text", "dataset", "Corpus", "data", "dataset_name"])
def test_a_column_tells_what_runs_learn(column):
    row = {"params": 1e8, "batch_tokens": 1e5, "schedule": "constant(peak=1e-3, total=1000)", "final_loss": 3.0}
    read = read_table(pd.DataFrame([row | {"run": "a", column: "web"}, row | {"run": "b", column: " code "}]))
    assert [(r.first_text, r.text) for r in read] == [("web", ""), ("code", "")]


def test_logs_tell_it_too():
    series = {"train": Series(np.array([0, 499]), np.array([9.0, 3.0]))}
    plan = Plan(parse("constant(peak=1e-4, total=500)"), 1e8, 1e5)
    logs = [Run(n, plan, series, lr_source="declared", about={n: "code"}) for n in ("text", "dataset", "lr")]
    assert [r.first_text for r in table_runs(logs)] == ["code", "code", ""]


def test_steps_are_found_with_their_intervals(fitted, runs):
    assert fitted.text == "web" and set(fitted.steps) == {"code", "law"} and fitted.texts == ("web", "law", "code")
    code, law = fitted.steps["code"], fitted.steps["law"]
    assert (code.runs, law.runs) == (6, 1)
    assert code.step == pytest.approx(STEP, abs=4e-3) and law.step == pytest.approx(-STEP, abs=8e-3)
    for step, true in ((code, STEP), (law, -STEP)):
        assert step.low < true < step.high and step.low < step.step < step.high
    assert code.high - code.low < 0.8 * (law.high - law.low)  # six runs tell more than one
    assert set(fitted.theta) == {p.name for p in FINAL_LAWS["opt_laws"].params}  # the law's own are none of them


@pytest.mark.parametrize("law", SHAPED)
def test_one_run_of_a_text_predicts_its_other_runs(law):
    """Within 0.25 % on average, at a noise of 0.1 %; without the step all are off by 0.8 %."""
    clean = planted(law, noise=1e-3, n=80)
    moved = learning(clean, dict.fromkeys(range(60, 80), "code"), {"code": 0.008})
    fit = fit_table(moved[:61], law, moved[61:], strength=0.3)
    assert len(fit.test) == 19 and fit.steps["code"].runs == 1 and fit.held_out_error < 0.0025
    others, observed = [r.plan for r in moved[61:]], np.array([r.final_loss for r in moved[61:]])
    loss, half = predict_final(fit, others, "code")
    assert np.mean(np.abs(np.log(loss / observed)) <= half) >= 0.8
    assert np.mean(np.abs(predict_final(fit, others)[0] / observed - 1)) > 0.006


def test_the_law_of_lines_has_steps_too():
    """Exactly: a moved text changes its step and its predictions, and nothing else."""
    some, law = planted(noise=1e-3), "opt_laws_log_linear"
    here, there = (learning(some, dict.fromkeys(range(54, 60), "code"), {"code": s}) for s in (0.0, STEP))
    one, other = fit_final(here, law), fit_final(there, law)
    assert dict(other.theta) == pytest.approx(dict(one.theta)) and other.left_out == pytest.approx(one.left_out)
    assert other.steps["code"].step - one.steps["code"].step == pytest.approx(STEP)
    assert other.steps["code"].low < other.steps["code"].step < other.steps["code"].high
    ends = [end.rel_error for end in other.train.values()]
    assert ends == pytest.approx([end.rel_error for end in one.train.values()], abs=1e-9)
    web, narrow = predict_final(other, plans(n=3))
    code, wide = predict_final(other, plans(n=3), "code")
    np.testing.assert_allclose(code / web, np.exp(other.steps["code"].step), rtol=1e-12)
    assert (wide > narrow).all()
    off = np.log([end.predicted / end.observed for end in other.train.values()])
    assert np.mean(off[:54]) == pytest.approx(0, abs=1e-9) and np.mean(off[54:]) == pytest.approx(0, abs=1e-9)


def test_a_run_alone_on_its_text_says_nothing_of_the_law(runs):
    """Its step takes all that it is off by: the law is that of the other runs."""
    wild = [*planted(noise=2e-3)[:59], replace(ONE, name="alone", first_text="law", final_loss=0.5)]
    fit = fit_final(wild, strength=1.0, bands=False)
    same = fit_final(wild[:59], strength=1.0, bands=False)
    others = plans(seed=5)
    np.testing.assert_allclose(predict_final(fit, others)[0], predict_final(same, others)[0], rtol=1e-3)
    assert fit.train["alone"].rel_error == pytest.approx(0, abs=1e-4)


def test_derivatives_of_steps_are_exact():
    texts = texts_of(learning(planted(n=12), {1: "code", 5: "code", 7: "law"}, {}))
    law = FINAL_LAWS["opt_laws"]
    search = Search(law, PlanFeatures(plans(n=12), N0, B0), np.zeros(12), texts.columns)
    x, every = np.append(search.centre[:-2], (0.2, -0.1)), np.arange(12)
    _, J = search.rows(x, every, 3.0)
    for i in (-1, -2):
        moved = np.zeros(len(x))
        moved[i] = 1e-6
        central = (search.rows(x + moved, every, 3.0)[0] - search.rows(x - moved, every, 3.0)[0]) / 2e-6
        np.testing.assert_allclose(J[:, i], central, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(search.pull(3.0)[-2:], search.pull(0.3)[-2:])  # no strength holds them


def test_predictions_name_their_text(fitted):
    some = plans(seed=4, n=6)
    web, narrow = predict_final(fitted, some)
    code, wide = predict_final(fitted, some, "code")
    np.testing.assert_array_equal(predict_final(fitted, some, "web")[0], web)
    np.testing.assert_allclose(code / web, np.exp(fitted.steps["code"].step), rtol=1e-12)
    np.testing.assert_array_equal(predict_final(fitted, some, first="code")[0], code)
    law = predict_final(fitted, some, "law")[1]
    assert (wide > narrow).all() and (law > wide).all()  # what is not known of a step is in the band
    assert sum(shares(fitted, some[0], "code").values()) == pytest.approx(code[0], rel=1e-12)
    assert [row.loss for row in rank_final(fitted, some, "code").rows] == pytest.approx(sorted(code), rel=1e-12)


def test_a_text_that_no_run_learned_is_refused(fitted):
    some = plans(n=2)
    message = "No run of the table learned the text 'poems' from a random start; its texts: web, law, code"
    for ask in (predict_final, rank_final):
        with pytest.raises(DesignError, match=message):
            ask(fitted, some, "poems")
    with pytest.raises(DesignError, match=message):
        shares(fitted, some[0], "poems")
    onward = [replace(p, schedule=Chain(p.schedule, Constant(1e-4, total=500))) for p in some]
    with pytest.raises(
        DesignError, match="No run of the table went on to learn the text 'code'; texts that were: none"
    ):
        predict_final(fitted, onward, "code")
    begun = predict_final(fitted, onward, "code", first="code")[0]  # the same text all along
    np.testing.assert_allclose(begun / predict_final(fitted, onward)[0], np.exp(fitted.steps["code"].step))


def test_runs_are_judged_on_texts_that_are_known(fitted, runs):
    assert [knows(fitted, replace(ONE, first_text=t)) for t in ("web", "code", "", "poems")] == [
        True,
        True,
        True,
        False,
    ]
    assert not knows(fitted, replace(ONE, first_text="web", text="code"))  # no run went on to it
    some = [runs[0], runs[59], runs[53]]
    each = [predict_final(fitted, [r.plan], r.first_text)[0][0] for r in some]
    np.testing.assert_allclose(predict_runs(fitted, some), each, rtol=1e-12)
    fit = fit_table(runs[:53], "opt_laws_log_linear", runs[53:])
    assert fit.test == {} and fit.steps == {}


@pytest.mark.parametrize("law", ["opt_laws", "opt_laws_log_linear"])
def test_runs_are_left_out_in_turn(runs, law):
    errors, halves = cross_validated(runs, law, fold(runs, "random", 4), strength=1.0, bands=law != "opt_laws")
    lost = [r.name for r, e in zip(runs, errors, strict=True) if np.isnan(e)]
    assert lost == ["run 53"] and np.nanmean(np.abs(errors)) < 0.015  # nothing else tells of its text
    assert np.isfinite(halves).sum() == (0 if law == "opt_laws" else 59)


def test_scores_leave_out_the_only_run_of_a_text(runs):
    fit = fit_final(runs, "opt_laws_log_linear")
    judged = with_folds(fit, runs, 5)
    assert set(judged.test) == {r.name for r in runs} - {"run 53"} and np.isfinite(judged.held_out_error)
    assert np.isfinite(fit.left_out)


def test_what_is_saved_comes_back_and_old_fits_load(fitted, tmp_path):
    fitted.save(tmp_path / "fit.json")
    back = load_final(tmp_path / "fit.json")
    assert back == fitted and back.steps["code"] == fitted.steps["code"]
    np.testing.assert_array_equal(predict_final(back, plans(), "law"), predict_final(fitted, plans(), "law"))
    d = json.loads((tmp_path / "fit.json").read_text())
    old = {k: v for k, v in d.items() if k not in ("text", "steps")}
    free = len(d["free"])
    old["covariance"] = [row[:free] for row in d["covariance"][:free]]
    (tmp_path / "old.json").write_text(json.dumps(old))
    loaded = load_final(tmp_path / "old.json")
    assert loaded.text == "" and loaded.steps == {} and loaded.texts == ()
    np.testing.assert_array_equal(predict_final(loaded, plans())[0], predict_final(fitted, plans())[0])
    with pytest.raises(DesignError, match="its texts: none with a name"):
        predict_final(loaded, plans(), "code")
    for change, message in (
        ({"covariance": old["covariance"]}, "covariance. is missing or not known"),
        ({"covariance": []}, "covariance. is missing or not known"),
        ({"steps": {"code": {"step": "x", "low": 0, "high": 1, "runs": 1}}}, "steps.code.step must be a finite number"),
        ({"steps": {"code": {"step": 0.1}}}, "This is not a final-loss fit: a value"),
        ({"steps": 3}, "This is not a final-loss fit: a value"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps(d | change))
        with pytest.raises(OptLawsError, match=message):
            load_final(tmp_path / "bad.json")


def test_each_text_takes_one_more_run():
    few = learning(planted(n=17), {0: "code", 1: "law"}, {})
    with pytest.raises(DesignError, match="needs at least 18 .*, one more for each of 3 texts but the first, got 17"):
        fit_final(few)


def test_losing_runs_are_held_against_those_of_their_text():
    """A text whose losses are twice as high has candidates of its own."""
    high = learning(planted(), dict.fromkeys(range(0, 60, 2), "code"), {"code": np.log(2.0)})
    assert contenders(high) == high
    assert len(contenders([replace(r, first_text="") for r in high])) < 60


def test_children_begin_from_the_loss_on_their_first_text():
    """A transfer is learned from what the law says of the text that was learned before."""
    table = whole_table()
    first = [r.name for r in table[:3]]
    moved = [
        replace(r, first_text="code", final_loss=r.final_loss * np.exp(STEP))
        if r.name in first or r.parent in first
        else replace(r, first_text="web")
        for r in table
    ]
    fit = fit_table(moved, strength=1.0, bands=False)
    same = fit_table(table, strength=1.0, bands=False)
    assert fit.transfers[OTHER].step == pytest.approx(same.transfers[OTHER].step, abs=0.03)
    children = [r for r in moved if r.parent]
    np.testing.assert_allclose(predict_runs(fit, children), [r.final_loss for r in children], rtol=0.03)
    assert exact("opt_laws", [children[0].plan])[0] * np.exp(0.3 + STEP) == pytest.approx(children[0].final_loss)


def test_our_own_first_runs_learn_one_text():
    ours = read_table(ROOT / "data" / "manifest.csv", sure=True)
    assert {r.first_text for r in ours} == {"library"} and texts_of(ours).others == ()


def test_public_runs_moved_by_a_step_are_within_a_quarter_percent(public):
    """lr_scheduling has one text, so a second one is made up: a quarter of its runs, at random, moved by 0.8 %.

    A run that is off by no more than most tells the step; the half that is fitted to holds none other of its text.
    """
    read = [r for r in read_table(public / "lr_scheduling" / "table.csv") if r.stable]
    other = np.random.default_rng(0).permutation(len(read))[: len(read) // 4]
    moved = learning(read, dict.fromkeys(other.tolist(), "code"), {"code": 0.008})
    code = [moved[i] for i in other]
    fit = fit_table([*(r for r in moved if r.first_text == "web"), code[2]], test=[*code[:2], *code[3:]], strength=3.0)
    assert fit.held_out_error < 0.0025 and fit.steps["code"].low < 0.008 < fit.steps["code"].high
    assert isinstance(fit.steps["code"], TextStep)
