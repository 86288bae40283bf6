"""How many runs an agent trains until it has the best schedule of a sweep: by ranking, by forecasts, by halving.

Each pool is what the project's own runs have of one model size and length: 10 to 25 schedules, of several peaks. The
agent begins with two schedules drawn at random, fits a law to the runs it has, trains the schedule that is predicted to
end lowest of those it has not, and so on; a run is looked up.

Successive halving has the same updates to spend: with those of n whole runs it begins 2n schedules, keeps the better
half at a quarter and again at half of the length, and so ends n/2; of a pool of fewer than 2n it begins all. It looks
at the latest eval, or at the mean of the training losses over the last `SMOOTH` of the updates so far. Halving by
forecasts does the same, but keeps those that are forecast to end lowest, each from its own training losses so far
(`optlaws forecast`), under priors that are learned from the public curves alone, since those that ship have seen these
runs; it was tried once, as it stands here. Random search trains n whole runs. All these are drawn `DRAWS` times.

Shown: how far the best run found lies above the best of its pool, mean over pools and draws, and the share of draws
that found a run within `NEAR` of it.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from data.judge import APART
from optlaws_core import Run, fit, rank, read
from optlaws_core.live import cut, from_itself, outcomes

from .priors import LAWS, learn
from .protocols import ROOT
from .table import has_public, show

LAW = "annealing"  # without a prior: those that ship have seen these runs
POOLS = (("tiny", 4000), ("tiny", 2000), ("small", 4000), ("small", 2000), ("medium", 2000))
BEGIN, MOST = 2, 6  # whole runs
STARTS = 4  # of the agent in each pool
DRAWS = 2000  # of what needs no model
RUNGS = (0.25, 0.5)  # shares of the length at which half of the runs is given up
SMOOTH = 0.1  # share of the updates so far whose training losses are averaged
OWN = frozenset({"sweep"})  # what the priors of forecasts are not learned from
NEAR = 0.002  # of the loss: what another seed changes
SEED = 1

Way = Callable[[Sequence[Run], int, np.random.Generator], int]


def pool(size: str, total: int) -> list[Run]:
    """The runs of one size and length on one text and batch, the first of each plan."""
    found: dict[object, Run] = {}
    for run in read(ROOT / "data" / "manifest.csv").runs:
        about = run.about
        plain = about["text"] == "library" and about["outcome"] == "finished" and not about.get("parent")
        if plain and about["group"] != APART and about["size"] == size and about["batch_windows"] == "8":
            if run.known_plan.schedule.total == total:
                found.setdefault(run.known_plan, run.on("val"))
    return list(found.values())


def by_ranking(runs: Sequence[Run], begun: Sequence[int]) -> list[int]:
    """The runs that the agent trains, in its order, from those that it began with."""
    order = list(begun)
    where = {run.known_plan.schedule: i for i, run in enumerate(runs)}
    while len(order) < MOST:
        model = fit(LAW, [runs[i] for i in order])
        ranked = rank(model, [runs[i].known_plan.schedule for i in range(len(runs)) if i not in order])
        order.append(where[ranked[0].schedule])
    return order


def by_halving(runs: Sequence[Run], n: int, rng: np.random.Generator, at_rungs: NDArray) -> int:
    """The run that successive halving ends with, for the updates of n whole runs.

    at_rungs: (runs, 2), what is lowest for the runs to keep at each of `RUNGS`.
    """
    left = rng.permutation(len(runs))[: 2 * n]
    for values in at_rungs.T:
        left = left[np.argsort(values[left])[: max(1, len(left) // 2)]]
    return min(left, key=lambda i: _loss(runs[i], 1.0))


def seen(runs: Sequence[Run]) -> NDArray:
    """The losses at the rungs, (runs, 2)."""
    return np.array([[_loss(run, share) for share in RUNGS] for run in runs])


def smoothed(runs: Sequence[Run]) -> NDArray:
    """The training losses at the rungs, averaged, (runs, 2)."""
    found = []
    for run in (run.on("train") for run in runs):
        ends = [share * run.known_plan.schedule.total for share in RUNGS]
        found.append([run.loss[(run.steps > (1 - SMOOTH) * end) & (run.steps <= end)].mean() for end in ends])
    return np.array(found)


def forecasts(runs: Sequence[Run]) -> NDArray:
    """The final losses that are forecast at the rungs, (runs, 2)."""
    priors = {law: learn(law, OWN) for law in LAWS}
    found = []
    for run in runs:
        schedule = run.known_plan.schedule
        parts = [cut(run.on("train"), int(share * schedule.total)) for share in RUNGS]
        found.append([outcomes(from_itself(part, priors), part, [("", schedule)])[0].loss for part in parts])
    return np.array(found)


def by_chance(runs: Sequence[Run], n: int, rng: np.random.Generator) -> int:
    """The best of n runs."""
    return min(rng.permutation(len(runs))[:n], key=lambda i: _loss(runs[i], 1.0))


def _loss(run: Run, share: float) -> float:
    """The loss at a share of the length, as far as it was logged."""
    last = np.searchsorted(run.steps, share * run.known_plan.schedule.total, side="right") - 1
    return float(run.loss[last])


def main() -> None:
    """Print the table."""
    if not has_public():
        return
    pools = [runs for runs in (pool(*which) for which in POOLS)]
    sizes = ", ".join(f"{size} {total}: {len(runs)}" for (size, total), runs in zip(POOLS, pools, strict=True))
    print(f"Schedules of each pool: {sizes}.\n")
    rng = np.random.default_rng(SEED)
    agent: dict[int, list[NDArray]] = {n: [] for n in range(BEGIN, MOST + 1)}
    for runs in pools:
        begun = [rng.permutation(len(runs))[:BEGIN] for _ in range(STARTS)]
        orders = [by_ranking(runs, start) for start in begun]
        print(f"{runs[0].name}: {orders}", file=sys.stderr, flush=True)
        for n, found in agent.items():
            found.append(_above(runs, [min(order[:n], key=lambda i: _loss(runs[i], 1.0)) for order in orders]))
    by_forecast, by_loss = [forecasts(runs) for runs in pools], [seen(runs) for runs in pools]
    by_training = [smoothed(runs) for runs in pools]
    ways: dict[str, list[Way]] = {
        "halving by forecasts": [partial(by_halving, at_rungs=values) for values in by_forecast],
        "halving by evals": [partial(by_halving, at_rungs=values) for values in by_loss],
        "by training loss": [partial(by_halving, at_rungs=values) for values in by_training],
        "chance": [by_chance] * len(pools),
    }
    rows = []
    for n, found in agent.items():
        drawn = [_told(_drawn(pools, some, n)) for some in ways.values()]
        rows.append([n, *_told(found), *(told for both in drawn for told in both)])
    show(["runs", "our ranking", "near", *(head for name in ways for head in (name, "near"))], rows)
    rows = [
        [f"{size} {total}", *(cell for by in (by_loss, by_training, by_forecast) for cell in _alike(by[i], pools[i]))]
        for i, (size, total) in enumerate(POOLS)
    ]
    heads = [f"{what} at {share:.0%}" for what in ("eval", "training loss", "forecast") for share in RUNGS]
    print("\nCorrelation with the final losses of a pool.\n")
    show(["pool", *heads], rows)


def _drawn(pools: Sequence[Sequence[Run]], ways: Sequence[Way], n: int) -> list[NDArray]:
    rng = np.random.default_rng(SEED)
    return [_above(runs, [way(runs, n, rng) for _ in range(DRAWS)]) for runs, way in zip(pools, ways, strict=True)]


def _above(runs: Sequence[Run], found: Sequence[int]) -> NDArray:
    """How far runs lie above the best, as shares of its loss, (found,)."""
    losses = np.array([_loss(run, 1.0) for run in runs])
    return losses[np.array(found)] / losses.min() - 1


def _alike(values: NDArray, runs: Sequence[Run]) -> list[str]:
    """Correlation of values (runs, 2) at the rungs with the final losses."""
    ends = [_loss(run, 1.0) for run in runs]
    return [f"{np.corrcoef(column, ends)[0, 1]:.2f}" for column in values.T]


def _told(above: Sequence[NDArray]) -> tuple[str, str]:
    """Mean over pools of means over draws; a pool counts once."""
    mean = np.mean([pool.mean() for pool in above])
    near = np.mean([(pool <= NEAR).mean() for pool in above])
    return f"{100 * mean:.2f} %", f"{100 * near:.0f} %"
