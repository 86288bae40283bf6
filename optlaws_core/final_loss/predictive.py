"""What a fitted final-loss law says of plans: losses and bands, where they come from, and where it was not checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, OptLawsError
from ..fitting.covariance import QUANTILE
from ..runs import Plan
from ..schedules.chain import Chain
from ..text import shortened
from .final_fit import FinalFit
from .final_laws import LINE, LOG_LINEAR, PlanFeatures, features, final_law, losses, terms
from .table import TableRun


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


def predictive(fit: FinalFit, plans: Sequence[Plan], text: str = "", first: str = "") -> Predictive:
    """Predicted losses of plans with their uncertainty, on a text that runs of the table learned.

    `text`: what is learned: from a random start, or by a plan that goes on from a checkpoint. `first`: what was
    learned before, where a plan goes on. Empty: the text of most runs, and the checkpoint's own where a plan goes on.
    Raises `DesignError` for a plan without a model size or batch, and for a text that no run of the table learned.
    """
    for plan in plans:
        if plan.params is None or plan.batch_tokens is None:
            raise DesignError(f"{plan.schedule.text}: a final loss needs the model size and the tokens per update.")
    misfit = np.nan if fit.left_out is None else fit.left_out / QUANTILE
    if not plans:
        return Predictive(np.empty(0), np.empty((0, 0)), misfit)
    begun, text = _texts(fit, plans, text, first)
    seen = PlanFeatures(plans, fit.references["N0"], fit.references["B0"])
    if fit.law == LOG_LINEAR:
        phi = features(seen, fit.references["mu"], fit.references["kappa"])
        log_loss, J = phi @ np.array([fit.theta[n] for n in LINE]), np.zeros((len(plans), len(fit.free)))
    else:
        loss, slopes = losses(final_law(fit.law), seen, fit.theta)
        log_loss, J = np.log(loss), np.stack([slopes[n] / loss for n in fit.free], axis=1)
    if begun in fit.steps:
        log_loss = log_loss + fit.steps[begun].step
    on = np.tile([float(name == begun) for name in fit.steps], (len(plans), 1))
    found = Predictive(log_loss, _directions(fit, np.hstack((J, on))), misfit)
    if not text:
        return found
    transfer = fit.transfers[text]
    # What the law is off by on this text was seen there, and is in the transfer's noise.
    own = transfer.directions(plans, found.log_loss)
    directions = np.concatenate((transfer.power * found.directions, own), axis=1)
    return Predictive(transfer.log_loss(plans, found.log_loss), directions, transfer.noise)


def _directions(fit: FinalFit, J: FloatArray) -> FloatArray:
    """What one standard deviation of each direction of coefficients and steps does to log losses, (plans, free).

    `J`: derivatives of log losses by coefficient and step, (plans, free).
    """
    if not fit.covariance:
        return np.zeros((len(J), 0))
    w, V = np.linalg.eigh(np.array(fit.covariance))
    return J @ (V * np.sqrt(np.maximum(w, 0.0)))


def _texts(fit: FinalFit, plans: Sequence[Plan], text: str, first: str) -> tuple[str, str]:
    """What is learned from a random start, and what a plan goes on to; empty for no other text.

    Raises `DesignError` for texts that no run of the table learned in this way.
    """
    goes_on = any(isinstance(p.schedule, Chain) for p in plans)
    if text and not goes_on and (text in fit.texts or text not in fit.transfers):
        first, text = text, ""
    if first and first not in fit.texts:
        known = ", ".join(fit.texts) or "none with a name"
        raise DesignError(
            f"No run of the table learned the text {shortened(first, 100)!r} from a random start; its texts: {known}."
        )
    begun = first or fit.text
    if text and text != begun and text not in fit.transfers:
        known = ", ".join(fit.transfers) or "none"
        raise DesignError(
            f"No run of the table went on to learn the text {shortened(text, 100)!r}; texts that were: {known}."
        )
    return begun, "" if text == begun else text


def predict_final(
    fit: FinalFit, plans: Sequence[Plan], text: str = "", first: str = ""
) -> tuple[FloatArray, FloatArray]:
    """Final losses of the plans, (plans,), and half-widths of their 90 % bands, relative to the loss, (plans,).

    `text`: which of the table's texts is learned; `first`: what a plan that goes on from a checkpoint learned before.
    Both default to the text of most runs. A band holds what left-out training runs were off by and, where coefficients
    and steps between texts are uncertain, what that adds. It knows nothing of what lies outside of the training runs:
    see `beyond`. NaN where the fit was made without `bands`. Raises like `predictive`.
    """
    found = predictive(fit, plans, text, first)
    return np.exp(found.log_loss), found.half


def predict_runs(fit: FinalFit, runs: Sequence[TableRun]) -> FloatArray:
    """Final losses of runs, (runs,), each on the text that it learns. Raises like `predict_final`."""
    found = np.empty(len(runs))
    for first, text in {(r.first_text, r.text) for r in runs}:
        here = [i for i, r in enumerate(runs) if (r.first_text, r.text) == (first, text)]
        found[here] = predict_final(fit, [runs[i].plan for i in here], text, first)[0]
    return found


def knows(fit: FinalFit, run: TableRun) -> bool:
    """Whether the texts behind a run are among those of the fit. A text without a name is taken for that of most."""
    return run.first_text in ("", *fit.texts) and run.text in ("", run.first_text or fit.text, *fit.transfers)


def shares(fit: FinalFit, plan: Plan, first: str = "") -> dict[str, float]:
    """Where the predicted loss comes from, by the names in `TERMS`: addends of the loss.

    `first`: which of the table's texts is learned from a random start, by default that of most runs; what a plan goes
    on to is no part of it. Raises `OptLawsError` for the log-linear law, which has no terms, and an unknown text.
    """
    law = final_law(fit.law)
    if not law.params:
        raise OptLawsError(f"The law {law.name} is no sum of terms; choose opt_laws or opt_laws_structural.")
    found = terms(law, PlanFeatures([plan], fit.references["N0"], fit.references["B0"]), fit.theta)
    begun, _ = _texts(fit, [plan], "", first)
    height = np.exp(fit.steps[begun].step) if begun in fit.steps else 1.0
    return {name: float(height * v[0]) for name, v in found.items()}


def beyond(fit: FinalFit, plan: Plan, text: str = "") -> list[str]:
    """How a plan leaves what the training runs cover, in sentences: those of `reasons`, and one on checkpoints.

    `text`: what it learns, where it goes on to another text than the law's. On the law's own no run that goes on from
    another is among the training runs.
    """
    goes_on = isinstance(plan.schedule, Chain) and text in ("", fit.text)
    checkpoint = ["it continues from a checkpoint, while the training runs started from scratch"] if goes_on else []
    return [*checkpoint, *fit.reasons(plan)]


__all__ = ["Predictive", "beyond", "knows", "predict_final", "predict_runs", "shares", "predictive"]
