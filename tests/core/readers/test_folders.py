"""Folders as twelve trackers leave them, three runs of 400 steps in each: every run is read, and nothing else."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from optlaws_core import parse
from optlaws_core.readers import read
from optlaws_core.runs import Run
from tests.knowledge.folders import TRACKERS, VAL_STEPS, Tracker, val_loss
from tests.knowledge.trackers import THREE, Told

SINGLE = 1e-6  # TensorBoard has 32 bits for a number

every = pytest.mark.parametrize("tracker", TRACKERS, ids=lambda tracker: tracker.name)


class Tracked:
    """The folders of trackers and their readings, each made once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = cache(self._folder)
        self.reading = cache(lambda tracker: read(self.folder(tracker)))

    def _folder(self, tracker: Tracker) -> Path:
        folder = self.base / str(TRACKERS.index(tracker))
        folder.mkdir()
        tracker.write(folder)
        return folder

    def pairs(self, tracker: Tracker) -> list[tuple[Run, Told]]:
        """Each run with what must be read of it."""
        runs = {run.name: run for run in self.reading(tracker).runs}
        return [(runs[told.name], told) for told in THREE]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Tracked:
    return Tracked(tmp_path_factory.mktemp("tracked"))


def test_there_are_twelve():
    assert len(TRACKERS) == len({tracker.name for tracker in TRACKERS}) == 12


@every
def test_every_run_has_its_name_and_its_400_points(tracker, tracked):
    reading = tracked.reading(tracker)
    assert sorted(run.name for run in reading.runs) == [told.name for told in THREE]
    assert reading.errors == ()
    assert not [run.open_questions for run in reading.runs if run.open_questions]
    for run, told in tracked.pairs(tracker):
        assert run.series["train"].steps.tolist() == list(range(400))
        np.testing.assert_allclose(run.series["train"].loss, told.loss, rtol=SINGLE)


@every
def test_validations_are_a_split_of_the_run(tracker, tracked):
    for run, told in tracked.pairs(tracker):
        ((_, val),) = ((split, series) for split, series in run.series.items() if split != "train")
        assert val.steps.tolist() == list(VAL_STEPS)
        np.testing.assert_allclose(val.loss, [val_loss(told, step) for step in VAL_STEPS], rtol=SINGLE)


@every
def test_every_run_has_the_rates_that_it_logged(tracker, tracked):
    for run, told in tracked.pairs(tracker):
        assert run.lr_source == "logged"
        assert run.known_plan.schedule.family == parse(told.schedule).family
        np.testing.assert_allclose(run.known_plan.schedule(np.arange(400)), told.lr, rtol=SINGLE, atol=1e-12)


@pytest.mark.parametrize("tracker", [t for t in TRACKERS if t.config], ids=lambda tracker: tracker.name)
def test_size_and_batch_are_those_of_the_configuration(tracker, tracked):
    facts = {name: facts for report in tracked.reading(tracker).files for name, facts in report.facts.items()}
    for told in THREE:
        assert facts[told.name].params == told.config["n_params"]
        assert facts[told.name].batch_size == told.config["batch_size"]


@every
def test_the_order_of_the_paths_changes_nothing(tracker, tracked):
    inside = sorted(tracked.folder(tracker).iterdir(), reverse=True)
    assert sorted(run.name for run in read(*inside).runs) == [told.name for told in THREE]
