"""Schedules of cycles. With p the peak, W the warm-up, T the total, f the final rate."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Falling, Peaked, Shapes
from .code_pieces import FIND, LINES, PASSED, Code, Piece
from .cooldowns import COOLDOWNS, check_cooldown, cooldown_code, shape_entry
from .entries import WARMUPS, entry, final_entry, warmup_entry, warmup_shape_entry

MOST_CYCLES = 1000  # each is a stretch of its own in every sum


@dataclass(frozen=True)
class Cyclic(Falling):
    """Straight lines down to the final rate and up again (Smith 2017, arXiv:1506.01186, "triangular").

    The warm-up is the rise of the first cycle; the last cycle ends at its bottom. With shrink = 0.5 every rise is half
    as high as the one before ("triangular2"); with gamma below 1 the height falls by that factor in every update
    ("exp_range", which PyTorch counts from step 0, so that its max_lr is the peak over gamma^warmup).
    """

    family: ClassVar[str] = "cyclic"
    formula: ClassVar[str] = (
        r"\eta(t) = f + (p-f)\,s^{\lfloor (u+1)/2 \rfloor}\,\gamma^{t-W}\,\left|1 - (u \bmod 2)\right|, \qquad "
        r"u = (2n-1)\,\frac{t-W}{T-W}"
    )
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "its rate rises again"
    cycles: int = entry("n, how often the rate falls to the final rate", symbol="n", kw_only=True, default=3)
    shrink: float = entry("s, height of a rise relative to the one before", symbol="s", kw_only=True, default=1.0)
    gamma: float = entry(
        "γ, height after an update relative to before it; above 0", symbol=r"\gamma", kw_only=True, default=1.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        most = (self.total - self.warmup + 1) // 2
        if not 1 <= self.cycles <= min(most, MOST_CYCLES):
            why = f"{most}, one update for every line" if most < MOST_CYCLES else str(MOST_CYCLES)
            raise ScheduleError(f"cyclic: cycles must lie between 1 and {why}, got {self.cycles}.")
        for name in ("shrink", "gamma"):
            if getattr(self, name) > 1:
                raise ScheduleError(f"cyclic: {name} must be at most 1, got {format_number(getattr(self, name))}.")
        self._check_least(0, "gamma")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        height = np.interp(t, *self._table) * self.gamma ** (t - self.warmup)
        return self.final + (self.peak - self.final) * height

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray]:
        # Lines between whole steps, so that every kink is a break.
        k = np.array((self.warmup, *self._turns(), self.total), dtype=float)
        v = np.zeros(2 * self.cycles)
        v[::2] = self.shrink ** np.arange(self.cycles)
        return k, v

    def as_code(self) -> Code:
        constants = {
            "FINAL": self.final,
            "CYCLES": self.cycles,
            "SHRINK": self.shrink,
            "STEPS": "[WARMUP + round(i * (TOTAL - WARMUP) / (2 * CYCLES - 1)) for i in range(2 * CYCLES)]",
            "VALUES": "[(PEAK - FINAL) * (0 if i % 2 else SHRINK ** (i // 2)) for i in range(2 * CYCLES)]",
        }
        if self.gamma == 1:
            return Code(constants, (replace(LINES, rate=f"FINAL + {LINES.rate}"),))
        rate = f"FINAL + ({LINES.rate}) * GAMMA ** (t - WARMUP)"
        return Code(constants | {"GAMMA": self.gamma}, (replace(LINES, rate=rate),))

    def _turns(self) -> tuple[int, ...]:
        lines = 2 * self.cycles - 1
        return tuple(self.warmup + round(i * (self.total - self.warmup) / lines) for i in range(1, lines))

    def _stretched(self, factor: float) -> dict:
        return {"gamma": self.gamma ** (1 / factor)}

    def _resized(self, length: float) -> dict:
        return self._stretched(length)


@dataclass(frozen=True)
class SGDR(Peaked):
    """Cosines with warm restarts: each falls to the final rate, then the rate is back at the peak (arXiv:1608.03983).

    The last cycle may be cut off. transformers' cosine_with_restarts has cycles of one length that fill the horizon.
    """

    family: ClassVar[str] = "sgdr"
    formula: ClassVar[str] = (
        r"\eta(t) = f + \frac{p-f}{2}\left(1 + \cos\pi\frac{t-c_i}{T_0 m^i}\right) "
        r"\quad \text{for } c_i \le t < c_{i+1}, \qquad c_i = W + T_0 \sum_{j=0}^{i-1} m^j"
    )
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "its rate rises again"
    period: int = entry(
        "T₀, updates of the first cycle; such that three cycles fill the horizon when not given",
        "updates",
        symbol="T_0",
        kw_only=True,
        default=None,
    )
    growth: int = entry(
        "m or T_mult, length of a cycle relative to the one before", symbol="m", kw_only=True, default=1
    )
    final: float = final_entry()

    def _defaults(self) -> dict:
        m = max(self.growth, 1)
        return {"period": max(1, -((self.warmup - self.total) // (1 + m + m * m)))}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "period", "growth")
        if len(self._starts()) > MOST_CYCLES:
            raise ScheduleError(
                f"sgdr: there may be at most {MOST_CYCLES} cycles, so period must be at least "
                f"{-((self.warmup - self.total) // MOST_CYCLES)}, got {self.period}."
            )

    def _starts(self) -> list[int]:
        """First step of each cycle, at most one cycle more than there may be."""
        starts, length = [self.warmup], self.period
        while starts[-1] + length < self.total and len(starts) <= MOST_CYCLES:
            starts.append(starts[-1] + length)
            length *= self.growth
        return starts

    @cached_property
    def _begins(self) -> FloatArray:
        return np.array(self._starts(), dtype=float)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        cycle = np.searchsorted(self._begins, t, side="right") - 1
        x = (t - self._begins[cycle]) / (float(self.period) * float(self.growth) ** cycle)
        return self.final + (self.peak - self.final) * 0.5 * (1 + np.cos(np.pi * x))

    def as_code(self) -> Code:
        starts = "i * PERIOD" if self.growth == 1 else "PERIOD * (GROWTH**i - 1) // (GROWTH - 1)"
        constants = {
            "FINAL": self.final,
            "PERIOD": self.period,
            "GROWTH": self.growth,
            "CYCLES": len([b for b in self.breaks[:-1] if b >= self.warmup]),
            "STEPS": f"[WARMUP + {starts} for i in range(CYCLES)] + [TOTAL]",
        }
        x = "x = (t - STEPS[i]) / (PERIOD * float(GROWTH) ** i)"
        return Code(constants, (Piece("WARMUP", cooldown_code("cosine", y="x"), (FIND, x)),))

    def _turns(self) -> tuple[int, ...]:
        return tuple(self._starts()[1:])

    def _stretched(self, factor: float) -> dict:
        return {"period": max(1, round(self.period * factor))}


@dataclass(frozen=True)
class OneCycle(Peaked):
    """Up from a share of the peak, down to next to nothing (Smith and Topin, arXiv:1708.07120; as in PyTorch).

    PyTorch's `total_steps` is total + 1 here, and its peak is at step pct_start · total_steps − 1.
    """

    family: ClassVar[str] = "one_cycle"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} \frac{p}{D} + \left(p - \frac{p}{D}\right)\text{rise}\left(\frac{t}{W}\right) & t < W"
        r" \\ \text{shape}\left(p, \frac{p}{D F}, \frac{t-W}{T-W}\right) & t \ge W \end{cases}"
    )
    warmup_code: ClassVar[str] = "BOTTOM + (PEAK - BOTTOM) * {rise}"
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "its rise is its own"
    warmup: int = warmup_entry(None, "updates of the rise to the peak; 30 % of the total when not given")
    div: float = entry("D, the peak over the rate at step 0", symbol="D", kw_only=True, default=25.0)
    final_div: float = entry("F, the rate at step 0 over the one at t = total", symbol="F", kw_only=True, default=1e4)
    shape: str = shape_entry("cosine")
    warmup_shape: str = warmup_shape_entry("cosine")

    def _defaults(self) -> dict:
        return {"warmup": min(round(0.3 * self.total), max(self.total - 1, 0))}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(1, "div", "final_div")
        check_cooldown(self.family, self.shape, self.peak)

    def _in_warmup(self, t: FloatArray) -> FloatArray:
        start = self.peak / self.div
        return start + (self.peak - start) * WARMUPS[self.warmup_shape](t / self.warmup)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        return COOLDOWNS[self.shape](self.peak, self.peak / self.div / self.final_div, 1 - self._left(t))

    def as_code(self) -> Code:
        constants = {
            "DIV": self.div,
            "FINAL_DIV": self.final_div,
            "BOTTOM": "PEAK / DIV",
            "FINAL": "BOTTOM / FINAL_DIV",
        }
        return Code(constants, (Piece("WARMUP", cooldown_code(self.shape, y="x"), (PASSED,)),))
