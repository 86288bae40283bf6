"""Before a run: learning rate, batch, model size and length, from published laws and from a sweep of one's own."""

import streamlit as st

from pages.parts import page
from pages.parts.plan import onward, recommended, rules, sweep
from pages.parts.widgets.markdown import literal

space = page.open(
    "Plan",
    "What published laws recommend for a model size and a length, how far they agree, and what your own sweep says.",
)
if space.sweep:
    st.caption(literal(f"Your sweep {space.sweep.name} is at the end of this page."))
asked = recommended.setting()
if asked:
    st.subheader("Learning rate and batch", anchor=False)
    recommended.recommendations(asked)
    onward.to_compare(space, asked)
    recommended.over_sizes(asked)
    st.subheader("What goes with it", anchor=False)
    recommended.companions(asked)
recommended.fine_tuning()

st.subheader("A compute budget", anchor=False)
rules.allocation()

st.subheader("Another batch", anchor=False)
rules.another_batch()

st.subheader("Another width", anchor=False)
rules.another_width()

st.subheader("Another schedule", anchor=False)
rules.another_schedule()

st.subheader("Sparse models", anchor=False)
rules.sparsity(asked)

st.subheader("Your own sweep", anchor=False)
found = sweep.sweep(space)
if found:
    sweep.optima(found)
    sweep.own_law(found, asked)
    sweep.surfaces(found)
