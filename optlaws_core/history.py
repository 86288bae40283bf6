"""Sums over the whole past of a run, Σ_{k≤t} a(k)·K(c(t) − c(k)), from O(log T) nodes for each observation.

The past of an observation is cut into panels whose size on the clock is at most `REACH` times their distance from the
observation: there, a kernel that varies on the scale of its lag is smooth, whatever its coefficients are. On a panel of
n steps a Gauss rule for sums over integers (the zeros of the Gram polynomials, moved to the nearest integers, with the
weights that keep it exact) needs `NODES` steps. Panels come from halving fixed cells, so observations share them.
Nodes are integer steps: rates and clocks there are the exact ones, and the only error is that of the rule.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .schedules.base import FloatArray
from .trace import IntArray, Trace, halves

NODES = 8  # with REACH, keeps the relative error of a sum below 1e-6 for kernels (1 + c·lag)^(−ρ) and exponentials
LEAF = 16  # panels of up to this many steps are summed step by step
REACH = 1.5  # size of a panel over its distance from the observation, on the kernel's clock
GROWTH = 2.0  # largest relative growth of S inside a panel, since sources contain powers of S
TIE = 1 + 1e-9  # under a constant rate many panels are exactly as large as they may be; the last digit must not decide


@dataclass(frozen=True, eq=False)
class History:
    """Nodes of a past, and which of them each observation sums over."""

    step: IntArray  # (nodes,)
    weight: FloatArray  # (nodes,) how many steps each node stands for
    clock: FloatArray  # (nodes,) clock at the node
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
        return History(self.step[used], self.weight[used], self.clock[used], self.now, node, first)


def history(trace: Trace, steps: IntArray, r: float, drops: bool = False) -> History:
    """The past of each observation at `steps` (n,) on the clock with power `r`. Every observation sums k = 0..t.

    `drops`: what is summed depends on η_{k−1} − η_k, which jumps at the first step of each stretch of the schedule.
    """
    clock = trace.clock(r)
    steps = np.asarray(steps, np.int64)
    now = clock(steps)
    start, length = _apart(*trace.cells(), trace.schedule.breaks) if drops else trace.cells()
    seen = start[None, :] <= steps[:, None]
    obs, panel = np.nonzero(seen)
    found = []  # (obs, start, length, cut) of the accepted panels, level by level
    while len(obs):
        small, near = length <= LEAF, _clock_span(clock, start, length)
        whole = (start + length - 1)[panel] <= steps[obs]
        gap = now[obs] - near.last[panel]
        far = whole & (near.size[panel] <= TIE * REACH * gap) & _grows_little(trace, start, length)[panel]
        take = far | small[panel]
        found.append((obs[take], start[panel[take]], length[panel[take]], ~far[take]))
        obs, panel, start, length = _halved(obs[~take], panel[~take], start, length, steps)
    return _gather(trace, clock, steps, now, *(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _apart(start: IntArray, length: IntArray, breaks: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Cells with the first step of each stretch as a cell of its own."""
    ends = start + length
    edges = np.union1d(np.concatenate((start, ends[-1:])), np.array([k for b in breaks for k in (b, b + 1)]))
    edges = edges[(edges >= start[0]) & (edges <= ends[-1])]
    return edges[:-1], np.diff(edges)


@dataclass(frozen=True)
class _Span:
    size: FloatArray  # clock time from the first to the last step
    last: FloatArray  # clock at the last step


def _clock_span(clock, start: IntArray, length: IntArray) -> _Span:
    last = clock(start + length - 1)
    return _Span(last - clock(start), last)


def _grows_little(trace: Trace, start: IntArray, length: IntArray):
    first = trace.S(start)
    return trace.S(start + length - 1) - first <= TIE * GROWTH * first


def _halved(obs, panel, start, length, steps):
    """Both halves of the panels still to be split, for each observation that reaches them."""
    used, panel = np.unique(panel, return_inverse=True)
    start, length = halves(start[used], length[used])
    obs, panel = np.concatenate((obs, obs)), np.concatenate((panel, panel + len(used)))
    reached = start[panel] <= steps[obs]
    return obs[reached], panel[reached], start, length


def _gather(trace, clock, steps, now, obs, start, length, leaf) -> History:
    """Accepted panels as nodes and pairs. A leaf stands step by step, so that it can end at the observation."""
    keys = np.stack((start, length, leaf), axis=1)
    panels, of_panel = np.unique(keys, axis=0, return_inverse=True)
    node_step, node_weight, sizes = _panel_nodes(*panels.T)
    offset = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    order = np.argsort(obs, kind="stable")
    obs, of_panel = obs[order], of_panel.ravel()[order]
    count = sizes[of_panel]
    cut = panels[of_panel, 2].astype(bool)
    count[cut] = np.minimum(count[cut], steps[obs[cut]] - panels[of_panel[cut], 0] + 1)
    ends = np.cumsum(count)
    node = np.arange(ends[-1]) - np.repeat(ends - count, count) + np.repeat(offset[of_panel], count)
    pairs_of_obs = np.bincount(obs, weights=count, minlength=len(steps)).astype(np.intp)
    first = np.concatenate(([0], np.cumsum(pairs_of_obs)[:-1])).astype(np.intp)
    return History(node_step, node_weight, clock(node_step), now, node, first)


def _panel_nodes(start: IntArray, length: IntArray, leaf: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Nodes of all panels, one after another, their weights, and the number of nodes of each panel."""
    direct = leaf.astype(bool) | (length <= LEAF)
    rules = {}
    sizes = np.where(direct, length, NODES)
    steps, weights = np.empty(sizes.sum(), np.int64), np.ones(sizes.sum())
    offset = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    for n in np.unique(length):
        for plain in (True, False):
            these = np.flatnonzero((length == n) & (direct == plain))
            if not len(these):
                continue
            x, w = (np.arange(n), np.ones(n)) if plain else rules.setdefault(n, rule(int(n)))
            at = offset[these][:, None] + np.arange(len(x))
            steps[at], weights[at] = start[these][:, None] + x, w
    return steps, weights, sizes


@lru_cache(maxsize=8192)
def rule(n: int) -> tuple[IntArray, FloatArray]:
    """Offsets (NODES,) among 0..n−1 and weights with Σ w·p(x) = Σ_{k<n} p(k) for polynomials p up to degree NODES − 1.

    The offsets are the zeros of the Gram polynomial of degree NODES (orthogonal on 0..n−1) moved to the nearest
    integers, so for long panels the rule is nearly exact up to degree 2·NODES − 1. Needs n > LEAF.
    """
    j = np.arange(1, NODES)
    off_diagonal = 0.5 * j * np.sqrt((n * n - j * j) / (4.0 * j * j - 1.0))
    zeros = np.linalg.eigvalsh(np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)) + (n - 1) / 2
    x = np.rint(zeros).astype(np.int64)
    # Gram polynomials at the nodes by their recurrence; over 0..n−1 all but the constant one sum to zero
    z = (x - (n - 1) / 2) / n
    p = np.zeros((NODES, NODES))
    p[0] = 1.0
    p[1] = z
    for i in range(1, NODES - 1):
        p[i + 1] = z * p[i] - (off_diagonal[i - 1] / n) ** 2 * p[i - 1]
    return x, np.linalg.solve(p, np.concatenate(([float(n)], np.zeros(NODES - 1))))
