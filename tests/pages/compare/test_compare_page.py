"""The Decide page: alone on nothing, with a fit; its ranking, bands and risks; the numbers of the command line."""

import csv
import json
from dataclasses import replace
from io import StringIO

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import LAWS, Average, Coverage, Plan, Run, Series, cli, parse, rank, with_bands
from optlaws_core.fitting.priors import Informed
from optlaws_core.fitting.selection import POOL
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.pairs import against, chances
from pages.parts.compare import columns, predicted, ranking
from pages.parts.state.candidates import Candidate
from pages.parts.state.workspace import Workspace
from pages.parts.widgets.spreadsheet import csv_text
from tests.pages.compare.compare_page import PAGE, THREE, a_fit, a_run, opened, space_with, texts


@pytest.fixture
def shown() -> AppTest:
    return opened(space_with(a_fit(), candidates=map(Candidate, THREE)))


# ---------------------------------------------------------------------------------------------------- opening


def test_without_runs_it_says_where_to_go():
    app = opened(space_with(runs=False))
    assert any("Drop the logs" in t for t in texts(app))
    assert [b.label for b in app.button] == ["Try it with real runs"]


def test_without_a_fit_one_begins_by_itself():
    space = space_with()
    space.runs |= {"b": a_run("b"), "c": a_run("c")}
    app = opened(space)
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
    assert best == "wsd"
    start = "The WSD with a decay over the last 20 % ends at "
    assert any(t.startswith(start) and "held-out RMSE is 0.0020" in t for t in texts(shown))


def test_a_switched_off_row_takes_no_part():
    rows = [Candidate(THREE[0]), Candidate(THREE[1], on=False), Candidate(THREE[2])]
    app = opened(space_with(a_fit(), candidates=rows))
    assert len(app.dataframe[-1].value) == 2
    none = opened(space_with(a_fit(), candidates=[Candidate(THREE[0], on=False)]))
    assert any("No candidate is in use" in t for t in texts(none))


def test_a_candidate_that_was_run_shows_what_was_observed():
    space = space_with(a_fit(), candidates=[Candidate(t) for t in THREE])
    first = next(iter(space.runs.values()))
    text = first.known_plan.schedule.text
    space.candidates = [*space.candidates, Candidate(text)]
    table = opened(space).dataframe[-1].value
    seen = dict(zip(table.schedule, table.observed, strict=True))
    last = first.steps >= 0.99 * first.known_plan.schedule.total
    assert seen[text] == pytest.approx(float(first.loss[last].mean()))
    assert {t for t, loss in seen.items() if loss is pd.NA} == {parse(t).text for t in THREE} - {text}


def test_the_same_schedule_twice_is_two_rows():
    app = opened(space_with(a_fit(), candidates=[Candidate(THREE[0], "a"), Candidate(THREE[0], "b")]))
    assert app.dataframe[-1].value.name.tolist() == ["a", "b"]


def test_the_download_is_the_table():
    ranked = rank(a_fit(), [parse(t) for t in THREE])
    rows = list(csv.DictReader(StringIO(csv_text(columns.rows(ranked, ["@a", "b", "c"], None)))))
    assert [float(r["final_loss"]) for r in rows] == [r.final_loss for r in ranked]
    assert rows[0]["name"] == "'@a"


def test_several_fits_are_drawn_and_the_one_in_use_ranks():
    app = opened(space := space_with(a_fit(), a_fit(L_inf=2.0), candidates=map(Candidate, THREE)))
    fit_in_use = next(i for i, s in enumerate(app.selectbox) if s.label == "Fit in use")
    assert app.selectbox[fit_in_use].value == "fit 1"
    next(m for m in app.multiselect if m.label == "Also draw").set_value(["fit 0"]).run()
    assert not app.exception
    assert len(json.loads(app.get("plotly_chart")[0].proto.spec)["data"]) == 3 + 3 + 3  # two fits, and the rates
    app.selectbox[fit_in_use].set_value("fit 0").run()
    assert not app.exception
    assert space.current == "fit 0"
    assert app.dataframe[-1].value.final_loss[0] == rank(a_fit(), [parse(t) for t in THREE])[0].final_loss


