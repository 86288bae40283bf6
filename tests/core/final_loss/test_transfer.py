"""What a table tells besides the fit, transfer to another text above all: planted ones come back, ours are learned."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core.errors import DesignError
from optlaws_core.final_loss import TableRun, fit_final, fit_table, predict_final, read_table
from optlaws_core.final_loss.predictive import QUANTILE, predict_runs, predictive
from optlaws_core.final_loss.transfer import CENTRE, WIDTH, learn_transfer
from optlaws_core.runs import Plan
from optlaws_core.schedules import Constant, Cosine
from optlaws_core.schedules.chain import Chain
from tests.core.final_loss.test_final_laws import OTHER, whole_table
from tests.places import ROOT

pytestmark = pytest.mark.slow

MANIFEST = ROOT / "data" / "manifest.csv"
STEP, POWER, FADE = 0.3, 1.3, 0.05
TEXTS = ("tests", "topics")


def children(n: int = 40, seed: int = 0) -> tuple[list[Plan], np.ndarray, np.ndarray]:
    """Plans, losses that a law gives them, and summed rates of their last parts."""
    random, made = np.random.default_rng(seed), []
    for _ in range(n):
        first = Constant(1e-3, total=int(random.integers(1000, 9000)))
        second = Cosine(float(random.choice([1e-4, 5e-4])), warmup=10, total=int(random.integers(100, 2000)))
        made.append(Plan(Chain(first, second), 1e8, 1e5))
    reach = np.array([p.schedule.second(np.arange(p.schedule.second.total)).sum() for p in made])
    return made, random.uniform(2.0, 4.0, n), reach


def on_the_text(law, reach, reference, noise=0.0, seed=1):
    off = noise * np.random.default_rng(seed).standard_normal(len(law))
    return np.exp(STEP + POWER * np.log(law) - FADE * np.log(reach / reference) + off)


@pytest.fixture(scope="module")
def learned():
    plans, law, reach = children()
    return learn_transfer(plans, law, on_the_text(law, reach, np.exp(np.log(reach).mean()), noise=3e-3))


def test_planted_coefficients_are_found():
    plans, law, reach = children()
    reference = np.exp(np.log(reach).mean())
    found = learn_transfer(plans, law, on_the_text(law, reach, reference))
    assert found.reference == pytest.approx(reference, rel=1e-9) and found.runs == 40
    assert (found.step, found.power, found.fade) == pytest.approx((STEP, POWER, FADE), abs=1e-3)
    assert found.noise < 0.004  # without any it would be 0.01 of few runs


def test_noise_is_seen_in_many_runs(learned):
    errors = np.sqrt(np.diag(learned.covariance))
    assert learned.noise == pytest.approx(4e-3, rel=0.3)
    off = np.array([learned.step, learned.power, learned.fade]) - (STEP, POWER, FADE)
    assert (np.abs(off) < 3 * errors).all() and (errors < 0.05).all()


def test_coefficients_are_those_of_least_squares_with_priors(learned):
    """With the priors as further observations, at the noise that was found."""
    plans, law, reach = children()
    y = np.log(on_the_text(law, reach, learned.reference, noise=3e-3))
    X = np.stack((np.ones(40), np.log(law), -np.log(reach / learned.reference)), axis=1) / learned.noise
    rows, values = np.vstack((X, np.diag(1 / WIDTH))), np.append(y / learned.noise, CENTRE / WIDTH)
    best = np.linalg.lstsq(rows, values, rcond=None)[0]
    assert (learned.step, learned.power, learned.fade) == pytest.approx(tuple(best), rel=1e-3)
    np.testing.assert_allclose(learned.covariance, np.linalg.inv(rows.T @ rows), rtol=0.02, atol=1e-9)


def test_one_run_tells_the_step_and_little_else():
    plans, law, reach = children(1)
    found = learn_transfer(plans, law, 1.5 * law)
    assert found.runs == 1 and found.reference == pytest.approx(reach[0])
    assert found.step == pytest.approx(np.log(1.5), rel=0.05) and found.power == pytest.approx(1.0, abs=0.05)
    assert found.fade == 0.0 and found.covariance[2][2] == pytest.approx(WIDTH[2] ** 2)
    assert np.exp(found.log_loss(plans, np.log(law))) == pytest.approx(1.5 * law, rel=1e-4)
    width = np.sqrt(found.covariance[1][1])
    assert 0.9 * WIDTH[1] < width <= WIDTH[1]


def test_bands_shrink_with_the_runs():
    """On average over children that were not seen."""
    (plans, law, reach), (others, theirs, _) = children(), children(30, seed=5)
    loss = on_the_text(law, reach, 0.1, noise=0.01)
    widths = []
    for n in (1, 2, 4, 12, 40):
        found = learn_transfer(plans[:n], law[:n], loss[:n])
        widths.append(np.mean((found.directions(others, np.log(theirs)) ** 2).sum(axis=1)) ** 0.5)
    assert all(b < 0.8 * a for a, b in zip(widths, widths[1:], strict=False)), widths
    assert widths[-1] < 0.005


def test_losses_and_directions_by_hand(learned):
    plans, law, reach = children(7, seed=3)
    X = np.stack((np.ones(7), np.log(law), -np.log(reach / learned.reference)), axis=1)
    hand = learned.step + learned.power * np.log(law) - learned.fade * np.log(reach / learned.reference)
    np.testing.assert_allclose(learned.log_loss(plans, np.log(law)), hand, rtol=1e-10)
    D = learned.directions(plans, np.log(law))
    assert D.shape == (7, 3)
    np.testing.assert_allclose(D @ D.T, X @ np.array(learned.covariance) @ X.T, rtol=1e-8, atol=1e-15)


def test_only_the_last_part_counts_as_learning_the_text(learned):
    """A grandchild's summed rate is that of its own part, as that of a child with this part."""
    child, law = children(1)[0][0], np.array([0.9])
    longer = replace(
        child, schedule=Chain(Chain(Constant(1e-3, total=50), child.schedule.first), child.schedule.second)
    )
    assert learned.log_loss([longer], law) == learned.log_loss([child], law)


