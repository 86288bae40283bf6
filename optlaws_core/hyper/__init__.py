"""Learning rate, batch size, model size and data: published laws side by side, and one's own from a sweep.

published.py      laws for the peak learning rate and the batch, each with its source and fitted range
peak_transfer.py  the best peak for one schedule from that for another, by the convex last-iterate bound
scaling.py        rules for another batch, the split of a compute budget, quantisation-aware training, sparsity
mixtures.py       what else the runs of a cell differ in
sweep_cells.py    the runs of a sweep, by model size and length
surface.py        the loss surface of each cell and its minimum
sweep_fit.py      power laws through the minima
"""

from .peak_transfer import bound, transferred_peak
from .published import HYPER_LAWS, HyperLaw, agreement, recommend
from .surface import Optimum, optimum
from .sweep_cells import Sweep, SweepCell, excess, read_sweep, unlikely
from .sweep_fit import SweepFit, fit_sweep, laws_through

__all__ = [
    "HYPER_LAWS",
    "HyperLaw",
    "Optimum",
    "Sweep",
    "SweepCell",
    "SweepFit",
    "excess",
    "fit_sweep",
    "laws_through",
    "optimum",
    "read_sweep",
    "recommend",
    "agreement",
    "bound",
    "transferred_peak",
    "unlikely",
]
