"""The Sweep page and its charts: filters, the noise floor, a law held against it; and what Evidence says of noise."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from data.judge import DESIGNS, judge
from optlaws_core import NoiseFloor, Run, noise_floor
from pages.parts.state.bundled import sweep_runs
from pages.parts.sweep import charts, sweep
from tests.places import ROOT

PAGE = ROOT / "pages" / "sweep.py"


@pytest.fixture(scope="module")
def runs() -> tuple[Run, ...]:
    """All runs of the sweep, read when the first test asks: whoever collects tests need not wait for them."""
    return sweep_runs()


@pytest.fixture(scope="module")
def floor(runs) -> NoiseFloor:
    return sweep.floor_of(runs)


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def test_the_page_shows_the_noise_floor_and_a_law_beside_it(runs, floor):
    app = opened()
    shown = {box.label: box.value for box in app.metric}
    assert shown["Noise floor"] == f"{100 * floor.relative:.2f} %"
    assert shown["A perfect law is off by"] == f"{100 * floor.mean_error:.2f} %"
    table = app.dataframe[1].value
    judged = judge(runs)
    assert table["Parameters"].tolist() == [37_024, 123_200, 369_312, 836_736]
    assert table["near"].tolist() == pytest.approx([100 * j.near.final for j in judged])
    assert table["ratio"].tolist() == pytest.approx([j.near.final / floor.mean_error for j in judged])


def test_filters_leave_the_runs_that_have_all_of_it():
    app = opened(sweep_groups="divergence", sweep_ended="diverged", sweep_sizes="small")
    table = app.dataframe[0].value
    assert 0 < len(table) < 40
    assert set(table["Group"]) == {"divergence"} and set(table["Ended"]) == {"diverged"}
    assert set(table["Parameters"]) == {123_200}
    assert app.button[0].label == f"Work with {len(table)} runs" and not app.button[0].disabled


def test_too_many_runs_are_not_loaded_and_none_is_said():
    everything = opened()
    assert everything.button[0].disabled and "at most 60 runs" in everything.caption[1].value
    nothing = opened(sweep_groups="seeds", sweep_ended="diverged")
    assert "No run matches all of these filters" in nothing.info[0].value and not nothing.dataframe


def test_every_group_of_the_sweep_is_explained(runs):
    assert {run.about["group"] for run in runs} == set(sweep.GROUPS)


@pytest.mark.parametrize("x", charts.X)
def test_the_overview_draws_every_run_once(x, runs):
    drawn = [run for run in runs if charts.is_drawable(run)]
    figure = charts.overview(drawn, x)
    assert sum(len(trace.x) for trace in figure.data) == len(drawn)
    names = {row[0] for trace in figure.data for row in trace.customdata}
    assert names == {run.name for run in drawn}


def test_repeats_are_drawn_around_their_mean(floor):
    figure = charts.spread(floor)
    assert sorted(len(trace.x) for trace in figure.data) == [3] * 12 + [4] + [5] * 4
    assert len({trace.y[0] for trace in figure.data}) == 17  # each plan on a line of its own
    assert all(abs(np.mean(trace.x)) < 1e-9 for trace in figure.data)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_law_is_judged_on_runs_that_it_has_not_seen(design, runs):
    for judged in judge(runs, "annealing", design):
        seen, names = set(judged.fit.train), [run.name for run in judged.all.runs]
        assert len(seen) == 3 and not seen & set(names)
        assert sorted(names) == sorted(run.name for part in (judged.near, judged.far) for run in part.runs)
        low, high = judged.fit.coverage.peak
        assert all(low <= run.plan.schedule.peak <= high for run in judged.near.runs)
        for run, end in zip(judged.all.runs, judged.all.ends, strict=True):
            assert run.about["outcome"] != "diverged" and run.about["text"] == "library"
            assert judged.fit.test[run.name].worst_rel >= abs(end) - 1e-9


def test_the_floor_is_that_of_the_repeated_plans_alone(floor):
    repeated = [run for group in floor.repeats for run in group.runs]
    assert noise_floor(repeated).relative == floor.relative and len(repeated) == 60


@pytest.mark.parametrize(
    "before, name",
    [
        ("Opt-Laws curve (reconstruction)", "opt_laws_curve"),
        ("Opt-Laws curve, sublinear noise", "opt_laws_sublinear"),
        ("Convergence and noise (own)", "opt_laws_curve"),
        ("Convergence and sublinear noise (own)", "opt_laws_sublinear"),
    ],
)
def test_links_with_former_titles_of_laws_work(before, name):
    app = opened(sweep_law=before)
    assert app.selectbox(key="sweep_law").value == name and not app.warning
