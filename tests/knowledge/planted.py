"""Coefficients planted in every law, and runs whose losses follow from them: what fits have to find again."""

import numpy as np
import pytest

from optlaws_core.runs import Plan, Run, Series
from optlaws_core.schedules import parse
from tests.knowledge import twins
from tests.knowledge.twins import BATCH_TOKENS, CURVATURES, PARAMS, TWINS, spectrum

TRAINING = (
    "cosine(peak=3e-4, warmup=200, total=4000, final=3e-5)",
    "constant(peak=3e-4, warmup=200, total=4000)",
    "step(peak=3e-4, warmup=200, total=3000, boundaries=[1500], values=[9e-5])",
)
OTHER_PEAK = "step(peak=6e-4, warmup=200, total=3000, boundaries=[1500], values=[9e-5])"
HELD_OUT = "wsd(peak=3e-4, warmup=200, total=6000, decay=1000, shape=1-sqrt)"
DROP = "step(peak=3e-4, total=3000, boundaries=[1500], values=[9e-5])"
BROKEN = dict(L0=0.0, A=1e-4, C=1e-6, lam=0.9999, B=-1e5, beta=0.34)  # predicts losses below 0
PLANTED = {
    "power_law": dict(L_inf=2.5, A=30.0, alpha=0.5),
    "annealing": dict(L0=2.6, A=0.5, alpha=0.5, C=0.8, lam=0.995, B=0.0, beta=0.34),
    "opt_laws_curve": dict(L_inf=2.6, A=0.4, q=0.5, A0=7e4, A1=1e5, c=1200.0, rho=1.25, D=50.0),
    "opt_laws_sublinear": dict(L_inf=2.7, A=0.3, q=0.6, A0=1.3e4, m=-0.8, c=400.0, rho=1.4, g=-0.7, omega=0.25),
    "multi_power": dict(L0=2.6, A=0.6, alpha=0.45, B=400.0, C=2.0, beta=0.6, gamma=0.65),
    "functional": dict(L0=2.6, c1=0.6, s=0.45, c2=150.0, c3=200.0, c4=400.0, g=0.5),
    "forcing_memory": dict(L_inf=2.6, A_F=0.4, q_F=0.5, A0=7e4, A1=1e5, c_K=1200.0, q_K=1.25),
    "scaling_collapse": dict(L0=2.6, A=0.6, q=0.45, V=0.15, w=0.2),
    "forward_momentum": dict(L0=2.6, A=0.6, alpha_S=0.45, B=0.0, alpha_N=0.3, C=0.03),
    "noisy_quadratic": spectrum(2.5, CURVATURES**0.5 / (1 + CURVATURES), 20 * CURVATURES**0.7),
    "convex_bound": dict(L_inf=2.5, P=0.05, M=150.0),
    "convex_dominance": dict(L_inf=2.5, Q1=0.05, Q2=100.0),
    "chinchilla": dict(E=2.0, A=0.0, a=0.34, B=410.0, b=0.28),
}


def twin_run(law, text, theta, noise=0.0, seed=0, params=PARAMS):
    """A run whose losses come from the law's slow twin; test material only."""
    schedule = parse(text)
    steps = np.arange(200, schedule.total, 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins, "PARAMS", params)
        loss = TWINS[law](schedule(np.arange(schedule.total + 1)), steps, **theta)
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(loss)))
    name = text if params == PARAMS else f"{text} at {params:g}"
    return Run(name, Plan(schedule, params, BATCH_TOKENS), {"train": Series(steps, loss)}, lr_source="declared")
