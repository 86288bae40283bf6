"""Fits out of the files that they were saved to. A file is read once, whichever kind of fit is in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from ..errors import OptLawsError
from ..fitting.json_values import read_json
from ..fitting.result import Average, Fit, model_from_dict
from ..laws import LAWS
from .final_fit import FinalFit
from .final_laws import FINAL_LAWS


def load_model(path: Path) -> Fit | Average | FinalFit:
    """The fit in a JSON file: of whole curves, an average of such, or of final losses.

    Raises `OptLawsError` with the reason when there is none in it.
    """
    return read_json(path, _any_fit, "a fit is a JSON file written by the fit command")


def load_fit(path: Path) -> Fit | Average:
    """A fit of whole curves, or an average of such, from a JSON file. Raises `OptLawsError` like `load_model`."""
    return read_json(path, _curve_fit, "a fit is a JSON file written by the fit command")


def load_final(path: Path) -> FinalFit:
    """A final-loss fit from a JSON file. Raises `OptLawsError` like `load_model`."""
    return read_json(path, _final_fit, "a final-loss fit is a JSON file")


def find_final(path: Path) -> FinalFit | None:
    """The final-loss fit in a file; None where something else is in it, such as a table of runs, or where it is none.

    Raises `OptLawsError` for a final-loss fit that is broken.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # a folder, a table, a log in another form
        return None
    if not _has_law(found, FINAL_LAWS):
        return None
    try:
        return FinalFit.from_dict(found)
    except OptLawsError as fault:
        raise OptLawsError(f"{path}: {fault}") from None


def _any_fit(d: object) -> Fit | Average | FinalFit:
    return FinalFit.from_dict(d) if _has_law(d, FINAL_LAWS) else model_from_dict(d)


def _curve_fit(d: object) -> Fit | Average:
    if _has_law(d, FINAL_LAWS):
        raise OptLawsError("a fit of whole loss curves is needed, this is a fit of final losses.")
    return model_from_dict(d)


def _final_fit(d: object) -> FinalFit:
    if _has_law(d, LAWS):
        raise OptLawsError("a fit of final losses is needed, this is a fit of whole loss curves.")
    if not isinstance(d, Mapping):
        raise OptLawsError("This is not a final-loss fit: a value in it has the wrong type.")
    return FinalFit.from_dict(d)


def _has_law(d: object, laws: Mapping[str, object]) -> TypeGuard[Mapping]:
    return isinstance(d, Mapping) and isinstance(d.get("law"), str) and d["law"] in laws
