"""What a model says of runs that were observed, at their observed steps: losses, and bands at some of them."""

from collections.abc import Iterable

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import OptLawsError
from ..fitting.result import Model
from ..fitting.single import predicted
from ..runs import Run
from .bands import Prediction, with_bands

BAND_POINTS = 400  # of a run, at which bands are computed


def losses_beside(model: Model, runs: Iterable[Run]) -> dict[str, FloatArray]:
    """Predicted losses (n,) at each run's observed steps, by run; not finite where the law gives none that is."""
    runs = list(runs)
    parts = [(w, {r.name: predicted(f, r) for r in runs}) for f, w in model.parts]
    if len(parts) == 1:
        return parts[0][1]
    with np.errstate(all="ignore"):
        return {r.name: np.exp(sum(w * np.log(part[r.name]) for w, part in parts)) for r in runs}


def bands_beside(model: Model, runs: Iterable[Run]) -> dict[str, Prediction]:
    """Predictions with bands at up to `BAND_POINTS` of each run's observed steps, by run; none for runs without any."""
    made = {}
    for run in runs:
        try:
            told = with_bands(model, run.known_plan, run.steps[spread(run)])
        except OptLawsError:  # no finite loss there: the curve shows it, a band would not
            continue
        if told.parameter is not None:
            made[run.name] = told
    return made


def spread(run: Run) -> IntArray:
    """Indices of at most `BAND_POINTS` observations, evenly spread."""
    return np.unique(np.linspace(0, len(run.steps) - 1, min(len(run.steps), BAND_POINTS)).round().astype(int))


__all__ = ["BAND_POINTS", "bands_beside", "losses_beside", "spread"]
