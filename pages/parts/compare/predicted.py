"""What the Decide page predicts, kept for as long as fits and candidates stay the same."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from optlaws_core import (
    OptLawsError,
    Plan,
    Prediction,
    Proposal,
    Ranked,
    Run,
    Schedule,
    propose_runs,
    rank,
    with_bands,
)
from optlaws_core.figures.candidate_chart import MOST_STEPS, steps_of
from optlaws_core.fitting.priors import calibration
from optlaws_core.fitting.result import Coverage, Model
from optlaws_core.laws.effective import stretches
from optlaws_core.prediction import evidence
from optlaws_core.prediction.bands import ends_with_bands
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.losses import predict_each
from optlaws_core.prediction.pairs import Compared, compare
from optlaws_core.prediction.ranking import with_savings
from optlaws_core.prediction.why import why
from optlaws_core.schedules import parts
from optlaws_core.text import counted

from ..state import candidates as c
from ..state.big_run import BigRun
from ..state.workspace import Workspace

# What a comparison may take, in stretches between the kinks and jumps of the candidates' rates: each is worked out by
# itself under every law. An average of two laws then bears six curves of as many knots as one that is pasted has.
MOST_STRETCHES = 1_500  # of all candidates, times the laws of all fits that are drawn
LEAST_BORNE = 150  # of all candidates, however many laws are drawn
CROSSED = 170_000  # the same times the steps of a curve: curves of many stretches have fewer steps
LEAST_STEPS = 40  # of a curve
# A stretch costs more the more of them there are: memory bears fewer steps of such a rate at a time, and keeps none of
# their past. A chart does not show so many turns, whatever its steps are.
OFTEN, CROSSED_OFTEN, LEAST_OFTEN = 250, 60_000, 15
# Each step of a curve of averaged weights has a past of its own, which takes 3 ms and 0.15 ms for each stretch in it.
AVERAGED = 18_000  # steps of all such curves, times the laws and the stretches of each
LEAST_STRETCHES = 20  # that each counts for
LEAST_AVERAGED = 12  # steps of such a curve


Curve = tuple[np.ndarray, np.ndarray]  # steps (n,) and losses (n,)


@dataclass(frozen=True)
class Known:
    """A fit or an average as a key: two are equal when they predict the same, bands and sentences included."""

    parts: tuple[tuple, ...]  # of each fit, what its predictions, bands and sentences hang on
    weights: tuple[float, ...]
    errors: tuple[float | None, float | None]  # misfit, left out
    coverage: Coverage
    model: Model = field(compare=False, repr=False)

    @classmethod
    def of(cls, model: Model) -> "Known":
        """The key of a model."""
        weights = tuple(weight for _, weight in model.parts)
        parts = tuple(
            (
                *(f.law, f.coverage.peak, f.peak_power, tuple(f.theta.items()), f.free, f.covariance, f.status),
                None if f.informed is None else (calibration(f.informed), f.informed.horizon),
            )
            for f in model.members
        )
        return cls(parts, weights, (model.misfit, model.left_out), model.coverage, model)


class _Curves:
    """The curves that were asked for lately; those that are new are worked out together."""

    def __init__(self, most: int) -> None:
        self.most = most  # curves that are kept
        self._kept: dict[tuple[Known, Schedule, int], Curve] = {}  # the latest last
        self._lock = threading.Lock()

    def of(self, known: Known, asked: Sequence[tuple[Schedule, int]]) -> list[Curve]:
        """The curves of schedules, with about so many steps each. Raises like `predict`."""
        keys = [(known, *one) for one in asked]
        with self._lock:
            found = {key: self._kept.pop(key) for key in keys if key in self._kept}
            self._kept |= found
        lacking = [one for key, one in zip(keys, asked, strict=True) if key not in found]
        found |= {(known, *one): made for one, made in zip(lacking, _worked_out(known, lacking), strict=True)}
        with self._lock:
            self._kept |= found
            for key in list(self._kept)[: -self.most]:
                del self._kept[key]
        return [found[key] for key in keys]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._kept.clear()


CURVES = _Curves(512)


def _worked_out(known: Known, asked: Sequence[tuple[Schedule, int]]) -> list[Curve]:
    steps = [steps_of(*one) for one in asked]
    # The ends by themselves, too: with the past of the curves that of the ends, which the ranking asks for next, costs
    # next to nothing.
    wanted = [*zip((s for s, _ in asked), steps, strict=True), *((s, None) for s, _ in asked)]
    losses = predict_each(known.model, wanted) if wanted else []
    return list(zip(steps, losses, strict=False))


def curve(known: Known, schedule: Schedule, most: int = MOST_STEPS) -> Curve:
    """Steps (n,) of a schedule's chart, about `most` of them, and the losses (n,) predicted there."""
    return CURVES.of(known, [(schedule, most)])[0]


