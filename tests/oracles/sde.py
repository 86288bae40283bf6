"""Simulated SGD on two small losses, against what the schedule functionals say about it: to teach, and to test.

The functionals come from dX = −η ∇f dt + η σ dW, one update as the unit of time. On a bowl f = μx²/2 its expected loss
is known at every time, and on a double well the probability of having left the first well is known for weak noise.
Simulated is what the equation stands for, x ← x − η_k (f'(x) + σξ) with ξ standard normal, with no smaller time step.
Source of the equation: Xie et al. 2024, arXiv:2409.04777; of the use made of it, `functionals`.

On the clock S = Σ η the equation reads dX = −∇f dS + √(2D) dW_S with the temperature D = ησ²/2: rates are temperatures.

Units: weights x, rates η; so μ in 1/rate, σ in weights/rate, f and barriers in weights²/rate.
"""

from math import exp, expm1, inf, pi, sqrt

import numpy as np

from optlaws_core.arrays import FloatArray
from optlaws_core.errors import OptLawsError
from optlaws_core.laws.sums.functionals import functionals
from optlaws_core.schedules import Schedule

LONGEST = 10_000_000  # updates that are worth a loop
COARSEST = 0.5  # largest rate times curvature in the double well; above it, updates jump rather than climb
PREFACTOR = 2 * sqrt(2) / pi  # √(f''(bottom)·|f''(top)|)/2π of the double well, in barrier/width²


def quadratic(
    schedule: Schedule, curvature: float, noise: float, start: float, paths: int, seed: int, growing: float = 0.0
) -> FloatArray:
    """Losses of `paths` runs of SGD on f = μx²/2 after the last update, (paths,).

    All start at x = `start`. The noise of a gradient has the variance σ² + c·f/μ, with c = `growing` in 1/rate² the
    part that grows with the loss. A run that leaves the range of floating point has the loss inf. Raises `OptLawsError`
    for a curvature that is not above 0, a negative noise or c, and a schedule longer than 10 million updates.
    """
    eta = _bowl(schedule, curvature, noise, start, growing)
    x, rng = np.full(_whole("paths", paths, 1), float(start)), _rng(seed)
    spread: float | FloatArray = noise
    with np.errstate(over="ignore", invalid="ignore"):
        for rate in eta:
            if growing:
                spread = np.sqrt(noise**2 + growing / 2 * x**2)
            x = (1 - rate * curvature) * x - rate * spread * rng.standard_normal(len(x))
        loss = curvature / 2 * x**2
    return np.where(np.isnan(loss), inf, loss)  # inf − inf, once a path is far out on either side


def expected_quadratic(schedule: Schedule, curvature: float, noise: float, start: float, growing: float = 0.0) -> float:
    """Exact expectation of the losses of `quadratic`, whatever the rates.

    x is as far from 0 as E[x²] ← ((1 − ημ)² + η²c/2)·E[x²] + η²σ² says: a product for the start, and for the noise of
    each update the product over later updates. Arguments and errors as for `quadratic`.
    """
    eta = _bowl(schedule, curvature, noise, start, growing)
    kept, added = (1 - eta * curvature) ** 2 + eta**2 * growing / 2, (eta * noise) ** 2
    second = start * start
    for factor, more in zip(kept.tolist(), added.tolist(), strict=True):
        second = factor * second + more
    return curvature / 2 * second


def predicted_quadratic(schedule: Schedule, curvature: float, noise: float, start: float) -> float:
    """What the functionals predict for it: f0 e^{−2μ·I1} + (μσ²/2)·V_μ.

    It solves dE[f]/dt = −2μη E[f] + μη²σ²/2. Up to ημ = 1 it is too high: what is left of the start by a share of about
    μ²·I2, the noise by one of about ημ/2 with the rate of late updates. At a constant rate it settles near ησ²/4, half
    the temperature whatever the curvature. Arguments and errors as for `quadratic`, but any length will do.
    """
    _check(curvature, noise, start)
    f = functionals(schedule)
    signal = curvature / 2 * start * start * exp(-2 * curvature * f.I1[0])
    return float(signal + curvature * noise**2 / 2 * f.V_mu(curvature)[0])


