"""The curves of runs: losses above, learning rates beneath, on one x axis.

Losses are smoothed and thinned over their steps, once for each setting, and then placed on the x axis: however long a
log is, a redraw handles 1,500 points of it.
"""

import re
from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from tsdownsample import MinMaxLTTBDownsampler

from ..laws.sums.clocks import trace
from ..runs import Run, Series
from ..schedules import Schedule
from ..text import format_number
from . import chart_style

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

AXES = {"step": "step", "tokens": "tokens seen", "lr": "cumulative learning rate"}
LACKS = {"step": "steps", "tokens": "batch size", "lr": "learning rate"}  # what a run needs for each axis
SETTLED = 0.02  # of a run: before it the loss falls too fast to share a frame with the rest
ABOVE = 0.5  # of the frame: losses that leave it by less than this are shown after all
SAMPLE = 20_000  # losses looked at to find a frame
RATE_POINTS = 400  # of a learning rate, besides its kinks
LEGEND_CHARACTERS = 26
KEPT_SETTINGS = 12  # thinned curves kept for each series

# Thinned curves by (window, log_x); they go when their series goes.
_thinned: WeakKeyDictionary[Series, dict[tuple[int, bool], tuple[IntArray, FloatArray]]] = WeakKeyDictionary()


def curves(
    runs: Mapping[int, Run],
    *,
    x: str = "step",
    log_x: bool = False,
    log_y: bool = False,
    smoothing: int = 1,
    whole: bool = False,
    height: int = 560,
) -> go.Figure:
    """Losses of each run's split in use and, beneath, learning rates. `runs` go by their position: it gives the colour.

    `x` is a key of `AXES`; `smoothing` the width of a centred window in points, 1 for none; `whole` shows the first
    losses even where they dwarf the rest. Runs that cannot be placed on `x` are left out: see `unplaced`.
    """
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.035, row_heights=[0.7, 0.3])
    absent = unplaced(runs, x)
    drawn = {i: run for i, run in runs.items() if run not in absent}
    labels = legend_names([run.name for run in drawn.values()])
    for (i, run), label in zip(drawn.items(), labels, strict=True):
        named = {"name": chart_style.safe(label), "meta": [chart_style.safe(run.name)], "legendgroup": str(i)}
        _add_losses(figure, i, run, x, log_x, smoothing, named)
        _add_rate(figure, i, run, x, log_x, named)
    if not drawn:
        lack = f"None of these runs tells its {LACKS[x]}. Declare it below."
        _say(figure, lack if runs else "No runs to draw.", row=1)
    elif not any(run.plan for run in drawn.values()):
        _say(figure, "No learning rate is known. Declare a schedule below the chart.", row=2)
    _set_axes(figure, x, log_x, log_y, None if whole else frame(drawn))
    chart_style.finish(figure, height, f"{x}{log_x}{log_y}{whole}")
    figure.update_layout(hoverlabel={"namelength": -1, "align": "left"}, legend={"tracegroupgap": 0})
    return figure


def unplaced(runs: Mapping[int, Run], x: str) -> list[Run]:
    """Runs that do not know what `x` counts: no batch size for tokens, no schedule for the cumulative learning rate."""
    if x == "tokens":
        return [run for run in runs.values() if run.plan is None or run.plan.batch_tokens is None]
    return [run for run in runs.values() if x == "lr" and run.plan is None]


def frame(runs: Mapping[int, Run]) -> tuple[float, float] | None:
    """Lowest and highest loss to show when the first losses would dwarf the rest; None when everything fits."""
    parts = [_settled(run) for run in runs.values()]
    if not parts:
        return None
    low, high = min(p[0] for p in parts), max(p[1] for p in parts)
    span = (high - low) or 1.0
    if max(p[2] for p in parts) <= high + ABOVE * span:
        return None
    return low - 0.04 * span, high + 0.06 * span


