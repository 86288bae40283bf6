"""llm-foundry, a trainer of earlier years: the scheduler of its YAML, which Composer runs."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, word
from ..code import scalar
from ..nearest import Options, lengths, levels, nearest, warmups
from ..shapes import fall, rise

KEY, TITLE = "llm_foundry", "llm-foundry (legacy)"


@dataclass(frozen=True)
class Scheduler(Options):
    """One of its schedulers. Composer computes the rate before it counts the batch: update t has batch t − 1's."""

    peak: float
    warmup: int
    total: int  # t_max

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    def given(self) -> dict[str, float | str]:
        """What the YAML says besides the name and the warm-up."""
        return {}

    @abstractmethod
    def late(self, i: FloatArray) -> FloatArray:
        """The share of the peak at batch `i` after the warm-up."""

    def rates(self, t: FloatArray) -> FloatArray:
        i = np.maximum(t - 1, 0)
        return self.peak * np.where(i < self.warmup, rise(i, self.warmup), self.late(i))


@dataclass(frozen=True)
class Flat(Scheduler):
    """The peak after the warm-up."""

    name = "constant_with_warmup"

    def late(self, i: FloatArray) -> FloatArray:
        return np.ones_like(i)


@dataclass(frozen=True)
class Falling(Scheduler):
    """The line or the half-cosine from the peak to `low` at `total`."""

    shape: str
    low: float  # alpha_f · peak

    @property
    def name(self) -> str:
        return {"linear": "linear_decay_with_warmup", "cosine": "cosine_with_warmup"}[self.shape]

    @property
    def given(self) -> dict[str, float | str]:
        return {"t_max": f"{self.total}ba", "alpha_f": self.low / self.peak}

    def late(self, i: FloatArray) -> FloatArray:
        low = self.low / self.peak
        return low + (1 - low) * fall(self.shape, (i - self.warmup) / (self.total - self.warmup))


@dataclass(frozen=True)
class InverseSqrt(Scheduler):
    """A decay that tends to `level` of the peak, then a line to `low` over the last `cooldown` batches."""

    low: float  # alpha_f_cooldown · peak
    cooldown: int
    level: float  # alpha_f_decay, as far as it is admitted
    scale: int

    name = "inv_sqrt_with_warmup"

    @property
    def tends_to(self) -> float:
        """`level` as llm-foundry admits it: a cooldown ends no higher than the decay before it tends to."""
        return np.maximum(self.level, self.low / self.peak)

    @property
    def given(self) -> dict[str, float | str]:
        return {
            "t_max": f"{self.total}ba",
            "t_scale": f"{self.scale}ba",
            "t_cooldown": f"{self.cooldown}ba",
            "alpha_f_decay": float(self.tends_to),
            "alpha_f_cooldown": self.low / self.peak,
        }

    def late(self, i: FloatArray) -> FloatArray:
        w, high, low = self.warmup, self.tends_to, self.low / self.peak
        begin = np.maximum(self.total - self.cooldown, w)
        late = high + (1 - high) / np.sqrt((np.clip(i, w, begin) - w + self.scale) / self.scale)
        cooled = late + (low - late) * np.clip((i - begin) / np.maximum(self.cooldown, 1), 0.0, 1.0)
        return np.where(np.equal(self.cooldown, 0), late, cooled)


def candidates(schedule: Schedule) -> Iterator[Scheduler]:
    p, total = schedule.peak, schedule.total
    scales = [getattr(schedule, "timescale", None) or 0, *(round(total * 4.0**k) for k in range(-5, 2))]
    ends = dict.fromkeys(v for w in warmups(schedule) for v in ((w - 1, w) if w > 1 else (w,)))
    for w in ends:
        yield Flat(p, w, total)
        for low, shape in product(levels(schedule), ("linear", "cosine")):
            yield Falling(p, w, total, shape, low)
        for low, d in product(levels(schedule), [0, *lengths(schedule, schedule.warmup)]):
            last = max(total - 1, 1)
            yield InverseSqrt(p, w, last, low, d, 1.0, total)  # flat until the cooldown
            yield from (InverseSqrt(p, w, last, low, d, low / p, s) for s in {*scales, w} if s)


def write(schedule: Schedule) -> Export:
    """The scheduler of an llm-foundry YAML."""
    total = schedule.total
    moves = {"low": (0.0, schedule.peak), "scale": (1, 8 * total), "cooldown": (0, total)}
    found = nearest(schedule, candidates(schedule), moves)
    o, notes = found.options, found.notes(TITLE)
    given = {"name": o.name, "t_warmup": f"{o.warmup}ba"} | o.given
    if not found.exact:
        notes = (*notes, "Composer computes the rate before it counts the batch, so that the warm-up lags one update.")
    lines = "".join(f"  {k}: {v if isinstance(v, str) else word(v)}\n" for k, v in given.items())
    notes = (*notes, f"The optimizer's lr must be {word(schedule.peak)}, max_duration {total}ba.")
    text = f"{heading(schedule, TITLE, notes)}\nscheduler:\n{lines}\n{check_comment(schedule, found.differing)}"
    return Export(KEY, text, ".yaml", found.exact, found.deviation, notes)


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """A callback of Composer, which sets the rate when a batch starts: its schedulers lag one update."""
    return scalar(schedule, KEY, TITLE, "lr_at", "step", CALLBACK, notes)


CALLBACK = '''

def rate_setter():
    """For Trainer(..., callbacks=[rate_setter()]); leave schedulers out."""
    from composer import Callback

    class RateSetter(Callback):
        def batch_start(self, state, logger):
            for optimizer in state.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = lr_at(state.timestamp.batch.value)

    return RateSetter()
'''

TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    native="a constant without a warm-up; after a warm-up that lags one update, linear, inverse_sqrt, and wsd with a "
    "linear cooldown",
    source="https://github.com/mosaicml/llm-foundry/blob/main/llmfoundry/optim/scheduler.py",
    version="llm-foundry 0.22 on Composer 0.32",
)
