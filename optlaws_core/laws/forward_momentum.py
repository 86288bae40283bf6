"""The forward-momentum law: drops of the rate, each measured against its own recent size as Adam would.

The drops are followed update by update; the published code follows them from one logged step to the next, so its
coefficients belong to its logging interval. Rises are drops below 0, that of the warm-up included, and what later drops
are measured against still holds its squares thousands of updates on: they are the smaller, and drops count for the
more, the longer the warm-up took. So predictions for other warm-ups than the training runs' mean little. The term in
the model size needs runs of several sizes.
"""

from .base import Law, Param, S, momentum_area, params

PARAMS = (
    Param("L0", "L_0", "loss that no amount of training goes below", 0.0, 20.0),
    Param("A", "A", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("alpha_S", r"\alpha_S", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("B", "B", "size of the part that a larger model removes", -1e4, 1e4, needs="params", neutral=0.0),
    Param("alpha_N", r"\alpha_N", "how fast the loss falls with the model size", 0.01, 3.0, "log", "params", 0.3),
    Param("C", "C", "gain per unit of momentum area", 1e-8, 1e3, "log"),
)
_L0, _A, _aS, _B, _aN, _C = (p.symbol for p in PARAMS)

FORWARD_MOMENTUM = Law(
    name="forward_momentum",
    title="Forward-momentum law",
    summary="Summed learning rate plus a gain from drops, each relative to its recent size.",
    reference="Wang et al. 2026, Forward-Momentum law, arXiv:2512.13705, and the authors' code",
    formula=_L0 + _A * S ** (-_aS) + _B * params ** (-_aN) - _C * momentum_area,
    params=PARAMS,
    counts_rises=True,
    hangs_on_warmup=True,
    starts=tuple({"alpha_S": a, "alpha_N": 0.3} for a in (0.2, 0.5, 0.9)),
    where=(
        r"M_t = \sum_{i=0}^{t} \frac{\hat m_i}{\sqrt{10^5\,\hat v_i + 10^{-8}} + 10^{-8}},\quad "
        r"m_i = 0.9\,m_{i-1} + 0.1\,d_i,\quad v_i = 0.999\,v_{i-1} + 0.001\,d_i^2,\quad d_i = \eta_{i-1} - \eta_i,"
        r"\quad \eta_{-1} = 0",
    ),
)
