"""ScheduleLR: the rates of every schedule as an optimizer sees them, resumed, in several groups, and of plans."""

import io

import numpy as np
import pytest
import torch

from optlaws_core.errors import ScheduleError
from optlaws_core.schedules import EMA, parse
from optlaws_core.torch import ScheduleLR
from tests.knowledge.twins import shipped
from tests.support.schedulers import driven, optimizer_of

TOTAL = 2000
WSD = "wsd(peak=1e-3, warmup=20, total=100, decay=30, final=1e-5)"
PLAN = "rate=wsd(peak=1e-3, warmup=200, total=2000, decay=400); batch=steps([0, 1000], [4k, 16k]); average=ema(100)"


def rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def stepped(scheduler: ScheduleLR, updates: int) -> list[list[float]]:
    """The rates of all groups in each of the next updates."""
    found = []
    for _ in range(updates):
        found.append(rates_of(scheduler.optimizer))
        scheduler.optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("text", [*shipped(200, TOTAL), PLAN])
def test_every_update_has_the_rate_of_the_schedule(text):
    optimizer, schedule = optimizer_of(1.0), parse(text)
    rates = driven(ScheduleLR(optimizer, text), optimizer, TOTAL)
    assert np.abs(rates - schedule(np.arange(TOTAL))).max() <= 1e-12 * schedule.peak


def test_behind_its_end_the_rate_stays_at_the_end_value():
    scheduler = ScheduleLR(optimizer_of(0.1), WSD)
    assert [rates[0] for rates in stepped(scheduler, 105)[100:]] == [1e-5] * 5


@pytest.mark.parametrize("optimizer_first", [True, False])
@pytest.mark.parametrize("at", [0, 7, 85, 100])
def test_a_resumed_run_goes_on_exactly(at, optimizer_first):
    whole = stepped(ScheduleLR(optimizer_of(1e-3, 3e-4), WSD), 105)
    scheduler = ScheduleLR(optimizer_of(1e-3, 3e-4), WSD)
    assert stepped(scheduler, at) == whole[:at]
    file = io.BytesIO()
    torch.save({"optimizer": scheduler.optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    optimizer = optimizer_of(1e-3, 3e-4)
    if optimizer_first:
        optimizer.load_state_dict(saved["optimizer"])
    resumed = ScheduleLR(optimizer, WSD)
    resumed.load_state_dict(saved["scheduler"])
    assert resumed.get_last_lr() == rates_of(optimizer)
    if not optimizer_first:
        optimizer.load_state_dict(saved["optimizer"])
    assert stepped(resumed, 105 - at) == whole[at:]


def test_a_run_that_branches_off_follows_its_new_schedule_and_says_so():
    scheduler = ScheduleLR(optimizer_of(1e-3), WSD)
    stepped(scheduler, 50)
    branch = ScheduleLR(optimizer_of(1e-3), "wsd(peak=1e-3, warmup=20, total=60, decay=10)")
    with pytest.warns(UserWarning, match=r"^Resumed at update 50 under another schedule than was saved: it was wsd"):
        branch.load_state_dict(scheduler.state_dict())
    assert rates_of(branch.optimizer) == [1e-3] and stepped(branch, 6)[5] == pytest.approx([5e-4])


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_branch_has_its_own_rate_from_its_first_update_whichever_is_loaded_first(optimizer_first):
    scheduler = ScheduleLR(optimizer_of(1e-3, 1e-4), WSD)
    stepped(scheduler, 85)
    branch = ScheduleLR(optimizer_of(1e-3, 1e-4), "constant(peak=1e-3, total=200)")
    saved = {"optimizer": scheduler.optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    assert saved["optimizer"]["param_groups"][0]["lr"] < 8e-4
    with pytest.warns(UserWarning, match="under another schedule"):
        for one in ("optimizer", "scheduler") if optimizer_first else ("scheduler", "optimizer"):
            (branch if one == "scheduler" else branch.optimizer).load_state_dict(saved[one])
    assert stepped(branch, 2) == [pytest.approx([1e-3, 1e-4])] * 2 and branch.get_last_lr() == rates_of(
        branch.optimizer
    )


def test_groups_keep_their_ratio_to_the_first_whatever_its_own_rate_was():
    scheduler = ScheduleLR(optimizer_of(2e-2, 5e-3, 0), WSD)
    assert scheduler.ratios == [1, 0.25, 0]
    assert stepped(scheduler, 41)[40] == [1e-3, 2.5e-4, 0]
    assert ScheduleLR(scheduler.optimizer, WSD).ratios == [1, 0.25, 0]  # of what it was made with, not of what it has


def test_ratios_may_be_given():
    assert stepped(ScheduleLR(optimizer_of(1e-3, 1e-3), WSD, ratios=[0.5, 2]), 41)[40] == [5e-4, 2e-3]


@pytest.mark.parametrize(
    "rates, ratios, said",
    [
        ((0, 1e-3), None, "^ScheduleLR: the first group's learning rate must be above 0, .* got 0; or give ratios.$"),
        ((1, 1), [1], "each group of parameters needs its ratio, got 1 ratio for 2 groups;"),
        ((1, 1), [1, -0.5], "a ratio must be finite and 0 or more, got -0.5.$"),
        ((1, 1), [1, float("nan")], "a ratio must be finite and 0 or more, got nan.$"),
    ],
)
def test_ratios_that_cannot_be_are_refused(rates, ratios, said):
    with pytest.raises(ScheduleError, match=said):
        ScheduleLR(optimizer_of(*rates), WSD, ratios=ratios)


def test_a_group_that_came_later_is_refused_before_any_rate_is_set():
    scheduler = ScheduleLR(optimizer_of(1e-3), WSD)
    scheduler.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    scheduler.optimizer.step()
    with pytest.raises(ScheduleError, match="got 1 ratio for 2 groups; a group that is added must be there before"):
        scheduler.step()


def test_a_rate_that_is_a_tensor_stays_one():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=torch.tensor(1.0), capturable=False)
    rate = optimizer.param_groups[0]["lr"]
    scheduler = ScheduleLR(optimizer, WSD)
    stepped(scheduler, 40)
    scheduler.load_state_dict(scheduler.state_dict())
    assert optimizer.param_groups[0]["lr"] is rate and float(rate) == pytest.approx(1e-3)


def test_a_plan_tells_its_batch_and_its_average():
    scheduler = ScheduleLR(optimizer_of(1.0), PLAN)
    assert [scheduler.batch_at(t) for t in (0, 999, 1000)] == [4000, 4000, 16000] and scheduler.average == EMA(100)
    relative = ScheduleLR(optimizer_of(1.0), "rate=constant(peak=1, total=9); batch=steps([0, 4], [1x, 2x])")
    assert relative.batch_at(5, usual_batch=512) == 1024 and relative.average is None
    assert ScheduleLR(optimizer_of(1.0), WSD).batch_at(5, usual_batch=512) == 512
    assert relative.weight_decay_at(5) is None
    assert (
        ScheduleLR(optimizer_of(1.0), f"rate={WSD}; weight_decay=steps([0, 5], [0.1, 0.2])").weight_decay_at(5) == 0.2
    )
    for scheduler in (relative, ScheduleLR(optimizer_of(1.0), WSD)):
        with pytest.raises(ScheduleError, match="does not say how many tokens an update reads; give usual_batch.$"):
            scheduler.batch_at(5)


def test_a_text_that_is_no_schedule_is_refused():
    with pytest.raises(ScheduleError, match="total"):
        ScheduleLR(optimizer_of(1.0), "wsd(peak=1e-3)")
