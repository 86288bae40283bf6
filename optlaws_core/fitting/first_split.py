"""Sensible first choices from the runs at hand: what to train on, what to hold out."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..runs import Run

MOST_TRAINING = 3


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
