"""The Compare page's other parts: the fit in use, the charts, the ranking."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from optlaws_core import LAWS, OptLawsError, Prediction, Ranked, Schedule, predict, rank, with_bands
from optlaws_core.fitting import first_split
from optlaws_core.fitting.result import Coverage, Model
from optlaws_core.fitting.selection import POOL
from optlaws_core.prediction.divergence import Risk
from optlaws_core.text import format_amount, parse_amount

from ..fit import from_address, job
from ..state import address
from ..state import candidates as c
from ..state.kept_fits import Choice
from ..state.workspace import Workspace
from ..widgets import candidate_chart as charts
from ..widgets import showing
from ..widgets.markdown import literal
from . import ranking

EXTRAPOLATES = "Beyond the training runs, in peak, horizon, model size or batch: the law was never checked there."
BANDED = 6  # candidates at most; bands of more could not be told apart
ALSO = 20  # fits drawn beside the one in use, as many as are saved
END_BAND = (
    "Half the width of the 90 % prediction band of the final loss. Candidates share part of the law's error, so a "
    "difference between two of them is somewhat surer than their two bands together."
)
RISK = "Probability of divergence, learned from the labelled runs named above. None: a model of another size."
SAVED = (
    "How many updates fewer the best schedule needs to end at this row's loss: its shape, everything after the warm-up "
    "shortened in proportion, at the horizon where it ends exactly there. Negative: it would need more, and leads only "
    "because it is longer. Its own curve read half way would not tell, since it has not decayed there yet."
)


# ---------------------------------------------------------------------------------------------------- the fit


def offer(space: Workspace) -> None:
    """No fit yet: one button that makes one, of what a link asked for where there was one."""
    train, test = first_split.split(space.runs)
    if space.choice.train:
        train, test = space.choice.train, space.choice.test
    laws = space.choice.laws or POOL
    st.info("A comparison needs a law fitted to some runs. Fit one here, or choose law and runs on the Fit page.")
    if st.button("Fit the loaded runs", type="primary", icon=":material/play_arrow:", disabled=not train):
        choice = Choice(laws, tuple(train), tuple(test), space.choice.split, space.choice.from_step)
        job.begin(space, choice)
        st.rerun()
    named = " and ".join(LAWS[name].title for name in laws[:3]) + (f" and {len(laws) - 3} more" if laws[3:] else "")
    st.caption(f"{named}{', and their average' if laws[1:] else ''}, trained on")
    st.text(f"{', '.join(train)}; {len(test)} runs held out.")


def pick(space: Workspace) -> list[str]:
    """Names of the fits to draw, the one that ranks first, and how good that one is."""
    names = list(space.fits)
    left, right = st.columns([2, 3], gap="medium")
    main = left.selectbox(
        "Fit in use", names, index=names.index(space.current) if space.current in names else 0,
        key=f"compare_fit {space.current} {len(names)}", help="The law and coefficients behind the ranking.",
    )  # fmt: skip
    space.current = main
    others = []
    if len(names) > 1:
        known = {
            call: n for call, n in from_address.named(space, from_address.described(space, main)).items() if n != main
        }
        first = address.several("also", known, [], most=ALSO)
        others = right.multiselect(
            "Also draw", [n for n in names if n != main], [known[call] for call in first],
            key=f"compare_others {main} {len(names)}", max_selections=ALSO,
            help="Predictions of other fits, dashed: where they disagree, the choice of law or coefficients decides. "
            f"{ALSO} at most.",
        )  # fmt: skip
        address.put("also", [call for call, n in known.items() if n in others], [])
    fit = space.fits[main]
    st.caption(ranking.Yardstick.of(fit).sentence)
    for doubt in ranking.doubts(fit):
        st.warning(literal(doubt))
    return [main, *others]


# ---------------------------------------------------------------------------------------------------- predictions


@dataclass(frozen=True)
class _Known:
    """A fit or an average that can be a key: two are equal when they predict the same, bands included."""

    parts: tuple[tuple, ...]  # of each law: its name, coefficients, what is free, and their covariance
    weights: tuple[float, ...]
    errors: tuple[float | None, float | None]  # misfit, left out
    coverage: Coverage
    model: Model = field(compare=False, repr=False)

    @classmethod
    def of(cls, model: Model) -> "_Known":
        fits, weights = zip(*model.parts, strict=True)
        parts = tuple((f.law, tuple(f.theta.items()), f.free, f.covariance) for f in fits)
        return cls(parts, weights, (model.misfit, model.left_out), model.coverage, model)


@lru_cache(maxsize=512)
def _curve(known: _Known, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    steps = charts.steps_of(schedule)
    return steps, predict(known.model, schedule, steps)


@lru_cache(maxsize=256)
def _banded(known: _Known, schedule: Schedule) -> Prediction:
    return with_bands(known.model, schedule, charts.steps_of(schedule))


@lru_cache(maxsize=512)
def _half_width(known: _Known, schedule: Schedule) -> float | None:
    """Half the width of the prediction band of the final loss, in the loss's unit; None without such a band."""
    end = with_bands(known.model, schedule)
    return None if end.prediction is None else float(end.loss[0] * np.sinh(end.prediction[0]))


