"""A schedule from the gradient norms of an earlier run, on the Schedules page."""

import streamlit as st

from optlaws_core import OptLawsError
from optlaws_core.figures import schedule_charts as charts
from optlaws_core.readers import Source
from optlaws_core.readers.norms import gradient_norms
from optlaws_core.readers.pasted import MOST_BYTES, as_knots
from optlaws_core.schedules import Refined, refined
from optlaws_core.schedules.refinement import POWERS
from optlaws_core.text import parse_amount

from ..state.candidates import Candidate, with_label
from ..state.workspace import Workspace
from ..widgets import showing
from ..widgets.markdown import literal
from . import adding

PEAK = "1e-3"
NORMS = {"l2": "l2, for SGD", "l1": "l1, for Adam and its variants"}


def section(space: Workspace) -> None:
    """Gradient norms in, a schedule out, and every note on the norms."""
    st.markdown(
        "The rate that the bound of convex theory asks for after the fact, update by update: much where gradients "
        "were small, less where they were large, and 0 at the end "
        "([Defazio et al. 2023](https://arxiv.org/abs/2310.07831))."
    )
    left, right = st.columns([2, 5], gap="large")
    with left:
        file = st.file_uploader(
            "Log with steps and gradient norms",
            key="refine_file",
            max_upload_size=MOST_BYTES // 2**20,
            help="Any log that the Runs page reads, of one run, with a column such as grad_norm.",
        )
        peak = st.text_input(
            "Peak, LR",
            placeholder=PEAK,
            key="refine_peak",
            persist_state="session",
            help="Highest learning rate of the refined schedule.",
        )
        norm = st.selectbox(
            "Norm",
            list(POWERS),
            format_func=NORMS.get,
            key="refine_norm",
            persist_state="session",
            help="The norm that was logged; the weight of an update is its power −2 for l2, which is for SGD, and −1 "
            "for l1, which is for Adam. The l2 norms that trainers log under AdamW fit neither: choose l1 for them, "
            "which is right where both norms rise and fall together.",
        )
        smoothing = st.number_input(
            "Smoothing, share of the norms",
            min_value=0.0,
            max_value=0.99,
            value=0.1,
            step=0.05,
            key="refine_smoothing",
            persist_state="session",
            help="Width of the running median; 0 takes the norms as they stand.",
        )
    with right:
        if file is None:
            st.info("No norms yet. Upload the log of an earlier run.")
            return
        try:
            found = _refined(
                file.name,
                file.getvalue(),
                parse_amount(peak.strip() or PEAK, "The peak", examples=PEAK),
                norm,
                smoothing,
            )
        except OptLawsError as fault:
            st.error(literal(str(fault)), icon=":material/error:")
            return
        _result(space, found, file.name)


def _result(space: Workspace, found: Refined, name: str) -> None:
    for note in found.notes:
        st.warning(literal(note), icon=":material/build:")
    showing.chart(charts.rate(found.schedule), "schedules-refined")
    short = as_knots(found.schedule)
    said = f"With {len(short.steps)} of its {len(found.schedule.steps):,} knots, so that it fits into a link."
    adding.button(space, with_label(Candidate(short.text), f"refined {name}"), "refine_add", said)


@st.cache_data(show_spinner="Reading the norms", max_entries=8)
def _refined(name: str, content: bytes, peak: float, norm: str, smoothing: float) -> Refined:
    return refined(*gradient_norms(Source(name, content)), peak, norm=norm, smoothing=smoothing)
