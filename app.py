"""The server: `streamlit run app.py`. The menu and the pages are in pages/.

The script that Streamlit runs for each visitor is pages/parts/router.py rather than this file: next to a folder named
pages/, Streamlit would serve its automatic menu, without that script, to whoever opens a deep link first.
"""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import pages.parts.charts  # noqa: E402, F401  loaded once at the start, so that the first visitor does not wait for it
import pages.parts.session  # noqa: E402, F401

app = st.App(HERE / "pages" / "parts" / "router.py")
