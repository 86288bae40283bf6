"""Training logs in, a ranked comparison of learning-rate schedules out.

>>> from optlaws_core import fit, parse, rank, read
>>> runs = {run.name: run.on("val") for run in read("data/manifest.csv").runs}
>>> law = fit("opt_laws_curve", [runs[n] for n in ("constant_2400", "cosine10_2400", "drop_2400")])
>>> best = rank(law, [parse("cosine(peak=6e-3, warmup=300, total=2400)"), parse("constant(peak=6e-3, total=2400)")])[0]
>>> best.schedule.family
'cosine'
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
