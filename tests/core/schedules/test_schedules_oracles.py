"""Every schedule against the schedulers that people train with, to 1e-12 of the peak, and against printed values.

The mapping from a scheduler's arguments to the fields here stands in each case. PyTorch is one of the pinned packages;
transformers and optax are compared where they are installed.
"""

import math

import numpy as np
import pytest

from optlaws_core.schedules import (
    SGDR,
    UBA,
    WSD,
    WSDS,
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Extended,
    InverseSqrt,
    Knots,
    Linear,
    OneCycle,
    Polynomial,
    PowerDecay,
    PowerScheduler,
    Rex,
    Step,
    refined,
)

P = 3e-3  # the peak


def logged(scheduler, optimizer, count: int) -> np.ndarray:
    """The rates of the first `count` updates."""
    rates = []
    for _ in range(count):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def by_torch(name: str, count: int, **kwargs) -> np.ndarray:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=P)
    return logged(getattr(torch.optim.lr_scheduler, name)(optimizer, **kwargs), optimizer, count)


def agree(schedule, rates: np.ndarray, within: float = 1e-12) -> None:
    np.testing.assert_allclose(schedule(np.arange(len(rates))), rates, rtol=0, atol=within * schedule.peak)


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule, count, name, kwargs",
    [
        (Constant(P, total=50), 60, "ConstantLR", dict(factor=1.0)),
        (Linear(P, total=50), 60, "LinearLR", dict(start_factor=1.0, end_factor=0.0, total_iters=50)),
        (Linear(P, total=50, final=P / 4), 60, "LinearLR", dict(start_factor=1.0, end_factor=0.25, total_iters=50)),
        (Cosine(P, total=50, final=1e-4), 51, "CosineAnnealingLR", dict(T_max=50, eta_min=1e-4)),
        (Polynomial(P, total=50), 60, "PolynomialLR", dict(total_iters=50, power=2.0)),
        (Polynomial(P, total=50, exponent=0.7), 60, "PolynomialLR", dict(total_iters=50, power=0.7)),
        (Exponential(P, total=50, final=P * 0.9**50), 51, "ExponentialLR", dict(gamma=0.9)),
        (
            Step(P, total=50, boundaries=(20, 40), values=(0.3 * P, 0.09 * P)),
            50,
            "MultiStepLR",
            dict(milestones=[20, 40], gamma=0.3),
        ),
        (SGDR(P, total=47, period=10, final=1e-5), 47, "CosineAnnealingWarmRestarts", dict(T_0=10, eta_min=1e-5)),
        (SGDR(P, total=100, period=7, growth=2), 100, "CosineAnnealingWarmRestarts", dict(T_0=7, T_mult=2)),
        (SGDR(P, total=100, period=3, growth=3), 100, "CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=3)),
        # Up from base_lr = 0, which is the warm-up; 3 falls and 2 more rises of 10 updates each.
        (
            Cyclic(P, warmup=10, total=60),
            61,
            "CyclicLR",
            dict(base_lr=0.0, max_lr=P, step_size_up=10, cycle_momentum=False),
        ),
        (
            Cyclic(P, warmup=10, total=60, shrink=0.5),
            61,
            "CyclicLR",
            dict(base_lr=0.0, max_lr=P, step_size_up=10, cycle_momentum=False, mode="triangular2"),
        ),
        # Its last update has the end value, and the peak is at pct_start · total_steps − 1.
        (OneCycle(P, warmup=29, total=99), 100, "OneCycleLR", dict(max_lr=P, total_steps=100, cycle_momentum=False)),
        (
            OneCycle(P, warmup=9, total=49, div=10, final_div=100, shape="linear", warmup_shape="linear"),
            50,
            "OneCycleLR",
            dict(
                max_lr=P,
                total_steps=50,
                cycle_momentum=False,
                pct_start=0.2,
                div_factor=10,
                final_div_factor=100,
                anneal_strategy="linear",
            ),
        ),
    ],
    ids=str,
)
def test_pytorch(schedule, count, name, kwargs):
    agree(schedule, by_torch(name, count, **kwargs))


