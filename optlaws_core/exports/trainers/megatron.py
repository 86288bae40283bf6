"""Megatron-LM: flags of its parameter scheduler. Megatron-Bridge and NeMo have the same names."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...arrays import FloatArray
from ...schedules.base import Schedule
from ..base import Export, Target, check_comment, heading, word
from ..nearest import Options, lengths, levels, nearest, warmups
from ..shapes import fall, rise

KEY, TITLE = "megatron", "Megatron-LM"


@dataclass(frozen=True)
class Style(Options):
    """A `--lr-decay-style` without a stable phase. The scheduler steps after an update, and counts from 0."""

    peak: float
    total: int  # --lr-decay-iters, which counts the warm-up
    warmup: int
    style: str
    low: float  # --min-lr

    def rates(self, t: FloatArray) -> FloatArray:
        return np.where(t < self.warmup, self.peak * rise(t, self.warmup), self._late(t))

    def _late(self, t: FloatArray) -> FloatArray:
        if self.style == "constant":
            return np.full_like(t, self.peak)
        if self.style == "inverse-square-root":
            return np.maximum(self.low, self.peak * np.sqrt(max(self.warmup, 1) / np.maximum(t, 1)))
        return self._fallen(t, self.total - self.warmup, self.style)

    def _fallen(self, t: FloatArray, length: int, shape: str) -> FloatArray:
        return self.low + (self.peak - self.low) * fall(shape, (t - (self.total - length)) / length)


@dataclass(frozen=True)
class StableDecay(Style):
    """The style WSD: the peak, then a fall over the last `decay` updates."""

    decay: int
    fall: str  # --lr-wsd-decay-style

    def _late(self, t: FloatArray) -> FloatArray:
        return self._fallen(t, self.decay, self.fall)


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
    moves = {"low": (0.0, schedule.peak), "decay": (1, schedule.total - max(warmups(schedule)))}
    found = nearest(schedule, candidates(schedule), moves)
    o = found.options
    flags: dict[str, float | int | str] = {
        "--lr": o.peak,
        "--min-lr": o.low,
        "--lr-decay-style": o.style,
        "--lr-warmup-iters": o.warmup,
        "--lr-warmup-init": 0.0,
        "--lr-decay-iters": o.total,
        "--train-iters": o.total,
    }
    if isinstance(o, StableDecay):
        flags |= {"--lr-wsd-decay-style": o.fall, "--lr-wsd-decay-iters": o.decay}
    notes = (*found.notes(TITLE), "On resuming with other values, --override-opt-param-scheduler is needed, too.")
    lines = "".join(f"  {flag} {_flag(value)}\n" for flag, value in flags.items())
    text = f"{heading(schedule, TITLE, notes)}\nLR_ARGS=(\n{lines})\n\n{check_comment(schedule, found.differing)}"
    return Export(KEY, text, ".sh", found.exact, found.deviation, notes)


def _flag(value: float | int | str) -> str:
    return str(value) if isinstance(value, (str, int)) else word(value)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    native="constant, linear, cosine, inverse square root over the warm-up, and wsd with a linear, cosine or 1-sqrt "
    "cooldown",
    source="https://github.com/NVIDIA/Megatron-LM/blob/main/megatron/core/optimizer_param_scheduler.py",
    version="megatron-core 0.16",
)
