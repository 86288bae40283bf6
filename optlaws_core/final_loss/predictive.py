"""What a fitted final-loss law says of plans: losses and bands, where they come from, and where it was not checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, OptLawsError
from ..fitting.coverage import outside
from ..runs import Plan
from ..schedules.chain import Chain
from .final_fit import FinalFit
from .final_laws import LINE, LOG_LINEAR, PlanFeatures, features, final_law, losses, terms
from .table import TableRun

QUANTILE = 1.645  # of a 90 % band


@dataclass(frozen=True, eq=False)
class Predictive:
    """Predicted log losses of plans, and what makes them uncertain."""

    log_loss: FloatArray  # (plans,)
    directions: FloatArray  # (plans, free): what one standard deviation of each direction of the coefficients does
    misfit: float  # standard deviation of what is off beyond that, relative; NaN where it was not tried

    @property
    def half(self) -> FloatArray:
        """Half-widths of 90 % bands, relative to the loss, (plans,)."""
        return QUANTILE * np.sqrt(self.misfit**2 + (self.directions**2).sum(axis=1))


def predictive(fit: FinalFit, plans: Sequence[Plan], text: str = "") -> Predictive:
    """Predicted losses of plans with their uncertainty. `text`: what children of runs learn, where it is another text.

    Raises `DesignError` for a plan without a model size or batch, and for a text that no run of the table learned.
    """
    for plan in plans:
        if plan.params is None or plan.batch_tokens is None:
            raise DesignError(f"{plan.schedule.text}: a final loss needs the model size and the tokens of an update.")
    misfit = np.nan if fit.left_out is None else fit.left_out / QUANTILE
    if not plans:
        return Predictive(np.empty(0), np.empty((0, 0)), misfit)
    seen = PlanFeatures(plans, fit.references["N0"], fit.references["B0"])
    if fit.law == LOG_LINEAR:
        phi = features(seen, fit.references["mu"], fit.references["kappa"])
        found = Predictive(phi @ np.array([fit.theta[n] for n in LINE]), np.zeros((len(plans), 0)), misfit)
    else:
        loss, slopes = losses(final_law(fit.law), seen, fit.theta)
        J = np.stack([slopes[n] / loss for n in fit.free], axis=1)
        w, V = np.linalg.eigh(np.array(fit.covariance))
        found = Predictive(np.log(loss), J @ (V * np.sqrt(np.maximum(w, 0.0))), misfit)
    if not text:
        return found
    if text not in fit.transfers:
        known = ", ".join(fit.transfers) or "none"
        raise DesignError(f"No run of the table went on to learn the text {text!r}; texts that were: {known}.")
    transfer = fit.transfers[text]
    # What the law is off by on this text was seen there, and is in the transfer's noise.
    own = transfer.directions(plans, found.log_loss)
    directions = np.concatenate((transfer.power * found.directions, own), axis=1)
    return Predictive(transfer.log_loss(plans, found.log_loss), directions, transfer.noise)


def predict_final(fit: FinalFit, plans: Sequence[Plan], text: str = "") -> tuple[FloatArray, FloatArray]:
    """Final losses of the plans, (plans,), and half-widths of their 90 % bands, relative to the loss, (plans,).

    A band holds what left-out training runs were off by and, where coefficients are uncertain, what that adds. It knows
    nothing of what lies outside of the training runs: see `beyond`. NaN where the fit was made without `bands`.
    Raises like `predictive`.
    """
    found = predictive(fit, plans, text)
    return np.exp(found.log_loss), found.half


def predict_runs(fit: FinalFit, runs: Sequence[TableRun]) -> FloatArray:
    """Final losses of runs, (runs,), each on the text that it learns. Raises like `predict_final`."""
    found = np.empty(len(runs))
    for text in {r.text for r in runs}:
        here = [i for i, r in enumerate(runs) if r.text == text]
        found[here] = predict_final(fit, [runs[i].plan for i in here], text)[0]
    return found


def shares(fit: FinalFit, plan: Plan) -> dict[str, float]:
    """Where the predicted loss comes from, by the names in `TERMS`: addends of the loss.

    Raises `OptLawsError` for the log-linear law, which has no terms.
    """
    law = final_law(fit.law)
    if not law.params:
        raise OptLawsError(f"The law {law.name} is no sum of terms; choose opt_laws or opt_laws_structural.")
    found = terms(law, PlanFeatures([plan], fit.references["N0"], fit.references["B0"]), fit.theta)
    return {name: float(v[0]) for name, v in found.items()}


def beyond(fit: FinalFit, plan: Plan, text: str = "") -> list[str]:
    """How a plan leaves what the training runs cover, in sentences: those of `outside`, and one on checkpoints.

    `text`: what it learns, where it goes on to another text than the law's. On the law's own no run that goes on from
    another is among the training runs.
    """
    goes_on = isinstance(plan.schedule, Chain) and not text
    checkpoint = ["it goes on from a checkpoint, the training runs began anew"] if goes_on else []
    return [*checkpoint, *outside(fit.coverage, plan)]


__all__ = ["Predictive", "beyond", "predict_final", "predict_runs", "shares", "predictive"]
