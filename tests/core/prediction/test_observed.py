"""Candidates that were really run show what was observed."""

from dataclasses import replace

import numpy as np
import pytest

from optlaws_core import Plan, Run, parse
from optlaws_core.prediction.evidence import endings
from optlaws_core.prediction.losses import predict, sized
from optlaws_core.prediction.observed import final_steps, observed
from optlaws_core.runs import Series
from optlaws_core.saved import thinned
from tests.core.prediction.test_losses import SHAPES, made

COSINE = "cosine(peak=1e-3, warmup=10, total=1000, final=1e-4)"
MODEL = made()


def ran(text, name="run", end=2.0, split="train", upto=None, params=None, batch=None):
    """A run whose losses fall to `end`, logged up to a step."""
    plan = Plan(parse(text), params, batch)
    steps = np.arange(1, upto or plan.schedule.total)
    loss = end + 1e-3 * (plan.schedule.total - steps)
    return Run(name, plan, {split: Series(steps, loss)}, split, "declared")


def test_a_candidate_that_was_run_shows_its_final_loss():
    found = observed(MODEL, [parse(COSINE), parse("constant(peak=1e-3, warmup=10, total=1000)")], [ran(COSINE)])
    assert found[1] is None and found[0].runs == ("run",)
    assert found[0].loss == pytest.approx(2.0 + 1e-3 * 5.5)  # mean of the losses from update 990 on


def test_repeats_are_averaged():
    found = observed(MODEL, [parse(COSINE)], [ran(COSINE, "a", 2.0), ran(COSINE, "b", 2.2)])
    assert found[0].runs == ("a", "b") and found[0].loss == pytest.approx(2.1055)


def test_rates_decide_and_not_how_they_are_written():
    written, knots = SHAPES[3], SHAPES[6]  # a WSD, and the same as knots
    assert parse(written) != parse(knots)
    assert observed(MODEL, [parse(knots)], [ran(written)])[0] is not None


def test_a_run_whose_steps_count_from_1_is_that_of_the_candidate():
    flat = "constant(peak=1e-3, warmup=10, total=4001)"
    asked = [parse(flat.replace("4001", total)) for total in ("4000", "4001", "4002", "3999")]
    assert [found is not None for found in observed(MODEL, asked, [ran(flat)])] == [True, True, True, False]
    assert observed(MODEL, [parse(COSINE.replace("1000", "1001"))], [ran(COSINE)])[0] is not None


@pytest.mark.parametrize("beside", ["text=steps([0, 320], [web, code])", "weight_decay=ramp([0, 320], [0.1, 0])"])
def test_a_run_of_one_update_more_counts_with_what_changes_beside_its_rate(beside):
    asked, longer = (f"rate=constant(peak=1e-3, warmup=10, total={total}); {beside}" for total in (400, 401))
    assert observed(MODEL, [parse(asked)], [ran(longer)])[0] is not None
    assert observed(MODEL, [parse(asked)], [ran(longer.replace("320", "300"))]) == [None]


def test_runs_of_another_size_do_not_count():
    asked = sized(MODEL, 1e8)
    assert observed(asked, [parse(COSINE)], [ran(COSINE, params=2e8)]) == [None]
    assert observed(asked, [parse(COSINE)], [ran(COSINE, params=1e8)])[0] is not None


def test_a_run_of_the_rate_alone_is_none_of_a_plan_with_more():
    grown = f"rate={COSINE}; batch=steps([0, 500], [1x, 4x])"
    for more in (grown, f"rate={COSINE}; batch=steps([0], [2x])", f"rate={COSINE}; average=ema(20)"):
        assert observed(MODEL, [parse(more)], [ran(COSINE)]) == [None]
    assert observed(MODEL, [parse(COSINE)], [ran(grown)]) == [None]
    assert observed(MODEL, [parse(grown)], [ran(grown)])[0] is not None
    assert observed(MODEL, [parse(f"rate={COSINE}; batch=steps([0], [1x])")], [ran(COSINE)])[0] is not None


def test_batches_are_compared_in_tokens_however_they_are_written():
    model = replace(MODEL, coverage=replace(MODEL.coverage, batch_tokens=(1024, 1024)))
    grown = f"rate={COSINE}; batch=steps([0, 500], [{{}}])"
    runs = [ran(COSINE, "1k", batch=1024), ran(COSINE, "4k", batch=4096), ran(grown.format("1024, 4096"), "grown")]

    def found(batch):
        text = f"rate={COSINE}; batch={batch}" if batch else COSINE
        one = observed(model, [parse(text)], runs)[0]
        return one and one.runs

    assert found("") == found("steps([0], [1x])") == found("steps([0, 9], [1024, 1024])") == ("1k",)
    assert found("steps([0], [4096])") == found("steps([0], [4x])") == ("4k",)
    assert found("steps([0, 500], [1x, 4x])") == found("steps([0, 500], [1024, 4096])") == ("grown",)
    assert found("steps([0, 500], [2048, 4096])") is None


@pytest.mark.parametrize(
    "run",
    [
        ran(COSINE, upto=985),  # ended early
        ran(COSINE.replace("1e-4", "2e-4")),
        ran(COSINE.replace("1000", "1002")),
        ran(COSINE, split="val"),  # another loss than the model's
    ],
)
def test_what_is_not_that_run_does_not_count(run):
    assert observed(MODEL, [parse(COSINE)], [run]) == [None]


def test_predictions_are_held_against_the_mean_of_the_same_updates():
    run = ran(COSINE)
    np.testing.assert_array_equal(final_steps(run, "train"), np.arange(990, 1000))
    assert final_steps(ran(COSINE, upto=985), "train").tolist() == [999]  # there is no mean to hold one against
    long = ran(COSINE.replace("1000", "100000"))
    assert len(final_steps(long, "train")) == 50 and final_steps(long, "train")[[0, -1]].tolist() == [99_000, 99_999]
    (thin,) = thinned([long])
    assert len(thin.loss) < len(long.loss)
    np.testing.assert_array_equal(final_steps(thin, "train"), final_steps(long, "train"))
    steps = run.steps
    exact = Run("exact", run.plan, {"train": Series(steps, predict(MODEL, run.plan, steps))}, "train", "declared")
    assert abs(endings(MODEL, [exact])[0].error) < 1e-12
