"""Stretches of updates of several schedules, and Gauss rules that stand for all updates of one.

What the two kinds of sums have in common: history sums (`history`), which see a past from many observations, and
functionals (`functionals`), which see whole schedules from their ends. Both cut schedules until a panel is small
against its distance and against the summed rate before it, and both sum over a panel at the zeros of a Gram polynomial,
orthogonal on its updates. These nodes lie between updates.

They differ in the lags. A history sum needs those from each of its nodes to many observations, so they are differences
of a clock. Functionals sum theirs up from the end of the schedule: differences would lose the small lags at the end of
a decay.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ...arrays import BoolArray, FloatArray, IntArray
from ...schedules import Schedule

NODES = 10  # of a panel; with the limits below, sums are exact to a relative 1e-9
REACH = 1.5  # largest size of a panel over its distance from the observation, both on the kernel's clock
GROWTH = 2.0  # largest relative growth of S within a panel, since sources contain powers of S
TIE = 1 + 1e-9  # under a constant rate many panels are as large as they may be; the last digit must not decide
CACHED = 8192  # lengths of panels whose rules are kept
TOLERANCE = 1e-11  # of the largest rate in a panel: how well a polynomial through its nodes must meet its ends
_LOCK = threading.Lock()
_ROWS: dict[int, int] = {}  # length of a panel -> its row in the tables of `_TABLES`
_TABLES: list[FloatArray] = []  # what `_rules` gives for the lengths known so far


def resolved(size: FloatArray, distance: FloatArray, grown: FloatArray, before: FloatArray) -> NDArray[np.bool_]:
    """Whether kernels and powers of S are smooth on panels; arguments have the shape of the answer.

    `size` and `distance` are on the kernel's clock, from first to last update and from there to the observation;
    `grown` is the summed rate S of a panel, `before` that up to it.
    """
    return (size <= TIE * REACH * distance) & (grown <= TIE * GROWTH * before)


def halves(start: IntArray, length: IntArray) -> tuple[IntArray, IntArray]:
    """Each stretch cut in the middle: first all left halves, then all right ones."""
    left = length // 2
    return np.concatenate((start, start + left)), np.concatenate((left, length - left))


def rates(schedules: Sequence[Schedule], owner: IntArray, steps: NDArray) -> FloatArray:
    """Learning rates at `steps` (n, …) of the schedules `owner` (n,), in ascending order; shape of `steps`."""
    found = np.empty(steps.shape)
    edges = np.searchsorted(owner, np.arange(len(schedules) + 1))
    for s, a, b in zip(schedules, edges[:-1], edges[1:], strict=True):
        if b > a:
            found[a:b] = s(steps[a:b])
    return found


def gram_recurrence(n: FloatArray, nodes: int) -> FloatArray:
    """Off-diagonals of the Jacobi matrices whose eigenvalues are the zeros of Gram polynomials of degree `nodes`.

    (u, nodes − 1), in updates from the middle, for panels of `n` (u,) updates, each more than `nodes`.
    """
    j = np.arange(1, nodes)
    return 0.5 * j * np.sqrt((n[:, None] ** 2 - j * j) / (4.0 * j * j - 1.0))


def _jacobi(off: FloatArray) -> FloatArray:
    """Symmetric tridiagonal matrices with zeros on the diagonal, (u, nodes, nodes), from those beside it."""
    j = np.arange(off.shape[1])
    out = np.zeros((len(off), off.shape[1] + 1, off.shape[1] + 1))
    out[:, j, j + 1] = out[:, j + 1, j] = off
    return out


@dataclass(frozen=True, eq=False)
class Panels:
    """Stretches of updates of several schedules, in the order of the schedules and of the updates."""

    owner: IntArray  # (panels,) which schedule
    start: IntArray  # (panels,)
    length: IntArray  # (panels,)
    step: FloatArray  # (panels, NODES) the nodes
    weight: FloatArray  # (panels, NODES) 0 for nodes that are none
    eta: FloatArray  # (panels, NODES)
    past: FloatArray  # (panels, NODES) summed rate from each node, exclusive, to the panel's last update
    ends: FloatArray  # (panels, 2) rate of the panel's first and last update
    before: FloatArray  # (panels,) rate of the update before its first
    missed: (
        FloatArray  # (panels, 3) by how much a polynomial through the nodes misses these three; 0 if nodes are updates
    )

    @classmethod
    def of(cls, schedules: Sequence[Schedule], owner: IntArray, start: IntArray, length: IntArray) -> "Panels":
        """Panels of the schedules `owner`, with their nodes, rates and sums. (panels,) each, in any order."""
        order = np.argsort(owner, kind="stable")
        owner, start, length = owner[order], start[order], length[order]
        unique, which = np.unique(length, return_inverse=True)
        x, weight, past, outward = (v[which] for v in _rules(unique))
        beyond = np.stack((np.zeros(len(length)), length - 1.0, np.where(start > 0, -1.0, 0.0)), axis=1)
        step: FloatArray = np.concatenate((x, beyond), axis=1) + start[:, None]
        rate = rates(schedules, owner, step)
        eta, known = rate[:, :NODES], rate[:, NODES:]
        missed = np.abs(np.einsum("pij,pj->pi", outward, eta) - known) * (length > NODES)[:, None]
        past = np.einsum("pij,pj->pi", past, eta)
        return cls(owner, start, length, step[:, :NODES], weight, eta, past, known[:, :2], known[:, 2], missed)

    @property
    def smooth(self) -> BoolArray:
        """Whether a polynomial through the nodes gives the rates at both ends, (panels,)."""
        highest = np.maximum(self.eta.max(axis=1), self.ends.max(axis=1))
        return self.missed[:, :2].max(axis=1) <= TOLERANCE * highest

    @property
    def size(self) -> FloatArray:
        """Summed rate of each panel, (panels,)."""
        return (self.weight * self.eta).sum(axis=1)

    def only(self, kept: NDArray[np.bool_]) -> "Panels":
        """Those panels alone."""
        return Panels(*(getattr(self, f.name)[kept] for f in fields(self)))

    def merged(self, other: "Panels") -> "Panels":
        """These panels and the `other` ones, in order."""
        order = np.lexsort((np.append(self.start, other.start), np.append(self.owner, other.owner)))
        both = (np.concatenate((getattr(self, f.name), getattr(other, f.name)))[order] for f in fields(self))
        return Panels(*both)

    def refined(self, schedules: Sequence[Schedule], fine: Callable[["Panels"], NDArray[np.bool_]]) -> "Panels":
        """Panels halved until each is `fine` and smooth, or so short that its nodes are its updates."""
        panels = self
        while True:
            good = (panels.length <= NODES) | (panels.smooth & fine(panels))
            if good.all():
                return panels
            coarse = panels.only(~good)
            cut = halves(coarse.start, coarse.length)
            panels = panels.only(good).merged(Panels.of(schedules, np.tile(coarse.owner, 2), *cut))

    def before_and_after(self) -> tuple[FloatArray, FloatArray]:
        """Summed rate of each schedule up to each panel, and from behind it to the end, (panels,) each."""
        number = np.arange(len(self.owner)) - np.searchsorted(self.owner, self.owner)
        table = np.zeros((self.owner[-1] + 1, number.max() + 1))
        table[self.owner, number] = self.size
        # Both ways from 0, since a difference of sums would lose the small lags at the end of a decay.
        before, after = np.cumsum(table, axis=1) - table, np.cumsum(table[:, ::-1], axis=1)[:, ::-1] - table
        return before[self.owner, number], np.maximum(after[self.owner, number], 0.0)


def _rules(n: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """For panels of `n` (u,) updates: offsets and weights of the nodes, (u, NODES) each; the matrices from rates at the
    nodes to summed rates from each node, exclusive, to the last update, (u, NODES, NODES), and to the rates of the
    first and last update and the one before, (u, 3, NODES).

    Up to NODES updates stand for themselves. For more, Σ w·p(x) = Σ_{k<n} p(k) for polynomials up to degree
    2·NODES − 1: nodes are the zeros of the Gram polynomial, which lie between the integers.
    """
    with _LOCK:
        lengths = n.tolist()
        new = [m for m in lengths if m not in _ROWS]
        if len(_ROWS) + len(new) > CACHED:
            _ROWS.clear()
            _TABLES.clear()
            new = lengths
        if new:
            found = _new_rules(np.array(new))
            _TABLES[:] = [np.concatenate(v) for v in zip(_TABLES, found, strict=True)] if _TABLES else found
            _ROWS.update(zip(new, range(len(_ROWS), len(_ROWS) + len(new)), strict=True))
        rows = [_ROWS[m] for m in lengths]
        x, w, past, outward = (table[rows] for table in _TABLES)
        return x, w, past, outward


def _new_rules(n: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The same, worked out."""
    x, w = np.tile(np.arange(NODES, dtype=float), (len(n), 1)), np.ones((len(n), NODES))
    past, outward = np.zeros((len(n), NODES, NODES)), np.zeros((len(n), 3, NODES))
    few = n <= NODES
    w[few] = x[few] < n[few, None]
    x[few] = np.minimum(x[few], n[few, None] - 1)
    past[few] = (np.arange(NODES)[None, :] > np.arange(NODES)[:, None]) * w[few][:, None, :]
    many = n[~few].astype(float)
    if len(many):
        # in t = (2k − n + 1)/n from −1 to 1
        t, vectors = np.linalg.eigh(_jacobi(gram_recurrence(many, NODES) / (many[:, None] / 2)))
        x[~few], w[~few] = (many[:, None] * (t + 1) - 1) / 2, many[:, None] * vectors[:, 0] ** 2
        end = (1 - 1 / many)[:, None]
        points = np.concatenate((t, -end, end, -end - 2 / many[:, None]), axis=1)
        at = legendre.legvander(points, NODES)  # (u, NODES + 3, NODES + 1)
        to_coefficients = np.linalg.inv(at[:, :NODES, :NODES])
        outward[~few] = at[:, NODES:, :NODES] @ to_coefficients
        past[~few] = (at[:, NODES + 1, None] - at[:, :NODES]) @ _summation(2 / many) @ to_coefficients
    return x, w, past, outward


def _summation(h: FloatArray) -> FloatArray:
    """Legendre coefficients of Q with Q(t) − Q(t − h) = p(t) from those of p, (u, NODES + 1, NODES).

    Euler–Maclaurin, which ends for polynomials: Q = ∫p/h + p/2 + h·p'/12 − h³·p‴/720 + …
    """
    one = np.eye(NODES)
    integral = legendre.legint(one, axis=0)
    out = integral / h[:, None, None]
    out[:, :NODES] += one / 2
    derivative = legendre.legder(one, axis=0)
    for i, bernoulli in enumerate((1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160)):
        out[:, : len(derivative)] += bernoulli * h[:, None, None] ** (2 * i + 1) * derivative
        derivative = legendre.legder(derivative, 2, axis=0)
    return out


__all__ = ["GROWTH", "NODES", "REACH", "TIE", "Panels", "gram_recurrence", "halves", "rates", "resolved"]
