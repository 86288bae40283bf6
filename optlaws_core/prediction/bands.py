"""How sure a prediction is: a parameter band and a prediction band, which are two things.

The **parameter band** says how far the curve moves if the training runs had had other noise: the covariance of the
coefficients, which heeds autocorrelated residuals, carried through the law's exact Jacobian. Draws through the law
itself would say the same where the runs determine the coefficients, and explode where they do not. In simulations with
white noise (40 draws, three runs, an unseen schedule of twice the horizon) it held the true curve in 83 to 88 %.

The **prediction band** is meant to hold a new run. On top of the above it counts what the laws get wrong, as
`error_terms` tells it; with a prior also for a single run. The leaderboard tells what bands cover.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import FloatArray
from ..fitting.covariance import QUANTILE
from ..fitting.result import Fit, Model
from ..laws.evaluation import in_parts
from ..runs import Plan
from ..schedules import Schedule
from .error_terms import error_terms
from .losses import Asked, checked, of_fit, of_parts, predict_each
from .prediction_shown import frame_of, html_of, line_of
from .slopes import covariance_of, slopes, varying

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Prediction:
    """Losses at steps, with 90 % bands; all (n,). Bands are symmetric in the logarithm of the loss."""

    steps: NDArray[np.int64]
    loss: FloatArray
    parameter: FloatArray | None  # half-width of log loss; None where the runs do not tell, or no run was asked
    prediction: FloatArray | None  # the same; None also where the model was not tried on left-out runs
    laws: tuple[str, ...] = ()  # names of those that predict
    schedule: str = ""  # of which it is, as text
    updates: int | None = None  # of that schedule; None where it is not known

    def __repr__(self) -> str:
        return line_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row a step: loss, and the ends of both 90 % bands, nan where there is none."""
        return frame_of(self)

    def plot(self) -> Any:
        """Losses with their bands over the steps, as a plotly `Figure`. Needs the extra `figures`."""
        from ..figures.of_records import of_prediction

        return of_prediction(self)

    def band(self, half: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper end, for one of the two half-widths."""
        return self.loss * np.exp(-half), self.loss * np.exp(half)


def with_bands(model: Model, schedule: Schedule | Plan, at: ArrayLike | None = None) -> Prediction:
    """Losses of `schedule` after the updates `at` (n,), by default its last, and their bands. Raises like `predict`."""
    plan, steps = checked(model, schedule, at)
    # What one part has made of the past is at hand for all that is asked of it.
    return _joined([_with_bands(model, [(plan, some)])[0] for some in in_parts(plan.schedule, steps)])


def ends_with_bands(model: Model, schedules: Sequence[Schedule | Plan]) -> list[Prediction]:
    """What `with_bands` says of several `schedules` after their last updates: faster than one after another."""
    return _with_bands(model, [checked(model, schedule, None) for schedule in schedules])


def _joined(parts: Sequence[Prediction]) -> Prediction:
    if len(parts) == 1:
        return parts[0]

    def whole(halves: list[FloatArray | None]) -> FloatArray | None:
        known = [half for half in halves if half is not None]
        return np.concatenate(known) if len(known) == len(halves) else None

    return replace(
        parts[0],
        steps=np.concatenate([part.steps for part in parts]),
        loss=np.concatenate([part.loss for part in parts]),
        parameter=whole([part.parameter for part in parts]),
        prediction=whole([part.prediction for part in parts]),
    )


def _with_bands(model: Model, asked: Asked) -> list[Prediction]:
    """Losses and bands of plans, each at its steps."""
    losses, deviations = predict_each(model, asked), of_parts(model, asked, _deviations)
    several = any(len(own) > 1 for own in deviations)
    own = of_parts(model, asked, of_fit) if several else [[] for _ in asked]
    return [_banded(model, plan, steps, losses[i], deviations[i], own[i]) for i, (plan, steps) in enumerate(asked)]


def _banded(
    model: Model,
    plan: Plan,
    steps: NDArray[np.int64],
    loss: FloatArray,
    deviations: Sequence[tuple[float, FloatArray | None]],
    losses: Sequence[tuple[float, FloatArray]],
) -> Prediction:
    """A loss (n,) with its bands, from what each fit says of it with its weight: standard deviation, and loss."""
    made = partial(
        Prediction,
        steps,
        loss,
        laws=tuple(dict.fromkeys(fit.law for fit, _ in model.parts_at(plan.schedule.peak))),
        schedule=plan.schedule.text,
        updates=plan.schedule.total,
    )
    parameter = np.zeros(len(steps))
    for weight, deviation in deviations:
        if deviation is None:
            return made(None, None)
        parameter += weight * deviation
    terms = error_terms(model, plan.schedule.peak)
    if terms is None:
        return made(QUANTILE * parameter, None)
    apart = np.zeros(len(steps))  # variance of the averaged fits around their mean
    for weight, own in losses if len(losses) > 1 else ():
        apart += weight * np.log(own / loss) ** 2
    variance = terms.coefficients * parameter**2 + terms.laws * apart + terms.schedule + terms.other_peak**2
    return made(QUANTILE * parameter, QUANTILE * np.sqrt(variance))


def _deviations(fit: Fit, asked: Asked) -> Sequence[FloatArray | None]:
    """Standard deviations of log loss that come from the coefficients, (n_i,). None: unknown, which is not zero."""
    places = varying(fit)
    if places is None:
        return [None] * len(asked)
    C = covariance_of(fit, places)
    variances = [np.einsum("ij,jk,ik->i", J, C, J) for J in slopes(fit, asked, places)]
    return [np.sqrt(np.maximum(variance, 0.0)) for variance in variances]


__all__ = ["Prediction", "with_bands"]
