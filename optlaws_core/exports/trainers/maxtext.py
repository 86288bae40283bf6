"""MaxText: keys of its YAML; one warm-up, one stable phase, one line or half-cosine down.

Its falls end at the last step of the schedule, where a schedule here ends one step later: the schedule that it is told
is one step longer than the run, which its base.yml admits.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, word
from ..code import array
from ..nearest import nearest
from ..stable import StableFall, stable_falls

KEY, TITLE = "maxtext", "MaxText"


@dataclass(frozen=True)
class Keys(StableFall):
    """Its create_learning_rate_schedule."""

    @property
    def steps(self) -> int:
        """Steps of the schedule."""
        return self.total + 1

    @property
    def falling(self) -> int:
        """Steps of the fall, both ends among them."""
        return self.decay + 1 if self.decay else 0

    @property
    def fractions(self) -> tuple[float, float]:
        """The shares of warm-up and fall."""
        return _share(self.warmup, self.steps), _share(self.falling, self.steps)

    @property
    def holds(self) -> bool:
        """Whether both shares stand for the steps that are meant, and are no more than all of them together."""
        early, late = self.fractions
        return early + late <= 1 and int(self.steps * early) == self.warmup and int(self.steps * late) == self.falling


def _share(steps: int, total: int) -> float:
    """A share of `total` which, times it and rounded down, is `steps`."""
    share = steps / total
    return share if int(total * share) == steps else math.nextafter(share, 1.0)


def candidates(schedule: Schedule) -> Iterator[Keys]:
    return (o for o in stable_falls(Keys, schedule, ("linear", "cosine")) if o.holds)


def write(schedule: Schedule) -> Export:
    """Keys of MaxText's configuration."""
    found = nearest(schedule, candidates(schedule), {"low": (0.0, schedule.peak)})
    o, notes = found.options, (*found.notes(TITLE), "JAX computes in 32 bits, so to about 3e-7 of the peak.")
    early, late = o.fractions
    text = heading(schedule, TITLE, notes) + (
        f"\nsteps: {o.total}\nlearning_rate_schedule_steps: {o.steps}\nlearning_rate: {word(o.peak)}\n"
        f"lr_schedule_type: wsd\nwsd_decay_style: {o.shape}\nwarmup_steps_fraction: {word(early)}\n"
        f"wsd_decay_steps_fraction: {word(late)}\nlearning_rate_final_fraction: {word(o.low / o.peak)}\n\n"
    )
    return Export(KEY, text + check_comment(schedule, found.differing), ".yaml", found.exact, found.deviation, notes)


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """A function of the step for the optimizer that MaxText builds."""
    use = "Return learning_rate from create_learning_rate_schedule in maxtext/utils/maxtext_utils.py."
    return array(schedule, KEY, TITLE, "learning_rate", "step", (*notes, use))


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    native="constant, linear, cosine, and wsd with a linear or cosine cooldown",
    source="https://github.com/AI-Hypercomputer/maxtext/blob/main/src/maxtext/utils/maxtext_utils.py",
    version="MaxText 0.2.5",
)
