"""Fits as records: scores, coverage, the way to a file and back, and files that hold none."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core.errors import OptLawsError
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting.result import Coverage, Fit, Scores, Status
from optlaws_core.fitting.single import fit
from optlaws_core.laws import LAWS
from optlaws_core.runs import Run, Series
from tests.fuzz import seeds
from tests.knowledge.planted import OTHER_PEAK, PLANTED, TRAINING, twin_run
from tests.knowledge.twins import BATCH_TOKENS, PARAMS


def test_scores_on_numbers_done_by_hand():
    s = Scores.of(np.array([2.0, 4.0]), np.array([2.2, 3.9]))
    assert (s.n, s.mae, s.mean_rel, s.worst_rel) == (2, pytest.approx(0.15), pytest.approx(0.0625), pytest.approx(0.1))
    assert s.rmse == pytest.approx(0.025**0.5) and s.r2 == pytest.approx(1 - 0.05 / 2)


def test_equal_losses_have_no_r2(tmp_path):
    run = twin_run("power_law", TRAINING[0], PLANTED["power_law"])
    flat = Run("flat", run.plan, {"train": Series(run.steps, np.full(len(run.steps), 3.0))}, lr_source="declared")
    found = fit("power_law", [run], test=[flat])
    found.save(tmp_path / "fit.json")
    assert load_fit(tmp_path / "fit.json").test["flat"].r2 is None


def test_coverage_is_what_was_observed():
    runs = [twin_run("power_law", t, PLANTED["power_law"]) for t in (TRAINING[0], OTHER_PEAK)]
    sizes, batches = (PARAMS, PARAMS), (BATCH_TOKENS, BATCH_TOKENS)
    assert Coverage.of(runs) == Coverage((3e-4, 6e-4), (3000, 4000), sizes, batches, (200, 200), (0, 0))
    unfinished = Run("x", runs[0].plan, {"train": Series([500, 600, 700], [3.0, 2.9, 2.8])}, lr_source="declared")
    assert Coverage.of([unfinished]).total == (800, 800)


def test_a_fit_reads_back_as_it_was_written(tmp_path):
    runs = [twin_run("annealing", text, PLANTED["annealing"], 1e-3) for text in TRAINING]
    found = fit("annealing", runs[:2], test=runs[2:], locked={"lam": 0.99})
    found.save(tmp_path / "fit.json")
    assert load_fit(tmp_path / "fit.json") == found
    keys = list(json.loads((tmp_path / "fit.json").read_text()))
    assert keys[:9] == ["law", "theta", "interval", "status", "message", "objective", "train", "test", "seconds"]


def test_a_fit_from_before_the_law_knew_of_sizes_reads_as_one_without():
    whole = fit("annealing", [twin_run("annealing", t, PLANTED["annealing"], 1e-3) for t in TRAINING]).to_dict()
    for part in ("theta", "interval"):
        whole[part] = {n: v for n, v in whole[part].items() if n not in ("B", "beta")}
    assert Fit.from_dict(whole).theta == whole["theta"] | {"B": 0.0, "beta": 0.34}


@pytest.mark.parametrize(
    "content, found",
    [
        ("", "a fit is a JSON file"),
        ("[1]", "This is not a fit"),
        ('{"law": "power_law"}', "This is not a fit"),
        ('{"law": "magic"}', "Unknown law 'magic'"),
        ("[" * 100_000, "a fit is a JSON file"),
    ],
)
def test_what_is_not_a_fit_is_refused(tmp_path, content, found):
    (tmp_path / "fit.json").write_text(content)
    with pytest.raises(OptLawsError, match=found):
        load_fit(tmp_path / "fit.json")
    with pytest.raises(OptLawsError, match="there is no such file"):
        load_fit(tmp_path / "none.json")


@pytest.mark.parametrize(
    "path, value, found",
    [
        (("theta", "A"), "1.5", "theta.A must be a finite number, got '1.5'"),
        (("theta", "A"), True, "theta.A must be a finite number"),
        (("theta", "A"), float("nan"), "theta.A must be a finite number, got 'nan'"),
        (("theta", "A"), 10**400, "theta.A must be a finite number"),
        (("interval", "A"), ["x", "y"], "interval.A must be a finite number"),
        (("interval", "A"), [2.0, 1.0], "interval.A must hold the lower number first"),
        (("objective",), "x", "objective must be a finite number"),
        (("seconds",), "x", "seconds must be a finite number"),
        (("coverage", "peak"), [3e-4], "coverage.peak must be two numbers"),
        (("coverage", "total"), "ab", "coverage.total must be two numbers"),
        (("status",), "fine", "This is not a fit"),
    ],
)
def test_a_tampered_fit_is_refused(path, value, found):
    whole = fit("power_law", [twin_run("power_law", TRAINING[0], PLANTED["power_law"], 1e-3)]).to_dict()
    part = whole
    for key in path[:-1]:
        part[key] = dict(part[key])
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(OptLawsError, match=found):
        Fit.from_dict(whole)


def test_a_fit_and_an_average_answer_alike():
    fit, average = seeds.fit(), seeds.average()
    assert fit.parts == ((fit, 1.0),) and fit.single is fit and average.single is None
    assert [w for _, w in average.parts] == [0.25, 0.75] and average.coverage == fit.coverage
    assert fit.has_bands and average.has_bands and not replace(fit, free=(), covariance=()).has_bands
    assert fit.doubts == average.doubts == []
    weak = replace(fit, status=Status.weak)
    assert weak.doubts == [f"{LAWS['power_law'].title}: {Status.weak.value}"]
    assert replace(average, fits=(weak, average.fits[1])).doubts == weak.doubts
    assert replace(average, fits=(weak, average.fits[1]), weights=(0.0, 1.0)).doubts == []


@pytest.mark.parametrize("model", [seeds.fit(), seeds.average()], ids=lambda m: m.title)
def test_names_of_runs_and_splits_change_everywhere(model):
    found = model.renamed(lambda name: name + "!", lambda split: split + "?")
    for m in (found, *(f for f, _ in found.parts)):
        assert list(m.train) == list(m.test) == ["a!", "b!"] and m.split == "train?"
    assert found.renamed(lambda name: name[:-1], lambda split: split[:-1]) == model
    tuned = model.map_fits(lambda f: replace(f, status=Status.tuned))
    assert {f.status for f, _ in tuned.parts} == {Status.tuned} and tuned.train == model.train
