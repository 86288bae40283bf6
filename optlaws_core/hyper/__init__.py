"""Learning rate, batch size, model size and data: published laws side by side, and one's own from a sweep.

published.py      laws for the peak learning rate and the batch, each with its source and fitted range
advice.py         what the laws say of one setting, over sizes and lengths, what goes with them, as a schedule
rule_rows.py      what the rules of scaling.py say of a compute budget, another batch, sparse models
peak_transfer.py  the best peak for one schedule from that for another, by the convex last-iterate bound
scaling.py        rules for another batch, the split of a compute budget, quantisation-aware training, sparsity
mixtures.py       what else the runs of a cell differ in
sweep_cells.py    the runs of a sweep, by model size and length
surface.py        the loss surface of each cell and its minimum
sweep_fit.py      power laws through the minima
sweep_report.py   all that a sweep tells
"""

from .advice import Companions, companions, in_common, law_map, laws_over, recommended_schedule, standing
from .peak_transfer import Bound, Transfer, bound, transferred_peak, transfers
from .published import HYPER_LAWS, HyperLaw, Recommended, agreement, recommend
from .rule_rows import OtherBatch, Sparse, Split, compute_splits, other_batch, sparse_models
from .surface import Optimum, optimum
from .sweep_cells import Sweep, SweepCell, excess, read_sweep, unlikely
from .sweep_fit import SweepFit, fit_sweep, laws_through
from .sweep_report import SweepReport, sweep_report

__all__ = [
    "HYPER_LAWS",
    "Bound",
    "Companions",
    "HyperLaw",
    "Optimum",
    "OtherBatch",
    "Recommended",
    "Sparse",
    "Split",
    "Sweep",
    "SweepCell",
    "SweepFit",
    "SweepReport",
    "Transfer",
    "agreement",
    "recommended_schedule",
    "bound",
    "companions",
    "excess",
    "fit_sweep",
    "in_common",
    "laws_through",
    "optimum",
    "other_batch",
    "law_map",
    "laws_over",
    "read_sweep",
    "recommend",
    "sparse_models",
    "compute_splits",
    "standing",
    "sweep_report",
    "transferred_peak",
    "transfers",
    "unlikely",
]
