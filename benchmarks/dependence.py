"""Whether a prior that depends on what is known of a run beforehand tells more than one for all runs.

    python -m benchmarks dependence

Known are the optimizer, AdamW or one of Muon's kind, the peak, alone or over what Kaplan et al. (2020) use at that
size, and the horizon. The prior's mean is linear in them, with slopes that are drawn to 0 as strongly as predicts the
data sets best that the prior is learned from, each in turn from the others; or it is that of the groups under the same
optimizer alone. What is judged, the whole data set, takes no part in either. Learned from besides the groups of
`priors`: the project's own runs under Muon, which belong to its sweep and are left out with it.

First table: by how much coordinates under Muon differ from those under AdamW, in the prior's standard deviations.
Second: how much more probable, in nats a group, dependent priors make the coordinates of the data set left out. Third:
errors of final losses, from the shortest WSD or cosine of a group (as in `few_runs`, and of the sweep and the runs
under Muon), from another configuration of modded_nanogpt under that optimizer (as in `peaks`), and from the first half
of each configuration. No figure of the third table chose anything.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.stats import multivariate_t

from optlaws_core import parse, read, select
from optlaws_core.fitting.priors import TAILS, Prior
from optlaws_core.fitting.result import Model
from optlaws_core.hyper import HYPER_LAWS
from optlaws_core.hyper.published import Setting
from optlaws_core.laws import law_named
from optlaws_core.laws.scale_free import MEMORY
from optlaws_core.live import cut, from_itself
from optlaws_core.runs import Run

from .few_runs import Question, mean_error, off_at_end, questions, shortest_wsd
from .groups import Group, groups
from .peaks import ALIKE
from .priors import LAWS, UNSURE, Member, as_prior, counts, learn, member, members, regressed, weights
from .protocols import ROOT
from .table import has_public, show

FIRM = 1e9  # pull under which nothing depends on what is known
PULLS = (FIRM, 3.0, 1.0, 0.3, 0.1, 0.03)
ADAMW, MUON = 0.0, 1.0
UNLIKE_BOTH = ("shampoo", "klsoap")  # configurations of modded_nanogpt under other optimizers
HALF = "the first half of"


def main() -> None:
    """Print the tables."""
    if not has_public():
        return
    show(("law", "coordinate", "deviation", "modded_nanogpt", *(g.name for g in _under_muon())), list(_differences()))
    print()
    show(("law", "data set", "groups", *(way.title for way in WAYS[1:])), list(_gains()))
    print()
    show(("final losses from", "questions", *(way.title for way in WAYS)), list(_errors()))


@cache
def _own(group: str) -> tuple[Group, ...]:
    """The project's runs in which more than the rate may be scheduled, by peak: those of a group of the manifest."""
    found: dict[float, Group] = {}
    for run in read(ROOT / "data" / "joint" / "manifest.csv").runs:
        own, auxiliary = run.known_plan.schedule, run.about.get("auxiliary_schedule")
        alike = not auxiliary or parse(auxiliary).family == own.family
        if run.about["group"].removesuffix("_ahead") == group and alike:
            name = f"own {group} {own.peak:g}"
            found.setdefault(own.peak, Group(name, "sweep")).runs[run.name] = run.on("val")
    return tuple(found.values())


def _under_muon() -> tuple[Group, ...]:
    return _own("muon")


@cache
def _everyone(law: str) -> tuple[Member, ...]:
    own = (member(law, group) for group in _under_muon())
    return (*members(law), *(m for m in own if m is not None))


def _run(group: Group) -> Run:
    return next(iter(group.runs.values()))


def _optimizer(group: Group) -> float | None:
    if group in _under_muon():
        return MUON
    if group.family != "mod" or group.name.startswith("mod adam"):
        return ADAMW
    return None if any(name in group.name for name in UNLIKE_BOTH) else MUON


def _log_peak(group: Group) -> float:
    return float(np.log(_run(group).known_plan.schedule.peak))


def _log_peak_over_usual(group: Group) -> float | None:
    """None where the size is not known, or rates of Muon are on a scale of their own."""
    params, usual = _run(group).known_plan.params, HYPER_LAWS["kaplan"].lr
    assert usual is not None
    if not params or (group.family == "mod" and _optimizer(group) != ADAMW):
        return None
    return _log_peak(group) - float(np.log(usual(Setting(params, float("nan")))))


