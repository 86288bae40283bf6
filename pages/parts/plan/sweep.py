"""The Plan page's last part: an uploaded sweep over learning rate and batch, its optima, laws through them."""

import hashlib
import json
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core.errors import LogError, OptLawsError
from optlaws_core.figures import plan_charts as charts
from optlaws_core.hyper import SweepReport, read_sweep, scaling, sweep_report
from optlaws_core.hyper.sweep_cells import COLUMNS, columns_of
from optlaws_core.hyper.sweep_report import use_of
from optlaws_core.text import format_amount, parse_amount

from ..state import jobs, table_upload
from ..state.table_file import TableFile
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from .recommended import Asked

MOST_RUNS, MOST_CELLS = 20_000, 60
MEANINGS = {
    "params": "parameters of the model",
    "tokens": "tokens of the whole training",
    "lr": "peak learning rate",
    "batch": "batch of one update, in tokens or in the unit given above",
    "loss": "loss at the end, smoothed where there are two; empty or nan where a run diverged",
}
COLUMNS_HELP = (
    f"CSV, one row per run. Columns: {'; '.join(f'**{name}**: {meaning}' for name, meaning in MEANINGS.items())}. "
    "Short names such as N, D and bs are known, too."
)


def sweep(space: Workspace) -> SweepReport | None:
    """The visitor's sweep; None, with a sentence, while there is none that can be read."""
    st.caption(
        "For each model size and length, runs over several learning rates and batches. One such grid has an optimum, "
        "three give a law in one of the two, five at different sizes and lengths a law in both."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        try:
            named = table_upload.upload(space, "sweep", "Table of the sweep", "plan_sweep", COLUMNS_HELP)
        except LogError as fault:
            st.error(literal(str(fault)))
            return None
        unit = st.text_input(
            "Tokens in one unit of batch",
            space.sweep.unit if space.sweep else "",
            key="plan_unit",
            bind="query-params",
            placeholder="1",
            width=220,
            help="1 where the batch column counts tokens; the length of a sequence where it counts sequences.",
        ).strip()
        table_upload.example(example, "sweep.csv", "A made-up sweep, to see what one looks like.")
    if space.sweep is None:
        st.info("Upload a sweep to see its optima and the power laws through them; the example shows the columns.")
        return None
    if not named:
        st.caption(literal(f"Sweep in use: {space.sweep.name}"))
    space.sweep.unit = unit
    try:
        return _read(space.sweep)
    except OptLawsError as fault:
        st.error(literal(str(fault)))
        return None


def _read(sweep: TableFile) -> SweepReport | None:
    """What the sweep tells; unlikely units ask back first."""
    table = sweep.frame
    if len(table) > MOST_RUNS:
        raise LogError(f"{sweep.name}: a sweep may have {MOST_RUNS:,} runs, this one has {len(table):,}.", sweep.name)
    columns = table_upload.choose_columns(
        sweep, table, columns_of(table.columns), MEANINGS, _lacking, "sweep column", len(COLUMNS)
    )
    unit = parse_amount(sweep.unit or "1", "The number of tokens in one unit of batch", examples="2048")
    key = hashlib.sha256(sweep.content + json.dumps([columns, unit, sweep.sure]).encode()).hexdigest()
    return table_upload.unless_unlikely(sweep, lambda: _found(key, table, columns, unit, sweep.sure), "plan_sure")


def _lacking(known: Collection[str]) -> list[str]:
    return [name for name in COLUMNS if name not in known]


@st.cache_resource(show_spinner="Fitting the loss surfaces", max_entries=16)
def _found(key: str, _table: pd.DataFrame, _columns: Mapping[str, str], _unit: float, _sure: bool) -> SweepReport:
    cells = read_sweep(_table, _columns, _unit, _sure)
    if len(cells) > MOST_CELLS:
        raise LogError(f"A sweep may have {MOST_CELLS} pairs of model size and length, this one has {len(cells)}.")
    return jobs.awaited("loss surfaces", sweep_report, cells)


@st.cache_data(show_spinner=False, max_entries=1)
def example() -> str:
    """A sweep drawn from known laws with a little noise, as text."""
    rng, rows = np.random.default_rng(7), ["N,D,lr,batch,loss"]
    for params, tokens in ((1e8, 2e9), (1e8, 8e9), (2e8, 4e9), (2e8, 1.6e10), (4e8, 8e9), (4e8, 3.2e10)):
        best = np.log([2 * params**-0.72 * tokens**0.31, 0.6 * tokens**0.57])
        for lr in np.geomspace(2.5e-4, 1.6e-2, 9):
            for batch in 2.0 ** np.arange(15, 23):
                a, b = np.log([lr, batch]) - best
                height = 0.009 * a * a - 0.007 * a * b + 0.006 * b * b + 0.001 * max(a, -3.0) ** 3
                loss = scaling.BESIROGLU.loss(params, tokens) * np.exp(height + rng.normal(0, 5e-4))
                rows.append(f"{params:.0f},{tokens:.0f},{lr:.4e},{batch:.0f},{loss:.5f}")
    return "\n".join(rows) + "\n"


def optima(found: SweepReport) -> None:
    """The minimum of each cell's surface, and what there is to say of the table."""
    for note in found.notes:
        st.caption(literal(note))
    rows = []
    for o in found.optima:
        low, high = np.exp(o.low), np.exp(o.high)
        rows.append(
            {
                "Model size": format_amount(o.params, 3),
                "Tokens": format_amount(o.tokens, 3),
                "Best learning rate": None if o.trouble else o.lr,
                "90 %": "" if o.trouble else f"{low[0]:.2e} to {high[0]:.2e}",
                "Best batch": "" if o.trouble else format_amount(o.batch, 3),
                "Batch, 90 %": "" if o.trouble else f"{format_amount(low[1], 3)} to {format_amount(high[1], 3)}",
                "Loss there": o.loss,
                "Runs near it": o.used,
                "Use": use_of(o),
            }
        )
    showing.table(
        pd.DataFrame(rows),
        "plan-optima",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "Best learning rate": st.column_config.NumberColumn(format="%.2e"),
            "90 %": st.column_config.TextColumn(help="From refits to runs drawn with replacement."),
            "Loss there": st.column_config.NumberColumn(format="%.4f"),
        },
    )


