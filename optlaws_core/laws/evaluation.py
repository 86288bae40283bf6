"""Laws evaluated on plans: losses and exact Jacobians, many runs at once, at O(log T) cost per observation."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import DesignError, may_end_here
from ..runs import Plan
from ..schedules import Schedule
from ..text import shortened
from . import HistorySum, Law
from .base import S, S_k, d_k, pace_k
from .compiled import Compiled
from .effective import beside_rate, driven, share_of_noise, summed_breaks
from .features import feature
from .sums.clocks import Trace, make_clocks, trace
from .sums.history import History, histories
from .sums.moments import moments
from .sums.panels import rates
from .terms import Kind

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NOTHING = 1e-300  # an empty history sum, whose powers then have a value and a slope
AT_ONCE = 4096  # observations whose past is cut together
# Stretches between turns of the rate that lie before the steps of one batch of `batches`, of all steps together: as
# many as before a curve of 400 steps and 120 knots, and fewer where a rate turns more often than `OFTEN`. A stretch has
# up to 90 nodes, and a node of a step takes some 100 bytes while the batch is worked out.
AT_ONCE_PAST, OFTEN, AT_ONCE_OFTEN = 25_000, 250, 5_000
AT_ONCE_AVERAGED = 50  # steps at which averaged weights are read, each of which has a past of its own
RECENT_PAIRS = 2**22  # pairs of observation and node that are kept of lately asked histories: 64 MiB
LOWEST = 1e-10  # rates below it count as this much in a pace, which may be a negative power of the rate


@dataclass(frozen=True, eq=False)
class HistoryBatch:
    """One history sum of a law, ready for any coefficients: nodes, and the pairs of observation and node."""

    eta: FloatArray  # (nodes,)
    S: FloatArray  # (nodes,)
    weight: FloatArray  # (nodes,)
    clock: FloatArray  # (nodes,)
    node: IntArray  # (pairs,)
    first: IntArray  # (obs,) first pair of each observation, or of each moment from which observations follow
    now: FloatArray  # (obs,) clock at the observation
    lag: FloatArray  # (pairs,)
    drop: FloatArray  # (nodes,) rate before the node's step less its own; 0 where no law asks for it


@dataclass(frozen=True, eq=False)
class Batch:
    """Observations of one or several plans, ready to be predicted for any coefficients of one law."""

    law: Law
    features: tuple[FloatArray, ...]  # in the order of law.features, each (obs,)
    sums: tuple[HistoryBatch, ...]  # in the order of law.sums, at the moments from which observations follow
    slices: tuple[slice, ...]  # observations of each plan
    # In the order of law.sums: (obs, moments), what sums at the moments are multiplied with. None: moments are the
    # observations. Left out where all are.
    spreads: tuple["csr_array | None", ...] = ()
    parts: tuple[tuple[Plan, IntArray], ...] = ()  # plans as laws see them, and their steps

    def __len__(self) -> int:
        return self.slices[-1].stop

    @cached_property
    def pasts(self) -> tuple[HistoryBatch, ...]:
        """The law's sums at every observation itself, in the order of law.sums."""
        if not any(spread is not None for spread in self.spreads):
            return self.sums
        paths, steps = [trace(plan.schedule) for plan, _ in self.parts], [steps for _, steps in self.parts]
        return tuple(_joined(_pasts(h, paths, steps)) for h in self.law.sums)

    @cached_property
    def known(self) -> tuple[FloatArray, ...]:
        """What the law's formula takes from features alone."""
        return tuple(self.law.compiled.formula.known(*self.features))

    @cached_property
    def ready(self) -> tuple["_Sum", ...]:
        """The law's sums over the pasts, ready for coefficients."""
        spreads = self.spreads or (None,) * len(self.sums)
        return tuple(_Sum(self.law.compiled, i, *s) for i, s in enumerate(zip(self.sums, spreads, strict=True)))