@lru_cache(maxsize=128)
def _ranked(known: _Known, schedules: tuple[Schedule, ...], risk: Risk | None, most_risk: float) -> tuple[Ranked, ...]:
    return tuple(rank(known.model, schedules, risk, most_risk))


@dataclass(frozen=True)
class Entry:
    """A candidate that takes part: its place in the list (and so its colour), its name and its schedule."""

    place: int
    name: str
    schedule: Schedule


def entries(space: Workspace, fits: Sequence[str]) -> list[Entry]:
    """Candidates that can be predicted. Says which cannot, and why."""
    names, good = c.names(space.candidates), []
    for i, candidate in enumerate(space.candidates):
        if not candidate.on or candidate.schedule is None:
            continue
        try:
            for name in fits:
                _curve(_Known.of(space.fits[name]), candidate.schedule)
        except OptLawsError as fault:
            st.text(f"Row {i + 1} is left out. {fault}")
        else:
            good.append(Entry(i, names[i], candidate.schedule))
    return good


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
        x = address.bound(
            st.selectbox, "Horizontal axis", list(charts.AXES), list(charts.AXES).index(start.x),
            format_func=charts.AXES.get, key=f"{key}_x",
            help="Cumulative learning rate: the sum of the rates of all updates so far.",
        )  # fmt: skip
        part = address.bound(
            st.selectbox, "Show", list(charts.PARTS), list(charts.PARTS).index(start.part), key=f"{key}_part",
            help="Differences between schedules show at the end of a run.",
        )  # fmt: skip
    with middle, st.container(horizontal=True):
        log_x = address.bound(st.toggle, "Log steps" if x == "step" else "Log x", start.log_x, key=f"{key}_log_x")
        log_y = address.bound(st.toggle, "Log loss", start.log_y, key=f"{key}_log_y")
    usual = list(observed)
    observed = right.multiselect(
        "Observed runs behind", list(space.fittable),
        address.several(f"{key}_observed", space.fittable, usual, address.RUN), key=f"{key}_observed",
        help="Losses that were measured, in grey.",
    )  # fmt: skip
    address.put(f"{key}_observed", observed, usual)
    if x == "tokens" and batch is None:
        usual = "" if start.batch_tokens is None else format_amount(start.batch_tokens)
        typed = st.text_input(
            "Tokens per update", usual, key=f"{key}_batch", bind="query-params", placeholder="not known", width=280,
            help="Batch size in tokens, such as 4M or 524288; the loaded runs do not say it.",
        ).strip()  # fmt: skip
        try:
            batch = parse_amount(typed, "The number of tokens per update") if typed else None
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
    space: Workspace, fits: Sequence[str], found: Sequence[Entry], view: charts.View, observed: list[str]
) -> tuple[go.Figure, charts.View]:
    """Losses above, learning rates beneath, bands of the fit in use. Returns the chart, and the view as chosen."""
    chosen = _to_band(space, fits[0], found, view.bands)
    curves, banded = [], {found[i].place for i in chosen}
    for k, name in enumerate(fits):
        known = _Known.of(space.fits[name])
        said = name if len(fits) > 1 else ""
        curves += [
            charts.Curve(
                e.name, e.place, e.schedule, *_curve(known, e.schedule), fit=said, dash=k,
                bands=_banded(known, e.schedule) if k == 0 and e.place in banded else None,
            )
            for e in found
        ]  # fmt: skip
    runs = {name: space.runs[name] for name in observed}
    figure = charts.comparison(curves, runs, view)
    showing.chart(figure, "compare-curves")
    if banded:
        whole = "The prediction band (light) is meant to hold 90 % of the losses of a new run. "
        st.caption(
            f"{whole if space.fits[fits[0]].left_out is not None else ''}The parameter band (darker) only says how far "
            "the curve would move if the training runs had had other noise. Candidates share part of the law's "
            "error, so two bands that overlap leave the order likely, not open; bands that lie apart all but settle it."
        )
    return figure, replace(view, bands=chosen)


