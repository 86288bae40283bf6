"""torchtitan: the Config of its LRSchedulersContainer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, python, word
from ..nearest import Options, lengths, levels, nearest, warmups
from ..shapes import fall

KEY, TITLE = "torchtitan", "torchtitan"


@dataclass(frozen=True)
class Config(Options):
    """A warm-up from 1 / warmup_steps, and a fall over the last `decay` updates to `low` at `total`."""

    peak: float
    total: int
    warmup: int
    type: str  # decay_type
    decay: int  # decay_ratio · total
    low: float  # min_lr_factor · peak

    def rates(self, t: FloatArray) -> FloatArray:
        fallen = fall(self.type, (t - (self.total - self.decay)) / max(self.decay, 1))
        late = self.low + (self.peak - self.low) * fallen if self.decay else np.full_like(t, self.peak)
        return np.where(t < self.warmup, self.peak * (t + 1) / max(self.warmup, 1), late)


def candidates(schedule: Schedule) -> Iterator[Config]:
    p, total = schedule.peak, schedule.total
    ends = dict.fromkeys(v for w in warmups(schedule) for v in ((w + 1, w) if w else (w,)) if v <= total)
    for w in ends:
        yield Config(p, total, w, "linear", 0, 0.0)
        decays = [*lengths(schedule, w), total - w]
        for low, d, shape in product(levels(schedule), decays, ("linear", "cosine", "sqrt")):
            if d and w + d <= total and round(total * (d / total)) == d:
                yield Config(p, total, w, shape, d, low)


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
        "decay_type": o.type,
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
    native="constant, linear, cosine and wsd, without a warm-up",
    source="https://github.com/pytorch/torchtitan/blob/main/torchtitan/components/optimizer/lr_scheduler.py",
    version="torchtitan 0.3",
)
