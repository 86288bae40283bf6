"""The noisy quadratic under weight decay: one constant, found on half of our runs, and what it says of the other half.

AdamW's decay draws the weights to 0 at the rate s·λ on the clock S of the learning rate, beside the h at which a
direction is drawn to its optimum: its error falls at h + s·λ, to sλ / (h + sλ) of what it was rather than to 0, and
noise is forgotten at 2 (h + sλ). That is the time-scale 1/(ηλ) of AdamW (arXiv:2505.13738); s = 1 would be every
direction alike. The spectrum is fitted, as the law's is, to twelve runs with λ = 0.1.

    python -m benchmarks weight_decay [--write]

prints the errors for several s on the first half. `--write` adds the predictions of the second half to
data/joint_predictions.csv with the best of them, and refuses once a run that it predicts is there.
"""

import argparse
import csv
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from data.courses import Course
from data.sweep import RunSpec, read_sweep
from optlaws_core.arrays import FloatArray, IntArray
from optlaws_core.laws.noisy_quadratic import NOISY_QUADRATIC, RATES
from optlaws_core.schedules import parse

from .joint import DATA, HORIZONS, PREDICTIONS, SHAPES, known_runs, manifest_rows, observed
from .table import PUBLIC, show

MODEL = "noisy_quadratic, decay"
H = np.array(RATES)
USUAL = 0.1  # the weight decay of the runs that the spectrum is fitted to
PAIRS = (
    ("adam_lr15_wd100_T5750", "adam_lr15_wd1125_T5750"),
    ("adam_lr15_wd100_T5750", "adam_lr15_wd125_T5750"),
    ("adam_lr15_wd1125_T5750", "adam_lr15_wd125_T5750"),
    ("muon_lr025_wd0125_T3500", "muon_lr025_wd025_T3375"),
    ("muon_lr025_wd025_T3375", "muon_lr025_wd0125_T3500"),
)
SEED = 0.0011  # standard deviation of the public runs' final losses over seeds, pooled over configurations
FIRST = 300  # updates before it are not fitted: a warm-up of 200, and the transient behind it
# Rate and s·λ of every update, (updates,) each, and steps and losses, (n,) each.
Curve = tuple[FloatArray, FloatArray, IntArray, FloatArray]
SCALES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def main() -> None:
    """Print errors on the first half for each s; with `--write` predict the second half."""
    options = argparse.ArgumentParser(prog="python -m benchmarks weight_decay", description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="predict, before the runs are trained")
    first, ends = _decayed("joint.toml"), observed()
    scores = {s: _errors(first, fitted(s), s, ends) for s in SCALES}
    best = min(scores, key=lambda s: _rms(scores[s]))
    rows = [
        (f"{s:g}", f"{100 * _rms(errors):.2f} %", *(f"{100 * e:+.1f} %" for e in errors.values()))
        for s, errors in scores.items()
    ]
    show(("s", "root mean square", *(f"{shape}, λ = {decay}" for shape, decay in scores[best])), rows)
    print()
    _show_public(best)
    if options.parse_args().write:
        _write(fitted(best), best)


def _show_public(s: float) -> None:
    """Public runs that differ by their weight decay, each of a pair predicted from the curve of the other."""
    folder = PUBLIC / "modded_nanogpt"
    if not folder.exists():
        print("The public runs are not at hand.")
        return
    table = pd.read_csv(folder / "runs.csv").set_index("config")
    means = pd.read_parquet(folder / "curves.parquet").groupby(["config", "step"])["val_loss"].mean()
    rows = []
    for one, other in PAIRS:
        eta, decay = zip(*(_public(table.loc[name], s) for name in (one, other)), strict=True)
        curve = means[one]
        late = curve.index.to_numpy() >= FIRST
        steps, loss = curve.index.to_numpy()[late] - 1, curve.to_numpy()[late]
        weights = spectrum([(eta[0], decay[0], steps, loss)])
        ends = [float((columns(e, d, [len(e) - 1]) @ weights)[0]) for e, d in zip(eta, decay, strict=True)]
        plain = float((columns(eta[1], decay[0][0] + 0 * eta[1], [len(eta[1]) - 1]) @ weights)[0])
        told, seen = ends[1] - ends[0], table.loc[other, "mean_final"] - table.loc[one, "mean_final"]
        error = 2 * SEED * float(np.sqrt(sum(1 / table.loc[name, "n_final"] for name in (one, other))))
        rows.append((one, other, f"{plain - ends[0]:+.4f}", f"{told:+.4f}", f"{seen:+.4f}", f"{error:.4f}"))
    show(
        ("fitted to", "predicted", "by the rate alone", "with its decay", "observed", "2 standard errors"),
        rows,
    )


