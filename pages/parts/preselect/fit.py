"""The first half of the Pre-select page: final losses from a table or from loaded logs, and the law fitted to them."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from optlaws_core import FitError, LogError, OptLawsError
from optlaws_core.final_loss import (
    FINAL_LAWS,
    FinalFit,
    TableRun,
    columns_of,
    final_law,
    fit_table,
    read_table,
    table_runs,
    with_folds,
)
from optlaws_core.final_loss.table import COLUMNS, OPTIONAL
from optlaws_core.readers.frames import read_frame
from optlaws_core.text import counted, format_amount

from ..state import address
from ..state.bundled import SWEEP
from ..state.workspace import TableFile, Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import charts

SOURCES = {"bundled": "Bundled sweep", "loaded": "Loaded runs", "table": "A table"}
MOST_MB, MOST_RUNS = 20, 5_000
MEANINGS = {
    "run": "a name for each run",
    "params": "trainable parameters",
    "batch_tokens": "tokens in one update",
    "tokens": "tokens in all",
    "schedule": "the schedule's text form, such as cosine(peak=1e-3, warmup=300, total=50000)",
    "final_loss": "the loss at the end",
    "outcome": "how the run ended; “diverged” and “spiked” tell of the risk of divergence",
    "parent": "the run whose last weights it starts from",
    "text": "what it learns, where that is another text than its parent's",
}


def source(space: Workspace) -> list[TableRun]:
    """Where the final losses come from, and what was read; none where that could not be."""
    kind = address.bound(
        st.segmented_control, "Final losses of", list(SOURCES), format_func=SOURCES.get, default="bundled",
        required=True, key="final_source",
        help="The project's own sweep; the last losses of the logs on the Runs page; or a table with one row a run.",
    )  # fmt: skip
    try:
        runs = {"bundled": _bundled, "loaded": lambda: _loaded(space), "table": lambda: _table(space)}[kind]()
    except LogError as fault:
        st.error(literal(str(fault)))
        return []
    if len(runs) > MOST_RUNS:
        st.error(f"A table may have {MOST_RUNS:,} runs, this one has {len(runs):,}.")
        return []
    return runs


def _bundled() -> list[TableRun]:
    return read_table(SWEEP, sure=True)  # peaks up to 32 were run to see them diverge


def _loaded(space: Workspace) -> list[TableRun]:
    runs = table_runs(space.runs.values())
    if not runs:
        st.info(
            "No loaded run has a schedule, a model size and a batch. Declare them on the Runs page, or in a manifest."
        )
    elif left := len(space.runs) - len(runs):
        st.caption(f"{counted(left, 'loaded run')} without a schedule, a model size or a batch left out.")
    return runs


def _table(space: Workspace) -> list[TableRun]:
    """An uploaded table, its columns mapped where their names are not known."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        file = st.file_uploader(
            "Table of runs", type=["csv"], max_upload_size=MOST_MB, key="final_table",
            help="CSV, one row a run. Columns: " + "; ".join(f"**{n}**: {MEANINGS[n]}" for n in COLUMNS)
            + ". One of batch_tokens and tokens is enough. Also read: "
            + "; ".join(f"**{n}**: {MEANINGS[n]}" for n in OPTIONAL) + ".",
        )  # fmt: skip
        st.download_button(
            "Example", data=_example(), file_name="table.csv", mime="text/csv", icon=":material/download:",
            help="The bundled sweep as such a table, to see what one looks like.",
        )  # fmt: skip
    if file is not None and (space.table is None or space.table.content != file.getvalue()):
        space.table = TableFile(file.name, file.getvalue())
    if space.table is None:
        st.info("Upload a table with one row a run, or look at the bundled sweep first.")
        return []
    name, content = space.table.name, space.table.content
    if len(content) > MOST_MB * 2**20:
        space.table = None
        raise LogError(f"{name}: a table may have {MOST_MB} MB, this one has {len(content) / 2**20:.0f}.", name)
    if file is None:
        st.caption(literal(f"Table in use: {name}"))
    frame = read_frame(content, name)
    mapped = _columns(space.table, frame)
    return _read(space.table, frame, mapped)


@st.cache_data(show_spinner=False, max_entries=1)
def _example() -> str:
    known = columns_of(pd.read_csv(SWEEP, nrows=0).columns)
    frame = pd.read_csv(SWEEP, dtype=str, keep_default_na=False)[list(known.values())]
    return frame.set_axis(list(known), axis=1).to_csv(index=False)


def _columns(table: TableFile, frame: pd.DataFrame) -> dict[str, str]:
    """Which column is which: recognised names, and a choice for the others."""
    known = columns_of(frame.columns) | table.columns
    with st.expander("Columns", expanded=bool(_lacking(known)), icon=":material/view_column:"):
        names, chosen = ["–", *map(str, frame.columns)], {}
        for start in range(0, len(MEANINGS), 3):
            for place, ours in zip(st.columns(3), list(MEANINGS)[start : start + 3], strict=False):
                chosen[ours] = place.selectbox(
                    ours, names, index=names.index(known[ours]) if ours in known else 0, help=MEANINGS[ours],
                    key=f"column {ours} {hash(tuple(frame.columns))}",
                )  # fmt: skip
    found = {ours: theirs for ours, theirs in chosen.items() if theirs != "–"}
    table.columns = found
    if missing := _lacking(found):
        raise LogError(f"Say which column holds {', '.join(missing)}: the table calls it something else, or lacks it.")
    return found


