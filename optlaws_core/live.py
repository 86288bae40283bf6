"""A run in progress: where its loss is going, what a decay from here would give, and whether it is diverging.

**Anchored forecast.** A law fitted to finished runs is off by something on a new one, and what it is off by changes
slowly. The forecast multiplies the law's prediction by exp(a·(now/t)^½): `a` is the median of log(observed/predicted)
over the latest tenth of the losses, pulled towards 0 by one loss that the law got right. Window, pull and exponent were
chosen on replayed training runs of the bundled sweep, each forecast from its two partners, where many forms were nearly
as good (no pull was 1 % better; it is there for logs of few losses); no held-out run was looked at. The band follows
from the same picture: errors of correlation ρ = (now/t)^½ leave √(1−ρ²) of the model's own band, next to which stand
the noise of single losses and that of `a`.

**Divergence.** The mean of the latest losses is tested against that of every earlier stretch: is it more than 5 % above
one? The noise is that of the run's own second differences, all lengths and places are tested together (Bonferroni), and
earlier stretches count only where their rate, after the warm-up, was hardly below today's: a loss rises with its rate.
5 % is what the manifest of the bundled sweep calls diverged. The p-value is that of one look at Gaussian noise; who
looks after every loss is alarmed more often where single losses are noisy (`python -m benchmarks live` counts that).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from .bands import with_bands
from .errors import DesignError, LogError, ScheduleError
from .fits import Model
from .fitting import usable, windowed
from .prediction import predict
from .readers import Reading, Source, Sources, read_all, sources_from_paths
from .runs import Run, Series
from .schedules import Schedule, number
from .schedules.base import FloatArray
from .uncertainty import QUANTILE

WINDOW, FEWEST = 0.1, 3  # share of the losses so far that the forecast is anchored to, and how many at least
PULL = 1.0  # losses the law got right that stand beside those of the window
MEMORY = 0.5  # power of now/t with which the law's error of today says something of that at t
POINTS = 200  # of a forecast
RISE = 0.05  # share by which the loss may lie above its lowest before that is called diverging
ALARM = 0.99  # score from which on a run counts as diverging
LOOKS = 6  # losses before which nothing is said
ALIKE = 0.9  # share of the latest losses' mean rate that an earlier stretch had at least, to be compared with
LINES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")  # files that grow by lines
TOLERANCE = 1e-6  # of the peak: rates of the past that count as the same


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is to come, at steps (n,). Bands, 90 %, are None where the model has none."""

    now: int  # the last update that was seen
    steps: NDArray[np.int64]
    loss: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    offset: float  # log loss by which the run lies above the law at `now`, as far as it is believed


@dataclass(frozen=True)
class Outcome:
    """A way to go on, and the loss at its end with its 90 % band; None where the model has none."""

    name: str
    schedule: Schedule
    loss: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Continued(Schedule):
    """`first` before update `at`; from there on straight lines between (step, rate) knots, the last at the new total.

    The past stays what it was, of whatever family. Not among `SCHEDULES`: it has no text form that `parse` reads.
    """

    family = "continued"
    formula = r"\eta^{(1)}(t) \text{ for } t < t_0, \quad \text{straight lines from there on}"

    first: Schedule
    at: int
    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.steps[0] != self.at or (np.diff(self.steps) <= 0).any() or len(self.steps) != len(self.values):
            raise ScheduleError(f"continued: knots must rise strictly from step {self.at:,}, got {list(self.steps)}.")

    def __call__(self, t: ArrayLike) -> FloatArray:
        t = np.clip(np.asarray(t, dtype=float), 0.0, self.total)
        return np.where(t < self.at, self.first(t), np.interp(t, self.steps, self.values))

    @property
    def peak(self) -> float:
        """The highest rate, that of the first part or of the knots."""
        return max(self.first.peak, *self.values)

    @property
    def total(self) -> int:
        """The last knot's step."""
        return self.steps[-1]

    @property
    def warmup(self) -> int:
        """That of the first part."""
        return self.first.warmup

    @property
    def warmup_end(self) -> int:
        """That of the first part."""
        return self.first.warmup_end

    @property
    def breaks(self) -> tuple[int, ...]:
        """Those of the first part up to the turn, and the knots."""
        return (*(b for b in self.first.breaks if b < self.at), *self.steps)

    @property
    def text(self) -> str:
        """For the eye."""
        knots = ", ".join(f"{number(v)} at {k:,}" for k, v in zip(self.steps, self.values, strict=True))
        return f"{self.first.text} up to step {self.at - 1:,}, then {knots}"

    def rescaled(self, total: int) -> "Continued":
        """The part from the turn on over another horizon. Raises `ScheduleError` where its knots would meet."""
        factor = (total - self.at) / (self.total - self.at)
        return replace(self, steps=tuple(self.at + round((k - self.at) * factor) for k in self.steps))


