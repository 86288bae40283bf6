"""What is known of a law's coefficients before any run: learned from others' curves, or from one's own fits.

A prior is a normal distribution with heavy tails over a law's scale-free coordinates (`laws.scale_free`). The one that
is shipped was learned from public training curves and from the project's own sweep (`python -m benchmarks priors`; the
file says from which). One's own earlier fits stand closer to the next run than strangers' do: the coordinates of
settings that share a recipe differ by less, and by how much is learned as well. Three levels, all normal: recipes
around the learned mean, settings around their recipe, fits around their setting.
"""

import json
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, OptLawsError
from ..laws import Law, law_named
from ..laws.scale_free import Scale
from ..runs import MOST_UPDATES
from ..text import brief
from .json_values import error, number, optional

if TYPE_CHECKING:
    from .result import Fit

FILE = Path(__file__).with_name("priors.json")
LEARNED = "learned from public curves"
STEP = 1e-4  # of differences that carry a prior's covariance to another scale
CONTRADICTS = 1e-3  # probability of being farther from a true prior
# By how much laws are off at runs of another length than they were fitted to, for each octave between both: in standard
# deviations of what one independent observation of a run leaves over. Root mean square of what was found on the bundled
# sweep, lr_scheduling and multi_power_law, each under priors without it (`python -m benchmarks next_runs`).
PER_OCTAVE = 6.2
TAILS = 4.0  # degrees of freedom of a Student distribution: what is unlike everything before may leave the prior

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Prior:
    """A law's prior: mean and covariance of its scale-free coordinates, in the order of `law.coordinates.names`."""

    law: str
    mean: tuple[float, ...]
    covariance: Matrix
    source: str = LEARNED  # what it was made from, as it is told to the user
    per_octave: float = PER_OCTAVE  # how far the law is off at runs of other lengths


@dataclass(frozen=True)
class Informed:
    """What a fit says of the prior that it was made under, and what bands and later priors need of it."""

    source: str
    peak: float  # scale of the training runs: highest rate, updates of the longest run, lowest loss
    updates: float
    loss: float
    sigma: float  # standard deviation of log residuals around the fit, that of windows
    schedules: int  # different schedules among the training runs
    moved: Mapping[str, float]  # by coordinate: how far the fit is from the prior's mean, in its standard deviations
    distance: float  # of the fit from the prior, all coordinates together: a chi-square of as many degrees of freedom
    fell: bool = True  # whether the learning rate of a training run had fallen by its last loss
    # Updates of the schedules to be compared: runs count the less the farther from it they were logged to; None: alike.
    horizon: int | None = None

    @property
    def scale(self) -> Scale:
        """Scale of the training runs."""
        return Scale(self.peak, self.updates, self.loss)

    @property
    def contradicted(self) -> bool:
        """Whether the fit is farther from the prior than all but one in a thousand under a true one."""
        from scipy.special import chdtri  # slow to import

        return self.distance > float(chdtri(len(self.moved), CONTRADICTS))

    def to_dict(self) -> dict:
        """Plain values; `informed_from_dict` reads them back."""
        return asdict(self) | {"moved": dict(self.moved)}


def learned(law: Law | str) -> Prior | None:
    """The shipped prior of a law; None for laws that have none."""
    found = _shipped()["laws"].get(law if isinstance(law, str) else law.name)
    if found is None:
        return None
    return Prior(law if isinstance(law, str) else law.name, tuple(found["mean"]), _matrix(found["covariance"]))


def provenance() -> list[dict]:
    """What the shipped priors were learned from: a row for each group of runs, with its source and licence."""
    return _shipped()["learned_from"]


def calibration(known: Informed) -> float:
    """Factor by which errors of final losses exceed what such fits say, as it was learned.

    By the number of different schedules among the training runs, and apart for runs whose rate has not fallen yet: they
    say next to nothing of what a fall will give.
    """
    if not known.fell:
        return _shipped()["calibration_before_a_fall"]
    factors = _shipped()["calibration"]
    return factors[min(known.schedules, len(factors)) - 1]


