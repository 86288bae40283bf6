"""Final-loss laws of Opt-Laws (reconstruction) by cross-validation, on public runs and on the bundled sweep.

Every held-out loss comes from a cold fit to runs outside of its part. Public runs: `lr_scheduling`, final validation
loss below 4. A family is a kind of schedule, with the shape of its cooldown. `strength` 3 is the law's own value, which
was set with the public scores of left-out sizes in sight; "chosen" is chosen on left-out training runs alone.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from optlaws_core.final_loss import FINAL_LAWS, STRENGTH, cross_validated
from optlaws_core.functionals import functionals
from optlaws_core.run_table import fold, read_table
from optlaws_core.schedules import WSD

from .table import PUBLIC, has_public, show

ROOT = Path(__file__).resolve().parents[1]
HIGHEST = 4.0  # final loss of a run that has not diverged
LEFT_OUT = {"random": "10-fold", "family": "a family", "params": "a size"}


def main() -> None:
    """Print mean relative errors for each law and way of leaving out, then the time that 1,000 candidates take."""
    if has_public():
        runs = [r for r in read_table(PUBLIC / "lr_scheduling" / "table.csv") if r.final_loss < HIGHEST]
        families = ", ".join(f"{f} {n}" for f, n in pd.Series([r.family for r in runs]).value_counts().items())
        sizes = len({r.plan.params for r in runs})
        print(f"{len(runs)} runs of {sizes} sizes; families: {families}.\n")
        rows = [_row(runs, law, by, STRENGTH) for law in FINAL_LAWS for by in LEFT_OUT]
        rows += [_row(runs, "sublinear", by, None) for by in LEFT_OUT]
        show(HEAD, rows)
    _candidates()


HEAD = ("law", "strength", "left out", "mean error", "median", "worst", "in the 90 % band", "seconds")


def _row(runs, law: str, by: str, strength: float | None) -> tuple[object, ...]:
    began = time.perf_counter()
    bands = strength is not None
    errors, halves = cross_validated(runs, law, fold(runs, by), strength, bands)
    size, took = np.abs(errors), time.perf_counter() - began
    inside = f"{np.mean(np.abs(np.log1p(errors)) <= halves):.0%}" if bands else ""
    shown = "" if law == "log_linear" else "chosen" if strength is None else f"{strength:g}"
    return (
        law,
        shown,
        LEFT_OUT[by],
        *(f"{100 * v:.3f} %" for v in (size.mean(), np.median(size), size.max())),
        inside,
        f"{took:.0f}",
    )


def _candidates() -> None:
    """Functionals of 1,000 schedules that were not seen before."""
    schedules = [WSD(1e-3 * (1 + i / 1000), warmup=300, total=50_000 + i, decay=10_000) for i in range(1000)]
    began = time.perf_counter()
    f = functionals(*schedules)
    f.V_K(np.geomspace(10, 1e4, 10), 1.2)
    print(f"\nI1, I2 and V_K with 10 coefficients of 1,000 new schedules: {time.perf_counter() - began:.1f} s.")
