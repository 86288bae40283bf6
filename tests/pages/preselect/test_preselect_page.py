"""The Pre-select page: from a table, loaded logs or the bundled sweep to ranked candidates; and its charts."""

import csv
import io
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import OptLawsError
from optlaws_core.figures import preselect_charts as charts
from optlaws_core.final_loss import SHAPES, candidates, fit_table, labelled, rank_final, read_table, shares
from optlaws_core.schedules import Constant
from pages.parts.preselect import candidates as preselecting
from pages.parts.preselect import tables
from tests.places import ROOT

PAGE = ROOT / "pages" / "preselect.py"
RUNS = read_table(ROOT / "data" / "manifest.csv", sure=True)
LEARNED = f"{sum(not r.stable for r in labelled(RUNS))} of {len(labelled(RUNS))}"


@pytest.fixture(scope="module")
def fit():
    return fit_table(RUNS)


@pytest.fixture(scope="module")
def ranking(fit):
    plans = candidates(123_200, 1024, [2.048e6], [2e-3, 4e-3, 8e-3, 0.5], warmups=(0.05, 0.1))
    return rank_final(fit, plans)


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=240)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def table(change=None, **columns: str) -> bytes:
    """The page's own example as an upload, with other names for some columns."""
    rows = list(csv.DictReader(io.StringIO(tables._example())))
    if change:
        rows = [row | change for row in rows]
    out = io.StringIO()
    names = [columns.get(n, n) for n in rows[0]]
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([list(row.values()) for row in rows])
    return out.getvalue().encode()


def shown(app: AppTest) -> dict[str, str]:
    return {box.label: box.value for box in app.metric}


def test_the_bundled_sweep_gives_a_ranking_at_once(fit):
    app = opened(final_params="123200", final_tokens="2.048M", final_peaks="2e-3 4e-3 8e-3")
    boxes = shown(app)
    own = np.mean([abs(end.rel_error) for end in fit.train.values()])
    assert boxes["Error on training runs"] == f"{100 * own:.2f} %"
    assert boxes["Divergence learned from"] == f"{fit.risk.diverged} of {fit.risk.runs}"
    frame = app.dataframe[-1].value
    assert len(frame) == 3 * len(SHAPES) and frame["Final loss"].is_monotonic_increasing
    assert frame["Best"].sum() == pytest.approx(1)
    shown_as = app.dataframe[-1].proto.arrow_data.styler.display_values
    assert b" %" in shown_as and b"<1 %" in shown_as  # as in Decide's rankings
    assert boxes["Predicted final loss"] == f"{frame['Final loss'][0]:.4f}"
    assert "Train first" in app.markdown[0].value and frame["Candidate"][0].split(",")[0] in app.markdown[0].value
    assert not app.error and len(app.get("plotly_chart")) == 3


def test_cross_validation_replaces_the_guess_by_a_measurement(fit):
    app = opened(final_law="Opt-Laws (reconstruction), log-linear")
    assert "9 of 10 unseen runs within" in shown(app)
    app.toggle[0].set_value(True).run()
    assert not app.exception and "Error on runs not seen" in shown(app)
    assert any("is no sum of terms" in info.value for info in app.info)


def test_the_page_asks_what_it_cannot_read():
    app = opened(final_params="many")
    assert "The model size must be above 0, such as 123M or 7B, got 'many'" in app.error[0].value.replace("\\", "")
    app.text_input(key="final_params").set_value("2e6").run()
    assert not app.error and any("Beyond the training runs" in warning.value for warning in app.warning)
    app.text_input(key="final_warmups").set_value("150%").run()
    assert "less than 100\u00a0% of the length" in app.error[0].value
    app.text_input(key="final_warmups").set_value("0").run()
    assert not app.error
    app.text_input(key="final_peaks").set_value(" ".join(f"{k}e-6" for k in range(1, 500))).run()
    assert "5,000 candidates at most" in app.error[0].value


def test_a_checkpoint_and_another_text():
    app = opened(final_params="123200", final_tokens="2.048M", final_peaks="2e-3 8e-3")
    app.text_input(key="final_parent").set_value("wsd(peak=8e-3, warmup=200, total=4000, decay=800)").run()
    assert not any("Fine-tunes" in w.value for w in app.warning)
    app.selectbox(key="final_text").set_value("tests").run()
    assert any("Fine-tunes are ranked by loss here" in w.value for w in app.warning)
    assert not app.exception and not app.error
    frame = app.dataframe[-1].value
    assert frame["Schedule"].str.contains(" then ").all() and frame["Final loss"].between(1.2, 1.7).all()
    assert app.button[-1].disabled  # curves of children are not what Compare draws


def test_a_table_of_several_texts_asks_which_one_is_meant():
    """The bundled sweep as a table in which every fifth run is on another text, with losses a tenth higher."""
    rows = [r for r in csv.DictReader(io.StringIO(tables._example())) if not r["parent"] and r["final_loss"]]
    for i, row in enumerate(rows):
        del row["text"], row["parent"]
        row["dataset"] = "code" if i % 5 == 0 else "web"
        row["final_loss"] = float(row["final_loss"]) * (1.1 if i % 5 == 0 else 1.0)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    app = opened(final_source="A table", final_params="123200", final_tokens="2.048M", final_peaks="4e-3 8e-3")
    assert not [box for box in app.selectbox if box.key == "final_first"]
    app.get("file_uploader")[0].upload("texts.csv", out.getvalue().encode(), "text/csv").run()
    next(b for b in app.button if b.label == "The units are right").click().run()
    assert not app.exception and not app.error
    assert any("on code: +" in caption.value for caption in app.caption)
    assert app.selectbox(key="final_first").options == ["web", "code"]
    web = app.dataframe[-1].value["Final loss"]
    assert "offset of code" in app.dataframe[0].value["Coefficient"].tolist()
    app.selectbox(key="final_first").set_value("code").run()
    assert not app.exception and not app.error
    code = app.dataframe[-1].value["Final loss"]
    assert code.to_numpy() / web.to_numpy() == pytest.approx(1.1, rel=0.02)


