"""The Evidence page, alone and through the menu: fit, report, kept fits, what happens to bad choices."""

import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Plan, Run, Series, Status, fit, parse, read, select
from optlaws_core.figures import fit_charts as charts
from optlaws_core.figures.chart_style import color
from optlaws_core.fitting import first_split
from optlaws_core.fitting.single import tuned
from optlaws_core.prediction.beside_runs import losses_beside
from optlaws_core.readers import Layout, Source
from pages.parts.fit import job, report
from pages.parts.server import libraries
from pages.parts.state import settings
from pages.parts.state.workspace import Workspace
from tests.pages.fit.fit_page import CURVE, FAST, SUBLINEAR, examples, fitted, known, opened, reported, texts, until
from tests.places import ROOT

WHOLE = "constant(peak=1e-3, total=10000)"


@pytest.fixture
def alone():
    return opened()


def test_the_page_alone_offers_runs_and_a_formula(alone):
    assert not alone.exception and alone.title[0].value == "Evidence"
    assert alone.multiselect(key="laws").value == [SUBLINEAR, CURVE]
    train, test = (alone.multiselect(key=key).value for key in ("train", "test"))
    assert train and test and not set(train) & set(test)
    assert not alone.latex
    alone.session_state[f"formula {CURVE}"] = True  # opened
    assert any("L_\\infty" in latex.value for latex in alone.run().latex)


def test_through_the_menu():
    at = AppTest.from_file(str(ROOT / "pages" / "parts" / "router.py"), default_timeout=60).run()
    assert not at.exception and at.title[0].value == "Opt-Laws"


def test_a_fit_is_reported_with_the_numbers_of_the_core(alone):
    at = fitted(alone, CURVE)
    assert not at.exception and not at.error
    train, test = (at.multiselect(key=key).value for key in ("train", "test"))
    runs = ([examples()[n] for n in names] for names in (train, test))
    same = select([CURVE], next(runs), test=next(runs), priors=known([CURVE]), processes=1)[CURVE]
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


# ---------------------------------------------------------------------------------------------------- a cluster


def test_the_operator_names_a_cluster_and_a_bad_one_is_one_sentence(alone, monkeypatch):
    assert settings.cluster() is None
    monkeypatch.setenv(settings.CLUSTER, "http://nowhere")
    alone.run()
    assert any("Fits run on the Dask cluster at http" in c.value for c in alone.caption)
    next(b for b in alone.button if b.label == "Fit").click().run()
    until(alone, lambda: alone.error)
    assert "The address of a Dask scheduler reads tcp://host:port" in alone.error[0].value.replace("\u2060", "")


def test_a_cluster_on_a_server_without_dask_is_one_sentence(alone, monkeypatch):
    monkeypatch.setenv(settings.CLUSTER, "tcp://127.0.0.1:9")
    monkeypatch.setattr(libraries, "_loaded", set())
    monkeypatch.setitem(sys.modules, "distributed", None)
    next(b for b in alone.run().button if b.label == "Fit").click().run()
    until(alone, lambda: alone.error)
    assert not alone.exception
    assert "A Dask cluster needs the package distributed, which is not installed" in alone.error[0].value


# ---------------------------------------------------------------------------------------------------- odd choices


def test_one_run_and_one_shape_are_warned_of(alone):
    train = alone.multiselect(key="train")
    train.set_value(train.value[:1]).run()
    assert not alone.warning  # the priors tell what one run does not
    alone.selectbox(key="prior").set_value("none").run()
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
    until(alone, lambda: alone.error)
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
    train, test = first_split.split(runs)
    assert set(train) == {"cosine", "flat", "drop"} and set(test) == {"long", "wsd"}
    assert first_split.split({}) == ((), ())
    assert first_split.split({"flat": runs["flat"]}) == (("flat",), ())


