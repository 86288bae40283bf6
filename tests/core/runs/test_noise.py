"""The noise floor: which runs repeat each other, and how far apart such runs lie."""

import numpy as np
import pytest

from optlaws_core import Plan, Run, Series, noise_floor, parse, repeats

STEPS = np.arange(99, 1000, 100)
COSINE = Plan(parse("cosine(peak=1e-3, warmup=10, total=1000)"), params=1e5, batch_tokens=1024)


def run(name: str, losses, plan: Plan | None = COSINE, **about: str) -> Run:
    series = {"val": Series(STEPS[-len(losses) :], np.asarray(losses, float))}
    return Run(name, plan, series, "val", "declared" if plan else "missing", 999, about)


def flat(name: str, level: float, **about: str) -> Run:
    return run(name, np.full(10, level), **about)


def test_runs_of_one_plan_repeat_each_other_and_others_do_not():
    other = Plan(COSINE.schedule, params=2e5, batch_tokens=1024)
    runs = [flat("a", 2.0), flat("b", 2.1), flat("c", 2.2, seed="3"), run("d", np.full(10, 2.0), other)]
    (found,) = repeats([*runs, run("e", [2.0], plan=None)])
    assert [r.name for r in found.runs] == ["a", "b", "c"]


@pytest.mark.parametrize("column", ["text", "parent", "dataset"])
def test_another_text_or_start_makes_another_experiment(column):
    assert repeats([flat("a", 2.0), flat("b", 2.1, **{column: "other"})]) == ()


def test_what_is_not_known_to_be_chance_is_not_called_so():
    """Another setting, an unknown model size, the same seed twice, or losses that have no share."""
    assert repeats([flat("a", 2.0, weight_decay="0"), flat("b", 2.1, weight_decay="1")]) == ()
    unsized = Plan(COSINE.schedule)
    assert repeats([run("a", np.full(10, 2.0), unsized), run("b", np.full(10, 2.1), unsized)]) == ()
    assert repeats([flat("a", 2.0, seed="1"), flat("b", 2.0, seed="1")]) == ()
    assert noise_floor([flat("a", -1.0), flat("b", 1.0)]) is None


def test_diverged_and_unfinished_runs_repeat_nothing():
    short = Run("short", COSINE, {"val": Series(STEPS[:5], np.full(5, 2.0))}, "val", "declared", 999)
    assert repeats([flat("a", 2.0), flat("b", 5.0, outcome="diverged"), short]) == ()
    for ended in (
        "diverged",
        "spiked",
    ):  # a plan near the edge, whose other runs tell no noise of a loss that is reached
        assert repeats([flat("a", 2.0), flat("b", 5.0, outcome=ended), flat("c", 3.0)]) == ()
    assert noise_floor([flat("a", 2.0)]) is None


def test_the_spread_is_the_sample_standard_deviation_of_the_last_loss():
    (found,) = repeats(run(n, [9.0, end]) for n, end in zip("abc", (1.9, 2.0, 2.1), strict=True))
    assert found.std == pytest.approx(0.1) and found.relative == pytest.approx(0.05)
    np.testing.assert_allclose(found.along[1], [0, 0.05])


def test_plans_are_pooled_by_their_degrees_of_freedom():
    other = Plan(COSINE.schedule, params=2e5)
    runs = [flat(n, end) for n, end in zip("abc", (1.9, 2.0, 2.1), strict=True)]
    runs += [run(n, np.full(10, end), other) for n, end in zip("de", (0.99, 1.01), strict=True)]
    floor = noise_floor(runs)
    assert floor.freedom == 3
    assert floor.relative == pytest.approx(np.sqrt((2 * 0.05**2 + 0.02**2 / 2) / 3))
    assert floor.along == pytest.approx(floor.relative)  # these runs are flat


def test_the_interval_covers_the_truth_nine_times_in_ten():
    rng, truth, hits = np.random.default_rng(0), 0.01, 0
    for _ in range(400):
        runs = [flat(str(i), 2.0 * (1 + truth * rng.standard_normal())) for i in range(5)]
        low, high = noise_floor(runs).interval
        hits += low <= truth <= high
    assert 0.87 <= hits / 400 <= 0.93


def test_a_perfect_law_is_off_by_the_mean_absolute_deviation():
    floor = noise_floor([flat("a", 1.99), flat("b", 2.01)])
    assert floor.mean_error == pytest.approx(floor.relative * np.sqrt(2 / np.pi))
    draws = np.random.default_rng(1).standard_normal(100_000) * floor.relative
    assert np.abs(draws).mean() == pytest.approx(floor.mean_error, rel=0.01)
