"""The last-iterate bound of convex optimisation as a law: L = C + M·Ω with Ω of distance D and gradient norms 1.

Ω_t = D²/(2 S_t) + R_t, where R_t is the feature `bound_noise`. Linear in all of its coefficients. What follows from the
bound without any fit (the best base rate, its transfer to other schedules and horizons) is in
`optlaws_core.hyper.peak_transfer`.
"""

from .base import Law, Param, S, bound_noise

PARAMS = (
    Param("L_inf", r"L_\infty", "loss at the minimum", 0.0, 20.0),
    Param("P", "P", "M D²/2: how far the start lies from the minimum", 1e-8, 1e6, "log"),
    Param("M", "M", "how much gradient noise counts", 1e-4, 1e8, "log"),
)
_L, _P, _M = (p.symbol for p in PARAMS)

CONVEX_BOUND = Law(
    name="convex_bound",
    title="Convex last-iterate bound",
    summary="A bound from convex theory, scaled to the loss; three coefficients, no kernel to identify.",
    reference="Schaipp et al. 2025, The Surprising Agreement Between Convex Optimization Theory and Learning-Rate "
    "Scheduling, arXiv:2501.18965; Theorem 10 of Defazio et al. 2023, arXiv:2310.07831",
    formula=_L + _P / S + _M * bound_noise,
    params=PARAMS,
    starts=({},),
    where=(
        r"R_t = \frac{Q_t}{2 S_t} + \frac12 \sum_{k<t} \frac{\eta_k}{S_t - S_k}\,\frac{Q_t - Q_{k-1}}{S_t - S_{k-1}},"
        r"\quad Q_t = \sum_{i=0}^{t} \eta_i^2, \quad S_t = \sum_{i=0}^{t} \eta_i",
    ),
)
