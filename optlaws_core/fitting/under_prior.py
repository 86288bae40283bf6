"""A fit under a prior: the coefficients of the highest posterior density, and how far the posterior reaches.

Losses of a run are averaged over windows, and all windows of a run together count as `EFFECTIVE` observations, however
many there are: what a law leaves over is alike in neighbouring windows. Residuals of the logarithm beyond twice the
deviation count linearly. The deviation itself is estimated, pulled towards `TYPICAL`, in a few passes; so is how far a
set of runs may leave the prior, whose tails are those of a Student distribution. Bands come from the curvature at the
end (Laplace's approximation; Tierney and Kadane 1986).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from ..arrays import FloatArray
from ..errors import Cancelled, FitError
from ..laws import Law
from ..laws.scale_free import Coordinates, Scale
from ..runs import Run, Series
from .covariance import QUANTILE, Uncertainty
from .least_squares import LeastSquares
from .priors import TAILS, Informed, Prior

WINDOWS = 30  # of a run; more of them say no more
MOST_BREAKS = 12  # turns of a schedule at which windows are cut; one that turns more often is cut evenly
EFFECTIVE = 12.0  # independent observations that a run's windows are worth
TYPICAL, TYPICAL_WEIGHT = 1.2e-3, 12.0  # deviation of log residuals in public curves; observations that it is worth
LEAST, MOST = 6e-4, 0.05  # deviations that are believed
LINEAR = 2.0  # standard deviations of a window's residual beyond which it counts linearly
PASSES = 3
FIRST_STEPS, STEPS = 25, 60  # evaluations of a pass
# Starts beside the prior's mean, in its standard deviations along the coordinates that all laws begin with: a faster
# fall with a longer memory, and little noise, which one cosine hardly tells from a lower end.
ASIDE: tuple[Mapping[int, float], ...] = ({1: 0.5, 4: -0.8}, {0: 0.5, 1: -0.5, 2: -1.5, 4: 1.0})
FAR = 1e3  # residual where a law has no finite loss
# Where a transient is taken to be over, and steps up to which a fit may reach back, as shares of the shortest run.
LATEST, REACHES = 0.3, (0.25, 0.2, 0.15, 0.1, 0.05)
FOLLOWS = 2.0  # standard deviations of a residual within which the mean of a stretch follows the law
FEWEST = 6  # losses that a run must keep to be asked

Report = Callable[[float, float], bool | None]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Where a search under a prior ended: search coordinates (free,), how sure they are, what became of the prior."""

    problem: LeastSquares
    x: FloatArray
    known: Uncertainty
    informed: Informed
    finished: bool


def posterior(
    law: Law, runs: Sequence[Run], locked: Mapping[str, float], prior: Prior, report: Report | None = None
) -> Posterior:
    """The posterior of `law` given usable training runs under `prior`.

    Raises `FitError` where no start has finite losses, `Cancelled` when `report` says False.
    """
    return _Search(law, runs, locked, prior, report).posterior()


def windows(run: Run) -> tuple[Run, FloatArray]:
    """`run` as means over windows of equal length, cut where its schedule turns, and their shares of the run (n,)."""
    steps, loss = run.steps, run.loss
    first, last = int(steps[0]), int(steps[-1]) + 1
    edges = np.linspace(first, last, WINDOWS + 1)
    turns = [b for b in run.known_plan.schedule.breaks if first < b < last]
    if len(turns) <= MOST_BREAKS:
        edges = np.unique(np.concatenate((edges, np.array(turns, float))))
    place = np.searchsorted(edges, steps, side="right") - 1
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.diff(np.append(starts, len(steps)))
    mean_step = np.rint(np.add.reduceat(steps.astype(float), starts) / counts).astype(np.int64)
    mean_loss = np.add.reduceat(loss, starts) / counts
    share = np.diff(edges)[place[starts]]
    return replace(run, series={run.split: Series(mean_step, mean_loss)}), share / share.sum()


