"""What is taken from the Opt-Laws paper and what is not, in the words of every text that names it.

Xie, Ding, Yan, Toh, Wei: "Optimization Hyper-parameter Laws for Large Language Models", arXiv:2409.04777. Known of it
are the abstracts of its versions: they say that the final training loss follows from features of convergence and
escape, which come from a stochastic differential equation, and give rates of success; none of them mentions a law of
whole loss curves. That the features are 16 is second-hand.
"""

PAPER = "Xie et al. 2024, arXiv:2409.04777"
UNCHECKED = "not checked against the paper's full text"
OWN_CURVE = (
    f"A formula of this project. Taken from the abstracts of Opt-Laws ({PAPER}): that convergence and noise follow "
    f"from a stochastic differential equation. The formula itself is {UNCHECKED}"
)
OWN_FORM = (
    f"A formula of this project. Taken from the abstracts of Opt-Laws ({PAPER}): that the final loss follows from "
    f"features of convergence and escape. The formula itself is {UNCHECKED}"
)

__all__ = ["OWN_CURVE", "OWN_FORM", "PAPER", "UNCHECKED"]
