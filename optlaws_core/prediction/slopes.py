"""How far the logarithm of a predicted loss moves with each coefficient of a fit."""

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..fitting.result import Fit, Status
from ..laws import law_named
from ..laws.evaluation import batches, predict_with_jacobian
from .losses import Asked, each, seen


def varying(fit: Fit) -> NDArray[np.int64] | None:
    """Places in `fit.free` of the coefficients that have a variance. None: their errors are unknown, which is not zero.

    A coefficient on its bound has no variance, so that its slope, which may overflow there, does not count.
    """
    by_hand = fit.status is Status.tuned and not fit.locked
    if by_hand or (fit.free and not fit.covariance):
        return None
    return np.flatnonzero(np.diag(_square(fit)) > 0)


def covariance_of(fit: Fit, places: NDArray[np.int64]) -> FloatArray:
    """Covariance, in search coordinates, of the coefficients at these places in `fit.free`: (places, places)."""
    return _square(fit)[np.ix_(places, places)]


def slopes(fit: Fit, asked: Asked, places: NDArray[np.int64]) -> list[FloatArray]:
    """Derivatives of log loss by the coefficients at `places`, in search coordinates: (n_i, places) for each plan."""
    if not len(places):
        return [np.zeros((len(steps), 0)) for _, steps in asked]
    law = law_named(fit.law)
    index = [law.names.index(fit.free[i]) for i in places]
    with np.errstate(all="ignore"):
        told = [predict_with_jacobian(some, fit.vector) for some in batches(law, seen(fit, asked))]
        loss, jacobian = (np.concatenate(part) for part in zip(*told, strict=True))
        scale = np.array([law.params[i].slope(fit.vector[i]) for i in index])
        found = jacobian[:, index] * scale / loss[:, None]
    return each([np.nan_to_num(found)], asked)  # before the first rate above 0 there is no slope


def _square(fit: Fit) -> FloatArray:
    return np.array(fit.covariance).reshape(len(fit.free), len(fit.free))


__all__ = ["covariance_of", "slopes", "varying"]
