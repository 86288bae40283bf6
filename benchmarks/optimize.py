"""The search for the best schedule under the published Multi-Power Law, in its own optimiser's convention.

Published: the final losses that the authors' optimiser reports after 10,000 Adam steps (laws of 25M and 100M
parameters, 24,000 updates, 2,160 of them warm-up, peak 3e-4).
"""

import time

from optlaws_core.laws.multi_power import AFTER_WARMUP, MULTI_POWER
from optlaws_core.optimize import Limits, best_under

from .table import show

PUBLISHED = {"25M": 3.149677, "100M": 2.794137}
LENGTHS = (24_000, 1_000_000)
PASSES = 3


def main() -> None:
    """Print losses and the fastest of a few passes."""
    rows = []
    for size, published in PUBLISHED.items():
        theta = MULTI_POWER.vector(MULTI_POWER.published[size])
        for total in LENGTHS:
            took = []
            for _ in range(PASSES):
                began = time.perf_counter()
                best = best_under(AFTER_WARMUP, theta, Limits(3e-4, total, warmup=2160))
                took.append(time.perf_counter() - began)
            printed = f"{published:.6f}" if total == LENGTHS[0] else ""
            rows.append((size, f"{total:,}", f"{best.loss:.6f}", f"{best.smooth_loss:.6f}", printed,
                         f"{min(took):.2f} to {max(took):.2f}"))  # fmt: skip
    show(("law", "updates", "best", "without a jump", "published", "seconds"), rows)
