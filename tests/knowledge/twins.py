"""Slow twins: every law as its definition reads, summed step by step. The package's fast sums are held against them.

What does not depend on the update whose loss is asked for stands before the loop over those.
"""

import inspect
from itertools import accumulate

import numpy as np

ETA_REF = 1e-3


def positive(S):
    """S where it is still 0 (no rate yet) counts as its first value above 0: negative powers of 0 have none."""
    return np.maximum(S, S[S > 0][0])


def past(updates, t):
    """How many of the `updates`, in order, come no later than update t."""
    return int(np.searchsorted(updates, t, side="right"))


def power_law(eta, steps, L_inf, A, alpha):
    return np.array([L_inf + A * (t + 1.0) ** -alpha for t in steps])


def annealing(eta, steps, L0, A, alpha, C, lam, B=0.0, beta=0.34):
    """m_i = λ m_{i−1} + (η_{i−1} − η_i), η_{−1} = 0; S2(t) = Σ_{i≤t} m_i (arXiv:2408.11029)."""
    S1 = positive(np.cumsum(eta))
    drops = -np.diff(eta, prepend=0.0)
    S2 = np.cumsum(list(accumulate(drops.tolist(), lambda momentum, drop: lam * momentum + drop)))
    return np.array([L0 + A * S1[t] ** -alpha - C * S2[t] + B * PARAMS**-beta for t in steps])


def opt_laws_curve(eta, steps, L_inf, A, q, A0, A1, c, rho, D):
    S, tau = positive(np.cumsum(eta)), np.cumsum(ETA_REF * (eta / ETA_REF) ** 1.5)
    k = np.flatnonzero(eta > 0)  # an update without rate adds no noise
    forcing = eta[k] ** 2 * (A0 + A1 * S[k] ** -q)
    losses = []
    for t in steps:
        n = past(k, t)
        noise = np.sum(forcing[:n] * (1 + c * (tau[t] - tau[k[:n]])) ** -rho)
        losses.append(L_inf + A * S[t] ** -q + noise + D * eta.max())
    return np.array(losses)


def opt_laws_sublinear(eta, steps, L_inf, A, q, A0, m, c, rho, g, omega):
    S = positive(np.cumsum(eta))
    k = np.flatnonzero(eta > 0)
    forcing = A0 * eta[k] ** 2 * S[k] ** m
    pace = c * (np.maximum(eta[k], 1e-10) / ETA_REF) ** g
    losses = []
    for t in steps:
        n = past(k, t)
        noise = np.sum(forcing[:n] * (1 + pace[:n] * (S[t] - S[k[:n]])) ** -rho)
        losses.append(L_inf + A * S[t] ** -q + noise**omega)
    return np.array(losses)


def multi_power(eta, steps, L0, A, alpha, B, C, beta, gamma):
    """arXiv:2503.12811, the sum over drops running through the warm-up as in the published fits."""
    S, rate = positive(np.cumsum(eta)), np.maximum(eta, 1e-10)
    drops = -np.diff(eta, prepend=0.0)
    k = np.flatnonzero(drops)
    pace = C * rate[k] ** -gamma
    losses = []
    for t in steps:
        n = past(k, t)
        gain = np.sum(drops[k[:n]] * (1 - (1 + pace[:n] * (S[t] - S[k[:n]] + eta[k[:n]])) ** -beta))
        losses.append(L0 + A * S[t] ** -alpha - B * gain)
    return np.array(losses)


def functional(eta, steps, L0, c1, s, c2, c3, c4, g):
    S = positive(np.cumsum(eta))
    drops = np.maximum(-np.diff(eta, prepend=0.0), 0)
    k = np.flatnonzero(drops)
    gains = drops[k] * (c3 + c2 * S[k] ** -s)
    losses = []
    for t in steps:
        n = past(k, t)
        gain = np.sum(gains[:n] * (1 - (1 + c4 * (S[t] - S[k[:n]])) ** -g))
        losses.append(L0 + c1 * S[t] ** -s - gain)
    return np.array(losses)


