"""From the Schedules page to the Decide page: one button that adds a schedule to the candidates."""

import streamlit as st

from ..state.candidates import MOST, Candidate
from ..state.workspace import Workspace


def button(space: Workspace, candidate: Candidate, key: str, help: str | None = None) -> None:
    """Add the candidate, where there is room for one more."""
    full = len(space.candidates) >= MOST
    if st.button("Add to the candidates", icon=":material/add:", disabled=full, key=key, help=help):
        space.candidates = [*space.candidates, candidate]
        st.success(f"Added. Schedules on the Decide page: {len(space.candidates)}.", icon=":material/check:")
    elif full:
        st.caption(f"The Decide page holds {MOST} schedules, the most it can.")
