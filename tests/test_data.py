"""The runs that ship with the project: every row of the manifest has a log that says the same."""

import csv
import math
import re
from pathlib import Path

import pytest

from data.sweep import COLUMNS, read_sweep
from optlaws_core.schedules import parse

DATA = Path(__file__).parents[1] / "data"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


MANIFEST = rows_of(DATA / "manifest.csv")
each_run = pytest.mark.parametrize("row", MANIFEST, ids=[row["run"] for row in MANIFEST])


@each_run
def test_the_log_is_there_whole_and_finite(row):
    log = rows_of(DATA / row["file"])
    assert list(log[0]) == ["step", "lr", "train_loss", "val_loss", "grad_norm"]
    steps = [int(r["step"]) for r in log]
    assert steps == sorted(set(steps)) and steps[-1] == int(row["total_steps"]) - 1
    assert all(math.isfinite(float(r[c])) for r in log for c in ("train_loss", "grad_norm"))
    validated = [float(r["val_loss"]) for r in log if r["val_loss"]]
    assert len(validated) >= 10 and all(map(math.isfinite, validated))
    assert (log[-1]["train_loss"], log[-1]["val_loss"]) == (row["final_train_loss"], row["final_val_loss"])


@each_run
def test_the_logged_rate_is_the_schedule(row):
    log, schedule = rows_of(DATA / row["file"]), parse(row["schedule"])
    assert schedule.text == row["schedule"]
    assert (schedule.warmup, schedule.total) == (int(row["warmup_steps"]), int(row["total_steps"]))
    assert schedule.peak == float(row["peak_lr"])
    rates = schedule([int(r["step"]) for r in log])
    assert [float(r["lr"]) for r in log] == pytest.approx(rates.tolist(), rel=1e-12)


def test_the_manifest_is_the_sweep():
    declared = [spec.row for spec in read_sweep(DATA / "sweep.toml")]
    assert [{column: row[column] for column in declared[0]} for row in MANIFEST] == declared
    assert list(MANIFEST[0]) == COLUMNS


def test_the_runs_cover_what_laws_are_judged_on():
    finished = [row for row in MANIFEST if row["outcome"] == "finished"]
    assert len(finished) >= 16
    assert len({parse(row["schedule"]).family for row in finished}) >= 6
    horizons = {int(row["total_steps"]) for row in finished}
    assert len(horizons) >= 2 and max(horizons) >= 2 * min(horizons)
    assert len({row["params"] for row in finished}) == 1
    assert len({row["corpus_sha256"] for row in finished}) == 1


def test_the_logs_are_small():
    assert sum(path.stat().st_size for path in (DATA / "runs").iterdir()) < 2_000_000


def test_the_readme_states_the_noise_floor_of_the_logs():
    loss = {row["run"]: float(row["final_val_loss"]) for row in MANIFEST}
    stated = re.search(r"(\d\.\d+) nats per byte apart", (DATA / "README.md").read_text(encoding="utf-8"))
    assert float(stated[1]) == pytest.approx(abs(loss["cosine10_2400"] - loss["cosine10_2400_seed2"]), abs=5e-6)