def critical_rate(curvature: float, growing: float) -> float:
    """The rate above which noise that grows with the loss makes E[f] grow: η_c = 4μ/(c + 2μ²).

    There (1 − ημ)² + η²c/2 = 1. Without such noise it is the limit 2/μ of gradient descent; with much of it, c far
    above 2μ², the 4μ/c of the SDE. It is the mean that grows, carried by a few large losses: somewhat above η_c most
    runs still shrink. c as in `quadratic`, where it gives tr(Σ∇²f) = c·f with Σ the covariance of the gradient noise.
    """
    _check(curvature, 0.0, 0.0, growing)
    return 4 * curvature / (growing + 2 * curvature**2)


def double_well(schedule: Schedule, barrier: float, noise: float, paths: int, seed: int, width: float = 1.0) -> float:
    """Share of `paths` runs of SGD from the bottom of one well that were ever at the bottom of the other.

    The loss is f = H((x/w)² − 1)²: bottoms at ±w with the curvature 8H/w², between them a ridge of height H = `barrier`
    with the curvature −4H/w². Having been on the ridge does not count, since every second run rolls back from there.
    Raises `OptLawsError` for values that are not above 0, for a peak rate so high that an update steps over the well's
    shape (η·8H/w² above 0.5) or that noise makes nothing of the barrier (D = ησ²/2 above H), and for a schedule longer
    than 10 million updates.
    """
    _positive(barrier=barrier, noise=noise, width=width)
    eta = _rates(schedule)
    peak, pull = float(eta.max()), 4 * barrier / width**2
    if 2 * pull * peak > COARSEST:
        raise OptLawsError(
            f"The rate times the curvature of the well must be at most {COARSEST:g}, got {2 * pull * peak:g}."
        )
    if peak * noise**2 / 2 > barrier:
        raise OptLawsError(
            f"The temperature ησ²/2 must be at most the barrier {barrier:g}, got {peak * noise**2 / 2:g}."
        )
    x, rng = np.full(_whole("paths", paths, 1), -float(width)), _rng(seed)
    for rate in eta:
        x = x * (1 + rate * pull * (1 - (x / width) ** 2)) + rate * noise * rng.standard_normal(len(x))
        if x.max(initial=-inf) >= width:
            x = x[x < width]
    return 1 - len(x) / paths


def escape_probability(schedule: Schedule, barrier: float, noise: float, width: float = 1.0) -> float:
    """What the functionals predict for `double_well`: 1 − exp(−C·E_κ) with κ = 2H/σ² and C = (2√2/π)·H/w².

    Eyring–Kramers: at the temperature D, C e^{−H/D} escapes on the clock S, which is η C e^{−κ/η} each update. It holds
    for weak noise. On this loss the hazard is lower by a share of (3/8)·D/H, the next term of the expansion, and that
    of updates at the rate η is higher by a share of ηH/w², (f''(bottom) − |f''(top)|)/4 of it; and the rates must
    change slowly against 1/curvature on the clock S. Raises `OptLawsError` for values that are not above 0.
    """
    _positive(barrier=barrier, noise=noise, width=width)
    exposure = functionals(schedule).E_kappa(2 * barrier / noise / noise)[0]
    return -expm1(-PREFACTOR * barrier / width**2 * float(exposure))


def _bowl(schedule: Schedule, curvature: float, noise: float, start: float, growing: float) -> FloatArray:
    _check(curvature, noise, start, growing)
    return _rates(schedule)


def _check(curvature: float, noise: float, start: float, growing: float = 0.0) -> None:
    _positive(curvature=curvature)
    for name, value in (("noise", noise), ("growing", growing)):
        if not 0 <= value < inf:  # NaN fails every comparison
            raise OptLawsError(f"{name} must be at least 0 and finite, got {value:g}.")
    if not -inf < start < inf:
        raise OptLawsError(f"start must be finite, got {start:g}.")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < inf:
            raise OptLawsError(f"{name} must be above 0 and finite, got {value:g}.")


def _rates(schedule: Schedule) -> FloatArray:
    """Rates of all updates, (updates,)."""
    if schedule.total > LONGEST:
        raise OptLawsError(f"A schedule that is simulated has at most {LONGEST} updates, got {schedule.total}.")
    return schedule(np.arange(schedule.total))


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(_whole("seed", seed, 0))


def _whole(name: str, value: int, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise OptLawsError(f"{name} must be a whole number of at least {low}, got {value!r}.")
    return int(value)


__all__ = [
    "critical_rate",
    "double_well",
    "escape_probability",
    "expected_quadratic",
    "predicted_quadratic",
    "quadratic",
]
