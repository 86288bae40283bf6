"""Candidate schedules side by side under a fitted law: curves, ranking, and what the better one saves."""

import streamlit as st

from pages.parts import candidate_table, choosing, comparing, exporting, linked, optimizing, risks, session, sharing

space = session.page("Compare", "Learning-rate schedules side by side: the loss that a fitted law predicts for each.")
linked.take(space)
candidate_table.prepare(space, space.fit)
if space.job:
    choosing.watch(space)
if space.failure:
    st.error(session.literal(space.failure))
if not space.fits:
    if space.fittable and not space.job:
        comparing.offer(space)
    elif not space.fittable:
        st.info("No loaded run has a learning rate yet. Load logs, or declare their schedules, on the Runs page.")
    st.stop()

fits = comparing.pick(space)
linked.tell(space)
st.subheader("Candidates", anchor=False)
candidate_table.table(space)
candidate_table.buttons(space, space.fit)
candidate_table.share(space)

found = comparing.entries(space, fits)
if not found:
    st.info("No candidate is in use. Switch one on in the table, or add one.")
    st.stop()

st.subheader("Predicted curves", anchor=False)
view, observed = comparing.look(space)
_, view = comparing.draw(space, fits, found, view, observed)
st.subheader("Ranking", anchor=False)
risk, most_risk = risks.choose(space)
comparing.result(space, found, view.batch_tokens, risk, most_risk)
optimizing.section(space, found)
exporting.section(found)
sharing.section(space, fits, view, observed, risk, most_risk)
