"""The answer, its chart and its ranking on one screen, and beneath them everything that they are made of."""

from collections.abc import Sequence

import streamlit as st

from ..compare import best, curves, predicted, ranking
from ..compare import risk as risks
from ..compare import table as candidate_table
from ..fit import from_address
from ..schedules import export
from ..share import comparisons
from ..state.workspace import Workspace
from ..widgets.markdown import literal
from . import answer, prove

IN_FULL = "full_box"  # the key of the expander, and its name in the address
CANDIDATES, ONWARD = "candidates", "export-and-share"  # anchors of headings beneath the first screen
CHART = 450  # pixels; with what stands above it, one screen of a laptop


def show(space: Workspace) -> None:
    """What stands beneath decides what stands above, so that the places are made first and filled last."""
    top = st.container(border=True, key="decide_answer")
    left, right = st.columns(2, gap="small")
    st.subheader("Candidates", anchor=CANDIDATES)
    rows = st.container()
    candidate_table.buttons(space, space.fit)
    candidate_table.share(space)
    with st.popover("Fit, chart and risk of divergence", icon=":material/tune:", width="stretch"):
        fits = curves.pick(space)
        from_address.write_address(space)
        found, left_out = predicted.entries(space, fits)
        bands = st.container()
        view, observed = curves.look(space)
        risk, most_risk = risks.choose(space)
        for sentence in risks.untold(space, found, risk):
            st.caption(literal(sentence))
    if not found:
        with top:
            _without(space, left_out)
        with rows:
            candidate_table.table(space)
        return
    with right:
        baseline = ranking.choose(space, found, risk, most_risk)
    box = st.expander(
        "The ranking in full", icon=":material/leaderboard:", on_change="rerun", key=IN_FULL, bind="query-params"
    )
    candidate_table.against(baseline.schedule, view.batch_tokens)
    made = ranking.worked_out(space, found, view.batch_tokens, risk, most_risk, baseline, in_full=box.open)
    with rows:
        candidate_table.table(space, {e.place: r.final_loss for e, r in zip(made.order, made.ranked, strict=True)})
    with top:
        answer.verdict(space, made, left_out)
        export.winner(space, made.order[0])
    with left:
        _, view = curves.draw(space, fits, found, view, observed, bands, CHART, beneath=True)
    with right:
        answer.small(made)
        answer.pair(space, made, risk, most_risk, view.batch_tokens)
        st.caption(f"[Change the candidates](#{CANDIDATES}) · [Export and share](#{ONWARD})")
    best.section(space, found)
    prove.section(space, made.order)
    st.subheader("Export and share", anchor=ONWARD)
    export.section(space, [*made.order, *predicted.switched_off(space)])
    comparisons.section(space, fits, view, observed, risk, most_risk, baseline.place)
    if box.open:
        with box:
            answer.under_each_law(space, made.order)
            ranking.whole(made.table)


def _without(space: Workspace, left_out: Sequence[str]) -> None:
    """What stands in place of an answer where there is no candidate to speak of."""
    answer.doubts(left_out)
    if candidate_table.emptied(space):
        st.markdown("No candidates are left, so there is nothing to compare. Add one, undo the last step, or:")
        candidate_table.usual(space, space.fit, "Begin with six common schedules", "decide_usual_candidates")
    elif not left_out:
        st.markdown("No candidate is in use. Switch one on in the table, or add one.")
