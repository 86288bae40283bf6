"""Plans with an auxiliary rate: their text form, what becomes of them, what they are to laws and to trainers."""

import csv
import io
import json
import runpy
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import ScheduleError, parse, predict
from optlaws_core.exports import TARGETS, export
from optlaws_core.exports.file_names import file_name
from optlaws_core.fitting.coverage import Coverage, outside
from optlaws_core.prediction.observed import rates_of
from optlaws_core.runs import Plan
from optlaws_core.saved.plain import Candidate
from optlaws_core.schedules import Joint, with_rate
from optlaws_core.schedules.joint_schedule import auxiliary_ratio
from optlaws_core.torch import ScheduleLR
from optlaws_core.torch.followed import followed
from optlaws_core.torch.group_rates import current_rate
from tests.core.optimize.test_batch_search import LAW
from tests.support.schedulers import executed, optimizer_of

TOTAL = 400
RATE = "wsd(peak=1e-3, warmup=20, total=400, decay=80, final=1e-4, shape=linear)"
OTHER = "wsd(peak=3e-3, warmup=10, total=400, decay=200, shape=1-sqrt)"
ALIKE = "wsd(peak=3e-3, warmup=20, total=400, decay=80, final=3e-4, shape=linear)"
T = np.arange(TOTAL)


def plan(auxiliary: str, more: str = "") -> Joint:
    return parse(f"rate={RATE}{more}; auxiliary={auxiliary}")


@pytest.mark.parametrize("more", ["", "; batch=steps([0, 100], [6400, 12800]); average=ema(25); weight_decay=0.1"])
def test_a_plan_reads_back_from_its_text_and_from_a_snapshot(more):
    made = plan(OTHER, more)
    assert made.text == f"rate={RATE}{more}; auxiliary={OTHER}"
    assert parse(made.text) == made and hash(parse(made.text)) == hash(made)
    assert Candidate.from_dict(json.loads(json.dumps(Candidate(made).to_dict()))).schedule == made
    assert np.array_equal(made(T), parse(RATE)(T)) and set(parse(OTHER).breaks) < set(made.breaks)
    assert made.to_frame(T)["auxiliary_lr"].tolist() == parse(OTHER)(T).tolist()


@pytest.mark.parametrize("more", ["", "; batch=steps([0, 100], [6400, 12800])"])
def test_a_chart_of_the_plan_draws_both_rates(more):
    made = plan(OTHER, more)
    (line,) = [trace for trace in made.plot().data if trace.name == "auxiliary rate"]
    assert max(line.y) == pytest.approx(3e-3, rel=1e-3) and line.line.dash == "dash"
    assert not [trace for trace in parse(RATE).plot().data if trace.name == "auxiliary rate"]


def test_it_keeps_its_length_and_its_shares_of_the_rate():
    made = plan("wsd(peak=3e-3, warmup=20, total=400, decay=50%)")
    assert made.auxiliary.decay == 200
    long = made.resized(total=800, peak=2e-3)
    assert long.auxiliary == parse("wsd(peak=6e-3, warmup=40, total=800, decay=400)")
    assert made.resized(warmup=30).auxiliary.warmup == 30 and plan(OTHER).resized(warmup=30).auxiliary.warmup == 10
    assert made.rescaled(780).auxiliary == made.auxiliary.rescaled(780)
    same = with_rate(made, parse("linear(peak=1e-3, total=400)"))
    assert same.auxiliary == made.auxiliary
    assert with_rate(made, parse("linear(peak=1e-3, total=200)")).auxiliary == made.auxiliary.resized(total=200)
    assert made.resized(peak=1e-3) == made


@pytest.mark.parametrize(
    ("auxiliary", "said"),
    [
        ("linear(peak=1e-3, total=300)", "auxiliary: the rate must have as many updates as the plan's, 400, got 300"),
        ("0.1", "A schedule reads like"),
        ("linear(peak=0, total=400)", "peak"),
    ],
)
def test_what_is_no_auxiliary_rate_is_refused_in_a_sentence(auxiliary, said):
    with pytest.raises(ScheduleError, match=said):
        plan(auxiliary)
    with pytest.raises(ScheduleError, match="auxiliary must be a schedule"):
        Joint(parse(RATE), auxiliary=plan(OTHER))


# ------------------------------------------------------------------------------------------------------- laws


