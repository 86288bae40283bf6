"""What a run at another peak does to a prediction, and what a curve says of its own model at another peak or horizon.

    python -m benchmarks peaks

First table: language models of which runs at several peaks are at hand. Laws are fitted under priors without the data
set to the shortest WSD of a peak, alone and with the shortest cosine of another peak; errors are those of the last
losses of all other runs at the WSD's peak. Second: the same fits to one WSD, and those of the sweep, on the runs of
other peaks, by the power with which the ratio of the peaks counts (`fitting.peaks`; chosen on lrs). Third:
configurations of modded_nanogpt that differ in peak or horizon (most of them in weight decay, too, which no law
knows); the end of each from the mean curve of the other, with the rates as they are and as they count.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from optlaws_core import Run, predict, select
from optlaws_core.fitting.peaks import POWER
from optlaws_core.fitting.result import Model

from .few_runs import Question, mean_error, off_at_end, questions, shortest_wsd
from .groups import Group, groups
from .priors import LAWS, learn
from .table import PUBLIC, has_public, show

# Configurations of one optimiser.
ALIKE = (
    ("muon_lr020_wd010_T3600", "muon_lr025_wd0125_T3500", "muon_lr025_wd025_T3375", "muon_lr035_wd025_T3350"),
    ("adam_auxwarm_lr15_wd100_T5500", "adam_lr15_wd100_T5750"),
)
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
OCTAVES = (1.05, 2.1)  # how far away other peaks may be: about one octave, and about two
SEED = 0.0011  # standard deviation of their final losses over seeds, pooled over configurations


def main() -> None:
    """Print both tables."""
    if not has_public():
        return
    show(("WSD of", "with another peak", "alone", "with it", "worse by"), list(_added()))
    print()
    powers = tuple(f"power {power:g}" for power in POWERS)
    show(("data set", "octaves to the other peak", "runs", *powers), [*_others("lrs"), *_others("sweep")])
    print()
    head = ("from", "to", "observed", "off by, rates as they are", f"power {POWER:g}", "2 standard errors", "within")
    show(head, list(_carried()))


def _added() -> Iterator[tuple]:
    """A row for each group whose model was trained at other peaks, too, and one for the mean of all combinations."""
    everything = []
    for question in questions("one"):
        group = question.group
        others = [_cosine(g) for g in _beside(group)]
        added = [run for run in others if run is not None]
        if group.family != "lrs" or not added:
            continue
        alone = _error(_fitted(question.train, group.family), question)
        each = [_error(_fitted((*question.train, run), group.family), question) for run in added]
        everything += [(alone, e) for e in each]
        yield (group.name, len(each), *_percent(alone, float(np.mean(each))))
    if everything:
        yield ("all combinations", len(everything), *_percent(*(float(m) for m in np.mean(everything, axis=0))))


def _beside(group: Group) -> list[Group]:
    """The groups that differ from one in the peak alone."""
    return [g for g in groups() if g is not group and _setting(g) == _setting(group)]


def _setting(group: Group) -> tuple:
    plan = next(iter(group.runs.values())).known_plan
    return group.family, plan.params, plan.batch_tokens


def _peak(group: Group) -> float:
    return next(iter(group.runs.values())).known_plan.schedule.peak


def _cosine(group: Group) -> Run | None:
    """The shortest cosine of a group, under a name that no other group has."""
    found = [r for r in group.runs.values() if r.known_plan.schedule.family == "cosine"]
    run = min(found, key=lambda r: (r.known_plan.schedule.total, r.name), default=None)
    return None if run is None else run.renamed(f"{group.name} {run.name}")


def _fitted(train: tuple[Run, ...], family: str) -> Model:
    priors = {law: learn(law, frozenset({family})) for law in LAWS}
    return select(LAWS, train, priors=priors, processes=1).trusted


def _error(model: Model, question: Question) -> float:
    """Mean relative error of the last losses of the held-out runs."""
    return mean_error(off_at_end(model, question.test))


def _percent(alone: float, with_it: float) -> tuple[str, str, str]:
    return f"{100 * alone:.3f} %", f"{100 * with_it:.3f} %", f"{100 * (with_it - alone):+.3f} %"


def _others(family: str) -> Iterator[tuple]:
    """Rows of one data set: mean error of the last losses of runs at other peaks, for each power."""
    off = defaultdict(list)  # by way and reach, an array (powers,) for each run
    for group in groups():
        wsd = shortest_wsd(group)
        others = [g for g in _beside(group) if abs(np.log2(_peak(g) / _peak(group))) <= OCTAVES[-1]]
        if group.family != family or wsd is None or not others:
            continue
        model = _fitted((wsd,), family)
        carried = [model.map_fits(lambda f, power=power: replace(f, peak_power=power)) for power in POWERS]
        for other in others:
            away = np.log2(_peak(other) / _peak(group))
            reach = next(i for i, most in enumerate(OCTAVES) if abs(away) <= most)
            for run in other.runs.values():
                ends = np.array([predict(m, run.known_plan, run.steps[-1:])[0] for m in carried])
                off[reach, away > 0].append(np.abs(ends / run.loss[-1] - 1))
    for (reach, above), errors in sorted(off.items()):
        said = f"{('up to 1', '1 to 2')[reach]} {'above' if above else 'below'}"
        yield (family, said, len(errors), *(f"{100 * e:.2f} %" for e in np.mean(errors, axis=0)))


def _carried() -> Iterator[tuple]:
    """A row for each ordered pair of configurations, and one that counts those within two standard errors."""
    table = pd.read_csv(PUBLIC / "modded_nanogpt" / "runs.csv").set_index("config")
    runs = {name: run for g in groups() if g.family == "mod" for name, run in g.runs.items()}
    within = []
    for names in ALIKE:
        for one in names:
            model = _fitted((runs[one],), "mod")
            for other in names:
                if other == one:
                    continue
                run, seen = runs[other], float(table.loc[other, "mean_final"])
                end = [run.known_plan.schedule.total]
                as_they_are = model.map_fits(lambda f: replace(f, peak_power=1.0))
                plain, off = (float(predict(m, run.known_plan, end)[0]) - seen for m in (as_they_are, model))
                error = 2 * SEED * float(np.sqrt(1 / table.loc[other, "n_final"]))
                within.append(abs(off) <= error)
                how = "yes" if within[-1] else ""
                yield (one, other, f"{seen:.4f}", f"{plain:+.4f}", f"{off:+.4f}", f"{error:.4f}", how)
    yield (f"{sum(within)} of {len(within)} within", "", "", "", "", "", "")


if __name__ == "__main__":
    main()
