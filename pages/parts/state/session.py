"""What lasts from one run of a page to the next: the only file that touches `st.session_state`."""

from collections.abc import MutableMapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

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


def give_way() -> None:
    """Between the parts of long work on a page: end it where the visitor has gone, or has asked for something else.

    Streamlit looks for that at its commands alone, of which a look into the state is one. Not in callbacks: they come
    before the script begins, and what is asked for meanwhile would be lost with them.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None and context.has_script_started:
        begun()
