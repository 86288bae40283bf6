"""Charts of a fit: curves over what was observed, observed against predicted, residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..prediction.bands import Prediction
from ..runs import Run
from .chart_style import amount, beneath, color, faded, finish, log_axis, safe, thin
from .chart_style import bands as areas

FEW = 12  # runs whose legend stands beneath the curves; that of more would leave them no height


def _trace(x, y, name: str, i: int, *, legend: bool, **kwargs) -> go.Scatter:
    x, y = thin(np.asarray(x), np.asarray(y))
    return go.Scatter(x=x, y=y, name=safe(name), legendgroup=str(i), showlegend=legend, **kwargs)


def curves(
    runs: Mapping[int, Run],
    predicted: Mapping[str, np.ndarray],
    held_out: Sequence[str],
    log_x: bool,
    bands: Mapping[str, Prediction] | None = None,
) -> go.Figure:
    """Observed losses, faint, and predicted ones, bold; held-out runs dashed.

    `runs` go by their position among all loaded ones, which gives the colour on every page. `predicted` holds (n,)
    losses by run.
    """
    figure, bands = go.Figure(), bands or {}
    known = [(bands[run.name], i) for i, run in runs.items() if run.name in bands]
    figure.add_traces(list(areas((band.steps, band, i) for band, i in known)))
    for i, run in runs.items():
        dash = "dash" if run.name in held_out else "solid"
        figure.add_trace(
            _trace(
                run.steps,
                run.loss,
                run.name,
                i,
                legend=False,
                mode="lines",
                line={"color": faded(i), "width": 1.2},
                hovertemplate=f"{safe(run.name)}, observed<br>step %{{x:,}}: %{{y:.4f}}<extra></extra>",
            )
        )
        figure.add_trace(
            _trace(
                run.steps,
                predicted[run.name],
                run.name,
                i,
                legend=True,
                mode="lines",
                line={"color": color(i), "width": 2, "dash": dash},
                hovertemplate=f"{safe(run.name)}, predicted<br>step %{{x:,}}: %{{y:.4f}}<extra></extra>",
            )
        )
    steps = [
        step for run in runs.values() for step in (run.steps[run.steps > 0][:1].tolist() + run.steps[-1:].tolist())
    ]
    figure.update_xaxes(title_text="step", **(log_axis(steps, amount) if log_x else {"tickformat": ","}))
    figure.update_yaxes(title_text="loss")
    finish(figure, 520)
    return beneath(figure) if len(runs) <= FEW else figure


def against(runs: Mapping[int, Run], predicted: Mapping[str, np.ndarray], held_out: Sequence[str]) -> go.Figure:
    """Predicted against observed loss, a point for each observation, and the line on which both agree."""
    figure = go.Figure()
    low = min(float(run.loss.min()) for run in runs.values())
    high = max(float(run.loss.max()) for run in runs.values())
    for i, run in runs.items():
        symbol = "circle-open" if run.name in held_out else "circle"
        figure.add_trace(
            _trace(
                run.loss,
                predicted[run.name],
                run.name,
                i,
                legend=True,
                mode="markers",
                marker={"color": color(i), "size": 4, "symbol": symbol},
                hovertemplate=f"{safe(run.name)}<br>observed %{{x:.4f}}, predicted %{{y:.4f}}<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[low, high],
            y=[low, high],
            mode="lines",
            line={"color": "gray", "width": 1, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.update_layout(showlegend=False)  # the chart above has it
    figure.update_xaxes(title_text="observed loss")
    figure.update_yaxes(title_text="predicted loss")
    return finish(figure, 380)


def residuals(runs: Mapping[int, Run], predicted: Mapping[str, np.ndarray], held_out: Sequence[str]) -> go.Figure:
    """Predicted minus observed loss over the step, in percent of the observed one."""
    figure = go.Figure()
    for i, run in runs.items():
        dash = "dash" if run.name in held_out else "solid"
        figure.add_trace(
            _trace(
                run.steps,
                100 * (predicted[run.name] / run.loss - 1),
                run.name,
                i,
                legend=True,
                mode="lines",
                line={"color": color(i), "width": 1.2, "dash": dash},
                hovertemplate=f"{safe(run.name)}<br>step %{{x:,}}: %{{y:+.3f}} %<extra></extra>",
            )
        )
    figure.update_layout(showlegend=False)
    figure.add_hline(y=0, line={"color": "gray", "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="step", tickformat=",")
    figure.update_yaxes(title_text="predicted − observed, % of the loss")
    return finish(figure, 380)
