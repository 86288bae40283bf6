"""What a fitted law says of schedules that were not run: curves, rankings, and what a better schedule saves.

"Saved at equal loss" needs care. Reading the best candidate's own curve at the other's final loss would be wrong: half
way through, a schedule that decays late has not decayed, so its loss there is not what it would end at if it were
meant to stop there. The honest question is how short a run of the best candidate's *shape* could be and still end at
the other's final loss: `updates_for` shortens everything after the warm-up in proportion until it does. What is saved
is the other's horizon minus that one. It is negative when the best candidate ends lower only because it is longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import FloatArray
from ..errors import DesignError, ScheduleError
from ..fitting.result import Coverage, Fit, Model
from ..laws import law_named
from ..laws.base import params
from ..laws.evaluation import batch
from ..laws.evaluation import predict as evaluate
from ..runs import MOST_UPDATES, Plan
from ..schedules import Schedule
from ..text import format_amount, format_number
from .divergence import MOST_RISK, Risk, risk_of

SLACK = 0.01  # a peak or horizon within 1 % of what was covered counts as covered


@dataclass(frozen=True)
class Ranked:
    """One candidate in a ranking, best first."""

    schedule: Schedule
    final_loss: float  # after the last update
    delta: float  # final loss above the best candidate's; may be negative for one that is set apart
    # Updates that the best candidate's shape needs fewer for this loss; negative where it needs more. None for the best
    # itself, and where its shape cannot be shortened so far that it ends this high.
    saved_updates: int | None
    reasons: tuple[str, ...]  # why the prediction is an extrapolation; empty when it is none
    risk: float | None = None  # probability of divergence; None where nothing tells
    apart: bool = False  # whether the risk is above what was chosen: it ranks behind all others

    @property
    def extrapolates(self) -> bool:
        """Whether the candidate lies outside what the training runs cover."""
        return bool(self.reasons)


def predict(model: Model, schedule: Schedule | Plan, at: ArrayLike | None = None) -> FloatArray:
    """Losses of `schedule` after the updates `at` (n,), by default after its last one (1,).

    A bare schedule gets the model size and batch of the training runs. Raises `DesignError` for a step outside the
    schedule, more than `MOST_UPDATES`, a model size that the law needs and nobody tells, or a loss that is not finite.
    """
    plan, steps = checked(model, schedule, at)
    if isinstance(model, Fit):
        return _losses(model, plan, steps)
    logs = [w * np.log(_losses(f, plan, steps)) for f, w in zip(model.fits, model.weights, strict=True) if w > 0]
    return np.exp(sum(logs))


def sized(model: Model, params: float | None = None, batch_tokens: float | None = None) -> Model:
    """`model`, told the model size and batch (tokens per update) of bare schedules; None: the training runs' own.

    Raises `DesignError` for a value that is not above 0.
    """
    told = {"params": params, "batch_tokens": batch_tokens}
    for name, value in told.items():
        if value is not None and not 0 < value < np.inf:
            raise DesignError(f"{name} must be a finite number above 0, got {value:g}.")
    if isinstance(model, Fit):
        return replace(model, coverage=replace(model.coverage, asked=(params, batch_tokens)))
    return replace(model, fits=tuple(sized(f, params, batch_tokens) for f in model.fits))


def checked(model: Model, schedule: Schedule | Plan, at: ArrayLike | None) -> tuple[Plan, NDArray[np.int64]]:
    """The plan and the steps of a prediction. Raises like `predict`."""
    if not isinstance(schedule, Schedule | Plan):
        raise DesignError(
            f"A prediction needs a schedule, got {schedule!r:.60}; parse(text) makes one of its text form."
        )
    plan = schedule if isinstance(schedule, Plan) else model.coverage.plan(schedule)
    steps = _whole_steps(plan.schedule, plan.schedule.total - 1 if at is None else at)
    if plan.schedule.total > MOST_UPDATES:
        raise DesignError(
            f"A prediction covers at most {MOST_UPDATES:,} updates, got {plan.schedule.total:,} "
            f"in {_brief(plan.schedule)}."
        )
    return plan, steps


def _losses(fit: Fit, plan: Plan, steps: NDArray[np.int64]) -> FloatArray:
    if plan.params is None and _needs_size(fit):
        raise DesignError(
            f"The law {fit.law} was fitted to several model sizes; say which one {_brief(plan.schedule)} has."
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # judged below, for all reasons alike
        losses = evaluate(batch(law_named(fit.law), [(plan, steps)]), fit.vector)
    if not np.isfinite(losses).all():
        raise DesignError(f"The law {fit.law} with these coefficients has no finite loss for {_brief(plan.schedule)}.")
    if (losses <= 0).any():
        raise DesignError(
            f"The law {fit.law} with these coefficients gives a loss of {losses.min():.3g}, which nothing has, for "
            f"{_brief(plan.schedule)}."
        )
    return losses


def _needs_size(fit: Fit) -> bool:
    """Whether the prediction hangs on the model size: the law knows it, and its term is in use."""
    law = law_named(fit.law)
    return params in law.features and any(p.needs == "params" and fit.theta[p.name] != p.neutral for p in law.params)


def _whole_steps(schedule: Schedule, at: ArrayLike) -> NDArray[np.int64]:
    """Steps as whole numbers inside the schedule. Raises `DesignError` for any other."""
    wanted = np.atleast_1d(np.asarray(at, dtype=float))
    bad = ~((wanted >= 0) & (wanted <= schedule.total) & (wanted == np.rint(wanted)))
    if not wanted.size or bad.any():
        got = f"{wanted[bad][0]:.15g}" if bad.any() else "none"
        raise DesignError(
            f"Steps must be whole numbers between 0 and the schedule's total of {schedule.total:,}, got {got}."
        )
    return wanted.astype(np.int64)


def rank(
    fit: Model, schedules: Sequence[Schedule], risk: Risk | None = None, most_risk: float = MOST_RISK
) -> list[Ranked]:
    """Candidates by predicted final loss, best first; equal ones keep their order. Raises like `predict`.

    `risk`: of divergence, learned from labelled runs; candidates above `most_risk` rank behind all others.
    """
    finals = [float(predict(fit, s)[0]) for s in schedules]
    risks = [None] * len(schedules) if risk is None else risk_of(risk, [fit.coverage.plan(s) for s in schedules])
    apart = [r is not None and r > most_risk for r in risks]
    order = sorted(range(len(schedules)), key=lambda i: (apart[i], finals[i]))
    if not order:
        return []
    best, lowest = schedules[order[0]], finals[order[0]]
    end = _ends(fit, best)
    return [
        Ranked(
            schedule=schedules[i],
            final_loss=finals[i],
            delta=finals[i] - lowest,
            saved_updates=None if i == order[0] else _saved(best, end, schedules[i], finals[i]),
            reasons=outside(fit.coverage, schedules[i]),
            risk=risks[i],
            apart=apart[i],
        )
        for i in order
    ]


def outside(coverage: Coverage, schedule: Schedule | Plan) -> tuple[str, ...]:
    """Sentences on how a schedule or plan leaves what the training runs cover; empty when it stays inside.

    A bare schedule gets the model size and batch that predictions give it.
    """
    plan = schedule if isinstance(schedule, Plan) else coverage.plan(schedule)
    schedule, (low, high) = plan.schedule, coverage.peak
    reasons = []
    if not low * (1 - SLACK) <= schedule.peak <= high * (1 + SLACK):
        seen = format_number(low) if low == high else f"{format_number(low)} to {format_number(high)}"
        reasons.append(f"peak {format_number(schedule.peak)}, the training runs had {seen}")
    shortest, longest = coverage.total
    if schedule.total > longest * (1 + SLACK):
        reasons.append(f"{schedule.total:,} updates, the longest training run had {longest:,}")
    if schedule.total < shortest * (1 - SLACK):
        reasons.append(f"{schedule.total:,} updates, the shortest training run had {shortest:,}")
    for value, ends, unit in (
        (plan.params, coverage.params, "parameters"),
        (plan.batch_tokens, coverage.batch_tokens, "tokens in an update"),
    ):
        if value and ends and not ends[0] * (1 - SLACK) <= value <= ends[1] * (1 + SLACK):
            seen = " to ".join(dict.fromkeys(format_amount(end, 3) for end in ends))
            reasons.append(f"{format_amount(value, 3)} {unit}, the training runs had {seen}")
    return tuple(reasons)


def updates_for(fit: Model, shape: Schedule, loss: float) -> int | None:
    """The horizon, at most its own, down to which `shape` can be shortened and still end at `loss` or below.

    None when it ends above `loss` even at its own horizon, and when it ends below `loss` at the shortest one that the
    shape allows (one update after the warm-up; more where boundaries or knots would fall together).
    """
    return _shortest(shape, _ends(fit, shape), loss)


Ends = Callable[[int], float | None]  # horizon -> final loss of a shape there; None where the shape cannot be so short


def _ends(fit: Model, shape: Schedule) -> Ends:
    known: dict[int, float | None] = {}

    def end(total: int) -> float | None:
        if total not in known:
            try:
                known[total] = float(predict(fit, shape.rescaled(total))[0])
            except ScheduleError:
                known[total] = None
        return known[total]

    return end


def _saved(best: Schedule, end: Ends, other: Schedule, loss: float) -> int | None:
    needed = _shortest(best, end, loss)
    return None if needed is None else other.total - needed


def _shortest(shape: Schedule, end: Ends, loss: float) -> int | None:
    good = shape.total  # ends at `loss` or below
    if (at_good := end(good)) is None or at_good > loss:
        return None
    bad = good  # ends above, or is impossible
    while bad == good:
        trial = shape.warmup + (good - shape.warmup) // 2
        if trial <= shape.warmup or trial == good:
            return None
        if (at_trial := end(trial)) is not None and at_trial <= loss:
            good = bad = trial
        else:
            bad = trial
    return _between(end, loss, bad, good)


def _between(end: Ends, loss: float, bad: int, good: int) -> int | None:
    """The crossing between two horizons by regula falsi on integers (Illinois variant), a handful of evaluations."""
    exact = max(1, good // 1_000_000)
    over = None if (at := end(bad)) is None else at - loss  # above 0
    under = end(good) - loss  # at most 0
    last = 0
    while good - bad > exact:
        if over is None or under == 0:  # no slope to follow
            trial = (bad + good) // 2
        else:
            trial = round(good + (bad - good) * under / (under - over))
        trial = min(max(trial, bad + 1), good - 1)
        off = None if (at := end(trial)) is None else at - loss
        if off is not None and off <= 0:
            good, under, over = trial, off, over / 2 if over is not None and last < 0 else over
            last = -1
        else:
            bad, over, under = trial, off, under / 2 if last > 0 else under
            last = 1
    # Next to horizons that are impossible there is no crossing: the shape ends below `loss` as short as it can be.
    return None if end(bad) is None else good


def _brief(schedule: Schedule) -> str:
    return schedule.text if len(schedule.text) <= 90 else schedule.text[:89] + "…"
