"""What a law sees of an observation at step t: the features that `laws.base` names, from a plan and its trace."""

import numpy as np
import sympy as sp

from ..arrays import FloatArray, IntArray
from ..errors import DesignError
from ..runs import Plan
from ..schedules import Schedule
from . import base
from .sums.clocks import Trace
from .sums.history import history

MOST_UPDATES = 2_000_000  # of a schedule whose every update is walked through
# Forward-momentum law: decay of the running mean and mean square of drops, and what its code scales the latter with.
MEAN_DECAY, SQUARE_DECAY, SQUARE_SCALE, TINY = 0.9, 0.999, 1e5, 1e-8


def feature(symbol: sp.Symbol, plan: Plan, path: Trace, steps: IntArray) -> FloatArray:
    """Values (n,) of a feature at `steps` (n,). Raises `DesignError` where the plan does not say what it needs."""
    return _MADE[symbol](plan, path, steps)


def drop(schedule: Schedule, steps: IntArray) -> FloatArray:
    """η_{k−1} − η_k at steps k, with η_{−1} = 0: a first update at the peak is a rise like any other."""
    steps = np.asarray(steps)
    return np.where(steps > 0, schedule(np.maximum(steps - 1, 0)), 0.0) - schedule(steps)


def positive(S_values: FloatArray, path: Trace) -> FloatArray:
    """S, but never below the first rate above 0: before it S is 0 or rounding, and 0 has no negative powers."""
    return np.maximum(S_values, path.first_rate)


def _needed(value: float | None, what: str, plan: Plan) -> float:
    if value is None:
        raise DesignError(f"This law needs the {what} of every run; declare it for {plan.schedule.text[:60]}.")
    return value


def _tokens(plan: Plan, path: Trace, steps: IntArray) -> FloatArray:
    return _needed(plan.batch_tokens, "batch size in tokens", plan) * (steps + 1).astype(float)


def _bound_noise(plan: Plan, path: Trace, steps: IntArray) -> FloatArray:
    """Q_t/(2 S_t) + ½ Σ_{k<t} η_k/(S_t − S_k) · (Q_t − Q_{k−1})/(S_t − S_{k−1}), Q = Σ η² (arXiv:2310.07831, 10)."""
    past = history(path, steps, 1.0)
    squares = path.clock(2.0)
    Q_now, Q_node = squares(steps) * _SQUARE, squares(past.step - 1) * _SQUARE
    eta = path.schedule(past.step)
    counts = np.diff(np.append(past.first, len(past.node)))
    obs = np.repeat(np.arange(len(steps)), counts)
    after, lag = past.lag, past.lag + eta[past.node]
    inner = (Q_now[obs] - Q_node[past.node]) / np.where(lag > 0, lag, 1.0)
    terms = past.weight[past.node] * eta[past.node] * inner / np.where(after > 0, after, 1.0)
    # Update t itself has nothing after it; updates without rate have no weight.
    terms[(past.step[past.node] >= steps[obs]) | (after <= 0)] = 0.0
    return Q_now / (2 * positive(path.S(steps), path)) + 0.5 * np.add.reduceat(terms, past.first)


_SQUARE = 1e-3  # clocks count η_ref (η/η_ref)²; times η_ref that is η²


def _momentum_area(plan: Plan, path: Trace, steps: IntArray) -> FloatArray:
    """M_t of the forward-momentum law (Wang et al., arXiv:2512.13705, and its code), every update being logged."""
    n = int(steps.max()) + 1
    if n > MOST_UPDATES:
        raise DesignError(f"This law walks through every update and takes at most {MOST_UPDATES:,}, got {n:,}.")
    from scipy.signal import lfilter  # slow to import, and for one law alone

    d = drop(path.schedule, np.arange(n))
    i = np.arange(1, n + 1)
    mean = lfilter([1 - MEAN_DECAY], [1, -MEAN_DECAY], d) / (1 - MEAN_DECAY**i)
    square = lfilter([1 - SQUARE_DECAY], [1, -SQUARE_DECAY], d * d) / (1 - SQUARE_DECAY**i)
    return np.cumsum(mean / (np.sqrt(SQUARE_SCALE * square + TINY) + TINY))[steps]


_MADE = {
    base.t: lambda plan, path, steps: steps + 1.0,
    base.S: lambda plan, path, steps: positive(path.S(steps), path),
    base.eta: lambda plan, path, steps: path.schedule(steps),
    base.peak: lambda plan, path, steps: np.full(len(steps), plan.schedule.peak),
    # A law whose size term is not in use needs no size; `fitting` and `prediction` see to those in which it is.
    base.params: lambda plan, path, steps: np.full(len(steps), plan.params or 1.0),
    base.tokens: _tokens,
    base.bound_noise: _bound_noise,
    base.momentum_area: _momentum_area,
}

__all__ = ["drop", "feature", "positive"]