def _public(row: pd.Series, s: float) -> tuple[FloatArray, FloatArray]:
    eta = parse(row["schedule"])(np.arange(int(row["total_steps"])))
    return eta, np.full(len(eta), s * float(row["weight_decay"]))


def _decayed(sweep: str) -> list[RunSpec]:
    """The runs of a sweep in which the weight decay is another, or scheduled; and those they are compared with."""
    kinds = ("weight_decay", "weight_decay_ahead", "reference")
    return [s for s in read_sweep(DATA / sweep) if s.group in kinds and s.size.name == "tiny"]


def columns(eta: FloatArray, decay: FloatArray, steps: Sequence[int]) -> FloatArray:
    """What each weight of the spectrum counts for after the updates `steps` (n,): (n, 1 + 2 modes).

    eta, decay: learning rate and s·λ of every update, (updates,) each.
    """
    left, noise, found = np.ones(len(H)), np.zeros(len(H)), {}
    wanted = set(steps)
    for t, (rate, drawn) in enumerate(zip(eta.tolist(), decay.tolist(), strict=True)):
        kept = np.exp(-(H + drawn) * rate)
        left = left * kept + drawn / (H + drawn) * (1 - kept)
        noise = noise * kept**2 + rate**2
        if t in wanted:
            found[t] = np.concatenate(([1.0], left**2, noise))
    return np.array([found[t] for t in steps])


def fitted(s: float) -> FloatArray:
    """The spectrum, (1 + 2 modes,), under decay counted `s` times; by the ridge of the law."""
    runs = known_runs()
    curves = []
    for run in (runs[f"tiny_{shape}_{total}_8e-3"] for shape in SHAPES for total in HORIZONS):
        late, eta = run.steps >= FIRST, run.known_plan.schedule(np.arange(run.known_plan.schedule.total))
        curves.append((eta, np.full(len(eta), s * USUAL), run.steps[late], run.loss[late]))
    return spectrum(curves)


def spectrum(curves: Sequence[Curve]) -> FloatArray:
    """The weights, (1 + 2 modes,), that fit the curves best under the law's ridge, each curve counting the same."""
    parts = [
        columns(eta, decay, steps.tolist()) / loss[:, None] / np.sqrt(len(steps)) for eta, decay, steps, loss in curves
    ]
    design = np.concatenate(parts)
    goal = np.concatenate([np.full(len(part), 1 / np.sqrt(len(part))) for part in parts])
    largest = np.maximum(np.abs(np.concatenate([p * np.sqrt(len(p)) for p in parts])).max(axis=0), 1e-300)
    ridge = np.sqrt(NOISY_QUADRATIC.ridge * len(curves)) * np.eye(design.shape[1])[1:]
    weights, _ = nnls(
        np.vstack((design / largest, ridge)), np.concatenate((goal, np.zeros(len(ridge)))), maxiter=10_000
    )
    return weights / largest


def predicted(spec: RunSpec, weights: FloatArray, s: float) -> float:
    """The last held-out loss of a run."""
    steps = np.arange(spec.schedule.total)
    decay = (
        spec.weight_decay(steps) if isinstance(spec.weight_decay, Course) else np.full(len(steps), spec.weight_decay)
    )
    return float((columns(spec.schedule(steps), s * decay, [len(steps) - 1]) @ weights)[0])


def _errors(specs: Sequence[RunSpec], weights: FloatArray, s: float, ends: dict) -> dict[tuple[str, str], float]:
    """Mean log error over seeds, by shape of the rate and weight decay."""
    found: dict[tuple[str, str], list[float]] = {}
    for spec in specs:
        decay = spec.weight_decay.text if isinstance(spec.weight_decay, Course) else f"{spec.weight_decay:g}"
        error = float(np.log(predicted(spec, weights, s) / ends[spec.name, "val_loss"]))
        found.setdefault((spec.schedule.family, decay), []).append(error)
    return {key: float(np.mean(errors)) for key, errors in found.items()}


def _rms(errors: dict[tuple[str, str], float]) -> float:
    return float(np.sqrt(np.mean(np.square(list(errors.values())))))


def _write(weights: FloatArray, s: float) -> None:
    ahead = [spec for spec in _decayed("joint_ahead.toml") if spec.group == "weight_decay_ahead"]
    if trained := {spec.name for spec in ahead} & {row["run"] for row in manifest_rows()}:
        sys.exit(f"Predictions are made before training, but {min(trained)} is in the manifest already.")
    with PREDICTIONS.open("a", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        for spec in ahead:
            kind = "weight_decay" + (", scheduled" if isinstance(spec.weight_decay, Course) else "")
            rows.writerow((spec.name, "", kind, MODEL, f"{predicted(spec, weights, s):.5f}", "", ""))
