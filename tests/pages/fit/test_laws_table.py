"""The Evidence page with several laws: the table, averages, bands, formulas, the leaderboard."""

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Average, Plan, Run, Series, parse, predict, select, with_bands
from optlaws_core.errors import Cancelled
from optlaws_core.figures.chart_style import BANDS
from optlaws_core.fitting import first_split
from optlaws_core.fitting.single import tuned, usable
from optlaws_core.laws import FEATURES
from optlaws_core.prediction import beside_runs
from pages.parts.fit import job, leaderboard
from pages.parts.state.kept_fits import Choice
from pages.parts.state.workspace import Workspace
from tests.pages.fit.fit_page import (
    AVERAGE,
    CURVE,
    FAST,
    PATIENCE,
    SUBLINEAR,
    examples,
    figure,
    fitted,
    opened,
    reported,
    selected,
    texts,
)
from tests.places import ROOT

# ---------------------------------------------------------------------------------------------------- several laws


@pytest.fixture
def alone():
    return opened()


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
    assert "held-out errors are shown, but decide nothing" in texts(at)
    at.session_state.workspace.fits.clear()
    train, _ = first_split.split(examples())
    without = select((SUBLINEAR, CURVE), [examples()[n] for n in train], processes=1)
    job.keep(at.session_state.workspace, without)
    at.run()
    table = at.dataframe[0].value
    assert not {"rmse", "mean"} & set(table.columns)  # nothing was held out
    assert [f.law for f in without.fits] == [f.law for f in selected(SUBLINEAR, CURVE).fits]


def test_a_single_law_of_several_is_reported_when_it_is_picked():
    at = reported(SUBLINEAR, CURVE)
    picker = next(s for s in at.selectbox if s.label == "Fit in use")
    picker.set_value(LAWS[CURVE].title).run()
    assert not at.exception and {"Objective"} <= {m.label for m in at.metric}
    assert "coefficient" in at.dataframe[1].value.columns
    assert at.session_state.workspace.current == LAWS[CURVE].title
    job.keep(at.session_state.workspace, selected(*FAST, "chinchilla"))
    at.run()
    assert len(at.dataframe[0].value) == 4
    next(s for s in at.selectbox if s.label == "Fit in use").set_value(LAWS[CURVE].title).run()
    assert len(at.dataframe[0].value) == 3  # the laws that it was fitted beside


def test_laws_fitted_again_to_the_same_runs_take_the_place_of_the_first():
    at = reported(*FAST)
    space = at.session_state.workspace
    before = list(space.fits)
    job.keep(space, selected(*FAST))
    assert list(space.fits) == before and len(before) == 3
    job.keep(space, selected(*FAST, "chinchilla"))
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
        at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
        at.query_params["law"] = value
        assert at.run().multiselect(key="laws").value == ["power_law"]
        assert at.query_params == {"law": "power_law"}
    at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
    at.query_params["laws"] = [LAWS[n].title for n in FAST]
    assert at.run().multiselect(key="laws").value == list(FAST)
    at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
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
        raise Cancelled

    monkeypatch.setattr(job, "select", slow)
    space = alone.session_state.workspace
    next(b for b in alone.button if b.label == "Fit").click().run()
    assert began.wait(PATIENCE)
    alone.run()
    assert alone.get("progress")[0].proto.value == 25 and "left out" in alone.get("progress")[0].proto.text
    future = space.job.future
    next(b for b in alone.button if b.label == "Cancel").click().run()
    go_on.set()
    assert isinstance(future.exception(PATIENCE), Cancelled)
    alone.run()
    assert not alone.exception and not alone.error and not space.fits and space.job is None


