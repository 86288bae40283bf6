"""From a table of final losses to ranked candidates: hundreds of schedules for a target size and length."""

import streamlit as st

from pages.parts import page
from pages.parts.preselect import candidates, tables
from pages.parts.preselect import fit as final_fit

space = page.open(
    "Pre-select",
    "Which of hundreds of schedules to train, from the final losses of smaller runs: Opt-Laws (reconstruction).",
)
runs = tables.source(space)
if not runs:
    st.stop()

fit = final_fit.fitted(runs)
if fit is None:
    st.stop()
final_fit.report(fit, runs)

st.subheader("Candidates", anchor=False)
st.caption("Every combination of shapes, peaks, warm-ups and lengths for the model that you want to train.")
asked = candidates.target(fit, runs)
found = candidates.ranked(fit, asked)
if found is None:
    st.stop()
candidates.verdict(found)
candidates.answers(found)
candidates.over_peaks(found)
rows = candidates.table(found)
candidates.hand_over(space, found, rows)

st.subheader("Where the loss comes from", anchor=False)
candidates.where_from(fit, asked, found, rows)
