"""Final losses across model sizes, data, batches and schedules, from a table of runs: Opt-Laws (reconstruction).

table.py     runs of which only the end is known
forms.py     the laws: what they see, their coefficients and terms
transfer.py  continual training and fine-tuning on another text
fit.py       coefficients from a table, predictions with bands
ranking.py   hundreds of candidates: which is best, how surely, and what it saves
"""

from .fit import (
    End,
    FinalFit,
    beyond,
    cross_validated,
    fit_final,
    fit_table,
    load_final,
    predict_final,
    shares,
    with_folds,
)
from .forms import FINAL_LAWS, TERMS, FinalLaw, final_law
from .ranking import SHAPES, FinalRanking, candidates, rank_final
from .table import TableRun, chosen, columns_of, family, fold, read_table, table_runs

__all__ = [
    "FINAL_LAWS", "SHAPES", "TERMS", "End", "FinalFit", "FinalLaw", "FinalRanking", "TableRun", "beyond", "candidates",
    "chosen", "columns_of", "cross_validated", "family", "final_law", "fit_final", "fit_table", "fold", "load_final",
    "predict_final", "rank_final", "read_table", "shares", "table_runs", "with_folds",
]  # fmt: skip
