"""nanoGPT: the formula in the place of its function of the iteration."""

from ...schedules.base import Schedule
from ..base import Export, Target, word
from ..code import scalar

KEY, TITLE = "nanogpt", "nanoGPT"


def write(schedule: Schedule) -> Export:
    """The function `get_lr` of train.py."""
    last = word(schedule.total - 1)
    notes = (
        "Put in the place of get_lr in nanoGPT's train.py, and set decay_lr = True; its own warm-up starts at 1 / "
        f"(warmup_iters + 1), not at 0. It trains max_iters + 1 updates: max_iters = {last}.",
    )
    return scalar(schedule, KEY, TITLE, "get_lr", "it", "", notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    takes="code",
    native="any schedule, as its function get_lr",
    source="https://github.com/karpathy/nanoGPT/blob/master/train.py",
    version="the master branch, which has no releases",
)
