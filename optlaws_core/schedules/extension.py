"""A run that was to end at one horizon, extended to a longer one without a new peak (Schaipp et al., arXiv:2501.18965).

The bound on the last iterate (Theorem 10 of arXiv:2310.07831) has a best peak for every shape and horizon:
γ*⁻² ∝ ∫η² + ∫η · ∫ η(k) Q(k)/V(k)² dk, with V(k) and Q(k) what is still to come of ∫η and ∫η² from k on. The longer
the horizon, the lower that peak. The extension keeps the peak of the run that is there and lowers the rate that
follows, by just as much as makes that peak the best one of the whole. Here in the limit of many updates, in which the
sums are integrals and only ratios matter; warm-ups are left out, as in the authors' code.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Peaked, Shapes
from .code_pieces import DOWN, Code, Piece
from .cooldowns import COOLDOWNS, check_cooldown, cooldown_code, shape_entry
from .entries import entry

NODES = 48  # of a Gauss rule, for integrals of smooth functions over [0, 1]
LEAST = 1e-3  # of the horizon: the shortest cooldown for which the integrals are a good picture of the sums


@dataclass(frozen=True)
class Extended(Peaked):
    """WSD to a first horizon, extended from before its cooldown at a lower rate (Schaipp et al., arXiv:2501.18965).

    The rate drops once, to the level at which convex theory still calls the first run's peak the best one for the
    whole horizon; both runs cool down to 0 over the same share of their updates.
    """

    family: ClassVar[str] = "extended"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p & t < T_1 - d_1 \\ \rho\,p & T_1 - d_1 \le t < T - d \\ "
        r"\text{shape}(\rho\,p, 0, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}, \qquad "
        r"d_1 = c\,(T_1 - W),\ d = c\,(T - W)"
    )
    shapes: ClassVar[Shapes] = {}
    unsearched: ClassVar[str] = "a fresh run has no first horizon"
    first: int = entry(
        "T₁, total of the run that is extended; half of the total when not given",
        "updates",
        symbol="T_1",
        kw_only=True,
        default=None,
    )
    share: float = entry(
        "c, cooldown as a share of the updates after the warm-up, in both runs", symbol="c", kw_only=True, default=0.2
    )
    factor: float = entry(
        "ρ, rate after the first run's stable part relative to the peak; what convex theory asks for when not given",
        symbol=r"\rho",
        kw_only=True,
        default=None,
    )
    shape: str = shape_entry()

    def _defaults(self) -> dict:
        first = self.total // 2 if self.first is None else self.first
        whole, part = self.total - self.warmup, first - self.warmup
        if self.factor is not None or not (0 < part <= whole and self._has_bound):
            return {"first": first}
        return {"first": first, "factor": matched_factor(whole / part, self.share, self.shape)}

    @property
    def _has_bound(self) -> bool:
        return LEAST <= self.share <= 1 - LEAST and self.shape in COOLDOWNS and self.shape != "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cooldown(self.family, self.shape, 0.0)
        if not LEAST <= self.share <= 1 - LEAST:
            raise ScheduleError(
                f"extended: share must lie between {format_number(LEAST)} and {1 - LEAST:g}, "
                f"got {format_number(self.share)}."
            )
        if self.first > self.total or self._turns()[0] <= self.warmup:
            raise ScheduleError(
                f"extended: first must be at most total = {self.total} and leave an update at the peak between the "
                f"warm-up of {self.warmup} and its own cooldown, got {self.first}."
            )
        if not 0 < self.factor <= 1:
            raise ScheduleError(f"extended: factor must be above 0 and at most 1, got {format_number(self.factor)}.")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        drop, cooling = self._turns()
        y = np.maximum(t - cooling, 0) / (self.total - cooling)
        return np.where(t < drop, self.peak, COOLDOWNS[self.shape](self.factor * self.peak, 0.0, y))

    def as_code(self) -> Code:
        drop, start = self._turns()
        constants = {"FINAL": 0.0, "FACTOR": self.factor, "TOP": "FACTOR * PEAK", "DROP": drop, "START": start}
        down = Piece("START", cooldown_code(self.shape, "TOP"), (DOWN,))
        return Code(constants, (Piece("WARMUP", "PEAK"), Piece("DROP", "TOP"), down))

    def _turns(self) -> tuple[int, ...]:
        """Starts of the first run's cooldown, where the rate drops instead, and of the cooldown."""
        return tuple(end - max(1, round(self.share * (end - self.warmup))) for end in (self.first, self.total))

    def _stretched(self, factor: float) -> dict:
        return {"first": self._stretch(self.first, factor)}


@lru_cache(maxsize=1024)
def matched_factor(stretch: float, share: float, shape: str = "linear") -> float:
    """ρ of `Extended` for a horizon `stretch` times as long, 1 or more, to six digits.

    `share` of each horizon is its cooldown, of a form of `COOLDOWNS` that can end at 0. The largest factor that leaves
    the best peak where it was: there may be a second, far lower one, which gives most of the extension away.
    """

    def excess(factor: float) -> float:
        late = _asked(((1 - share, 1.0), ((stretch - 1) * (1 - share), factor)), share * stretch, shape)
        return late / _asked(((1 - share, 1.0),), share, shape) - 1

    high = low = 1.0
    while excess(low) > 0:
        high, low = low, 0.95 * low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    return float(f"{high:.6g}")


def _asked(stages: tuple[tuple[float, float], ...], cooldown: float, shape: str) -> float:
    """γ*⁻² of constant stages, (length, rate) each, and a cooldown to 0 from the last one's rate."""
    rate = stages[-1][1]
    mean, square, inner = _moments(shape)
    V, Q, J = rate * cooldown * mean, rate**2 * cooldown * square, rate * inner
    for length, eta in reversed(stages):
        before = V + eta * length
        J += (Q - eta * V) * (1 / V - 1 / before) + eta * math.log(before / V)
        V, Q = before, Q + eta**2 * length
    return Q + V * J


@lru_cache
def _moments(shape: str) -> tuple[float, float, float]:
    """∫f, ∫f² and ∫ f Q/V² of a cooldown f from 1 to 0 over a unit of time."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    x, w = (x + 1) / 2, w / 2

    def to_come(power: int, s: FloatArray) -> FloatArray:
        # y = s², in which every shape is smooth, 1 − √y too.
        later = s[:, None] + (1 - s[:, None]) * x
        return (1 - s) * np.sum(w * 2 * later * COOLDOWNS[shape](1.0, 0.0, later**2) ** power, axis=1)

    V, Q = to_come(1, x), to_come(2, x)
    inner = np.sum(w * 2 * x * COOLDOWNS[shape](1.0, 0.0, x**2) * Q / V**2)
    start = np.zeros(1)
    return float(to_come(1, start)[0]), float(to_come(2, start)[0]), float(inner)