def test_transfers_that_cannot_be_learned(learned):
    plans, law, _ = children(2)
    with pytest.raises(DesignError, match="needs at least 1 run that learned it, got none"):
        learn_transfer([], np.empty(0), np.empty(0))
    alone = Plan(Constant(1e-3, total=500), 1e8, 1e5)
    message = r"constant\(peak=1e-3, warmup=0, total=500\): a run on another text starts from a run's end"
    with pytest.raises(DesignError, match=message):
        learn_transfer([plans[0], alone], law, law)
    with pytest.raises(DesignError, match=message):
        learned.log_loss([alone], law[:1])


@pytest.fixture(scope="module")
def ours() -> list[TableRun]:
    return read_table(MANIFEST, sure=True)


@pytest.fixture(scope="module")
def fitted(ours):
    return fit_table(ours, strength=3.0)


def known(runs, text: str) -> list[TableRun]:
    return [r for r in runs if r.text == text and np.isfinite(r.final_loss) and not r.diverged]


@pytest.mark.slow
def test_our_own_runs_tell_of_both_texts(ours, fitted):
    assert set(fitted.transfers) == set(TEXTS)
    for text in TEXTS:
        transfer, some = fitted.transfers[text], known(ours, text)
        seen = np.array([r.final_loss for r in some])
        assert transfer.runs == len(some) >= 14 and transfer.noise < 0.02
        off = predict_final(fitted, [r.plan for r in some], text)[0] / seen - 1
        without = predict_final(fitted, [r.plan for r in some])[0] / seen - 1
        assert np.mean(np.abs(off)) < min(0.01, 0.8 * np.mean(np.abs(without))), text
    assert np.mean(np.abs(without)) > 0.05  # the manual's English is another language


def test_children_that_gave_no_loss_or_diverged_tell_nothing(ours, fitted):
    some = known(ours, "tests")
    spoilt = {some[0].name: replace(some[0], final_loss=np.nan), some[1].name: replace(some[1], diverged=True)}
    fit = fit_table([spoilt.get(r.name, r) for r in ours], strength=3.0, bands=False)
    assert fit.transfers["tests"].runs == len(some) - 2 and fit.transfers["topics"] == fitted.transfers["topics"]


@pytest.mark.parametrize("text", TEXTS)
def test_four_children_predict_the_others(ours, text):
    """A fit to runs from a random start and to 4 children drawn at random; none of the others is seen."""
    some = known(ours, text)
    order = np.random.default_rng(0).permutation(len(some))
    seen, others = ([some[i] for i in part] for part in (order[:4], order[4:]))
    scratch = [r for r in ours if r.parent is None]
    fit = fit_table([*scratch, *seen], test=others, strength=3.0, bands=False)
    assert fit.transfers[text].runs == 4 and set(fit.test) == {r.name for r in others}
    assert fit.held_out_error < 0.012  # 0.6 and 0.4 %


