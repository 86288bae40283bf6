"""The search for the best schedule under the published Multi-Power Law, in its own optimiser's convention.

Published: the final losses that the authors' optimiser reports after 10,000 Adam steps (laws of 25M and 100M
parameters, 24,000 updates, 2,160 of them warm-up, peak 3e-4). It moves what the rate falls by at every update after the
warm-up, each at least 0 and together at most the peak, so that a jump is one of its schedules. Losses are summed up
here once more, update by update.
"""

import time

import numpy as np

from optlaws_core.arrays import FloatArray
from optlaws_core.laws.multi_power import AFTER_WARMUP, MULTI_POWER
from optlaws_core.optimize import SIMPLE, Limits, best_under
from optlaws_core.schedules import Schedule

from .table import show

PUBLISHED = {"25M": 3.149677, "100M": 2.794137}
LENGTHS = (24_000, 1_000_000)
PEAK, WARMUP, LOWEST = 3e-4, 2160, 1e-10
PASSES = 3


def published_loss(schedule: Schedule, theta: FloatArray) -> float:
    """Final loss in the convention of the authors' optimiser, from the falls of the rate after the warm-up."""
    L0, A, alpha, B, C, beta, gamma = theta
    falls = -np.diff(schedule(np.arange(WARMUP, schedule.total)), prepend=PEAK)
    assert falls.min() >= 0, "the authors' optimiser has no rises"
    eta = np.maximum(PEAK - np.cumsum(falls), LOWEST)
    to_come = np.cumsum(eta[::-1])[::-1]
    gain = B * (falls * (1 - (1 + C * eta**-gamma * to_come) ** -beta)).sum()
    return float(L0 + A * (eta.sum() + 0.5 * PEAK * WARMUP) ** -alpha - gain)


def main() -> None:
    """Print losses and the fastest and slowest of a few passes."""
    rows = []
    for size, published in PUBLISHED.items():
        theta = MULTI_POWER.vector(MULTI_POWER.published[size])
        for total in LENGTHS:
            limits, took, more = Limits(PEAK, total, warmup=WARMUP), [], []
            for _ in range(PASSES):
                began = time.perf_counter()
                best = best_under(AFTER_WARMUP, theta, limits)
                took.append(time.perf_counter() - began)
                simple = [best_under(AFTER_WARMUP, theta, limits, family) for family in SIMPLE]
                more.append(time.perf_counter() - began)
            found = best, best.smooth or best, min(simple, key=lambda one: one.loss)
            rows.append(
                (
                    size,
                    f"{total:,}",
                    *(f"{published_loss(one.schedule, theta):.6f}" for one in found),
                    f"{published:.6f}" if total == LENGTHS[0] else "",
                    *(f"{min(s):.2f} to {max(s):.2f}" for s in (took, more)),
                )
            )
    head = ("law", "updates", "best", "without a jump", "best simple family", "published", "s", "s, families too")
    show(head, rows)