def batch(law: Law, parts: Sequence[tuple[Plan, IntArray]]) -> Batch:
    """Prepare `law` on plans and steps (n_i,) of each. Raises `DesignError` for steps outside a plan, or for none."""
    if not parts or not all(len(steps) for _, steps in parts):
        raise DesignError("A law is evaluated at one or more steps, got none.")
    asked = [(plan, np.asarray(steps, np.int64)) for plan, steps in parts]
    for plan, some in asked:
        _check_steps(plan.schedule, some)
        _check_known(law, plan.schedule)
    parts = [part for plan, some in asked for part in driven(plan, some)]
    plans, steps = [plan for plan, _ in parts], [some for _, some in parts]
    paths = [trace(plan.schedule) for plan in plans]
    if S in law.features:
        make_clocks(paths, 1.0)
    known = [[feature(f, *run) for f in law.features] for run in zip(plans, paths, steps, strict=True)]
    summed = [tuple(zip(*_at_moments(h, paths, steps), strict=True)) for h in law.sums]
    ends = np.cumsum([len(some) for _, some in asked])
    return Batch(
        law,
        tuple(np.concatenate(columns) for columns in zip(*known, strict=True)),
        tuple(_joined(pasts) for pasts, _ in summed),
        tuple(slice(int(e) - len(some), int(e)) for e, (_, some) in zip(ends, asked, strict=True)),
        tuple(_block_diagonal(spreads, [len(past.now) for past in pasts]) for pasts, spreads in summed),
        tuple(parts),
    )


