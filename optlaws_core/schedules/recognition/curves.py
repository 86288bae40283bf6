"""What is compared: a log of rates with its tolerances and parts, and a candidate for its schedule."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...arrays import FloatArray
from ...errors import ScheduleError
from ..base import Schedule
from ..entries import WARMUPS
from .precision import digits, roundest

PART = 65_536  # rows that are evaluated at once
SHIFTS = (0, 1, -1)  # steps by which a log may be ahead of the schedule
# What maps a share of the peak back to the share of the warm-up, for each shape.
INVERSE = {
    "linear": lambda r: r,
    "cosine": lambda r: np.arcsin(np.sqrt(r)) / (0.5 * np.pi),
    "1-sqrt": lambda r: 1 - (1 - r) ** 2,
    "exponential": lambda r: np.log1p(99 * r) / np.log(100),
}


@dataclass(frozen=True, eq=False)
class Logged:
    """Rates over rising steps, (n,) each, by how much they may be off, (n,), and what else is known of the run."""

    steps: FloatArray
    rates: FloatArray
    within: FloatArray
    last: int  # last step in the log of any quantity
    total: int | None = None
    warmup: int | None = None

    @cached_property
    def peak(self) -> float:
        return float(self.rates.max())

    @cached_property
    def blur(self) -> float:
        """By how much a rate at the peak may be off."""
        return float(self.within[int(np.argmax(self.rates))])

    @cached_property
    def interval(self) -> int:
        """Updates between two rows, the median."""
        return max(1, round(float(np.median(np.diff(self.steps)))))

    @cached_property
    def top(self) -> int:
        """Index of the first row at the peak, as far as the rates tell; the rows before it are a warm-up or nothing."""
        return int(np.argmax(self.rates >= self.peak - self.blur))

    @cached_property
    def fall(self) -> int:
        """Index of the first row below the peak after it; n where there is none."""
        below = self.rates[self.top :] < self.peak - self.blur
        return self.top + int(np.argmax(below)) if below.any() else len(self.rates)

    @cached_property
    def rises_once(self) -> bool:
        """Whether no rate is below the one before up to the peak, and none above it from there on."""
        steps = np.diff(self.rates)
        slack = self.within[1:] + self.within[:-1]
        return bool((steps[: self.top] >= -slack[: self.top]).all() and (steps[self.top :] <= slack[self.top :]).all())

    def may_bend(self, way: int | None) -> bool:
        """Whether the fall may lie above its chord (1), below it (−1) or on it (0), by its middle."""
        x, y = self.steps[self.fall :], self.rates[self.fall :]
        if way is None or len(x) < 4:
            return True
        middle = (x[0] + x[-1]) / 2
        off = float(np.interp(middle, x, y) - (y[0] + y[-1]) / 2)
        slack = 4 * float(self.within[self.fall :].max())
        return abs(off) <= slack if way == 0 else way * off >= -slack

    @property
    def ends(self) -> bool:
        """Whether the log reaches the total that is known; True where none is known."""
        return self.total is None or self.total <= self.last + self.interval

    @cached_property
    def information(self) -> float:
        """Digits that the rates tell beyond those that a constant rate tells: what fields may be found from."""
        moving = np.ones(len(self.rates), bool)
        moving[1:] = np.abs(np.diff(self.rates)) > self.within[1:]
        some = np.log10(np.maximum(self.peak / (2 * self.within[moving]), 1.0))
        return float(np.minimum(some, 8.0).sum())

    def part(self, keep: np.ndarray) -> "Logged":
        """Some of the rows, by their indices or a mask."""
        return replace(self, steps=self.steps[keep], rates=self.rates[keep], within=self.within[keep])

    @cached_property
    def few(self) -> "Logged":
        """At most some 300 rows that tell the curve: of the warm-up, the peak and the fall, and around the kinks."""
        n, top, fall = len(self.rates), self.top, self.fall
        ranges = ((0, top, 60), (top, fall, 40), (fall, n, 200))
        # At uneven distances: with even ones, rounding errors would repeat and not average out.
        chance = np.random.default_rng(0)
        picked = [np.linspace(a, b - 1, most).astype(int) for a, b, most in ranges if b > a]
        picked = [
            np.minimum(p + chance.integers(0, max(1, np.diff(p, append=p[-1] + 1).min()), len(p)), p[-1])
            for p in picked
        ]
        kinks = [np.arange(max(k - 3, 0), min(k + 3, n)) for k in (top, fall)]
        return self.part(np.unique(np.concatenate([*picked, *kinks, [n - 1]])))


@dataclass(frozen=True)
class Candidate:
    """A schedule and how the log counts: `shift` steps ahead of it, `early` steps ahead in the warm-up."""

    schedule: Schedule
    shift: int = 0
    early: int = 0

    def at(self, steps: FloatArray) -> FloatArray:
        """The rates that the log should have, (n,)."""
        warmup = self.schedule.warmup
        late = self.schedule(np.maximum(steps + self.shift, warmup))
        if not warmup or steps[0] + self.early >= warmup:
            return late
        return np.where(steps + self.early < warmup, self.schedule(np.minimum(steps + self.early, warmup)), late)

    def differences(self, log: Logged) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Differences and what they may be, in parts."""
        for start in range(0, len(log.steps), PART):
            part = slice(start, start + PART)
            yield np.abs(self.at(log.steps[part]) - log.rates[part]), log.within[part]

    def agrees(self, log: Logged) -> bool:
        """Whether every rate lies within its tolerance."""
        return all(bool((off <= within).all()) for off, within in self.differences(log))

    def largest_difference(self, log: Logged) -> float:
        return max(float(off.max()) for off, _ in self.differences(log))

    def cost(self, log: Logged) -> float:
        """Digits of what is told by this schedule and not by the rest of the log."""
        s, said = self.schedule, 0.0
        for name in ("peak", "timescale", "decay", "exponent", "div", "final_div"):
            said += digits(getattr(s, name, 0) or 0)
        for name in ("boundaries", "values"):
            said += sum(digits(v) for v in getattr(s, name, ()))
        final = getattr(s, "final", 0.0)
        said += min(digits(final), 1 + digits(float(f"{final / s.peak:.9g}")))
        said += 0 if s.total == log.total else min(digits(s.total), 3) if s.total == log.last + 1 else digits(s.total)
        said += 0 if s.warmup == log.warmup else digits(s.warmup)
        return said + 2 * abs(self.shift - self.early)


