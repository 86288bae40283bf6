"""The evidence of a saved comparison: warnings first, then its runs, what each law errs by, and how the runs ended."""

import pandas as pd
import streamlit as st

from optlaws_core.figures import evidence_chart
from optlaws_core.fitting.result import Model
from optlaws_core.prediction import evidence
from optlaws_core.saved import Snapshot

from ..fit import laws_table, report
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal

MOST_ROWS = 12  # of a table of runs, before it scrolls
SHORT = 160  # characters of a schedule in the table of runs


def warned(found: Snapshot) -> list[str]:
    """All that the author was told against the fit in use; empty where there is none."""
    return evidence.warnings(found.fit, found.runs, _selection(found)) if found.fit else []


def section(found: Snapshot, space: Workspace) -> None:
    """Runs, errors of the laws, and predicted against observed final losses."""
    model = found.fit
    ended = evidence.endings(model, found.runs)
    st.subheader("Evidence", anchor="evidence")
    for note in dict.fromkeys(report.notes(model)):
        st.caption(literal(note))
    _runs(ended)
    _laws(found, model, space)
    st.markdown("**Errors on each run**")
    report.errors(space, model)
    _ends(ended)


def _selection(found: Snapshot):
    return found.selections.get(found.current) if found.current else None


def runs_frame(ended: list[evidence.Ended]) -> pd.DataFrame:
    """The runs as a table, numbers in full precision."""
    rows = [
        {
            "run": e.run.name,
            "role": e.role,
            "schedule": e.run.plan.schedule.text if e.run.plan else "",
            "steps": e.run.plan.schedule.total if e.run.plan else None,
            "last_step": int(e.run.steps[-1]) if len(e.run.steps) else None,
            "last_loss": e.last,
            "params": e.run.plan.params if e.run.plan else None,
            "batch_tokens": e.run.plan.batch_tokens if e.run.plan else None,
            "outcome": e.run.about.get("outcome", ""),
        }
        for e in ended
    ]
    table = pd.DataFrame(rows)
    for name in ("steps", "last_step"):
        table[name] = table[name].astype("Int64")
    for name in ("last_loss", "params", "batch_tokens"):
        table[name] = table[name].astype("Float64")
    return table


def ends_frame(ended: list[evidence.Ended]) -> pd.DataFrame:
    """Predicted and observed final losses, a row for each run; without the columns that nothing is known of."""
    rows = [
        {
            "run": e.run.name,
            "role": e.role,
            "observed": e.observed,
            "predicted": e.predicted,
            "error": None if e.error is None else 100 * e.error,
        }
        for e in ended
    ]
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(("observed", "predicted", "error"), "Float64"))


def _runs(ended: list[evidence.Ended]) -> None:
    st.markdown("#### Runs")
    table = runs_frame(ended)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    known = [c for c in table.columns if c == "run" or (table[c].notna() & (table[c].astype(str) != "")).any()]
    showing.table(
        table,
        "share-runs",
        hide_index=True,
        width="stretch",
        rows=MOST_ROWS,
        column_order=known,
        placeholder="–",
        column_config={
            "run": text("Run", width=190),
            "role": text("In the fit", width=95),
            "schedule": text("Schedule", width=330),
            "steps": number("Updates", format="localized", help="Length of the schedule."),
            "last_step": number("Last step", format="localized", help="The last step in the log."),
            "last_loss": number("Last loss", format="%.5f", help="The last one in the log, not smoothed."),
            "params": number("Parameters", format="compact"),
            "batch_tokens": number("Tokens per update", format="localized"),
            "outcome": text("Outcome", help="What a manifest says of how the run ended."),
        },
    )


def _laws(found: Snapshot, model: Model, space: Workspace) -> None:
    """What each law errs by: the table of the Evidence page, where laws were fitted together."""
    st.markdown("#### Errors")
    selection = _selection(found)
    if selection is not None:
        laws_table.table(space)
    if selection is not None and len(selection.fits) + len(selection.failed) > 1:
        return
    st.markdown("**Errors of the law**" if model.single else "**Errors of the laws**")
    rows = [
        {
            "law": e.title,
            "weight": None if e.weight is None else 100 * e.weight,
            "misfit": None if e.misfit is None else 100 * e.misfit,
            "left out": None if e.left_out is None else 100 * e.left_out,
            "rmse": e.held_out_rmse,
            "status": e.status,
        }
        for e in evidence.law_errors(model, selection)
    ]
    number = st.column_config.NumberColumn
    showing.table(
        pd.DataFrame(rows).dropna(axis="columns", how="all"),
        "share-laws",
        hide_index=True,
        width="stretch",
        placeholder="–",
        column_config={
            "law": st.column_config.TextColumn("Law", width=260),
            "weight": number("Weight", format="%.0f %%"),
            "misfit": number("Fit error", format="%.2g %%", help=laws_table.MISFIT),
            "left out": number("Left-out error", format="%.2g %%", help=laws_table.LEFT_OUT),
            "rmse": number("Held-out RMSE", format="%.5f", help="Root mean square error, mean over held-out runs."),
            "status": st.column_config.TextColumn("Status", width=320),
        },
    )


def _ends(ended: list[evidence.Ended]) -> None:
    table = ends_frame(ended)
    st.markdown("#### Predicted and observed")
    if table["observed"].isna().all():
        st.caption("No run was logged to its end, so there is no final loss to compare a prediction with.")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        showing.chart(evidence_chart.against(ended), "share-predicted-against-observed")
    with right:
        showing.table(
            table,
            "share-final-losses",
            hide_index=True,
            width="stretch",
            rows=MOST_ROWS,
            placeholder="–",
            column_config={
                "run": st.column_config.TextColumn("Run", width=170),
                "role": st.column_config.TextColumn("In the fit", width=95),
                "observed": st.column_config.NumberColumn(
                    "Observed", format="%.5f", help="Mean loss over the last 1 % of the updates; none: ended early."
                ),
                "predicted": st.column_config.NumberColumn(
                    "Predicted", format="%.5f", help="Mean over the same updates."
                ),
                "error": st.column_config.NumberColumn("Error", format="%+.3f %%", help="Predicted minus observed."),
            },
        )
