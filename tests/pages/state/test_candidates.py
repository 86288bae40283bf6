"""Candidates: text and fields stay one, nothing is lost, links round-trip, pasted curves become knots."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlaws_core import SCHEDULES, Coverage, Fit, Plan, Ranked, ScheduleError, Scores, Status, parse
from optlaws_core.prediction import verdict
from optlaws_core.prediction.pairs import Compared, Pair
from optlaws_core.readers.pasted import MOST_KNOTS, read_curve
from pages.parts.compare import columns
from pages.parts.compare.table import apply, frame
from pages.parts.state import candidates as c
from pages.parts.state import keeping
from pages.parts.widgets.spreadsheet import csv_text, inert

WSD = c.Candidate("wsd(peak=3e-4, warmup=100, total=2000, decay=400, shape=1-sqrt)")
EACH = {
    "constant": "constant(peak=3e-4, warmup=100, total=2000)",
    "linear": "linear(peak=3e-4, warmup=100, total=2000)",
    "cosine": "cosine(peak=3e-4, warmup=100, total=2000, final=3e-5)",
    "wsd": WSD.text,
    "inverse_sqrt": "inverse_sqrt(peak=3e-4, warmup=100, total=2000)",
    "power": "power(peak=3e-4, warmup=100, total=2000, decay=200, shape=linear)",
    "rex": "rex(peak=3e-4, warmup=100, total=2000)",
    "cyclic": "cyclic(peak=3e-4, warmup=100, total=2000)",
    "step": "step(peak=3e-4, warmup=100, total=2000, boundaries=[1500], values=[3e-5])",
    "knots": "knots(steps=[0, 1500, 2000], values=[3e-4, 3e-4, 0], warmup=100)",
}
EACH |= {
    family: cls.usual(peak=3e-4, warmup=100, total=2000).text for family, cls in SCHEDULES.items() if family not in EACH
}


def test_every_family_is_tried():
    assert set(EACH) == set(SCHEDULES)


# ---------------------------------------------------------------------------------------------------- editing


@pytest.mark.parametrize("family", SCHEDULES)
def test_setting_a_field_to_what_it_is_changes_nothing(family):
    candidate = c.Candidate(EACH[family])
    for field in c.SCALARS:
        value = c.value_of(candidate, field)
        if value is not None and not (family == "knots" and field in ("peak", "total")):  # those follow from its knots
            assert c.with_field(candidate, field, value).schedule == candidate.schedule


def test_an_edited_field_shows_in_the_text_and_an_edited_text_in_the_fields():
    edited = c.with_field(WSD, "decay", 500.0)
    assert edited.text == "wsd(peak=3e-4, warmup=100, total=2000, decay=500, shape=1-sqrt)"
    assert c.value_of(c.with_text(edited, "wsd(peak=1e-3,total=900,decay=90)"), "peak") == 1e-3


def test_a_field_that_breaks_a_rule_keeps_everything_else_and_can_be_repaired():
    broken = c.with_field(WSD, "warmup", 5000)
    assert broken.schedule is None
    assert broken.problem == "wsd: warmup must lie between 0 and total − 1 = 1999 updates, got 5000."
    assert [c.value_of(broken, f) for f in ("warmup", "peak", "decay", "shape")] == [5000, 3e-4, 400, "1-sqrt"]
    assert c.with_field(broken, "warmup", 100).schedule == WSD.schedule


def test_a_field_that_the_family_lacks_is_refused_with_its_name():
    assert "cosine has no field 'decay'" in c.with_field(c.Candidate(EACH["cosine"]), "decay", 100).problem


def test_a_cleared_field_takes_its_default_or_is_asked_for():
    assert c.with_field(c.Candidate(EACH["cosine"]), "final", None).schedule.final == 0
    assert "wsd needs decay" in c.with_field(WSD, "decay", None).problem


def test_a_candidate_that_cannot_end_at_a_share_is_told_from_one_that_ends_there_already():
    assert c.ending_at(c.Candidate(EACH["cosine"]), 0.1) == c.Candidate(EACH["cosine"])
    exponential = c.Candidate("exponential(peak=1e-3, warmup=50, total=1000, final=1e-5)")
    assert c.ending_at(exponential, 0.1).schedule.final == 1e-4
    assert c.ending_at(exponential, 0) is c.ending_at(c.Candidate("constant(peak=1e-3, total=1000)"), 0.1) is None
    assert c.ending_at(c.Candidate(EACH["cosine"]), 5) is None


@pytest.mark.parametrize("old", SCHEDULES)
@pytest.mark.parametrize("new", SCHEDULES)
def test_any_family_turns_into_any_other(old, new):
    changed = c.with_family(c.Candidate(EACH[old], "mine", on=False), new)
    assert changed.problem == ""
    assert (changed.schedule.peak, changed.schedule.total) == (pytest.approx(3e-4, rel=1e-3), 2000)
    if (old, new) != ("one_cycle", "knots"):  # its rise from a rate above 0 is part of the curve
        assert (changed.schedule.peak, changed.schedule.warmup) == (3e-4, 100)
    assert (changed.label, changed.on, changed.family) == ("mine", False, new)


@given(st.text(max_size=80), st.sampled_from(c.SCALARS), st.floats(allow_nan=False) | st.text(max_size=9) | st.none())
@settings(max_examples=300, deadline=None)
def test_no_text_and_no_edit_raises(text, field, value):
    candidate = c.with_text(c.Candidate(""), text)
    assert (candidate.schedule is None) == bool(candidate.problem)
    edited = c.with_field(candidate, field, value)
    assert edited.problem or edited.schedule
    c.names([candidate, edited])
    frame([candidate, edited])


@pytest.mark.parametrize(
    "column, value, text, label, on",
    [
        ("on", False, WSD.text, "", False),
        ("label", " a |\n b ", WSD.text, "a / b", True),
        ("text", "constant(peak=1e-3,total=5)", "constant(peak=1e-3, warmup=0, total=5)", "", True),
        ("text", None, "", "", True),
        ("family", None, WSD.text, "", True),
        ("family", "linear", "linear(peak=3e-4, warmup=100, total=2000)", "", True),
        ("shape", "cosine", WSD.text.replace("1-sqrt", "cosine"), "", True),
    ],
)
def test_a_cell_of_the_table(column, value, text, label, on):
    assert apply(WSD, column, value) == c.Candidate(text, label, on)


def test_columns_of_the_table_keep_their_types_whatever_the_rows_hold():
    rows = [[c.Candidate(t) for t in EACH.values()], [c.Candidate("nonsense", on=False)], [c.Candidate("")]]
    assert len({tuple(map(str, frame(r, losses).dtypes)) for r in rows for losses in ({}, {0: 2.5})}) == 1
    told = frame(rows[0], {1: 2.5})["loss"]
    assert told[1] == 2.5 and told.notna().sum() == 1  # the others are not in use, or cannot be predicted


# ---------------------------------------------------------------------------------------------------- names, defaults


def test_names_are_the_same_in_links_and_in_work_that_is_kept():
    wsd = "wsd(peak=1e-3, warmup=50, total=1000, decay={})"
    rows = c.named([c.Candidate(wsd.format(400))])
    rows = c.named([*rows, c.Candidate(wsd.format(200))])
    six = c.named([c.Candidate(f"{f}(peak=1e-3, warmup=50, total=1000)") for f in ("cosine", "linear")])
    for some in (
        rows,
        c.named([*six, *rows, c.Candidate(wsd.format(100))]),
        c.named(rows[1:]),
        c.named([*rows, replace(rows[0], label="mine", given=("", "", ""))]),
        c.named([*rows[::-1], c.Candidate(wsd.format(400)), c.Candidate(wsd.format(400), "wsd")]),
    ):
        assert c.names(c.from_link(c.to_link(some))) == c.names(some)
        assert c.names(keeping._candidates(keeping._rows(some))) == c.names(some)


def test_names_say_what_differs_and_never_repeat():
    texts = [EACH["cosine"], WSD.text, WSD.text.replace("400", "200"), EACH["cosine"], "nonsense"]
    rows = [*map(c.Candidate, texts), c.Candidate(EACH["linear"], "mine")]
    assert c.names(rows) == ["cosine", "wsd decay 400", "wsd decay 200", "cosine (2)", "not a schedule", "mine"]


def test_a_name_stays_while_others_change_come_and_go():
    short = WSD.text.replace("400", "200")
    rows = c.named([c.Candidate(text) for text in (WSD.text, short, EACH["cosine"])])
    assert c.names(rows) == ["wsd decay 400", "wsd decay 200", "cosine"]
    rows[0] = c.with_field(rows[0], "decay", 200)
    assert c.names(rows) == ["wsd", "wsd decay 200", "cosine"]
    rows = c.named([c.with_label(c.Candidate(short), "wsd decay 200"), c.copied(rows[2]), *rows[1:]])
    assert c.names(rows) == ["wsd decay 200 (2)", "cosine (2)", "wsd decay 200", "cosine"]
    assert c.names(rows[:1]) == ["wsd decay 200 (2)"] and c.names(rows[2:]) == ["wsd decay 200", "cosine"]
    again = c.from_link(c.to_link(rows))
    assert c.names(again) == c.names(rows)
    assert [x.label for x in c.from_link(c.to_link(c.named([c.Candidate(WSD.text)])))] == [""]


@pytest.mark.parametrize("peak, warmup, total", [(3e-4, 2160, 24000), (1e-3, 0, 1), (1e-3, 9, 10), (0.123456789, 1, 3)])
def test_defaults_are_schedules_under_one_peak_and_horizon(peak, warmup, total):
    made = c.defaults(peak, warmup, total)
    assert 5 <= len(made) <= 6
    assert {(x.schedule.warmup, x.schedule.total) for x in made} == {(warmup, total)}
    assert all(x.schedule.peak == pytest.approx(peak, rel=1e-3) for x in made)


def test_defaults_follow_the_longest_training_run():
    cover = Coverage((1e-4, 2e-3), (100, 5000))
    plans = [Plan(parse(EACH["wsd"])), Plan(parse("constant(peak=1e-3, warmup=10, total=3000)"))]
    assert c.base_plan(plans, cover) == (1e-3, 10, 3000)
    logged = Plan(parse("knots(steps=[0, 50, 4000], values=[0, 1e-3, 0])"))  # its warm-up is in the curve
    assert c.base_plan([logged], cover) == (1e-3, 50, 4000)
    assert c.base_plan([], cover) == (2e-3, 0, 5000)


# ---------------------------------------------------------------------------------------------------- links


def test_a_link_brings_back_what_was_put_in():
    rows = [c.Candidate(t) for t in EACH.values()]
    rows += [c.Candidate(WSD.text, "my schedule", on=False), c.Candidate("wsd(peak=oops", "half"), c.Candidate("a|b")]
    assert c.from_link(c.to_link(rows)) == rows


@given(st.lists(st.text(max_size=40), max_size=30))
@settings(deadline=None)
def test_no_link_raises_and_the_second_round_changes_nothing(values):
    rows = c.from_link(values)
    assert len(rows) <= c.MOST
    assert c.from_link(c.to_link(rows)) == rows


def test_a_link_brings_colours_back_also_where_a_text_looks_like_one():
    rows = c.coloured([c.Candidate(t) for t in EACH.values()])[2:5]
    assert [row.color for row in rows] == [2, 3, 4]
    assert [row.color for row in c.from_link(c.to_link(rows))] == [2, 3, 4]
    odd = c.from_link(["0:1:", "1:cosine(peak=1e-3,total=10)|mine"])
    assert (odd[0].text, odd[0].color) == ("1:", 0) and odd[1].label == "mine"
    assert c.from_link(c.to_link(odd)) == odd


def test_a_candidate_keeps_its_colour_when_others_come_and_go():
    rows = c.coloured([c.Candidate(t) for t in EACH.values()][:3])
    assert [row.color for row in rows] == [0, 1, 2]
    rest = c.coloured(rows[1:])
    assert [row.color for row in rest] == [1, 2]
    assert [row.color for row in c.coloured([*rest, WSD, WSD])] == [1, 2, 0, 3]
    assert [row.color for row in c.coloured([rest[1], *rest])] == [2, 1, 0]  # each is one candidate's alone


def test_a_link_ends_before_it_is_too_long():
    long = "knots(steps=[" + ", ".join(map(str, range(0, 3000, 3))) + "], values=[" + ", ".join(["1e-3"] * 1000) + "])"
    rows = [WSD, c.Candidate(long), WSD]
    assert rows[1].schedule is not None
    assert len(c.to_link(rows)) == 1
    assert c.to_link([WSD] * 30) == [WSD.text.replace(", ", ",")] * c.MOST


# ---------------------------------------------------------------------------------------------------- curves


@pytest.mark.parametrize("between", [",", "\t", " ", ";", " , "])
@pytest.mark.parametrize("header", ["", "step,lr\n", "# a comment\n\nIteration,Learning_Rate\n"])
def test_a_pasted_curve_is_read_whatever_separates_its_columns(between, header):
    rows = ["0,0", "100,3e-4", "1500,3e-4", "1500,3e-5", "2000,0"]
    curve = read_curve((header + "\n".join(rows)).replace(",", between))
    assert curve.schedule == parse("knots(steps=[0,100,1500,1500,2000], values=[0,3e-4,3e-4,3e-5,0], warmup=100)")
    assert curve.sentence == "5 rows became 5 knots that follow them exactly: 2,000 updates, warm-up 100."


def test_columns_are_found_by_name():
    curve = read_curve("lr,loss,step\n1e-3,4,0\n1e-3,3,500\n0,2,1000\n".encode("utf-8-sig"))
    assert curve.schedule == parse("knots(steps=[0, 500, 1000], values=[1e-3, 1e-3, 0])")


@pytest.mark.parametrize("family", SCHEDULES)
def test_a_schedule_listed_step_by_step_comes_back_as_itself(family):
    schedule = parse(EACH[family])
    steps = np.arange(schedule.total)
    curve = read_curve("\n".join(f"{t} {lr!r}" for t, lr in zip(steps.tolist(), schedule(steps).tolist(), strict=True)))
    assert curve.schedule.total == schedule.total  # the last row is the last update
    assert len(curve.schedule.steps) <= MOST_KNOTS
    np.testing.assert_allclose(curve.schedule(steps), schedule(steps), atol=2e-3 * schedule.peak)
    rises = 0 if family == "one_cycle" else schedule.warmup
    assert curve.schedule.warmup == rises  # a straight line from 0 is known as what it is


def test_a_curve_that_starts_late_is_held_back_to_step_0():
    assert read_curve("10 1e-3\n500 1e-3\n1000 0").schedule.steps == (0, 500, 1000)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "at least 2 rows of step and learning rate, got 0"),
        ("0 1e-3", "at least 2 rows of step and learning rate, got 1"),
        ("step\n0\n1", "Line 1: a curve has two columns, step and learning rate, got 'step'"),
        ("0 1e-3\n5", "Line 2: a curve has two columns, step and learning rate, got '5'"),
        ("0 1e-3\n1 abc", "Line 2: the learning rate must be a number, got 'abc'"),
        ("0 1e-3\n1 nan", "Line 2: the learning rate must be a number, got 'nan'"),
        ("0 1e-3\n1 -1", "Line 2: the learning rate must not be negative, got -1"),
        ("0 1e-3\n1.5 1", "Line 2: steps count updates and must be whole numbers, got 1.5"),
        ("0 1e-3\n9 1\n3 1", "Line 3: steps must not go backwards, got 3 after 9"),
        ("0 1\n9 1\n9 2\n9 1\n20 1", "Line 4: a step may occur twice"),
        ("0 0\n9 0", "must be above 0 somewhere, but all 2 rates are 0"),
        ("\x00\x01\x02PNG", "two columns"),
    ],
)
def test_a_bad_curve_is_refused_with_its_line(text, message):
    with pytest.raises(ScheduleError, match=message):
        read_curve(text)


# ---------------------------------------------------------------------------------------------------- words


def ranked(*finals: float, reasons: tuple[str, ...] = ()) -> list[Ranked]:
    return [Ranked(WSD.schedule, f, f - finals[0], None if i == 0 else 100 * i, reasons) for i, f in enumerate(finals)]


def fit_with(**scores: float) -> Fit:
    made = {k: {f"{k}{i}": Scores(9, v, v, 1, 0, 0) for i in range(2)} for k, v in scores.items()}
    return Fit(
        law="power_law",
        theta={"L_inf": 2.0, "A": 3.0, "alpha": 0.5},
        interval={},
        status=Status.tuned,
        message="",
        objective=0.0,
        coverage=Coverage((1, 1), (1, 1)),
        **{"train": {}} | made,
    )


def test_the_verdict_weighs_the_difference_with_the_error_of_the_fit():
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    assert verdict.verdict(ranked(2.95, 2.9623), ["a", "b"], yard) == (
        "a ends at 2.9500, 0.0123 (0.42 %) below b; the fit's held-out RMSE is 0.0025, so the difference is resolved."
    )
    near = verdict.verdict(ranked(2.95, 2.951, 2.952, 3.1), ["a", "b", "c", "d"], yard)
    assert near.endswith("so the two are not told apart. Nor is it told apart from c.")
    for losses, names in (((2.9, 3.0), ["a", "b"]), ((2.9,), ["a"])):
        said = verdict.verdict(ranked(*losses, reasons=("x", "y")), names, yard)
        assert said.endswith(" The best lies beyond the training runs (x; y), so check it with a run first.")
    assert verdict.verdict(ranked(2.9), ["a"], yard).startswith("a is predicted to end at 2.9000.")
    assert verdict.verdict([], [], yard) == ""


def test_the_verdict_weighs_only_candidates_that_are_not_set_apart():
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    rows = [*ranked(2.95, 2.9623), *(replace(r, risk=0.9, apart=True) for r in ranked(2.5))]
    assert verdict.verdict(rows, ["a", "b", "c"], yard, [0.01, 0.01, 0.01]) == (
        f"{verdict.verdict(rows[:2], ['a', 'b'], yard, [0.01, 0.01])} Set apart as likely to diverge: c."
    )
    assert verdict.verdict(rows[2:], ["c"], yard) == "c is likely to diverge. Try a lower peak."
    table = columns.rows(rows, ["a", "b", "c"], None)
    assert table.risk.isna().tolist() == [True, True, False] and table.name.tolist() == ["a", "b", "c"]


def beside(*pairs: Pair) -> list[Compared]:
    """What is known of each candidate beside the best one."""
    return [Compared(None, p, None, None) for p in pairs]


BEST = Pair(0.0, 0.0, 0.0, 0.5)


def test_the_verdict_says_how_sure_a_difference_is_where_that_is_known():
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    rows, names = ranked(2.95, 2.952, 2.961), ["the WSD", "old", "the cosine"]
    near, far = Pair(0.002, -0.004, 0.008, 0.29), Pair(0.011, 0.006, 0.016, 0.0002)
    assert verdict.verdict(rows, names, yard, [0.03] * 3, beside(BEST, near, far), 2) == (
        "The WSD ends 0.0110 below the cosine (90 %: 0.0060 to 0.0160 below); it is the better one with a probability "
        "of more than 99 %. To end where the cosine ends, it needs 200 updates fewer (10 %). It is predicted to end "
        "at 2.9500 ± 0.0300 (90 % prediction band) after 2,000 updates. Its lead over old is within the uncertainty "
        "(its 90 % interval holds 0)."
    )
    for baseline in (None, 0, 1):  # the best itself is compared with the second best
        assert verdict.verdict(rows, names, yard, [0.03] * 3, beside(BEST, near, far), baseline) == (
            "Too close to call: the WSD is predicted to end 0.0020 below old (90 %: 0.0080 below to 0.0040 above), and "
            "is the better one with a probability of 71 %. It is predicted to end at 2.9500 ± 0.0300 (90 % prediction "
            "band) after 2,000 updates."
        )
    tied = verdict.verdict(rows, names, yard, None, beside(BEST, near, Pair(0.011, -0.001, 0.02, 0.07)))
    assert tied.endswith("Its lead over the cosine is also within the uncertainty (its 90 % interval holds 0).")
    twins = verdict.verdict(ranked(2.95, 2.95), ["a", "b"], yard, None, beside(BEST, BEST))
    assert twins == "a and b are the same run. It is predicted to end at 2.9500 after 2,000 updates."


def test_one_pair_is_told_in_either_order_alike():
    far, near = Pair(-0.011, -0.016, -0.006, 0.98), Pair(0.002, -0.004, 0.008, 0.29)
    for one, other, pair in (("the WSD", "b", far), ("b", "the WSD", far.turned)):
        assert verdict.of_pair(pair, one, other) == (
            "The WSD ends 0.0110 below b (90 %: 0.0060 to 0.0160 below); it is the better one with a probability of "
            "98 %."
        )
    assert verdict.of_pair(near, "a", "b").startswith("Too close to call: b is predicted to end 0.0020 below a (90 %: ")
    assert verdict.of_pair(Pair(-0.01), "a", "b") == "a ends 0.0100 below b; nothing tells how sure that is."
    assert verdict.of_pair(BEST, "a", "b") == "b and a are the same run."


def test_the_error_of_the_fit_has_no_say_where_differences_have_intervals():
    """One rule, not two: a difference far below the fit's error is believed if its interval leaves 0 out."""
    coarse = verdict.Yardstick(1.0, "held-out RMSE", 3, paired=True)
    small = Pair(0.002, 0.001, 0.003, 0.001)
    said = verdict.verdict(ranked(2.95, 2.952), ["a", "b"], coarse, [0.03] * 2, beside(BEST, small))
    assert said.startswith("a ends 0.0020 below b (90 %: 0.0010 to 0.0030 below)") and "RMSE" not in said
    assert coarse.sentence.endswith("has not seen. Differences between candidates have intervals of their own.")
    assert "not resolved" not in coarse.sentence
    unknown = verdict.verdict(ranked(2.95, 2.952), ["a", "b"], coarse, None, beside(Pair(0.0), Pair(0.002)))
    assert unknown == verdict.verdict(ranked(2.95, 2.952), ["a", "b"], coarse)
    assert unknown.endswith("so the two are not told apart.")


