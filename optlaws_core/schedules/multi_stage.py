"""Schedules of several stages that end in a cooldown. With p the peak, W the warm-up, T the total, f the final rate."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Peaked, Shapes
from .code_pieces import DOWN, FIND, Code, Piece
from .cooldowns import COOLDOWNS, check_cooldown, cooldown_code, decay_entry, of_horizon, shape_entry
from .entries import entry, final_entry
from .search_ranges import updates

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
    shapes: ClassVar[Shapes] = {
        "WSD 10 %": of_horizon(0.1),
        "WSD 20 %": of_horizon(0.2),
        "WSD 40 %": of_horizon(0.4),
        "WSD 20 %, 1-sqrt": lambda p, t: of_horizon(0.2)(p, t) | {"shape": "1-sqrt"},
    }
    decay: int = decay_entry("updates of the final cooldown", 0.2, updates(0.01, 1.0))
    final: float = final_entry()
    shape: str = shape_entry()
    drop: float = entry(
        "a, share of the peak to which the rate drops at once when the cooldown starts: 1 for no drop, "
        "0.7 for the lowered linear cooldown",
        symbol="a",
        search="a free-form curve tells what a jump is worth",
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

    def as_code(self) -> Code:
        top = {} if self.drop == 1 else {"DROP": self.drop, "TOP": "DROP * PEAK"}
        down = Piece("START", cooldown_code(self.shape, "TOP" if top else "PEAK"), (DOWN,))
        constants = {"FINAL": self.final, "START": self.total - self.decay} | top
        return Code(constants, (Piece("WARMUP", "PEAK"), down))

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
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "its rate rises again"
    ends: tuple[int, ...] = entry(
        "steps before the total at which a decay has ended and the rate is back at the peak; a quarter and a half of "
        "the way when not given",
        "updates",
        symbol="e_i",
        kw_only=True,
        default=None,
    )
    share: float = entry("s, share of each stage that is its decay", symbol="s", kw_only=True, default=0.1)
    final: float = final_entry()
    shape: str = shape_entry()

    def _defaults(self) -> dict:
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

    def as_code(self) -> Code:
        constants = {
            "FINAL": self.final,
            "SHARE": self.share,
            "STEPS": (self.warmup, *self.ends, self.total),
            "STARTS": "[round(b - SHARE * (b - a), 6) for a, b in zip(STEPS, STEPS[1:])]",
            "LENGTHS": "[max(b - a, 1e-6) for a, b in zip(STARTS, STEPS[1:])]",
        }
        y = "y = min(max(t - STARTS[i], 0) / LENGTHS[i], 1)"
        return Code(constants, (Piece("WARMUP", cooldown_code(self.shape), (FIND, y)),))

    def _turns(self) -> tuple[int, ...]:
        return (*np.ceil(self._decays()[0]).astype(int).tolist(), *self.ends)

    def _stretched(self, factor: float) -> dict:
        return {"ends": tuple(self._stretch(e, factor) for e in self.ends)}
