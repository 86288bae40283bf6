"""Candidate schedules side by side under a fitted law: curves, ranking, and what the better one saves."""

import streamlit as st

from pages.parts import page
from pages.parts.compare import best, curves, predicted, ranking
from pages.parts.compare import risk as risks
from pages.parts.compare import table as candidate_table
from pages.parts.fit import from_address, job
from pages.parts.schedules import export
from pages.parts.share import comparisons
from pages.parts.widgets.markdown import literal

space = page.open("Compare", "Learning-rate schedules side by side: the loss that a fitted law predicts for each.")
from_address.read_address(space)
candidate_table.prepare(space, space.fit)
if space.job:
    job.watch(space)
if space.failure:
    st.error(literal(space.failure))
if not space.fits:
    if space.fittable and not space.job:
        curves.offer(space)
    elif not space.fittable:
        st.info("No loaded run has a learning rate yet. Load logs, or declare their schedules, on the Runs page.")
    st.stop()

fits = curves.pick(space)
from_address.write_address(space)
st.subheader("Candidates", anchor=False)
candidate_table.table(space)
candidate_table.buttons(space, space.fit)
candidate_table.share(space)

found = predicted.entries(space, fits)
if not found:
    st.info("No candidate is in use. Switch one on in the table, or add one.")
    st.stop()

st.subheader("Predicted curves", anchor=False)
view, observed = curves.look(space)
_, view = curves.draw(space, fits, found, view, observed)
st.subheader("Ranking", anchor=False)
risk, most_risk = risks.choose(space)
baseline = ranking.choose(space, found, risk, most_risk)
ranking.result(space, found, view.batch_tokens, risk, most_risk, baseline)
best.section(space, found)
export.section(found)
comparisons.section(space, fits, view, observed, risk, most_risk, baseline.place)