@lru_cache(maxsize=256)
def banded(known: Known, schedule: Schedule, most: int = MOST_STEPS) -> Prediction:
    """The same with bands."""
    return with_bands(known.model, schedule, steps_of(schedule, most))


@lru_cache(maxsize=128)
def half_widths(known: Known, schedules: tuple[Schedule, ...]) -> list[float | None]:
    """Half the width of the prediction band of each final loss, in the loss's unit; None without such a band."""
    ends = ends_with_bands(known.model, schedules)
    return [None if end.prediction is None else float(end.loss[0] * np.sinh(end.prediction[0])) for end in ends]


@lru_cache(maxsize=128)
def ranked(known: Known, schedules: tuple[Schedule, ...], risk: Risk | None, most_risk: float) -> tuple[Ranked, ...]:
    """The schedules, best first; behind all others those whose risk of divergence is above `most_risk`.

    Without the updates saved, which take several times as long as all the rest: see `saved`.
    """
    return tuple(rank(known.model, schedules, risk, most_risk, savings=False))


@lru_cache(maxsize=128)
def saved(known: Known, found: tuple[Ranked, ...], places: tuple[int, ...] | None) -> tuple[Ranked, ...]:
    """A ranking with the updates saved against the candidates at some places; None: against all."""
    return tuple(with_savings(known.model, found, places))


@lru_cache(maxsize=128)
def beside(
    known: Known, schedules: tuple[Schedule, ...], risk: Risk | None, most_risk: float, baseline: Schedule
) -> tuple[Compared, ...]:
    """What is known of each one beside the others and the baseline, in the order of `ranked`."""
    return tuple(compare(known.model, ranked(known, schedules, risk, most_risk), baseline))


@lru_cache(maxsize=16)  # it holds runs, of visitors who may have left
def reasons(known: Known, best: Schedule, other: Schedule, name: str, runs: tuple[Run, ...]) -> tuple[str, ...]:
    """Why the best one is predicted to end below another, called `name`."""
    return tuple(why(known.model, best, other, name, runs))


@lru_cache(maxsize=4)  # it holds runs, of visitors who may have left
def proposal(known: Known, schedules: tuple[Schedule, ...], updates: int, runs: tuple[Run, ...]) -> Proposal:
    """Which runs to train next for a decision between the schedules. Raises like `propose_runs`."""
    return propose_runs(known.model, schedules, updates, runs=runs)


def beyond(space: Workspace, found: Sequence["Entry"], run: BigRun | None) -> list[str]:
    """How the candidates leave what the training runs cover, at the size and batch of the big run, said once."""
    params, batch = (run.params, run.batch_tokens) if run else (None, None)
    plans = [(e.name, Plan(e.schedule, params=params, batch_tokens=batch)) for e in found]
    return evidence.beyond(space.fit, plans)


@dataclass(frozen=True)
class Entry:
    """A candidate that takes part: its place in the list, its names, its schedule and its colour."""

    place: int
    name: str
    schedule: Schedule
    spoken: str = ""  # what it is called in a sentence
    color: int = 0  # in all charts and tables
    steps: int = MOST_STEPS  # about as many of its curve


