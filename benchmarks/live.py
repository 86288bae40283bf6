"""Runs of the bundled sweep replayed as if they were in progress: forecasts, alarms, and the chance of divergence.

Laws are fitted, and averaged as `select` advises, to three finished runs of a size, as in `noise_floor`; replayed are
the size's other runs whose peak and batch those cover, cut at a quarter, a half and three quarters of their horizon.
The form of the anchor was chosen on the three runs themselves, each replayed under a law from its two partners.

The chance that a run ends diverged is learned from the first runs of the manifest, as they are seen after each tenth of
their horizon, and judged on plans, and on sizes, that were left out; runs that came later had no part in anything.
"""

from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from data.judge import APART, DESIGNS, SPLIT, held_out
from optlaws_core import Run, Series, read, select
from optlaws_core.fitting.selection import POOL
from optlaws_core.live import ALARM, FEWEST, LOOKS, RISE, cut, diverging, evidence, forecast, risen
from optlaws_core.live.alarm import SUREST
from optlaws_core.prediction.divergence import cross_validated, learn_risk, parts_by_configuration, probability
from optlaws_core.runs.noise import DIVERGED

from .table import show

ROOT = Path(__file__).resolve().parents[1]
SHARES = (0.25, 0.5, 0.75)
SIZES = ("tiny", "small", "medium")
NOISES = (0.01, 0.03, 0.1)
DRAWS, LENGTH = 100, 160  # white-noise runs, and losses of each
LEARNED = 255  # rows of the manifest that the chance of divergence was learned from
LOOKED = np.arange(1, 10) / 10  # of the horizon: when each run is looked at
BINS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)  # of told probabilities


def main() -> None:
    """Print errors and coverage of forecasts, then false alarms and delays, then how good the probabilities are."""
    runs = [r for r in read(ROOT / "data" / "manifest.csv").runs if r.about["group"] != APART]
    parts = runs[:LEARNED], runs[LEARNED:]
    first, later = ([r.on("train") for r in part if not r.about.get("parent")] for part in parts)
    _forecasts(runs)
    print()
    _alarms({"first": first, "later": later})
    print()
    _probabilities(first, later)


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
        show(
            (
                design,
                "seen",
                "runs",
                "anchored",
                "law alone",
                "own power law",
                "band holds end",
                "band holds curve",
                "half a band",
                "law's own holds end",
            ),
            rows,
        )
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
    """The step at which the loss first counts as risen, when that is asked after every loss; None for never."""
    steps = run.steps[LOOKS - 1 :]
    return next((int(s) for s in steps if risen(cut(run, int(s))) >= ALARM), None)


def _alarms(groups: dict[str, list[Run]]) -> None:
    rows = []
    for group, outcome in product(groups, ("finished", "spiked", "diverged")):
        some = [r for r in groups[group] if r.about["outcome"] == outcome]
        rung = [(s, r) for r in some if (s := first_alarm(r)) is not None]
        share = [s / r.plan.schedule.total for s, r in rung]
        plain = [bool((r.loss > (1 + RISE) * np.minimum.accumulate(r.loss)).any()) for r in some]
        middle = f"{100 * np.median(share):.0f} %, {100 * max(share):.0f} %" if share else ""
        ends = sum(risen(r) >= ALARM for r in some)
        rows.append((group, outcome, len(some), len(rung), ends, middle, sum(plain)))
    show(
        (
            "runs",
            "outcome",
            "how many",
            "alarm at any time",
            "alarm at the end",
            "first at, of the horizon: median, latest",
            f"a loss {RISE:.0%} above the lowest",
        ),
        rows,
    )
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


