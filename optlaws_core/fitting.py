"""Laws fitted to runs: Huber loss on log residuals, exact Jacobians, deterministic multi-start.

The linear coefficients of a law are solved for at every starting point, so only the few others need a grid. Runs are
weighted by their points. A fit ends in one of three ways: `Fit` with a `Status` (usable, perhaps doubtful), `FitError`
(nothing usable), `OptLawsError` (the input was at fault).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from scipy.optimize import least_squares, lsq_linear

from .errors import DesignError, FitError, OptLawsError
from .evaluation import Batch, batch, predict, predict_with_jacobian
from .laws import Law, law_named
from .runs import Plan, Run
from .schedules import Knots
from .schedules.base import FloatArray
from .uncertainty import intervals

HUBER = 1e-3  # log residuals beyond 0.1 % count linearly (Luo et al. 2025, arXiv:2503.12811, use the same)
POLISHED = 3  # starting points that are followed to the end
MAX_STEPS = 300  # iterations for each
AT_BOUND = 1e-3  # of the searched width


class Status(Enum):
    """How a fit ended; the value is the sentence that the user reads."""

    converged = "Converged."
    at_bound = (
        "Converged with a coefficient on its bound, so the optimum may lie outside or the runs do not determine it."
    )
    out_of_steps = "Stopped before converging; these are the best coefficients seen."
    weak = "Converged, but the runs hardly determine some coefficients; trust the curves more than the coefficients."
    tuned = "Set by hand, not fitted."


@dataclass(frozen=True)
class Scores:
    """Errors of a law on one run: observed minus predicted, in the loss's unit; relative ones as fractions of the loss."""

    n: int
    mae: float
    rmse: float
    r2: float
    mean_rel: float
    worst_rel: float

    @classmethod
    def of(cls, observed: FloatArray, predicted: FloatArray) -> "Scores":
        """Scores of predicted against observed losses, both (n,)."""
        error, relative = observed - predicted, np.abs(observed - predicted) / observed
        spread = float(((observed - observed.mean()) ** 2).sum())
        r2 = 1 - float((error**2).sum()) / spread if spread > 0 else float("nan")
        rmse = float(np.sqrt((error**2).mean()))
        return cls(len(error), float(np.abs(error).mean()), rmse, r2, float(relative.mean()), float(relative.max()))


@dataclass(frozen=True)
class Coverage:
    """What the training runs cover; predictions beyond are extrapolation."""

    peak: tuple[float, float]
    total: tuple[int, int]

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> "Coverage":
        """Smallest and largest peak and horizon of `plans`."""
        peaks, totals = [p.schedule.peak for p in plans], [p.schedule.total for p in plans]
        return cls((min(peaks), max(peaks)), (min(totals), max(totals)))


@dataclass(frozen=True)
class Fit:
    """A law with coefficients, and how far to trust them. `law` is a name, so that a fit can be stored and compared."""

    law: str
    theta: Mapping[str, float]
    interval: Mapping[str, tuple[float, float] | None]  # 90 %; None where locked, on a bound or undetermined
    status: Status
    message: str
    objective: float  # Σ Huber(log residual) over all training points
    train: Mapping[str, Scores]
    coverage: Coverage
    test: Mapping[str, Scores] = field(default_factory=dict)
    locked: tuple[str, ...] = ()
    from_step: int | None = None  # observations before it were left out; None: before the end of each warm-up
    seconds: float = 0.0

    @property
    def vector(self) -> FloatArray:
        """Coefficients in the law's order."""
        return law_named(self.law).vector(self.theta)

    @property
    def held_out_rmse(self) -> float | None:
        """Mean over held-out runs of their RMSE, or None without any."""
        return float(np.mean([s.rmse for s in self.test.values()])) if self.test else None


class Cancelled(Exception):
    """The progress callback asked to stop."""


Progress = Callable[[float, float], bool | None]  # share done 0..1, best objective so far -> True to go on or None


def ramp_end(schedule) -> int:
    """First step after the warm-up. For a logged curve: the step that first comes within 1 % of the peak, if the rate only rises until there."""
    if schedule.warmup or not isinstance(schedule, Knots):
        return schedule.warmup
    top = next(i for i, v in enumerate(schedule.values) if v >= 0.99 * schedule.peak)
    rising = all(b >= a for a, b in zip(schedule.values[:top], schedule.values[1 : top + 1], strict=True))
    return schedule.steps[top] if rising and schedule.values[0] < 0.5 * schedule.peak else 0