def built(family: type[Schedule], **fields: Any) -> Schedule | None:
    """The schedule, or None where its fields contradict each other."""
    try:
        return family(**fields)
    except ScheduleError:
        return None


def warmups(log: Logged, peak: float) -> list[tuple[int, str, int]]:
    """(length, shape, steps that the log is ahead) of warm-ups to `peak` that agree with the rows before the peak.

    Without such rows: none, or the one that is known.
    """
    if not peak > 0:
        return []
    if log.top == 0:
        # The first row is at the peak, or below it where the fall has begun: any warm-up ended before it.
        known = log.warmup if log.warmup is not None and log.warmup <= log.steps[0] else 0
        return [(known, "linear", 0)]
    head = log.few.part(log.few.steps < log.steps[log.top])
    return [
        (w, shape, early)
        for shape in WARMUPS
        for early in SHIFTS
        for w in _lengths(log, head, peak, shape, early)[: 1 if shape == "linear" else 2]
    ]


def _lengths(log: Logged, head: Logged, peak: float, shape: str, early: int) -> list[int]:
    at = head.steps + early
    low, high = (np.clip((head.rates + s * head.within) / peak, 0, 1) for s in (-1, 1))
    if (at < 0).any() or (low[at == 0] > 0).any():
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        shortest, longest = at / INVERSE[shape](high), at / INVERSE[shape](low)
    least = max(float(np.max(shortest[at > 0], initial=0.0)), float(at[-1]) + 1e-6)
    latest = float(log.steps[log.top]) * (1 + 2 * log.blur / peak) + log.interval + early
    most = min(float(np.min(longest[at > 0], initial=np.inf)), latest)
    # One in double precision may miss by its rounding.
    return roundest(least * (1 - 1e-12), most * (1 + 1e-12)) if least <= most * (1 + 1e-9) else []
