"""Candidates with more than a rate: their fields, names, links and words."""

import inspect
import runpy
from dataclasses import replace

import pytest

from optlaws_core import SCHEDULES, parse
from optlaws_core.prediction import verdict
from optlaws_core.prediction.pairs import Pair
from optlaws_core.schedules import joint_text
from pages.parts.compare import columns
from pages.parts.state import candidates as c
from pages.parts.state.beside import Fields, separate, together
from pages.parts.state.big_run import BigRun, moved
from tests.pages.state.test_candidates import BEST, EACH, beside, fit_with, ranked

JOINT = f"rate={EACH['wsd']}; batch=steps([0, 1000], [1x, 4x]); average=ema(100)"


def test_a_field_of_the_rate_is_edited_and_batch_and_average_stay():
    plan = c.Candidate(JOINT)
    assert (plan.family, c.value_of(plan, "decay"), c.value_of(plan, "shape")) == ("wsd", 400, "1-sqrt")
    assert c.with_field(plan, "decay", 500).text == JOINT.replace("decay=400", "decay=500")
    broken = c.with_field(plan, "decay", "many")
    assert broken.problem and broken.text.endswith("; batch=steps([0, 1000], [1x, 4x]); average=ema(100)")
    assert c.with_field(broken, "decay", 400) == plan


@pytest.mark.parametrize("family", SCHEDULES)
def test_a_plan_takes_any_family_and_keeps_batch_and_average(family):
    made = c.with_family(c.Candidate(JOINT), family)
    assert not made.problem and made.family == family
    assert (made.schedule.batch, made.schedule.average) == (parse(JOINT).batch, parse(JOINT).average)


@pytest.mark.parametrize(
    "text",
    [JOINT, JOINT.replace("steps", "ramp"), f"rate={EACH['rex']}; average=merge(8, 20)", EACH["rex"]]
    + [f"rate={EACH['rex']}; batch=steps([0, 2B, 5B], [1M, 2M, 4M], by=tokens)"]
    + [f"{JOINT}; weight_decay=ramp([0, 100%], [0.1, 0])", f"rate={EACH['rex']}; weight_decay=0.1"]
    + [f"rate={EACH['rex']}; auxiliary={EACH['rex']}; text=steps([0, 80%], [web, code]); sequence=4096"],
)
def test_the_fields_for_batch_and_average_read_and_write_their_text(text):
    fields = Fields.of(text)
    assert separate(text) == {"rate": separate(text)["rate"]} | fields.parts
    assert together(separate(text)) == text


@pytest.mark.parametrize("text", ["batch=steps(0, 1x", "rate=x; batch=; foo", "average=ema", "a;b", "rate=a; rate=b"])
def test_a_half_finished_plan_loses_nothing(text):
    assert all(word in together(separate(text)) for word in text.replace(";", " ").split())
    Fields.of(text)


def test_a_plan_is_named_by_its_rate_and_by_what_is_scheduled_beside_it():
    texts = [EACH["wsd"], JOINT, f"rate={EACH['cosine']}; average=merge(8, 20)"]
    texts += [f"rate={EACH['rex']}; batch=steps([0, 5, 6, 7], [1M, 2M, 3M, 4M])"]
    texts += [f"rate={EACH['rex']}; weight_decay=ramp([0, 9], [0.1, 0])"]
    texts += [f"rate={EACH['rex']}; auxiliary={EACH['rex']}; text=steps([0, 9], [web, code]); sequence=4096"]
    texts += [f"{JOINT}; weight_decay=0.1; text=steps([0, 9], [web, code]); sequence=4096"]
    texts += [f"rate={EACH['rex']}; average=ema(9); text=10; sequence=4096"]
    texts += [f"rate={EACH['rex']}; text=steps([0, 5, 6, 7], [a, b, c, d])"]
    rows = [*map(c.Candidate, texts)]
    assert c.names(rows) == [
        "wsd",
        "wsd 1x→4x ema(100)",
        "cosine merge(8, 20)",
        "rex 1M→…→4M",
        "rex wd 0.1→0",
        "rex aux 3e-4 text web→code seq 4096",
        "wsd 1x→4x ema(100) wd 0.1 text web→code seq…",
        "rex ema(9) text 10 seq 4096",
        "rex text a→…→d",
    ]
    assert c.spoken(rows) == [
        "the WSD with a decay over the last 20 %",
        "the WSD with a decay over the last 20 % and a batch of 1x, then 4x read as an EMA of 100 updates",
        "the cosine read as the mean of 8 checkpoints 20 updates apart",
        "the REX with a batch of 1M to 4M tokens in 4 steps",
        "the REX with a weight decay that goes from 0.1 to 0",
        "the REX with an auxiliary rate of up to 3e-4, the texts web, then code, and a sequence length of 4096",
        "the WSD with a decay over the last 20 % and a batch of 1x, then 4x read as an EMA of 100 updates, with a "
        "weight decay of 0.1, the texts web, then code, and a sequence length of 4096",
        "the REX read as an EMA of 9 updates, with the text 10 and a sequence length of 4096",
        "the REX with the texts a, then b, then 2 more",
    ]


