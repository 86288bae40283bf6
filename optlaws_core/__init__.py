"""Training logs in, a ranked comparison of learning-rate schedules out.

>>> from optlaws_core import fit, parse, rank, read
>>> runs = {run.name: run.on("val") for run in read("data/examples.csv").runs}
>>> law = fit("opt_laws_curve", [runs[n] for n in ("constant_4000", "cosine10_4000", "drop30_4000")])
>>> best = rank(law, [parse("cosine(peak=8e-3, warmup=200, total=4000)"), parse("constant(peak=8e-3, total=4000)")])[0]
>>> best.schedule.family
'cosine'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names once more, for editors and type checkers
    from .errors import DesignError, FitError, LogError, OptLawsError, ScheduleError
    from .final_loss import (
        FINAL_LAWS,
        FinalFit,
        candidates,
        fit_final,
        fit_table,
        load_final,
        load_fit,
        load_model,
        predict_final,
        rank_final,
        read_table,
    )
    from .fitting.bootstrap import refits
    from .fitting.coverage import Coverage
    from .fitting.joint import fit_sizes
    from .fitting.result import Average, Fit
    from .fitting.scores import Scores, Status
    from .fitting.selection import Selection, select
    from .fitting.single import fit, tuned
    from .hyper import (
        HYPER_LAWS,
        Companions,
        SweepReport,
        bound,
        companions,
        compute_splits,
        fit_sweep,
        law_map,
        laws_over,
        other_batch,
        read_sweep,
        recommend,
        recommended_schedule,
        sparse_models,
        sweep_report,
        transferred_peak,
        transfers,
    )
    from .laws import LAWS, Law
    from .optimize.autolrs import propose_rate, simulate_stages, stages_of
    from .prediction.bands import Prediction, with_bands
    from .prediction.in_tracker import log_prediction
    from .prediction.losses import predict
    from .prediction.proposals import Proposal, propose_runs
    from .prediction.ranking import Ranked, Ranking, rank, updates_for
    from .readers import Reading, read
    from .runs import Plan, Run, Series
    from .runs.noise import NoiseFloor, noise_floor, repeats
    from .schedules import SCHEDULES, Schedule, parse

__version__ = "0.1.0"  # the only place; pyproject.toml and `optlaws --version` read it here

# Names are loaded when first used: SymPy and SciPy take most of a second, and reading logs needs neither.
_HOME = {
    "errors": ("DesignError", "FitError", "LogError", "OptLawsError", "ScheduleError"),
    "final_loss": (
        "FINAL_LAWS",
        "FinalFit",
        "candidates",
        "fit_final",
        "fit_table",
        "load_final",
        "load_fit",
        "load_model",
        "predict_final",
        "rank_final",
        "read_table",
    ),
    "fitting.bootstrap": ("refits",),
    "fitting.coverage": ("Coverage",),
    "fitting.joint": ("fit_sizes",),
    "fitting.result": ("Average", "Fit"),
    "fitting.scores": ("Scores", "Status"),
    "fitting.selection": ("Selection", "select"),
    "fitting.single": ("fit", "tuned"),
    "hyper": (
        "HYPER_LAWS",
        "Companions",
        "SweepReport",
        "bound",
        "companions",
        "compute_splits",
        "fit_sweep",
        "law_map",
        "laws_over",
        "other_batch",
        "read_sweep",
        "recommend",
        "recommended_schedule",
        "sparse_models",
        "sweep_report",
        "transferred_peak",
        "transfers",
    ),
    "laws": ("LAWS", "Law"),
    "optimize.autolrs": ("propose_rate", "simulate_stages", "stages_of"),
    "prediction.bands": ("Prediction", "with_bands"),
    "prediction.in_tracker": ("log_prediction",),
    "prediction.losses": ("predict",),
    "prediction.proposals": ("Proposal", "propose_runs"),
    "prediction.ranking": ("Ranked", "Ranking", "rank", "updates_for"),
    "readers": ("Reading", "read"),
    "runs": ("Plan", "Run", "Series"),
    "runs.noise": ("NoiseFloor", "noise_floor", "repeats"),
    "schedules": ("SCHEDULES", "Schedule", "parse"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "FINAL_LAWS",
    "HYPER_LAWS",
    "LAWS",
    "SCHEDULES",
    "Average",
    "Companions",
    "Coverage",
    "DesignError",
    "FinalFit",
    "Fit",
    "FitError",
    "Law",
    "LogError",
    "NoiseFloor",
    "OptLawsError",
    "Plan",
    "Prediction",
    "Proposal",
    "Ranked",
    "Ranking",
    "Reading",
    "Run",
    "Schedule",
    "ScheduleError",
    "Scores",
    "Selection",
    "Series",
    "Status",
    "SweepReport",
    "bound",
    "candidates",
    "companions",
    "compute_splits",
    "fit",
    "fit_final",
    "fit_sizes",
    "fit_sweep",
    "fit_table",
    "law_map",
    "laws_over",
    "load_final",
    "load_fit",
    "load_model",
    "log_prediction",
    "noise_floor",
    "other_batch",
    "parse",
    "predict",
    "predict_final",
    "propose_rate",
    "propose_runs",
    "rank",
    "rank_final",
    "read",
    "read_sweep",
    "read_table",
    "recommend",
    "recommended_schedule",
    "refits",
    "repeats",
    "select",
    "simulate_stages",
    "sparse_models",
    "stages_of",
    "sweep_report",
    "transferred_peak",
    "transfers",
    "tuned",
    "updates_for",
    "with_bands",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
