"""Sums over the whole past of a run, Σ_{k≤t} a(k)·K(c(t) − c(k)), from O(log T) nodes for each observation.

The past of an observation is cut into panels whose size on the clock is at most `REACH` times their distance from the
observation: there, a kernel that varies on the scale of its lag is smooth, whatever its coefficients are. On a panel of
n steps a Gauss rule for sums over integers (the zeros of the Gram polynomials, moved to the nearest integers, with the
weights that keep it exact) needs `WHOLE_NODES` steps. Panels come from halving fixed cells, so observations share them.
Nodes are integer steps: rates and clocks there are the exact ones, and the only error is that of the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IntArray
from .clocks import SMOOTH, Clock, Trace, make_clocks
from .panels import WHOLE_NODES, halves, resolved, whole_rule

LEAF = 16  # panels of up to this many steps are summed step by step


@dataclass(frozen=True, eq=False)
class History:
    """Nodes of a past, and which of them each observation sums over."""

    step: IntArray  # (nodes,)
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

    def only(self, wanted: NDArray[np.bool_]) -> "History":
        """The same past with only the nodes (nodes,) that are wanted, and one for each observation that has none."""
        keep = wanted[self.node]
        keep[self.first] = True
        before = np.concatenate(([0], np.cumsum(keep)))
        used, node = np.unique(self.node[keep], return_inverse=True)
        first = before[self.first].astype(np.intp)
        at_nodes = (v[used] for v in (self.step, self.owner, self.weight, self.clock, self.S))
        return History(*at_nodes, self.now, node, first)


@dataclass(frozen=True, eq=False)
class _Line:
    """Schedules laid end to end on one line of places, so that all of them are cut at once; a place is an update."""

    origin: IntArray  # (schedules,) place of each schedule's first update
    clock: Clock  # of the kernel, at places
    S: Clock  # summed learning rate, at places
    start: IntArray  # (cells,) first place of each stretch on which the rate is smooth
    length: IntArray  # (cells,)

    @classmethod
    def of(cls, traces: Sequence[Trace], r: float, drops: bool) -> "_Line":
        for power in (r, 1.0, SMOOTH):
            make_clocks(traces, power)
        spans = [t.schedule.total + 1 for t in traces]
        origin = np.cumsum([0, *spans[:-1]])
        cells = [_apart(*t.cells(), t.schedule.breaks) if drops else t.cells() for t in traces]
        start = np.concatenate([first + o for (first, _), o in zip(cells, origin, strict=True)])
        length = np.concatenate([n for _, n in cells])
        clock, S = (_joined([t.clock(p) for t in traces], origin) for p in (r, 1.0))
        return cls(origin, clock, S, start, length)

    def owner(self, place: IntArray) -> IntArray:
        """Which schedule a place belongs to; shape of `place`."""
        return np.searchsorted(self.origin, place, side="right") - 1


def _joined(clocks: Sequence[Clock], origin: IntArray) -> Clock:
    """Clocks of several schedules as one over places; each begins anew at its schedule's origin."""
    start = np.concatenate([c.start + o for c, o in zip(clocks, origin, strict=True)])
    return Clock(start, *(np.concatenate([getattr(c, name) for c in clocks]) for name in ("length", "before", "sums")))


def history(trace: Trace, steps: IntArray, r: float, drops: bool = False) -> History:
    """The past of each observation of one schedule; see `histories`."""
    return histories([trace], [steps], r, drops)


def histories(traces: Sequence[Trace], steps: Sequence[IntArray], r: float, drops: bool = False) -> History:
    """The past of each observation at `steps` (n_i,) of each schedule, on the clock with power `r`; all sum k = 0..t.

    Observations come one schedule after another, (Σ n_i,), and each has the nodes that it has alone.
    `drops`: what is summed depends on η_{k−1} − η_k, which jumps at the first step of each stretch of the schedule.
    """
    line = _Line.of(traces, r, drops)
    owner = np.repeat(np.arange(len(traces)), [len(s) for s in steps])
    place = np.concatenate([np.asarray(s, np.int64) for s in steps]) + line.origin[owner]
    now = line.clock(place)
    start, length = line.start, line.length
    obs, panel = _first_pairs(line, owner, place)
    found = []  # (obs, start, length, cut) of the accepted panels, level by level
    while len(obs):
        last = start + length - 1
        ends, S_first = line.clock(last), line.S(start)
        size, grown = ends - line.clock(start), line.S(last) - S_first
        fine = resolved(size[panel], now[obs] - ends[panel], grown[panel], S_first[panel])
        far = (last[panel] <= place[obs]) & fine
        accepted = far | (length <= LEAF)[panel]
        found.append((obs[accepted], start[panel[accepted]], length[panel[accepted]], ~far[accepted]))
        obs, panel, start, length = _halved(obs[~accepted], panel[~accepted], start, length, place)
    obs, start, length, cut = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _gather(line, place, now, obs, start, length, cut)


