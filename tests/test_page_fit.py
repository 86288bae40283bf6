"""The Fit page, alone and through the menu: fit, report, kept fits, what happens to bad choices."""

import functools
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Average, Plan, Run, Series, Status, fit, parse, predict, read, select, with_bands
from optlaws_core.fitting import tuned, usable
from optlaws_core.laws import FEATURES
from optlaws_core.readers import Layout, Source
from pages.parts import choosing, defaults, leaderboard, picturing, session
from pages.parts.charts import fit as charts
from pages.parts.charts.style import BANDS
from pages.parts.picturing import predictions
from pages.parts.session import Choice, Workspace, load_example

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60  # seconds for a fit on a busy machine
CURVE, SUBLINEAR = "opt_laws_curve", "opt_laws_sublinear"
AVERAGE = "Average of 2 laws"
FAST = ("power_law", "forward_momentum")  # laws that are fitted in hundredths of a second


@pytest.fixture
def alone():
    """The page as the first thing that is opened."""
    return AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60).run()


def until(at, done) -> None:
    """Run the page again and again until `done()`."""
    deadline = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
        at.run()
    at.run()
    assert done(), [e.value for e in at.error]


def fitted(at, *laws):
    """Choose laws, press Fit and come back when the report stands."""
    if laws:
        at.multiselect(key="laws").set_value(list(laws)).run()
    space = at.session_state.workspace
    before = dict(space.fits)
    next(b for b in at.button if b.label == "Fit").click().run()
    until(at, lambda: at.error or (space.job is None and space.fits != before and at.metric))
    assert at.metric and not at.exception, [e.value for e in at.error]
    return at


def texts(at) -> str:
    """All that the page says in words."""
    kinds = (at.caption, at.markdown, at.info, at.warning, at.error, at.success)
    return "\n".join(x.value for kind in kinds for x in kind)


def figure(at) -> dict:
    """The picture of the curves."""
    return json.loads(at.get("plotly_chart")[0].proto.spec)


@functools.cache
def examples() -> dict[str, Run]:
    return {r.name: r.on("val") for r in read(ROOT / "data" / "examples.csv").runs}


@functools.cache
def selected(*laws: str):
    """Laws fitted to the runs that a new visitor is offered."""
    train, test = defaults.split(examples())
    return select(laws, [examples()[n] for n in train], test=[examples()[n] for n in test], processes=1)


def reported(*laws: str) -> AppTest:
    """The page on fits that are there already."""
    at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
    space = Workspace()
    load_example(space)
    choosing.keep(space, selected(*laws))
    at.session_state.workspace = space
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def test_the_page_alone_offers_runs_and_a_formula(alone):
    assert not alone.exception and alone.title[0].value == "Fit"
    assert alone.multiselect(key="laws").value == [SUBLINEAR, CURVE]
    train, test = (alone.multiselect(key=key).value for key in ("train", "test"))
    assert train and test and not set(train) & set(test)
    assert any("L_\\infty" in latex.value for latex in alone.latex)


def test_through_the_menu():
    at = AppTest.from_file(str(ROOT / "pages" / "parts" / "router.py"), default_timeout=60).run()
    assert not at.exception and at.title[0].value == "Runs"


def test_a_fit_is_reported_with_the_numbers_of_the_core(alone):
    at = fitted(alone, CURVE)
    assert not at.exception and not at.error
    train, test = (at.multiselect(key=key).value for key in ("train", "test"))
    same = select([CURVE], [examples()[n] for n in train], test=[examples()[n] for n in test], processes=1)[CURVE]
    shown = {m.label: m.value for m in at.metric}
    assert shown["Held-out RMSE"] == f"{same.held_out_rmse:.5f}"
    assert shown["Objective"] == f"{same.objective:.4g}"
    table = at.dataframe[0].value.set_index("coefficient")["value"]
    assert table.to_dict() == pytest.approx(dict(same.theta))
    errors = at.dataframe[1].value.set_index("run")
    assert set(errors.index) == {*train, *test} and errors.loc[train[0], "role"] == "training"
    assert "Fit several laws to see whether another does better." in texts(at)


