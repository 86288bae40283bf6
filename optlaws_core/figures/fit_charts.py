"""Charts of a fit: curves over what was observed, observed against predicted, residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..prediction.bands import Prediction
from ..runs import Run
from .chart_style import BENEATH, amount, color, faded, layout, log_axis, safe, thin
from .chart_style import bands as areas

FEW = 12  # runs whose legend stands beneath the curves; that of more would leave them no height
DENSE, WINDOW = 200, 0.02  # residuals of more losses are drawn as a moving mean over this share of them
MOST_MARKERS = 400  # of all runs together: each is an element of its own, where a line is one


def _line(x, y, name: str, i: int, *, legend: bool, **properties) -> dict:
    x, y = thin(np.asarray(x), np.asarray(y))
    shared = {"type": "scatter", "x": x, "y": y, "name": safe(name), "legendgroup": str(i), "showlegend": legend}
    return shared | properties


def _titled(text: str) -> dict:
    return {"title": {"text": text}}


def _drawn(lines: Sequence[dict], height: int, x: dict, y: dict, **more) -> go.Figure:
    """Lines on two axes, which are titled, written as one layout: changed line by line it takes three times as long."""
    axes = {"xaxis": {**x, "automargin": True}, "yaxis": {**y, "automargin": True}}
    return go.Figure(list(lines), {**layout(height), **axes, **more})


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
    bands = bands or {}
    known = [(bands[run.name], i) for i, run in runs.items() if run.name in bands]
    lines = list(areas((band.steps, band, i) for band, i in known))
    for i, run in runs.items():
        dash = "dash" if run.name in held_out else "solid"
        lines += [
            _line(
                run.steps,
                run.loss,
                run.name,
                i,
                legend=False,
                mode="lines",
                line={"color": faded(i), "width": 1.2},
                hovertemplate=f"{safe(run.name)}, observed<br>step %{{x:,}}: %{{y:.4f}}<extra></extra>",
            ),
            _line(
                run.steps,
                predicted[run.name],
                run.name,
                i,
                legend=True,
                mode="lines",
                line={"color": color(i), "width": 2, "dash": dash},
                hovertemplate=f"{safe(run.name)}, predicted<br>step %{{x:,}}: %{{y:.4f}}<extra></extra>",
            ),
        ]
    steps = [
        step for run in runs.values() for step in (run.steps[run.steps > 0][:1].tolist() + run.steps[-1:].tolist())
    ]
    scale = log_axis(steps, amount) if log_x else {"tickformat": ","}
    legend = layout(520)["legend"] | (BENEATH if len(runs) <= FEW else {})
    return _drawn(lines, 520, {**_titled("step"), **scale}, _titled("loss"), legend=legend)


def spread(runs: Mapping[int, Run]) -> dict[str, np.ndarray]:
    """Places, ascending, of the losses of each run that `against` draws, by run.

    Of more than `MOST_MARKERS` in all some, evenly spread: chosen by how far they are off, they would make every fit
    look bad. The residuals show those.
    """
    most = max(2, MOST_MARKERS // len(runs))
    return {
        run.name: np.unique(np.linspace(0, len(run.loss) - 1, min(most, len(run.loss))).round().astype(np.int64))
        for run in runs.values()
    }


def against(runs: Mapping[int, Run], predicted: Mapping[str, np.ndarray], held_out: Sequence[str]) -> go.Figure:
    """Predicted against observed loss, the points of `spread`, and the line on which both agree."""
    low = min(float(run.loss.min()) for run in runs.values())
    high = max(float(run.loss.max()) for run in runs.values())
    seen = spread(runs)
    points = [
        _line(
            run.loss[seen[run.name]],
            predicted[run.name][seen[run.name]],
            run.name,
            i,
            legend=True,
            mode="markers",
            marker={"color": color(i), "size": 4, "symbol": "circle-open" if run.name in held_out else "circle"},
            hovertemplate=f"{safe(run.name)}<br>observed %{{x:.4f}}, predicted %{{y:.4f}}<extra></extra>",
        )
        for i, run in runs.items()
    ]
    agree = {
        "type": "scatter",
        "x": [low, high],
        "y": [low, high],
        "mode": "lines",
        "line": {"color": "gray", "width": 1, "dash": "dot"},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    axes = _titled("observed loss"), _titled("predicted loss")
    return _drawn([*points, agree], 380, *axes, showlegend=False)  # the chart above has the legend


def smoothed(runs: Mapping[int, Run]) -> list[str]:
    """Names of the runs whose residuals are drawn as a moving mean, since the noise of each would hide the others."""
    return [run.name for run in runs.values() if len(run.loss) > DENSE]


def _moving_mean(values: np.ndarray) -> np.ndarray:
    """The mean around each of values (n,), over fewer of them near the ends."""
    half, places = round(WINDOW * len(values) / 2), np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half, len(values) - 1)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return (sums[last + 1] - sums[first]) / (last + 1 - first)


def residuals(runs: Mapping[int, Run], predicted: Mapping[str, np.ndarray], held_out: Sequence[str]) -> go.Figure:
    """Predicted minus observed loss over the step, in percent of the observed one; of `smoothed` runs a moving mean."""
    off = {run.name: 100 * (predicted[run.name] / run.loss - 1) for run in runs.values()}
    off |= {name: _moving_mean(off[name]) for name in smoothed(runs)}
    lines = [
        _line(
            run.steps,
            off[run.name],
            run.name,
            i,
            legend=True,
            mode="lines",
            line={"color": color(i), "width": 1.2, "dash": "dash" if run.name in held_out else "solid"},
            hovertemplate=f"{safe(run.name)}<br>step %{{x:,}}: %{{y:+.3f}} %<extra></extra>",
        )
        for i, run in runs.items()
    ]
    axes = {**_titled("step"), "tickformat": ","}, _titled("predicted − observed, % of the loss")
    figure = _drawn(lines, 380, *axes, showlegend=False)
    return figure.add_hline(y=0, line={"color": "gray", "width": 1, "dash": "dot"})
