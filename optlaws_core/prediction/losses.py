"""What a fitted law says of schedules that were not run: their losses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import FloatArray
from ..errors import DesignError
from ..fitting.coverage import TOLERANCE
from ..fitting.result import Fit, Model
from ..laws import law_named
from ..laws.base import params
from ..laws.effective import in_multiples
from ..laws.evaluation import batches
from ..laws.evaluation import predict as evaluate
from ..runs import MOST_UPDATES, Plan
from ..schedules import Schedule, parts
from ..text import format_amount, shortened

Asked = Sequence[tuple[Plan, NDArray[np.int64]]]  # plans, each with the updates (n_i,) whose losses are asked for
T = TypeVar("T")


def predict(model: Model, schedule: Schedule | Plan, at: ArrayLike | None = None) -> FloatArray:
    """Losses of `schedule` after the updates `at` (n,), by default after its last one (1,).

    A bare schedule gets the model size and batch of the training runs. Raises `DesignError` for a step outside the
    schedule, more than `MOST_UPDATES`, a model size that the law needs and nobody tells, or a loss that is not finite.
    """
    return predict_each(model, [(schedule, at)])[0]


def predict_each(model: Model, asked: Sequence[tuple[Schedule | Plan, ArrayLike | None]]) -> list[FloatArray]:
    """What `predict` says of several schedules, each after updates (n_i,) of its own: faster than one after another.

    Raises like `predict`.
    """
    plans = [checked(model, schedule, at) for schedule, at in asked]
    return [
        own[0][1] if len(own) == 1 else np.exp(sum(w * np.log(loss) for w, loss in own))
        for own in of_parts(model, plans, of_fit)
    ]


def of_parts(model: Model, asked: Asked, ask: Callable[[Fit, Asked], Sequence[T]]) -> list[list[tuple[float, T]]]:
    """What `ask` tells of each plan under each fit that predicts it, with the fit's weight. Every fit is asked once."""
    parts = [model.parts_at(plan.schedule.peak) for plan, _ in asked]
    told: dict[tuple[int, int], T] = {}  # by fit and place
    for fit in {id(f): f for own in parts for f, _ in own}.values():
        places = [i for i, own in enumerate(parts) if any(f is fit for f, _ in own)]
        told |= {(id(fit), i): found for i, found in zip(places, ask(fit, [asked[i] for i in places]), strict=True)}
    return [[(w, told[id(f), i]) for f, w in own] for i, own in enumerate(parts)]


def sized(model: Model, params: float | None = None, batch_tokens: float | None = None) -> Model:
    """`model`, told the model size and batch (tokens per update) of bare schedules; None: the training runs' own.

    Raises `DesignError` for a value that is not above 0.
    """
    for name, value in (("params", params), ("batch_tokens", batch_tokens)):
        if value is not None and not 0 < value < np.inf:
            raise DesignError(f"{name} must be a finite number above 0, got {value:g}.")
    return model.map_fits(lambda f: replace(f, coverage=replace(f.coverage, asked=(params, batch_tokens))))


def checked(model: Model, schedule: Schedule | Plan, at: ArrayLike | None) -> tuple[Plan, NDArray[np.int64]]:
    """The plan and the steps of a prediction. Raises like `predict`."""
    if not isinstance(schedule, Schedule | Plan):
        raise DesignError(
            f"A prediction needs a schedule, got {schedule!r:.60}; parse(text) makes one of its text form."
        )
    plan = schedule if isinstance(schedule, Plan) else model.coverage.plan(schedule)
    _check_multiples(plan, model.coverage.batch)
    plan = in_multiples(plan, model.coverage.batch)
    steps = _whole_steps(plan.schedule, plan.schedule.total - 1 if at is None else at)
    if plan.schedule.total > MOST_UPDATES:
        raise DesignError(
            f"A prediction covers at most {MOST_UPDATES:,} updates, got {plan.schedule.total:,} "
            f"in {_brief(plan.schedule)}."
        )
    return plan, steps


def _check_multiples(plan: Plan, trained: float | None) -> None:
    """Raises `DesignError` for a batch in multiples of another one than the training runs had, which laws count in."""
    batch, said = parts(plan.schedule)[1], plan.batch_tokens
    if batch is None or not batch.relative or trained is None or said is None:
        return
    if abs(said / trained - 1) > TOLERANCE:
        raise DesignError(
            f"The batch schedule {shortened(batch.text, 60)} is in multiples of {format_amount(said, 3)} tokens per "
            f"update, but the training runs had {format_amount(trained, 3)}: write its sizes in tokens."
        )


def of_fit(fit: Fit, asked: Asked) -> list[FloatArray]:
    """What the coefficients of one fit say, (n_i,) each, whatever runs of other peak rates say. Raises like `predict`.

    Of no plan: nothing.
    """
    if not asked:
        return []
    for plan, _ in asked:
        if plan.params is None and _needs_size(fit):
            raise DesignError(
                f"The law {fit.law} was fitted to several model sizes; say which one {_brief(plan.schedule)} has."
            )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # judged below, for all reasons alike
        found = each([evaluate(some, fit.vector) for some in batches(law_named(fit.law), seen(fit, asked))], asked)
    for (plan, _), loss in zip(asked, found, strict=True):
        _check_losses(fit, plan, loss)
    return found


def seen(fit: Fit, asked: Asked) -> Asked:
    """The plans as the fit shows them to its law, and their steps."""
    return [(fit.seen(plan), steps) for plan, steps in asked]


def each(parts: Sequence[FloatArray], asked: Asked) -> list[FloatArray]:
    """What batches told, (observations, …) in their order, as one (n_i, …) for each of the plans."""
    ends = np.cumsum([len(steps) for _, steps in asked])
    return np.split(np.concatenate(parts), ends[:-1])


def _check_losses(fit: Fit, plan: Plan, loss: FloatArray) -> None:
    """Raises `DesignError` for losses (n,) that nothing has."""
    if not np.isfinite(loss).all():
        raise DesignError(f"The law {fit.law} with these coefficients has no finite loss for {_brief(plan.schedule)}.")
    if (loss <= 0).any():
        raise DesignError(
            f"The law {fit.law} with these coefficients gives an impossible loss, {loss.min():.3g}, for "
            f"{_brief(plan.schedule)}."
        )


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


def _brief(schedule: Schedule) -> str:
    return shortened(schedule.text, 90)
