"""What all charts share: colours by position, thinning, axes, margins.

Figures use `go.Scatter` only: without a GPU, WebGL traces take seconds to redraw, SVG ones a fraction as long as they
hold at most about 2,000 points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from tsdownsample import MinMaxLTTBDownsampler

if TYPE_CHECKING:
    from optlaws_core import Prediction

BANDS = {"prediction": ("prediction band, 90 %", 0.17), "parameter": ("parameter band, 90 %", 0.32)}  # name, opacity
MOST_POINTS = 1_500  # per trace
# Readable on white and on near-black alike.
COLORS = (
    "#4c6fe0",
    "#e0713a",
    "#1fa187",
    "#c8509f",
    "#a5842a",
    "#5fa0e6",
    "#d65555",
    "#7d80c9",
    "#67ab45",
    "#a8766a",
)


def color(i: int) -> str:
    """The colour of the i-th run or candidate, everywhere in the app."""
    return COLORS[i % len(COLORS)]


def dash(i: int) -> str:
    """The line of the i-th run: dotted or dashed once the colours begin again."""
    return ("solid", "dot", "dash")[i // len(COLORS) % 3]


def faded(i: int, alpha: float = 0.35) -> str:
    """That colour, see-through."""
    r, g, b = (int(color(i)[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


def thin(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` of the points, spikes kept (MinMaxLTTB)."""
    if len(x) <= most:
        return np.asarray(x), np.asarray(y)
    keep = MinMaxLTTBDownsampler().downsample(np.ascontiguousarray(y, dtype=float), n_out=most)
    return np.asarray(x)[keep], np.asarray(y)[keep]


def bands(drawn: Iterable[tuple[np.ndarray, Prediction, int]]) -> Iterator[go.Scatter]:
    """Bands of curves, each its x (n,), its prediction and its colour: the prediction band, over it the parameter band.

    Each kind is one group of the legend, in grey, which shows and hides it for all curves.
    """
    kinds = set()
    for x, known, i in drawn:
        for kind, (_, opacity) in BANDS.items():
            half = getattr(known, kind)
            if half is None or not half.any():
                continue
            kinds.add(kind)
            low, high = known.band(half)
            yield go.Scatter(
                x=np.concatenate((x, x[::-1])),
                y=np.concatenate((high, low[::-1])),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=faded(i, opacity),
                hoverinfo="skip",
                legendgroup=kind,
                showlegend=False,
                name=BANDS[kind][0],
            )
    for kind, (title, opacity) in BANDS.items():
        if kind in kinds:
            yield go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=title,
                legendgroup=kind,
                showlegend=True,
                hoverinfo="skip",
                legendrank=2000,
                marker={"symbol": "square", "size": 14, "color": f"rgba(128,134,148,{2 * opacity})"},
            )


def safe(text: str) -> str:
    """A name as chart text, in which Plotly reads a little HTML and, in hover templates, `%{…}`; a name has neither."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "&#37;{")


def layout(height: int, revision: str = "same") -> dict:
    """What the layouts of all charts share; see `finish`."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
        "legend": {"orientation": "v", "font": {"size": 12}},
        "hovermode": "closest",
        "uirevision": revision,
    }


def finish(figure: go.Figure, height: int, revision: str = "same") -> go.Figure:
    """Shared layout. Zoom survives redraws for as long as `revision` stays."""
    figure.update_layout(layout(height, revision))
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
