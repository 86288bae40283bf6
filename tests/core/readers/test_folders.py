"""Folders as twelve trackers leave them, three runs of 400 steps in each: every run is read, and nothing else."""

import os

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.readers import read
from tests.knowledge.folders import TRACKERS, VAL_STEPS, Tracker, val_loss
from tests.knowledge.trackers import THREE

SINGLE = 1e-6  # TensorBoard has 32 bits for a number

every = pytest.mark.parametrize("tracker", TRACKERS, ids=lambda tracker: tracker.name)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """The folder of a tracker, written once."""
    made = {}

    def folder(tracker: Tracker):
        if tracker.name not in made:
            made[tracker.name] = tmp_path_factory.mktemp("tracked")
            tracker.write(made[tracker.name])
        return made[tracker.name]

    return folder


def test_there_are_twelve():
    assert len(TRACKERS) == len({tracker.name for tracker in TRACKERS}) == 12


@every
def test_every_run_has_its_name_and_its_400_points(tracker, folder_of):
    reading = read(folder_of(tracker))
    assert sorted(run.name for run in reading.runs) == [told.name for told in THREE]
    assert reading.errors == () and not any(run.open_questions for run in reading.runs)
    runs = {run.name: run for run in reading.runs}
    for told in THREE:
        train = runs[told.name].series["train"]
        assert train.steps.tolist() == list(range(400))
        np.testing.assert_allclose(train.loss, told.loss, rtol=SINGLE)


@every
def test_validations_are_a_split_of_the_run(tracker, folder_of):
    runs = {run.name: run for run in read(folder_of(tracker)).runs}
    for told in THREE:
        ((_, val),) = ((split, series) for split, series in runs[told.name].series.items() if split != "train")
        assert val.steps.tolist() == list(VAL_STEPS)
        np.testing.assert_allclose(val.loss, [val_loss(told, step) for step in VAL_STEPS], rtol=SINGLE)


@every
def test_every_run_has_the_rates_that_it_logged(tracker, folder_of):
    runs = {run.name: run for run in read(folder_of(tracker)).runs}
    for told in THREE:
        assert runs[told.name].lr_source == "logged"
        schedule = runs[told.name].known_plan.schedule
        assert schedule.family == parse(told.schedule).family
        np.testing.assert_allclose(schedule(np.arange(400)), told.lr, rtol=SINGLE, atol=1e-12)


@pytest.mark.parametrize("tracker", [t for t in TRACKERS if t.config], ids=lambda tracker: tracker.name)
def test_size_and_batch_are_those_of_the_configuration(tracker, folder_of):
    facts = {name: facts for report in read(folder_of(tracker)).files for name, facts in report.facts.items()}
    for told in THREE:
        assert facts[told.name].params == told.config["n_params"]
        assert facts[told.name].batch_size == told.config["batch_size"]


@every
def test_the_folder_may_be_named_in_any_way(tracker, folder_of, monkeypatch):
    folder = folder_of(tracker)
    monkeypatch.chdir(folder)
    inside = [folder / name for name in sorted(os.listdir(folder))]
    for paths in ((".",), inside, reversed(inside)):
        assert sorted(run.name for run in read(*paths).runs) == [told.name for told in THREE]
