"""The two-term law of convex dominance: distance over time and rate, plus the peak's own cost.

For the final loss of runs of one schedule shape. Blind to the shape: as a curve law it is a baseline.
"""

from .base import Law, Param, peak, t

PARAMS = (
    Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0),
    Param("Q1", "q_1^2", "squared distance from the minimum", 1e-8, 1e8, "log"),
    Param("Q2", "q_2^2", "loss added per unit of peak learning rate", -1e3, 1e3, needs="peak", neutral=0.0),
)
_L, _Q1, _Q2 = (p.symbol for p in PARAMS)

CONVEX_DOMINANCE = Law(
    name="convex_dominance",
    title="Convex dominance",
    summary="Two terms, one that falls with updates times peak and one that grows with the peak; a simple baseline.",
    reference="Bu, Xu, Mao 2026, Convex Dominance in Deep Learning I, arXiv:2602.07145",
    formula=_L + _Q1 / (t * peak) + _Q2 * peak,
    params=PARAMS,
    starts=({},),
)
