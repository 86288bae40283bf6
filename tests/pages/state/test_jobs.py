"""Jobs in the background: what they report, how they end, and that nobody's work goes on for nobody."""

import gc
import threading
import weakref

import pytest

from optlaws_core.errors import Cancelled, OptLawsError
from pages.parts.server import turns
from pages.parts.server.turns import Turns, Wait
from pages.parts.state import jobs, visitor
from pages.parts.state.jobs import Job, Progress

PATIENCE = 60  # seconds on a busy machine


class Held:
    """Work that reports, waits for a word, and reports again."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self, progress) -> str:
        assert progress(0.25, 3.5)
        self.began.set()
        self.go_on.wait(PATIENCE)
        if not progress(0.5):
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
    job = Job.start("", lambda progress: progress(0.1, float("inf")))
    assert job.future.result(PATIENCE) and job.progress == Progress(0.1, None)


def test_a_cancelled_job_has_no_result_and_its_work_is_asked_to_end():
    work = Held()
    job = Job.start("", work)
    assert work.began.wait(PATIENCE)
    job.cancel()
    assert job.result() is None
    work.go_on.set()
    assert isinstance(job.future.exception(PATIENCE), Cancelled) and job.progress.share == 0.25


def test_a_result_that_nobody_takes_is_let_go_of_after_a_while():
    class Large:
        pass

    made: list[weakref.ref[Large]] = []
    left = threading.Event()

    def work(progress) -> Large:
        large = Large()
        made.append(weakref.ref(large, lambda _: left.set()))
        return large

    job = Job.start("", work, apart=False)
    job.drop_after(0.0, "It was let go of.")
    assert left.wait(PATIENCE) and made[0]() is None and not job.running
    with pytest.raises(OptLawsError, match=r"^It was let go of\.$"):
        job.result()


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
    def fails(progress):
        raise OptLawsError("No such law.")

    job = Job.start("", fails)
    with pytest.raises(OptLawsError, match="No such law"):
        job.result()


@pytest.fixture
def one_place(monkeypatch):
    monkeypatch.setattr(jobs, "turns", Turns(places=1, own=1))


def test_a_job_says_what_it_waits_for_and_begins_after_it(one_place, monkeypatch):
    first, second = Held(), Held()
    running = Job.start("", first)
    monkeypatch.setattr(visitor, "key", lambda: "somebody else")
    waits = Job.start("", second)
    assert first.began.wait(PATIENCE) and running.waits == ""
    assert waits.running and waits.waits == "Waits for another fit or search on this server to end"
    first.go_on.set()
    assert second.began.wait(PATIENCE) and waits.waits == ""
    second.go_on.set()
    assert waits.future.result(PATIENCE) == "done"


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (Wait(3, 0), "Waits for 3 other fits or searches on this server to end"),
        (Wait(0, 1), "Waits for another fit or search of yours to end"),
        (Wait(0, 2), "Waits for 2 other fits or searches of yours to end"),
    ],
)
def test_what_a_job_waits_for_is_told_in_words(wait, said):
    assert jobs.waiting(wait) == said


def test_a_job_that_is_cancelled_while_it_waits_never_begins(one_place):
    first, second = Held(), Held()
    running, waits = Job.start("", first), Job.start("", second)
    waits.cancel()
    assert not waits.running and waits.result() is None and waits.waits == ""
    first.go_on.set()
    assert running.future.result(PATIENCE) == "done" and not second.began.is_set()


@pytest.mark.parametrize("waits", [False, True])
def test_a_job_ends_some_time_after_its_tab_was_closed_and_says_so_if_it_comes_back(one_place, monkeypatch, waits):
    monkeypatch.setattr(turns, "AWAY", 0.2)
    monkeypatch.setattr(turns, "EVERY", 0.02)
    closed: set[str] = set()
    monkeypatch.setattr(visitor, "connected", lambda tab: tab not in closed)
    before, work = Held(), Held()
    monkeypatch.setattr(visitor, "tab", lambda: "one")
    other = Job.start("", before) if waits else None
    monkeypatch.setattr(visitor, "tab", lambda: "two")
    job = Job.start("", work)
    assert (before if waits else work).began.wait(PATIENCE)
    closed.add("two")
    while not job.lost:
        threading.Event().wait(0.01)
    work.go_on.set()
    assert isinstance(job.future.exception(PATIENCE), Cancelled) and work.began.is_set() is not waits
    with pytest.raises(OptLawsError, match=r"^The connection to this tab was lost for more than 10 s, so its"):
        job.result()
    before.go_on.set()
    assert other is None or other.future.result(PATIENCE) == "done"
