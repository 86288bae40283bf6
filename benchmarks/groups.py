"""Training curves in groups of one setting: one model, text, optimiser, batch and peak rate under several schedules.

What priors are learned from and what they are judged on, named before anything was fitted:

- `mpl` multi_power_law, 25M and 100M (training loss).
- `lrs` lr_scheduling, a group for each size and peak rate, runs that ended below 4 nats (held-out text). Logs that
  begin at a cooldown get the losses of the constant run that they branched from in front.
- `c5m`, `mlp` supercollapse, a group for each width.
- `mod` modded_nanogpt, a group for each configuration: the mean curve over its seeds.
- `sweep` the project's own runs on library code, a group for each size, peak and batch; without the runs that were
  predicted before they were trained (`APART` in data/judge.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd

from data.judge import APART
from optlaws_core import Plan, Run, parse, read
from optlaws_core.runs import Series
from optlaws_core.schedules import WSD

from .protocols import DIVERGED, ROOT
from .table import PUBLIC

USUAL_PEAK = {"tiny": 8e-3, "small": 8e-3, "medium": 4e-3, "large": 4e-3}  # of the sweep's sizes
BRANCHED = 1000  # first step of a log from which on it is taken to go on from another run


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one setting, by name; `family`: the data set, whose groups are left out together."""

    name: str
    family: str
    runs: dict[str, Run] = field(default_factory=dict)


@cache
def groups() -> tuple[Group, ...]:
    """All groups at hand, the public ones only where their data is."""
    found = list(sweep_groups())
    if PUBLIC.exists():
        found += [*_multi_power_law(), *_lr_scheduling(), *_supercollapse(), *_modded_nanogpt()]
    return tuple(found)


def _multi_power_law() -> Iterator[Group]:
    for size in ("25M", "100M"):
        runs = read(PUBLIC / "multi_power_law" / size / "manifest.csv").runs
        yield Group(f"mpl {size}", "mpl", {r.name: r for r in runs})


def _lr_scheduling() -> Iterator[Group]:
    table = pd.read_csv(PUBLIC / "lr_scheduling" / "table.csv").set_index("run")
    cells: dict[tuple[float, float], list[Run]] = {}
    for run in read(PUBLIC / "lr_scheduling" / "curves.parquet").runs:
        row = table.loc[run.name]
        known = run.on("val").declared(Plan(parse(row.schedule), row.params, row.batch_tokens))
        if known.loss[-1] < DIVERGED:
            cells.setdefault((row.params, known.known_plan.schedule.peak), []).append(known)
    for (params, peak), runs in sorted(cells.items()):
        group = Group(f"lrs {params / 1e6:.0f}M {peak:g}", "lrs")
        stem = next((r for r in runs if r.known_plan.schedule.family == "constant"), None)
        for run in runs:
            if run.steps[0] > BRANCHED:
                if stem is None:
                    continue
                run = _after(stem, run)
            _add(group, _named(run), run)
        yield group


def _after(stem: Run, run: Run) -> Run:
    """A log that begins at a cooldown, with the losses of the run that it branched from in front."""
    before, own = stem.series[run.split], run.series[run.split]
    kept = before.steps < own.steps[0]
    steps, loss = (np.concatenate(p) for p in ((before.steps[kept], own.steps), (before.loss[kept], own.loss)))
    return replace(run, series={run.split: Series(steps, loss)})


def _named(run: Run) -> str:
    s = run.known_plan.schedule
    kind = f"wsd {s.decay / s.total:.2g} {s.shape}" if isinstance(s, WSD) else s.family
    return f"{kind} {s.total}"


def _add(group: Group, name: str, run: Run) -> None:
    unique, i = name, 2
    while unique in group.runs:
        unique, i = f"{name} ({i})", i + 1
    group.runs[unique] = run.renamed(unique)


def _supercollapse() -> Iterator[Group]:
    found: dict[str, Group] = {}
    for run in read(PUBLIC / "supercollapse" / "curves.parquet").runs:
        family, width = run.name.split("_")[:2]
        found.setdefault(f"{family} {width}", Group(f"{family} {width}", family)).runs[run.name] = run
    yield from found.values()


def _modded_nanogpt() -> Iterator[Group]:
    table = pd.read_csv(PUBLIC / "modded_nanogpt" / "runs.csv").set_index("config")
    curves = pd.read_parquet(PUBLIC / "modded_nanogpt" / "curves.parquet")
    for name, row in table.iterrows():
        plan = Plan(parse(row.schedule), row.parameters, row.batch_tokens)
        mean = curves[curves.config == name].groupby("step").val_loss.mean()
        kept = mean[(mean.index > 0) & (mean.index <= plan.schedule.total)]
        series = {"val": Series(kept.index.to_numpy(), kept.to_numpy())}
        yield Group(f"mod {name}", "mod", {str(name): Run(str(name), plan, series, "val", "declared")})


def sweep_groups() -> Iterator[Group]:
    """Those of the project's own runs."""
    found: dict[str, Group] = {}
    for run in read(ROOT / "data" / "manifest.csv").runs:
        about = run.about
        if about["text"] != "library" or about["outcome"] != "finished" or about.get("parent") or run.plan is None:
            continue
        if about["group"] == APART:
            continue
        name = f"sweep {about['size']} {run.plan.schedule.peak:g} {about['batch_windows']}"
        found.setdefault(name, Group(name, "sweep")).runs[run.name] = run.on("val")
    yield from found.values()
