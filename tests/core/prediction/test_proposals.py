"""Which runs to train next: affordable, shorter than the candidates, new, and worth more than others of their cost."""

import itertools

import numpy as np
import pytest

from optlaws_core import DesignError, Plan, Run, Series, parse, propose_runs
from optlaws_core.prediction.cheap_runs import common, options, priced, trained
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.outlook import gain
from optlaws_core.prediction.proposals import LEAST, Question, best_set, within_reach
from tests.core.prediction.test_joint_losses import PLANS, average
from tests.core.prediction.test_losses import made

MODEL = average(0.6, 0.4)
BUDGET = 900
CONSTANT = parse("constant(peak=1e-3, warmup=50, total=500)")


def a_run(schedule, name="plateau", steps=None) -> Run:
    at = np.arange(0, steps or schedule.total, 10)
    return Run(name, Plan(schedule), {"train": Series(at, 3 - 1e-4 * at)}, lr_source="declared")


def test_a_cooldown_from_a_plateau_costs_the_cooldown_alone():
    wsd = parse("wsd(peak=1e-3, warmup=50, total=600, decay=100)")
    run = priced(wsd, {"short": parse("constant(peak=1e-3, warmup=50, total=300)"), "long": CONSTANT})
    assert (run.updates, run.parent, run.at) == (100, "long", 500)
    whole = priced(wsd, {"hotter": parse("constant(peak=2e-3, warmup=50, total=500)")})
    assert (whole.updates, whole.parent, whole.at) == (600, None, 0)


def test_what_two_schedules_share_are_the_updates_with_equal_rates():
    for a, b in itertools.combinations([CONSTANT, *PLANS, parse("constant(peak=1e-3, warmup=20, total=900)")], 2):
        n = common(a, b)
        steps = np.arange(min(a.total, b.total))
        assert (a(steps[:n]) == b(steps[:n])).all()
        assert n == common(b, a)
    assert common(CONSTANT, PLANS[3]) == 500 and common(PLANS[1], PLANS[2]) == 0


def test_a_run_that_ended_early_has_checkpoints_up_to_there():
    early = trained(a_run(parse("wsd(peak=1e-3, warmup=50, total=1000, decay=200)"), steps=400))
    assert early == parse("constant(peak=1e-3, warmup=50, total=400)")
    assert trained(a_run(CONSTANT)) is CONSTANT


def test_options_are_short_affordable_and_new():
    known = [a.resized(total=450) for a in PLANS[:2]]
    found = options(PLANS, [CONSTANT, *known], BUDGET, 2)
    assert not {s.text for s in found} & {s.text for s in known} and len({s.text for s in found}) == len(found)
    assert all(s.total < 1000 and priced(s, {"plateau": CONSTANT}).updates <= BUDGET for s in found)
    assert PLANS[1].resized(total=900) in found and PLANS[2].resized(total=450) in found
    branches = [s for s in found if common(s, CONSTANT) == 500]
    assert branches and all(s.total - s.decay == 500 for s in branches if s.family == "wsd")


def test_runs_of_which_the_first_losses_do_not_count_are_no_options():
    assert not options(PLANS, [], BUDGET, 1, begin=300)
    assert options(PLANS, [], BUDGET, 1, begin=250)


@pytest.fixture(scope="module")
def proposal():
    return propose_runs(MODEL, PLANS, BUDGET, runs=[a_run(CONSTANT)], most=2)


def test_proposed_runs_keep_to_the_budget_and_lower_the_regret(proposal):
    assert 1 <= len(proposal.runs) <= 2 and proposal.updates <= BUDGET
    regrets = [proposal.now.regret, *(p.then.regret for p in proposal.runs)]
    assert sorted(regrets, reverse=True) == regrets and proposal.then.regret < proposal.now.regret - LEAST
    assert 0 < proposal.then.wrong < proposal.now.wrong < 1


def test_the_order_of_the_candidates_changes_no_proposal(proposal):
    turned = propose_runs(MODEL, PLANS[::-1], BUDGET, runs=[a_run(CONSTANT)], most=2)
    assert {p.run.schedule.peak for p in turned.runs} == {p.run.schedule.peak for p in proposal.runs}
    assert turned.then.regret == pytest.approx(proposal.then.regret, rel=0.05)


def test_no_single_affordable_option_is_worth_more_than_the_set():
    able = options(PLANS, [], BUDGET, 2)
    n, found = len(PLANS), joint(MODEL, [*PLANS, *able])
    asked = Question(found, n, able, {})
    places = best_set(asked, BUDGET, 2)
    singles = [gain(found, range(n), [n + i]) for i in range(len(able)) if able[i].total <= BUDGET]
    assert asked.worth(places) >= max(singles) * (1 - 1e-9)
    assert sum(run.updates for run in asked.priced(places)) <= BUDGET


def test_nothing_shorter_than_the_runs_of_the_fit_is_proposed():
    assert MODEL.coverage.total[0] == 500
    assert propose_runs(MODEL, PLANS, 500, most=1).runs and not propose_runs(MODEL, PLANS, 499, most=1).runs


def test_runs_of_another_peak_are_proposed_only_where_no_candidate_has_one_of_the_fit():
    at_peak, hot = PLANS[0], PLANS[0].resized(peak=2 * PLANS[0].peak)
    assert within_reach(MODEL, [at_peak, hot], [at_peak, hot]) == [at_peak]
    assert within_reach(MODEL, [hot], [at_peak, hot]) == [at_peak, hot]


def test_a_decision_that_is_sure_asks_for_no_run():
    found = propose_runs(MODEL, [PLANS[0], PLANS[2]], BUDGET)
    assert found.now.wrong < 0.02 and found.runs == () and found.then == found.now and found.updates == 0


@pytest.mark.parametrize(
    "model, candidates, updates, said",
    [
        (MODEL, PLANS[:1] * 2, BUDGET, "at least two candidates, got 1"),
        (MODEL, PLANS, 0, "at least one update and at least one run, got 0 and 3"),
        (made(), PLANS, BUDGET, "this fit does not know how far off it is"),
        (
            MODEL,
            [PLANS[0], parse("rate=linear(peak=1e-3, warmup=50, total=1000); average=ema(20)")],
            BUDGET,
            "schedule the rate alone, from the start, got a joint",
        ),
    ],
)
def test_what_cannot_be_proposed_for_is_refused_in_a_sentence(model, candidates, updates, said):
    with pytest.raises(DesignError, match=said):
        propose_runs(model, candidates, updates)
