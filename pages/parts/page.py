"""How every page begins: its title, the gate, its address, and the visitor's workspace. And links between pages."""

import streamlit as st

from .state import address, identity, session
from .state.bundled import ROOT
from .state.workspace import Workspace


def open(title: str, lead: str = "") -> Workspace:
    """Begin a page: its heading and one sentence, and the visitor's workspace, with the bundled runs in a new one."""
    st.set_page_config(page_title=f"{title} · Opt-Laws", page_icon=":material/ssid_chart:", layout="wide")
    st.title(title, anchor=False)
    if lead:
        st.caption(lead)
    identity.gate()
    address.open_page(title, st.empty())
    return session.workspace()


def called(name: str):
    """A page by the name of its file, for links to it that keep the session."""
    return st.Page(ROOT / "pages" / f"{name}.py")
