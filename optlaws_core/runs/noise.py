"""The noise floor: how far runs lie apart that differ by their seed alone. No law can predict better."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from ..arrays import FloatArray
from . import Run

LEVEL = 0.9  # of intervals
# Columns of a manifest that may differ between repeats; any other makes two runs of one plan different experiments.
CHANCE = frozenset(
    "seed group outcome final_train_loss final_val_loss wall_seconds cpu_seconds torch python device host".split()
)
DIVERGED, SPIKED = "diverged", "spiked"  # in the manifest's column `outcome`


@dataclass(frozen=True, eq=False)
class Repeats:
    """Runs of one plan on one text from one start: they differ by chance alone."""

    runs: tuple[Run, ...]

    @property
    def final(self) -> FloatArray:
        """Each run's last loss, (n,)."""
        return np.array([run.loss[-1] for run in self.runs])

    @property
    def std(self) -> float:
        """Standard deviation of the final loss over the runs, in the loss's unit."""
        return float(self.final.std(ddof=1))

    @property
    def relative(self) -> float:
        """`std` as a share of the mean final loss."""
        return self.std / float(self.final.mean())

    @property
    def along(self) -> tuple[np.ndarray, FloatArray]:
        """Steps that all runs observed, (m,), and the relative standard deviation over the runs at each, (m,)."""
        common = self.runs[0].steps
        for run in self.runs[1:]:
            common = np.intersect1d(common, run.steps)
        losses = np.array([run.loss[np.searchsorted(run.steps, common)] for run in self.runs])
        return common, losses.std(axis=0, ddof=1) / losses.mean(axis=0)


@dataclass(frozen=True)
class NoiseFloor:
    """Standard deviation over seeds of the final loss, as a share of it, pooled over all repeated plans."""

    repeats: tuple[Repeats, ...]
    relative: float
    interval: tuple[float, float]  # 90 %, from the chi-squared distribution of `freedom` degrees
    freedom: int  # runs that repeat another one
    along: float  # the same over the second half of each run, root mean square over its steps

    @property
    def mean_error(self) -> float:
        """Mean relative error of a prediction that is right but for the seed: √(2/π) of the standard deviation."""
        return float(np.sqrt(2 / np.pi)) * self.relative


def repeats(runs: Iterable[Run]) -> tuple[Repeats, ...]:
    """Runs in groups of two or more that differ by chance alone.

    Left out: runs without a plan or a known model size, losses of 0 or less, a second run of a seed, and all runs of a
    plan of which one diverged or spiked: near the edge of stability the spread is not that of a loss that is reached.
    """
    groups: dict[Hashable, list[Run]] = defaultdict(list)
    seeds: set[Hashable] = set()
    runs = [r for r in runs if r.plan is not None and r.plan.params is not None]
    edge = {_plan(r) for r in runs if r.about.get("outcome") in (DIVERGED, SPIKED)}
    for run in runs:
        if _plan(run) in edge:
            continue
        if not len(run.loss) or run.loss.min() <= 0:
            continue
        setting, seed = _setting(run), run.about.get("seed")
        if seed is None or (setting, seed) not in seeds:
            groups[setting].append(run)
            seeds.add((setting, seed))
    return tuple(Repeats(tuple(group)) for group in groups.values() if len(group) > 1)


def noise_floor(runs: Iterable[Run]) -> NoiseFloor | None:
    """The noise floor of runs on the split in use, or None where no plan was run twice.

    Relative deviations are pooled by their degrees of freedom: the noise is taken to scale with the loss.
    """
    found = repeats(runs)
    if not found:
        return None
    freedom = [len(group.runs) - 1 for group in found]
    n = sum(freedom)
    variance = sum(k * group.relative**2 for k, group in zip(freedom, found, strict=True)) / n
    tail = (1 - LEVEL) / 2
    low, high = (float(np.sqrt(n * variance / chdtri(n, p))) for p in (tail, 1 - tail))
    return NoiseFloor(found, float(np.sqrt(variance)), (low, high), n, _along(found, freedom))


def _along(found: Sequence[Repeats], freedom: Sequence[int]) -> float:
    squares = []
    for group in found:
        steps, relative = group.along
        squares.append(float((relative[steps >= steps[-1] / 2] ** 2).mean()) if len(steps) else 0.0)
    return float(np.sqrt(np.average(squares, weights=freedom)))


def _plan(run: Run) -> Hashable:
    """A plan and where it began: what decides whether it is near the edge."""
    return run.plan, run.about.get("parent"), run.about.get("text")


def _setting(run: Run) -> Hashable:
    """What two runs must share to differ by chance alone. A logged rate is as good as a declared one."""
    plan = run.known_plan
    return (
        plan.schedule,
        plan.params,
        plan.batch_tokens,
        run.split,
        int(run.steps[-1]),
        frozenset((key, value) for key, value in run.about.items() if key not in CHANCE),
    )


def single_loss_noise(log_loss: FloatArray) -> float:
    """Standard deviation of single log losses (n,), n ≥ 3, from second differences: a smooth curve has next to none.

    Their median absolute value, so that a few wild losses do not count; a Gaussian's is 0.6745 standard deviations, and
    a second difference of white noise has 6 times its variance.
    """
    return float(np.median(np.abs(np.diff(log_loss, 2)))) / 0.6745 / np.sqrt(6)
