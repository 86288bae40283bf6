"""Charts of the Pre-select page: errors of the law, candidates over their peaks, where the loss comes from."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from ..final_loss import TERMS, End, family
from ..final_loss.preselection import FinalRanked
from ..runs import Plan
from ..text import chance, format_amount, format_number
from .chart_style import color, finish, log_axis, safe

FARTHEST = 15  # percent: larger errors leave the frame until one zooms out


def errors(ends: Mapping[str, End], plans: Mapping[str, Plan]) -> go.Figure:
    """Relative error of each run's final loss, in percent, over its peak; colour for the model size."""
    figure = go.Figure()
    for i, size in enumerate(sorted({plans[name].params or 0 for name in ends})):
        names = [n for n in ends if (plans[n].params or 0) == size]
        figure.add_trace(
            go.Scatter(
                x=[plans[n].schedule.peak for n in names],
                y=[100 * ends[n].rel_error for n in names],
                mode="markers",
                name=format_amount(size, 3),
                marker={"color": color(i), "size": 7, "opacity": 0.75},
                customdata=[
                    (safe(n), safe(plans[n].schedule.text), ends[n].observed, ends[n].predicted) for n in names
                ],
                hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<br>observed %{customdata[2]:.4f}, "
                "predicted %{customdata[3]:.4f}<br>%{y:+.2f} %<extra></extra>",
            )
        )
    figure.add_hline(y=0, line={"color": "gray", "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="peak learning rate", **log_axis(plans[name].schedule.peak for name in ends))
    figure.update_yaxes(title_text="predicted − observed, %", zeroline=False)
    found = [100 * end.rel_error for end in ends.values()]
    if found and max(map(abs, found)) > FARTHEST:
        figure.update_yaxes(range=[max(min(found), -FARTHEST) - 1, min(max(found), FARTHEST) + 1])
    figure.update_layout(legend_title_text="parameters")
    return finish(figure, 300, "errors")


def over_peaks(rows: Sequence[FinalRanked]) -> go.Figure:
    """Lowest predicted loss of each shape over its peak; crosses for candidates that were set apart."""
    figure = go.Figure()
    lowest: dict[str, dict[float, FinalRanked]] = {}
    for row in rows:  # best first, so the first of a shape and peak is its lowest, unless it was set apart
        lowest.setdefault(name_of(row.plan), {}).setdefault(row.plan.schedule.last.peak, row)
    for i, (shape, by_peak) in enumerate(lowest.items()):
        peaks = sorted(by_peak)
        for apart in (False, True):
            some = [p for p in peaks if by_peak[p].apart == apart]
            if not some:
                continue
            figure.add_trace(
                go.Scatter(
                    x=some,
                    y=[by_peak[p].loss for p in some],
                    mode="markers" if apart else "lines+markers",
                    name=safe(shape),
                    legendgroup=shape,
                    showlegend=not apart,
                    line={"color": color(i), "width": 1.8, "dash": ("solid", "dot")[i // 10 % 2]},
                    marker={"color": color(i), "symbol": "x" if apart else "circle", "size": 6},
                    customdata=[(by_peak[p].low, by_peak[p].high, chance(by_peak[p].best)) for p in some],
                    hovertemplate=f"<b>{safe(shape)}</b>, peak %{{x:.3~g}}<br>predicted %{{y:.4f}}<br>90 % band "
                    "%{customdata[0]:.4f} to %{customdata[1]:.4f}<br>best with %{customdata[2]}<extra></extra>",
                )
            )
    figure.update_xaxes(title_text="peak learning rate", **log_axis(p for found in lowest.values() for p in found))
    figure.update_yaxes(title_text="predicted final loss")
    calm = [row.loss for row in rows if not row.apart]
    if calm:
        low, high = min(calm), float(np.quantile(calm, 0.75))
        room = 0.08 * (high - low or low)
        figure.update_yaxes(range=[low - room, high + room])
    return finish(figure, 440, "peaks")


def terms(parts: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """What a schedule decides of the loss, as stacked bars by candidate; `parts` holds the addends by name."""
    figure = go.Figure()
    names = list(parts)[::-1]
    for i, (term, meaning) in enumerate(TERMS.items()):
        if term in ("floor", "size"):
            continue
        values = [parts[n].get(term, 0.0) for n in names]
        figure.add_trace(
            go.Bar(
                x=values,
                y=[safe(n) for n in names],
                orientation="h",
                name=meaning.partition(":")[0],
                marker={"color": color(i)},
                hovertemplate=f"{meaning}<br>%{{x:.4f}}<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", legend={"orientation": "h", "y": -0.25})
    figure.update_xaxes(title_text="share of the predicted loss that the schedule decides")
    figure.update_yaxes(type="category")
    figure = finish(figure, 150 + 34 * len(names), "terms")
    figure.update_layout(legend={"orientation": "h", "yanchor": "top", "y": -60 / (150 + 34 * len(names)) - 0.05})
    return figure


def name_of(plan: Plan) -> str:
    """A candidate's shape in a few words: its family, and what tells its members apart."""
    schedule = plan.schedule.last
    said = family(plan).replace("wsd", "WSD").replace("-linear", "").replace("_", " ")
    if decay := getattr(schedule, "decay", 0):
        said += f" {100 * decay / schedule.total:.0f} %"
    if (final := getattr(schedule, "final", None)) and schedule.family == "cosine":
        said += f" to {100 * final / schedule.peak:.0f} %"
    return said


def long_name(plan: Plan) -> str:
    """A candidate in one line: shape, peak, warm-up, length."""
    schedule = plan.schedule.last
    return (
        f"{name_of(plan)}, peak {format_number(float(f'{schedule.peak:.3g}'))}, warm-up {schedule.warmup:,}, "
        f"{schedule.total:,} updates"
    )
