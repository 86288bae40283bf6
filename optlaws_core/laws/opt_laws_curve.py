"""This project's own curve law: convergence on the clock of the learning rate, noise that is injected and forgotten.

It begins from the stochastic differential equation that Opt-Laws starts from (Xie et al. 2024, arXiv:2409.04777),
hence its name; the paper's abstracts mention no curve law (provenance.py). Convergence runs on the cumulative learning
rate S. Each update k adds noise ∝ η_k², stronger while the loss is high, which is forgotten on the clock τ that runs at
the current rate to the power 3/2. Only where the training runs have several peak rates can the peak's own penalty D be
told from L_∞.
"""

import numpy as np
import sympy as sp

from .base import HistorySum, Law, Param, S, S_k, eta_k, peak, u
from .provenance import OWN_CURVE
from .scale_free import (
    FADING,
    LEFT_AT_END,
    MEMORY,
    NOISE,
    REMOVED,
    SPEED,
    Axis,
    Coordinates,
    Scale,
    log_remembered,
    log_sum,
)

PARAMS = (
    Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 0.05, 1e4, "log"),
    Param("q", "q", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("A0", "A_0", "strength of the noise that stays at the end of training", 1e-2, 1e9, "log"),
    Param("A1", "A_1", "strength of the noise that fades as the loss falls", 1e-2, 1e9, "log"),
    Param("c", "c", "how soon injected noise begins to be forgotten, per unit of clock τ", 1e-1, 1e8, "log"),
    Param("rho", r"\rho", "how fast old noise is forgotten", 0.01, 5.0, "log"),
    Param("D", "D", "loss added per unit of peak learning rate", -1e3, 1e3, needs="peak", neutral=0.0),
)
_L, _A, _q, _A0, _A1, _c, _rho, _D = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")
ETA_REF = 1e-3
STAYS = Axis("log(A_0 / A_1·S^−q)", "noise that stays, over noise that fades as the loss falls")


def _there(x, scale: Scale):
    """Scale-free coordinates (6, …) from search coordinates."""
    q, rho = np.exp(x["q"]), np.exp(x["rho"])
    pace = x["c"] + np.log(ETA_REF) + 1.5 * np.log(scale.peak / ETA_REF)
    removed, fading = x["A"] - q * np.log(scale.summed), x["A1"] - q * np.log(scale.summed)
    noise = 2 * np.log(scale.peak) + log_sum(x["A0"], fading) + log_remembered(pace, scale.updates, rho)
    memory = pace + np.log(scale.updates)
    return removed - np.log(scale.loss), x["q"], noise - removed, x["A0"] - fading, memory, x["rho"]


def _back(psi, scale: Scale) -> dict[str, float]:
    """Search coordinates from scale-free ones, (6,)."""
    share, log_q, noise, stays, memory, log_rho = map(float, psi)
    q, pace = np.exp(log_q), memory - np.log(scale.updates)
    removed = share + np.log(scale.loss)
    strength = noise + removed - 2 * np.log(scale.peak) - log_remembered(pace, scale.updates, np.exp(log_rho))
    rest = scale.loss - np.exp(removed) - LEFT_AT_END * np.exp(removed + noise)
    return {
        "L_inf": max(float(rest), 0.0),
        "A": removed + q * np.log(scale.summed),
        "q": log_q,
        "A0": strength - np.log1p(np.exp(-stays)),
        "A1": strength - np.log1p(np.exp(stays)) + q * np.log(scale.summed),
        "c": pace - np.log(ETA_REF) - 1.5 * np.log(scale.peak / ETA_REF),
        "rho": log_rho,
    }


OPT_LAWS_CURVE = Law(
    name="opt_laws_curve",
    title="Convergence and noise",
    summary="Convergence plus gradient noise that is forgotten as training goes on; for runs with one peak rate.",
    reference=OWN_CURVE,
    formula=_L + _A * S ** (-_q) + _H + _D * peak,
    params=PARAMS,
    shared=("rho",),
    coordinates=Coordinates((REMOVED, SPEED, NOISE, STAYS, MEMORY, FADING), _there, _back),
    starts=tuple({"q": q, "c": c, "rho": rho} for q in (0.25, 0.45, 0.8) for c, rho in ((90.0, 1.5), (1100.0, 1.2))),
    sums=(
        HistorySum(
            _H, eta_k**2 * (_A0 + _A1 * S_k ** (-_q)), (1 + _c * u) ** (-_rho), 1.5, r"\left(\tau_t-\tau_k\right)"
        ),
    ),
    where=(
        r"S_t = \sum_{i=0}^{t} \eta_i",
        r"\tau_t = \sum_{i=0}^{t} \eta_{\mathrm{ref}}\left(\eta_i/\eta_{\mathrm{ref}}\right)^{3/2},"
        r"\quad \eta_{\mathrm{ref}} = 10^{-3}",
    ),
)
