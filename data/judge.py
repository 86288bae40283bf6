"""What a law makes of the sweep: fitted to three runs of a size, how far is it off on that size's other runs?

Two designs. `THREE_PEAKS` was named before any run was made: a constant rate at the size's usual peak, a cosine at a
lower and a WSD at a higher one. No law here carries over such a range of peaks, which its held-out errors showed; that
is why `ONE_PEAK` was added: a constant rate, a cosine and a drop at the usual peak, as Decide proposes for any
runs. The largest size has one peak and three runs, so both are the same there.

Runs of the group `APART` were predicted before they were trained (`python -m benchmarks uba`). They are held against
those predictions alone: no prior is learned from them, and no other figure or held-out error counts them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optlaws_core import Fit, Run, fit
from optlaws_core.fitting.loss_curves import curve
from optlaws_core.laws import law_named
from optlaws_core.runs.noise import DIVERGED

_LARGE = ("large_constant_2000_4e-3", "large_cosine10_2000_4e-3", "large_wsd20_2000_4e-3")
ONE_PEAK = {
    "tiny": ("tiny_constant_4000_8e-3", "tiny_cosine10_4000_8e-3", "tiny_drop30_4000_8e-3"),
    "small": ("small_constant_4000_8e-3", "small_cosine10_4000_8e-3", "small_drop30_4000_8e-3"),
    "medium": ("medium_constant_2000_4e-3", "medium_cosine10_2000_4e-3", "medium_drop30_2000_4e-3"),
    "large": _LARGE,
}
THREE_PEAKS = {
    "tiny": ("tiny_constant_4000_8e-3", "tiny_cosine10_2000_2e-3", "tiny_wsd20_2000_0.032"),
    "small": ("small_constant_4000_8e-3", "small_cosine10_2000_2e-3", "small_wsd20_2000_0.032"),
    "medium": ("medium_constant_2000_4e-3", "medium_cosine10_2000_2e-3", "medium_wsd20_2000_8e-3"),
    "large": _LARGE,
}
DESIGNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"one peak": ONE_PEAK, "three peaks": THREE_PEAKS}
SPLIT = "val"
APART = "uba"  # the manifest's group of runs that were predicted before they were trained


@dataclass(frozen=True, eq=False)
class Errors:
    """Held-out runs and how far off the law is on them: means over runs, as shares of the loss."""

    runs: tuple[Run, ...]
    ends: tuple[float, ...]  # (predicted − observed) / observed of the last loss of each
    curve: float | None  # mean relative error at every held-out loss after the warm-up; None without runs

    @property
    def final(self) -> float | None:
        """Mean relative error of the last loss; None without runs."""
        return float(np.mean(np.abs(self.ends))) if self.ends else None


@dataclass(frozen=True, eq=False)
class Judged:
    """A law fitted to three runs of one size, and its errors on the size's other runs."""

    size: str
    fit: Fit
    near: Errors  # runs with a peak that the training runs cover, and their batch size
    far: Errors  # the others
    all: Errors


def held_out(runs: Iterable[Run], size: str, train: Sequence[str]) -> list[Run]:
    """The runs of a size, pre-trained from scratch, that neither diverged nor were trained on nor stand `APART`."""
    return [
        run.on(SPLIT)
        for run in runs
        if run.about["size"] == size
        and run.about["group"] != APART
        and run.plan is not None
        and run.about["text"] == "library"
        and run.about["outcome"] != DIVERGED
        and run.name not in train
    ]


def judge(runs: Sequence[Run], law: str = "opt_laws_curve", design: str = "one peak") -> list[Judged]:
    """Fit `law` to three runs of each size and hold it against the others."""
    by_name, found = {run.name: run for run in runs}, []
    for size, names in DESIGNS[design].items():
        train = [by_name[name].on(SPLIT) for name in names]
        test = held_out(runs, size, names)
        fitted = fit(law, train, test=test)
        low, high = fitted.coverage.peak
        batch = train[0].plan.batch_tokens
        near = [r for r in test if low <= r.plan.schedule.peak <= high and r.plan.batch_tokens == batch]
        far = [r for r in test if r not in near]
        found.append(Judged(size, fitted, *(_errors(fitted, part) for part in (near, far, test))))
    return found


def _errors(found: Fit, runs: Sequence[Run]) -> Errors:
    # `predict` refuses losses of 0 or less; here they count as what they are, errors.
    law = law_named(found.law)
    ends = tuple(float(curve(law, found.vector, run)[-1] / run.loss[-1]) - 1 for run in runs)
    along = float(np.mean([found.test[run.name].mean_rel for run in runs])) if runs else None
    return Errors(tuple(runs), ends, along)
