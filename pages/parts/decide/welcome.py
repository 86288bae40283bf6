"""Decide before any log: what this is, where logs go, and a way to try it without."""

import streamlit as st

from .. import page
from ..compare import table as candidate_table
from ..runs import files
from ..state import address
from ..state.workspace import Workspace

PURPOSE = "From the logs of a few cheap runs to the learning-rate schedule of the big one."


def needed(space: Workspace) -> bool:
    """Whether the visitor has neither logs nor asked for the example runs, by the button or by a link to them."""
    asked = address.asks(candidate_table.LINK, "compare_x") or bool(space.fits or space.job or space.choice.train)
    space.tried = space.tried or asked
    return not space.runs and not space.fits or space.example and not space.tried


def show(space: Workspace) -> None:
    """The first screen."""
    left, right = st.columns([3, 2], gap="large")
    with left, st.container(border=True):
        st.markdown("**1. Drop the logs of runs of one model**: one run is enough to begin, three are better.")
        files.upload(space)
        files.refusals(space)
        st.markdown("Or, without logs of your own:")
        st.button(
            "Try it with real runs",
            icon=":material/science:",
            on_click=_try,
            args=(space,),
            help="Nine runs of a small language model that were trained for this project.",
        )
    with right:
        st.markdown(
            "**2. Describe the big run**: size, length, peak, warm-up. What the logs tell is filled in.\n\n"
            "**3. Read the answer**: which schedule ends lower, by how much, and how sure that is, against the one "
            "you would have taken. Then export it to your trainer, or share it by a link."
        )
        st.caption(
            "Loss curves are predicted by laws whose coefficients were learned from public runs and are fitted to "
            "yours, in seconds. What you upload stays on this server."
        )
        st.page_link(page.called("sweep"), label="The runs that ship with the project", icon=":material/scatter_plot:")


def _try(space: Workspace) -> None:
    space.tried = True
