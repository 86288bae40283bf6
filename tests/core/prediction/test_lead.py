"""What a lead is made of: parts that add up to it, under one law and an average, and the sentence that tells them."""

from dataclasses import replace

import pytest

from optlaws_core import Average, parse, predict
from optlaws_core.prediction.lead import Lead, lead, made_of
from optlaws_core.prediction.verdict import difference
from tests.core.prediction.test_losses import made
from tests.knowledge.twins import THETAS

COSINE, WSD, LINEAR = (
    parse(text)
    for text in (
        "cosine(peak=1e-3, warmup=50, total=1000, final=1e-4)",
        "wsd(peak=1e-3, warmup=50, total=1000, decay=200)",
        "linear(peak=1e-3, warmup=50, total=1000)",
    )
)
NOISE = made()
DROPS = replace(NOISE, law="multi_power", theta=THETAS["multi_power"][0])
STEPS = made("power_law")
BOTH = Average((NOISE, DROPS, STEPS), (0.5, 0.3, 0.2), {}, {}, misfit=None, left_out=None)


@pytest.mark.parametrize("model", [NOISE, DROPS, BOTH], ids=["noise", "drops", "average"])
def test_the_parts_add_up_to_the_lead(model):
    found = lead(model, WSD, LINEAR)
    assert found.total == pytest.approx(float(predict(model, LINEAR)[0] - predict(model, WSD)[0]))
    assert sum(found.parts.values()) == pytest.approx(found.total, rel=1e-9)
    (beside,) = found.parts.keys() & {"noise", "drops", "course"}
    assert min(abs(found.parts["progress"]), abs(found.parts[beside])) > 1e-3


@pytest.mark.parametrize(
    "parts",
    [
        {"progress": 0.00036, "noise": 0.00036},
        {"progress": -0.01, "noise": 0.02244, "peak": 0.00004},
        {"progress": 0.0060001, "noise": -0.0057984, "peak": 0.0000004},
    ],
)
def test_what_is_shown_adds_up_in_the_digits_that_are_shown(parts):
    total = sum(parts.values())
    shown = Lead(total, parts).shown
    digits = len(difference(total).partition(".")[2])
    assert sum(round(10**digits * part) for part in shown.values()) == round(10**digits * float(difference(total)))
    assert all(abs(part - parts[kind]) <= 1.5 * 10**-digits for kind, part in shown.items()) and "peak" not in shown


def test_the_sentence_names_gains_and_costs_and_how_much_the_rates_add_up_to():
    found = lead(NOISE, WSD, COSINE).shown
    assert found["progress"] > 0 > found["noise"]
    assert made_of(NOISE, WSD, COSINE) == (
        f"Its lead of {sum(found.values()):.4f} is {found['progress']:.4f} from more progress (its rates add up to "
        f"60 % more), minus {-found['noise']:.4f} for more noise left at the end."
    )
    assert "gained as its rate falls" in made_of(DROPS, WSD, COSINE)
    assert "the course of its rate" in made_of(BOTH, WSD, COSINE)


def test_no_fall_is_told_of_rates_that_never_fall():
    high, low = (parse(f"constant(peak={peak}, warmup=50, total=1000)") for peak in ("1e-3", "5e-4"))
    averaged = parse(f"rate={high.text}; average=ema(50)")
    for best, other in ((high, low), (averaged, high)):
        if predict(DROPS, best)[0] > predict(DROPS, other)[0]:
            best, other = other, best
        said = made_of(DROPS, best, other)
        assert "the course of its rate" in said and "falls" not in said


def test_rates_that_add_up_to_several_times_as_much_are_told_as_times():
    weak = parse("wsd(peak=1e-5, warmup=50, total=1000, decay=200)")
    assert "(its rates add up to 100 times as much)" in made_of(NOISE, WSD, weak)


def test_a_lead_of_one_part_is_told_as_such():
    alike = (replace(LINEAR, final=1e-4), COSINE)  # whose rates add up to the same
    best, other = sorted(alike, key=lambda schedule: predict(NOISE, schedule)[0])
    assert set(lead(NOISE, best, other).shown) == {"noise"}
    assert "comes from less noise left at the end." in made_of(NOISE, best, other)


def test_nothing_is_said_where_a_law_has_no_such_parts():
    longer = replace(COSINE, total=1200)
    assert lead(STEPS, longer, COSINE).total > 0 and made_of(STEPS, longer, COSINE) == ""


def test_nothing_is_said_of_schedules_that_different_fits_predict():
    one, two = (replace(NOISE, coverage=replace(NOISE.coverage, peak=(peak, peak))) for peak in (1e-3, 2e-3))
    model = replace(NOISE, by_peak=(one, two))
    assert lead(model, WSD, replace(COSINE, peak=2e-3)) is None and lead(model, WSD, COSINE) is not None
