"""Logs as tools of today leave them are read right: the corpus, which `tests/corpus/make.py` made by running each."""

import csv
import gzip
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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
    "tensorboard_csv": 1e-7,
    "tensorboard_json": 1e-7,
    "keras": 1e-7,
    "lightning_tensorboard": 1e-7,
    "transformers_tensorboard": 1e-7,
    "transformers_stdout": 5e-4,
    "litgpt_stdout": 2e-4,
    "mmengine": 5e-5,
    "olmo_core": 5e-4,
    "torchtitan": 5e-5,
}


# Tools that count updates from 1, so that the rate of the first one, with index 0, stands at step 1.
BEHIND = ("mmengine", "mmengine_json", "transformers", "transformers_stdout", "transformers_tensorboard")


@cache
def truths() -> dict[str, dict[str, dict[str, str]]]:
    """Folder of the corpus -> name of a run in it -> the row of the table of truths."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    with (CORPUS / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["folder"], {})[row["run"]] = row
    return found


def near(folder: str, least: float = 1e-12) -> float:
    """How far a number of that folder may be from the truth, relatively."""
    return max(DIGITS.get(folder, 0), least)


def fields_of(schedule: Schedule) -> dict[str, float]:
    """The numbers that a schedule is made of."""
    return {name: value for name, value in vars(schedule).items() if isinstance(value, int | float)}


class Corpus:
    """The folders of the corpus with packed files unpacked, and their readings, each made once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.reading = cache(self._reading)

    def folder(self, name: str) -> Path:
        """Where the logs of a tool lie."""
        made = self.base / name
        if not made.exists():
            shutil.copytree(CORPUS / name, made)
            for packed in made.rglob("*.gz"):
                packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
                packed.unlink()
        return made

    def _reading(self, name: str) -> Reading:
        said = [row["answer"].partition("=") for row in truths()[name].values() if row["answer"]]
        return read(self.folder(name), answers={question: answer for question, _, answer in said})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


def pairs(folder: str, reading: Reading) -> Iterator[tuple[Run, dict[str, str]]]:
    """Each run that must be in a folder, and its row of the table of truths."""
    runs = {run.name: run for run in reading.runs}
    for name, truth in truths()[folder].items():
        assert name in runs, f"{name} is not among {', '.join(runs) or 'no runs'}; {reading.errors}"
        yield runs[name], truth


RATED = [folder for folder, runs in truths().items() if all(row["first_rate"] for row in runs.values())]
folders = pytest.mark.parametrize("folder", sorted(truths()))
rated = pytest.mark.parametrize("folder", sorted(RATED))


@folders
def test_every_run_is_there_under_its_name_and_nothing_else(folder, corpus):
    reading = corpus.reading(folder)
    assert sorted(run.name for run in reading.runs) == sorted(truths()[folder])
    assert reading.errors == ()


@folders
def test_every_curve_is_read_as_it_was_logged(folder, corpus):
    for run, truth in pairs(folder, corpus.reading(folder)):
        steps, loss = run.series["train"].steps, run.series["train"].loss
        assert (len(steps), steps[0], steps[-1]) == tuple(int(truth[k]) for k in ("points", "first_step", "last_step"))
        ends = [float(truth["first_loss"]), float(truth["last_loss"])]
        np.testing.assert_allclose(loss[[0, -1]], ends, rtol=near(folder))


@folders
def test_every_validation_loss_is_a_split_of_its_own(folder, corpus):
    for run, truth in pairs(folder, corpus.reading(folder)):
        others = [series for split, series in run.series.items() if split != "train"]
        assert len(others) == bool(truth["val_points"])
        for series in others:
            assert (len(series), series.steps[-1]) == (int(truth["val_points"]), int(truth["last_val_step"]))
            assert series.loss[-1] == pytest.approx(float(truth["last_val_loss"]), rel=near(folder))


@folders
def test_what_a_log_does_not_say_is_asked_for(folder, corpus):
    """Without the answers of the table, those logs give nothing, or something that hangs on an open question."""
    plain = read(corpus.folder(folder))
    answered = [row["answer"].partition(":")[0] for row in truths()[folder].values() if row["answer"]]
    asked = [report.file for report in plain.files if report.questions]
    assert len(asked) == len(answered) and all(file.endswith(tuple(answered)) for file in asked)
    assert all(run.open_questions for report in plain.files if report.questions for run in report.runs)


@rated
def test_every_rate_is_read_as_it_was_logged(folder, corpus):
    for run, truth in pairs(folder, corpus.reading(folder)):
        assert run.lr_source == "logged"
        steps = np.array([int(truth["first_step"]), int(truth["last_step"])])
        # Some tools log, with the step that is over, the rate that its update had.
        ends = run.known_plan.schedule(steps - (folder in BEHIND))
        logged = [float(truth["first_rate"]), float(truth["last_rate"])]
        np.testing.assert_allclose(ends, logged, rtol=near(folder, 1e-9), atol=1e-11)


@rated
def test_the_schedule_behind_the_rates_is_recognised(folder, corpus):
    for run, truth in pairs(folder, corpus.reading(folder)):
        if not truth["schedule"]:
            continue
        found, true = run.known_plan.schedule, parse(truth["schedule"])
        assert found.family == true.family
        for name, value in fields_of(true).items():
            assert fields_of(found)[name] == pytest.approx(value, rel=near(folder, 1e-9), abs=1e-12), name


@pytest.mark.parametrize("folder", sorted({*truths()} - {*RATED}))
def test_no_rate_is_taken_from_a_log_that_has_none_or_prints_too_few_digits(folder, corpus):
    assert {run.lr_source for run, _ in pairs(folder, corpus.reading(folder))} == {"missing"}


@folders
def test_size_and_batch_come_from_the_configuration_that_the_tool_keeps(folder, corpus):
    reading = corpus.reading(folder)
    facts = {name: facts for report in reading.files for name, facts in report.facts.items()}
    for run, truth in pairs(folder, reading):
        if truth["params"]:
            assert facts[run.name].params == float(truth["params"])
        if truth["batch_size"]:
            assert facts[run.name].batch_size == float(truth["batch_size"])


def test_the_corpus_is_small_and_every_folder_of_it_has_a_truth():
    made = [path for path in CORPUS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(CORPUS).parts[0] for path in made} == {*truths(), "truth.csv", "make.py"}
    assert sum(path.stat().st_size for path in made) < 330_000