def test_fits_of_two_visitors_go_on_side_by_side(monkeypatch):
    """Each has made progress before the other one has ended: neither waits for a turn."""
    together, known = threading.Barrier(2, timeout=PATIENCE), job.select

    def watched(*args, progress, **kwargs):
        first = iter((together.wait,))
        return known(*args, progress=lambda share: (next(first, int)(), progress(share))[1], **kwargs)

    monkeypatch.setattr(job, "select", watched)
    spaces = [Workspace(), Workspace()]
    for space in spaces:
        space.load_example()
        job.begin(space, Choice(FAST, first_split.split(space.runs)[0], ()))
    for space in spaces:
        assert len(space.job.future.result(PATIENCE).fits) == 2 and space.job.progress.share == 1


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
        run = usable(examples()[name], model.first_step)
        known = with_bands(model, run.plan, run.steps)
        low, high = known.band(known.prediction)
        inside += list((low <= run.loss) & (run.loss <= high))
    share = f"The prediction band holds **{100 * np.mean(inside):.0f} %** of the points of {len(model.test)} held-out"
    assert share in texts(at) and "(nominal 90 %)" in texts(at)


def test_bands_are_computed_once_for_a_fit(monkeypatch):
    calls = []
    monkeypatch.setattr(beside_runs, "with_bands", lambda *a: calls.append(1) or with_bands(*a))
    at = reported(*FAST)
    first = len(calls)
    at.run()
    assert first == len(calls) > 0


def test_a_long_run_has_bands_at_few_of_its_points():
    run = Run(
        "long",
        Plan(parse("constant(peak=1e-3, total=9000)")),
        {"train": Series(np.arange(9000), np.full(9000, 3.0))},
        lr_source="logged",
    )
    drawn = beside_runs.spread(run)
    assert len(drawn) == beside_runs.BAND_POINTS and drawn[[0, -1]].tolist() == [0, 8999]


def test_without_left_out_runs_there_is_a_parameter_band_alone():
    at = reported(CURVE)
    space = at.session_state.workspace
    space.keep("alone", replace(selected(CURVE).fits[0], left_out=None, informed=None))
    at.run()
    assert {t["legendgroup"] for t in figure(at)["data"] if t.get("fill") == "toself"} == {"parameter"}
    assert "A prediction band needs a law that was tried on left-out training runs" in texts(at)
    assert "nominal 90 %" not in texts(at)
    base = selected(CURVE).fits[0]
    train = [examples()[n] for n in base.train]
    space.keep("by hand", tuned(base, base.theta, train))
    at.run()
    assert not at.exception and not [t for t in figure(at)["data"] if t.get("fill") == "toself"]


def test_an_average_is_drawn_as_the_core_predicts_it():
    model = selected(SUBLINEAR, CURVE).average
    run = usable(examples()["wsd20_8000"])
    np.testing.assert_allclose(beside_runs.losses_beside(model, [run])[run.name], predict(model, run.plan, run.steps))


# ---------------------------------------------------------------------------------------------------- formulas


def test_every_symbol_of_every_formula_is_explained():
    for name, law in LAWS.items():
        at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
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
    at = AppTest.from_file(str(ROOT / "pages" / "evidence.py"), default_timeout=60)
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
        {
            "data_set": d,
            "law": law,
            "held_out_runs": 3,
            "final_error": e,
            "curve_error": e,
            "rmse": e,
            "coverage": c,
            "final_coverage": c,
            "width": 1,
            "left_out": e,
            "misfit": e,
            "noise_floor": 0.001 if d == "one" else "",
            "status": "",
        }
        for d, law, e, c in [
            ("one", "average", 0.01, 0.5),
            ("one", "power_law", 0.02, 0.91),
            ("two", "average", 0.04, 0.5),
            ("two", "power_law", "", 0.89),
        ]
    ]
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
    assert f"Not yet measured: {LAWS['opt_laws_curve'].title}, " in at.caption[0].value  # laws newer than the file
    assert leaderboard.unmeasured(pd.DataFrame({"law": list(LAWS)})) == ""


def _leaderboard_alone():
    from pages.parts.fit import leaderboard

    leaderboard.section()
