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
from ..sums.clocks import ETA_REF
from .final_fit import End, FinalFit
from .final_laws import LINE, LOG_LINEAR, FinalLaw, PlanFeatures, features, losses
from .table import TableRun, fold

HUBER = 3e-3  # log residuals beyond 0.3 % count linearly
STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # of the priors, from which the evidence chooses
NOISES = np.geomspace(3e-4, 0.05, 40)  # standard deviations of log residuals among which the evidence looks
TRIAL, MOST = 12, 200  # evaluations of each starting point, and to the end
NEAR_BOUND = 1e-3  # of the searched width
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
    """One law, its training runs, and the search for its coefficients with priors of any strength."""

    def __init__(self, law: FinalLaw, seen: PlanFeatures, log_loss: FloatArray) -> None:
        self.law, self.seen, self.y, self.free = law, seen, log_loss, law.free
        bounds = np.array([(p.to_scale(p.low), p.to_scale(p.high)) for p in self.free])
        self.low, self.high = bounds.T
        priors = [(p, p.prior) for p in self.free if p.prior is not None]  # every free coefficient has one
        self.centre = np.array([p.to_scale(prior[0]) for p, prior in priors])
        self.width = np.array([prior[1] for _, prior in priors])

    def natural(self, x: FloatArray) -> dict[str, float]:
        return {p.name: float(p.from_scale(v)) for p, v in zip(self.free, x, strict=True)} | dict(self.law.held)

    def rows(self, x: FloatArray, among: NDArray[np.intp], strength: float) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs `among` and of the priors, and their Jacobian."""
        with np.errstate(all="ignore"):
            loss, slopes = losses(self.law, self.seen, self.natural(x))
            by_coefficient = np.stack([slopes[p.name] for p in self.free], axis=1)
        r, J = log_residuals(loss[among], by_coefficient[among], self.y[among])
        pull = HUBER * strength / self.width  # of the priors: one width off counts like `HUBER`
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
        """The start, in search coordinates, from which a few evaluations get furthest."""
        starts = []
        for given in _STARTS:
            moved = {p.name: p.to_scale(given[p.name]) for p in self.free if p.name in given}
            starts.append(np.array([moved.get(p.name, c) for p, c in zip(self.free, self.centre, strict=True)]))
        return min(starts, key=lambda x: self._descend(x, among, strength, TRIAL).cost)

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
        prior = np.log(HUBER * strength / self.width).sum()
        # the volume and the prior scale with the noise alike, so both powers of it cancel
        return float(max(-misfit / NOISES**2 - n * np.log(NOISES)) - volume + prior)

    def left_out(self, strength: float, parts: Sequence[NDArray[np.intp]]) -> FloatArray:
        """Log errors of all runs, (runs,), each from a fit without the part that it is in."""
        errors, every = np.full(len(self.y), np.nan), np.arange(len(self.y))
        start = self.promising(every, strength)  # cold, and the same for all parts
        for part in parts:
            x, _ = self.best(np.setdiff1d(every, part), strength, start)
            with np.errstate(all="ignore"):
                loss, _ = losses(self.law, self.seen, self.natural(x))
            errors[part] = (np.log(loss) - self.y)[part]
        return errors


def fit_form(
    law: FinalLaw,
    runs: Sequence[TableRun],
    seen: PlanFeatures,
    y: FloatArray,
    references: dict[str, float],
    strength: float | None,
    bands: bool,
) -> FinalFit:
    """A form with priors fitted to log losses `y` (runs,); see `table_fit.fit_final`. `references`: N0 and B0."""
    search, every, n = Search(law, seen, y), np.arange(len(y)), len(y)
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
    ended = [name for name, on in zip(names, bounded, strict=True) if on]
    status = Status.out_of_steps if not finished else Status.at_bound if ended else Status.converged
    message = status.value + (f" On its bound: {', '.join(ended)}." if ended and finished else "")
    half = QUANTILE * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    interval: dict[str, tuple[float, float] | None] = dict.fromkeys(law.held)
    for p, v, h, low, high, on in zip(law.free, x, half, search.low, search.high, bounded, strict=True):
        lower, upper = (float(p.from_scale(np.clip(e, low, high))) for e in (v - h, v + h))
        interval[p.name] = None if on else (lower, upper)
    left_out = _reach(search.left_out(strength, fold(runs, "random"))) if bands else None
    return FinalFit(
        law.name,
        search.natural(x),
        interval,
        status,
        message,
        huber(residual[:n], HUBER),
        End.of(runs, np.exp(residual[:n] + y)),
        _coverage(runs),
        references,
        strength,
        free=names,
        covariance=tuple(map(tuple, covariance.tolist())),
        left_out=left_out,
    )


def fit_line(
    runs: Sequence[TableRun],
    seen: PlanFeatures,
    y: FloatArray,
    references: dict[str, float],
    _: float | None,
    bands: bool,
) -> FinalFit:
    """Log-linear: z-scored features, ridge; μ, κ and the ridge have the lowest error on left-out single runs."""
    median = ETA_REF * float(np.exp(np.median(seen.peak)))
    best: tuple[Any, ...] = (np.inf,)
    varied = np.ptp(seen.warmup) > 0 and len({r.plan.schedule.warmup_end for r in runs}) > 1
    for mu in MU:
        for kappa in BARRIERS * median:
            phi = features(seen, mu, kappa)
            if not varied:
                phi[:, [7, 15]] = 0.0  # with one warm-up, log(a/T) is the horizon over again
            mean, scale = phi.mean(axis=0), phi.std(axis=0)
            scale[scale < 1e-9 * np.maximum(np.abs(mean), 1e-9)] = np.inf
            Z = (phi - mean) / scale
            U, s, Vt = np.linalg.svd(Z, full_matrices=False)
            centred = U.T @ (y - y.mean())
            for ridge in RIDGES:
                kept = s**2 / (s**2 + ridge * len(y))
                leverage = 1 / len(y) + (U**2) @ kept
                errors = (y - y.mean() - U @ (kept * centred)) / (1 - np.minimum(leverage, 0.999))
                if (score := huber(errors, HUBER) / len(y)) < best[0]:
                    coefficients = Vt.T @ (centred * kept / np.where(s > 0, s, 1.0)) / scale
                    best = (score, mu, kappa, ridge, coefficients, y.mean() - mean @ coefficients, errors)
    _score, mu, kappa, ridge, coefficients, offset, errors = best
    theta = dict(zip(LINE, coefficients.tolist(), strict=True)) | {"1": float(offset)}
    fitted = features(seen, mu, kappa) @ np.array(list(theta.values()))
    return FinalFit(
        LOG_LINEAR,
        theta,
        dict.fromkeys(LINE),
        Status.converged,
        Status.converged.value,
        huber(fitted - y, HUBER),
        End.of(runs, np.exp(fitted)),
        _coverage(runs),
        references | {"mu": float(mu), "kappa": float(kappa)},
        float(ridge),
        left_out=_reach(errors) if bands else None,
    )


def _coverage(runs: Sequence[TableRun]) -> Coverage:
    peaks, totals = [r.plan.schedule.peak for r in runs], [r.plan.schedule.total for r in runs]
    sizes = [r.plan.params for r in runs if r.plan.params is not None]  # a table tells both of every run
    batches = [r.plan.batch_tokens for r in runs if r.plan.batch_tokens is not None]
    return Coverage(
        (min(peaks), max(peaks)), (min(totals), max(totals)), (min(sizes), max(sizes)), (min(batches), max(batches))
    )


def _reach(errors: FloatArray) -> float:
    return float(np.quantile(np.abs(errors), 0.9))


def _weight(r: FloatArray) -> FloatArray:
    """What the Huber loss makes a squared residual count."""
    return np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-300))


def _curvature(residual: FloatArray, J: FloatArray, n: int) -> FloatArray:
    """Second derivatives of the objective, (free, free): of `n` runs, and of the priors behind them."""
    return (J[:n] * _weight(residual[:n])[:, None]).T @ J[:n] + J[n:].T @ J[n:]


__all__ = ["Search", "fit_form", "fit_line"]
