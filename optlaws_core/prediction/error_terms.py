"""What the error of a predicted loss is made of, and how large each part is: the same for bands and for differences.

Fits without a prior: the covariance of the coefficients; twice the spread of the averaged laws around their mean; the
misfit on the training runs and half the error on training runs that were left out of the fit. The factors were chosen
on the bundled sweep.

Fits under a prior know from it what one run does not tell. What the prior leaves open, and the laws' spread, count by a
factor that was learned from public runs which neither prior nor fit had seen (`python -m benchmarks few_runs`). The
misfit is the rest.

A peak rate that no training run had adds an error of its own, which grows with the distance from the nearest of theirs:
laws carry worse from peak to peak than from schedule to schedule.
"""

from dataclasses import dataclass

import numpy as np

from ..fitting.priors import calibration
from ..fitting.result import Model

LEFT_OUT, SPREAD = 0.5, 2.0  # factors of standard deviations
# Correlation of the errors that a law makes for two different schedules: the one with which 90 % of paired intervals
# hold on the bundled sweep (`python -m benchmarks pairs`).
ALIKE = 0.4
# Octaves between two lengths over which that correlation, and that of one shape with itself, fades as exp(−x²/2). On
# the bundled sweep the error of a difference of two shapes correlates by 0.90 with that at twice the length, and not at
# all with that at four times (`python -m benchmarks pairs`); this value is the nearest to both, by least squares.
LENGTHS_ALIKE = 0.9
# Standard deviation of log loss for each octave between a peak rate and the nearest one among the training runs.
OCTAVE = 0.01


@dataclass(frozen=True)
class ErrorTerms:
    """Parts of the variance of a log loss at one peak rate."""

    coefficients: float  # factor of the variance that comes from the coefficients
    laws: float  # factor of the variance of the averaged laws around their mean
    schedule: float  # variance of what the laws get wrong from schedule to schedule
    other_peak: float  # standard deviation, with its sign, of what a peak adds that no training run had


def error_terms(model: Model, peak: float) -> ErrorTerms | None:
    """The error terms of a model for schedules of a peak rate; None where neither a prior nor a left-out run tells."""
    if model.misfit is None:
        return None
    parts = model.parts_at(peak)
    away = OCTAVE * _away(model, peak)
    informed = [(f.informed, w) for f, w in parts if f.informed is not None]
    if len(informed) == len(parts):
        factor = sum(w * calibration(known) ** 2 for known, w in informed)
        misfit = model.misfit**2 if parts == model.parts else sum(w * (f.misfit or 0.0) ** 2 for f, w in parts)
        return ErrorTerms(factor, factor, misfit, away)
    if model.left_out is None:
        return None
    return ErrorTerms(1.0, SPREAD**2, model.misfit**2 + (LEFT_OUT * model.left_out) ** 2, away)


def _away(model: Model, peak: float) -> float:
    """Octaves from the nearest peak rate of the training runs, below 0 for a lower one."""
    known = sorted({end for fit in model.members for end in fit.coverage.peak})
    away = [float(np.log2(peak / rate)) for rate in known]
    return min(away, key=abs)


__all__ = ["ALIKE", "LENGTHS_ALIKE", "ErrorTerms", "error_terms"]
