"""What of the Opt-Laws paper could be read here, in the words of every text that names it.

Xie, Ding, Yan, Toh, Wei: "Optimization Hyper-parameter Laws for Large Language Models", arXiv:2409.04777. The paper is
published in full. Only the abstracts of its versions could be read here: they say that the final training loss follows
from features of convergence and escape, which come from a stochastic differential equation, and give rates of success;
none of them mentions a law of whole loss curves. That the features are 16 is second-hand.
"""

PAPER = "Xie et al. 2024, arXiv:2409.04777"
UNREAD = "published in full; its body could not be read here"
OWN_CURVE = (
    f"This project's own, from the SDE that Opt-Laws starts from ({PAPER}). The paper is {UNREAD}, and no abstract of "
    "it mentions a curve law"
)
OWN_FORM = f"Reconstruction after Opt-Laws ({PAPER}). The paper is {UNREAD}, so the form is this project's"

__all__ = ["OWN_CURVE", "OWN_FORM", "PAPER", "UNREAD"]
