"""The project's own sweep: what it covers, its noise floor, and a law held against it."""

import streamlit as st

from pages.parts import page
from pages.parts.state.bundled import sweep_runs
from pages.parts.sweep import sweep

space = page.open("Sweep", "The project's own training runs: what laws here are judged on, and yours to work with.")
everything = sweep_runs()
chosen = sweep.choose(everything)
if not chosen:
    st.info("No run matches all of these filters; remove one.")
    st.stop()
sweep.overview(chosen)
sweep.load(space, sweep.table(chosen))

st.subheader("Noise floor", anchor=False)
st.caption(
    "Runs of one plan that differ only in their seed end at different losses; no law can predict better than that."
)
floor = sweep.floor_of(everything)
sweep.noise(floor)

st.subheader("A law fitted to three runs of each size", anchor=False)
st.caption("How far off it is on all other runs of that size that were trained from scratch and did not diverge.")
sweep.law_against(floor)
