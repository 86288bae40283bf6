"""PyTorch: the formula in the factor of a LambdaLR."""

from dataclasses import replace

from ...schedules.averaging import EMA
from ...schedules.base import Schedule
from ...schedules.joint_schedule import Joint, beside, parts
from ..base import Export, Target
from ..code import lambda_lr, scalar
from ..plans import begins_elsewhere

KEY, TITLE = "pytorch", "PyTorch"


def write(schedule: Schedule) -> Export:
    """A LambdaLR, which multiplies the rate that the optimizer was made with."""
    tail = lambda_lr(
        "The scheduler of an optimizer that was made with lr=PEAK; call its step() after each optimizer.step()."
    )
    return scalar(schedule, KEY, TITLE, "lr_at", "step", tail, _notes(schedule))


def plan(joint: Joint) -> Export:
    """The same with `batch_at`, an AveragedModel, and `set_weight_decay`."""
    late = _late(joint)
    made = write(joint)
    return replace(made, exact=made.exact and not late)


def _notes(schedule: Schedule) -> tuple[str, ...]:
    batch, decay = parts(schedule)[1], beside(schedule).get("weight_decay")
    what = ("batch_at is for your data loader, or for gradient accumulation: no PyTorch class takes it.",)
    decays = (
        "Make the groups that decay with weight_decay=WEIGHT_DECAY, the plan's highest, and call "
        "set_weight_decay(optimizer, step) before each optimizer.step(): no PyTorch class takes it.",
    )
    return (*_late(schedule), *(what if batch else ()), *(decays if decay and max(decay.values) else ()))


def _late(schedule: Schedule) -> tuple[str, ...]:
    """The sentence on where PyTorch's exponential average begins, where that is seen at the end."""
    average = parts(schedule)[2]
    if not isinstance(average, EMA):
        return ()
    return begins_elsewhere(TITLE, average, schedule.total - 1, "the weights after the first update")


TRAINER = Target(
    KEY,
    TITLE,
    write,
    takes="code",
    plan=plan,
    holds=frozenset({"weight_decay"}),
    native="any schedule, as the factor of a LambdaLR",
    source="https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html",
    version="PyTorch 2.13",
)
