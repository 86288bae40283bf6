"""Gradient norms out of a log, for `schedules.refined`."""

import re
from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..errors import LogError, OptLawsError
from ..text import listed
from .base import Source
from .format import Content
from .formats import format_of, manifest
from .opened import Opened
from .reading import sentence

_NORM = re.compile(r"grad(ient)?s?[-_/ .]*(global[-_/ .]*)?norm|norm[-_/ .]*(of[-_/ .]*)?grad", re.IGNORECASE)


def gradient_norms(source: Source) -> tuple[FloatArray, FloatArray]:
    """Steps and the norms logged at them, (n,) each, of the one run in a log of any format that the readers know.

    Rows without a norm are no part of it; a norm that the log calls NaN or writes as text is NaN. Raises `LogError`
    for a log that cannot be read, has no column of gradient norms, or several runs.
    """
    try:
        content = Content.of(source)
        format = format_of(content)
        opened = None if format is manifest.FORMAT else format.open(content)
        if not isinstance(opened, Opened):
            raise LogError("this is a manifest; give the log itself.")
        return _norms(opened)
    except OptLawsError as error:
        raise LogError(sentence(source, error), source.name) from None


def _norms(opened: Opened) -> tuple[FloatArray, FloatArray]:
    named = sorted(
        (c for c in opened.columns if _NORM.search(c)), key=len
    )  # the shortest is the one of the whole model
    if not named:
        raise LogError(f"no column is known as a gradient norm; columns found: {listed(opened.columns, 30)}.")
    layout = opened.layout
    if layout.x_unit != "step":
        raise LogError(f"gradient norms must be logged by step, this log counts {layout.x_unit}.")
    runs = opened.runs(replace(layout, losses=(("norm", named[0]),), lr=None, tokens=None))
    if len(runs) != 1:
        raise LogError(f"gradient norms are taken from one run, this log has {len(runs):,}.")
    columns = runs[0].columns
    norms = columns[named[0]]
    x = runs[0].own_x.get(named[0]) or (None if layout.x is None else columns.get(layout.x))
    logged = ~np.isnan(norms.values)
    logged[norms.nans] = logged[norms.words] = True
    steps = np.arange(len(norms), dtype=float) if x is None else x.values
    lost = np.flatnonzero(logged & ~np.isfinite(steps))
    if len(lost):
        line = runs[0].line(lost[0])
        where = "" if line is None else f", the first in line {line:,}"
        raise LogError(f"each gradient norm must have a step, but {len(lost):,} of {logged.sum():,} have none{where}.")
    return steps[logged], norms.values[logged]
