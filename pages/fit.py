"""Choose a law and runs, fit, read the report, tune the coefficients."""

import streamlit as st

from pages.parts import report, session

space = session.page("Fit", "Fit a law to some of the runs and judge it on the others, which it has not seen.")

if not space.fittable:
    st.info("No loaded run has a learning rate yet. Load logs, or declare their schedules, on the Runs page.")
    st.stop()

choice, pressed = report.choose(space)
report.warn(space, choice)
if pressed:
    report.begin(space, choice)
if space.job:
    report.watch(space)
if space.failure:
    st.error(session.literal(space.failure))

found = report.pick(space)
if found is None:
    st.info("Press Fit. It takes about a second; the report appears here.")
    report.formula(choice.law)
    st.stop()

st.subheader(session.literal(space.current), anchor=False)
report.verdict(found)
with st.container(border=True):
    report.formula(found.law)
st.subheader("Coefficients", anchor=False)
report.coefficients(found)
st.subheader("Errors", anchor=False)
report.errors(found)
report.noise(space, found)

runs = report.runs_of(space, found)
if runs is None:
    st.info("Some runs of this fit are no longer loaded, so its curves cannot be drawn.")
    st.stop()

st.subheader("Tune the coefficients", anchor=False)
report.tune(space, found, *runs)
st.subheader("Predicted and observed", anchor=False)
report.pictures(found, [*runs[0], *runs[1]])
if len(space.fits) > 1:
    st.subheader("Kept fits", anchor=False)
    report.kept(space)
