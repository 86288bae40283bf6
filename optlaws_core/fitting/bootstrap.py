"""Draws of a law's coefficients by refitting it to resampled residuals: the slow check of the covariance.

A circular moving-block bootstrap on log residuals within each run (Künsch 1989; Politis and Romano 1992): blocks
keep the autocorrelation that neighbouring losses have, from shared noise and from the law's misfit. Every refit starts
at the fit and takes exact-Jacobian steps: to three runs of 75 losses, a thousand of them take 6 to 55 s on one core.
"""

import functools
from collections.abc import Sequence

import numpy as np

from ..arrays import FloatArray
from ..errors import DesignError, FitError
from ..laws import law_named
from ..parallel import Report, map_tasks
from ..runs import Run
from .least_squares import LeastSquares
from .result import Fit
from .single import averaged, usable

REFIT_STEPS = 60  # iterations of each refit; stopped at 30, draws of laws with a flat optimum spread a quarter less
CHUNK = 25  # draws of one task


def refits(
    fit: Fit,
    runs: Sequence[Run],
    draws: int = 200,
    *,
    seed: int = 0,
    cluster: str | None = None,
    processes: int | None = None,
    progress: Report | None = None,
) -> FloatArray:
    """Coefficients (draws, params) in the law's order, from refits of `fit` to its training runs `runs`, resampled.

    The same `seed` gives the same draws wherever they are made. Locked coefficients stay. Raises `DesignError` when
    `runs` are not the fit's or `draws` is below 1, and like `parallel.map_tasks`.
    """
    if draws < 1:
        raise DesignError(f"A bootstrap makes at least one draw, got {draws}.")
    if sorted(r.name for r in runs) != sorted(fit.train):
        raise DesignError(
            f"A bootstrap resamples the fit's own training runs ({', '.join(fit.train)}), "
            f"got {', '.join(r.name for r in runs) or 'none'}."
        )
    for run in runs:
        n = len(usable(run, fit.first_step).loss)
        if (run.split, n) != (fit.split, fit.train[run.name].n):
            raise DesignError(
                f"Run {run.name!r}: the fit was made to {fit.train[run.name].n:,} losses of its split {fit.split!r}, "
                f"got {n:,} of {run.split!r}."
            )
    if fit.shared:
        raise DesignError(
            f"A bootstrap refits one model size, but this fit shares {', '.join(fit.shared)} with others; fit it alone."
        )
    chunks = [(seed, first, min(CHUNK, draws - first)) for first in range(0, draws, CHUNK)]
    work = functools.partial(_drawn, fit=fit, runs=tuple(runs))
    return np.concatenate(map_tasks(work, chunks, cluster=cluster, processes=processes, progress=progress))


def block_length(n: int) -> int:
    """Losses in a block for a run of `n`: the cube-root rule for the variance of smooth statistics, times a few."""
    return max(1, min(n, round(3 * n ** (1 / 3))))


def _drawn(chunk: tuple[int, int, int], *, fit: Fit, runs: Sequence[Run]) -> FloatArray:
    seed, first, n = chunk
    law = law_named(fit.law)
    problem = LeastSquares(
        law, [averaged(usable(r, fit.first_step)) for r in runs], {k: fit.theta[k] for k in fit.locked}
    )
    x = problem.coordinates(fit.vector)
    residual, observed = problem.residuals(x)[0], problem.log_loss
    fitted, found = observed + residual, []
    bends = None if problem.convex else problem.bends_at(x)  # the same for all draws, which end near by
    for i in range(first, first + n):
        random = np.random.default_rng((seed, i))  # one stream a draw, so that the way of cutting does not matter
        problem.log_loss = fitted - np.concatenate([_resampled(residual[part], random) for part in problem.slices])
        found.append(_refit(problem, x, bends))
    return np.array(found)


def _resampled(residual: FloatArray, random: np.random.Generator) -> FloatArray:
    """Residuals (n,) of a run, made of blocks that begin anywhere in it and go round its end."""
    n, length = len(residual), block_length(len(residual))
    begin = random.integers(0, n, -(-n // length))
    return residual[(begin[:, None] + np.arange(length)).ravel()[:n] % n]


def _refit(problem: LeastSquares, x: FloatArray, bends: FloatArray | None) -> FloatArray:
    if problem.convex:
        return problem.natural(problem.search(None, None)[0])
    end = problem.descend(x, REFIT_STEPS, lambda n: None, bends)
    if not np.isfinite(end.cost):
        raise FitError(f"{problem.law.title}: a refit to resampled losses found no finite losses.")
    return problem.natural(end.x)


__all__ = ["block_length", "refits"]
