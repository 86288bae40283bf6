"""Pairs of updates that stand for all pairs of an average."""

import numpy as np
import pytest

from optlaws_core.schedules import EMA, Merge
from optlaws_core.sums.averages import pairs


def all_weights(average, step):
    """Updates whose weights are averaged after update `step`, and their shares."""
    if isinstance(average, Merge):
        updates = np.arange(step, -1, -average.every)[: average.count]
        return updates, np.full(len(updates), 1 / len(updates))
    updates = np.arange(step + 1)
    shares = average.decay ** (step - updates)
    return updates, shares / shares.sum()


AVERAGES = (EMA(0.5), EMA(25), EMA(400), Merge(1, 10), Merge(8, 25), Merge(200, 5))


@pytest.mark.parametrize("average", AVERAGES, ids=lambda a: a.text)
@pytest.mark.parametrize("step", [0, 3, 50, 1500])
@pytest.mark.parametrize("memory", [1.0, 30.0, 1000.0])  # updates
def test_they_sum_what_all_pairs_sum(average, step, memory):
    def common(i, j):  # a memory that is a power of the distance, of noise that fades with the update
        return (1 + np.abs(i - j) / memory) ** -1.2 * (np.minimum(i, j) + 10.0) ** -0.3

    updates, shares = all_weights(average, step)
    exact = shares @ common(*np.meshgrid(updates, updates)) @ shares
    early, late, weights = pairs(average, np.array([step]))
    assert (weights @ common(late, early))[0] == pytest.approx(exact, rel=2e-3)
    assert (early <= late).all() and early.min() >= 0 and late.max() <= step


@pytest.mark.parametrize("average", AVERAGES, ids=lambda a: a.text)
def test_weights_have_the_sum_1_and_few_pairs_are_enough(average):
    steps = np.array([10, 999, 5, 10**8])
    early, late, weights = pairs(average, steps)
    assert np.allclose(weights.sum(axis=1), 1, rtol=1e-12)
    assert len(early) == len(late) == weights.shape[1] < 800 * len(steps)