@pytest.mark.parametrize("base", [0.0, 1e-4])
def test_pytorch_falls_by_a_factor_in_every_update(base):
    """CyclicLR's exp_range counts its factor from step 0: max_lr is the height of a cycle before any of it."""
    gamma, rise = 0.97, 10
    height = (P - base) / gamma**rise
    kwargs = dict(base_lr=base, max_lr=base + height, step_size_up=rise, mode="exp_range", gamma=gamma)
    rates = by_torch("CyclicLR", 61, cycle_momentum=False, **kwargs)
    schedule = Cyclic(P, warmup=rise, total=60, final=base, gamma=gamma)
    np.testing.assert_allclose(schedule(np.arange(rise, 61)), rates[rise:], rtol=0, atol=1e-12 * P)


def test_pytorch_in_sequence_is_a_trapezoid_with_a_floor():
    """SequentialLR calls each part at its own step 0: a rise (PyTorch cannot start at 0), a stay, a line down."""
    torch = pytest.importorskip("torch")
    s = torch.optim.lr_scheduler
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=P)
    parts = [
        s.LinearLR(optimizer, start_factor=0.1, total_iters=9),
        s.ConstantLR(optimizer, factor=1.0),
        s.LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=20),
    ]
    rates = logged(s.SequentialLR(optimizer, parts, milestones=[9, 40]), optimizer, 61)
    # from P/10 at its step 0 to the peak at its step 9: the line from 0 over 10 updates, one update later
    trapezoid = WSD(P, warmup=10, total=61, decay=20, final=0.1 * P)
    np.testing.assert_allclose(trapezoid(np.arange(61) + 1), rates, rtol=0, atol=1e-12 * P)


# ------------------------------------------------------------------------------------------------- transformers, optax


def by_transformers(name: str, count: int, **kwargs) -> np.ndarray:
    pytest.importorskip("transformers")
    import torch
    from transformers import optimization

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=P)
    return logged(getattr(optimization, f"get_{name}")(optimizer, **kwargs), optimizer, count)


@pytest.mark.parametrize(
    "schedule, name, kwargs",
    [
        (Constant(P, warmup=7, total=50), "constant_schedule_with_warmup", {}),
        (Linear(P, warmup=7, total=50), "linear_schedule_with_warmup", dict(num_training_steps=50)),
        (Cosine(P, warmup=7, total=50), "cosine_schedule_with_warmup", dict(num_training_steps=50)),
        (
            Cosine(P, warmup=7, total=50, final=P / 10),
            "cosine_with_min_lr_schedule_with_warmup",
            dict(num_training_steps=50, min_lr=P / 10),
        ),
        (
            SGDR(P, warmup=8, total=50, period=14),
            "cosine_with_hard_restarts_schedule_with_warmup",
            dict(num_training_steps=50, num_cycles=3),
        ),
        (
            Polynomial(P, warmup=7, total=50, final=1e-7, exponent=1.7),
            "polynomial_decay_schedule_with_warmup",
            dict(num_training_steps=50, power=1.7),
        ),
        (InverseSqrt(P, warmup=7, total=50), "inverse_sqrt_schedule", dict(timescale=7)),
        (InverseSqrt(P, warmup=7, total=50, timescale=20), "inverse_sqrt_schedule", dict(timescale=20)),
        *(
            (
                WSD(P, warmup=7, total=50, decay=20, shape=shape, warmup_shape=rise),
                "wsd_schedule",
                dict(num_stable_steps=23, num_decay_steps=20, warmup_type=rise, decay_type=shape),
            )
            for rise in ("linear", "cosine", "1-sqrt")
            for shape in ("linear", "cosine", "1-sqrt")
        ),
    ],
    ids=str,
)
def test_transformers(schedule, name, kwargs):
    agree(schedule, by_transformers(name, 50, num_warmup_steps=schedule.warmup, **kwargs))


