"""What a predicted difference of final losses is made of: progress of training, and what the course of the rate adds.

A law's loss is a sum of terms, so the difference of two losses is that of their terms. Several laws are averaged in
logarithms; there the terms of each count with its weight times the ratio of two logarithmic means, that of the averaged
losses over that of its own, which leaves no remainder (the logarithmic mean Divisia method, Ang 2004).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..fitting.result import Fit, Model
from ..laws import law_named
from ..laws.effective import beside_rate
from ..laws.evaluation import batches, predict_terms
from ..laws.sums.clocks import trace
from ..laws.terms import Kind
from ..schedules import Schedule, parts
from ..text import percent
from .losses import Asked, checked, each, of_fit, of_parts, seen

DIGITS, MORE = 4, 6  # decimals in which differences of losses are shown, and small ones; as `verdict.difference` does
FALLEN = 0.99  # of the peak: a rate that ends higher has not fallen
SAME_SUM = 0.005  # a smaller share of more or less summed rate is none

Terms = Mapping[Kind, float]


@dataclass(frozen=True)
class Lead:
    """How far one schedule is predicted to end below another, in the loss's unit, and what that is the sum of."""

    total: float
    parts: Terms  # above 0 for what speaks for the one that leads

    @property
    def digits(self) -> int:
        """Decimals in which the total is shown."""
        return DIGITS if abs(self.total) >= 5 * 10**-DIGITS else MORE

    @property
    def shown(self) -> dict[Kind, float]:
        """The parts in the digits of the total, whose sum is the total in these digits; without what rounds to 0.

        What rounding leaves over is taken by the largest part.
        """
        rounded = {kind: round(part, self.digits) for kind, part in self.parts.items()}
        largest = max(rounded, key=lambda kind: abs(rounded[kind]))
        rounded[largest] += round(self.total, self.digits) - sum(rounded.values())
        return {kind: part for kind, part in rounded.items() if round(part, self.digits)}


def lead(model: Model, best: Schedule, other: Schedule) -> Lead | None:
    """What the difference between the final losses of two schedules is made of; None where other fits predict each.

    Raises like `predict`.
    """
    used = [[(id(fit), weight) for fit, weight in model.parts_at(s.peak)] for s in (best, other)]
    if used[0] != used[1]:
        return None
    asked = [checked(model, schedule, None) for schedule in (best, other)]
    mine, its = of_parts(model, asked, _terms)
    ends = [[(weight, float(loss[0])) for weight, loss in own] for own in of_parts(model, asked, of_fit)]
    own, above = (float(np.exp(sum(w * np.log(loss) for w, loss in end))) for end in ends)
    mean = _log_mean(own, above)
    found: defaultdict[Kind, float] = defaultdict(float)
    for (weight, a), (_, b), (_, one), (_, two) in zip(mine, its, *ends, strict=True):
        for kind in a:
            found[kind] += weight * mean / _log_mean(one, two) * (b[kind] - a[kind])
    if "drops" in found and ("noise" in found or not any(_falls(schedule) for schedule in (best, other))):
        # Two views of one thing, of which no reader wants a share of each; and drops of a rate that never falls.
        found["course"] = found.pop("drops") + found.pop("noise", 0.0)
    return Lead(above - own, dict(found))


def _falls(schedule: Schedule) -> bool:
    """Whether a rate falls, and nothing beside it acts as if it did."""
    return beside_rate(schedule) == (None, None) and float(schedule(schedule.total - 1)) < FALLEN * schedule.peak


def _terms(fit: Fit, asked: Asked) -> list[Terms]:
    """What the final loss of each plan is the sum of under one fit."""
    told = [predict_terms(some, fit.vector) for some in batches(law_named(fit.law), seen(fit, asked))]
    kinds = {kind: each([part[kind] for part in told], asked) for kind in told[0]}
    return [{kind: float(values[i][0]) for kind, values in kinds.items()} for i in range(len(asked))]


def _log_mean(a: float, b: float) -> float:
    """The logarithmic mean of two numbers above 0."""
    return a if a == b else (a - b) / float(np.log(a / b))


def made_of(model: Model, best: Schedule, other: Schedule) -> str:
    """What the lead of `best` is made of, as a sentence; empty where the laws know but one kind, or none leads."""
    found = lead(model, best, other)
    if found is None or not {"noise", "drops", "course"} & found.parts.keys():
        return ""
    shown, digits = found.shown, found.digits
    if round(found.total, digits) <= 0:
        return ""
    total = f"{found.total:.{digits}f}"
    largest_first = sorted(shown.items(), key=lambda part: -abs(part[1]))
    summed = _summed(best) / _summed(other) - 1
    gains = [f"{part:.{digits}f} from {_words(kind, True, summed)}" for kind, part in largest_first if part > 0]
    costs = [f"{-part:.{digits}f} for {_words(kind, False, summed)}" for kind, part in largest_first if part < 0]
    if len(shown) == 1:
        return f"All of its lead of {total} comes from {_words(largest_first[0][0], True, summed)}."
    return f"Its lead of {total} is {', minus '.join([' plus '.join(gains), *costs])}."


def _words(kind: Kind, better: bool, summed: float) -> str:
    """What a part of a lead comes from. summed: by what share the rates of the one that leads add up to more."""
    match kind:
        case "noise":
            return f"{'less' if better else 'more'} noise left at the end"
        case "peak":
            return "its peak"
        case "drops":
            return f"{'more' if better else 'less'} gained as its rate falls"
        case "course":
            return "the course of its rate"
    more = "more" if better else "less"
    told = abs(summed) >= SAME_SUM and (summed > 0) == better
    return f"{more} progress" + (f" (its rates add up to {_times(summed)})" if told else "")


def _times(summed: float) -> str:
    """How much the rates of one schedule add up to beside those of another, of which that is a share `summed` more."""
    if summed >= 1:
        return f"{float(f'{1 + summed:.2g}'):,g} times as much"
    return f"{percent(abs(summed))} {'more' if summed > 0 else 'less'}"


def _summed(schedule: Schedule) -> float:
    """The sum of a schedule's rates."""
    rate = parts(schedule)[0]
    return float(trace(rate).S(rate.total - 1))


__all__ = ["Lead", "lead", "made_of"]
