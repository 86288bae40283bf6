"""Laws fitted to runs. One call, `fit`; what comes back is a `Fit`.

A fit ends in one of three ways: `Fit` with a `Status` (usable, perhaps doubtful), `FitError` (nothing usable),
`OptLawsError` (the input was at fault). Runs are weighted by their points.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError
from ..laws import Law, law_named
from ..laws.base import bound_noise, eta, momentum_area
from ..laws.sums.clocks import trace
from ..parallel import one_thread
from ..runs import HIGHEST_LOSS, LOWEST_LOSS, Plan, Run, Series, unsettled
from ..text import listed
from . import peaks
from .covariance import Uncertainty, uncertainty
from .least_squares import HUBER, LeastSquares, Progress
from .loss_curves import curve, curves
from .priors import Informed, Prior, horizon_of, learned
from .result import ONE_RUN, Coverage, Fit, Scores, Status
from .under_prior import end_of_transient, posterior, ready

# Features by which a law without a history sum answers to a drop of the rate.
ANSWERS = {eta, bound_noise, momentum_area}
REACH = 100.0  # summed learning rate that the slowest part of a fixed spectrum, of rate 0.01, can follow
WINDOWS = 600  # losses of one run that the search uses; denser logs say hardly more, at a cost that grows with them
FINDS_BEGIN = "opt_laws_curve"  # the law whose fit tells where the transient of the first updates ends
Begins = Mapping[str, int | None]  # by run, the first step that counts; None: the end of its warm-up
CONTRADICTED = "The runs contradict the prior: their curves are unlike any that it was learned from, so add runs."


def usable(run: Run, from_step: int | None = None) -> Run:
    """`run` without its warm-up, or without what lies before `from_step`. Raises `DesignError` if nothing is left."""
    schedule = _plan(run).schedule
    if run.steps[-1] > schedule.total:
        raise DesignError(
            f"Run {run.name!r}: losses must end with the schedule at step {schedule.total:,}, "
            f"but the log goes on to step {int(run.steps[-1]):,}."
        )
    kept = run.after(schedule.warmup_end if from_step is None else from_step)
    if len(kept.loss) < 2:
        since = "after its warm-up" if from_step is None else f"from step {from_step:,} on"
        raise DesignError(f"Run {run.name!r} needs at least 2 losses {since}, got {len(kept.loss)}.")
    if not (fine := (kept.loss >= LOWEST_LOSS) & (kept.loss <= HIGHEST_LOSS)).all():
        at = int(np.argmin(fine))
        raise DesignError(
            f"Run {run.name!r}: losses must lie between {LOWEST_LOSS:g} and {HIGHEST_LOSS:g} to be fitted, the one at "
            f"step {int(kept.steps[at]):,} is {kept.loss[at]:g}."
        )
    return kept


def doubts(law: Law, runs: Sequence[Run], informed: bool = False) -> list[str]:
    """Sentences on why these training runs may not identify `law`; empty when nothing is wrong.

    informed: whether the law is fitted under a prior, which tells what one run or one shape does not.
    """
    found = []
    if len(runs) == 1 and not informed:
        found.append(ONE_RUN)
    elif len({_shape(r) for r in runs}) == 1 and not informed and (law.sums or ANSWERS & set(law.features)):
        found.append(
            f"All {len(runs)} training runs have one schedule shape, so how the loss answers to a drop of the rate is "
            "not identified: add a run with an abrupt drop (a step or a WSD cooldown)."
        )
    if law.ridge:
        schedules = [_plan(r).schedule for r in runs]
        longest = max(float(trace(s).S(s.total - 1)) for s in schedules)
        if longest > REACH:
            found.append(
                f"{law.title} has parts down to a rate of 0.01 and suits summed learning rates up to about {REACH:g}; "
                f"these runs reach {longest:.3g}."
            )
    points = sum(len(r.loss) for r in runs)
    coefficients = sum(not p.weight for p in law.params)  # weights under a ridge need no points of their own
    if points < 3 * coefficients and not informed:
        found.append(
            f"{points} points are few for {coefficients} coefficients: three per coefficient is a sensible minimum."
        )
    return [*found, *unsettled(runs)]


def _plan(run: Run) -> Plan:
    """The plan of a run. Raises `DesignError` where nothing tells its learning rate."""
    if run.plan is None:
        raise DesignError(f"Run {run.name!r} has no learning rate, logged or declared; declare its schedule first.")
    return run.plan


def _shape(run: Run) -> str:
    schedule = _plan(run).schedule
    return f"wsd {getattr(schedule, 'shape', '')}" if schedule.family == "wsd" else schedule.family


@one_thread()
def fit(
    law: Law | str,
    runs: Sequence[Run],
    *,
    test: Sequence[Run] = (),
    locked: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    from_step: int | None = None,
    begins: Begins | None = None,
    prior: Prior | None = None,
    horizon: int | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Fit `law` to `runs` and score it on `test` as well.

    locked: coefficients held at the given values. start: begin there only, instead of at the law's own starting points;
    a prior has its own.
    from_step: first step whose loss counts; by default the end of each run's warm-up, and with a prior the end of the
    transient, found from the curves. begins: the latter, where `first_fitted` has told it already. prior: what is known
    of the coefficients beforehand, see `fitting.priors.learned`. horizon: with a prior, updates of the schedules that
    are to be compared; runs count the less the farther their last logged loss is from it, so that a choice between long
    schedules does not hang on what a law leaves over on short runs.
    Raises `DesignError` for unusable runs, a horizon without a prior and one that is no number of updates, `FitError`
    when no start gives finite losses, `Cancelled` from `progress`.
    """
    began = time.perf_counter()
    law = law_named(law) if isinstance(law, str) else law
    check_unique(runs, test)
    horizon = checked_horizon(horizon, () if prior else (law.name,))
    if begins is None:
        begins = first_fitted(runs) if prior is not None and from_step is None else {}
    begin = max((b for r in runs if (b := begins.get(r.name)) is not None), default=None)
    first = begin if from_step is None else from_step
    train = [usable(r, begins.get(r.name) if from_step is None else from_step) for r in runs]
    if prior is None:
        problem = LeastSquares(law, [averaged(r) for r in train], dict(locked or {}))
        x, _, finished = problem.search(start, progress)
        found = finish(problem, x, finished, uncertainty(problem, x, HUBER), train, test, first)
    else:
        # In an order of their own, so that neither names nor the order of the files decide anything.
        ready(law, train, train)
        end = posterior(law, in_order(train), dict(locked or {}), prior, progress, horizon=horizon)
        several = peaks.apart(runs)
        power = peaks.POWER if len(several) == 1 else 1.0
        found = finish(end.problem, end.x, end.finished, end.known, train, test, first, end.informed, power)
        if len(several) > 1:
            alone = partial(
                fit,
                law,
                locked=locked,
                from_step=from_step,
                begins=begins,
                prior=prior,
                horizon=horizon,
                progress=progress,
            )
            found = _with_peaks(found, [alone(some) for some in several], train, [usable(r, first) for r in test])
        elif end.informed.contradicted:
            found = replace(found, message=f"{found.message} {CONTRADICTED}")
    taken = time.perf_counter() - began
    return replace(found, locked=tuple(locked or ()), from_step=from_step, begin=begin, seconds=taken)


