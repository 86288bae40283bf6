"""Refits to resampled residuals: the same draws everywhere, and wider ones where neighbouring losses share noise."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import LAWS, fit, refits
from optlaws_core.errors import DesignError, FitError
from optlaws_core.fitting import bootstrap
from optlaws_core.fitting.bootstrap import block_length
from optlaws_core.runs import Series
from tests.knowledge.planted import DROP, PLANTED, TRAINING, twin_run

pytestmark = pytest.mark.usefixtures("no_process_is_left")
LAW = "power_law"
THETA = PLANTED[LAW]


def noisy(size, memory=0.0, seed=0):
    """Runs whose log losses carry noise of standard deviation `size`, each like the one before by `memory`."""
    found = []
    for i, text in enumerate(TRAINING):
        run = twin_run(LAW, text, THETA)
        fresh = np.random.default_rng((seed, i)).standard_normal(len(run.loss) + 50)
        noise = np.zeros(len(fresh))
        for k in range(1, len(fresh)):
            noise[k] = memory * noise[k - 1] + np.sqrt(1 - memory**2) * fresh[k]
        loss = run.loss * np.exp(size * noise[50:])
        found.append(replace(run, series={"train": Series(run.steps, loss)}))
    return found


@pytest.fixture(scope="module")
def runs():
    return noisy(1e-3)


@pytest.fixture(scope="module")
def fitted(runs):
    return fit(LAW, runs)


@pytest.fixture(scope="module")
def drawn(fitted, runs):
    return refits(fitted, runs, 60, processes=1)


def test_draws_spread_around_the_fit(fitted, drawn):
    assert drawn.shape == (60, 3) and np.isfinite(drawn).all()
    spread = drawn.std(axis=0)
    assert (spread > 0).all() and (np.abs(drawn.mean(axis=0) - fitted.vector) < spread).all()


def test_the_same_seed_gives_the_same_draws(fitted, runs, drawn):
    few = refits(fitted, runs, 10, processes=1)
    assert few.tobytes() == drawn[:10].tobytes()
    assert not np.isclose(refits(fitted, runs, 10, seed=1, processes=1), few).all(axis=1).any()
    assert len(np.unique(few, axis=0)) == 10


def test_how_the_draws_are_cut_does_not_matter(fitted, runs, drawn, monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK", 7)
    assert refits(fitted, runs, 60, processes=1).tobytes() == drawn.tobytes()
    told = []
    refits(fitted, runs, 15, processes=1, progress=told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])


@pytest.mark.slow
def test_processes_give_the_same_bits(fitted, runs, drawn):
    assert refits(fitted, runs, 60, processes=2).tobytes() == drawn.tobytes()


@pytest.mark.parametrize("law", ["annealing", "noisy_quadratic"])
def test_locked_coefficients_stay(law):
    some = [twin_run(law, text, PLANTED[law], 1e-3, i) for i, text in enumerate(TRAINING)]
    name = "alpha" if law == "annealing" else "L_inf"
    held = fit(law, some, locked={name: PLANTED[law][name]})
    found = refits(held, some, 4, processes=1)
    at = LAWS[law].names.index(name)
    assert (found[:, at] == PLANTED[law][name]).all() and np.ptp(np.delete(found, at, 1), axis=0).max() > 0


def test_noise_with_a_memory_spreads_draws_further(drawn):
    """An AR(1) of ρ = 0.9 has as much to say as a nineteenth of as many independent losses: draws √19 = 4.4 as wide.

    Blocks of 14 of 95 losses see about half of that.
    """
    runs = noisy(1e-3, memory=0.9)
    wide = refits(fit(LAW, runs), runs, 60, processes=1)
    ratio = wide.std(axis=0) / drawn.std(axis=0)
    assert (ratio > 1.5).all() and (ratio < 6).all()


def test_blocks_are_short_beside_the_run():
    assert [block_length(n) for n in (1, 2, 3, 95, 600)] == [1, 2, 3, 14, 25]
    lengths = [block_length(n) for n in range(1, 2000)]
    assert lengths == sorted(lengths)


def test_resampled_residuals_are_blocks_of_the_run():
    residual = np.arange(100.0)
    out = bootstrap._resampled(residual, np.random.default_rng(0))
    assert len(out) == 100 and set(out) <= set(residual)
    jumps = np.flatnonzero(np.diff(out) % 100 != 1) + 1  # the first follows the last
    assert (jumps % block_length(100) == 0).all() and len(jumps) > 3


def test_wrong_runs_are_refused(fitted, runs):
    other = twin_run(LAW, DROP, THETA)
    for given in (runs[:2], [*runs, other], [*runs[:2], other], [*runs, runs[0]], []):
        with pytest.raises(DesignError, match="resamples the fit's own training runs"):
            refits(fitted, given, 5, processes=1)
    shorter = replace(runs[0], series={"train": Series(runs[0].steps[:50], runs[0].loss[:50])})
    with pytest.raises(DesignError, match="fit was made to 95 losses of its split 'train', got 50 of 'train'"):
        refits(fitted, [shorter, *runs[1:]], 5, processes=1)
    val = replace(runs[0], series={"val": runs[0].series["train"]}, split="val")
    with pytest.raises(DesignError, match="of its split 'train', got 95 of 'val'"):
        refits(fitted, [val, *runs[1:]], 5, processes=1)
    with pytest.raises(DesignError, match="makes at least one draw, got 0"):
        refits(fitted, runs, 0, processes=1)


def test_refits_without_a_finite_loss_are_told(fitted, runs, monkeypatch):
    from optlaws_core.fitting.least_squares import LeastSquares

    class Lost:
        cost = np.inf

    monkeypatch.setattr(LeastSquares, "descend", lambda *_: Lost)
    with pytest.raises(FitError, match="a refit to resampled losses found no finite losses"):
        refits(fitted, runs, 1, processes=1)
