"""Which runs laws are fitted to and which are held out, for every data set at hand. One protocol, named beforehand.

Held-out runs are other runs, not other data: cooldowns branch off a constant run that is trained on, runs of one seed
begin alike, and the sweep and lr_scheduling hold repeats of trained plans. Losses that a training run has as well, at
the same step and bit by bit, are not scored, except in the RMSE, which follows the published protocols.

- multi_power_law (Luo et al. 2025, public): the repository's own split, at 25M and 100M parameters.
- lr_scheduling (Schaipp et al. 2025, public): 124M parameters, losses on held-out text from step 2,000 on. Trained on
  six runs: at each of two peak rates a constant one up to step 25,000, a cosine and a WSD with 20 % cooldown of 25,000
  updates. All other runs that ended below 4 nats are held out: other peaks, horizons of 15,000 to 50,000, cooldowns of
  10 to 99 %. Four choices of the two peaks count; the two others are shown as well.
- sweep (the project's own): each size's three runs of the design "one peak" in data/judge.py, the other runs with that
  peak and batch held out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from data.judge import ONE_PEAK, SPLIT, held_out
from optlaws_core import Plan, Run, noise_floor, parse, read
from optlaws_core.runs import Series

from .table import PUBLIC

ROOT = Path(__file__).resolve().parents[1]
MPL_TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
PEAKS = ((5e-4, 1e-3), (1e-3, 2e-3), (5e-4, 2e-3), (1e-4, 1e-3))
MORE_PEAKS = ((1e-4, 2e-3), (1e-4, 5e-4))
DIVERGED = 4.0  # nats; above it a run of 124M parameters has not trained


@dataclass(frozen=True, eq=False)
class Protocol:
    """Training runs and held-out runs of one data set."""

    data_set: str
    choice: str  # which of several choices of training runs; empty where there is one
    train: tuple[Run, ...]
    test: tuple[Run, ...]
    from_step: int | None = None
    noise_floor: float | None = None  # mean relative error of a prediction that is right but for the seed

    def fresh(self, run: Run) -> np.ndarray:
        """Which losses (n,) of a held-out run no training run has.

        Runs with one seed share their beginning, bit by bit, until their schedules part; cooldowns branch off.
        """
        known = {(int(t), float(y)) for r in self.train for t, y in zip(r.steps, r.loss, strict=True)}
        return np.array([(int(t), float(y)) not in known for t, y in zip(run.steps, run.loss, strict=True)])


def protocols(more: bool = False) -> Iterator[Protocol]:
    """All that can be run here; the public ones only where their data is. `more`: the two extra choices of peaks."""
    yield from _sweep()
    if PUBLIC.exists():
        for size in ("25M", "100M"):
            yield _multi_power_law(size)
        for peaks in (*PEAKS, *(MORE_PEAKS if more else ())):
            yield lr_scheduling(*peaks)


def _sweep() -> Iterator[Protocol]:
    runs = read(ROOT / "data" / "manifest.csv").runs
    floor = noise_floor(run.on(SPLIT) for run in runs if SPLIT in run.series)
    for size, names in ONE_PEAK.items():
        by_name = {run.name: run for run in runs}
        train = tuple(by_name[name].on(SPLIT) for name in names)
        peak, batch = train[0].plan.schedule.peak, train[0].plan.batch_tokens
        test = [r for r in held_out(runs, size, names) if (r.plan.schedule.peak, r.plan.batch_tokens) == (peak, batch)]
        yield Protocol(f"sweep {size}", "", train, tuple(test), noise_floor=floor.mean_error)


def _multi_power_law(size: str) -> Protocol:
    runs = {r.name: r for r in read(PUBLIC / "multi_power_law" / size / "manifest.csv").runs}
    test = tuple(r for n, r in runs.items() if n not in MPL_TRAIN)
    return Protocol(f"multi_power_law {size}", "", tuple(runs[n] for n in MPL_TRAIN), test)


@lru_cache(maxsize=1)
def _lr_scheduling_runs() -> dict[str, Run]:
    """The 124M runs, by name, on the held-out text, with the schedule that the table declares."""
    table = pd.read_csv(PUBLIC / "lr_scheduling" / "table.csv").set_index("run")
    table = table[table.params.between(1.2e8, 1.3e8)]
    found = {}
    for run in read(PUBLIC / "lr_scheduling" / "curves.parquet").runs:
        if run.name in table.index:
            row = table.loc[run.name]
            found[run.name] = run.on("val").declared(Plan(parse(row.schedule), row.params, row.batch_tokens))
    return found


def lr_scheduling(*peaks: float) -> Protocol:
    """The protocol with training runs at these peak rates."""
    runs = _lr_scheduling_runs()
    good = {n: r for n, r in runs.items() if r.loss[-1] < DIVERGED}
    floor = noise_floor(good.values())
    wanted = [
        text
        for peak in peaks
        for text in (
            f"constant(peak={peak}, warmup=300, total=50000)",
            f"cosine(peak={peak}, warmup=300, total=25000, final={peak / 10})",
            f"wsd(peak={peak}, warmup=300, total=25000, decay=5000, final=0, shape=linear)",
        )
    ]
    names = [min(n for n, r in good.items() if r.plan.schedule == parse(text)) for text in wanted]
    train = tuple(_until(good[n], 25_000) for n in names)
    test = tuple(r for n, r in good.items() if n not in names)
    choice = " and ".join(f"{peak:.0e}".replace("e-0", "e-") for peak in peaks)
    return Protocol("lr_scheduling 124M", choice, train, test, 2000, floor.mean_error if floor else None)


def _until(run: Run, step: int) -> Run:
    series = {k: Series(s.steps[s.steps <= step], s.loss[s.steps <= step]) for k, s in run.series.items()}
    return replace(run, series=series)
