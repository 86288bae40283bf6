"""Replays of "which runs to train next": does what is proposed lead to better choices than habit, or chance?

Decisions whose outcome is known: the candidates are all runs of one long length that were really trained (repeats by
their mean), the purse is what was trained at half of it or less, with the beginnings of longer constant runs. One run
is at hand, the constant, the cosine or the WSD with about 20 % cooldown of a length at which the purse has all three.
Habit trains the other two; what it costs is the budget of the proposal and of two random sets, and a cooldown from the
plateau of a run that is there costs the cooldown alone. After each the laws are fitted to all runs there are, under
priors that have not seen the data set, and the regret is the final loss of the chosen candidate above the best one's.

Fits are made for the candidates' length, so that short runs count less (`horizon` of `fit`), and once more as if all
lengths were alike. By how much laws are off between lengths is learned from the other data sets, as the priors are: the
last table has it. Which lengths may be proposed was settled on the sweep, and which peaks on lr_scheduling.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from optlaws_core import Average, Run, Schedule, predict
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.single import first_fitted, fit, in_order, usable
from optlaws_core.fitting.under_prior import EFFECTIVE
from optlaws_core.prediction.cheap_runs import priced
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.outlook import Outlook
from optlaws_core.prediction.proposals import MOST, Question, best_set, within_reach
from optlaws_core.runs import Series
from optlaws_core.schedules import WSD, Constant, Cosine

from .groups import USUAL_PEAK, Group, groups
from .pairs import merged
from .priors import LAWS, learn
from .table import show

SEEDS = range(2)  # of random sets
SWEEP = (("tiny", 8000), ("tiny", 4000), ("small", 8000), ("small", 4000), ("medium", 4000), ("medium", 2000))
PEAKS = ("0.0005", "0.001", "0.002")  # of lr_scheduling, 124M parameters
LENGTHS = (50_000, 35_000)
HABIT = ("constant", "wsd", "cosine")  # in the order of training: the WSD goes on from the constant run's checkpoint


@dataclass(frozen=True, eq=False)
class Decision:
    """Candidates with their observed final losses, and the runs that may be trained before the decision."""

    title: str
    family: str
    ends: Mapping[Schedule, float]
    purse: Mapping[Schedule, Run]
    fits: dict[tuple[frozenset[Schedule], int | None], Model] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Updates of the candidates."""
        return next(iter(self.ends)).total

    def fitted(self, schedules: Sequence[Schedule], horizon: int | None) -> Model:
        """The average of the usual laws, fitted to some runs of the purse; None: as if all lengths were alike."""
        key = frozenset(schedules), horizon
        if key not in self.fits:
            self.fits[key] = _fitted([self.purse[s] for s in schedules], self.family, horizon)
        return self.fits[key]

    def regret(self, schedules: Sequence[Schedule], *, lengths_alike: bool = False) -> float:
        """What the candidate that is chosen after some runs gives away."""
        model = self.fitted(schedules, None if lengths_alike else self.total)
        chosen = min(self.ends, key=lambda s: float(predict(model, s)[0]))
        return self.ends[chosen] - min(self.ends.values())


@dataclass(frozen=True)
class Replay:
    """Regrets of one decision from one run at hand, and what was expected of the proposal."""

    title: str
    family: str
    before: float
    proposed: float
    habit: float
    random: float
    before_alike: float  # the same as if all lengths were alike
    habit_alike: float
    now: Outlook
    then: Outlook
    share: float  # of the budget that the proposal uses


def main() -> None:
    """Print regrets after the proposed runs, habit's and random ones, by decision and all together."""
    found = [r for decision in decisions() for r in replays(decision)]
    by_title, by_family = defaultdict(list), defaultdict(list)
    for one in found:
        by_title[one.title].append(one)
        by_family[one.family].append(one)
    show(HEAD, [_row(title, rows) for title, rows in by_title.items()])
    print()
    show(HEAD, [_row(title, rows) for title, rows in (*by_family.items(), ("all", found))])
    print()
    show(
        ("data set", "laws off per octave of length", "of the other data sets"),
        [(f, f"{off_per_octave(f):.1f}", f"{per_octave(f):.1f}") for f in by_family],
    )