def test_a_part_that_has_no_field_yet_stays_in_the_text(monkeypatch):
    monkeypatch.setattr(joint_text, "NAMES", (*joint_text.NAMES, "seed"))
    again = runpy.run_path(inspect.getfile(Fields), run_name="pages.parts.state.beside_again")
    assert again["separate"]("rate=x; seed=3") == {"rate": "x", "seed": "3"}


def test_a_half_life_of_many_digits_is_rounded_in_names():
    row = c.Candidate(f"rate={EACH['rex']}; average=ema(138.28257298606084)")
    assert c.names([row]) == ["rex ema(138)"] and c.spoken([row]) == ["the REX read as an EMA of 138 updates"]


def test_a_link_brings_plans_back_with_their_very_text():
    rows = [c.Candidate(JOINT, "both", on=False, color=5), c.Candidate(JOINT.replace("steps", "ramp"))]
    again = c.from_link(c.to_link(rows))
    assert [(row.text, row.label, row.on) for row in again] == [(row.text, row.label, row.on) for row in rows]


def test_another_big_run_keeps_the_shares_of_a_batch_schedule():
    old = BigRun(3e-4, 100, 2000)
    (made,) = moved([c.Candidate(JOINT)], old, replace(old, peak=6e-4, total=4000))
    assert made.schedule.batch.starts == (0, 2000) and made.schedule.average == parse(JOINT).average
    assert (made.rate.peak, made.rate.total, made.rate.decay) == (6e-4, 4000, 800)


@pytest.mark.parametrize(
    "best, other, batch, said",
    [
        (JOINT, EACH["wsd"], None, ", reading 2.5 times the tokens"),
        (EACH["wsd"], JOINT, None, ", reading 60 % fewer tokens"),
        (JOINT.replace("1x, 4x", "1M, 2M"), EACH["wsd"], 1e6, ", reading 50 % more tokens"),
        (JOINT.replace("1x, 4x", "1M, 2M"), EACH["wsd"], None, ""),  # nobody tells
        (JOINT, JOINT, None, ""),
        (EACH["wsd"].replace("2000", "4000"), EACH["wsd"], None, ""),  # lengths stand in the table
    ],
)
def test_the_verdict_says_what_is_read_beyond_the_baseline(best, other, batch, said):
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    rows = [replace(r, schedule=parse(text)) for r, text in zip(ranked(2.95, 2.9623), (best, other), strict=True)]
    by_error = verdict.sentences(rows, ["a", "b"], yard, batch_tokens=batch)[0]
    assert by_error.startswith(f"a ends at 2.9500, 0.0123 (0.42 %) below b{said}; the fit's")
    pair = Pair(0.0123, 0.004, 0.02, 0.01)
    (by_interval, *_) = verdict.sentences(rows, ["a", "b"], yard, None, beside(BEST, pair), batch_tokens=batch)
    assert f"below){said}; it is the better one" in by_interval


def test_tokens_stand_in_the_ranking_where_a_batch_is_scheduled():
    rows = [replace(r, schedule=parse(t)) for r, t in zip(ranked(2.95, 2.96), (JOINT, EACH["wsd"]), strict=True)]
    table = columns.rows(rows, ["a", "b"], 1e6, baseline=rows[1].schedule)
    assert table.tokens.tolist() == [5e9, 2e9] and table.tokens_times.tolist() == [2.5, 1]
    assert columns.rows(rows[1:], ["b"], 1e6, baseline=rows[1].schedule).tokens.isna().all()


def test_what_is_saved_is_counted_in_tokens_where_a_batch_is_scheduled():
    best, other = ranked(2.95, 2.9623)
    best, other = replace(best, schedule=parse(JOINT)), replace(other, schedule=parse(EACH["wsd"]), saved_updates=900)
    yard = verdict.Yardstick.of(fit_with(train=0.001, test=0.0025))
    apart = beside(BEST, Pair(0.0123, 0.004, 0.02, 0.01))
    said = verdict.sentences([best, other], ["a", "b"], yard, None, apart)[1]
    assert said == "To end where b ends, it needs 900 updates fewer (45 %), reading 34 % more tokens."
    table = columns.rows([best, other], ["a", "b"], 1e6)
    assert table.saved_tokens[1] == 2000e6 - (574 + 4 * 526) * 1e6
    plain = columns.rows([replace(best, schedule=other.schedule), other], ["a", "b"], 1e6)
    assert plain.saved_tokens[1] == 900e6
