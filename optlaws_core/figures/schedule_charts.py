"""Charts of the Schedules page: a rate over the steps, a plan over the tokens, and all families as thumbnails."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ..schedules import Joint, Schedule
from ..schedules.joint_schedule import beside
from ..schedules.schedule_shown import FEW, drawing_steps, drawn_breaks
from .chart_style import MOST_POINTS, amount, color, finish, layout

COLUMNS = 10  # of thumbnails
ASIDE, BELOW = 0.018, 0.24  # shares of the picture between two thumbnails
SMALL, TALL = 90, 380  # steps of a thumbnail, height of the picture
DOTS = 60  # breaks that are marked; a curve of more has no kinks worth the name, and dots would hide it
GREY = "rgba(128,134,148,0.75)"


def rate(schedule: Schedule) -> go.Figure:
    """The learning rate of every update; breaks as dots, a jump's at its new rate."""
    figure, steps, kinks = go.Figure(), drawing_steps(schedule, MOST_POINTS), drawn_breaks(schedule, DOTS + 1)
    figure.add_trace(
        go.Scatter(
            x=steps,
            y=schedule(steps),
            mode="lines" if len(steps) > 1 else "markers",
            name="learning rate",
            showlegend=False,
            line={"color": color(0), "width": 2.4},
            fill="tozeroy",
            fillcolor="rgba(76,111,224,0.10)",
            hovertemplate="step %{x:,}<br>%{y:.5~g}<extra></extra>",
        )
    )
    if 0 < len(kinks) <= DOTS:
        figure.add_trace(
            go.Scatter(
                x=kinks,
                y=schedule(kinks),
                mode="markers",
                name="the formula changes",
                showlegend=True,
                marker={"color": color(1), "size": 8 if len(kinks) <= FEW else 4},
                hovertemplate="from step %{x:,} on, another formula<br>%{y:.5~g}<extra></extra>",
            )
        )
    for line in _auxiliary(schedule, steps, steps):
        figure.add_trace(line)
    figure.update_xaxes(title_text="step", exponentformat="B" if schedule.total >= 1e5 else "none")
    figure.update_xaxes(separatethousands=True, showgrid=False, range=[-0.01 * schedule.total, 1.02 * schedule.total])
    figure.update_yaxes(title_text="learning rate", exponentformat="power", rangemode="tozero", nticks=6)
    finish(figure, TALL, schedule.family)
    figure.update_layout(legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"})
    return figure


def _auxiliary(schedule: Schedule, steps: NDArray[np.int64], x: NDArray[Any]) -> Iterator[go.Scatter]:
    """The auxiliary rate at `steps` (n,), drawn at `x` (n,), where a plan has one."""
    if (rate := beside(schedule).get("auxiliary")) is not None:
        yield go.Scatter(
            x=x,
            y=rate(steps),
            mode="lines",
            name="auxiliary rate",
            showlegend=True,
            line={"color": color(2), "width": 2.2, "dash": "dash"},
            hovertemplate="auxiliary rate %{y:.5~g}<extra></extra>",
        )


def over_tokens(plan: Joint) -> go.Figure:
    """Rate and batch of a plan that has one, over the tokens that were read before each update.

    Of a batch in multiples of the training runs' what was read is told in updates of that one.
    """
    assert plan.batch is not None
    usual = plan.batch.relative
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.08)
    steps = drawing_steps(plan, MOST_POINTS)
    read = plan.batch.pieces.seen(steps)
    unit = "usual batches" if usual else "tokens"
    places = [(f"{step:,}", amount(tokens) if tokens else "0") for step, tokens in zip(steps, read, strict=True)]
    panels: tuple[tuple[str, Callable[[NDArray[np.int64]], NDArray[np.float64]], str], ...] = (
        ("learning rate", plan, "%{y:.5~g}"),
        ("batch, multiples", plan.batch, "%{y:.4~g} times the usual batch")
        if usual
        else ("tokens per update", plan.batch, "%{y:,.0f} tokens"),
    )
    for row, (name, values, told) in enumerate(panels, 1):
        line = go.Scatter(
            x=read,
            y=values(steps),
            customdata=places,
            mode="lines",
            name=name,
            showlegend=False,
            line={"color": color(row - 1), "width": 2.4, "simplify": False},
            hovertemplate=f"{told}<br>after %{{customdata[1]}} {unit}<br>update %{{customdata[0]}}<extra></extra>",
        )
        figure.add_trace(line, row, 1)
        figure.update_yaxes(title_text=name, rangemode="tozero", nticks=5, row=row, col=1)
    for line in _auxiliary(plan, steps, read):
        figure.add_trace(line, 1, 1)
    figure.update_yaxes(exponentformat="power", row=1, col=1)
    figure.update_yaxes(exponentformat="B", row=2, col=1)
    figure.update_xaxes(exponentformat="B", showgrid=False)
    figure.update_xaxes(title_text=f"{unit} read", row=2, col=1)
    return finish(figure, TALL)


def thumbnails(schedules: Mapping[str, Schedule], chosen: str) -> go.Figure:
    """All families in a grid, their shapes alone; the chosen one in colour.

    Written as one layout: a figure that is changed axis by axis takes eight times as long, at each run of the page.
    """
    rows = -(-len(schedules) // COLUMNS)
    wide, high = (1 - (COLUMNS - 1) * ASIDE) / COLUMNS, (1 - (rows - 1) * BELOW) / rows
    lines, titles = [], []
    axes: dict[str, dict] = {}
    for i, (name, schedule) in enumerate(schedules.items()):
        steps, mine, n = drawing_steps(schedule, SMALL), name == chosen, i + 1
        left, bottom = i % COLUMNS * (wide + ASIDE), (rows - 1 - i // COLUMNS) * (high + BELOW)
        axes[f"xaxis{n}"] = {"domain": [left, min(left + wide, 1)], "anchor": f"y{n}", "range": [-0.02, 1.02]}
        axes[f"yaxis{n}"] = {"domain": [bottom, min(bottom + high, 1)], "anchor": f"x{n}", "range": [-0.06, 1.1]}
        lines.append(
            {
                "type": "scatter",
                "x": steps / schedule.total,
                "y": schedule(steps) / schedule.peak,
                "xaxis": f"x{n}",
                "yaxis": f"y{n}",
                "mode": "lines",
                "name": name,
                "hoverinfo": "skip",
                "showlegend": False,
                "line": {"color": color(0) if mine else GREY, "width": 2.4 if mine else 1.6},
            }
        )
        titles.append(
            {
                "text": f"<b>{name}</b>" if mine else name,
                "font": {"size": 12, **({"color": color(0)} if mine else {})},
                "x": left + wide / 2,
                "y": bottom + high,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    for axis in axes.values():
        axis.update(visible=False, automargin=False)
    return go.Figure(lines, {**layout(90 * rows), **axes, "annotations": titles})
