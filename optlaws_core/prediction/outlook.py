"""What a decision between candidates is expected to cost, now and once further runs were seen.

Candidates and runs have one joint normal distribution of log final losses (`joint_losses.py`). Who has seen the runs'
losses Y takes the candidate whose predicted loss given Y is the lowest, as rankings do, which go by the mean of its
logarithm; what that gains over taking the best one of now is the knowledge gradient of the runs, E[Z of the first] −
E_Y[E(Z_i | Y) of the first given Y] (Frazier, Powell and Dayanik 2009, "The Knowledge-Gradient Policy for Correlated
Normal Beliefs", INFORMS Journal on Computing 21(4)), by quasi-random draws of Y alone, of which one run needs a single
dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from .joint_losses import Joint
from .pairs import draws, root

ROUNDING = 1e-12  # share of the largest variance below which a direction of what is seen says nothing
LEVEL = 1e-9  # difference of log losses up to which two candidates are equally good


@dataclass(frozen=True)
class Outlook:
    """What to expect of taking the best candidate."""

    regret: float  # expected loss above the best of all candidates, in the loss's unit
    wrong: float  # probability that another candidate ends lower


def outlook(found: Joint, candidates: Sequence[int], seen: Sequence[int] = ()) -> Outlook:
    """The outlook once the losses at the places `seen` of a joint distribution are known.

    candidates: places of those that are decided between. Raises `ValueError` where the distribution has no covariance.
    """
    mean, gain, rest = _seen(found, candidates, seen)
    normal = draws(gain.shape[1] + len(mean))
    told = mean + normal[:, : gain.shape[1]] @ gain.T
    losses = told + normal[:, gain.shape[1] :] @ root(rest)
    taken = losses[np.arange(len(losses)), told.argmin(axis=1)]
    best = losses.min(axis=1)
    return Outlook(float((np.exp(taken) - np.exp(best)).mean()), float((taken > best + LEVEL).mean()))


def gain(found: Joint, candidates: Sequence[int], seen: Sequence[int]) -> float:
    """By how much seeing the losses at the places `seen` is expected to lower the loss of what is taken; at least 0.

    candidates: places of those that are decided between. Raises `ValueError` where the distribution has no covariance.
    """
    mean, moved, rest = _seen(found, candidates, seen)
    told = mean + draws(moved.shape[1]) @ moved.T
    now = _expected(mean, rest + moved @ moved.T)[mean.argmin()]
    then = _expected(told, rest)[np.arange(len(told)), told.argmin(axis=1)]
    return max(0.0, float(np.exp(now) - np.exp(then).mean()))


def _seen(found: Joint, candidates: Sequence[int], seen: Sequence[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of the candidates' log losses: means (n,), how far independent normal numbers (r,) that stand for what is seen
    move them (n, r), and the covariance (n, n) that is left.
    """
    if found.covariance is None:
        raise ValueError("A distribution without a covariance tells nothing of further runs.")
    C, place, known = found.covariance, list(candidates), list(seen)
    mean, prior = found.log_loss[place], C[np.ix_(place, place)]
    if not known:
        return mean, np.zeros((len(place), 0)), prior
    size, direction = np.linalg.eigh(C[np.ix_(known, known)])
    kept = size > ROUNDING * size.max()
    moved = C[np.ix_(place, known)] @ direction[:, kept] / np.sqrt(size[kept])
    return mean, moved, prior - moved @ moved.T


def _expected(log_loss: FloatArray, covariance: FloatArray) -> FloatArray:
    """Logarithms of expected losses, from means of log losses (..., n) and their covariance (n, n)."""
    return log_loss + np.diag(covariance) / 2


__all__ = ["Outlook", "gain", "outlook"]
