"""Laws fitted to runs. One call, `fit`; what comes back is a `Fit`.

A fit ends in one of three ways: `Fit` with a `Status` (usable, perhaps doubtful), `FitError` (nothing usable),
`OptLawsError` (the input was at fault). Runs are weighted by their points.
"""

import time
from collections.abc import Mapping, Sequence

from .errors import DesignError
from .evaluation import batch, predict
from .fits import Coverage, Fit, Scores, Status
from .laws import Law, law_named
from .runs import Run
from .schedules.base import FloatArray
from .search import HUBER, Problem, Progress
from .uncertainty import intervals


def usable(run: Run, from_step: int | None = None) -> Run:
    """`run` without its warm-up, or without what lies before `from_step`. Raises `DesignError` if nothing is left."""
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    if run.steps[-1] > run.plan.schedule.total:
        raise DesignError(
            f"Run {run.name!r}: losses must end with the schedule at step {run.plan.schedule.total:,}, "
            f"but the log goes on to step {int(run.steps[-1]):,}."
        )
    kept = run.after(run.plan.schedule.warmup_end if from_step is None else from_step)
    if len(kept.loss) < 2:
        raise DesignError(f"Run {run.name!r} needs at least 2 losses after its warm-up, got {len(kept.loss)}.")
    if (kept.loss <= 0).any():
        at = int(kept.steps[kept.loss <= 0][0])
        raise DesignError(f"Run {run.name!r}: losses must be above 0 to be fitted, the one at step {at:,} is not.")
    return kept


def doubts(law: Law, runs: Sequence[Run]) -> list[str]:
    """Sentences on why these training runs may not identify `law`; empty when nothing is wrong."""
    found = []
    if len(runs) == 1:
        found.append(
            "One training run cannot tell the effect of the schedule from that of time: add runs with other schedules."
        )
    elif len({_shape(r) for r in runs}) == 1 and law.sums:
        found.append(
            f"All {len(runs)} training runs have one schedule shape, so how the loss answers to a drop of the rate is "
            "not identified: add a run with an abrupt drop (a step or a WSD cooldown)."
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
        split=runs[0].split,
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
        split=base.split,
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
