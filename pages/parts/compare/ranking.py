"""The Decide page's ranking: what all are compared with, verdict and table."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from optlaws_core import Ranked
from optlaws_core.fitting.result import Model
from optlaws_core.laws.effective import stretches
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.observed import observed
from optlaws_core.prediction.pairs import Compared
from optlaws_core.prediction.verdict import Yardstick, sentences, too_far

from ..state import address
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import predicted
from .columns import COLUMNS, MAY_LACK, Column, rows
from .predicted import Entry, Known

BASELINE = "baseline"  # in the address
# What is saved is found by shortening the best candidate, some 15 times against each other one: how many stretches
# between kinks and jumps of its rate, times laws and others, are borne for it; each counts more often where weights are
# averaged.
MOST_SHORTENED, AVERAGED = 2_000, 5


def choose(
    space: Workspace,
    found: Sequence[Entry],
    risk: Risk | None,
    most_risk: float,
    key: str = "compare",
    start: int | None = None,
) -> Entry:
    """The candidate that all others are compared with: by default the first cosine, else the second best.

    `start`: its place in the list of candidates, where a comparison was saved with one. `key` begins the widget's key.
    """
    names = [e.name for e in found]
    first_shown = next((e.name for e in found if e.place == start), None) or usual(space, found, risk, most_risk)
    if len(found) == 1:
        return found[0]
    first = address.read_one(BASELINE, names, first_shown, "candidate")
    chosen = st.selectbox(
        "Compared with",
        names,
        names.index(first),
        key=f"{key}_baseline {first_shown} {names}",
        width=320,
        help="The candidate that all others are held against. By default the first cosine, or else the second best.",
    )
    address.write(BASELINE, chosen, first_shown)
    return found[names.index(chosen)]


def usual(space: Workspace, found: Sequence[Entry], risk: Risk | None, most_risk: float) -> str:
    """The name of the candidate that others are compared with, where nobody chose one."""
    cosine = next((e.name for e in found if e.schedule.family == "cosine"), None)
    ranked = predicted.ranked(Known.of(space.fit), tuple(e.schedule for e in found), risk, most_risk)
    return cosine or in_order(ranked, found)[min(1, len(found) - 1)].name


@dataclass(frozen=True)
class Result:
    """A ranking worked out: (n,) candidates, best first, and what is said of them."""

    order: list[Entry]
    ranked: tuple[Ranked, ...]
    beside: tuple[Compared, ...]
    baseline: int  # place in the order of what all are compared with
    sentences: list[str]  # the verdict; the first one is the answer by itself
    reasons: tuple[str, ...]  # why the best one is ahead of the baseline
    table: pd.DataFrame

    @property
    def verdict(self) -> str:
        """The sentences as one text, the reasons at its end."""
        return " ".join([*self.sentences, *self.reasons])


def worked_out(
    space: Workspace,
    found: Sequence[Entry],
    batch_tokens: float | None,
    risk: Risk | None,
    most_risk: float,
    baseline: Entry,
    in_full: bool,
) -> Result:
    """Candidates ranked under the fit in use and held against the baseline. Above `most_risk` of `risk`: set apart.

    `in_full`: whether the table says what is saved against every candidate, rather than against the baseline alone.
    How candidates leave the training runs is said once for all of them, beside the verdict (`predicted.beyond`).
    """
    fit = space.fit
    known, schedules = Known.of(fit), tuple(e.schedule for e in found)
    ranked = predicted.ranked(known, schedules, risk, most_risk)
    beside = predicted.beside(known, schedules, risk, most_risk, baseline.schedule)
    halves = predicted.half_widths(known, tuple(r.schedule for r in ranked))
    order = in_order(ranked, found)
    place = order.index(baseline)
    ranked = predicted.saved(known, ranked, saving(fit, ranked, place, in_full))
    said = sentences(ranked, [e.spoken for e in order], Yardstick.of(fit), halves, beside, place, False, batch_tokens)
    reasons: tuple[str, ...] = ()
    if len(order) > 1 and not ranked[0].apart and not too_far(ranked, halves):
        other = place or 1  # what the verdict speaks of, too
        best, runs = ranked[0].schedule, tuple(space.runs.values())
        reasons = predicted.reasons(known, best, ranked[other].schedule, order[other].spoken, runs)
    seen = observed(fit, [r.schedule for r in ranked], list(space.runs.values()))
    table = rows(ranked, [e.name for e in order], batch_tokens, halves, beside, seen, baseline.schedule)
    return Result(order, ranked, beside, place, said, reasons, table)


def saving(fit: Model, ranked: Sequence[Ranked], baseline: int, in_full: bool) -> tuple[int, ...] | None:
    """Places of the candidates against which it is worked out what the best one saves; None: of all."""
    best = ranked[0].schedule
    each = (AVERAGED * predicted.past(best) or stretches(best)) * len(fit.parts)
    if in_full and each * (len(ranked) - 1) <= MOST_SHORTENED:
        return None
    spoken_of = tuple({baseline, 1})  # the verdict speaks of one of these
    return spoken_of if each * len(spoken_of) <= MOST_SHORTENED else ()


def result(
    space: Workspace,
    found: Sequence[Entry],
    batch_tokens: float | None,
    risk: Risk | None,
    most_risk: float,
    baseline: Entry,
    head: DeltaGenerator | None = None,
) -> tuple[pd.DataFrame, str]:
    """Verdict, in `head` where there is one, and table; both once more."""
    made = worked_out(space, found, batch_tokens, risk, most_risk, baseline, in_full=True)
    with (head or st).container(border=True):
        say(made)
    whole(made.table)
    return made.table, made.verdict


def say(made: Result, rests_on: str = "") -> None:
    """The verdict: the answer as a headline, what else there is to say of it, and why the best one is ahead."""
    first, *more = made.sentences
    st.subheader(literal(first), anchor=False)
    if rest := " ".join(filter(None, [*more, rests_on])):
        st.markdown(literal(rest))
    if made.reasons:
        st.markdown(f":material/search_insights: **Why:** {literal(' '.join(made.reasons))}")


def whole(table: pd.DataFrame) -> None:
    """The table with every column that holds something."""
    showing.table(
        table,
        "compare-ranking",
        shown=table.style.format({c.key: c.in_text for c in COLUMNS if callable(c.in_text)}, na_rep="–"),
        hide_index=True,
        width="stretch",
        column_order=_shown(table),
        column_config={column.key: _shown_as(column, table) for column in COLUMNS},
        placeholder="–",
    )


def in_order(ranked: Sequence[Ranked], found: Sequence[Entry]) -> list[Entry]:
    """Candidates in the order of the ranking; equal schedules keep their order."""
    left = list(found)
    return [left.pop(next(i for i, e in enumerate(left) if e.schedule == r.schedule)) for r in ranked]


def _shown(table: pd.DataFrame) -> list[str]:
    """Columns worth showing."""
    empty = {name for name in MAY_LACK if table[name].isna().all()}
    first = {"rank", "name"}
    if table["extrapolates"].nunique() > 1:
        first.add("extrapolates")  # what to doubt stands first; a doubt of all is said above, and would hide the losses
    order = sorted(table.columns, key=lambda n: n not in first)
    return [n for n in order if n not in empty and (n != "extrapolates" or table[n].any())]


def _shown_as(column: Column, table: pd.DataFrame):
    """How Streamlit shows a column of a table."""
    width = showing.name_width(table[column.key]) if column.key == "name" else column.width
    if column.form or column.key == "rank" or callable(column.in_text):
        return st.column_config.NumberColumn(
            column.title, format=column.form or None, help=column.help or None, width=width
        )
    return st.column_config.TextColumn(column.title, help=column.help or None, width=width)
