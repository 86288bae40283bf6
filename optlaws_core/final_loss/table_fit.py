"""Fits of final-loss laws: from the final losses of a table of runs to all that they tell."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import DesignError
from ..parallel import one_thread
from ..prediction.divergence import LEAST_RUNS, Risk, learn_risk
from .final_fit import End, FinalFit
from .final_laws import LOG_LINEAR, FinalLaw, PlanFeatures, final_law
from .form_fit import fit_form, fit_line
from .predictive import knows, predict_final, predict_runs
from .table import TableRun, fold
from .texts import Texts, texts_of
from .transfer import Transfer, learn_transfer

LOSING = 1.25  # final loss over the lowest of the configuration, above which a run is no contender


@one_thread()
def fit_final(
    runs: Sequence[TableRun], law: str = "opt_laws", strength: float | None = None, bands: bool = True
) -> FinalFit:
    """Coefficients of `law` from the final losses of `runs`.

    Left out: runs without a final loss, those that diverged or spiked, and those that start from another run's end.
    Huber loss of log residuals with δ = 0.003, exact Jacobians, four starts; the outcome depends on nothing else.
    `strength`: of the priors; None for the one among `STRENGTHS` with the highest evidence. The log-linear law has no
    priors; its ridge is chosen on left-out single runs. `bands`: also fit without each tenth, as bands need.
    Where runs learn several texts, each but the most frequent one has a step, which nothing holds back.
    Raises `DesignError` for runs that cannot tell the coefficients, `FitError` when no start gives finite losses.
    """
    began = time.perf_counter()
    form, used = final_law(law), fittable(runs)
    texts = texts_of(used)
    _check_design(form, used, texts)
    y = np.log([r.final_loss for r in used])
    N0, B0 = (float(np.exp(np.mean(np.log([getattr(r.plan, f) for r in used])))) for f in ("params", "batch_tokens"))
    fit = fit_line if form.name == LOG_LINEAR else partial(fit_form, form)
    found = fit(used, PlanFeatures([r.plan for r in used], N0, B0), y, {"N0": N0, "B0": B0}, texts, strength, bands)
    return replace(found, seconds=time.perf_counter() - began)


def _check_design(law: FinalLaw, runs: Sequence[TableRun], texts: Texts) -> None:
    names = [r.name for r in runs]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise DesignError(f"Runs must have different names, got {twice!r} more than once.")
    steps = len(texts.others)
    needed = 1 + (len(law.free) or 8) + steps
    if len(runs) < needed:
        more = f", one more for each of {steps + 1} texts but the first" if steps else ""
        raise DesignError(
            f"The law {law.name} needs at least {needed} runs that ended with a loss and did not diverge{more}, "
            f"got {len(runs)}."
        )
    incomplete = next((r.name for r in runs if r.plan.params is None or r.plan.batch_tokens is None), None)
    if incomplete is not None:
        raise DesignError(f"Run {incomplete!r}: a final-loss law needs the model size and the tokens per update.")
    if (count := len({r.plan.schedule for r in runs})) < 3:
        raise DesignError(f"A final-loss law needs runs with at least 3 different schedules, got {count}.")


def fittable(runs: Sequence[TableRun]) -> list[TableRun]:
    """Runs from a random start that ended with a loss and neither diverged nor spiked."""
    return [r for r in runs if np.isfinite(r.final_loss) and r.stable and r.parent is None]


def contenders(runs: Sequence[TableRun]) -> list[TableRun]:
    """Those of the `fittable` runs that end at most a quarter above the best run of their configuration and text."""
    used = fittable(runs)
    lowest: dict[tuple, float] = {}
    for r in used:
        key = r.configuration, r.first_text
        lowest[key] = min(lowest.get(key, np.inf), r.final_loss)
    return [r for r in used if r.final_loss <= LOSING * lowest[r.configuration, r.first_text]]


def fit_table(
    runs: Sequence[TableRun],
    law: str = "opt_laws",
    test: Sequence[TableRun] = (),
    strength: float | None = None,
    bands: bool = True,
) -> FinalFit:
    """A fit to `runs` with all that its table tells: the risk of divergence, children of runs, errors on `test`.

    Everything is learned from `runs` alone. Runs that end more than a quarter above the best of their configuration
    (size, batch and horizon) are no candidates for anything, and the law need not be bent to them. Risk and transfers
    are left out where too few runs tell, and of `test` runs on texts that `runs` do not know. Raises like `fit_final`.
    """
    began = time.perf_counter()
    fit = fit_final(contenders(runs), law, strength, bands)
    fit = replace(fit, risk=labelled_risk(runs))
    fit = replace(fit, transfers=_transfers(fit, runs))
    judged = [r for r in test if np.isfinite(r.final_loss) and r.stable and knows(fit, r)]
    ends = End.of(judged, predict_runs(fit, judged))
    return replace(fit, test=ends, seconds=time.perf_counter() - began)


def labelled_risk(runs: Sequence[TableRun]) -> Risk | None:
    """The risk of divergence that runs tell of; None where they tell none."""
    telling = labelled(runs)
    return learn_risk([r.plan for r in telling], [not r.stable for r in telling]) if telling else None


def labelled(runs: Sequence[TableRun]) -> list[TableRun]:
    """Runs that tell of divergence, those from a random start; none where too few diverged, or too few did not."""
    scratch = [r for r in runs if r.parent is None and (r.diverged or np.isfinite(r.final_loss))]
    bad = sum(not r.stable for r in scratch)
    return scratch if min(bad, len(scratch) - bad) >= LEAST_RUNS else []


def _transfers(fit: FinalFit, runs: Sequence[TableRun]) -> dict[str, Transfer]:
    children: dict[str, list[TableRun]] = {}
    for r in runs:
        known = r.first_text in ("", *fit.texts)
        if r.text and r.parent is not None and np.isfinite(r.final_loss) and r.stable and known:
            children.setdefault(r.text, []).append(r)
    return {
        text: learn_transfer(
            [r.plan for r in some],
            predict_runs(fit, [replace(r, text="") for r in some]),
            np.array([r.final_loss for r in some]),
        )
        for text, some in children.items()
    }


def cross_validated(
    runs: Sequence[TableRun],
    law: str,
    parts: Sequence[NDArray[np.intp]],
    strength: float | None = None,
    bands: bool = False,
    progress: Callable[[float], object] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Predicted over observed loss, minus 1, of each run from a cold fit to all runs outside of its part, (runs,).

    Also the half-widths of the bands, (runs,), NaN without `bands`. All that is chosen is chosen on the other parts.
    Both are NaN for runs on a text that no run outside of their part learned.
    """
    errors, halves = np.full(len(runs), np.nan), np.full(len(runs), np.nan)
    for i, part in enumerate(parts):
        inside = set(part.tolist())
        fit = fit_table([r for j, r in enumerate(runs) if j not in inside], law, strength=strength, bands=bands)
        for first in {runs[j].first_text for j in part} & {"", *fit.texts}:
            own = [j for j in part if runs[j].first_text == first]
            loss, halves[own] = predict_final(fit, [runs[j].plan for j in own], first=first)
            errors[own] = loss / np.array([runs[j].final_loss for j in own]) - 1
        if progress:
            progress((i + 1) / len(parts))
    return errors, halves


