"""Charts of the Plan page: laws over model size and length, the measured losses of a sweep's cell."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..hyper import HYPER_LAWS, HyperLaw, Optimum, SweepCell, law_map, laws_over
from ..text import format_amount, format_number
from .chart_style import amount, beneath, color, finish, log_axis, safe

AXES = {"tokens": "tokens in total, D", "params": "parameters, N"}
HIGHEST = 3.0  # percent above the best run: the heat map's colours end there
FILLED = 1 / 3  # of a grid's fields: where fewer have a run, runs are drawn as dots
COLORS, COLORBAR = "Viridis_r", {"title": {"text": "% above<br>the best"}, "thickness": 12}
ABOVE = "%{text}<br>%{customdata:.2f} % above the best run<extra></extra>"
TITLES = ("peak learning rate", "batch, tokens")


def over(params: float, tokens: float, along: str, batch: float | None, loss: float | None) -> go.Figure:
    """Every law's learning rate and batch over N or D; dotted outside the range that it was fitted in."""
    figure = make_subplots(1, 2, subplot_titles=TITLES, horizontal_spacing=0.09)
    asked = {"params": params, "tokens": tokens}
    found = laws_over(params, tokens, along, batch, loss)
    for i, (name, law) in enumerate(HYPER_LAWS.items()):
        inside = found.inside(name)
        shown = False
        for column, what in ((1, "lr"), (2, "batch")):
            values = found.of(name, what)
            if not np.isfinite(values).any():
                continue
            for dash, kept in (("solid", inside), ("dot", ~inside)):
                drawn = np.where(_touching(kept) if dash == "dot" else kept, values, np.nan)
                if not np.isfinite(drawn).any():
                    continue
                figure.add_trace(
                    go.Scatter(
                        x=found.values,
                        y=drawn,
                        mode="lines",
                        name=safe(f"{law.title}, µP" if law.mup and what == "lr" else law.title),
                        legendgroup=name,
                        showlegend=not shown,
                        line={"color": color(i), "width": 2, "dash": dash},
                        hovertemplate=f"<b>{safe(law.title)}</b><br>%{{x:.3s}}: %{{y:.3~g}}<extra></extra>",
                    ),
                    1,
                    column,
                )
                shown = True
    for column in (1, 2):
        figure.add_vline(x=asked[along], line={"color": "gray", "width": 1, "dash": "dash"}, row=1, col=column)
    figure.update_xaxes(title_text=AXES[along], **log_axis(found.values, amount))
    for column, what, text in ((1, "lr", format_number), (2, "batch", amount)):
        values = np.concatenate([found.of(name, what) for name in HYPER_LAWS])
        figure.update_yaxes(**log_axis(values, text), row=1, col=column)
    return beneath(finish(figure, 430, f"{along} {params} {tokens}"))


def maps(law: HyperLaw, params: float, tokens: float, batch: float | None, loss: float | None) -> go.Figure:
    """One law's learning rate and batch over both N and D; a frame for the range that it was fitted in."""
    offered = [(what, TITLES[i]) for i, what in enumerate(("lr", "batch")) if getattr(law, what)]
    figure = make_subplots(1, len(offered), subplot_titles=[t for _, t in offered], horizontal_spacing=0.24)
    found = law_map(law.name, params, tokens, batch, loss)
    ns, ds = found.params, found.tokens
    for column, (what, title) in enumerate(offered, 1):
        values = getattr(found, what)
        if not np.isfinite(values).any():
            continue
        logs = np.log10(values)
        low, high = float(np.nanmin(logs)), float(np.nanmax(logs))
        ticks = np.linspace(low, high, 5) if high > low else np.array([low])
        figure.add_trace(
            go.Heatmap(
                x=np.log10(ns),
                y=np.log10(ds),
                z=logs,
                colorscale="Viridis",
                customdata=values,
                text=[[f"N {format_amount(n, 3)}, D {format_amount(d, 3)}" for n in ns] for d in ds],
                hovertemplate=f"%{{text}}<br>{title} %{{customdata:.3~g}}<extra></extra>",
                colorbar={
                    "x": _right(figure, column) + 0.01,
                    "len": 0.9,
                    "thickness": 12,
                    "tickvals": ticks,
                    "ticktext": [_value(10**t) for t in ticks],
                },
            ),
            1,
            column,
        )
        inside = [(ns[j], ds[i]) for i, j in np.argwhere(found.inside)]
        if inside:
            figure.add_trace(
                go.Scatter(
                    x=np.log10([n for n, _ in inside]),
                    y=np.log10([d for _, d in inside]),
                    mode="markers",
                    marker={"size": 4, "color": "white", "line": {"color": "gray", "width": 1}},
                    hoverinfo="skip",
                    showlegend=column == 1,
                    name="inside the fitted range",
                ),
                1,
                column,
            )
        figure.add_trace(
            go.Scatter(
                x=[np.log10(params)],
                y=[np.log10(tokens)],
                mode="markers",
                name="asked for",
                showlegend=column == 1,
                marker={"symbol": "x", "size": 11, "color": "#d65555", "line": {"color": "white", "width": 1}},
                hoverinfo="skip",
            ),
            1,
            column,
        )
    for update, middle, name in ((figure.update_xaxes, params, "params"), (figure.update_yaxes, tokens, "tokens")):
        ticks = np.log10(middle) + np.array([-1.4, -0.7, 0, 0.7, 1.4])
        update(title_text=AXES[name], tickvals=ticks, ticktext=[format_amount(float(f"{10**t:.2g}"), 3) for t in ticks])
    return beneath(finish(figure, 430, f"{law.name} {params} {tokens}"))