def _lacking(known: Collection[str]) -> list[str]:
    """Needed columns that are not known; of the two token counts one is enough."""
    lacking = [n for n in COLUMNS if n not in known]
    one = {"batch_tokens", "tokens"} & set(known)
    return [n for n in lacking if not (one and n in ("batch_tokens", "tokens"))]


def _read(table: TableFile, frame: pd.DataFrame, mapped: dict[str, str]) -> list[TableRun]:
    """The table's runs; unlikely units ask back first."""
    try:
        return read_table(_renamed(frame, mapped), sure=table.sure)
    except LogError as fault:
        if "is the unit right?" not in str(fault):
            raise
        st.warning(literal(str(fault)), icon=":material/help:")
        if st.button("The units are right", icon=":material/check:"):
            table.sure = True
            st.rerun()
        return []


def _renamed(frame: pd.DataFrame, mapped: Mapping[str, str]) -> pd.DataFrame:
    return frame[list(mapped.values())].set_axis(list(mapped), axis=1) if mapped else frame[[]]


def uploaded(table: TableFile) -> list[TableRun]:
    """The runs of a table that was uploaded before; none as long as something is to be settled on its page."""
    try:
        return read_table(_renamed(read_frame(table.content, table.name), table.columns), sure=table.sure)
    except LogError:
        return []


def fitted(runs: Sequence[TableRun]) -> FinalFit | None:
    """The law fitted to the runs, once for each table; None with a sentence where they do not tell enough."""
    law = address.bound(
        st.selectbox, "Law", list(FINAL_LAWS), format_func=lambda n: FINAL_LAWS[n].title, key="final_law", width=380,
        help="  \n".join(f"**{law.title}**: {law.summary}" for law in FINAL_LAWS.values()),
    )  # fmt: skip
    try:
        return _fit(law, digest(runs), list(runs))
    except (OptLawsError, FitError) as fault:
        st.error(literal(str(fault)))
        return None


def digest(runs: Sequence[TableRun]) -> str:
    """What a table is known by."""
    told = repr([(r.name, r.plan, r.final_loss, r.diverged, r.parent, r.text) for r in runs])
    return hashlib.sha256(told.encode()).hexdigest()


@st.cache_resource(show_spinner="Fitting the law to the final losses", max_entries=32)
def _fit(law: str, content: str, _runs: list[TableRun]) -> FinalFit:
    return fit_table(_runs, law)


@st.cache_resource(show_spinner="Fitting once more without each tenth of the runs", max_entries=32)
def _folds(law: str, content: str, _runs: list[TableRun]) -> FinalFit:
    return with_folds(_fit(law, content, _runs), _runs, min(10, len(_fit(law, content, _runs).train)))


def report(fit: FinalFit, runs: Sequence[TableRun]) -> None:
    """How well the law does, on the runs and on runs it has not seen."""
    key = digest(runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_told(fit, runs))
        tried = address.bound(
            st.toggle, "Cross-validate", key="final_folds",
            help="Fit ten times more, each without a tenth of the runs, and judge each run by the fit that has not "
            "seen it. Everything is chosen anew each time, the strength of the priors included.",
        )  # fmt: skip
    judged = fit
    if tried:
        try:
            judged = _folds(fit.law, key, list(runs))
        except (OptLawsError, FitError) as fault:
            st.warning(literal(str(fault)), icon=":material/warning:")
    _metrics(judged)
    if fit.message != "Converged.":
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
            "geometric means over the runs. That a final loss follows from convergence and escape features is the "
            "paper's claim (Xie et al. 2024, arXiv:2409.04777); its formulas are not published in full, so the form "
            "is our reconstruction."
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
            "Error on runs not seen", f"{100 * fit.held_out_error:.2f} %",
            help=f"The same over {fit.folds}-fold cross-validation.",
        )  # fmt: skip
    elif fit.left_out is not None:
        boxes[1].metric(
            "9 of 10 unseen runs within", f"{100 * fit.left_out:.2f} %",
            help="Relative error that nine of ten training runs stay below when they are left out of the fit. It makes "
            "the prediction bands.",
        )  # fmt: skip
    boxes[2].metric(
        "Strength of the priors", f"{fit.strength:g}",
        help="How much what is believed before any run counts, for coefficients that the runs do not tell. The value "
        "of highest evidence among 0.3, 1, 3 and 10. For the log-linear law: its ridge.",
    )  # fmt: skip
    boxes[3].metric(
        "Divergence learned from", f"{fit.risk.diverged} of {fit.risk.runs}" if fit.risk else "–",
        help="Runs that diverged or spiked, of all from a random start. At least 5 of either kind are needed.",
    )  # fmt: skip


def _coefficients(fit: FinalFit) -> pd.DataFrame:
    params = {p.name: p for p in final_law(fit.law).params}
    rows = []
    for name, value in fit.theta.items():
        ends = fit.interval.get(name)
        rows.append({
            "Coefficient": name,
            "Value": f"{value:.4g}",
            "90 % interval": f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else "held" if name in params else "–",
            "Meaning": params[name].meaning if name in params else "of this feature",
        })  # fmt: skip
    return pd.DataFrame(rows)
