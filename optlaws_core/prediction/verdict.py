"""A ranking in words: what it rests on, how far to trust it, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fitting.result import Model, Status
from ..laws import LAWS
from ..text import listed
from .losses import Ranked

NOT_APART = "so the two are not told apart"


def basis(model: Model) -> str:
    """Which laws a prediction rests on, and on which runs."""
    laws = " and ".join(LAWS[f.law].title + (f" ({w:.0%})" if w < 1 else "") for f, w in model.parts if w > 0)
    judged = f"; judged on {listed(model.test)}" if model.test else ""
    return f"{laws}, fitted to {listed(model.train)}{judged}."


def doubts(model: Model) -> list[str]:
    """What speaks against the fits of a model, each with the law's name where there are several."""
    fits = [f for f, w in model.parts if w > 0]
    found = [f for f in fits if f.status not in (Status.converged, Status.tuned) or f.message != f.status.value]
    return [f"{LAWS[f.law].title}: {f.message}" if len(fits) > 1 else f.message for f in found]


@dataclass(frozen=True)
class Yardstick:
    """The error of a fit, below which differences mean nothing."""

    rmse: float | None  # loss
    name: str  # "held-out RMSE" or "training RMSE"
    runs: int

    @classmethod
    def of(cls, model: Model) -> "Yardstick":
        """The held-out error, or else the training error."""
        if model.test:
            return cls(model.held_out_rmse, "held-out RMSE", len(model.test))
        errors = [s.rmse for s in model.train.values()]
        return cls(float(np.mean(errors)) if errors else None, "training RMSE", len(errors))

    @property
    def sentence(self) -> str:
        """What the fit's error means for the comparison."""
        if self.rmse is None:
            return "This fit was not judged on any run, so nothing tells which differences are resolved."
        runs = f"{self.runs} run{'s' if self.runs != 1 else ''}"
        if self.name == "held-out RMSE":
            return (
                f"Held-out RMSE {self.rmse:.4f}, the mean over {runs} that the fit has not seen: "
                "differences between candidates smaller than that are not resolved."
            )
        return (
            f"Training RMSE {self.rmse:.4f} over {runs}; no run was held out, so on new schedules the error is larger: "
            "differences between candidates smaller than that are not resolved."
        )


def verdict(
    ranked: Sequence[Ranked], names: Sequence[str], yard: Yardstick, halves: Sequence[float | None] | None = None
) -> str:
    """The comparison in a few sentences, for people.

    ranked: (n,), best first, those set apart last. names: (n,). yard: the model's own error. halves: (n,), half the
    widths of the prediction bands of the final losses, in the loss's unit; None without such bands.
    """
    if not ranked:
        return ""
    apart = [n for r, n in zip(ranked, names, strict=True) if r.apart]
    if len(apart) == len(ranked):
        return f"{_listed(apart)} {'is' if len(apart) == 1 else 'are'} likely to diverge. Try a lower peak."
    if apart:
        stay = len(ranked) - len(apart)
        said = verdict(ranked[:stay], names[:stay], yard, halves[:stay] if halves else None)
        return f"{said} Set apart as likely to diverge: {_listed(apart)}."
    best, half = ranked[0], halves[0] if halves else None
    if len(ranked) == 1:
        end = f"{best.final_loss:.4f}{_within(half)}"
        said = f"{names[0]} is predicted to end at {end}. Add a second candidate to compare it with."
        return " ".join(filter(None, [said, _beyond(best)]))
    said = [
        f"{names[0]} ends at {best.final_loss:.4f}{_within(half)}, {difference(ranked[1].delta)} "
        f"({percent(ranked[1].delta / ranked[1].final_loss)}) below {names[1]}{_resolved(ranked[1].delta, yard)}."
    ]
    tied = [n for r, n in zip(ranked[2:], names[2:], strict=True) if yard.rmse is not None and r.delta < yard.rmse]
    if tied:
        said.append(f"Nor is it told apart from {_listed(tied)}.")
    if half is not None:
        said.append(_overlap(ranked[1].delta, half + halves[1], yard))
    return " ".join(filter(None, [*said, _beyond(best)]))


def _beyond(best: Ranked) -> str:
    reasons = "; ".join(best.reasons)
    return reasons and f"The best lies beyond the training runs ({reasons}), so check it with a run first."


def _within(half: float | None) -> str:
    return "" if half is None else f" ± {half:.4f} (90 % prediction band)"


def _overlap(delta: float, both: float, yard: Yardstick) -> str:
    """What two bands, of these half-widths together, say of the order: apart they settle it, overlapping they do not.

    Nor do they deny it: candidates share part of the law's error.
    """
    if delta >= both:
        return "Their bands lie apart."
    told_apart = yard.rmse is not None and delta >= yard.rmse
    return "Their bands overlap, so the order is likely rather than sure." if told_apart else ""


def _resolved(delta: float, yard: Yardstick) -> str:
    if yard.rmse is None:
        return ""
    if yard.name != "held-out RMSE":
        return "; no run was held out, so nothing tells whether that is resolved"
    end = "so the difference is resolved" if delta >= yard.rmse else NOT_APART
    return f"; the fit's {yard.name} is {yard.rmse:.4f}, {end}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def difference(x: float) -> str:
    """A difference of losses: four decimals, or two digits where that would show nothing."""
    return f"{x:.4f}" if x >= 5e-4 or x == 0 else f"{x:.1e}" if x < 5e-6 else f"{x:.6f}"


def percent(share: float) -> str:
    """A share as a percentage with two digits that count."""
    return f"{100 * share:.2f} %" if share >= 1e-4 or share == 0 else f"{100 * share:.1g} %"
