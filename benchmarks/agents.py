"""How many runs an agent trains until it has the best schedule of a sweep: by our ranking, or by successive halving.

Each pool is what the project's own runs have of one model size and length: 10 to 25 schedules, of several peaks. The
agent begins with two schedules drawn at random, fits a law to the runs it has, trains the schedule that is predicted to
end lowest of those it has not, and so on; a run is looked up.

Successive halving has the same updates to spend: with those of n whole runs it begins 2n schedules, keeps the better
half at a quarter and again at half of the length, and so ends n/2. Random search trains n whole runs. Neither needs a
model, so that they are drawn `DRAWS` times.

Shown: how far the best run found lies above the best of its pool, mean over pools and draws, and the share of draws
that found a run within `NEAR` of it.
"""

import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from data.judge import APART
from optlaws_core import Run, fit, rank, read

from .protocols import ROOT
from .table import show

LAW = "annealing"  # without a prior: those that ship have seen these runs
POOLS = (("tiny", 4000), ("tiny", 2000), ("small", 4000), ("small", 2000), ("medium", 2000))
BEGIN, MOST = 2, 6  # whole runs
STARTS = 4  # of the agent in each pool
DRAWS = 2000  # of what needs no model
NEAR = 0.002  # of the loss: what another seed changes
SEED = 1


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


def by_halving(runs: Sequence[Run], n: int, rng: np.random.Generator) -> int:
    """The run that successive halving ends with, for the updates of n whole runs."""
    left = rng.permutation(len(runs))[: 2 * n]
    for share in (0.25, 0.5):
        losses = [_loss(runs[i], share) for i in left]
        left = left[np.argsort(losses)[: max(1, len(left) // 2)]]
    return min(left, key=lambda i: _loss(runs[i], 1.0))


def by_chance(runs: Sequence[Run], n: int, rng: np.random.Generator) -> int:
    """The best of n runs."""
    return min(rng.permutation(len(runs))[:n], key=lambda i: _loss(runs[i], 1.0))


def _loss(run: Run, share: float) -> float:
    """The loss at a share of the length, as far as it was logged."""
    last = np.searchsorted(run.steps, share * run.known_plan.schedule.total, side="right") - 1
    return float(run.loss[last])


def main() -> None:
    """Print the table."""
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
    rows = []
    for n, found in agent.items():
        rows.append([n, *_told(found), *_told(_drawn(pools, by_halving, n)), *_told(_drawn(pools, by_chance, n))])
    head = ["runs", "our ranking", "near", "halving", "near", "chance", "near"]
    show(head, rows)


def _drawn(pools: Sequence[Sequence[Run]], way: Callable, n: int) -> list[NDArray]:
    rng = np.random.default_rng(SEED)
    return [_above(runs, [way(runs, n, rng) for _ in range(DRAWS)]) for runs in pools]


def _above(runs: Sequence[Run], found: Sequence[int]) -> NDArray:
    """How far runs lie above the best, as shares of its loss, (found,)."""
    losses = np.array([_loss(run, 1.0) for run in runs])
    return losses[np.array(found)] / losses.min() - 1


def _told(above: Sequence[NDArray]) -> tuple[str, str]:
    """Mean over pools of means over draws; a pool counts once."""
    mean = np.mean([pool.mean() for pool in above])
    near = np.mean([(pool <= NEAR).mean() for pool in above])
    return f"{100 * mean:.2f} %", f"{100 * near:.0f} %"
