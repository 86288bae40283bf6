"""The Decide page: candidates typed, edited, added and pasted; what a link holds; how the chart is drawn."""

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import parse
from optlaws_core.figures import candidate_chart as charts
from pages.parts.compare import table as candidate_table
from pages.parts.state import session
from pages.parts.state.candidates import MOST_LINK, Candidate, to_link
from tests.pages.compare.compare_page import PAGE, THREE, a_fit, a_run, opened, space_with, texts


@pytest.fixture
def shown() -> AppTest:
    return opened(space_with(a_fit(), candidates=map(Candidate, THREE)))


def edit(app: AppTest, edits: dict) -> None:
    """What the browser sends after cells were edited: the edits, and a change of the editor."""
    key = app.data_editor[0].key
    app.session_state[key] = {"edited_rows": edits, "added_rows": [], "deleted_rows": []}
    app.run()
    assert not app.exception, app.exception[0].message


# ---------------------------------------------------------------------------------------------------- editing


def test_a_bad_text_gets_its_sentence_and_the_others_go_on(shown):
    edit(shown, {0: {"text": "cosin(peak=1e-3, total=10)"}})
    assert any("“not a schedule”: Unknown schedule 'cosin'" in t and "Did you mean cosine?" in t for t in texts(shown))
    above = next(t for t in texts(shown) if "is left out of the comparison" in t)
    assert "“not a schedule” is left out of the comparison: Unknown schedule 'cosin'" in above
    assert len(shown.dataframe[-1].value) == 2
    assert shown.data_editor[0].value.text[0] == "cosin(peak=1e-3, total=10)"
    edit(shown, {0: {"text": "cosin(peak=1e-3, total=10)", "on": False}})
    assert not any("is left out of the comparison" in t for t in texts(shown))  # it was to take no part
    edit(shown, {0: {"text": THREE[0], "on": True}})
    assert len(shown.dataframe[-1].value) == 3


def test_editing_a_field_changes_the_text_in_place(shown):
    key = shown.data_editor[0].key
    edit(shown, {1: {"decay": "100"}})
    assert shown.data_editor[0].value.text[1] == THREE[1].replace("decay=200", "decay=100")
    assert shown.data_editor[0].key == key  # the same editor, so the cursor stays where it was
    edit(shown, {1: {"decay": "100", "peak": "5e-4"}})  # edits of one editor accumulate
    assert shown.session_state.workspace.candidates[1].text == THREE[1].replace("200", "100").replace("1e-3", "5e-4")


@pytest.mark.parametrize("typed, decay", [("3e2", 300), ("0.4k", 400), ("1,50", None), ("many", None)])
def test_a_cell_takes_numbers_as_they_are_written_elsewhere_and_keeps_what_is_none(shown, typed, decay):
    edit(shown, {1: {"decay": typed}})
    row = shown.session_state.workspace.candidates[1]
    if decay:
        assert row.schedule.decay == decay and shown.data_editor[0].value.decay[1] == str(decay)
    else:
        assert row.schedule is None and any(t.startswith("“wsd”: wsd: ") for t in texts(shown))
    edit(shown, {1: {"decay": "100"}})
    assert shown.session_state.workspace.candidates[1].text == THREE[1].replace("200", "100")


def test_an_edit_that_was_not_taken_over_letter_by_letter_gives_a_fresh_editor(shown):
    key = shown.data_editor[0].key
    edit(shown, {2: {"text": "constant(total=1500,peak=0.001)"}})
    assert shown.data_editor[0].value.text[2] == "constant(peak=1e-3, warmup=0, total=1500)"
    assert shown.data_editor[0].key != key


def test_the_menu_of_a_row(shown):
    space = shown.session_state.workspace
    first = space.candidates[0]

    def act(label: str, row: int) -> None:
        # AppTest cannot click a button column; the callback reads what a click leaves behind
        with pytest.MonkeyPatch.context() as patch:
            memory = {"menu": {"row": row, "label": label}}
            patch.setattr(session, "state", lambda: memory)
            patch.setattr(session, "workspace", lambda: space)
            candidate_table._act("menu")

    act(candidate_table.DUPLICATE, 0)
    assert space.candidates[:2] == [first, first]
    act(candidate_table.REMOVE, 0)
    act(candidate_table.REMOVE, 0)
    assert [c.text for c in space.candidates] == THREE[1:]
    act(candidate_table.REMOVE, 99)
    assert len(space.candidates) == 2