@pytest.mark.parametrize("text", TEXTS)
def test_any_four_children_predict_the_others(ours, fitted, text):
    """On average over 40 draws, and within the bands as often as these say."""
    some = known(ours, text)
    plans, seen = [r.plan for r in some], np.array([r.final_loss for r in some])
    law, off, inside = predict_final(fitted, plans)[0], [], []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(len(some))
        few, rest = order[:4], order[4:]
        found = replace(fitted, transfers={text: learn_transfer([plans[i] for i in few], law[few], seen[few])})
        loss, half = predict_final(found, [plans[i] for i in rest], text)
        off.append(np.mean(np.abs(loss / seen[rest] - 1)))
        inside.append(np.mean(np.abs(np.log(loss / seen[rest])) <= half))
    assert np.mean(off) < 0.015 and max(off) < 0.06  # 1.0 and 0.7 %; 4.3 and 2.9 % at worst
    assert np.mean(inside) > 0.85


def test_bands_of_children_by_hand(ours, fitted):
    """Coefficients of the law, carried over, those of the transfer, and what a child is off by."""
    some = known(ours, "topics")[:3]
    plans, transfer = [r.plan for r in some], fitted.transfers["topics"]
    law = predictive(fitted, plans)
    own = transfer.directions(plans, law.log_loss)
    variance = transfer.power**2 * (law.directions**2).sum(axis=1) + (own**2).sum(axis=1) + transfer.noise**2
    loss, half = predict_final(fitted, plans, "topics")
    np.testing.assert_allclose(half, QUANTILE * np.sqrt(variance), rtol=1e-9)
    np.testing.assert_allclose(loss, np.exp(transfer.log_loss(plans, law.log_loss)), rtol=1e-12)
    unknown = replace(fitted, left_out=None)  # nothing was left out of the law, but children tell of themselves
    assert np.isnan(predict_final(unknown, plans)[1]).all()
    np.testing.assert_array_equal(predict_final(unknown, plans, "topics")[1], half)


def test_runs_are_predicted_on_their_own_texts(ours, fitted):
    some = [ours[0], known(ours, "tests")[0], known(ours, "topics")[0], replace(known(ours, "tests")[1], text="")]
    each = [predict_final(fitted, [r.plan], r.text)[0][0] for r in some]
    np.testing.assert_allclose(predict_runs(fitted, some), each, rtol=1e-12)
    assert each[3] != predict_final(fitted, [some[3].plan], "tests")[0][0]


def test_texts_that_no_run_learned(fitted):
    plans = children(1)[0]
    with pytest.raises(DesignError, match="went on to learn the text 'poems'; texts that were: tests, topics"):
        predict_final(fitted, plans, "poems")
    with pytest.raises(DesignError, match="texts that were: none"):
        predict_final(replace(fitted, transfers={}), plans, "tests")
    with pytest.raises(DesignError, match="starts from a run's end; name the schedule of that one"):
        predict_final(fitted, [replace(plans[0], schedule=plans[0].schedule.first)], "tests")


def test_a_table_tells_of_risk_children_and_held_out_runs():
    """Children are no part of the fit itself; of held-out runs, those that gave no loss cannot be judged."""
    full = fit_table(whole_table(), strength=1.0, bands=False)
    assert (
        set(full.train) == {f"run {i}" for i in range(60)}
        and full.theta == fit_final(whole_table()[:60], strength=1.0, bands=False).theta
    )
    assert (full.risk.runs, full.risk.diverged) == (72, 12) and full.transfers[OTHER].runs == 6
    runs = whole_table()
    judged = fit_table(
        runs[10:-2], test=[*runs[:10], runs[-1], replace(runs[-2], text="no run's")], strength=1.0, bands=False
    )
    assert list(judged.test) == [f"run {i}" for i in range(10)] + ["c5"] and not set(judged.test) & set(judged.train)
    assert judged.held_out_error < 0.01 and judged.transfers[OTHER].runs == 4
    assert judged.held_out_error == pytest.approx(np.mean([abs(e.rel_error) for e in judged.test.values()]))
    few = fit_table(runs[:64], strength=1.0, bands=False)
    assert few.risk is None and few.transfers == {}


def test_runs_that_lost_or_spiked_are_left_out():
    """A quarter above the best of its size, batch and horizon is no contender; a spike speaks for the risk alone."""
    runs = whole_table()
    lowest = min(r.final_loss for r in runs if r.configuration == runs[0].configuration)
    more = [replace(runs[0], name=f"{f}", final_loss=f * lowest) for f in (1.24, 1.26)]
    more.append(replace(runs[1], name="spiked", spiked=True))
    fit = fit_table([*runs, *more], strength=1.0, bands=False)
    assert set(fit.train) == {f"run {i}" for i in range(60)} | {"1.24"}
    assert (fit.risk.runs, fit.risk.diverged) == (75, 13)
    assert set(fit_final([*runs, *more], strength=1.0, bands=False).train) == set(fit.train) | {"1.26"}
