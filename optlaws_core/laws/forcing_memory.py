"""The forcing-memory law: noise of every update, stronger while the loss is high, forgotten as a power of summed rate.

The published form has (1 + T)^(−q) with T in the authors' units; with the rates of AdamW the offset goes to 0 in every
fit, so it is left out. For one batch size: the published noise is divided by it.
"""

import sympy as sp

from .base import HistorySum, Law, Param, S, S_k, eta_k, u

PARAMS = (
    Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A_F", "A_F", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("q_F", "q_F", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("A0", "A_0", "strength of the noise that stays at the end of training", 1e-2, 1e9, "log"),
    Param("A1", "A_1", "strength of the noise that fades as the loss falls", 1e-2, 1e9, "log"),
    Param("c_K", "c_K", "how soon injected noise begins to be forgotten, per unit of summed rate", 1e-1, 1e8, "log"),
    Param("q_K", "q_K", "how fast old noise is forgotten", 0.01, 5.0, "log"),
)
_L, _AF, _qF, _A0, _A1, _c, _qK = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")

FORCING_MEMORY = Law(
    name="forcing_memory",
    title="Forcing-memory law",
    summary="Convergence plus gradient noise that is forgotten with the summed learning rate; seven coefficients.",
    reference="Wang, Liu, Chen 2026, From Spectra to Joint Schedules in LLM Pre-training, arXiv:2609.40148",
    formula=_L + _AF * S ** (-_qF) + _H,
    params=PARAMS,
    shared=("q_K",),
    starts=tuple(
        {"q_F": q, "c_K": c, "q_K": rho} for q in (0.25, 0.45, 0.8) for c, rho in ((90.0, 1.0), (1100.0, 1.0))
    ),
    sums=(
        HistorySum(_H, eta_k**2 * (_A0 + _A1 * S_k ** (-_qF)), (1 + _c * u) ** (-_qK), 1.0, r"\left(S_t-S_k\right)"),
    ),
    where=(r"S_t = \sum_{i=0}^{t} \eta_i",),
)
