"""Fits as the commands take and print them: of whole curves and of final losses, what both have in common."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arrays import FloatArray
from ..errors import OptLawsError
from ..final_loss import FinalFit, load_model
from ..fitting.interface import Fitted
from ..fitting.priors import Prior, from_fits, learned
from ..fitting.result import Fit, Model
from ..optimize.progress import Progress
from ..parallel import Report
from ..prediction.bands import Prediction
from ..prediction.losses import sized
from ..runs import Plan, Run
from ..schedules import parse
from ..schedules.chain import Chain
from ..text import format_number
from .options import PRIORS, amount, file, path, prior, step, updates

Ends = tuple[float, float] | None  # of a 90 % band at one step; None where there is none


def add_model(command: argparse.ArgumentParser) -> None:
    """Options of every command on a fit: the fit, and what its candidates are trained with."""
    command.add_argument(
        "--fit", required=True, type=file, metavar="FIT.json", help="the file that fit or select wrote"
    )
    command.add_argument(
        "--params",
        type=amount,
        metavar="N",
        help="model size of the candidates, by default that of the training runs; needed where the training runs had "
        "several",
    )
    command.add_argument(
        "--batch-tokens",
        type=amount,
        metavar="B",
        help="tokens per update of the candidates, by default as in the training runs",
    )


def add_forecaster(command: argparse.ArgumentParser) -> None:
    """The option of commands that forecast runs in progress, whose sizes stand in their plans."""
    command.set_defaults(params=None, batch_tokens=None)
    command.add_argument(
        "--fit",
        type=file,
        metavar="FIT.json",
        help="a fit of finished runs, from fit or select; by default each run is forecast from its own losses so far, "
        "under learned priors",
    )


def on_progress(watch: Report | None) -> Progress | None:
    """What fits and searches tell, with the lowest loss so far, to whoever wants to know the share done alone."""
    return None if watch is None else lambda share, loss: watch(share) is not False


def add_as_json(command: argparse.ArgumentParser) -> None:
    """What a command that writes fits prints, for programs."""
    command.add_argument("--as-json", action="store_true", help="print the result as JSON")


def add_prior(command: argparse.ArgumentParser) -> None:
    """What is known of a law's coefficients before any run."""
    command.add_argument(
        "--prior",
        nargs="+",
        type=prior,
        default=["learned"],
        metavar="PRIOR",
        help="the prior of the coefficients: learned (from public curves; the default), none, or one or "
        "several FIT.json of yours, fitted under a prior to other sizes, batches or texts of the same recipe",
    )
    command.add_argument(
        "--horizon",
        type=updates,
        metavar="T",
        help="updates of the schedules that are to be compared: under a prior, runs count the less the farther their "
        "last logged loss is from it; for choosing between schedules, since the losses themselves are then further off",
    )


def priors_of(args: argparse.Namespace, laws: Sequence[str]) -> dict[str, Prior]:
    """Priors of those of `laws` that have one, by name. Raises `OptLawsError` for fits that cannot become one."""
    able = [name for name in laws if learned(name) is not None]
    if args.prior == ["none"]:
        return {}
    if args.prior == ["learned"]:
        return {name: known for name in able if (known := learned(name)) is not None}
    if not able:
        raise OptLawsError(f"--prior: none of these laws takes one: {', '.join(laws)}.")
    if set(PRIORS) & set(args.prior):
        raise OptLawsError("--prior takes learned, none, or files of fits, one of the three.")
    fits = [load_model(path(name)) for name in args.prior]
    if wrong := next((n for n, f in zip(args.prior, fits, strict=True) if isinstance(f, FinalFit)), None):
        raise OptLawsError(f"{wrong}: a fit of whole loss curves is needed, this is a fit of final losses.")
    return {name: from_fits(name, fits) for name in able}


def curve_model(args: argparse.Namespace) -> Model:
    """The fit of whole curves in --fit, for candidates of the size and batch that were given.

    Raises `OptLawsError` for a fit of final losses, and where there is none.
    """
    return for_candidates(load_model(args.fit), args)


def for_candidates(model: Model | FinalFit, args: argparse.Namespace) -> Model:
    """A fit of whole curves, for candidates of the size and batch that were given. Raises `OptLawsError` for others."""
    if isinstance(model, FinalFit):
        raise OptLawsError(f"{args.fit}: a fit of whole loss curves is needed, this is a fit of final losses.")
    return sized(model, args.params, args.batch_tokens)


def add_warmup(command: argparse.ArgumentParser, what: str) -> None:
    """The length of a warm-up; `what` has it."""
    command.add_argument(
        "--warmup",
        type=step,
        metavar="W",
        help=f"updates of linear warm-up of {what}, by default as in the training runs",
    )


