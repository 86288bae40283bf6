"""The risk of divergence on the Decide page: which labelled runs tell it, and how much of it is too much."""

from collections.abc import Sequence

import streamlit as st

from optlaws_core.final_loss import TableRun, labelled, labelled_risk, read_table, table_runs
from optlaws_core.prediction import divergence
from optlaws_core.prediction.divergence import LEAST_RUNS, MOST_RISK, Risk
from optlaws_core.text import counted, format_amount

from ..preselect import tables
from ..state import address, jobs
from ..state.bundled import SWEEP
from ..state.workspace import Workspace
from .predicted import Entry

LOADED, TABLE, PROJECT, COPIED = "Loaded runs", "Table of Pre-select", "Bundled sweep", "Saved comparison"
NONE = "Not shown"


def choose(space: Workspace) -> tuple[Risk | None, float]:
    """The risk that labelled runs tell of, or None, and the probability above which a candidate is set apart."""
    known = {name: runs for name, some in _sources(space).items() if (runs := labelled(some))}
    names = [*([COPIED] if space.risk else []), *known]
    if not names:
        st.caption(
            f"Risk of divergence: not known. It is learned from at least {LEAST_RUNS} loaded runs that diverged or "
            f"spiked and {LEAST_RUNS} that did not, as a manifest's column outcome says, or from such a table on "
            "Pre-select."
        )
        return None, MOST_RISK
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sources = [*names, NONE]
        name = st.selectbox(
            "Risk of divergence from",
            sources,
            sources.index(address.read_one("risk", sources, sources[0])),
            key=f"compare_risk {' '.join(names)}",
            width=260,
            help="Labelled runs from which the probability is learned that a candidate diverges: peak rate, warm-up, "
            "noise, model size. Runs of another model or optimizer tell little.",
        )
        address.write("risk", name, sources[0])
        most = address.share_slider(
            st,
            "Most risk of divergence",
            MOST_RISK,
            key="compare_most_risk",
            width=260,
            disabled=name == NONE,
            help="Candidates that are more likely to diverge rank behind all others.",
        )
    if name == NONE:
        return None, most
    risk = space.risk if name == COPIED else _learned(tables.digest(known[name]), known[name])
    st.caption(described(risk))
    return risk, most


def untold(space: Workspace, found: Sequence[Entry], risk: Risk | None) -> list[str]:
    """Sentences on candidates of which no risk is told, and why."""
    if risk is None or space.fit is None:
        return []
    plans = [(entry.spoken or entry.name, space.fit.coverage.plan(entry.schedule)) for entry in found]
    return divergence.untold(risk, plans)


def described(risk: Risk) -> str:
    """In one sentence, which runs a risk was learned from."""
    sizes = " to ".join(dict.fromkeys(format_amount(n, 3) for n in risk.params))
    return f"{risk.diverged} of {counted(risk.runs, 'run')} diverged or spiked; they have {sizes} parameters."


def _sources(space: Workspace) -> dict[str, list[TableRun]]:
    """What is at hand, the nearest to the visitor's own runs first."""
    found = {LOADED: table_runs(space.runs.values())}
    if space.table is not None:
        found[TABLE] = tables.uploaded(space.table)
    if space.example:  # for runs of one's own it is another model
        found[PROJECT] = _sweep()
    return found


@st.cache_resource(show_spinner=False, max_entries=1)
def _sweep() -> list[TableRun]:
    return read_table(SWEEP, sure=True)


@st.cache_resource(show_spinner="Learning the risk of divergence", max_entries=16)
def _learned(content: str, _runs: Sequence[TableRun]) -> Risk:
    return jobs.awaited("risk of divergence", labelled_risk, _runs)
