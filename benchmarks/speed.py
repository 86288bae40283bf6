"""Time of fits and predictions, and how close the fast sums come to the exact double loop."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from optlaws_core import LAWS, Plan, fit, parse, read, refits, select
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.selection import POOL
from optlaws_core.laws.base import tokens
from optlaws_core.laws.evaluation import RECENT, batch, predict, predict_with_jacobian
from optlaws_core.laws.sums.clocks import trace
from optlaws_core.parallel import map_tasks
from tests.knowledge.twins import BATCH_TOKENS, PARAMS, THETAS, TWINS, shipped

from .protocols import MPL_TRAIN
from .table import PUBLIC, has_public, seconds, show


def main() -> None:
    """Print the tables."""
    if has_public():
        _evaluations()
        _fits()
        _fits_under_priors()
        _many_fits()
    _predictions()
    _exactness()


def _evaluations() -> None:
    """One evaluation of each law on the three training runs of a size, as a fit asks for it some eighty times."""
    rows = []
    runs = {r.name: r for r in read(PUBLIC / "multi_power_law" / "25M" / "manifest.csv").runs}
    train = [runs[n].after(runs[n].known_plan.schedule.warmup_end) for n in MPL_TRAIN]
    parts = [(Plan(r.known_plan.schedule, PARAMS, BATCH_TOKENS), r.steps) for r in train]
    for name, law in LAWS.items():
        law.compiled  # noqa: B018  formulas are compiled once a process
        data, theta = batch(law, parts), law.vector(THETAS[name][0])
        made = seconds(lambda law=law: (RECENT.clear(), batch(law, parts)))
        alone = seconds(lambda data=data, theta=theta: predict(data, theta), 50)
        slopes = seconds(lambda data=data, theta=theta: predict_with_jacobian(data, theta), 50)
        counts = [sum(len(getattr(s, of)) for s in data.sums) for of in ("now", "eta", "node")]
        rows.append((name, len(data), *counts, *(f"{1e3 * t:.2f} ms" for t in (made, alone, slopes))))
    show(("law", "losses", "moments", "nodes", "pairs", "set-up", "losses alone", "with slopes"), rows)
    print()


def _fits() -> None:
    rows = []
    for size in ("25M", "100M"):
        runs = {r.name: r for r in read(PUBLIC / "multi_power_law" / size / "manifest.csv").runs}
        train = [runs[n] for n in MPL_TRAIN]
        for name, law in LAWS.items():
            if tokens not in law.features:  # these runs do not tell their batch size
                rows.append((size, name, f"{seconds(lambda name=name, train=train: fit(name, train)):.2f} s"))
    show(("size", "law", "fit, all starts together (median of 5)"), rows)
    print()
    rows = [(_fresh(size), size) for size in ("25M", "100M")]
    show(("first fit of a fresh process, formula compiled", "size"), rows)
    print()


def _fits_under_priors() -> None:
    """Fits and selections that begin from the learned priors, in this process: of runs that are new, and once more."""
    rows = []
    runs = {r.name: r for r in read(PUBLIC / "multi_power_law" / "25M" / "manifest.csv").runs}
    train = [runs[n] for n in MPL_TRAIN]
    priors = {name: known for name in POOL if (known := learned(name))}
    works: dict[str, Callable[[], object]] = {
        name: lambda name=name: fit(name, train, prior=priors[name])  # type: ignore[misc]
        for name in priors
    }
    works["both with leave-one-run-out"] = lambda: select(POOL, train, priors=priors, processes=1)
    for what, work in works.items():
        new = seconds(lambda work=work: (RECENT.clear(), work()))
        rows.append((what, f"{1e3 * new:.0f} ms", f"{1e3 * seconds(work):.0f} ms"))
    show(("three runs under priors", "new runs", "runs seen before"), rows)
    print()


def _many_fits() -> None:
    """All laws with leave-one-run-out, and a thousand refits, on all cores, once each; processes are started first."""
    rows = []
    map_tasks(abs, [-1, -2])
    for size in ("25M", "100M"):
        runs = {r.name: r for r in read(PUBLIC / "multi_power_law" / size / "manifest.csv").runs}
        train = [runs[n] for n in MPL_TRAIN]
        began = time.perf_counter()
        chosen = select(list(LAWS), train)
        middle = time.perf_counter()
        refits(chosen["multi_power"], train, 1000)
        rows.append((size, f"{middle - began:.1f} s", f"{time.perf_counter() - middle:.1f} s"))
    show(("size", "all laws with leave-one-run-out", "1,000 bootstrap refits of the Multi-Power Law"), rows)
    print()


def _fresh(size: str) -> str:
    """Time that the first fit of a process reports for itself."""
    path = PUBLIC / "multi_power_law" / size / "manifest.csv"
    code = (
        f"from optlaws_core import fit, read; r = {{x.name: x for x in read({str(path)!r}).runs}};"
        f"print(fit('opt_laws_curve', [r[n] for n in {MPL_TRAIN!r}]).seconds)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return f"{float(done.stdout):.2f} s"


def _predictions() -> None:
    """1,000 points of ever longer schedules: set-up (nothing known of the schedule yet) and evaluation apart."""
    law, rows = LAWS["opt_laws_curve"], []
    theta = law.vector(THETAS["opt_laws_curve"][0])
    law.compiled  # noqa: B018  formulas are compiled once a process
    for total in (10**4, 10**5, 10**6, 10**7, 10**9):
        for text in (
            f"cosine(peak=3e-4, warmup=2000, total={total})",
            f"wsd(peak=3e-4, warmup=2000, total={total}, decay={total // 5}, shape=1-sqrt)",
        ):
            plan, steps = Plan(parse(text), PARAMS, BATCH_TOKENS), np.linspace(2000, total - 1, 1000).astype(int)

            def prepared(plan=plan, steps=steps):
                trace.cache_clear()
                RECENT.clear()
                return batch(law, [(plan, steps)])

            setup, data = seconds(prepared), prepared()
            evaluate = seconds(lambda data=data: predict(data, theta))
            pairs = len(data.sums[0].node) / len(steps)
            rows.append(
                (
                    plan.schedule.family,
                    f"{total:,}",
                    f"{1e3 * setup:.0f} ms",
                    f"{1e3 * evaluate:.1f} ms",
                    f"{pairs:.0f}",
                )
            )
    show(("schedule", "updates", "set-up", "evaluation", "nodes per point"), rows)
    print()


def _exactness() -> None:
    """Largest relative difference of a loss from the double loop, over every shipped schedule and coefficient set."""
    rows = []
    for name, law in LAWS.items():
        for warmup, total in ((20, 300), (2160, 24_000), (1000, 150_000)):
            worst, slow_time, fast_time = 0.0, 0.0, 0.0
            for text in shipped(warmup, total):
                schedule = parse(text)
                steps = np.unique(np.geomspace(1, total, 60).astype(int))
                eta = schedule(np.arange(total + 1))
                for theta in THETAS[name]:
                    began = time.perf_counter()
                    slow = TWINS[name](eta, steps, **theta)
                    slow_time += time.perf_counter() - began
                    began = time.perf_counter()
                    fast = predict(batch(law, [(Plan(schedule, PARAMS, BATCH_TOKENS), steps)]), law.vector(theta))
                    fast_time += time.perf_counter() - began
                    worst = max(worst, float(np.abs(fast / slow - 1).max()))
            rows.append((name, f"{total:,}", f"{worst:.1e}", f"{slow_time:.2f} s", f"{fast_time:.2f} s"))
    show(("law", "updates", "largest relative difference", "double loop, 60 points", "fast"), rows)
