"""The schedule families, one frozen record each. With p the peak, W the warm-up, T the total, f the final rate."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ..errors import ScheduleError
from .base import FloatArray, Schedule, entry, final_entry, number, peak_entry, total_entry, warmup_entry


@dataclass(frozen=True)
class Constant(Schedule):
    """The peak rate to the end."""

    family: ClassVar[str] = "constant"
    formula: ClassVar[str] = r"\eta(t) = p"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        return np.full_like(t, self.peak)


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from the peak to the final rate ("linear decay to zero" with final=0)."""

    family: ClassVar[str] = "linear"
    formula: ClassVar[str] = r"\eta(t) = p + (f - p)\,\frac{t-W}{T-W}"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    final: float = final_entry()

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        x = (t - self.warmup) / (self.total - self.warmup)
        return self.final + (self.peak - self.final) * (1 - x)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the peak to the final rate (Loshchilov and Hutter, arXiv:1608.03983, without restarts)."""

    family: ClassVar[str] = "cosine"
    formula: ClassVar[str] = r"\eta(t) = f + \frac{p-f}{2}\left(1 + \cos\pi\frac{t-W}{T-W}\right)"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    final: float = final_entry()

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        x = (t - self.warmup) / (self.total - self.warmup)
        return self.final + (self.peak - self.final) * 0.5 * (1 + np.cos(np.pi * x))


# y runs from 0 at the start of the cooldown to 1 at t = total; each maps (peak, final, y) to the rate.
COOLDOWNS = {
    "linear": lambda p, f, y: f + (p - f) * (1 - y),
    "exponential": lambda p, f, y: p ** (1 - y) * f**y,
    "cosine": lambda p, f, y: f + (p - f) * 0.5 * (1 + np.cos(np.pi * y)),
    "1-sqrt": lambda p, f, y: f + (p - f) * (1 - np.sqrt(y)),
}


def _check_cooldown(family: str, shape: str, final: float, used: bool = True) -> None:
    if shape not in COOLDOWNS:
        raise ScheduleError(f"{family}: shape must be one of {', '.join(COOLDOWNS)}, got {shape!r}.")
    if used and shape == "exponential" and not final > 0:
        raise ScheduleError(f"{family}: an exponential cooldown never reaches 0, so final must be above 0, got 0.")


@dataclass(frozen=True)
class WSD(Schedule):
    """Warm-up, stable, decay: the peak rate until `decay` updates before the end, then a cooldown.

    Shapes as in Hägele et al. 2024 (arXiv:2405.18392) and MiniCPM (arXiv:2404.06395).
    """

    family: ClassVar[str] = "wsd"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p & t < T-d \\ \text{shape}(p, f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    decay: int = entry("updates of the final cooldown", "updates", kw_only=True)
    final: float = final_entry()
    shape: str = entry("form of the cooldown: " + ", ".join(COOLDOWNS), kw_only=True, default="linear")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.decay <= self.total - self.warmup:
            raise ScheduleError(
                f"wsd: decay must lie between 1 and total − warmup = {self.total - self.warmup} updates, "
                f"got {self.decay}."
            )
        _check_cooldown(self.family, self.shape, self.final)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        y = np.maximum(t - (self.total - self.decay), 0) / self.decay
        return COOLDOWNS[self.shape](self.peak, self.final, y)

    def _turns(self) -> tuple[int, ...]:
        return (self.total - self.decay,)

    def _stretched(self, factor: float) -> dict:
        return {"decay": max(1, round(self.decay * factor))}


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """Decay with the inverse square root of the step (Vaswani et al. 2017, arXiv:1706.03762)."""

    family: ClassVar[str] = "inverse_sqrt"
    formula: ClassVar[str] = r"\eta(t) = p\,\sqrt{\frac{s}{t - W + s}}"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
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
        if self.timescale is not None and self.timescale < 1:
            raise ScheduleError(f"inverse_sqrt: timescale must be at least 1 update, got {self.timescale}.")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        s = self.timescale or self.warmup
        return self.peak * np.sqrt(s / (t - self.warmup + s))


@dataclass(frozen=True)
class Power(Schedule):
    """The peak rate, then a power of the step, then a cooldown (Power Scheduler, Shen et al. 2024, arXiv:2408.13359).

    The paper's `min(η_max, B·a·n^b)` has the exponent −b and the knee at which the power falls below η_max.
    """

    family: ClassVar[str] = "power"
    formula: ClassVar[str] = (
        r"\eta(t) = \begin{cases} p\,\min\left(1, (t/k)^{-a}\right) & t < T-d \\ "
        r"\text{shape}(\eta(T-d), f, y),\ y=\frac{t-(T-d)}{d} & t \ge T-d \end{cases}"
    )
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    exponent: float = entry("a, how steeply the rate falls: with t⁻ᵃ", "", kw_only=True, default=0.51)
    knee: int | None = entry(
        "k, step until which the peak is held; the end of the warm-up when not given",
        "updates",
        kw_only=True,
        default=None,
    )
    decay: int = entry("updates of the final cooldown; 0 for none", "updates", kw_only=True, default=0)
    final: float = final_entry()
    shape: str = entry("form of the cooldown: " + ", ".join(COOLDOWNS), kw_only=True, default="linear")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.knee is None and not self.warmup:
            raise ScheduleError("power: without a warm-up a knee is needed, got neither.")
        if self.knee is not None and not max(self.warmup, 1) <= self.knee <= self.total - self.decay:
            raise ScheduleError(
                f"power: knee must lie between warmup = {self.warmup} and the start of the cooldown, "
                f"{self.total - self.decay}, got {self.knee}."
            )
        if not 0 <= self.decay <= self.total - self.warmup:
            raise ScheduleError(
                f"power: decay must lie between 0 and total − warmup = {self.total - self.warmup} updates, "
                f"got {self.decay}."
            )
        _check_cooldown(self.family, self.shape, self.final, bool(self.decay))
        if self.final > self._power(np.asarray(float(self.total - self.decay))):
            raise ScheduleError(
                "power: final must not exceed the rate at the start of the cooldown, "
                f"{number(float(self._power(np.asarray(float(self.total - self.decay)))))}, got {number(self.final)}."
            )

    def _power(self, t: FloatArray) -> FloatArray:
        knee = self.knee or self.warmup
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
        return (self.knee or self.warmup, self.total - self.decay)

    def _stretched(self, factor: float) -> dict:
        decay = round(self.decay * factor)
        # The power law is set in steps, as the paper's is in tokens: it does not know the horizon.
        latest = round(self.warmup + (self.total - self.warmup) * factor) - decay
        return {"decay": decay, "knee": None if self.knee is None else min(self.knee, latest)}


@dataclass(frozen=True)
class Rex(Schedule):
    """Reflected exponential: stays high for longer than a line, then falls fast (Chen et al., arXiv:2107.04197)."""

    family: ClassVar[str] = "rex"
    formula: ClassVar[str] = r"\eta(t) = f + (p-f)\,\frac{2z}{1+z}, \qquad z = \frac{T-t}{T-W}"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    final: float = final_entry()

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        z = (self.total - t) / (self.total - self.warmup)
        return self.final + (self.peak - self.final) * 2 * z / (1 + z)


@dataclass(frozen=True)
class Cyclic(Schedule):
    """Straight lines down to the final rate and up again (Smith 2017, arXiv:1506.01186, "triangular").

    The warm-up is the rise of the first cycle; the last cycle ends at its bottom. With shrink = 0.5 every rise is half
    as high as the one before ("triangular2").
    """

    family: ClassVar[str] = "cyclic"
    formula: ClassVar[str] = (
        r"\eta(t) = f + (p-f)\,s^{\lceil u/2 \rceil}\,\left|1 - (u \bmod 2)\right|, \qquad "
        r"u = (2n-1)\,\frac{t-W}{T-W}"
    )
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    final: float = final_entry()
    cycles: int = entry("n, how often the rate falls to the final rate", kw_only=True, default=3)
    shrink: float = entry("s, height of a rise relative to the one before", kw_only=True, default=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        most = (self.total - self.warmup + 1) // 2
        if not 1 <= self.cycles <= most:
            raise ScheduleError(
                f"cyclic: cycles must lie between 1 and {most}, one update for every line, got {self.cycles}."
            )
        if self.shrink > 1:
            raise ScheduleError(f"cyclic: shrink must be at most 1, got {number(self.shrink)}.")

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        # Lines between whole steps, so that every kink is a break.
        k = np.array((self.warmup, *self._turns(), self.total), dtype=float)
        heights = self.shrink ** np.arange(self.cycles)
        v = np.zeros(2 * self.cycles)
        v[::2] = heights
        return self.final + (self.peak - self.final) * np.interp(t, k, v)

    def _turns(self) -> tuple[int, ...]:
        lines = 2 * self.cycles - 1
        return tuple(self.warmup + round(i * (self.total - self.warmup) / lines) for i in range(1, lines))


@dataclass(frozen=True)
class Step(Schedule):
    """Constant pieces: the peak, then `values[i]` from step `boundaries[i]` on."""

    family: ClassVar[str] = "step"
    formula: ClassVar[str] = r"\eta(t) = v_i \quad \text{for } b_i \le t < b_{i+1}, \qquad v_0 = p"
    peak: float = peak_entry()
    warmup: int = warmup_entry()
    total: int = total_entry()
    boundaries: tuple[int, ...] = entry("steps at which the rate changes", "updates", kw_only=True)
    values: tuple[float, ...] = entry("rates from those steps on", "LR", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.boundaries or len(self.boundaries) != len(self.values):
            raise ScheduleError(
                f"step: boundaries and values must be lists of the same length, at least 1, "
                f"got {len(self.boundaries)} and {len(self.values)}."
            )
        steps = (self.warmup, *self.boundaries, self.total)
        if any(b <= a for a, b in pairwise(steps)):
            raise ScheduleError(
                f"step: boundaries must rise strictly between warmup = {self.warmup} and total = {self.total}, "
                f"got {list(self.boundaries)}."
            )
        if max(self.values) > self.peak:
            raise ScheduleError(
                f"step: no value may exceed the peak {number(self.peak)}, got {number(max(self.values))}; "
                "use knots for a rate that rises again."
            )

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        rates = np.array((self.peak, *self.values))
        return rates[np.searchsorted(self.boundaries, t, side="right")]

    def _turns(self) -> tuple[int, ...]:
        return self.boundaries

    def _stretched(self, factor: float) -> dict:
        return {"boundaries": tuple(self._stretch(b, factor) for b in self.boundaries)}


@dataclass(frozen=True)
class Knots(Schedule):
    """Any curve: straight lines between (step, rate) knots. A step that stands twice is a jump, to its second rate.

    The first knot is at step 0, the last one at `total`. With a `warmup`, the line from 0 replaces the curve before.
    """

    family: ClassVar[str] = "knots"
    formula: ClassVar[str] = r"\eta(t) = v_i + (v_{i+1} - v_i)\,\frac{t - k_i}{k_{i+1} - k_i}"
    steps: tuple[int, ...] = entry("steps of the knots, from 0 to the total", "updates")
    values: tuple[float, ...] = entry("rates at those steps", "LR")
    warmup: int = warmup_entry()

    def __post_init__(self) -> None:
        for name in ("steps", "values"):
            if not hasattr(getattr(self, name), "__len__") or isinstance(getattr(self, name), str):
                raise ScheduleError(
                    f"knots: {name} must be a list such as [0, 100, 2000], got {getattr(self, name)!r}."
                )
        if len(self.steps) != len(self.values) or len(self.steps) < 2:
            raise ScheduleError(
                "knots: steps and values must be lists of the same length, at least 2, "
                f"got {len(self.steps)} and {len(self.values)}."
            )
        super().__post_init__()
        k = np.array(self.steps)
        if k[0] != 0 or (np.diff(k) < 0).any() or (k[2:] == k[:-2]).any() or k[-1] == k[-2] or k[1] == 0:
            raise ScheduleError(
                "knots: steps must start at 0 and rise; a step may stand twice (a jump), but not the first or last, "
                f"got {_brief(self.steps)}."
            )

    @property
    def peak(self) -> float:
        """The highest rate: of the knots, without those that a warm-up replaces."""
        late = [v for k, v in zip(self.steps, self.values, strict=True) if k >= self.warmup]
        top = float(self._after_warmup(np.asarray(float(self.warmup)))) if self.warmup else 0.0
        return max((top, *late))

    @property
    def total(self) -> int:
        """The last knot's step."""
        return self.steps[-1]

    def __call__(self, t):
        t = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        rate = self._after_warmup(t)
        if not self.warmup:
            return rate
        top = self._after_warmup(np.asarray(float(self.warmup)))
        return np.where(t < self.warmup, top * (t / self.warmup), rate)

    def _after_warmup(self, t: FloatArray) -> FloatArray:
        k, v = np.array(self.steps, dtype=float), np.array(self.values)
        right = np.clip(np.searchsorted(k, t, side="right"), 1, len(k) - 1)
        left = right - 1
        return v[left] + (v[right] - v[left]) * ((t - k[left]) / (k[right] - k[left]))

    def _turns(self) -> tuple[int, ...]:
        return tuple(k for k in self.steps if k > self.warmup)

    @property
    def warmup_end(self) -> int:
        """The declared end; else, for a curve that starts below half the peak, where it first comes to 99 % of it."""
        if self.warmup or self.values[0] >= 0.5 * self.peak:
            return self.warmup
        return next(k for k, v in zip(self.steps, self.values, strict=True) if v >= 0.99 * self.peak)

    def rescaled(self, total: int) -> "Knots":
        if total <= self.warmup:
            raise ScheduleError(f"knots: a horizon of {total} leaves nothing after {self.warmup} warm-up updates.")
        factor = (total - self.warmup) / (self.total - self.warmup)
        steps = tuple(k if k <= self.warmup else self._stretch(k, factor) for k in self.steps)
        return Knots(steps=steps, values=self.values, warmup=self.warmup)


def _brief(steps: tuple[int, ...]) -> str:
    shown = ", ".join(str(s) for s in steps[:8])
    return f"[{shown}{', …' if len(steps) > 8 else ''}]"
