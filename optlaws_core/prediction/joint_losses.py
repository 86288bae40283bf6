"""The joint normal distribution of the final losses of several candidates under one model, in logarithms.

Bands say how sure one loss is. "A or B?" asks for a difference, which is far surer: most of what a law gets wrong, it
gets wrong for all candidates alike. Errors add up here, as in a prediction band (`bands.py`), each with what two
candidates have of it in common:

- the coefficients: their covariance C, carried through the slopes J of the law at both candidates, J C Jᵀ. Under an
  average the laws' covariances are added by weight, and scaled so that each candidate keeps its own band;
- the choice of the law: outer products of the averaged laws' distances from their mean;
- what the law gets wrong from schedule to schedule (`error_terms`), partly alike for any two of about one length, and
  all but the same for one shape there;
- what it gets wrong at peak rates that no training run had, alike for all on one side of theirs.

The diagonal is the variance of the prediction band.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..fitting.result import Fit, Model
from ..runs import Plan
from ..schedules import Schedule, parts
from .error_terms import ALIKE, LENGTHS_ALIKE, error_terms
from .losses import Asked, checked, of_fit, predict_each
from .observed import batch_of, rates_of
from .slopes import covariance_of, slopes, varying

PLACES = 64  # at which the shapes of two schedules are held against each other
# Root mean square difference of two shapes, in shares of the peak, over which their errors come apart: twice what
# rounding to whole updates makes of one shape at other lengths.
ONE_SHAPE = 0.01
# Share of the rest that belongs to a shape, and not to the single run: repeats of one of our own runs differ by 0.58 %,
# which is half the variance of a misfit of 0.8 %.
OF_SHAPE = 0.5


@dataclass(frozen=True, eq=False)
class Joint:
    """Log final losses of candidates: their means, and their covariance."""

    log_loss: FloatArray  # (n,)
    covariance: FloatArray | None  # (n, n); None where the model has no known error


def joint(model: Model, plans: Sequence[Schedule | Plan], at: Sequence[int] | None = None) -> Joint:
    """The log losses of `plans` (n,) together, each after its update in `at` (n,), by default after its last one.

    Raises like `predict`, and `ValueError` for another number of updates than of plans.
    """
    asked = [checked(model, p, t) for p, t in zip(plans, at if at is not None else [None] * len(plans), strict=True)]
    log_loss = _log_losses(model, asked)
    terms = [error_terms(model, peak) for peak in _peaks(asked)]
    known = [t for t in terms if t is not None]
    if len(known) < len(terms) or not knows_error(model):
        return Joint(log_loss, None)
    coefficients, laws, schedule = (
        np.sqrt([getattr(t, name) for t in known]) for name in ("coefficients", "laws", "schedule")
    )
    covariance = np.outer(coefficients, coefficients) * _of_coefficients(model, asked)
    covariance += np.outer(laws, laws) * _of_laws(model, asked, log_loss)
    covariance += np.outer(schedule, schedule) * _alike(asked)
    return Joint(log_loss, covariance + _of_other_peaks(np.array([t.other_peak for t in known])))


def knows_error(model: Model) -> bool:
    """Whether a model tells how sure a difference between two candidates is."""
    known = error_terms(model, model.members[0].coverage.peak[0])
    return known is not None and all(varying(f) is not None for f in model.members)


def _peaks(asked: Asked) -> list[float]:
    return [plan.schedule.peak for plan, _ in asked]


def _log_losses(model: Model, asked: Asked) -> FloatArray:
    return np.log([loss[0] for loss in predict_each(model, asked)])


def _of_laws(model: Model, asked: Asked, log_loss: FloatArray) -> FloatArray:
    """Covariance of log losses (n, n) from the choice of the law, and from that of the fit where peaks differ."""
    total = np.zeros((len(asked),) * 2)
    for fit, weight in model.parts:
        own = _log_losses(fit, asked)
        total += weight * np.outer(own - log_loss, own - log_loss)
        shares = _shares(fit, asked)
        for part, share in shares if len(shares) > 1 else ():
            said, has = np.ones(len(asked)), np.flatnonzero(share > 0).tolist()
            said[has] = np.concatenate(of_fit(part, [asked[i] for i in has]))
            off = np.sqrt(share) * (np.log(said) - own)
            total += weight * np.outer(off, off)
    return total


def _of_other_peaks(away: FloatArray) -> FloatArray:
    """Covariance (n, n) of what other peak rates add: one error for all on one side of the trained peaks."""
    return np.where(np.outer(away, away) > 0, np.outer(away, away), 0.0)


def _shares(fit: Fit, asked: Asked) -> list[tuple[Fit, FloatArray]]:
    """What a fit's parts have to say of each candidate (n,)."""
    found = np.array([fit.shares_at(peak) for peak in _peaks(asked)])
    return [(member, share) for member, share in zip(fit.members, found.T, strict=True) if share.any()]


