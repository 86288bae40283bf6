"""The annealing law of Tissue et al.: a power law in the summed learning rate, less a gain from every drop of the rate.

The published annealing area S2(t) = Σ_{i≤t} Σ_{k≤i} (η_{k−1} − η_k) λ^{i−k} runs through the warm-up like through any
other change of the rate. Here it begins with the rise from 0 into the first update, which a warm-up makes 0: so a run
that begins at its peak is one with the shortest warm-up, and not one that never rose. Summed by parts, S2 is then
−Σ_{k=0..t} η_k λ^{t−k}: one history sum with an exponential memory on the clock of steps. At a constant rate η it is
−η (1 − λ^{t+1})/(1 − λ), which L_0 absorbs; a drop of size d at step k adds d (1 − λ^{t−k+1})/(1 − λ). The term in the
model size needs runs of several sizes.
"""

import sympy as sp

from .base import HistorySum, Law, Param, S, eta_k, params, u

PARAMS = (
    Param("L0", "L_0", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("alpha", r"\alpha", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("C", "C", "gain per unit of annealing area", 1e-6, 1e3, "log"),
    Param("lam", r"\lambda", "memory: a drop of the rate acts over about 1/(1 − λ) updates", 0.9, 0.99999, "log1m"),
    Param("B", "B", "size of the part that a larger model removes", -1e5, 1e5, needs="params", neutral=0.0),
    Param("beta", r"\beta", "how fast the loss falls with the model size", 0.01, 3.0, "log", "params", 0.34),
)
_L0, _A, _alpha, _C, _lam, _B, _beta = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")

ANNEALING = Law(
    name="annealing",
    title="Annealing law",
    summary="Summed learning rate plus a gain from annealing; five coefficients, two more for several model sizes.",
    reference="Tissue, Wang, Wang 2024, Scaling Law with Learning Rate Annealing, arXiv:2408.11029",
    formula=_L0 + _A * S ** (-_alpha) + _C * _H + _B * params ** (-_beta),
    params=PARAMS,
    shared=("lam",),
    counts_rises=True,
    starts=tuple({"alpha": a, "lam": m, "beta": 0.34} for a in (0.2, 0.5, 0.9) for m in (0.99, 0.998, 0.9995)),
    sums=(HistorySum(_H, eta_k, _lam**u, 0, r"\left(t-k\right)"),),
)
