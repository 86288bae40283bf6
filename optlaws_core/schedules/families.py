"""The schedules of one formula. With p the peak, W the warm-up, T the total, f the final rate, z the time left."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import AS_IS, Falling, Peaked, Shapes
from .code_pieces import FIND, LEFT, Code, Piece
from .cooldowns import cooldown_code
from .entries import entry
from .search_ranges import LAST, Draft, Range, evenly, final, share

MOST_SAMPLES = 1_000  # stretches of one rate; each is a piece to whatever sums over a schedule


def _timescale(x: float, draft: Draft) -> float:
    """From the shortest that keeps to floor and slope; updates."""

    def least(kept: float) -> float:  # in units of the updates after which that share of the peak is kept
        return np.inf if kept >= 1 else max(kept, 0.0) ** 2 / ((1 - kept) * (1 + kept))

    by_floor, by_slope = draft.length * least(draft.limits.floor / draft.peak), least(1 - draft.slope / draft.peak)
    low = max(1.0, 1e-3 * draft.length, by_floor, by_slope)
    return float(np.ceil(evenly(x, low, 10 * max(low, draft.length))))


@dataclass(frozen=True)
class Constant(Peaked):
    """The peak rate to the end."""

    family: ClassVar[str] = "constant"
    formula: ClassVar[str] = r"\eta(t) = p"
    code: ClassVar[str] = "PEAK"
    shapes: ClassVar[Shapes] = {"constant": AS_IS}
    unsearched: ClassVar[str] = "it has nothing to search for but its peak"

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        return np.full_like(t, self.peak)


@dataclass(frozen=True)
class Linear(Falling):
    """A straight line from the peak to the final rate; to 0, what the last-iterate bound asks for (arXiv:2310.07831).

    Defazio et al. 2023 show that a line to 0 is the best schedule where all gradient norms are equal; where norms of an
    earlier run are at hand, `refined` makes of them what the same bound asks for.
    """

    family: ClassVar[str] = "linear"
    formula: ClassVar[str] = r"\eta(t) = p + (f - p)\,\frac{t-W}{T-W}"
    code: ClassVar[str] = cooldown_code("linear", y="x")
    shapes: ClassVar[Shapes] = {"linear": AS_IS}

    def _height(self, z: FloatArray) -> FloatArray:
        return z


@dataclass(frozen=True)
class Cosine(Falling):
    """Half a cosine from the peak to the final rate (Loshchilov and Hutter, arXiv:1608.03983, without restarts)."""

    family: ClassVar[str] = "cosine"
    formula: ClassVar[str] = r"\eta(t) = f + \frac{p-f}{2}\left(1 + \cos\pi\frac{t-W}{T-W}\right)"
    code: ClassVar[str] = cooldown_code("cosine", y="x")
    shapes: ClassVar[Shapes] = {"cosine": AS_IS, "cosine to 10 %": lambda p, t: {"final": 0.1 * p}}

    def _height(self, z: FloatArray) -> FloatArray:
        return np.sin(0.5 * np.pi * z) ** 2  # (1 + cos π(1−z))/2 without its rounding near the end


@dataclass(frozen=True)
class Polynomial(Falling):
    """A power of the time that is left, from the peak to the final rate (PyTorch's PolynomialLR, with a floor).

    Exponent 1 is a line, 0.5 stays high and falls at the end, 2 falls early.
    """

    family: ClassVar[str] = "polynomial"
    formula: ClassVar[str] = r"\eta(t) = f + (p-f)\left(1 - \frac{t-W}{T-W}\right)^a"
    code: ClassVar[str] = "FINAL + (PEAK - FINAL) * z**EXPONENT"
    shapes: ClassVar[Shapes] = {}
    exponent: float = entry(
        "a, power of the time that is left; above 0", symbol="a", search=share(0.1, 10.0), kw_only=True, default=2.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "exponent")

    def _height(self, z: FloatArray) -> FloatArray:
        return z**self.exponent


@dataclass(frozen=True)
class PowerDecay(Falling):
    """The best decay for easy tasks, (1−x)^(2β−1) with β the capacity exponent (Li et al. 2026, arXiv:2602.06797)."""

    family: ClassVar[str] = "power_decay"
    formula: ClassVar[str] = r"\eta(t) = f + (p-f)\left(1 - \frac{t-W}{T-W}\right)^{2\beta-1}"
    code: ClassVar[str] = "FINAL + (PEAK - FINAL) * z ** (2 * BETA - 1)"
    shapes: ClassVar[Shapes] = {}
    beta: float = entry(
        "β, capacity exponent: how fast the curvatures of the task fall; above 0.5, and above 1 in the theory",
        symbol=r"\beta",
        search=share(0.55, 5.0),
        kw_only=True,
        default=1.5,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta > 0.5:
            raise ScheduleError(f"power_decay: beta must be above 0.5, got {format_number(self.beta)}.")

    def _height(self, z: FloatArray) -> FloatArray:
        return z ** (2 * self.beta - 1)


@dataclass(frozen=True)
class Exponential(Peaked):
    """The same factor every update, from the peak to the final rate (PyTorch's ExponentialLR)."""

    family: ClassVar[str] = "exponential"
    formula: ClassVar[str] = r"\eta(t) = p\left(\frac{f}{p}\right)^{\frac{t-W}{T-W}}"
    code: ClassVar[str] = cooldown_code("exponential", y="x")
    shapes: ClassVar[Shapes] = {}
    final: float = entry(
        "learning rate at t = total, one past the last update, above 0; a hundredth of the peak when not given",
        "LR",
        symbol="f",
        search=Range(partial(final, exponential=True), LAST),
        kw_only=True,
        default=None,
    )

    def _defaults(self) -> dict:
        return {"final": 0.01 * self.peak}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.final > 0:
            raise ScheduleError("exponential: an exponential decay never reaches 0, so final must be above 0, got 0.")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        z = self._left(t)
        return self.peak**z * self.final ** (1 - z)


@dataclass(frozen=True)
class InverseSqrt(Peaked):
    """Decay with the inverse square root of the step (Vaswani et al. 2017, arXiv:1706.03762)."""

    family: ClassVar[str] = "inverse_sqrt"
    formula: ClassVar[str] = r"\eta(t) = p\,\sqrt{\frac{s}{t - W + s}}"
    shapes: ClassVar[Shapes] = {"inverse square root": AS_IS}
    timescale: int | None = entry(
        "s, updates after which the rate has fallen to p/√2; the warm-up length when not given",
        "updates",
        symbol="s",
        usual=lambda p, w, t: w or max(1, t // 10),
        search=Range(_timescale),
        kw_only=True,
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timescale is None and not self.warmup:
            raise ScheduleError("inverse_sqrt: without a warm-up a timescale is needed, got neither.")
        if self.timescale is not None:
            self._check_least(1, "timescale")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        s = self.timescale or self.warmup
        return self.peak * np.sqrt(s / (t - self.warmup + s))

    def as_code(self) -> Code:
        rate = "PEAK * sqrt(TIMESCALE / (t - WARMUP + TIMESCALE))"
        return Code({"TIMESCALE": self.timescale or self.warmup}, (Piece("WARMUP", rate),))


@dataclass(frozen=True)
class Rex(Falling):
    """Reflected exponential: stays high for longer than a line, then falls fast (Chen et al., arXiv:2107.04197).

    The paper's curve has d = 0.5; some trainers ship d = 0.9, which stays high longer. It speaks of a profile and of a
    sampling rate: how often the rate is read off the profile and held. That is every update, unless `samples` says how
    many times over the run.
    """

    family: ClassVar[str] = "rex"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} f + (p-f)\,\frac{z}{1-d+dz} & n < 1 \\ "
        r"f + (p-f)\,\frac{u}{1-d+du},\ u = \frac{1}{n}\left\lceil n z\right\rceil & n \ge 1 \end{cases}, "
        r"\qquad z = \frac{T-t}{T-W}"
    )
    shapes: ClassVar[Shapes] = {"REX": AS_IS}
    d: float = entry(
        "d, how long the rate stays high: 0 is a line, the paper has 0.5; below 1",
        symbol="d",
        search="its default is the paper's",
        kw_only=True,
        default=0.5,
    )
    samples: int = entry(
        "how many times the rate is read off the curve, each held until the next; 0 for every update",
        "times",
        symbol="n",
        search="its default is every update",
        kw_only=True,
        default=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.d < 1:
            raise ScheduleError(f"rex: d must be at least 0 and below 1, got {format_number(self.d)}.")
        most = min(self.total - self.warmup, MOST_SAMPLES)
        if not 0 <= self.samples <= most:
            raise ScheduleError(
                f"rex: samples must lie between 0 and {most:,}, the updates after the warm-up or {MOST_SAMPLES:,}, "
                f"got {self.samples:,}."
            )

    def _left(self, t: FloatArray) -> FloatArray:
        z = super()._left(t)
        return z if not self.samples else np.ceil(np.round(z * self.samples, 9)) / self.samples

    def _height(self, z: FloatArray) -> FloatArray:
        return z / (1 - self.d + self.d * z)

    def _turns(self) -> tuple[int, ...]:
        length = self.total - self.warmup
        return tuple(self.warmup - (-i * length // self.samples) for i in range(1, self.samples))

    def as_code(self) -> Code:
        if not self.samples:
            rate = "FINAL + (PEAK - FINAL) * z / (1 - BEND + BEND * z)"
            return Code({"FINAL": self.final, "BEND": self.d}, (Piece("WARMUP", rate, (LEFT,)),))
        steps = (self.warmup, *self._turns())
        values = tuple(float(v) for v in self._after_warmup(np.array(steps, dtype=float)))
        constants = {"STEPS": (*steps, self.total), "VALUES": values, "FINAL": self.final}
        return Code(constants, (Piece("WARMUP", "VALUES[i]", (FIND,)), Piece("TOTAL", "FINAL")))


@dataclass(frozen=True)
class UBA(Falling):
    """Unified budget-aware: a cosine bent so that it stays high longer (Tang et al. 2025, arXiv:2505.24452).

    φ is how early the rate falls: half the peak is left after 0.70, 0.61, 0.50 and 0.36 of the run for φ = 0.5, 1, 2
    and 5, and φ = 2 is the cosine itself. The paper derives it from the condition number of the problem, which nobody
    knows beforehand, so it is chosen like a cooldown: 1 to begin with, 0.5 where runs with a late fall did better, 2 or
    more where the rate should fall early. The formula is the one of a public re-implementation: we have not seen the
    paper's own text or code, and it may use several cycles.
    """

    family: ClassVar[str] = "uba"
    formula: ClassVar[str] = (
        r"\eta(t) = f + (p-f)\,\frac{2\,(1+\cos\pi x)}{2\varphi + (2-\varphi)(1+\cos\pi x)}, \qquad x = \frac{t-W}{T-W}"
    )
    code: ClassVar[str] = "c = sin(0.5 * pi * z) ** 2\nFINAL + (PEAK - FINAL) * 2 * c / (PHI + (2 - PHI) * c)"
    shapes: ClassVar[Shapes] = {"UBA": AS_IS}
    phi: float = entry(
        "φ, how early the rate falls: 2 is the cosine, less is later; above 0",
        symbol=r"\varphi",
        search=share(0.05, 20.0),
        kw_only=True,
        default=1.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "phi")

    def _height(self, z: FloatArray) -> FloatArray:
        s = np.sin(0.5 * np.pi * z) ** 2  # (1 + cos πx)/2 without its rounding near the end
        return 2 * s / (self.phi + (2 - self.phi) * s)
