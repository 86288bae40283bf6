"""`opt_laws_curve` with sublinear noise: twice the injected noise raises the loss by far less than twice as much.

Where runs with a constant rate end above runs that decay, the gap grows about as the 0.35th power of the peak rate and
slowly with the horizon (124M runs of lr_scheduling, peaks of 1e-4 to 3e-3, horizons of 15,000 to 50,000). Noise that
adds to the loss in proportion, and with it every law whose gain from a drop is proportional to the drop, makes the gap
grow as the peak itself. Here the loss takes a power ω of the noise, the memory's pace depends on the rate at which the
noise was injected, and its strength on the summed rate by then.

The form, and the values that ω and g keep where the training runs have one peak, were found on those runs; see
docs/lab-notes.md for what was tried and on which scores.
"""

import numpy as np
import sympy as sp

from .base import HistorySum, Law, Param, S, S_k, eta_k, u
from .provenance import OWN_CURVE
from .scale_free import FADING, LEFT_AT_END, MEMORY, NOISE, REMOVED, SPEED, Axis, Coordinates, Scale, log_remembered

PARAMS = (
    Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 1e-3, 1e4, "log"),
    Param("q", "q", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("A0", "A_0", "strength of the noise that an update injects", 1e-6, 1e13, "log"),
    Param("m", "m", "how that strength changes with the summed learning rate", -3.0, 3.0),
    Param("c", "c", "how soon injected noise begins to be forgotten, per unit of summed rate", 1e-2, 1e9, "log"),
    Param("rho", r"\rho", "how fast old noise is forgotten", 0.05, 5.0, "log"),
    Param("g", "g", "how much faster noise of a higher rate is forgotten", -3.0, 3.0, needs="peak", neutral=-0.7),
    Param("omega", r"\omega", "power of the noise that the loss takes", 0.05, 2.0, "log", "peak", 0.25),
)
_L, _A, _q, _A0, _m, _c, _rho, _g, _omega = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")
ETA_REF = 1e-3  # absolute, or the law would not carry over to other peaks
GROWS = Axis("m", "how the noise changes with the summed rate")
PACE = Axis("g", "how much faster noise of a higher rate is forgotten")
POWER = Axis("log ω", "power of the noise that the loss takes")


def _there(x, scale: Scale):
    """Scale-free coordinates (8, …) from search coordinates."""
    q, rho, omega = np.exp(x["q"]), np.exp(x["rho"]), np.exp(x["omega"])
    pace = x["c"] + x["g"] * np.log(scale.peak / ETA_REF) + np.log(scale.peak)
    removed = x["A"] - q * np.log(scale.summed)
    kept = log_remembered(pace, scale.updates, rho)
    noise = omega * (x["A0"] + 2 * np.log(scale.peak) + x["m"] * np.log(scale.summed) + kept)
    memory = pace + np.log(scale.updates)
    return removed - np.log(scale.loss), x["q"], noise - removed, x["m"], memory, x["rho"], x["g"], x["omega"]


def _back(psi, scale: Scale) -> dict[str, float]:
    """Search coordinates from scale-free ones, (8,)."""
    share, log_q, noise, m, memory, log_rho, g, log_omega = map(float, psi)
    pace, removed = memory - np.log(scale.updates), share + np.log(scale.loss)
    kept = log_remembered(pace, scale.updates, np.exp(log_rho))
    rest = scale.loss - np.exp(removed) - LEFT_AT_END * np.exp(removed + noise)
    return {
        "L_inf": max(float(rest), 0.0),
        "A": removed + np.exp(log_q) * np.log(scale.summed),
        "q": log_q,
        "A0": (noise + removed) / np.exp(log_omega) - 2 * np.log(scale.peak) - m * np.log(scale.summed) - kept,
        "m": m,
        "c": pace - np.log(scale.peak) - g * np.log(scale.peak / ETA_REF),
        "rho": log_rho,
        "g": g,
        "omega": log_omega,
    }


OPT_LAWS_SUBLINEAR = Law(
    name="opt_laws_sublinear",
    title="Convergence and sublinear noise",
    summary="Convergence plus a power of the forgotten noise; for runs with several peak rates, and for the average.",
    reference=OWN_CURVE,
    formula=_L + _A * S ** (-_q) + _H**_omega,
    params=PARAMS,
    coordinates=Coordinates((REMOVED, SPEED, NOISE, GROWS, MEMORY, FADING, PACE, POWER), _there, _back),
    starts=tuple(
        {"q": q, "c": c, "rho": rho, "A0": A0, "m": 0.0, "g": 0.2, "omega": 0.4}
        for q in (0.3, 0.6)
        for c, rho, A0 in ((100.0, 1.2, 1e4), (1000.0, 0.8, 1e5))
    ),
    sums=(
        HistorySum(
            _H,
            _A0 * eta_k**2 * S_k**_m,
            (1 + _c * u) ** (-_rho),
            1.0,
            r"\left(\eta_k/\eta_{\mathrm{ref}}\right)^{g}\left(S_t-S_k\right)",
            pace=(eta_k / ETA_REF) ** _g,
        ),
    ),
    where=(r"S_t = \sum_{i=0}^{t} \eta_i, \quad \eta_{\mathrm{ref}} = 10^{-3}",),
)