def test_a_baseline_that_is_set_apart_is_not_what_the_best_is_compared_with():
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    rows = [*ranked(2.95, 2.9623), *(replace(r, risk=0.9, apart=True) for r in ranked(2.5))]
    far = Pair(0.0123, 0.006, 0.016, 0.0002)
    said = verdict.verdict(rows, ["a", "b", "c"], yard, None, beside(BEST, far, Pair(-0.45, -0.5, -0.4, 1.0)), 2)
    assert said.startswith("a ends 0.0123 below b (90 %") and said.endswith("Set apart as likely to diverge: c.")


def test_a_candidate_is_called_in_words_in_a_sentence():
    texts = [EACH["cosine"], EACH["wsd"], EACH["wsd"].replace("1-sqrt", "linear"), EACH["rex"], EACH["wsd_s"]]
    rows = [*map(c.Candidate, texts), c.Candidate(EACH["cosine"], "The old one"), c.Candidate("nothing(")]
    assert c.spoken(rows) == [
        "the cosine",
        "the WSD with a decay over the last 20 % (1-sqrt)",
        "the WSD with a decay over the last 20 % (linear)",
        "the REX",
        "the WSD-S",
        "The old one",
        "not a schedule",
    ]
    twice = [c.Candidate(EACH["cosine"]), c.Candidate(EACH["cosine"])]
    assert c.spoken(twice) == ["the cosine", "the cosine (2)"]
    assert all(" " in name for name in c.spoken([c.Candidate(text) for text in EACH.values()]))


