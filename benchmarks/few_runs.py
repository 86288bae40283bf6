"""Final losses and rankings from one, two or three runs, under priors that have not seen the target's data set.

The groups of `benchmarks/groups.py` that count: every language model at hand with a WSD of linear decay. Training runs:

- one: the WSD of the shortest horizon, with the decay nearest to 20 %; cosine: the cosine of the shortest horizon
- two: the WSD, and the constant run up to the WSD's horizon
- three: these and the cosine
- unfallen: the WSD up to its decay, as a run in progress is forecast from itself

All other runs of the group are held out; errors are those of the last loss, means over groups of means over runs. The
prior and the calibration of the bands are learned without the target's whole family. Beside it: the Multi-Power Law and
the two laws without prior, on the same training runs from the end of the warm-up on.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from optlaws_core import Plan, Run, predict, select, with_bands
from optlaws_core.fitting.covariance import QUANTILE
from optlaws_core.fitting.priors import FILE, calibration
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.single import fit
from optlaws_core.live import from_itself
from optlaws_core.prediction.joint_losses import joint
from optlaws_core.prediction.losses import predict_each
from optlaws_core.runs import Series
from optlaws_core.schedules import WSD, Schedule

from .groups import Group, groups
from .pairs import BINS, merged
from .priors import LAWS, learn
from .table import has_public, show

UNFALLEN = "unfallen"
DESIGNS = ("one", "cosine", "two", "three", UNFALLEN)
COUNTS = (("one", "cosine"), ("two",), ("three",))  # designs of one, two and three schedules
AVERAGE, LEVEL = "average", 0.9
FAMILIES = ("mpl", "lrs", "c5m")  # that bands are calibrated on; errors are reported on the language models


@dataclass(frozen=True, eq=False)
class Question:
    """Training runs of a group, and its held-out runs."""

    group: Group
    design: str
    train: tuple[Run, ...]
    test: tuple[Run, ...]


def questions(design: str) -> Iterator[Question]:
    """The question of every group that has one."""
    for group in groups():
        if group.family in FAMILIES and shortest_wsd(group) is not None and (train := _training(group, design)):
            names = {r.name for r in train}
            test = tuple(r for r in group.runs.values() if r.name not in names)
            if test:
                yield Question(group, design, tuple(train), test)


def reported(group: Group) -> bool:
    """Whether errors on a group are reported: language models."""
    return group.family in ("mpl", "lrs")


def shortest_wsd(group: Group) -> Run | None:
    """The WSD of linear decay of the shortest horizon, with the decay nearest to 20 %."""
    found = [r for r in group.runs.values() if isinstance(s := r.known_plan.schedule, WSD) and s.shape == "linear"]
    rank = {r.name: (s.total, abs(s.decay / s.total - 0.2), r.name) for r in found for s in [r.known_plan.schedule]}
    return min(found, key=lambda r: rank[r.name], default=None)


def _first(group: Group, family: str) -> Run | None:
    found = [r for r in group.runs.values() if r.known_plan.schedule.family == family]
    return min(found, key=lambda r: (r.known_plan.schedule.total, r.name), default=None)


def _training(group: Group, design: str) -> list[Run]:
    wsd, cosine, constant = shortest_wsd(group), _first(group, "cosine"), _first(group, "constant")
    assert wsd is not None
    if design == "one":
        return [wsd]
    if design == UNFALLEN:
        schedule = wsd.known_plan.schedule
        return [_until(wsd, schedule.total - schedule.decay).renamed(f"{wsd.name} so far")]
    if design == "cosine":
        return [cosine] if cosine else []
    if constant is None or (design == "three" and cosine is None):
        return []
    short = _until(constant, wsd.known_plan.schedule.total)
    return [wsd, short] if design == "two" else [wsd, short, cosine]


def _until(run: Run, step: int) -> Run:
    kept = run.steps <= step
    return replace(run, series={run.split: Series(run.steps[kept], run.loss[kept])})


@dataclass(frozen=True, eq=False)
class Answer:
    """What models make of a question's held-out runs, (runs,) each."""

    question: Question
    off: dict[str, np.ndarray]  # log predicted − log observed of the last loss, by model
    open: np.ndarray  # variance that the prior and the laws leave open, before calibration
    misfit: float
    pairs: "Pairs"

    def held(self, factor: float) -> float:
        """Share of the last losses within the 90 % bands that a factor of the deviation gives."""
        return float(np.mean(self.reach(factor) <= 1))

    def reach(self, factor: float) -> np.ndarray:
        """Errors over the half-widths of those bands, (runs,)."""
        return np.abs(self.off[AVERAGE]) / (QUANTILE * np.sqrt(factor**2 * self.open + self.misfit**2))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Differences of logarithms between held-out schedules of one horizon, repeats by their mean; (pairs,) each."""

    off: np.ndarray  # predicted less observed
    gap: np.ndarray  # predicted
    deviation: np.ndarray
    sum_of_bands: np.ndarray  # both candidates' deviations, added
    ranked: list[tuple[bool, float]]  # of each horizon: whether the first was right, what it cost
    others: dict[str, list[tuple[bool, float]]]  # the same of other ways to choose


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks few_runs", description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="put the calibration of the bands beside the priors")
    if not has_public():
        return
    asked = {design: [answer(q) for q in questions(design)] for design in DESIGNS}
    _show_errors(asked)
    _show_bands(asked)
    _show_pairs(asked)
    _show_choices(asked["one"])
    if options.parse_args().write:
        shipped = json.loads(FILE.read_text())
        shipped["calibration"] = [round(calibrated([a for d in some for a in asked[d]]), 2) for some in COUNTS]
        shipped["calibration_before_a_fall"] = round(calibrated(asked[UNFALLEN]), 2)
        FILE.write_text(json.dumps(shipped, indent=1) + "\n")


def answer(question: Question) -> Answer:
    """Laws under priors from the other families, their average, and the Multi-Power Law beside them."""
    without = frozenset({question.group.family})
    priors = {law: learn(law, without) for law in LAWS}
    if question.design == UNFALLEN:
        average = from_itself(question.train[0], priors)
    else:
        average = select(LAWS, question.train, priors=priors, processes=1).trusted
    fits = [fit for fit, _ in average.parts]
    assert fits[0].informed is not None and average.misfit is not None  # under priors
    models: dict[str, Model] = {AVERAGE: average} | {f.law: f for f in fits}
    if reported(question.group) and question.design != UNFALLEN:
        models |= {f"{law}, no prior": fit(law, question.train) for law in (*LAWS, "multi_power")}
    ends = [with_bands(average, r.known_plan, r.steps[-1:]) for r in question.test]
    known = calibration(fits[0].informed)
    variance = np.array([(e.prediction[0] / QUANTILE) ** 2 for e in ends])
    left = (variance - average.misfit**2) / known**2
    off = {n: off_at_end(m, question.test) for n, m in models.items()}
    return Answer(question, off, left, average.misfit, _pairs(average, question, models.get("multi_power, no prior")))


def _pairs(model: Model, question: Question, published: Model | None) -> Pairs:
    """published: the Multi-Power Law, fitted to the same runs."""
    ends = merged(question.test)
    plans, steps = zip(*ends, strict=True)
    found, observed = joint(model, plans, steps), np.log(list(ends.values()))
    assert found.covariance is not None
    totals = np.array([p.schedule.total for p in plans])
    one, other = np.triu_indices(len(plans), 1)
    one, other = one[totals[one] == totals[other]], other[totals[one] == totals[other]]
    C = found.covariance
    own = np.sqrt(np.diag(C))
    usual = WSD(1.0, total=100, decay=20)
    lowest = min(question.train, key=lambda r: (float(r.loss[-1]), r.name)).known_plan.schedule
    scores = {"WSD by habit": _unlike(plans, usual), "nearest run": _unlike(plans, lowest)}
    if published is not None:
        scores["Multi-Power Law"] = np.concatenate(predict_each(published, list(zip(plans, steps, strict=True))))
    others = {name: _chosen(score, observed, totals) for name, score in scores.items()}
    gap = found.log_loss[one] - found.log_loss[other]
    deviation = np.sqrt(np.maximum(C[one, one] + C[other, other] - 2 * C[one, other], 1e-16))
    ranked = _chosen(found.log_loss, observed, totals)
    return Pairs(gap - (observed[one] - observed[other]), gap, deviation, own[one] + own[other], ranked, others)


def _unlike(plans: Sequence[Plan], schedule: Schedule) -> np.ndarray:
    """How far the shape of each plan is from that of a schedule, root mean square over shares of the horizon, (n,)."""
    shares = np.linspace(0, 1, 201)

    def shape(s: Schedule) -> np.ndarray:
        return s(shares * s.total) / s.peak

    return np.array([np.sqrt(np.mean((shape(p.schedule) - shape(schedule)) ** 2)) for p in plans])


def _chosen(scores: np.ndarray, observed: np.ndarray, totals: np.ndarray) -> list[tuple[bool, float]]:
    """Of each horizon with several plans, whether the one with the lowest score is the best, and what it costs."""
    ranked = []
    for total in dict.fromkeys(totals.tolist()):
        here = np.flatnonzero(totals == total)
        if len(here) > 1:
            first = here[np.argmin(scores[here])]
            cost = float(np.exp(observed[first]) - np.exp(observed[here].min()))
            ranked.append((cost == 0.0, cost))
    return ranked


def off_at_end(model: Model, runs: Sequence[Run]) -> np.ndarray:
    """log predicted − log observed of the last losses of runs, (runs,)."""
    return np.array([np.log(predict(model, r.known_plan, r.steps[-1:])[0] / r.loss[-1]) for r in runs])


def mean_error(off: np.ndarray) -> float:
    """Mean relative error, of differences of logarithms (runs,)."""
    return float(np.abs(np.expm1(off)).mean())


def calibrated(answers: Sequence[Answer]) -> float:
    """The least factor with which bands hold 90 %: families count the same, and groups within a family."""
    factors = np.geomspace(0.05, 5, 300)
    held = [np.mean([np.mean([a.held(f) for a in some]) for some in _by_family(answers)]) for f in factors]
    return float(factors[np.argmax(np.array(held) >= LEVEL)])


def _by_family(answers: Sequence[Answer]) -> list[list[Answer]]:
    found: dict[str, list[Answer]] = defaultdict(list)
    for a in answers:
        found[a.question.group.family].append(a)
    return list(found.values())


def _show_errors(asked: dict[str, list[Answer]]) -> None:
    rows = []
    for design, answers in asked.items():
        some = [a for a in answers if reported(a.question.group)]
        for name in some[0].off:
            errors = [mean_error(a.off[name]) for a in some]
            several = [e for e, a in zip(errors, some, strict=True) if _horizons(a.question) > 1]
            mean, longer = (f"{100 * np.mean(e):.3f} %" for e in (errors, several))
            rows.append((design, len(some), name, mean, longer, f"{100 * max(errors):.2f} %"))
    show(("training runs", "groups", "model", "final loss, mean error", "of several horizons", "worst group"), rows)


def _horizons(question: Question) -> int:
    return len({r.known_plan.schedule.total for r in question.group.runs.values()})


def _show_bands(asked: dict[str, list[Answer]]) -> None:
    rows = []
    for some in (*COUNTS, (UNFALLEN,)):
        answers = [a for design in some for a in asked[design]]
        for own in _by_family(answers):
            family = own[0].question.group.family
            factor = calibrated([a for a in answers if a.question.group.family != family])
            reach = np.concatenate([a.reach(factor) for a in own])
            held = np.mean([a.held(factor) for a in own])
            width = 1 / np.quantile(reach, LEVEL)
            rows.append((" or ".join(some), family, len(own), f"{factor:.2f}", f"{held:.0%}", f"{width:.2f}"))
    print()
    show(("training runs", "family", "groups", "factor from the others", "90 % bands hold", "width over needed"), rows)


def _show_pairs(asked: dict[str, list[Answer]]) -> None:
    rows = []
    for design, answers in asked.items():
        for own in _by_family(answers):
            some = [a.pairs for a in own]
            ranked = [r for p in some for r in p.ranked]
            if not ranked:
                continue
            off, gap, deviation, bands = (
                np.concatenate([getattr(p, name) for p in some]) for name in ("off", "gap", "deviation", "sum_of_bands")
            )
            held = np.mean(np.abs(off) <= QUANTILE * deviation)
            right = f"{sum(r for r, _ in ranked)} of {len(ranked)}"
            cost = f"{np.mean([c for _, c in ranked]):.5f}"
            family = own[0].question.group.family
            narrower = f"{np.mean(deviation) / np.mean(bands):.2f}"
            rows.append((design, family, len(off), f"{held:.0%}", narrower, _calibration_error(gap, off, deviation)))
            rows[-1] += (right, cost)
    print()
    head = ("training runs", "family", "pairs", "90 % intervals hold", "width over both bands", "calibration error")
    show((*head, "first of a horizon right", "regret, nats"), rows)


def _show_choices(answers: list[Answer]) -> None:
    """Which schedule of a horizon is best, asked of one run of each language model."""
    some = [a.pairs for a in answers if reported(a.question.group)]
    ways = {AVERAGE: [r for p in some for r in p.ranked]}
    ways |= {name: [r for p in some for r in p.others[name]] for name in some[0].others}
    print()
    rows = [(n, f"{sum(r for r, _ in w)} of {len(w)}", f"{np.mean([c for _, c in w]):.5f}") for n, w in ways.items()]
    show(("chosen from one run by", "first of a horizon right", "regret, nats"), rows)


def _calibration_error(gap: np.ndarray, off: np.ndarray, deviation: np.ndarray) -> str:
    """Mean distance of the share that came true from P(the better one is below), in bins of that probability."""
    said = ndtr(np.abs(gap) / deviation)
    true = np.sign(gap - off) == np.sign(gap)
    bins = np.digitize(said, BINS[1:-1])
    each = [(np.mean(bins == b), abs(true[bins == b].mean() - said[bins == b].mean())) for b in np.unique(bins)]
    return f"{sum(share * off for share, off in each):.3f}"
