"""Which law to trust: several laws fitted to the same runs, judged on training runs that were left out, and averaged.

Leave-one-run-out: each training run is predicted by the law fitted to the others, so that every law is judged on
schedules it has not seen; runs of one schedule are left out together. Weights of the average minimise the squared log
errors of the averaged prediction, on the runs that were left out and on the fitted ones together (stacking: Wolpert
1992; Breiman 1996), pulled towards equal weights, since a few runs say little about them. Nothing here looks at a
held-out run.

A law's fit to two runs of three says more about a poorer design than about the law's own errors: on its own,
leave-one-run-out prefers laws with few coefficients that fit nothing well. That is why the misfit counts beside it.
"""

import functools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, FitError, OptLawsError
from ..laws import LAWS, law_named
from ..parallel import Report, map_tasks
from ..runs import Run
from ..text import relative_error
from . import fit_shown
from .priors import Prior
from .result import Average, Fit, Model, Scores, Status
from .single import (
    Begins,
    averaged,
    check_unique,
    checked_horizon,
    doubts,
    first_fitted,
    fit,
    in_order,
    predicted,
    rms,
    usable,
)

if TYPE_CHECKING:
    import pandas as pd

POOL = ("opt_laws_sublinear", "opt_laws_curve")  # averaged unless others are asked for
SHRINKAGE = 0.1  # pull of the weights towards equal ones, in units of the best law's mean squared error
LARGEST_ERROR = 0.5  # log error of a law without a finite loss; in the weights no error counts for more
NEGLIGIBLE = 0.005  # weights up to it would be shown as 0 %


