"""Plans that schedule more than the rate, predicted before any run had them, and what their runs showed.

Fits see runs in which the rate alone is scheduled, at the model size and the peak of what they predict, or, for another
optimizer, weight decay or context, the two runs of that setting that were there before. Batch schedules and averages of
weights are predicted as docs/laws.md says; of weight decay, optimizer and context a law knows nothing, so that a fit to
runs of a setting predicts other schedules of the rate in it. Where the weight decay is scheduled, or the auxiliary rate
of Muon follows a schedule of its own, the prediction is as if they did not. Changes of the text are not predicted.

    python -m benchmarks joint [--write]

`--write` makes data/joint_predictions.csv, and refuses once a run that it predicts is in data/joint/manifest.csv.
"""

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from data.courses import Course
from data.judge import SPLIT
from data.sweep import RunSpec, read_sweep
from optlaws_core import OptLawsError, Plan, Run, parse, read, select, with_bands
from optlaws_core.fitting.coverage import LONG_AVERAGE
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.schedules import Batch, Joint
from optlaws_core.schedules.part_texts import parse_average

from .table import show

DATA = Path(__file__).resolve().parents[1] / "data"
PREDICTIONS, LOGS = DATA / "joint_predictions.csv", DATA / "joint"
SHAPES, HORIZONS = ("constant", "cosine10", "wsd20", "linear"), (1000, 2000, 4000)
TELLS_NOISE, AVERAGE = "noisy_quadratic", "average"
NOISE_FLOOR = 0.0058  # standard deviation over seeds of the last held-out loss, as a share of it (data/README.md)


@dataclass(frozen=True)
class Asked:
    """A loss to predict: the last held-out one of a run, at its last weights or at an average of them."""

    run: str
    readout: str  # "" for the last weights, else the text form of an average
    kind: str
    plan: Plan
    trained_on: tuple[str, ...]  # names of runs

    @property
    def column(self) -> str:
        """Where the run's log has the loss."""
        return "_".join(("val_loss", *self.readout.replace(")", "").replace(", ", "_").split("("))).rstrip("_")


@dataclass(frozen=True)
class Predicted:
    """A loss as a model predicts it, with the ends of its 90 % band; nats per byte."""

    run: str
    readout: str
    kind: str
    model: str
    predicted: float
    low: float
    high: float


def main() -> None:
    """Print predictions beside what was observed; with `--write` make the predictions."""
    options = argparse.ArgumentParser(prog="python -m benchmarks joint", description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="make the predictions, before the runs are trained")
    if options.parse_args().write:
        _write()
    with PREDICTIONS.open(encoding="utf-8", newline="") as lines:
        found = [
            Predicted(*(r[k] for k in ("run", "readout", "kind", "model")), *(float(r[k] or "nan") for k in ENDS))
            for r in csv.DictReader(lines)
        ]
    seen = observed()
    _show_losses(found, seen)
    _show_kinds(found, seen)
    _show_orders(found, seen)


ENDS = ("predicted", "low", "high")


def asked() -> Iterator[Asked]:
    """What is predicted, in the order in which the runs are declared."""
    for spec in read_sweep(DATA / "joint_ahead.toml"):
        if (train := _trained_on(spec)) is None:
            continue
        kind = _kind(spec)
        rate, size = spec.schedule, (spec.size.params, spec.batch_tokens)
        if spec.batch_schedule:
            windows = spec.batch_schedule
            multiples = tuple(v / spec.batch for v in windows.values)
            batch = Batch(windows.starts, multiples, windows.kind, relative=True)
            yield Asked(spec.name, "", kind, Plan(Joint(rate, batch), *size), train)
            continue
        yield Asked(spec.name, "", kind, Plan(rate, *size), train)
        for average in spec.averages:
            yield Asked(
                spec.name, average.text, kind, Plan(parse(f"rate={rate.text}; average={average.text}"), *size), train
            )


def _trained_on(spec: RunSpec) -> tuple[str, ...] | None:
    """Names of the runs that a model for the run is fitted to; None where no model is."""
    kind = spec.group.removesuffix("_ahead")
    size, peak = spec.size.name, spec.schedule.peak
    if kind in ("batch", "averages", "reference"):
        if peak == 8e-3:
            return tuple(f"{size}_{shape}_{total}_8e-3" for shape in SHAPES for total in HORIZONS)
        shown = {4e-3: "4e-3", 16e-3: "0.016"}[peak]
        shapes = SHAPES[:3] if size == "tiny" else SHAPES[1:3]
        return tuple(f"{size}_{shape}_2000_{shown}" for shape in shapes)
    setting = re.sub(r"_seed\d|_auxiliary_\w+", "", "_".join(spec.name.split("_")[3:]))
    if isinstance(spec.weight_decay, Course):  # as if it were constant
        setting = "8e-3_seed1"
    pairs = tuple(f"{size}_{shape}_{spec.schedule.total}_{setting}" for shape in ("constant", "wsd20"))
    return pairs if kind != "text" and set(pairs) <= {s.name for s in read_sweep(DATA / "joint.toml")} else None


def _kind(spec: RunSpec) -> str:
    """What is predicted, and with what beside the rate of which a model knows nothing."""
    kind = spec.group.removesuffix("_ahead")
    if isinstance(spec.weight_decay, Course):
        return f"{kind}, scheduled, as if constant"
    return f"{kind}, auxiliary rate apart, as if together" if "_auxiliary_" in spec.name else kind


