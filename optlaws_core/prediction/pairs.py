"""A or B, and how sure: differences of final losses with intervals, and which candidate is the best of all.

Both are read off one joint distribution (`joint_losses.py`). Differences are in the loss's unit: with G the geometric
mean of two predicted losses and m the difference of their logarithms, A - B = 2 G sinh(m / 2), exactly; the ends of the
interval are those of m carried through the same formula, so that A against B is B against A with its sign turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..arrays import FloatArray
from ..fitting.covariance import QUANTILE
from ..fitting.result import Model
from ..schedules import Schedule
from .joint_losses import Joint, joint
from .ranking import Ranked

POINTS = 2**13  # draws; a power of two, which keeps Sobol's points balanced
SEED = 0
NONE = 1e-12  # variance of a difference below this share of the two variances is rounding
SAME = 1e-9  # difference of log losses below which two candidates without a variance between them are the same


@dataclass(frozen=True)
class Pair:
    """A candidate against a baseline. Losses in their own unit; negative is better than the baseline."""

    difference: float
    low: float | None = None  # ends of the 90 % interval; None where the model has no known error
    high: float | None = None
    p_below: float | None = None  # probability that the candidate ends below the baseline

    @property
    def turned(self) -> "Pair":
        """The baseline against the candidate."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return Pair(-self.difference, low, high, None if self.p_below is None else 1 - self.p_below)

    @property
    def itself(self) -> bool:
        """Whether there is nothing between the two: the candidate is the baseline, or the same run."""
        return self.low == self.high == 0

    @property
    def told_apart(self) -> bool | None:
        """Whether the 90 % interval leaves 0 out: the one rule of what is worth believing. None: nothing tells."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class Chances:
    """Of all candidates at once."""

    p_best: FloatArray  # (n,), of sum 1; equal candidates share theirs
    regret: FloatArray  # (n,), expected loss above the best of all candidates


@dataclass(frozen=True)
class Compared:
    """What is known of one candidate beside the others; None where nothing tells."""

    pair: Pair | None  # against the baseline; None where there is no other candidate
    to_best: Pair  # against the best one of the ranking
    p_best: float | None
    regret: float | None


def against(found: Joint, baseline: int) -> list[Pair]:
    """Every candidate (n,) against the one at the place `baseline`."""
    return [_pair(found, i, baseline) for i in range(len(found.log_loss))]


def _pair(found: Joint, one: int, other: int) -> Pair:
    m = _gap(found, one, other)
    scale = 2 * float(np.exp((found.log_loss[one] + found.log_loss[other]) / 2))
    if found.covariance is None:
        return Pair(scale * float(np.sinh(m / 2)))
    deviation = _deviation(found.covariance, one, other)
    low, mean, high = (scale * float(np.sinh((m + z * deviation) / 2)) for z in (-QUANTILE, 0.0, QUANTILE))
    return Pair(mean, low, high, _below(m, deviation))


def _gap(found: Joint, one: int, other: int) -> float:
    """Difference of two log losses; 0 exactly for candidates that are the same."""
    m = float(found.log_loss[one] - found.log_loss[other])
    same = found.covariance is not None and abs(m) < SAME and not _deviation(found.covariance, one, other)
    return 0.0 if same else m


def _deviation(covariance: FloatArray, one: int, other: int) -> float:
    """Standard deviation of the difference of two log losses; 0 exactly for two that are the same."""
    own = float(covariance[one, one] + covariance[other, other])
    variance = own - 2 * float(covariance[one, other])
    return float(np.sqrt(variance)) if variance > NONE * own else 0.0


def _below(m: float, deviation: float) -> float:
    """Probability that a normal difference of this mean and standard deviation is below 0; a half for none at all."""
    if deviation > 0:
        return float(ndtr(-m / deviation))
    return 0.5 if m == 0 else float(m < 0)


def chances(found: Joint) -> Chances | None:
    """Which candidate is the best, and what each gives away, by quasi-random normal draws; None without known errors.

    The same for candidates in any order, up to rounding: they are drawn in one order of their own, through the
    symmetric root of their covariance. A few thousandths of a probability are the error of the draws.
    """
    if found.covariance is None:
        return None
    kinds, kind = _kinds(found)
    mean, covariance = found.log_loss[kinds], found.covariance[np.ix_(kinds, kinds)]
    losses = np.exp(mean + draws(len(kinds)) @ root(covariance))
    best = losses.min(axis=1)
    wins = np.bincount(losses.argmin(axis=1), minlength=len(kinds)) / len(losses)
    regret = (losses - best[:, None]).mean(axis=0)
    return Chances((wins / np.bincount(kind))[kind], regret[kind])


def _kinds(found: Joint) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of candidates that differ, in an order that hangs on them alone, and which of these each one is (n,)."""
    C = found.covariance
    assert C is not None
    order = np.lexsort((C.sum(axis=1), np.diag(C), found.log_loss))
    kinds: list[int] = []
    kind = np.empty(len(order), np.int64)
    for i in order:
        same = (k for k, j in enumerate(kinds) if not _gap(found, i, j) and not _deviation(C, i, j))
        kind[i] = next(same, len(kinds))
        if kind[i] == len(kinds):
            kinds.append(int(i))
    return np.array(kinds), kind


@lru_cache(maxsize=8)
def draws(n: int) -> FloatArray:
    """Standard normal numbers (POINTS, n), the same at every call and balanced: as many above 0 as below."""
    from scipy.stats import qmc  # slow to import, and only used here

    half = ndtri(np.clip(qmc.Sobol(n, seed=SEED).random(POINTS // 2), 1e-9, 1 - 1e-9))
    both = np.concatenate((half, -half))
    both.setflags(write=False)  # all callers share it
    return both


def root(covariance: FloatArray) -> FloatArray:
    """The symmetric square root of a covariance (n, n), which may be singular."""
    w, V = np.linalg.eigh(covariance)
    return (V * np.sqrt(np.maximum(w, 0.0))) @ V.T


def compare(model: Model, ranked: Sequence[Ranked], baseline: Schedule | None = None) -> list[Compared]:
    """What is known of ranked candidates (n,) beside each other, in their order.

    baseline: the one that the others are compared with, by default the second best. Candidates that are set apart as
    likely to diverge take no part in who is the best. Raises `ValueError` where the baseline is no candidate, and
    like `predict`.
    """
    if not ranked:
        return []
    schedules = [r.schedule for r in ranked]
    found = joint(model, schedules)
    place = min(1, len(ranked) - 1) if baseline is None else schedules.index(baseline)
    pairs = against(found, place) if len(ranked) > 1 else [None]
    to_best = against(found, 0)
    stay = [i for i, r in enumerate(ranked) if not r.apart]
    best = _among(found, stay)
    return [Compared(pair, to_best[i], *best.get(i, (None, None))) for i, pair in enumerate(pairs)]


def _among(found: Joint, stay: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Chances and regrets of the candidates at some places, by place."""
    part = Joint(found.log_loss[list(stay)], None if found.covariance is None else found.covariance[np.ix_(stay, stay)])
    drawn = chances(part) if stay else None
    if drawn is None:
        return {}
    return dict(zip(stay, zip(drawn.p_best.tolist(), drawn.regret.tolist(), strict=True), strict=True))


__all__ = ["Chances", "Compared", "Pair", "against", "chances", "compare", "draws", "root"]
