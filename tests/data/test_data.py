"""The runs that ship with the project: every row of the manifest has a log that says the same."""

import csv
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.groups import sweep_groups
from benchmarks.uba import asked
from data.judge import APART, DESIGNS, held_out
from data.sweep import COLUMNS, read_sweep
from optlaws_core import noise_floor, read
from optlaws_core.schedules import SCHEDULES, parse
from tests.places import ROOT

DATA = ROOT / "data"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


MANIFEST = rows_of(DATA / "manifest.csv")
BY_NAME = {row["run"]: row for row in MANIFEST}
FROM_SCRATCH = [row for row in MANIFEST if not row["parent"]]
each_run = pytest.mark.parametrize("row", MANIFEST, ids=list(BY_NAME))


def log_of(row: dict[str, str]) -> dict[str, np.ndarray]:
    table = pq.read_table(DATA / row["file"])
    return {name: table[name].to_numpy() for name in table.column_names}


@each_run
def test_the_log_is_there_and_ends_as_the_manifest_says(row):
    log = log_of(row)
    other_text = ["parent_val_loss"] if row["parent"] and row["text"] != BY_NAME[row["parent"]]["text"] else []
    assert list(log) == ["step", "lr", "train_loss", "val_loss", "grad_norm", *other_text]
    steps, finite = log["step"], np.isfinite(log["train_loss"])
    total, every = int(row["total_steps"]), int(row["validate_every"])
    assert steps.tolist() == [*range(24, total - 1, 25), total - 1][: len(steps)]
    if steps[-1] != total - 1:
        assert row["outcome"] == "diverged" and not finite[-1]
    assert finite[:-1].all() and (finite[-1] or row["outcome"] == "diverged")
    validated = finite & (((steps + 1) % every == 0) | (steps == total - 1))
    assert np.array_equal(np.isfinite(log["val_loss"]), validated)
    for column in ("train_loss", "val_loss"):
        said = row[f"final_{column}"]
        assert math.isnan(log[column][-1]) if said in ("", "nan") else log[column][-1] == float(said)


@each_run
def test_the_logged_rate_is_the_schedule(row):
    log, schedule = log_of(row), parse(row["schedule"])
    assert schedule.text == row["schedule"]
    assert (schedule.warmup, schedule.total) == (int(row["warmup_steps"]), int(row["total_steps"]))
    assert schedule.peak == float(row["peak_lr"])
    np.testing.assert_allclose(log["lr"], schedule(log["step"]), rtol=1e-12, atol=1e-15 * schedule.peak)


def test_the_manifest_is_the_sweep():
    declared = [spec.row for spec in read_sweep(DATA / "sweep.toml")]
    assert [{column: row[column] for column in declared[0]} for row in MANIFEST] == declared
    assert list(MANIFEST[0]) == COLUMNS
    assert {path.name for path in (DATA / "runs").iterdir()} == {Path(row["file"]).name for row in MANIFEST}


@pytest.mark.parametrize("name", ["examples.csv", "small_runs.csv"])
def test_the_examples_are_rows_of_the_manifest(name):
    by_file = {row["file"]: row for row in MANIFEST}
    examples = rows_of(DATA / name)
    assert len(examples) >= 8
    assert all(example == by_file[example["file"]] | {"run": example["run"]} for example in examples)
    assert len({(e["params"], e["peak_lr"]) for e in examples}) == 1


FAMILIES = {"constant", "linear", "cosine", "wsd", "inverse_sqrt", "power", "rex", "cyclic", "step", "uba"}


