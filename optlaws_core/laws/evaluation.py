"""Laws evaluated on plans: losses and exact Jacobians, many runs at once, at O(log T) cost per observation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import DesignError
from ..runs import Plan
from ..schedules import Schedule
from ..sums.clocks import Trace, make_clocks, trace
from ..sums.history import History, histories
from ..sums.panels import rates
from . import HistorySum, Law
from .base import S, pace_k
from .features import feature

NOTHING = 1e-300  # an empty history sum, whose powers then have a value and a slope
AT_ONCE = 4096  # observations whose past is cut together
LOWEST = 1e-10  # rates below it count as this much in a pace, which may be a negative power of the rate


@dataclass(frozen=True, eq=False)
class HistoryBatch:
    """One history sum of a law, ready for any coefficients: nodes, and the pairs of observation and node."""

    eta: FloatArray  # (nodes,)
    S: FloatArray  # (nodes,)
    weight: FloatArray  # (nodes,)
    clock: FloatArray  # (nodes,)
    node: IntArray  # (pairs,)
    first: IntArray  # (obs,) first pair of each observation
    now: FloatArray  # (obs,) clock at the observation
    lag: FloatArray  # (pairs,)
    drop: FloatArray  # (nodes,) rate before the node's step less its own


@dataclass(frozen=True, eq=False)
class Batch:
    """Observations of one or several plans, ready to be predicted for any coefficients of one law."""

    law: Law
    features: tuple[FloatArray, ...]  # in the order of law.features, each (obs,)
    pasts: tuple[HistoryBatch, ...]  # in the order of law.sums
    slices: tuple[slice, ...]  # observations of each plan

    def __len__(self) -> int:
        return self.slices[-1].stop


def batch(law: Law, parts: Sequence[tuple[Plan, IntArray]]) -> Batch:
    """Prepare `law` on plans and steps (n_i,) of each. Raises `DesignError` for steps outside a plan, or for none."""
    if not parts or not all(len(steps) for _, steps in parts):
        raise DesignError("A law is evaluated at one step at least, got none.")
    plans, steps = [plan for plan, _ in parts], [np.asarray(steps, np.int64) for _, steps in parts]
    paths = [trace(plan.schedule) for plan in plans]
    for path, some in zip(paths, steps, strict=True):
        _check_steps(path.schedule, some)
    if S in law.features:
        make_clocks(paths, 1.0)
    known = [[feature(f, *run) for f in law.features] for run in zip(plans, paths, steps, strict=True)]
    groups = _groups([len(some) for some in steps])
    ends = np.cumsum([len(some) for some in steps])
    return Batch(
        law,
        tuple(np.concatenate(columns) for columns in zip(*known, strict=True)),
        tuple(_joined([_past(h, paths[g], steps[g]) for g in groups]) for h in law.sums),
        tuple(slice(int(e) - len(some), int(e)) for e, some in zip(ends, steps, strict=True)),
    )


def _check_steps(schedule: Schedule, steps: IntArray) -> None:
    if steps.min() < 0 or steps.max() > schedule.total:
        outside = steps.max() if steps.max() > schedule.total else steps.min()
        raise DesignError(f"Steps must lie between 0 and the schedule's total of {schedule.total:,}, got {outside:,}.")


def _groups(sizes: Sequence[int]) -> list[slice]:
    """Runs of `sizes` observations in groups of at most `AT_ONCE` each, or of one run, so that memory stays small."""
    found, first, held = [], 0, 0
    for i, n in enumerate(sizes):
        if i > first and held + n > AT_ONCE:
            found.append(slice(first, i))
            first, held = i, 0
        held += n
    return [*found, slice(first, len(sizes))]


def _past(h: HistorySum, paths: Sequence[Trace], steps: Sequence[IntArray]) -> HistoryBatch:
    """The history sum at `steps` (n_i,) of each path, all at once."""
    schedules = [path.schedule for path in paths]
    past = histories(paths, steps, h.clock)
    if h.drops_only:
        past = past.only(_drops(schedules, past) != 0)
    eta, least = rates(schedules, past.owner, past.step), np.array([path.first_rate for path in paths])
    if h.inclusive:
        past = replace(past, clock=past.clock - eta)
    return HistoryBatch(
        eta=eta,
        S=np.maximum(past.S, least[past.owner]),
        weight=past.weight,
        clock=past.clock,
        node=past.node,
        first=past.first,
        now=past.now,
        lag=past.lag,
        drop=_drops(schedules, past),
    )


def _drops(schedules: Sequence[Schedule], past: History) -> FloatArray:
    """η_{k−1} − η_k at the nodes, (nodes,), 0 at step 0."""
    before, here = (rates(schedules, past.owner, np.maximum(past.step - i, 0)) for i in (1, 0))
    return before - here


def _joined(pasts: Sequence[HistoryBatch]) -> HistoryBatch:
    """Pasts of several plans as one; node and pair numbers move up."""
    nodes = np.cumsum([0, *(len(p.eta) for p in pasts)])
    pairs = np.cumsum([0, *(len(p.node) for p in pasts)])
    together = {
        name: np.concatenate([getattr(p, name) for p in pasts])
        for name in ("eta", "S", "weight", "clock", "now", "lag", "drop")
    }
    node = np.concatenate([p.node + n for p, n in zip(pasts, nodes, strict=False)])
    first = np.concatenate([p.first + n for p, n in zip(pasts, pairs, strict=False)])
    return HistoryBatch(node=node, first=first, **together)


def predict(data: Batch, theta: FloatArray) -> FloatArray:
    """Losses (obs,) for coefficients `theta` in the order of `law.params`."""
    code = data.law.compiled
    sums = []
    for past, source, pace, kernel in zip(data.pasts, code.sources, code.paces, code.kernels, strict=True):
        a = source.value(*theta, past.eta, past.S, past.drop) * past.weight
        g = 1.0 if pace is None else pace.value(*theta, np.maximum(past.eta, LOWEST))[past.node]
        sums.append(_summed(a[past.node] * kernel.value(*theta, past.lag, g), past))
    return np.broadcast_to(code.formula.value(*theta, *data.features, *sums), len(data)).astype(float)


def _summed(terms: FloatArray, past: HistoryBatch) -> FloatArray:
    """Terms (pairs,) summed over the past of each observation, (obs,)."""
    total = np.add.reduceat(terms, past.first)
    return np.where(total == 0, NOTHING, total)


def predict_with_jacobian(data: Batch, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Losses (obs,) and their derivatives (obs, params) in natural coefficients."""
    code = data.law.compiled
    sums, slopes = [], []
    for past, source, pace, kernel in zip(data.pasts, code.sources, code.paces, code.kernels, strict=True):
        a, *a_slopes = (x * past.weight for x in source.both(*theta, past.eta, past.S, past.drop))
        if pace is None:
            at_nodes, g_slopes = 1.0, []
        else:
            g, *g_slopes = pace.both(*theta, np.maximum(past.eta, LOWEST))
            at_nodes = g[past.node]
        k, *k_slopes = kernel.both(*theta, past.lag, at_nodes)
        a_pairs = a[past.node]
        sums.append(_summed(a_pairs * k, past))
        slope = np.zeros((len(data), len(theta)))
        for symbol, da in zip(source.wrt, a_slopes, strict=True):
            slope[:, code.column[symbol]] += np.add.reduceat(da[past.node] * k, past.first)
        for symbol, dk in zip(kernel.wrt, k_slopes, strict=True):
            if symbol != pace_k:
                slope[:, code.column[symbol]] += np.add.reduceat(a_pairs * dk, past.first)
                continue
            assert pace is not None  # a kernel without pace does not depend on it
            for outer, dg in zip(pace.wrt, g_slopes, strict=True):
                slope[:, code.column[outer]] += np.add.reduceat(a_pairs * dk * dg[past.node], past.first)
        slopes.append(slope)
    value, *outer = code.formula.both(*theta, *data.features, *sums)
    jacobian = np.zeros((len(data), len(theta)))
    held = {h.symbol: i for i, h in enumerate(data.law.sums)}
    for symbol, d in zip(code.formula.wrt, outer, strict=True):
        if symbol in held:
            jacobian += np.reshape(d, (-1, 1)) * slopes[held[symbol]]
        else:
            jacobian[:, code.column[symbol]] += d
    return np.broadcast_to(value, len(data)).astype(float), jacobian


__all__ = ["Batch", "HistoryBatch", "batch", "predict", "predict_with_jacobian"]
