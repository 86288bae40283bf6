"""The Live page: without runs, without a fit, a replay, an alarm, and the operator's folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import Series
from optlaws_core.live import cut, decays, diverging, outcomes
from pages.parts import session, watching
from tests.test_page_compare import a_fit, a_run

PAGE = Path(__file__).resolve().parents[1] / "pages" / "live.py"


def opened(space: session.Workspace) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def space_with(run=None, fit=True) -> session.Workspace:
    space = session.Workspace(runs={} if run is None else {run.name: run})
    if fit:
        space.keep("a fit", replace(a_fit(), misfit=0.01, left_out=0.02))
    return space


def texts(app: AppTest) -> list[str]:
    return [x.value for kind in (app.info, app.caption, app.error) for x in kind]


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch):
    monkeypatch.delenv(watching.FOLDER, raising=False)


def test_without_runs_or_a_fit_it_says_where_to_go():
    assert any("no log to follow yet" in t for t in texts(opened(space_with())))
    app = opened(space_with(a_run(), fit=False))
    assert any("Fit one on the Fit page" in t for t in texts(app)) and app.metric[0].value == "0%"
    bare = replace(a_run(), plan=None, lr_source="missing")
    assert any("has no learning rate yet" in t for t in texts(opened(space_with(bare))))


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
    expected = outcomes(space.fit, seen, ways)
    table = app.dataframe[0].value
    assert table["way"].tolist() == [o.name for o in expected]
    assert table["final loss"].tolist() == [o.loss for o in expected] and len(table) == 5
    said = [t for t in texts(app) if "losses that came later: off by 0.00%" in t]
    assert said and "The law was fitted to this very run" in said[0]
    app.number_input[1].set_value(200).run()
    assert not app.exception and "decay now, over 200" in app.dataframe[0].value["way"].tolist()


def test_a_run_that_blows_up_raises_an_alarm():
    run = a_run()
    y = np.where(run.steps > 600, 1.5, 1.0) * run.loss
    run = replace(run, series={"train": Series(run.steps, y)})
    app = opened(space_with(run))
    assert diverging(run) > 0.99 and any("this run is diverging" in e.value for e in app.error)


def test_only_the_operators_folder_can_be_watched(tmp_path, monkeypatch):
    assert not opened(space_with(a_run())).toggle
    monkeypatch.setenv(watching.FOLDER, str(tmp_path))
    app = opened(space_with(a_run()))
    app.toggle[0].set_value(True).run()
    told = texts(app)
    assert not app.exception and any("not there or holds no logs yet" in t for t in told)
    assert not [t for t in told if str(tmp_path) in t]
    (tmp_path / "grows.csv").write_text(
        "step,loss,lr\n" + "".join(f"{i},{3 - i / 100},1e-3\n" for i in range(50)) + "50,2"
    )
    app.run()
    assert not app.exception and app.selectbox[0].options == ["grows"]
    app.number_input[0].set_value(200).run()
    assert not app.exception and "no decay" in app.dataframe[0].value["way"].tolist()
