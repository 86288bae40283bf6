"""How likely a run is to diverge, learned from runs that did and runs that did not: Opt-Laws (reconstruction).

Noise that grows with the loss makes it grow instead of fall once the rate exceeds a multiple of the curvature, and
noise throws a run out of its valley at a rate of about η e^{−κ/η}. A logistic regression weighs what stands for both:
the peak rate, how steeply the warm-up leads there, the exposure to escape E_κ, the most noise that is ever left and the
noise that is left at the end, and the model size. More of any of them makes no run safer, so no weight is negative: a
search cannot gain from a sign that a few runs got wrong. That Opt-Laws detects divergence with an F1 of 0.92 is said
in an abstract of the paper (Xie et al. 2024, arXiv:2409.04777); the features and the regression are this project's, not
checked against its full text.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import DesignError, OptLawsError, amiss
from ..laws.sums.functionals import functionals
from ..parallel import one_thread
from ..runs import Plan
from ..text import format_amount, listed

Flags = Sequence[bool] | NDArray[np.bool_]  # one for each plan
FEATURES = ("log p", "log N", "log p/a", "log E_kappa", "log max V_mu", "log V_mu")
MU = (0.03, 0.3, 3.0)  # curvatures μ of the filtered noise, 1/rate
BARRIERS = (0.3, 1.0, 3.0)  # barriers κ over the median peak of the training runs
RIDGES = (0.003, 0.03, 0.3)  # L2 penalty of the z-scored weights, for each run
FOLDS = 5
LEAST_RUNS = 5  # that diverged, and that did not, below which nothing is learned
MOST_RISK = 0.2  # above which a ranking sets a candidate apart
NEWTON_STEPS, SLOPE_TOLERANCE = 100, 1e-9  # at most; largest slope of the penalised likelihood at the end
MOST_STRETCHES = 25  # of a rate, between kinks and jumps, up to which a risk is told
MOST_UPDATES = 10_000_000  # up to which one is told, too
SIZE_RANGE = 4.0  # factor below the smallest and above the largest model of the runs within which a risk is told


@dataclass(frozen=True)
class Risk:
    """A fitted probability of divergence, and the threshold above which a plan counts as risky."""

    weights: tuple[float, ...]  # of the z-scored FEATURES, none of them negative
    offset: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    mu: float
    kappa: float
    ridge: float
    threshold: float
    runs: int
    diverged: int
    params: tuple[float, float]  # smallest and largest model size of the runs

    def to_dict(self) -> dict:
        """Plain values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict) -> "Risk":
        """A risk from `to_dict`'s values. Raises `OptLawsError` when they are not those of one."""
        try:
            weights, mean, scale = (tuple(map(float, d[k])) for k in ("weights", "mean", "scale"))
            if {len(v) for v in (weights, mean, scale)} != {len(FEATURES)}:
                raise KeyError(f"weights, mean and scale, which have {len(FEATURES)} numbers each")
            mu, kappa, ridge, threshold = (float(d[k]) for k in ("mu", "kappa", "ridge", "threshold"))
            low, high = map(float, d["params"])
            return cls(
                weights,
                float(d["offset"]),
                mean,
                scale,
                mu,
                kappa,
                ridge,
                threshold,
                int(d["runs"]),
                int(d["diverged"]),
                (low, high),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            raise OptLawsError(f"This is not a divergence risk: {amiss(fault)}.") from None


def probability(risk: Risk, plans: Sequence[Plan]) -> FloatArray:
    """Probability that each plan diverges, (plans,). Raises `DesignError` for a plan without a model size."""
    z = (_features(plans, risk.mu, risk.kappa) - risk.mean) / risk.scale
    return _logistic(z @ np.array(risk.weights) + risk.offset)


def risk_of(risk: Risk, plans: Sequence[Plan]) -> list[float | None]:
    """`probability` of each plan; None where the runs do not tell it.

    That is for a model of unknown size, or a factor of four from their sizes: the edge of stability moves with the
    size, and the regression carries it no further. And for a rate that turns far more often, or takes far more updates,
    than theirs.
    """
    told = [not _why_untold(risk, plan) for plan in plans]
    known = iter(probability(risk, [p for p, n in zip(plans, told, strict=True) if n]).tolist() if any(told) else ())
    return [next(known) if n else None for n in told]


def untold(risk: Risk, named: Sequence[tuple[str, Plan]]) -> list[str]:
    """Sentences on the plans of which `risk_of` tells none, by their names: why, those of one reason together."""
    found: dict[str, list[str]] = {}
    for name, plan in named:
        if reason := _why_untold(risk, plan):
            found.setdefault(reason, []).append(name)
    return [f"No risk of divergence is told of {listed(names, 3)}: {reason}." for reason, names in found.items()]


def _why_untold(risk: Risk, plan: Plan) -> str:
    """Why no risk is told of a plan; empty where one is."""
    sizes = " to ".join(dict.fromkeys(format_amount(n, 3) for n in risk.params))
    if plan.params is None:
        return f"its model size is not known, and the labelled runs have {sizes} parameters"
    if not risk.params[0] / SIZE_RANGE <= plan.params <= risk.params[1] * SIZE_RANGE:
        return f"{format_amount(plan.params, 3)} parameters, the labelled runs have {sizes}"
    if len(plan.schedule.breaks) > MOST_STRETCHES + 1:
        return f"a rate that turns more than {MOST_STRETCHES} times"
    return f"more than {MOST_UPDATES:,} updates" if plan.schedule.total > MOST_UPDATES else ""


@one_thread()
def learn_risk(plans: Sequence[Plan], diverged: Flags) -> Risk:
    """The risk that best tells the `diverged` plans from the others.

    μ, κ and the ridge have the lowest log loss on left-out fifths of the plans, equal plans together. The threshold is
    the one nearest to ½ whose F1 there is the highest or within one false alarm of it; the highest alone follows noise.
    Raises `DesignError` with fewer than five plans of either kind or one without a model size.
    """
    bad = np.asarray(diverged, bool)
    if len(plans) != len(bad):
        raise DesignError(f"Plans and outcomes must be of one length, got {len(plans)} and {len(bad)}.")
    if min(bad.sum(), (~bad).sum()) < LEAST_RUNS:
        raise DesignError(
            f"A divergence risk needs at least {LEAST_RUNS} runs that diverged and {LEAST_RUNS} that did not, "
            f"got {bad.sum()} and {(~bad).sum()}."
        )
    median = float(np.median([p.schedule.peak for p in plans]))
    part, candidates = _fifths(plans, bad), []
    for mu in MU:
        for kappa in np.array(BARRIERS) * median:
            x = _features(plans, mu, float(kappa))
            for ridge in RIDGES:
                p = np.empty(len(bad))
                for i in range(FOLDS):
                    inside = part != i
                    if (~inside).any():
                        w, b, mean, scale = _regress(x[inside], bad[inside], ridge)
                        p[~inside] = _logistic((x[~inside] - mean) / scale @ w + b)
                loss = -np.mean(np.log(np.clip(np.where(bad, p, 1 - p), 1e-12, 1)))
                candidates.append((loss, mu, float(kappa), ridge, p, x))
    _, mu, kappa, ridge, p, x = min(candidates, key=lambda c: c[0])
    w, b, mean, scale = _regress(x, bad, ridge)
    weights, means, scales = (tuple(v.tolist()) for v in (w, mean, scale))
    sizes = _sizes(plans)
    return Risk(
        weights,
        float(b),
        means,
        scales,
        mu,
        kappa,
        ridge,
        _threshold(p, bad),
        len(bad),
        int(bad.sum()),
        (float(min(sizes)), float(max(sizes))),
    )


def cross_validated(
    plans: Sequence[Plan], diverged: Flags, parts: Sequence[NDArray[np.int64]]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Probabilities (plans,) from risks that never saw the plan, and whether they are above the threshold (plans,).

    The plans of each part are judged by a risk learned from all others. Raises `DesignError` unless every plan is in
    one part and no other, and where the others tell too little for `learn_risk`.
    """
    bad = np.asarray(diverged, bool)
    if sorted(int(i) for part in parts for i in part) != list(range(len(plans))):
        raise DesignError(f"Each of the {len(plans)} plans must be in one part and no other.")
    found, flagged = np.empty(len(plans)), np.empty(len(plans), bool)
    for part in parts:
        if len(part):
            others = np.setdiff1d(np.arange(len(plans)), part)
            risk = learn_risk([plans[i] for i in others], bad[others])
            found[part] = probability(risk, [plans[i] for i in part])
            flagged[part] = found[part] > risk.threshold
    return found, flagged


def parts_by_configuration(plans: Sequence[Plan], k: int = 10, seed: int = 0) -> list[NDArray[np.int64]]:
    """Indices of the plans of each of `k` parts, put there at random: equal plans together, none empty.

    Parts differ by one configuration at most. Raises `DesignError` for fewer than 2 parts, or fewer plans than parts.
    """
    number = {plan: i for i, plan in enumerate(dict.fromkeys(plans))}
    if not 2 <= k <= len(number):
        raise DesignError(f"There must be 2 to {len(number)} parts, one for each different plan at most, got {k}.")
    part = np.random.default_rng(seed).permutation(len(number)) % k
    place = part[[number[plan] for plan in plans]]
    return [np.flatnonzero(place == i) for i in range(k)]


def f1(predicted: Flags, actual: Flags) -> float:
    """Harmonic mean of precision and recall: 2·hits over twice the hits and all misses and false alarms; 1 for none."""
    flagged, bad = np.asarray(predicted, bool), np.asarray(actual, bool)
    hits, wrong = (flagged & bad).sum(), (flagged ^ bad).sum()
    return float(2 * hits / (2 * hits + wrong)) if hits + wrong else 1.0


def _features(plans: Sequence[Plan], mu: float, kappa: float) -> FloatArray:
    """The `FEATURES` of plans, (plans, 6). Raises `DesignError` for a plan without a model size."""
    sizes, schedules = _sizes(plans), [p.schedule for p in plans]
    f = functionals(*schedules)
    peak = np.log([s.peak for s in schedules])
    ramp = peak - np.log([max(s.warmup_end, 1) for s in schedules])
    # Exposures and noise far below any that matters are alike.
    escape, highest, last = (np.log(np.maximum(v, 1e-30)) for v in (f.E_kappa(kappa), f.highest_noise(mu), f.V_mu(mu)))
    return np.stack((peak, np.log(sizes), ramp, escape, highest, last), axis=1)


def _sizes(plans: Sequence[Plan]) -> list[float]:
    """Model sizes of plans. Raises `DesignError` for one that is not known."""
    if bare := next((p for p in plans if p.params is None), None):
        raise DesignError(f"{bare.schedule.text}: a divergence risk needs the model size.")
    return [p.params for p in plans if p.params is not None]


def _regress(x: FloatArray, bad: np.ndarray, ridge: float) -> tuple[FloatArray, float, FloatArray, FloatArray]:
    """Weights of the z-scored features, offset, means and scales: logistic regression, L2 penalty, weights ≥ 0."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-9] = 1.0
    z, sign = (x - mean) / scale, np.where(bad, 1.0, -1.0)

    Z = np.column_stack((z, np.ones(len(z))))
    pull = np.append(np.full(z.shape[1], ridge), 0.0)  # the offset is free

    def loss(theta: FloatArray) -> float:
        return float(np.logaddexp(0, -sign * (Z @ theta)).mean() + 0.5 * pull @ theta**2)

    # Newton's method on the coefficients that are not held at 0 (projected: Bertsekas 1982). The loss is convex.
    theta, now = np.zeros(Z.shape[1]), np.log(2)
    for _ in range(NEWTON_STEPS):
        wrong = _logistic(-sign * (Z @ theta))
        gradient = pull * theta - Z.T @ (sign * wrong) / len(sign)
        free = (theta > 0) | (gradient < 0)
        free[-1] = True
        if np.abs(gradient[free]).max() < SLOPE_TOLERANCE:
            break
        A = Z[:, free]
        curvature = (A.T * (wrong * (1 - wrong))) @ A / len(sign) + np.diag(pull[free])
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(curvature + 1e-12 * np.eye(len(A.T)), -gradient[free])
        size = 1.0
        while True:
            new = theta + size * step
            new[:-1] = np.maximum(new[:-1], 0.0)
            if (after := loss(new)) <= now + 1e-4 * gradient @ (new - theta) or size < 1e-9:
                break
            size /= 2
        theta, now = new, after
    return theta[:-1], float(theta[-1]), mean, scale


def _logistic(v: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-np.clip(v, -500, 500)))


def _fifths(plans: Sequence[Plan], bad: np.ndarray) -> np.ndarray:
    """Which fifth each plan is in, (plans,): equal plans together, both outcomes spread evenly."""
    keys = list(dict.fromkeys(sorted(plans, key=lambda p: (p.schedule.peak, p.params, p.schedule.text))))
    worst = {p: any(b for q, b in zip(plans, bad, strict=True) if q == p) for p in keys}
    place: dict[Plan, int] = {}
    for outcome in (False, True):
        place |= {p: i % FOLDS for i, p in enumerate(k for k in keys if worst[k] == outcome)}
    return np.array([place[p] for p in plans])


def _threshold(p: FloatArray, bad: np.ndarray) -> float:
    """½, or the middle of the gap nearest to it, where F1 is the highest or what one more false alarm makes of that."""
    values = np.unique(np.concatenate((p, [0.0, 1.0])))
    cuts = np.append((values[1:] + values[:-1]) / 2, 0.5)
    scores = np.array([f1(p > c, bad) for c in cuts])
    flagged = p > cuts[scores.argmax()]
    hits, wrong = (flagged & bad).sum(), (flagged ^ bad).sum()
    good = cuts[scores >= 2 * hits / (2 * hits + wrong + 1) - 1e-12]
    return float(good[np.argmin(np.abs(good - 0.5))])


__all__ = [
    "FEATURES",
    "Risk",
    "cross_validated",
    "f1",
    "learn_risk",
    "parts_by_configuration",
    "probability",
    "risk_of",
    "untold",
]
