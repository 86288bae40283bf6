"""Where the loss of a run in progress is going, and what a decay from here would give.

**Anchored forecast.** A law fitted to finished runs is off by something on a new one, and what it is off by changes
slowly. The forecast multiplies the law's prediction by exp(a·(now/t)^½): `a` is the median of log(observed/predicted)
over the latest tenth of the losses, pulled towards 0 by one loss that the law got right. Window, pull and exponent were
chosen on replayed training runs of the bundled sweep, each forecast from its two partners, where many forms were nearly
as good (no pull was 1 % better; it is there for logs of few losses); no held-out run was looked at. The band follows
from the same picture: errors of correlation ρ = (now/t)^½ leave √(1−ρ²) of the model's own band, next to which stand
the noise of single losses and that of `a`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import FloatArray
from ..errors import DesignError
from ..fitting.covariance import QUANTILE
from ..fitting.coverage import LONG_AVERAGE
from ..fitting.result import Model
from ..fitting.single import usable
from ..prediction.bands import with_bands
from ..prediction.losses import predict
from ..runs import Run, Series
from ..runs.noise import single_loss_noise
from ..schedules import EMA, WSD, Average, Constant, Joint, Merge, Schedule, parts, with_rate
from ..schedules.chain import Chain
from ..schedules.joint_schedule import averaged, without
from ..text import counted, format_number

WINDOW, FEWEST = 0.1, 3  # share of the losses so far that the forecast is anchored to, and how many at least
NOISY = 20  # latest losses at least that tell the noise of one
PULL = 1.0  # losses the law got right that stand beside those of the window
MEMORY = 0.5  # power of now/t with which the law's error of today says something of that at t
POINTS = 200  # of a forecast
LEAST_AVERAGED = 100  # updates, before which weights are not averaged
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
    updates: int  # after which the loss is reached, those so far included


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
    now, plan = int(kept.steps[-1]), kept.known_plan
    if schedule is not None:
        plan = replace(plan, schedule=schedule)
    if schedule is not None:
        _same_past(run, schedule, now)
    if now >= plan.schedule.total - 1:
        raise DesignError(
            f"Run {run.name!r} has nothing left to forecast: its losses reach step {now:,}, its schedule ends after "
            f"{plan.schedule.total:,} updates."
        )
    steps = _ahead(plan.schedule, now) if at is None else np.atleast_1d(np.asarray(at))
    if (steps <= now).any():
        raise DesignError(f"A forecast starts after step {now:,}, the last that was seen, got {int(steps.min()):,}.")
    told = with_bands(model, plan, steps)
    if not anchored:
        low, high = (None, None) if told.prediction is None else told.band(told.prediction)
        return Forecast(now, told.steps, told.loss, low, high, 0.0)
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
    A batch schedule and an average of the weights stay as they are planned.
    Raises `DesignError` for a run without a plan, in its warm-up, at rate 0, or with nothing left.
    """
    first = run.known_plan.schedule
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
    found: dict[str, Schedule] = {}
    for length in dict.fromkeys(lengths):
        latest = total - turn - length
        for wait in (w for w in dict.fromkeys((*starts, latest)) if 0 <= w <= latest):
            when = "now" if wait == 0 else "at the end" if wait == latest else f"in {wait:,} updates"
            decay = WSD(rate, total=wait + length, decay=length, shape="linear")
            found[f"decay {when}, over {length:,}"] = _going_on(first, decay, turn)
    found["no decay"] = _going_on(first, Constant(rate, total=total - turn), turn)
    if first.total > turn:
        found["as planned"] = first
    return list(found.items())


def _going_on(plan: Schedule, rate: Schedule, turn: int) -> Schedule:
    """The plan with another rate from update `turn` on, which counts its steps from there.

    An auxiliary rate goes on as the rate does, in the proportion that the two had at the turn.
    """
    whole = Chain(parts(plan)[0], rate, turn)
    now = float(plan.auxiliary(turn - 1)) if isinstance(plan, Joint) and plan.auxiliary else 0.0
    made = with_rate(without(plan, "auxiliary"), whole)
    if not isinstance(plan, Joint) or plan.auxiliary is None or not now > 0:
        return made
    auxiliary = Chain(plan.auxiliary, rate.resized(peak=now), turn)
    return replace(made, auxiliary=auxiliary) if isinstance(made, Joint) else Joint(made, auxiliary=auxiliary)


