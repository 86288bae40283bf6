"""Candidates that were really run: the final losses that were observed, beside those that are predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..arrays import IntArray
from ..errors import ScheduleError
from ..fitting.result import Model
from ..laws.effective import beside_rate, plan_of
from ..runs import Plan, Run
from ..schedules import Schedule, parts, with_rate
from ..schedules.course import Course
from ..schedules.joint_schedule import unknown_to_laws

AT_END = 0.01  # share of the updates whose losses are averaged, and that a log may lack at its end
FINAL_STEPS = 50  # at which predictions are averaged, to be held against a mean of losses
LOOKS = 1000  # updates at which rates are compared, to know schedules that are the same run


@dataclass(frozen=True)
class Observed:
    """The final loss of runs that had a candidate's rates."""

    loss: float  # mean over the runs of their mean over the last `AT_END` of the updates
    runs: tuple[str, ...]


def observed(model: Model, schedules: Sequence[Schedule], runs: Sequence[Run]) -> list[Observed | None]:
    """What runs with the rates of each schedule (n,) ended at, in the split that `model` was fitted to; None: not run.

    Rates, not words, decide: a cosine as knots is that cosine. Runs of another model size or batch than predictions are
    made for do not count, nor do runs that ended early, nor those of a plan that has another batch schedule beside its
    rate. What a run ends at as an average of its weights no log tells. Steps are counted from 0 or from 1, so that a
    run of one update more or fewer counts.
    """
    ends = [(run, loss) for run in runs if (loss := final_loss(run, model.split)) is not None]
    of_run = cache(_rates_over)
    found: list[Observed | None] = []
    for schedule in schedules:
        plan, rates = model.coverage.plan(schedule), rates_of(schedule)
        same = [
            (r.name, loss)
            for r, loss in ends
            if rates in of_run(r.known_plan.schedule, schedule.total) and _same(plan, r.known_plan)
        ]
        same = same if beside_rate(schedule)[1] is None else []
        names, losses = zip(*same, strict=True) if same else ((), ())
        found.append(Observed(float(np.mean(losses)), names) if same else None)
    return found


def rates_of(schedule: Schedule) -> tuple[int, str, bytes, str]:
    """What tells one schedule from another: its length, peak, rates in `LOOKS` places, and what no law knows of it.

    Of the latter, such as a weight decay, few logs tell, so that a run that tells none is not taken for one of a plan
    that has it, nor the other way round.
    """
    rates = np.round(schedule(_looks(schedule.total)) / schedule.peak, 9) + 0.0  # no negative zero
    more = "; ".join(f"{name}={_told(part)}" for name, part in unknown_to_laws(plan_of(schedule)).items())
    return schedule.total, f"{schedule.peak:.9g}", rates.tobytes(), more


def _told(part: Course | Schedule) -> str:
    """What tells one course from another, or the rates of one auxiliary group from those of another."""
    return part.told if isinstance(part, Course) else repr(rates_of(part))


def batch_of(plan: Plan, tokens: bool = True) -> bytes | None:
    """What tells one batch schedule from another, a constant batch included: its sizes in `LOOKS` places.

    In tokens, or as multiples of the plan's `batch_tokens`; None where these are not known.
    """
    schedule, unit = plan.schedule, plan.batch_tokens
    batch, _ = beside_rate(schedule)
    sizes = np.ones(LOOKS) if batch is None else batch(_looks(schedule.total))
    if (batch is None or batch.relative) == tokens:
        if unit is None:
            return None
        sizes = sizes * unit if tokens else sizes / unit
    return (np.round(np.log(sizes), 9) + 0.0).tobytes()


def final_loss(run: Run, split: str) -> float | None:
    """Mean loss of a run over the last `AT_END` of its updates; None where it is not known, or the run ended early."""
    series = run.series.get(split)
    if run.plan is None or series is None or not len(series):
        return None
    if split in run.ends:
        return run.ends[split]
    late = series.loss[series.steps >= (1 - AT_END) * run.plan.schedule.total]
    return float(late.mean()) if len(late) else None


def final_steps(run: Run, split: str) -> IntArray:
    """Steps (n,), spread evenly over those that `final_loss` averages; the last update where the run ended early.

    From the last logged step back, so that runs of which losses were thinned have the same ones.
    """
    assert run.plan is not None
    total = run.plan.schedule.total
    first, series = int(np.ceil((1 - AT_END) * total)), run.series.get(split)
    last = min(int(series.steps[-1]), total - 1) if series is not None and len(series) else -1
    if last < first:
        return np.array([total - 1])
    return np.unique(np.linspace(first, last, FINAL_STEPS).round().astype(np.int64))


def _rates_over(schedule: Schedule, total: int) -> list[tuple[int, str, bytes, str]]:
    """The rates of a run's schedule over so many updates; none where it has more than one more or fewer.

    With one more or fewer, what changes beside the rate begins at the same share of them, or at the same update.
    """
    if abs(schedule.total - total) > 1:
        return []
    if schedule.total == total:
        return [rates_of(schedule)]
    try:
        resized = schedule.resized(total=total)
        return [rates_of(resized), rates_of(with_rate(schedule, parts(resized)[0]))]
    except ScheduleError:
        return []


def _looks(total: int) -> IntArray:
    """Updates (`LOOKS`,) at which plans are compared, evenly from the first to behind the last."""
    return np.linspace(0, total, LOOKS).astype(np.int64)


def _same(one: Plan, other: Plan) -> bool:
    """Whether two plans have the same model size and batch at every update, as far as both tell them."""
    if not _equal(one.params, other.params):
        return False
    tokens = batch_of(one), batch_of(other)
    if None in tokens:
        return _equal(batch_of(one, tokens=False), batch_of(other, tokens=False))
    return tokens[0] == tokens[1]


def alike(one: Plan, other: Plan) -> bool:
    """Whether two plans have the same model size and batch, as far as both tell them."""
    return _equal(one.params, other.params) and _equal(one.batch_tokens, other.batch_tokens)


def _equal(one: object, other: object) -> bool:
    """Whether two values are equal, as far as both are known."""
    return one is None or other is None or one == other


__all__ = ["Observed", "alike", "batch_of", "final_loss", "final_steps", "observed", "rates_of"]
