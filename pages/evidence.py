"""Choose laws and runs, fit, see which law to trust, read the report, tune the coefficients."""

import streamlit as st

from pages.parts import page
from pages.parts.fit import choice as choosing
from pages.parts.fit import curves, from_address, job, laws_table, leaderboard, report
from pages.parts.widgets.markdown import literal

space = page.open("Evidence", "The laws behind the answer, their errors on unseen runs, and other laws to try.")

if not space.fittable:
    st.info("No loaded run has a learning rate yet. Load logs, or declare their schedules, on the Runs page.")
    st.stop()

from_address.read_address(space)
choice, pressed = choosing.choose(space)
choosing.warn(space, choice)
if pressed:
    job.begin(space, choice)
leaderboard.section()
if space.job:
    job.watch(space)
if space.failure:
    st.error(literal(space.failure))
if space.fit is None:
    from_address.write_address(space, choice)
    if not space.job:
        st.info("Press Fit. It takes a few seconds; the report appears here.")
    report.formulas(choice.laws)
    st.stop()

above = st.container()
found = choosing.pick(space)
from_address.write_address(space, choice)
with above:
    laws_table.table(space)
st.subheader(literal(space.current), anchor=False)
report.stale(space)
report.verdict(found)
report.coefficients(found)
st.subheader("Errors", anchor=False)
report.errors(space, found)

runs = report.runs_of(space, found)
if runs is None:
    st.info("Some runs of this fit are no longer loaded, so its curves cannot be drawn.")
else:
    st.subheader("Predicted and observed", anchor=False)
    curves.show(space, found, *runs)
    report.tune(space, found, *runs)
report.kept(space)
