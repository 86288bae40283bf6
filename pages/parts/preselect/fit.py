"""The law fitted to the Pre-select page's final losses, and how well it does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import FitError, OptLawsError, Status
from optlaws_core.figures import preselect_charts as charts
from optlaws_core.final_loss import (
    FINAL_LAWS,
    FinalFit,
    TableRun,
    final_law,
    fit_table,
    with_folds,
)
from optlaws_core.laws.provenance import OWN_FORM
from optlaws_core.text import counted, format_amount

from ..state import address, jobs
from ..widgets import showing
from ..widgets.markdown import literal
from .tables import digest


def fitted(runs: Sequence[TableRun]) -> FinalFit | None:
    """The law fitted to the runs, once for each table; None with a sentence where they do not tell enough."""
    law = address.bound_widget(
        st.selectbox,
        "Law",
        list(FINAL_LAWS),
        format_func=lambda n: FINAL_LAWS[n].title,
        key="final_law",
        width=380,
        help="  \n".join(f"**{law.title}**: {law.summary}" for law in FINAL_LAWS.values()),
    )
    try:
        return _fit(law, digest(runs), list(runs))
    except (OptLawsError, FitError) as fault:
        st.error(literal(str(fault)))
        return None


@st.cache_resource(show_spinner="Fitting the law to the final losses", max_entries=32)
def _fit(law: str, content: str, _runs: list[TableRun]) -> FinalFit:
    return jobs.awaited("final losses", fit_table, _runs, law)


@st.cache_resource(show_spinner="Fitting once more without each tenth of the runs", max_entries=32)
def _folds(law: str, content: str, _runs: list[TableRun]) -> FinalFit:
    found = _fit(law, content, _runs)
    return jobs.awaited("folds", with_folds, found, _runs, min(10, len(found.train)))


def report(fit: FinalFit, runs: Sequence[TableRun]) -> None:
    """How well the law does, on the runs and on runs it has not seen."""
    key = digest(runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_told(fit, runs))
        tried = address.bound_widget(
            st.toggle,
            "Cross-validate",
            key="final_folds",
            help="Fit ten times more, each without a tenth of the runs, and judge each run by the fit that has not "
            "seen it. Everything is chosen anew each time, the strength of the priors included.",
        )
    judged = fit
    if tried:
        try:
            judged = _folds(fit.law, key, list(runs))
        except (OptLawsError, FitError) as fault:
            st.warning(literal(str(fault)), icon=":material/warning:")
    _metrics(judged)
    if fit.status is not Status.converged:
        st.warning(literal(fit.message), icon=":material/warning:")
    ends = judged.test or judged.train
    plans = {r.name: r.plan for r in runs}
    showing.chart(charts.errors(ends, plans), "preselect-errors")
    with st.expander("The law and its coefficients", icon=":material/function:"):
        st.latex(final_law(fit.law).latex)
        showing.table(_coefficients(fit), "preselect-coefficients", hide_index=True, placeholder="", height="content")
        st.caption(
            f"N0 = {format_amount(fit.references['N0'], 4)} parameters and "
            f"B0 = {format_amount(fit.references['B0'], 4)} tokens, "
            f"geometric means over the runs. {OWN_FORM}. Only the log-linear law has a feature of escape."
        )


def _told(fit: FinalFit, runs: Sequence[TableRun]) -> str:
    sizes = len({r.plan.params for r in runs if r.name in fit.train})
    said = [f"Fitted to {counted(len(fit.train), 'run')} of {counted(sizes, 'model size')}."]
    gone, spiked = sum(r.diverged for r in runs), sum(r.spiked for r in runs)
    scratch = sum(r.parent is None and r.stable and np.isfinite(r.final_loss) for r in runs)
    if gone:
        said.append(f"{counted(gone, 'run')} diverged" + (f", {spiked} spiked." if spiked else "."))
    if edge := scratch - len(fit.train):
        said.append(f"{edge} ended more than a quarter above the best of their configuration: left out.")
    for text, step in fit.steps.items():
        said.append(f"{counted(step.runs, 'run')} on {literal(text)}: {100 * np.expm1(step.step):+.2f} %.")
    for text, transfer in fit.transfers.items():
        said.append(f"{counted(transfer.runs, 'run')} went on to {literal(text)}.")
    if silent := sum(np.isnan(r.final_loss) and not r.diverged for r in runs):
        said.append(f"{silent} without a final loss.")
    return " ".join(said)


def _metrics(fit: FinalFit) -> None:
    boxes = st.columns(4)
    own = np.array([abs(end.rel_error) for end in fit.train.values()])
    boxes[0].metric(
        "Error on training runs", f"{100 * own.mean():.2f} %", help="Mean size of the relative error of the final loss."
    )
    if fit.folds:
        boxes[1].metric(
            "Error on runs not seen",
            f"{100 * fit.held_out_error:.2f} %",
            help=f"The same over {fit.folds}-fold cross-validation.",
        )
    elif fit.left_out is not None:
        boxes[1].metric(
            "9 of 10 unseen runs within",
            f"{100 * fit.left_out:.2f} %",
            help="Relative error that nine of ten training runs stay below when they are left out of the fit. It makes "
            "the prediction bands.",
        )
    boxes[2].metric(
        "Strength of the priors",
        f"{fit.strength:g}",
        help="The weight of the priors, which matters for coefficients that the runs do not determine. The value "
        "with the highest evidence among 0.3, 1, 3 and 10. For the log-linear law: its ridge.",
    )
    boxes[3].metric(
        "Divergence learned from",
        f"{fit.risk.diverged} of {fit.risk.runs}" if fit.risk else "–",
        help="Runs that diverged or spiked, of all from a random start. At least 5 of either kind are needed.",
    )


def _coefficients(fit: FinalFit) -> pd.DataFrame:
    params = {p.name: p for p in final_law(fit.law).params}
    rows = []
    for name, value in fit.theta.items():
        ends = fit.interval.get(name)
        rows.append(
            {
                "Coefficient": name,
                "Value": f"{value:.4g}",
                "90 % interval": f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else "held" if name in params else "–",
                "Meaning": params[name].meaning if name in params else "of this feature",
            }
        )
    for text, step in fit.steps.items():
        rows.append(
            {
                "Coefficient": f"offset of {text}",
                "Value": f"{step.step:.4g}",
                "90 % interval": f"{step.low:.4g} to {step.high:.4g}",
                "Meaning": f"by how much log losses on it are above those on {fit.text or 'the text of most runs'}",
            }
        )
    return pd.DataFrame(rows)
