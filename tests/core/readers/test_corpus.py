"""Logs as tools of today leave them are read right: the corpus, which `tests/corpus/make.py` made by running each."""

import csv
import gzip
import shutil
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from optlaws_core.readers import Reading, read
from optlaws_core.runs import Run
from optlaws_core.schedules import Schedule, parse
from tests.places import ROOT

CORPUS = ROOT / "tests" / "corpus"

# Folder -> how far a number may be from the truth, relatively, by how the tool writes it. All others write all digits.
DIGITS = {
    "tensorboard": 1e-7,
    "tensorboard_add_scalars": 1e-7,
    "tensorboard_download": 1e-7,
    "lightning_tensorboard": 1e-7,
    "transformers_tensorboard": 1e-7,
    "transformers_stdout": 5e-4,
}


@cache
def truths() -> dict[str, dict[str, dict[str, str]]]:
    """Folder of the corpus -> name of a run in it -> the row of the table of truths."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    with (CORPUS / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["folder"], {})[row["run"]] = row
    return found


def near(folder: str) -> float:
    """How far a number of that folder may be from the truth, relatively."""
    return DIGITS.get(folder, 1e-12)


def fields_of(schedule: Schedule) -> dict[str, float]:
    """The numbers that a schedule is made of."""
    return {name: value for name, value in vars(schedule).items() if isinstance(value, int | float)}


@pytest.fixture(scope="module")
def reading_of(tmp_path_factory):
    """The reading of a folder of the corpus, its packed databases unpacked; read once."""
    base = tmp_path_factory.mktemp("corpus")

    @cache
    def reading(folder: str) -> Reading:
        shutil.copytree(CORPUS / folder, base / folder)
        for packed in (base / folder).rglob("*.gz"):
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
            packed.unlink()
        return read(base / folder)

    return reading


def pairs(folder: str, reading: Reading) -> Iterator[tuple[Run, dict[str, str]]]:
    """Each run that must be in a folder, and its row of the table of truths."""
    runs = {run.name: run for run in reading.runs}
    for name, truth in truths()[folder].items():
        assert name in runs, f"{name} is not among {', '.join(runs) or 'no runs'}; {reading.errors}"
        yield runs[name], truth


folders = pytest.mark.parametrize("folder", sorted(truths()))


@folders
def test_every_run_is_there_under_its_name_and_nothing_else(folder, reading_of):
    reading = reading_of(folder)
    assert sorted(run.name for run in reading.runs) == sorted(truths()[folder])
    assert reading.errors == ()


@folders
def test_every_curve_is_read_as_it_was_logged(folder, reading_of):
    for run, truth in pairs(folder, reading_of(folder)):
        steps, loss = run.series["train"].steps, run.series["train"].loss
        assert (len(steps), steps[0], steps[-1]) == tuple(int(truth[k]) for k in ("points", "first_step", "last_step"))
        ends = [float(truth["first_loss"]), float(truth["last_loss"])]
        np.testing.assert_allclose(loss[[0, -1]], ends, rtol=near(folder))


@folders
def test_every_validation_loss_is_a_split_of_its_own(folder, reading_of):
    for run, truth in pairs(folder, reading_of(folder)):
        others = [series for split, series in run.series.items() if split != "train"]
        assert len(others) == bool(truth["val_points"])
        for series in others:
            assert (len(series), series.steps[-1]) == (int(truth["val_points"]), int(truth["last_val_step"]))
            assert series.loss[-1] == pytest.approx(float(truth["last_val_loss"]), rel=near(folder))


@folders
def test_every_rate_is_read_as_it_was_logged(folder, reading_of):
    for run, truth in pairs(folder, reading_of(folder)):
        assert run.lr_source == "logged"
        rates = run.known_plan.schedule(np.array([int(truth["first_step"]), int(truth["last_step"])]))
        logged = [float(truth["first_rate"]), float(truth["last_rate"])]
        np.testing.assert_allclose(rates, logged, rtol=near(folder), atol=1e-12)


@folders
def test_the_schedule_behind_the_rates_is_recognised(folder, reading_of):
    for run, truth in pairs(folder, reading_of(folder)):
        assert run.known_plan.schedule.family == parse(truth["schedule"]).family
        for name, value in fields_of(parse(truth["schedule"])).items():
            # Some tools log the rate of the update before the step that stands beside it.
            most = 1 if name in ("warmup", "total", "decay") else max(near(folder), 1e-9) * 2 * abs(value)
            assert fields_of(run.known_plan.schedule)[name] == pytest.approx(value, abs=most + 1e-12), name


@folders
def test_size_and_batch_come_from_the_configuration_that_the_tool_keeps(folder, reading_of):
    reading = reading_of(folder)
    facts = {name: facts for report in reading.files for name, facts in report.facts.items()}
    for run, truth in pairs(folder, reading):
        if truth["params"]:
            assert facts[run.name].params == float(truth["params"])
        if truth["batch_size"]:
            assert facts[run.name].batch_size == float(truth["batch_size"])


def test_the_corpus_is_small_and_every_folder_of_it_has_a_truth():
    made = [path for path in CORPUS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(CORPUS).parts[0] for path in made} == {*truths(), "truth.csv", "make.py"}
    assert sum(path.stat().st_size for path in made) < 400_000