def test_an_emptied_list_stays_empty_and_offers_the_usual_candidates(shown):
    space = shown.session_state.workspace
    space.candidates = space.candidates[:1]
    shown.run()
    space.candidates = []  # what the menu of the last row leaves behind
    shown.run()
    assert not shown.exception and space.candidates == [] and not shown.data_editor
    assert any("No candidates are left" in t for t in texts(shown))
    button(shown, "Undo").click().run()
    assert [c.text for c in space.candidates] == THREE[:1]
    button(shown, "Redo").click().run()
    button(shown, "Begin with six common schedules").click().run()
    assert len(space.candidates) == 6 and len(shown.dataframe[-1].value) == 6


def test_a_row_begins_with_its_name_which_can_be_typed_over(shown):
    assert list(shown.data_editor[0].value.columns[:2]) == ["label", "dot"]
    assert list(shown.data_editor[0].value.label) == ["cosine", "wsd", "constant"]
    edit(shown, {1: {"label": "mine"}})
    assert shown.session_state.workspace.candidates[1].label == "mine"
    assert list(shown.data_editor[0].value.label) == ["cosine", "mine", "constant"]
    edit(shown, {1: {"label": None}})
    assert shown.session_state.workspace.candidates[1].label == ""
    assert list(shown.data_editor[0].value.label) == ["cosine", "wsd", "constant"]


def test_a_candidate_keeps_its_colour_in_chart_ranking_and_table_when_another_goes(shown):
    def dots(table) -> list[str]:
        return re.findall(r"color: (#\w+)", table.proto.arrow_data.styler.styles)

    def colours() -> list[dict[str, str]]:
        curves = json.loads(shown.get("plotly_chart")[0].proto.spec)["data"][
            : len(shown.session_state.workspace.candidates)
        ]
        ranking, table = shown.dataframe[0], shown.data_editor[0]
        return [
            {curve["name"]: curve["line"]["color"] for curve in curves},
            dict(zip(ranking.value["Schedule"], dots(ranking), strict=True)),
            dict(zip(table.value["label"], dots(table), strict=True)),
        ]

    before = colours()
    assert before[0] == before[1] == before[2] and len(set(before[0].values())) == 3
    space = shown.session_state.workspace
    space.candidates = space.candidates[1:]
    shown.run()
    del before[0]["cosine"]
    assert colours() == [before[0]] * 3
    again = opened(space_with(a_fit()), link=to_link(space.candidates))
    assert [row.color for row in again.session_state.workspace.candidates] == [1, 2]


def button(app: AppTest, label: str):
    return next(b for b in app.button if b.label == label)


def field(app: AppTest, label: str):
    return next(x for x in (*app.text_input, *app.number_input, *app.selectbox) if x.label == label)


@pytest.mark.parametrize("family", ["constant", "wsd", "step", "inverse_sqrt", "knots"])
def test_a_schedule_is_added_by_its_fields(shown, family):
    button(shown, "Add a schedule").click().run()
    field(shown, "Family of the new schedule").set_value(family).run()
    button(shown, "Add it").click().run()
    assert not shown.exception
    added = shown.session_state.workspace.candidates[-1]
    assert added.schedule.family == family
    assert (added.schedule.peak, added.schedule.total) == (1e-3, 1000)
    assert not [b for b in shown.button if b.label == "Add it"]  # the form is gone


def test_a_form_that_breaks_a_rule_stays_open_with_the_sentence(shown):
    button(shown, "Add a schedule").click().run()
    field(shown, "Total, updates").set_value("10")
    button(shown, "Add it").click().run()
    assert any("warmup must lie between 0 and total − 1 = 9 updates, got 50" in t for t in texts(shown))
    assert len(shown.session_state.workspace.candidates) == 3
    field(shown, "Warm-up, updates").set_value("5")
    button(shown, "Add it").click().run()
    assert shown.session_state.workspace.candidates[-1].schedule.total == 10


@pytest.mark.parametrize("typed, warmup", [("2e2", 200), ("0.3k", 300), ("", 0)])
def test_a_form_takes_numbers_as_they_are_written_elsewhere(shown, typed, warmup):
    button(shown, "Add a schedule").click().run()
    field(shown, "Warm-up, updates").set_value(typed)
    button(shown, "Add it").click().run()
    assert shown.session_state.workspace.candidates[-1].schedule.warmup == warmup