class _Search:
    """The weighted residuals of runs and prior, and the passes over them."""

    def __init__(
        self, law: Law, runs: Sequence[Run], locked: Mapping[str, float], prior: Prior, report: Report | None
    ) -> None:
        assert law.coordinates is not None  # whoever has a prior has coordinates
        self.coordinates: Coordinates = law.coordinates
        self.prior, self.report = prior, report or (lambda share, best: None)
        means, shares = zip(*map(windows, runs), strict=True)
        self.scale = Scale.of(means)
        self.mean, covariance = np.array(prior.mean), np.array(prior.covariance)
        self.deviations = np.sqrt(np.diag(covariance))
        self.root = np.linalg.cholesky(np.linalg.inv(covariance)).T  # (k, k): whitens distances from the mean
        told = self.coordinates.back(self.mean, self.scale)
        self.problem = LeastSquares(law, means, locked, informed=frozenset(told))
        counts = [min(EFFECTIVE, len(r.steps)) for r in means]
        self.weight = np.sqrt(np.concatenate([n * share for n, share in zip(counts, shares, strict=True)]))
        self.effective = float(sum(counts))
        self.linear = LINEAR * np.sqrt(EFFECTIVE / WINDOWS)
        self.schedules = len({r.known_plan for r in runs})
        self.deviation, self.tether = TYPICAL, 1.0
        self._last: tuple[bytes, tuple[FloatArray, FloatArray]] = (b"", (np.empty(0), np.empty(0)))

    def posterior(self) -> Posterior:
        problem = self.problem
        if not problem.free:
            return self._found(np.empty(0), True)
        best = min((self._descend(x, FIRST_STEPS) for x in self._starts()), key=lambda end: end.cost)
        for i in range(1, PASSES):
            if self.report(i / PASSES, float(best.cost)) is False:
                raise Cancelled
            self._reweigh(best.x)
            best = self._descend(best.x, STEPS)
        if not np.isfinite(best.cost) or best.cost > FAR**2 / 2:
            raise FitError(f"{problem.law.title}: no starting point gave finite losses on these runs.", best.x)
        self.report(1.0, float(best.cost))
        return self._found(best.x, bool(best.status > 0))

    def _starts(self) -> list[FloatArray]:
        """Search coordinates of the prior's mean, and of two places aside of it, where other minima may lie."""
        found = [self._start(self.mean)]
        for place in ASIDE:
            psi = self.mean.copy()
            for axis, deviations in place.items():
                psi[axis] += deviations * self.deviations[axis]
            found.append(self._start(psi))
        return found

    def _start(self, psi: FloatArray) -> FloatArray:
        told, problem = self.coordinates.back(psi, self.scale), self.problem
        x = [told.get(p.name, p.to_scale(np.clip(0.0, p.low, p.high))) for p in problem.params]
        width = problem.high - problem.low
        return np.clip(x, problem.low + 1e-7 * width, problem.high - 1e-7 * width)

    def _descend(self, x: FloatArray, most: int):
        self._last = (b"", self._last[1])  # weights may have changed
        return least_squares(
            lambda z: self._both(z)[0],
            x,
            jac=lambda z: self._both(z)[1],
            bounds=(self.problem.low, self.problem.high),
            x_scale="jac",
            max_nfev=most,
            ftol=1e-9,
            xtol=1e-9,
            gtol=1e-9,
        )

    def _both(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs and of the prior, (rows,), in standard deviations, and their Jacobian (rows, free)."""
        key = x.tobytes()
        if key != self._last[0]:
            r, J = self.problem.residuals(x)
            r, J = _robust(r * self.weight / self.deviation, J * (self.weight / self.deviation)[:, None], self.linear)
            off, slopes = self._off(x)
            r, J = np.concatenate((r, self.tether * off)), np.vstack((J, self.tether * slopes))
            lost = ~(np.isfinite(r) & np.isfinite(J).all(axis=1))
            r[lost], J[lost] = FAR, 0.0
            self._last = key, (r, J)
        return self._last[1]

    def _whole(self, x: FloatArray) -> FloatArray:
        """All coefficients in search coordinates, (params,)."""
        theta = self.problem.natural(x)
        return np.array([p.to_scale(v) for p, v in zip(self.problem.law.params, theta, strict=True)])

    def _off(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Whitened distance from the prior's mean, (k,), and its Jacobian (k, free)."""
        names, whole = self.problem.law.names, self._whole(x)
        psi = self.coordinates.at(names, whole, self.scale)
        slopes = self.coordinates.slopes(names, whole, self.scale)[:, self.problem.free]
        return self.root @ (psi - self.mean), self.root @ slopes

    def _reweigh(self, x: FloatArray) -> None:
        """The deviation of the residuals and the hold of the prior, estimated at `x` (free,)."""
        r, J = self._both(x)
        k = len(self.mean)
        held = J[-k:]  # what the prior determines does not use up observations
        by_prior = float(np.trace(held @ np.linalg.pinv(J.T @ J) @ held.T))
        used = len(x) - np.clip(by_prior, 0.0, k)
        size = np.abs(self.problem.residuals(x)[0])
        share = self.weight**2
        square = float((share * np.minimum(size, np.quantile(size, 0.95)) ** 2).sum() / share.sum())
        left = max(self.effective - used, 2.0)
        pooled = (square * self.effective + TYPICAL_WEIGHT * TYPICAL**2) / (left + TYPICAL_WEIGHT)
        self.deviation = float(np.clip(np.sqrt(pooled), LEAST, MOST))
        self.tether = float(np.sqrt((TAILS + k) / (TAILS + (self._off(x)[0] ** 2).sum())))

    def _found(self, x: FloatArray, finished: bool) -> Posterior:
        problem, k = self.problem, len(self.mean)
        interval: dict[str, tuple[float, float] | None] = dict.fromkeys(problem.law.names)
        covariance = np.zeros((len(x), len(x)))
        if len(x):
            covariance = self._covariance(x)
            for p, value, spread in zip(problem.params, x, np.sqrt(np.diag(covariance)), strict=True):
                if spread > 0:
                    reach = QUANTILE * spread
                    low, high = sorted((p.to_scale(p.low), p.to_scale(p.high)))
                    ends = p.from_scale(np.clip([value - reach, value + reach], low, high))
                    interval[p.name] = (float(min(ends)), float(max(ends)))
        off = self._off(x)[0]
        psi = self.coordinates.at(problem.law.names, self._whole(x), self.scale)
        moved = (psi - self.mean) / self.deviations
        informed = Informed(
            self.prior.source,
            self.scale.peak,
            self.scale.updates,
            self.scale.loss,
            self.deviation,
            self.schedules,
            dict(zip(self.coordinates.names, map(float, moved), strict=True)),
            float((off**2).sum()),
        )
        assert len(off) == k
        return Posterior(problem, x, Uncertainty(covariance, interval), informed, finished)

    def _covariance(self, x: FloatArray) -> FloatArray:
        """Inverse curvature at the end, (free, free): 0 for coefficients on a bound, which stay there."""
        problem = self.problem
        J = self._both(x)[1]
        inside = np.minimum(x - problem.low, problem.high - x) > 1e-6 * (problem.high - problem.low)
        found = np.zeros((len(x), len(x)))
        H = J[:, inside].T @ J[:, inside]
        size = np.sqrt(np.maximum(np.diag(H), 1e-300))
        found[np.ix_(inside, inside)] = np.linalg.pinv(H / np.outer(size, size), 1e-12, True) / np.outer(size, size)
        return found


def _robust(r: FloatArray, J: FloatArray, most: float) -> tuple[FloatArray, FloatArray]:
    """Residuals whose squares grow linearly beyond `most` (Huber 1964), and their Jacobian."""
    size = np.abs(r)
    far = size > most
    root = np.where(far, np.sqrt(np.maximum(2 * most * size - most**2, 0.0)), size)
    slope = np.where(far, most / np.maximum(root, 1e-300), 1.0)
    return np.sign(r) * root, J * slope[:, None]


def end_of_transient(law: Law, runs: Sequence[Run], prior: Prior) -> int | None:
    """First step from which on the losses of training runs follow the law; None where warm-ups take too long to tell.

    The law is fitted to what lies beyond `LATEST` of the shortest run; then the fit reaches back as long as the mean
    residual of a stretch stays within `FOLLOWS` standard deviations. What comes before is the transient of the first
    updates, which no law of the schedule describes.
    """
    shortest = min(int(r.steps[-1]) for r in runs)
    warm = max(r.known_plan.schedule.warmup_end for r in runs)
    late = int(LATEST * shortest)
    if warm > late:
        return None
    kept = [r.after(late) for r in runs]
    if min(len(r.steps) for r in kept) < FEWEST:
        return warm
    found = posterior(law, kept, {}, prior)
    begin = late
    for share in REACHES:
        earlier = max(warm, int(share * shortest))
        if earlier >= begin or not _follows(found, runs, earlier, begin):
            break
        begin = earlier
    return begin


def _follows(found: Posterior, runs: Sequence[Run], first: int, last: int) -> bool:
    """Whether the mean residual of every run between two steps is within `FOLLOWS` standard deviations."""
    for run in runs:
        inside = (run.steps >= first) & (run.steps < last)
        if inside.any():
            part = replace(run, series={run.split: Series(run.steps[inside], run.loss[inside])})
            off = LeastSquares(found.problem.law, [part], dict(_values(found))).residuals(np.empty(0))[0]
            if abs(float(off.mean())) > FOLLOWS * found.informed.sigma:
                return False
    return True


def _values(found: Posterior) -> Mapping[str, float]:
    return dict(zip(found.problem.law.names, map(float, found.problem.natural(found.x)), strict=True))


__all__ = ["Posterior", "end_of_transient", "posterior", "windows"]
