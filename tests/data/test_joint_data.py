"""The shipped runs with more than a schedule of the rate: two halves, and logs that say what was declared."""

import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.sweep import COLUMNS, JOINT_COLUMNS, LOG_EVERY, RunSpec, read_sweep
from optlaws_core.schedules import parse
from optlaws_core.schedules.part_texts import parse_average, parse_batch
from tests.data.test_data import DATA, rows_of

FIRST, AHEAD = (read_sweep(DATA / f"{name}.toml") for name in ("joint", "joint_ahead"))
SPECS = {spec.name: spec for spec in FIRST + AHEAD}
MADE = rows_of(DATA / "joint" / "manifest.csv")
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
each_run = pytest.mark.parametrize("row", MADE, ids=[row["run"] for row in MADE])


def test_the_two_halves_share_no_run_and_are_told_apart_by_their_groups():
    assert len(SPECS) == len(FIRST) + len(AHEAD) >= 124
    assert [spec.name for spec in FIRST if spec.group.endswith("_ahead")] == []
    assert {f"{spec.group}_ahead" for spec in FIRST} == {spec.group for spec in AHEAD}


def test_the_readme_counts_the_declared_runs():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    stated = {group: (int(n), int(ahead)) for group, n, ahead in re.findall(r"\| (\w+) \| (\d+) \| (\d+) \|", text)}
    first, ahead = (Counter(spec.group.removesuffix("_ahead") for spec in half) for half in (FIRST, AHEAD))
    assert stated == {group: (first[group], ahead[group]) for group in first}


def changes(spec: RunSpec) -> list[int]:
    """Updates at which something else than the rate jumps, or begins to change with a ramp of the batch."""
    courses = [c for c in (spec.batch_schedule, spec.context_schedule) if c is not None]
    return [*([spec.switch] if spec.switch else []), *(int(start) for c in courses for start in c.starts[1:])]


@each_spec
def test_runs_are_comparable(spec):
    assert (spec.seed in (1, 2, 3), spec.text, spec.schedule.warmup) == (True, "library", 200)
    assert spec.batch_tokens == 1024 and all(update >= 500 for update in changes(spec))
    assert min(abs(spec.tokens / whole - 1) for whole in (1_024_000, 2_048_000, 4_096_000)) < 2e-3


def test_the_core_reads_batches_and_averages_as_the_manifest_has_them():
    batches = [spec for spec in SPECS.values() if spec.tokens_schedule]
    assert {spec.batch_schedule.kind for spec in batches} == {"steps", "ramp"}
    for spec in batches:
        sizes = parse_batch(spec.tokens_schedule)(np.arange(spec.schedule.total))
        np.testing.assert_allclose(sizes, spec.windows * spec.contexts, rtol=0, atol=spec.size.context / 2)
    averages = {readout.text for spec in SPECS.values() for readout in spec.averages}
    assert averages == {parse_average(text).text for text in averages} and len(averages) == 5


@each_run
def test_the_log_is_what_was_declared_and_ends_as_the_manifest_says(row):
    spec = SPECS[row["run"]]
    assert {column: row[column] for column in spec.row} == spec.row
    table = pq.read_table(DATA / "joint" / row["file"])
    log = {name: table[name].to_numpy() for name in table.column_names}
    second = ["val_loss_then"] * bool(spec.then_text) + [readout.column for readout in spec.averages]
    counts = ["tokens", "batch_tokens"] * spec.joint
    assert list(log) == ["step", "lr", "train_loss", "val_loss", "grad_norm", *second, *counts]
    total, steps = spec.schedule.total, log["step"]
    whole = [*range(LOG_EVERY - 1, total - 1, LOG_EVERY), total - 1]
    assert steps.tolist() == whole[: len(steps)] and (len(steps) == len(whole) or row["outcome"] == "diverged")
    np.testing.assert_allclose(log["lr"], parse(row["schedule"])(steps), rtol=1e-12, atol=1e-15 * spec.schedule.peak)
    if spec.joint:
        each = spec.windows * spec.contexts
        assert log["batch_tokens"].tolist() == each[steps].tolist()
        assert log["tokens"].tolist() == np.cumsum(each)[steps].tolist()
    for column in ("train_loss", "val_loss"):
        assert f"{log[column][-1]:.5f}" == row[f"final_{column}"] or row["outcome"] == "diverged"
    for column in second:
        assert np.array_equal(np.isfinite(log[column]), np.isfinite(log["val_loss"])) or row["outcome"] == "diverged"


def test_the_manifest_has_the_logs_and_nothing_else():
    assert list(MADE[0]) == COLUMNS + JOINT_COLUMNS
    assert {path.name for path in (DATA / "joint" / "runs").iterdir()} == {row["file"].split("/")[-1] for row in MADE}
    digests = {(row["text"], row["corpus_sha256"]) for row in MADE}
    digests |= {(row["then_text"], row["then_corpus_sha256"]) for row in MADE if row["then_text"]}
    assert len(digests) == len(dict(digests))
    main = {(row["text"], row["corpus_sha256"]) for row in rows_of(DATA / "manifest.csv")}
    assert digests <= main  # the texts of the other runs


def test_predictions_are_of_runs_of_the_second_half():
    predicted = rows_of(DATA / "joint_predictions.csv")
    ahead = {spec.name: spec for spec in AHEAD}
    assert {row["run"] for row in predicted} <= set(ahead) and len({row["run"] for row in predicted}) > len(ahead) / 2
    assert {row["readout"] for row in predicted if row["run"].endswith("_averages")} == {
        "",
        *(readout.text for readout in ahead["tiny_cosine10_2000_8e-3_averages"].averages),
    }
    assert len({(row["run"], row["readout"], row["kind"], row["model"]) for row in predicted}) == len(predicted)
    banded = [row for row in predicted if row["low"]]
    assert banded and all(float(row["low"]) < float(row["predicted"]) < float(row["high"]) for row in banded)
