"""Before a run: learning rate, batch, model size and length, from published laws and from a sweep of one's own."""

import streamlit as st

from pages.parts import planning, planning_rules, planning_sweep, session

space = session.page(
    "Plan",
    "What published laws recommend for a model size and a length, how far they agree, and what your own sweep says.",
)
asked = planning.setting()
if asked:
    st.subheader("Learning rate and batch", anchor=False)
    planning.recommendations(asked)
    planning.over_sizes(asked)
    st.subheader("What goes with it", anchor=False)
    planning.companions(asked)

st.subheader("A compute budget", anchor=False)
planning_rules.allocation()

st.subheader("Another batch", anchor=False)
planning_rules.another_batch()

st.subheader("Sparse models", anchor=False)
planning_rules.sparsity(asked)

st.subheader("Your own sweep", anchor=False)
found = planning_sweep.sweep(space)
if found:
    planning_sweep.optima(found)
    planning_sweep.own_law(found, asked)
    planning_sweep.surfaces(found)