def _log_updates(group: Group) -> float:
    return float(np.log(max(r.known_plan.schedule.total for r in group.runs.values())))


KNOWN: Mapping[str, Callable[[Group], float | None]] = {
    "optimizer": _optimizer,
    "peak": _log_peak,
    "peak over usual": _log_peak_over_usual,
    "horizon": _log_updates,
}


@dataclass(frozen=True)
class Way:
    """A way to learn a prior: which of `KNOWN` its mean depends on."""

    title: str
    known: tuple[str, ...] = ()
    memory_alone: bool = False  # whether the memory is the only coordinate that depends on it
    alike_alone: bool = False  # whether groups under the same optimizer are the only ones it is learned from


WAYS = (
    Way("all alike"),
    Way("optimizer", ("optimizer",)),
    Way("same optimizer alone", alike_alone=True),
    Way("peak", ("peak",)),
    Way("peak over usual", ("peak over usual",)),
    Way("horizon", ("horizon",)),
    Way("horizon, memory alone", ("horizon",), memory_alone=True),
    Way("all four", tuple(KNOWN)),
)


@dataclass(frozen=True, eq=False)
class Dependent:
    """A prior whose mean depends on what is known of a group."""

    law: str
    way: Way
    usual: np.ndarray  # mean of what is known, (known,)
    unit: np.ndarray  # its standard deviation, (known,)
    coefficients: np.ndarray  # (1 + known, k)
    covariance: np.ndarray  # (k, k)

    def at(self, group: Group) -> Prior:
        """The prior for a group; what is not known of it counts as usual."""
        row = np.append(1.0, np.nan_to_num((_of(group, self.way) - self.usual) / self.unit))
        return as_prior(self.law, row @ self.coefficients, self.covariance)


def _of(group: Group, way: Way) -> np.ndarray:
    """What is known of a group, (known,), NaN where nothing is."""
    return np.array([KNOWN[name](group) for name in way.known], float)


@cache
def dependent(law: str, way: Way, without: frozenset[str], pull: float) -> Dependent:
    """The prior of a law from all data sets but those `without`, its slopes drawn to 0 by `pull`."""
    kept = [m for m in _everyone(law) if m.group.family not in without]
    told = np.ma.masked_invalid(np.array([_of(m.group, way) for m in kept]))
    weight, axes = weights(kept), law_named(law).coordinates.axes
    usual = np.ma.average(told, axis=0, weights=weight)
    off = (told - usual).filled(0.0)
    deviation = np.sqrt(weight @ off**2)
    unit = np.where(deviation > 0, deviation, 1.0)
    design = np.column_stack((np.ones(len(kept)), off / unit))
    pulls = [FIRM if way.memory_alone and axis != MEMORY else pull for axis in axes]
    return Dependent(law, way, usual.filled(0.0), unit, *regressed(kept, design, pulls))


@cache
def pull(law: str, way: Way, without: frozenset[str]) -> float:
    """The pull under which each data set but those `without` is most probable, learned from the others of them."""
    others = dict.fromkeys(m.group.family for m in _everyone(law) if m.group.family not in without)

    def told(strength: float) -> float:
        return float(np.mean([_density(law, f, dependent(law, way, without | {f}, strength).at) for f in others]))

    return max(PULLS if way.known else PULLS[:1], key=told)


@cache
def _alike(law: str, optimizer: float, without: frozenset[str]) -> Prior:
    """The prior from groups under one optimizer."""
    kept = [m for m in _everyone(law) if m.group.family not in without and _optimizer(m.group) == optimizer]
    center, covariance = regressed(kept, np.ones((len(kept), 1)))
    return as_prior(law, center[0], covariance)


def prior(law: str, way: Way, group: Group) -> Prior:
    """The prior for a group, learned without its data set."""
    without, optimizer = frozenset({group.family}), _optimizer(group)
    if way.alike_alone and optimizer is not None:
        return _alike(law, optimizer, without)
    return dependent(law, way, without, pull(law, way, without)).at(group)


