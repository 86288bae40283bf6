"""Schedules are recognised from logged rates, at the precision of each log, and nothing is claimed beyond it."""

import numpy as np
import pytest

from benchmarks.recognition import PRINTS, Case, cases
from optlaws_core.schedules import parse
from optlaws_core.schedules.recognition import recognise
from optlaws_core.schedules.recognition.precision import roundest, shortest, tolerance

SOME = [case for i, case in enumerate(cases()) if i % 211 == 5]
LOGS = {case for case in SOME if case.print_as not in ("%.6f (llm.c main.log)", "%.2e (llm.c, torchtitan)")}


def printed(text, form="%.17g", every=10, first=0, until=None, shift=0):
    schedule = parse(text)
    steps = np.arange(first, schedule.total if until is None else until, every)
    return steps, np.array([float(form % r) for r in schedule(steps + shift)])


@pytest.mark.parametrize("case", sorted(LOGS, key=str), ids=lambda c: f"{c.schedule} {c.print_as} {c.interval} {c.end}")
def test_a_schedule_is_recognised_as_it_was_declared(case: Case):
    found = case.found()
    assert found is not None and case.is_right(found), found
    steps, rates = case.log()
    assert found.difference <= tolerance(rates).max()


@pytest.mark.parametrize("case", sorted(set(SOME) - LOGS, key=str), ids=str)
def test_coarse_rates_give_the_right_family_or_none(case: Case):
    found = case.found()
    if found is not None:
        assert found.schedule.family == case.schedule.family
        assert found.difference <= found.tolerance


@pytest.mark.parametrize("first", [0, 2160, 2176])
def test_a_cosine_tells_its_warmup_even_where_the_log_lacks_it(first):
    text = "cosine(peak=3e-4, warmup=2160, total=24000, final=3e-5)"
    found = recognise(*printed(text, first=first, every=128))
    assert found.schedule.text == text and found.shift == 0 and found.difference < 1e-18


def test_a_rate_in_single_precision_is_what_people_wrote():
    rates = np.full(50, float(np.float32(3e-4)))
    assert rates[0] != 3e-4
    assert recognise(np.arange(0, 500, 10), rates).schedule.text == "constant(peak=3e-4, warmup=0, total=491)"


@pytest.mark.parametrize("shift", [1, 0, -1])
def test_the_shift_of_a_log_is_found_from_its_warmup(shift):
    text = "cosine(peak=3e-4, warmup=100, total=2000, final=3e-5)"
    found = recognise(*printed(text, first=1, every=7, shift=shift))
    assert (found.schedule.text, found.shift, found.early) == (text, shift, shift)


def test_a_warmup_that_is_counted_from_one_is_told():
    """As llm.c and nanoGPT's forks count: (t + 1)/W in the warm-up, t after it."""
    schedule = parse("cosine(peak=6e-4, warmup=700, total=19000)")
    t = np.arange(0, 19_000, 10)
    rates = np.where(t < 700, 6e-4 * (t + 1) / 700, schedule(np.maximum(t, 700)))
    found = recognise(t, rates)
    assert (found.schedule, found.shift, found.early) == (schedule, 0, 1)


@pytest.mark.parametrize("shape", ["cosine", "1-sqrt", "exponential"])
def test_bent_warmups_are_recognised(shape):
    text = f"wsd(peak=3e-4, warmup=500, total=6000, decay=1000, shape=linear, warmup_shape={shape})"
    assert recognise(*printed(text)).schedule.text == text


def test_a_run_that_was_stopped_goes_on_where_its_total_is_known():
    steps, rates = printed("linear(peak=3e-4, warmup=0, total=5000)", first=10, until=1001)
    found = recognise(steps, rates, total=5000)
    assert found.schedule.text == "linear(peak=3e-4, warmup=0, total=5000)" and found.beyond
    assert recognise(steps, rates).schedule == found.schedule  # it falls to 0 at a whole step


def test_a_total_that_the_curve_contradicts_is_not_believed():
    steps, rates = printed("cosine(peak=3e-4, warmup=0, total=4000)", until=1001)
    found = recognise(steps, rates, total=5000)
    assert found is None or found.schedule.total == 4000


@pytest.mark.parametrize(
    "text",
    [
        "wsd(peak=3e-4, warmup=100, total=5000, decay=1000)",
        "step(peak=3e-4, warmup=100, total=5000, boundaries=[3000], values=[3e-5])",
    ],
)
def test_a_plateau_is_a_constant_rate_that_ends_with_the_log(text):
    found = recognise(*printed(text, until=2001), total=5000)
    assert found.schedule.text == "constant(peak=3e-4, warmup=100, total=2001)" and not found.beyond


def test_no_peak_is_made_up_for_a_log_that_begins_in_a_cooldown():
    """As the logs of cooldowns that were resumed from a checkpoint begin."""
    found = recognise(
        *printed("wsd(peak=1e-3, warmup=300, total=12500, decay=2500)", first=10_050, every=50), warmup=300
    )
    assert found.schedule.text == "wsd(peak=1e-3, warmup=300, total=12500, decay=2500, shape=linear)"


