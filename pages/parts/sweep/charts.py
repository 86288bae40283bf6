"""Charts of the bundled sweep: what it covers, how far its repeats lie apart, how far off a law is."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from optlaws_core import NoiseFloor, Run
from optlaws_core.figures.chart_style import amount, color, finish, log_axis, safe
from optlaws_core.text import format_number

X = {
    "peak": "peak learning rate",
    "total": "updates",
    "family": "schedule",
    "params": "parameters",
    "batch_tokens": "bytes per update",
}
_TEXT = {"peak": format_number}  # of ticks; elsewhere amounts
SYMBOLS = {"finished": "circle", "spiked": "diamond", "diverged": "x"}
FARTHEST = 25  # percent: larger errors leave the frame until one zooms out
ABOVE = 1.25  # times the highest loss of a run that did not diverge: the frame ends there


def overview(runs: Sequence[Run], x: str) -> go.Figure:
    """Last loss of each run over one of `X`; colour for the model size, symbol for how the run ended."""
    figure = go.Figure()
    sizes = sorted({run.plan.params for run in runs})
    ended = {run.name: run.about.get("outcome", "finished") for run in runs}
    for i, params in enumerate(sizes):
        for outcome, symbol in SYMBOLS.items():
            group = [run for run in runs if run.plan.params == params and ended[run.name] == outcome]
            if not group:
                continue
            figure.add_trace(
                go.Scatter(
                    x=[place(run, x) for run in group],
                    y=[run.loss[-1] for run in group],
                    mode="markers",
                    name=f"{params:,.0f}" + ("" if outcome == "finished" else f", {outcome}"),
                    legendgroup=str(i),
                    marker={"color": color(i), "symbol": symbol, "size": 7, "opacity": 0.75},
                    customdata=[(safe(run.name), safe(run.plan.schedule.text)) for run in group],
                    hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>last loss %{y:.4f}<extra></extra>",
                )
            )
    calm = [run.loss[-1] for run in runs if ended[run.name] != "diverged"]
    axis = {"type": "category"} if x == "family" else log_axis((place(r, x) for r in runs), _TEXT.get(x, amount))
    figure.update_xaxes(title_text=X[x], **axis)
    figure.update_yaxes(title_text="last held-out loss, nats per byte")
    if calm and max(run.loss[-1] for run in runs) > ABOVE * max(calm):
        figure.update_yaxes(range=[min(calm) * 0.97, max(calm) * ABOVE])
    figure.update_layout(legend_title_text="parameters")
    return finish(figure, 420, x)


def place(run: Run, x: str) -> float | str:
    """Where a run stands on one of the axes `X`."""
    return getattr(run.plan, x) if x in ("params", "batch_tokens") else getattr(run.plan.schedule, x)


def spread(floor: NoiseFloor) -> go.Figure:
    """Last losses of repeated runs around the mean of their plan, in percent, with one standard deviation."""
    figure = go.Figure()
    groups = sorted(floor.repeats, key=lambda g: (g.runs[0].plan.params, g.runs[0].plan.schedule.text), reverse=True)
    names = [label(group.runs[0]) for group in groups]
    sizes = sorted({group.runs[0].plan.params for group in groups})
    for group, name in zip(groups, names, strict=True):
        figure.add_trace(
            go.Scatter(
                x=100 * (group.final / group.final.mean() - 1),
                y=[name] * len(group.runs),
                mode="markers",
                marker={"color": color(sizes.index(group.runs[0].plan.params)), "size": 8, "opacity": 0.8},
                error_x=None,
                customdata=[safe(run.name) for run in group.runs],
                hovertemplate="%{customdata}<br>%{x:+.3f} % of the mean<extra></extra>",
                showlegend=False,
            )
        )
    band(figure, 100 * floor.relative, vertical=True)
    figure.update_xaxes(title_text="last held-out loss, % above or below the mean of its plan", zeroline=False)
    figure.update_yaxes(type="category", range=[-0.6, len(names) - 0.4])
    return finish(figure, 90 + 26 * len(names))


def label(run: Run) -> str:
    """A plan in a few words, as an axis label."""
    schedule = run.plan.schedule
    final = f" to {format_number(schedule.final)}" if getattr(schedule, "final", 0) else ""
    decay = f" {100 * schedule.decay / schedule.total:.0f} %" if getattr(schedule, "decay", 0) else ""
    where = f"peak {format_number(schedule.peak)}, {schedule.total:,} updates"
    return f"{run.plan.params / 1e3:,.0f}k, {schedule.family}{decay}{final}, {where}"


def off(errors: Mapping[str, Sequence[tuple[Run, float]]], noise: float) -> go.Figure:
    """Relative error of the predicted last loss of each held-out run, in percent, over its peak; by group of runs."""
    figure = go.Figure()
    for i, (group, points) in enumerate(errors.items()):
        figure.add_trace(
            go.Scatter(
                x=[run.plan.schedule.peak for run, _ in points],
                y=[100 * error for _, error in points],
                mode="markers",
                name=safe(group),
                marker={"color": color(i), "size": 7, "opacity": 0.75},
                customdata=[(safe(run.name), format_number(run.plan.schedule.peak)) for run, _ in points],
                hovertemplate="%{customdata[0]}<br>peak %{customdata[1]}: %{y:+.2f} %<extra></extra>",
            )
        )
    band(figure, 100 * noise, vertical=False)
    peaks = [run.plan.schedule.peak for points in errors.values() for run, _ in points]
    figure.update_xaxes(title_text=X["peak"], **log_axis(peaks))
    figure.update_yaxes(title_text="predicted − observed, % of the last loss", zeroline=False)
    ends = [100 * error for points in errors.values() for _, error in points]
    if ends and max(map(abs, ends)) > FARTHEST:
        figure.update_yaxes(range=[max(min(ends), -FARTHEST) - 1, min(max(ends), FARTHEST) + 1])
    return finish(figure, 420, "|".join(errors))


def band(figure: go.Figure, half: float, *, vertical: bool) -> None:
    """A grey band of one standard deviation around zero."""
    shade = {"fillcolor": "rgba(128,128,128,0.22)", "line_width": 0, "layer": "below"}
    if vertical:
        figure.add_vrect(x0=-half, x1=half, **shade)
        figure.add_vline(x=0, line={"color": "gray", "width": 1, "dash": "dot"})
    else:
        figure.add_hrect(y0=-half, y1=half, **shade)
        figure.add_hline(y=0, line={"color": "gray", "width": 1, "dash": "dot"})


def is_drawable(run: Run) -> bool:
    """Whether a run came to its end: one whose loss left the numbers broke off before."""
    return run.plan is not None and len(run.loss) > 0 and bool(run.steps[-1] == run.plan.schedule.total - 1)