def _density(law: str, family: str, told: Callable[[Group], Prior]) -> float:
    """Mean log density of the coordinates of a data set's groups under the priors that each is told, in nats."""
    found = []
    for m in _everyone(law):
        if m.group.family == family:
            known = told(m.group)
            shape = np.array(known.covariance) + (1 - UNSURE) * m.spread
            found.append(multivariate_t.logpdf(m.psi, known.mean, shape, TAILS))
    return float(np.mean(found))


def _differences() -> Iterator[tuple]:
    """A row for each coordinate: Muon less AdamW, in deviations of the shipped prior."""
    for law in LAWS:
        deviation = np.sqrt(np.diag(learn(law).covariance))
        by_name = {m.group.name: m.psi for m in _everyone(law)}
        muon, adamw = (
            np.mean([psi for name, psi in by_name.items() if name.startswith(f"mod {kind}_")], axis=0)
            for kind in ("muon", "adam")
        )
        (beside,) = (member(law, group) for group in _own("reference"))
        assert beside is not None
        off = [muon - adamw, *(by_name[group.name] - beside.psi for group in _under_muon())]
        for i, name in enumerate(law_named(law).coordinates.names):
            yield (law, name, f"{deviation[i]:.2f}", *(f"{d[i] / deviation[i]:+.2f}" for d in off))


def _gains() -> Iterator[tuple]:
    """A row for each law and data set left out: log density under each way, less that of one prior for all."""
    for law in LAWS:
        for family in dict.fromkeys(m.group.family for m in _everyone(law)):
            told = [_density(law, family, partial(prior, law, way)) for way in WAYS]
            number = sum(m.group.family == family for m in _everyone(law))
            yield (law, family, number, *(f"{t - told[0]:+.2f}" for t in told[1:]))


def _questions() -> Iterator[tuple[str, Question]]:
    """All questions, each with what it is from."""
    for design in ("one", "cosine"):
        for question in questions(design):
            yield f"{'a WSD' if design == 'one' else 'a cosine'}, {question.group.family}", question
    for group in groups():
        if group.family == "sweep" and counts(group) and (wsd := shortest_wsd(group)) is not None:
            yield "a WSD, sweep", _held_out(group, wsd, list(group.runs.values()))
    for group in _under_muon():
        for seed in dict.fromkeys(r.about["seed"] for r in group.runs.values()):
            runs = [r for r in group.runs.values() if r.about["seed"] == seed]
            wsd = next(r for r in runs if r.known_plan.schedule.family == "wsd")
            yield "a WSD, own runs under Muon", _held_out(group, wsd, runs)
    yield from _modded_nanogpt()


def _modded_nanogpt() -> Iterator[tuple[str, Question]]:
    known = {name: group for group in groups() if group.family == "mod" for name in group.runs}
    for names in ALIKE:
        runs = [known[name].runs[name] for name in names]
        for run in runs:
            yield f"another one, mod {_said(known[run.name])}", _held_out(known[run.name], run, runs)
    for name, group in known.items():
        run = group.runs[name]
        half = cut(run, run.known_plan.schedule.total // 2)
        yield f"{HALF} each, mod {_said(group)}", Question(group, HALF, (half,), (run,))


def _said(group: Group) -> str:
    return {ADAMW: "AdamW", MUON: "Muon"}.get(_optimizer(group), "others")


def _held_out(group: Group, train: Run, runs: Sequence[Run]) -> Question:
    return Question(group, "one", (train,), tuple(r for r in runs if r is not train))


def _fitted(question: Question, way: Way) -> Model:
    priors = {law: prior(law, way, question.group) for law in LAWS}
    if question.design == HALF:
        return from_itself(question.train[0], priors)
    return select(LAWS, question.train, priors=priors, processes=1).trusted


def _errors() -> Iterator[tuple]:
    """A row for each kind of question: mean error of final losses under each way."""
    found = defaultdict(list)
    for said, question in _questions():
        found[said].append([mean_error(off_at_end(_fitted(question, way), question.test)) for way in WAYS])
    for said, errors in found.items():
        yield (said, len(errors), *(f"{100 * e:.3f} %" for e in np.mean(errors, axis=0)))


__all__ = ["dependent", "main", "prior", "pull"]
