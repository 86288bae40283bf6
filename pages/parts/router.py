"""The menu, and where old addresses lead. Runs for every visitor before the page itself."""

from functools import partial
from pathlib import Path

import streamlit as st

from pages.parts.server import libraries

PAGES = Path(__file__).resolve().parents[1]
MOVED = {"compare": "decide", "fit": "evidence"}  # addresses of former pages
# Streamlit marks the page that is open, but not the menu that it is in.
IN_TOOLS = """<style>
[data-testid="stTopNavSection"] { background: color-mix(in srgb, currentColor 10%, transparent); }
[data-testid="stTopNavSection"] p { font-weight: 600; }
</style>"""


def _page(name: str, title: str, **options):
    """A page of the menu; without an icon, whose font Streamlit asks of another host."""
    return st.Page(PAGES / f"{name}.py", title=title, **options)


def lead_on(to) -> None:
    """Show the page that a former one has become, with all that the address says."""
    said = {key: st.query_params.get_all(key) for key in st.query_params}
    st.switch_page(to, query_params=said)


FIRST = _page("decide", "Decide", default=True)
EVIDENCE = _page("evidence", "Evidence")
HERE = {"decide": FIRST, "evidence": EVIDENCE}
TOOLS = [
    _page("runs", "Runs"),
    _page("schedules", "Schedules"),
    _page("plan", "Plan"),
    _page("preselect", "Pre-select"),
    _page("live", "Live"),
    _page("sweep", "Sweep"),
]
page = st.navigation(
    {
        "": [
            FIRST,
            EVIDENCE,
            _page("share", "Shared"),
            *(
                st.Page(partial(lead_on, HERE[new]), title=HERE[new].title, url_path=old, visibility="hidden")
                for old, new in MOVED.items()
            ),
        ],
        "Tools": TOOLS,
    },
    position="hidden" if st.context.is_embedded else "top",
)
if page in TOOLS:
    st.html(IN_TOOLS)
libraries.load(libraries.CHARTS)
from pages.parts.state import keeping, session  # noqa: E402  they import those themselves

if page != FIRST or session.begun():  # a visitor's first page does not wait for what it does not need
    libraries.load(libraries.LAWS)
with keeping.kept():
    page.run()
