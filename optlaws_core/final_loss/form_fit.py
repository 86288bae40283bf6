"""The search for the coefficients of a final-loss law, each from a cold start, and how sure they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..arrays import FloatArray
from ..errors import FitError
from ..fitting.covariance import QUANTILE
from ..fitting.descent import FAR, huber, log_residuals
from ..fitting.result import Coverage, Status
from ..laws.sums.clocks import ETA_REF
from .final_fit import End, FinalFit
from .final_laws import LINE, LOG_LINEAR, FinalLaw, PlanFeatures, features, losses
from .table import TableRun, fold
from .texts import Texts, TextStep

HUBER = 3e-3  # log residuals beyond 0.3 % count linearly
STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # of the priors, from which the evidence chooses
NOISES = np.geomspace(3e-4, 0.05, 40)  # standard deviations of log residuals among which the evidence looks
TRIAL, MOST = 12, 200  # evaluations of each starting point, and to the end
NEAR_BOUND = 1e-3  # of the searched width
FARTHEST_STEP = 8.0  # of a text's log losses from another's; no prior strength pulls at steps, so a run tells one whole
STEP_WIDTH = 1.0  # standard deviation of such a step before any run is seen, where a run is known to `HUBER`
MU = np.geomspace(0.3, 3e3, 13)  # 1/rate, curvatures that the log-linear law tries
BARRIERS = np.geomspace(0.01, 3.0, 7)  # κ over the median peak
RIDGES = np.geomspace(1e-6, 1.0, 13)  # share of the squared norm of a feature
# Starts differ in how the noise is remembered, on which the search is not convex.
_STARTS: tuple[Mapping[str, float], ...] = (
    {},
    {"c": 3000.0, "rho": 0.8, "C": 2e4},
    {"omega": 0.8, "C": 55.0},
    {"omega": 0.22, "C": 1e6},
)


class Search:
    """One law, its training runs, and the search for its coefficients with priors of any strength.

    Coordinates are those of the free coefficients, then the steps of texts. `texts`: 1 where a run is on a text that
    has a step, (runs, steps); None for none.
    """

    def __init__(
        self, law: FinalLaw, seen: PlanFeatures, log_loss: FloatArray, texts: FloatArray | None = None
    ) -> None:
        self.law, self.seen, self.y, self.free = law, seen, log_loss, law.free
        self.texts = np.empty((len(log_loss), 0)) if texts is None else texts
        steps = self.texts.shape[1]
        bounds = [(p.to_scale(p.low), p.to_scale(p.high)) for p in self.free]
        self.low, self.high = np.array([*bounds, *[(-FARTHEST_STEP, FARTHEST_STEP)] * steps]).T
        priors = [(p, p.prior) for p in self.free if p.prior is not None]  # every free coefficient has one
        self.centre = np.array([*(p.to_scale(prior[0]) for p, prior in priors), *[0.0] * steps])
        self.width = np.array([*(prior[1] for _, prior in priors), *[STEP_WIDTH] * steps])

    def natural(self, x: FloatArray) -> dict[str, float]:
        named = zip(self.free, x[: len(self.free)], strict=True)
        return {p.name: float(p.from_scale(v)) for p, v in named} | dict(self.law.held)

    def log_loss(self, x: FloatArray) -> FloatArray:
        """Log losses of all runs, each on its text, (runs,)."""
        with np.errstate(all="ignore"):
            return np.log(losses(self.law, self.seen, self.natural(x))[0]) + self.texts @ x[len(self.free) :]

    def pull(self, strength: float) -> FloatArray:
        """Of the priors, (coordinates,): one width off counts like `HUBER` at a strength of 1."""
        steps = self.texts.shape[1]
        return HUBER * np.append(np.full(len(self.free), strength), np.ones(steps)) / self.width

    def rows(self, x: FloatArray, among: NDArray[np.intp], strength: float) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs `among` and of the priors, and their Jacobian."""
        with np.errstate(all="ignore"):
            loss, slopes = losses(self.law, self.seen, self.natural(x))
            by_coefficient = np.stack([slopes[p.name] for p in self.free], axis=1)
        steps = self.texts[among] @ x[len(self.free) :]
        r, J = log_residuals(loss[among], by_coefficient[among], self.y[among] - steps)
        J, pull = np.hstack((J, self.texts[among])), self.pull(strength)
        return np.append(r, pull * (x - self.centre)), np.vstack((J, np.diag(pull)))

    def best(
        self, among: NDArray[np.intp], strength: float, start: FloatArray | None = None
    ) -> tuple[FloatArray, bool]:
        """Best coordinates for the runs `among`, and whether the search had converged: cold starts, the same each time.

        `start`: the only one to use. Raises `FitError` when no start gives finite losses.
        """
        if start is None:
            start = self.promising(among, strength)
        end = self._descend(start, among, strength, MOST)
        if not np.isfinite(end.cost) or np.abs(end.fun[: len(among)]).max() >= FAR:
            raise FitError(f"The law {self.law.name} gives no finite losses on these runs.", end.x)
        return end.x, end.status > 0

    def promising(self, among: NDArray[np.intp], strength: float) -> FloatArray:
        """The start, in search coordinates, from which a few evaluations get furthest.

        Texts start as far from the main one as the medians of their runs lie apart: steps may be many times `HUBER`,
        and a search that had to go there first would bend the law on its way.
        """
        starts = []
        for given in _STARTS:
            moved = {p.name: p.to_scale(given[p.name]) for p in self.free if p.name in given}
            x = np.array([moved.get(p.name, c) for p, c in zip(self.free, self.centre, strict=False)])
            starts.append(np.append(x, self._apart(x, among)))
        return min(starts, key=lambda x: self._descend(x, among, strength, TRIAL).cost)

    def _apart(self, x: FloatArray, among: NDArray[np.intp]) -> FloatArray:
        """Median distance of each further text from the main one under coefficients, (steps,); 0 where no run tells."""
        off = self.y[among] - self.log_loss(np.append(x, np.zeros(self.texts.shape[1])))[among]
        on = self.texts[among] > 0
        main = off[~on.any(axis=1)]
        level = np.median(main) if len(main) else 0.0
        found = [np.median(off[own]) - level if own.any() else 0.0 for own in on.T]
        return np.nan_to_num(np.array(found, float), nan=0.0, posinf=0.0, neginf=0.0)

    def _descend(self, x0: FloatArray, among: NDArray[np.intp], strength: float, most: int):
        known: dict[bytes, tuple[FloatArray, FloatArray]] = {}

        def both(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            if x.tobytes() not in known:
                known.clear()
                known[x.tobytes()] = self.rows(x, among, strength)
            return known[x.tobytes()]

        inside = np.clip(x0, self.low + 1e-6, self.high - 1e-6)
        return least_squares(
            lambda x: both(x)[0],
            inside,
            jac=lambda x: both(x)[1],
            bounds=(self.low, self.high),
            loss="huber",
            f_scale=HUBER,
            x_scale=self.width,
            ftol=1e-9,
            xtol=1e-9,
            max_nfev=most,
        )

    def evidence(self, x: FloatArray, strength: float) -> float:
        """How likely all runs are under priors of this strength, coefficients integrated out, up to a constant.

        The logarithm of a marginal likelihood (MacKay 1992), by Laplace's method around the best coordinates `x`, at
        the standard deviation of the log residuals that makes it largest. It rewards a fit and punishes coefficients
        that only the runs' accidents would determine, without leaving any run out. Residuals beyond δ count linearly,
        yet the normaliser is that of a normal distribution: with the one of Huber's density the choice falls on weaker
        priors (docs/final-loss-notes.md).
        """
        n = len(self.y)
        residual, J = self.rows(x, np.arange(n), strength)
        misfit = huber(residual[:n], HUBER) + 0.5 * (residual[n:] ** 2).sum()
        volume = 0.5 * np.linalg.slogdet(_curvature(residual, J, n))[1]
        prior = np.log(self.pull(strength)).sum()
        # the volume and the prior scale with the noise alike, so both powers of it cancel
        return float(max(-misfit / NOISES**2 - n * np.log(NOISES)) - volume + prior)

    def left_out(self, strength: float, parts: Sequence[NDArray[np.intp]]) -> FloatArray:
        """Log errors of all runs, (runs,), each from a fit without the part that it is in.

        NaN for a run on a text that no run outside of its part tells the step of.
        """
        errors, every = np.full(len(self.y), np.nan), np.arange(len(self.y))
        start = self.promising(every, strength)  # cold, and the same for all parts
        for part in parts:
            rest = np.setdiff1d(every, part)
            x, _ = self.best(rest, strength, start)
            errors[part] = (self.log_loss(x) - self.y)[part]
            untold = self.texts[part] @ (self.texts[rest].sum(axis=0) == 0) > 0
            errors[part[untold]] = np.nan
        return errors


def fit_form(
    law: FinalLaw,
    runs: Sequence[TableRun],
    seen: PlanFeatures,
    y: FloatArray,
    references: dict[str, float],
    texts: Texts,
    strength: float | None,
    bands: bool,
) -> FinalFit:
    """A form with priors fitted to log losses `y` (runs,); see `table_fit.fit_final`. `references`: N0 and B0."""
    search, every, n = Search(law, seen, y, texts.columns), np.arange(len(y)), len(y)
    if strength is None:
        tried = {s: search.best(every, s) for s in STRENGTHS}
        strength = max(tried, key=lambda s: search.evidence(tried[s][0], s))
        x, finished = tried[strength]
    else:
        x, finished = search.best(every, strength)
    residual, J = search.rows(x, every, strength)
    # of M-estimates: residuals beyond δ have no curvature, and pull no harder than δ
    near = max(float(np.mean(np.abs(residual[:n]) <= HUBER)), 1 / n)
    spread = float((np.clip(residual[:n], -HUBER, HUBER) ** 2).sum() / max(n - len(x), 1)) / near
    covariance = spread * np.linalg.pinv(near * J[:n].T @ J[:n] + J[n:].T @ J[n:])
    names = tuple(p.name for p in law.free)
    edge = NEAR_BOUND * (search.high - search.low)
    bounded = (x <= search.low + edge) | (x >= search.high - edge)
    titles = (*names, *(f"the step of {text}" for text in texts.others))
    ended = [title for title, on in zip(titles, bounded, strict=True) if on]
    status = Status.out_of_steps if not finished else Status.at_bound if ended else Status.converged
    message = status.value + (f" On its bound: {', '.join(ended)}." if ended and finished else "")
    left_out = _reach(search.left_out(strength, fold(runs, "random"))) if bands else None
    covariance = _with_misfit(np.asarray(covariance, float), texts, spread, left_out)
    half = QUANTILE * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    interval: dict[str, tuple[float, float] | None] = dict.fromkeys(law.held)
    for p, v, h, low, high, on in zip(law.free, x, half, search.low, search.high, bounded, strict=False):
        lower, upper = (float(p.from_scale(np.clip(e, low, high))) for e in (v - h, v + h))
        interval[p.name] = None if on else (lower, upper)
    return FinalFit(
        law.name,
        search.natural(x),
        interval,
        status,
        message,
        huber(residual[:n], HUBER),
        End.of(runs, np.exp(residual[:n] + y)),
        Coverage.of_plans([r.plan for r in runs]),
        references,
        strength,
        free=names,
        covariance=tuple(map(tuple, covariance.tolist())),
        left_out=left_out,
        text=texts.main,
        steps=_steps(texts, x[len(names) :], half[len(names) :]),
    )


def _with_misfit(covariance: FloatArray, texts: Texts, spread: float, left_out: float | None) -> FloatArray:
    """The covariance of coefficients and steps with what the law is off by in the runs that tell a step.

    Training runs are off by less than runs that were left out, and a step is learned from few of them. `spread`:
    variance of training runs, which the covariance holds already.
    """
    steps = len(texts.others)
    if not steps or left_out is None:
        return covariance
    more = max((left_out / QUANTILE) ** 2 - spread, 0.0) / texts.counts[1:]
    return covariance + np.diag(np.append(np.zeros(len(covariance) - steps), more))


def _steps(texts: Texts, steps: FloatArray, half: FloatArray) -> dict[str, TextStep]:
    """Steps (steps,) with the half-widths of their intervals, by text."""
    rows = zip(texts.others, steps.tolist(), half.tolist(), texts.counts[1:].tolist(), strict=True)
    return {text: TextStep(step, step - h, step + h, runs) for text, step, h, runs in rows}


def fit_line(
    runs: Sequence[TableRun],
    seen: PlanFeatures,
    y: FloatArray,
    references: dict[str, float],
    texts: Texts,
    _: float | None,
    bands: bool,
) -> FinalFit:
    """Log-linear: z-scored features, ridge; μ, κ and the ridge have the lowest error on left-out single runs.

    A constant for each text, which the ridge does not hold: what lies between texts tells of nothing else.
    """
    on = np.column_stack((texts.which == 0, texts.columns)).astype(float)  # (runs, texts)
    share = on / on.sum(axis=0)  # the mean of each text's runs
    told = texts.counts[texts.which] > 1  # the only run of its text tells nothing when it is left out
    levels, own = share.T @ y, 1 / texts.counts[texts.which]
    apart = y - on @ levels
    median = ETA_REF * float(np.exp(np.median(seen.peak)))
    best: tuple[Any, ...] = (np.inf,)
    varied = np.ptp(seen.warmup) > 0 and len({r.plan.schedule.warmup_end for r in runs}) > 1
    for mu in MU:
        for kappa in BARRIERS * median:
            phi = features(seen, mu, kappa)
            if not varied:
                phi[:, [7, 15]] = 0.0  # with one warm-up, log(a/T) is the horizon over again
            mean = share.T @ phi  # (texts, features)
            inside = phi - on @ mean
            scale = inside.std(axis=0)
            scale[scale < 1e-9 * np.maximum(np.abs(mean).max(axis=0), 1e-9)] = np.inf
            Z = inside / scale
            U, s, Vt = np.linalg.svd(Z, full_matrices=False)
            centred = U.T @ apart
            for ridge in RIDGES:
                kept = s**2 / (s**2 + ridge * len(y))
                leverage = own + (U**2) @ kept
                errors = (apart - U @ (kept * centred)) / (1 - np.minimum(leverage, 0.999))
                if (score := huber(errors[told], HUBER) / told.sum()) < best[0]:
                    coefficients = Vt.T @ (centred * kept / np.where(s > 0, s, 1.0)) / scale
                    best = (score, mu, kappa, ridge, coefficients, levels - mean @ coefficients, errors[told])
    _score, mu, kappa, ridge, coefficients, offsets, errors = best
    theta = dict(zip(LINE, coefficients.tolist(), strict=True)) | {"1": float(offsets[0])}
    steps = offsets[1:] - offsets[0]
    fitted = features(seen, mu, kappa) @ np.array(list(theta.values())) + texts.columns @ steps
    noise, counts = float(np.mean(errors**2)), texts.counts  # of a step: the runs on both sides are off by as much
    covariance = noise * (np.diag(1 / counts[1:]) + 1 / counts[0])
    return FinalFit(
        LOG_LINEAR,
        theta,
        dict.fromkeys(LINE),
        Status.converged,
        Status.converged.value,
        huber(fitted - y, HUBER),
        End.of(runs, np.exp(fitted)),
        Coverage.of_plans([r.plan for r in runs]),
        references | {"mu": float(mu), "kappa": float(kappa)},
        float(ridge),
        covariance=tuple(map(tuple, covariance.tolist())),
        left_out=_reach(errors) if bands else None,
        text=texts.main,
        steps=_steps(texts, steps, QUANTILE * np.sqrt(np.diag(covariance))),
    )


def _reach(errors: FloatArray) -> float:
    """What 90 % of errors stay below; those that are not known are left out."""
    return float(np.nanquantile(np.abs(errors), 0.9))


def _weight(r: FloatArray) -> FloatArray:
    """What the Huber loss makes a squared residual count."""
    return np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-300))


def _curvature(residual: FloatArray, J: FloatArray, n: int) -> FloatArray:
    """Second derivatives of the objective, (free, free): of `n` runs, and of the priors behind them."""
    return (J[:n] * _weight(residual[:n])[:, None]).T @ J[:n] + J[n:].T @ J[n:]


__all__ = ["Search", "fit_form", "fit_line"]