@pytest.mark.parametrize(
    "label, typed, told",
    [
        ("Warm-up, updates", "1e300", "cosine: warmup must be a finite number below 1e+15, got 1e+300."),
        ("Warm-up, updates", "2 x", "cosine: warmup must be a number such as 3e-4 or 24000, got '2 x'."),
        ("Peak, LR", "1e-300", "cosine: the peak learning rate must be at least 1e-30, got 1e-300."),
    ],
)
def test_what_a_form_cannot_read_is_one_sentence_and_stays_typed(shown, label, typed, told):
    button(shown, "Add a schedule").click().run()
    field(shown, label).set_value(typed)
    button(shown, "Add it").click().run()
    assert told in texts(shown) and field(shown, label).value == typed
    assert len(shown.session_state.workspace.candidates) == 3


def test_the_form_names_fields_as_the_schedules_page_does(shown):
    button(shown, "Add a schedule").click().run()
    field(shown, "Warm-up shape").set_value("cosine")
    button(shown, "Add it").click().run()
    assert shown.session_state.workspace.candidates[-1].schedule.warmup_shape == "cosine"


@pytest.mark.parametrize("more, last", [(1, "last one is not"), (2, "last 2 are not")])
def test_candidates_too_many_for_an_address_are_counted(shown, more, last):
    space = shown.session_state.workspace
    room = MOST_LINK - sum(map(len, to_link(space.candidates)))
    space.candidates += [Candidate("x" * room) for _ in range(more + 1)]
    shown.run()
    assert f"An address holds 6,000 characters of candidates, so the {last} in it." in texts(shown)


def test_a_pasted_curve_becomes_a_candidate(shown):
    button(shown, "Paste or upload a curve").click().run()
    shown.text_area[0].set_value("0 0\n50 oops").run()
    assert any("Line 2: the learning rate must be a number, got 'oops'" in t for t in texts(shown))
    shown.text_area[0].set_value("0 0\n50 1e-3\n800 1e-3\n1000 0").run()
    button(shown, "Add it").click().run()
    assert not shown.exception
    added = shown.session_state.workspace.candidates[-1]
    assert added.text == "knots(steps=[0, 50, 800, 1000], values=[0, 1e-3, 1e-3, 0], warmup=50)"
    assert len(shown.dataframe[-1].value) == 4


def test_starting_over_brings_the_defaults_back(shown):
    button(shown, "Start over").click().run()
    assert len(shown.session_state.workspace.candidates) == 6


def test_what_a_law_cannot_predict_is_left_out_with_a_sentence():
    rows = [Candidate(THREE[0]), Candidate("constant(peak=1e-3, total=2000000000)")]
    app = opened(space_with(a_fit(), candidates=rows))
    said = "“constant” is left out of the comparison: A prediction covers at most 1,000,000,000 updates"
    assert any(said in t for t in texts(app))
    assert len(app.dataframe[-1].value) == 1


# ---------------------------------------------------------------------------------------------------- links, looks


def test_a_link_opened_first_brings_its_candidates():
    link = [f"{THREE[0]}|<b>mine</b>", f"!{THREE[1]}", "rubbish"]
    app = opened(space := space_with(a_fit()), link)
    assert space.candidates == [Candidate(THREE[0], "<b>mine</b>"), Candidate(THREE[1], on=False), Candidate("rubbish")]
    assert len(app.dataframe[-1].value) == 1
    assert any("“not a schedule”: A schedule reads like cosine" in t for t in texts(app))
    assert not any("<b>" in m.value for m in app.markdown)


def test_a_link_sets_how_the_chart_is_drawn():
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space_with(a_fit())
    app.query_params |= {"compare_x": charts.AXES["lr"], "compare_part": "last tenth", "compare_log_y": "true"}
    app.run()
    assert not app.exception
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["xaxis"]["title"]["text"] == charts.AXES["lr"]
    assert figure["layout"]["yaxis"]["type"] == "log"


def test_a_link_opened_before_there_is_a_fit_waits_for_one():
    app = opened(space := space_with(), [THREE[2]])
    assert [c.text for c in space.candidates] == [THREE[2]]
    space.keep("fit", a_fit())
    app.run()
    assert not app.exception
    assert [c.text for c in space.candidates] == [THREE[2]]


def test_the_address_holds_the_candidates(shown):
    assert shown.query_params["s"] == [t.replace(", ", ",") for t in THREE]
    edit(shown, {0: {"on": False, "label": "mine"}})
    assert shown.query_params["s"][0] == f"!{THREE[0].replace(', ', ',')}|mine"