def test_charts_show_what_they_are_given():
    runs = {3: run("a <i>", "cosine(peak=1e-3, total=1000)"), 5: run("b", "constant(peak=1e-3, total=1000)")}
    predicted = {"a <i>": np.array([3.1, 2.8]), "b": np.array([3.0, 2.9])}
    curves = charts.curves(runs, predicted, ["b"], log_x=True)
    assert [len(t.x) for t in curves.data] == [2] * 4 and curves.layout.xaxis.type == "log"
    assert curves.data[1].name == "a &lt;i&gt;" and [t.line.dash for t in curves.data[1::2]] == ["solid", "dash"]
    assert [t.line.color for t in curves.data[1::2]] == [color(3), color(5)]  # as on Runs, where they are so placed
    np.testing.assert_allclose(
        charts.residuals(runs, predicted, []).data[0].y, [100 * (3.1 / 3 - 1), 100 * (2.8 / 2.9 - 1)]
    )
    np.testing.assert_array_equal(charts.against(runs, predicted, []).data[0].y, predicted["a <i>"])


def test_of_many_points_some_are_drawn_evenly():
    steps = np.arange(1, 10_001)
    dense = Run("dense", Plan(parse(WHOLE)), {"train": Series(steps, 3 + 1 / steps)}, lr_source="declared")
    drawn = charts.against({0: dense}, {"dense": 3 + 0 * steps}, []).data[0]
    places = np.searchsorted(-dense.loss, -drawn.x)
    assert len(drawn.x) == charts.MOST_MARKERS and places[[0, -1]].tolist() == [0, 9_999]
    assert set(np.diff(places)) == {25, 26}


def test_residuals_of_dense_runs_are_a_moving_mean():
    steps, off = np.arange(1, 401), np.resize([1.0, -0.5, 0.25], 400)
    dense = Run("dense", Plan(parse(WHOLE)), {"train": Series(steps, np.full(400, 2.0))}, lr_source="declared")
    runs = {0: dense, 1: run("sparse", "constant(peak=1e-3, total=1000)")}
    predicted = {"dense": 2 * (1 + off / 100), "sparse": np.array([3.0, 2.9])}
    assert charts.smoothed(runs) == ["dense"]
    drawn = charts.residuals(runs, predicted, []).data[0]
    means = [off[max(i - 4, 0) : i + 5].mean() for i in range(400)]
    np.testing.assert_allclose(drawn.y, [means[i - 1] for i in drawn.x], atol=1e-12)


def test_a_tuned_fit_is_drawn_from_its_own_coefficients():
    runs = [
        r.on("val") for r in read(ROOT / "data" / "examples.csv").runs if r.name in ("constant_4000", "drop30_4000")
    ]
    base = fit("power_law", runs)
    by_hand = tuned(base, base.theta | {"L_inf": base.theta["L_inf"] + 1}, runs)
    assert by_hand.status is Status.tuned
    difference = losses_beside(by_hand, runs)["drop30_4000"] - losses_beside(base, runs)["drop30_4000"]
    np.testing.assert_allclose(difference, 1.0)


@pytest.mark.parametrize("points, told", [(30, True), (150, False)])
def test_the_tuner_says_where_its_errors_are_of_a_part_of_the_losses(monkeypatch, points, told):
    monkeypatch.setattr(report, "POINTS", points)
    assert ("Errors beside the sliders are taken over 30 losses of a run" in texts(fitted(opened(), FAST[0]))) is told


def test_choices_survive_another_page(alone):
    """What was chosen is kept in the workspace, from which the page starts again."""
    alone.multiselect(key="train").set_value(["constant_4000", "wsd20_4000"]).run()
    alone.text_input(key="from_step").set_value("0.5k").run()
    kept = alone.session_state.workspace.choice
    assert kept.train == ("constant_4000", "wsd20_4000") and kept.from_step == 500
    assert "wsd20_4000" not in kept.test
    assert any("Trained on, so not held out: wsd" in c.value.replace("\\", "") for c in alone.caption)


