"""Divergence risk: it finds the peak beyond which planted runs diverge, and says no where runs tell too little."""

import numpy as np
import pytest

from optlaws_core.divergence import Risk, f1, learn_risk, probability
from optlaws_core.errors import DesignError, OptLawsError
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, Cosine


def plans() -> list[Plan]:
    peaks, sizes = np.geomspace(1e-3, 1.0, 12), (1e5, 1e6)
    kinds = (Constant, Cosine)
    return [Plan(kind(float(p), warmup=100, total=2000), n) for p in peaks for n in sizes for kind in kinds]


def fate(plan: Plan) -> bool:
    """Larger models diverge at lower peaks."""
    return plan.schedule.peak * (plan.params / 1e5) ** 0.5 > 0.1


@pytest.fixture(scope="module")
def learned() -> Risk:
    return learn_risk(plans(), [fate(p) for p in plans()])


def test_planted_divergence_is_found(learned):
    found = probability(learned, plans()) > learned.threshold
    assert f1(found, [fate(p) for p in plans()]) > 0.95
    new = [Plan(Cosine(p, warmup=100, total=3000), 3e5) for p in (3e-3, 0.5)]
    low, high = probability(learned, new)
    assert low < 0.05 and high > 0.95


def test_the_order_of_the_runs_does_not_matter(learned):
    again = learn_risk(plans()[::-1], [fate(p) for p in plans()[::-1]])
    np.testing.assert_allclose(probability(again, plans()), probability(learned, plans()), atol=0.02)


def test_f1_by_hand():
    assert f1([True, True, False, False], [True, False, True, False]) == 0.5
    assert f1([False], [False]) == 1.0


def test_what_is_stored_comes_back(learned):
    assert Risk.from_dict(learned.to_dict()) == learned
    with pytest.raises(OptLawsError, match="This is not a divergence risk: KeyError"):
        Risk.from_dict({"weights": [1.0]})
    with pytest.raises(OptLawsError, match="which have 6 numbers each"):
        Risk.from_dict(learned.to_dict() | {"mean": [0.0]})


def test_runs_that_tell_too_little(learned):
    with pytest.raises(DesignError, match="at least 5 runs that diverged and 5 that did not, got 0 and 48"):
        learn_risk(plans(), [False] * 48)
    with pytest.raises(DesignError, match="one length, got 48 and 2"):
        learn_risk(plans(), [False, True])
    with pytest.raises(DesignError, match="a divergence risk needs the model size"):
        probability(learned, [Plan(Constant(1e-3, total=100))])
