"""Sensible first choices from the runs at hand: what to train on, what to hold out, and what an answer rests on."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..errors import OptLawsError
from ..runs import Run
from .single import usable

MOST_TRAINING = 3
DIVERGED = "diverged"  # as a manifest's column `outcome` says


def split(runs: Mapping[str, Run]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of training and held-out runs.

    Training: of the shortest horizon that has several schedules, at the commonest model size and peak, up to three runs
    whose schedules differ most, one with an abrupt drop of the rate among them where there is one. Held out: the other
    runs of that size and peak. Runs without a learning rate are in neither.
    """
    known = [run for run in runs.values() if run.plan is not None]
    if not known:
        return (), ()
    size, peak = Counter((r.known_plan.params, r.known_plan.schedule.peak) for r in known).most_common(1)[0][0]
    alike = [r for r in known if (r.known_plan.params, r.known_plan.schedule.peak) == (size, peak)]
    train = _training(alike)
    return tuple(r.name for r in train), tuple(r.name for r in alike if r not in train)


def for_an_answer(runs: Mapping[str, Run], params: float | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names of the runs that a prediction should rest on, and why not, by name, for the others.

    All usable runs of one model size: `params`, where some have it, else the size of most runs, of equally many the
    largest. Laws are judged on each of them in turn, left out; none needs to be held out for good.
    """
    known = {name: run for name, run in runs.items() if run.plan is not None}
    aside = {name: "no learning rate is known" for name in runs if name not in known}
    for name, run in list(known.items()):
        fault = _fault(run)
        if fault:
            aside[name] = fault
            del known[name]
    sizes = Counter(run.known_plan.params for run in known.values())
    size = params if params in sizes else max(sizes, key=lambda n: (sizes[n], n or 0.0), default=None)
    aside |= {name: "another model size" for name, run in known.items() if run.known_plan.params != size}
    return tuple(name for name in known if name not in aside), aside


def _fault(run: Run) -> str:
    """Why no law can be fitted to a run; empty where one can."""
    if run.about.get("outcome") == DIVERGED:
        return "it diverged"
    try:
        usable(run)
    except OptLawsError as fault:
        return str(fault)
    return ""


def _training(runs: Sequence[Run]) -> list[Run]:
    """A run without decay, one with a smooth decay and one with an abrupt drop, each as short as there is one."""
    shortest_first = sorted(runs, key=lambda r: r.known_plan.schedule.total)
    picked: list[Run] = []
    for kinds in (("step", "wsd"), ("cosine", "linear"), ("constant", "inverse_sqrt", "knots")):
        for kind in kinds:
            found = next((r for r in shortest_first if r.known_plan.schedule.family == kind), None)
            if found is not None:
                picked.append(found)
                break
    if len(picked) < 2:
        picked = shortest_first[:MOST_TRAINING]
    if len(picked) == len(runs) > 2:
        picked = picked[:-1]  # something must be held out
    return picked
