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

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import Cancelled, FitError
from ..laws import Law
from ..laws.evaluation import prepare
from ..laws.scale_free import Coordinates, Scale
from ..runs import Run, Series
from .covariance import QUANTILE, Uncertainty
from .damped import End, Point, descended
from .least_squares import LeastSquares
from .loss_curves import curves, picked
from .priors import TAILS, Informed, Prior

WINDOWS = 30  # of a run; more of them say no more
MOST_BREAKS = 12  # turns of a schedule at which windows are cut; one that turns more often is cut evenly
EFFECTIVE = 12.0  # independent observations that a run's windows are worth
TYPICAL, TYPICAL_WEIGHT = 1.2e-3, 12.0  # deviation of log residuals in public curves; observations that it is worth
LEAST, MOST = 6e-4, 0.05  # deviations that are believed
LINEAR = 2.0  # standard deviations of a window's residual beyond which it counts linearly
PASSES = 3
STEPS = 60  # evaluations of a pass
# Starts beside the prior's mean, in its standard deviations along the coordinates that all laws begin with: a faster
# fall with a longer memory, and little noise, which one cosine hardly tells from a lower end.
Aside = tuple[Mapping[int, float], ...]
ASIDE: Aside = ({1: 0.5, 4: -0.8}, {0: 0.5, 1: -0.5, 2: -1.5, 4: 1.0})
# What a further step would still gain at the end of a pass, of the last one and of those before; in nats.
SETTLED, NEAR = 1e-7, 1e-5
PLAUSIBLE = 0.25  # cost of an observation up to which the first end is taken; a true law's is about 0.5
FAR = 1e3  # residual where a law has no finite loss
# Where a transient is taken to be over, and steps up to which a fit may reach back, as shares of the shortest run.
LATEST, REACHES = 0.3, (0.25, 0.2, 0.15, 0.1, 0.05)
FOLLOWS = 2.0  # standard deviations of a residual within which the mean of a stretch follows the law
FALL = 0.05  # share of the peak by which a rate must lie below it to have fallen
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
    law: Law,
    runs: Sequence[Run],
    locked: Mapping[str, float],
    prior: Prior,
    report: Report | None = None,
    aside: Aside = ASIDE,
    horizon: int | None = None,
) -> Posterior:
    """The posterior of `law` given usable training runs under `prior`; `aside`: starts beside the prior's mean.

    horizon: updates of the schedules that the law is to tell of; runs of other lengths count less (`trust`).
    Raises `FitError` where no start has finite losses, `Cancelled` when `report` says False.
    """
    return _Search(law, runs, locked, prior, report, aside, horizon).posterior()


def ready(law: Law, runs: Sequence[Run], scored: Sequence[Run]) -> None:
    """Make at once what `posterior` of `runs` and curves of `scored` ask of the runs' pasts."""
    asked = [*(windows(run)[0] for run in runs), *scored]
    prepare(law, [(run.known_plan, picked(run)) for run in asked if len(run.steps)])


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


def trust(run: Run, horizon: int | None, prior: Prior) -> float:
    """Share of its observations that a run counts for, where schedules of `horizon` updates are asked about; None: 1.

    A law that suits one length is off at another by an error that all losses of a run share. It adds to the variance of
    each of them, as one that grows with the octaves between both lengths. The length of a run is that up to its last
    logged loss, however long it was planned: of what follows, the law was told nothing.
    """
    if horizon is None:
        return 1.0
    octaves = np.log2(horizon / (float(run.steps[-1]) + 1))
    return float(1 / (1 + (prior.per_octave * octaves) ** 2))