def test_a_first_step_that_cannot_be_read_is_told_and_nothing_is_fitted(alone):
    alone.text_input(key="from_step").set_value("warm").run()
    (said,) = [e.value for e in alone.error]
    assert (
        said.startswith("The first step that counts must be a whole number of 0 or more, such as") and "'warm'" in said
    )
    assert alone.text_input(key="from_step").value == "warm" and alone.button[0].disabled
    alone.text_input(key="from_step").set_value("").run()
    assert not alone.error and not alone.button[0].disabled


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


def test_ones_own_fits_become_a_prior_for_other_runs(alone):
    alone.multiselect(key="train").set_value(["constant_4000"]).run()
    assert alone.selectbox(key="prior").options == ["What public training curves showed", "Nothing"]
    at = fitted(alone, CURVE)
    space = at.session_state.workspace
    assert space.fit.informed.source == "learned from public curves"
    assert any("the runs moved it by up to" in c.value for c in at.caption)
    at.multiselect(key="train").set_value(["wsd20_4000"]).run()
    at.selectbox(key="prior").set_value("own").run()
    at = fitted(at, CURVE)
    assert space.fit.informed.source == "from an earlier fit of yours" and space.choice.prior == "own"
    at.selectbox(key="prior").set_value("none").run()
    at = fitted(at, CURVE)
    assert space.fit.informed is None and len(space.fits) == 3


def test_a_law_without_a_prior_is_asked_nothing(alone):
    alone.multiselect(key="laws").set_value(["power_law"]).run()
    assert not any(s.key == "prior" for s in alone.selectbox)


def test_a_refit_with_a_held_coefficient_is_a_fit_of_its_own(alone):
    at = fitted(alone, "power_law")
    space = at.session_state.workspace
    base = space.fit
    job.refit(space, base, dict(base.theta) | {"alpha": 0.5}, ("alpha",))
    until(at, lambda: space.job is None and len(space.fits) == 2)
    assert space.fit.locked == ("alpha",) and space.fit.theta["alpha"] == 0.5 and space.fit.left_out is None
    assert space.current == f"{LAWS['power_law'].title}, alpha locked" and space.current not in space.selections


def test_the_first_corrected_log_replaces_the_bundled_runs():
    space = Workspace()
    space.load_example()
    rows = "".join(f"{i * 10},{3 - i * 0.01},1e-3\n" for i in range(50))
    source = Source("mine.csv", f"zeit,verlust,rate\n{rows}".encode())
    assert space.upload([source]).files[0].error and space.example
    space.correct({"mine.csv": Layout(x="zeit", losses=(("train", "verlust"),), lr="rate")})
    assert list(space.runs) == ["mine"] and not space.example and list(space.reports) == ["mine.csv"]


def test_a_training_run_can_be_held_out_with_one_click():
    at = opened()
    train = next(m for m in at.multiselect if m.key == "train").value
    next(m for m in at.multiselect if m.key == "test").set_value([train[0]]).run()
    next(b for b in at.button if b.label == "Hold it out").click().run()
    assert not at.exception and "Hold it out" not in [b.label for b in at.button]
    choice = at.session_state.workspace.choice
    assert choice.test == (train[0],) and choice.train == tuple(train[1:])


def test_progress_names_the_law_and_what_is_left_out():
    laws = (CURVE, SUBLINEAR)
    runs = [run("a", "cosine(peak=1e-3, total=1000)"), run("b", "constant(peak=1e-3, total=1000)")]
    parts = job._parts(laws, runs)
    first, second = (LAWS[law].title for law in laws)
    assert parts == tuple(
        f"{title}{said}"
        for said in ("", ", schedule 1 of 2 left out", ", schedule 2 of 2 left out")
        for title in (first, second)
    )
    seen, three = [0.0], list(examples().values())[:3]
    select(FAST, three, processes=1, progress=lambda share, best=None: seen.append(share) or True)
    tried = job._parts(FAST, three)
    assert list(dict.fromkeys(job.at_work(tried, share) for share in seen)) == list(tried)  # each is named in its turn
    assert job.at_work(parts, 0) == first and job.at_work(parts, 1) == parts[-1] and job.at_work((), 0.5) == ""
