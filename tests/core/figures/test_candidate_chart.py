"""The comparison chart: where curves are evaluated, what is drawn, what the frame shows."""

import numpy as np
import pytest

from optlaws_core import Plan, Run, Series, parse
from optlaws_core.figures import candidate_chart as charts

TEXTS = [
    "constant(peak=1e-3, total=1)",
    "constant(peak=1e-3, warmup=9, total=10)",
    "cosine(peak=1e-3, warmup=100, total=24000)",
    "wsd(peak=1e-3, warmup=100, total=10000000, decay=2000)",
    "step(peak=1e-3, warmup=100, total=24000, boundaries=[20000, 22000], values=[1e-4, 1e-5])",
    f"knots(steps={list(range(0, 9000, 9))}, values={[1e-3, 5e-4] * 500})",
]


def curve(text: str = TEXTS[4], place: int = 0, **kwargs) -> charts.Curve:
    schedule = parse(text)
    steps = charts.steps_of(schedule)
    return charts.Curve(kwargs.pop("name", "a"), place, schedule, steps, 3 + 10 / np.sqrt(steps + 1.0), **kwargs)


@pytest.mark.parametrize("text", TEXTS)
def test_steps_rise_from_the_warm_up_to_the_last_update(text):
    schedule = parse(text)
    steps = charts.steps_of(schedule)
    assert 1 <= len(steps) <= charts.MOST_STEPS + 2
    assert (np.diff(steps) > 0).all()
    assert steps[-1] == schedule.total - 1
    assert steps[0] == min(schedule.warmup, schedule.total - 1)


@pytest.mark.parametrize("text", TEXTS[2:5])
def test_both_sides_of_every_kink_are_among_the_steps(text):
    schedule = parse(text)
    inner = [b for b in schedule.breaks if schedule.warmup < b < schedule.total]
    assert {x for b in inner for x in (b - 1, b, b + 1)} <= set(charts.steps_of(schedule).tolist())


def test_a_candidate_is_a_loss_above_and_a_rate_beneath_in_one_colour():
    figure = charts.comparison([curve(), curve(TEXTS[2], 1, name="b")], {}, charts.View())
    assert [t.yaxis for t in figure.data] == [None, None, "y2", "y2"]
    assert all(t.type == "scatter" for t in figure.data)
    assert figure.data[0].line.color == figure.data[2].line.color != figure.data[1].line.color
    rate = figure.data[2]
    np.testing.assert_array_equal(rate.y, parse(TEXTS[4])(rate.x))
    assert {19999, 20000} <= set(rate.x.tolist())  # the jump is upright


def test_another_fit_is_dashed_and_brings_no_second_rate():
    figure = charts.comparison([curve(fit="one"), *(curve(fit=f"{i}", dash=i) for i in range(1, 9))], {}, charts.View())
    dashes = [t.line.dash for t in figure.data[:9]]
    assert dashes[0] == "solid" and len(set(dashes[1:5])) == 4 and "solid" not in dashes[1:]
    assert [t.name for t in figure.data] == ["a · one", *(f"a · {i}" for i in range(1, 9)), "a"]


def test_the_frame_leaves_the_first_fall_out_and_can_close_in_on_the_end():
    low, high = charts.comparison([curve()], {}, charts.View()).layout.yaxis.range
    losses = curve().losses
    assert low < losses.min() < high < losses[0]
    ends = [charts.comparison([curve()], {}, charts.View(part=p)).layout for p in charts.PARTS]
    assert [round(e.xaxis.range[0]) for e in ends] == [0, 12000, 21600]
    assert all(e.xaxis.range[1] == 24000 for e in ends)
    assert ends[2].yaxis.range[1] < ends[1].yaxis.range[1] < high


@pytest.mark.parametrize("part", charts.PARTS)
@pytest.mark.parametrize("x", charts.AXES)
@pytest.mark.parametrize("log", [False, True])
def test_every_view_has_a_finite_frame_that_holds_the_end(part, x, log):
    view = charts.View(x, log, log, part, batch_tokens=1000.0)
    figure = charts.comparison([curve(t, i) for i, t in enumerate(TEXTS[1:5])], {}, view)
    for axis, data in (("xaxis", "x"), ("yaxis", "y")):
        low, high = getattr(figure.layout, axis).range
        last = max(float(t[data][-1]) for t in figure.data if t.yaxis != "y2")
        assert np.isfinite([low, high]).all() and low < high
        assert low - 1e-9 <= (np.log10(last) if log else last) <= high + 1e-9


