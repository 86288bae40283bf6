"""A ranking in words: what it rests on, how far to trust it, and the verdict.

A difference is worth believing where its 90 % interval leaves 0 out (`pairs.Pair.told_apart`). Only where a model does
not know its error, so that there are no intervals, is the error of the fit the measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fitting.result import Model, Status
from ..fitting.single import WINDOWED
from ..laws import LAWS
from ..schedules import Schedule, parts, token_ratio
from ..text import chance, listed, percent, relative_error
from .joint_losses import knows_error
from .pairs import Compared, Pair
from .ranking import Ranked

NOT_APART = "so the two are not told apart"
SAME_TOKENS = 0.005  # a smaller share of more or fewer tokens is none
TIMES = 2.0  # from which on tokens are said in multiples
FAR = 0.1  # of the loss: a prediction band beyond the training runs that is wider to each side answers nothing


def basis(model: Model) -> str:
    """Which laws a prediction rests on, and on which runs."""
    laws = " and ".join(LAWS[f.law].title + (f" ({percent(w)})" if w < 1 else "") for f, w in model.parts if w > 0)
    judged = f"; judged on {listed(model.test)}" if model.test else ""
    return f"{laws}, fitted to {listed(model.train)}{judged}."


def doubts(model: Model) -> list[str]:
    """What speaks against the fits of a model, each with the law's name where there are several."""
    fits = [f for f, w in model.parts if w > 0]
    told = [(f, WINDOWED.sub("", f.message).strip()) for f in fits]
    said = [(f, m) for f, m in told if f.status not in (Status.converged, Status.tuned) or m != f.status.value]
    said += [(f, sentence) for f in fits for sentence in f.outdated]
    return [f"{LAWS[f.law].title}: {sentence}" if len(fits) > 1 else sentence for f, sentence in said]


@dataclass(frozen=True)
class Yardstick:
    """The error of a fit, below which differences mean nothing, unless they have intervals of their own."""

    rmse: float | None  # loss
    name: str  # "held-out RMSE" or "training RMSE"
    runs: int
    paired: bool = False  # whether differences have intervals
    left_out: float | None = None  # relative error on runs left out of the fit, root mean square

    @classmethod
    def of(cls, model: Model) -> "Yardstick":
        """The held-out error, or else the training error."""
        paired = knows_error(model)
        if model.test:
            return cls(model.held_out_rmse, "held-out RMSE", len(model.test), paired)
        errors = [s.rmse for s in model.train.values()]
        return cls(float(np.mean(errors)) if errors else None, "training RMSE", len(errors), paired, model.left_out)

    @property
    def sentence(self) -> str:
        """What the fit's error means for the comparison."""
        means = (
            ". Differences between candidates have intervals of their own."
            if self.paired
            else ": differences between candidates smaller than that are not resolved."
        )
        if self.rmse is None:
            return "This fit was not judged on any run, so nothing tells which differences are resolved."
        runs = f"{self.runs} run{'s' if self.runs != 1 else ''}"
        if self.name == "held-out RMSE":
            return f"Held-out RMSE {self.rmse:.4f}, the mean over {runs} that the fit has not seen{means}"
        if self.left_out is not None:
            return (
                f"Off by {relative_error(self.left_out)} on runs left out of the fit, each in its turn; training RMSE "
                f"{self.rmse:.4f} over {runs}{means}"
            )
        return (
            f"Training RMSE {self.rmse:.4f} over {runs}; no run was held out, so on new schedules the error is larger"
            f"{means}"
        )


def verdict(
    ranked: Sequence[Ranked],
    names: Sequence[str],
    yard: Yardstick,
    halves: Sequence[float | None] | None = None,
    beside: Sequence[Compared] | None = None,
    baseline: int | None = None,
    batch_tokens: float | None = None,
) -> str:
    """`sentences` as one text."""
    return " ".join(sentences(ranked, names, yard, halves, beside, baseline, batch_tokens=batch_tokens))


