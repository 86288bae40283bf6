"""The search for a law's coefficients: Huber loss on log residuals, exact Jacobians, deterministic multi-start."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import least_squares, lsq_linear

from .errors import Cancelled, FitError, OptLawsError
from .evaluation import Batch, batch, predict, predict_with_jacobian
from .fits import Status
from .laws import Law
from .runs import Run
from .schedules.base import FloatArray

HUBER = 1e-3  # log residuals beyond 0.1 % count linearly (Luo et al. 2025, arXiv:2503.12811, use the same)
RACED = 4  # starting points that are tried out; the one that is lowest after that is followed to the end
HEAT = 15  # iterations of each trial
MAX_STEPS = 300  # iterations to the end
AT_BOUND = 1e-3  # of the searched width


Progress = Callable[[float, float], bool | None]  # share done 0..1, best objective so far -> True to go on or None


class Problem:
    """One law, its training runs, and which coefficients are free. Search coordinates are those of `Param.scale`."""

    def __init__(self, law: Law, runs: Sequence[Run], locked: Mapping[str, float]) -> None:
        unknown = set(locked) - set(law.names)
        if unknown:
            raise OptLawsError(
                f"{law.name} has no coefficient {sorted(unknown)[0]!r}. Its coefficients: {', '.join(law.names)}."
            )
        _check(law, locked)
        self.law, self.runs = law, list(runs)
        self.data: Batch = batch(law, [(r.plan, r.steps) for r in runs])
        self.log_loss = np.log(np.concatenate([r.loss for r in runs]))
        self.slices = self.data.slices
        sizes = {r.plan.params for r in runs}
        differs = {
            "peak": len({r.plan.schedule.peak for r in runs}) > 1,
            "params": len(sizes) > 1 and None not in sizes,
        }
        idle = {p.name: p.neutral for p in law.params if p.needs and not differs[p.needs]}
        self.fixed = idle | dict(locked)
        self.free = [i for i, p in enumerate(law.params) if p.name not in self.fixed]
        self.params = [law.params[i] for i in self.free]
        bounds = np.array([sorted((p.to_scale(p.low), p.to_scale(p.high))) for p in self.params]).reshape(-1, 2)
        self.low, self.high = bounds.T

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
            r, J = np.log(loss) - self.log_loss, jacobian[:, self.free] * slopes / loss[:, None]
        bad = ~(np.isfinite(r) & np.isfinite(J).all(axis=1))
        r[bad], J[bad] = 10.0, 0.0  # far beyond any loss ratio, so that the search turns back
        return r, J

    def cost(self, theta: FloatArray) -> float:
        """Σ Huber(log residual) at natural coefficients."""
        with np.errstate(all="ignore"):
            r = np.log(predict(self.data, theta)) - self.log_loss
        return huber(r)

    def search(self, start: Mapping[str, float] | None, progress: Progress | None) -> tuple[FloatArray, float, bool]:
        """Best free coefficients (search coordinates), their cost, and whether the search had converged there."""
        report = progress or (lambda share, best: None)
        if not self.free:
            cost = self.cost(self.natural(np.empty(0)))
            if not np.isfinite(cost):
                raise FitError(f"{self.law.title}: these coefficients give no finite losses on these runs.")
            return np.empty(0), cost, True
        if start is not None:
            _check(self.law, start)
            given = self.law.starts[0] | dict(start) | self.fixed
            starts = [self._coordinates(self._with_linear_part(given))]
        else:
            starts = self._ranked_starts()
        best, best_cost = None, np.inf
        for i, x in enumerate(starts if len(starts) > 1 else ()):
            told = functools.partial(self._told_trial, report, i, len(starts), best_cost)
            trial = self._descend(x, HEAT, told)
            if trial.cost < best_cost:
                best, best_cost = trial.x, trial.cost
        last = self._descend(
            starts[0] if best is None else best, MAX_STEPS, lambda n: report(_towards_one(n), best_cost)
        )
        if not np.isfinite(last.cost):
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.", last.x)
        report(1.0, last.cost)
        return last.x, float(last.cost), last.status > 0

    @staticmethod
    def _told_trial(report: Progress, i: int, trials: int, best_cost: float, iterations: int) -> bool | None:
        """Progress of trial `i`: the trials together are half of the work."""
        return report(0.5 * (i + iterations / HEAT) / trials, best_cost)

    def _ranked_starts(self) -> list[FloatArray]:
        """The most promising starting points, linear coefficients solved for."""
        found = []
        for given in self.law.starts:
            x = self._coordinates(self._with_linear_part(given | self.fixed))
            found.append((self.cost(self.natural(x)), len(found), x))
        found = sorted(f for f in found if np.isfinite(f[0]))
        if not found:
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.")
        return [x for _, _, x in found[:RACED]]

    def _coordinates(self, theta: FloatArray) -> FloatArray:
        """Search coordinates of the free coefficients in `theta` (params,), moved into the bounds."""
        inside = [p.to_scale(np.clip(theta[i], p.low, p.high)) for p, i in zip(self.params, self.free, strict=True)]
        return np.clip(inside, self.low, self.high)

    def _with_linear_part(self, given: Mapping[str, float]) -> FloatArray:
        """Coefficients (params,): the given ones, and the linear ones that fit best relative to the loss."""
        names = self.law.names
        theta = np.array([float(given.get(n, 0.0)) for n in names])
        solve = [i for i in self.free if names[i] in self.law.linear and names[i] not in given]
        if solve:
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

    def _descend(self, x0: FloatArray, most: int, report):
        """Trust-region least squares from `x0` in at most `most` iterations; `report` gets the number of those done."""
        memory: dict[bytes, tuple] = {}
        taken = 0

        def both(x):
            key = x.tobytes()
            if key not in memory:
                memory.clear()
                memory[key] = self.residuals(x)
            return memory[key]

        def after_step(intermediate_result) -> None:
            nonlocal taken
            taken += 1
            if report(min(taken, most)) is False:
                raise Cancelled

        inside = np.clip(x0, self.low + 1e-9 * (self.high - self.low), self.high - 1e-9 * (self.high - self.low))
        return least_squares(
            lambda x: both(x)[0],
            inside,
            jac=lambda x: both(x)[1],
            bounds=(self.low, self.high),
            loss="huber",
            f_scale=HUBER,
            x_scale="jac",
            ftol=1e-10,
            xtol=1e-10,
            gtol=1e-12,
            max_nfev=most,
            callback=after_step,
        )

    def verdict(self, x: FloatArray, finished: bool, interval) -> tuple[Status, str]:
        """How the search ended, and the sentence with the names of the coefficients concerned."""
        width = self.high - self.low
        on_bound = [
            p.name
            for p, v, lo, hi, w in zip(self.params, x, self.low, self.high, width, strict=True)
            if v - lo < AT_BOUND * w or hi - v < AT_BOUND * w
        ]
        if not self.free:
            return Status.tuned, Status.tuned.value
        if not finished:
            return Status.out_of_steps, Status.out_of_steps.value
        if on_bound:
            return Status.at_bound, f"{Status.at_bound.value} On its bound: {', '.join(on_bound)}."
        vague = [p.name for p in self.params if interval[p.name] is None]
        if vague:
            return Status.weak, f"{Status.weak.value} Hardly determined: {', '.join(vague)}."
        return Status.converged, Status.converged.value


def _check(law: Law, values: Mapping[str, float]) -> None:
    """Coefficients that someone gives must be inside the law's bounds. Raises `OptLawsError`."""
    for p in law.params:
        value = values.get(p.name)
        if value is not None and not p.low <= value <= p.high:  # NaN fails every comparison
            raise OptLawsError(f"{law.name}: {p.name} must lie between {p.low:g} and {p.high:g}, got {value:g}.")


def _towards_one(iterations: int) -> float:
    """A share of the work done when nobody knows how much there is: half of it for the trials, then ever slower."""
    return 0.5 + 0.5 * (1 - 0.98**iterations)


def huber(r: FloatArray) -> float:
    """Σ r²/2 where |r| ≤ δ, else δ(|r| − δ/2), with δ = `HUBER`; infinite if any residual is not finite."""
    size = np.abs(r)
    return (
        float(np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER)).sum())
        if np.isfinite(r).all()
        else np.inf
    )
