"""Slow twins: every law as its definition reads, summed step by step. The package's fast sums are held against them."""

import numpy as np

ETA_REF = 1e-3


def positive(S):
    """S where it is still 0 (no rate yet) counts as its first value above 0: negative powers of 0 have none."""
    return np.maximum(S, S[S > 0][0])


def power_law(eta, steps, L_inf, A, alpha):
    return np.array([L_inf + A * (t + 1.0) ** -alpha for t in steps])


def annealing(eta, steps, L0, A, alpha, C, lam):
    """m_i = λ m_{i−1} + (η_{i−1} − η_i), m_0 = 0; S2(t) = Σ_{i≤t} m_i (arXiv:2408.11029)."""
    S1 = positive(np.cumsum(eta))
    momentum, S2 = 0.0, np.zeros(len(eta))
    for i in range(1, len(eta)):
        momentum = lam * momentum + (eta[i - 1] - eta[i])
        S2[i] = S2[i - 1] + momentum
    return np.array([L0 + A * S1[t] ** -alpha - C * S2[t] for t in steps])


def opt_laws_curve(eta, steps, L_inf, A, q, A0, A1, c, rho, D):
    S, tau = positive(np.cumsum(eta)), np.cumsum(ETA_REF * (eta / ETA_REF) ** 1.5)
    live = np.flatnonzero(eta > 0)  # an update without rate adds no noise
    losses = []
    for t in steps:
        k = live[live <= t]
        noise = np.sum(eta[k] ** 2 * (A0 + A1 * S[k] ** -q) * (1 + c * (tau[t] - tau[k])) ** -rho)
        losses.append(L_inf + A * S[t] ** -q + noise + D * eta.max())
    return np.array(losses)


TWINS = {"power_law": power_law, "annealing": annealing, "opt_laws_curve": opt_laws_curve}

# Coefficients near those of real fits, and one hard set each: long or short memory, steep or flat.
THETAS = {
    "power_law": (dict(L_inf=2.9, A=30.0, alpha=0.5), dict(L_inf=1.0, A=5.0, alpha=0.1)),
    "annealing": (
        dict(L0=2.7, A=0.55, alpha=0.52, C=0.7, lam=0.998),
        dict(L0=2.0, A=1.5, alpha=0.2, C=2.0, lam=0.9),
        dict(L0=2.0, A=1.5, alpha=0.9, C=0.1, lam=0.99999),
    ),
    "opt_laws_curve": (
        dict(L_inf=2.68, A=0.39, q=0.49, A0=6.9e4, A1=1.28e5, c=1171.0, rho=1.245, D=0.0),
        dict(L_inf=2.0, A=1.0, q=0.3, A0=3e3, A1=3e3, c=90.0, rho=1.5, D=40.0),
        dict(L_inf=2.0, A=1.0, q=0.8, A0=1e6, A1=1e4, c=3e4, rho=2.5, D=0.0),
        dict(L_inf=2.0, A=1.0, q=0.1, A0=1e3, A1=1e3, c=10.0, rho=0.3, D=0.0),
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
        f"power({p}, {w}, knee={max(warmup, 10)}, decay={decay})",
        f"power({p}, {w}, knee={total // 2}, exponent=1.5)",
        f"rex({p}, {w}, final=3e-5)",
        f"cyclic({p}, {w}, final=3e-5, shrink=0.5)",
        f"step(peak=3e-3, {w}, boundaries=[{total // 2}, {total * 3 // 4}], values=[3e-4, 3e-5])",
        f"knots(steps=[0, {total // 3}, {total}], values=[0, 0, 1e-3])",
        f"knots(steps=[0, {warmup + 1}, {total // 2}, {total // 2}, {total}], values=[0, 1e-3, 5e-4, 1e-4, 0])",
    ]