def sentences(
    ranked: Sequence[Ranked],
    names: Sequence[str],
    yard: Yardstick,
    halves: Sequence[float | None] | None = None,
    beside: Sequence[Compared] | None = None,
    baseline: int | None = None,
    beyond: bool = True,
    batch_tokens: float | None = None,
) -> list[str]:
    """The comparison in a few sentences, for people: the best candidate against the baseline, and how sure that is.

    The first one is the answer by itself; none for no candidates.

    ranked: (n,), best first, those set apart last. names: (n,), as users call them. yard: the model's own error.
    halves: (n,), half the widths of the prediction bands of the final losses, in the loss's unit; None without such
    bands. beside: (n,), from `pairs.compare`. baseline: its place in the ranking; by default, and where it is the best
    itself or set apart, the second best takes its part. beyond: whether to say how the best leaves the training runs.
    batch_tokens: tokens in an update of the training runs, for those that do not schedule their batch.
    """
    if not ranked:
        return []
    apart = [n for r, n in zip(ranked, names, strict=True) if r.apart]
    if len(apart) == len(ranked):
        return _begun([f"{_listed(apart)} {'is' if len(apart) == 1 else 'are'} likely to diverge. Try a lower peak."])
    stay = len(ranked) - len(apart)
    half = halves[0] if halves else None
    if too_far(ranked, halves):
        where, end = "; ".join(ranked[0].reasons), f"{ranked[0].final_loss:.4g} ± {half or 0:.2g}"
        said = [f"{names[0]} lies too far from the training runs for an answer: {where}."]
        return _begun([*said, f"Its predicted loss, {end}, is a guess, and so are all differences."])
    if stay == 1:
        end = f"{ranked[0].final_loss:.4f}{_within(half)}"
        said = [
            f"{names[0]} is predicted to end at {end}.",
            "" if apart else "Add a second candidate to compare it with.",
        ]
    else:
        other = baseline if baseline is not None and 0 < baseline < stay else 1
        pairs = [c.to_best for c in beside[:stay]] if beside else []
        told = pairs[other].told_apart if pairs else None
        reading = _reading(ranked[0].schedule, ranked[other].schedule, batch_tokens)
        said = (
            _by_error(ranked[:stay], names, other, yard, half, reading)
            if told is None
            else _by_interval(
                pairs,
                names,
                other,
                bool(ranked[0].reasons or ranked[other].reasons),
                f"{ranked[0].final_loss:.4f}{_within(half)} after {ranked[0].schedule.total:,} updates",
                reading,
            )
        )
        if told:
            said.insert(1, _saved(ranked[0].schedule, ranked[other], names[other], batch_tokens))
    said.append(_beyond(ranked[0]) if beyond else "")
    said.append(f"Set apart as likely to diverge: {_listed(apart)}." if apart else "")
    return _begun(list(filter(None, said)))


def too_far(ranked: Sequence[Ranked], halves: Sequence[float | None] | None) -> bool:
    """Whether the best one lies so far beyond the training runs that nothing is to be said of it; as in `sentences`."""
    half = halves[0] if halves else None
    return bool(ranked[0].reasons) and half is not None and half > FAR * ranked[0].final_loss


def _saved(best: Schedule, other: Ranked, name: str, batch_tokens: float | None) -> str:
    """What the better one of two that are told apart saves; nothing where it needs no fewer updates."""
    if not other.saved_updates or other.saved_updates < 0:
        return ""
    share = relative_error(other.saved_updates / other.schedule.total)
    shortened = best.rescaled(other.schedule.total - other.saved_updates)
    reading = _reading(shortened, other.schedule, batch_tokens)
    return f"To end where {name} ends, it needs {other.saved_updates:,} updates fewer ({share}){reading}."


def _reading(best: Schedule, other: Schedule, batch_tokens: float | None) -> str:
    """How many more tokens the best one reads than another, where one of them schedules its batch; else nothing."""
    ratio = token_ratio(best, other, batch_tokens)
    if ratio is None or abs(ratio - 1) < SAME_TOKENS or all(parts(s)[1] is None for s in (best, other)):
        return ""
    if ratio >= TIMES:
        return f", reading {ratio:.3g} times the tokens"
    return f", reading {percent(abs(ratio - 1))} {'more' if ratio > 1 else 'fewer'} tokens"


