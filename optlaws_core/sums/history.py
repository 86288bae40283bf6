"""Sums over the whole past of a run, Σ_{k≤t} a(k)·K(c(t) − c(k)), from O(log T) nodes for each observation.

The past of an observation is cut into panels whose size on the clock is at most `REACH` times their distance from the
observation: there, a kernel that varies on the scale of its lag is smooth, whatever its coefficients are. Within a
panel the summed rate grows by so little and the rate changes so little that their powers are smooth, too. On a panel of
many updates the Gauss rule of `panels` needs `NODES` of them, which lie between updates; few updates stand for
themselves. Panels come from cutting the stretches between turns of a schedule, so observations share them.

Every history sum is exact to a relative 1e-8 or so; see the tests. Rates and clocks at the nodes are the exact ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import BoolArray, FloatArray, IntArray
from ..schedules import Schedule
from .clocks import Clock, Trace, make_clocks
from .panels import NODES, TIE, Panels, rates

REACH = 3.0  # largest size of a panel over its distance from the observation, on the kernel's clock and in updates
# Sources contain powers of the summed rate S: most updates of a panel, for each that its first rate took to reach S.
GROWTH = 4.0
STEADY = 16.0  # largest ratio of rates within a panel, since paces contain powers of the rate
# How well a polynomial through a panel's nodes must give the rates of the update before it and of its last one, in
# shares of the change of the rate and of the rate. Sums miss about the square of that.
SMOOTH, ROUNDING = 1e-6, 1e-12


@dataclass(frozen=True, eq=False)
class History:
    """Nodes of a past, and which of them each observation sums over."""

    step: FloatArray  # (nodes,) between updates where a node stands for many
    owner: IntArray  # (nodes,) which of the schedules; they come one after another
    weight: FloatArray  # (nodes,) how many steps each node stands for
    clock: FloatArray  # (nodes,) clock at the node
    S: FloatArray  # (nodes,) summed learning rate at the node
    now: FloatArray  # (obs,) clock at the observation
    node: NDArray[np.intp]  # (pairs,) node of each pair, pairs in the order of the observations
    first: NDArray[np.intp]  # (obs,) first pair of each observation

    @property
    def lag(self) -> FloatArray:
        """Clock time from the node to the observation, (pairs,); never negative."""
        counts = np.diff(np.append(self.first, len(self.node)))
        return np.maximum(np.repeat(self.now, counts) - self.clock[self.node], 0.0)

    def only(self, wanted: BoolArray) -> "History":
        """The same past with only the nodes (nodes,) that are wanted, and one for each observation that has none."""
        keep = wanted[self.node]
        kept = np.add.reduceat(keep, self.first, dtype=np.intp)
        keep[self.first[kept == 0]] = True
        first = np.concatenate(([0], np.cumsum(np.maximum(kept, 1))[:-1])).astype(np.intp)
        return replace(self, node=self.node[keep], first=first)._compact()

    def _compact(self) -> "History":
        """The same past without nodes that no observation sums over."""
        used, node = np.unique(self.node, return_inverse=True)
        fewer = {name: getattr(self, name)[used] for name in ("step", "owner", "weight", "clock", "S")}
        return replace(self, node=node, **fewer)


@dataclass(frozen=True, eq=False)
class _Line:
    """Schedules laid end to end on one line of places, so that all of them are cut at once; a place is an update."""

    schedules: tuple[Schedule, ...]
    origin: IntArray  # (schedules,) place of each schedule's first update
    clock: Clock  # of the kernel, at places
    S: Clock  # summed learning rate, at places

    @classmethod
    def of(cls, traces: Sequence[Trace], r: float) -> "_Line":
        for power in (r, 1.0):
            make_clocks(traces, power)
        origin = np.cumsum([0, *(t.schedule.total + 1 for t in traces[:-1])])
        clock, S = (_joined([t.clock(p) for t in traces], origin) for p in (r, 1.0))
        return cls(tuple(t.schedule for t in traces), origin, clock, S)

    def stretches(self) -> tuple[IntArray, IntArray]:
        """First places and lengths of the stretches between turns of each schedule, (stretches,) each.

        The first update of each is one of its own: the drop of the rate into it jumps.
        """
        parts = []
        for s, o in zip(self.schedules, self.origin, strict=True):
            edges = np.unique([e for b in (0, *s.breaks) for e in (b, b + 1)] + [s.total + 1])
            edges = edges[(edges >= 0) & (edges <= s.total + 1)]
            parts.append((edges[:-1] + o, np.diff(edges)))
        start, length = (np.concatenate(x) for x in zip(*parts, strict=True))
        return start, length

    def owner(self, place: NDArray) -> IntArray:
        """Which schedule a place belongs to; shape of `place`."""
        return np.searchsorted(self.origin, place, side="right") - 1


def _joined(clocks: Sequence[Clock], origin: IntArray) -> Clock:
    """Clocks of several schedules as one over places; each begins anew at its schedule's origin."""
    start = np.concatenate([c.start + o for c, o in zip(clocks, origin, strict=True)])
    return Clock(start, *(np.concatenate([getattr(c, name) for c in clocks]) for name in ("length", "before", "sums")))


