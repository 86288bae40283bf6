"""The functional scaling law in its practical form: every drop of the rate gains more the earlier it comes.

Seven coefficients as in the paper's Appendix B.2. It is the Multi-Power Law without its exponent γ, with a factor that
falls with the summed rate at the drop. Rises of the rate count for nothing.

Runs whose rate drops at one summed rate alone cannot tell c_2 from c_3, since every such drop gains c_3 + c_2 S^(-s) of
one S. A prior on c_2, so wide that it costs a determined fit next to nothing, makes the answer unique. It is ours, not
the paper's.
"""

import sympy as sp

from .base import HistorySum, Law, Param, S, S_k, d_k, u

C2 = (200.0, 3.0)  # centre: of the fits to the training runs of our sweep; width: a factor of twenty

PARAMS = (
    Param("L0", "L_0", "loss that no amount of training goes below", 0.0, 20.0),
    Param("c1", "c_1", "size of the part that training removes", 1e-4, 1e4, "log"),
    Param("s", "s", "how fast the loss falls with the summed learning rate", 0.01, 3.0, "log"),
    Param("c2", "c_2", "gain per unit that the rate drops by, as the loss falls", 1e-4, 1e7, "log", prior=C2),
    Param("c3", "c_3", "gain per unit that the rate drops by, at the end of training", 1e-4, 1e7, "log"),
    Param("c4", "c_4", "how soon a drop takes effect", 1e-4, 1e8, "log"),
    Param("g", "g", "how fast the rest of a drop's gain comes in", 0.02, 5.0, "log"),
)
_L0, _c1, _s, _c2, _c3, _c4, _g = (p.symbol for p in PARAMS)
_H = sp.Symbol("H")

FUNCTIONAL = Law(
    name="functional",
    title="Functional scaling law",
    summary="Summed learning rate plus a gain from every drop that shrinks as the loss falls; seven coefficients, one "
    "with a wide prior.",
    reference="Li et al. 2025, Functional Scaling Laws in Kernel Regression, arXiv:2509.19189, Appendix B.2",
    formula=_L0 + _c1 * S ** (-_s) - _H,
    params=PARAMS,
    shared=("g",),
    starts=tuple({"s": s, "c4": c4, "g": g} for s in (0.25, 0.5, 0.9) for c4, g in ((100.0, 0.5), (1000.0, 0.5))),
    sums=(
        # c_2 (c_3' + S^-s) with c_3 = c_2 c_3': linear in both, so that a search solves for them
        HistorySum(
            _H,
            sp.Max(d_k, 0) * (_c3 + _c2 * S_k ** (-_s)),
            1 - (1 + _c4 * u) ** (-_g),
            1.0,
            r"\left(S_t-S_k\right)",
        ),
    ),
    where=(r"S_t = \sum_{i=0}^{t} \eta_i, \quad \eta_{-1} = 0",),
)