def _of_coefficients(model: Model, asked: Asked) -> FloatArray:
    """Covariance of log losses (n, n) that comes from the coefficients."""
    total, deviation = np.zeros((len(asked),) * 2), np.zeros(len(asked))
    for part, weight in ((part, w * share) for fit, w in model.parts for part, share in _shares(fit, asked)):
        one = _of_fit(part, asked)
        total += np.sqrt(np.outer(weight, weight)) * one
        deviation += weight * np.sqrt(np.maximum(np.diag(one), 0.0))
    # A band adds the laws' deviations, not their variances: the candidate's own variance is that of its band.
    size = np.sqrt(np.maximum(np.diag(total), 0.0))
    scale = np.divide(deviation, size, out=np.zeros(len(asked)), where=size > 0)
    return total * np.outer(scale, scale)


def _of_fit(fit: Fit, asked: Asked) -> FloatArray:
    places = varying(fit)
    assert places is not None  # whoever asks has looked
    J = np.concatenate(slopes(fit, asked, places))
    return J @ covariance_of(fit, places) @ J.T


def _alike(asked: Asked) -> FloatArray:
    """Correlations (n, n) of what the law gets wrong from schedule to schedule.

    `ALIKE` for any two, of the rest `OF_SHAPE` in the measure in which they are of one kind, shape and share of
    warm-up; both fade with the ratio of their lengths. Products and sums of kernels, so that no combination of
    candidates has a variance below 0. 1 for candidates that are the same run, also where one is written as another
    family: their error is one.
    """
    one = _first([_rates(plan, int(steps[0])) for plan, steps in asked])  # the first candidate that is the same run
    kind = _first([_kind(plan) for plan, _ in asked])[one]
    shape = np.array([_shape(plan.schedule, int(steps[0])) for plan, steps in asked])[one]
    length = np.log2([float(steps[0]) + 1 for _, steps in asked])
    warmup = (np.log2([plan.schedule.warmup_end + 1.0 for plan, _ in asked]) - length)[one]  # as a share of the length
    apart = ((shape[:, None] - shape[None]) ** 2).mean(axis=2) / ONE_SHAPE**2 + _octaves(warmup)
    own = np.where(kind[:, None] == kind, np.exp(-apart / 2), 0.0)
    near = np.exp(-_octaves(length) / 2)
    return ALIKE * near + (1 - ALIKE) * (OF_SHAPE * own * near + (1 - OF_SHAPE) * (one[:, None] == one))


def _octaves(logs: FloatArray) -> FloatArray:
    """Squares (n, n) of how far logarithms (n,) to the base 2 are apart, in units of `LENGTHS_ALIKE`."""
    return ((logs[:, None] - logs) / LENGTHS_ALIKE) ** 2


def _first(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """The place of the first of the keys (n,) that equals each, (n,)."""
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(key, i) for i, key in enumerate(keys)])


def _rates(plan: Plan, step: int) -> tuple:
    """What tells one run from another: its rates, its size, its batch, and where it is looked at."""
    return plan.params, step, batch_of(plan) or batch_of(plan, tokens=False), *rates_of(plan.schedule)


def _kind(plan: Plan) -> tuple:
    """What two runs of one shape must have in common besides it."""
    _, batch, average = parts(plan.schedule)
    return plan.params, plan.batch_tokens, f"{plan.schedule.peak:.9g}", batch, average


def _shape(schedule: Schedule, step: int) -> FloatArray:
    """Rates after the warm-up as shares of the peak, (PLACES,), evenly over the updates up to `step`."""
    return schedule(np.linspace(min(schedule.warmup_end, step), step, PLACES)) / schedule.peak


__all__ = ["Joint", "joint", "knows_error"]