def test_a_logarithmic_axis_has_round_labels():
    axis = charts.comparison([curve()], {}, charts.View(log_x=True)).layout.xaxis
    assert axis.ticktext == ("100", "200", "500", "1k", "2k", "5k", "10k", "20k")
    near = charts.comparison([curve()], {}, charts.View(log_x=True, part="last tenth")).layout.xaxis
    assert len(near.ticktext) >= 1


def test_axes_count_tokens_and_summed_rates():
    schedule = parse("constant(peak=1e-3, total=100)")
    np.testing.assert_allclose(charts.place(schedule, np.array([0, 99]), "tokens", 512.0), [512, 51200])
    np.testing.assert_allclose(charts.place(schedule, np.array([0, 99]), "lr", None), [1e-3, 0.1])


def test_observed_runs_lie_faintly_behind_and_names_are_no_markup():
    run = Run("x", Plan(parse(TEXTS[2])), {"train": Series(np.arange(5000), np.full(5000, 3.0))}, lr_source="logged")
    figure = charts.comparison([curve(name="<b>x</b>")], {"<i>run</i>": run}, charts.View())
    assert figure.data[0].name == "&lt;i&gt;run&lt;/i&gt; (observed)"
    assert len(figure.data[0].x) <= 1500
    assert "&lt;b&gt;x" in figure.data[1].hovertemplate


def test_one_hover_tells_every_curve_through_both_panels():
    figure = charts.comparison([curve(t, i) for i, t in enumerate(TEXTS[1:4])], {}, charts.View())
    assert (figure.layout.hovermode, figure.layout.hoversubplots) == ("x unified", "axis")
    assert {t.xaxis or "x" for t in figure.data} == {"x"} and {t.yaxis for t in figure.data} == {None, "y2"}
    told = [t for t in figure.data if t.hoverinfo != "skip"]
    assert len(told) == 3 and all(t.yaxis is None for t in told)
    for i, trace in enumerate(told):
        np.testing.assert_array_equal(trace.customdata, parse(TEXTS[1 + i])(trace.x))  # the rate, beside the loss


GROWN = "rate=cosine(peak=1e-3, warmup=100, total=24000); batch=steps([0, 12000], [{}])"


@pytest.mark.parametrize(
    ("sizes", "usual", "title", "drawn"),
    [
        ("1x, 4x", None, "batch, multiples", [1, 1, 4]),
        ("1x, 4x", 500.0, "batch, tokens", [500, 500, 2000]),
        ("2k, 8k", 500.0, "batch, tokens", [500, 2000, 8000]),
        ("2k, 8k", None, "batch, tokens", [2000, 8000]),  # nobody tells the other one's
    ],
)
def test_a_batch_that_changes_brings_a_panel_with_those_of_all(sizes, usual, title, drawn):
    curves = [curve(), curve(GROWN.format(sizes), 1, name="b"), curve(GROWN.format(sizes), 1, fit="f", dash=1)]
    figure = charts.comparison(curves, {}, charts.View("tokens", batch_tokens=usual))
    panel = [t for t in figure.data if t.yaxis == "y3"]
    assert figure.layout.yaxis3.title.text == title and figure.layout.xaxis.anchor == "y3"
    assert [float(v) for t in panel for v in dict.fromkeys(t.y)] == drawn
    assert panel[-1].line.color == figure.data[1].line.color and not any(t.showlegend for t in panel)
    domains = [figure.layout[f"yaxis{i}"].domain for i in ("", 2, 3)]
    assert domains[2][1] < domains[1][0] < domains[1][1] < domains[0][0]


def test_where_every_batch_is_constant_there_is_no_such_panel():
    alone = charts.comparison([curve()], {}, charts.View())
    one = curve("rate=" + TEXTS[4] + "; batch=steps([0], [2x])")
    assert charts.comparison([one], {}, charts.View()).layout == alone.layout
    assert {t.yaxis for t in charts.comparison([one], {}, charts.View()).data} == {None, "y2"}


def test_no_candidate_is_an_empty_chart():
    assert len(charts.comparison([], {}, charts.View()).data) == 0


@pytest.mark.parametrize("shape", ["1-sqrt", "cosine"])
def test_a_short_decay_is_drawn_without_corners(shape):
    schedule = parse(f"wsd(peak=1e-3, warmup=2000, total=100000, decay=3000, shape={shape})")
    steps = charts._rate_steps(schedule)
    every = np.arange(schedule.total)
    drawn = np.interp(every, steps, schedule(steps))
    assert np.abs(drawn - schedule(every)).max() < 5e-3 * schedule.peak and len(steps) < 400
