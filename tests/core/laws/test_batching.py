"""Batch schedules and averages under laws, against sums over every update and every pair of weights."""

import numpy as np
import pytest

from optlaws_core.errors import DesignError
from optlaws_core.laws import LAWS
from optlaws_core.laws.batching import EffectiveRate
from optlaws_core.laws.evaluation import batch, batches, predict, predict_with_jacobian
from optlaws_core.laws.noisy_quadratic import RATES
from optlaws_core.runs import Plan
from optlaws_core.schedules import parse, parts
from tests.core.sums.test_averages import all_weights
from tests.knowledge.twins import ETA_REF, THETAS, TWINS, positive

KNOWING = [name for name, law in LAWS.items() if law.knows_noise]
RATE = "wsd(peak=1.5e-3, warmup=40, total=900, decay=200)"
BATCHES = ("steps([0, 300], [1x, 4x])", "ramp([0, 300, 600], [1x, 4x, 0.5x])", "steps([0], [0.25x])")


def noise(name, theta, eta, share, pairs):
    """The law's history sum for pairs of updates (earlier, later), and what makes the loss of it and of S."""
    S, clock, t = positive(np.cumsum(eta)), np.cumsum(eta), dict(zip(LAWS[name].names, theta, strict=True))
    if name == "opt_laws_curve":
        clock = np.cumsum(ETA_REF * (eta / ETA_REF) ** 1.5)
        source = eta**2 * (t["A0"] + t["A1"] * S ** -t["q"])
        kernel = lambda u, k: (1 + t["c"] * u) ** -t["rho"]  # noqa: E731
        loss = lambda S, H: t["L_inf"] + t["A"] * S ** -t["q"] + H  # noqa: E731
    elif name == "opt_laws_sublinear":
        source = t["A0"] * eta**2 * S ** t["m"]
        pace = t["c"] * (np.maximum(eta, 1e-10) / ETA_REF) ** t["g"]
        kernel = lambda u, k: (1 + pace[k] * u) ** -t["rho"]  # noqa: E731
        loss = lambda S, H: t["L_inf"] + t["A"] * S ** -t["q"] + H ** t["omega"]  # noqa: E731
    elif name == "forcing_memory":
        source = eta**2 * (t["A0"] + t["A1"] * S ** -t["q_F"])
        kernel = lambda u, k: (1 + t["c_K"] * u) ** -t["q_K"]  # noqa: E731
        loss = lambda S, H: t["L_inf"] + t["A_F"] * S ** -t["q_F"] + H  # noqa: E731
    else:
        h = np.array(RATES)
        a, b = (np.array([t[f"{letter}{i}"] for i in range(1, len(h) + 1)]) for letter in "ab")
        source = eta**2
        kernel = lambda u, k: np.exp(-2 * np.multiply.outer(u, h)) @ b  # noqa: E731
        loss = lambda S, H: t["L_inf"] + np.exp(-2 * h * S) @ a + H  # noqa: E731
    found = []
    for i, j in pairs:
        k = np.flatnonzero(eta[: i + 1] > 0)
        found.append(np.sum((source * share)[k] * kernel((clock[i] + clock[j]) / 2 - clock[k], k)))
    return np.array(found), S, loss


def twin(name, text, steps):
    """Losses of a plan after `steps`, summed over every update and every pair."""
    rate, sizes, average = parts(parse(text))
    every = np.arange(rate.total)
    share = 1 / sizes(every) if sizes else np.ones(rate.total)
    eta = rate(every) / np.sqrt(share)
    losses = []
    for t in steps:
        updates, weights = all_weights(average, t) if average else (np.array([t]), np.ones(1))
        couples = [(min(i, j), max(i, j)) for i in updates for j in updates]
        unique, index = np.unique(couples, axis=0, return_inverse=True)
        H, S, loss = noise(name, LAWS[name].vector(THETAS[name][0]), eta, share, unique)
        losses.append(loss(weights @ S[updates], np.multiply.outer(weights, weights).ravel() @ H[index.ravel()]))
    return np.array(losses)


def said(name, text, steps):
    law = LAWS[name]
    return predict(batch(law, [(Plan(parse(text)), np.array(steps))]), law.vector(THETAS[name][0]))


def test_four_laws_know_noise():
    assert KNOWING == ["opt_laws_curve", "opt_laws_sublinear", "forcing_memory", "noisy_quadratic"]


@pytest.mark.parametrize("name", KNOWING)
def test_the_twin_is_the_law_s_where_nothing_but_the_rate_is_scheduled(name):
    steps = [200, 899]
    eta = parse(RATE)(np.arange(900))
    theta = THETAS[name][0]
    known = TWINS[name](eta, steps, **LAWS[name].complete({**theta, **({"D": 0.0} if "D" in theta else {})}))
    D = theta.get("D", 0.0) * eta.max()
    assert np.allclose(twin(name, RATE, steps), known, rtol=1e-12)
    assert np.allclose(said(name, RATE, steps), known + D, rtol=1e-7)


@pytest.mark.parametrize("name", KNOWING)
@pytest.mark.parametrize("sizes", BATCHES)
def test_a_batch_schedule_acts_as_on_every_update(name, sizes):
    steps = [100, 299, 300, 301, 600, 899]
    D = THETAS[name][0].get("D", 0.0) * 1.5e-3
    text = f"rate={RATE}; batch={sizes}"
    assert np.allclose(said(name, text, steps), twin(name, text, steps) + D, rtol=1e-6)


