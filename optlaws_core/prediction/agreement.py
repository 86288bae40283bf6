"""How a run agrees with what was predicted before it began, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DesignError
from ..text import relative_error
from .bands import Prediction
from .verdict import difference


@dataclass(frozen=True)
class Agreement:
    """Losses of a run beside the prediction band, 90 %, of the same steps."""

    inside: int  # losses within the band
    seen: int  # losses in all
    step: int  # of the last loss
    loss: float  # the last one
    predicted: float  # for that step
    low: float  # ends of the band there
    high: float

    @property
    def off(self) -> float:
        """(observed − predicted) / predicted, of the last loss."""
        return self.loss / self.predicted - 1

    @property
    def held(self) -> bool:
        """Whether the last loss lies within the band."""
        return self.low <= self.loss <= self.high


def agreement(predicted: Prediction, steps: ArrayLike, losses: ArrayLike) -> Agreement | None:
    """Losses (n,) after the updates `steps` (n,) beside what was predicted; None where none of these was predicted.

    Losses of other steps than the predicted ones count for nothing. Raises `DesignError` for a prediction without a
    prediction band.
    """
    if predicted.prediction is None:
        raise DesignError("A run can only be compared with a prediction that has a prediction band, got one without.")
    low, high = predicted.band(predicted.prediction)
    observed = dict(zip(np.asarray(steps).tolist(), np.asarray(losses, float).tolist(), strict=True))
    found = [(i, observed[step]) for i, step in enumerate(predicted.steps.tolist()) if step in observed]
    if not found:
        return None
    last, loss = found[-1]
    return Agreement(
        sum(bool(low[i] <= seen <= high[i]) for i, seen in found),
        len(found),
        int(predicted.steps[last]),
        loss,
        float(predicted.loss[last]),
        float(low[last]),
        float(high[last]),
    )


def in_words(name: str, found: Agreement, whole: bool) -> str:
    """What became of the prediction for one run. `whole`: whether the run went to its last update."""
    where = "ended" if whole else f"was, after {found.step + 1:,} updates,"
    side = "inside" if found.held else "below" if found.loss < found.low else "above"
    return (
        f"{name} {where} at {found.loss:.4f}, {_off(found.off)} the predicted {found.predicted:.4f} and {side} "
        f"the 90 % band ({found.low:.4f} to {found.high:.4f}). {_share(found)}"
    )


def _off(off: float) -> str:
    return "exactly" if off == 0 else f"{relative_error(abs(off))} {'below' if off < 0 else 'above'}"


def _share(found: Agreement) -> str:
    if found.seen == 1:
        return "No other loss of it was predicted."
    if found.inside == found.seen:
        return f"All {found.seen:,} losses that were predicted lay in their band."
    return f"Of the {found.seen:,} losses that were predicted, {found.inside:,} lay in their band."


def in_order(names: Sequence[str], predicted: Sequence[float], observed: Sequence[float]) -> str:
    """Which of two final losses was predicted to be the lower one, and which it was. All (2,), in the same order."""
    told, seen = int(predicted[1] < predicted[0]), int(observed[1] < observed[0])
    ahead, was = (difference(abs(pair[1] - pair[0])) for pair in (predicted, observed))
    begun = f"{names[told]} was predicted to end the lower one, by {ahead}"
    if told == seen:
        return f"{begun}, and it did, by {was}."
    return f"{begun}; it was {names[seen]} that did, by {was}."


__all__ = ["Agreement", "agreement", "in_order", "in_words"]
