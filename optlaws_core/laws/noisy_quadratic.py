"""The noisy quadratic with a free spectrum: parts of the loss that fall, and noise that is forgotten, at fixed rates h.

A quadratic loss under SGD falls in each direction of curvature h by (1 − η h)² an update, and gains noise ∝ η² there.
Here the factor is exp(−2 η h): the same while η h is small, without a zero where η h is 1, and on the clock S, so that
sums over updates cost no more than in other laws. The rates are an absolute grid and only the weights are fitted, none
of them negative: the fit is linear in its weights and needs no starting points. Neighbouring rates can stand in for
each other, so weights mean little one by one; the curve that they make together is what the runs determine.

Grid and ridge were chosen on training runs alone (multi_power_law 25M and 100M, and the bundled runs). Twice as many
rates with twice the ridge change the objective by less than 1 %; a decade less at either end raises the error on
training runs left out in turn by a third; the ridge lies on the plateau of that error, 0.0003 to 0.0007.
"""

import sympy as sp

from .base import HistorySum, Law, Param, S, eta_k, u

RATES = tuple(10 ** (i / 3) for i in range(-6, 16))  # h, per unit of summed learning rate: 0.01 to 100,000

_L = Param("L_inf", r"L_\infty", "loss that no amount of training goes below", 0.0, 20.0)
# No part of the loss exceeds that of an untrained model; noise at a constant rate η settles at b η / 2h.
_FALLING = tuple(
    Param(f"a{i}", f"a_{{{i}}}", f"part of the loss that falls at rate h = {h:.3g}", 0.0, 20.0, weight=True)
    for i, h in enumerate(RATES, 1)
)
_NOISE = tuple(
    Param(f"b{i}", f"b_{{{i}}}", f"noise that is forgotten at rate h = {h:.3g}", 0.0, 1e5 * (1 + h), weight=True)
    for i, h in enumerate(RATES, 1)
)
_H = sp.Symbol("H")


def _spectrum(weights: tuple[Param, ...], clock: sp.Symbol) -> sp.Expr:
    return sp.Add(*(p.symbol * sp.exp(-2 * h * clock) for p, h in zip(weights, RATES, strict=True)))


NOISY_QUADRATIC = Law(
    name="noisy_quadratic",
    title="Noisy quadratic, free spectrum",
    summary="A spectrum of rates with weights of 0 or more; a fit without starting points, for several runs.",
    reference="Noisy quadratic model (Zhang et al. 2019, Which Algorithmic Choices Matter at Which Batch Sizes?), its "
    "spectrum fitted by non-negative least squares",
    formula=_L.symbol + _spectrum(_FALLING, S) + _H,
    params=(_L, *_FALLING, *_NOISE),
    starts=(),
    sums=(HistorySum(_H, eta_k**2, _spectrum(_NOISE, u), 1.0, r"\left(S_t-S_k\right)", noise=True),),
    where=(
        r"S_t = \sum_{i=0}^{t} \eta_i",
        rf"h_i = 10^{{(i-7)/3}},\quad i = 1 \ldots {len(RATES)}",
    ),
    latex_override=r"L(t) = L_\infty + \sum_{i} a_i\, e^{-2 h_i S_t} "
    r"+ \sum_{i} b_i \sum_{k=0}^{t} \eta_k^2\, e^{-2 h_i \left(S_t-S_k\right)}",
    ridge=5e-4,
)
