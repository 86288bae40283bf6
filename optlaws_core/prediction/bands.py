"""How sure a prediction is: a parameter band and a prediction band, which are two things.

The **parameter band** says how far the curve moves if the training runs had had other noise: the covariance of the
coefficients, which heeds autocorrelated residuals, carried through the law's exact Jacobian. Draws through the law
itself would say the same where the runs determine the coefficients, and explode where they do not. In simulations with
white noise (40 draws, three runs, an unseen schedule of twice the horizon) it held the true curve in 83 to 88 %.

The **prediction band** is meant to hold a new run. On top of the above it counts what the law gets wrong: its misfit on
the training runs, half its error on training runs that were left out of the fit (all of it would be too much, since
those fits had a run less), and twice the spread of the averaged laws around their mean, which grows where they are
asked about something unlike the training runs. The factors ½ and 2 were chosen on the bundled sweep, where bands of
averages then cover 90 %; the leaderboard tells what they cover elsewhere.

Fits under a prior know more, also from a single run: what the prior leaves open, and the spread of the averaged laws,
times a factor learned from public runs that neither prior nor fit had seen, and the misfit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import FloatArray
from ..fitting.covariance import QUANTILE
from ..fitting.priors import calibration
from ..fitting.result import Fit, Model
from ..runs import Plan
from ..schedules import Schedule
from .losses import checked, predict
from .slopes import covariance_of, slopes, varying

LEFT_OUT, SPREAD = 0.5, 2.0  # factors of the standard deviations that enter a prediction band


@dataclass(frozen=True, eq=False)
class Prediction:
    """Losses at steps, with 90 % bands; all (n,). Bands are symmetric in the logarithm of the loss."""

    steps: NDArray[np.int64]
    loss: FloatArray
    parameter: FloatArray | None  # half-width of log loss; None where the runs do not tell, or no run was asked
    prediction: FloatArray | None  # the same; None also where the model was not tried on left-out runs

    def band(self, half: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper end, for one of the two half-widths."""
        return self.loss * np.exp(-half), self.loss * np.exp(half)


def with_bands(model: Model, schedule: Schedule | Plan, at: ArrayLike | None = None) -> Prediction:
    """Losses of `schedule` after the updates `at` (n,), by default its last, and their bands. Raises like `predict`."""
    plan, steps = checked(model, schedule, at)
    loss = predict(model, plan, steps)
    parameter = np.zeros(len(steps))
    for fit, weight in model.parts:
        deviation = _deviation(fit, plan, steps)
        if deviation is None:
            return Prediction(steps, loss, None, None)
        parameter += weight * deviation
    calibration = _calibration(model)
    if model.misfit is None or (model.left_out is None and calibration is None):
        return Prediction(steps, loss, QUANTILE * parameter, None)
    apart = np.zeros(len(steps))  # variance of the averaged laws around their mean
    for fit, weight in model.parts if len(model.parts) > 1 else ():
        apart += weight * np.log(predict(fit, plan, steps) / loss) ** 2
    if calibration is not None:
        variance = calibration**2 * (parameter**2 + apart) + model.misfit**2
    else:
        variance = parameter**2 + model.misfit**2 + (LEFT_OUT * (model.left_out or 0.0)) ** 2 + SPREAD**2 * apart
    return Prediction(steps, loss, QUANTILE * parameter, QUANTILE * np.sqrt(variance))


def _calibration(model: Model) -> float | None:
    """Factor of the deviation that priors leave; None where a fit that counts was made without one."""
    known = [fit.informed for fit, _ in model.parts if fit.informed is not None]
    return calibration(known[0].schedules) if len(known) == len(model.parts) else None


def _deviation(fit: Fit, plan: Plan, steps: NDArray[np.int64]) -> FloatArray | None:
    """Standard deviation of log loss that comes from the coefficients, (n,). None: unknown, which is not zero."""
    places = varying(fit)
    if places is None:
        return None
    J = slopes(fit, plan, steps, places)
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, covariance_of(fit, places), J), 0.0))


__all__ = ["Prediction", "with_bands"]
