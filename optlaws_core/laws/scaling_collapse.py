"""The law behind scaling collapse: the loss of a constant rate at equal summed rate, less what the drop of noise gives.

The paper reads the constant run's loss and the noise V off logs; here a power law in the summed rate stands for each,
so the law predicts schedules and not only the runs that were made.
"""

from .base import Law, Param, S, eta, peak

PARAMS = (
    Param("L0", "L_0", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("q", "q", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("V", "V", "loss that the noise of the peak rate costs, at summed rate 1", 1e-8, 1e3, "log"),
    Param("w", "w", "how fast that noise falls with the summed learning rate", -1.0, 3.0),
)
_L0, _A, _q, _V, _w = (p.symbol for p in PARAMS)

SCALING_COLLAPSE = Law(
    name="scaling_collapse",
    title="Scaling collapse",
    summary="A constant run's loss at equal summed rate, less the noise that the current rate no longer makes.",
    reference="Qiu et al. 2025, Scaling Collapse Reveals Universal Dynamics in Compute-Optimally Trained Neural "
    "Networks, arXiv:2507.02119",
    formula=_L0 + _A * S ** (-_q) - _V * (1 - eta / peak) * S ** (-_w),
    params=PARAMS,
    starts=tuple({"q": q, "w": w} for q in (0.2, 0.5, 0.9) for w in (0.0, 0.3)),
    where=(r"S_t = \sum_{i=0}^{t} \eta_i",),
)
