"""How records show themselves: lines, HTML of notebooks, frames, LaTeX, charts. Names from logs are hostile."""

import pickle
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from optlaws_core import LAWS, Average, Plan, Run, Selection, Series, fit, parse, predict, rank, with_bands
from optlaws_core.fitting.coverage import Coverage
from optlaws_core.fitting.result import Fit, Status
from optlaws_core.markup import LONGEST_NOTE, MOST_ROWS, POINTS, Table, between, number, sparkline
from optlaws_core.readers import Reading
from optlaws_core.readers.base import FileReport, Note
from tests.knowledge.twins import THETAS

HOSTILE = "<script>alert(1)</script>\n$\\href{javascript:1}{x}$ \"'&\u202e%{y}"
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "svg", "polyline"}
TEXTS = ("cosine(peak=1e-3, warmup=20, total=400)", "wsd(peak=1e-3, warmup=20, total=400, decay=80)")


class Tags(HTMLParser):
    """Tags, attributes and texts of a piece of HTML; what stands between them must be escaped."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def run(name: str, text: str, level: float = 2.0) -> Run:
    steps = np.arange(10, 400, 10)
    losses = Series(steps, level + 3 * (steps + 1.0) ** -0.5)
    return Run(name, Plan(parse(text), 1e6, 512), {HOSTILE: losses, "train": losses}, HOSTILE, "declared", 390)


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [run(f"{HOSTILE} {i}", text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def law(runs) -> Fit:
    return fit("power_law", runs)


@pytest.fixture(scope="module")
def records(runs, law) -> dict:
    """One of each record, by kind."""
    other = replace(law, law="power_law", left_out=0.01)
    average = Average((law, other), (0.25, 0.75), law.train, {}, 0.02, None)
    selection = Selection((other,), None, {"opt_laws_curve": f"no fit: {HOSTILE}"}, other, f"Trust it. {HOSTILE}")
    schedules = [*map(parse, TEXTS), parse("linear(peak=1e-3, total=9000)")]
    report = FileReport(HOSTILE, HOSTILE, runs=tuple(runs), notes=(Note("info", HOSTILE),))
    failed = FileReport("b", "unknown", error=HOSTILE)
    return {
        "reading": Reading((report, failed), tuple(runs)),
        "run": runs[0],
        "fit": law,
        "average": average,
        "selection": selection,
        "prediction": with_bands(law, schedules[0], np.arange(0, 400, 5)),
        "ranking": rank(average, schedules),
        "schedule": schedules[1],
    }


def test_each_is_a_line_or_two(records):
    for name, record in records.items():
        shown = repr(record[0] if name == "ranking" else record)
        assert "\n" not in shown and len(shown) <= 240, name
    assert repr(records["fit"]).startswith("Fit(power_law on 2 runs, misfit ") and "converged" in repr(records["fit"])
    assert "25 % power_law + 75 % power_law" in repr(records["average"])
    assert repr(records["reading"]) == "Reading(2 runs from 2 files, 1 file gave nothing)"
    assert "400.0000" not in repr(records["ranking"]) and "beyond the training runs" in repr(list(records["ranking"]))


def test_html_is_small_and_holds_names_as_text_alone(records):
    for name, record in records.items():
        page = record._repr_html_()
        found = Tags(page)
        assert found.tags <= TAGS and len(page) < 8_000, name
        assert found.attributes <= {
            *("class", "style", "width", "height", "viewbox", "aria-hidden"),
            *("points", "fill", "stroke", "stroke-width"),
        }
        assert "mathjax_ignore" in page and "\n" not in page and "\u202e" not in page
        if name not in ("ranking", "prediction", "schedule"):
            assert "<script>alert(1)</script> $\\href" in found.text, name
    assert "gave nothing" in records["reading"]._repr_html_() and "Trust it." in records["selection"]._repr_html_()


def test_html_of_many_rows_and_long_notes_stays_small():
    page = Table(("a", "b"), tuple((str(i), "x") for i in range(MOST_ROWS + 3))).html("", ["§" * 10**6])
    assert page.count("<tr>") == MOST_ROWS + 1 and "and 3 more rows" in page and page.count("§") < LONGEST_NOTE


def test_small_pictures_take_what_cannot_be_drawn():
    assert sparkline(np.array([1.0])) == sparkline(np.full(5, np.nan)) == ""
    drawn = [sparkline(np.array(v)) for v in ([2.0, 2.0], [1.0, np.nan, 3.0, np.inf], np.arange(10_000.0))]
    assert all("nan" not in d and d.count(",") <= POINTS for d in drawn)


def test_frames_hold_what_the_records_hold(records, runs):
    losses = records["run"].to_frame()
    assert list(losses) == ["step", "split", "loss", "lr", "tokens"] and set(losses.split) == {HOSTILE, "train"}
    some = losses[losses.split == "train"]
    np.testing.assert_array_equal(some.lr, runs[0].plan.schedule(runs[0].steps))
    np.testing.assert_array_equal(some.tokens, 512 * (runs[0].steps + 1))
    bare = replace(runs[0], plan=None, lr_source="missing").to_frame()
    assert bare.lr.isna().all() and bare.tokens.isna().all()

    read = records["reading"].to_frame()
    assert list(read.run) == [r.name for r in runs] and list(read.schedule) == [r.plan.schedule.text for r in runs]
    assert Reading((), ()).to_frame().empty and list(Reading((), ()).to_frame()) == list(read)

    law = records["fit"]
    coefficients = law.to_frame().set_index("coefficient")
    assert dict(coefficients.value) == dict(law.theta)
    known = {n: (row.low, row.high) for n, row in coefficients.iterrows() if not np.isnan(row.low)}
    assert known == {n: ends for n, ends in law.interval.items() if ends}

    told = records["prediction"]
    np.testing.assert_array_equal(told.to_frame().parameter_high, told.band(told.parameter)[1])
    assert told.to_frame().prediction_low.isna().all()  # nothing was left out

    assert records["average"].to_frame().weight.tolist() == [0.25, 0.75]
    chosen = records["selection"].to_frame().set_index("law")
    assert np.isnan(chosen.weight["power_law"]) and chosen.status["opt_laws_curve"].startswith("no fit")

    rates = parse("rate=linear(peak=1e-3, total=40); batch=steps([0, 20], [1, 2])").to_frame([0, 39])
    assert rates.to_dict("list") == {"step": [0, 39], "lr": [1e-3, pytest.approx(2.5e-5)], "batch": [1.0, 2.0]}
    assert len(parse("linear(peak=1e-3, total=100000000)").to_frame()) <= 1_000


def test_a_ranking_is_a_list_with_its_model(records):
    ranking = records["ranking"]
    assert isinstance(ranking, list) and ranking[:2] == list(ranking)[:2] and ranking[:2].model is ranking.model
    frame = ranking.to_frame()
    assert frame.final_loss.tolist() == [r.final_loss for r in ranking] and frame.delta[0] == 0
    assert frame.schedule.tolist() == [r.schedule.text for r in ranking] and "9,000 updates" in " ".join(frame.reasons)
    again = pickle.loads(pickle.dumps(ranking))
    assert again == ranking and again.model == ranking.model
    assert rank(ranking.model, []).to_frame().empty and "0 candidates" in rank(ranking.model, [])._repr_html_()


# ------------------------------------------------------------------------------------------------------ LaTeX


@pytest.mark.parametrize("law", LAWS)
def test_coefficients_of_every_law_are_a_table_that_latex_takes(law):
    theta = LAWS[law].complete(THETAS[law][0])
    interval = {n: (v / 3, 3e7 * v) if v > 0 else None for n, v in theta.items()}
    made = Fit(law, theta, interval, Status.weak, "", 0.0, {}, Coverage((1e-3, 1e-3), (9, 9)))
    tex = made.to_latex("50 % of_it", "tab:a b")
    assert tex.isascii() and tex.count("{") == tex.count("}") and r"\caption{50 \% of\_it}" in tex
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in rows} == {2} and len(rows) == 1 + sum(
        1 for p in LAWS[law].params if theta[p.name] or not p.weight
    )
    cells = re.findall(r"\$([^$]*)\$", tex)
    parser = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    for cell in {c.replace(r"\text{ to }", r"\ \mathrm{to}\ ") for c in cells}:
        parser.parse(f"${cell}$")  # raises for what is no formula
    assert tex.count("$") == 2 * len(cells) and cells[0] == LAWS[law].params[0].latex


def test_numbers_of_tables_have_the_digits_that_count():
    assert number(5.29438e-5).plain == "5.294e-5" and number(5.29438e-5).latex == r"5.294 \times 10^{-5}"
    assert between(0.51, 1234567).plain == "0.51 to 1.235e6" and number(0.0).latex == "0"


def test_formulas_are_shown_where_there_is_one(records):
    for record in (records["fit"], records["schedule"], LAWS["power_law"]):
        shown = record._repr_latex_()
        assert shown.startswith(r"$\displaystyle ") and shown.endswith("$") and shown.count("$") == 2
    assert LAWS["power_law"].latex in records["fit"]._repr_latex_()
    tables = [records[name].to_latex() for name in ("average", "selection", "ranking")]
    assert all(r"\toprule" in tex and "<" not in tex for tex in tables)


# ----------------------------------------------------------------------------------------------------- charts


def test_each_draws_itself(records, runs):
    pytest.importorskip("plotly")
    loss, rate = records["run"].plot().data
    np.testing.assert_array_equal(loss.y, runs[0].loss)
    assert rate.yaxis == "y2" and len(records["reading"].plot().data) == 4
    held_out = run("another", TEXTS[0])
    drawn = records["fit"].plot([*runs, held_out])
    lines = {t.name: t.line.dash for t in drawn.data if t.showlegend and t.mode == "lines"}
    assert lines.pop("another") == "dash" and set(lines.values()) == {"solid"} and len(lines) == 2
    told = next(t for t in drawn.data if t.name == "another" and t.showlegend)
    assert held_out.steps[0] < 20 == told.x[0]  # where losses begin to be fitted
    np.testing.assert_allclose(told.y, predict(records["fit"], held_out.plan, told.x))
    assert len(records["selection"].plot(runs).data) == len(records["selection"].trusted.plot(runs).data)
    assert records["prediction"].plot().data[-1].name == "predicted"
    ends = [t.y[-1] for t in records["ranking"].plot().data if t.showlegend and t.mode == "lines"]
    assert ends == pytest.approx([r.final_loss for r in records["ranking"]])
    tokens = parse("rate=linear(peak=1e-3, total=40); batch=steps([0, 20], [512, 1024])")
    assert tokens.plot().layout.xaxis2.title.text == "tokens read"
    multiples = parse("rate=linear(peak=1e-3, total=40); batch=steps([0, 20], [1x, 2x])").plot()
    assert multiples.layout.xaxis2.title.text == "usual batches read" and set(multiples.data[1].y) == {1, 2}
    assert records["schedule"].plot().layout.xaxis.title.text == "step"


def test_a_fit_beside_no_runs_is_refused(records):
    pytest.importorskip("plotly")
    with pytest.raises(ValueError, match="needs runs to draw it beside, got none"):
        records["average"].plot([])
