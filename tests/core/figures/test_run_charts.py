"""The chart of runs: what stands on its axes, how much it sends, and that names stay names."""

import json

import numpy as np
import pytest

from optlaws_core import Plan, Run, Series, parse
from optlaws_core.figures import chart_style
from optlaws_core.figures import run_charts as charts
from optlaws_core.laws.sums.clocks import trace

COSINE = Plan(parse("cosine(peak=3e-4, warmup=100, total=2000, final=3e-5)"), 1e8, 4096)


def run(name: str = "a", n: int = 200, every: int = 10, plan: Plan | None = COSINE, split: str = "train") -> Run:
    """A falling loss, logged `every` so many steps."""
    steps = np.arange(n) * every
    series = {split: Series(steps, 3 + (steps + 10.0) ** -0.5 + 0.01 * np.sin(steps))}
    return Run(name, plan, series, split, "declared" if plan else "missing", int(steps[-1]))


def losses(figure, i: int = 0):
    """The i-th run's trace in the upper chart."""
    return [trace for trace in figure.data if trace.yaxis == "y" and trace.showlegend][i]


def rates(figure, i: int = 0):
    """The i-th run's trace in the lower chart."""
    return [trace for trace in figure.data if trace.yaxis == "y2"][i]


def test_x_is_the_step_the_tokens_or_the_cumulative_learning_rate():
    one = run()
    for x, expected in (
        ("step", one.steps),
        ("tokens", one.steps * 4096),
        ("lr", trace(COSINE.schedule).S(one.steps)),
    ):
        figure = charts.curves({0: one}, x=x)
        np.testing.assert_allclose(losses(figure).x, expected)
        np.testing.assert_allclose(losses(figure).y, one.loss)
        assert charts.AXES[x] in [figure.layout.xaxis2.title.text]


def test_the_learning_rate_lies_beneath_on_the_same_x():
    figure = charts.curves({0: run()})
    line = rates(figure)
    np.testing.assert_allclose(line.y, COSINE.schedule(np.asarray(line.x)))
    assert 100 in line.x and figure.layout.xaxis.matches == "x2"


def test_a_jump_of_the_learning_rate_is_upright():
    steps = charts.rate_steps(parse("step(peak=3e-4, warmup=10, total=10000, boundaries=[5003], values=[1e-4])"), 9000)
    assert {5002, 5003} <= set(steps.tolist()) and steps[-1] == 9000


def test_a_logged_curve_with_many_knots_stays_within_the_limit():
    knots = np.arange(0, 20_000, 7)
    text = f"knots(steps={knots.tolist()}, values={np.linspace(3e-4, 1e-4, len(knots)).tolist()})"
    figure = charts.curves({0: run(every=90, plan=Plan(parse(text)))})
    assert len(rates(figure).x) <= chart_style.MOST_POINTS


@pytest.mark.parametrize("log_x", [False, True])
def test_long_runs_are_thinned_and_their_spikes_kept(log_x):
    steps = np.arange(300_000)
    loss = np.full(300_000, 3.0)
    loss[123_457] = 9.0
    loss[7] = 8.0
    long = Run("long", COSINE, {"train": Series(steps, loss)}, "train", "declared", 299_999)
    figure = charts.curves({0: long}, log_x=log_x)
    line = losses(figure)
    assert len(line.x) <= chart_style.MOST_POINTS
    assert max(line.y) == 9.0 and line.x[int(np.argmax(line.y))] == 123_457


def test_a_logarithmic_axis_has_no_zero_and_enough_points_early_on():
    figure = charts.curves({0: run(n=100_000, every=1)}, log_x=True, log_y=True)
    x = np.asarray(losses(figure).x)
    assert x.min() >= 1 and min(rates(figure).x) >= 1
    assert (x < 1000).sum() > 200  # three of five decades; evenly thinned there would be 15
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


@pytest.mark.parametrize(
    "kwargs", [{}, {"smoothing": 9}, {"log_x": True}, {"x": "lr"}, {"log_y": True}, {"x": "tokens", "whole": True}]
)
def test_nothing_drawn_is_nan_and_the_figure_is_json(kwargs):
    figure = charts.curves({0: run(), 3: run("b", n=2000)}, **kwargs)
    for line in figure.data:
        assert np.isfinite(np.asarray(line.x, float)).all() and np.isfinite(np.asarray(line.y, float)).all()
    assert "NaN" not in json.dumps(json.loads(figure.to_json()))


