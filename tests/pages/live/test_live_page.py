"""The Live page: without runs, without a fit, a replay, an alarm, and the operator's folder."""

import json
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import Series
from optlaws_core.live import averages, cut, decays, diverging, from_itself, outcomes, risen
from optlaws_core.prediction.divergence import learn_risk, probability
from optlaws_core.text import percent
from pages.parts.live import forecast
from pages.parts.state.workspace import Workspace
from tests.pages.compare.compare_page import a_fit, a_run
from tests.places import ROOT

PAGE = ROOT / "pages" / "live.py"


def opened(space: Workspace) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def space_with(run=None, fit=True) -> Workspace:
    space = Workspace(runs={} if run is None else {run.name: run})
    if fit:
        space.keep("a fit", replace(a_fit(), misfit=0.01, left_out=0.02))
    return space


def texts(app: AppTest) -> list[str]:
    return [x.value.replace("\u00a0", " ") for kind in (app.info, app.caption, app.error) for x in kind]


def last_seen(app: AppTest) -> int:
    """The step at which the chart marks the present."""
    return json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["shapes"][0]["x0"]


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch):
    monkeypatch.delenv(forecast.FOLDER, raising=False)


def test_without_runs_it_says_where_to_go():
    assert any("no log to follow yet" in t for t in texts(opened(space_with())))
    bare = replace(a_run(), plan=None, lr_source="missing")
    assert any("has no learning rate yet" in t for t in texts(opened(space_with(bare))))


def told(model, seen, ways):
    """What the table lists: ways to go on, and averages of the weights so far."""
    return sorted([*outcomes(model, seen, ways), *averages(model, seen)], key=lambda o: o.loss)


