"""Megatron-LM: flags of its parameter scheduler. Megatron-Bridge and NeMo have the same names.

The scheduler counts samples: in a run with one batch these are updates times the batch, and flags in updates do. Where
the batch changes, Megatron-LM takes flags in samples only, and a line in updates is bent. Since April 2026 any batch
that grows is `--step-batch-size-schedule`, its thresholds in tokens; releases up to core 0.16 have a ramp-up alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Self

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ...schedules.joint_schedule import Joint
from ..base import Export, Target, bash_array, check_comment, comment, heading
from ..code import scalar
from ..nearest import Nearest, Options, lengths, levels, nearest, warmups
from ..plans import Staircase, cannot, ramp_up, sequences
from ..shapes import fall, rise
from ..stable import moves

KEY, TITLE = "megatron", "Megatron-LM"


@dataclass(frozen=True)
class Style(Options):
    """A `--lr-decay-style` without a stable phase. The scheduler steps after an update, and counts from 0."""

    peak: float
    total: int  # --lr-decay-iters, which counts the warm-up
    warmup: int
    style: str
    low: float  # --min-lr
    batch: Staircase | None = field(default=None, kw_only=True)  # where it changes, lengths are in samples

    def rates(self, t: FloatArray) -> FloatArray:
        t = self.batch.seen(t) if self.batch else t
        return np.where(t < self.warmup, self.peak * rise(t, self.warmup), self._late(t))

    def counted(self, batch: Staircase) -> Self:
        """The same with lengths in samples of a batch that changes."""
        return replace(self, batch=batch, warmup=_samples(batch, self.warmup), total=_samples(batch, self.total))

    def _late(self, t: FloatArray) -> FloatArray:
        if self.style == "constant":
            return self.peak * np.ones_like(t)
        if self.style == "inverse-square-root":
            return np.maximum(self.low, self.peak * np.sqrt(np.maximum(self.warmup, 1) / np.maximum(t, 1)))
        return self._fallen(t, self.total - self.warmup, self.style)

    def _fallen(self, t: FloatArray, length: int, shape: str) -> FloatArray:
        return self.low + (self.peak - self.low) * fall(shape, (t - (self.total - length)) / length)


@dataclass(frozen=True)
class StableDecay(Style):
    """The style WSD: the peak, then a fall over the last `decay` updates."""

    decay: int
    fall: str  # --lr-wsd-decay-style

    def counted(self, batch: Staircase) -> Self:
        counted = super().counted(batch)
        return replace(counted, decay=counted.total - _samples(batch, self.total - self.decay))

    def _late(self, t: FloatArray) -> FloatArray:
        return self._fallen(t, self.decay, self.fall)


def _samples(batch: Staircase, updates: int) -> int:
    return round(float(batch.seen(np.array(updates))))


def candidates(schedule: Schedule) -> Iterator[Style]:
    p, total = schedule.peak, schedule.total
    for w in warmups(schedule):
        yield Style(p, total, w, "constant", 0.0)
        for low, style in product(levels(schedule), ("linear", "cosine", "inverse-square-root")):
            yield Style(p, total, w, style, low)
        # An exponential that does not reach 0 is Megatron's to half the peak.
        lows = dict.fromkeys([*levels(schedule), p / 2])
        for low, d, shape in product(lows, lengths(schedule, w), ("linear", "cosine", "minus_sqrt", "exponential")):
            yield StableDecay(p, total, w, "WSD", low, d, shape)


def write(schedule: Schedule) -> Export:
    """Flags of Megatron-LM, as an array of bash."""
    found = nearest(schedule, candidates(schedule), moves(schedule))
    notes = found.notes(TITLE)
    return _written(schedule, found, found.exact, (*notes, RESUMING), _rate_flags(found.options, "iters"), "")


def plan(joint: Joint, sequence: int | None = None) -> Export:
    """The same with a batch that grows, in sequences of so many tokens."""
    if joint.average:
        raise cannot(TITLE, "an average of weights")
    if joint.batch is None:
        made = write(joint.rate)
        return replace(made, text=f"{comment(joint.text)}{made.text}\n{_decay(joint, None)}")
    batch = sequences(joint, TITLE, sequence)
    if not batch.changes:
        made = write(joint.rate)
        size = bash_array("BATCH_ARGS", {"--global-batch-size": batch.size[0]}) + _decay(joint, batch)
        text = f"{comment(joint.text, *batch.notes)}{made.text}\n{size}"
        return replace(made, text=text, exact=made.exact and not batch.notes, notes=(*batch.notes, *made.notes))
    if any(b < a for a, b in pairwise(batch.size)):
        raise cannot(TITLE, "a batch that shrinks")
    forms = (o.counted(batch) for o in candidates(joint))
    found = nearest(joint, forms, {"low": (0.0, joint.peak), "decay": (1, _samples(batch, joint.total - joint.warmup))})
    flags: dict[str, float | int | str] = {"--step-batch-size-schedule": _thresholds(batch, sequence or 1)}
    notes = (
        *found.notes(TITLE),
        *(() if found.exact else ("It counts samples, so that a line in updates is bent while the batch changes.",)),
        *batch.notes,
        f"--seq-length must be {sequence}, and every batch a multiple of micro-batch and data-parallel size.",
        _earlier(batch),
        RESUMING,
    )
    exact = found.exact and not batch.notes
    more = bash_array("BATCH_ARGS", flags) + _decay(joint, batch)
    return _written(joint, found, exact, notes, _rate_flags(found.options, "samples"), more)


def _decay(joint: Joint, batch: Staircase | None) -> str:
    """The flags of the weight decay; empty where the plan tells none. Raises `ScheduleError` for what has no flags.

    It is one value, or rises along a line over all updates, which the scheduler counts in samples.
    """
    decay = joint.weight_decay
    if decay is None:
        return ""
    first, last = decay.values[0], decay.values[-1]
    if decay.constant:
        return "\n" + bash_array("DECAY_ARGS", {"--weight-decay": first})
    if decay.shape != "ramp" or decay.starts != (0.0, float(joint.total)) or last < first:
        raise cannot(TITLE, "this weight decay, only one value, or a line that rises over all updates")
    if batch is not None and batch.changes:
        raise cannot(TITLE, "a weight decay that changes beside a batch that does, since it counts samples")
    ends = {"--start-weight-decay": first, "--end-weight-decay": last}
    return "\n" + bash_array("DECAY_ARGS", {**ends, "--weight-decay-incr-style": "linear"})


def code(schedule: Schedule, notes: tuple[str, ...], key: str = KEY, title: str = TITLE) -> Export:
    """A function that gives Megatron's parameter scheduler these rates."""
    return scalar(schedule, key, title, "lr_at", "step", SET_RATES, notes)