@pytest.mark.parametrize("name", KNOWING)
@pytest.mark.parametrize("more", ["", "batch=ramp([0, 600], [1x, 4x]); "])
@pytest.mark.parametrize("average", ["ema(20)", "merge(8, 25)"])
def test_an_average_is_the_sum_over_all_pairs(name, more, average):
    steps = [150, 720, 899]
    D = THETAS[name][0].get("D", 0.0) * 1.5e-3
    text = f"rate={RATE}; {more}average={average}"
    assert np.allclose(said(name, text, steps), twin(name, text, steps) + D, rtol=1e-4)


@pytest.mark.parametrize("name", KNOWING)
def test_a_constant_batch_and_an_average_of_one_weight_change_nothing(name):
    steps = np.arange(50, 900, 7)
    plain = said(name, RATE, steps)
    assert np.allclose(said(name, f"rate={RATE}; batch=steps([0], [1x])", steps), plain, rtol=1e-12)
    assert np.allclose(said(name, f"rate={RATE}; average=merge(1, 10)", steps), plain, rtol=1e-7)


def test_a_rate_cut_by_root_2_with_twice_the_batch_is_a_rate_cut_by_2_at_the_same_tokens():
    """Seesaw's exchange (arXiv:2510.14717), where noise is forgotten over many updates, and not within one."""
    law = LAWS["forcing_memory"]
    theta = law.vector({**THETAS["forcing_memory"][0], "c_K": 5.0})
    ends = []
    for text in (
        "step(peak=1e-3, warmup=0, total=3000, boundaries=[2000], values=[5e-4])",
        "rate=step(peak=1e-3, warmup=0, total=2500, boundaries=[2000], values=[7.0710678118654757e-4]); "
        "batch=steps([0, 2000], [1x, 2x])",
    ):
        schedule = parse(text)
        ends.append(predict(batch(law, [(Plan(schedule), np.array([schedule.total - 1]))]), theta)[0])
    assert ends[0] == pytest.approx(ends[1], rel=5e-4)


@pytest.mark.parametrize("name", KNOWING)
def test_slopes_are_those_of_differences(name):
    law = LAWS[name]
    theta = law.vector(THETAS[name][0])
    data = batch(law, [(Plan(parse(f"rate={RATE}; batch={BATCHES[1]}; average=ema(30)")), np.array([500, 899]))])
    jacobian = predict_with_jacobian(data, theta)[1]
    for i in np.flatnonzero(theta):
        step = np.zeros(len(theta))
        step[i] = 1e-5 * abs(theta[i])
        difference = (predict(data, theta + step) - predict(data, theta - step)) / (2 * step[i])
        assert np.allclose(jacobian[:, i], difference, rtol=1e-4, atol=1e-9 * np.abs(jacobian[:, i]).max() + 1e-12)


def test_laws_that_know_no_noise_refuse():
    for law in LAWS.values():
        if not law.knows_noise:
            for more, what in (("batch=steps([0, 9], [1x, 2x])", "batch schedule"), ("average=ema(9)", "average")):
                with pytest.raises(DesignError, match=what):
                    batch(law, [(Plan(parse(f"rate={RATE}; {more}"), 1e6, 1e6), np.array([899]))])


def test_a_batch_in_tokens_counts_in_the_plan_s_own():
    text = f"rate={RATE}; batch=steps([0, 300], [1M, 4M])"
    law = LAWS["forcing_memory"]
    theta = law.vector(THETAS["forcing_memory"][0])
    found = [
        predict(batch(law, [(Plan(parse(t), batch_tokens=b), np.array([899]))]), theta)[0]
        for t, b in ((text, None), (text, 1e6), (text.replace("1M, 4M", "1x, 4x"), None), (text, 2e6))
    ]
    assert found[0] == found[1] == found[2] != found[3]


def test_far_below_the_noise_scale_the_rate_counts_the_root_of_the_batch_and_far_above_itself():
    plan = parse(f"rate={RATE}; batch=steps([0, 300], [1x, 4x])")
    steps, rate = np.array([100, 500]), parse(RATE)(np.array([100, 500]))
    for scale, factor in ((np.inf, 2.0), (1e9, 2.0), (0.0, 1.0), (1.0, np.sqrt(1.6))):
        assert EffectiveRate(plan, plan.batch.pieces, scale)(steps) == pytest.approx(rate * [1, factor], rel=1e-6)


def test_the_work_does_not_grow_with_the_updates():
    law, nodes = LAWS["opt_laws_curve"], []
    for total in (10**5, 10**8):
        text = f"rate=cosine(peak=1e-3, warmup=1%, total={total}); batch=ramp([0, 50%], [1x, 4x]); average=ema(1000)"
        data = batch(law, [(Plan(parse(text)), np.array([total - 1]))])
        nodes.append(len(data.sums[0].eta))
    assert nodes[1] < 1.6 * nodes[0]


def test_curves_of_averages_are_asked_some_steps_at_a_time():
    plan = Plan(parse(f"rate={RATE}; average=ema(30)"))
    steps = np.arange(100, 900, 10)
    law = LAWS["forcing_memory"]
    theta = law.vector(THETAS["forcing_memory"][0])
    some = list(batches(law, plan, steps))
    assert max(len(b) for b in some) <= 20 and sum(map(len, some)) == len(steps)
    assert np.array_equal(
        np.concatenate([predict(b, theta) for b in some]), predict(batch(law, [(plan, steps)]), theta)
    )
