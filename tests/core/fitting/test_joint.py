"""Several model sizes at once: what is shared is one number, the rest is each size's own, each fit is a plain one."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Status, fit, fit_sizes, parse, predict
from optlaws_core.errors import Cancelled, DesignError, OptLawsError
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting.joint import Joint
from optlaws_core.fitting.least_squares import LeastSquares
from optlaws_core.fitting.single import usable
from optlaws_core.laws import LAWS
from optlaws_core.runs import Run
from tests.knowledge.planted import HELD_OUT, PLANTED, TRAINING, twin_run

SMALL, LARGE = 2.5e7, 1e8
COSINE, CONSTANT, STEP = TRAINING
THETA = {
    SMALL: PLANTED["annealing"] | dict(L0=3.0, C=1.2, lam=0.995),
    LARGE: PLANTED["annealing"] | dict(L0=2.6, A=0.6, C=0.8, lam=0.995),
}


def run(size, text, noise=5e-4, seed=0, theta=THETA, law="annealing"):
    return twin_run(law, text, theta[size], noise, seed, params=size)


@pytest.fixture(scope="module")
def runs():
    """Two sizes. The smaller has noisy runs without an abrupt drop, which hardly tell its λ."""
    small = [run(SMALL, COSINE, 5e-3, seed=1), run(SMALL, CONSTANT, 5e-3, seed=2)]
    return small + [run(LARGE, text, seed=3 + i) for i, text in enumerate(TRAINING)]


@pytest.fixture(scope="module")
def found(runs):
    return fit_sizes("annealing", runs, test=[run(SMALL, HELD_OUT, noise=0.0), run(LARGE, HELD_OUT, noise=0.0)])


def test_every_law_shares_what_a_joint_search_can_share():
    for law in LAWS.values():
        assert set(law.shared) <= set(law.names) - set(law.linear)
        assert not any(p.needs for p in law.params if p.name in law.shared)


@pytest.mark.slow
def test_a_shared_coefficient_is_found_where_one_size_alone_does_not_tell_it(found):
    """Over ten repeats: the error of ln(1 − λ) is a small part of what the smaller size makes alone."""
    off = {"alone": [], "joint": []}
    for seed in range(0, 50, 5):
        small = [run(SMALL, COSINE, 5e-3, seed), run(SMALL, CONSTANT, 5e-3, seed + 1)]
        large = [run(LARGE, text, seed=seed + 2 + i) for i, text in enumerate(TRAINING)]
        for how, one in (("alone", fit("annealing", small)), ("joint", fit_sizes("annealing", small + large)[SMALL])):
            off[how].append(np.log((1 - one.theta["lam"]) / 0.005))
    alone, joint = (np.sqrt(np.mean(np.square(errors))) for errors in off.values())
    assert joint < 0.1 and joint < alone / 3, (alone, joint)


def test_the_rest_is_each_sizes_own(found):
    assert list(found) == [SMALL, LARGE] and found[SMALL].theta["lam"] == found[LARGE].theta["lam"]
    for size, one in found.items():
        assert one.theta["L0"] == pytest.approx(THETA[size]["L0"], abs=0.02)
        assert one.theta["B"] == 0.0 and one.held_out_rmse < 0.01 and len(one.test) == 1
        assert one.coverage.params == (size, size)


def test_each_fit_is_a_plain_one_that_says_what_is_shared(found, tmp_path):
    small = found[SMALL]
    assert small.message.endswith("lam is shared with the runs of 1e8 parameters.")
    assert found[LARGE].message.endswith("lam is shared with the runs of 2.5e7 parameters.")
    small.save(tmp_path / "fit.json")
    assert load_fit(tmp_path / "fit.json") == small
    assert predict(small, parse(HELD_OUT))[0] == pytest.approx(run(SMALL, HELD_OUT, noise=0.0).loss[-1], abs=0.03)


def test_intervals_are_those_of_the_joint_problem(runs, found):
    (low, high), alone = found[SMALL].interval["lam"], fit("annealing", runs[:2]).interval["lam"]
    assert found[LARGE].interval["lam"] == (low, high)
    assert low < found[SMALL].theta["lam"] < high and (alone is None or high - low < alone[1] - alone[0])


def test_where_nothing_is_shared_sizes_are_fitted_alone(runs):
    for law in ("power_law", replace(LAWS["annealing"], shared=())):
        for size, one in fit_sizes(law, runs).items():
            alone = fit(law, [r for r in runs if r.plan.params == size])
            assert one.message.startswith(alone.message + " This law shares no coefficient between sizes")
            assert one == replace(alone, seconds=one.seconds, message=one.message)


def test_one_size_and_a_locked_shared_coefficient_leave_nothing_to_share(runs):
    (one,) = fit_sizes("annealing", runs[2:]).values()
    assert one == replace(fit("annealing", runs[2:]), seconds=one.seconds)
    held = fit_sizes("annealing", runs, locked={"lam": 0.99})
    assert all(f.theta["lam"] == 0.99 and f.locked == ("lam",) and "shared" not in f.message for f in held.values())


def test_order_of_runs_does_not_matter(runs, found):
    back = fit_sizes("annealing", runs[::-1])
    assert list(back) == list(found)
    for size in found:
        assert back[size].theta == pytest.approx(found[size].theta, rel=1e-4)
        assert back[size].objective == pytest.approx(found[size].objective, rel=1e-6)


def test_sharing_never_fits_the_training_runs_better(runs, found):
    alone = {size: fit("annealing", [r for r in runs if r.plan.params == size]) for size in found}
    assert sum(f.objective for f in found.values()) >= sum(f.objective for f in alone.values()) * (1 - 1e-9)
    assert all(f.status is not Status.out_of_steps for f in found.values())


def test_the_joint_jacobian_is_exact(runs):
    law = LAWS["opt_laws_curve"]
    parts = [LeastSquares(law, [usable(r) for r in some], {}) for some in (runs[:2], runs[2:])]
    joint = Joint(law, parts, (SMALL, LARGE))
    assert [p.name for p in joint.params][:3] == ["rho", "L_inf at 2.5e7", "A at 2.5e7"]
    given = [part.coordinates(part.with_linear_part(law.starts[0] | {"D": 0.0})) for part in parts]
    z = joint.together(given)
    for x, y in zip(joint.of(z), given, strict=True):
        np.testing.assert_array_equal(x, y)
    r, J = joint.residuals(z)
    assert r.shape == (sum(len(x.loss) for part in parts for x in part.runs),) and joint.slices[-1].stop == len(r)
    for i in range(len(z)):
        h = 1e-5 * max(1.0, abs(z[i]))
        ahead, behind = (joint.residuals(z + s * h * np.eye(len(z))[i])[0] for s in (1, -1))
        assert np.abs((ahead - behind) / (2 * h) - J[:, i]).max() < 1e-6 * (np.abs(J[:, i]).max() + 1e-3)


def test_progress_is_told_and_can_cancel(runs):
    seen = []
    fit_sizes("annealing", runs, progress=lambda share, best: seen.append(share))
    assert seen == sorted(seen) and seen[-1] == 1.0
    for least in (0.0, 0.6):  # alone, and together
        with pytest.raises(Cancelled):
            fit_sizes("annealing", runs, progress=lambda share, best, least=least: share < least)


def test_unusable_runs_are_refused(runs):
    first = runs[0]
    sizeless = first.declared(replace(first.plan, params=None))
    with pytest.raises(DesignError, match="has no model size; a fit of several sizes needs that of every run"):
        fit_sizes("annealing", [*runs[1:], sizeless])
    with pytest.raises(DesignError, match="'x' has no model size"):
        fit_sizes("annealing", [*runs, Run("x", None, first.series)])
    with pytest.raises(DesignError, match="has 4e8 parameters; the training runs have 2.5e7, 1e8"):
        fit_sizes("annealing", runs, test=[run(LARGE, HELD_OUT).declared(replace(first.plan, params=4e8))])
    with pytest.raises(DesignError, match="is given twice; a run counts once"):
        fit_sizes("annealing", [*runs, first])
    with pytest.raises(DesignError, match="at least one training run, got none"):
        fit_sizes("annealing", [])
    with pytest.raises(OptLawsError, match="has no coefficient 'gamma'"):
        fit_sizes("annealing", runs, locked={"gamma": 1.0})