HEAD = (
    "decision",
    "replays",
    "regret at first",
    "after the proposal",
    "after habit",
    "after random runs",
    "at first, lengths alike",
    "after habit, lengths alike",
    "better / worse than habit",
    "said at first",
    "said afterwards",
    "budget used",
)
LOSSES = ("before", "proposed", "habit", "random", "before_alike", "habit_alike")


def _row(title: str, rows: Sequence[Replay]) -> tuple[str, ...]:
    def mean(values: Iterator[float]) -> str:
        return f"{np.mean(list(values)):.5f}"

    better, worse = (sum(sign * (r.habit - r.proposed) > 1e-9 for r in rows) for sign in (1, -1))
    return (
        title,
        str(len(rows)),
        *(mean(getattr(r, name) for r in rows) for name in LOSSES),
        f"{better} / {worse}",
        mean(r.now.regret for r in rows),
        mean(r.then.regret for r in rows),
        f"{100 * np.mean([r.share for r in rows]):.0f} %",
    )


@cache
def decisions() -> tuple[Decision, ...]:
    """All decisions at hand: of the sweep, multi_power_law, and lr_scheduling at one peak, at two and at three."""
    return tuple(_decisions())


def _decisions() -> Iterator[Decision]:
    known = {g.name: g for g in groups()}
    for size, total in SWEEP:
        group = known[f"sweep {size} {USUAL_PEAK[size]:g} 8"]
        yield _decision(f"{size}, {total:,}", "sweep", list(group.runs.values()), total)
    if f"lrs 124M {PEAKS[0]}" not in known:
        return
    for size in ("25M", "100M"):
        yield _decision(f"{size}, 72,000", "mpl", list(known[f"mpl {size}"].runs.values()), 72_000)
    for peaks in (*((p,) for p in PEAKS), PEAKS, *((a, b) for i, a in enumerate(PEAKS) for b in PEAKS[i + 1 :])):
        runs = [r for peak in peaks for r in _named(known[f"lrs 124M {peak}"], peak)]
        for total in LENGTHS if len(peaks) != 2 else LENGTHS[:1]:
            yield _decision(f"{' and '.join(peaks)}, {total:,}", "lrs", runs, total)


def _named(group: Group, peak: str) -> list[Run]:
    return [run.renamed(f"{peak} {run.name}") for run in group.runs.values()]


def _decision(title: str, family: str, runs: Sequence[Run], total: int) -> Decision:
    of_length = [r for r in runs if r.known_plan.schedule.total == total]
    ends = {plan.schedule: loss for (plan, _), loss in merged(of_length).items()}
    purse: dict[Schedule, Run] = {}
    for run in runs:
        if run.known_plan.schedule.total <= total / 2:
            purse.setdefault(run.known_plan.schedule, run)
    for length in sorted({s.total for s in purse}):
        for run in runs:
            schedule = run.known_plan.schedule
            if isinstance(schedule, Constant) and schedule.total > length:
                short = _until(run, replace(schedule, total=length))
                purse.setdefault(short.known_plan.schedule, short)
    return Decision(title, family, ends, purse)


def _until(run: Run, schedule: Schedule) -> Run:
    """The beginning of a constant run, as a run of its own."""
    kept = run.steps < schedule.total
    short = replace(run, series={run.split: Series(run.steps[kept], run.loss[kept])})
    return short.renamed(f"{run.name} to {schedule.total}").declared(replace(run.known_plan, schedule=schedule))


def replays(decision: Decision) -> Iterator[Replay]:
    """A replay for every length at which the purse has habit's runs, and each of them at hand."""
    for usual in _habits(decision):
        for at_hand in HABIT:
            yield _replay(decision, usual[at_hand], [usual[k] for k in HABIT if k != at_hand])


