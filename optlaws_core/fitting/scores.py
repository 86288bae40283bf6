"""How a fit ended, and how far a law is off on one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..arrays import FloatArray
from .json_values import number


class Status(Enum):
    """How a fit ended; the value is the sentence that the user reads."""

    converged = "Converged."
    at_bound = (
        "Converged with a coefficient on its bound, so the optimum may lie outside or the runs do not determine it."
    )
    out_of_steps = "Stopped before converging; these are the best coefficients seen."
    weak = "Converged, but the runs hardly determine some coefficients; trust the curves more than the coefficients."
    tuned = "Set by hand, not fitted."

    @property
    def short(self) -> str:
        """The same in a few words, for tables."""
        return _SHORT[self.name]

    @property
    def in_doubt(self) -> bool:
        """Whether it speaks against what the fit predicts."""
        return self in (Status.at_bound, Status.out_of_steps, Status.weak)


_SHORT = {
    "converged": "converged",
    "at_bound": "a coefficient on its bound",
    "out_of_steps": "stopped early",
    "weak": "weakly determined",
    "tuned": "set by hand",
}


@dataclass(frozen=True)
class Scores:
    """Errors of a law on one run, predicted minus observed, in the loss's unit; relative ones as fractions of it."""

    n: int
    mae: float
    rmse: float
    r2: float | None  # None for a run of equal losses
    mean_rel: float
    worst_rel: float

    @classmethod
    def of(cls, observed: FloatArray, predicted: FloatArray) -> "Scores":
        """Scores of predicted against observed losses, both (n,)."""
        error, relative = predicted - observed, np.abs(predicted - observed) / observed
        spread = float(((observed - observed.mean()) ** 2).sum())
        r2 = 1 - float((error**2).sum()) / spread if spread > 0 else None
        rmse = float(np.sqrt((error**2).mean()))
        return cls(len(error), float(np.abs(error).mean()), rmse, r2, float(relative.mean()), float(relative.max()))


def scores_from_dict(d: Mapping, name: str) -> dict[str, Scores]:
    """Scores by run from plain values; `name` is what messages call them. Only R² may be missing."""
    for run, row in d.items():
        for key, value in row.items():
            if not (key == "r2" and value is None):
                number(value, f"{name}.{run}.{key}")
    return {str(run): Scores(**row) for run, row in d.items()}
