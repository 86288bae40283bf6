"""torchtitan: the Config of its LRSchedulersContainer."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, python, word
from ..code import lambda_code
from ..nearest import nearest
from ..stable import EarlyRise, stable_falls

KEY, TITLE = "torchtitan", "torchtitan"


@dataclass(frozen=True)
class Config(EarlyRise):
    """Its Config: `decay_ratio` is a share of `total`."""

    @property
    def holds(self) -> bool:
        """Whether the share stands for the updates that are meant."""
        return round(self.total * (self.decay / self.total)) == self.decay


def candidates(schedule: Schedule) -> Iterator[Config]:
    return (o for o in stable_falls(Config, schedule, ("linear", "cosine", "sqrt")) if o.holds)


def write(schedule: Schedule) -> Export:
    """The scheduler's Config of torchtitan."""
    found = nearest(schedule, candidates(schedule), {"low": (0.0, schedule.peak)})
    o, notes = found.options, found.notes(TITLE)
    if schedule.warmup and not found.exact:
        notes = (*notes, "Its warm-up starts at 1 / warmup_steps of the peak, not at 0.")
    given = {
        "warmup_steps": o.warmup,
        "total_steps": o.total,
        "decay_ratio": o.decay / o.total,
        "decay_type": o.shape,
        "min_lr_factor": o.low / o.peak,
    }
    notes = (*notes, f"The optimizer's lr must be {word(schedule.peak)}; of torchtitan 0.3 (configurations in Python).")
    lines = "".join(f"    {k}={python(v)},\n" for k, v in given.items())
    text = heading(schedule, TITLE, notes) + (
        "\nfrom torchtitan.components.optimizer import LRSchedulersContainer\n\n"
        f"lr_scheduler = LRSchedulersContainer.Config(\n{lines})\n\n"
    )
    text += check_comment(schedule, found.differing)
    return Export(KEY, text, ".py", found.exact, found.deviation, notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=lambda_code(KEY, TITLE, "In the place of each LambdaLR of an LRSchedulersContainer; every lr must be PEAK."),
    native="constant, linear, cosine and wsd, without a warm-up",
    source="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/optimizer/lr_scheduler.py",
    version="torchtitan 0.3",
)