def surface(cell: SweepCell, best: Optimum, others: Sequence[tuple[str, float, float]] = ()) -> go.Figure:
    """Measured losses over learning rate and batch, in percent above the best run, and the minimum of their surface."""
    lrs, batches = np.unique(cell.lr), np.unique(cell.batch)
    above = cell.above
    alive = np.isfinite(above)
    gridded = alive.sum() > FILLED * len(lrs) * len(batches)
    figure = go.Figure(_grid(cell, above, lrs, batches) if gridded else _dots(cell, above, alive))
    if not best.trouble:
        low, high = best.low / np.log(10), best.high / np.log(10)
        x, y = best.center / np.log(10)
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[y],
                mode="markers",
                name="minimum of the surface, 90 %",
                marker={"symbol": "cross", "size": 11, "color": "#d65555", "line": {"color": "white", "width": 1}},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [high[0] - x],
                    "arrayminus": [x - low[0]],
                    "color": "#d65555",
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [high[1] - y],
                    "arrayminus": [y - low[1]],
                    "color": "#d65555",
                },
                customdata=[[best.lr, format_amount(best.batch, 3)]],
                hovertemplate="lr %{customdata[0]:.2e}, batch %{customdata[1]}<extra></extra>",
            )
        )
    for i, (name, lr, batch) in enumerate(others):
        figure.add_trace(
            go.Scatter(
                x=[np.log10(lr)],
                y=[np.log10(batch)],
                mode="markers",
                name=safe(name),
                marker={
                    "symbol": ("circle", "diamond")[i % 2],
                    "size": 10,
                    "color": color(i + 1),
                    "line": {"color": "white", "width": 1},
                },
                customdata=[[lr, format_amount(batch, 3)]],
                hovertemplate=f"{safe(name)}<br>lr %{{customdata[0]:.2e}}, batch %{{customdata[1]}}<extra></extra>",
            )
        )
    for update, values, title, text in (
        (figure.update_xaxes, lrs, "peak learning rate", lambda v: f"{v:.1e}"),
        (figure.update_yaxes, batches, TITLES[1], lambda v: format_amount(v, 3)),
    ):
        ticks = values[:: max(1, len(values) // 6)]
        update(title_text=title, tickvals=np.log10(ticks), ticktext=[text(v) for v in ticks])
    return beneath(finish(figure, 440, f"{cell.params} {cell.tokens}"))


def _grid(cell: SweepCell, above: np.ndarray, lrs: np.ndarray, batches: np.ndarray) -> go.Heatmap:
    """The runs of a grid as its fields; the best of those that share one."""
    z = np.full((len(batches), len(lrs)), np.nan)
    place = np.searchsorted(batches, cell.batch), np.searchsorted(lrs, cell.lr)
    np.fmin.at(z, place, np.where(np.isfinite(above), above, np.nan))
    return go.Heatmap(
        x=np.log10(lrs),
        y=np.log10(batches),
        z=np.minimum(z, HIGHEST),
        customdata=z,
        colorscale=COLORS,
        zmin=0,
        zmax=HIGHEST,
        text=[[_run(lr, b) for lr in lrs] for b in batches],
        hovertemplate=ABOVE,
        colorbar=COLORBAR,
    )


def _dots(cell: SweepCell, above: np.ndarray, alive: np.ndarray) -> go.Scatter:
    """The runs of a random search, which fill no grid."""
    return go.Scatter(
        x=np.log10(cell.lr[alive]),
        y=np.log10(cell.batch[alive]),
        mode="markers",
        name="runs",
        customdata=above[alive],
        text=[_run(lr, b) for lr, b in zip(cell.lr[alive], cell.batch[alive], strict=True)],
        hovertemplate=ABOVE,
        marker={
            "color": np.minimum(above[alive], HIGHEST),
            "cmin": 0,
            "cmax": HIGHEST,
            "colorscale": COLORS,
            "size": 9,
            "colorbar": COLORBAR,
        },
    )


def _run(lr: float, batch: float) -> str:
    return f"lr {lr:.2e}, batch {format_amount(batch, 3)}"


def _touching(kept: np.ndarray) -> np.ndarray:
    """Those kept and their neighbours, so that a dotted line meets the solid one."""
    return kept | np.r_[kept[1:], False] | np.r_[False, kept[:-1]]


def _value(value: float) -> str:
    return format_amount(value, 3) if value >= 1e3 else f"{value:.2g}"


def _right(figure: go.Figure, column: int) -> float:
    """Where a column's panel ends, as a share of the width."""
    return figure.layout["xaxis" if column == 1 else f"xaxis{column}"].domain[1]