# Its scheduler counts samples, of which an update has `batch`.
SET_RATES = '''

def set_rates(opt_param_scheduler, batch):
    """Give an OptimizerParamScheduler these rates before training; `batch` is the global batch size."""
    opt_param_scheduler.get_lr = lambda param_group: lr_at(opt_param_scheduler.num_steps // batch)
    opt_param_scheduler.step(0)
'''
RESUMING = "To resume a checkpoint with other values, pass --override-opt-param-scheduler as well."


def _thresholds(batch: Staircase, sequence: int) -> str:
    """Tokens seen from which each size holds."""
    pairs = zip(batch.begin, batch.size, strict=True)
    return '"' + " ".join(f"{_samples(batch, begin) * sequence}:{size}" for begin, size in pairs) + '"'


def _earlier(batch: Staircase) -> str:
    """What there is in releases that have no schedule of the batch."""
    ramp = ramp_up(batch)
    if ramp is None:
        return (
            "Up to core 0.16 there is --rampup-batch-size alone, equal increments after equal numbers of samples, "
            "which this batch is not."
        )
    start, increment, samples = ramp
    return (
        f"Up to core 0.16, in place of --step-batch-size-schedule: --rampup-batch-size {start} {increment} {samples} "
        f"--global-batch-size {batch.size[-1]}"
    )


def _rate_flags(o: Style, unit: str) -> dict[str, float | int | str]:
    """The flags of the rate, with lengths in `unit`, iters or samples."""
    flags: dict[str, float | int | str] = {
        "--lr": o.peak,
        "--min-lr": o.low,
        "--lr-decay-style": o.style,
        f"--lr-warmup-{unit}": o.warmup,
        "--lr-warmup-init": 0.0,
        f"--lr-decay-{unit}": o.total,
        f"--train-{unit}": o.total,
    }
    if isinstance(o, StableDecay):
        flags |= {"--lr-wsd-decay-style": o.fall, f"--lr-wsd-decay-{unit}": o.decay}
    return flags


def _written(
    schedule: Schedule,
    found: Nearest[Style],
    exact: bool,
    notes: tuple[str, ...],
    flags: dict[str, float | int | str],
    more: str,
) -> Export:
    text = f"{heading(schedule, TITLE, notes)}\n{bash_array('LR_ARGS', flags)}{more}"
    return Export(KEY, f"{text}\n{check_comment(schedule, found.differing)}", ".sh", exact, found.deviation, notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    code=code,
    plan=plan,
    counts_sequences=True,
    holds=frozenset({"weight_decay"}),
    native="constant, linear, cosine, inverse square root over the warm-up, and wsd with a linear, cosine or 1-sqrt "
    "cooldown",
    source="https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/optimizer_param_scheduler.py",
    version="megatron-core 0.16",
)