@pytest.mark.parametrize(
    "schedule, name, args",
    [
        (Linear(P, total=50, final=1e-5), "linear_schedule", (P, 1e-5, 50)),
        (Cosine(P, total=50, final=0.1 * P), "cosine_decay_schedule", (P, 50, 0.1)),
        (Cosine(P, warmup=7, total=50, final=1e-5), "warmup_cosine_decay_schedule", (0.0, P, 7, 50, 1e-5)),
        (Constant(P, warmup=7, total=50), "warmup_constant_schedule", (0.0, P, 7)),
        (Polynomial(P, total=50, final=1e-5, exponent=1.7), "polynomial_schedule", (P, 1e-5, 1.7, 50)),
        (PowerDecay(P, total=50, beta=1.4), "polynomial_schedule", (P, 0.0, 1.8, 50)),
        (Exponential(P, total=50), "exponential_decay", (P, 50, 0.01)),
        # One-cycle without PyTorch's − 1: the peak at pct_start · N, the end value at N.
        (OneCycle(P, warmup=15, total=50), "cosine_onecycle_schedule", (50, P)),
        (
            SGDR(P, total=70, period=10, growth=2),
            "sgdr_schedule",
            ([dict(init_value=0.0, peak_value=P, warmup_steps=0, decay_steps=n) for n in (10, 20, 40)],),
        ),
    ],
    ids=str,
)
def test_optax(schedule, name, args):
    optax = pytest.importorskip("optax")
    import jax

    with jax.enable_x64(True):
        by_optax = getattr(optax, name)(*args)
        agree(schedule, np.array([float(by_optax(jax.numpy.asarray(t, float))) for t in range(schedule.total)]))


# ----------------------------------------------------------------------------------------------------- printed values


def test_vectors_of_transformers():
    """Its tests/optimization/test_optimization.py: lr 10, 2 warm-up steps, 10 in all; cut to three decimals."""
    t = np.arange(10)
    restarts = SGDR(10.0, warmup=2, total=10, period=4)
    np.testing.assert_allclose(restarts(t), [0, 5, 10, 8.53, 5, 1.46, 10, 8.53, 5, 1.46], atol=0.01)
    polynomial = Polynomial(10.0, warmup=2, total=10, final=1e-7)
    expected = [0, 5, 10, 7.656, 5.625, 3.906, 2.5, 1.406, 0.625, 0.156]
    np.testing.assert_allclose(polynomial(t), expected, atol=0.001)


def test_vectors_of_pytorch_optimizer():
    """kozistr/pytorch_optimizer, tests/test_lr_schedulers.py: lr 1e-3, 2 + 2 + 3 steps, the first value after one.

    Its floor of 1e-4 is a maximum for all shapes but the cosine, so it holds only at the end.
    """
    same = dict(warmup=2, total=7, decay=3)
    cosine = WSD(1e-3, **same, final=1e-4, shape="cosine")(np.arange(1, 8))
    np.testing.assert_allclose(cosine, [0.0005, 0.001, 0.001, 0.001, 0.000775, 0.000325, 0.0001], atol=1e-12)
    for shape, rates in (
        ("1-sqrt", [0.0004226, 0.0001835]),
        ("square", [0.0008888, 0.0005555]),
        ("linear", [0.0006666, 0.0003333]),
    ):
        np.testing.assert_allclose(WSD(1e-3, **same, shape=shape)([5, 6]), rates, atol=1e-7)
    np.testing.assert_allclose(
        Rex(1.0, total=5)([1, 2, 3, 4, 5]), [0.888888, 0.749999, 0.571428, 0.333333, 0], atol=1e-6
    )


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cooldowns_of_schedules_and_scaling(floor):
    """epfml/schedules-and-scaling, src/optim/utils.py, with its formulas as they are printed there."""
    y = np.linspace(0, 1, 11)
    linear = floor + (1 - floor) * (1 - y)
    cosine = floor + (1 - floor) * (1 + np.cos(np.pi * y)) / 2
    for shape, rates in (
        ("linear", linear),
        ("cosine", cosine),
        ("mirror-cosine", 2 * linear - cosine),
        ("square", floor + (1 - floor) * (1 - y**2)),
        ("1-sqrt", floor + (1 - floor) * (1 - np.sqrt(y))),
    ):
        found = WSD(P, total=30, decay=10, final=floor * P, shape=shape)(20 + 10 * y)
        np.testing.assert_allclose(found, P * rates, rtol=0, atol=1e-12 * P)


