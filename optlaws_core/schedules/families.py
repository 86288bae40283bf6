"""The schedules of one formula. With p the peak, W the warm-up, T the total, f the final rate, z the time left."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..arrays import FloatArray
from ..errors import ScheduleError
from ..text import format_number
from .base import Falling, Peaked, entry


@dataclass(frozen=True)
class Constant(Peaked):
    """The peak rate to the end."""

    family: ClassVar[str] = "constant"
    formula: ClassVar[str] = r"\eta(t) = p"

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        return np.full_like(t, self.peak)


@dataclass(frozen=True)
class Linear(Falling):
    """A straight line from the peak to the final rate ("linear decay to zero" with final=0)."""

    family: ClassVar[str] = "linear"
    formula: ClassVar[str] = r"\eta(t) = p + (f - p)\,\frac{t-W}{T-W}"

    def _height(self, z: FloatArray) -> FloatArray:
        return z


@dataclass(frozen=True)
class Cosine(Falling):
    """Half a cosine from the peak to the final rate (Loshchilov and Hutter, arXiv:1608.03983, without restarts)."""

    family: ClassVar[str] = "cosine"
    formula: ClassVar[str] = r"\eta(t) = f + \frac{p-f}{2}\left(1 + \cos\pi\frac{t-W}{T-W}\right)"

    def _height(self, z: FloatArray) -> FloatArray:
        return np.sin(0.5 * np.pi * z) ** 2  # (1 + cos π(1−z))/2 without its rounding near the end


@dataclass(frozen=True)
class Polynomial(Falling):
    """A power of the time that is left, from the peak to the final rate (PyTorch's PolynomialLR, with a floor).

    Exponent 1 is a line, 0.5 stays high and falls at the end, 2 falls early.
    """

    family: ClassVar[str] = "polynomial"
    formula: ClassVar[str] = r"\eta(t) = f + (p-f)\left(1 - \frac{t-W}{T-W}\right)^a"
    exponent: float = entry("a, power of the time that is left; above 0", kw_only=True, default=2.0)

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
    beta: float = entry(
        "β, capacity exponent: how fast the curvatures of the task fall; above 0.5, and above 1 in the theory",
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
    final: float | None = entry(
        "learning rate at t = total, one past the last update, above 0; a hundredth of the peak when not given",
        "LR",
        kw_only=True,
        default=None,
    )

    def _left_out(self) -> dict:
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
    timescale: int | None = entry(
        "s, updates after which the rate has fallen to p/√2; the warm-up length when not given",
        "updates",
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


@dataclass(frozen=True)
class Rex(Falling):
    """Reflected exponential: stays high for longer than a line, then falls fast (Chen et al., arXiv:2107.04197)."""

    family: ClassVar[str] = "rex"
    formula: ClassVar[str] = r"\eta(t) = f + (p-f)\,\frac{2z}{1+z}, \qquad z = \frac{T-t}{T-W}"

    def _height(self, z: FloatArray) -> FloatArray:
        return 2 * z / (1 + z)


@dataclass(frozen=True)
class UBA(Falling):
    """Unified budget-aware: a cosine bent so that it stays high longer (Tang et al. 2025, arXiv:2505.24452).

    φ = 2 is the cosine itself; above it the rate falls earlier. The formula is the one of a public re-implementation:
    we have not seen the paper's own text or code, and it may use several cycles.
    """

    family: ClassVar[str] = "uba"
    formula: ClassVar[str] = (
        r"\eta(t) = f + (p-f)\,\frac{2\,(1+\cos\pi x)}{2\varphi + (2-\varphi)(1+\cos\pi x)}, \qquad x = \frac{t-W}{T-W}"
    )
    phi: float = entry(
        "φ, how early the rate falls: 2 is the cosine, less is later; above 0", kw_only=True, default=1.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(0, "phi")

    def _height(self, z: FloatArray) -> FloatArray:
        s = np.sin(0.5 * np.pi * z) ** 2  # (1 + cos πx)/2 without its rounding near the end
        return 2 * s / (self.phi + (2 - self.phi) * s)
