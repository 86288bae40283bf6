"""The search for a law's coefficients: Huber loss on log residuals, exact Jacobians, deterministic multi-start."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..errors import Cancelled, FitError, OptLawsError
from ..laws import Law
from ..laws.evaluation import Batch, batch, predict, predict_with_jacobian
from ..runs import Run
from .covariance import Intervals
from .descent import HUBER, Descent, huber, log_residuals
from .result import Status

FOLLOWED = 3  # starting points, the lowest ones, that are followed to the end
MAX_STEPS = 150  # of a descent
SAME = 1e-9  # relative difference of two ends' objectives that is none: the earlier start has it
ARRIVED, NEAR = 1e-5, 1e-3  # relative excess of the objective, and shares of the searched width, beside an end
AT_BOUND = 1e-3  # of the searched width
UNSEEN = 1e-6  # a weight that could change no loss by more than this share stays at 0
SETTLED = 1e-9  # relative change of the objective at which a convex search ends


Progress = Callable[[float, float], bool | None]  # share done 0..1, best objective so far -> True to go on or None


class LeastSquares:
    """One law, its training runs, and which coefficients are free. Search coordinates are those of `Param.scale`."""

    def __init__(
        self, law: Law, runs: Sequence[Run], locked: Mapping[str, float], informed: Collection[str] = ()
    ) -> None:
        """`informed`: coefficients that a prior tells of, which are free whether or not the runs determine them."""
        unknown = set(locked) - set(law.names)
        if unknown:
            raise OptLawsError(
                f"{law.name} has no coefficient {sorted(unknown)[0]!r}. Its coefficients: {', '.join(law.names)}."
            )
        _check(law, locked)
        self.law, self.runs = law, list(runs)
        self.data: Batch = batch(law, [(r.known_plan, r.steps) for r in runs])
        self.log_loss = np.log(np.concatenate([r.loss for r in runs]))
        self.slices = self.data.slices
        sizes = {r.known_plan.params for r in runs}
        differs = {
            "peak": len({r.known_plan.schedule.peak for r in runs}) > 1,
            "params": len(sizes) > 1 and None not in sizes,
        }
        unknown_alone = [p for p in law.params if p.needs and not differs[p.needs] and p.name not in informed]
        idle = {p.name: p.neutral for p in unknown_alone if p.neutral is not None}
        self.fixed = idle | dict(locked)
        self.free = [i for i, p in enumerate(law.params) if p.name not in self.fixed]
        self.params = [law.params[i] for i in self.free]
        self.linear = np.array([p.name in law.linear and p.prior is None for p in self.params], bool)
        self.convex = law.ridge > 0 and all(p.scale == "linear" and p.name in law.linear for p in self.params)
        self._set_bounds_and_priors()

    def _set_bounds_and_priors(self) -> None:
        """Bounds of the free coefficients, (free,) each, and their priors, in search coordinates."""
        bounds = np.array([sorted((p.to_scale(p.low), p.to_scale(p.high))) for p in self.params]).reshape(-1, 2)
        self.low, self.high = bounds.T
        held = [(i, p.to_scale(p.prior[0]), HUBER / p.prior[1]) for i, p in enumerate(self.params) if p.prior]
        self.with_prior = np.array([i for i, _, _ in held], np.intp)  # positions among the free coefficients
        self.centre, self.pull = np.array([(x, p) for _, x, p in held]).reshape(-1, 2).T  # pull: `HUBER` over the width

    def natural(self, x: FloatArray) -> FloatArray:
        """All coefficients, (params,), from the free ones in search coordinates."""
        theta = np.array([self.fixed.get(p.name, 0.0) for p in self.law.params], dtype=float)
        theta[self.free] = [p.from_scale(v) for p, v in zip(self.params, x, strict=True)]
        return theta

    def residuals(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log predicted minus log observed, (n,), and the Jacobian in search coordinates, (n, free)."""
        theta = self.natural(x)
        with np.errstate(all="ignore"):
            loss, jacobian = predict_with_jacobian(self.data, theta)
            slopes = np.array([p.slope(theta[i]) for p, i in zip(self.params, self.free, strict=True)])
            return log_residuals(loss, jacobian[:, self.free] * slopes, self.log_loss)

    def cost(self, theta: FloatArray) -> float:
        """Σ Huber(log residual) at natural coefficients."""
        with np.errstate(all="ignore"):
            r = np.log(predict(self.data, theta)) - self.log_loss
        return huber(r)

    def prior(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pseudo-residuals of the priors, (priors,), and their Jacobian: one width off counts like `HUBER`."""
        J = np.zeros((len(self.with_prior), len(self.free)))
        J[np.arange(len(self.with_prior)), self.with_prior] = self.pull
        return (x[self.with_prior] - self.centre) * self.pull, J

    def stiffness(self, x: FloatArray) -> FloatArray:
        """What priors and the ridge add to the curvature of the objective, (free, free), in search coordinates."""
        _, J = self.prior(x)
        if not self.convex:
            return J.T @ J
        columns = predict_with_jacobian(self.data, self.natural(x))[1][:, self.free]
        return J.T @ J + np.diag(self._ridge(self._shares(columns)) ** 2)

    def _shares(self, columns: FloatArray) -> FloatArray:
        """The largest share of an observed loss that each column (n, free) makes up for a coefficient of 1, (free,)."""
        return np.abs(columns / np.exp(self.log_loss)[:, None]).max(axis=0)

    def _ridge(self, size: FloatArray) -> FloatArray:
        """What a weight pays for each unit, as a residual, (free,); 0 for all other coefficients."""
        return np.sqrt(self.law.ridge * len(self.log_loss)) * size * [p.weight for p in self.params]

    def search(self, start: Mapping[str, float] | None, progress: Progress | None) -> tuple[FloatArray, float, bool]:
        """Best free coefficients (search coordinates), their cost, and whether the search had converged there.

        The cost is that of the runs, without priors and ridge. A convex problem needs no `start`.
        """
        report = progress or (lambda share, best: None)
        if not self.free:
            cost = self.cost(self.natural(np.empty(0)))
            if not np.isfinite(cost):
                raise FitError(f"{self.law.title}: these coefficients give no finite losses on these runs.")
            return np.empty(0), cost, True
        if start is not None:
            _check(self.law, start)
        if self.convex:
            return self._solve(report)
        ends: list[End] = []
        begun = self._begun() if start is None else [self._from(self._start({**self.law.starts[0], **start}))]
        for i, descent in enumerate(begun):
            so_far = min((end.cost for end in ends), default=np.inf)

            def told(n: int, i=i, so_far=so_far) -> bool | None:
                return report((i + 1 - 0.9**n) / len(begun), so_far)

            ends.append(self._end(descent, MAX_STEPS, told, ends))
        last = lowest(ends)
        if not np.isfinite(last.cost):
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.", last.x)
        report(1.0, last.cost)
        return last.x, last.cost - huber(self.prior(last.x)[0]), last.finished

    def _solve(self, report: Progress) -> tuple[FloatArray, float, bool]:
        """`search` where the law is linear in all free coefficients: reweighted, bounded least squares with a ridge.

        Huber's loss is that of squares weighted by δ/|r| beyond δ, and the log of the loss is straight near the last
        solution; both settle together. A weight pays for the largest share of the loss that it makes up anywhere.
        """
        none = np.zeros(len(self.free))
        with np.errstate(all="ignore"):
            offset, columns = predict_with_jacobian(self.data, self.natural(none))
        if not (np.isfinite(offset).all() and np.isfinite(columns).all()):
            raise FitError(f"{self.law.title}: these coefficients give no finite losses on these runs.")
        observed, columns = np.exp(self.log_loss), columns[:, self.free]
        size = self._shares(columns)
        weights = np.array([p.weight for p in self.params])
        columns[:, weights & (size * self.high < UNSEEN)] = 0.0  # the ridge then leaves them at 0
        size[(size == 0) | (size * self.high < UNSEEN)] = 1.0
        ridge = np.diag(self._ridge(size))
        prior, prior_slopes = self.prior(none)
        x, predicted, before = np.clip(none, self.low, self.high), observed, np.inf
        r = (offset + columns @ x) / observed - 1  # log(loss / observed) to first order
        for i in range(1, MAX_STEPS + 1):
            J = np.vstack((columns / predicted[:, None], prior_slopes))
            e = np.concatenate((r, prior_slopes @ x + prior))
            share = np.sqrt(HUBER / np.maximum(np.abs(e), HUBER)) if i > 1 else np.ones(len(e))
            A = np.vstack((share[:, None] * J, ridge)) / size
            b = np.concatenate((share * (J @ x - e), none))
            x = np.clip(_bounded(A, b, self.low * size, self.high * size) / size, self.low, self.high)
            predicted = offset + columns @ x
            with np.errstate(all="ignore"):
                r = np.log(predicted / observed)
            now = huber(r) + huber(prior_slopes @ x + prior) + 0.5 * float(((ridge @ x) ** 2).sum())
            if not np.isfinite(now):
                raise FitError(f"{self.law.title}: these coefficients give no finite losses on these runs.", x)
            if report(1 - 0.9**i, now) is False:
                raise Cancelled
            if before - now <= SETTLED * now:
                break
            before = now
        report(1.0, now)
        return x, huber(r), i < MAX_STEPS

    def _begun(self) -> list[Descent]:
        """Descents from the lowest starting points, linear coefficients solved for."""
        starts = [self._start(self._believable(given)) for given in self.law.starts]
        begun = [self._from(x) for x in starts if np.isfinite(self.cost(self.natural(x)))]
        if not begun:
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.")
        return sorted(begun, key=lambda descent: descent.at.cost)[:FOLLOWED]

    def _start(self, given: Mapping[str, float]) -> FloatArray:
        """Search coordinates (free,) of a start whose linear coefficients are solved for."""
        return self.coordinates(self.with_linear_part({**given, **self.fixed}))

    def _believable(self, given: Mapping[str, float]) -> dict[str, float]:
        """A start whose coefficients with a prior lie within two widths of its centre."""
        moved = dict(given)
        for p in self.params:
            if p.prior and p.name in given:
                centre, reach = p.to_scale(p.prior[0]), 2 * p.prior[1]
                moved[p.name] = float(p.from_scale(np.clip(p.to_scale(given[p.name]), centre - reach, centre + reach)))
        return moved

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Search coordinates of the free coefficients in `theta` (params,), moved into the bounds."""
        inside = [p.to_scale(np.clip(theta[i], p.low, p.high)) for p, i in zip(self.params, self.free, strict=True)]
        return np.clip(inside, self.low, self.high)

    def with_linear_part(self, given: Mapping[str, float]) -> FloatArray:
        """Coefficients (params,): the given ones, and the linear ones that fit best relative to the loss."""
        names = self.law.names
        theta = np.array([float(given.get(n, 0.0)) for n in names])
        solve = [i for i in self.free if names[i] in self.law.linear and names[i] not in given]
        if solve:
            from scipy.optimize import lsq_linear  # slow to import

            with np.errstate(all="ignore"):
                offset, columns = predict_with_jacobian(self.data, theta)
            if not (np.isfinite(offset).all() and np.isfinite(columns).all()):
                return theta  # nothing to solve; the search turns back from here or gives up
            loss = np.exp(self.log_loss)
            A, b = columns[:, solve] / loss[:, None], 1 - offset / loss
            size = np.linalg.norm(A, axis=0)
            size[size == 0] = 1.0
            low, high = np.array([(self.law.params[i].low, self.law.params[i].high) for i in solve]).T
            theta[solve] = lsq_linear(A / size, b, (low * size, high * size), method="bvls").x / size
        return theta

    def descend(
        self, x0: FloatArray, most: int, report: Callable[[int], bool | None], bends: FloatArray | None = None
    ) -> "End":
        """Where a descent from `x0` (free,) ends after at most `most` steps; `report` gets the number of those done.

        bends: those of `bends_at` near `x0`, which save evaluations.
        """
        return self._end(self._from(x0, bends), most, report)

    def bends_at(self, x0: FloatArray) -> FloatArray:
        """How the Jacobian of the residuals changes around `x0` (free,), which no loss of the runs has a part in."""
        return self._from(x0).bends_at()

    def _from(self, x0: FloatArray, bends: FloatArray | None = None) -> Descent:
        residuals = _Residuals(self)
        return Descent(residuals, residuals.coordinates(x0), bends)

    def _end(
        self, descent: Descent, most: int, report: Callable[[int], bool | None], earlier: Sequence["End"] = ()
    ) -> "End":
        """Where `descent` ends, within `most` steps; one that comes so near an `earlier` end would end there, too."""
        for n in range(1, most + 1):
            if descent.over:
                break
            descent.step()
            cost = descent.at.cost
            if any(end.cost <= cost <= end.cost * (1 + ARRIVED) and self._near(descent, end) for end in earlier):
                break
            if report(n) is False:
                raise Cancelled
        return End(descent.of.searched(descent.at.z), descent.at.cost, descent.converged)

    def _near(self, descent: Descent, end: "End") -> bool:
        off = np.abs(descent.of.searched(descent.at.z) - end.x)
        return end.finished and bool((off <= NEAR * (self.high - self.low)).all())

    def verdict(self, x: FloatArray, finished: bool, interval: Intervals) -> tuple[Status, str]:
        """How the search ended, and the sentence with the names of the coefficients concerned."""
        width = self.high - self.low
        weights = [(p, v) for p, v in zip(self.params, x, strict=True) if p.weight]
        idle = sum(v == p.low for p, v in weights)
        said = f" {idle} of {len(weights)} weights are 0, as usual: the runs determine their joint curve." * bool(
            weights
        )
        on_bound = [
            p.name
            for p, v, lo, hi, w in zip(self.params, x, self.low, self.high, width, strict=True)
            if hi - v < AT_BOUND * w or (not p.weight and v - lo < AT_BOUND * w)  # a weight of 0 is an ordinary one
        ]
        if not self.free:
            return Status.tuned, Status.tuned.value
        if not finished:
            return Status.out_of_steps, Status.out_of_steps.value + said
        if on_bound:
            return Status.at_bound, f"{Status.at_bound.value} On its bound: {', '.join(on_bound)}.{said}"
        vague = [p.name for p in self.params if interval[p.name] is None and not p.weight]
        if vague:
            return Status.weak, f"{Status.weak.value} Hardly determined: {', '.join(vague)}.{said}"
        return Status.converged, Status.converged.value + said


def _check(law: Law, values: Mapping[str, float]) -> None:
    """Coefficients that someone gives must be inside the law's bounds. Raises `OptLawsError`."""
    for p in law.params:
        value = values.get(p.name)
        if value is not None and not p.low <= value <= p.high:  # NaN fails every comparison
            raise OptLawsError(f"{law.name}: {p.name} must lie between {p.low:g} and {p.high:g}, got {value:g}.")


def _bounded(A: FloatArray, b: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Least squares inside bounds. What passes its upper bound is held there, and the rest is solved for again."""
    from scipy.optimize import nnls  # slow to import

    held, y = np.zeros(len(low), bool), low.copy()
    while True:
        y[~held] = low[~held] + nnls(A[:, ~held], b - A @ np.where(held, high, low), maxiter=30 * len(low))[0]
        over = ~held & (y > high)
        y[over] = high[over]
        if not over.any():
            return y
        held |= over


@dataclass(frozen=True, eq=False)
class End:
    """Where a descent ended, in search coordinates (free,), its objective, and whether it had converged."""

    x: FloatArray
    cost: float
    finished: bool


def lowest(ends: Sequence[End]) -> End:
    """The end with the lowest objective; the earliest of those that differ by rounding."""
    least = min(end.cost for end in ends)
    return next(end for end in ends if end.cost <= least * (1 + SAME))


class _Residuals:
    """Residuals of `LeastSquares` for a `Descent`: coefficients in which a law is linear are not on a log scale."""

    def __init__(self, problem: LeastSquares) -> None:
        self.problem, self.linear, self.logs = problem, problem.linear, problem.slices[-1].stop
        self.natural = [p if linear else None for p, linear in zip(problem.params, problem.linear, strict=True)]
        self.low, self.high = np.sort([self.coordinates(problem.low), self.coordinates(problem.high)], axis=0)

    def coordinates(self, x: FloatArray) -> FloatArray:
        """Those of the descent from those of the search, (free,)."""
        return np.array([p.from_scale(v) if p else v for p, v in zip(self.natural, x, strict=True)])

    def searched(self, z: FloatArray) -> FloatArray:
        """Coordinates of the search from those of the descent, (free,)."""
        x = np.array([p.to_scale(v) if p else v for p, v in zip(self.natural, z, strict=True)])
        return np.clip(x, self.problem.low, self.problem.high)

    def __call__(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals of the runs, then those of the priors, (rows,), and their Jacobian (rows, free)."""
        x = self.searched(z)
        parts = zip(self.problem.residuals(x), self.problem.prior(x), strict=True)
        r, J = (np.concatenate(part) for part in parts)
        return r, J / [p.slope(v) if p else 1.0 for p, v in zip(self.natural, z, strict=True)]
