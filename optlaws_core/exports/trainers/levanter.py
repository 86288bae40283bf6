"""levanter: the YAML of its optimizer and its trainer; one warm-up, one stable phase, one fall.

It counts a batch in sequences, from updates on as plans do, and averages weights from the initial ones on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...arrays import FloatArray
from ...schedules.averaging import EMA
from ...schedules.base import Schedule
from ...schedules.joint_schedule import Joint
from ..base import Export, Target, check_comment, heading, word
from ..code import array
from ..nearest import nearest
from ..plans import Staircase, begins_elsewhere, cannot, sequences
from ..stable import StableFall, moves, stable_falls

KEY, TITLE = "levanter", "levanter"
TIMESCALE = 10_000  # of its inv_sqrt, in updates


@dataclass(frozen=True)
class Settings(StableFall):
    """Its optimizer: the shape of the fall is `lr_schedule`, which counts updates from the end of the stable phase."""

    def _fallen(self, count: FloatArray) -> FloatArray:
        if self.shape == "inv_sqrt":
            share = np.sqrt(TIMESCALE / np.maximum(count + self.warmup, 1))
            return np.maximum(self.peak * np.minimum(share, 1.0), self.low)
        if self.shape == "inv":
            steepness = (self.peak / self.low - 1) / np.maximum(self.decay, 1)
            return np.maximum(self.peak / (steepness * np.maximum(count, 1) + 1), self.low)
        return super()._fallen(count)


def candidates(schedule: Schedule) -> Iterator[Settings]:
    found = stable_falls(Settings, schedule, ("linear", "cosine", "inv", "inv_sqrt"))
    return (o for o in found if o.low or o.shape != "inv")  # it divides by the lowest rate


def write(schedule: Schedule) -> Export:
    """The parts `optimizer` and `trainer` of levanter's configuration."""
    return _written(schedule)


def plan(joint: Joint, sequence: int | None = None) -> Export:
    """The same with `train_batch_size`, in sequences of so many tokens, and `model_averaging`."""
    batch = sequences(joint, TITLE, sequence) if joint.batch else None
    lines = _batch(batch) if batch else ""
    off = batch.notes if batch else ()
    if joint.average:
        if not isinstance(joint.average, EMA):
            raise cannot(TITLE, "a mean of checkpoints, only an exponential average")
        lines += f"  model_averaging:\n    type: ema\n    beta: {word(joint.average.decay)}\n"
        off = (*off, *begins_elsewhere(TITLE, joint.average, joint.total, "the initial weights"))
    return _written(joint, lines, off)


def code(schedule: Schedule, notes: tuple[str, ...]) -> Export:
    """A function of the count for the optimizer that levanter builds."""
    use = "Return learning_rate from OptimizerConfig.lr_scheduler in levanter/optim/config.py."
    return array(schedule, KEY, TITLE, "learning_rate", "count", (*notes, use))


def _written(schedule: Schedule, more: str = "", off: tuple[str, ...] = ()) -> Export:
    """The rate, and `more` lines of the trainer, which are off as `off` says."""
    found = nearest(schedule, candidates(schedule), moves(schedule, schedule.peak / 1000))
    o = found.options
    notes = (*found.notes(TITLE), *off, "JAX computes in 32 bits, so to about 3e-7 of the peak.")
    style, decay = (o.shape, o.decay) if o.decay else ("constant", o.total - o.warmup)
    text = heading(schedule, TITLE, notes) + (
        f"\noptimizer:\n  learning_rate: {word(o.peak)}\n  min_lr_ratio: {word(o.low / o.peak)}\n"
        f"  lr_schedule: {style}\n  warmup: {_steps(o.warmup, o.total)}\n  decay: {_steps(decay, o.total)}\n"
        f"trainer:\n  num_train_steps: {o.total}\n{more}\n"
    )
    text += check_comment(schedule, found.differing)
    return Export(KEY, text, ".yaml", found.exact and not off, found.deviation, notes)


def _batch(batch: Staircase) -> str:
    """`train_batch_size`, a number or a list of where each begins."""
    if not batch.changes:
        return f"  train_batch_size: {batch.size[0]}\n"
    pairs = zip(batch.begin, batch.size, strict=True)
    return "  train_batch_size:\n" + "".join(f"    - start: {begin}\n      value: {size}\n" for begin, size in pairs)


def _steps(updates: int, total: int) -> str:
    """A number of updates, of which levanter takes 1 as all: it is written as a share, which levanter rounds down."""
    return word(min(1.5 / total, 1.0)) if updates == 1 else str(updates)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    plan=plan,
    counts_sequences=True,
    native="constant, linear, cosine, and wsd with a linear or cosine cooldown",
    source="https://github.com/marin-community/marin/blob/main/lib/levanter/src/levanter/optim/config.py",
    version="the main branch of 2026",
)
