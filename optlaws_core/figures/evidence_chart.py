"""A small chart for the evidence of a saved comparison: predicted against observed final losses, a point a run."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ..prediction.evidence import HELD_OUT, OTHER, TRAINING, Ended
from .chart_style import color, finish, safe

SYMBOLS = {TRAINING: "circle", HELD_OUT: "circle-open", OTHER: "x"}


def against(ended: Sequence[Ended]) -> go.Figure:
    """Predicted against observed final losses of runs that reached their end, and the line on which both agree."""
    figure = go.Figure()
    known = [(e, e.observed, e.predicted) for e in ended if e.observed is not None and e.predicted is not None]
    for i, (role, symbol) in enumerate(SYMBOLS.items()):
        some = [(e, seen, told) for e, seen, told in known if e.role == role]
        if some:
            figure.add_trace(
                go.Scatter(
                    x=[seen for _, seen, _ in some],
                    y=[told for _, _, told in some],
                    mode="markers",
                    name=role,
                    text=[safe(e.run.name) for e, _, _ in some],
                    marker={"symbol": symbol, "size": 9, "color": color(i)},
                    hovertemplate="%{text}<br>observed %{x:.5f}, predicted %{y:.5f}<extra></extra>",
                )
            )
    ends = [loss for _, *both in known for loss in both]
    if ends:
        figure.add_trace(
            go.Scatter(
                x=[min(ends), max(ends)],
                y=[min(ends), max(ends)],
                mode="lines",
                line={"color": "gray", "width": 1, "dash": "dot"},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    figure.update_xaxes(title_text="observed final loss")
    figure.update_yaxes(title_text="predicted final loss")
    return finish(figure, 320)
