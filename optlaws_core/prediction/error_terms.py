"""What the error of a predicted loss is made of, and how large each part is: the same for bands and for differences.

Fits without a prior: the covariance of the coefficients; twice the spread of the averaged laws around their mean; the
misfit on the training runs and half the error on training runs that were left out of the fit. The factors were chosen
on the bundled sweep.

Fits under a prior know from it what one run does not tell. What the prior leaves open, and the laws' spread, count by a
factor that was learned from public runs which neither prior nor fit had seen (`python -m benchmarks few_runs`). The
misfit is the rest.
"""

from dataclasses import dataclass

from ..fitting.priors import calibration
from ..fitting.result import Model

LEFT_OUT, SPREAD = 0.5, 2.0  # factors of standard deviations
# Correlation of the errors that a law makes for two different schedules: the one with which 90 % of paired intervals
# hold on the bundled sweep (`python -m benchmarks pairs`).
ALIKE = 0.4


@dataclass(frozen=True)
class ErrorTerms:
    """Parts of the variance of a log loss."""

    coefficients: float  # factor of the variance that comes from the coefficients
    laws: float  # factor of the variance of the averaged laws around their mean
    schedule: float  # variance of what the laws get wrong from schedule to schedule
    alike: float  # correlation of that between two schedules, 0 to 1


def error_terms(model: Model) -> ErrorTerms | None:
    """The error terms of a model; None where neither a prior nor a run that was left out tells of them."""
    if model.misfit is None:
        return None
    known = [fit.informed for fit, _ in model.parts if fit.informed is not None]
    if len(known) == len(model.parts):
        factor = calibration(known[0].schedules) ** 2
        return ErrorTerms(factor, factor, model.misfit**2, ALIKE)
    if model.left_out is None:
        return None
    return ErrorTerms(1.0, SPREAD**2, model.misfit**2 + (LEFT_OUT * model.left_out) ** 2, ALIKE)


__all__ = ["ErrorTerms", "error_terms"]
