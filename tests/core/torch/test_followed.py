"""The schedule behind a trainer's scheduler: ours, or recognised from the rates that a LambdaLR will have."""

import math

import pytest
import torch

from optlaws_core.schedules import parse
from optlaws_core.torch import ScheduleLR
from optlaws_core.torch.followed import followed
from tests.support.schedulers import optimizer_of

COSINE = "cosine(peak=3e-4, warmup={}, total={}, final=3e-5)"


def lambda_lr(function) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer_of(3e-4), function)


def cosine_of(warmup: int, total: int):
    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 0.1 + 0.9 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2

    return factor


@pytest.mark.parametrize("warmup, total", [(0, 20), (10, 400), (100, 2_000_000)])
def test_a_lambda_is_known_by_its_rates_without_a_step_of_it(warmup, total):
    scheduler = lambda_lr(cosine_of(warmup, total))
    assert followed(scheduler, total) == parse(COSINE.format(warmup, total))
    assert scheduler.last_epoch == 0


def test_a_schedule_of_ours_is_taken_as_it_is_also_within_a_wrapper():
    class Wrapper:
        scheduler = ScheduleLR(optimizer_of(1.0), COSINE.format(10, 400))

    assert followed(Wrapper(), 300) == followed(Wrapper.scheduler, None) == parse(COSINE.format(10, 400))


def test_what_is_none_of_ours_is_not_guessed():
    def only_so_far(step: int) -> float:
        return [1.0][step]

    assert followed(lambda_lr(only_so_far), 400) is None
    assert followed(lambda_lr(lambda step: 1 + math.sin(step * step)), 400) is None
    assert followed(lambda_lr(cosine_of(10, 400)), None) is None
    assert followed(lambda_lr(cosine_of(10, 400)), 300) is None  # that stops before its end
    assert followed(torch.optim.lr_scheduler.StepLR(optimizer_of(1.0), 30), 400) is None
    assert followed(None, 400) is None