@pytest.mark.parametrize("x", charts.AXES)
def test_every_axis_draws(shown, x):
    shown.selectbox(key="compare_x").set_value(x).run()
    assert not shown.exception
    figure = json.loads(shown.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["xaxis"]["title"]["text"] == charts.AXES[x]


def test_tokens_are_asked_for_where_the_runs_do_not_know_them():
    space = space_with(a_fit(), candidates=map(Candidate, THREE))
    space.runs["long"] = a_run(batch=None)
    app = opened(space)
    app.selectbox(key="compare_x").set_value("tokens").run()
    assert any("axis counts updates until you do" in t for t in texts(app))
    app.text_input(key="compare_batch").set_value("1k").run()
    assert not app.exception
    assert app.dataframe[-1].value.saved_tokens.notna().any()


def test_observed_runs_are_drawn_behind(shown):
    shown.multiselect(key="compare_observed").set_value(["long"]).run()
    names = [t["name"] for t in json.loads(shown.get("plotly_chart")[0].proto.spec)["data"]]
    assert names[0] == "long (observed)"


# ---------------------------------------------------------------------------------------------------- batch, average


def beside(text: str) -> str:
    return text[text.index("; ") + 2 :] if ";" in text else ""


def test_batch_and_average_are_chosen_without_their_text_form(shown):
    button(shown, "Add a schedule").click().run()
    assert not [x for x in shown.text_input if x.label == "Sizes of the batch"]  # hidden until used
    field(shown, "Batch schedule").set_value("steps").run()
    field(shown, "Sizes begin at").set_value("0, 25%").run()
    field(shown, "Average of the weights").set_value("ema").run()
    field(shown, "Half-life, updates").set_value("50").run()
    field(shown, "Weight decay").set_value("0.1").run()
    field(shown, "Auxiliary rate").set_value("linear(peak=3e-3, warmup=10, total=1000)").run()
    field(shown, "Text").set_value("steps([0, 80%], [web, code])").run()
    field(shown, "Sequence length, tokens").set_value("4096").run()
    button(shown, "Add it").click().run()
    assert not shown.exception
    added = shown.session_state.workspace.candidates[-1]
    assert beside(added.text) == (
        "batch=steps([0, 250], [1x, 4x]); average=ema(50); weight_decay=0.1; "
        "auxiliary=linear(peak=3e-3, warmup=10, total=1000); text=steps([0, 800], [web, code]); sequence=4096"
    )


def test_a_typed_plan_fills_the_fields_and_is_taken_back_to_its_rate(shown):
    plan = f"rate={THREE[1]}; batch=ramp([0, 500], [1x, 2x]); average=merge(4, 25)"
    edit(shown, {1: {"text": plan}})
    assert shown.data_editor[0].value.family[1] == "wsd" and shown.data_editor[0].value.decay[1] == "200"
    shown.session_state["compare_panel"] = {"kind": "form", "row": 1, "key": "panel_9", "fault": ""}
    shown.run()
    said = {label: field(shown, label).value for label in ("Batch schedule", "Sizes begin at", "Sizes of the batch")}
    assert said == {"Batch schedule": "ramp", "Sizes begin at": "0, 500", "Sizes of the batch": "1x, 2x"}
    assert (field(shown, "Checkpoints").value, field(shown, "Updates apart").value) == ("4", "25")
    field(shown, "Sizes of the batch").set_value("1x, 2M").run()
    button(shown, "Change the row").click().run()
    assert any("sizes are all tokens (4M) or all multiples (2x)" in t for t in texts(shown))
    assert shown.session_state.workspace.candidates[1].text == plan
    for label in ("Batch schedule", "Average of the weights"):
        field(shown, label).set_value("none").run()
    button(shown, "Change the row").click().run()
    assert shown.session_state.workspace.candidates[1].text == THREE[1]


def test_the_hover_tells_the_batch_and_the_axis_in_tokens_counts_it():
    schedule = parse(f"rate={THREE[0]}; batch=steps([0, 500], [1x, 4x])")
    steps = charts.steps_of(schedule)
    curve = charts.Curve("cosine 1x→4x", 0, schedule, steps, np.linspace(4, 3, len(steps)))
    line = charts.comparison([curve], {}, charts.View("tokens", batch_tokens=100.0)).data[0]
    assert "batch %{customdata[1]}" in line.hovertemplate
    assert (line.customdata[0][1], line.customdata[-1][1]) == ("1x", "4x")
    assert line.x[-1] == 100 * (500 + 4 * 500)
