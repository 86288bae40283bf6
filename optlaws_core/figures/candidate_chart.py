"""The comparison of candidates: predicted losses above, learning rates beneath, on one x axis.

Where the batch of one changes, those of all stand beneath the rates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..laws.sums.clocks import trace
from ..prediction.bands import Prediction
from ..runs import Run
from ..schedules import Batch, Schedule, batch_at, parts, tokens_before
from ..schedules.joint_schedule import batch_axis
from . import chart_style

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS = 400  # of a curve
NEAR = 24  # steps after each kink, ever further apart: the loss answers to a change of the rate at once, then slowly
AXES = {"step": "step", "tokens": "tokens seen", "lr": "cumulative learning rate"}
HOVERED = {
    "step": "step %{x:,.0f}: loss at rate",
    "tokens": "%{x:.4s} tokens: loss at rate",
    "lr": "cumulative rate %{x:.4~g}: loss at rate",
}
RATE, RATE_AND_BATCH = "%{customdata:.4~g}", "%{customdata[0]:.4~g}, batch %{customdata[1]}"
RATES, GAP = 0.28, 0.03  # of the height: the panel of the learning rates, and what lies between two panels
BATCHES = 0.16  # that of the batches, where there is one
PARTS = {"after warm-up": 0.0, "last half": 0.5, "last tenth": 0.9}  # share of the shortest horizon that is cut off
SETTLED = 0.15  # of a horizon: before it the loss falls too fast to share a frame with the differences at the end
MOST_BENDS, IN_BEND = 12, 100  # stretches of a rate that are drawn finely where they bend, and steps in each
STRAIGHT = 1e-3  # of the peak: a stretch that is nearer to its chord is drawn by its even steps
DASHES = ("dash", "dot", "dashdot", "longdash")  # of fits other than the one in use, which is solid


@dataclass(frozen=True, eq=False)
class Curve:
    """A candidate under one fit."""

    name: str
    color: int  # that of the candidate on all pages
    schedule: Schedule
    steps: IntArray  # (n,)
    losses: FloatArray  # (n,) predicted
    fit: str = ""  # name of the fit, where several are drawn
    dash: int = 0  # 0 for the fit in use; the learning rate is drawn for that one only
    bands: Prediction | None = None  # at the same steps, where they are to be drawn


@dataclass(frozen=True)
class View:
    """How to look at them."""

    x: str = "step"  # a key of AXES
    log_x: bool = False
    log_y: bool = False
    part: str = "after warm-up"  # a key of PARTS
    batch_tokens: float | None = None  # tokens per update, for the axis in tokens
    bands: tuple[int, ...] | None = None  # which of the curves have bands; None: the best one


def steps_of(schedule: Schedule, most: int = MOST_STEPS) -> IntArray:
    """Steps (n,) at which to predict a curve: both sides of every kink, close together after each, and the end.

    The warm-up is left out: laws are fitted to what comes after it.
    """
    first, last = min(schedule.warmup_end, schedule.total - 1), schedule.total - 1
    inner = np.array([b for b in schedule.breaks if first < b <= last], np.int64)
    if len(inner) > most // 8:  # a curve of many knots has no kinks worth the name
        inner = inner[np.linspace(0, len(inner) - 1, most // 8).astype(int)]
    starts, ends = np.append(first, inner), np.append(inner, last)
    near = min(NEAR, most // 3 // len(starts))
    after = [s + np.geomspace(1, max(e - s, 1), near) for s, e in zip(starts, ends, strict=True)]
    always = np.concatenate((starts, inner - 1, [last], *after))
    even = np.linspace(first, last, max(2, most - len(always)))
    return np.unique(np.clip(np.rint(np.concatenate((always, even))), first, last).astype(np.int64))


def comparison(
    curves: Sequence[Curve], observed: Mapping[str, Run], view: View, height: int = 640, beneath: bool = False
) -> go.Figure:
    """Loss curves above and learning rates beneath, then batches if one changes; observed runs, by name, behind.

    `beneath`: the legend stands beneath rather than beside, where the width is wanted for the curves. Written as one
    layout: a figure that is changed step by step takes four times as long, after each edit of a candidate.
    """
    lines = [
        *(_observed(name, run, view) for name, run in observed.items()),
        *_bands(curves, view),
        *(_loss(curve, view) for curve in curves),
        *(_rate(curve, view) for curve in curves if curve.dash == 0),
        *_batches(curves, view),
    ]
    shared = chart_style.layout(height, repr(view))
    layout = {
        **shared,
        "hovermode": "x unified",  # one box for all curves, with a line through both panels
        "hoversubplots": "axis",
        "hoverlabel": {"namelength": -1, "align": "left"},
        "legend": {**shared["legend"], "tracegroupgap": 0, **(chart_style.BENEATH if beneath else {})},
    }
    return go.Figure(lines, {**layout, **_axes(curves, view)})


def place(schedule: Schedule, steps: IntArray, x: str, batch_tokens: float | None) -> FloatArray | IntArray:
    """Steps on the chosen x axis, (n,): the step itself, tokens seen or summed rate after that update."""
    if x == "tokens" and (seen := tokens_before(schedule, np.asarray(steps) + 1, batch_tokens)) is not None:
        return seen
    return trace(schedule).S(np.asarray(steps)) if x == "lr" else np.asarray(steps)


def _loss(curve: Curve, view: View) -> dict:
    label = chart_style.safe(f"{curve.name} · {curve.fit}" if curve.fit else curve.name)
    dash = DASHES[(curve.dash - 1) % len(DASHES)] if curve.dash else "solid"
    batch = parts(curve.schedule)[1]
    known: list = [curve.schedule(curve.steps), *([_sizes(batch, curve.steps)] if batch else [])]
    return {
        "type": "scatter",
        "x": place(curve.schedule, curve.steps, view.x, view.batch_tokens),
        "y": curve.losses,
        "mode": "lines",
        "name": label,
        "legendgroup": str(curve.color),
        "showlegend": curve.dash == 0 or bool(curve.fit),
        "line": {"color": chart_style.color(curve.color), "width": 2, "dash": dash},
        "customdata": np.stack(known, axis=1, dtype=object) if batch else known[0],
        "hovertemplate": f"%{{y:.5f}} at {RATE_AND_BATCH if batch else RATE}<extra>{label}</extra>",
    }


def _sizes(batch: Batch, steps: IntArray) -> list[str]:
    """The batch at some steps (n,), in words."""
    return [batch.written(float(size)) for size in batch(steps)]


def _bands(curves: Sequence[Curve], view: View) -> Iterator[dict]:
    banded = (
        (place(c.schedule, c.steps, view.x, view.batch_tokens), c.bands, c.color) for c in curves if c.bands is not None
    )
    return chart_style.bands(banded)


def _rate(curve: Curve, view: View) -> dict:
    steps = _rate_steps(curve.schedule)
    return _beneath(curve, view, steps, curve.schedule(steps), "y2")


def _batches(curves: Sequence[Curve], view: View) -> Iterator[dict]:
    """The batch of every candidate that tells it, where one changes."""
    axis = batch_axis([c.schedule for c in curves], view.batch_tokens)
    for curve in curves if axis else ():
        steps = _rate_steps(curve.schedule)
        if curve.dash == 0 and axis and (sizes := batch_at(curve.schedule, steps, axis[1])) is not None:
            yield _beneath(curve, view, steps, sizes, "y3")


def _beneath(curve: Curve, view: View, steps: IntArray, values: FloatArray, axis: str) -> dict:
    """A line of a candidate in a panel beneath the losses, its `values` (n,) at `steps` (n,)."""
    return {
        "type": "scatter",
        "x": place(curve.schedule, steps, view.x, view.batch_tokens),
        "y": values,
        "yaxis": axis,
        "mode": "lines",
        "name": chart_style.safe(curve.name),
        "legendgroup": str(curve.color),
        "showlegend": False,
        "line": {"color": chart_style.color(curve.color), "width": 1.8},
        "hoverinfo": "skip",  # what the loss curve says holds the rate
    }


def _rate_steps(schedule: Schedule) -> IntArray:
    """Steps that draw the learning rate, both sides of every jump; the warm-up included."""
    kinks = np.array(schedule.breaks, np.int64)
    even = np.linspace(0, schedule.total - 1, MOST_STEPS // 2)
    steps = np.unique(np.concatenate((kinks, kinks - 1, np.rint([*even, *_in_bends(schedule)]).astype(np.int64))))
    return steps[(steps >= 0) & (steps < schedule.total)]


def _in_bends(schedule: Schedule) -> list[float]:
    """Further steps where the rate bends, as in a short cooldown by 1-sqrt: close together at the ends of a stretch."""
    found: list[float] = []
    if len(schedule.breaks) > MOST_BENDS:
        return found
    for start, end in pairwise(sorted({0, *schedule.breaks, schedule.total})):
        looks = np.rint(np.linspace(start, end - 1, 5)).astype(np.int64)
        rates = schedule(looks)
        off = np.abs(rates - np.interp(looks, looks[[0, -1]], rates[[0, -1]])).max()
        if end - start > NEAR and off > STRAIGHT * schedule.peak:
            spread = (1 - np.cos(np.linspace(0, np.pi, IN_BEND))) / 2
            found += (start + (end - 1 - start) * spread).tolist()
    return found


def _observed(name: str, run: Run, view: View) -> dict:
    steps, loss = chart_style.thin(run.steps, run.loss)
    plan = run.known_plan
    tokens = plan.batch_tokens or view.batch_tokens
    label = chart_style.safe(name)
    return {
        "type": "scatter",
        "x": place(plan.schedule, steps, view.x, tokens),
        "y": loss,
        "mode": "lines",
        "name": f"{label} (observed)",
        "line": {"color": "rgba(128,134,148,0.75)", "width": 1.2},
        "hovertemplate": f"%{{y:.5f}}<extra>{label} (observed)</extra>",
    }


def _axes(curves: Sequence[Curve], view: View) -> dict[str, dict]:
    extent, batches = _x_extent(curves, view), batch_axis([c.schedule for c in curves], view.batch_tokens)
    below = BATCHES + GAP if batches else 0.0
    x: dict[str, object] = {
        "type": "log" if view.log_x else "linear",
        "range": _range(extent, view.log_x, 0.0),
        "anchor": "y3" if batches else "y2",
        "title": {"text": AXES[view.x]},
        "unifiedhovertitle": {"text": HOVERED[view.x]},
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "dot",
        "automargin": True,
    }
    if view.log_x and extent:
        at = chart_style.log_ticks(*extent)
        x |= {"tickvals": at, "ticktext": [chart_style.amount(v) for v in at]}
    elif view.x == "step":
        x |= {"tickformat": ","}
    loss = {"tickformat": ".4~g", "nticks": 8} if view.log_y else {}
    loss |= {"range": _range(_y_extent(curves, view), view.log_y, 0.04), "type": "log" if view.log_y else "linear"}
    rate = {"exponentformat": "e", "rangemode": "tozero", "anchor": "x"}
    top = below + RATES
    axes = {
        "xaxis": x,
        "yaxis": {"title": {"text": "predicted loss"}, "domain": [top + GAP, 1], "automargin": True, **loss},
        "yaxis2": {"title": {"text": "learning rate"}, "domain": [below, top], "automargin": True, **rate},
    }
    if batches:
        size = {"exponentformat": "B", "rangemode": "tozero", "anchor": "x", "nticks": 4}
        axes["yaxis3"] = {"title": {"text": batches[0]}, "domain": [0, BATCHES], "automargin": True, **size}
    return axes


def _from(curves: Sequence[Curve], view: View) -> int:
    """The step from which on a part of the curves is shown; 0 for all of them. The ends of all stay in the frame."""
    return int(PARTS[view.part] * min((c.schedule.total for c in curves), default=0))


def _x_extent(curves: Sequence[Curve], view: View) -> tuple[float, float] | None:
    ends, start = [], _from(curves, view)
    for c in curves:
        first = start or (int(c.steps[0]) if view.log_x else 0)
        ends.append(place(c.schedule, np.array([first, c.schedule.total]), view.x, view.batch_tokens))
    if not ends:
        return None
    low, high = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return (max(low, high * 1e-6) if view.log_x else low), high


def _y_extent(curves: Sequence[Curve], view: View) -> tuple[float, float] | None:
    start, seen = _from(curves, view), []
    for c in curves:
        first = int(c.steps[0])
        cut = start or first + int(SETTLED * (c.schedule.total - first))
        late = c.steps >= min(cut, int(c.steps[-1]))
        seen.append(c.losses[late])
        if c.bands is not None and c.bands.prediction is not None:
            seen += [end[late][-1:] for end in c.bands.band(c.bands.prediction)]  # at the end, where it is read
    return (min(float(p.min()) for p in seen), max(float(p.max()) for p in seen)) if seen else None


def _range(extent: tuple[float, float] | None, log: bool, margin: float) -> list[float] | None:
    if extent is None:
        return None
    low, high = (np.log10(v) for v in extent) if log and extent[0] > 0 else extent
    room = margin * ((high - low) or abs(high) or 1.0)
    return [float(low - room), float(high + room)]