def _probabilities(first: list[Run], later: list[Run]) -> None:
    """Brier scores, and told against true shares, of the probability that a run ends diverged."""
    plans, bad = [r.plan for r in first], _diverged(first)
    parts, sizes = parts_by_configuration(plans), np.array([r.about["size"] for r in first])
    run, share, x = _looks(first)
    y, risk = bad[run], logit(np.clip(cross_validated(plans, bad, parts)[0], SUREST, 1 - SUREST))[run]
    one, both = x[:, None], np.column_stack((x, risk))
    judged = {
        "sizes left out": (_left_out(one, y, run, [np.flatnonzero(sizes == s) for s in set(sizes)]), y, run, share),
        "plans left out": (_left_out(one, y, run, parts), y, run, share),
        "plans left out, with their risk": (_left_out(both, y, run, parts), y, run, share),
        "plans left out, their risk alone": (_left_out(risk[:, None], y, run, parts), y, run, share),
    }
    for name, features in (("alone", one), ("with the risk of the plan", both)):
        told = ", ".join(f"{v:.2f}" for v in _logistic(features, y))
        print(f"Coefficients {name}, from {len(first)} runs, {bad.sum()} of which diverged: {told}")
    print()
    if later:
        run, share, _ = _looks(later)
        before, y = probability(learn_risk(plans, bad), [r.plan for r in later]), _diverged(later)[run]
        seen = [cut(later[i], int(s * later[i].plan.schedule.total)) for i, s in zip(run, share, strict=True)]
        both = [diverging(r, before[i]) for i, r in zip(run, seen, strict=True)]
        judged["later runs"] = np.array([diverging(r) for r in seen]), y, run, share
        judged["later runs, with their risk"] = np.array(both), y, run, share
        judged["later runs, their risk alone"] = before[run], y, run, share
    rows = []
    for name, (p, true, _, at) in judged.items():
        early = at <= LOOKED[1]
        scores = (((p[part] - true[part]) ** 2).mean() for part in (slice(None), early, ~early))
        always = true.mean() * (1 - true.mean())
        rows.append((name, len(p), f"{true.mean():.1%}", *(f"{v:.4f}" for v in (*scores, always))))
    show(
        (
            "judged on",
            "looks",
            "of runs that diverged",
            "Brier score",
            f"up to {LOOKED[1]:.0%} of the horizon",
            "beyond",
            "of always saying the share",
        ),
        rows,
    )
    print()
    show(
        ("judged on", "told", "looks", "of runs", "mean told", "share that diverged"),
        [
            row
            for name, (p, y, run, _) in judged.items()
            if "alone" not in name
            for row in _reliability(name, p, y, run)
        ],
    )


def _diverged(runs: list[Run]) -> np.ndarray:
    return np.array([r.about["outcome"] == DIVERGED for r in runs])


def _looks(runs: list[Run]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of the run, share of its horizon and evidence of every look, (looks,) each.

    A log that has ended, or has too few losses, says nothing.
    """
    found = []
    for i, run in enumerate(runs):
        for share in LOOKED:
            now = int(share * run.plan.schedule.total)
            if run.steps[0] <= now <= run.steps[-1] and (x := evidence(cut(run, now))) is not None:
                found.append((i, share, x))
    run, share, x = np.array(found).T
    return run.astype(int), share, x


def _logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Offset and weights (1 + features,) of maximum likelihood: x (looks, features), y (looks,) true or false."""
    sign, x = np.where(y, 1, -1), np.column_stack((np.ones(len(x)), x))
    return minimize(lambda theta: np.logaddexp(0, -sign * (x @ theta)).mean(), np.zeros(x.shape[1])).x


def _left_out(x: np.ndarray, y: np.ndarray, run: np.ndarray, parts) -> np.ndarray:
    """Probabilities (looks,) from all looks at runs of the other parts."""
    p = np.empty(len(y))
    for part in parts:
        inside = np.isin(run, part)
        offset, *weights = _logistic(x[~inside], y[~inside])
        p[inside] = expit(offset + x[inside] @ weights)
    return p


def _reliability(name: str, p: np.ndarray, y: np.ndarray, run: np.ndarray) -> list[tuple]:
    rows, place = [], np.digitize(p, BINS[1:-1])
    for i in np.unique(place):
        inside = place == i
        told = f"{BINS[i]:.0%} to {BINS[i + 1]:.0%}"
        rows.append(
            (name, told, inside.sum(), len(set(run[inside])), f"{p[inside].mean():.1%}", f"{y[inside].mean():.1%}")
        )
    return rows