@pytest.mark.parametrize("form", ["%.17g", "%.11g"])
@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("final", ["", ", final=5e-6"])
@pytest.mark.parametrize("warmup, total", [(20, 70), (100, 500), (30, 1000), (100, 1500)])
def test_a_log_that_ends_with_the_rate_at_the_total_is_recognised(warmup, total, final, every, form):
    """As that of a finished run of the Trainer before version 5, with the rate behind its last update."""
    text = f"cosine(peak=5e-5, warmup={warmup}, total={total}{final})"
    found = recognise(*printed(text, form, every, first=every, until=total + 1))
    assert (found.schedule.text, found.shift, found.beyond) == (text, 0, False)


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"wsd(peak=3e-4, warmup=100, total=1500, decay=300{final}, shape={shape})"
            for shape in ("linear", "cosine", "1-sqrt", "square", "mirror-cosine")
            for final in ("", ", final=3e-5")
        ),
        "wsd(peak=3e-4, warmup=100, total=1500, decay=300, final=3e-5, shape=exponential)",
        *(f"linear(peak=3e-4, warmup=100, total=1500{final})" for final in ("", ", final=3e-5")),
        *(
            f"polynomial(peak=3e-4, warmup=100, total=1500{final}, exponent={exponent})"
            for exponent in ("0.5", "2")
            for final in ("", ", final=3e-5")
        ),
        *(f"rex(peak=3e-4, warmup=100, total=1500{final})" for final in ("", ", final=3e-5")),
        "one_cycle(peak=3e-4, warmup=100, total=1500, div=25, final_div=1e4, shape=cosine)",
        "one_cycle(peak=3e-4, warmup=100, total=1500, div=25, final_div=1e4, shape=linear, warmup_shape=linear)",
    ],
)
def test_other_families_may_end_with_the_rate_at_the_total(text):
    steps, rates = printed(text, first=10, until=1501)
    for total in (None, 1500):
        assert recognise(steps, rates, total=total).schedule == parse(text)


def test_a_last_rate_that_is_0_but_for_its_rounding_is_the_end_of_a_cosine():
    steps, rates = printed("cosine(peak=5e-5, warmup=20, total=70)", first=10, until=71)
    rates[-1] = 1e-21
    assert recognise(steps, rates).schedule.text == "cosine(peak=5e-5, warmup=20, total=70)"


@pytest.mark.parametrize("shape, rise", [("cosine", "cosine"), ("linear", "linear")])
def test_one_cycles_rise_from_above_zero(shape, rise):
    text = f"one_cycle(peak=1e-3, warmup=299, total=9999, div=100, final_div=10, shape={shape}, warmup_shape={rise})"
    assert recognise(*printed(text, every=50)).schedule == parse(text)


def test_a_rate_that_still_rises_is_no_constant():
    assert recognise(*printed("constant(peak=1e-3, warmup=3000, total=20000)", until=2500)) is None


def test_the_first_updates_of_a_fall_tell_no_family():
    for text in ("cosine(peak=3e-4, warmup=2160, total=24000)", "exponential(peak=3e-4, warmup=100, total=20000)"):
        found = recognise(*printed(text, form="%.3e", until=2400))
        assert found is None or found.schedule.family == text.partition("(")[0]


@pytest.mark.parametrize(
    "rates",
    [
        np.random.default_rng(0).uniform(1e-4, 1e-3, 400),
        parse("knots(steps=[0, 1000, 3000, 4000], values=[0, 1e-3, 3e-4, 0])")(np.arange(0, 4000, 10)),
        3e-4 * (1 + 1e-4 * np.sin(np.arange(400))),
        parse("cosine(peak=3e-4, warmup=0, total=4000)")(np.arange(0, 4000, 10))
        * np.where(np.arange(400) == 200, 1.001, 1),
        [0.0003] * 200 + [0.0002] * 100 + [0.0001] * 100,  # rounded to four places
        [1e-3, 1e-3, 5e-4],
        [0.0] * 10,
    ],
)
def test_what_no_family_agrees_with_stays_unrecognised(rates):
    assert recognise(np.arange(0, 10 * len(rates), 10), np.array(rates)) is None


def test_tolerances_are_half_of_the_last_printed_digit():
    exact = parse("cosine(peak=3e-4, warmup=100, total=2000, final=3e-6)")(np.arange(2000))
    for print_as, rounded in PRINTS.items():
        rates = rounded(exact)
        assert (np.abs(rates - exact) <= tolerance(rates)).all(), print_as
    assert tolerance(np.array([float(f"{r:.6f}") for r in exact])).max() < 5.1e-7
    assert tolerance(exact).max() < 1e-11


def test_numbers_as_people_write_them():
    assert shortest(2.9999e-4, 3.0001e-4) == 3e-4 and shortest(-1e-9, 1e-9) == 0
    assert roundest(2150, 2170, 2) == [2160, 2150] and roundest(23_990, 24_010, 1) == [24_000]


def test_the_cost_does_not_grow_with_the_log(monkeypatch):
    from optlaws_core.schedules.recognition.curves import Candidate

    rows = []
    at = Candidate.at
    monkeypatch.setattr(Candidate, "at", lambda self, steps: rows.append(len(steps)) or at(self, steps))
    found = recognise(*printed("cosine(peak=3e-4, warmup=2160, total=240000, final=3e-5)", every=1))
    assert found.schedule.total == 240_000
    assert sum(n > 1000 for n in rows) <= 3 * (240_000 // 65_536 + 1)
