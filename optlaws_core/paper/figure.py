"""The comparison as a figure for a paper: losses above, learning rates beneath, every curve dense.

Where the batch of a candidate changes, those of all stand beneath the rates.

Drawn by matplotlib, which is imported when a figure is asked for. Fonts are embedded: TrueType in PDF (type 42), which
publishers take and editors can change; outlines in SVG, which look the same wherever they are opened. Lines differ in
style as well as in colour, so that they are told apart in grey.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..errors import OptLawsError, extra
from ..fitting.result import Model
from ..laws.sums.clocks import trace
from ..prediction.bands import with_bands
from ..prediction.losses import predict
from ..runs import Run
from ..schedules import Schedule, batch_at, tokens_before
from ..schedules.joint_schedule import batch_axis

WIDTHS = {"single": 3.25, "double": 6.75}  # inches, of one column of a paper and of two
FORMATS = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
AXES = {"step": "step", "tokens": "tokens seen", "lr": "cumulative learning rate"}
MOST_POINTS = 2_000  # of a curve: one for each dot that a printer sets over two columns, at 300 an inch
SETTLED = 0.15  # of a horizon: before it the loss falls too fast to share a frame with the differences at the end
DOTS = 200  # an inch, of a PNG
BATCHES = 0.7  # height of the panel of the batches, of that of the rates
HOVERED = 300  # points of a curve that answer to a pointer
# Of Okabe and Ito: told apart by people who see colours otherwise; their lightness differs in grey.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00", "#7f7f7f")
STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (8, 2, 2, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
SETTINGS: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "optlaws",  # so that the same comparison gives the same file
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 3.2,  # long enough to show a style
    "path.simplify": False,  # every point of a curve is written
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "axes.unicode_minus": True,
}
_lock = Lock()  # matplotlib's settings are those of the whole process


@dataclass(frozen=True)
class Line:
    """A candidate that is drawn; `banded`: with its 90 % prediction band."""

    name: str
    schedule: Schedule
    banded: bool = False
    most: int = MOST_POINTS  # steps of its curve, about


@dataclass(frozen=True)
class Look:
    """How the figure is drawn."""

    width: str = "double"  # a key of `WIDTHS`
    x: str = "step"  # a key of `AXES`
    log_x: bool = False
    log_y: bool = False
    start: float = 0.0  # share of the shortest horizon that is cut off
    batch_tokens: float | None = None  # tokens per update, for the axis in tokens
    title: str = ""


def dense_steps(schedule: Schedule, most: int = MOST_POINTS) -> np.ndarray:
    """Steps (n,) of a curve from the end of the warm-up on: every one of a short run, `most` of a long one.

    Both sides of every kink and the updates after it are among them.
    """
    first, last = min(schedule.warmup_end, schedule.total - 1), schedule.total - 1
    even = np.rint(np.linspace(first, last, min(most, last - first + 1)))
    kinks = np.array([b for b in schedule.breaks if first < b <= last], float)[: most // 8]
    near = np.rint(np.geomspace(1, max(last - first, 1), 24))
    after = (np.append(first, kinks)[:, None] + near).ravel() if len(kinks) < most // 50 else kinks
    return np.unique(np.clip(np.concatenate((even, kinks, kinks - 1, after)), first, last)).astype(np.int64)


def figure(
    model: Model, lines: Sequence[Line], look: Look | None = None, observed: Mapping[str, Run] | None = None
) -> Any:
    """A `matplotlib.figure.Figure` of what `model` predicts for the lines; observed runs, by name, in grey behind.

    Raises `OptLawsError` for a look that is none, without lines, and where matplotlib is not installed.
    """
    look = look or Look()
    if look.width not in WIDTHS or look.x not in AXES:
        raise OptLawsError(f"A figure has a width of {' or '.join(WIDTHS)} and an axis of {', '.join(AXES)}.")
    if not lines:
        raise OptLawsError("A figure needs at least one candidate, got none.")
    usual = look.batch_tokens or None
    untold = any(tokens_before(line.schedule, 1, usual) is None for line in lines)
    x = "step" if look.x == "tokens" and untold else look.x
    batches = batch_axis([line.schedule for line in lines], usual)
    with extra("paper", "A figure for a paper"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import ScalarFormatter
    width = WIDTHS[look.width]
    height = min(0.85 * width, 4.2) + 0.14 * len(lines)
    ratios = (2.6, 1, *((BATCHES,) if batches else ()))
    made = Figure(figsize=(width, height * sum(ratios) / sum(ratios[:2])), layout="constrained")
    losses, rates, *sizes = made.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    for name, run in (observed or {}).items():
        if run.plan is not None:
            at = _place(run.plan.schedule, run.steps, x, run.plan.batch_tokens or look.batch_tokens)
            losses.plot(at, run.loss, color="0.72", linewidth=0.6, label=f"{name} (observed)", zorder=1)
    ends = []
    for i, line in enumerate(lines):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": STYLES[i % len(STYLES)]}
        steps = dense_steps(line.schedule, line.most)
        predicted = predict(model, line.schedule, steps)
        at = _place(line.schedule, steps, x, look.batch_tokens)
        losses.plot(at, predicted, label=line.name, zorder=3, **style)
        if line.banded:
            _band(losses, model, line.schedule, at, steps, style["color"])
        all_steps = np.unique(np.concatenate((np.linspace(0, line.schedule.warmup_end, 50).astype(np.int64), steps)))
        all_steps = all_steps[all_steps < line.schedule.total]
        along = _place(line.schedule, all_steps, x, look.batch_tokens)
        rates.plot(along, line.schedule(all_steps), zorder=3, **style)
        if batches and (size := batch_at(line.schedule, all_steps, batches[1])) is not None:
            sizes[0].plot(along, size, zorder=3, **style)
        ends.append((steps, predicted, at))
    _frame(losses, [rates, *sizes], lines, ends, look)
    (sizes or [rates])[0].set_xlabel(AXES[x])
    losses.set_ylabel("predicted loss")
    for panel, what in zip([rates, *sizes], ("learning rate", batches[0] if batches else ""), strict=False):
        panel.set_ylabel(what)
        formatter = ScalarFormatter(useMathText=False)
        formatter.set_powerlimits((-2, 3))
        panel.yaxis.set_major_formatter(formatter)
    if look.title:
        losses.set_title(look.title, loc="left")
    shown = [str(drawn_line.get_label()) for drawn_line in losses.get_lines()[: -len(lines)]]
    made.legend(
        losses.get_lines(),
        [*shown, *(line.name for line in lines)],
        loc="outside lower left",
        ncols=1 if look.width == "single" else 2,
    )
    return made


def _place(schedule: Schedule, steps: np.ndarray, x: str, batch_tokens: float | None) -> FloatArray:
    """Steps on the chosen axis, (n,): the step, tokens seen, or the summed rate after that update."""
    if x == "tokens" and (seen := tokens_before(schedule, np.asarray(steps) + 1, batch_tokens or None)) is not None:
        return seen
    return trace(schedule).S(np.asarray(steps)) if x == "lr" else np.asarray(steps, float)


def _band(axes: Any, model: Model, schedule: Schedule, at: FloatArray, steps: np.ndarray, color: str) -> None:
    some = np.unique(np.linspace(0, len(steps) - 1, 400).astype(int))
    told = with_bands(model, schedule, steps[some])
    if told.prediction is not None:
        low, high = told.band(told.prediction)
        axes.fill_between(at[some], low, high, color=color, alpha=0.15, linewidth=0, zorder=2)


def _frame(losses: Any, beneath: Sequence[Any], lines: Sequence[Line], ends: Sequence[tuple], look: Look) -> None:
    """Scales and limits: the ends of all curves stay in the frame, the fall of the first updates does not."""
    cut = int(look.start * min(line.schedule.total for line in lines))
    late, right, left = [], [], []
    for line, (steps, predicted, at) in zip(lines, ends, strict=True):
        first = int(steps[0])
        shown = steps >= min(cut or first + int(SETTLED * (line.schedule.total - first)), int(steps[-1]))
        late.append(predicted[shown])
        right.append(float(at[-1]))
        left.append(float(at[shown][0] if cut else at[0] if look.log_x else 0.0))
    low, high = min(float(p.min()) for p in late), max(float(p.max()) for p in late)
    room = 0.04 * ((high - low) or high)
    losses.set_ylim(low - room, high + room)
    losses.set_xlim(min(left), max(right))
    if look.log_x:
        losses.set_xscale("log")
    if look.log_y:
        losses.set_yscale("log")
    for panel in beneath:
        panel.set_ylim(bottom=0)


def written(
    model: Model,
    lines: Sequence[Line],
    kind: str = "pdf",
    look: Look | None = None,
    observed: Mapping[str, Run] | None = None,
) -> bytes:
    """The figure as a file of a kind of `FORMATS`. Raises like `figure`, and for another kind."""
    return _saved(kind, lambda: figure(model, lines, look, observed))


@dataclass(frozen=True)
class Drawn:
    """A figure on a page of HTML: an SVG, and where in it the points of its loss curves are."""

    svg: str
    width: float  # of the SVG, in its own units
    height: float
    # By the name of a curve its points: x and y in the SVG, step, loss, learning rate.
    points: Mapping[str, Sequence[tuple[float, float, int, float, float]]]


def drawn(
    model: Model, lines: Sequence[Line], look: Look | None = None, observed: Mapping[str, Run] | None = None
) -> Drawn:
    """The figure for a page of HTML that answers to a pointer. Raises like `figure`."""
    with _lock, _settings({"path.simplify": True}):
        made = figure(model, lines, look, observed)
        svg = _bytes(made, "svg").decode("utf-8")
        losses, height = made.axes[0], made.bbox.height * 72 / made.dpi
        points = {}
        for line, curve in zip(lines, losses.get_lines()[-len(lines) :], strict=True):  # after those observed
            steps = dense_steps(line.schedule, line.most)
            data = np.column_stack((curve.get_xdata(), curve.get_ydata()))
            some = np.unique(np.linspace(0, len(steps) - 1, HOVERED).astype(int))
            inside = losses.get_ylim()[0] <= data[some, 1]
            inside &= data[some, 1] <= losses.get_ylim()[1]
            inside &= data[some, 0] >= losses.get_xlim()[0]
            some = some[inside]
            at = losses.transData.transform(data[some]) * 72 / made.dpi
            rates = line.schedule(steps[some])
            points[line.name] = [
                (round(float(x), 1), round(height - float(y), 1), int(s), float(f"{loss:.6g}"), float(f"{rate:.4g}"))
                for (x, y), s, loss, rate in zip(at, steps[some], data[some, 1], rates, strict=True)
            ]
        svg = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)  # in which names stand
        return Drawn(svg, made.bbox.width * 72 / made.dpi, height, points)


def _saved(kind: str, make: Callable[[], Any]) -> bytes:
    if kind not in FORMATS:
        raise OptLawsError(f"A figure is written as {', '.join(FORMATS)}, not as {kind!r:.20}.")
    with _lock, _settings():
        return _bytes(make(), kind)


def _bytes(made: Any, kind: str) -> bytes:
    found = io.BytesIO()
    dated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    made.savefig(found, format=kind, dpi=DOTS, metadata=dated[kind])
    return found.getvalue()


@contextmanager
def _settings(more: dict[Any, Any] | None = None) -> Iterator[None]:
    """Matplotlib's settings for the figures of this module; whoever enters holds `_lock`."""
    with extra("paper", "A figure for a paper"):
        import matplotlib
    with matplotlib.rc_context(SETTINGS | (more or {})), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # a name in another script shows boxes
        yield


__all__ = ["FORMATS", "WIDTHS", "Drawn", "Line", "Look", "dense_steps", "drawn", "figure", "written"]