def test_published_runs_end_to_end(published):
    """On real runs: fitted, compared, and the same numbers as the core's."""
    from optlaws_core import fit

    size, train, test = published
    found = fit("opt_laws_curve", train, test=test)
    space = Workspace(runs={r.name: r for r in (*train, *test)})
    space.keep("fit", found)
    app = opened(space)
    table = app.dataframe[-1].value
    expected = rank(found, [c.schedule for c in space.candidates])
    assert table.final_loss.tolist() == [r.final_loss for r in expected]
    assert table.schedule[0].startswith("wsd(")  # as in the published runs, a late cooldown beats cosine


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
    assert (
        f"is predicted to end at {expected[0].final_loss:.4f} ± {table.plus_minus[0]:.4f} (90 % prediction band)"
        in said
    )
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


# ---------------------------------------------------------------------------------------------------- a baseline


def baseline_of(app: AppTest):
    return next(s for s in app.selectbox if s.label == "Compared with")


def test_all_are_compared_with_the_first_cosine_or_with_one_that_is_picked():
    app = opened(space_with(an_average(), candidates=map(Candidate, THREE)))
    order = [r.schedule for r in rank(an_average(), [parse(t) for t in THREE])]
    assert baseline_of(app).value == "cosine" and ranking.BASELINE not in app.query_params
    for name, place in (("cosine", 0), ("constant", 2)):
        baseline_of(app).set_value(name).run()
        assert not app.exception
        table, found = app.dataframe[-1].value, joint(an_average(), order)
        pairs = against(found, order.index(parse(THREE[place])))
        for column in ("difference", "low", "high", "p_below"):
            expected = [None if p.itself and column != "difference" else getattr(p, column) for p in pairs]
            assert [None if v is pd.NA or v != v else v for v in table[column]] == expected
        assert table.p_best.tolist() == chances(found).p_best.tolist()
        assert table.regret.tolist() == chances(found).regret.tolist()
    assert app.query_params[ranking.BASELINE] == "constant"


def test_without_a_cosine_all_are_compared_with_the_second_best():
    app = opened(space_with(an_average(), candidates=[Candidate(THREE[2], "mine"), Candidate(THREE[1], "yours")]))
    table, by_law = app.dataframe[-1].value, app.dataframe[-2].value
    assert baseline_of(app).value == table.name.tolist()[1] == by_law["Schedule"].tolist()[1] == "mine"
    alone = opened(space_with(an_average(), candidates=[Candidate(THREE[0])]))
    assert not any(s.label == "Compared with" for s in alone.selectbox)
    assert alone.dataframe[-1].value.difference.isna().all()


def test_a_link_says_what_all_are_compared_with():
    space = space_with(an_average(), candidates=map(Candidate, THREE))
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space
    app.query_params[ranking.BASELINE] = "wsd"
    app.run()
    assert not app.exception and baseline_of(app).value == "wsd"
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space_with(an_average(), candidates=map(Candidate, THREE))
    app.query_params[ranking.BASELINE] = "rex"
    app.run()
    assert baseline_of(app).value == "cosine"
    assert any("baseline='rex', but there is no such candidate here" in w.value for w in app.warning)


