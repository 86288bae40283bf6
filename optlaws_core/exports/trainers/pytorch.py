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
    if "auxiliary" in beside(schedule):
        tail = TWO_RATES
    else:
        tail = lambda_lr(
            "The scheduler of an optimizer that was made with lr=PEAK; call its step() after each optimizer.step()."
        )
    return scalar(schedule, KEY, TITLE, "lr_at", "step", tail, _notes(schedule))


READ = ("text", "sequence")
TWO_RATES = '''

def scheduler_for(optimizer, last_epoch=-1):
    """The scheduler of an optimizer; call its step() after each optimizer.step().

    Make its groups of auxiliary parameters with "lr": AUXILIARY_PEAK and "auxiliary": True, all others with
    "lr": PEAK. Of two optimizers, each gets a scheduler of its own; give all groups of the main one
    "auxiliary": False.
    """
    from torch.optim.lr_scheduler import LambdaLR

    def main(step):
        return lr_at(step) / PEAK

    def auxiliary(step):
        return auxiliary_lr_at(step) / AUXILIARY_PEAK

    groups = optimizer.param_groups
    if not any("auxiliary" in group for group in groups):
        raise ValueError('No parameter group says whether it is auxiliary; make those that are with "auxiliary": True.')
    return LambdaLR(optimizer, [auxiliary if group.get("auxiliary") else main for group in groups], last_epoch)
'''


def plan(joint: Joint) -> Export:
    """The same with `batch_at`, an AveragedModel, `set_weight_decay`, and a rate for auxiliary groups."""
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
    groups = (
        'Make the groups of the auxiliary rate with "lr": AUXILIARY_PEAK and "auxiliary": True: the scheduler knows '
        "them by that.",
    )
    had = [name for name in READ if name in beside(schedule)]
    read = [f"{name}_at is for your data loader: no PyTorch class takes it." for name in had]
    told = (*_late(schedule), *read, *(groups if "auxiliary" in beside(schedule) else ()))
    return (*told, *(what if batch else ()), *(decays if decay and max(decay.values) else ()))


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
    holds=frozenset({"weight_decay", "auxiliary", "text", "sequence"}),
    native="any schedule, as the factor of a LambdaLR",
    source="https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html",
    version="PyTorch 2.13",
)
