"""Sums over the whole past of a run, Σ_{k≤t} a(k)·K(c(t) − c(k)), from O(log T) nodes for each observation.

The past of an observation is cut into panels whose size on the clock is at most `REACH` times their distance from the
observation: there, a kernel that varies on the scale of its lag is smooth, whatever its coefficients are. Within a
panel the summed rate grows by so little and the rate changes so little that their powers are smooth, too. On a panel of
many updates the Gauss rule of `panels` needs `NODES` of them, which lie between updates; few updates stand for
themselves. Panels come from cutting the stretches between turns of a schedule, so observations share them.

Every history sum is exact to a relative 1e-8 or so; see the tests. Rates and clocks at the nodes are the exact ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray, IntArray
from ...schedules import Schedule
from .clocks import Clock, Trace, make_clocks
from .panels import NODES, TIE, Panels

REACH = 2.5  # largest size of a panel over its distance from the observation, on the kernel's clock and in updates
# Sources contain powers of the summed rate S: most updates of a panel, for each that its first rate took to reach S.
GROWTH = 4.0
EARLY = 16  # first updates of a schedule, which stand for themselves: clocks know little of what lies between them
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
        used, node = _numbered(self.node, len(self.step))
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
class _Cells:
    """Stretches of places, in any order, and what their clocks say of them; (cells,) each."""

    start: IntArray
    length: IntArray
    last: FloatArray  # clock at the last place
    size: FloatArray  # from first to last place, on the clock
    grows: BoolArray  # whether the summed rate grows by too much
    early: IntArray  # how many of the first `EARLY` updates are at the cell's start or after it

    @classmethod
    def of(cls, line: _Line, start: IntArray, length: IntArray) -> "_Cells":
        origin = line.origin[line.owner(start)]
        step = start - origin
        before, here = line.S(np.stack((step - 1, step)), origin)
        first, last = line.clock(np.stack((step, step + length - 1)), origin)
        grows = (length - 1) * (here - before) > TIE * GROWTH * before
        return cls(start, length, last, last - first, grows, np.maximum(EARLY - step, 0))

    def cut(self, line: _Line, which: IntArray, left: IntArray) -> "_Cells":
        """The cells `which` (n,) as their left parts, of lengths `left` (n,), and right parts in turn, (2n,)."""
        start, length = self.start[which], self.length[which]
        parts = (start, start + left), (left, length - left)
        return _Cells.of(line, *(np.stack(p, axis=1).ravel() for p in parts))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Observations, and the cells that each sums over; (pairs,) each."""

    obs: IntArray
    cell: IntArray

    def only(self, which: BoolArray) -> "_Pairs":
        return _Pairs(self.obs[which], self.cell[which])

    def of_parts(self, cells: int) -> tuple[IntArray, "_Pairs"]:
        """Those of the `cells` in use (n,), and the pairs with their parts, which are numbered 2i and 2i + 1."""
        used, cell = _numbered(self.cell, cells)
        return used, _Pairs(np.tile(self.obs, 2), np.concatenate((2 * cell, 2 * cell + 1)))


def _numbered(chosen: NDArray[np.integer], of: int) -> tuple[IntArray, IntArray]:
    """What stands among `chosen` numbers (n,) below `of`, ascending and once each, and which of these each one is (n,).

    As `np.unique` says it, which sorts all of them.
    """
    used = np.zeros(of, bool)
    used[chosen] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1)[chosen]


def history(trace: Trace, steps: IntArray, r: float) -> History:
    """The past of each observation of one schedule; see `histories`."""
    return histories([trace], [steps], r)


def histories(
    traces: Sequence[Trace], steps: Sequence[IntArray], r: float, grows: bool = True, paced: bool = True
) -> History:
    """The past of each observation at `steps` (n_i,) of each schedule, on the clock with power `r`; all sum k = 0..t.

    Observations come one schedule after another, (Σ n_i,), and each run has the nodes that it has alone.
    grows, paced: whether what is summed has powers of the summed rate and of the rate, which need more nodes where
    these are small.
    """
    line = _Line.of(traces, r)
    owner = np.repeat(np.arange(len(traces)), [len(s) for s in steps])
    step, origin = np.concatenate([np.asarray(s, np.int64) for s in steps]), line.origin[owner]
    place, now = step + origin, line.clock(step, origin)
    cells = _Cells.of(line, *line.stretches())
    pairs = _first_pairs(line, cells.start, owner, place)
    found = []
    while len(pairs.obs):
        cells, pairs = _far_enough(line, cells, pairs, place, now, grows)
        panels, smooth, left = _checked(line, cells, paced or r not in (0, 1))
        found.append((panels, cells.start, pairs.only(smooth[pairs.cell])))
        used, pairs = pairs.only(~smooth[pairs.cell]).of_parts(len(cells.start))
        cells = cells.cut(line, used, left[used])
        pairs = pairs.only(cells.start[pairs.cell] <= place[pairs.obs])
    return _gathered(line, found, step, now)


def _first_pairs(line: _Line, start: IntArray, owner: IntArray, place: IntArray) -> _Pairs:
    """Each observation with the stretches of its schedule that begin up to it."""
    first = np.searchsorted(start, line.origin)[owner]
    count = np.searchsorted(start, place, side="right") - first
    obs = np.repeat(np.arange(len(place)), count)
    return _Pairs(obs, np.arange(len(obs)) - np.repeat(np.cumsum(count) - count - first, count))