@dataclass(frozen=True, eq=False)
class _Panels:
    """Stretches of places, in ascending order, with their nodes and what the choice among them asks for."""

    start: IntArray  # (panels,)
    length: IntArray  # (panels,)
    node: FloatArray  # (panels, NODES) steps
    weight: FloatArray  # (panels, NODES) 0 for nodes that are none
    ends: FloatArray  # (panels,) clock at the last place
    size: FloatArray  # (panels,) from first to last place, on the clock
    smooth: BoolArray  # (panels,) whether the rate and powers of it and of S are
    left: IntArray  # (panels,) length of the left part when the panel is cut: a quarter next to what is not smooth

    @classmethod
    def of(cls, line: _Line, start: IntArray, length: IntArray) -> "_Panels":
        owner = line.owner(start)
        origin = line.origin[owner]
        panels = Panels.of(line.schedules, owner, start - origin, length)
        rate = np.concatenate((panels.eta, panels.ends), axis=1)
        low, high = rate.min(axis=1), rate.max(axis=1)
        grows = (length - 1) * panels.ends[:, 0] > TIE * GROWTH * line.S(panels.start - 1, origin)
        falls = (high > STEADY * low) & (panels.ends[:, 1] < panels.ends[:, 0])
        rises = (high > STEADY * low) & ~falls
        smooth = _missed(line, owner, panels) <= SMOOTH * (high - low) + ROUNDING * high
        left = np.select([grows, rises, falls], [2 * length // 5, length // 4, length - length // 4], length // 2)
        ends = line.clock(panels.start + length - 1, origin)
        return cls(
            start,
            length,
            panels.step,
            panels.weight,
            ends,
            ends - line.clock(panels.start, origin),
            smooth & ~(grows | rises | falls),
            left,
        )

    def cut(self, line: _Line, which: IntArray) -> "_Panels":
        """The panels `which` (n,) as their left and right parts in turn, (2n,)."""
        start, length, left = self.start[which], self.length[which], self.left[which]
        parts = (start, start + left), (left, length - left)
        return _Panels.of(line, *(np.stack(p, axis=1).ravel() for p in parts))


def _missed(line: _Line, owner: IntArray, panels: Panels) -> FloatArray:
    """By how much the polynomials through the nodes of panels miss rates, (panels,); 0 where nodes are updates.

    The update before a panel of several belongs to the same stretch, and drops depend on it.
    """
    many = np.flatnonzero(panels.length > NODES)
    missed, node, rate = np.zeros(len(owner)), panels.step[many], panels.eta[many]
    between = node[:, :, None] - node[:, None, :] + np.eye(NODES)
    for at in (panels.start[many] - 1, panels.start[many] + panels.length[many] - 1):
        far = (at[:, None] - node)[:, None, :] * (1 - np.eye(NODES)) + np.eye(NODES)
        polynomial = ((far / between).prod(axis=2) * rate).sum(axis=1)
        missed[many] = np.maximum(missed[many], np.abs(polynomial - rates(line.schedules, owner[many], at)))
    return missed


def history(trace: Trace, steps: IntArray, r: float) -> History:
    """The past of each observation of one schedule; see `histories`."""
    return histories([trace], [steps], r)


def histories(traces: Sequence[Trace], steps: Sequence[IntArray], r: float) -> History:
    """The past of each observation at `steps` (n_i,) of each schedule, on the clock with power `r`; all sum k = 0..t.

    Observations come one schedule after another, (Σ n_i,), and each has the nodes that it has alone.
    """
    line = _Line.of(traces, r)
    owner = np.repeat(np.arange(len(traces)), [len(s) for s in steps])
    step, origin = np.concatenate([np.asarray(s, np.int64) for s in steps]), line.origin[owner]
    place, now = step + origin, line.clock(step, origin)
    panels = _Panels.of(line, *line.stretches())
    obs, panel = _first_pairs(line, panels.start, owner, place)
    levels, found = [], []  # panels, and the pairs of observation and panel that are accepted among them
    while len(obs):
        after = place[obs] - (panels.start + panels.length - 1)[panel]
        near = (panels.size[panel] > TIE * REACH * (now[obs] - panels.ends[panel])) | (
            panels.length[panel] > REACH * after
        )
        fine = panels.smooth[panel] & ~near
        accepted = fine | (panels.length <= NODES)[panel]
        levels.append(panels)
        found.append((obs[accepted], panel[accepted]))
        used, panel = np.unique(panel[~accepted], return_inverse=True)
        panels = panels.cut(line, used)
        obs, panel = np.tile(obs[~accepted], 2), np.concatenate((2 * panel, 2 * panel + 1))
        reached = panels.start[panel] <= place[obs]
        obs, panel = obs[reached], panel[reached]
    return _gathered(line, levels, found, step, now)


def _first_pairs(line: _Line, start: IntArray, owner: IntArray, place: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of each observation with the stretches of its schedule that begin up to it, (pairs,) each."""
    first = np.searchsorted(start, line.origin)[owner]
    count = np.searchsorted(start, place, side="right") - first
    obs = np.repeat(np.arange(len(place)), count)
    return obs, np.arange(len(obs)) - np.repeat(np.cumsum(count) - count - first, count)


def _gathered(
    line: _Line,
    levels: Sequence[_Panels],
    found: Sequence[tuple[IntArray, IntArray]],
    step: IntArray,
    now: FloatArray,
) -> History:
    """Accepted panels as nodes and pairs. One that reaches beyond the observation counts up to it."""
    offsets = np.cumsum([0, *(len(p.start) for p in levels)])
    obs = np.concatenate([o for o, _ in found])
    used, panel = np.unique(
        np.concatenate([p + n for (_, p), n in zip(found, offsets, strict=False)]), return_inverse=True
    )
    start, node, weight = (
        np.concatenate([getattr(p, name) for p in levels])[used] for name in ("start", "node", "weight")
    )
    ascending = np.argsort(start, kind="stable")
    rank = np.empty(len(used), np.intp)
    rank[ascending] = np.arange(len(used))
    start, node, weight, panel = start[ascending], node[ascending], weight[ascending], rank[panel]
    order = np.lexsort((panel, obs))
    obs, panel = obs[order], panel[order]
    counts = (weight[panel] > 0) & (node[panel] <= step[obs][:, None])
    pair = ((panel * NODES)[:, None] + np.arange(NODES))[counts]
    first = np.concatenate(([0], np.cumsum(np.bincount(obs, counts.sum(axis=1)))[:-1])).astype(np.intp)
    owner = np.repeat(line.owner(start), NODES)
    node, weight, origin = node.ravel(), weight.ravel(), line.origin[owner]
    clock, S = line.clock(node, origin), line.S(node, origin)
    return History(node, owner, weight, clock, S, now, pair, first)._compact()


__all__ = ["History", "histories", "history"]
