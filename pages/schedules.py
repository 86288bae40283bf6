"""Every family of schedules: its formula, its source, its fields, and a picture that follows them."""

import streamlit as st

from pages.parts import page
from pages.parts.schedules import export, gallery, published, refine

space = page.open(
    "Schedules", "Every family: formula, source, fields, and a picture that follows them. Choose one and change it."
)
family = gallery.choose()
gallery.about(family)
left, right = st.columns([2, 5], gap="large")
with left:
    candidate = gallery.fields_of(family)
with right:
    shown = gallery.valid(family, candidate)
    gallery.share(shown)
    gallery.picture(shown)
    gallery.text(space, shown)
st.subheader("Export to a trainer", anchor=False)
export.panel(shown)
st.subheader("Published plans", anchor=False)
published.section(space)
st.subheader("Refine from gradient norms", anchor=False)
refine.section(space)
