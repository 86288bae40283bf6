"""How every page begins: its title, the gate, its address, and the visitor's workspace. And links between pages."""

from pathlib import Path

import streamlit as st

from optlaws_core.errors import ask_whether_to_go_on

from .state import address, identity, keeping, visitor
from .state.bundled import ROOT
from .state.workspace import Workspace

STYLE = ROOT / "pages" / "parts" / "page.css"
FIRST = "decide"
FORMERLY = {"run", "x", "smooth", "scale"}  # what only addresses of Runs say
ICON = Path(__file__).with_suffix(".png")  # a name of Material Symbols would be asked of another host


def open(title: str, lead: str = "", heading: str = "", headed: bool = True) -> Workspace:
    """Begin a page: its heading and one sentence, and the visitor's workspace, which was kept or has the bundled runs.

    `heading`: where it is not the title. `headed`: whether there is one; what is shown has its own otherwise.
    """
    ask_whether_to_go_on(visitor.give_way)
    st.set_page_config(page_title=f"{title} · Opt-Laws", page_icon=ICON, layout="wide")
    st.html(STYLE)
    if headed:
        _head(heading or title, lead)
    identity.gate()
    space = keeping.workspace(title)
    address.open_page(title, st.empty())
    keeping.open_place(st.empty())
    return space


def _head(title: str, lead: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.title(title, anchor=False, width="content")
        if lead:
            st.caption(lead, width="content")


def called(name: str):
    """A page by the name of its file, for links to it that keep the session."""
    return st.Page(ROOT / "pages" / f"{name}.py", default=name == FIRST)


def lead_on() -> None:
    """Show Runs to whoever comes to the first page by an address from when Runs was that."""
    said = {key: st.query_params.get_all(key) for key in st.query_params}
    if FORMERLY & said.keys():
        st.switch_page(called("runs"), query_params=said)
