"""Continual training and fine-tuning: from the loss that a law predicts for a whole history to that on another text.

A run that starts from a checkpoint has the checkpoint's history behind it, so its functionals are those of both
schedules, one after another (`schedules.chain.Chain`). What the law then predicts is the loss on the text it was fitted
to. Another text has losses of its own, and the step from one to the other fades as training goes on there:

    log L = a + q log L_law − δ log(S / S0)

with S the summed rate of the part that learns the other text, and S0 its geometric mean over the runs that were seen:
a is the step between the texts, q how much of a gain on the one is a gain on the other, δ how fast the shift of the
distribution is made up for. That there is such a term is from the law of continual pre-training (Wang et al. 2025,
arXiv:2505.07796); its form there is B(1 − (1 + E·S)^−β), of which the power above is the part far from the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError
from ..laws.sums.functionals import functionals
from ..runs import Plan
from ..schedules.chain import Chain

# With few runs the coefficients stay near: no step, gains that carry over in full, a shift that does not fade.
CENTRE = np.array([0.0, 1.0, 0.0])
WIDTH = np.array([3.0, 0.5, 0.1])  # standard deviations
NOISE, CERTAIN = 0.01, 3.0  # what a log loss is off by, as far as this many runs would have told


@dataclass(frozen=True)
class Transfer:
    """What carries losses over to another text, from `runs` children of runs."""

    step: float  # a
    power: float  # q
    fade: float  # δ
    reference: float  # S0, in units of the rate
    noise: float  # standard deviation of a child's log loss around this
    covariance: tuple[tuple[float, ...], ...]  # of a, q and δ, (3, 3)
    runs: int

    def log_loss(self, plans: Sequence[Plan], law: FloatArray) -> FloatArray:
        """Log losses on the other text, (plans,), from those that the law gives the plans, (plans,)."""
        return _design(plans, law, self.reference) @ np.array([self.step, self.power, self.fade])

    def directions(self, plans: Sequence[Plan], law: FloatArray) -> FloatArray:
        """What one standard deviation of each direction of the coefficients does to log losses, (plans, 3)."""
        w, V = np.linalg.eigh(np.array(self.covariance))
        return _design(plans, law, self.reference) @ (V * np.sqrt(np.maximum(w, 0.0)))


def learn_transfer(plans: Sequence[Plan], law: FloatArray, loss: FloatArray) -> Transfer:
    """The transfer that `loss` (runs,) shows, where the law gives the plans the losses `law` (runs,) on its own text.

    Least squares with normal priors; one run is enough to begin with, and bands tell how little it says.
    Raises `DesignError` for no run, or a plan that does not start from another one's end.
    """
    if not plans:
        raise DesignError("A transfer to another text needs at least 1 run that learned it, got none.")
    reference = float(np.exp(np.mean(np.log(_reach(plans)))))
    X, y = _design(plans, np.log(law), reference), np.log(loss)
    noise = NOISE
    for _ in range(5):  # the noise and the coefficients depend on each other; this settles within a few rounds
        precision = X.T @ X / noise**2 + np.diag(WIDTH**-2.0)
        covariance = np.linalg.inv(precision)
        best = covariance @ (X.T @ y / noise**2 + CENTRE / WIDTH**2)
        told = np.trace(covariance @ X.T @ X) / noise**2  # coefficients that the runs determine
        squares = ((y - X @ best) ** 2).sum()
        noise = float(np.sqrt((squares + CERTAIN * NOISE**2) / (max(len(y) - told, 0.0) + CERTAIN)))
    step, power, fade = best.tolist()
    return Transfer(step, power, fade, reference, noise, tuple(map(tuple, covariance.tolist())), len(y))


def _reach(plans: Sequence[Plan]) -> FloatArray:
    """Summed rates of the last parts, (plans,)."""
    alone = next((p.schedule for p in plans if not isinstance(p.schedule, Chain)), None)
    if alone is not None:
        raise DesignError(
            f"{alone.text}: a run on another text starts from a run's end; name the schedule of that one."
        )
    return functionals(*(p.schedule.last for p in plans)).I1


def _design(plans: Sequence[Plan], law: FloatArray, reference: float) -> FloatArray:
    """(plans, 3)."""
    return np.stack((np.ones(len(plans)), law, -np.log(_reach(plans) / reference)), axis=1)


__all__ = ["Transfer", "learn_transfer"]
