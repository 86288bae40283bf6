"""How a prediction shows itself: as a table, a line of text, and a few lines in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from ..markup import Table

if TYPE_CHECKING:
    import pandas as pd

    from .bands import Prediction

SHOWN = 12  # steps of a prediction in a notebook


def frame_of(prediction: "Prediction") -> "pd.DataFrame":
    """See `Prediction.to_frame`."""
    import pandas as pd  # a prediction does not need it

    columns = {"step": prediction.steps, "loss": prediction.loss}
    for kind in ("parameter", "prediction"):
        half = getattr(prediction, kind)
        unknown = np.full(len(prediction.loss), np.nan)
        low, high = (unknown, unknown) if half is None else prediction.band(half)
        columns |= {f"{kind}_low": low, f"{kind}_high": high}
    return pd.DataFrame(columns)


def line_of(prediction: "Prediction") -> str:
    """A prediction in a line: its steps, and the last loss with its band."""
    steps = prediction.steps
    where = f"step {steps[-1]:,}" if len(steps) == 1 else f"{len(steps):,} steps to {steps[-1]:,}"
    return f"Prediction({where}: {_known(prediction, -1)})"


def html_of(prediction: "Prediction") -> str:
    """Some of the steps with losses and bands."""
    some = np.unique(np.linspace(0, len(prediction.steps) - 1, SHOWN).round().astype(int))
    rows = tuple(
        (f"{prediction.steps[i]:,}", f"{prediction.loss[i]:.4f}", *_ends(prediction, i)) for i in map(int, some)
    )
    more = [f"{len(some)} of {len(prediction.steps):,} steps"] if len(some) < len(prediction.steps) else []
    heads = ("Step", "Loss", "Prediction band, 90 %", "Parameter band, 90 %")
    return Table(heads, rows).html("Predicted losses", more)


def _known(prediction: "Prediction", i: int) -> str:
    """A loss, with its band where it has one."""
    band = _ends(prediction, i)[0]
    return f"loss {prediction.loss[i]:.4f}" + (f", 90 % band {band}" if band else "")


def _ends(prediction: "Prediction", i: int) -> tuple[str, str]:
    """Prediction and parameter band of one loss, empty where there is none."""
    halves = (prediction.prediction, prediction.parameter)
    both = [None if half is None else prediction.band(half) for half in halves]
    first, second = ("" if ends is None else f"{ends[0][i]:.4f} to {ends[1][i]:.4f}" for ends in both)
    return first, second