@dataclass(frozen=True)
class Selection:
    """Laws fitted to one set of training runs, the most trusted first, and their average."""

    fits: tuple[Fit, ...]
    average: Average | None  # None where fewer than two laws of the pool could be fitted
    failed: Mapping[str, str]  # law -> why it could not be fitted
    trusted: Model  # the average or the fit that the advice is for
    advice: str  # which to trust and why, for the user

    def __getitem__(self, law: str) -> Fit:
        return next(f for f in self.fits if f.law == law)

    def __repr__(self) -> str:
        return fit_shown.line_of_selection(self)

    def _repr_html_(self) -> str:
        return fit_shown.html_of_selection(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row a law, the most trusted first: as `Average.to_frame`; of one that failed, its status says why."""
        return fit_shown.law_frame(self.fits, fit_shown.weights_of(self), self.failed)

    def to_latex(self, caption: str = "", label: str = "") -> str:
        """The laws, their errors and weights as a table for a paper (booktabs)."""
        return fit_shown.laws(self.fits, fit_shown.weights_of(self), self.failed).latex(caption, label)

    def plot(self, runs: Iterable[Run]) -> Any:
        """Observed losses of `runs`, faint, and what the trusted model says, as a plotly `Figure`. Extra `figures`.

        Runs that the trusted model was not fitted to are dashed. Raises like `predict`.
        """
        from ..figures.of_records import of_model

        return of_model(self.trusted, runs)


@dataclass(frozen=True)
class _Part:
    """A law fitted to all training runs or all but some, and its log errors (n,) on each run that it is judged by."""

    fit: Fit
    errors: tuple[FloatArray, ...]


Left = Mapping[tuple[int, ...], _Part | str]  # places of the runs that were left out -> the fit without them


def select(
    laws: Sequence[str],
    runs: Sequence[Run],
    *,
    test: Sequence[Run] = (),
    from_step: int | None = None,
    pool: Sequence[str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    horizon: int | None = None,
    cluster: str | None = None,
    processes: int | None = None,
    progress: Report | None = None,
) -> Selection:
    """Fit every one of `laws` to `runs`, and to all but one schedule's in turn; score on `test`, which decides nothing.

    pool: laws to average; by default those of `POOL` that are among `laws`, or all of `laws` if none is.
    priors: by law, what is known of its coefficients beforehand. With any, losses count from the end of the transient
    on unless `from_step` says otherwise, for all laws alike; laws with priors are averaged with equal weights.
    horizon: as for `fit`, where every law has a prior.
    cluster, processes, progress: as for `parallel.map_tasks`. A law that cannot be fitted is named in `failed`.
    Raises `DesignError` for unusable runs and for a horizon where a law has no prior, `FitError` when no law could be
    fitted.
    """
    names, runs, test = [law_named(law).name for law in dict.fromkeys(laws)], list(runs), list(test)
    if not names:
        raise DesignError("Name at least one law to fit, got none.")
    pooled = _pooled(names, pool)
    check_unique(runs, test)
    told = dict(priors or {})
    horizon = checked_horizon(horizon, [name for name in names if name not in told])
    begins = first_fitted(runs) if told and from_step is None else {}
    # A search ends elsewhere in its last digits when its runs come in another order.
    train = in_order([usable(r, begins.get(r.name) if from_step is None else from_step) for r in runs])
    latest = max((b for b in begins.values() if b is not None), default=None)
    held_out = [usable(r, latest if from_step is None else from_step) for r in test]
    groups = _groups(train)
    outs = [None, *(groups if len(groups) > 1 else ())]
    tasks = [(name, out) for out in outs for name in names]
    fixed, judged = tuple(train), tuple(held_out)
    work = functools.partial(
        _fitted, runs=fixed, test=judged, from_step=from_step, begins=begins, priors=told, horizon=horizon
    )
    parts = dict(
        zip(tasks, map_tasks(work, tasks, cluster=cluster, processes=processes, progress=progress), strict=True)
    )
    failed = {name: parts[name, None] for name in names if isinstance(parts[name, None], str)}
    if len(failed) == len(names):
        raise FitError(" ".join(dict.fromkeys(failed.values())))
    whole = {name: parts[name, None] for name in names if name not in failed}
    left_out = {name: {out: parts[name, out] for out in outs[1:]} for name in whole}
    given = [r.name for r in runs]
    fits = {name: _judged(part, left_out[name], given) for name, part in whole.items()}
    wanted = [name for name in pooled if name in fits]
    average = None
    if len(wanted) > 1:
        train.sort(key=lambda r: given.index(r.name))
        average = _averaged(
            [fits[n] for n in wanted], [whole[n] for n in wanted], [left_out[n] for n in wanted], train, held_out
        )
    ranked = tuple(sorted(fits.values(), key=lambda f: f.expected_error))
    return Selection(ranked, average, failed, *_advice(ranked, average, train, len(groups)))


def _groups(runs: Sequence[Run]) -> list[tuple[int, ...]]:
    """Places of the runs of each plan: repeats of one schedule say nothing about another."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        found[run.plan].append(i)
    return list(map(tuple, found.values()))


def _pooled(names: Sequence[str], pool: Sequence[str] | None) -> list[str]:
    """Laws to average, each once. Raises `DesignError` for one that is not fitted."""
    if pool is None:
        return [n for n in POOL if n in names] or list(names)
    for name in pool:
        if law_named(name).name not in names:
            raise DesignError(f"Laws to average must be among those that are fitted ({', '.join(names)}), got {name}.")
    wanted = list(dict.fromkeys(pool))
    if len(wanted) == 1:
        raise DesignError(f"An average needs at least two laws, got {wanted[0]} alone.")
    return wanted


def _fitted(
    task: tuple[str, tuple[int, ...] | None],
    *,
    runs: Sequence[Run],
    test: Sequence[Run],
    from_step: int | None,
    begins: Begins,
    priors: Mapping[str, Prior],
    horizon: int | None,
):
    """One fit of `select`: a `_Part`, or why it could not be made."""
    name, out = task
    kept = [r for i, r in enumerate(runs) if i not in (out or ())]
    law, prior = law_named(name), priors.get(name)
    try:
        found = fit(law, kept, from_step=from_step, begins=begins, prior=prior, horizon=horizon)
    except (FitError, OptLawsError) as fault:
        return str(fault)
    if out is None:
        found = _scored(found, test)
    judged = runs if out is None else [runs[i] for i in out]
    return _Part(found, tuple(_log_errors(found, averaged(r)) for r in judged))


def _scored(found: Fit, test: Sequence[Run]) -> Fit:
    """`found` with its scores on held-out runs. One that the law cannot tell of is named; it fails no law."""
    scores: dict[str, Scores] = {}
    message = found.message
    for run in test:
        try:
            scores[run.name] = Scores.of(run.loss, predicted(found, run))
        except OptLawsError as fault:
            message += f" Not scored on {run.name!r}: {fault}"
    return replace(found, test=scores, message=message)


def _log_errors(found: Fit, run: Run) -> FloatArray:
    """log predicted − log observed, (n,): a law without a finite loss above 0 is wrong there, not infinitely so."""
    with np.errstate(all="ignore"):
        e = np.log(predicted(found, run)) - np.log(run.loss)
    return np.nan_to_num(e, nan=LARGEST_ERROR, posinf=LARGEST_ERROR, neginf=-LARGEST_ERROR)


def _left_errors(left: Left, runs: Sequence[FloatArray]) -> list[FloatArray]:
    """Errors on each run when it was left out; `LARGEST_ERROR` throughout where no fit without it could be made."""
    found = [np.full_like(e, LARGEST_ERROR) for e in runs]
    for out, part in left.items():
        if isinstance(part, _Part):
            for i, errors in zip(out, part.errors, strict=True):
                found[i] = errors
    return found


def _judged(whole: _Part, left: Left, order: Sequence[str]) -> Fit:
    """The fit with its error on left-out runs, and its scores in the order in which the runs were given."""
    known = rms(_left_errors(left, whole.errors)) if left else None
    return replace(whole.fit, left_out=known, train={name: whole.fit.train[name] for name in order})


def _averaged(
    fits: Sequence[Fit], wholes: Sequence[_Part], lefts: Sequence[Left], train: Sequence[Run], test: Sequence[Run]
) -> Average:
    """The average of fits, its weights, and its own errors."""
    inside = [part.errors for part in wholes]
    outside = [_left_errors(left, part.errors) if left else () for left, part in zip(lefts, wholes, strict=True)]
    # A handful of runs cannot tell which of two laws is the better one; their priors come from hundreds.
    informed = all(f.informed for f in fits)
    weights = np.full(len(fits), 1 / len(fits)) if informed else stacked(inside, outside)
    mixed = [sum(w * e for w, e in zip(weights, errors, strict=True)) for errors in zip(*inside, strict=True)]
    mixed_out = [sum(w * e for w, e in zip(weights, errors, strict=True)) for errors in zip(*outside, strict=True)]
    scored = [r for r in test if all(r.name in f.test for f in fits)]
    on_train, on_test = (
        {r.name: Scores.of(r.loss, _mixed(fits, weights, r)) for r in some} for some in (train, scored)
    )
    left_out = rms(mixed_out) if mixed_out else None
    return Average(tuple(fits), tuple(map(float, weights)), on_train, on_test, rms(mixed), left_out)


def _mixed(fits: Sequence[Fit], weights: FloatArray, run: Run) -> FloatArray:
    """The average's losses at every observed step of a run, (n,)."""
    return run.loss * np.exp(sum(w * _log_errors(f, run) for f, w in zip(fits, weights, strict=True)))


def stacked(inside: Sequence[Sequence[FloatArray]], outside: Sequence[Sequence[FloatArray]]) -> FloatArray:
    """Weights (laws,), none below 0, of sum 1, from log errors by law and run: on fitted runs, and on left-out ones."""
    from scipy.optimize import nnls  # slow to import

    rows = [
        np.concatenate([np.clip(e, -LARGEST_ERROR, LARGEST_ERROR) / np.sqrt(len(e)) for e in (*a, *b)])
        for a, b in zip(inside, outside, strict=True)
    ]
    M, k = np.column_stack(rows), len(rows)
    squares = (M**2).sum(axis=0)
    # Not of the mean one: a law that is far off would tie the others to equal weights, and its own to theirs.
    M /= np.sqrt(max(float(squares.min()), 1e-4 * float(squares.mean()), 1e-30))
    heavy = 1e3 * max(1.0, float(np.linalg.norm(M)))
    pull, sum_to_one = np.sqrt(SHRINKAGE) * np.eye(k), heavy * np.ones((1, k))
    target = np.concatenate((np.zeros(len(M)), np.full(k, np.sqrt(SHRINKAGE) / k), [heavy]))
    weights, _ = nnls(np.vstack((M, pull, sum_to_one)), target)
    return weights / weights.sum()


def _advice(fits: Sequence[Fit], average: Average | None, train: Sequence[Run], n: int) -> tuple[Model, str]:
    """Which model to trust, and why. `n`: how many different schedules the training runs have."""
    best = fits[0]
    title = LAWS[best.law].title
    if average is not None and all(f.informed for f in average.fits):
        return average, _informed_advice(average) + _reservations(average, train)
    if best.left_out is None:
        what = "training run" if len(train) == 1 else "schedule among the training runs"
        said = f"With one {what} no law can be judged on another one: add runs. {title} fits best, off "
        return best, said + f"by {_percent(best.misfit)}." + _reservations(best, train)
    errors = (
        f"off by {_percent(best.left_out)} on training runs that were left out of its fit and by "
        f"{_percent(best.misfit)} on fitted ones"
    )
    # A root mean square over n runs is itself uncertain by a factor of about 1 ± 1/√(2n).
    blur = 1 + 2 / np.sqrt(2 * n)
    alike = best.expected_error * blur
    shares = _shares(average)
    uncertainty = f"the uncertainty over {n} schedules"
    if average is not None and len(shares) > 1 and average.expected_error <= alike:
        parts = " and ".join(f"{100 * w:.0f} % {name}" for w, name in shares)
        lower = average.expected_error * blur < best.expected_error
        than = f"above the average by more than {uncertainty}" if lower else "no different, as far as they show"
        said = (
            f"Trust the average of {parts}: off by {_percent(average.left_out)} on left-out training runs, with "
            f"bands that widen where its laws disagree. The best single law is {title}, {errors}: {than}."
        )
        return average, said + _reservations(average, train)
    if len(fits) == 1:
        said = f"{title} is {errors}. Fit several laws to see whether another does better."
    elif fits[1].expected_error <= alike:
        said = f"Trust {title}: {errors}, the least of {len(fits)} laws; {LAWS[fits[1].law].title} is hardly worse."
    else:
        said = f"Trust {title}: {errors}, the least of {len(fits)} laws by more than {uncertainty}."
    return best, said + _reservations(best, train)


def _informed_advice(average: Average) -> str:
    """Why to trust an average of laws that were fitted under priors."""
    source = next(f.informed.source for f in average.fits if f.informed)
    laws = " and ".join(name for _, name in _shares(average))
    left = "" if average.left_out is None else f", and by {_percent(average.left_out)} on those left out of its fit"
    return (
        f"Trust the average of {laws}, in equal parts, under priors {source}: they know how losses answer to "
        f"schedules, which a few runs cannot tell. It is off by {_percent(average.misfit)} on the training runs{left}."
    )


def _shares(average: Average | None) -> list[tuple[float, str]]:
    """Weights that count, the largest first, and the titles of their laws."""
    parts = () if average is None else average.parts
    return sorted(((w, LAWS[f.law].title) for f, w in parts if w > NEGLIGIBLE), reverse=True)


def _percent(error: float | None) -> str:
    return "an unknown share" if error is None else relative_error(error)


def _reservations(model: Model, train: Sequence[Run]) -> str:
    """What speaks against the model all the same: unfinished searches, runs that identify little."""
    fits = [f for f, w in model.parts if w > NEGLIGIBLE]
    unfinished = [LAWS[f.law].title for f in fits if f.status is Status.out_of_steps]
    said = [f"The search stopped before it had converged: {', '.join(unfinished)}."] if unfinished else []
    said += dict.fromkeys(d for f in fits for d in doubts(law_named(f.law), train, f.informed is not None))
    return "".join(f" {sentence}" for sentence in said)


__all__ = ["POOL", "Selection", "select", "stacked"]
