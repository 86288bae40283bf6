"""Work in processes: the same digits as in a thread, ended at once, and a process that dies takes nothing with it."""

import functools
import os
import time
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from optlaws_core import Selection, read, select
from optlaws_core.errors import Cancelled, DesignError, OptLawsError
from optlaws_core.final_loss import fit_table, rank_final, read_table
from optlaws_core.final_loss.final_laws import LOG_LINEAR
from optlaws_core.final_loss.table_fit import labelled_risk
from optlaws_core.hyper import read_sweep, sweep_report
from pages.parts.plan import sweep as plan_sweep
from pages.parts.server import workers
from pages.parts.state import jobs, visitor
from tests.places import ROOT
from tests.support import work
from tests.support.work import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not workers.POSSIBLE, reason="work is done in threads on this system"),
]


@pytest.fixture(scope="module")
def template():
    made = workers.Template()
    assert made.ready(PATIENCE)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _has_a_template(template, monkeypatch):
    monkeypatch.setattr(workers, "_template", template)


def goes_on(share: float, best: float | None = None, /) -> bool:
    return True


def gone(pid: int, within: float) -> bool:
    """Whether a process ends within so many seconds."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_work_is_done_in_a_process_of_its_own_that_tells_how_far_it_is():
    told = []

    def report(share: float, best: float | None = None, /) -> bool:
        told.append((share, best))
        return True

    first, second = workers.done(work.halves, report), workers.done(work.halves, goes_on)
    assert first != second and os.getpid() not in (first, second)
    assert told[0] == (0.0, None) and told[-1] == (0.5, first)
    assert gone(first, PATIENCE) and gone(second, PATIENCE)


def test_a_process_and_a_thread_find_the_same_digits(monkeypatch):
    runs = [run.on("val") for run in read(ROOT / "data" / "examples.csv").runs[:3]]
    fits = functools.partial(select, ("opt_laws_curve", "power_law"), runs, processes=1)
    there = workers.done(fits, goes_on)
    monkeypatch.setattr(workers, "_template", None)
    here = workers.done(fits, goes_on)
    assert timeless(there) == timeless(here)


def timeless(found: Selection) -> tuple:
    fits = [replace(fit, seconds=0.0) for fit in found.fits]
    return fits, found.average and found.average.weights, found.failed, found.advice


def test_work_that_asks_nobody_ends_within_a_second_of_being_cancelled():
    seen: list[float] = []

    def report(share: float, best: float | None = None, /) -> bool:
        if best is not None:
            seen.append(time.monotonic())
            report.pid = int(best)
        return best is None

    with pytest.raises(Cancelled):
        workers.done(work.never_ends, report)
    assert time.monotonic() - seen[0] < 1
    assert gone(report.pid, 1)


def test_a_process_that_dies_is_told_in_a_sentence_and_the_next_work_is_done():
    with pytest.raises(OptLawsError, match=r"^The server's process for this task was killed before it finished, most"):
        workers.done(work.dies, goes_on)
    assert workers.done(work.halves, goes_on) != os.getpid()


def test_what_work_raises_is_raised_here():
    with pytest.raises(DesignError, match=r"^One run is too few\.$"):
        workers.done(work.refuses, goes_on)
    with pytest.raises(KeyError, match="kestrel") as fault:
        workers.done(work.breaks, goes_on)
    assert any("in breaks" in note for note in fault.value.__notes__)  # for the server's log
    with pytest.raises(Cancelled):
        workers.done(work.gives_up, goes_on)
    with pytest.raises(RuntimeError, match="pickle"):
        workers.done(work.gives_a_function, goes_on)


def test_work_computes_on_one_thread():
    pools = workers.done(threads, goes_on)
    assert pools and {pool["num_threads"] for pool in pools} == {1}


def threads(progress) -> list[dict]:
    """What libraries of linear algebra say of themselves after a product of matrices."""
    import threadpoolctl

    np.ones((64, 64)) @ np.ones((64, 64))
    return threadpoolctl.threadpool_info()


def test_what_a_page_waits_for_ends_when_another_run_of_it_is_asked_for(tmp_path, monkeypatch):
    told = tmp_path / "pid"

    def give_way() -> None:
        if told.is_file() and told.read_text(encoding="utf-8").endswith("\n"):
            raise InterruptedError("another run")

    monkeypatch.setattr(visitor, "give_way", give_way)
    with pytest.raises(InterruptedError):
        jobs.awaited("", work.notes_and_sleeps, str(told))
    assert gone(int(told.read_text(encoding="utf-8")), 1)


def test_pages_wait_for_processes(monkeypatch):
    st.cache_resource.clear()
    answer, asked = workers._answer, []
    monkeypatch.setattr(workers, "_answer", lambda *given: asked.append(given) or answer(*given))
    at = AppTest.from_file(str(ROOT / "pages" / "live.py"), default_timeout=300).run()
    assert not at.exception and not at.error and len(asked) == 1


def test_what_pages_wait_for_comes_from_processes_as_it_is():
    cells = read_sweep(pd.read_csv(StringIO(plan_sweep.example())))
    runs = read_table(ROOT / "data" / "manifest.csv", sure=True)
    assert repr(jobs.awaited("", sweep_report, cells).optima) == repr(sweep_report(cells).optima)
    assert jobs.awaited("", labelled_risk, runs) == labelled_risk(runs)
    fit = jobs.awaited("", fit_table, runs, LOG_LINEAR)
    here = fit_table(runs, LOG_LINEAR)
    assert replace(fit, seconds=0.0).to_dict() == replace(here, seconds=0.0).to_dict()
    plans = [run.plan for run in runs[:3]]
    assert jobs.awaited("", rank_final, fit, plans).rows == rank_final(fit, plans).rows


def test_without_its_template_work_is_done_here_and_the_next_one_loads(monkeypatch):
    one = workers.Template()
    monkeypatch.setattr(workers, "_template", one)
    assert workers.done(work.halves, goes_on) == os.getpid()  # it still loads
    one.process.kill()
    one.process.wait()
    assert workers.done(work.halves, goes_on) == os.getpid()
    other = workers._template
    try:
        assert other is not one and other.ready(PATIENCE)
        assert workers.done(work.halves, goes_on) != os.getpid()
    finally:
        other.close()


def test_an_operator_may_have_no_template(monkeypatch):
    monkeypatch.setattr(workers, "_template", None)
    monkeypatch.setenv(workers.WORKERS, "off")
    workers.begin()
    assert workers._template is None
