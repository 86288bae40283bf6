"""What lasts from one run of a page to the next: the only file that touches `st.session_state`."""

from collections.abc import MutableMapping

import streamlit as st

from .workspace import Workspace


def begun() -> bool:
    """Whether this visitor has seen a page before."""
    return "workspace" in st.session_state


def workspace() -> Workspace:
    """The visitor's workspace; a new one begins with the bundled runs."""
    if not begun():
        space = Workspace()
        st.session_state.workspace = space
        space.load_example()
    return st.session_state.workspace


def begin(space: Workspace) -> None:
    """Give the visitor this workspace."""
    st.session_state.workspace = space


def state() -> MutableMapping:
    """Widget state, and what a part of a page keeps for itself, by key."""
    return st.session_state
