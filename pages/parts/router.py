"""The menu, and where old addresses lead. Runs for every visitor before the page itself."""

from functools import partial
from pathlib import Path

import streamlit as st

from pages.parts.server import libraries

PAGES = Path(__file__).resolve().parents[1]
MOVED = {"compare": "decide", "fit": "evidence"}  # addresses of former pages


def _page(name: str, title: str, icon: str, **options):
    return st.Page(PAGES / f"{name}.py", title=title, icon=f":material/{icon}:", **options)


def lead_on(to) -> None:
    """Show the page that a former one has become, with all that the address says."""
    said = {key: st.query_params.get_all(key) for key in st.query_params}
    st.switch_page(to, query_params=said)


FIRST = _page("decide", "Decide", "balance", default=True)
EVIDENCE = _page("evidence", "Evidence", "fact_check")
HERE = {"decide": FIRST, "evidence": EVIDENCE}
page = st.navigation(
    {
        "": [
            FIRST,
            EVIDENCE,
            _page("share", "Shared", "share"),
            *(
                st.Page(partial(lead_on, HERE[new]), title=HERE[new].title, url_path=old, visibility="hidden")
                for old, new in MOVED.items()
            ),
        ],
        "Tools": [
            _page("runs", "Runs", "show_chart"),
            _page("schedules", "Schedules", "gallery_thumbnail"),
            _page("plan", "Plan", "tune"),
            _page("preselect", "Pre-select", "filter_list"),
            _page("live", "Live", "monitoring"),
            _page("sweep", "Sweep", "scatter_plot"),
        ],
    },
    position="top",
)
libraries.load(libraries.CHARTS)
from pages.parts.state import session  # noqa: E402  it imports those itself

if page != FIRST or session.begun():  # a visitor's first page does not wait for what it does not need
    libraries.load(libraries.LAWS)
page.run()