def smoothed(values: FloatArray, window: int) -> FloatArray:
    """Centred mean over `window` points (odd), (n,). Towards both ends the window shrinks, so nothing is shifted."""
    half = min(window // 2, (len(values) - 1) // 2)
    if half < 1:
        return np.asarray(values)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    width = 2 * half + 1
    middle = (sums[width:] - sums[:-width]) / width
    k = np.arange(half)
    left = sums[2 * k + 1] / (2 * k + 1)
    right = (sums[-1] - sums[len(values) - 1 - 2 * k]) / (2 * k + 1)
    return np.concatenate((left, middle, right[::-1]))


def thinned(series: Series, window: int = 1, log_x: bool = False) -> tuple[IntArray, FloatArray]:
    """Steps and smoothed losses of at most `style.MOST_POINTS` points, spread evenly over the axis."""
    known = _thinned.setdefault(series, {})
    if (window, log_x) not in known:
        if len(known) >= KEPT_SETTINGS:
            known.clear()
        known[window, log_x] = _thin(series.steps, smoothed(series.loss, window), log_x)
    return known[window, log_x]


def legend_names(names: Sequence[str]) -> list[str]:
    """Names short enough for a legend: where long ones share words (between _ or blanks), those words are left out."""
    if max(map(len, names), default=0) > LEGEND_CHARACTERS and len(names) > 1:
        words = [re.split(r"[_\s]+", name) for name in names]
        shared = set.intersection(*map(set, words))
        own = ["_".join(w for w in of if w not in shared) for of in words]
        if all(own) and len(set(own)) == len(set(names)):
            names = own
    cut = [middle_cut(name) for name in names]
    return cut if len(set(cut)) == len(set(names)) else list(names)


def middle_cut(name: str, most: int = LEGEND_CHARACTERS) -> str:
    """`name` with its middle left out where it is long: runs often differ in their last characters only."""
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[-(most - 1 - head) :]}"


def _thin(steps: IntArray, loss: FloatArray, log_x: bool) -> tuple[IntArray, FloatArray]:
    if not log_x:
        return chart_style.thin(steps, loss)
    first = int(np.searchsorted(steps, 1))  # step 0 has no place on a logarithmic axis
    steps, loss = steps[first:], loss[first:]
    if len(steps) <= chart_style.MOST_POINTS:
        return steps, loss
    # In bins of equal width on the axis; bins of equal count would leave ten points for the first hundredth of it.
    keep = MinMaxLTTBDownsampler().downsample(np.log(steps), np.ascontiguousarray(loss), n_out=chart_style.MOST_POINTS)
    return steps[keep], loss[keep]


