"""Learning rate, batch size, model size and data: published laws side by side, and one's own from a sweep.

laws.py     laws for the peak learning rate and the batch, each with its source and fitted range
scaling.py  rules for another batch, the split of a compute budget, quantisation-aware training, sparsity
fit.py      the optimum of each (N, D) of a sweep, and power laws through the optima
"""

from .fit import SweepCell, SweepFit, excess, fit_sweep, read_sweep
from .laws import HYPER_LAWS, HyperLaw, recommend, spread

__all__ = [
    "HYPER_LAWS", "HyperLaw", "SweepCell", "SweepFit", "excess", "fit_sweep", "read_sweep", "recommend", "spread",
]  # fmt: skip
