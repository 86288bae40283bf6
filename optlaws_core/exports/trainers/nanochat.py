"""nanochat: flags of its base_train.py; one warm-up, one stable phase, one line down.

They scale the rates of all its parameter groups, so that the schedule's peak stands for a factor of 1.
"""

from dataclasses import dataclass

from ...schedules.base import Schedule
from ..base import Export, Target, bash_array, check_comment, heading, word
from ..code import scalar
from ..nearest import nearest
from ..stable import EarlyRise, stable_falls

KEY, TITLE = "nanochat", "nanochat"


@dataclass(frozen=True)
class Flags(EarlyRise):
    """Its get_lr_multiplier, times the peak."""

    @property
    def warmdown_ratio(self) -> float:
        return self.decay / self.total

    @property
    def holds(self) -> bool:
        """Whether the ratio stands for the updates that are meant."""
        return round(self.warmdown_ratio * self.total) == self.decay


def write(schedule: Schedule) -> Export:
    """Flags of nanochat, as an array of bash."""
    candidates = (o for o in stable_falls(Flags, schedule, ("linear",)) if o.holds)
    found = nearest(schedule, candidates, {"low": (0.0, schedule.peak)})
    o, notes = found.options, (*found.notes(TITLE), *_scaled(schedule))
    flags: dict[str, float | int | str] = {
        "--num-iterations": o.total,
        "--warmup-steps": o.warmup,
        "--warmdown-ratio": o.warmdown_ratio,
        "--final-lr-frac": o.low / o.peak,
    }
    text = f"{heading(schedule, TITLE, notes)}\n{bash_array('LR_ARGS', flags)}\n"
    return Export(KEY, text + check_comment(schedule, found.differing), ".sh", found.exact, found.deviation, notes)


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """The function get_lr_multiplier of base_train.py."""
    return scalar(schedule, KEY, TITLE, "lr_at", "it", MULTIPLIER, (*notes, *_scaled(schedule)))


def _scaled(schedule: Schedule) -> tuple[str, ...]:
    peak = word(schedule.peak)
    return (f"nanochat scales --matrix-lr and the rates of its other groups: a rate of {peak} is each group's own.",)


MULTIPLIER = '''

def get_lr_multiplier(it):
    """In the place of the one in base_train.py, with --num-iterations TOTAL."""
    return lr_at(it) / PEAK
'''

TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    native="constant, linear and wsd with a linear cooldown, without a warm-up",
    source="https://github.com/karpathy/nanochat/blob/master/scripts/base_train.py",
    version="the master branch at 00255c1, which has no releases",
)
