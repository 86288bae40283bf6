"""Jobs in the background: what they report, how they end, and that nobody's work goes on for nobody."""

import gc
import threading

import pytest

from optlaws_core.errors import Cancelled, OptLawsError
from pages.parts.state.jobs import Job, Progress

PATIENCE = 60  # seconds on a busy machine


class Held:
    """Work that reports, waits for a word, and reports again."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self, report) -> str:
        assert report(0.25, 3.5)
        self.began.set()
        self.go_on.wait(PATIENCE)
        if not report(0.5):
            raise Cancelled
        return "done"


def test_a_job_tells_its_share_and_its_best():
    work = Held()
    job = Job.start("A title", work)
    assert work.began.wait(PATIENCE) and job.running
    assert job.progress == Progress(0.25, 3.5)
    work.go_on.set()
    assert job.future.result(PATIENCE) == job.result() == "done"
    assert not job.running and job.progress == Progress(0.5, None)


def test_an_objective_that_is_not_finite_is_none_yet():
    job = Job.start("", lambda report: report(0.1, float("inf")))
    assert job.future.result(PATIENCE) and job.progress == Progress(0.1, None)


def test_a_cancelled_job_has_no_result_and_its_work_is_asked_to_end():
    work = Held()
    job = Job.start("", work)
    assert work.began.wait(PATIENCE)
    job.cancel()
    assert job.result() is None
    work.go_on.set()
    assert isinstance(job.future.exception(PATIENCE), Cancelled) and job.progress.share == 0.25


def test_work_ends_once_nobody_holds_its_job():
    work = Held()
    job = Job.start("", work)
    future = job.future
    assert work.began.wait(PATIENCE)
    del job
    gc.collect()
    work.go_on.set()
    assert isinstance(future.exception(PATIENCE), Cancelled)


def test_what_the_work_raises_comes_out_of_the_result():
    def fails(report):
        raise OptLawsError("No such law.")

    job = Job.start("", fails)
    with pytest.raises(OptLawsError, match="No such law"):
        job.result()
