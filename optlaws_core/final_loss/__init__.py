"""Final losses across model sizes, data, batches and schedules, from a table of runs: Opt-Laws (reconstruction).

The formulas are this project's, not checked against the full text of the Opt-Laws paper (Xie et al. 2024,
arXiv:2409.04777). Its abstracts speak of the final training loss; a table may hold any final loss.

table.py         runs of which only the end is known
final_laws.py    the laws: what they see, their coefficients and terms
texts.py         runs on several texts: a step of the loss for each
transfer.py      continual training and fine-tuning on another text
final_fit.py     a fitted law as plain values
loading.py       fits of any kind out of their files
predictive.py    predictions with bands, and where they come from
form_fit.py      the search for coefficients
table_fit.py     from a table to all that it tells
preselection.py  hundreds of candidates: which is best, how surely, and what it saves
"""

from .final_fit import End, FinalFit
from .final_laws import FINAL_LAWS, TERMS, FinalLaw, final_law
from .loading import load_final, load_fit, load_model
from .predictive import beyond, predict_final, shares
from .preselection import SHAPES, FinalRanking, candidates, rank_final
from .table import TableRun, chosen, columns_of, family, fold, read_table, table_runs
from .table_fit import contenders, cross_validated, fit_final, fit_table, labelled, labelled_risk, with_folds
from .texts import TextStep

__all__ = [
    "FINAL_LAWS",
    "SHAPES",
    "TERMS",
    "End",
    "FinalFit",
    "FinalLaw",
    "FinalRanking",
    "TableRun",
    "TextStep",
    "beyond",
    "candidates",
    "chosen",
    "columns_of",
    "contenders",
    "cross_validated",
    "family",
    "final_law",
    "fit_final",
    "fit_table",
    "fold",
    "labelled",
    "labelled_risk",
    "load_final",
    "load_fit",
    "load_model",
    "predict_final",
    "rank_final",
    "read_table",
    "shares",
    "table_runs",
    "with_folds",
]
