"""The schedule UBA (Tang et al. 2025, arXiv:2505.24452), predicted before any run had it, and what its runs showed.

Models are fitted to three runs of a size at 2,000 updates, the usual peak and seed 1: constant, cosine to 10 %, WSD
with a cooldown of 20 %. They predict the last held-out loss of UBA with φ = 1/4, 1 and 4, and of the cosine, which is
φ = 2, at 2,000 and 4,000 updates. The average is what `select` makes of its usual laws under the shipped prior; the
Multi-Power Law is fitted without one. That prior was learned from public curves and from the sweep's older runs: those
of both sizes at this peak, 4,000 updates included, are two of its 64 groups. The runs of the group "uba" are in no
prior.

    python -m benchmarks uba [--write]

`--write` makes data/uba_predictions.csv, and refuses once a run of the group is in the manifest. The cosines at 4,000
updates were there before: they stand beside the others and are not counted.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.judge import APART, SPLIT
from data.sweep import RunSpec, read_sweep
from optlaws_core import Plan, Run, read, select, with_bands
from optlaws_core.fitting.priors import learned
from optlaws_core.fitting.result import Model
from optlaws_core.fitting.selection import POOL

from .table import show

DATA = Path(__file__).resolve().parents[1] / "data"
PREDICTIONS = DATA / "uba_predictions.csv"
SIZES, HORIZONS = ("tiny", "small"), (2000, 4000)
TRAINED_ON = ("{size}_constant_2000_8e-3", "{size}_cosine10_2000_8e-3", "{size}_wsd20_2000_8e-3")
COSINE = "{size}_cosine_{total}_8e-3"
AVERAGE, RIVAL = "average", "multi_power"


@dataclass(frozen=True)
class Predicted:
    """The last held-out loss of a run as a model predicts it, with the ends of its 90 % band; nats per byte."""

    run: str
    model: str
    predicted: float
    low: float
    high: float


def main() -> None:
    """Print predictions beside what was observed; with `--write` make the predictions."""
    options = argparse.ArgumentParser(prog="python -m benchmarks uba", description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="make the predictions, before the runs are trained")
    runs = {r.name: r.on(SPLIT) for r in read(DATA / "manifest.csv").runs if SPLIT in r.series}
    if options.parse_args().write:
        _write(runs)
    with PREDICTIONS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = [Predicted(r["run"], r["model"], *(float(r[key]) for key in ("predicted", "low", "high"))) for r in rows]
    ends = {name: float(run.loss[-1]) for name, run in runs.items()}
    fresh = {spec.name for spec in asked() if spec.group == APART}
    _show_runs(found, ends, fresh)
    _show_models(found, ends, fresh)
    _show_orders(found, ends)


def asked() -> list[RunSpec]:
    """The runs that are predicted: the declared group, and the cosines at its other horizon."""
    beside = {COSINE.format(size=size, total=total) for size in SIZES for total in HORIZONS}
    found = [s for s in read_sweep(DATA / "sweep.toml") if s.group == APART or s.name in beside]
    return sorted(found, key=lambda s: (SIZES.index(s.size.name), s.schedule.total, phi(s)))


def phi(spec: RunSpec) -> float:
    """φ of the run's schedule; that of the cosine is 2."""
    return float(getattr(spec.schedule, "phi", 2.0))


def _write(runs: dict[str, Run]) -> None:
    if trained := [name for name, run in runs.items() if run.about["group"] == APART]:
        sys.exit(f"Predictions are made before training, but {trained[0]} is in the manifest already.")
    models = {size: _models([runs[name.format(size=size)] for name in TRAINED_ON]) for size in SIZES}
    rows = []
    for spec in asked():
        for name, model in models[spec.size.name].items():
            ahead = with_bands(model, Plan(spec.schedule, spec.size.params, spec.batch_tokens))
            assert ahead.prediction is not None
            low, high = ahead.band(ahead.prediction)
            rows.append((spec.name, name, *(f"{v[0]:.5f}" for v in (ahead.loss, low, high))))
    with PREDICTIONS.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(("run", "model", "predicted", "low", "high"))
        writer.writerows(rows)


def _models(train: Sequence[Run]) -> dict[str, Model]:
    priors = {law: prior for law in POOL if (prior := learned(law)) is not None}
    average = select(POOL, train, priors=priors, processes=1).average
    assert average is not None
    return {AVERAGE: average, RIVAL: select((RIVAL,), train, processes=1)[RIVAL]}


def _show_runs(found: Sequence[Predicted], ends: dict[str, float], fresh: set[str]) -> None:
    rows = []
    for p in found:
        end = ends.get(p.run)
        seen = (
            ("not trained", "", "") if end is None else (f"{end:.4f}", _percent(p.predicted / end - 1), _inside(p, end))
        )
        name = p.run if p.run in fresh else f"{p.run} (older)"
        rows.append((name, p.model, f"{p.predicted:.4f}", f"{p.low:.4f} to {p.high:.4f}", *seen))
    show(("run", "model", "predicted", "90 % band", "observed", "error", "band holds"), rows)
    print()


def _show_models(found: Sequence[Predicted], ends: dict[str, float], fresh: set[str]) -> None:
    """Mean errors, predicted over observed less 1, of the new runs, and how many their bands hold."""
    total = {spec.name: spec.schedule.total for spec in asked()}
    rows = []
    for model in (AVERAGE, RIVAL):
        for horizons in (*((h,) for h in HORIZONS), HORIZONS):
            some = [p for p in found if p.model == model and p.run in fresh & set(ends) and total[p.run] in horizons]
            if some:
                errors = [p.predicted / ends[p.run] - 1 for p in some]
                held = sum(p.low <= ends[p.run] <= p.high for p in some)
                mean, signed = f"{100 * np.mean(np.abs(errors)):.2f} %", _percent(float(np.mean(errors)))
                span = " and ".join(map(str, horizons))
                rows.append((model, span, len(some), mean, signed, f"{held} of {len(some)}"))
    show(("model", "updates", "new runs", "mean error", "with its sign", "90 % bands hold"), rows)
    print()


def _show_orders(found: Sequence[Predicted], ends: dict[str, float]) -> None:
    """φ from the lowest final loss to the highest, and how far each ends from the cosine of its size and horizon."""
    rows = []
    sources = {m: {p.run: p.predicted for p in found if p.model == m} for m in (AVERAGE, RIVAL)} | {"observed": ends}
    for size in SIZES:
        for total in HORIZONS:
            some = [s for s in asked() if (s.size.name, s.schedule.total) == (size, total)]
            three, cosine = [s for s in some if phi(s) != 2], COSINE.format(size=size, total=total)
            for source, losses in sources.items():
                if all(s.name in losses for s in some):
                    order = " < ".join(f"{phi(s):g}" for s in sorted(three, key=lambda s: losses[s.name]))
                    gaps = (_percent(losses[s.name] / losses[cosine] - 1) for s in three)
                    rows.append((size, total, source, order, f"{losses[cosine]:.4f}", *gaps))
    against = [f"φ = {v:g} over it" for v in sorted({phi(s) for s in asked()} - {2.0})]
    show(("size", "updates", "by", "φ, lowest loss first", "cosine", *against), rows)


def _inside(p: Predicted, end: float) -> str:
    return "yes" if p.low <= end <= p.high else "no"


def _percent(share: float) -> str:
    return f"{100 * share:+.2f} %"