def entries(space: Workspace, fits: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """Candidates in use that can be predicted, and a sentence for each one that cannot, which says why."""
    names, spoken = c.names(space.candidates), c.spoken(space.candidates)
    on = [(i, candidate) for i, candidate in enumerate(space.candidates) if candidate.on]
    asked = [(i, candidate.schedule) for i, candidate in on if candidate.schedule is not None]
    laws = sum(len(space.fits[name].parts) for name in fits)
    borne, left_out = _borne(asked, laws)
    left_out |= {i: candidate.problem for i, candidate in on if candidate.schedule is None}
    good: list[Entry] = []
    drawn = _with_steps([schedule for _, schedule in borne], laws)
    known = [Known.of(space.fits[name]) for name in fits]
    with suppress(OptLawsError):  # which one it is of is told below
        for one in known:
            CURVES.of(one, drawn)
    for i, (schedule, steps) in zip((i for i, _ in borne), drawn, strict=True):
        try:
            for one in known:
                curve(one, schedule, steps)
        except OptLawsError as fault:
            left_out[i] = str(fault)
        else:
            color = space.candidates[i].color
            good.append(Entry(i, names[i], schedule, spoken[i], i if color is None else color, steps))
    return good, [f"“{names[i]}” is left out of the comparison: {why}" for i, why in sorted(left_out.items())]


def _borne(asked: Sequence[tuple[int, Schedule]], laws: int) -> tuple[list[tuple[int, Schedule]], dict[int, str]]:
    """Candidates that can be borne together, the lightest first, and why the others are left out, by their places."""
    most = max(MOST_STRETCHES // max(laws, 1), LEAST_BORNE)
    most_averaged = AVERAGED // (LEAST_AVERAGED * max(laws, 1))
    borne, left_out, held, held_averaged = [], {}, 0, 0
    for own, i, schedule in sorted(((stretches(s), i, s) for i, s in asked), key=lambda known: known[:2]):
        own_past = past(schedule)
        if held + own > most:
            left_out[i] = (
                f"Under {counted(laws, 'law')}, the rates of all candidates together may have {most:,} stretches "
                f"between kinks and jumps; with the {own:,} of this one they have {held + own:,}."
            )
        elif own_past and held_averaged + own_past > most_averaged:
            left_out[i] = (
                f"Under {counted(laws, 'law')}, all candidates with averaged weights together may have "
                f"{most_averaged:,} stretches between kinks and jumps, each {LEAST_STRETCHES} at least; "
                f"with the {own_past:,} of this one they have {held_averaged + own_past:,}."
            )
        else:
            held, held_averaged = held + own, held_averaged + own_past
            borne.append((i, schedule))
    return sorted(borne, key=lambda known: known[0]), left_out


def _with_steps(borne: Sequence[Schedule], laws: int) -> list[tuple[Schedule, int]]:
    """Candidates, and about how many steps the curve of each can have."""
    most = min(max(CROSSED // max(sum(map(stretches, borne)) * laws, 1), LEAST_STEPS), MOST_STEPS)
    shared = min(most, max(AVERAGED // max(sum(map(past, borne)) * laws, 1), LEAST_AVERAGED))
    often = min(most, max(CROSSED_OFTEN // max(sum(stretches(s) for s in borne if coarse(s)) * laws, 1), LEAST_OFTEN))
    return [(s, shared if past(s) else often if coarse(s) else most) for s in borne]


def printed_steps(found: Sequence[Entry], laws: int, most: int) -> list[int]:
    """About how many steps the curve of each can have in print, where `most` could be seen."""
    crossed = CROSSED // max(sum(stretches(e.schedule) for e in found) * laws, 1)
    return [e.steps if past(e.schedule) or coarse(e.schedule) else max(e.steps, min(crossed, most)) for e in found]


def coarse(schedule: Schedule) -> bool:
    """Whether a rate turns so often that its curve is drawn at a few of its turns."""
    return stretches(schedule) > OFTEN


def past(schedule: Schedule) -> int:
    """Stretches that each step of a curve of averaged weights counts for; 0 for other curves."""
    return max(stretches(schedule), LEAST_STRETCHES) if parts(schedule)[2] is not None else 0


def switched_off(space: Workspace) -> list[Entry]:
    """Candidates that are schedules, and take no part in the comparison."""
    names = c.names(space.candidates)
    return [Entry(i, names[i], x.schedule) for i, x in enumerate(space.candidates) if x.schedule and not x.on]
