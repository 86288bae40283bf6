"""AutoLRS: what the probes of a stage forecast, and what is known of all rates; a simulated run beside others."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..arrays import FloatArray
from ..optimize.autolrs import Proposal, Stage, exponential
from ..schedules import Schedule
from ..text import format_number
from . import chart_style
from .candidate_chart import Curve, View, comparison, steps_of

GREY = "rgba(128,134,148,0.9)"
OPEN = "rgba(128,134,148,0.2)"
FROM, TO = 0.02, 0.98  # quantiles of the losses that frame the picture
POINTS = 120  # of a forecast


def search(told: Proposal, probes: Sequence[Stage], height: int = 420) -> go.Figure:
    """Left, the losses of each probe and its exponential to the end of the stage; right, the loss there by rate."""
    figure = make_subplots(cols=2, horizontal_spacing=0.09, column_widths=[0.5, 0.5])
    seen: list[float] = []
    for i, (probe, tried) in enumerate(zip(probes, told.tried, strict=True)):
        label = f"probe at {format_number(probe.rate)}"
        figure.add_trace(
            go.Scatter(
                x=probe.x,
                y=probe.loss,
                mode="markers",
                marker={"size": 4, "color": chart_style.faded(i, 0.6)},
                name=label,
                legendgroup=label,
                showlegend=False,
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )
        if not tried.diverged:
            x = np.linspace(probe.x[0], probe.length, POINTS)
            y = exponential(probe.x, probe.loss, probe.length)(x)
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    name=label,
                    legendgroup=label,
                    line={"color": chart_style.color(i), "width": 1.8},
                    hovertemplate=f"<b>{label}</b><br>loss %{{y:.4f}}<br>after %{{x:,.0f}}<extra></extra>",
                ),
                row=1,
                col=1,
            )
            seen += [*np.quantile(probe.loss, (FROM, TO)), float(y[-1])]
        figure.add_trace(
            go.Scatter(
                x=[tried.rate],
                y=[tried.loss],
                mode="markers",
                legendgroup=label,
                showlegend=tried.diverged,
                marker={"size": 9, "color": chart_style.color(i), "symbol": "x" if tried.diverged else "circle"},
                error_y={"array": [tried.error], "width": 3, "color": chart_style.color(i)},
                name=label,
                hovertemplate=f"<b>{label}</b><br>forecast %{{y:.4f}} ± {tried.error:.2g}<extra></extra>",
            ),
            row=1,
            col=2,
        )
    assert told.band is not None  # there is a probe at least
    low, high = told.band
    figure.add_trace(
        go.Scatter(
            x=np.concatenate((told.rates, told.rates[::-1])),
            y=np.concatenate((high, low[::-1])),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=OPEN,
            hoverinfo="skip",
            name="90 % band",
        ),
        row=1,
        col=2,
    )
    figure.add_trace(
        go.Scatter(
            x=told.rates,
            y=told.mean,
            mode="lines",
            line={"color": GREY, "width": 1.8},
            name="expected loss",
            hovertemplate="expected loss %{y:.4f}<br>rate %{x:.3g}<extra></extra>",
        ),
        row=1,
        col=2,
    )
    figure.add_vline(x=told.rate, row=1, col=2, line={"width": 1.5, "dash": "dot", "color": GREY})
    left = told.rate**2 < told.rates[0] * told.rates[-1]
    figure.add_annotation(
        text=f"{'train at' if told.train else 'probe'} {format_number(told.rate)}",
        x=np.log10(told.rate),
        xref="x2",
        y=1,
        yref="y2 domain",
        showarrow=False,
        yanchor="top",
        xanchor="left" if left else "right",
        xshift=5 if left else -5,
    )
    figure.update_yaxes(title_text="loss", range=_frame(seen), row=1, col=1)
    figure.update_xaxes(title_text="updates of the stage", row=1, col=1)
    figure.update_yaxes(
        title_text="loss after the stage", row=1, col=2, range=_frame([*low, *high, *(t.loss for t in told.tried)])
    )
    figure.update_xaxes(title_text="learning rate", **chart_style.log_axis(told.rates), row=1, col=2)
    figure.update_xaxes(range=_frame(np.log10(told.rates)), row=1, col=2)
    return chart_style.finish(figure, height, f"{probes[0].start} {probes[0].end}")


def _frame(values: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Their range with some room. Error bars may leave it: those of vague forecasts are wider than all else."""
    low, high = float(np.min(values)), float(np.max(values))
    room = 0.06 * (high - low or 1.0)
    return low - room, high + room


def beside(curves: Mapping[str, tuple[Schedule, FloatArray]], height: int = 560) -> go.Figure:
    """Predicted losses above and rates beneath, of schedules by name, each with its losses at `steps_of` it."""
    drawn = [Curve(name, i, s, steps_of(s), losses) for i, (name, (s, losses)) in enumerate(curves.items())]
    return comparison(drawn, {}, View(), height)