def _to_band(space: Workspace, name: str, found: Sequence[Entry], start: tuple[int, ...] | None) -> tuple[int, ...]:
    """Which candidates have their bands drawn; to begin with those of `start`."""
    known = _Known.of(space.fits[name])
    if not any(free for _, _, free, _ in known.parts) and known.errors[1] is None:
        return ()  # set by hand: nothing is known of its errors
    names, ends = [e.name for e in found], [_curve(known, e.schedule)[1][-1] for e in found]
    best = names[int(np.argmin(ends))]
    usual = [best] if start is None else [names[i] for i in start if i < len(names)]
    first = address.several("bands", names, usual, "candidate", BANDED)
    chosen = st.multiselect(
        "Bands of", names, default=first, key=f"compare_bands {best} {len(names)}", max_selections=BANDED, wrap=True,
        placeholder="no candidate", width=560,
        help="How sure a predicted loss is. Where candidates share part of their schedule, their bands coincide, so "
        f"only the best one's is drawn at first; {BANDED} at most.",
    )  # fmt: skip
    address.put("bands", chosen, usual)
    return tuple(i for i, name in enumerate(names) if name in chosen)


# ---------------------------------------------------------------------------------------------------- ranking


def result(
    space: Workspace, found: Sequence[Entry], batch_tokens: float | None, risk: Risk | None, most_risk: float
) -> tuple[pd.DataFrame, str]:
    """Verdict and table; the table and the verdict once more. Above `most_risk` of `risk`: set apart."""
    fit = space.fit
    known = _Known.of(fit)
    ranked = _ranked(known, tuple(e.schedule for e in found), risk, most_risk)
    halves = [_half_width(known, r.schedule) for r in ranked]
    names = _in_order(ranked, found)
    verdict = ranking.verdict(ranked, names, ranking.Yardstick.of(fit), halves)
    with st.container(border=True):
        st.text(verdict)
    table = ranking.rows(ranked, names, batch_tokens, halves)
    showing.table(
        table, "compare-ranking", hide_index=True, width="stretch", column_order=_shown(table),
        column_config=_columns(), placeholder="–",
    )  # fmt: skip
    return table, verdict


def _in_order(ranked: Sequence[Ranked], found: Sequence[Entry]) -> list[str]:
    """Names in the order of the ranking; equal schedules keep their order."""
    left = list(found)
    return [left.pop(next(i for i, e in enumerate(left) if e.schedule == r.schedule)).name for r in ranked]


def _shown(table: pd.DataFrame) -> list[str]:
    """Columns worth showing."""
    empty = {
        n for n in ("plus_minus", "risk", "saved_tokens", "saved_updates", "saved_percent") if table[n].isna().all()
    }
    order = sorted(table.columns, key=lambda n: n not in ("rank", "name", "extrapolates"))  # what to doubt stands first
    return [n for n in order if n not in empty and (n != "extrapolates" or table[n].any())]


def _columns() -> dict:
    text, numbers = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "rank": numbers("Rank", width=50),
        "name": text("Schedule", width=170),
        "final_loss": numbers("Predicted final loss", format="%.5f", help="After the last update.", width=130),
        "plus_minus": numbers("± at the end", format="%.4f", help=END_BAND, width=125),
        "delta": numbers("Above the best", format="%.5f", help="Predicted final loss minus the best one.", width=110),
        "delta_percent": numbers("in %", format="%.3f %%", help="The same as a share of the best loss.", width=80),
        "risk": numbers("Diverges", format="percent", help=RISK, width=90),
        "saved_updates": numbers("Updates saved", format="localized", help=SAVED, width=115),
        "saved_percent": numbers("of its own", format="%.1f %%", help="As a share of this row's horizon.", width=90),
        "saved_tokens": numbers("Tokens saved", format="compact", help="Updates saved × tokens per update.", width=110),
        "extrapolates": text("Extrapolates", help=EXTRAPOLATES, width=380),
        "schedule": text("Text form", help="For the command line and links.", width=420),
    }
