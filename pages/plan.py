"""Before a run: learning rate, batch, model size and length, from published laws and from a sweep of one's own."""

import streamlit as st

from pages.parts import planning, session

session.page(
    "Plan",
    "What published laws recommend for a model size and a length, how far they agree, and what your own sweep says.",
)
asked = planning.setting()
if asked:
    st.subheader("Learning rate and batch", anchor=False)
    found = planning.recommendations(asked)
    planning.over_sizes(asked, found)
    st.subheader("What goes with it", anchor=False)
    planning.companions(asked)

st.subheader("A compute budget", anchor=False)
planning.allocation()

st.subheader("Another batch", anchor=False)
planning.another_batch()

st.subheader("Sparse models", anchor=False)
planning.sparsity(asked)

st.subheader("Your own sweep", anchor=False)
fit, cells = planning.sweep()
if fit:
    planning.optima(fit)
    planning.own_law(fit, asked)
    planning.surfaces(fit, cells)