def _write() -> None:
    todo = list(asked())
    known = known_runs()
    if trained := [a.run for a in todo if a.run in known and a.run in {r["run"] for r in manifest_rows()}]:
        sys.exit(f"Predictions are made before training, but {trained[0]} is in the manifest already.")
    models: dict[tuple[str, ...], dict[str, Model]] = {}
    rows = []
    for a in todo:
        if a.trained_on not in models:
            models[a.trained_on] = _models([known[name] for name in a.trained_on])
        for name, model in models[a.trained_on].items():
            if name == AVERAGE and a.kind != "averages":
                continue
            ahead = with_bands(model, a.plan)
            ends = ahead.band(ahead.prediction) if ahead.prediction is not None else ()
            rows.append((a.run, a.readout, a.kind, name, *(f"{v[0]:.5f}" for v in (ahead.loss, *ends))))
    with PREDICTIONS.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(("run", "readout", "kind", "model", *ENDS))
        writer.writerows(tuple(row) + ("",) * (7 - len(row)) for row in rows)


def known_runs() -> dict[str, Run]:
    """Runs of both manifests by name."""
    paths = [DATA / "manifest.csv", LOGS / "manifest.csv"]
    return {r.name: r.on(SPLIT) for path in paths for r in read(path).runs if SPLIT in r.series}


def manifest_rows() -> list[dict[str, str]]:
    """The rows of data/joint/manifest.csv."""
    with (LOGS / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _models(train: Sequence[Run]) -> dict[str, Model]:
    priors = {law: prior for law in POOL if (prior := learned(law)) is not None}
    found: dict[str, Model] = {TELLS_NOISE: select((TELLS_NOISE,), train, processes=1)[TELLS_NOISE]}
    try:
        average = select(POOL, train, priors=priors, processes=1).average
    except OptLawsError:  # two runs that end in one rate, say
        average = None
    return found if average is None else found | {AVERAGE: average}


def observed() -> dict[tuple[str, str], float]:
    """The last held-out losses of the finished runs in data/joint, by run and readout."""
    ends = {}
    for row in manifest_rows():
        table = pq.read_table(LOGS / row["file"])
        for column in table.column_names:
            if column.startswith("val_loss"):
                losses = [v for v in table[column].to_pylist() if v is not None]
                ends[row["run"], column] = losses[-1]
    return ends


def _show_losses(found: Sequence[Predicted], seen: dict[tuple[str, str], float]) -> None:
    rows = []
    for p in found:
        end = seen.get((p.run, _column(p)))
        told = ("not trained", "") if end is None else (f"{end:.4f}", f"{100 * (p.predicted / end - 1):+.2f} %")
        rows.append((p.kind, p.run, p.readout, p.model, f"{p.predicted:.4f}", *told))
    show(("kind", "run", "read at", "model", "predicted", "observed", "error"), rows)
    print()


def _show_kinds(found: Sequence[Predicted], seen: dict[tuple[str, str], float]) -> None:
    """Of each kind: mean error, and how many losses lie within two standard deviations over seeds, or in the bands."""
    total = {spec.name: spec.schedule.total for spec in read_sweep(DATA / "joint_ahead.toml")}
    kinds: dict[tuple[str, str], list[tuple[float, bool | None]]] = defaultdict(list)
    for p in found:
        end = seen.get((p.run, _column(p)))
        if end is not None:
            inside = None if np.isnan(p.low) else p.low <= end <= p.high
            kinds[_read_at(p, total[p.run]), p.model].append((p.predicted / end - 1, inside))
    rows = []
    for (kind, model), some in kinds.items():
        errors = np.array([e for e, _ in some])
        near = int((np.abs(errors) <= 2 * NOISE_FLOOR).sum())
        bands = [b for _, b in some if b is not None]
        held = f"{sum(bands)} of {len(bands)}" if bands else "none"
        mean = f"{100 * np.abs(errors).mean():.2f} %"
        rows.append((kind, model, len(some), mean, f"{100 * errors.mean():+.2f} %", f"{near} of {len(some)}", held))
    show(("kind", "model", "losses", "mean error", "with its sign", "within 2 noise floors", "90 % bands hold"), rows)


def _show_orders(found: Sequence[Predicted], seen: dict[tuple[str, str], float]) -> None:
    """Pairs of one kind and size that end further apart than the noise floor: how many are predicted that way round.

    Averages are compared with the last weights and with each other, within a run.
    """
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for p in found:
        end = seen.get((p.run, _column(p)))
        if end is not None:
            where = p.run if p.kind == "averages" else "_".join(p.run.split("_")[:1])
            groups[p.kind, p.model, where].append((p.predicted, end))
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (kind, model, _), some in groups.items():
        for (told, end), (other_told, other_end) in combinations(some, 2):
            if abs(end - other_end) > NOISE_FLOOR * min(end, other_end):
                counts[kind, model][0] += (told < other_told) == (end < other_end)
                counts[kind, model][1] += 1
    print()
    rows = [(*key, f"{right} of {n}", f"{100 * right / n:.0f} %") for key, (right, n) in counts.items()]
    show(("kind", "model", "pairs the right way round", "share"), rows)


def _read_at(p: Predicted, total: int) -> str:
    """The kind of a prediction, with how far the average reaches that it is read at."""
    if not p.readout:
        return p.kind
    long = parse_average(p.readout).reach > LONG_AVERAGE * total
    return f"{p.kind}, over {'more than ' if long else 'up to '}{LONG_AVERAGE:.0%} of the run"


def _column(p: Predicted) -> str:
    return Asked(p.run, p.readout, p.kind, Plan(parse("constant(peak=1, total=1)")), ()).column