def test_predictions_are_those_of_the_rate_and_say_so():
    made, bare = plan(OTHER), parse(RATE)
    assert predict(LAW, made)[0] == pytest.approx(predict(LAW, bare)[0], rel=1e-12)
    (said,) = [reason for reason in LAW.reasons(made) if "auxiliary" in reason]
    assert said.startswith("an auxiliary rate, wsd(peak=3e-3") and "which no law covers" in said
    assert len({rates_of(made), rates_of(plan(ALIKE)), rates_of(bare)}) == 3
    assert rates_of(made) == rates_of(plan(OTHER))


def test_nothing_is_said_where_the_training_runs_had_it_in_the_same_proportion():
    had = Coverage.of_plans([Plan(plan(ALIKE)), Plan(plan(ALIKE).resized(peak=2e-3))])
    assert had.auxiliary == pytest.approx((3, 3)) and Coverage.of_plans([Plan(plan(OTHER))]).auxiliary is None
    assert auxiliary_ratio(plan(ALIKE)) == pytest.approx(3) and auxiliary_ratio(plan(OTHER)) is None

    def told(made, coverage=had):
        return any("auxiliary" in reason for reason in outside(coverage, made))

    assert not told(plan(ALIKE)) and told(plan(OTHER)) and told(plan(RATE)) and not told(parse(RATE))
    assert told(plan(ALIKE), replace(had, auxiliary=None))
    assert "auxiliary" not in replace(had, auxiliary=None).to_dict() and had.to_dict()["auxiliary"] == had.auxiliary
    assert not told(plan(ALIKE).resized(peak=1.23456789e-3))  # finals are rounded to four digits
    several = Coverage.of_plans([Plan(plan(ALIKE)), Plan(plan(ALIKE.replace("3e-3", "1e-3")))])
    assert told(plan(ALIKE), several) and told(plan(ALIKE.replace("3e-3", "2e-3")), several)


def test_the_proportion_of_the_two_rates_survives_many_lengths_and_peaks():
    made = plan(ALIKE.replace("3e-3", "8e-3"))
    before = made.auxiliary.peak / made.peak
    for peak in (1.23456e-3, 7.77e-4, 3.3333333e-3, 1e-3):
        made = made.resized(peak=peak)
    assert made.auxiliary.peak / made.peak == pytest.approx(before, rel=1e-9)


# --------------------------------------------------------------------------------------------------- trainers


def rates(scheduler, optimizer) -> np.ndarray:
    """The rates (groups, updates) of a loop that steps the scheduler after the optimizer."""
    found = []
    for _ in range(TOTAL):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return np.array(found).T


@pytest.mark.parametrize("auxiliary", [OTHER, ALIKE, "rex(peak=2e-3, warmup=7, total=400)"])
def test_code_drives_both_groups_and_tables_have_both_rates(auxiliary, tmp_path):
    made = plan(auxiliary)
    found = export(made, "pytorch")
    (file := tmp_path / "plan.py").write_text(found.text)
    runpy.run_path(str(file), run_name="__main__")
    space, optimizer = executed(found.text), optimizer_of(made.peak, made.auxiliary.peak)
    optimizer.param_groups[1]["auxiliary"] = True
    wanted = [made(T), made.auxiliary(T)]
    np.testing.assert_allclose(rates(space["scheduler_for"](optimizer), optimizer), wanted, atol=1e-12)
    rows = list(csv.DictReader(io.StringIO(export(made, "csv", steps=2 * TOTAL).text)))
    assert [float(row["auxiliary_lr"]) for row in rows][:TOTAL] == made.auxiliary(T).tolist()
    assert found.exact and "auxiliary-" in file_name(made, found)


def test_a_wrong_auxiliary_rate_is_found_when_the_file_is_run(tmp_path):
    text = export(plan(OTHER), "pytorch").text
    assert "AUXILIARY_PEAK = 3.0e-3\n" in text
    (file := tmp_path / "plan.py").write_text(text.replace("AUXILIARY_PEAK = 3.0e-3\n", "AUXILIARY_PEAK = 2.0e-3\n"))
    with pytest.raises(AssertionError):
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("target", [key for key, known in TARGETS.items() if "auxiliary" not in known.holds])
def test_other_trainers_name_a_rate_in_proportion_and_refuse_another_shape(target):
    found, rest = export(plan(ALIKE), target), export(parse(RATE), target)
    said = (
        "The plan's auxiliary rate, 3 times its rate in every update, is a setting of the optimizer, which this export "
        "does not write."
    )
    assert found.notes == (said, *rest.notes) and not found.exact
    with pytest.raises(ScheduleError, match="cannot hold an auxiliary rate of another shape than the rate: export"):
        export(plan(OTHER), target)


