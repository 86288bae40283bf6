"""Saved comparisons: those of the visitor, or the one that the address names, read-only."""

import streamlit as st

from pages.parts import page
from pages.parts.share import comparisons, shown
from pages.parts.share.common import PAGE
from pages.parts.state import identity, keeping

id = st.query_params.get("id", "")
lead = "Saved comparisons: as they were when saved, without the files behind them."
page.open(PAGE, lead, headed=not id)
if not shown.embedded():
    identity.bar()
if id:
    shown.show(id)
else:
    comparisons.listing()
    keeping.section()
