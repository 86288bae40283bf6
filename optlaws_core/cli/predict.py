"""The command `predict`: losses of one schedule under a fit, with their bands."""

import argparse

import numpy as np
from numpy.typing import NDArray

from ..final_loss import TERMS, FinalFit, beyond, load_model, predict_final, shares
from ..fitting.result import Model
from ..prediction.bands import with_bands
from ..schedules import Schedule, parse
from .model import add_model, band_keys, band_text, bands, extrapolation, final_plan, finite, for_candidates
from .options import refuse, step


def add(command: argparse.ArgumentParser) -> None:
    """Options of `predict`."""
    command.set_defaults(run=run)
    add_model(command)
    command.add_argument("--schedule", required=True, help='such as "cosine(peak=3e-4, warmup=100, total=2000)"')
    command.add_argument("--at", nargs="+", type=step, metavar="STEP", help="steps; by default the last update")
    command.add_argument(
        "--text",
        default="",
        metavar="TEXT",
        help="which of a final-loss fit's texts it learns, by default that of most runs",
    )
    command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> list[str]:
    """Print the losses; what speaks against them comes back as remarks."""
    model = load_model(args.fit)
    if not isinstance(model, FinalFit):
        refuse(args, ["--text"], "is for fits of final losses, whose tables name texts")
    return _final(model, args) if isinstance(model, FinalFit) else _curve(for_candidates(model, args), args)


def _curve(model: Model, args: argparse.Namespace) -> list[str]:
    schedule = parse(args.schedule)
    reasons = model.reasons(schedule)
    found = with_bands(model, schedule, args.at)
    rows = list(zip(map(int, found.steps), map(float, found.loss), bands(model, found), strict=True))
    if args.json:
        args.show(
            {
                "schedule": schedule.text,
                "predictions": [
                    {"step": t, "loss": y} | band_keys("parameter", inner) | band_keys("prediction", outer)
                    for t, y, (inner, outer) in rows
                ],
                "reasons": reasons,
            }
        )
    else:
        for t, y, (inner, outer) in rows:
            print(f"{t:>12,}  {y:.6f}{band_text(inner, outer)}")
    return [*model.doubts, *_before_fitted(model, schedule, found.steps), *extrapolation(reasons)]


def _before_fitted(model: Model, schedule: Schedule, steps: NDArray[np.int64]) -> list[str]:
    """A remark where steps lie before the first that the laws were fitted to."""
    first = schedule.warmup_end if model.first_step is None else model.first_step
    return [f"Losses before step {first:,} were not fitted."] if steps.min() < first else []


def _final(fit: FinalFit, args: argparse.Namespace) -> list[str]:
    """The final loss, and where it comes from."""
    refuse(args, ["--at"], "is for laws of whole curves; a final-loss fit predicts only the last loss")
    plan = final_plan(fit, args, args.schedule)
    loss, half = (float(v[0]) for v in predict_final(fit, [plan], args.text))
    band = finite(loss * np.exp(-half), loss * np.exp(half))
    parts = shares(fit, plan, args.text) if "E" in fit.theta else {}
    last, reasons = plan.schedule.total - 1, beyond(fit, plan, args.text)
    if args.json:
        row = {"step": last, "loss": loss, "reasons": reasons} | band_keys("prediction", band)
        args.show({"schedule": plan.schedule.text, "predictions": [row], "shares": parts})
    else:
        print(f"{last:>12,}  {loss:.6f}{band_text(None, band)}")
        for name, part in parts.items():
            print(f"{part:22.6f}  {TERMS[name]}")
    return [*fit.doubts, *extrapolation(reasons)]