def test_the_scheduler_for_pytorch_drives_both_groups():
    made, optimizer = plan(OTHER), optimizer_of(1e-3, 3e-3, 6e-3, 5e-4)
    wanted = [made(T), made.auxiliary(T), 2 * made.auxiliary(T), made(T) / 2]
    scheduler = ScheduleLR(optimizer, made, auxiliary=[1, 2])
    np.testing.assert_allclose(rates(scheduler, optimizer), wanted, rtol=1e-12)
    again = ScheduleLR(other := optimizer_of(1e-3, 3e-3, 6e-3, 5e-4), made, auxiliary=[1, 2])
    again.load_state_dict(scheduler.state_dict())
    assert [g["lr"] for g in other.param_groups] == [g["lr"] for g in optimizer.param_groups]


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (f"rate={RATE}; auxiliary={OTHER}", {}, "say which groups follow it, such as auxiliary="),
        (RATE, {"auxiliary": [1]}, "the schedule has no auxiliary rate"),
        (f"rate={RATE}; auxiliary={OTHER}", {"auxiliary": [2]}, "of which there are 2, got 2"),
        (f"rate={RATE}; auxiliary={OTHER}", {"auxiliary": 0}, "auxiliary must be whole numbers such as .1., got 0.$"),
        (f"rate={RATE}; auxiliary={OTHER}", {"auxiliary": ["1"]}, "must be whole numbers such as .1., got .'1'..$"),
        (f"rate={RATE}; auxiliary={OTHER}", {"auxiliary": [False, True]}, "must be whole numbers such as .1., got"),
    ],
)
def test_groups_that_do_not_suit_the_plan_are_refused(text, given, said):
    with pytest.raises(ScheduleError, match=said):
        ScheduleLR(optimizer_of(1e-3, 3e-3), text, **given)


@pytest.mark.parametrize("optimizer_first", [True, False])
@pytest.mark.parametrize(
    ("saved", "then", "now", "said"),
    [
        (RATE, None, [1], "none of them, now it is 1"),
        (f"rate={RATE}; auxiliary={OTHER}", [1], [0], "it was 1, now it is 0"),
    ],
)
def test_a_run_that_is_resumed_with_other_auxiliary_groups_has_their_rates_and_says_so(
    saved, then, now, said, optimizer_first
):
    first = ScheduleLR(optimizer_of(1e-3, 3e-3), saved, auxiliary=then)
    rates(first, first.optimizer)
    resumed = ScheduleLR(optimizer_of(1e-3, 3e-3), made := plan(OTHER), auxiliary=now)
    had, last = list(resumed.ratios), int(T[-1]) + 1
    states = {resumed: first.state_dict(), resumed.optimizer: first.optimizer.state_dict()}
    with pytest.warns(UserWarning, match="^Resumed at update 400") as warned:
        for one in sorted(states, key=lambda one: (one is resumed) == optimizer_first):
            one.load_state_dict(states[one])
    assert said in str(warned[-1].message)
    wanted = [float(made.auxiliary(last) if i in now else made(last)) for i in (0, 1)]
    assert resumed.ratios == had == [1, 1]
    assert [g["lr"] for g in resumed.optimizer.param_groups] == pytest.approx(wanted, rel=1e-12)


def test_the_rate_of_a_run_is_that_of_its_first_group_that_is_not_auxiliary():
    made = plan(OTHER)
    optimizer = optimizer_of(made.auxiliary.peak, made.peak)
    optimizer.param_groups[0]["auxiliary"] = True
    scheduler = executed(export(made, "pytorch").text)["scheduler_for"](optimizer)
    for t in range(30):
        assert current_rate(optimizer) == pytest.approx(float(made(t)), rel=1e-12)
        optimizer.step()
        scheduler.step()
    assert followed(scheduler, made.total) == parse(RATE)


def test_groups_that_do_not_say_whether_they_are_auxiliary_are_refused_by_the_exported_scheduler():
    made = plan(OTHER)
    scheduler_for = executed(export(made, "pytorch").text)["scheduler_for"]
    optimizer = optimizer_of(made.peak, made.auxiliary.peak)
    with pytest.raises(ValueError, match="No parameter group says whether it is auxiliary"):
        scheduler_for(optimizer)
    optimizer.param_groups[0]["auxiliary"] = False  # one of two optimizers
    scheduler_for(optimizer)
