"""The Compare page: alone on nothing, with a fit, with bad texts, from a link; and the numbers of the command line."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Average, Coverage, Fit, Plan, Run, Scores, Series, Status, cli, parse, rank, with_bands
from optlaws_core.selection import POOL
from pages.parts import candidate_table, ranking, session
from pages.parts.candidates import Candidate
from pages.parts.charts import compare as charts

PAGE = Path(__file__).resolve().parents[1] / "pages" / "compare.py"
THREE = [
    "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)",
    "wsd(peak=1e-3, warmup=50, total=1000, decay=200, shape=1-sqrt)",
    "constant(peak=2e-3, warmup=50, total=1500)",
]


def a_fit(**changes: float) -> Fit:
    """A fit record with round coefficients: an exact stand-in, not a fit of anything."""
    theta = {"L_inf": 2.6, "A": 0.2, "q": 0.5, "A0": 3e4, "A1": 3e4, "c": 1e3, "rho": 1.2, "D": 0.0} | changes
    return Fit(
        law="opt_laws_curve", theta=theta, interval=dict.fromkeys(LAWS["opt_laws_curve"].names), objective=0.0,
        status=Status.converged, message="", train={"long": Scores(9, 1e-3, 1e-3, 1, 0, 0)},
        test={"other": Scores(9, 2e-3, 2e-3, 1, 0, 0)}, coverage=Coverage((1e-3, 1e-3), (500, 1000)),
    )  # fmt: skip


def a_run(name: str = "long", batch: float | None = 512.0) -> Run:
    """A run whose losses are those of `a_fit`, exactly."""
    from optlaws_core import predict

    plan = Plan(parse(THREE[0]), batch_tokens=batch)
    steps = range(50, 1000, 10)
    return Run(name, plan, {"train": Series(list(steps), predict(a_fit(), plan, list(steps)))}, lr_source="declared")


def space_with(*fits: Fit, candidates=(), runs=True) -> session.Workspace:
    space = session.Workspace(runs={"long": a_run()} if runs else {}, candidates=list(candidates))
    for i, fit in enumerate(fits):
        space.keep(f"fit {i}", fit)
    return space


def opened(space: session.Workspace, link: list[str] | None = None) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space
    if link is not None:
        app.query_params["s"] = link
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def texts(app: AppTest) -> list[str]:
    return [x.value for kind in (app.text, app.info, app.caption, app.error) for x in kind]


def edit(app: AppTest, edits: dict) -> None:
    """What the browser sends after cells were edited: the edits, and a change of the editor."""
    key = app.data_editor[0].key
    app.session_state[key] = {"edited_rows": edits, "added_rows": [], "deleted_rows": []}
    app.run()
    assert not app.exception, app.exception[0].message


@pytest.fixture
def shown() -> AppTest:
    return opened(space_with(a_fit(), candidates=map(Candidate, THREE)))


# ---------------------------------------------------------------------------------------------------- opening


def test_without_runs_it_says_where_to_go():
    app = opened(space_with(runs=False))
    assert any("Load logs" in t for t in texts(app))


def test_without_a_fit_one_button_makes_one():
    space = space_with()
    space.runs |= {"b": a_run("b"), "c": a_run("c")}
    app = opened(space)
    (button,) = app.button
    assert button.label == "Fit the loaded runs"
    button.click().run()
    assert not app.exception
    assert space.job is not None or space.fits
    if space.job:
        space.job.future.result(timeout=120)
    app.run()
    assert not app.exception
    assert set(space.fits) == {"Average of 2 laws", *(LAWS[n].title for n in POOL)}
    assert space.current in space.fits  # the one to trust: here all runs have one schedule, so no law was judged


def test_a_fit_alone_brings_sensible_candidates():
    app = opened(space := space_with(a_fit()))
    assert [c.schedule.family for c in space.candidates] == ["constant", "cosine", "linear", "wsd", "wsd", "step"]
    assert {(c.schedule.peak, c.schedule.warmup, c.schedule.total) for c in space.candidates} == {(1e-3, 50, 1000)}
    assert len(app.dataframe[-1].value) == 6
    assert any("Held-out RMSE 0.0020, the mean over 1 run " in t for t in texts(app))


def test_untouched_defaults_follow_the_fit_and_edited_ones_stay():
    app = opened(space := space_with(a_fit()))
    other = Plan(parse("cosine(peak=5e-3, warmup=10, total=400)"))
    space.runs["long"] = a_run().declared(other)
    app.run()
    assert {c.schedule.peak for c in space.candidates} == {5e-3}
    space.candidates[0] = Candidate(THREE[0])
    space.runs["long"] = a_run()
    app.run()
    assert space.candidates[0].text == THREE[0]
    assert space.candidates[1].schedule.peak == 5e-3


# ---------------------------------------------------------------------------------------------------- ranking


def test_the_ranking_is_that_of_the_core(shown):
    table, expected = shown.dataframe[-1].value, rank(a_fit(), [parse(t) for t in THREE])
    assert table.schedule.tolist() == [r.schedule.text for r in expected]
    assert table.final_loss.tolist() == [r.final_loss for r in expected]
    assert table.delta.tolist() == [r.delta for r in expected]
    saved = [None if x != x else int(x) for x in table.saved_updates.astype(float)]
    assert saved == [r.saved_updates for r in expected]
    assert table.saved_tokens.dropna().tolist() == [512.0 * n for n in saved if n is not None]
    assert [bool(x) for x in table.extrapolates] == [r.extrapolates for r in expected]
    assert "peak 2e-3, the training runs had 1e-3; 1,500 updates" in " ".join(table.extrapolates)


def test_the_command_line_prints_the_same_numbers(shown, tmp_path, capsys):
    a_fit().save(path := tmp_path / "fit.json")
    assert cli.main(["rank", "--fit", str(path), "--json", *(w for t in THREE for w in ("--schedule", t))]) == 0
    printed, table = json.loads(capsys.readouterr().out), shown.dataframe[-1].value
    assert [r["schedule"] for r in printed] == table.schedule.tolist()
    assert [r["final_loss"] for r in printed] == table.final_loss.tolist()
    assert [r["delta"] for r in printed] == table.delta.tolist()


def test_a_sentence_names_the_best(shown):
    best = shown.dataframe[-1].value.name.tolist()[0]
    assert any(t.startswith(f"{best} ends at ") and "held-out RMSE is 0.0020" in t for t in texts(shown))


def test_a_switched_off_row_takes_no_part():
    rows = [Candidate(THREE[0]), Candidate(THREE[1], on=False), Candidate(THREE[2])]
    app = opened(space_with(a_fit(), candidates=rows))
    assert len(app.dataframe[-1].value) == 2
    none = opened(space_with(a_fit(), candidates=[Candidate(THREE[0], on=False)]))
    assert any("No candidate is in use" in t for t in texts(none))


def test_the_same_schedule_twice_is_two_rows():
    app = opened(space_with(a_fit(), candidates=[Candidate(THREE[0], "a"), Candidate(THREE[0], "b")]))
    assert app.dataframe[-1].value.name.tolist() == ["a", "b"]


def test_the_download_is_the_table():
    ranked = rank(a_fit(), [parse(t) for t in THREE])
    rows = list(csv.DictReader(StringIO(ranking.to_csv(ranking.rows(ranked, ["@a", "b", "c"], None)))))
    assert [float(r["final_loss"]) for r in rows] == [r.final_loss for r in ranked]
    assert rows[0]["name"] == "'@a"


def test_several_fits_are_drawn_and_the_one_in_use_ranks():
    app = opened(space := space_with(a_fit(), a_fit(L_inf=2.0), candidates=map(Candidate, THREE)))
    assert app.selectbox[0].value == "fit 1"
    app.multiselect[0].set_value(["fit 0"]).run()
    assert not app.exception
    assert len(json.loads(app.get("plotly_chart")[0].proto.spec)["data"]) == 3 + 3 + 3  # two fits, and the rates
    app.selectbox[0].set_value("fit 0").run()
    assert not app.exception
    assert space.current == "fit 0"
    assert app.dataframe[-1].value.final_loss[0] == rank(a_fit(), [parse(t) for t in THREE])[0].final_loss


# ---------------------------------------------------------------------------------------------------- bands


def an_average() -> Average:
    """Two laws that differ, with a known spread of coefficients."""
    fits = [
        replace(a_fit(L_inf=low), free=("L_inf",), covariance=((1e-4,),), misfit=2e-3, left_out=4e-3)
        for low in (2.6, 2.61)
    ]
    return Average(tuple(fits), (0.75, 0.25), fits[0].train, fits[0].test, misfit=2e-3, left_out=4e-3)


def areas(app: AppTest) -> list[dict]:
    return [t for t in json.loads(app.get("plotly_chart")[0].proto.spec)["data"] if t.get("fill") == "toself"]


@pytest.mark.parametrize("model", [an_average(), an_average().fits[0]], ids=["average", "fit"])
def test_a_model_with_bands_ranks_draws_and_says_how_sure_it_is(model):
    app = opened(space_with(model, candidates=map(Candidate, THREE)))
    schedules = [parse(t) for t in THREE]
    table, expected = app.dataframe[-1].value, rank(model, schedules)
    assert table.final_loss.tolist() == [r.final_loss for r in expected]
    for row, r in zip(table.itertuples(), expected, strict=True):
        end = with_bands(model, r.schedule)
        low, high = end.band(end.prediction)
        assert row.plus_minus == pytest.approx((high[0] - low[0]) / 2)
    said = " ".join(texts(app))
    assert f"ends at {expected[0].final_loss:.4f} ± {table.plus_minus[0]:.4f} (90 % prediction band)" in said
    assert [t["legendgroup"] for t in areas(app)] == ["prediction", "parameter"]  # of the best alone
    box = next(m for m in app.multiselect if m.label == "Bands of")
    assert box.value == [table.name.tolist()[0]]
    box.set_value(box.options).run()
    assert not app.exception and len(areas(app)) == 6
    next(m for m in app.multiselect if m.label == "Bands of").set_value([]).run()
    assert not app.exception and not areas(app)


def test_a_fit_without_bands_has_neither_bands_nor_a_column_for_them(shown):
    assert not areas(shown) and not any(m.label == "Bands of" for m in shown.multiselect)
    assert not any("prediction band" in t for t in texts(shown))
    assert shown.dataframe[-1].value.plus_minus.isna().all()


def test_bands_are_said_to_settle_the_order_only_where_they_lie_apart():
    ranked, names = rank(a_fit(), [parse(t) for t in THREE]), ["a", "b", "c"]
    fine, coarse = (ranking.Yardstick(rmse, "held-out RMSE", 3) for rmse in (1e-6, 1.0))
    wide = ranking.verdict(ranked, names, fine, [1.0] * 3)
    assert "so the difference is resolved. Their bands overlap, so the order is likely rather than sure." in wide
    assert "Their bands lie apart." in ranking.verdict(ranked, names, fine, [1e-9] * 3)
    unresolved = ranking.verdict(ranked, names, coarse, [1.0] * 3)
    assert ranking.NOT_APART in unresolved and "likely" not in unresolved
    assert "bands" not in ranking.verdict(ranked, names, fine)


def test_an_average_and_a_fit_are_drawn_side_by_side():
    app = opened(space := space_with(a_fit(), an_average(), candidates=map(Candidate, THREE)))
    next(m for m in app.multiselect if m.label == "Also draw").set_value(["fit 0"]).run()
    assert not app.exception
    lines = [t for t in json.loads(app.get("plotly_chart")[0].proto.spec)["data"] if t.get("mode") == "lines"]
    assert len([t for t in lines if t.get("fill") != "toself"]) == 3 + 3 + 3
    space.rename("long", "renamed")
    app.run()
    assert not app.exception and "renamed" in space.fits["fit 1"].fits[0].train


# ---------------------------------------------------------------------------------------------------- editing


def test_a_bad_text_gets_its_sentence_and_the_others_go_on(shown):
    edit(shown, {0: {"text": "cosin(peak=1e-3, total=10)"}})
    assert any("Row 1: Unknown schedule 'cosin'" in t and "Did you mean cosine?" in t for t in texts(shown))
    assert len(shown.dataframe[-1].value) == 2
    assert shown.data_editor[0].value.text[0] == "cosin(peak=1e-3, total=10)"
    edit(shown, {0: {"text": THREE[0]}})
    assert len(shown.dataframe[-1].value) == 3


def test_editing_a_field_changes_the_text_in_place(shown):
    key = shown.data_editor[0].key
    edit(shown, {1: {"decay": 100}})
    assert shown.data_editor[0].value.text[1] == THREE[1].replace("decay=200", "decay=100")
    assert shown.data_editor[0].key == key  # the same editor, so the cursor stays where it was
    edit(shown, {1: {"decay": 100, "peak": 5e-4}})  # edits of one editor accumulate
    assert shown.session_state.workspace.candidates[1].text == THREE[1].replace("200", "100").replace("1e-3", "5e-4")


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
    field(shown, "Total, updates").set_value(10)
    button(shown, "Add it").click().run()
    assert any("warmup must lie between 0 and total − 1 = 9 updates, got 50" in t for t in texts(shown))
    assert len(shown.session_state.workspace.candidates) == 3
    field(shown, "Warmup, updates").set_value(5)
    button(shown, "Add it").click().run()
    assert shown.session_state.workspace.candidates[-1].schedule.total == 10


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
    assert any("Row 2 is left out. A prediction covers at most 1,000,000,000 updates" in t for t in texts(app))
    assert len(app.dataframe[-1].value) == 1


# ---------------------------------------------------------------------------------------------------- links, looks


def test_a_link_opened_first_brings_its_candidates():
    link = [f"{THREE[0]}|<b>mine</b>", f"!{THREE[1]}", "rubbish"]
    app = opened(space := space_with(a_fit()), link)
    assert space.candidates == [
        Candidate(THREE[0], "<b>mine</b>"), Candidate(THREE[1], on=False), Candidate("rubbish")
    ]  # fmt: skip
    assert len(app.dataframe[-1].value) == 1
    assert any("Row 3: A schedule reads like cosine" in t for t in texts(app))
    assert not any("<b>" in m.value for m in app.markdown)


def test_a_link_sets_how_the_chart_is_drawn():
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space_with(a_fit())
    app.query_params |= {"compare_x": charts.AXES["lr"], "compare_part": "last tenth", "compare_log_y": "true"}
    app.run()
    assert not app.exception
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["xaxis2"]["title"]["text"] == charts.AXES["lr"]
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
    assert figure["layout"]["xaxis2"]["title"]["text"] == charts.AXES[x]


def test_tokens_are_asked_for_where_the_runs_do_not_know_them():
    space = space_with(a_fit(), candidates=map(Candidate, THREE))
    space.runs["long"] = a_run(batch=None)
    app = opened(space)
    app.selectbox(key="compare_x").set_value("tokens").run()
    assert any("axis counts updates until you do" in t for t in texts(app))
    app.number_input(key="compare_batch").set_value(1000.0).run()
    assert not app.exception
    assert app.dataframe[-1].value.saved_tokens.notna().any()


def test_observed_runs_are_drawn_behind(shown):
    shown.multiselect(key="compare_observed").set_value(["long"]).run()
    names = [t["name"] for t in json.loads(shown.get("plotly_chart")[0].proto.spec)["data"]]
    assert names[0] == "long (observed)"


def test_published_runs_end_to_end(published):
    """On real runs: fitted, compared, and the same numbers as the core's."""
    from optlaws_core import fit

    size, train, test = published
    found = fit("opt_laws_curve", train, test=test)
    space = session.Workspace(runs={r.name: r for r in (*train, *test)})
    space.keep("fit", found)
    app = opened(space)
    table = app.dataframe[-1].value
    expected = rank(found, [c.schedule for c in space.candidates])
    assert table.final_loss.tolist() == [r.final_loss for r in expected]
    assert table.schedule[0].startswith("wsd(")  # as in the published runs, a late cooldown beats cosine