def forcing_memory(eta, steps, L_inf, A_F, q_F, A0, A1, c_K, q_K):
    S = positive(np.cumsum(eta))
    k = np.flatnonzero(eta > 0)
    forcing = eta[k] ** 2 * (A0 + A1 * S[k] ** -q_F)
    losses = []
    for t in steps:
        n = past(k, t)
        noise = np.sum(forcing[:n] * (1 + c_K * (S[t] - S[k[:n]])) ** -q_K)
        losses.append(L_inf + A_F * S[t] ** -q_F + noise)
    return np.array(losses)


def cached(f):
    """`f(eta, …)`, worked out once for each schedule: some twins take seconds, whatever the coefficients."""
    known = {}

    def once(eta, *rest):
        key = (eta.tobytes(), *rest)
        if key not in known:
            known[key] = f(eta, *rest)
        return known[key]

    return once


@cached
def bound_noise(eta, steps):
    """The second and third term of Theorem 10 of arXiv:2310.07831 after each of `steps`, gradient norms of 1."""
    noise, squared, first = [], eta**2, eta[eta > 0][0]
    for t in steps:
        back = np.cumsum(eta[t::-1])[::-1]  # Σ_{i=k..t} η_i, of what is never negative: nothing cancels
        squares = np.cumsum(squared[t::-1])[::-1]
        n = np.count_nonzero(back[1:])  # it falls with k
        third = np.sum(eta[:n] / back[1 : n + 1] * squares[:n] / back[:n])
        noise.append(squares[0] / (2 * max(back[0], first)) + third / 2)
    return np.array(noise)


def convex_bound(eta, steps, L_inf, P, M):
    S = positive(np.cumsum(eta))[np.asarray(steps)]
    return L_inf + P / S + M * bound_noise(eta, tuple(map(int, steps)))


def convex_dominance(eta, steps, L_inf, Q1, Q2):
    return np.array([L_inf + Q1 / ((t + 1) * eta.max()) + Q2 * eta.max() for t in steps])


@cached
def momentum_area(eta):
    """arXiv:2512.13705, every update logged."""
    drops, i = -np.diff(eta, prepend=0.0), np.arange(1, len(eta) + 1)
    m = np.array(list(accumulate((0.1 * drops).tolist(), lambda m, d: 0.9 * m + d)))
    v = np.array(list(accumulate((0.001 * drops**2).tolist(), lambda v, d: 0.999 * v + d)))
    return np.cumsum(m / (1 - 0.9**i) / (np.sqrt(1e5 * v / (1 - 0.999**i) + 1e-8) + 1e-8))


def forward_momentum(eta, steps, L0, A, alpha_S, B, alpha_N, C):
    """PARAMS is the model size."""
    S, M = positive(np.cumsum(eta)), momentum_area(eta)
    return np.array([L0 + A * S[t] ** -alpha_S + B * PARAMS**-alpha_N - C * M[t] for t in steps])


def scaling_collapse(eta, steps, L0, A, q, V, w):
    S = positive(np.cumsum(eta))
    return np.array([L0 + A * S[t] ** -q - V * (1 - eta[t] / eta.max()) * S[t] ** -w for t in steps])


def chinchilla(eta, steps, E, A, a, B, b):
    return np.array([E + A * PARAMS**-a + B * (BATCH_TOKENS * (t + 1.0)) ** -b for t in steps])


CURVATURES = np.logspace(-2, 5, 22)  # the rates of the noisy quadratic


@cached
def modes(eta, steps):
    """Noise of each mode, n ← exp(−2 h η) n + η², after the updates `steps` in order: (steps, modes).

    From one of `steps` to the next all of those updates at once: each η² shrinks by all rates after it.
    """
    n, kept, first = np.zeros(len(CURVATURES)), [], 0
    for t in steps:
        rates = eta[first : t + 1]
        later = np.cumsum(rates[::-1])[::-1]  # Σ_{i=k..t} η_i
        shrunk = np.exp(-2 * np.outer(CURVATURES, np.append(later[1:], 0.0))) @ rates**2
        n, first = np.exp(-2 * CURVATURES * later[0]) * n + shrunk if len(rates) else n, t + 1
        kept.append(n)
    return np.array(kept)