def check_folds(runs: Sequence[TableRun], k: int) -> None:
    """Raises `DesignError` unless the runs can be cut into `k` folds."""
    if not 2 <= k <= len(runs):
        raise DesignError(f"A cross-validation needs 2 to {len(runs)} folds, as many as runs, got {k}.")


def with_folds(
    fit: FinalFit, runs: Sequence[TableRun], k: int, progress: Callable[[float], object] | None = None
) -> FinalFit:
    """`fit` with the errors of its runs as `test`, each from a fit without its fold of `k`. Raises like `fit_final`.

    Without the only run of a text nothing tells of its step, so such runs are not judged.
    """
    usual = [r for r in runs if r.name in fit.train]
    check_folds(usual, k)
    try:
        errors, _ = cross_validated(usual, fit.law, fold(usual, "random", k), progress=progress)
    except DesignError as fault:
        raise DesignError(f"Without one of the {k} folds too few runs are left: {fault}") from None
    judged = [r for r, e in zip(usual, errors, strict=True) if np.isfinite(e)]
    predicted = np.array([r.final_loss for r in judged]) * (1 + errors[np.isfinite(errors)])
    return replace(fit, test=End.of(judged, predicted), folds=k)


__all__ = [
    "check_folds",
    "contenders",
    "cross_validated",
    "fit_final",
    "fit_table",
    "fittable",
    "labelled",
    "labelled_risk",
    "with_folds",
]