def test_another_law_is_kept_beside_the_first(alone):
    fitted(alone, "power_law")
    at = fitted(alone, "chinchilla")
    until(at, lambda: len(at.session_state.workspace.fits) == 2)
    titles = [LAWS[n].title for n in ("power_law", "chinchilla")]
    assert list(at.session_state.workspace.fits) == titles
    assert list(at.dataframe[2].value["law"]) == titles


# ---------------------------------------------------------------------------------------------------- several laws


def test_several_laws_are_fitted_side_by_side_and_their_average_is_reported(alone):
    at = fitted(alone)
    space = at.session_state.workspace
    assert isinstance(space.fit, Average) and space.current == AVERAGE
    assert list(space.fits) == [AVERAGE, *(LAWS[f.law].title for f in selected(SUBLINEAR, CURVE).fits)]
    same = selected(SUBLINEAR, CURVE)
    assert same.advice in texts(at).replace("\\", "")
    table = at.dataframe[0].value.set_index("law")
    assert list(table.index) == list(space.fits) and np.isnan(table["rank"].iloc[0])
    assert list(table["rank"][1:]) == [1, 2]
    for f in same.fits:
        row = table.loc[LAWS[f.law].title]
        weight = 100 * same.average.weights[[g.law for g in same.average.fits].index(f.law)]
        known = [weight, 100 * f.expected_error, 100 * f.left_out, 100 * f.misfit, f.held_out_rmse]
        assert list(row[["weight", "expected", "left out", "misfit", "rmse"]]) == pytest.approx(known)
    shown = {m.label: m.value for m in at.metric}
    assert shown["Held-out RMSE"] == f"{same.average.held_out_rmse:.5f}" and "Objective" not in shown
    assert list(at.dataframe[1].value["weight"]) == pytest.approx([100 * w for w in same.average.weights])
    assert "An average has no coefficients of its own." in texts(at)
    assert not any("coefficient" in d.value.columns for d in at.dataframe)


def test_held_out_runs_decide_nothing_and_the_page_says_so():
    at = reported(SUBLINEAR, CURVE)
    assert "held-out errors are shown, and decide nothing" in texts(at)
    at.session_state.workspace.fits.clear()
    train, _ = defaults.split(examples())
    without = select((SUBLINEAR, CURVE), [examples()[n] for n in train], processes=1)
    choosing.keep(at.session_state.workspace, without)
    at.run()
    table = at.dataframe[0].value
    assert not {"rmse", "mean"} & set(table.columns)  # nothing was held out
    assert [f.law for f in without.fits] == [f.law for f in selected(SUBLINEAR, CURVE).fits]


def test_a_single_law_of_several_is_reported_when_it_is_picked():
    at = reported(SUBLINEAR, CURVE)
    picker = next(s for s in at.selectbox if s.label == "Report on")
    picker.set_value(LAWS[CURVE].title).run()
    assert not at.exception and {"Objective"} <= {m.label for m in at.metric}
    assert "coefficient" in at.dataframe[1].value.columns
    assert at.session_state.workspace.current == LAWS[CURVE].title
    choosing.keep(at.session_state.workspace, selected(*FAST, "chinchilla"))
    at.run()
    assert len(at.dataframe[0].value) == 4
    next(s for s in at.selectbox if s.label == "Report on").set_value(LAWS[CURVE].title).run()
    assert len(at.dataframe[0].value) == 3  # the laws that it was fitted beside


def test_laws_fitted_again_to_the_same_runs_take_the_place_of_the_first():
    at = reported(*FAST)
    space = at.session_state.workspace
    before = list(space.fits)
    choosing.keep(space, selected(*FAST))
    assert list(space.fits) == before and len(before) == 3
    choosing.keep(space, selected(*FAST, "chinchilla"))
    assert "Average of 3 laws" in space.fits and len(space.fits) == 5


def test_a_law_that_cannot_be_fitted_is_listed_with_its_sentence():
    at = reported(*FAST)
    space = at.session_state.workspace
    whole = selected(*FAST)
    known = replace(whole, failed={"multi_power": "No start gave <finite> losses."})
    space.selections = dict.fromkeys(space.selections, known)
    at.run()
    said = texts(at).replace("\\", "")
    assert f"{LAWS['multi_power'].title} could not be fitted. No start gave <finite> losses." in said
    assert "<finite>" not in texts(at)