def test_without_a_fit_a_run_is_forecast_from_itself():
    app = opened(space_with(a_run(), fit=False))
    assert any("forecast from this run alone, under priors" in t for t in texts(app))
    app.slider[0].set_value(500).run()
    assert not app.exception and last_seen(app) == 500
    seen = cut(a_run(), 500)
    model = from_itself(seen)
    total = a_run().known_plan.schedule.total
    table = app.dataframe[-1].value
    expected = told(model, seen, decays(seen, 500, total, [total // 10], [0, total // 10]))
    assert table.way.tolist() == [o.name for o in expected]
    assert table["final loss"].tolist() == [o.loss for o in expected] and table.low.notna().all()
    assert any(t.startswith("Against the ") and "fitted to this very run" not in t for t in texts(app))


def test_a_run_can_be_forecast_by_a_fit_or_from_itself():
    app = opened(space_with(a_run()))
    by_fit = app.dataframe[-1].value
    app.segmented_control[0].set_value("This run alone").run()
    assert not app.exception
    assert app.dataframe[-1].value["final loss"].tolist() != by_fit["final loss"].tolist()


def test_too_few_losses_are_no_forecast():
    app = opened(space_with(a_run(), fit=False))
    app.slider[0].set_value(int(a_run().steps[a_run().steps >= a_run().plan.schedule.warmup_end][3])).run()
    assert any("needs 10 losses past its warm-up, got 4" in t for t in texts(app))


def test_a_finished_run_says_so_and_is_drawn():
    run = a_run()
    app = opened(space_with(replace(run, series={"train": Series(range(50, 1000), np.full(950, 2.0))})))
    assert 600 < app.slider[0].value < 640  # replayed from there
    app.slider[0].set_value(999).run()
    assert any("nothing left: step 999 of 1,000" in t for t in texts(app))
    assert app.get("plotly_chart")


def test_a_replay_shows_what_the_core_says():
    run, space = a_run(), space_with(a_run())
    app = opened(space)
    app.slider[0].set_value(500).run()
    assert not app.exception
    seen = cut(run, 500)
    ways = decays(seen, 500, 1000, [100], [0, 100])
    expected = told(space.fit, seen, ways)
    table = app.dataframe[0].value
    assert table["way"].tolist() == [o.name for o in expected]
    assert table["final loss"].tolist() == [o.loss for o in expected] and len(table) == 8
    said = [t for t in texts(app) if "losses that came later: off by 0.00 %" in t]
    assert said and "The law was fitted to this very run" in said[0]
    app.text_input[1].set_value("0.2k").run()
    assert not app.exception and "decay now, over 200" in app.dataframe[0].value["way"].tolist()


@pytest.mark.parametrize("typed, updates", [("2e3", 2000), ("3k", 3000), ("12,000", 12_000)])
def test_updates_are_read_as_they_are_written_elsewhere(typed, updates):
    app = opened(space_with(a_run()))
    app.text_input[0].set_value(typed).run()
    rows = app.dataframe[0].value.set_index("way")["updates"]
    assert rows["no decay"] == updates and app.query_params["total"] == str(updates)
    assert app.text_input[0].value == typed and not app.error


@pytest.mark.parametrize("typed", ["8x", "1e300", "2.5", "3000000000"])
def test_updates_that_cannot_be_read_are_one_sentence_and_the_chart_stays(typed):
    app = opened(space_with(a_run()))
    app.slider[0].set_value(500).run()
    app.text_input[1].set_value(typed).run()
    (said,) = app.error
    most = "from 1 to 1,000,000,000" if typed.isdigit() else "of 1 or more"
    assert said.value.startswith(f"Updates of a decay must be a whole number {most}, such as 2000 or 24k, got")
    assert typed in said.value and app.text_input[1].value == typed and len(app.text_input) == 3
    assert not app.exception and not app.dataframe and last_seen(app) == app.slider[0].value
    app.text_input[1].set_value("").run()
    assert not app.error and "decay now, over 100" in app.dataframe[0].value["way"].tolist()


def test_an_address_fills_the_fields_and_an_emptied_one_takes_the_usual_number():
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space_with(a_run())
    app.query_params |= {"step": "500", "total": "2000", "decay": "30"}
    app.run()
    assert not app.exception and [x.value for x in app.text_input] == ["2,000", "30", ""]
    assert "decay now, over 30" in app.dataframe[0].value["way"].tolist()
    app.text_input[0].set_value("").run()
    assert "total" not in app.query_params and app.text_input[1].value == "30"
    assert app.dataframe[0].value.set_index("way")["updates"]["no decay"] == 1000


def test_decays_that_do_not_fit_are_told():
    app = opened(space_with(a_run()))
    app.slider[0].set_value(790).run()
    assert not [t for t in texts(app) if "does not fit" in t]
    app.text_input[2].set_value("110").run()
    said = "A decay over 100 updates that starts in 110 does not fit into the 209 that are left, so it is not shown."
    assert said in texts(app)
    assert [w for w in app.dataframe[0].value["way"] if w.startswith("decay in")] == []
    app.text_input[1].set_value("1e9").run()
    said = "A decay over 1,000,000,000 updates does not fit into the 209 that are left, so no decay is shown."
    ways = {way for way in app.dataframe[0].value["way"] if not way.startswith("average")}
    assert said in texts(app) and ways == {"no decay", "as planned"}


def test_a_logged_run_seen_to_its_end_goes_on_and_nothing_is_put_into_the_field():
    logged = replace(a_run().plan.schedule, total=991)  # a log of 991 updates does not tell how many are planned
    app = opened(space_with(replace(a_run(), plan=replace(a_run().plan, schedule=logged), lr_source="logged")))
    assert app.text_input[0].placeholder == "991"
    app.slider[0].set_value(990).run()
    assert not app.exception and app.text_input[0].placeholder == "1,982"
    assert app.text_input[0].value == ""  # Streamlit warns of a field with a default that is also set
    assert "no decay" in app.dataframe[0].value["way"].tolist()


def test_a_run_unlike_those_that_the_law_was_fitted_to_is_told():
    large = replace(a_run(), plan=replace(a_run().plan, params=7e9))
    space = space_with(large)
    known = replace(space.fit.coverage, params=(1e6, 1e6))
    space.keep("a fit", replace(space.fit, coverage=known))
    assert [w.value for w in opened(space).warning] == [
        "Beyond the training runs of the law: 7B parameters, the training runs had 1M."
    ]
    assert not opened(space_with(a_run())).warning


def test_a_run_that_blows_up_raises_an_alarm():
    run = a_run()
    y = np.where(run.steps > 600, 1.5, 1.0) * run.loss
    run = replace(run, series={"train": Series(run.steps, y)})
    app = opened(space_with(run))
    assert risen(cut(run, app.slider[0].value)) > 0.99 and any(
        "has risen by more than 5 %" in text for text in texts(app)
    )
    assert app.metric[0].value == percent(diverging(cut(run, app.slider[0].value))) != "1 %"


def test_only_the_operators_folder_can_be_watched(tmp_path, monkeypatch):
    assert not opened(space_with(a_run())).toggle
    monkeypatch.setenv(forecast.FOLDER, str(tmp_path))
    app = opened(space_with(a_run()))
    app.toggle[0].set_value(True).run()
    told = texts(app)
    assert not app.exception and any("logs are not there, or hold nothing yet" in t for t in told)
    assert not [t for t in told if str(tmp_path) in t]
    (tmp_path / "grows.csv").write_text(
        "step,loss,lr\n" + "".join(f"{i},{3 - i / 100},1e-3\n" for i in range(50)) + "50,2"
    )
    app.run()
    assert not app.exception and app.selectbox[0].options == ["grows"]
    assert (
        app.text_input[0].placeholder == "100" and not app.slider
    )  # twice as long as the log so far, which is seen as it is
    app.text_input[0].set_value("200").run()
    assert not app.exception and "no decay" in app.dataframe[0].value["way"].tolist()


def test_a_watched_folder_of_too_many_logs_says_so(tmp_path, monkeypatch):
    for i in range(501):
        (tmp_path / f"{i}.csv").write_text("step,loss\n0,3\n1,2\n2,1\n")
    monkeypatch.setenv(forecast.FOLDER, str(tmp_path))
    app = opened(space_with())
    app.toggle[0].set_value(True).run()
    assert [w.value for w in app.warning] == ["500 files can be read at once, got 501; choose a smaller folder."]


def test_what_was_chosen_stays_while_a_log_grows_goes_and_comes_back(tmp_path, monkeypatch):
    def written(name, last):
        lines = "".join(f"{i},{3 - i / 1000},1e-3\n" for i in range(last))
        (tmp_path / name).write_text(f"step,loss,lr\n{lines}")

    def chosen():
        return [x.value for x in (app.selectbox[0], *app.text_input, app.selectbox[2])]

    monkeypatch.setenv(forecast.FOLDER, str(tmp_path))
    written("a.csv", 50)
    written("b.csv", 100)
    app = opened(space_with(a_run()))
    app.toggle[0].set_value(True).run()
    app.selectbox[0].set_value("b").run()
    app.text_input[0].set_value("300").run()
    app.text_input[1].set_value("40").run()
    app.selectbox[2].set_value("decay at the end, over 40").run()
    before = chosen()
    assert before == ["b", "300", "40", "", "decay at the end, over 40"]
    written("b.csv", 150)
    app.run()
    assert chosen() == before and last_seen(app) == 149
    (tmp_path / "b.csv").rename(tmp_path / "b.old")
    app.run()
    assert not app.exception and any("The log of 'b' is missing now" in t for t in texts(app))
    (tmp_path / "b.old").rename(tmp_path / "b.csv")
    app.run()
    assert chosen() == before
    (tmp_path / "b.csv").write_text("step,loss,lr\n")  # rotated
    app.run()
    assert not app.exception and any("1 log without a row so far: b.csv" in t for t in texts(app))
    written("b.csv", 400)  # longer than was thought
    app.run()
    assert not app.exception and chosen() == before and set(app.dataframe[0].value["updates"]) >= {800}
    assert "The run is at step 399 already, so 800 updates in total are assumed, not 300." in texts(app)


def test_a_loss_that_is_no_number_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(forecast.FOLDER, str(tmp_path))
    (tmp_path / "a.csv").write_text(
        "step,loss,lr\n" + "".join(f"{i},{2.5 - i / 9},1e-3\n" for i in range(9)) + "9,nan,1e-3\n"
    )
    app = opened(space_with())
    app.toggle[0].set_value(True).run()
    assert not app.exception and any("1 row with NaN or infinity dropped" in t for t in texts(app))


def test_the_risk_of_the_plan_counts_where_loaded_runs_tell_it():
    run = replace(a_run(), plan=replace(a_run().plan, params=1e5))
    others = {}
    for i in range(12):
        plan = replace(run.plan, schedule=replace(run.plan.schedule, peak=1e-4 * 2**i))
        outcome = "diverged" if i > 5 else "finished"
        others[f"run {i}"] = replace(run, name=f"run {i}", plan=plan, about={"outcome": outcome})
    space = space_with(run)
    assert not opened(space).toggle
    space.runs |= others
    app = opened(space)
    assert app.metric[0].value == "2 %"
    assert app.toggle[0].label == "Include the risk of its plan, learned from 12 loaded runs, of which 6 diverged"
    app.toggle[0].set_value(True).run()
    (said,) = [t for t in texts(app) if "The plan alone carries a risk of" in t]
    risk = learn_risk([r.plan for r in others.values()], [i > 5 for i in range(12)])
    expected = probability(risk, [run.plan])[0]
    assert percent(expected) in said
    assert app.metric[0].value == percent(diverging(cut(run, app.slider[0].value), expected))
