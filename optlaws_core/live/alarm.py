"""Has the loss of a run in progress risen, and will the run end diverged?

**The rise.** The mean of the latest losses is tested against that of every earlier stretch: is it more than 5 % above
one? The noise is that of the run's own second differences, all lengths and places are tested together (Bonferroni), and
earlier stretches count only where their rate, after the warm-up, was hardly below today's: a loss rises with its rate.
5 % is what the manifest of the bundled sweep calls diverged. The p-value is that of one look at Gaussian noise; who
looks after every loss is alarmed more often where single losses are noisy (`python -m benchmarks live` counts that).

**The probability.** A rise need not stay: most that came back in the sweep did so as the rate decayed. The log odds
that a run ends diverged are linear in x = ρ·asinh(s), with s how many standard deviations of a Gaussian that p-value
stands for and ρ the mean of the rates to come over today's, at most 1; and, where it is known, in those of the risk
that its plan carries (`divergence`). Coefficients are of maximum likelihood on the first 225 runs of the sweep from a
random start, 29 of which diverged, each seen after every tenth of its horizon, with risks from the other runs. The form
was chosen there in cross-validation, among some thirty; ρ counts only where the loss has risen, since the high peaks
there have more constant schedules than the low ones. `python -m benchmarks live` learns the coefficients again and
holds them against later runs, all at the edge of stability: there the loss alone tells little, and the plan much.
"""

import numpy as np
from scipy.special import expit, log_ndtr, logit, ndtri_exp

from ..arrays import FloatArray
from ..errors import DesignError
from ..fitting.single import averaged
from ..runs import Run
from ..runs.noise import single_loss_noise

RISE = 0.05  # share by which the loss may lie above its lowest before that is called diverging
ALARM = 0.99  # 1 − p from which on the loss counts as risen
LOOKS = 6  # losses before which nothing is said
ALIKE = 0.9  # share of the latest losses' mean rate that an earlier stretch had at least, to be compared with
ALONE = (-4.09, 4.54)  # log odds of ending diverged: offset, weight of x
PLANNED = (-1.09, 1.60, 0.83)  # the same, and the weight of the log odds of the plan
SUREST = 1e-4  # a plan's risk counts as no nearer to 0 and 1
NODES = 200  # of the mean of the rates to come


def risen(run: Run) -> float:
    """How surely the latest losses lie more than 5 % above what they have been, 0 to 1; from `ALARM` on, an alarm.

    1 − p of the test that the module describes; 0 before `LOOKS` losses. Raises `DesignError` for a loss of 0 or less.
    """
    return float(-np.expm1(_log_p(run)))


def diverging(run: Run, risk: float | None = None) -> float | None:
    """The probability that `run`, as seen so far, ends diverged; without a risk None before `LOOKS` losses.

    risk: the probability that a run of this plan diverges, from `divergence.risk_of`. Without it, the base rate is that
    of the runs that the coefficients were learned from, one in eight. Raises like `risen`.
    """
    x = evidence(run)
    if risk is not None:
        offset, weight, trust = PLANNED
        before = float(logit(min(max(risk, SUREST), 1 - SUREST)))
        return float(expit(offset + weight * (x or 0.0) + trust * before))
    offset, weight = ALONE
    return None if x is None else float(expit(offset + weight * x))


def evidence(run: Run) -> float | None:
    """x of the module's text, 0 or above; None before `LOOKS` losses. A run without a plan keeps its rate."""
    log_p = _log_p(run)
    if len(run.loss) < LOOKS:
        return None
    score = max(0.0, -float(ndtri_exp(log_p))) if log_p < 0 else 0.0
    return _to_come(run) * float(np.arcsinh(score))


def _log_p(run: Run) -> float:
    """Logarithm of the p-value, at most 0; 0 where there is nothing to test."""
    if (run.loss <= 0).any():
        raise DesignError(f"Run {run.name!r}: losses must be above 0, got {float(run.loss.min()):g}.")
    run = averaged(run)
    y, n = np.log(run.loss), len(run.loss)
    if n < LOOKS:
        return 0.0
    noise = max(single_loss_noise(y), 1e-9)
    area, total = (np.concatenate(([0.0], np.cumsum(v))) for v in (_rates(run), y))
    tests, best = 0, -np.inf
    for late in _lengths(n // 2):
        level, today = ((v[n] - v[n - late]) / late for v in (total, area))
        for early in _lengths(n - late):
            means, rates = ((v[early : n - late + 1] - v[: n - late - early + 1]) / early for v in (total, area))
            fair = rates >= ALIKE * today
            tests += int(fair.sum())
            if fair.any():
                gap = level - means[fair].min() - np.log1p(RISE)
                best = max(best, gap / (noise * np.sqrt(1 / late + 1 / early)))
    return min(0.0, float(np.log(tests) + log_ndtr(-best))) if tests else 0.0


def _lengths(most: int) -> list[int]:
    """2, 4, 8, … up to `most`."""
    return [2**k for k in range(1, most.bit_length()) if 2**k <= most]


def _rates(run: Run) -> FloatArray:
    """Rates at the losses (n,), as high as can be in the warm-up: whatever the loss was there may be compared with."""
    if run.plan is None:
        return np.full(len(run.loss), 1.0)
    schedule = run.plan.schedule
    return np.where(run.steps < schedule.warmup_end, schedule.peak, schedule(run.steps))


def _to_come(run: Run) -> float:
    """ρ: the mean of the rates to come over today's, at most 1; 1 where the plan says nothing or is at its end."""
    now = int(run.steps[-1])
    if run.plan is None or now >= run.plan.schedule.total - 1:
        return 1.0
    schedule = run.plan.schedule
    today, ahead = float(schedule(now)), float(schedule(np.linspace(now + 1, schedule.total - 1, NODES)).mean())
    return ahead / today if ahead < today else 1.0


__all__ = ["ALARM", "LOOKS", "RISE", "diverging", "evidence", "risen"]