def carried(prior: Prior, before: Scale, after: Scale) -> Prior:
    """`prior` for training runs of scale `before`, said in the coordinates of runs of the scale `after`.

    What part of the loss training still removes, and how noise compares with it, is alike at the end of training, not
    in its midst: a run in progress is told apart from a finished one by its horizon.
    """
    law = law_named(prior.law)
    assert law.coordinates is not None  # whoever has a prior has coordinates
    to = law.coordinates

    def moved(psi: FloatArray) -> FloatArray:
        told = to.back(psi, before)
        return to.at(law.names, np.array([told.get(p.name, 0.0) for p in law.params]), after)

    mean = np.array(prior.mean)
    steps = STEP * np.eye(len(mean))
    J = np.column_stack([(moved(mean + h) - moved(mean - h)) / (2 * STEP) for h in steps])
    return replace(
        prior, mean=tuple(moved(mean).tolist()), covariance=_matrix((J @ np.array(prior.covariance) @ J.T).tolist())
    )


def from_fits(law: Law | str, fits: Sequence) -> Prior:
    """A prior from one's own earlier fits of `law`, each to another setting (size, batch, text) of one recipe.

    Raises `OptLawsError` where none of the fits is of that law or tells its scale, as those made under a prior do.
    """
    law = law_named(law) if isinstance(law, str) else law
    base = learned(law)
    parts = [part for model in fits for part, _ in model.parts if part.law == law.name]
    settings = [[own for own in part.by_peak or (part,) if own.informed and own.covariance] for part in parts]
    known = [own for some in settings for own in some]
    if base is None or law.coordinates is None:
        raise OptLawsError(f"{law.title} has no scale-free coordinates, so earlier fits cannot become its prior.")
    if not known:
        got = f"got {len(parts)} of that law, none of them under one" if parts else "got none of that law"
        raise OptLawsError(f"A prior for {law.title} needs an earlier fit of that law made under a prior; {got}.")
    own = np.array(_shipped()["laws"][law.name]["within"])
    precision = np.linalg.inv(np.array(base.covariance))
    pull = precision @ np.array(base.mean)
    for part in known:
        psi, spread = coordinates_of(part)
        weight = np.linalg.inv(spread + own)
        precision, pull = precision + weight, pull + weight @ psi
    recipe = np.linalg.inv(precision)
    used = sum(map(bool, settings))
    count = f"{used} earlier fits" if used > 1 else "an earlier fit"
    return Prior(law.name, tuple(map(float, recipe @ pull)), _matrix((recipe + own).tolist()), f"from {count} of yours")


def coordinates_of(fit: "Fit") -> tuple[FloatArray, FloatArray]:
    """Scale-free coordinates (k,) of a `Fit` made under a prior, and their posterior covariance (k, k)."""
    law = law_named(fit.law)
    assert law.coordinates is not None and fit.informed is not None
    x = np.array([p.to_scale(min(max(fit.theta[p.name], p.low), p.high)) for p in law.params])
    scale = fit.informed.scale
    J = law.coordinates.slopes(law.names, x, scale)[:, [law.names.index(n) for n in fit.free]]
    return law.coordinates.at(law.names, x, scale), J @ np.array(fit.covariance) @ J.T


def informed_from_dict(d: Mapping) -> Informed:
    """What `Informed.to_dict` wrote. Raises `OptLawsError`, `KeyError` or `TypeError` for anything else."""
    scale = {k: _above_zero(d[k], f"informed.{k}") for k in ("peak", "updates", "loss", "sigma")}
    return Informed(
        source=str(d["source"]),
        schedules=int(number(d["schedules"], "informed.schedules")),
        moved={str(k): number(v, f"informed.moved.{k}") for k, v in d["moved"].items()},
        distance=error(d["distance"], "informed.distance"),
        fell=d.get("fell", True) is True,
        horizon=optional(horizon_of, d.get("horizon"), "This is not a fit: informed.horizon"),
        **scale,
    )


def horizon_of(value: object, name: str = "A horizon") -> int:
    """A number of updates as a horizon. Raises `DesignError`, which calls it `name`, for anything else."""
    with suppress(TypeError):
        found = operator.index(value)  # type: ignore[arg-type]
        if not isinstance(value, bool) and 1 <= found <= MOST_UPDATES:
            return found
    got = brief(repr(value) if isinstance(value, str) else value)
    raise DesignError(f"{name} must be a whole number of updates from 1 to {MOST_UPDATES:,}, got {got}.")


def _above_zero(value: object, name: str) -> float:
    if not (found := number(value, name)) > 0:
        raise OptLawsError(f"This is not a fit: {name} must be above 0, got {found:g}.")
    return found


@cache
def _shipped() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def _matrix(rows: Sequence[Sequence[float]]) -> Matrix:
    return tuple(tuple(map(float, row)) for row in rows)


__all__ = ["LEARNED", "Informed", "Prior", "calibration", "carried", "from_fits", "horizon_of", "learned", "provenance"]
