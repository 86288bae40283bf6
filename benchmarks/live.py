"""Runs of the bundled sweep replayed as if they were in progress: how good the forecast and the alarm would have been.

Laws are fitted, and averaged as `select` advises, to three finished runs of a size, as in `noise_floor`; replayed are
the size's other runs whose peak and batch those cover, cut at a quarter, a half and three quarters of their horizon.
The form of the anchor was chosen on the three runs themselves, each replayed under a law from its two partners.
"""

from pathlib import Path

import numpy as np

from data.judge import DESIGNS, SPLIT, held_out
from optlaws_core import Run, Series, read, select
from optlaws_core.live import ALARM, FEWEST, LOOKS, RISE, cut, diverging, forecast
from optlaws_core.selection import POOL

from .table import show

ROOT = Path(__file__).resolve().parents[1]
SHARES = (0.25, 0.5, 0.75)
SIZES = ("tiny", "small", "medium")
NOISES = (0.01, 0.03, 0.1)
DRAWS, LENGTH = 100, 160  # white-noise runs, and losses of each


def main() -> None:
    """Print errors and coverage of forecasts, then false alarms and delays of the divergence score."""
    runs = read(ROOT / "data" / "manifest.csv").runs
    _forecasts(runs)
    print()
    _alarms([r.on("train") for r in runs if not r.about.get("parent") and r.plan is not None])


def own_power_law(run: Run, step: int) -> float:
    """The loss at `step` by L + A·(t+1)^−α through the run's own losses after the warm-up; α by grid, L not below 0."""
    kept, best = run.after(run.plan.schedule.warmup_end), None
    for alpha in np.geomspace(0.02, 2, 60):
        x = (kept.steps + 1.0) ** -alpha
        A = np.column_stack((np.ones_like(x), x)) / kept.loss[:, None]
        theta = np.linalg.lstsq(A, np.ones(len(x)), rcond=None)[0]
        if theta[0] < 0:
            theta = np.array([0.0, A[:, 1].sum() / (A[:, 1] ** 2).sum()])
        miss = float(((A @ theta - 1) ** 2).sum())
        if best is None or miss < best[0]:
            best = (miss, float(theta[0] + theta[1] * (step + 1.0) ** -alpha))
    return best[1]


def _forecasts(runs) -> None:
    for design, sizes in DESIGNS.items():
        rows = []
        for size in SIZES:
            train = [r.on(SPLIT) for r in runs if r.name in sizes[size]]
            model = select(POOL, train, processes=1).trusted
            peaks, batches = model.coverage.peak, {r.plan.batch_tokens for r in train}
            replayed = [
                r
                for r in held_out(runs, size, sizes[size])
                if peaks[0] <= r.plan.schedule.peak <= peaks[1] and r.plan.batch_tokens in batches
            ]
            rows += [_row(model, size, replayed, share) for share in SHARES]
        show((design, "seen", "runs", "anchored", "law alone", "own power law", "band holds end", "band holds curve",
              "half a band", "law's own holds end"), rows)  # fmt: skip
        print()


def _row(model, size: str, runs, share: float) -> tuple:
    errors, held, along, width, plain = [], [], [], [], []
    for run in runs:
        seen, end = cut(run, int(share * run.plan.schedule.total)), float(run.loss[-1])
        if len(seen.after(seen.plan.schedule.warmup_end).loss) < FEWEST:
            continue  # hardly past its warm-up
        later = run.steps[run.steps > seen.steps[-1]]
        told, alone = (forecast(model, seen, at=later, anchored=way) for way in (True, False))
        errors.append([abs(x / end - 1) for x in (told.loss[-1], alone.loss[-1], own_power_law(seen, int(later[-1])))])
        true = run.loss[-len(later) :]
        inside = (told.low <= true) & (true <= told.high)
        held.append(inside[-1])
        along.append(inside.mean())
        width.append(np.log(told.high[-1] / told.loss[-1]))
        plain.append(alone.low[-1] <= end <= alone.high[-1])
    figures = (f"{100 * v:.2f} %" for v in np.mean(errors, axis=0))
    covered = (f"{100 * np.mean(v):.0f} %" for v in (held, along))
    width = f"{100 * np.mean(width):.1f} %"
    return size, f"{100 * share:.0f} %", len(errors), *figures, *covered, width, f"{100 * np.mean(plain):.0f} %"


def first_alarm(run: Run) -> int | None:
    """The step at which the score first comes to `ALARM`, when it is asked after every loss; None for never."""
    steps = run.steps[LOOKS - 1 :]
    return next((int(s) for s in steps if diverging(cut(run, int(s))) >= ALARM), None)


def _alarms(runs) -> None:
    rows = []
    for outcome in ("finished", "spiked", "diverged"):
        some = [r for r in runs if r.about["outcome"] == outcome]
        at = [(first_alarm(r), r) for r in some]
        rung = [(s, r) for s, r in at if s is not None]
        share = [s / r.plan.schedule.total for s, r in rung]
        plain = [bool((r.loss > (1 + RISE) * np.minimum.accumulate(r.loss)).any()) for r in some]
        middle = f"{100 * np.median(share):.0f} %, {100 * max(share):.0f} %" if share else ""
        ends = sum(diverging(r) >= ALARM for r in some)
        which = ", ".join(r.name for _, r in rung) if outcome == "finished" else ""
        rows.append((outcome, len(some), len(rung), ends, middle, sum(plain), which))
    show(("outcome", "runs", "alarm at any time", "alarm at the end", "first at, of the horizon: median, latest",
          f"a loss {RISE:.0%} above the lowest", "which"), rows)  # fmt: skip
    print(
        f"\nAlarms on stationary white noise, asked after each of {LENGTH} losses, {DRAWS} draws (rise {RISE:.0%}):\n"
    )
    random, rows = np.random.default_rng(0), []
    for noise in NOISES:
        found = 0
        for _ in range(DRAWS):
            y = np.exp(noise * random.standard_normal(LENGTH))
            found += first_alarm(_bare(y)) is not None
        rows.append((f"{noise:.0%}", f"{found / DRAWS:.1%}"))
    show(("noise of one loss", "runs with an alarm"), rows)


def _bare(loss) -> Run:
    return Run("noise", None, {"train": Series(np.arange(len(loss)), loss)})
