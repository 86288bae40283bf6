"""Training logs in, a ranked comparison of learning-rate schedules out.

>>> from optlaws_core import fit, parse, rank, read
>>> runs = {run.name: run for run in read("data/manifest.csv").runs}
>>> law = fit("opt_laws_curve", [runs[name] for name in ("constant_2500", "cosine_2500", "twostage_2500")])
>>> for row in rank(law, [parse(text) for text in open("candidates.txt")]):
...     print(f"{row.final_loss:.4f}  {row.schedule}")
"""

from .errors import DesignError, FitError, LogError, OptLawsError, ScheduleError
from .fits import Coverage, Fit, Scores, Status
from .fitting import fit, tuned
from .laws import LAWS, Law
from .prediction import Ranked, predict, rank, updates_for
from .readers import read
from .runs import Plan, Run, Series
from .schedules import SCHEDULES, Schedule, parse

__all__ = [
    "LAWS",
    "SCHEDULES",
    "Coverage",
    "DesignError",
    "Fit",
    "FitError",
    "Law",
    "LogError",
    "OptLawsError",
    "Plan",
    "Ranked",
    "Run",
    "Schedule",
    "ScheduleError",
    "Scores",
    "Series",
    "Status",
    "fit",
    "parse",
    "predict",
    "rank",
    "read",
    "tuned",
    "updates_for",
]
