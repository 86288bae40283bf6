"""PyTorch: the formula in the factor of a LambdaLR."""

from ...schedules.base import Schedule
from ..base import Export, Target
from ..code import lambda_lr, scalar

KEY, TITLE = "pytorch", "PyTorch"


def write(schedule: Schedule) -> Export:
    """A LambdaLR, which multiplies the rate that the optimizer was made with."""
    tail = lambda_lr(
        "The scheduler of an optimizer that was made with lr=PEAK; call its step() after each optimizer.step()."
    )
    return scalar(schedule, KEY, TITLE, "lr_at", "step", tail)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    takes="code",
    native="any schedule, as the factor of a LambdaLR",
    source="https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html",
    version="PyTorch 2.13",
)
