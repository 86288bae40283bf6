"""The Multi-Power Law: a power law in the summed rate, less a gain from every drop of the rate that grows as a power.

The published fits run the sum over drops through the warm-up, where the rate rises and the "gain" is a loss of about
0.1 that L_0 absorbs; so does this law. Their warm-up begins at 0; a run that begins at its peak rises there within its
first update, as after a warm-up of one update, and without that rise it would seem to end 0.3 lower. The authors'
schedule optimiser leaves the warm-up's terms out but keeps L_0, so its absolute losses are that much lower;
`AFTER_WARMUP` is that convention. Differences between schedules agree.
"""

from dataclasses import replace

import sympy as sp

from .base import HistorySum, Law, Param, S, d_k, eta_k, u

PARAMS = (
    Param("L0", "L_0", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("alpha", r"\alpha", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("B", "B", "gain per unit that the rate drops by, once it has taken effect", 1e-4, 1e7, "log"),
    Param("C", "C", "how soon a drop takes effect", 1e-6, 1e7, "log"),
    Param("beta", r"\beta", "how fast the rest of a drop's gain comes in", 0.02, 5.0, "log"),
    Param("gamma", r"\gamma", "how much faster a drop to a lower rate takes effect", -1.0, 3.0),
)
_L0, _A, _alpha, _B, _C, _beta, _gamma = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")
_SUM = HistorySum(
    _H,
    d_k,
    1 - (1 + _C * u) ** (-_beta),
    1.0,
    r"\eta_k^{-\gamma}\left(S_t-S_{k-1}\right)",
    pace=eta_k ** (-_gamma),
    inclusive=True,
)

MULTI_POWER = Law(
    name="multi_power",
    title="Multi-Power Law",
    summary="Summed learning rate plus a power-law gain from every drop; seven coefficients, needs an abrupt drop.",
    reference="Luo et al. 2025, A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules, "
    "arXiv:2503.12811",
    formula=_L0 + _A * S ** (-_alpha) - _B * _H,
    params=PARAMS,
    shared=("gamma",),
    counts_rises=True,
    starts=tuple(
        {"alpha": alpha, "C": C, "beta": beta, "gamma": gamma}
        for alpha in (0.3, 0.5, 0.9)
        for C, beta, gamma in ((2.0, 0.6, 0.6), (30.0, 0.5, 0.3), (1000.0, 0.6, 0.0))
    ),
    sums=(_SUM,),
    where=(r"S_t = \sum_{i=0}^{t} \eta_i, \quad \eta_{-1} = 0",),
    published={
        # config.py of the authors' repository, in the convention of their fits
        "25M": dict(
            L0=3.04045406,
            A=0.52468604,
            alpha=0.50786857,
            B=363.78751622,
            C=2.06560812,
            beta=0.58279013,
            gamma=0.64142257,
        ),
        "100M": dict(
            L0=2.6514477,
            A=0.60115152,
            alpha=0.45295811,
            B=437.9464276,
            C=2.13245612,
            beta=0.59785199,
            gamma=0.65523644,
        ),
    },
)

AFTER_WARMUP = replace(MULTI_POWER, counts_rises=False, sums=(replace(_SUM, source=sp.Max(d_k, 0)),))