def test_the_sentence_says_which_of_two_is_better_and_how_sure_that_is():
    app = opened(space_with(an_average(), candidates=map(Candidate, THREE)))
    best = app.dataframe[-1].value.iloc[0]
    assert best["name"] == "wsd" and best.high < 0
    said = next(t for t in texts(app) if t.startswith("The WSD"))
    assert said == (
        f"The WSD with a decay over the last 20 % ends {-best.difference:.4f} below the cosine "
        f"(90 %: {-best.high:.4f} to {-best.low:.4f} below); it is the better one with a probability of more than 99 %."
    )
    saved = int(next(row.saved_updates for row in app.dataframe[-1].value.itertuples() if row.name == "cosine"))
    more = next(t for t in texts(app) if t.startswith("To end where the cosine ends"))
    assert more.startswith(f"To end where the cosine ends, it needs {saved:,} updates fewer ({saved / 10:.2g} %). ")
    level = f"It is predicted to end at {best.final_loss:.4f} ± {best.plus_minus:.4f} (90 % prediction band) after "
    assert level in more
    labelled = [Candidate(t, label) for t, label in zip(THREE, ("old", "new", "flat"), strict=True)]
    app = opened(space_with(an_average(), candidates=labelled))
    assert any(t.startswith("new ends ") and " below old (90 %: " in t for t in texts(app))


def test_the_interval_says_that_it_grows_less_than_the_bands_beyond_the_training_runs(shown):
    said = "it widens less than the bands beyond the training runs"
    assert all(said in table.proto.columns for table in (shown.dataframe[0], shown.dataframe[-1]))


def test_two_that_the_runs_do_not_tell_apart_are_said_to_be_so():
    near = [Candidate(THREE[0]), Candidate(THREE[0].replace("1e-4", "1.01e-4"))]
    app = opened(space_with(an_average(), candidates=near))
    said = next(t for t in texts(app) if t.startswith("Too close to call: "))
    assert "the cosine (final 1e-4)" in said and "the cosine (final 1.01e-4)" in said
    assert " below to " in said and " above), and is the better one with a probability of 5" in said


def test_an_average_and_a_fit_are_drawn_side_by_side():
    app = opened(space := space_with(a_fit(), an_average(), candidates=map(Candidate, THREE)))
    next(m for m in app.multiselect if m.label == "Also draw").set_value(["fit 0"]).run()
    assert not app.exception
    lines = [t for t in json.loads(app.get("plotly_chart")[0].proto.spec)["data"] if t.get("mode") == "lines"]
    assert len([t for t in lines if t.get("fill") != "toself"]) == 3 + 3 + 3
    space.rename("long", "renamed")
    app.run()
    assert not app.exception and "renamed" in space.fits["fit 1"].fits[0].train


# ---------------------------------------------------------------------------------------------------- risks


def labelled(diverged: int = 6) -> dict[str, Run]:
    """Loaded runs of 100,000 parameters, the ones with the highest peaks diverged."""
    peaks = [1e-3 * 2**i for i in range(8)] + [0.5 * 2**i for i in range(diverged)]
    return {
        f"r{i}": Run(
            f"r{i}",
            Plan(parse(f"constant(peak={p:.4g}, warmup=50, total=1000)"), 1e5, 512.0),
            {"train": Series([0, 999], [9.0, 3.0])},
            lr_source="declared",
            last_step=999,
            about={"outcome": "diverged" if p >= 0.5 else "finished"},
        )
        for i, p in enumerate(peaks)
    }


def risky() -> Workspace:
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
    most = next(s for s in app.select_slider if s.key == "compare_most_risk")
    assert most.proto.options[10] == "50 %"
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


def test_fits_that_differ_in_what_they_say_of_other_peaks_share_no_curve():
    asked, curves = [(parse("constant(peak=2e-3, total=1000)"), 10)], []
    for power in (1.0, 0.5):
        fit = replace(a_fit(), peak_power=power)
        curves.append(predicted.CURVES.of(predicted.Known.of(fit), asked)[0][1][-1])
    assert curves[0] != curves[1]


def test_fits_made_for_schedules_of_other_lengths_are_told_apart():
    informed = Informed("learned", 1e-3, 1e3, 2.6, 0.01, 1, {"a": 0.5}, 1.5)
    fits = [replace(a_fit(), informed=replace(informed, horizon=horizon)) for horizon in (None, 500, 1_000)]
    assert len({predicted.Known.of(fit) for fit in fits}) == 3
