"""The chart of small runs: the bands that were predicted, and over them the losses as they come."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from ..prediction.bands import Prediction
from . import chart_style

HEIGHT = 380  # pixels


@dataclass(frozen=True, eq=False)
class Curve:
    """A small run: what was predicted of it, and its held-out losses so far."""

    name: str
    color: int
    predicted: Prediction
    steps: Sequence[int]  # (n,)
    losses: Sequence[float]  # (n,)


def chart(curves: Sequence[Curve], revision: str) -> go.Figure:
    """Losses over their bands. The frame stays as it is while losses come, unless one of a predicted step leaves it."""
    figure = go.Figure([*_bands(curves)])
    for curve in curves:
        label = chart_style.safe(curve.name)
        line = {"color": chart_style.color(curve.color), "width": 1.5}
        figure.add_trace(
            _line(curve.predicted.steps, curve.predicted.loss, f"{label}, predicted", line | {"dash": "dot"})
        )
        figure.add_trace(_line(curve.steps, curve.losses, f"{label}, trained", line | {"width": 2.4}, "lines+markers"))
    figure.update_yaxes(title_text="held-out loss, nats per byte", range=_frame(curves))
    last = max(int(curve.predicted.steps[-1]) for curve in curves)
    figure.update_xaxes(title_text="step of the small run", tickformat=",", range=[0, 1.01 * last])
    return chart_style.beneath(chart_style.finish(figure, HEIGHT, chart_style.safe(revision)))


def _frame(curves: Sequence[Curve]) -> tuple[float, float]:
    """Ends of the axis: all bands, and the losses of their steps; the first losses fall in from above."""
    seen: list[float] = []
    for curve in curves:
        half, first = curve.predicted.prediction, curve.predicted.steps[0]
        for end in curve.predicted.band(np.zeros(len(curve.predicted.steps)) if half is None else half):
            seen += end.tolist()
        seen += [y for x, y in zip(curve.steps, curve.losses, strict=True) if x >= first]
    low, high = min(seen), max(seen)
    room = 0.04 * (high - low)
    return low - room, high + room


def _bands(curves: Sequence[Curve]) -> list[dict]:
    drawn = ((c.predicted.steps, c.predicted, c.color) for c in curves)
    return [trace for trace in chart_style.bands(drawn) if trace["legendgroup"] == "prediction"]


def _line(x: ArrayLike, y: ArrayLike, label: str, line: dict, mode: str = "lines") -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        mode=mode,
        name=label,
        line=line,
        marker={"size": 4},
        hovertemplate=f"<b>{label}</b><br>loss %{{y:.4f}}<br>step %{{x:,}}<extra></extra>",
    )