def noisy_quadratic(eta, steps, **weights):
    L_inf, *rest = weights.values()
    a, b = np.split(np.array(rest), 2)
    S = positive(np.cumsum(eta))[np.asarray(steps)]
    return L_inf + np.exp(-2 * np.outer(S, CURVATURES)) @ a + modes(eta, tuple(map(int, steps))) @ b


WEIGHTS = ("L_inf", *(f"{part}{i}" for part in "ab" for i in range(1, 23)))
noisy_quadratic.__signature__ = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("eta", "steps", *WEIGHTS)]
)


def spectrum(L_inf, a, b):
    """Coefficients of the noisy quadratic by name."""
    return dict(zip(WEIGHTS, map(float, (L_inf, *a, *b)), strict=True))


# What a plan of the tests says besides its schedule.
PARAMS, BATCH_TOKENS = 1.1e8, 5e5

TWINS = {
    f.__name__: f
    for f in (
        opt_laws_curve,
        opt_laws_sublinear,
        multi_power,
        functional,
        forcing_memory,
        annealing,
        scaling_collapse,
        forward_momentum,
        noisy_quadratic,
        convex_bound,
        convex_dominance,
        chinchilla,
        power_law,
    )
}

# Coefficients near those of real fits, and one hard set each: long or short memory, steep or flat.
THETAS = {
    "power_law": (dict(L_inf=2.9, A=30.0, alpha=0.5), dict(L_inf=1.0, A=5.0, alpha=0.1)),
    "annealing": (
        dict(L0=2.7, A=0.55, alpha=0.52, C=0.7, lam=0.998),
        dict(L0=2.0, A=1.5, alpha=0.2, C=2.0, lam=0.9, B=300.0, beta=0.3),
        dict(L0=2.0, A=1.5, alpha=0.9, C=0.1, lam=0.99999),
    ),
    "opt_laws_curve": (
        dict(L_inf=2.68, A=0.39, q=0.49, A0=6.9e4, A1=1.28e5, c=1171.0, rho=1.245, D=0.0),
        dict(L_inf=2.0, A=1.0, q=0.3, A0=3e3, A1=3e3, c=90.0, rho=1.5, D=40.0),
        dict(L_inf=2.0, A=1.0, q=0.8, A0=1e6, A1=1e4, c=3e4, rho=2.5, D=0.0),
        dict(L_inf=2.0, A=1.0, q=0.1, A0=1e3, A1=1e3, c=10.0, rho=0.3, D=0.0),
    ),
    "opt_laws_sublinear": (
        dict(L_inf=2.72, A=0.27, q=0.6, A0=1.3e4, m=-1.09, c=135.0, rho=1.56, g=-0.7, omega=0.25),
        dict(L_inf=2.78, A=0.42, q=0.65, A0=5e3, m=-0.5, c=30.0, rho=2.0, g=-0.94, omega=0.22),
        dict(L_inf=2.0, A=0.6, q=0.3, A0=1e5, m=0.0, c=1000.0, rho=0.8, g=0.2, omega=0.4),
        dict(L_inf=2.0, A=1.0, q=0.2, A0=1e4, m=0.5, c=1e4, rho=3.0, g=0.8, omega=1.0),
    ),
    "multi_power": (
        dict(L0=2.65, A=0.6, alpha=0.45, B=438.0, C=2.13, beta=0.6, gamma=0.655),
        dict(L0=2.0, A=0.6, alpha=0.3, B=100.0, C=1000.0, beta=0.4, gamma=0.0),
        dict(L0=2.0, A=0.6, alpha=0.9, B=300.0, C=0.5, beta=1.5, gamma=1.0),
    ),
    "functional": (
        dict(L0=2.65, c1=0.6, s=0.45, c2=200.0, c3=200.0, c4=400.0, g=0.5),
        dict(L0=2.0, c1=0.6, s=0.2, c2=10.0, c3=500.0, c4=20000.0, g=0.3),
    ),
    "forcing_memory": (
        dict(L_inf=2.68, A_F=0.39, q_F=0.49, A0=6.9e4, A1=1.28e5, c_K=1171.0, q_K=1.245),
        dict(L_inf=2.0, A_F=1.0, q_F=0.8, A0=1e6, A1=1e4, c_K=3e4, q_K=2.5),
    ),
    "scaling_collapse": (
        dict(L0=2.65, A=0.6, q=0.45, V=0.2, w=0.1),
        dict(L0=2.0, A=1.0, q=0.9, V=0.1, w=-0.2),
    ),
    "forward_momentum": (
        dict(L0=2.65, A=0.6, alpha_S=0.45, B=20.0, alpha_N=0.3, C=0.02),
        dict(L0=2.0, A=1.0, alpha_S=0.9, B=0.0, alpha_N=0.3, C=0.1),
    ),
    "noisy_quadratic": (
        spectrum(2.5, 0.4 * CURVATURES**-0.2, 8 * CURVATURES**0.7),  # all modes, falling like a power law
        spectrum(2.0, np.eye(22)[3], 1e6 * np.eye(22)[0] + 1e6 * np.eye(22)[21]),  # the longest memory and the shortest
        spectrum(2.0, 5 * np.eye(22)[21], 1e5 * np.eye(22)[12]),
    ),
    "convex_bound": (dict(L_inf=2.5, P=0.05, M=150.0), dict(L_inf=2.0, P=0.5, M=1000.0)),
    "convex_dominance": (dict(L_inf=2.5, Q1=0.05, Q2=100.0), dict(L_inf=2.0, Q1=0.5, Q2=0.0)),
    "chinchilla": (
        dict(E=1.69, A=406.4, a=0.34, B=410.7, b=0.28),
        dict(E=1.82, A=482.0, a=0.35, B=2085.0, b=0.37),
    ),
}