def test_the_runs_cover_what_laws_are_judged_on():
    finished = [row for row in MANIFEST if row["outcome"] == "finished"]
    scratch = [row for row in FROM_SCRATCH if row["outcome"] == "finished"]
    assert len(finished) >= 150
    sizes = Counter(int(row["params"]) for row in scratch)
    assert len(sizes) == 4 and 35_000 < min(sizes) < 45_000 and 800_000 < max(sizes) < 950_000
    assert sizes[max(sizes)] == min(sizes.values())  # the costliest has the fewest
    schedules = [parse(row["schedule"]) for row in scratch]
    assert {s.family for s in schedules} == FAMILIES <= set(SCHEDULES)
    assert {s.shape for s in schedules if s.family == "wsd"} == {"linear", "cosine", "exponential", "1-sqrt"}
    assert {round(s.decay / s.total, 2) for s in schedules if s.family == "wsd"} == {0.1, 0.2, 0.4}
    assert len({s.final for s in schedules if s.family == "cosine" and s.peak == 8e-3 and s.total == 4000}) == 2
    totals = {int(row["total_steps"]) for row in scratch if row["batch_windows"] == "8"}
    assert len(totals) >= 4 and max(totals) == 8 * min(totals)
    assert len({row["batch_windows"] for row in scratch}) >= 3
    peaks = sorted({float(row["peak_lr"]) for row in scratch if row["group"] == "peaks"} | {8e-3})
    assert len(peaks) >= 5 and np.allclose(np.divide(peaks[1:], peaks[:-1]), 2)


def test_enough_runs_diverge_in_different_ways():
    diverged = [row for row in MANIFEST if row["outcome"] == "diverged"]
    assert len(diverged) >= 20
    gone = [row for row in diverged if row["final_val_loss"] in ("", "nan")]
    assert gone and len(gone) < len(diverged)


def test_continual_training_and_fine_tuning_start_from_a_run_of_the_sweep():
    children = [row for row in MANIFEST if row["parent"]]
    kinds = Counter(row["text"] for row in children)
    assert kinds["tests"] >= 12 and kinds["topics"] >= 12
    for row in children:
        parent = BY_NAME[row["parent"]]
        assert (parent["params"], parent["text"], parent["outcome"]) == (row["params"], "library", "finished")
    assert len({(row["warmup_steps"], row["peak_lr"]) for row in children if row["text"] == "tests"}) >= 4


def test_a_law_is_judged_on_runs_of_every_size():
    for design in DESIGNS.values():
        assert set(design) == {row["size"] for row in MANIFEST}
        for size, names in design.items():
            assert all((BY_NAME[name]["size"], BY_NAME[name]["outcome"]) == (size, "finished") for name in names)


def test_every_text_is_one_and_the_same_in_all_its_runs():
    digests = {(row["text"], row["corpus_sha256"], row["train_bytes"], row["heldout_bytes"]) for row in MANIFEST}
    assert len(digests) == len({row["text"] for row in MANIFEST}) == 3


def test_all_of_it_is_small():
    files = [DATA / "manifest.csv", DATA / "examples.csv", *(DATA / "runs").iterdir()]
    assert sum(path.stat().st_size for path in files) < 20_000_000


def test_the_readme_states_the_noise_floor_of_the_logs():
    runs = [run.on("val") for run in read(DATA / "manifest.csv").runs if "val" in run.series]
    floor = noise_floor(runs)
    assert sorted(len(group.runs) for group in floor.repeats) == [3] * 12 + [4] + [5] * 4
    text = (DATA / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"\*\*(\d\.\d+) %\*\* of the loss \(90 % interval (\d\.\d+) to (\d\.\d+) %", text)
    assert [float(x) for x in stated.groups()] == [round(100 * x, 2) for x in (floor.relative, *floor.interval)]


def test_runs_that_were_predicted_before_they_were_trained_count_for_nothing_else():
    apart = {row["run"] for row in MANIFEST if row["group"] == APART}
    predicted = rows_of(DATA / "uba_predictions.csv")
    assert len(apart) == 14 and {row["outcome"] for row in MANIFEST if row["run"] in apart} == {"finished"}
    assert [row["run"] for row in predicted] == [spec.name for spec in asked() for _ in ("average", "multi_power")]
    assert apart < {row["run"] for row in predicted} <= set(BY_NAME)
    assert all(float(row["low"]) < float(row["predicted"]) < float(row["high"]) for row in predicted)
    runs = read(DATA / "manifest.csv").runs
    assert not apart & {run.name for size in ("tiny", "small") for run in held_out(runs, size, ())}
    assert not apart & {name for group in sweep_groups() for name in group.runs}