def own_law(found: SweepReport, asked: Asked | None) -> None:
    """The power laws, and what they say of the setting above."""
    fit = found.fit
    if fit is None:
        st.info(literal(found.lacking))
        return
    st.markdown(literal(found.said))
    if asked is None:
        return
    own = fit.predict(asked.params, asked.tokens)
    boxes = st.columns(3)
    boxes[0].metric(
        "Learning rate for your N and D",
        f"{own.lr:.2e}",
        border=True,
        help=f"90 %: {own.lr_low:.2e} to {own.lr_high:.2e}.",
    )
    boxes[1].metric(
        "Batch for your N and D",
        format_amount(own.batch, 3),
        border=True,
        help=f"90 %: {format_amount(own.batch_low, 3)} to {format_amount(own.batch_high, 3)} tokens.",
    )
    boxes[2].metric(
        "Expected cost",
        f"{100 * own.cost:.2f} %",
        border=True,
        help="Loss above that of the true optimum, on average, for how uncertain the law is there.",
    )
    if own.beyond:
        st.caption(literal(f"Extrapolated: {own.beyond}."))


def surfaces(found: SweepReport) -> None:
    """A heat map of one cell's losses, with its optimum and what the law and the Step Law say."""
    i = st.selectbox(
        "Losses of",
        range(len(found.cells)),
        key="plan_cell",
        width=380,
        format_func=lambda i: (
            f"{format_amount(found.cells[i].params, 3)} parameters, {format_amount(found.cells[i].tokens, 3)} tokens"
        ),
    )
    cell = found.cells[i]
    showing.chart(charts.surface(cell, found.optima[i], found.marks(cell)), "plan-surface")
