"""What all charts share: colours by position, thinning, axes, margins.

Figures use `go.Scatter` only: without a GPU, WebGL traces take seconds to redraw, SVG ones a fraction as long as they
hold at most about 2,000 points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from tsdownsample import MinMaxLTTBDownsampler

from ..text import format_amount, format_number

if TYPE_CHECKING:
    from ..prediction.bands import Prediction

BENEATH = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0}  # the legend, below the axes
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


def bands(drawn: Iterable[tuple[np.ndarray, Prediction, int]]) -> Iterator[dict]:
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
            yield {
                "type": "scatter",
                "x": np.concatenate((x, x[::-1])),
                "y": np.concatenate((high, low[::-1])),
                "mode": "lines",
                "line": {"width": 0},
                "fill": "toself",
                "fillcolor": faded(i, opacity),
                "hoverinfo": "skip",
                "legendgroup": kind,
                "showlegend": False,
                "name": BANDS[kind][0],
            }
    for kind, (title, opacity) in BANDS.items():
        if kind in kinds:
            yield {
                "type": "scatter",
                "x": [None],
                "y": [None],
                "mode": "markers",
                "name": title,
                "legendgroup": kind,
                "showlegend": True,
                "hoverinfo": "skip",
                "legendrank": 2000,
                "marker": {"symbol": "square", "size": 14, "color": f"rgba(128,134,148,{2 * opacity})"},
            }


def amount(x: float) -> str:
    """A round number at a tick, as the app writes amounts: 20k, 1.5M, 10B."""
    return format_amount(x, 3)


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends > 0, at most about ten. Plotly would label those between decades "2" and "5"."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ratio = high / low
    steps: Iterable[float] = np.arange(1, 10, 0.25)
    for least, wide in ((1.5, (1, 1.5, 2, 3, 4, 5, 6, 8)), (8, (1, 2, 5)), (1e3, (1, 3)), (1e5, (1,))):
        steps = wide if ratio > least else steps
    return [v for k in decades for m in steps if low <= (v := float(f"{m}e{k}")) <= high]


def log_axis(values: Iterable[float | None], text: Callable[[float], str] = format_number) -> dict:
    """A logarithmic axis for `values`, each tick with its number as `text` writes it; others than > 0 have no place."""
    known = np.array([v for v in values if v is not None], float)
    known = known[np.isfinite(known) & (known > 0)]
    if not known.size:
        return {"type": "log"}
    low, high = float(known.min()), float(known.max())
    room = max(1.05, (high / low) ** 0.08)  # Plotly's frame is wider than what is drawn in it
    ticks = log_ticks(low / room, high * room)
    return {"type": "log", "tickvals": ticks, "ticktext": [text(v) for v in ticks]}


def safe(text: str) -> str:
    """A name as chart text, in which Plotly reads a little HTML and, in hover templates, `%{…}`; a name has neither."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "&#37;{")


def layout(height: int, revision: str = "same") -> dict:
    """What the layouts of all charts share; see `finish`."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 20, "t": 24, "b": 8},
        "legend": {"orientation": "v", "font": {"size": 12}},
        "hovermode": "closest",
        "uirevision": revision,
    }


def beneath(figure: go.Figure) -> go.Figure:
    """The legend below the axes, where it takes no width: beside the curves it is half of a telephone's."""
    return figure.update_layout(legend=BENEATH)


def finish(figure: go.Figure, height: int, revision: str = "same") -> go.Figure:
    """Shared layout. Zoom survives redraws for as long as `revision` stays."""
    figure.update_layout(layout(height, revision))
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
