"""The menu. Runs for every visitor before the page itself."""

from pathlib import Path

import streamlit as st

from pages.parts.server import libraries

PAGES = Path(__file__).resolve().parents[1]

FIRST = st.Page(PAGES / "runs.py", title="Runs", icon=":material/show_chart:", default=True)
page = st.navigation(
    [
        FIRST,
        st.Page(PAGES / "fit.py", title="Fit", icon=":material/function:"),
        st.Page(PAGES / "compare.py", title="Compare", icon=":material/leaderboard:"),
        st.Page(PAGES / "live.py", title="Live", icon=":material/monitoring:"),
        st.Page(PAGES / "preselect.py", title="Pre-select", icon=":material/filter_list:"),
        st.Page(PAGES / "plan.py", title="Plan", icon=":material/tune:"),
        st.Page(PAGES / "schedules.py", title="Schedules", icon=":material/gallery_thumbnail:"),
        st.Page(PAGES / "share.py", title="Share", icon=":material/share:"),
        st.Page(PAGES / "sweep.py", title="Sweep", icon=":material/scatter_plot:"),
    ],
    position="top",
)
libraries.load(libraries.CHARTS)
from pages.parts.state import session  # noqa: E402  it imports those itself

if page != FIRST or session.begun():  # a visitor's first chart does not wait for what it does not need
    libraries.load(libraries.LAWS)
page.run()
