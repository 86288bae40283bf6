"""The Compare page's ranking: verdict and table."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from optlaws_core import Ranked
from optlaws_core.prediction.divergence import Risk
from optlaws_core.prediction.verdict import Yardstick, verdict

from ..state.workspace import Workspace
from ..widgets import showing
from . import predicted
from .columns import COLUMNS, MAY_LACK, Column, rows
from .predicted import Entry, Known


def result(
    space: Workspace, found: Sequence[Entry], batch_tokens: float | None, risk: Risk | None, most_risk: float
) -> tuple[pd.DataFrame, str]:
    """Verdict and table; the table and the verdict once more. Above `most_risk` of `risk`: set apart."""
    fit = space.fit
    known = Known.of(fit)
    ranked = predicted.ranked(known, tuple(e.schedule for e in found), risk, most_risk)
    halves = [predicted.half_width(known, r.schedule) for r in ranked]
    names = _in_order(ranked, found)
    said = verdict(ranked, names, Yardstick.of(fit), halves)
    with st.container(border=True):
        st.text(said)
    table = rows(ranked, names, batch_tokens, halves)
    showing.table(
        table,
        "compare-ranking",
        hide_index=True,
        width="stretch",
        column_order=_shown(table),
        column_config={column.key: _shown_as(column) for column in COLUMNS},
        placeholder="–",
    )
    return table, said


def _in_order(ranked: Sequence[Ranked], found: Sequence[Entry]) -> list[str]:
    """Names in the order of the ranking; equal schedules keep their order."""
    left = list(found)
    return [left.pop(next(i for i, e in enumerate(left) if e.schedule == r.schedule)).name for r in ranked]


def _shown(table: pd.DataFrame) -> list[str]:
    """Columns worth showing."""
    empty = {name for name in MAY_LACK if table[name].isna().all()}
    order = sorted(table.columns, key=lambda n: n not in ("rank", "name", "extrapolates"))  # what to doubt stands first
    return [n for n in order if n not in empty and (n != "extrapolates" or table[n].any())]


def _shown_as(column: Column):
    """How Streamlit shows a column."""
    if column.form or column.key == "rank":
        return st.column_config.NumberColumn(
            column.title, format=column.form or None, help=column.help or None, width=column.width
        )
    return st.column_config.TextColumn(column.title, help=column.help or None, width=column.width)