def outcomes(model: Model, run: Run, ways: Sequence[tuple[str, Schedule]]) -> list[Outcome]:
    """The final loss of each way to go on, anchored to the run so far, the best first. Raises like `forecast`."""
    found = []
    for name, schedule in ways:
        end = forecast(model, run, schedule, schedule.total - 1)
        low, high = (None if edge is None else float(edge[0]) for edge in (end.low, end.high))
        found.append(Outcome(name, schedule, float(end.loss[0]), low, high, schedule.total))
    return sorted(found, key=lambda o: o.loss)


def averages(model: Model, run: Run) -> list[Outcome]:
    """The loss of averages of the weights so far, without a further update, anchored like a forecast; the best first.

    They reach over at most a tenth of the updates, as far as our own runs bear laws out (docs/lab-notes.md). The band
    follows as for a forecast: an average forgets the latest updates, over which the law's errors are less alike. Raises
    `DesignError` for a run without a plan, or without losses after its warm-up.
    """
    kept = usable(run)
    now, planned = int(kept.steps[-1]), kept.known_plan.schedule
    offset, noise, n = _anchor(model, kept)
    found = []
    for average in _usual_averages(now):
        plan = replace(kept.known_plan, schedule=averaged(planned, average))
        told = with_bands(model, plan, now)
        loss = float(told.loss[0]) * float(np.exp(offset))
        low, high = None, None
        if told.prediction is not None:
            alike = max(1 - average.reach / (now + 1), 0.0) ** MEMORY
            half = float(np.sqrt(told.prediction[0] ** 2 * (1 - alike**2) + (QUANTILE * noise) ** 2 / n))
            low, high = loss * np.exp(-half), loss * np.exp(half)
        found.append(Outcome(f"average now, {_in_words(average)}", plan.schedule, loss, low, high, now + 1))
    return sorted(found, key=lambda o: o.loss)


def _usual_averages(now: int) -> list[Average]:
    """An EMA whose half-life is 1 % of the updates so far, the longest that is known, eight checkpoints of a tenth."""
    if now < LEAST_AVERAGED:
        return []
    longest = LONG_AVERAGE * now
    return [EMA(round(now / 100)), EMA(int(longest / log2(10))), Merge(8, int(longest / 7))]


def _in_words(average: Average) -> str:
    if isinstance(average, EMA):
        return f"EMA with a half-life of {counted(int(average.half_life), 'update')}"
    return f"{average.count} checkpoints, {counted(average.every, 'update')} apart"


def _anchor(model: Model, run: Run) -> tuple[float, float, int]:
    """Log offset of the latest losses from the law, the noise of one of them, and how many there are."""
    n = min(len(run.loss), max(FEWEST, round(WINDOW * len(run.loss))))
    off = np.log(run.loss[-n:]) - np.log(predict(model, run.known_plan, run.steps[-n:]))
    seen = np.log(run.loss[-max(n, NOISY) :])
    noise = single_loss_noise(seen) if len(seen) > FEWEST else float(off.std())
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
        raise DesignError(f"The schedule must go on after step {now:,}, got {schedule.total:,} updates in total.")
    past = np.unique(np.rint(np.linspace(0, now, 2000)).astype(np.int64))
    plan = run.known_plan.schedule
    had, told = plan(past), schedule(past)
    other = np.abs(had - told) > TOLERANCE * plan.peak
    if other.any():
        i = int(np.argmax(other))
        raise DesignError(
            f"The schedule must have the rates of run {run.name!r} up to step {now:,}; at step {int(past[i]):,} that "
            f"is {format_number(float(had[i]))}, got {format_number(float(told[i]))}."
        )


__all__ = ["Forecast", "Outcome", "averages", "cut", "decays", "forecast", "outcomes"]
