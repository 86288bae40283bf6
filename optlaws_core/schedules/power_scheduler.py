"""The peak until a knee, then a power of the step, then a cooldown: the Power Scheduler, in updates and in tokens.

With p the peak, W the warm-up, T the total, f the final rate.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import SMALLEST, format_amount, format_number
from .base import Peaked, Shapes
from .code_pieces import DOWN, Code, Piece
from .cooldowns import check_cooldown, decay_entry, of_horizon, reaching, shape_entry
from .entries import entry, final_entry
from .search_ranges import Draft, Range, evenly, rounded, updates

BATCHES, TOKENS = (16, 512), (2e9, 256e9)  # of the paper's search: sequences in an update, tokens in total


class _PowerLaw(Peaked):
    """The peak until a knee, from there on a power of the step, at the end a cooldown."""

    if TYPE_CHECKING:  # fields of its families

        @property
        def exponent(self) -> float: ...

        @property
        def decay(self) -> int: ...

        @property
        def final(self) -> float: ...

        @property
        def shape(self) -> str: ...

    def _knee(self) -> float:
        """Step, not always a whole one, from which on the rate is below the peak."""
        raise NotImplementedError

    @property
    def knee_step(self) -> float:
        """Step, not always a whole one, from which on the rate is below the peak."""
        return self._knee()

    def _check_power(self) -> None:
        if not 0 <= self.decay <= self.total - self.warmup:
            raise ScheduleError(
                f"{self.family}: decay must lie between 0 and total − warmup = {self.total - self.warmup} updates, "
                f"got {self.decay}."
            )
        check_cooldown(self.family, self.shape, self.final, used=False)  # of these an exponential may end at 0
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
            reaching(self.shape, self.final)(float(self._power(np.asarray(float(start)))), self.final, y),
        )

    def as_code(self) -> Code:
        knee, start = self._knee(), self.total - self.decay
        constants: dict = {"EXPONENT": self.exponent, "KNEE": knee}
        pieces = [Piece("WARMUP", "PEAK")]
        if knee < start:
            pieces.append(Piece("KNEE", "PEAK * (t / KNEE) ** -EXPONENT"))
        if self.decay:
            top = "PEAK * (max(START, KNEE) / KNEE) ** -EXPONENT"
            constants |= {"FINAL": self.final, "START": start, "TOP": top}
            cooldown = reaching(self.shape, self.final).code.format(top="TOP", y="y")
            pieces.append(Piece("START", cooldown, (DOWN,)))
        return Code(constants, tuple(pieces))

    def _turns(self) -> tuple[int, ...]:
        return (math.ceil(min(self._knee(), self.total)), self.total - self.decay)


def _knee(x: float, draft: Draft) -> int:
    """From the start of the cooldown back to the warm-up."""
    latest = max(draft.start - draft.limits.warmup, 1)
    return draft.limits.warmup + round(evenly(x, latest, min(max(1, 1e-3 * draft.length), latest)))


def _exponent(x: float, draft: Draft) -> float:
    """Up to 2, where the slope at the knee and the floor at the start of the cooldown allow it."""
    floor, knee, high = draft.limits.floor, draft.fields["knee"], 2.0
    if draft.start > knee and floor:
        high = min(high, np.log(draft.peak / floor) / np.log(draft.start / knee))
    if draft.start > knee and draft.slope < draft.peak:
        high = min(high, -np.log1p(-draft.slope / draft.peak) / np.log1p(1 / knee))
    return rounded(high * 0.01**x, ROUND_FLOOR)


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
    shapes: ClassVar[Shapes] = {"power, 10 % cooldown": of_horizon(0.1)}
    exponent: float = entry(
        "a, how steeply the rate falls: with t⁻ᵃ", symbol="a", search=Range(_exponent, 2), kw_only=True, default=0.51
    )
    knee: int | None = entry(
        "k, step until which the peak is held; the end of the warm-up when not given",
        "updates",
        symbol="k",
        usual=lambda p, w, t: w or max(1, t // 10),
        search=Range(_knee, 1),
        kw_only=True,
        default=None,
    )
    decay: int = decay_entry("updates of the final cooldown; 0 for none", 0.1, updates(0.01, 0.9), default=0)
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

    Shen et al. 2024, arXiv:2408.13359, equations 7 and 8, whose b is the exponent with a minus sign and whose η_max is
    the peak. Where the power law is below η_max from the end of the warm-up on, the warm-up reaches no more than the
    law, and that is the peak. The paper's cooldown is exponential to 0 over the last tenth of the tokens; no formula is
    given, here it is a hundredfold fall, moved down to end at 0. The paper's search had 2 to 256 billion tokens, a
    batch of 16 to 512 sequences and rates for µP. `power` is the same curve in updates.
    """

    family: ClassVar[str] = "power_scheduler"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} \min\left(p, B\,a\,(B L t)^{-b}\right) & t < T-d \\ "
        r"\text{shape}(\eta(T-d), f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    example: ClassVar[Mapping[str, float]] = {"peak": 0.02, "warmup": 500, "total": 50_000}
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "it is power in tokens"
    peak: float = entry(
        "η_max, which no rate exceeds; lowered to the power law at the end of the warm-up where that is less",
        "LR",
        symbol="p",
        usual=lambda p, w, t: p,
        search="always searched",
    )
    scale: float = entry(
        "a, rate for each sequence of the batch after one token", "LR", symbol="a", kw_only=True, default=4.0
    )
    exponent: float = entry(
        "b, how steeply the rate falls: with (tokens seen)⁻ᵇ", symbol="b", kw_only=True, default=0.51
    )
    batch: int = entry(
        "B, sequences in an update; the paper's search had 16 to 512",
        "sequences",
        symbol="B",
        kw_only=True,
        default=1024,
    )
    sequence: int = entry("L, tokens in a sequence", "tokens", symbol="L", kw_only=True, default=4096)
    decay: int = decay_entry("updates of the final cooldown; 0 for none", 0.1, updates(0.01, 0.9), default=0)
    final: float = final_entry()
    shape: str = shape_entry("exponential")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "scale", "exponent", "batch", "sequence")
        if self.warmup:
            first = self.batch * self.scale * (self.warmup * float(self.batch) * self.sequence) ** -self.exponent
            if first < SMALLEST:
                raise ScheduleError(
                    f"{self.family}: the rate at the end of the warm-up must be at least "
                    f"{format_number(SMALLEST)}, got {format_number(first)}."
                )
            object.__setattr__(self, "peak", min(self.peak, first))
        self._check_power()

    @property
    def beyond(self) -> str:
        """What lies outside the search that the paper's constants come from, in words; empty where nothing does."""
        tokens, found = self.total * float(self.batch) * self.sequence, []
        for what, value, (low, high), said in (
            ("batch", self.batch, BATCHES, "16 to 512 sequences"),
            ("tokens", tokens, TOKENS, "2 to 256 billion"),
        ):
            if not low <= value <= high:
                found.append(f"{what} {format_amount(value, 3)}, of {said}")
        return f"Beyond the search of arXiv:2408.13359: {', '.join(found)}." if found else ""

    def _knee(self) -> float:
        tokens = (math.log(self.batch) + math.log(self.scale) - math.log(self.peak)) / self.exponent  # their logarithm
        return math.exp(min(max(tokens - math.log(self.batch) - math.log(self.sequence), -300.0), 60.0))

    def _stretched(self, factor: float) -> dict:
        return {"decay": round(self.decay * factor)}

    def _resized(self, length: float) -> dict:
        return {"scale": self.scale}  # the power law is set in tokens: it knows neither horizon nor peak
