"""Chains of schedules: one after another, in every sum, and as good as any schedule."""

import math

import numpy as np
import pytest

from optlaws_core.errors import ScheduleError
from optlaws_core.laws.sums.functionals import functionals
from optlaws_core.schedules import WSD, Constant, Cosine, Linear, Step, parse
from optlaws_core.schedules.chain import Chain
from tests.core.laws.sums.test_functionals import HEIGHTS, KERNELS, MU, rates
from tests.knowledge.twins import shipped

FIRST = WSD(2e-3, warmup=50, total=1000, decay=200)
SECOND = Cosine(5e-4, warmup=20, total=300, final=5e-5)
CHAIN = Chain(FIRST, SECOND)


def test_rates_are_those_of_one_part_and_then_of_the_other():
    for first, second in zip(shipped(20, 300), reversed(shipped(0, 70)), strict=True):
        chain = Chain(parse(first), parse(second))
        both = np.concatenate((chain.first(np.arange(300)), chain.second(np.arange(70))))
        np.testing.assert_array_equal(chain(np.arange(370)), both, err_msg=chain.text)


def test_the_joint_belongs_to_the_second_part():
    assert CHAIN(999) == FIRST(999) > 0 == CHAIN(1000) == SECOND(0)
    assert CHAIN(1010) == pytest.approx(2.5e-4) and CHAIN(1020) == 5e-4
    bare = Chain(Constant(1e-3, total=10), Constant(2e-3, total=10))
    np.testing.assert_array_equal(bare([9, 9.5, 10, 10.5]), [1e-3, 1e-3, 2e-3, 2e-3])


def test_steps_of_any_shape_and_outside():
    steps = np.array([[-5, 0, 25], [1000, 1300, 9999]])
    np.testing.assert_allclose(CHAIN(steps), [[0, 0, 1e-3], [0, 5e-5, 5e-5]], atol=1e-15)
    assert CHAIN(7).shape == ()


def test_what_a_chain_says_of_itself():
    assert (CHAIN.peak, CHAIN.total, CHAIN.warmup, CHAIN.warmup_end) == (2e-3, 1300, 50, 50)
    assert Chain(SECOND, FIRST).peak == 2e-3 and Chain(SECOND, FIRST).warmup == 20
    assert CHAIN.family == "chain"
    assert CHAIN.text == str(CHAIN) == f"{FIRST.text} then {SECOND.text}"
    with pytest.raises(ScheduleError):
        parse(CHAIN.text)


def test_breaks_are_those_of_both_parts():
    assert FIRST.breaks == (0, 50, 800, 1000) and SECOND.breaks == (0, 20, 300)
    assert CHAIN.breaks == (0, 50, 800, 1000, 1020, 1300)
    for first, second in zip(shipped(20, 300), reversed(shipped(0, 70)), strict=True):
        breaks = Chain(parse(first), parse(second)).breaks
        assert (breaks[0], breaks[-1]) == (0, 370) and 300 in breaks and list(breaks) == sorted(set(breaks))


def test_chains_of_chains():
    """Three parts in a row have the same rates wherever the brackets stand."""
    third = Linear(1e-4, total=40)
    left, right = Chain(CHAIN, third), Chain(FIRST, Chain(SECOND, third))
    steps = np.arange(left.total)
    np.testing.assert_array_equal(left(steps), right(steps))
    assert left.breaks == right.breaks and left.text == right.text and left.total == right.total == 1340
    assert left.second == third and left != right


def test_the_summed_rate_goes_on_behind_the_joint():
    f = functionals(FIRST, SECOND, CHAIN)
    assert f.I1[2] == pytest.approx(f.I1[0] + f.I1[1], rel=1e-12)
    nodes = functionals(CHAIN).nodes
    eta = CHAIN(np.arange(CHAIN.total))
    assert nodes.S[-1] == pytest.approx(eta.sum(), rel=1e-12) and (np.diff(nodes.S) >= 0).all()
    behind = nodes.S > f.I1[0] * (1 + 1e-9)
    assert behind.any() and (nodes.lag[~behind] >= f.I1[1] * (1 - 1e-9)).all()


@pytest.mark.slow
@pytest.mark.parametrize("m, g", [(0.0, 0.0), (-0.45, 0.0), (-0.45, -0.5)])
def test_functionals_of_a_chain_equal_slow_sums(m, g):
    texts = shipped(200, 6000)
    for first, second in zip(texts, texts[3:] + texts[:3], strict=True):
        short = parse(second.replace("3e-4", "5e-5")).rescaled(900)
        chain = Chain(parse(first), short)
        eta, S, lag = rates(chain)
        f, live = functionals(chain), eta > 0
        eta, S, lag = eta[live], S[live], lag[live]
        for c, rho in KERNELS:
            slow = float(np.sum(eta**2 * S**m * (1 + c * (eta / 1e-3) ** g * lag) ** -rho))
            assert f.V_K(c, rho, m, g)[0] == pytest.approx(slow, rel=1e-7), chain.text
        if m or g:
            continue
        heights = np.array(HEIGHTS) * chain.peak
        for name, fast, slow in (
            ("I1", f.I1, [eta.sum()]),
            ("I2", f.I2, [np.sum(eta**2)]),
            ("V_mu", f.V_mu(MU)[0], [np.sum(eta**2 * np.exp(-2 * mu * lag)) for mu in MU]),
            ("E_kappa", f.E_kappa(heights)[0], [np.sum(eta * np.exp(-h / eta)) for h in heights]),
        ):
            atol = 1e-25 * chain.peak if name == "E_kappa" else 0
            message = f"{name} of {chain.text}"
            np.testing.assert_allclose(fast, np.array(slow, float), rtol=1e-8, atol=atol, err_msg=message)


