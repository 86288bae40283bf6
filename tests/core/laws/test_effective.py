"""Batch schedules and averages under laws, against sums over every update."""

import numpy as np
import pytest

from optlaws_core.errors import DesignError
from optlaws_core.laws import LAWS
from optlaws_core.laws.effective import EffectiveRate, share_of_update
from optlaws_core.laws.evaluation import batch, batches, predict, predict_with_jacobian
from optlaws_core.laws.noisy_quadratic import RATES
from optlaws_core.runs import Plan
from optlaws_core.schedules import EMA, Merge, parse, parts
from tests.knowledge.twins import THETAS, TWINS, positive

LAW = LAWS["noisy_quadratic"]
THETA = LAW.vector(THETAS[LAW.name][0])
RATE = "wsd(peak=1.5e-3, warmup=40, total=900, decay=200)"
BATCHES = ("steps([0, 300], [1x, 4x])", "ramp([0, 300, 600], [1x, 4x, 0.5x])", "steps([0], [0.25x])")


def all_weights(average, step):
    """Updates whose weights are averaged after update `step`, and their shares."""
    if isinstance(average, Merge):
        updates = np.arange(step, -1, -average.every)[: average.count]
        return updates, np.full(len(updates), 1 / len(updates))
    updates = np.arange(step + 1)
    shares = average.decay ** (step - updates)
    return updates, shares / shares.sum()


def loss(theta, eta, share, t):
    """The loss after update t, by the definition of the noisy quadratic with noise in shares."""
    S, k, h = positive(np.cumsum(eta)), np.arange(t + 1), np.array(RATES)
    a, b = theta[1 : 1 + len(h)], theta[1 + len(h) :]
    kept = np.exp(-2 * np.multiply.outer(S[t] - S[k], h)) @ b
    return theta[0] + np.exp(-2 * h * S[t]) @ a + np.sum((eta**2 * share)[k] * kept)


def twin(text, steps):
    """Losses of a plan after `steps`, summed over every update."""
    rate, sizes, average = parts(parse(text))
    every = np.arange(rate.total)
    share = 1 / sizes(every) if sizes else np.ones(rate.total)
    losses = []
    for t in steps:
        eta = rate(every) / np.sqrt(share)
        if average:
            updates, weights = all_weights(average, t)
            eta = eta * [weights[updates >= k].sum() for k in every]
        losses.append(loss(THETA, eta, share, t))
    return np.array(losses)


def said(text, steps, law=LAW):
    theta = law.vector(THETAS[law.name][0])
    return predict(batch(law, [(Plan(parse(text), 1e6, 1e6), np.array(steps))]), theta)


def test_the_twin_is_the_law_s_where_nothing_but_the_rate_is_scheduled():
    known = TWINS[LAW.name](parse(RATE)(np.arange(900)), [200, 899], **LAW.complete(THETAS[LAW.name][0]))
    assert np.allclose(twin(RATE, [200, 899]), known, rtol=1e-12)


@pytest.mark.parametrize("sizes", BATCHES)
def test_a_batch_schedule_acts_on_every_update(sizes):
    steps = [100, 299, 300, 301, 600, 899]
    text = f"rate={RATE}; batch={sizes}"
    assert np.allclose(said(text, steps), twin(text, steps), rtol=1e-6)


@pytest.mark.parametrize("more", ["", "batch=ramp([0, 600], [1x, 4x]); "])
@pytest.mark.parametrize("average", ["ema(20)", "merge(8, 25)"])
def test_an_average_is_the_decay_that_it_amounts_to(more, average):
    steps = [150, 720, 899]
    text = f"rate={RATE}; {more}average={average}"
    assert np.allclose(said(text, steps), twin(text, steps), rtol=1e-6)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_law_knows_averages(law):
    """The loss of a run at a merge of its last half is the one that its linear decay over that half ends at."""
    texts = (
        "rate=constant(peak=1e-3, warmup=100, total=2000); average=merge(1000, 1)",
        "wsd(peak=1e-3, warmup=100, total=2000, decay=1000)",
    )
    ends = [said(text, [1999], law)[0] for text in texts]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


@pytest.mark.parametrize("average", [EMA(0.5), EMA(30), EMA(4000), Merge(1, 10), Merge(8, 25), Merge(63, 7)])
@pytest.mark.parametrize("end", [0, 5, 333])
def test_the_share_of_an_update_is_that_of_the_weights_that_have_it(average, end):
    updates, weights = all_weights(average, end)
    every = np.arange(end + 3)
    wanted = [weights[updates >= k].sum() for k in every]
    assert np.allclose(share_of_update(average, end, every.astype(float)), wanted, atol=1e-12)


def test_many_checkpoints_have_the_summed_rate_that_they_have():
    updates, weights = all_weights(Merge(65, 10), 1999)
    every = np.arange(2000)
    wanted = sum(weights[updates >= k].sum() for k in every)
    assert share_of_update(Merge(65, 10), 1999, every.astype(float)).sum() == pytest.approx(wanted, rel=1e-3)