def _first_pairs(line: _Line, owner: IntArray, place: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of each observation with the cells of its schedule that begin up to it: observation and cell, (pairs,)."""
    first = np.searchsorted(line.start, line.origin)[owner]
    count = np.searchsorted(line.start, place, side="right") - first
    obs = np.repeat(np.arange(len(place)), count)
    return obs, np.arange(len(obs)) - np.repeat(np.cumsum(count) - count - first, count)


def _apart(start: IntArray, length: IntArray, breaks: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Cells with the first step of each stretch as a cell of its own."""
    ends = start + length
    edges = np.union1d(np.concatenate((start, ends[-1:])), np.array([k for b in breaks for k in (b, b + 1)]))
    edges = edges[(edges >= start[0]) & (edges <= ends[-1])]
    return edges[:-1], np.diff(edges)


def _halved(
    obs: IntArray, panel: IntArray, start: IntArray, length: IntArray, place: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Both halves of the panels still to be split, for each observation that reaches them."""
    used, panel = np.unique(panel, return_inverse=True)
    start, length = halves(start[used], length[used])
    obs, panel = np.concatenate((obs, obs)), np.concatenate((panel, panel + len(used)))
    reached = start[panel] <= place[obs]
    return obs[reached], panel[reached], start, length


def _gather(
    line: _Line, place: IntArray, now: FloatArray, obs: IntArray, start: IntArray, length: IntArray, leaf: IntArray
) -> History:
    """Accepted panels as nodes and pairs. A leaf stands step by step, so that it can end at the observation."""
    keys = np.stack((start, length, leaf), axis=1)
    panels, of_panel = np.unique(keys, axis=0, return_inverse=True)
    node_place, node_weight, sizes = _panel_nodes(*panels.T)
    offset = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    order = np.argsort(obs, kind="stable")
    obs, of_panel = obs[order], of_panel.ravel()[order]
    count = sizes[of_panel]
    cut = panels[of_panel, 2].astype(bool)
    count[cut] = np.minimum(count[cut], place[obs[cut]] - panels[of_panel[cut], 0] + 1)
    ends = np.cumsum(count)
    node = np.arange(ends[-1]) - np.repeat(ends - count, count) + np.repeat(offset[of_panel], count)
    pairs_of_obs = np.bincount(obs, weights=count, minlength=len(place)).astype(np.intp)
    first = np.concatenate(([0], np.cumsum(pairs_of_obs)[:-1])).astype(np.intp)
    owner = line.owner(node_place)
    clock, S = line.clock(node_place), line.S(node_place)
    return History(node_place - line.origin[owner], owner, node_weight, clock, S, now, node, first)


def _panel_nodes(start: IntArray, length: IntArray, leaf: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Nodes of all panels, one after another, their weights, and the number of nodes of each panel."""
    single = leaf.astype(bool) | (length <= LEAF)
    sizes = np.where(single, length, WHOLE_NODES)
    offset = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    panel = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(panel)) - offset[panel]
    places, weights = start[panel] + within, np.ones(len(panel))
    unique, which = np.unique(length[~single], return_inverse=True)
    if len(unique):
        x, w = (np.stack(v) for v in zip(*(whole_rule(int(n)) for n in unique), strict=True))
        ruled = ~single[panel]
        places[ruled], weights[ruled] = (start[~single][:, None] + x[which]).ravel(), w[which].ravel()
    return places, weights, sizes


__all__ = ["History", "histories", "history"]