@pytest.mark.parametrize("n, window", [(11, 5), (11, 3), (10, 9), (4, 9), (2, 5), (1, 3)])
def test_smoothing_is_a_centred_mean_with_shorter_windows_at_the_ends(n, window):
    values = np.random.default_rng(0).random(n)
    half = min(window // 2, (n - 1) // 2)
    ends = [min(half, i, n - 1 - i) for i in range(n)]
    expected = [values[i - k : i + k + 1].mean() for i, k in enumerate(ends)]
    np.testing.assert_allclose(charts.smoothed(values, window), expected)


def test_smoothing_leaves_a_straight_line_where_it_is():
    line = np.linspace(4, 3, 101)
    np.testing.assert_allclose(charts.smoothed(line, 17), line)


def test_smoothed_curves_are_drawn_over_faint_raw_ones():
    figure = charts.curves({2: run()}, smoothing=9)
    raw, bold = [line for line in figure.data if line.yaxis == "y"]
    assert raw.line.color == chart_style.faded(2) and bold.line.color == chart_style.color(2)
    assert raw.line.width < bold.line.width and not raw.showlegend


def test_thinning_is_done_once_for_each_setting():
    one = run().series["train"]
    assert charts.thinned(one, 9) is charts.thinned(one, 9)
    assert charts.thinned(one, 9) is not charts.thinned(one, 9, log_x=True)
    assert charts.thinned(run().series["train"], 9) is not charts.thinned(one, 9)


def test_a_run_keeps_the_colour_of_its_position():
    figure = charts.curves({1: run("b"), 4: run("e")})
    assert [losses(figure, i).line.color for i in (0, 1)] == [chart_style.color(1), chart_style.color(4)]


def test_names_are_text_in_labels_and_never_in_templates():
    name = "<b>x</b> %{x} <img src=q onerror=alert(1)> and a good many words more"
    figure = charts.curves({0: run(name)})
    line = losses(figure)
    assert "<" not in line.name and "<" not in line.meta[0]
    assert "%{x}" not in line.hovertemplate and "%{meta[0]}" in line.hovertemplate
    assert line.meta[0] == chart_style.safe(name)


def test_long_names_lose_their_middle():
    name = "experiment_with_a_long_name_seed_1"
    short = charts.middle_cut(name)
    assert len(short) == charts.LEGEND_CHARACTERS and short.startswith("experiment") and short.endswith("seed_1")
    assert charts.middle_cut("short") == "short"


def test_runs_that_an_axis_cannot_place_are_named_and_left_out():
    bare, sized = run("bare", plan=None), run("sized")
    unsized = run("unsized", plan=Plan(COSINE.schedule))
    every = {0: bare, 1: sized, 2: unsized}
    assert charts.unplaced(every, "step") == []
    assert charts.unplaced(every, "tokens") == [bare, unsized]
    assert charts.unplaced(every, "lr") == [bare]
    assert [line.name for line in charts.curves(every, x="tokens").data] == ["sized", "sized"]


@pytest.mark.parametrize(
    "runs, x, said",
    [
        ({0: run(plan=None)}, "step", "No learning rate is known"),
        ({0: run(plan=None)}, "lr", "learning rate"),
        ({0: run(plan=Plan(COSINE.schedule))}, "tokens", "batch size"),
        ({}, "step", "No runs"),
    ],
)
def test_an_empty_chart_says_why(runs, x, said):
    figure = charts.curves(runs, x=x)
    assert said in figure.layout.annotations[0].text
    assert "NaN" not in figure.to_json()


def test_huge_first_losses_do_not_flatten_the_rest():
    one = run(n=400)
    steep = Series(one.steps, one.loss + 8 * np.exp(-one.steps / 30.0))
    low, high = charts.frame({0: Run("steep", COSINE, {"train": steep}, "train", "declared", 3990)})
    assert low < 3.02 and high < 4
    gentle = Series(one.steps, np.linspace(3.5, 3.0, 400))
    assert charts.frame({0: Run("gentle", COSINE, {"train": gentle}, "train", "declared")}) is None  # nothing to gain
    assert charts.frame({}) is None


def test_the_frame_holds_on_both_scales_and_gives_way():
    losses = Series(np.arange(1000), 3 + 9 * np.exp(-np.arange(1000) / 9.0))
    steep = {0: Run("steep", COSINE, {"train": losses}, "train", "declared")}
    low, high = charts.frame(steep)
    assert charts.curves(steep).layout.yaxis.range == (low, high)
    np.testing.assert_allclose(charts.curves(steep, log_y=True).layout.yaxis.range, np.log10([low, high]))
    assert charts.curves(steep, whole=True).layout.yaxis.range is None


def test_only_svg_traces_are_used():
    assert {line.type for line in charts.curves({0: run()}, smoothing=5).data} == {"scatter"}


def test_public_runs_fit_their_frame(public):
    from optlaws_core import read

    runs = dict(enumerate(read(public / "multi_power_law" / "100M" / "manifest.csv").runs))
    assert charts.frame(runs) is None
    assert len(charts.curves(runs).data) == 2 * len(runs) == 18


def test_long_names_keep_what_tells_them_apart():
    same = "slimpajama_llama_norm_nlayers8_{}_sched_{}_warmup300_iter{}_bs50x2_seed0"
    names = [
        same.format("lr0.001", "wsd", 3000),
        same.format("lr0.002", "cos", 3000),
        same.format("lr0.002", "cos", 7000),
    ]
    assert charts.legend_names(names) == ["lr0.001_wsd_iter3000", "lr0.002_cos_iter3000", "lr0.002_cos_iter7000"]
    assert charts.legend_names(["short_a", "short_b"]) == ["short_a", "short_b"]
    assert charts.legend_names([]) == []