def _far_enough(
    line: _Line, cells: _Cells, pairs: _Pairs, place: IntArray, now: FloatArray, grows: bool
) -> tuple[_Cells, _Pairs]:
    """Cells cut until each is far enough from the observations that sum over it, or short; in ascending order."""
    levels: list[_Cells] = []
    obs, cell = [], []
    count = 0
    while True:
        after = place[pairs.obs] - (cells.start + cells.length - 1)[pairs.cell]
        near = cells.size[pairs.cell] > TIE * REACH * (now[pairs.obs] - cells.last[pairs.cell])
        near |= cells.length[pairs.cell] > REACH * after
        begins = (cells.early > 0) | (grows & cells.grows)
        coarse = (near | begins[pairs.cell]) & (cells.length > NODES)[pairs.cell]
        accepted = pairs.only(~coarse)
        levels.append(cells)
        obs.append(accepted.obs)
        cell.append(accepted.cell + count)
        count += len(cells.start)
        if not coarse.any():
            break
        pairs = pairs.only(coarse)
        left = _left(cells, pairs, place, grows)
        used, pairs = pairs.of_parts(len(cells.start))
        cells = cells.cut(line, used, left[used])
        pairs = pairs.only(cells.start[pairs.cell] <= place[pairs.obs])
    every = [np.concatenate([getattr(c, f.name) for c in levels]) for f in fields(_Cells)]
    used, number = _numbered(np.concatenate(cell), count)
    order = np.argsort(every[0][used], kind="stable")
    rank = np.empty(len(used), np.int64)
    rank[order] = np.arange(len(used))
    return _Cells(*(v[used][order] for v in every)), _Pairs(np.concatenate(obs), rank[number])


def _left(cells: _Cells, pairs: _Pairs, place: IntArray, grows: bool) -> IntArray:
    """Lengths (cells,) of the left parts of cells that are too coarse for these `pairs`.

    Where one observation alone is too near, the left part is as long as may be from there.
    """
    nearest = np.zeros(len(cells.start), np.int64)
    nearest[pairs.cell] = place[pairs.obs] - cells.start[pairs.cell] + 1
    longest = np.floor(nearest * REACH / (1 + REACH)).astype(np.int64)
    alone = (np.bincount(pairs.cell, minlength=len(nearest)) == 1) & (longest > 0) & (longest < cells.length)
    begun = (cells.early > 0) & (cells.early < cells.length)
    growing = 2 * cells.length // 5  # the start is where S grows
    return np.select([begun, grows & cells.grows, alone], [cells.early, growing, longest], cells.length // 2)


def _checked(line: _Line, cells: _Cells, paced: bool) -> tuple[Panels, BoolArray, IntArray]:
    """Cells in ascending order as panels, which of them have smooth rates, and where to cut the others.

    Rates near 0 have powers that are not smooth there, so the part next to them is a quarter.
    """
    owner = line.owner(cells.start)
    panels = Panels.of(line.schedules, owner, cells.start - line.origin[owner], cells.length)
    rate = np.concatenate((panels.eta, panels.ends), axis=1)
    low, high = rate.min(axis=1), rate.max(axis=1)
    changes, falls = paced & (high > STEADY * low), panels.ends[:, 1] < panels.ends[:, 0]
    meets = panels.missed[:, 1:].max(axis=1) <= SMOOTH * (high - low) + ROUNDING * high
    quarter = cells.length // 4
    left = np.select([changes & falls, changes], [cells.length - quarter, quarter], cells.length // 2)
    return panels, (meets & ~changes) | (cells.length <= NODES), left


def _gathered(
    line: _Line, found: Sequence[tuple[Panels, IntArray, _Pairs]], step: IntArray, now: FloatArray
) -> History:
    """Panels, their first places, and the pairs with them as nodes. A panel counts up to the observation."""
    offsets = np.cumsum([0, *(len(start) for _, start, _ in found)])
    obs = np.concatenate([pairs.obs for _, _, pairs in found])
    panel = np.concatenate([pairs.cell + n for (_, _, pairs), n in zip(found, offsets, strict=False)])
    used, panel = _numbered(panel, int(offsets[-1]))
    start = np.concatenate([start for _, start, _ in found])[used]
    node, weight = (np.concatenate([getattr(p, name) for p, _, _ in found])[used] for name in ("step", "weight"))
    ascending = np.argsort(start, kind="stable")
    rank = np.empty(len(used), np.intp)
    rank[ascending] = np.arange(len(used))
    start, node, weight, panel = start[ascending], node[ascending], weight[ascending], rank[panel]
    order = np.argsort(obs * len(used) + panel)  # pairs are different ones, so this is by observation, then by panel
    obs, panel = obs[order], panel[order]
    counts = (weight[panel] > 0) & (node[panel] <= step[obs][:, None])
    pair = ((panel * NODES)[:, None] + np.arange(NODES))[counts]
    first = np.concatenate(([0], np.cumsum(np.bincount(obs, counts.sum(axis=1)))[:-1])).astype(np.intp)
    owner = np.repeat(line.owner(start), NODES)
    node, weight, origin = node.ravel(), weight.ravel(), line.origin[owner]
    clock, S = line.clock(node, origin), line.S(node, origin)
    return History(node, owner, weight, clock, S, now, pair, first)._compact()


__all__ = ["History", "histories", "history"]