def test_an_uploaded_table_is_used_and_kept():
    app = opened(final_source="A table")
    assert "Upload a table" in app.info[0].value
    app.get("file_uploader")[0].upload("mine.csv", table(), "text/csv").run()
    # peaks up to 32 ask back first
    assert "is the unit right?" in app.warning[0].value and not app.dataframe
    next(b for b in app.button if b.label == "The units are right").click().run()
    assert not app.exception and not app.error and shown(app)["Divergence learned from"] == LEARNED
    app.text_input(key="final_peaks").set_value("4e-3 8e-3").run()
    assert not app.warning and len(app.dataframe[-1].value) == 2 * len(SHAPES)  # it does not ask again


def test_columns_with_other_names_are_chosen():
    app = opened(final_source="A table")
    app.get("file_uploader")[0].upload("mine.csv", table(params="big_n"), "text/csv").run()
    assert "Say which column holds params" in app.error[0].value.replace("\\", "")
    next(box for box in app.selectbox if box.label == "params").set_value("big_n").run()
    assert not app.error and "is the unit right?" in app.warning[0].value


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe\x00garbage", "must be a CSV table|Say which column"),
        (b"run,params\na,1e8\n", "Say which column holds batch_tokens, tokens, schedule, final_loss"),
        (table({"params": "-1"}), "params must be a number above 0"),
        (table({"schedule": "sine(peak=1)"}), "Unknown schedule 'sine'"),
    ],
)
def test_tables_that_cannot_be_used_say_why(content, message):
    app = opened(final_source="A table")
    app.get("file_uploader")[0].upload("mine.csv", content, "text/csv").run()
    assert not app.exception
    assert re.search(message, app.error[0].value.replace("\\", "")), app.error[0].value


def test_loaded_runs_that_are_too_few_say_what_is_missing():
    app = opened(final_source="Loaded runs")
    assert "needs at least 16 runs that ended with a loss" in app.error[0].value


def test_the_log_linear_law_has_no_terms_and_names_are_data(ranking):
    figure = charts.terms({"<b>x</b>": {"progress": 0.1, "noise": 0.2, "peak": 0.01}})
    assert figure.data[0].y[0] == "&lt;b&gt;x&lt;/b&gt;"
    assert [bar.x[0] for bar in figure.data] == [0.1, 0.2, 0.01]


def test_the_charts_show_what_was_found(fit, ranking):
    figure = charts.over_peaks(ranking.rows)
    apart = [t for t in figure.data if t.mode == "markers"]
    assert apart and all(set(t.x) == {0.5} and not t.showlegend for t in apart)
    lowest = min(row.loss for row in ranking.rows if not row.apart)
    assert min(min(t.y) for t in figure.data if t.mode != "markers") == lowest
    low, high = figure.layout.yaxis.range
    assert low < lowest < high
    errors = charts.errors(fit.train, {r.name: r.plan for r in RUNS})
    assert sum(len(t.x) for t in errors.data) == len(fit.train)


def test_a_candidate_has_a_short_name():
    plans = candidates(1e8, 1e5, [1e9], [1e-3])
    names = [charts.name_of(p) for p in plans]
    assert len(set(names)) == len(plans) == len(SHAPES)
    assert "WSD 20 %" in names and "cosine to 10 %" in names
    assert charts.long_name(plans[0]) == "constant, peak 1e-3, warm-up 200, 10,000 updates"


def test_the_table_holds_the_ranking_in_full(fit, ranking):
    frame = preselecting.frame(ranking)
    assert len(frame) == len(ranking.rows) and frame["Candidate"].str.contains("set apart").sum() == sum(
        row.apart for row in ranking.rows
    )
    assert frame["Schedule"][0] == ranking.rows[0].plan.schedule.text
    parts = shares(fit, ranking.rows[0].plan)
    assert sum(parts.values()) == pytest.approx(ranking.rows[0].loss)


@pytest.mark.parametrize(
    "text, found",
    [("2 %", (0.02,)), ("2%;300", (0.02, 300.0)), ("0", (0.0,)), ("0% 0.5%", (0.0, 0.005)), ("1k", (1000.0,))],
)
def test_warmups_are_shares_or_updates(text, found):
    assert preselecting._warmups(text) == pytest.approx(found)


@pytest.mark.parametrize("text", ["%", "100%", "1%;150%", "0.5", "many", ""])
def test_warmups_that_cannot_be(text):
    with pytest.raises(OptLawsError, match="[Aa] warm-up"):
        preselecting._warmups(text)


def test_only_what_follows_a_checkpoint_can_diverge(fit):
    """A history at the edge of stability does not count against a low rate after it."""
    edge = Constant(0.256, warmup=200, total=1000)
    plans = candidates(123_200, 1024, [1e6], [1e-5, 0.5], ("linear",), (0.05,), parent=edge)
    by_peak = {row.plan.schedule.second.peak: row for row in rank_final(fit, plans).rows}
    assert by_peak[1e-5].risk < 0.05 < by_peak[0.5].risk and not by_peak[1e-5].apart and by_peak[0.5].apart