def test_laws_are_chosen_by_the_address(alone):
    for value in ("power_law", LAWS["power_law"].title):
        at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
        at.query_params["law"] = value
        assert at.run().multiselect(key="laws").value == ["power_law"]
        assert "law" not in at.query_params
    at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
    at.query_params["laws"] = [LAWS[n].title for n in FAST]
    assert at.run().multiselect(key="laws").value == list(FAST)
    at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
    at.query_params["law"] = "no such law"
    assert at.run().multiselect(key="laws").value == [SUBLINEAR, CURVE]
    alone.multiselect(key="laws").set_value([]).run()
    assert next(b for b in alone.button if b.label == "Fit").disabled and not alone.exception


def test_cancel_ends_the_fits_and_keeps_nothing(alone, monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def slow(laws, train, progress, **_):
        progress(0.25)
        began.set()
        go_on.wait(PATIENCE)
        assert progress(0.5) is False
        raise session.Cancelled

    monkeypatch.setattr(choosing, "select", slow)
    space = alone.session_state.workspace
    next(b for b in alone.button if b.label == "Fit").click().run()
    assert began.wait(PATIENCE)
    alone.run()
    assert alone.get("progress")[0].proto.value == 25 and "Fitting 2 laws" in alone.get("progress")[0].proto.text
    future = space.job.future
    next(b for b in alone.button if b.label == "Cancel").click().run()
    go_on.set()
    assert isinstance(future.exception(PATIENCE), session.Cancelled)
    alone.run()
    assert not alone.exception and not alone.error and not space.fits and space.job is None


def test_fits_of_two_visitors_go_on_side_by_side(monkeypatch):
    """Each has made progress before the other one has ended: neither waits for a turn."""
    together, known = threading.Barrier(2, timeout=PATIENCE), choosing.select

    def watched(*args, progress, **kwargs):
        first = iter((together.wait,))
        return known(*args, progress=lambda share: (next(first, int)(), progress(share))[1], **kwargs)

    monkeypatch.setattr(choosing, "select", watched)
    spaces = [Workspace(), Workspace()]
    for space in spaces:
        load_example(space)
        choosing.begin(space, Choice(FAST, defaults.split(space.runs)[0], ()))
    for space in spaces:
        assert len(space.job.future.result(PATIENCE).fits) == 2 and space.job.share == 1


# ---------------------------------------------------------------------------------------------------- bands


def test_bands_of_the_longest_held_out_runs_are_drawn_and_explained():
    at = reported(SUBLINEAR, CURVE)
    drawn = at.multiselect(key=next(m.key for m in at.multiselect if m.label == "Bands of"))
    assert drawn.value == ["cosine10_8000", "wsd20_8000"]
    traces = figure(at)["data"]
    areas = [t for t in traces if t.get("fill") == "toself"]
    assert [t["legendgroup"] for t in areas] == ["prediction", "parameter"] * 2
    assert [t["name"] for t in traces if t["name"].endswith("90 %") and t.get("showlegend")] == [
        title for title, _ in BANDS.values()
    ]
    assert "The parameter band (darker)" in texts(at) and "The prediction band (light)" in texts(at)
    drawn.set_value([]).run()
    assert not at.exception and not [t for t in figure(at)["data"] if t.get("fill") == "toself"]


def test_the_measured_coverage_stands_beneath_the_picture():
    at = reported(SUBLINEAR, CURVE)
    model = selected(SUBLINEAR, CURVE).average
    inside = []
    for name in model.test:
        run = usable(examples()[name])
        known = with_bands(model, run.plan, run.steps)
        low, high = known.band(known.prediction)
        inside += list((low <= run.loss) & (run.loss <= high))
    share = f"The prediction band holds **{100 * np.mean(inside):.0f} %** of the points of {len(model.test)} held-out"
    assert share in texts(at) and "(nominal 90 %)" in texts(at)


def test_bands_are_computed_once_for_a_fit(monkeypatch):
    calls = []
    monkeypatch.setattr(picturing, "with_bands", lambda *a: calls.append(1) or with_bands(*a))
    at = reported(*FAST)
    first = len(calls)
    at.run()
    assert first == len(calls) > 0


def test_a_long_run_has_bands_at_few_of_its_points():
    run = Run("long", Plan(parse("constant(peak=1e-3, total=9000)")),
              {"train": Series(np.arange(9000), np.full(9000, 3.0))}, lr_source="logged")  # fmt: skip
    assert len(picturing._spread(run)) == picturing.BAND_POINTS and picturing._spread(run)[[0, -1]].tolist() == [
        0,
        8999,
    ]


def test_without_left_out_runs_there_is_a_parameter_band_alone():
    at = reported(CURVE)
    space = at.session_state.workspace
    space.keep("alone", replace(selected(CURVE).fits[0], left_out=None))
    at.run()
    assert {t["legendgroup"] for t in figure(at)["data"] if t.get("fill") == "toself"} == {"parameter"}
    assert "A prediction band takes a law that was tried on left-out training runs" in texts(at)
    assert "nominal 90 %" not in texts(at)
    base = selected(CURVE).fits[0]
    train = [examples()[n] for n in base.train]
    space.keep("by hand", tuned(base, base.theta, train))
    at.run()
    assert not at.exception and not [t for t in figure(at)["data"] if t.get("fill") == "toself"]


def test_an_average_is_drawn_as_the_core_predicts_it():
    model = selected(SUBLINEAR, CURVE).average
    run = usable(examples()["wsd20_8000"])
    np.testing.assert_allclose(predictions(model, [run])[run.name], predict(model, run.plan, run.steps))


# ---------------------------------------------------------------------------------------------------- formulas


def test_every_symbol_of_every_formula_is_explained():
    for name, law in LAWS.items():
        at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
        at.query_params["law"] = name
        said = texts(at.run())
        assert not at.exception
        for p in law.params:
            assert f"${p.latex}$ {p.meaning}" in said or p.weight
        for feature in law.features:
            assert "${}$ {}".format(*FEATURES[feature]) in said
    assert "$N$ trainable parameters of the model" in _explained("chinchilla")
    assert "$D_t$ tokens seen, update t included" in _explained("chinchilla")
    assert r"$\eta_{\max}$ peak learning rate" in _explained(CURVE)


def _explained(law: str) -> str:
    at = AppTest.from_file(str(ROOT / "pages" / "fit.py"), default_timeout=60)
    at.query_params["law"] = law
    return texts(at.run())


def test_a_spectrum_shows_its_weights_folded_and_has_no_sliders():
    at = reported("noisy_quadratic")
    found = at.session_state.workspace.fit
    table = at.dataframe[0].value
    assert list(table["coefficient"]) == ["L_inf"]
    used = [n for n, value in found.theta.items() if n != "L_inf" and value > 0]
    assert list(at.dataframe[1].value["coefficient"]) == used
    assert any(e.label == f"{len(used)} of 44 weights are above 0" for e in at.expander)
    assert "there is nothing to tune by hand" in texts(at)


# ---------------------------------------------------------------------------------------------------- leaderboard


def test_the_leaderboard_is_hidden_without_its_file(alone, monkeypatch, tmp_path):
    monkeypatch.setattr(leaderboard, "FILE", tmp_path / "none.csv")
    alone.run()
    assert not alone.exception and not any("Leaderboard" in e.label for e in alone.expander)
    assert leaderboard.read(tmp_path / "none.csv") is None
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert leaderboard.read(tmp_path / "other.csv") is None


def test_the_leaderboard_has_laws_down_and_data_sets_across(monkeypatch, tmp_path):
    rows = [
        {"data_set": d, "law": law, "held_out_runs": 3, "final_error": e, "curve_error": e, "rmse": e, "coverage": c,
         "final_coverage": c, "width": 1,
         "left_out": e, "misfit": e, "noise_floor": 0.001 if d == "one" else "", "status": ""}
        for d, law, e, c in [("one", "average", 0.01, 0.5), ("one", "power_law", 0.02, 0.91),
                             ("two", "average", 0.04, 0.5), ("two", "power_law", "", 0.89)]
    ]  # fmt: skip
    path = tmp_path / "leaderboard.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    table = leaderboard.wide(leaderboard.read(path), "final_error")
    assert list(table.columns) == ["one", "two"]
    assert list(table.index) == [leaderboard.AVERAGE, LAWS["power_law"].title, leaderboard.FLOOR]
    assert table["one"].tolist() == pytest.approx([1, 2, 0.1])
    shown = leaderboard.marked(table, "final_error")
    assert shown["one"].tolist() == ["★ 1.00 %", "2.00 %", "0.10 %"] and shown["two"].tolist() == ["★ 4.00 %", "–", "–"]
    best = leaderboard.marked(leaderboard.wide(leaderboard.read(path), "coverage"), "coverage")
    assert list(best.index) == [LAWS["power_law"].title, leaderboard.AVERAGE]  # near 90 %, and no noise floor
    monkeypatch.setattr(leaderboard, "FILE", path)
    at = AppTest.from_function(_leaderboard_alone)
    at.session_state["leaderboard"] = True
    at.run()
    assert not at.exception and len(at.dataframe[0].value) == 3
    assert "python -m benchmarks leaderboard" in at.caption[0].value


def _leaderboard_alone():
    from pages.parts import leaderboard

    leaderboard.section()


# ---------------------------------------------------------------------------------------------------- a cluster


def test_the_operator_names_a_cluster_and_a_bad_one_is_one_sentence(alone, monkeypatch):
    assert session.cluster() is None
    monkeypatch.setenv(session.CLUSTER, "http://nowhere")
    alone.run()
    assert any("Fits run on the Dask cluster at http" in c.value for c in alone.caption)
    next(b for b in alone.button if b.label == "Fit").click().run()
    until(alone, lambda: alone.error)
    assert "The address of a Dask scheduler reads tcp://host:port" in alone.error[0].value.replace("\u2060", "")


# ---------------------------------------------------------------------------------------------------- odd choices


def test_one_run_and_one_shape_are_warned_of(alone):
    train = alone.multiselect(key="train")
    train.set_value(train.value[:1]).run()
    assert "One training run cannot tell" in alone.warning[0].value
    alone.multiselect(key="train").set_value(["cosine10_4000", "cosine10_8000"]).run()
    assert len([w for w in alone.warning if "one schedule shape" in w.value]) == 1  # for all laws together
    alone.multiselect(key="train").set_value([]).run()
    assert next(b for b in alone.button if b.label == "Fit").disabled


def test_a_fit_that_cannot_be_is_one_sentence(alone):
    space = alone.session_state.workspace
    steps = np.arange(0, 2000, 50)
    name = "<b>beyond</b>"
    run = Run(
        name,
        Plan(parse("constant(peak=1e-3, total=1000)")),
        {"val": Series(steps, 3 - steps * 1e-4)},
        "val",
        "declared",
    )
    space.runs[name] = run
    alone.run()
    alone.multiselect(key="train").set_value([name]).run()
    next(b for b in alone.button if b.label == "Fit").click().run()
    deadline = time.monotonic() + PATIENCE
    while not alone.error and time.monotonic() < deadline:
        time.sleep(0.1)
        alone.run()
    assert not alone.exception and "must end with the schedule at step 1,000" in alone.error[0].value.replace("\\", "")
    assert "<b>" not in alone.error[0].value


def test_without_learning_rates_the_page_says_what_to_do(alone):
    space = alone.session_state.workspace
    steps = np.arange(10)
    space.runs = {"x": Run("x", None, {"train": Series(steps, 3.0 - 0.1 * steps)})}
    alone.run()
    assert not alone.exception and "No loaded run has a learning rate yet" in alone.info[0].value


def run(name, text, params=1e6):
    schedule = parse(text)
    return Run(name, Plan(schedule, params), {"train": Series([500, 900], [3.0, 2.9])}, lr_source="declared")


def test_default_choice_has_an_abrupt_drop_and_holds_the_rest_out():
    runs = {
        r.name: r
        for r in (
            run("cosine", "cosine(peak=1e-3, total=1000)"),
            run("flat", "constant(peak=1e-3, total=1000)"),
            run("long", "constant(peak=1e-3, total=4000)"),
            run("drop", "step(peak=1e-3, total=1000, boundaries=[500], values=[1e-4])"),
            run("wsd", "wsd(peak=1e-3, total=1000, decay=200)"),
            run("other peak", "wsd(peak=2e-3, total=1000, decay=200)"),
            run("other size", "wsd(peak=1e-3, total=1000, decay=200)", 9e9),
        )
    }
    train, test = defaults.split(runs)
    assert set(train) == {"cosine", "flat", "drop"} and set(test) == {"long", "wsd"}
    assert defaults.split({}) == ((), ())
    assert defaults.split({"flat": runs["flat"]}) == (("flat",), ())


def test_charts_show_what_they_are_given():
    runs = [run("a <i>", "cosine(peak=1e-3, total=1000)"), run("b", "constant(peak=1e-3, total=1000)")]
    predicted = {"a <i>": np.array([3.1, 2.8]), "b": np.array([3.0, 2.9])}
    curves = charts.curves(runs, predicted, ["b"], log_x=True)
    assert [len(t.x) for t in curves.data] == [2] * 4 and curves.layout.xaxis.type == "log"
    assert curves.data[1].name == "a &lt;i&gt;" and [t.line.dash for t in curves.data[1::2]] == ["solid", "dash"]
    np.testing.assert_allclose(
        charts.residuals(runs, predicted, []).data[0].y, [100 * (3 / 3.1 - 1), 100 * (2.9 / 2.8 - 1)]
    )
    np.testing.assert_array_equal(charts.against(runs, predicted, []).data[0].y, predicted["a <i>"])


def test_a_tuned_fit_is_drawn_from_its_own_coefficients():
    runs = [
        r.on("val") for r in read(ROOT / "data" / "examples.csv").runs if r.name in ("constant_4000", "drop30_4000")
    ]
    base = fit("power_law", runs)
    by_hand = tuned(base, base.theta | {"L_inf": base.theta["L_inf"] + 1}, runs)
    assert by_hand.status is Status.tuned
    difference = predictions(by_hand, runs)["drop30_4000"] - predictions(base, runs)["drop30_4000"]
    np.testing.assert_allclose(difference, 1.0)


def test_choices_survive_another_page(alone):
    """What was chosen is kept in the workspace, from which the page starts again."""
    alone.multiselect(key="train").set_value(["constant_4000", "wsd20_4000"]).run()
    alone.number_input[0].set_value(500).run()
    kept = alone.session_state.workspace.choice
    assert kept.train == ("constant_4000", "wsd20_4000") and kept.from_step == 500
    assert "wsd20_4000" not in kept.test
    assert any("Trained on, so not held out: wsd" in c.value.replace("\\", "") for c in alone.caption)


def test_fits_outlive_a_new_name_of_their_run_and_its_removal():
    at = reported(SUBLINEAR, CURVE)
    space = at.session_state.workspace
    old = next(iter(space.fit.train))
    space.rename(old, "renamed")
    at.run()
    assert not at.exception and old not in (space.choice.train or ())
    for model in (*space.fits.values(), *space.fit.fits):
        assert "renamed" in model.train and old not in model.train
    assert not any("no longer loaded" in i.value for i in at.info)
    space.remove(["renamed"])
    at.run()
    assert not at.exception and any("no longer loaded" in i.value for i in at.info)


def test_a_fit_on_other_runs_gets_a_name_of_its_own(alone):
    at = fitted(alone, "power_law")
    space = at.session_state.workspace
    first = space.current
    at.multiselect(key="train").set_value(["constant_4000", "wsd20_4000"]).run()
    for _ in range(2):  # the second time in the place of the first
        next(b for b in at.button if b.label == "Fit").click().run()
        until(at, lambda: space.job is None and len(space.fits) == 2)
    assert list(space.fits) == [first, f"{first} (2)"]


def test_a_refit_with_a_held_coefficient_is_a_fit_of_its_own(alone):
    at = fitted(alone, "power_law")
    space = at.session_state.workspace
    base = space.fit
    choosing.refit(space, base, dict(base.theta) | {"alpha": 0.5}, ("alpha",))
    until(at, lambda: space.job is None and len(space.fits) == 2)
    assert space.fit.locked == ("alpha",) and space.fit.theta["alpha"] == 0.5 and space.fit.left_out is None
    assert space.current == f"{LAWS['power_law'].title}, alpha locked" and space.current not in space.selections


def test_the_first_corrected_log_replaces_the_bundled_runs():
    space = Workspace()
    load_example(space)
    rows = "".join(f"{i * 10},{3 - i * 0.01},1e-3\n" for i in range(50))
    source = Source("mine.csv", f"zeit,verlust,rate\n{rows}".encode())
    assert space.upload([source]).files[0].error and space.example
    space.correct("mine.csv", Layout(x="zeit", losses=(("train", "verlust"),), lr="rate"))
    assert list(space.runs) == ["mine"] and not space.example and list(space.reports) == ["mine.csv"]