def reread(folder: Path) -> Reading:
    """The logs in a folder as they are now. A last line of text without its end is still being written, so it waits.

    Names are relative to the folder. Raises `LogError` for a folder that is not there or holds no logs.
    """
    folder, now = Path(folder), []
    found = sources_from_paths([folder])
    for source in found:
        name = os.path.relpath(source.name, folder)
        try:
            data = source.read()
        except LogError:  # gone or too large: told by the reader
            now.append(Source(name, source.data))
        else:
            now.append(Source(name, _whole(data) if name.lower().endswith(LINES) else data))
    return read_all(Sources(now, found.notes))


def _whole(data: bytes) -> bytes:
    """The lines that have an end; all of a text without one."""
    return data[: data.rfind(b"\n") + 1] or data


def cut(run: Run, step: int) -> Run:
    """`run` as it was after update `step`: later losses are gone, the plan stays. Raises `DesignError` if none is left.

    Its split must have a loss by then; other splits may be empty.
    """
    kept = {k: Series(s.steps[s.steps <= step], s.loss[s.steps <= step]) for k, s in run.series.items()}
    if not len(kept[run.split]):
        raise DesignError(
            f"Run {run.name!r} has no {run.split} loss up to step {step:,}; its first is at step {int(run.steps[0]):,}."
        )
    return replace(run, series=kept, last_step=min(step, int(run.last_step or step)))


def forecast(
    model: Model, run: Run, schedule: Schedule | None = None, at: ArrayLike | None = None, *, anchored: bool = True
) -> Forecast:
    """The rest of `run`, by a law that was fitted to others: after the updates `at` (n,), by default to the end.

    schedule: how the run goes on, when not as its plan says; its rates up to now must be those of the plan.
    anchored: False for the law's own prediction, which the losses so far have no part in.
    Raises `DesignError` for a run that is not past its warm-up, has nothing left, or does not suit the schedule.
    """
    kept = usable(run)
    now, plan = int(kept.steps[-1]), kept.plan if schedule is None else replace(kept.plan, schedule=schedule)
    if schedule is not None:
        _same_past(run, schedule, now)
    if at is None and now >= plan.schedule.total - 1:
        raise DesignError(
            f"Run {run.name!r} has nothing left to forecast: its losses reach step {now:,}, its schedule ends after "
            f"{plan.schedule.total:,} updates."
        )
    steps = _ahead(plan.schedule, now) if at is None else np.atleast_1d(np.asarray(at))
    if (steps <= now).any():
        raise DesignError(f"A forecast starts after step {now:,}, the last that was seen, got {int(steps.min()):,}.")
    told = with_bands(model, plan, steps)
    if not anchored:
        ends = (None, None) if told.prediction is None else told.band(told.prediction)
        return Forecast(now, told.steps, told.loss, *ends, 0.0)
    offset, noise, n = _anchor(model, kept)
    alike = (max(now, 1) / told.steps) ** MEMORY
    loss = told.loss * np.exp(offset * alike)
    if told.prediction is None:
        return Forecast(now, told.steps, loss, None, None, offset)
    half = np.sqrt(told.prediction**2 * (1 - alike**2) + (QUANTILE * noise) ** 2 * (1 + alike**2 / n))
    return Forecast(now, told.steps, loss, loss * np.exp(-half), loss * np.exp(half), offset)


def decays(
    run: Run, now: int, total: int, lengths: Sequence[int], starts: Sequence[int] = (0,)
) -> list[tuple[str, Schedule]]:
    """Ways to go on after update `now`, all with one past: hold the rate, then decay it in a straight line to 0.

    lengths: updates of a decay. starts: updates from now to its start, 0 for at once; a run ends with its decay. Added
    to these: a decay that ends at `total`, no decay, and what is planned. What would go beyond `total` is left out.
    Raises `DesignError` for a run without a plan, in its warm-up, at rate 0, or with nothing left.
    """
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    first = run.plan.schedule
    if now < first.warmup_end:
        raise DesignError(
            f"Run {run.name!r} is still warming up at step {now:,}; a decay can start from step {first.warmup_end:,}."
        )
    if now + 2 > total or now >= first.total:
        raise DesignError(f"Run {run.name!r} has nothing left: step {now:,} of {min(total, first.total):,} updates.")
    if min((*lengths, 1)) < 1 or min((*starts, 0)) < 0:
        raise DesignError(
            f"A decay takes at least 1 update and starts now or later, got lengths {list(lengths)} and starts "
            f"{list(starts)}."
        )
    rate, turn = float(first(now)), now + 1
    if not rate > 0:
        raise DesignError(f"Run {run.name!r} has a learning rate of 0 at step {now:,}, so there is nothing to decay.")
    found = {}
    for length in dict.fromkeys(lengths):
        for wait in dict.fromkeys((*starts, total - turn - length)):
            start, end = turn + wait, turn + wait + length
            if wait < 0 or end > total:
                continue
            when = "now" if wait == 0 else f"in {wait:,} updates"
            when = f"at the end, {when}" if end == total else when
            knots = ((turn, rate), (end, 0.0)) if wait == 0 else ((turn, rate), (start, rate), (end, 0.0))
            found[f"decay {when}, over {length:,}"] = Continued(first, turn, *zip(*knots, strict=True))
    found["no decay"] = Continued(first, turn, (turn, total), (rate, rate))
    if first.total > turn:
        found["as planned"] = first
    return list(found.items())


