"""Final losses and rankings from one, two or three runs, under priors that have not seen the target's data set.

The groups of `benchmarks/groups.py` that count: every language model at hand with a WSD of linear decay. Training runs:

- one: the WSD of the shortest horizon, with the decay nearest to 20 %; cosine: the cosine of the shortest horizon
- two: the WSD, and the constant run up to the WSD's horizon
- three: these and the cosine

All other runs of the group are held out; errors are those of the last loss, means over groups of means over runs. The
prior and the calibration of the bands are learned without the target's whole family. Beside it: the Multi-Power Law and
the two laws without prior, on the same training runs from the end of the warm-up on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optlaws_core.fitting.result import Fit
from optlaws_core.fitting.single import fit
from optlaws_core.prediction.losses import predict
from optlaws_core.runs import Run, Series
from optlaws_core.schedules import WSD

from .groups import Group, groups
from .priors import LAWS, learn
from .table import has_public, show

DESIGNS = ("one", "cosine", "two", "three")


@dataclass(frozen=True, eq=False)
class Question:
    """Training runs of a group, and its held-out runs."""

    group: Group
    design: str
    train: tuple[Run, ...]
    test: tuple[Run, ...]


def questions(design: str, wanted: Callable[[Group], bool] | None = None) -> Iterator[Question]:
    """The question of every group that has one."""
    for group in groups():
        if (wanted or counted)(group) and (train := _training(group, design)):
            names = {r.name for r in train}
            yield Question(group, design, tuple(train), tuple(r for r in group.runs.values() if r.name not in names))


def counted(group: Group) -> bool:
    """Language models with a WSD and something to predict from it."""
    return group.family in ("mpl", "lrs") and _wsd(group) is not None and len(group.runs) > 2


def _wsd(group: Group) -> Run | None:
    found = [r for r in group.runs.values() if isinstance(s := r.known_plan.schedule, WSD) and s.shape == "linear"]
    rank = {r.name: (s.total, abs(s.decay / s.total - 0.2), r.name) for r in found for s in [r.known_plan.schedule]}
    return min(found, key=lambda r: rank[r.name], default=None)


def _first(group: Group, family: str) -> Run | None:
    found = [r for r in group.runs.values() if r.known_plan.schedule.family == family]
    return min(found, key=lambda r: (r.known_plan.schedule.total, r.name), default=None)


def _training(group: Group, design: str) -> list[Run]:
    wsd, cosine, constant = _wsd(group), _first(group, "cosine"), _first(group, "constant")
    assert wsd is not None
    if design == "one":
        return [wsd]
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
    """What laws make of a question: log predicted − log observed of each held-out run's last loss, by model."""

    question: Question
    off: dict[str, np.ndarray]


def main() -> None:
    if not has_public():
        return
    rows = []
    for design in DESIGNS:
        found: dict[str, list[float]] = defaultdict(list)
        for question in questions(design):
            for name, off in answer(question).off.items():
                found[name].append(float(np.abs(np.expm1(off)).mean()))
        rows += [(design, len(v), name, f"{100 * np.mean(v):.3f} %") for name, v in found.items()]
    show(("training runs", "groups", "model", "final loss, mean error"), rows)


def answer(question: Question) -> Answer:
    """Fits under priors from the other families, and their predictions."""
    without = frozenset({question.group.family})
    fits = [fit(law, question.train, prior=learn(law, without)) for law in LAWS]
    each = {f.law: _off(f, question.test) for f in fits}
    return Answer(question, each | {"mean of both": np.mean(list(each.values()), axis=0)})


def _off(found: Fit, runs: Sequence[Run]) -> np.ndarray:
    return np.array([np.log(predict(found, r.known_plan, r.steps[-1:])[0] / r.loss[-1]) for r in runs])
