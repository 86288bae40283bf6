"""Which runs to train next: the few cheap ones after which the choice between candidates is expected to cost the least.

What a set of runs is worth is how much its final losses lower the expected loss of what is chosen (`outlook.py`). One
run after another is added, once the most worth for its cost and once the most worth of what is affordable, and the
better of both sets is taken (Leskovec et al. 2007, "Cost-effective Outbreak Detection in Networks", KDD).

None is shorter than the shortest run that the fit rests on. Laws err most there, of which the joint distribution knows
nothing: on the bundled sweep fits that were given such runs chose worse than before (docs/lab-notes.md). None is of
another peak rate than the fit's, where a candidate has that one: a law is then fitted to the runs of each peak alone,
and what those fits get wrong of the level decided between peaks on lr_scheduling, from which this rule is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import DesignError, OptLawsError
from ..fitting import peaks
from ..fitting.result import Model
from ..runs import Run
from ..schedules import Schedule
from ..text import counted
from .cheap_runs import CheapRun, options, priced, trained
from .joint_losses import Joint, joint
from .losses import predict
from .observed import alike
from .outlook import Outlook, gain, outlook

MOST = 3  # runs that are proposed together
NAMED = "proposed run {}"  # as a parent of later ones
LEAST = 5e-5  # of loss: what each run must add to be proposed, half of the last digit in which losses are shown

Worth = Callable[[float, int], float]  # from what a run adds and the updates that it takes


@dataclass(frozen=True)
class Proposed:
    """A run to train next, and what to expect of the decision once it and those before it have ended."""

    run: CheapRun
    then: Outlook
    reasons: tuple[str, ...] = ()  # why what the law says of the run is an extrapolation


@dataclass(frozen=True)
class Proposal:
    """Runs to train next, in this order; none where no affordable run is expected to change the decision."""

    now: Outlook
    runs: tuple[Proposed, ...]

    @property
    def updates(self) -> int:
        """To be trained in all."""
        return sum(p.run.updates for p in self.runs)

    @property
    def then(self) -> Outlook:
        """What to expect once all of them have ended."""
        return self.runs[-1].then if self.runs else self.now


def propose_runs(
    model: Model, candidates: Sequence[Schedule], updates: int, *, runs: Sequence[Run] = (), most: int = MOST
) -> Proposal:
    """The one to `most` cheap runs that make the decision between `candidates` surest within a budget of `updates`.

    runs: those at hand; from checkpoints of those of the candidates' size and batch runs may go on, and what they have
    as schedule is not proposed again. Raises `DesignError` for fewer than two candidates, for candidates that schedule
    more than the rate, a budget below one update, and a model that does not know how wrong it is, and like `predict`.
    """
    wanted = list(dict.fromkeys(candidates))
    if len(wanted) < 2:
        raise DesignError(f"Runs are proposed for a decision between at least two candidates, got {len(wanted)}.")
    if updates < 1 or most < 1:
        raise DesignError(
            f"A proposal takes a budget of at least one update and at least one run, got {updates:,} and {most:,}."
        )
    if other := next((c.family for c in wanted if c.family in ("joint", "chain")), None):
        raise DesignError(
            f"Runs are proposed for candidates that schedule the rate alone, from the start, got a {other}."
        )
    plan = model.coverage.plan(wanted[0])
    stems = {run.name: trained(run) for run in runs if run.plan is not None and alike(plan, run.plan)}
    able = within_reach(
        model,
        wanted,
        options(wanted, stems.values(), updates, most, begin=model.first_step, warmup=model.coverage.warmup),
    )
    found = joint(model, [*wanted, *able])
    if found.covariance is None:
        raise DesignError(
            "What a run would tell is known of fits under a prior, and of those that were tried on left-out runs, as "
            "select does; this fit does not know how far off it is."
        )
    asked = Question(found, len(wanted), able, stems)
    places = best_set(asked, updates, most)
    return Proposal(asked.outlook(), tuple(_told(model, asked, places)))


@dataclass(frozen=True, eq=False)
class Question:
    """A decision between the first `candidates` of a joint distribution, to which the rest may be observed."""

    found: Joint  # of candidates, then of options
    candidates: int
    options: Sequence[Schedule]
    stems: Mapping[str, Schedule]  # by name, the runs at hand

    def worth(self, places: Sequence[int]) -> float:
        """By how much the final losses of some options, by place, lower the expected loss of what is chosen."""
        return gain(self.found, range(self.candidates), [self.candidates + i for i in places])

    def outlook(self, places: Sequence[int] = ()) -> Outlook:
        """What to expect of the decision once some options, by place, were observed."""
        return outlook(self.found, range(self.candidates), [self.candidates + i for i in places])

    def priced(self, places: Sequence[int]) -> list[CheapRun]:
        """The options at some places as runs that are trained in this order, each from what is there by then."""
        known, made = dict(self.stems), []
        for i in places:
            made.append(priced(self.options[i], known))
            known[NAMED.format(len(made))] = self.options[i]
        return made


def best_set(asked: Question, updates: int, most: int) -> list[int]:
    """Places of at most `most` options that are worth the most together, of at most so many updates in total."""
    rules: tuple[Worth, ...] = (lambda more, cost: more / cost, lambda more, cost: more)
    return max((_greedy(asked, updates, most, rule) for rule in rules), key=lambda s: asked.worth(s) if s else 0.0)


def _greedy(asked: Question, updates: int, most: int, rule: Worth) -> list[int]:
    places: list[int] = []
    while len(places) < most:
        before, ranked = asked.worth(places) if places else 0.0, []
        for i in range(len(asked.options)):
            made = asked.priced([*places, i])
            if i in places or made[-1].updates < 1 or sum(run.updates for run in made) > updates:
                continue
            if (more := asked.worth([*places, i]) - before) >= LEAST:
                ranked.append((rule(more, made[-1].updates), -i))
        if not ranked:
            break
        places.append(-max(ranked)[1])
    return places


def within_reach(model: Model, candidates: Sequence[Schedule], schedules: Sequence[Schedule]) -> list[Schedule]:
    """Those of `schedules` that may be proposed for a decision between `candidates`.

    They are no shorter than every training run, have a peak rate of the training runs where a candidate has one, and
    the model has a loss for them.
    """
    known = sorted({rate for fit in model.members for rate in fit.coverage.peak})
    stay = any(_tried(c.peak, known) for c in candidates)
    good = []
    for schedule in schedules:
        if stay and not _tried(schedule.peak, known):
            continue
        with suppress(OptLawsError):
            predict(model, schedule)
            if schedule.total >= model.coverage.total[0]:
                good.append(schedule)
    return good


def _tried(peak: float, known: Sequence[float]) -> bool:
    """Whether a training run had a peak rate."""
    return any(peaks.same(peak, rate) for rate in known)


def nothing(model: Model) -> str:
    """What is said where no run is proposed."""
    least = counted(model.coverage.total[0], "update")
    return (
        "No run within this budget is expected to change the choice. None is proposed that is shorter than the runs "
        f"which the fit rests on ({least} at least)."
    )


def _told(model: Model, asked: Question, places: Sequence[int]) -> list[Proposed]:
    return [
        Proposed(run, asked.outlook(places[: i + 1]), model.reasons(run.schedule))
        for i, run in enumerate(asked.priced(places))
    ]


__all__ = ["MOST", "Proposal", "Proposed", "Question", "best_set", "nothing", "propose_runs", "within_reach"]