def usable(run: Run, from_step: int | None = None) -> Run:
    """`run` without its warm-up (or without what lies before `from_step`). Raises `DesignError` when too little is left."""
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    if run.steps[-1] > run.plan.schedule.total:
        raise DesignError(
            f"Run {run.name!r}: losses must end with the schedule at step {run.plan.schedule.total:,}, "
            f"but the log goes on to step {int(run.steps[-1]):,}."
        )
    kept = run.after(ramp_end(run.plan.schedule) if from_step is None else from_step)
    if len(kept.loss) < 2:
        raise DesignError(f"Run {run.name!r} needs at least 2 losses after its warm-up, got {len(kept.loss)}.")
    if (kept.loss <= 0).any():
        at = int(kept.steps[kept.loss <= 0][0])
        raise DesignError(
            f"Run {run.name!r}: losses must be above 0 for a fit of log residuals, got one at step {at:,} that is not."
        )
    return kept


def doubts(law: Law, runs: Sequence[Run]) -> list[str]:
    """Sentences on why these training runs may not identify `law`; empty when nothing is wrong."""
    found = []
    if len(runs) == 1:
        found.append(
            "One training run cannot tell the effect of the schedule from the effect of time: add runs with other schedules."
        )
    elif len({_shape(r) for r in runs}) == 1 and law.sums:
        found.append(
            f"All {len(runs)} training runs have one schedule shape, so how the loss answers to a drop of the rate is not identified: "
            "add a run with an abrupt drop (a step or a WSD cooldown)."
        )
    points = sum(len(r.loss) for r in runs)
    if points < 3 * len(law.params):
        found.append(
            f"{points} points are few for {len(law.params)} coefficients: three a coefficient is a sensible minimum."
        )
    return found


def _shape(run: Run) -> str:
    schedule = run.plan.schedule
    return schedule.family if schedule.family != "wsd" else f"wsd {schedule.shape}"