def warmup_of(model: Model, args: argparse.Namespace, total: int) -> tuple[int, list[str]]:
    """The warm-up that was given, or else the longest of the training runs, with a remark that says which.

    Fits that were stored before warm-ups were kept have none, and so have runs that a warm-up would fill.
    """
    if args.warmup is not None:
        return args.warmup, []
    usual = 0 if model.coverage.warmup is None else int(model.coverage.warmup[1])
    if not 0 < usual < total:
        return 0, []
    return usual, [f"Warm-up of {usual:,} updates, as in the training runs; --warmup sets another one, 0 none."]


def final_plan(fit: FinalFit, args: argparse.Namespace, schedule: str) -> Plan:
    """A candidate of a final-loss fit, which may go on from --parent. Raises `OptLawsError` as `one_value` does."""
    found, parent = parse(schedule), getattr(args, "parent", None)
    whole = found if parent is None else Chain(parse(parent), found)
    return Plan(whole, one_value(fit, args, "params"), one_value(fit, args, "batch_tokens"))


def one_value(fit: FinalFit, args: argparse.Namespace, name: str) -> float:
    """The model size or batch that was given, or else that of all training runs. Raises `OptLawsError` for several."""
    given, (low, high) = getattr(args, name), getattr(fit.coverage, name)
    if given is None and low != high:
        option = "--" + name.replace("_", "-")
        raise OptLawsError(f"{option} is needed: the training runs had {format_number(low)} to {format_number(high)}.")
    return low if given is None else given


def save(model: Fitted, out: Path) -> None:
    """Write a fit. Raises `OptLawsError` for scores that JSON has no number for."""
    try:
        model.save(out)
    except ValueError:  # JSON has no infinity
        raise OptLawsError(f"{out}: the fit has scores that are not finite numbers, so it was not written.") from None


def extrapolation(reasons: Sequence[str], what: str = "This") -> list[str]:
    """A remark on why a prediction, `what`, is an extrapolation; none where it is not."""
    return [f"{what} extrapolates: {'; '.join(reasons)}."] if reasons else []


def beyond_training(model: Model | None, run: Run) -> tuple[str, ...]:
    """Why a forecast of `run` by a fit to other runs extrapolates; nothing where it is forecast from itself."""
    return () if model is None or run.plan is None else model.reasons(run.plan)


def forecast_beyond(model: Model | None, run: Run) -> list[str]:
    """`beyond_training` as a remark that names the run."""
    return extrapolation(beyond_training(model, run), f"The forecast of run {run.name!r}")


def print_coefficients(fit: Fit | FinalFit, width: int) -> None:
    """How a search ended, and the coefficients with their intervals, names as wide as `width`."""
    print(f"{fit.message} Objective {fit.objective:.6g}, {fit.seconds:.2f} s.")
    for name, value in fit.theta.items():
        ends = fit.interval[name]
        between = f"   90 % interval {ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
        print(f"    {name:{width}} {value:.6g}{between}")


def as_plain(fit: Fit | FinalFit) -> dict:
    """A fit for whoever reads it: how the search ended, coefficients with their intervals, and scores of runs."""
    whole = fit.to_dict()
    keys = ("law", "status", "message", "objective", "seconds", "theta", "interval", "train", "test")
    return {key: whole[key] for key in keys} | {"notes": [*getattr(fit, "notes", ()), *fit.doubts]}


def bands(model: Model, found: Prediction) -> list[tuple[Ends, Ends]]:
    """Parameter band and prediction band at each step; no parameter band where no coefficient has a known error."""
    inner, outer = found.parameter if model.has_bands else None, found.prediction
    return list(zip(_ends(found, inner), _ends(found, outer), strict=True))


def _ends(found: Prediction, half: FloatArray | None) -> list[Ends]:
    if half is None:
        return [None] * len(found.steps)
    with np.errstate(over="ignore"):
        low, high = found.band(half)
    return [finite(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def finite(low: float, high: float) -> Ends:
    """The ends of a band, None where one is without end or not known."""
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None


def band_keys(name: str, ends: Ends) -> dict:
    """A band in JSON."""
    low, high = ends or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def band_text(inner: Ends, outer: Ends) -> str:
    """The prediction band, or else the parameter band, from end to end: it is symmetric in the logarithm only."""
    name, ends = ("prediction", outer) if outer else ("parameter", inner)
    return f"   90 % {name} band {ends[0]:.6f} to {ends[1]:.6f}" if ends else ""
