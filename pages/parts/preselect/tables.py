"""Where the Pre-select page's final losses come from: the bundled sweep, loaded logs, or an uploaded table."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import pandas as pd
import streamlit as st

from optlaws_core import LogError
from optlaws_core.final_loss import TableRun, columns_of, read_table, table_runs
from optlaws_core.final_loss.table import COLUMNS, OPTIONAL
from optlaws_core.runs import unsettled
from optlaws_core.text import counted

from ..state import address, table_upload
from ..state.bundled import SWEEP
from ..state.table_file import TableFile
from ..state.workspace import Workspace
from ..widgets.markdown import literal

SOURCES = {"bundled": "Bundled sweep", "loaded": "Loaded runs", "table": "A table"}
MOST_RUNS = 5_000
MEANINGS = {
    "run": "a name for each run",
    "params": "trainable parameters",
    "batch_tokens": "tokens per update",
    "tokens": "tokens in total",
    "schedule": "the schedule's text form, such as cosine(peak=1e-3, warmup=300, total=50000)",
    "final_loss": "the loss at the end",
    "outcome": "how the run ended; “diverged” and “spiked” tell of the risk of divergence",
    "parent": "the run whose last weights it starts from",
    "text": "the text that it learns (dataset, corpus); empty for its parent's",
}


def _listed(names: Collection[str]) -> str:
    return "; ".join(f"**{name}**: {MEANINGS[name]}" for name in names)


COLUMNS_HELP = (
    f"CSV, one row per run. Columns: {_listed(COLUMNS)}. One of batch_tokens and tokens is enough in each row. "
    f"Also read: {_listed(OPTIONAL)}."
)


def source(space: Workspace) -> list[TableRun]:
    """Where the final losses come from, and what was read; none where that could not be."""
    kind = address.bound_widget(
        st.segmented_control,
        "Final losses of",
        list(SOURCES),
        format_func=SOURCES.get,
        default="bundled",
        required=True,
        key="final_source",
        help="The project's own sweep; the last losses of the logs on the Runs page; or a table with one row per run.",
    )
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
    used = {run.name for run in runs}
    for doubt in unsettled(run for run in space.runs.values() if run.name in used):
        st.warning(literal(doubt), icon=":material/help:")
    return runs


def _table(space: Workspace) -> list[TableRun]:
    """An uploaded table, its columns mapped where their names are not known; unlikely units ask back first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        named = table_upload.upload(space, "table", "Table of runs", "final_table", COLUMNS_HELP)
        table_upload.example(_example(), "table.csv", "The bundled sweep as such a table, to see what one looks like.")
    table = space.table
    if table is None:
        st.info("Upload a table with one row per run, or look at the bundled sweep first.")
        return []
    if not named:
        st.caption(literal(f"Table in use: {table.name}"))
    frame = table.frame
    columns = table_upload.choose_columns(table, frame, columns_of(frame.columns), MEANINGS, _lacking, "column", 3)
    runs = table_upload.unless_unlikely(
        table, lambda: read_table(_renamed(frame, columns), sure=table.sure), "final_sure"
    )
    return runs or []


@st.cache_data(show_spinner=False, max_entries=1)
def _example() -> str:
    known = columns_of(pd.read_csv(SWEEP, nrows=0).columns)
    frame = pd.read_csv(SWEEP, dtype=str, keep_default_na=False)[list(known.values())]
    return frame.set_axis(list(known), axis=1).to_csv(index=False)


def _lacking(known: Collection[str]) -> list[str]:
    """Needed columns that are not known; of the two token counts one is enough."""
    lacking = [n for n in COLUMNS if n not in known]
    one = {"batch_tokens", "tokens"} & set(known)
    return [n for n in lacking if not (one and n in ("batch_tokens", "tokens"))]


def _renamed(frame: pd.DataFrame, mapped: Mapping[str, str]) -> pd.DataFrame:
    return frame[list(mapped.values())].set_axis(list(mapped), axis=1) if mapped else frame[[]]


def uploaded(table: TableFile) -> list[TableRun]:
    """The runs of a table that was uploaded before; none as long as something is to be settled on its page."""
    try:
        return read_table(_renamed(table.frame, table.columns), sure=table.sure)
    except LogError:
        return []


def digest(runs: Sequence[TableRun]) -> str:
    """What a table is known by."""
    content = repr([(r.name, r.plan, r.final_loss, r.diverged, r.parent, r.text, r.first_text) for r in runs])
    return hashlib.sha256(content.encode()).hexdigest()