def batches(law: Law, parts: Sequence[tuple[Plan, IntArray]]) -> Iterator[Batch]:
    """`batch` of parts, as much of them at a time as memory bears: all, unless they are many or a rate turns often.

    Plans, and the steps (n_i,) of each, in their order. Between two batches the work may be ended. Raises like `batch`.
    """
    together: list[tuple[Plan, IntArray]] = []
    held = 0
    pieces = [(plan, some) for plan, steps in parts for some in in_parts(plan.schedule, steps)]
    for plan, some in pieces:
        turns = len(summed_breaks(plan.schedule))
        past = turns * len(some)  # stretches before its steps, at most
        if turns > OFTEN:
            past = AT_ONCE_PAST
        elif beside_rate(plan.schedule)[1] is not None:
            past = -(-AT_ONCE_PAST * len(some) // _averaged_at_once(turns))
        if together and held + past > AT_ONCE_PAST:
            may_end_here()
            yield batch(law, together)
            together, held = [], 0
        together.append((plan, some))
        held += past
    may_end_here()
    yield batch(law, together)


def in_parts(schedule: Schedule, steps: IntArray) -> list[IntArray]:
    """The `steps` (n,) of a schedule, as many at a time as memory bears what lies before them."""
    turns = summed_breaks(schedule)
    if beside_rate(schedule)[1] is not None:
        at_once = _averaged_at_once(len(turns))
        return np.split(steps, np.arange(at_once, len(steps), at_once))
    most = AT_ONCE_PAST if len(turns) <= OFTEN else AT_ONCE_OFTEN
    past = np.cumsum(np.searchsorted(turns, steps, side="right")) // most
    return np.split(steps, np.flatnonzero(np.diff(past)) + 1)


def _averaged_at_once(turns: int) -> int:
    """How many steps of averaged weights memory bears together, where the rate turns so often."""
    return max(1, min(AT_ONCE_AVERAGED, AT_ONCE_OFTEN // turns))


def prepare(law: Law, parts: Sequence[tuple[Plan, IntArray]]) -> None:
    """Make the histories of `parts` together, of which batches of some of them will ask: faster than one by one."""
    parts = [part for plan, some in parts for part in driven(plan, np.asarray(some, np.int64))]
    paths, steps = [trace(plan.schedule) for plan, _ in parts], [some for _, some in parts]
    for h in law.sums:
        _at_moments(h, paths, steps)


def _check_known(law: Law, schedule: Schedule) -> None:
    """Raises `DesignError` where the batch is scheduled, and the law knows nothing of it."""
    if not law.knows_noise and beside_rate(schedule)[0] is not None:
        raise DesignError(
            f"The law {law.name} does not separate noise from slow progress, so it cannot predict the batch schedule "
            f"in {shortened(schedule.text, 60)}; fit one that does: noisy_quadratic."
        )


def _at_moments(
    h: HistorySum, paths: Sequence[Trace], steps: Sequence[IntArray]
) -> list[tuple[HistoryBatch, "csr_array | None"]]:
    """The history sum at moments from which the one at `steps` (n_i,) of each path follows, and how it does."""
    kinds = h.clock, h.inclusive, h.drops_only, h.pace is not None, S_k in h.sees, d_k in h.sees
    keys = [(*kinds, path.schedule, some.tobytes()) for path, some in zip(paths, steps, strict=True)]
    known = RECENT.found(keys)
    lacking = list({key: i for i, key in enumerate(keys) if key not in known}.values())
    if lacking:
        paths, steps = [paths[i] for i in lacking], [steps[i] for i in lacking]
        make_clocks(paths, h.clock)
        make_clocks(paths, 1.0)
        found = [moments(path, some, h.clock) for path, some in zip(paths, steps, strict=True)]
        pasts = _pasts(h, paths, [chosen for chosen, _ in found])
        new = {keys[i]: (past, spread) for i, past, (_, spread) in zip(lacking, pasts, found, strict=True)}
        RECENT.keep(new)
        known |= new
    return [known[key] for key in keys]


def _block_diagonal(spreads: Sequence["csr_array | None"], sizes: Sequence[int]) -> "csr_array | None":
    """Matrices of several runs as one; None for that of 1 where the `sizes` moments of a run are its observations."""
    if all(spread is None for spread in spreads):
        return None
    from scipy.sparse import csr_array, eye_array  # slow to import

    whole = [eye_array(n, format="csr") if s is None else s for s, n in zip(spreads, sizes, strict=True)]
    columns, entries = np.cumsum([0, *sizes]), np.cumsum([0, *(s.nnz for s in whole)])
    data = np.concatenate([s.data for s in whole])
    indices = np.concatenate([s.indices + c for s, c in zip(whole, columns, strict=False)])
    begins = np.concatenate([[0], *(s.indptr[1:] + e for s, e in zip(whole, entries, strict=False))])
    return csr_array((data, indices, begins), shape=(sum(s.shape[0] for s in whole), int(columns[-1])))


class _Recent:
    """Histories of runs that were asked for lately: fits to some of the same runs and their scores share them."""

    def __init__(self) -> None:
        self._parts: dict[tuple, tuple[HistoryBatch, csr_array | None]] = {}  # the latest last
        self._lock = threading.Lock()

    def found(self, keys: Sequence[tuple]) -> dict[tuple, tuple[HistoryBatch, "csr_array | None"]]:
        """Those of `keys` that are known."""
        with self._lock:
            return {key: self._parts[key] for key in keys if key in self._parts}

    def keep(self, parts: Mapping[tuple, tuple[HistoryBatch, "csr_array | None"]]) -> None:
        """Keep `parts`, and of those before the latest that have room beside them."""
        with self._lock:
            self._parts |= parts
            room = RECENT_PAIRS
            for key, (past, _) in reversed(list(self._parts.items())):
                room -= len(past.node)
                if room < 0:
                    del self._parts[key]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._parts.clear()


RECENT = _Recent()


def _pasts(h: HistorySum, paths: Sequence[Trace], steps: Sequence[IntArray]) -> list[HistoryBatch]:
    """The history sum at `steps` (n_i,) of each path, some of them at a time."""
    found: list[HistoryBatch] = []
    for g in _groups([len(some) for some in steps]):
        may_end_here()
        found += _past(h, paths[g], steps[g])
    return found


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


def _past(h: HistorySum, paths: Sequence[Trace], steps: Sequence[IntArray]) -> list[HistoryBatch]:
    """The history sum at `steps` (n_i,) of each path, all at once."""
    schedules = [path.schedule for path in paths]
    past = histories(paths, steps, h.clock, S_k in h.sees, h.pace is not None)
    if h.drops_only:
        past = past.only(_drops(schedules, past) != 0)
    eta, least = rates(schedules, past.owner, past.step), np.array([path.first_rate for path in paths])
    if h.inclusive:
        past = replace(past, clock=past.clock - eta)
    together = HistoryBatch(
        eta=eta,
        S=np.maximum(past.S, least[past.owner]),
        weight=_weights(h, schedules, past),
        clock=past.clock,
        node=past.node,
        first=past.first,
        now=past.now,
        lag=past.lag,
        drop=_drops(schedules, past) if d_k in h.sees else np.zeros(len(eta)),
    )
    return _apart(together, past.owner, [len(some) for some in steps])


def _weights(h: HistorySum, schedules: Sequence[Schedule], past: History) -> FloatArray:
    """What the source at each node counts for, (nodes,): its updates, and for noise the share that the batch leaves."""
    if not h.noise:
        return past.weight
    return past.weight * np.concatenate(
        [share_of_noise(s, past.step[past.owner == i]) for i, s in enumerate(schedules)]
    )


def _apart(past: HistoryBatch, owner: IntArray, sizes: Sequence[int]) -> list[HistoryBatch]:
    """Pasts of several paths as one each. `owner`: path of each node, ascending; `sizes`: moments of each path."""
    nodes = np.searchsorted(owner, np.arange(len(sizes) + 1))
    obs = np.cumsum([0, *sizes])
    pairs = np.append(past.first, len(past.node))[obs]
    cuts = zip(*([slice(a, b) for a, b in zip(e[:-1], e[1:], strict=True)] for e in (nodes, obs, pairs)), strict=True)
    return [
        HistoryBatch(
            eta=past.eta[n],
            S=past.S[n],
            weight=past.weight[n],
            clock=past.clock[n],
            node=past.node[p] - n.start,
            first=past.first[o] - p.start,
            now=past.now[o],
            lag=past.lag[p].copy(),
            drop=past.drop[n],
        )
        for n, o, p in cuts
    ]


def _drops(schedules: Sequence[Schedule], past: History) -> FloatArray:
    """η_{k−1} − η_k at the nodes, (nodes,), with η_{−1} = 0."""
    before, here = (rates(schedules, past.owner, np.maximum(past.step - i, 0)) for i in (1, 0))
    return np.where(past.step > 0, before, 0.0) - here


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
    found = data.law.compiled.formula.value(*theta, *data.features, *_totals(data, theta), *data.known)
    return np.broadcast_to(found, len(data)).astype(float)


def predict_terms(data: Batch, theta: FloatArray) -> dict[Kind, FloatArray]:
    """What the losses of `predict` are the sum of: the formula's terms by what they count, (obs,) each."""
    seen = [*theta, *data.features, *_totals(data, theta)]
    return {kind: np.broadcast_to(part.value(*seen), len(data)).astype(float) for kind, part in data.law.terms.items()}


def _totals(data: Batch, theta: FloatArray) -> list[FloatArray]:
    """The law's sums over the past of every observation, (obs,) each."""
    return [np.where((total := s.total(theta)) == 0, NOTHING, total) for s in data.ready]


def predict_with_jacobian(data: Batch, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Losses (obs,) and their derivatives (obs, params) in natural coefficients."""
    code = data.law.compiled
    sums, slopes = [], {}
    for symbol, s in zip(code.held, data.ready, strict=True):
        total, slopes[symbol] = s.total_with_slopes(theta)
        sums.append(np.where(total == 0, NOTHING, total))
    value, *outer = code.formula.both(*theta, *data.features, *sums, *data.known)
    jacobian = np.zeros((len(theta), len(data)))
    for symbol, d in zip(code.formula.wrt, outer, strict=True):
        if symbol in slopes:
            for column, inner in zip(slopes[symbol][0], slopes[symbol][1].T, strict=True):
                jacobian[column] += d * inner
        else:
            jacobian[code.column[symbol]] += d
    return np.broadcast_to(value, len(data)).astype(float), jacobian.T


class _Sum:
    """A history sum of a law over one past, with all that does not depend on coefficients done."""

    def __init__(self, code: Compiled, i: int, past: HistoryBatch, spread: "csr_array | None") -> None:
        """The sum is the law's `i`-th. `spread`: (obs, moments), None where the past is that of the observations."""
        self.source, self.pace, self.kernel, self.column = code.sources[i], code.paces[i], code.kernels[i], code.column
        self.past, self.spread, self.straight = past, spread, code.straight[i]
        self.seen = past.eta, past.S, past.drop
        self.rate = np.maximum(past.eta, LOWEST)
        self.source_known = self.source.known(*self.seen)
        self.pace_known = () if self.pace is None else self.pace.known(self.rate)
        self.kept: dict[int, FloatArray] = {}  # answers of the source that no coefficient changes, (pairs,)

    def total(self, theta: FloatArray) -> FloatArray:
        """The sum at every observation, (obs,)."""
        if self.straight:
            columns, slopes = self.fixed
            return np.einsum("oc,c->o", slopes, theta[columns])
        a = self._at_pairs(0, self.source.value(*theta, *self.seen, *self.source_known))
        g = 1.0 if self.pace is None else self.pace.value(*theta, self.rate, *self.pace_known)[self.past.node]
        return self._spread(self._summed(a * self.kernel.value(*theta, self.past.lag, g)))

    def total_with_slopes(self, theta: FloatArray) -> tuple[FloatArray, tuple[list[int], FloatArray]]:
        """The sum, (obs,), and the coefficients on which it depends with its slopes by them, (obs, coefficients)."""
        return (self.total(theta), self.fixed) if self.straight else self._worked_out(theta)

    @cached_property
    def fixed(self) -> tuple[list[int], FloatArray]:
        """Which coefficients a sum that is linear in all of them depends on, and its derivatives by them."""
        return self._worked_out(np.zeros(len(self.column)))[1]

    def _worked_out(self, theta: FloatArray) -> tuple[FloatArray, tuple[list[int], FloatArray]]:
        a, *by_source = self.source.both(*theta, *self.seen, *self.source_known)
        a = self._at_pairs(0, a)
        g, by_pace = 1.0, []
        if self.pace is not None:
            g, *by_pace = self.pace.both(*theta, self.rate, *self.pace_known)
            g = g[self.past.node]
        k, *by_kernel = self.kernel.both(*theta, self.past.lag, g)
        found = [(-1, self._summed(a * k))]  # columns of the coefficients, and sums
        for i, (symbol, da) in enumerate(zip(self.source.wrt, by_source, strict=True), 1):
            found.append((self.column[symbol], self._summed(self._at_pairs(i, da) * k)))
        for symbol, dk in zip(self.kernel.wrt, by_kernel, strict=True):
            terms = a * dk
            if symbol != pace_k or self.pace is None:
                found.append((self.column[symbol], self._summed(terms)))
                continue
            for outer, dg in zip(self.pace.wrt, by_pace, strict=True):
                found.append((self.column[outer], self._summed(terms * dg[self.past.node])))
        columns = list(dict.fromkeys(column for column, _ in found[1:]))
        slopes = [sum(part for column, part in found[1:] if column == c) for c in columns]
        sums = self._spread(np.stack((found[0][1], *slopes), axis=1))
        return sums[:, 0], (columns, sums[:, 1:])

    def _at_pairs(self, i: int, values: FloatArray) -> FloatArray:
        """The source's `i`-th answer at nodes, as (pairs,), times how many steps each node stands for."""
        if i in self.kept:
            return self.kept[i]
        pairs = (values * self.past.weight)[self.past.node]
        if self.source.fixed[i]:
            self.kept[i] = pairs
        return pairs

    def _summed(self, terms: FloatArray) -> FloatArray:
        """Terms (pairs,) summed over each past, (moments,)."""
        return np.add.reduceat(terms, self.past.first)

    def _spread(self, sums: FloatArray) -> FloatArray:
        """From moments, (moments, …), to observations, (obs, …)."""
        return sums if self.spread is None else self.spread @ sums


__all__ = [
    "RECENT",
    "Batch",
    "HistoryBatch",
    "batch",
    "batches",
    "in_parts",
    "predict",
    "predict_terms",
    "predict_with_jacobian",
    "prepare",
]
