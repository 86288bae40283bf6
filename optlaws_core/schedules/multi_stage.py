"""Schedules of several stages that end in a cooldown. With p the peak, W the warm-up, T the total, f the final rate."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Peaked, entry, final_entry
from .cooldowns import COOLDOWNS, check_cooldown, shape_entry

TINY = 1e-12  # the least share that is above 0


@dataclass(frozen=True)
class WSD(Peaked):
    """Warm-up, stable, decay: the peak rate until `decay` updates before the end, then a cooldown.

    The trapezoid, with a floor where final is above 0. Shapes as in Hägele et al. 2024 (arXiv:2405.18392), MiniCPM
    (arXiv:2404.06395) and Dremov et al. 2025 (arXiv:2508.01483).
    """

    family: ClassVar[str] = "wsd"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p & t < T-d \\ \text{shape}(ap, f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    decay: int = entry("updates of the final cooldown", "updates", kw_only=True)
    final: float = final_entry()
    shape: str = shape_entry()
    drop: float = entry(
        "a, share of the peak to which the rate drops at once when the cooldown starts: 1 for no drop, "
        "0.7 for the lowered linear cooldown",
        kw_only=True,
        default=1.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.decay <= self.total - self.warmup:
            raise ScheduleError(
                f"wsd: decay must lie between 1 and total − warmup = {self.total - self.warmup} updates, "
                f"got {self.decay}."
            )
        check_cooldown(self.family, self.shape, self.final)
        if not max(self.final / self.peak, TINY) <= self.drop <= 1:
            raise ScheduleError(
                f"wsd: drop is a share of the peak, above 0, at most 1 and not below final, "
                f"got {format_number(self.drop)}."
            )
        if self.drop < 1 and self.decay == self.total - self.warmup:
            raise ScheduleError(
                f"wsd: with a drop, decay must leave an update at the peak, so be at most {self.decay - 1}, "
                f"got {self.decay}."
            )

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        start = self.total - self.decay
        y = np.maximum(t - start, 0) / self.decay
        return np.where(t < start, self.peak, COOLDOWNS[self.shape](self.drop * self.peak, self.final, y))

    def _turns(self) -> tuple[int, ...]:
        return (self.total - self.decay,)

    def _stretched(self, factor: float) -> dict:
        return {"decay": max(1, round(self.decay * factor))}


@dataclass(frozen=True)
class WSDS(Peaked):
    """WSD with a decay at the end of each stage, then back to the peak (WSD-S, Wen et al. 2024, arXiv:2410.05192)."""

    family: ClassVar[str] = "wsd_s"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p & t < e_i - d_i \\ \text{shape}(p, f, y),\ y=\frac{t-(e_i-d_i)}{d_i} & "
        r"e_i - d_i \le t < e_i \end{cases}, \qquad d_i = s\,(e_i - e_{i-1}),\ e_0 = W,\ e_n = T"
    )
    ends: tuple[int, ...] | None = entry(
        "steps before the total at which a decay has ended and the rate is back at the peak; a quarter and a half of "
        "the way when not given",
        "updates",
        kw_only=True,
        default=None,
    )
    share: float = entry("s, share of each stage that is its decay", kw_only=True, default=0.1)
    final: float = final_entry()
    shape: str = shape_entry()

    def _left_out(self) -> dict:
        after = self.total - self.warmup
        return {"ends": tuple(sorted({self.warmup + after // 4, self.warmup + after // 2} - {self.warmup}))}

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(b <= a for a, b in pairwise((self.warmup, *self.ends, self.total))):
            raise ScheduleError(
                f"wsd_s: ends must rise strictly between warmup = {self.warmup} and total = {self.total}, "
                f"got {list(self.ends)}."
            )
        if not TINY <= self.share <= 1:
            raise ScheduleError(f"wsd_s: share must be above 0 and at most 1, got {format_number(self.share)}.")
        check_cooldown(self.family, self.shape, self.final)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        edges = np.array((self.warmup, *self.ends, self.total), dtype=float)
        stage = np.clip(np.searchsorted(edges, t, side="right"), 1, len(edges) - 1)
        start, decay = (each[stage - 1] for each in self._decays())
        return COOLDOWNS[self.shape](self.peak, self.final, np.minimum(np.maximum(t - start, 0) / decay, 1))

    def _decays(self) -> tuple[FloatArray, FloatArray]:
        """Start of each decay, which need not be a whole step, and its length."""
        edges = np.array((self.warmup, *self.ends, self.total), dtype=float)
        start = np.round(edges[1:] - self.share * np.diff(edges), 6)  # whole steps are whole whatever was rounded
        return start, np.maximum(edges[1:] - start, 1e-6)

    def _turns(self) -> tuple[int, ...]:
        return (*np.ceil(self._decays()[0]).astype(int).tolist(), *self.ends)

    def _stretched(self, factor: float) -> dict:
        return {"ends": tuple(self._stretch(e, factor) for e in self.ends)}


class _PowerLaw(Peaked):
    """The peak until a knee, from there on a power of the step, at the end a cooldown."""

    def _knee(self) -> float:
        """Step, not always a whole one, from which on the rate is below the peak."""
        raise NotImplementedError

    def _check_power(self) -> None:
        if not 0 <= self.decay <= self.total - self.warmup:
            raise ScheduleError(
                f"{self.family}: decay must lie between 0 and total − warmup = {self.total - self.warmup} updates, "
                f"got {self.decay}."
            )
        check_cooldown(self.family, self.shape, self.final, bool(self.decay))
        if self.final > self._power(np.asarray(float(self.total - self.decay))):
            raise ScheduleError(
                f"{self.family}: final must not exceed the rate at the start of the cooldown, "
                f"{format_number(float(self._power(np.asarray(float(self.total - self.decay)))))}, "
                f"got {format_number(self.final)}."
            )

    def _power(self, t: FloatArray) -> FloatArray:
        knee = self._knee()
        return self.peak * (np.maximum(t, knee) / knee) ** -self.exponent

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        if not self.decay:
            return self._power(t)
        start = self.total - self.decay
        y = np.maximum(t - start, 0) / self.decay
        return np.where(
            t < start,
            self._power(t),
            COOLDOWNS[self.shape](float(self._power(np.asarray(float(start)))), self.final, y),
        )

    def _turns(self) -> tuple[int, ...]:
        return (math.ceil(min(self._knee(), self.total)), self.total - self.decay)


@dataclass(frozen=True)
class Power(_PowerLaw):
    """The peak rate, then a power of the step, then a cooldown (Power Scheduler, Shen et al. 2024, arXiv:2408.13359).

    The paper's `min(η_max, B·a·n^b)` has the exponent −b and the knee at which the power falls below η_max.
    """

    family: ClassVar[str] = "power"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p\,\min\left(1, (t/k)^{-a}\right) & t < T-d \\ "
        r"\text{shape}(\eta(T-d), f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    exponent: float = entry("a, how steeply the rate falls: with t⁻ᵃ", "", kw_only=True, default=0.51)
    knee: int | None = entry(
        "k, step until which the peak is held; the end of the warm-up when not given",
        "updates",
        kw_only=True,
        default=None,
    )
    decay: int = entry("updates of the final cooldown; 0 for none", "updates", kw_only=True, default=0)
    final: float = final_entry()
    shape: str = shape_entry()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.knee is None and not self.warmup:
            raise ScheduleError("power: without a warm-up a knee is needed, got neither.")
        if self.knee is not None and not max(self.warmup, 1) <= self.knee <= self.total - self.decay:
            raise ScheduleError(
                f"power: knee must lie between warmup = {self.warmup} and the start of the cooldown, "
                f"{self.total - self.decay}, got {self.knee}."
            )
        self._check_power()

    def _knee(self) -> float:
        return self.knee or self.warmup

    def _stretched(self, factor: float) -> dict:
        decay = round(self.decay * factor)
        # The power law is set in steps, as the paper's is in tokens: it does not know the horizon.
        latest = round(self.warmup + (self.total - self.warmup) * factor) - decay
        return {"decay": decay, "knee": None if self.knee is None else min(self.knee, latest)}


@dataclass(frozen=True)
class PowerScheduler(_PowerLaw):
    """The Power Scheduler in its own numbers: a power of the tokens seen, times the batch, at most the peak.

    Shen et al. 2024, arXiv:2408.13359, whose b is the exponent with a minus sign and whose η_max is the peak. `power`
    is the same curve in updates.
    """

    family: ClassVar[str] = "power_scheduler"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} \min\left(p,\ B\,a\,(B L t)^{-b}\right) & t < T-d \\ "
        r"\text{shape}(\eta(T-d), f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    scale: float = entry("a, rate for each sequence of the batch after one token", "LR", kw_only=True, default=4.0)
    exponent: float = entry("b, how steeply the rate falls: with (tokens seen)⁻ᵇ", kw_only=True, default=0.51)
    batch: int = entry("B, sequences in an update", "sequences", kw_only=True, default=1024)
    sequence: int = entry("L, tokens in a sequence", "tokens", kw_only=True, default=4096)
    decay: int = entry("updates of the final cooldown; 0 for none", "updates", kw_only=True, default=0)
    final: float = final_entry()
    shape: str = shape_entry()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "scale", "exponent", "batch", "sequence")
        if self._knee() < self.warmup:
            first = self.batch * self.scale * (self.warmup * float(self.batch) * self.sequence) ** -self.exponent
            raise ScheduleError(
                "power_scheduler: the peak must not exceed the power law at the end of the warm-up, "
                f"{format_number(float(f'{first:.6g}'))}, got {format_number(self.peak)}."
            )
        self._check_power()

    def _knee(self) -> float:
        tokens = (math.log(self.batch) + math.log(self.scale) - math.log(self.peak)) / self.exponent  # their logarithm
        return math.exp(min(max(tokens - math.log(self.batch) - math.log(self.sequence), -300.0), 60.0))

    def _stretched(self, factor: float) -> dict:
        return {"decay": round(self.decay * factor)}