def test_the_lowered_linear_cooldown():
    """arXiv:2508.01483: a drop to 0.7 of the peak, from there a line to 0."""
    rates = WSD(1.0, warmup=2, total=12, decay=5, drop=0.7)(np.arange(13))
    np.testing.assert_allclose(rates, [0, 0.5, 1, 1, 1, 1, 1, 0.7, 0.56, 0.42, 0.28, 0.14, 0], atol=1e-15)


def test_vectors_of_uba():
    x = np.arange(6) * 20
    for phi, rates in (
        (0.5, [1, 0.97428549, 0.88341875, 0.67860708, 0.29690912, 0]),
        (1.0, [1, 0.94986029, 0.79118179, 0.51355434, 0.17433545, 0]),
        (5.0, [1, 0.79118179, 0.43109764, 0.17433545, 0.04051808, 0]),
    ):
        np.testing.assert_allclose(UBA(1.0, total=100, phi=phi)(x), rates, atol=1e-8)
        c = 1 + np.cos(np.pi * x / 100)
        np.testing.assert_allclose(UBA(1.0, total=100, phi=phi)(x), 2 * c / (2 * phi + (2 - phi) * c), atol=1e-12)
    t = np.arange(51)
    agree(UBA(P, warmup=5, total=50, phi=2.0, final=1e-4), Cosine(P, warmup=5, total=50, final=1e-4)(t))


def test_vectors_of_the_power_scheduler():
    """arXiv:2408.13359, η = min(0.02, 1024 · 4 · n^−0.51) at n tokens, 1024 sequences of 4096 an update."""
    schedule = PowerScheduler(0.02, warmup=238, total=3_000_000)
    tokens = np.array([1e10, 1e11, 1e12])
    np.testing.assert_allclose(schedule(tokens / (1024 * 4096)), [0.02, 0.01005449, 0.00310713], rtol=0, atol=5e-9)
    whole = np.arange(238, 3_000_000, 9973)
    law = np.minimum(0.02, 1024 * 4 * (whole * 1024.0 * 4096.0) ** -0.51)
    np.testing.assert_allclose(schedule(whole), law, rtol=1e-12)
    assert schedule(119) == 0.01
    fit = PowerScheduler(0.02, total=3_000_000, scale=4.6)  # the optimum of the paper for 1e13 tokens
    np.testing.assert_allclose(fit(1e13 / (1024 * 4096)), 0.0011042, rtol=1e-4)


def test_the_power_decay_is_a_polynomial():
    agree(PowerDecay(P, warmup=5, total=50, beta=1.0), Linear(P, warmup=5, total=50)(np.arange(51)))
    x = np.arange(51) / 50
    agree(PowerDecay(P, total=50, beta=1.7, final=1e-4), 1e-4 + (P - 1e-4) * (1 - x) ** (2 * 1.7 - 1))


def bound_factor(eta: np.ndarray) -> float:
    """γ* of a shape from Theorem 10 of arXiv:2310.07831, D = G = 1, summed update by update."""
    S, Q = (np.cumsum(eta[::-1] ** power)[::-1] for power in (1, 2))
    return (Q[0] + S[0] * np.sum(eta[:-1] / S[1:] * Q[:-1] / S[:-1])) ** -0.5


@pytest.mark.parametrize("shape", ["linear", "1-sqrt", "cosine", "square"])
@pytest.mark.parametrize("stretch", [1.25, 2, 4])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_an_extension_keeps_the_best_peak(shape, stretch, share):
    """arXiv:2501.18965: the factor is such that the longer run asks for the peak that the shorter one had."""
    first = 20_000
    longer = Extended(1.0, total=int(stretch * first), first=first, share=share, shape=shape)
    shorter = WSD(1.0, total=first, decay=round(share * first), shape=shape)
    asked = [bound_factor(s(np.arange(s.total))) for s in (shorter, longer)]
    assert asked[1] == pytest.approx(asked[0], rel=2e-3)  # sums against integrals
    same = Extended(1.0, total=longer.total, first=first, share=share, shape=shape, factor=1.0)
    assert bound_factor(same(np.arange(same.total))) < 0.97 * asked[0]


