"""Coordinates in which a law's coefficients are alike everywhere: ratios of losses and of times, without units.

Peak rates of training runs differ by a thousand, horizons by a hundred, losses with the vocabulary; so do a law's
coefficients. What part of the loss training still removes at the horizon, how much noise there is beside it, over what
share of the run noise is forgotten: these hardly differ from one model, optimiser or text to the next, so priors are
learned in them. The removed part and the noise, both at the longest horizon under a constant peak rate, mean the same
in every law.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import FloatArray
from ..runs import Run

COMPLEX_STEP = 1e-30  # imaginary step of the derivatives, which are exact to the last digit
LEFT_AT_END = 0.3  # share of a constant run's noise that a decaying one about ends with; where a search begins
NEAR_ONE = 1e-6  # distance of an exponent from 1 below which a power's integral is the logarithm


@dataclass(frozen=True)
class Scale:
    """What sets the scale of a set of training runs."""

    peak: float  # p, the highest learning rate
    updates: float  # T, updates of the longest run, as far as it was observed
    loss: float  # y, the lowest loss

    @property
    def summed(self) -> float:
        """S = p·T, the summed rate of a constant run."""
        return self.peak * self.updates

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Scale":
        """Scale of training runs. Raises `DesignError` for one without a learning rate."""
        return cls(
            max(r.known_plan.schedule.peak for r in runs),
            float(max(int(r.steps[-1]) for r in runs) + 1),
            float(min(r.loss.min() for r in runs)),
        )


class Axis(NamedTuple):
    """One coordinate."""

    name: str
    meaning: str  # a phrase for reports


@dataclass(frozen=True)
class Coordinates:
    """Scale-free coordinates of a law: what they are, and the ways there and back.

    `there` takes search coordinates by name (numbers, or arrays of one shape, real or complex) and a scale to the
    coordinates, (coordinates, …). `back` takes coordinates (coordinates,) to search coordinates by name, with the loss
    that no training goes below such that the lowest loss is met about.
    """

    axes: tuple[Axis, ...]
    there: Callable[[dict[str, FloatArray], Scale], FloatArray]
    back: Callable[[FloatArray, Scale], dict[str, float]]

    @property
    def names(self) -> tuple[str, ...]:
        """What the coordinates are called, in their order."""
        return tuple(axis.name for axis in self.axes)

    def at(self, names: Sequence[str], x: FloatArray, scale: Scale) -> FloatArray:
        """The coordinates (coordinates,) at search coordinates `x` of the coefficients `names`."""
        return np.real(self.there(dict(zip(names, x, strict=True)), scale))

    def slopes(self, names: Sequence[str], x: FloatArray, scale: Scale) -> FloatArray:
        """Derivatives of the coordinates by the search coordinates, (coordinates, names), by complex steps."""
        return self.with_slopes(names, x, scale)[1]

    def with_slopes(self, names: Sequence[str], x: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
        """The coordinates (coordinates,) and their derivatives, (coordinates, names)."""
        moved = np.asarray(x)[:, None] + 1j * COMPLEX_STEP * np.eye(len(x))
        found = np.array(np.broadcast_arrays(*self.there(dict(zip(names, moved, strict=True)), scale)))
        return found.real[:, 0], found.imag / COMPLEX_STEP


def log_remembered(log_pace: Any, updates: float, rho: Any) -> Any:
    """log ∫_0^T (1 + a u)^{−ρ} du: what constant noise adds up to that is forgotten at the pace a = e^`log_pace`."""
    reach = np.log1p(np.exp(log_pace) * updates)
    z = (1 - rho) * reach
    small = np.abs(z) < NEAR_ONE
    share = np.where(small, 1 + z / 2, np.expm1(z) / np.where(small, 1.0, z))
    return np.log(reach * share) - log_pace


def log_sum(a: Any, b: Any) -> Any:
    """log(e^a + e^b) for real or complex logarithms."""
    larger = np.where(np.real(a) >= np.real(b), a, b)
    return larger + np.log1p(np.exp(np.where(np.real(a) >= np.real(b), b, a) - larger))


REMOVED = Axis("log(A·S^−q / y)", "share of the lowest loss that training still removes at the horizon")
SPEED = Axis("log q", "how fast the loss falls with the summed rate")
NOISE = Axis("log(noise / A·S^−q)", "noise under a constant rate, over what training still removes")
MEMORY = Axis("log(a·T)", "how many times over noise is forgotten within the run")
FADING = Axis("log ρ", "how fast old noise is forgotten")


__all__ = [
    "FADING",
    "LEFT_AT_END",
    "MEMORY",
    "NOISE",
    "REMOVED",
    "SPEED",
    "Axis",
    "Coordinates",
    "Scale",
    "log_remembered",
    "log_sum",
]