class _Search:
    """The weighted residuals of runs and prior, and the passes over them."""

    def __init__(
        self,
        law: Law,
        runs: Sequence[Run],
        locked: Mapping[str, float],
        prior: Prior,
        report: Report | None,
        aside: Aside,
        horizon: int | None,
    ) -> None:
        assert law.coordinates is not None  # whoever has a prior has coordinates
        self.coordinates: Coordinates = law.coordinates
        self.aside, self.prior, self.report = aside, prior, report or (lambda share, best: None)
        means, shares = zip(*map(windows, runs), strict=True)
        self.scale = Scale.of(means)
        self.mean, covariance = np.array(prior.mean), np.array(prior.covariance)
        self.deviations = np.sqrt(np.diag(covariance))
        self.root = np.linalg.cholesky(np.linalg.inv(covariance)).T  # (k, k): whitens distances from the mean
        informed = frozenset(self.coordinates.back(self.mean, self.scale))
        self.problem = LeastSquares(law, means, locked, informed=informed)
        fixed = self.problem.fixed
        self.held = np.array([p.to_scale(fixed[p.name]) if p.name in fixed else 0.0 for p in law.params])  # others: 0
        self.told = self._told()
        counts = np.array([min(EFFECTIVE, len(r.steps)) for r in means])
        trusted = np.array([trust(r, horizon, prior) for r in runs])
        self.weight = np.sqrt(np.concatenate([n * share for n, share in zip(counts * trusted, shares, strict=True)]))
        # Those nearest to the horizon tell how large residuals are, as if they counted in full.
        self.effective, self.nearest = float((counts * trusted).sum()), float(trusted.max())
        self.horizon = horizon
        self.linear = LINEAR * np.sqrt(EFFECTIVE / WINDOWS)
        self.schedules = len({r.known_plan for r in runs})
        self.fell = any(_fell(r) for r in runs)
        self.deviation, self.tether = TYPICAL, 1.0

    def _told(self) -> BoolArray:
        """Which of the free coefficients the scale-free coordinates depend on, (free,)."""
        law = self.problem.law
        middle = np.array([p.to_scale(p.low) + p.to_scale(p.high) for p in law.params]) / 2
        slopes = self.coordinates.slopes(law.names, middle, self.scale)[:, self.problem.free]
        return np.array([column.any() for column in slopes.T], bool)

    def posterior(self) -> Posterior:
        problem = self.problem
        if not problem.free:
            return self._found(self._at(np.empty(0)), True)
        best = self._first()
        for i in range(1, PASSES):
            if self.report(i / PASSES, float(best.at.cost)) is False:
                raise Cancelled
            self._reweigh(best.at)
            best = self._descend(self._weighed(best.at.x, best.at.known), NEAR if i < PASSES - 1 else SETTLED, STEPS)
        if not np.isfinite(best.at.cost) or best.at.cost > FAR**2 / 2:
            raise FitError(f"{problem.law.title}: no starting point gave finite losses on these runs.", best.at.x)
        self.report(1.0, float(best.at.cost))
        return self._found(best.at, best.finished)

    def _first(self) -> End:
        """Where the first pass ends: begun at the prior's mean, and elsewhere if the curves lie too far from that end.

        One schedule is fitted well by several explanations, so all places are tried.
        """
        ends: list[End] = []
        for psi in self._starts():
            ends.append(self._descend(self._at(self._start(psi)), NEAR, STEPS))
            if self.schedules > 1 and ends[0].at.cost < PLAUSIBLE * self.effective:
                break
        return min(ends, key=lambda end: end.at.cost)

    def _starts(self) -> list[FloatArray]:
        """Scale-free coordinates of the prior's mean, and of places aside of it, where other minima may lie."""
        found = [self.mean]
        for place in self.aside:
            found.append(self.mean.copy())
            for axis, deviations in place.items():
                found[-1][axis] += deviations * self.deviations[axis]
        return found

    def _start(self, psi: FloatArray) -> FloatArray:
        told, problem = self.coordinates.back(psi, self.scale), self.problem
        x = [told.get(p.name, p.to_scale(np.clip(0.0, p.low, p.high))) for p in problem.params]
        width = problem.high - problem.low
        return np.clip(x, problem.low + 1e-7 * width, problem.high - 1e-7 * width)

    def _descend(self, begin: Point, settled: float, most: int) -> End:
        bounds = self.problem.low, self.problem.high
        return descended(self._at, self._moved, begin, bounds, self.linear, settled, most)

    def _at(self, x: FloatArray) -> Point:
        return self._weighed(x, (*self.problem.residuals(x), *self._off(x)))

    def _weighed(self, x: FloatArray, known: tuple[FloatArray, ...]) -> Point:
        """The point `x` (free,) in standard deviations, from log residuals and distances with their Jacobians."""
        r, J, off, slopes = known
        weight = self.weight / self.deviation
        return Point.of(x, r * weight, J * weight[:, None], self.tether * off, self.tether * slopes, self.linear, known)

    def _moved(self, at: Point, s: FloatArray) -> FloatArray:
        """Where step `s` (free,) leads: as far in the scale-free coordinates as its first order says.

        Valleys that are bent in the coordinates of the search, such as that of A·S^−q, are straight in these.
        """
        low, high = self.problem.low, self.problem.high
        x, (_, _, off, slopes) = np.clip(at.x + s, low, high), at.known
        there, along = self._off(x)
        if np.isfinite(there).all() and np.isfinite(along).all():
            x[self.told] += np.linalg.lstsq(along[:, self.told], off + slopes @ s - there)[0]
        return np.clip(x, low, high)

    def _off(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Whitened distance from the prior's mean, (k,), and its Jacobian (k, free)."""
        whole = self.held.copy()
        whole[self.problem.free] = x
        psi, slopes = self.coordinates.with_slopes(self.problem.law.names, whole, self.scale)
        return self.root @ (psi - self.mean), self.root @ slopes[:, self.problem.free]

    def _reweigh(self, at: Point) -> None:
        """The deviation of the residuals and the hold of the prior, estimated at a place."""
        log_residuals, off = at.known[0], at.known[2]
        J, held, k = _slopes(at, self.linear), at.slopes, len(self.mean)
        # what the prior determines does not use up observations
        by_prior = float(np.trace(held @ np.linalg.pinv(J.T @ J + held.T @ held) @ held.T))
        used = len(at.x) - np.clip(by_prior, 0.0, k)
        size = np.abs(log_residuals)
        share = self.weight**2
        square = float((share * np.minimum(size, np.quantile(size, 0.95)) ** 2).sum() / share.sum())
        told = self.effective / self.nearest
        left = max(told - used, 2.0)
        pooled = (square * told + TYPICAL_WEIGHT * TYPICAL**2) / (left + TYPICAL_WEIGHT)
        self.deviation = float(np.clip(np.sqrt(pooled), LEAST, MOST))
        self.tether = float(np.sqrt((TAILS + k) / (TAILS + off @ off)))

    def _found(self, at: Point, finished: bool) -> Posterior:
        problem, x, off = self.problem, at.x, at.known[2]
        interval: dict[str, tuple[float, float] | None] = dict.fromkeys(problem.law.names)
        covariance = np.zeros((len(x), len(x)))
        if len(x):
            covariance = self._covariance(at)
            for p, value, spread in zip(problem.params, x, np.sqrt(np.diag(covariance)), strict=True):
                if spread > 0:
                    reach = QUANTILE * spread
                    low, high = sorted((p.to_scale(p.low), p.to_scale(p.high)))
                    ends = p.from_scale(np.clip([value - reach, value + reach], low, high))
                    interval[p.name] = (float(min(ends)), float(max(ends)))
        moved = np.linalg.solve(self.root, off) / self.deviations
        informed = Informed(
            self.prior.source,
            self.scale.peak,
            self.scale.updates,
            self.scale.loss,
            self.deviation,
            self.schedules,
            dict(zip(self.coordinates.names, map(float, moved), strict=True)),
            float((off**2).sum()),
            self.fell,
            self.horizon,
        )
        return Posterior(problem, x, Uncertainty(covariance, interval), informed, finished)

    def _covariance(self, at: Point) -> FloatArray:
        """Inverse curvature at the end, (free, free): 0 for coefficients on a bound, which stay there."""
        problem, x = self.problem, at.x
        J = np.concatenate((_slopes(at, self.linear), at.slopes))
        inside = np.minimum(x - problem.low, problem.high - x) > 1e-6 * (problem.high - problem.low)
        found = np.zeros((len(x), len(x)))
        H = J[:, inside].T @ J[:, inside]
        size = np.sqrt(np.maximum(np.diag(H), 1e-300))
        found[np.ix_(inside, inside)] = np.linalg.pinv(H / np.outer(size, size), 1e-12, True) / np.outer(size, size)
        return found


def _fell(run: Run) -> bool:
    """Whether a run's learning rate had fallen by its last loss."""
    schedule = run.known_plan.schedule
    return float(schedule(int(run.steps[-1]))) < (1 - FALL) * schedule.peak


def _slopes(at: Point, linear: float) -> FloatArray:
    """Jacobian (n, free) of the residuals of the runs whose squares are Huber's loss (1964)."""
    size = np.abs(at.r)
    root = np.sqrt(np.maximum(2 * linear * size - linear**2, linear**2))
    return at.J * np.where(size > linear, linear / root, 1.0)[:, None]


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
    earliest = max(warm, int(REACHES[-1] * shortest))
    early = [_between(r, earliest, late) for r in runs]
    ready(law, kept, early)
    found = posterior(law, kept, {}, prior)
    off = _log_residuals(found, early)
    begin = late
    for share in REACHES:
        earlier = max(warm, int(share * shortest))
        if earlier >= begin or not all(_follows(*run, earlier, begin, FOLLOWS * found.informed.sigma) for run in off):
            break
        begin = earlier
    return begin


def _between(run: Run, first: int, last: int) -> Run:
    """`run` with its losses from step `first` up to but without `last`."""
    inside = (run.steps >= first) & (run.steps < last)
    return replace(run, series={run.split: Series(run.steps[inside], run.loss[inside])})


def _log_residuals(found: Posterior, runs: Sequence[Run]) -> list[tuple[IntArray, FloatArray]]:
    """Steps (n_i,) of runs that have any, and how far the law is off there, log predicted less log observed, (n_i,)."""
    runs, theta = [r for r in runs if len(r.steps)], found.problem.natural(found.x)
    told = curves(found.problem.law, theta, runs)
    with np.errstate(all="ignore"):
        return [(r.steps, np.log(losses) - np.log(r.loss)) for r, losses in zip(runs, told, strict=True)]


def _follows(steps: IntArray, off: FloatArray, first: int, last: int, deviation: float) -> bool:
    """Whether the mean residual of a run between two steps, if it has any there, is within a deviation."""
    inside = (steps >= first) & (steps < last)
    return not inside.any() or bool(abs(off[inside].mean()) <= deviation)


__all__ = ["Posterior", "end_of_transient", "posterior", "ready", "windows"]
