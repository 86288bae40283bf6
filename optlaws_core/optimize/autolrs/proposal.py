"""Which rate to probe next, or to train a stage with: Bayesian optimisation over what the probes forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...arrays import FloatArray
from ...errors import DesignError
from ...fitting.covariance import QUANTILE
from ...parallel import one_thread
from ...text import format_number
from .process import process
from .stage_forecast import exponential
from .stages import Stage

REACH = 10.0  # by which the lowest rate lies below the highest, where nobody says
PROBES = 10  # of a stage
KAPPA = 1e6  # weight of the standard deviation in the bound; this large, the mean has no part in it
GRID = 161  # rates at which the process is looked at
APART = 0.01  # share of the loss that rates may make a difference of, before the probes say more
NARROW, WIDE = np.log(1.5), np.log(1e3)  # correlation lengths of the process, in log rate


@dataclass(frozen=True)
class Search:
    """Rates among which a stage's is sought, and how."""

    low: float
    high: float
    probes: int = PROBES  # for each stage
    kappa: float = KAPPA

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < np.inf:
            raise DesignError(
                f"Rates are sought between two above 0, the lower one first, got {self.low:g} and {self.high:g}."
            )
        if not 2 <= self.probes <= 100:
            raise DesignError(f"A stage takes 2 to 100 probes, got {self.probes}.")
        if not 0 <= self.kappa < np.inf:
            raise DesignError(f"The weight of the standard deviation must be 0 or more, got {self.kappa:g}.")


@dataclass(frozen=True)
class Tried:
    """A probe, and the loss that its rate is forecast to have after the stage."""

    rate: float
    loss: float
    error: float  # standard error; 0 for one that diverged
    diverged: bool = False


@dataclass(frozen=True, eq=False)
class Proposal:
    """What to do next: probe `rate`, or train the stage with it. With what is known of all rates (grid,)."""

    rate: float
    train: bool
    tried: tuple[Tried, ...]
    rates: FloatArray  # ascending
    mean: FloatArray | None  # loss after the stage; None before the first probe
    deviation: FloatArray | None

    @property
    def band(self) -> tuple[FloatArray, FloatArray] | None:
        """90 % band of the loss after the stage, at the rates; None before the first probe."""
        if self.mean is None or self.deviation is None:
            return None
        return self.mean - QUANTILE * self.deviation, self.mean + QUANTILE * self.deviation


def propose_rate(probes: Sequence[Stage], search: Search, length: int, usual: float | None = None) -> Proposal:
    """The next rate to probe for a stage of `length` updates; after `search.probes` of them, the one to train it with.

    probes: what was tried, each with its losses so far; one that is not finite tells a probe that diverged. usual: the
    rate of the stage before, which is probed first; by default the middle of the range. Raises `DesignError` for a
    probe of too few losses, and when all diverged.
    """
    rates = np.geomspace(search.low, search.high, GRID)
    if not probes:
        first = np.sqrt(search.low * search.high) if usual is None else usual
        return Proposal(_rounded(first, search), False, (), rates, None, None)
    tried = forecasts(probes, length)
    at, mean, deviation = _process(tried, rates)
    if len(tried) >= search.probes:  # the process smooths what is noise in the forecasts
        best = tried[int(np.argmin(np.where([t.diverged for t in tried], np.inf, at)))]
        return Proposal(best.rate, True, tried, rates, mean, deviation)
    bound = mean - search.kappa * deviation
    # A rate whose forecast is vague is not probed once more: half of what would part all probes lies between two.
    gap = np.log(search.high / search.low) / (2 * search.probes)
    near = np.abs(np.log(rates[:, None] / [t.rate for t in tried])).min(axis=1) < gap
    rate = rates[int(np.argmin(np.where(near, np.inf, bound)))]
    return Proposal(_rounded(rate, search), False, tried, rates, mean, deviation)


def _rounded(rate: float, search: Search) -> float:
    """Three digits of a rate, within the range."""
    return float(np.clip(float(f"{rate:.3g}"), search.low, search.high))


def forecasts(probes: Sequence[Stage], length: int) -> tuple[Tried, ...]:
    """The loss of each probe after `length` updates. Raises `DesignError` like `propose_rate`."""
    found: list[Tried | None] = []
    for probe in probes:
        found.append(_forecast(probe, length) if np.isfinite(probe.loss).all() else None)
    if not any(found):
        raise DesignError(f"All {len(found)} probes diverged; lower the highest rate.")
    worst = max(max(t.loss, *p.loss) for t, p in zip(found, probes, strict=True) if t)
    return tuple(t or Tried(p.rate, worst, 0.0, True) for t, p in zip(found, probes, strict=True))


@lru_cache(maxsize=256)  # a search asks for those of all its probes before each of them
def _forecast(probe: Stage, length: int) -> Tried:
    try:
        told = exponential(probe.x, probe.loss, length)
    except DesignError as fault:
        raise DesignError(f"The probe at {format_number(probe.rate)}: {fault}") from None
    return Tried(probe.rate, float(told(length)), float(told.error(length)))


def _process(tried: Sequence[Tried], rates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A Gaussian process through forecasts over log rate: means at the tried rates, means and deviations at `rates`."""
    x, y, error = np.log([t.rate for t in tried]), *np.array([(t.loss, t.error) for t in tried]).T
    weight = 1 / (error**2 + max(np.median(error), APART * np.abs(y).min()) ** 2)
    level = float(np.average(y, weights=weight))
    unit = max(float(np.sqrt(np.average((y - level) ** 2, weights=weight))), APART * abs(level), 1e-12)
    noise = np.minimum(error / unit, 1e3) ** 2 + 1e-8
    at = np.log(rates)
    with one_thread():  # for matrices this small, several take up to a hundred times as long
        found = process(x, (y - level) / unit, noise, (NARROW, WIDE))
        return level + unit * found.mean(x), level + unit * found.mean(at), unit * found.deviation(at)
