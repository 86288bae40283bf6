"""The loss at an average of weights, as a sum over pairs of updates whose weights are averaged.

In a quadratic loss with noise, the average Σ w_i x_i of weights x_i has the excess loss Σ_ij w_i w_j C(i, j), where
C(i, j) is what the updates i and j have in common. A direction that is forgotten at the rate λ on a clock c has
C ∝ Σ_{k ≤ min(i, j)} source_k · exp(−λ (c_i − c_k)) · exp(−λ (c_j − c_k)): the sum up to the earlier of both updates,
seen from the middle of both on the clock. As every kernel here is a mixture of such exponentials, a history sum at an
average is exact as a weighted sum of history sums at such points. Summed over all pairs they would be millions; the
points are chosen so that polynomials of degree 2, on panels that grow with the distance of the pair, are exact.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from ..arrays import FloatArray, IntArray
from ..schedules.averaging import EMA, Average

ALONE = 4  # first distances of a pair that stand for themselves
SMALL = 1e-6  # share of an EMA's weight that its oldest updates may have together and be left out
EDGES = (0.0, 0.03, 0.15, 0.4, 0.7, 0.9, 0.98, 1.0)  # of the panels of the later update, in shares of the reach
NODES = 3  # of a panel
GAUSS = np.polynomial.legendre.leggauss(NODES)[0]

Shares = Callable[[FloatArray], FloatArray]  # relative weights at integers


def pairs(average: Average, steps: IntArray) -> tuple[IntArray, IntArray, csr_array]:
    """Pairs of updates that stand for all of them: the earlier and the later (pairs,), and weights (obs, pairs).

    The weights of each observation, after updates `steps` (obs,), have the sum 1.
    """
    early, late, weight, count = [], [], [], []
    for step in np.asarray(steps).tolist():
        later, distance, share = _lags(average, _most(average, step))
        late.append(step - later)
        early.append(step - later - distance)
        weight.append(share)
        count.append(len(share))
    begins = np.concatenate(([0], np.cumsum(count)))
    matrix = csr_array((np.concatenate(weight), np.arange(begins[-1]), begins), shape=(len(count), int(begins[-1])))
    return np.concatenate(early), np.concatenate(late), matrix


def _most(average: Average, step: int) -> int:
    """The largest lag behind `step` that counts, in the average's own distance between weights."""
    if isinstance(average, EMA):
        return min(step, int(np.ceil(average.half_life * np.log2(1 / SMALL))))
    return min(step // average.every, average.count - 1)


@lru_cache(maxsize=4096)
def _lags(average: Average, most: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Lags of the later update of a pair, distances to the earlier, in updates, and weights of sum 1; (pairs,) each."""
    every = 1 if isinstance(average, EMA) else average.every
    log_kept = np.log(average.decay) if isinstance(average, EMA) else 0.0

    def twice(later: FloatArray) -> FloatArray:
        return np.exp(2 * log_kept * later)

    def once(distance: FloatArray) -> FloatArray:
        return np.where(distance > 0, 2.0, 1.0) * np.exp(log_kept * distance)

    later, distance, weight = [], [], []
    for d, share in zip(*_rule(_growing(most), once), strict=True):
        lags, shares = _rule(_spread(most - d), twice)
        later.append(lags)
        distance.append(np.full(len(lags), d))
        weight.append(share * shares)
    found = np.concatenate(weight)
    return np.concatenate(later) * every, np.concatenate(distance) * every, found / found.sum()


def _growing(most: int) -> list[int]:
    """Edges of panels of 0 … `most`, each twice as long as the one before; the first numbers stand alone."""
    edges, length = list(range(min(ALONE, most + 1))), NODES
    while edges[-1] + 1 <= most:
        edges.append(edges[-1] + (1 if len(edges) <= ALONE else length))
        length = length if len(edges) <= ALONE else 2 * length
    return [*(e for e in edges if e <= most), most + 1]


def _spread(most: int) -> list[int]:
    """Edges of panels of 0 … `most` at the shares `EDGES`."""
    return sorted({round(share * (most + 1)) for share in EDGES})


def _rule(edges: list[int], shares: Shares) -> tuple[IntArray, FloatArray]:
    """Integers and weights that sum polynomials of degree 2 on each panel, weighted by `shares`, exactly."""
    nodes, weights = [], []
    for low, high in zip(edges, edges[1:], strict=False):
        every = np.arange(low, high)
        share = shares(every.astype(float))
        if len(every) > NODES:
            last = len(every) - 1
            chosen = np.rint(last * (0.5 + 0.5 * GAUSS)).astype(np.int64)
            y, x = (2 * v / last - 1 for v in (every - low, chosen))
            moments = np.vander(y, NODES).T @ share
            share = np.asarray(np.linalg.solve(np.vander(x, NODES).T, moments), float)
            every = low + chosen
        nodes.append(every)
        weights.append(share)
    return np.concatenate(nodes), np.concatenate(weights)


__all__ = ["pairs"]