def _with_peaks(found: Fit, own: Sequence[Fit], train: Sequence[Run], test: Sequence[Run]) -> Fit:
    """A fit to runs of several peak rates, with those to each peak alone, scored as schedules are predicted then."""
    squares = [(f.misfit or 0.0) ** 2 * len(f.train) for f in own]
    found = replace(found, by_peak=tuple(own), misfit=float(np.sqrt(sum(squares) / len(train))))
    doubtful = CONTRADICTED if any(f.informed and f.informed.contradicted for f in own) else ""
    scores = ({r.name: Scores.of(r.loss, predicted(found, r)) for r in runs} for runs in (train, test))
    on_train, on_test = scores
    return replace(found, train=on_train, test=on_test, message=f"{found.message} {doubtful}".rstrip())


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs in an order that only what they are decides, not their names or how they came in."""
    return sorted(runs, key=lambda r: (r.known_plan.schedule.text, len(r.loss), r.loss.tobytes()))


@one_thread()
def first_fitted(runs: Sequence[Run]) -> Begins:
    """First step fitted of each run under a prior, the end of the transient at its peak rate. Raises like `fit`."""
    law = law_named(FINDS_BEGIN)
    known = learned(law)
    assert known is not None  # shipped with the package
    found: dict[str, int | None] = {}
    for some in peaks.apart([usable(r) for r in runs]):
        begin = end_of_transient(law, in_order(some), known)
        found |= {r.name: begin for r in some}
    return found


def check_unique(runs: Sequence[Run], test: Sequence[Run]) -> None:
    """Raises `DesignError` when there is no training run, or when a run is given twice for one purpose."""
    if not runs:
        raise DesignError("A fit needs at least one training run, got none.")
    for kind in (runs, test):
        twice = [name for name, n in Counter(r.name for r in kind).items() if n > 1]
        if twice:
            raise DesignError(f"Run {twice[0]!r} is given twice; a run counts once.")


def checked_horizon(horizon: int | None, without: Sequence[str]) -> int | None:
    """`horizon` as an int. Raises `DesignError` where it is no number of updates; without: laws that have no prior."""
    if horizon is None:
        return None
    if without:
        raise DesignError(
            "A horizon says how much runs of other lengths count beside a prior, and none is given for "
            f"{listed(without)}; leave the horizon out, or take only laws that have one."
        )
    return horizon_of(horizon)


def finish(
    problem: LeastSquares,
    x: FloatArray,
    finished: bool,
    known: Uncertainty,
    train: Sequence[Run],
    test: Sequence[Run],
    from_step: int | None,
    informed: Informed | None = None,
    peak_power: float = 1.0,
) -> Fit:
    """The `Fit` of a search that ended at `x` (free,), scored on its usable training runs and on the held-out ones."""
    law, theta = problem.law, problem.natural(x)
    off, _ = problem.residuals(x)
    # The ridge settles which of several neighbouring weights is used; an interval of one would say nothing.
    interval = dict(known.interval) | {p.name: None for p in law.params if p.weight}
    status, message = problem.verdict(x, finished, interval)
    found = Fit(
        law=law.name,
        theta=dict(zip(law.names, map(float, theta), strict=True)),
        interval=interval,
        status=status,
        message=" ".join((message, *_windows(train), *doubts(law, train, informed is not None))),
        objective=problem.cost(theta),
        train=score(law, theta, train),
        coverage=Coverage.of(train),
        split=train[0].split,
        from_step=from_step,
        free=tuple(p.name for p in problem.params),
        covariance=() if known.covariance is None else tuple(map(tuple, known.covariance.tolist())),
        misfit=rms([off[part] for part in problem.slices]),
        informed=informed,
        peak_power=peak_power,
    )
    return replace(found, test=_scored(found, [usable(r, from_step) for r in test]))


def _scored(found: Fit, runs: Sequence[Run]) -> dict[str, Scores]:
    """Scores of runs under a fit alone, by name."""
    return score(law_named(found.law), found.vector, [replace(r, plan=found.seen(r.known_plan)) for r in runs])


def rms(errors: Sequence[FloatArray]) -> float:
    """Root mean square of log errors, (n_i,) for each run; each run counts the same."""
    return float(np.sqrt(np.mean([np.mean(e**2) for e in errors])))


def tuned(base: Fit, theta: Mapping[str, float], runs: Sequence[Run], test: Sequence[Run] = ()) -> Fit:
    """`base` with coefficients set by hand, scored on the same runs."""
    law = law_named(base.law)
    runs = [usable(r, base.first_step) for r in runs]
    theta = law.complete(theta)
    vector = law.vector(theta)
    found = Fit(
        law=base.law,
        theta=theta,
        interval=dict.fromkeys(theta),
        status=Status.tuned,
        message=Status.tuned.value,
        objective=LeastSquares(law, [averaged(r) for r in runs], {}).cost(vector),
        train=score(law, vector, runs),
        coverage=base.coverage,
        split=base.split,
        from_step=base.from_step,
        begin=base.begin,
        peak_power=base.peak_power,
    )
    return replace(found, test=_scored(found, [usable(r, base.first_step) for r in test]))


def score(law: Law, theta: FloatArray, runs: Sequence[Run]) -> dict[str, Scores]:
    """Scores of each run, by name."""
    losses = curves(law, theta, runs)
    return {r.name: Scores.of(r.loss, found) for r, found in zip(runs, losses, strict=True)}


def predicted(found: Fit, run: Run) -> FloatArray:
    """Losses that a fit predicts at every observed step of a run, (n,)."""
    parts = found.parts_at(run.known_plan.schedule.peak)
    law = law_named(found.law)
    told = [(w, f.vector, replace(run, plan=f.seen(run.known_plan))) for f, w in parts]
    if len(told) == 1:
        return curve(law, *told[0][1:])
    with np.errstate(all="ignore"):
        return np.exp(sum(w * np.log(curve(law, vector, shown)) for w, vector, shown in told))


def averaged(run: Run) -> Run:
    """`run` with at most `WINDOWS` losses: means over windows of equally many, each at its middle step."""
    n = len(run.loss)
    if n <= WINDOWS:
        return run
    edges = np.linspace(0, n, WINDOWS + 1).astype(np.int64)
    loss = np.add.reduceat(run.loss, edges[:-1]) / np.diff(edges)
    return replace(run, series={run.split: Series(run.steps[(edges[:-1] + edges[1:]) // 2], loss)})


# What `_windows` says, which speaks against no fit.
WINDOWED = re.compile(
    r"\s*Losses of [^.]*? were averaged over \d+ windows for the search; the errors count every point\."
)


def _windows(runs: Sequence[Run]) -> list[str]:
    """A sentence on runs that were averaged for the search."""
    dense = [r for r in runs if len(r.loss) > WINDOWS]
    if not dense:
        return []
    which = "every run" if len(dense) == len(runs) else f"{len(dense)} of {len(runs)} runs"
    return [f"Losses of {which} were averaged over {WINDOWS} windows for the search; the errors count every point."]
