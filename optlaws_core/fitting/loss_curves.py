"""Curves of a law at the steps that runs were observed at."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..arrays import FloatArray, IntArray
from ..laws import Law
from ..laws.evaluation import batch, predict
from ..runs import Run

EXACT = 4000  # losses of one run for whose scores the law is evaluated one by one
AT_ONCE = 4096  # observations that are evaluated together, so that memory stays small


def curve(law: Law, theta: FloatArray, run: Run) -> FloatArray:
    """Predicted losses at every observed step of a run, (n,). Raises like `batch`, `DesignError` without a rate."""
    return curves(law, theta, [run])[0]


def curves(law: Law, theta: FloatArray, runs: Sequence[Run]) -> list[FloatArray]:
    """Predicted losses at every observed step of each run, (n_i,).

    Beyond `EXACT` observations the law is evaluated at that many of them, with all that follow a turn of the schedule
    closely, and interpolated in between, where it is smooth.
    """
    found: list[FloatArray] = []
    for some in _together([(run, picked(run)) for run in runs]):
        data = batch(law, [(run.known_plan, steps) for run, steps in some])
        losses = predict(data, theta)
        for (run, steps), part in zip(some, data.slices, strict=True):
            whole = steps is run.steps
            found.append(losses[part] if whole else np.interp(run.steps, steps, losses[part]))
    return found


def picked(run: Run) -> IntArray:
    """Steps at which the law is evaluated, (m,); the run's own where these are few."""
    steps = run.steps
    if len(steps) <= EXACT:
        return steps
    last = len(steps) - 1
    evenly = np.concatenate((np.linspace(0, last, EXACT // 2), np.geomspace(1, last, EXACT // 2))).astype(np.int64)
    turns = np.searchsorted(steps, run.known_plan.schedule.breaks[:EXACT])
    near = np.add.outer(turns, np.arange(-2, 32)).ravel()
    return steps[np.unique(np.concatenate((evenly, near[(near >= 0) & (near < len(steps))])))]


def _together(parts: Sequence[tuple[Run, IntArray]]) -> Iterator[list[tuple[Run, IntArray]]]:
    """`parts` a few at a time."""
    some: list[tuple[Run, IntArray]] = []
    for part in parts:
        if some and sum(len(steps) for _, steps in (*some, part)) > AT_ONCE:
            yield some
            some = []
        some.append(part)
    if some:
        yield some


__all__ = ["curve", "curves", "picked"]
