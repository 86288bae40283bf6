"""The first page: before logs, with logs in any order, the card of the big run, and what is fitted by itself."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from optlaws_core import OptLawsError, Plan, Run, parse
from optlaws_core.fitting.first_split import for_an_answer
from optlaws_core.fitting.selection import POOL
from optlaws_core.readers import Source
from pages.parts.compare import table as candidate_table
from pages.parts.decide import answer, card, fitting, further
from pages.parts.state import session
from pages.parts.state.big_run import BigRun, moved
from pages.parts.state.candidates import Candidate
from pages.parts.state.workspace import Workspace
from tests.core.prediction.test_joint_losses import sure
from tests.pages.compare.compare_page import PAGE, THREE, a_fit, a_run, opened, space_with, texts
from tests.pages.fit.fit_page import until
from tests.places import ROOT

COSINE = "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)"
SHAPES = {
    "cosine": COSINE,
    "drop": "step(peak=1e-3, warmup=50, total=1000, boundaries=[600], values=[1e-4])",
    "wsd": "wsd(peak=1e-3, warmup=50, total=1000, decay=200)",
}


def log(schedule: str, level: float = 2.5) -> bytes:
    """A run with a smooth loss, its rates logged."""
    rates = parse(schedule)
    rows = (
        f"{t},{level + 30 / (t + 20) + 60 * float(rates(t)):.6f},{float(rates(t)):.9g}\n" for t in range(0, 1000, 5)
    )
    return ("step,loss,lr\n" + "".join(rows)).encode()


def with_logs(names=tuple(SHAPES)) -> Workspace:
    space = Workspace()
    space.load_example()
    for name in names:
        space.upload([Source(f"{name}.csv", log(SHAPES[name]))])
    return space


def answered(space: Workspace) -> AppTest:
    app = opened(space)
    until(app, lambda: app.session_state.workspace.job is None)
    assert not app.exception
    return app


def field(app: AppTest, label: str):
    return next(x for x in app.text_input if x.label == label)


def test_whoever_comes_without_logs_reads_what_this_is_and_tries_it_with_real_runs():
    app = AppTest.from_file(str(ROOT / "pages" / "parts" / "router.py"), default_timeout=120).run()
    assert not app.exception and app.title[0].value == "Opt-Laws"
    assert any("From the logs of a few cheap runs" in t for t in texts(app))
    assert not app.get("plotly_chart") and app.session_state.workspace.job is None
    next(b for b in app.button if b.label == "Try it with real runs").click().run()
    until(app, lambda: app.session_state.workspace.job is None)
    assert not app.exception and len(app.get("plotly_chart")) == 1
    assert any(t.startswith("It is predicted to end at") for t in texts(app))
    assert any("The answer rests on 3 runs" in t for t in texts(app))
    links = next(t for t in texts(app) if "[Export and share]" in t)
    assert re.findall(r"\(#([\w-]+)\)", links) == [h.anchor for h in app.subheader if h.anchor]


def test_logs_are_answered_without_a_click_and_their_order_changes_nothing():
    one, other = answered(with_logs()), answered(with_logs(tuple(reversed(SHAPES))))
    assert set(one.session_state.workspace.fit.train) == set(SHAPES)
    tables = [app.dataframe[-1].value for app in (one, other)]
    assert tables[0].equals(tables[1])
    headlines = [app.subheader[0].value for app in (one, other)]
    assert headlines[0] == headlines[1] and "90\u00a0%" in headlines[0]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["25M", "100M"])
def test_nine_public_logs_get_the_same_answer_with_their_manifest_and_without(size, public):
    said = []
    for named in (False, True):
        space = Workspace()
        files = sorted((public / "multi_power_law" / size).glob("*.csv"), reverse=named)
        space.upload([Source(p.name, p.read_bytes()) for p in files if named or p.name != "manifest.csv"])
        app = answered(space)
        ends = app.dataframe[0].value.drop(columns="Observed")
        more = next(t for t in texts(app) if "is predicted to end at" in t and "The answer rests on 9 runs" in t)
        said.append((app.subheader[0].value, more, ends.round(8).to_csv()))
    assert said[0] == said[1]
    assert said[0][0].startswith("The WSD") and len(said[0][2].splitlines()) == 7


def test_further_logs_are_fitted_by_themselves_but_not_over_a_choice():
    space = with_logs(("cosine", "drop"))
    app = answered(space)
    assert set(space.fit.train) == {"cosine", "drop"}
    space.upload([Source("wsd.csv", log(SHAPES["wsd"]))])
    app.run()
    until(app, lambda: space.job is None)
    assert set(space.fit.train) == set(SHAPES)
    space.keep("mine", a_fit())  # somebody fitted otherwise
    space.upload([Source("more.csv", log(SHAPES["wsd"], 2.51))])
    app.run()
    assert space.job is None and space.current == "mine"
    assert any("Not in the fit in use: " in t and "more" in t for t in texts(app))
    assert "Fit with them" in [b.label for b in app.button]


def test_a_fit_that_a_reload_ended_begins_again():
    app = opened(space := with_logs())
    space.stop()
    again = Workspace()
    again.load(space.stock)
    assert again.choice.train and not again.fits
    app = opened(again)
    until(app, lambda: app.session_state.workspace.job is None)
    assert again.fits and not app.exception


def test_a_cancelled_fit_begins_no_more_by_itself():
    app = opened(space := with_logs())
    if space.job:
        space.stop()
    space.fits.clear()
    app.run()
    assert space.job is None and [b.label for b in app.button if "Fit" in b.label] == ["Fit the loaded runs"]


def test_a_fit_that_is_not_the_advised_one_is_said_and_given_up_with_one_click():
    space = answered(with_logs()).session_state.workspace
    advised = space.current
    app = opened(space)
    assert "Use that" not in [b.label for b in app.button]
    space.current = next(name for name in space.fits if name != advised)
    app.run()
    assert any("Advised for these runs" in t and advised in t for t in texts(app))
    next(b for b in app.button if b.label == "Use that").click().run()
    assert space.current == advised and "Use that" not in [b.label for b in app.button]


# ---------------------------------------------------------------------------------------------------- the big run


def test_the_card_follows_candidates_of_which_none_is_as_it_says():
    app = opened(space := space_with(a_fit(), candidates=map(Candidate, THREE)))
    field(app, "Length").set_value("2,000").run()
    assert space.big_run.total == 2000
    next(b for b in app.button if b.label == "Undo").click().run()
    assert field(app, "Length").value == "1,000 updates" and space.big_run.total == 1000
    space.candidates = [Candidate("wsd(peak=2e-3, warmup=20, total=500, decay=100)")]  # as another tab left it
    app.run()
    assert (space.big_run.total, space.big_run.peak, space.big_run.warmup) == (500, 2e-3, 20)
    assert field(app, "Length").value == "500 updates" and field(app, "Peak learning rate").value == "2e-3"


def test_the_card_says_what_the_logs_tell_and_all_candidates_follow_it():
    app = opened(space := space_with(a_fit(), candidates=map(Candidate, THREE)))
    shown = {x.label: x.value for x in app.text_input if str(x.key).startswith("decide_")}
    assert shown == {
        "Model size": "",
        "Tokens per update": "512",
        "Length": "1,000 updates",
        "Peak learning rate": "1e-3",
        "Warm-up": "50",
    }
    field(app, "Length").set_value("1.024M tokens").run()
    assert field(app, "Length").value == "1.024M tokens"
    field(app, "Length").set_value("3000").run()  # a bare number counts updates, whatever stood there before
    assert space.big_run.total == 3000
    field(app, "Length").set_value("1.024M tokens").run()
    assert space.big_run.total == 2000
    assert [c.schedule.total for c in space.candidates] == [2000, 2000, 3000]
    assert space.candidates[1].schedule.decay == 400
    field(app, "Warm-up").set_value("5 %").run()
    assert [c.schedule.warmup for c in space.candidates] == [100, 100, 100]
    field(app, "Peak learning rate").set_value("2e-3").run()
    assert [c.schedule.peak for c in space.candidates] == [2e-3, 2e-3, 4e-3]
    assert space.candidates[0].schedule.final == 2e-4
    assert not app.exception


@pytest.mark.parametrize(
    ("label", "typed", "logged"),
    [
        ("Tokens per update", "4M", "512"),
        ("Warm-up", "100", "50"),
        ("Length", "3000", "1,000 updates"),
        ("Peak learning rate", "2e-3", "1e-3"),
        ("Model size", "7B", ""),
    ],
)
def test_a_field_of_the_card_that_is_emptied_is_as_in_the_logs(label, typed, logged):
    app = opened(space := space_with(a_fit(), candidates=map(Candidate, THREE[:2])))
    field(app, label).set_value(typed).run()
    assert field(app, label).value != logged
    field(app, label).set_value("").run()
    assert field(app, label).value == logged and not app.error
    assert [c.text for c in space.candidates] == THREE[:2]
    assert any("An empty field takes its value from the logs." in m.help for m in app.markdown if m.help)


@pytest.mark.parametrize(
    ("label", "typed", "said"),
    [
        ("Length", "-5", "The length must be above 0, such as 48k or 100B tokens, got '-5'."),
        ("Model size", "big", "The model size must be above 0, such as 350M or 7B, got 'big'."),
        ("Warm-up", "-1", "The warm-up must be a whole number of 0 or more, such as 2000 or 2 %, got '-1'."),
        ("Length", "40", "must be above the 50 updates of warm-up"),
        ("Warm-up", "2000", "must be shorter than the run"),
        ("Peak learning rate", "high", "The peak learning rate must be above 0, such as 3e-4, got 'high'."),
    ],
)
def test_what_the_card_cannot_read_is_one_sentence_and_changes_nothing(label, typed, said):
    app = opened(space := space_with(a_fit(), candidates=map(Candidate, THREE)))
    before = list(space.candidates)
    field(app, label).set_value(typed).run()
    assert any(said in t for t in texts(app)) and len(app.error) == 1
    assert space.candidates == before and field(app, label).value == typed
    assert len(app.get("plotly_chart")) == 1


def test_one_final_rate_for_all_changes_the_candidates_and_their_address_and_is_kept():
    app = opened(space := space_with(a_fit()))

    def final():
        return next(x for x in app.selectbox if x.label == "Final rate")

    assert final().options == ["each its own", "0", "10 %"]
    for chosen, share, said in (("10 %", 0.1, None), ("0", 0.0, "0"), ("10 %", 0.1, None), ("0", 0.0, "0")):
        if final().value != chosen:  # the first is that of the run at hand, where nobody chose one
            final().set_value(chosen).run()
        assert final().value == chosen and space.big_run.final == share
        assert [getattr(c.rate, "final", None) for c in space.candidates] == [None, *[share * 1e-3] * 4, None]
        assert said in app.query_params["final"] if said else "final" not in app.query_params
    again = Workspace()
    again.load(space.stock)
    assert again.big_run.final == 0
    final().set_value("each its own").run()
    assert [getattr(c.rate, "final", None) for c in space.candidates] == [None, 1e-4, 0, 0, 0, None] and not app.error
    asked = AppTest.from_file(str(PAGE), default_timeout=60)
    asked.session_state.workspace = new = space_with(a_fit())
    asked.query_params["final"] = "0"
    asked.run()
    assert new.big_run.final == 0 == new.candidates[1].rate.final
    new.candidates[1] = Candidate(COSINE)
    asked.run()
    assert new.big_run.final is None  # no longer that of all


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (["constant(peak=1e-3, total=1000)", SHAPES["drop"]], 0.1),
        ([COSINE.replace("1e-4", "5e-5"), "linear(peak=1e-3, total=2000)"], 0.05),
        ([SHAPES["drop"], "linear(peak=1e-3, total=1000)", "wsd(peak=1e-3, total=2000, decay=9, final=2e-4)"], 0.2),
    ],
)
def test_all_end_where_the_runs_at_hand_do_where_nobody_chose_a_final_rate(texts, share):
    assert BigRun.like([Plan(parse(text)) for text in texts]).final == share


@pytest.mark.parametrize(
    "text",
    [
        "power_scheduler(peak=1e-3, warmup=100, total=1000)",
        "cosine(peak=1e-3, warmup=100, total=1000, final=1e-3)",
        "sgdr(peak=1e-3, warmup=0, total=1000, period=400)",
    ],
)
def test_a_rate_that_does_not_decay_tells_no_final_rate(text):
    assert BigRun.like([Plan(parse(text))]).final == 0.1


def test_the_run_that_is_proposed_does_not_depend_on_the_order_of_the_runs():
    texts = [f"cosine(peak={p}, warmup=50, total=1000, final={f})" for p, f in (("2e-3", 0), ("1e-3", 1e-4))]
    plans = [Plan(parse(text)) for text in texts]
    one = BigRun.like(plans)
    assert one == BigRun.like(plans[::-1]) and (one.peak, one.final) == (2e-3, 0)


def test_what_nobody_typed_follows_the_logs_beside_final_rates_of_their_own():
    old, new = BigRun(1e-3, 50, 1000, final=0.1), BigRun(1e-3, 50, 2000, 1e8, 5e5, final=0.1)
    linked = old.of([Candidate("linear(peak=1e-3, warmup=50, total=1000)")])
    assert linked.final is None
    assert linked.following(old, new) == replace(new, final=None)
    assert replace(linked, params=7e9).following(old, new).params == 7e9
    assert replace(linked, warmup=900).following(old, replace(new, total=500)).warmup == 499


def test_candidates_that_cannot_end_at_the_final_rate_of_all_are_named_and_no_rate_above_the_peak_is_taken():
    rows = [COSINE, "exponential(peak=1e-3, warmup=50, total=1000, final=1e-5)", SHAPES["drop"]]
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space = space_with(a_fit(), candidates=map(Candidate, rows))
    app.query_params["final"] = "5"
    app.run()
    assert space.big_run.final is None
    refused = "The address says final='5', but it is a share of the peak, from 0 to 1; it was left out."
    assert refused in [w.value for w in app.warning]
    final = next(x for x in app.selectbox if x.label == "Final rate")
    final.set_value("0").run()
    assert [c.schedule.final for c in space.candidates[:2]] == [0, 1e-5]
    (said,) = (t.value for t in app.caption if "keep their own final rate" in t.value)
    assert said == "These cannot end at 0 and keep their own final rate: the exponential decay, the step schedule."


def test_a_final_rate_is_typed_as_a_rate_or_as_a_share_of_the_peak():
    run, typed = BigRun(1e-3, 50, 1000), card._fields("updates")["final"]
    for text, share, shown in (
        ("2e-4", 0.2, "20 %"),
        ("5%", 0.05, "5 %"),
        ("0", 0.0, "0"),
        ("each its own", None, None),
    ):
        made = typed.changed(run, text)
        assert made.final == share and typed.shown(made) == (shown or text)
    with pytest.raises(OptLawsError, match="^The final rate must be at most the peak, 1e-3, got 2e-3.$"):
        typed.changed(run, "2e-3")


def test_a_size_unlike_that_of_the_runs_is_said_once():
    space = space_with(a_fit(), candidates=map(Candidate, THREE[:2]))
    fit = space.fit
    assert fit.coverage.params is None
    app = opened(space)
    field(app, "Tokens per update").set_value("4M").run()
    assert app.query_params["batch"] == ["4e6"] or app.query_params["batch"] == "4e6"
    again = AppTest.from_file(str(PAGE), default_timeout=60)
    again.session_state.workspace = space_with(a_fit(), candidates=map(Candidate, THREE[:2]))
    again.query_params["batch"] = "4e6"
    again.run()
    assert field(again, "Tokens per update").value == "4M"


def test_candidates_of_which_nothing_is_left_keep_their_numbers():
    old, new = BigRun(1e-3, 50, 1000), BigRun(1e-3, 50, 60)
    rows = [Candidate("wsd(peak=1e-3, warmup=50, total=1000, decay=900)"), Candidate("no schedule"), Candidate(COSINE)]
    found = moved(rows, old, new)
    assert found[0] == rows[0] and found[1] == rows[1] and found[2].schedule.total == 60


@pytest.mark.parametrize(
    "values", [{}, {"peak": 1e-3}, {"peak": -1, "warmup": 0, "total": 5}, {"peak": 1e-3, "warmup": 9, "total": 5}]
)
def test_a_big_run_that_makes_no_sense_is_not_restored(values):
    assert BigRun.kept(values) is None
    run = BigRun(1e-3, 50, 1000, 7e9, None)
    assert BigRun.kept({"peak": 1e-3, "warmup": 50.0, "total": 1000.0, "params": 7e9}) == run


# ---------------------------------------------------------------------------------------------------- what it rests on


def sized(name: str, params: float | None, **about) -> Run:
    run = a_run(name)
    return Run(name, Plan(run.known_plan.schedule, params, 512.0), run.series, lr_source="declared", about=about)


def test_an_answer_rests_on_usable_runs_of_one_size():
    runs = {r.name: r for r in (sized("a", 1e6), sized("b", 1e6), sized("c", 4e6), sized("d", 1e6, outcome="diverged"))}
    runs["e"] = Run("e", None, runs["a"].series, "train")
    used, aside = for_an_answer(runs)
    assert used == ("a", "b")
    assert aside == {"c": "another model size", "d": "it diverged", "e": "no learning rate is known"}
    assert for_an_answer(runs, 4e6)[0] == ("c",)
    assert for_an_answer({n: runs[n] for n in ("a", "c")})[0] == ("c",)  # of as many, the largest
    assert for_an_answer({}) == ((), {})


def test_what_was_read_stands_there_as_chips_with_what_is_not_used():
    space = with_logs()
    space.runs["other"] = sized("other", 5e9)
    app = answered(space)
    chips = [m.value for m in app.markdown if "-badge[" in m.value]
    plain = [re.sub(r"\\", "", c) for c in chips]
    assert any("cosine 1e-3 → 1e-4, 1,000" in c for c in plain) and any("1 not used" in c for c in plain)
    assert set(fitting.usual(space)[0].train) == set(SHAPES)


# ---------------------------------------------------------------------------------------------------- batch, average

WSD = "wsd(peak=1e-3, warmup=50, total=1000, decay=200, shape=linear)"
BATCHED = f"rate={WSD}; batch=steps([0, 500], [1x, 4x])"


def laws_in_use(space: Workspace) -> set[str]:
    return {fit.law for fit, _ in space.fit.parts}


def ranked_with(app: AppTest, words: str) -> bool:
    return any(words in name for name in app.dataframe[0].value["Schedule"])


def test_a_batch_schedule_has_its_law_fitted_and_the_usual_ones_come_back_with_plain_candidates():
    app = answered(space := with_logs())
    usual = space.current
    assert laws_in_use(space) <= set(POOL) and fitting.WHY not in texts(app)
    candidate_table.add(space, [Candidate(BATCHED)])
    app.run()
    until(app, lambda: space.job is None)
    assert not app.exception and laws_in_use(space) == {"noisy_quadratic"}
    assert any(fitting.WHY in t for t in texts(app))
    assert ranked_with(app, "1x→4x")
    space.candidates[-1] = replace(space.candidates[-1], on=False)
    fits = dict(space.fits)
    app.run()
    assert space.job is None and space.current == usual and space.fits == fits  # it was kept
    assert not any(fitting.WHY in t for t in texts(app))


def test_an_average_needs_no_other_law():
    app = opened(space_with(a_fit(), candidates=[*map(Candidate, THREE), Candidate(f"rate={WSD}; average=ema(20)")]))
    assert ranked_with(app, "ema(20)")
    assert not any(fitting.WHY in t for t in texts(app))


def test_over_a_chosen_fit_the_law_of_a_batch_schedule_is_offered():
    space = answered(with_logs()).session_state.workspace
    app = opened(space)  # another session: nothing began by itself here
    candidate_table.add(space, [Candidate(BATCHED)])
    app.run()
    assert space.job is None and laws_in_use(space) <= set(POOL)
    assert any("1x→4x" in t and "does not separate noise from slow progress" in t for t in texts(app))
    next(b for b in app.button if b.label == "Fit that").click().run()
    until(app, lambda: space.job is None)
    assert laws_in_use(space) == {"noisy_quadratic"} and ranked_with(app, "1x→4x")


def test_a_link_with_a_batch_schedule_begins_the_fit_that_predicts_it():
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state.workspace = space = with_logs()
    app.query_params["s"] = [BATCHED]
    app.run()
    until(app, lambda: space.job is None)
    assert [fit.law for fit in space.fits.values()] == ["noisy_quadratic"] and not app.exception
    assert [c.text for c in space.candidates] == [BATCHED]


def test_a_batch_in_tokens_is_left_out_where_nobody_knows_that_of_the_training_runs():
    app = answered(space := with_logs())
    candidate_table.add(space, [Candidate(BATCHED.replace("1x, 4x", "1M, 4M"))])
    app.run()
    until(app, lambda: space.job is None)
    assert any("have no batch in common that is known" in t and "left out of the comparison" in t for t in texts(app))
    assert not app.exception and len(app.dataframe[0].value) == 6


def test_what_reads_other_tokens_is_said_to_and_made_equal_with_one_click():
    space = answered(with_logs()).session_state.workspace
    space.candidates = [Candidate(COSINE), Candidate(BATCHED)]
    app = opened(space)
    next(b for b in app.button if b.label == "Fit that").click().run()
    until(app, lambda: space.job is None)
    assert dict(zip(app.dataframe[0].value["Schedule"], app.dataframe[0].value["Tokens"], strict=True)) == {
        "cosine": "1x",
        "wsd 1x→4x": "2.5x",
    }
    assert any("reading 2.5 times the tokens" in t for t in texts(app)), texts(app)
    assert candidate_table.TOKENS in app.data_editor[0].value.action[0]
    # AppTest cannot click a button column; the callback reads what a click leaves behind
    memory = {"menu": {"row": 1, "label": candidate_table.TOKENS}}
    memory[candidate_table.BASELINE] = app.session_state[candidate_table.BASELINE]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "state", lambda: memory)
        patch.setattr(session, "workspace", lambda: space)
        candidate_table._act("menu")
    assert space.candidates[1].schedule.total == 400 and space.candidates[1].schedule.batch.starts == (0, 200)
    assert space.candidates[1].rate.decay == 80
    app.run()
    assert list(app.dataframe[0].value["Tokens"]) == ["1x", "1x"]
    assert not any("the tokens (" in t or "tokens;" in t for t in texts(app))


def test_the_runs_to_train_next_stand_beneath_the_answer_each_with_its_export():
    """With a fit that knows how far off it is; one that does not says in words what is wanting."""
    known = replace(sure(), train=a_fit().train, test=a_fit().test)
    app = opened(space_with(known, candidates=[Candidate(text) for text in (*THREE, SHAPES["wsd"])]))
    app.session_state[further.BOX] = True
    app.run()
    assert not app.exception
    said = next(t for t in texts(app) if t.startswith("Today the best candidate is the wrong choice with a"))
    assert "expected to cut that to" in said
    exports = [b for b in app.button if b.label == "Export"]
    assert any("updates" in t and "Probability of a wrong choice after it" in t for t in texts(app)) and exports
    exports[0].click().run()
    assert not app.exception and any(box.label == "Trainer" for box in app.selectbox)


def test_the_ranking_of_a_telephone_has_loss_difference_interval_and_chance_in_its_few_columns():
    shown = pd.DataFrame(
        {
            "Schedule": ["a<b>", "cosine"],
            "Loss": [1.25, 1.5],
            "To baseline": [-0.25, None],
            "90 % interval": ["-0.3000 to -0.2000", "baseline"],
            "P(best)": ["<1 %", "99 %"],
        }
    )
    made = answer.narrow(shown, ["#123456", "#654321"])
    assert re.findall(r"<tr>(.*?)</tr>", made)[1:] == [
        '<td><span style="color: #123456">●</span> a&lt;b&gt;</td><td>1.2500</td>'
        "<td>-0.2500<br><small>-0.3000 to -0.2000</small></td><td>&lt;1 %</td>",
        '<td><span style="color: #654321">●</span> cosine</td><td>1.5000</td><td><small>baseline</small></td>'
        "<td>99 %</td>",
    ]


def test_a_pair_is_told_beside_the_ranking_as_its_rows_have_it():
    app = opened(space_with(a_fit(), candidates=map(Candidate, THREE)))
    asked = next(x for x in app.multiselect if x.label == "One or the other?")
    names = app.dataframe[0].value["Schedule"].tolist()
    told = app.dataframe[0].value.set_index("Schedule")
    assert asked.value == [] and asked.options == names
    asked.set_value(names[:2]).run()
    losses = [told["Loss"][name] for name in names[:2]]
    assert any(f" ends {losses[1] - losses[0]:.4f} below the cosine; nothing tells" in t for t in texts(app))
    assert app.query_params["pair"] == names[:2]
    space = app.session_state.workspace
    third = next(c for c in space.candidates if c.family not in names[:2])
    space.candidates = [replace(c, label="the third") if c is third else c for c in space.candidates]
    app.run()
    assert "the third" in app.dataframe[0].value["Schedule"].tolist()
    assert next(x for x in app.multiselect if x.label == "One or the other?").value == names[:2]