def shipped(warmup: int, total: int) -> list[str]:
    """Every schedule family, and every cooldown shape, over one horizon."""
    p, w, decay = "peak=3e-4", f"warmup={warmup}, total={total}", total // 5
    return [
        f"constant({p}, {w})",
        f"linear({p}, {w})",
        f"cosine({p}, {w})",
        f"cosine({p}, {w}, final=3e-5)",
        *(
            f"wsd({p}, {w}, decay={decay}, final={f}, shape={shape})"
            for shape, f in (("linear", 0), ("linear", 3e-5), ("exponential", 1e-6), ("cosine", 0), ("1-sqrt", 0))
        ),
        f"inverse_sqrt({p}, {w}, timescale={max(warmup, 10)})",
        f"power({p}, {w}, knee={max(warmup, min(10, total // 2))}, decay={decay})",
        f"power({p}, {w}, knee={total // 2}, exponent=1.5)",
        *(f"wsd({p}, {w}, decay={decay}, final=1e-6, shape={shape})" for shape in ("mirror-cosine", "square")),
        f"wsd({p}, {w}, decay={decay}, drop=0.7)",
        f"wsd_s({p}, {w}, ends=[{total // 2}, {total * 3 // 4}], share=0.3, shape=1-sqrt)",
        f"power_scheduler({p}, {w}, scale={3e-4 * (total // 2 * 64 * 128) ** 0.51 / 64}, batch=64, sequence=128)",
        f"polynomial({p}, {w}, final=1e-6, exponent=0.5)",
        f"power_decay({p}, {w}, beta=1.3)",
        f"exponential({p}, {w}, warmup_shape=exponential)",
        f"rex({p}, {w}, final=3e-5)",
        f"uba({p}, {w}, phi=0.5, warmup_shape=1-sqrt)",
        f"sgdr({p}, {w}, period={max(1, total // 5)}, growth=2)",
        f"one_cycle({p}, {w})",
        f"cyclic({p}, {w}, final=3e-5, shrink=0.5)",
        f"step(peak=3e-3, {w}, boundaries=[{total // 2}, {total * 3 // 4}], values=[3e-4, 3e-5])",
        f"knots(steps=[0, {total // 3}, {total}], values=[0, 0, 1e-3])",
        f"knots(steps=[0, {warmup + 1}, {total // 2}, {total // 2}, {total}], values=[0, 1e-3, 5e-4, 1e-4, 0])",
    ]
