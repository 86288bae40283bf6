"""The Live page's AutoLRS: the next stage of a bundled run, what cannot be staged, and a simulated run."""

import json
from concurrent import futures
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.figures import autolrs_charts as charts
from optlaws_core.optimize.autolrs import Search, next_stage, probe_of, propose_rate, rivals, simulate_stages
from optlaws_core.text import format_number
from pages.parts.live import autolrs, forecast
from pages.parts.state.workspace import Workspace
from tests.pages.compare.compare_page import a_fit, a_run
from tests.places import ROOT

PAGE = ROOT / "pages" / "live.py"


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch):
    monkeypatch.delenv(forecast.FOLDER, raising=False)


def opened(space: Workspace, view: str = autolrs.NEXT) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    app.session_state.workspace = space
    app.session_state["staging_box"] = True
    app.session_state["staging_view"] = view
    return ran(app)


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def simulated(app: AppTest) -> None:
    """Press Simulate and wait for the end."""
    next(b for b in app.button if b.label == "Simulate").click()
    ran(app)
    if autolrs.JOB in app.session_state:
        futures.wait([app.session_state[autolrs.JOB][0].future], 120)
        ran(app)


def bundled() -> Workspace:
    space = Workspace()
    space.load_example()
    return space


def texts(app: AppTest) -> list[str]:
    return [
        x.value.replace("\\", "").replace("\u00a0", " ")
        for kind in (app.info, app.caption, app.success, app.error)
        for x in kind
    ]


def test_nothing_is_drawn_before_it_is_opened():
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = bundled()
    ran(app)
    assert not [s for s in app.selectbox if s.key == "staging_run"]


def test_the_next_stage_of_a_bundled_run_is_what_the_core_says():
    space = bundled()
    app = opened(space)
    assert app.selectbox(key="staging_run").value == "drop30_4000"  # of several stages
    run = space.runs["drop30_4000"].on("train")
    ahead = next_stage(run, 2000)
    probes = [probe_of(space.runs[n].on("train"), 2000, ahead.length, 360) for n in ("constant_4000", "drop30_4000")]
    told = propose_rate(probes, Search(8e-4, 8e-3), ahead.length, ahead.rate)
    assert any(t.startswith(f"Probe {format_number(told.rate)} next") and "360 updates" in t for t in texts(app))
    assert sorted(app.multiselect[0].value) == ["constant_4000", "drop30_4000"]
    table = app.dataframe[-1].value
    assert table["rate"].tolist() == ["8e-3"] and table["from"].tolist() == [200] and table["to"].tolist() == [1999]
    chart = next(c for c in app.get("plotly_chart") if "learning rate" in c.proto.spec)
    names = {trace.get("name") for trace in json.loads(chart.proto.spec)["data"]}
    assert {"probe at 8e-3", "probe at 0.0024", "90 % band", "expected loss"} <= names


def test_without_probes_the_rate_before_is_probed_first():
    app = opened(bundled())
    app.multiselect[0].set_value([])
    assert any(t.startswith("Probe 8e-3 next, the rate of the stage before") for t in texts(ran(app)))


def test_rates_are_typed_and_checked():
    app = opened(bundled())
    app.text_input(key="staging_low").set_value("0.1")
    assert any("the lower one first, got 0.1 and 0.008" in t for t in texts(ran(app)))
    app.text_input(key="staging_low").set_value("fast")
    assert any("lowest rate" in t and "'fast'" in t for t in texts(ran(app)))


@pytest.mark.parametrize(
    "field, name",
    [("staging_start", "from_update"), ("staging_length", "updates"), ("staging_probe ", "probe_updates")],
)
def test_updates_are_typed_and_checked(field, name):
    app = opened(bundled())
    (found,) = [x for x in app.text_input if x.key.startswith(field)]
    found.set_value("many")
    (said,) = [e.value for e in ran(app).error]
    assert said.startswith(f"{found.label} must be a whole number of ") and said.endswith("got 'many'.")
    assert app.text_input(key=found.key).value == "many" and not app.success
    app.text_input(key=found.key).set_value("2e2")
    assert not ran(app).error and app.query_params[name] == "200"


def test_runs_without_stages_or_fits_say_so():
    space = Workspace(runs={"long": a_run()})  # a cosine
    assert any("No loaded run has a stage" in t for t in texts(opened(space)))
    assert any("needs a law fitted to finished runs" in t for t in texts(opened(space, autolrs.SIMULATED)))


def test_a_simulated_run_stands_beside_its_rivals():
    space = Workspace(runs={"long": a_run()})
    space.keep("a fit", a_fit())
    app = opened(space, autolrs.SIMULATED)
    assert [app.text_input(key=f"staging_{n}").placeholder for n in ("total", "warmup")] == ["1,000", "50"]
    simulated(app)
    search = Search(1e-4, 1e-3)
    expected, others = simulate_stages(a_fit(), search, 1000, 50), rivals(a_fit(), search, 1000, 50)
    table = app.dataframe[-1].value.set_index("schedule")
    assert table.loc["AutoLRS"].tolist() == pytest.approx([expected.loss, 1000 + expected.probed])
    assert {r.name: r.loss for r in others} == pytest.approx(table["final loss"].drop("AutoLRS").to_dict())
    assert table["final loss"].is_monotonic_increasing
    assert any("Each is chosen for its own end" in t for t in texts(app))
    app.text_input(key="staging_warmup").set_value("1k")
    simulated(ran(app))
    assert any("warm-up must end before the run of 1,000 updates" in t for t in texts(app))


def test_a_diverged_probe_is_marked_in_the_picture():
    loss = np.linspace(3, 2, 40)
    made = [autolrs.Stage(r, 0, 400, np.arange(1.0, 41.0), loss - 1e4 * r**2) for r in (1e-3, 2e-3)]
    broken = replace(made[0], rate=5e-3, loss=np.where(loss < 2.5, np.nan, loss))
    told = propose_rate([*made, broken], Search(1e-3, 1e-2), 400)
    figure = charts.search(told, [*made, broken])
    marks = [t for t in figure.data if t.marker.symbol == "x"]
    assert [t.x[0] for t in marks] == [5e-3] and np.isfinite(figure.layout.yaxis2.range).all()
    assert len([t for t in figure.data if t.mode == "lines" and t.name == "probe at 5e-3"]) == 0
