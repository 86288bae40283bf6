"""The Compare page's other parts: the fit in use, the charts, the ranking."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import LAWS, Fit, OptLawsError, Ranked, Schedule, Status, predict, rank
from optlaws_core.fits import Coverage

from . import candidates as c
from . import defaults, ranking, report, session
from .charts import compare as charts

EXTRAPOLATES = "Outside what the training runs cover (peak learning rate, horizon): the law was never checked there."
SAVED = (
    "How many updates fewer the best schedule needs to end at this row's loss: its shape, everything after the warm-up "
    "shortened in proportion, at the horizon where it ends exactly there. Negative: it would need more, and leads only "
    "because it is longer. Its own curve read half way would not tell, since it has not decayed there yet."
)


# ---------------------------------------------------------------------------------------------------- the fit


def offer(space: session.Workspace) -> None:
    """No fit yet: one button that makes one."""
    train, test = defaults.split(space.runs)
    law = LAWS["opt_laws_curve"]
    st.info("A comparison needs a law fitted to some runs. Fit one here, or choose law and runs on the Fit page.")
    if st.button("Fit the loaded runs", type="primary", icon=":material/play_arrow:", disabled=not train):
        report.begin(space, session.Choice(law.name, tuple(train), tuple(test)))
        st.rerun()
    st.caption(f"{law.title}, trained on")
    st.text(f"{', '.join(train)}; {len(test)} runs held out.")


def pick(space: session.Workspace) -> list[str]:
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
        others = right.multiselect(
            "Also draw", [n for n in names if n != main], key=f"compare_others {main} {len(names)}",
            help="Predictions of other fits, dashed: where they disagree, the choice of law or coefficients decides.",
        )  # fmt: skip
    fit = space.fits[main]
    st.caption(ranking.Yardstick.of(fit).sentence)
    if fit.message != fit.status.value or fit.status not in (Status.converged, Status.tuned):
        st.warning(session.literal(fit.message))
    return [main, *others]


# ---------------------------------------------------------------------------------------------------- predictions


@dataclass(frozen=True)
class _Known:
    """A fit that can be a key: two are equal when they predict the same."""

    law: str
    theta: tuple[tuple[str, float], ...]
    coverage: Coverage
    fit: Fit = field(compare=False, repr=False)

    @classmethod
    def of(cls, fit: Fit) -> "_Known":
        return cls(fit.law, tuple(fit.theta.items()), fit.coverage, fit)


@lru_cache(maxsize=512)
def _curve(known: _Known, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    steps = charts.steps_of(schedule)
    return steps, predict(known.fit, schedule, steps)


@lru_cache(maxsize=128)
def _ranked(known: _Known, schedules: tuple[Schedule, ...]) -> tuple[Ranked, ...]:
    return tuple(rank(known.fit, schedules))


@dataclass(frozen=True)
class Entry:
    """A candidate that takes part: its place in the list (and so its colour), its name and its schedule."""

    place: int
    name: str
    schedule: Schedule


def entries(space: session.Workspace, fits: Sequence[str]) -> list[Entry]:
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


def look(space: session.Workspace) -> tuple[charts.View, list[str]]:
    """How to draw, and which observed runs to draw faintly behind."""
    batch = _batch(space)
    left, middle, right = st.columns([5, 4, 4], gap="medium", vertical_alignment="bottom")
    with left, st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.selectbox(
            "Horizontal axis", list(charts.AXES), format_func=charts.AXES.get, key="compare_x", bind="query-params",
            help="Cumulative learning rate: the sum of the rates of all updates so far.",
        )  # fmt: skip
        part = st.selectbox(
            "Show", list(charts.PARTS), key="compare_part", bind="query-params",
            help="Differences between schedules show at the end of a run.",
        )  # fmt: skip
    with middle, st.container(horizontal=True):
        log_x = st.toggle("Log steps" if x == "step" else "Log x", key="compare_log_x", bind="query-params")
        log_y = st.toggle("Log loss", key="compare_log_y", bind="query-params")
    observed = right.multiselect(
        "Observed runs behind", list(space.fittable), key="compare_observed", help="Losses that were measured, in grey."
    )
    if x == "tokens" and batch is None:
        batch = st.number_input(
            "Tokens per update", min_value=1.0, value=None, key="compare_batch", format="%.0f",
            help="Batch size in tokens; the loaded runs do not say it.",
        )  # fmt: skip
    if x == "tokens" and batch is None:
        st.caption("The runs do not say how many tokens one update sees, so the axis counts updates until you do.")
        x = "step"
    return charts.View(x, log_x, log_y, part, batch), observed


def _batch(space: session.Workspace) -> float | None:
    """Tokens per update of the training runs, where they agree on it."""
    fit = space.fit
    sizes = {space.runs[n].plan.batch_tokens for n in fit.train if n in space.fittable} if fit else set()
    return sizes.pop() if len(sizes) == 1 else None


def draw(space: session.Workspace, fits: Sequence[str], found: Sequence[Entry], view: charts.View, observed: list[str]):
    """Predicted losses above, learning rates beneath."""
    curves = []
    for k, name in enumerate(fits):
        known = _Known.of(space.fits[name])
        said = name if len(fits) > 1 else ""
        curves += [
            charts.Curve(e.name, e.place, e.schedule, *_curve(known, e.schedule), fit=said, dash=k) for e in found
        ]
    runs = {name: space.runs[name] for name in observed}
    figure = charts.comparison(curves, runs, view)
    st.plotly_chart(figure, width="stretch", key="compare_chart", config={"displaylogo": False})


# ---------------------------------------------------------------------------------------------------- ranking


def result(space: session.Workspace, found: Sequence[Entry], batch_tokens: float | None) -> None:
    """Verdict, table, download."""
    fit = space.fit
    ranked = _ranked(_Known.of(fit), tuple(e.schedule for e in found))
    names = _in_order(ranked, found)
    with st.container(border=True):
        st.text(ranking.verdict(ranked, names, ranking.Yardstick.of(fit)))
    table = ranking.rows(ranked, names, batch_tokens)
    st.dataframe(
        table, hide_index=True, width="stretch", column_order=_shown(table), column_config=_columns(), placeholder="–"
    )
    st.download_button(
        "Download as CSV", ranking.to_csv(table), "ranking.csv", "text/csv", icon=":material/download:",
        on_click="ignore",
    )  # fmt: skip


def _in_order(ranked: Sequence[Ranked], found: Sequence[Entry]) -> list[str]:
    """Names in the order of the ranking; equal schedules keep their order."""
    left = list(found)
    return [left.pop(next(i for i, e in enumerate(left) if e.schedule == r.schedule)).name for r in ranked]


def _shown(table: pd.DataFrame) -> list[str]:
    """Columns worth showing."""
    empty = {n for n in ("saved_tokens", "saved_updates", "saved_percent") if table[n].isna().all()}
    order = sorted(table.columns, key=lambda n: n not in ("rank", "name", "extrapolates"))  # what to doubt stands first
    return [n for n in order if n not in empty and (n != "extrapolates" or table[n].any())]


def _columns() -> dict:
    text, numbers = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "rank": numbers("Rank", width=50),
        "name": text("Schedule", width=170),
        "final_loss": numbers("Predicted final loss", format="%.5f", help="After the last update.", width=130),
        "delta": numbers("Above the best", format="%.5f", help="Predicted final loss minus the best one.", width=110),
        "delta_percent": numbers("in %", format="%.3f %%", help="The same as a share of the best loss.", width=80),
        "saved_updates": numbers("Updates saved", format="localized", help=SAVED, width=115),
        "saved_percent": numbers("of its own", format="%.1f %%", help="As a share of this row's horizon.", width=90),
        "saved_tokens": numbers("Tokens saved", format="compact", help="Updates saved × tokens per update.", width=110),
        "extrapolates": text("Extrapolates", help=EXTRAPOLATES, width=260),
        "schedule": text("Text form", help="For the command line and links.", width=420),
    }
