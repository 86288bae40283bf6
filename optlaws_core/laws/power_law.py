"""The baseline: a power law in the number of updates, blind to the learning rate."""

from .base import Law, Param, t

PARAMS = (
    Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "loss above that after one update", 1e-6, 1e6, "log"),
    Param("alpha", r"\alpha", "how fast the loss falls with the number of updates", 0.01, 3.0, "log"),
)
_L, _A, _alpha = (p.symbol for p in PARAMS)

POWER_LAW = Law(
    name="power_law",
    title="Power law in steps",
    summary="A baseline that sees only the number of updates; every schedule of one length gets the same loss.",
    reference="Hestness et al. 2017, arXiv:1712.00409 (power-law learning curves)",
    formula=_L + _A * t ** (-_alpha),
    params=PARAMS,
    starts=tuple({"alpha": a} for a in (0.1, 0.3, 0.6, 1.0)),
)
