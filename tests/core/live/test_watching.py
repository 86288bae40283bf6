"""Runs that are looked at again and again: what is told of them, once each, in one sentence."""

from dataclasses import replace

import numpy as np

from optlaws_core import OptLawsError, Plan, Run, Series, parse, predict
from optlaws_core.fitting.result import Fit
from optlaws_core.live import Watch, cut, forecast
from tests.fuzz.seeds import fit
from tests.knowledge.planted import PLANTED

SCHEDULE = parse("wsd(peak=3e-4, warmup=200, total=4000, decay=800, shape=linear)")
LAW: Fit = replace(
    fit("annealing"), theta=PLANTED["annealing"], misfit=0.004, left_out=0.004, free=(), covariance=(), by_peak=()
)
PLAIN = replace(LAW, misfit=None, left_out=None)  # of which nobody knows how far it is off


def made(lift: float = 0.0, since: int = 0, until: int = 10_000, every: int = 20) -> Run:
    """A run as the law has it, with little noise; between two updates its log loss is `lift` higher."""
    steps = np.arange(SCHEDULE.warmup_end, SCHEDULE.total, every)
    log = 0.002 * np.random.default_rng(1).standard_normal(len(steps)) + lift * ((steps >= since) & (steps < until))
    loss = predict(LAW, SCHEDULE, steps) * np.exp(log)
    return Run("big", Plan(SCHEDULE), {"train": Series(steps, loss)}, lr_source="declared")


def test_the_end_is_told_first_and_when_it_leaves_its_band():
    watch, run = Watch(LAW), made()
    told = forecast(LAW, cut(run, 1500))
    (first,) = watch.look(cut(run, 1500))
    band = f"(90 %: {told.low[-1]:.4g} to {told.high[-1]:.4g})"
    assert first == f"big: at step 1,500 of 4,000 the estimated final loss is {told.loss[-1]:.4g} {band}."
    assert [watch.look(cut(run, step)) for step in (1500, 1520, 1900, 2600, 3999)] == [[]] * 5

    watch, other = Watch(LAW), made(0.04, since=1600)
    assert watch.look(cut(other, 1500)) == [first]
    news = watch.look(cut(other, 2600))
    assert len(news) == 2 and "has left the band that was forecast at step 1,500" in news[0]
    assert news[1].endswith(f"; it was {told.loss[-1]:.4g} at step 1,500.")
    assert watch.look(cut(other, 2700)) == [] and watch.look(other) == []


def test_an_end_without_a_band_is_told_when_it_changes_by_a_hundredth():
    watch = Watch(PLAIN)
    assert "(90 %" not in watch.look(cut(made(), 1500))[0]
    assert watch.look(cut(made(0.008, since=1500), 2000)) == []
    (news,) = watch.look(cut(made(0.04, since=1500), 2500))
    assert "it was" in news and "band" not in news


def test_an_end_is_estimated_anew_when_the_run_has_grown(monkeypatch):
    asked = []
    monkeypatch.setattr("optlaws_core.live.watching.from_itself", lambda run: asked.append(int(run.steps[-1])) or LAW)
    watch, run = Watch(), made()
    for step in (1500, 1500, 1520, 1540, 1560, 3999):
        watch.look(cut(run, step))
    assert asked == [1500, 1540, 3980]  # 2 % later each time


def test_a_rise_is_told_once_and_so_is_its_end():
    watch, run = Watch(LAW), made(0.2, since=1600, until=2000)
    watch.look(cut(run, 1500))
    news = watch.look(cut(run, 1800))
    assert "big: the loss has risen by more than 5 % at step 1,800; the run ends diverged with a probabil" in news[0]
    assert not [said for said in watch.look(cut(run, 1900)) if "risen" in said]
    later = [said for step in (2200, 2600, 3000) for said in watch.look(cut(run, step))]
    assert len([said for said in later if "the rise of the loss is over at step" in said]) == 1


def test_another_fault_is_told_and_one_that_differs_in_its_numbers_is_not(monkeypatch):
    faults = iter(("Needs 10 losses, got 1.", "Needs 10 losses, got 12.", "No finite loss.", "No finite loss."))

    def failing(model, run):
        raise OptLawsError(next(faults))

    monkeypatch.setattr("optlaws_core.live.watching.forecast", failing)
    watch, run = Watch(LAW), made()
    assert [watch.look(cut(run, step)) for step in (1500, 1600, 1700, 1800)] == [
        ["big: no forecast at step 1,500. Needs 10 losses, got 1."],
        [],
        ["big: no forecast at step 1,700. No finite loss."],
        [],
    ]


def test_an_alarm_that_fails_leaves_the_forecast(monkeypatch):
    def failing(run):
        raise OptLawsError("No noise.")

    monkeypatch.setattr("optlaws_core.live.watching.risen", failing)
    fault, end = Watch(LAW).look(cut(made(), 1500))
    assert fault == "big: it is not known whether the loss has risen at step 1,500. No noise."
    assert "estimated final loss is" in end


def test_a_run_that_goes_back_begins_anew():
    watch, run = Watch(LAW), made()
    first = watch.look(cut(run, 1500))
    assert watch.look(cut(run, 2000)) == [] and watch.look(cut(run, 1500)) == first


def test_what_cannot_be_forecast_is_said_once_and_alarms_all_the_same():
    watch = Watch(LAW)
    early = replace(made(), plan=Plan(parse("constant(peak=3e-4, warmup=3000, total=9000)")))
    (said,) = watch.look(cut(early, 1500))
    assert said.startswith("big: no forecast at step 1,500. ") and watch.look(cut(early, 1600)) == []
    risen = replace(made(0.2, since=1600), plan=None, lr_source="missing")
    assert watch.look(cut(risen, 1900))[0].startswith("big: the loss has risen by more than 5 %")