def test_the_highest_noise_may_lie_in_either_part():
    for chain in (CHAIN, Chain(SECOND, FIRST), Chain(Constant(1e-4, total=500), Constant(4e-3, total=50))):
        noise, most = 0.0, 0.0
        for eta in chain(np.arange(chain.total)):
            noise = noise * math.exp(-60 * eta) + eta**2
            most = max(most, noise)
        assert 0.95 * most <= functionals(chain).highest_noise(30.0)[0] <= most * (1 + 1e-5), chain.text


def test_noise_of_the_first_part_is_forgotten_in_the_second():
    """The part behind the checkpoint adds to the noise, and makes what came before it fade."""
    mu = 30.0
    f = functionals(FIRST, SECOND, CHAIN)
    before, own, whole = f.V_mu(mu)
    assert whole == pytest.approx(own + before * math.exp(-2 * mu * f.I1[1]), rel=1e-9)


def test_another_horizon_keeps_what_was_trained():
    longer = CHAIN.rescaled(1000 + 600)
    assert longer == Chain(FIRST, SECOND.rescaled(600)) and longer.total == 1600
    assert CHAIN.rescaled(CHAIN.total) == CHAIN
    assert CHAIN.rescaled(1021).second.total == 21
    for total in (1020, 1000, 400):
        with pytest.raises(ScheduleError, match=f"a horizon of {total - 1000} leaves nothing after 20 warm-up"):
            CHAIN.rescaled(total)


def test_a_cut_chain_leaves_the_first_part_on_its_way():
    cut = Chain(FIRST, SECOND, 600)
    steps = np.arange(cut.total)
    np.testing.assert_array_equal(cut(steps), np.concatenate((FIRST(np.arange(600)), SECOND(np.arange(300)))))
    assert (cut.total, cut.breaks) == (900, (0, 50, 600, 620, 900))
    assert cut.text == f"{FIRST.text} up to step 599, then {SECOND.text}"
    assert cut.rescaled(660) == Chain(FIRST, SECOND.rescaled(60), 600)
    assert Chain(FIRST, SECOND, 1000) == CHAIN != cut and Chain(FIRST, SECOND, 800).breaks == (0, 50, 800, 820, 1100)
    assert Chain(cut, SECOND, 100)(np.arange(100)).tolist() == FIRST(np.arange(100)).tolist()


@pytest.mark.parametrize("at", [51, 333, 800, 801, 999])
def test_functionals_of_a_cut_chain_equal_slow_sums(at):
    cut = Chain(FIRST, SECOND, at)
    eta, _, lag = rates(cut)
    f = functionals(cut)
    np.testing.assert_allclose(f.I1, [eta.sum()], rtol=1e-12)
    np.testing.assert_allclose(f.V_mu(MU)[0], [np.sum(eta**2 * np.exp(-2 * mu * lag)) for mu in MU], rtol=1e-8)


def test_equal_parts_make_equal_chains():
    same = Chain(parse(FIRST.text), parse(SECOND.text))
    assert same == CHAIN and hash(same) == hash(CHAIN) and len({same, CHAIN, Chain(SECOND, FIRST)}) == 2
    assert CHAIN != FIRST and CHAIN != Chain(FIRST, SECOND.rescaled(299))
    assert {CHAIN: "known"}[same] == "known"


@pytest.mark.parametrize(
    "first, second, message",
    [
        (FIRST, None, "chain: both parts must be schedules, got None"),
        ("constant(peak=1e-3, total=5)", FIRST, "chain: both parts must be schedules, got 'constant"),
        (FIRST, Constant, "chain: both parts must be schedules, got <class"),
        (Constant(1e-3, total=10**15), Constant(1e-3, total=1), r"chain: both parts together may have 1e\+15 updates"),
    ],
)
def test_chains_that_cannot_be(first, second, message):
    with pytest.raises(ScheduleError, match=message):
        Chain(first, second)


@pytest.mark.parametrize("at", [-1, 50, 1001])
def test_a_chain_cannot_be_cut_in_its_warmup_or_behind_its_end(at):
    with pytest.raises(ScheduleError, match=f"at step 51 to 1,000, got {at:,}."):
        Chain(FIRST, SECOND, at)


def test_a_chain_cannot_be_changed():
    with pytest.raises(AttributeError):
        CHAIN.second = Step(1e-3, total=10, boundaries=(5,), values=(1e-4,))


@pytest.mark.parametrize("more", ["batch=steps([0, 100], [1x, 4x])", "average=ema(10)"])
def test_a_batch_schedule_or_an_average_is_not_lost_in_a_chain(more):
    plan = parse(f"rate={FIRST.text}; {more}")
    for both in ((plan, SECOND), (FIRST, plan)):
        with pytest.raises(ScheduleError, match="without batch schedule or average of the weights"):
            Chain(*both)