def test_many_checkpoints_are_spread_evenly():
    updates, weights = all_weights(Merge(500, 3), 4000)
    every = np.arange(4001)
    wanted = np.array([weights[updates >= k].sum() for k in every])
    assert np.abs(share_of_update(Merge(500, 3), 4000, every.astype(float)) - wanted).max() < 1 / 500 + 1e-12


def test_a_constant_batch_and_an_average_of_one_weight_change_nothing():
    steps = np.arange(50, 900, 7)
    plain = said(RATE, steps)
    assert np.allclose(said(f"rate={RATE}; batch=steps([0], [1x])", steps), plain, rtol=1e-12)
    assert np.allclose(said(f"rate={RATE}; average=merge(1, 10)", steps), plain, rtol=1e-7)


def test_a_rate_cut_by_root_2_with_twice_the_batch_is_a_rate_cut_by_2_at_the_same_tokens():
    """Seesaw's exchange (arXiv:2510.14717), where noise is forgotten over many updates, and not within one."""
    slow = {f"b{i}": 0.0 for i, h in enumerate(RATES, 1) if h > 100}
    theta = LAW.vector({**THETAS[LAW.name][0], **slow, "b8": 50.0})
    ends = []
    for text in (
        "step(peak=1e-3, warmup=0, total=3000, boundaries=[2000], values=[5e-4])",
        "rate=step(peak=1e-3, warmup=0, total=2500, boundaries=[2000], values=[7.0710678118654757e-4]); "
        "batch=steps([0, 2000], [1x, 2x])",
    ):
        schedule = parse(text)
        ends.append(predict(batch(LAW, [(Plan(schedule), np.array([schedule.total - 1]))]), theta)[0])
    assert ends[0] == pytest.approx(ends[1], rel=5e-4)


def test_slopes_are_those_of_differences():
    plan = Plan(parse(f"rate={RATE}; batch={BATCHES[1]}; average=ema(30)"))
    data, theta = batch(LAW, [(plan, np.array([500, 899]))]), THETA
    jacobian = predict_with_jacobian(data, theta)[1]
    for i in np.flatnonzero(theta):
        step = np.zeros(len(theta))
        step[i] = 1e-5 * abs(theta[i])
        difference = (predict(data, theta + step) - predict(data, theta - step)) / (2 * step[i])
        assert np.allclose(jacobian[:, i], difference, rtol=1e-4, atol=1e-9 / abs(theta[i]))


def test_laws_that_know_no_noise_refuse_a_batch_schedule():
    for law in LAWS.values():
        if not law.knows_noise:
            with pytest.raises(DesignError, match="does not separate noise from slow progress"):
                said(f"rate={RATE}; batch=steps([0, 9], [1x, 2x])", [899], law)


def test_a_batch_in_tokens_counts_in_the_plan_s_own():
    text = f"rate={RATE}; batch=steps([0, 300], [1M, 4M])"
    found = [
        predict(batch(LAW, [(Plan(parse(t), batch_tokens=b), np.array([899]))]), THETA)[0]
        for t, b in ((text, None), (text, 1e6), (text.replace("1M, 4M", "1x, 4x"), None), (text, 2e6))
    ]
    assert found[0] == found[1] == found[2] != found[3]


def test_far_below_the_noise_scale_the_rate_counts_the_root_of_the_batch_and_far_above_itself():
    plan = parse(f"rate={RATE}; batch=steps([0, 300], [1x, 4x])")
    steps, rate = np.array([100, 500]), parse(RATE)(np.array([100, 500]))
    for scale, factor in ((np.inf, 2.0), (1e9, 2.0), (0.0, 1.0), (1.0, np.sqrt(1.6))):
        assert EffectiveRate(plan, plan.batch.pieces, noise_scale=scale)(steps) == pytest.approx(
            rate * [1, factor], rel=1e-6
        )


def test_the_work_does_not_grow_with_the_updates():
    nodes = []
    for total in (10**5, 10**8):
        text = f"rate=cosine(peak=1e-3, warmup=1%, total={total}); batch=ramp([0, 50%], [1x, 4x]); average=ema(1000)"
        data = batch(LAW, [(Plan(parse(text)), np.array([total - 1]))])
        nodes.append(len(data.sums[0].eta))
    assert nodes[1] < 1.6 * nodes[0]


def test_curves_of_averages_are_asked_some_steps_at_a_time():
    plan = Plan(parse(f"rate={RATE}; average=ema(30)"))
    steps = np.arange(100, 900, 10)
    some = list(batches(LAW, [(plan, steps)]))
    assert max(len(b) for b in some) <= 50 and sum(map(len, some)) == len(steps)
    assert np.array_equal(
        np.concatenate([predict(b, THETA) for b in some]), predict(batch(LAW, [(plan, steps)]), THETA)
    )


@pytest.mark.parametrize("rate", [RATE, "knots(steps=[0, 9, 20, 90], values=[0, 0, 1e-3, 0])"])
@pytest.mark.parametrize("average", ["ema(100)", "merge(3, 4)"])
def test_before_any_update_an_average_is_the_weights(rate, average):
    np.testing.assert_allclose(said(f"rate={rate}; average={average}", [0]), said(rate, [0]), rtol=1e-12)
    assert np.isfinite(said(f"rate={rate}; average={average}", range(20))).all()