def _settled(run: Run) -> tuple[float, float, float]:
    """Low and high of the losses once they have settled, and the highest of all."""
    warmup = run.plan.schedule.warmup_end if run.plan else 0
    start = int(np.searchsorted(run.steps, max(warmup, SETTLED * run.steps[-1])))
    tail = run.loss[start:] if len(run.loss) - start > 1 else run.loss
    sample = tail[:: max(1, len(tail) // SAMPLE)]
    low, high = np.quantile(sample, (0.002, 0.98))
    return float(low), float(high), float(run.loss.max())


def _place(run: Run, steps: IntArray, x: str) -> NDArray:
    """`steps` on the x axis. Tokens are step × batch, as logs count them."""
    if x == "tokens":
        return steps * (run.known_plan.batch_tokens or np.nan)
    return trace(run.known_plan.schedule).S(steps) if x == "lr" else steps


def _add_losses(figure: go.Figure, i: int, run: Run, x: str, log_x: bool, window: int, named: dict) -> None:
    series = run.series[run.split]
    layers = (
        [(1, chart_style.faded(i), 1.0), (window, chart_style.color(i), 2.2)]
        if window > 1
        else [(1, chart_style.color(i), 1.5)]
    )
    for width, color, thickness in layers:
        steps, loss = thinned(series, width, log_x)
        top = width == window
        figure.add_trace(
            go.Scatter(
                x=_place(run, steps, x),
                y=loss,
                customdata=steps,
                mode="lines",
                line={"color": color, "width": thickness, "dash": chart_style.dash(i)},
                hovertemplate=_hover(f"loss %{{y:.6~g}}{' (smoothed)' if window > 1 else ''}", x) if top else None,
                hoverinfo=None if top else "skip",
                showlegend=top,
                **named,  # the full name goes through `meta`: text in a template could hold `%{`
            ),
            row=1,
            col=1,
        )


def _add_rate(figure: go.Figure, i: int, run: Run, x: str, log_x: bool, named: dict) -> None:
    if run.plan is None:
        return
    steps = rate_steps(run.plan.schedule, max(int(run.steps[-1]), run.last_step or 0), log_x)
    figure.add_trace(
        go.Scatter(
            x=_place(run, steps, x),
            y=run.plan.schedule(steps),
            customdata=steps,
            mode="lines",
            line={"color": chart_style.color(i), "width": 1.5, "dash": chart_style.dash(i)},
            hovertemplate=_hover("learning rate %{y:.6~g}", x),
            showlegend=False,
            **named,
        ),
        row=2,
        col=1,
    )


def rate_steps(schedule: Schedule, last: int, log_x: bool = False) -> IntArray:
    """Steps that show a learning rate up to `last`: its kinks and jumps, and an even spread between."""
    first = 1 if log_x else 0
    spread = np.geomspace(1, max(last, 1), RATE_POINTS) if log_x else np.linspace(0, last, RATE_POINTS)
    kinks = np.array(schedule.breaks)
    if len(kinks) > chart_style.MOST_POINTS // 3:  # a logged curve with thousands of knots: no jumps to keep sharp
        kinks = kinks[:: -(-3 * len(kinks) // chart_style.MOST_POINTS)]
    steps = np.unique(np.concatenate((kinks - 1, kinks, np.rint(spread).astype(np.int64), [last])))
    return steps[(steps >= first) & (steps <= last)]


def _hover(value: str, x: str) -> str:
    place = {"step": "", "tokens": "<br>%{x:,.0f} tokens", "lr": "<br>cumulative learning rate %{x:.6~g}"}[x]
    return f"%{{meta[0]}}<br>step %{{customdata:,}}{place}<br>{value}<extra></extra>"


def _say(figure: go.Figure, text: str, row: int) -> None:
    """A sentence in place of curves."""
    n = "" if row == 1 else row
    where = {"x": 0.5, "y": 0.5, "xref": f"x{n} domain", "yref": f"y{n} domain"}
    figure.add_annotation(text=text, showarrow=False, font={"size": 14}, **where)
    # An axis without a trace is not drawn at all.
    for k in {row, 2}:
        figure.add_trace(go.Scatter(x=[None], y=[None], showlegend=False, hoverinfo="skip"), row=k, col=1)
        figure.update_yaxes(showticklabels=False, row=k, col=1)


def _set_axes(figure: go.Figure, x: str, log_x: bool, log_y: bool, shown: tuple[float, float] | None) -> None:
    if log_x:
        drawn = (v for trace in figure.data if trace.x is not None for v in np.asarray(trace.x)[[0, -1]])
        figure.update_xaxes(**chart_style.log_axis(drawn, format_number if x == "lr" else chart_style.amount))
    elif x == "step":
        figure.update_xaxes(tickformat=",")
    else:
        figure.update_xaxes(exponentformat="power" if x == "lr" else "B")
    figure.update_xaxes(title_text=AXES[x], row=2, col=1)
    figure.update_yaxes(title_text="loss (nats)", type="log" if log_y else "linear", row=1, col=1)
    if log_y:  # without this, a log axis shorter than a decade has two labels
        figure.update_yaxes(nticks=8, tickformat=".3~g", row=1, col=1)
    figure.update_yaxes(title_text="learning rate", rangemode="tozero", exponentformat="power", row=2, col=1)
    if shown:
        low, high = shown
        if log_y:
            low, high = np.log10(max(low, 1e-3)), np.log10(high)
        figure.update_yaxes(range=[low, high], row=1, col=1)