def test_the_yardstick_is_the_held_out_error_where_there_is_one():
    assert "Held-out RMSE 0.0025, the mean over 2 runs" in verdict.Yardstick.of(fit_with(train=1, test=0.0025)).sentence
    assert "Training RMSE 0.0010 over 2 runs; no run" in verdict.Yardstick.of(fit_with(train=1e-3)).sentence
    assert "not judged on any run" in verdict.Yardstick.of(fit_with()).sentence


def test_the_csv_holds_full_numbers_and_no_formulas():
    rows = ranked(2.95, 2.95 + 1 / 3)
    table = columns.rows(rows, ["=HYPERLINK(1)", "ok"], 1000.0)
    back = pd.read_csv(io.StringIO(csv_text(table)))
    assert back.final_loss.tolist() == [2.95, 2.95 + 1 / 3]
    assert back.name.tolist() == ["'=HYPERLINK(1)", "ok"]
    assert back.saved_tokens.tolist()[1] == 100_000
    assert np.isnan(back.saved_updates[0])
    assert [inert(x)[0] for x in ("=1", "+1", "-1", "@x", " \t=1")] == ["'"] * 5
    assert inert(-1.5) == -1.5


def test_what_lies_far_beyond_the_training_runs_is_not_answered():
    yard, far = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025)), ("peak 5, the training runs had 3e-4",)
    names, pairs = ["the WSD", "the cosine"], beside(BEST, Pair(0.011, 0.006, 0.016, 0.0002))
    rows = ranked(2.95, 2.961, reasons=far)
    near = verdict.sentences(rows, names, yard, [0.03] * 2, pairs)
    assert near[0].endswith("a probability of more than 99 %, if the law holds that far beyond the training runs.")
    assert verdict.sentences(rows, names, yard, [0.3] * 2, pairs) == [
        "The WSD lies too far from the training runs for an answer: peak 5, the training runs had 3e-4.",
        "Its predicted loss, 2.95 ± 0.3, is a guess, and so are all differences.",
    ]
    inside = verdict.sentences(ranked(2.95, 2.961), names, yard, [0.3] * 2, pairs)
    assert inside[0].endswith("more than 99 %.")  # a wide band of what was covered is what the runs tell