def labelled(diverged: int = 6) -> dict[str, Run]:
    """Loaded runs of 100,000 parameters, the ones with the highest peaks diverged."""
    peaks = [1e-3 * 2**i for i in range(8)] + [0.5 * 2**i for i in range(diverged)]
    return {
        f"r{i}": Run(
            f"r{i}", Plan(parse(f"constant(peak={p:.4g}, warmup=50, total=1000)"), 1e5, 512.0),
            {"train": Series([0, 999], [9.0, 3.0])}, lr_source="declared", last_step=999,
            about={"outcome": "diverged" if p >= 0.5 else "finished"},
        )
        for i, p in enumerate(peaks)
    }  # fmt: skip


def risky() -> session.Workspace:
    fit = replace(a_fit(), coverage=Coverage((1e-3, 1e-3), (500, 1000), params=(1e5, 1e5)))
    hot = Candidate("linear(peak=4, warmup=50, total=1000)", "hot")
    space = space_with(fit, candidates=[hot, Candidate(THREE[0], "calm"), Candidate(THREE[1], "steady")])
    space.runs |= labelled()
    return space


def test_loaded_runs_that_diverged_set_candidates_apart():
    app = opened(risky())
    table = app.dataframe[-1].value
    assert table.name.tolist()[-1] == "hot" and table.risk.tolist()[-1] > 0.9 > 0.1 > table.risk.max(skipna=True) - 0.9
    assert any("Set apart as likely to diverge: hot." in t for t in texts(app))
    assert any(t.startswith("6 of 14 runs diverged or spiked; they have 100k parameters") for t in texts(app))
    most = next(s for s in app.slider if s.key == "compare_most_risk")
    most.set_value(1.0).run()
    assert not app.exception and not any("Set apart" in t for t in texts(app))


def test_a_risk_can_be_left_out_and_says_why_it_is_not_known():
    app = opened(risky())
    next(s for s in app.selectbox if s.label == "Risk of divergence from").set_value("Not shown").run()
    assert not app.exception and app.dataframe[-1].value.risk.isna().all()
    space = risky()
    for i in range(10, 14):
        space.runs.pop(f"r{i}")
    app = opened(space)
    assert app.dataframe[-1].value.risk.isna().all()
    assert any("Risk of divergence: not known. It is learned from at least 5 loaded runs" in t for t in texts(app))