def fit(
    law: Law | str,
    runs: Sequence[Run],
    *,
    test: Sequence[Run] = (),
    locked: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    from_step: int | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Fit `law` to `runs` and score it on `test` as well.

    locked: coefficients held at the given values. start: begin there only, instead of at the law's own starting points.
    from_step: first step whose loss counts; by default the end of each run's warm-up.
    Raises `DesignError` for unusable runs, `FitError` when no start gives finite losses, `Cancelled` from `progress`.
    """
    began = time.perf_counter()
    law = law_named(law) if isinstance(law, str) else law
    if not runs:
        raise DesignError("A fit needs at least one training run, got none.")
    problem = Problem(law, [usable(r, from_step) for r in runs], dict(locked or {}))
    x, cost, finished = problem.search(start, progress)
    theta = problem.natural(x)
    interval = intervals(problem, x, HUBER)
    status, message = problem.verdict(x, finished, interval)
    return Fit(
        law=law.name,
        theta=dict(zip(law.names, map(float, theta), strict=True)),
        interval=interval,
        status=status,
        message=" ".join((message, *doubts(law, problem.runs))),
        objective=cost,
        train=score(law, theta, problem.runs),
        coverage=Coverage.of([r.plan for r in problem.runs]),
        test=score(law, theta, [usable(r, from_step) for r in test]),
        locked=tuple(locked or ()),
        from_step=from_step,
        seconds=time.perf_counter() - began,
    )


def tuned(base: Fit, theta: Mapping[str, float], runs: Sequence[Run], test: Sequence[Run] = ()) -> Fit:
    """`base` with coefficients set by hand, scored on the same runs."""
    law = law_named(base.law)
    runs = [usable(r, base.from_step) for r in runs]
    vector = law.vector(theta)
    return Fit(
        law=base.law,
        theta=dict(theta),
        interval=dict.fromkeys(theta),
        status=Status.tuned,
        message=Status.tuned.value,
        objective=Problem(law, runs, {}).cost(vector),
        train=score(law, vector, runs),
        coverage=base.coverage,
        test=score(law, vector, [usable(r, base.from_step) for r in test]),
        from_step=base.from_step,
    )


def score(law: Law, theta: FloatArray, runs: Sequence[Run]) -> dict[str, Scores]:
    """Scores of each run, by name."""
    if not runs:
        return {}
    data = batch(law, [(r.plan, r.steps) for r in runs])
    predicted = predict(data, theta)
    return {r.name: Scores.of(r.loss, predicted[s]) for r, s in zip(runs, data.slices, strict=True)}


class Problem:
    """One law, its training runs, and which coefficients are free. Search coordinates are those of `Param.scale`."""

    def __init__(self, law: Law, runs: Sequence[Run], locked: Mapping[str, float]) -> None:
        unknown = set(locked) - set(law.names)
        if unknown:
            raise OptLawsError(
                f"{law.name} has no coefficient {sorted(unknown)[0]!r}. Its coefficients: {', '.join(law.names)}."
            )
        self.law, self.runs = law, list(runs)
        self.data: Batch = batch(law, [(r.plan, r.steps) for r in runs])
        self.log_loss = np.log(np.concatenate([r.loss for r in runs]))
        self.slices = self.data.slices
        peaks = {r.plan.schedule.peak for r in runs}
        idle = {p.name: p.neutral for p in law.params if p.needs == "peak" and len(peaks) == 1}
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
            return np.empty(0), self.cost(self.natural(np.empty(0))), True
        if start is not None:
            x = np.array([p.to_scale(np.clip(start[p.name], p.low, p.high)) for p in self.params])
            starts = [np.clip(x, self.low, self.high)]
        else:
            starts = self._ranked_starts()
        best, best_cost, converged = None, np.inf, False
        for i, x0 in enumerate(starts):
            found = self._descend(x0, lambda inner, i=i: report((i + inner) / len(starts), best_cost))
            if found.cost < best_cost:
                best, best_cost, converged = found.x, found.cost, found.status > 0
        if best is None or not np.isfinite(best_cost):
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.", best)
        report(1.0, best_cost)
        return best, best_cost, converged

    def _ranked_starts(self) -> list[FloatArray]:
        """The most promising starting points, linear coefficients solved for."""
        lowest = float(np.exp(self.log_loss.min()))
        found = []
        for given in self.law.starts(lowest):
            theta = self._with_linear_part(given | self.fixed)
            x = np.array(
                [p.to_scale(np.clip(theta[i], p.low, p.high)) for p, i in zip(self.params, self.free, strict=True)]
            )
            x = np.clip(x, self.low, self.high)
            found.append((self.cost(self.natural(x)), len(found), x))
        found = sorted(f for f in found if np.isfinite(f[0]))
        if not found:
            raise FitError(f"{self.law.title}: no starting point gave finite losses on these runs.")
        return [x for _, _, x in found[:POLISHED]]

    def _with_linear_part(self, given: Mapping[str, float]) -> FloatArray:
        """Coefficients (params,): the given ones, and the linear ones that fit best relative to the loss, inside their bounds."""
        names = self.law.names
        theta = np.array([float(given.get(n, 0.0)) for n in names])
        solve = [i for i in self.free if names[i] in self.law.linear and names[i] not in given]
        if solve:
            offset, columns = predict_with_jacobian(self.data, theta)
            loss = np.exp(self.log_loss)
            A, b = columns[:, solve] / loss[:, None], 1 - offset / loss
            size = np.linalg.norm(A, axis=0)
            size[size == 0] = 1.0
            low, high = np.array([(self.law.params[i].low, self.law.params[i].high) for i in solve]).T
            theta[solve] = lsq_linear(A / size, b, (low * size, high * size), method="bvls").x / size
        return theta

    def _descend(self, x0: FloatArray, report):
        """Trust-region least squares from `x0`; `report` gets the share of iterations used."""
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
            if report(min(taken / MAX_STEPS, 1.0)) is False:
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
            max_nfev=MAX_STEPS,
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
        if not finished:
            return Status.out_of_steps, Status.out_of_steps.value
        if on_bound:
            return Status.at_bound, f"{Status.at_bound.value} On its bound: {', '.join(on_bound)}."
        vague = [p.name for p in self.params if interval[p.name] is None]
        if vague:
            return Status.weak, f"{Status.weak.value} Hardly determined: {', '.join(vague)}."
        return Status.converged, Status.converged.value


def huber(r: FloatArray) -> float:
    """Σ r²/2 where |r| ≤ δ, else δ(|r| − δ/2), with δ = `HUBER`; infinite if any residual is not finite."""
    size = np.abs(r)
    return (
        float(np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER)).sum())
        if np.isfinite(r).all()
        else np.inf
    )