def _habits(decision: Decision) -> Iterator[Mapping[str, Schedule]]:
    """Habit's runs by kind, at the middle peak, for every length at which the purse has all of them."""
    peaks = sorted({s.peak for s in decision.purse})
    for length in sorted({s.total for s in decision.purse}):
        usual: dict[str, Schedule] = {}
        for schedule in decision.purse:
            if schedule.total == length and schedule.peak == peaks[len(peaks) // 2]:
                usual.setdefault(_kind(schedule), schedule)
        if all(kind in usual for kind in HABIT):
            yield usual


@cache
def off_per_octave(family: str) -> float:
    """How far laws that are fitted to habit's runs are off between candidates of one peak, for each octave of length.

    Root mean square over lengths of the standard deviation of the errors of log final losses, without what they have in
    common, in standard deviations of an independent observation around the fit; what `Prior.per_octave` is.
    """
    found = []
    for decision in decisions():
        if decision.family == family and len({s.peak for s in decision.ends}) == 1:
            for usual in _habits(decision):
                model = decision.fitted(list(usual.values()), None)
                off = [np.log(loss) - np.log(float(predict(model, s)[0])) for s, loss in decision.ends.items()]
                one = np.mean([f.informed.sigma for f in model.members if f.informed]) / np.sqrt(EFFECTIVE)
                found.append(np.std(off, ddof=1) / one / np.log2(decision.total / usual[HABIT[0]].total))
    return float(np.sqrt(np.mean(np.square(found))))


@cache
def per_octave(without: str | None = None) -> float:
    """`off_per_octave` of all data sets but one, each counting the same."""
    others = dict.fromkeys(d.family for d in decisions() if d.family != without)
    return float(np.sqrt(np.mean([off_per_octave(family) ** 2 for family in others])))


def _kind(s: Schedule) -> str:
    if isinstance(s, WSD) and s.shape == "linear" and 0.15 < s.decay / s.total < 0.25:
        return "wsd"
    return {Constant: "constant", Cosine: "cosine"}.get(type(s), "other")


def _replay(decision: Decision, at_hand: Schedule, habit: Sequence[Schedule]) -> Replay:
    model = decision.fitted([at_hand], decision.total)
    others = [s for s in decision.purse if s != at_hand]
    asked = _asked(decision, model, at_hand, within_reach(model, list(decision.ends), others))
    budget = sum(run.updates for run in replace(asked, options=habit).priced(range(len(habit))))
    places = best_set(asked, budget, MOST)
    return Replay(
        decision.title,
        decision.family,
        decision.regret([at_hand]),
        decision.regret([at_hand, *(asked.options[i] for i in places)]),
        decision.regret([at_hand, *habit]),
        float(np.mean([decision.regret([at_hand, *_random(others, at_hand, budget, seed)]) for seed in SEEDS])),
        decision.regret([at_hand], lengths_alike=True),
        decision.regret([at_hand, *habit], lengths_alike=True),
        asked.outlook(),
        asked.outlook(places),
        sum(run.updates for run in asked.priced(places)) / budget,
    )


def _asked(decision: Decision, model: Model, at_hand: Schedule, options: Sequence[Schedule]) -> Question:
    found = joint(model, [*decision.ends, *options])
    return Question(found, len(decision.ends), options, {"at hand": at_hand})


def _random(options: Sequence[Schedule], at_hand: Schedule, budget: int, seed: int) -> list[Schedule]:
    """At most as many affordable runs as are proposed, in a random order."""
    chosen: list[Schedule] = []
    left = budget
    for i in np.random.default_rng(seed).permutation(len(options)):
        run = priced(options[i], {str(k): s for k, s in enumerate([at_hand, *chosen])})
        if len(chosen) < MOST and 0 < run.updates <= left:
            chosen.append(options[i])
            left -= run.updates
    return chosen


def _fitted(runs: Sequence[Run], family: str, horizon: int | None) -> Model:
    """What `select` would trust, without its fits to all runs but one, which decide nothing under priors."""
    begins = first_fitted(runs)
    train = in_order([usable(r, begins.get(r.name)) for r in runs])
    priors = {law: learn(law, frozenset({family})) for law in LAWS}
    if horizon is not None:
        priors = {law: replace(prior, per_octave=per_octave(family)) for law, prior in priors.items()}
    fits = tuple(fit(law, train, begins=begins, prior=prior, horizon=horizon) for law, prior in priors.items())
    misfit = float(np.mean([f.misfit for f in fits if f.misfit is not None]))
    return Average(fits, (1 / len(fits),) * len(fits), {}, {}, misfit=misfit, left_out=None)
