"""The Plan page: laws side by side, a budget, another batch, and a sweep of one's own; and its charts."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core.figures import plan_charts as charts
from optlaws_core.hyper import HYPER_LAWS, SweepCell, fit_sweep, optimum, read_sweep, recommend, scaling
from optlaws_core.hyper.advice import MAP_POINTS
from pages.parts.plan import sweep
from tests.places import ROOT

PAGE = ROOT / "pages" / "plan.py"


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def plain(text: str) -> str:
    return text.replace("\\", "").replace("\u00a0", " ")


def uploaded(app: AppTest, content: bytes) -> AppTest:
    app.get("file_uploader")[0].upload("mine.csv", content, "text/csv").run()
    assert not app.exception, app.exception[0].message
    return app


def test_laws_stand_side_by_side():
    app = opened(plan_params="7B", plan_tokens="1.4T tokens")
    frame = app.dataframe[0].value
    assert list(frame["Law"]) == [law.title for law in HYPER_LAWS.values()]
    assert frame["Peak learning rate"][0] == pytest.approx(9.34684e-4, rel=1e-5) and frame["Batch"][0] == "5M"
    assert frame["Beyond its range"][0] == "N 6.5 times above the fitted range, D 14 times above the fitted range"
    bjorck = frame.set_index("Law").loc["Björck et al."]
    assert bjorck["Beyond its range"] == "N 2.6 times above the fitted range"
    assert frame["Source"].str.contains("arXiv").all() and frame["How sure"].str.len().min() > 5
    assert "extrapolated" in app.warning[0].value
    assert len(app.get("plotly_chart")) == 1 and not app.error


def test_the_page_asks_what_it_cannot_read():
    app = opened(plan_params="big")
    assert plain(app.error[0].value) == "The model size must be above 0, such as 123M or 7B, got 'big'."
    assert len(app.dataframe) == 4 and not app.get("plotly_chart")  # the rest of the page goes on
    for name, value, message in (
        ("params", "0.1", "Is the unit right? N below 1,000 is unlikely (of millions or billions?), got 0.1."),
        ("tokens", "10", "Is the unit right? D below 1,000 is unlikely (of millions or billions?), got 10."),
        ("batch", "512", "Is the unit right? A batch below 1,000 tokens is unlikely (of sequences?), got 512."),
    ):
        app.text_input(key="plan_params").set_value("")
        app.text_input(key=f"plan_{name}").set_value(value).run()
        assert plain(app.warning[0].value) == message and not app.error and not app.get("plotly_chart")
        app.text_input(key=f"plan_{name}").set_value("").run()
    app.text_input(key="plan_params").set_value("1e9").run()
    assert not app.error and "Fitted where you are: Step Law" in plain(app.caption[1].value)
    app.text_input(key="plan_compute").set_value("-1").run()
    assert "The compute must be above 0, such as 1e21, got" in plain(app.error[0].value)
    app.text_input(key="plan_compute").set_value("1e24").run()
    app.text_input(key="plan_unique").set_value("few").run()
    assert "The number of unique tokens must be above 0, such as 300B, got" in plain(app.error[0].value)
    app.text_input(key="plan_unique").set_value("").run()
    app.text_input(key="plan_batch_to").set_value("?").run()
    assert "The other batch must be above 0, such as 4M" in plain(app.error[0].value)
    app.text_input(key="plan_batch_to").set_value("").run()
    app.text_input(key="plan_batch_lr").set_value("30").run()
    assert "A learning rate above 1 is unlikely, got 30." in plain(app.warning[0].value) and not app.error


def test_a_budget_and_another_batch():
    app = opened(plan_compute="1e24", plan_batch_noise="2M")
    split, rules = app.dataframe[1].value, app.dataframe[2].value
    assert split["Loss"].idxmin() == list(scaling.ALLOCATIONS).index("besiroglu")
    assert rules["Learning rate"][0] == pytest.approx(2e-3) and rules["Learning rate"].notna().all()
    assert any("2.00 times the fewest possible updates" in c.value for c in app.caption)
    assert "In fresh tokens" not in split
    app.text_input(key="plan_unique").set_value("1T").run()
    worth = app.dataframe[1].value
    repeated = worth["Tokens"].str.endswith("T").to_numpy()
    assert repeated.any() and (worth["In fresh tokens"] != worth["Tokens"])[repeated].all()
    app.text_input(key="plan_batch_to").set_value("20M").run()
    assert any("the step is too large" in c.value for c in app.caption)


def test_sparse_models():
    app = opened(plan_sparse="0.75", plan_fine="8")
    frame = app.dataframe[4].value.set_index("Law")
    law = scaling.SPARSITY["t5"]
    assert frame.loc["Weight sparsity, T5 on C4", "Says"] == f"as good as a dense model of {law.worth(0.75):.3g}B"
    assert f"{scaling.granular_loss(1e9, 2e10, 8):.4f}" in frame.loc["Fine-grained experts", "Says"]
    assert frame["Source"].str.contains("arXiv").all()


def test_rates_for_mup_are_marked_and_fine_tuning_has_its_box():
    app = opened()
    frame = app.dataframe[0].value.set_index("Law")
    assert list(frame.index[frame["Rate for"] == "µP"]) == ["Power Scheduler", "MiniCPM"]
    names = {t.legendgroup: t.name for t in charts.over(1e9, 2e10, "tokens", None, None).data if t.showlegend}
    assert names["minicpm"] == "MiniCPM, µP" and names["step_law"] == "Step Law"
    assert any("larger batch with a lower learning rate" in m.value for m in app.markdown)
    assert any("arXiv 2412.13337" in c.value for c in app.caption)
    assert "Granziol" in app.dataframe[2].value["Source"][0] and "Granziol" in app.dataframe[2].value["Source"][1]


@pytest.mark.parametrize("kind", ["Over N", "One law over both"])
def test_the_other_charts(kind):
    app = opened()
    app.segmented_control(key="plan_chart").set_value("params" if kind == "Over N" else "both").run()
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == 1


def test_a_sweep_gives_laws_and_heat_maps():
    app = uploaded(opened(plan_params="1B", plan_tokens="20B"), sweep.example().encode())
    assert not app.error and len(app.get("plotly_chart")) == 2
    frame = app.dataframe[-1].value
    assert len(frame) == 6 and (frame["Use"] == "in the law").all()
    boxes = {box.label: box.value for box in app.metric}
    assert float(boxes["Learning rate for your N and D"]) == pytest.approx(2 * 1e9**-0.72 * 2e10**0.31, rel=0.12)
    assert any("N is 2.5 times above the fitted cells" in c.value for c in app.caption)
    app.selectbox(key="plan_cell").set_value(3).run()
    assert not app.exception and len(app.get("plotly_chart")) == 2


def test_columns_with_other_names_are_chosen():
    content = sweep.example().replace("batch", "per_update", 1).encode()
    app = uploaded(opened(), content)
    assert "Say which column holds batch" in plain(app.error[0].value)
    next(box for box in app.selectbox if box.label == "batch").set_value("per_update").run()
    assert not app.error and len(app.get("plotly_chart")) == 2


def test_a_sweep_says_which_loss_it_took_and_what_its_cells_mix():
    table = pd.read_csv(io.StringIO(sweep.example())).assign(smooth_loss=lambda t: t["loss"], width=512)
    both = pd.concat((table, table.assign(width=1024)))
    app = uploaded(opened(), both.to_csv(index=False).encode())
    said = [plain(c.value) for c in app.caption]
    assert "The losses are those of the column smooth_loss, which are smoothed; loss is left out." in said
    assert any("6 pairs of model size and length of 6 mix runs" in s and "width 512, 1024." in s for s in said)
    assert next(box for box in app.selectbox if box.label == "loss").value == "smooth_loss"


def test_a_sweep_outlives_a_change_of_page():
    sequences = pd.read_csv(io.StringIO(sweep.example())).assign(bs=lambda t: t.pop("batch") / 2048)
    app = uploaded(opened(), sequences.to_csv(index=False).encode())
    assert "a batch below 1,000 tokens is unlikely (of sequences?)" in plain(app.warning[0].value)
    app.text_input(key="plan_unit").set_value("2048").run()
    assert not app.warning and len(app.get("plotly_chart")) == 2
    again = AppTest.from_file(str(PAGE), default_timeout=120)
    again.session_state["workspace"] = app.session_state["workspace"]
    again.run()
    assert not again.exception and again.text_input(key="plan_unit").value == "2048"
    assert any("Sweep in use: mine.csv" in plain(c.value) for c in again.caption)
    assert again.dataframe[-1].value.equals(app.dataframe[-1].value)


def test_unlikely_units_ask_back():
    app = uploaded(opened(), sweep.example().replace("100000000,", "100,").encode())
    assert "is the unit right? N below 1,000 is unlikely" in plain(app.warning[0].value)
    assert len(app.get("plotly_chart")) == 1
    app.button(key="plan_sure").click().run()
    assert not app.warning and not app.error and len(app.get("plotly_chart")) == 2


def test_one_grid_has_an_optimum_but_no_law():
    head, *lines = sweep.example().splitlines()
    one = [line for line in lines if line.startswith("100000000,2000000000")]
    app = uploaded(opened(), "\n".join([head, *one]).encode())
    assert not app.error and len(app.get("plotly_chart")) == 2
    assert "the optima of 3 or more pairs of model size and length, got 1" in plain(app.info[0].value)
    assert list(app.dataframe[-1].value["Use"]) == ["in the law"] and not app.metric[-1].label.startswith("Learning")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe\x00x", "mine.csv must be a CSV table"),
        (b"", "mine.csv must be a CSV table"),
        (b"N,D,lr,batch,loss\n1e8,1e9,0,1e5,3\n", "row 1: lr must be a number above 0, got '0'"),
        (b"N,D,lr,batch,loss\n1e8,1e9,1e-3,1e5,nan\n", "at least 1 run that ended with a loss, got none"),
        (b"a,b\n1,2\n", "Say which column holds params, tokens, lr, batch, loss"),
    ],
)
def test_sweeps_that_cannot_be_used_say_why(content, message):
    app = uploaded(opened(), content)
    assert re.search(message, plain(app.error[0].value)), app.error[0].value


def test_lines_are_solid_where_a_law_was_fitted():
    figure = charts.over(1e9, 2e10, "tokens", None, None)
    step = [t for t in figure.data if t.name == "Step Law" and t.xaxis == "x"]
    solid = next(t for t in step if t.line.dash == "solid")
    inside = np.isfinite(np.array(solid.y, float))
    assert 4e9 <= np.array(solid.x)[inside].min() and np.array(solid.x)[inside].max() <= 1e11 * 1.001
    assert [t.line.dash for t in step] == ["solid", "dot"] and [t.showlegend for t in step] == [True, False]
    assert {t.name for t in figure.data if t.xaxis == "x2"} == {law.title for law in HYPER_LAWS.values() if law.batch}
    kaplan = next(t for t in charts.over(1e10, 2e10, "params", None, None).data if t.name == "Kaplan et al.")
    assert np.isnan(np.array(kaplan.y, float)).any()  # no rate above 12B


@pytest.mark.parametrize("law", HYPER_LAWS.values(), ids=lambda law: law.name)
def test_maps_over_both(law):
    figure = charts.maps(law, 1e9, 2e10, None, None)
    drawn = [t for t in figure.data if t.type == "heatmap"]
    assert len(drawn) == bool(law.lr) + bool(law.batch)
    middle = MAP_POINTS // 2
    row = next(r for r in recommend(1e9, 2e10) if r.law is law)
    assert drawn[0].customdata[middle][middle] == pytest.approx(row.lr or row.batch)


def test_a_cell_shows_its_runs(tmp_path):
    (tmp_path / "s.csv").write_text(sweep.example())
    cells = read_sweep(tmp_path / "s.csv")
    fit = fit_sweep(cells)
    figure = charts.surface(cells[0], fit.optima[0], [("<b>law</b>", 1e-3, 1e5)])
    heat = figure.data[0]
    assert np.isfinite(heat.customdata).sum() == len(cells[0].loss) and np.nanmin(heat.customdata) == 0
    assert np.nanmax(heat.z) <= charts.HIGHEST
    assert figure.data[1].x[0] == pytest.approx(np.log10(fit.optima[0].lr))
    assert figure.data[2].name == "&lt;b&gt;law&lt;/b&gt;"


def test_a_random_search_shows_its_runs_as_dots():
    rng = np.random.default_rng(0)
    lr, batch = np.exp(rng.normal([-6, 12], 1, (60, 2))).T
    loss = np.exp(1 + 0.02 * (np.log(lr) + 6) ** 2 + 0.01 * (np.log(batch) - 12) ** 2)
    loss[3] = np.nan
    cell = SweepCell(1e8, 1e9, lr, batch, loss)
    dots = charts.surface(cell, optimum(cell)).data[0]
    assert dots.type == "scatter" and len(dots.x) == 59 and np.min(dots.customdata) == 0
    assert np.max(dots.marker.color) <= charts.HIGHEST
