"""What the commands share: options, checks before work begins, output."""

import argparse
import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from .. import amounts
from ..errors import OptLawsError
from ..final_loss import FinalFit
from ..fits import Fit, Model
from ..schedules.base import LARGEST


class Parser(argparse.ArgumentParser):
    """Bad options are bad input like any other: one sentence."""

    def error(self, message: str):
        raise OptLawsError(f"{self.prog}: {message}")


def path(text: str) -> Path:
    """A path that is given."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a path must not be empty")
    return Path(text)


def step(text: str) -> int:
    """A step that a schedule can have."""
    try:
        found = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a step is a whole number, got {brief(text)}") from None
    if abs(found) > LARGEST:
        raise argparse.ArgumentTypeError(f"a step may be at most {LARGEST:g}, got {brief(text)}")
    return found


def amount(text: str) -> float:
    """A number above 0, with or without a suffix: 3e-4, 7B."""
    with suppress(OptLawsError):
        return amounts.amount(text)
    raise argparse.ArgumentTypeError(f"a number above 0 is needed, got {brief(text)}")


def brief(text: str) -> str:
    """What was typed, in quotes and no longer than a line takes."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def save(model: Model | FinalFit, out: Path) -> None:
    """Write a fit. Raises `OptLawsError` for scores that JSON has no number for."""
    try:
        model.save(out)
    except ValueError:  # JSON has no infinity
        raise OptLawsError(f"{out}: the fit has scores that are not finite numbers, so it was not written.") from None


def check_names(train: list[str], test: list[str]) -> None:
    """Raises `OptLawsError` for a run that is named twice."""
    for option, names in (("--train", train), ("--test", test)):
        name, times = Counter(names).most_common(1)[0] if names else ("", 1)
        if times > 1:
            raise OptLawsError(f"{option}: a run counts once, got {name!r} {times} times.")
    both = sorted(set(train) & set(test))
    if both:
        raise OptLawsError(f"A run is either trained on or held out, got {both[0]!r} as both.")


def check_out(option: str, out: Path) -> None:
    """Raises `OptLawsError` for a file that cannot be written, before minutes go into what should stand in it."""
    if out.is_dir():
        raise OptLawsError(f"{option} {out}: what is found is written to a file, but this is a folder.")
    if not out.parent.is_dir():
        raise OptLawsError(f"{option} {out}: there is no folder {str(out.parent)!r}.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise OptLawsError(f"{option} {out}: the file cannot be written (no permission).")


def print_coefficients(fit: Fit | FinalFit, width: int) -> None:
    """How a fit ended, and its coefficients with their intervals, names as wide as `width`."""
    print(f"{fit.message} Objective {fit.objective:.6g}, {fit.seconds:.2f} s.")
    for name, value in fit.theta.items():
        ends = fit.interval[name]
        between = f"   90 % interval {ends[0]:.6g} to {ends[1]:.6g}" if ends else ""
        print(f"    {name:{width}} {value:.6g}{between}")


def print_json(value) -> None:
    """`value` on stdout."""
    print(json.dumps(value, indent=1, allow_nan=False))