def _by_interval(
    pairs: Sequence[Pair], names: Sequence[str], other: int, beyond: bool, end: str, reading: str
) -> list[str]:
    """The best one against another, where differences have intervals. pairs: (n,), against the best; end: its loss.

    beyond: whether one of the two leaves the training runs, where neither law nor interval was checked.
    """
    p, near = (
        pairs[other],
        [n for i, n in enumerate(names[: len(pairs)]) if i not in (0, other) and not pairs[i].told_apart],
    )
    said = [_pair(p, names[0], names[other], beyond, reading), f"It is predicted to end at {end}."]
    if near:
        also = "" if p.told_apart else "also "
        said.append(f"Its lead over {_listed(near)} is {also}within the uncertainty (its 90 % interval holds 0).")
    return said


def of_pair(
    pair: Pair, one: str, other: str, ranked: tuple[Ranked, Ranked] | None = None, batch_tokens: float | None = None
) -> str:
    """Which of two candidates is predicted to end lower, by how much, and how sure that is, in one sentence.

    pair: one against the other. ranked: what is known of the two, for whether they leave the training runs and for the
    tokens that they read, with `batch_tokens` as in `sentences`.
    """
    if pair.difference < 0:
        return of_pair(pair.turned, other, one, ranked and (ranked[1], ranked[0]), batch_tokens)
    reading = _reading(ranked[1].schedule, ranked[0].schedule, batch_tokens) if ranked else ""
    return _begun([_pair(pair, other, one, bool(ranked and any(r.reasons for r in ranked)), reading)])[0]


def _pair(p: Pair, better: str, other: str, beyond: bool, reading: str) -> str:
    """How far the better one of two ends below the other, and how sure that is. p: the other against it."""
    unchecked = ", if the law holds that far beyond the training runs" if beyond else ""
    if p.itself:
        return f"{better} and {other} are the same run."
    if p.low is None or p.high is None or p.p_below is None:
        return f"{better} ends {difference(p.difference)} below {other}{reading}; nothing tells how sure that is."
    sure = chance(1 - p.p_below, in_words=True)
    if p.told_apart:
        return (
            f"{better} ends {difference(p.difference)} below {other} (90 %: {difference(p.low)} to "
            f"{difference(p.high)} below){reading}; it is the better one with a probability of {sure}{unchecked}."
        )
    return (
        f"Too close to call: {better} is predicted to end {difference(p.difference)} below {other} (90 %: "
        f"{difference(p.high)} below to {difference(-p.low)} above){reading}, and is the better one with a "
        f"probability of {sure}{unchecked}."
    )


def _by_error(
    ranked: Sequence[Ranked], names: Sequence[str], other: int, yard: Yardstick, half: float | None, reading: str
) -> list[str]:
    """The same where the error of the fit is all that is known."""
    gap = ranked[other].delta
    said = [
        f"{names[0]} ends at {ranked[0].final_loss:.4f}{_within(half)}, {difference(gap)} "
        f"({relative_error(gap / ranked[other].final_loss)}) below {names[other]}{reading}{_resolved(gap, yard)}."
    ]
    rest = [(r, n) for i, (r, n) in enumerate(zip(ranked, names, strict=False)) if i not in (0, other)]
    tied = [n for r, n in rest if yard.rmse is not None and r.delta < yard.rmse]
    return [*said, f"Nor is it told apart from {_listed(tied)}."] if tied else said


def _begun(said: list[str]) -> list[str]:
    """Sentences that may begin with a description instead of a name."""
    return [f"T{text[1:]}" if text.startswith("the ") else text for text in said]


def _beyond(best: Ranked) -> str:
    reasons = "; ".join(best.reasons)
    return reasons and f"The best lies beyond the training runs ({reasons}), so check it with a run first."


def _within(half: float | None) -> str:
    return "" if half is None else f" ± {half:.4f} (90 % prediction band)"


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
