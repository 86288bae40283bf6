"""Which law to trust: weights, left-out runs, averages, and that held-out runs decide nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import LAWS, Average, Scores, Status, fit, parse, predict, rank, updates_for
from optlaws_core.errors import Cancelled, DesignError, FitError, OptLawsError
from optlaws_core.final_loss.loading import load_fit
from optlaws_core.fitting import selection
from optlaws_core.fitting.loss_curves import curve
from optlaws_core.fitting.selection import LARGEST_ERROR, POOL, select, stacked
from optlaws_core.runs import Plan
from tests.knowledge.planted import BROKEN, DROP, HELD_OUT, OTHER_PEAK, PLANTED, TRAINING, twin_run

pytestmark = pytest.mark.usefixtures("no_process_is_left")
WRONG_LAWS = ("power_law", "convex_bound")
MIXED = ("annealing", *WRONG_LAWS)


@pytest.fixture(scope="module")
def runs():
    """Noisy runs of the annealing law."""
    return [twin_run("annealing", text, PLANTED["annealing"], 1e-3, i) for i, text in enumerate(TRAINING)]


@pytest.fixture(scope="module")
def unseen():
    return twin_run("annealing", HELD_OUT, PLANTED["annealing"])


@pytest.fixture(scope="module")
def found(runs, unseen):
    return select(MIXED, runs, test=[unseen], processes=1)


def without_times(selected):
    """Everything in a selection but how long it took."""
    timeless = {f.law: replace(f, seconds=0.0).to_dict() for f in selected.fits}
    average = selected.average and selected.average.to_dict() | {"fits": list(timeless)}
    return json.dumps([timeless, average, selected.failed, selected.advice])


def weights(selected):
    return dict(zip((f.law for f in selected.average.fits), selected.average.weights, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["annealing", "opt_laws_curve"])
def test_the_law_behind_the_runs_gets_nearly_all_weight(law):
    theta = PLANTED[law] | ({"D": 0.0} if law == "opt_laws_curve" else {})
    noisy = [twin_run(law, text, theta, 1e-3, i) for i, text in enumerate(TRAINING)]
    chosen = select((*WRONG_LAWS, law), noisy, pool=(*WRONG_LAWS, law), processes=1)
    given = weights(chosen)
    assert min(given.values()) >= 0 and sum(given.values()) == pytest.approx(1, abs=1e-12)
    assert given[law] > 0.97 and chosen.fits[0].law == law
    assert 2 * chosen.fits[0].left_out < min(f.left_out for f in chosen.fits[1:])


def test_laws_are_ranked_by_what_to_expect_of_them(found):
    expected = [f.expected_error for f in found.fits]
    assert expected == sorted(expected) and found["power_law"].law == "power_law"
    for f in found.fits:
        assert f.expected_error == pytest.approx(np.hypot(f.misfit, f.left_out))


def test_left_out_errors_are_those_of_fits_without_the_run(runs, found):
    errors = []
    for out in runs:
        alone = fit("annealing", sorted((r for r in runs if r is not out), key=lambda r: r.name))
        errors.append(np.mean((np.log(curve(LAWS["annealing"], alone.vector, out)) - np.log(out.loss)) ** 2))
    assert found["annealing"].left_out == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-6)


@pytest.mark.slow
def test_the_order_of_runs_and_laws_does_not_matter(runs, found):
    back = select(MIXED[::-1], runs[::-1], processes=1)
    assert weights(back) == pytest.approx(weights(found), abs=1e-9)
    assert [f.law for f in back.fits] == [f.law for f in found.fits] and back.advice == found.advice
    assert [f.theta for f in back.fits] == [f.theta for f in found.fits]
    assert list(back.fits[0].train) == [r.name for r in runs[::-1]] == list(back.average.train)


@pytest.mark.slow
def test_held_out_runs_decide_nothing(runs, unseen, found):
    blind = select(MIXED, runs, processes=1)
    assert weights(blind) == weights(found) and blind.advice == found.advice
    assert [replace(f, test={}, seconds=0) for f in found.fits] == [replace(f, seconds=0) for f in blind.fits]
    assert found.average.held_out_rmse < 0.003 and blind.average.held_out_rmse is None
    unknown = unseen.declared(Plan(unseen.plan.schedule))
    both = select(["power_law", "chinchilla"], runs, test=[unknown], processes=1)
    assert not both.failed and list(both["power_law"].test) == [HELD_OUT] and both["chinchilla"].test == {}
    assert f"Not scored on {HELD_OUT!r}: This law needs the batch size" in both["chinchilla"].message
    assert both.average.test == {} and both.average.train


def test_a_law_that_lacks_something_fails_alone(runs):
    bare = [r.declared(Plan(r.plan.schedule)) for r in runs]
    chosen = select([*MIXED, "chinchilla"], bare, processes=1)
    assert list(chosen.failed) == ["chinchilla"] and "needs the batch size in tokens" in chosen.failed["chinchilla"]
    assert {f.law for f in chosen.fits} == set(MIXED)
    with pytest.raises(StopIteration):
        chosen["chinchilla"]
    with pytest.raises(FitError, match="needs the batch size in tokens of every run"):
        select(["chinchilla"], bare, processes=1)


def test_one_training_run_leaves_nothing_out(runs):
    chosen = select(MIXED, runs[:1], processes=1)
    assert {f.left_out for f in chosen.fits} == {None} and chosen.average.left_out is None
    assert chosen.advice.startswith("With one training run no law can be judged on another one: add runs. ")
    assert chosen.fits[0].expected_error == chosen.fits[0].misfit


def test_two_training_runs_are_judged_on_each_other(runs):
    chosen = select(MIXED, runs[1:], processes=1)
    assert all(f.left_out > 0 for f in chosen.fits) and "the uncertainty over 2 schedules" in chosen.advice


def test_what_cannot_be_selected_from_is_said(runs, unseen):
    with pytest.raises(DesignError, match="is given twice; a run counts once"):
        select(MIXED, [*runs, runs[0]], processes=1)
    with pytest.raises(DesignError, match="is given twice; a run counts once"):
        select(MIXED, runs, test=[unseen, unseen], processes=1)
    with pytest.raises(DesignError, match="at least one training run, got none"):
        select(MIXED, [], processes=1)
    with pytest.raises(DesignError, match="Name at least one law to fit, got none"):
        select([], runs, processes=1)
    with pytest.raises(OptLawsError, match="Unknown law 'magic'"):
        select(["magic"], runs, processes=1)
    with pytest.raises(DesignError, match="among those that are fitted .annealing, power_law, .*, got chinchilla"):
        select(MIXED, runs, pool=["chinchilla"], processes=1)
    with pytest.raises(OptLawsError, match="Unknown law 'magic'"):
        select(MIXED, runs, pool=["magic"], processes=1)
    with pytest.raises(OptLawsError, match="number of processes must be at least 1, got 0"):
        select(MIXED, runs, processes=0)


def test_progress_is_told_and_can_cancel(runs):
    told = []
    select(["power_law"], runs, processes=1, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(Cancelled):
        select(MIXED, runs, processes=1, progress=lambda share: False)


@pytest.mark.slow
def test_processes_and_a_cluster_give_the_same_bits(runs, unseen, found, cluster):
    address, _ = cluster
    for how in ({"processes": 2}, {"cluster": address}):
        assert without_times(select(MIXED, runs, test=[unseen], **how)) == without_times(found)


def test_a_law_that_explodes_on_a_left_out_run_is_bounded(runs, monkeypatch):
    """The fits to two runs are made to give losses below 0."""

    def broken(law, some, **how):
        made = fit(law, some, **how)
        return replace(made, theta=made.theta | BROKEN) if law.name == "annealing" and len(some) < 3 else made

    monkeypatch.setattr(selection, "fit", broken)
    chosen = select(MIXED, runs, processes=1)
    assert np.isfinite(chosen["annealing"].left_out) and chosen["annealing"].left_out > 0.1
    weight = dict(zip([f.law for f in chosen.average.fits], chosen.average.weights, strict=True))
    assert weight["annealing"] < 0.5  # its errors count as at most LARGEST_ERROR, which still tells against it
    assert chosen.fits[-1].law == "annealing"


def test_an_average_with_a_law_that_explodes_can_be_stored(runs, monkeypatch, tmp_path):
    def broken(law, some, **how):
        made = fit(law, some, **how)
        return replace(made, theta=made.theta | BROKEN) if law.name == "annealing" else made

    monkeypatch.setattr(selection, "fit", broken)
    chosen = select(MIXED, runs, test=[twin_run("power_law", DROP, PLANTED["power_law"])], processes=1)
    chosen.average.save(tmp_path / "average.json")
    assert load_fit(tmp_path / "average.json").test.keys() == {DROP}


def test_a_run_without_which_a_law_cannot_be_fitted_counts_as_wrong(runs, monkeypatch):
    def picky(law, some, **how):
        if law.name == "power_law" and len(some) < 3:
            raise FitError("no luck")
        return fit(law, some, **how)

    monkeypatch.setattr(selection, "fit", picky)
    chosen = select(MIXED, runs, processes=1)
    assert chosen["power_law"].left_out == LARGEST_ERROR and not chosen.failed


@pytest.mark.slow
def test_the_pool_says_what_is_averaged(runs, found):
    pooled = select(MIXED, runs, pool=["convex_bound", "power_law", "power_law"], processes=1)
    assert [f.law for f in pooled.average.fits] == ["convex_bound", "power_law"]
    assert pooled.fits[0].law == "annealing" and pooled.advice.startswith(f"Trust {LAWS['annealing'].title}: ")
    assert select(MIXED, runs, pool=[], processes=1).average is None
    with pytest.raises(DesignError, match="An average needs at least two laws, got annealing alone."):
        select(MIXED, runs, pool=["annealing", "annealing"], processes=1)
    assert [f.law for f in found.average.fits] == list(MIXED)  # none of POOL is among them
    few = select(["power_law", *POOL], runs, processes=1)
    assert [f.law for f in few.average.fits] == list(POOL)


@pytest.mark.slow
def test_advice_names_what_cannot_be_told_apart(runs):
    alike = select(["power_law", "chinchilla"], runs, pool=[], processes=1)  # one formula for one batch size
    assert "least of 2 laws; " in alike.advice and "is hardly worse." in alike.advice
    apart = select(MIXED, runs, pool=[], processes=1)
    assert apart.advice.endswith("the least of 3 laws by more than the uncertainty over 3 schedules.")
    assert apart.trusted == apart["annealing"]
    assert "Fit several laws" in select(["annealing"], runs, processes=1).advice


def test_advice_on_an_average(found, runs):
    shared = replace(found.average, weights=(0.3, 0.6, 0.1))

    def advice(average):
        return selection._advice(found.fits, average, runs, 3)

    model, better = advice(replace(shared, misfit=1e-6, left_out=1e-6))
    titles = [LAWS[n].title for n in ("power_law", "annealing", "convex_bound")]
    parts = "60 % {} and 30 % {} and 10 % {}".format(*titles)
    assert model.weights == shared.weights
    assert better.startswith(f"Trust the average of {parts}: off by <0.001 % on left-out training runs")
    assert better.endswith("above the average by more than the uncertainty over 3 schedules.")
    best = found.fits[0]
    _, equal = advice(replace(shared, misfit=best.misfit, left_out=best.left_out))
    assert equal.startswith("Trust the average") and equal.endswith("no different, as far as they show.")
    worse = advice(replace(shared, misfit=0.1, left_out=0.1))
    alone = advice(replace(found.average, weights=(0.999, 0.001, 0.0)))
    assert worse == alone and worse[0] == best and worse[1].startswith(f"Trust {titles[1]}: ")


@pytest.mark.slow
def test_runs_of_one_schedule_are_left_out_together(runs):
    """Repeats of one schedule say nothing of another, so that no law is judged by them."""
    again = [replace(r, name=f"{r.name} again") for r in runs]
    twice = select(MIXED, [*runs, *again], processes=1)
    once_each = select(MIXED, runs, processes=1)
    for law in MIXED:
        assert twice[law].left_out == pytest.approx(once_each[law].left_out, rel=0.02)
    alone = select(MIXED, [runs[0], again[0]], processes=1)
    assert all(f.left_out is None for f in alone.fits)
    assert alone.advice.startswith("With one schedule among the training runs no law can be judged on another one")
    assert "one schedule shape" in alone.advice  # what identifies little is said beside the advice


def test_a_search_that_did_not_end_is_told(found, runs):
    stopped = tuple(replace(f, status=Status.out_of_steps) for f in found.fits)
    _, said = selection._advice(stopped, None, runs, 3)
    assert f"The search stopped before it had converged: {LAWS[stopped[0].law].title}." in said


def test_weights_of_errors_done_by_hand():
    """Errors of +1 and −1 cancel; of two equal laws each gets half; a law that is right gets nearly all."""
    one, none = np.ones(4), np.zeros(4)
    assert stacked([[one], [-one]], [(), ()]) == pytest.approx([0.5, 0.5])
    assert stacked([[one], [one]], [[one], [one]]) == pytest.approx([0.5, 0.5])
    assert stacked([[none], [one]], [[none], [one]]) == pytest.approx([1, 0], abs=1e-5)
    # w₁² + 4w₂² + PULL (…) in units of the better law's square is lowest where 10.4 w₂ = 2.2.
    apart = [[np.array([0.01, 0.0])], [np.array([0.0, 0.02])]]
    assert stacked(apart, [(), ()]) == pytest.approx([8.2 / 10.4, 2.2 / 10.4], rel=1e-5)
    # A third law that is far off gets nothing, and leaves the others as they are.
    assert stacked([*apart, [np.full(2, 50.0)]], [(), (), ()])[2] < 1e-3
    assert stacked([[none], [none]], [(), ()]) == pytest.approx([0.5, 0.5])
    # A run of a thousand losses counts as one of ten.
    assert stacked([[np.ones(1000), np.zeros(10)], [np.zeros(1000), np.ones(10)]], [(), ()]) == pytest.approx([0.5] * 2)


def test_an_average_is_the_weighted_mean_of_logs(runs, unseen, found):
    average = found.average
    for run in (*runs, unseen):
        logs = [np.log(curve(LAWS[f.law], f.vector, run)) for f in average.fits]
        same = Scores.of(run.loss, np.exp(np.array(average.weights) @ logs))
        scores = (average.train | average.test)[run.name]
        assert scores.rmse == pytest.approx(same.rmse) and scores.worst_rel == pytest.approx(same.worst_rel)
    schedule, steps = parse(OTHER_PEAK), [500, 2000, 2999]
    parts = [np.log(predict(f, schedule, steps)) for f in average.fits]
    np.testing.assert_allclose(predict(average, schedule, steps), np.exp(np.array(average.weights) @ parts), rtol=1e-13)
    assert (average.coverage, average.split, average.from_step) == (average.fits[0].coverage, "train", None)
    assert average.seconds == pytest.approx(sum(f.seconds for f in average.fits))


def test_an_average_ranks_and_shortens(found):
    schedules = [parse(text) for text in (*TRAINING[:2], HELD_OUT)]
    rows = rank(found.average, schedules)
    assert [r.final_loss for r in rows] == sorted(float(predict(found.average, s)[0]) for s in schedules)
    best = rows[0].schedule
    needed = updates_for(found.average, best, rows[-1].final_loss)
    assert predict(found.average, best.rescaled(needed))[0] <= rows[-1].final_loss and needed < best.total


def test_an_average_reads_back_as_it_was_written(found, tmp_path):
    out = tmp_path / "average.json"
    found.average.save(out)
    assert load_fit(out) == found.average == Average.from_dict(found.average.to_dict())


@pytest.mark.parametrize(
    "change, said",
    [
        ({"weights": [0.5, 0.5, 0.5]}, "needs a weight of 0 or more for every fit, of sum 1"),
        ({"weights": [1.5, -0.5, 0.0]}, "needs a weight of 0 or more for every fit, of sum 1"),
        ({"weights": [1.0]}, "needs a weight of 0 or more for every fit, of sum 1"),
        ({"weights": [float("nan"), 0.5, 0.5]}, "weights must be a finite number"),
        ({"weights": 1}, "This is not an average: a value in it"),
        ({"fits": []}, "needs a weight of 0 or more for every fit, of sum 1"),
        ({"fits": {"a": 1}}, "This is not a"),
        ({"fits": None}, "This is not an average"),
        ({"train": [1]}, "This is not an average"),
        ({"misfit": None}, "misfit must be a finite number"),
        ({"misfit": -1.0}, "misfit must be 0 or more, got -1.0"),
        ({"left_out": "x"}, "left_out must be a finite number"),
    ],
)
def test_what_is_not_an_average_is_refused(found, tmp_path, change, said):
    (tmp_path / "average.json").write_text(json.dumps(found.average.to_dict() | change))
    with pytest.raises(OptLawsError, match=said):
        load_fit(tmp_path / "average.json")


@pytest.mark.parametrize("key", ["fits", "train", "test", "misfit"])
def test_an_average_that_lacks_something_is_refused(found, tmp_path, key):
    whole = found.average.to_dict()
    del whole[key]
    (tmp_path / "average.json").write_text(json.dumps(whole))
    with pytest.raises(OptLawsError, match=f"This is not an average: '{key}' is missing"):
        load_fit(tmp_path / "average.json")