def outcomes(model: Model, run: Run, ways: Sequence[tuple[str, Schedule]]) -> list[Outcome]:
    """The final loss of each way to go on, anchored to the run so far, the best first. Raises like `forecast`."""
    found = []
    for name, schedule in ways:
        end = forecast(model, run, schedule, schedule.total - 1)
        ends = (None, None) if end.low is None else (float(end.low[0]), float(end.high[0]))
        found.append(Outcome(name, schedule, float(end.loss[0]), *ends))
    return sorted(found, key=lambda o: o.loss)


def diverging(run: Run) -> float:
    """How surely the latest losses lie more than 5 % above what they have been, 0 to 1; from `ALARM` on, an alarm.

    1 − p of the test that the module describes; 0 before `LOOKS` losses. Raises `DesignError` for a loss of 0 or less.
    """
    if (run.loss <= 0).any():
        raise DesignError(f"Run {run.name!r}: losses must be above 0, got {float(run.loss.min()):g}.")
    run = windowed(run)
    y, n = np.log(run.loss), len(run.loss)
    if n < LOOKS:
        return 0.0
    noise = max(float(np.median(np.abs(np.diff(y, 2)))) / 0.6745 / np.sqrt(6), 1e-9)
    area, total = (np.concatenate(([0.0], np.cumsum(v))) for v in (_rates(run), y))
    tests, best = 0, -np.inf
    for late in _lengths(n // 2):
        level, today = ((v[n] - v[n - late]) / late for v in (total, area))
        for early in _lengths(n - late):
            means, rates = ((v[early : n - late + 1] - v[: n - late - early + 1]) / early for v in (total, area))
            fair = rates >= ALIKE * today
            tests += int(fair.sum())
            if fair.any():
                gap = level - means[fair].min() - np.log1p(RISE)
                best = max(best, gap / (noise * np.sqrt(1 / late + 1 / early)))
    return float(1 - min(1.0, tests * ndtr(-best))) if tests else 0.0


def _lengths(most: int) -> list[int]:
    """2, 4, 8, … up to `most`."""
    return [2**k for k in range(1, max(most, 1).bit_length()) if 2**k <= most]


def _rates(run: Run) -> FloatArray:
    """Rates at the losses (n,), as high as can be in the warm-up: whatever the loss was there may be compared with."""
    if run.plan is None:
        return np.full(len(run.loss), 1.0)
    schedule = run.plan.schedule
    return np.where(run.steps < schedule.warmup_end, schedule.peak, schedule(run.steps))


def _anchor(model: Model, run: Run) -> tuple[float, float, int]:
    """Log offset of the latest losses from the law, the noise of one of them, and how many there are."""
    n = min(len(run.loss), max(FEWEST, round(WINDOW * len(run.loss))))
    off = np.log(run.loss[-n:]) - np.log(predict(model, run.plan, run.steps[-n:]))
    seen = np.log(run.loss[-max(n, 20) :])
    noise = float(np.median(np.abs(np.diff(seen, 2)))) / 0.6745 / np.sqrt(6) if len(seen) > 3 else float(off.std())
    return float(np.median(off)) * n / (n + PULL), noise, n


def _ahead(schedule: Schedule, now: int) -> NDArray[np.int64]:
    """Steps from now to the end, (n,), both sides of the turns among them."""
    even = np.linspace(now + 1, schedule.total - 1, POINTS)
    turns = [b for b in schedule.breaks if b > now][:POINTS]
    steps = np.unique(np.rint(np.concatenate((even, turns, np.array(turns) - 1))).astype(np.int64))
    return steps[(steps > now) & (steps < schedule.total)]


def _same_past(run: Run, schedule: Schedule, now: int) -> None:
    """Raises `DesignError` when `schedule` rewrites what has already happened."""
    if schedule.total <= now:
        raise DesignError(f"The schedule must go on after step {now:,}, got {schedule.total:,} updates in all.")
    past = np.unique(np.rint(np.linspace(0, now, 2000)).astype(np.int64))
    had, told = run.plan.schedule(past), schedule(past)
    other = np.abs(had - told) > TOLERANCE * run.plan.schedule.peak
    if other.any():
        i = int(np.argmax(other))
        raise DesignError(
            f"The schedule must have the rates of run {run.name!r} up to step {now:,}; at step {int(past[i]):,} that "
            f"is {number(float(had[i]))}, got {number(float(told[i]))}."
        )


__all__ = ["ALARM", "Continued", "Forecast", "Outcome", "cut", "decays", "diverging", "forecast", "outcomes", "reread"]