def test_an_extension_shares_its_start_with_the_run_that_it_extends():
    run = WSD(P, warmup=100, total=1100, decay=200, shape="1-sqrt")
    schedule = Extended(P, warmup=100, total=2100, first=1100, shape="1-sqrt")
    agree(schedule, run(np.arange(900)))
    late = WSD(schedule.factor * P, total=1200, decay=400, shape="1-sqrt")
    np.testing.assert_allclose(schedule(np.arange(900, 2101)), late(np.arange(1201)), rtol=0, atol=1e-12 * P)
    assert schedule.breaks == (0, 100, 900, 1700, 2100)
    assert Extended(P, total=1000, first=1000).factor == 1


def test_stages_of_wsd_s_are_schedules_of_their_own():
    """Each stage is a WSD with a decay of a tenth; the first has the warm-up, the others go on at the peak."""
    schedule = WSDS(P, warmup=10, total=410, ends=(110, 210), share=0.1, final=1e-4, shape="1-sqrt")
    parts = [
        WSD(P, warmup=10, total=110, decay=10, final=1e-4, shape="1-sqrt")(np.arange(110)),
        WSD(P, total=100, decay=10, final=1e-4, shape="1-sqrt")(np.arange(100)),
        WSD(P, total=200, decay=20, final=1e-4, shape="1-sqrt")(np.arange(201)),
    ]
    agree(schedule, np.concatenate(parts))
    assert schedule.breaks == (0, 10, 100, 110, 200, 210, 390, 410)
    assert WSDS(P, total=400).ends == (100, 200)


def test_warm_up_shapes():
    """At u = t/W: u, (1 − cos πu)/2 and 1 − √(1−u) as in transformers, and (100^u − 1)/99.

    The last is MMCV's exponential warm-up with ratio 0.01, P·0.01^(1−u), moved and stretched from [0.01, 1] to [0, 1].
    """
    for shape, share in (
        ("linear", lambda u: u),
        ("cosine", lambda u: (1 - math.cos(math.pi * u)) / 2),
        ("1-sqrt", lambda u: 1 - math.sqrt(1 - u)),
        ("exponential", lambda u: (0.01 ** (1 - u) - 0.01) / 0.99),
    ):
        expected = [P * share(t / 40) for t in range(40)] + [P] * 10
        agree(Constant(P, warmup=40, total=50, warmup_shape=shape), np.array(expected))
        agree(Knots((0, 50), (P, P), warmup=40, warmup_shape=shape), np.array(expected))


# --------------------------------------------------------------------------------------------------------- refinement


def test_vectors_of_refinement():
    """Equal norms give a line to 0; G = [2, 1, 1, 2] gives weights [¼, 1, 1, ¼] and w·tail = [.5625, 1.25, .25, 0]."""
    agree(refined(range(5), [3.0] * 5, P, smoothing=0).schedule, P * np.array([0.8, 0.6, 0.4, 0.2, 0]) / 0.8)
    agree(refined(range(5), [3.0] * 5, P, smoothing=0).schedule, Linear(P, total=4)(np.arange(5)))
    agree(refined(range(4), [2, 1, 1, 2], P, smoothing=0).schedule, P * np.array([0.225, 0.5, 0.1, 0]) / 0.5)
    weights = np.array([0.5, 1, 1, 0.5])
    by_l1 = weights * [2.5, 1.5, 0.5, 0]
    agree(refined(range(4), [2, 1, 1, 2], P, smoothing=0, norm="l1").schedule, P * by_l1 / by_l1.max())


@pytest.mark.parametrize("norm, power", [("l2", -2), ("l1", -1)])
def test_refinement_step_by_step(norm, power):
    """arXiv:2310.07831 with its median over a tenth of the norms, reflected behind the last, spelt out."""
    random = np.random.default_rng(0)
    n = 200
    g = (1 + 9 * np.exp(-np.arange(n) / 10) + np.arange(n) / n) * np.exp(0.2 * random.standard_normal(n))
    width = 2 * (int(0.1 * n) // 2) + 1
    seen = [g[0]] * (width // 2) + list(g) + list(g[-2::-1])
    smooth = [float(np.median(seen[i : i + width])) for i in range(n)]
    w = [x**power for x in smooth]
    rates = np.array([w[t] * sum(w[t + 1 :]) for t in range(n)])
    agree(refined(range(n), g, P, norm=norm).schedule, P * rates / rates.max())
