"""Saved comparisons: those of the visitor, or the one that the address names, read-only."""

import streamlit as st

from pages.parts import page
from pages.parts.share import comparisons
from pages.parts.state import identity

page.open("Share", "Comparisons that were saved: as they were, without the files they came from.")
identity.bar()
id = st.query_params.get("id", "")
if id:
    comparisons.show(id)
else:
    comparisons.listing()
