"""A run in progress: what was seen, what is forecast with its band, and, in a replay, what came later."""

import numpy as np
import plotly.graph_objects as go

from ..live import Forecast
from ..runs import Run
from . import chart_style

SETTLED, LATEST = (
    0.05,
    0.1,
)  # shares of the losses: that may lie above the frame, as the first ones do; and that may not


def progress(seen: Run, whole: Run, told: Forecast | None, way: str, height: int = 480) -> go.Figure:
    """Losses so far, the forecast along `way`, and faintly the losses of `whole` that came later."""
    figure, seen_y = go.Figure(), np.asarray(seen.loss)
    later = whole.steps > seen.steps[-1]
    latest = seen_y[-max(1, round(LATEST * len(seen_y))) :]
    spread = [float(seen_y.min()), float(np.quantile(seen_y, 1 - SETTLED)), float(latest.max())]
    if told is not None and told.low is not None and told.high is not None:
        figure.add_trace(
            go.Scatter(
                x=np.concatenate((told.steps, told.steps[::-1])),
                y=np.concatenate((told.high, told.low[::-1])),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=chart_style.faded(1, 0.2),
                hoverinfo="skip",
                name="90 % band",
            )
        )
        spread += [float(told.low.min()), float(told.high.max())]
    if later.any():
        x, y = chart_style.thin(whole.steps[later], whole.loss[later])
        figure.add_trace(_line(x, y, "came later", "rgba(128,134,148,0.6)", 1.2))
    figure.add_trace(_line(*chart_style.thin(seen.steps, seen_y), "observed", chart_style.color(0), 1.6))
    if told is not None:
        figure.add_trace(_line(told.steps, told.loss, f"forecast, {way}", chart_style.color(1), 2.0))
        spread += [float(told.loss.min()), float(told.loss.max())]
    figure.add_vline(x=int(seen.steps[-1]), line={"width": 1, "dash": "dot", "color": "rgba(128,134,148,0.9)"})
    room = 0.05 * (max(spread) - min(spread) or 1.0)
    figure.update_yaxes(
        title_text=f"{chart_style.safe(seen.split)} loss", range=[min(spread) - room, max(spread) + room]
    )
    figure.update_xaxes(title_text="step", tickformat=",")
    chart_style.finish(figure, height, chart_style.safe(seen.name))
    # Beside the curves the legend would take half the width of a telephone.
    return figure.update_layout(legend={"orientation": "h", "yanchor": "top", "y": -0.2})


def _line(x, y, name: str, color: str, width: float) -> go.Scatter:
    label = chart_style.safe(name)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        name=label,
        line={"color": color, "width": width},
        hovertemplate=f"<b>{label}</b><br>loss %{{y:.5f}}<br>step %{{x:,}}<extra></extra>",
    )
