"""Which fit to predict with, and the charts of what it predicts."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import OptLawsError, Run
from optlaws_core.figures import candidate_chart as charts
from optlaws_core.text import format_amount, listed, parse_amount

from ..fit import from_address
from ..state import address
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal, unbroken
from . import predicted
from .predicted import Entry, Known

BANDED = 6  # candidates at most; bands of more could not be told apart
ALSO = 20  # fits drawn beside the one in use, as many as are saved


def pick(space: Workspace) -> list[str]:
    """Names of the fits to draw, the one that ranks first, and how good that one is."""
    names = list(space.fits)
    left, right = st.columns([2, 3], gap="medium")
    main = left.selectbox(
        "Fit in use",
        names,
        index=names.index(space.current) if space.current in names else 0,
        key=f"compare_fit {space.current} {len(names)}",
        help="The law and coefficients behind the ranking.",
    )
    space.current = main
    others = []
    if len(names) > 1:
        known = {
            call: n for call, n in from_address.named(space, from_address.described(space, main)).items() if n != main
        }
        first = address.read_several("also", known, [], most=ALSO)
        others = right.multiselect(
            "Also draw",
            [n for n in names if n != main],
            [known[call] for call in first],
            key=f"compare_others {main} {len(names)}",
            max_selections=ALSO,
            help="Predictions of other fits, dashed: where they disagree, the choice of law or coefficients decides. "
            f"{ALSO} at most.",
        )
        address.write("also", [call for call, n in known.items() if n in others], [])
    return [main, *others]


# ---------------------------------------------------------------------------------------------------- charts


def look(
    space: Workspace, key: str = "compare", start: charts.View | None = None, observed: Sequence[str] = ()
) -> tuple[charts.View, list[str]]:
    """How to draw, and which observed runs to draw faintly behind; begins as `start` and `observed` say.

    `key` begins the keys of the widgets, which are names in the address, too.
    """
    start = start or charts.View()
    batch = _batch(space)
    left, middle, right = st.columns([5, 4, 4], gap="medium", vertical_alignment="bottom")
    with left, st.container(horizontal=True, vertical_alignment="bottom"):
        x = address.bound_widget(
            st.selectbox,
            "Horizontal axis",
            list(charts.AXES),
            list(charts.AXES).index(start.x),
            format_func=charts.AXES.get,
            key=f"{key}_x",
            help="Cumulative learning rate: the sum of the rates of all updates so far.",
        )
        part = address.bound_widget(
            st.selectbox,
            "Show",
            list(charts.PARTS),
            list(charts.PARTS).index(start.part),
            key=f"{key}_part",
            help="Differences between schedules show at the end of a run.",
        )
    with middle, st.container(horizontal=True):
        log_x = address.bound_widget(
            st.toggle, "Log steps" if x == "step" else "Log x", start.log_x, key=f"{key}_log_x"
        )
        log_y = address.bound_widget(st.toggle, "Log loss", start.log_y, key=f"{key}_log_y")
    usual = list(observed)
    observed = right.multiselect(
        "Observed runs behind",
        list(space.fittable),
        address.read_several(f"{key}_observed", space.fittable, usual, address.RUN),
        key=f"{key}_observed",
        help="Measured losses, in grey.",
    )
    address.write(f"{key}_observed", observed, usual)
    if x == "tokens" and batch is None:
        usual = "" if start.batch_tokens is None else format_amount(start.batch_tokens)
        typed = st.text_input(
            "Tokens per update",
            usual,
            key=f"{key}_batch",
            bind="query-params",
            placeholder="not known",
            width=280,
            help="Batch size in tokens, such as 4M or 524288; the loaded runs do not say it.",
        ).strip()
        try:
            batch = parse_amount(typed, "The number of tokens per update", examples="4M or 524288") if typed else None
        except OptLawsError as fault:
            st.error(literal(str(fault)))
    if x == "tokens" and batch is None:
        st.caption("The runs do not say how many tokens one update sees, so the axis counts updates until you do.")
        x = "step"
    return charts.View(x, log_x, log_y, part, batch, start.bands), observed


def _batch(space: Workspace) -> float | None:
    """Tokens per update of the training runs, where they agree on it."""
    fit = space.fit
    sizes = {space.runs[n].plan.batch_tokens for n in fit.train if n in space.fittable} if fit else set()
    return sizes.pop() if len(sizes) == 1 else None


def draw(
    space: Workspace,
    fits: Sequence[str],
    found: Sequence[Entry],
    view: charts.View,
    observed: list[str],
    place: DeltaGenerator | None = None,
    height: int = 640,
    beneath: bool = False,
) -> tuple[go.Figure, charts.View]:
    """Losses above, learning rates beneath, bands of the fit in use. Returns the chart, and the view as chosen.

    `place`: where to ask for bands and to explain them, if not above and beneath the chart. `beneath`: whether the
    legend stands there.
    """
    with place or nullcontext():
        chosen = _to_band(space, fits[0], found, view.bands)
    banded = {found[i].place for i in chosen}
    drawn = tuple(
        (Known.of(space.fits[name]), name if len(fits) > 1 else "", k, e, k == 0 and e.place in banded)
        for k, name in enumerate(fits)
        for e in found
    )
    figure = _figure(drawn, tuple((name, space.runs[name]) for name in observed), view, height, beneath)
    showing.chart(figure, "compare-curves")
    if few := [e for e in found if predicted.coarse(e.schedule)]:
        st.caption(
            f"Rates that turn more than {predicted.OFTEN:,} times are drawn at about {min(e.steps for e in few):,} "
            f"steps, between which their losses go up and down: {literal(listed([e.name for e in few]))}."
        )
    if banded:
        whole = unbroken("The prediction band (light) is meant to hold 90 % of the losses of a new run. ")
        (place or st).caption(
            f"{whole if space.fits[fits[0]].left_out is not None else ''}The parameter band (darker) shows only how "
            "far the curve would move under other noise in the training runs. Candidates share part of the law's "
            "error, so a difference between two is more certain than their bands suggest: the ranking says how certain."
        )
    return figure, replace(view, bands=chosen)


@lru_cache(maxsize=64)
def _figure(
    drawn: tuple[tuple[Known, str, int, Entry, bool], ...],
    observed: tuple[tuple[str, Run], ...],
    view: charts.View,
    height: int,
    beneath: bool,
) -> go.Figure:
    """The chart of what is drawn: under which fit, what that is called, its place, of which candidate, with bands?

    Made once for all visitors who look at the same; nobody may change it.
    """
    curves = [
        charts.Curve(
            e.name,
            e.color,
            e.schedule,
            *predicted.curve(known, e.schedule, e.steps),
            fit=said,
            dash=k,
            bands=predicted.banded(known, e.schedule, e.steps) if banded else None,
        )
        for known, said, k, e, banded in drawn
    ]
    return charts.comparison(curves, dict(observed), view, height, beneath)


def _to_band(space: Workspace, name: str, found: Sequence[Entry], start: tuple[int, ...] | None) -> tuple[int, ...]:
    """Which candidates have their bands drawn; to begin with those of `start`."""
    known = Known.of(space.fits[name])
    if not known.model.has_bands and known.errors[1] is None:
        return ()  # set by hand: nothing is known of its errors
    names, ends = [e.name for e in found], [predicted.curve(known, e.schedule, e.steps)[1][-1] for e in found]
    best = names[int(np.argmin(ends))]
    usual = [best] if start is None else [names[i] for i in start if i < len(names)]
    first = address.read_several("bands", names, usual, "candidate", BANDED)
    chosen = st.multiselect(
        "Bands of",
        names,
        default=first,
        key=f"compare_bands {best} {len(names)}",
        max_selections=BANDED,
        wrap=True,
        placeholder="no candidate",
        width=560,
        help="How sure a predicted loss is. Where candidates share part of their schedule, their bands coincide, so "
        f"only the best one's is drawn at first; {BANDED} at most.",
    )
    address.write("bands", chosen, usual)
    return tuple(i for i, name in enumerate(names) if name in chosen)
