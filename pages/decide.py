"""From dropped logs to an answer: what was seen, the big run, the verdict, curves and ranking; then the rest."""

import streamlit as st

from pages.parts import page
from pages.parts.compare import table as candidate_table
from pages.parts.decide import board, card, fitting, seen, welcome
from pages.parts.fit import from_address, job
from pages.parts.widgets.markdown import literal

space = page.open("Decide", welcome.PURPOSE, "Opt-Laws")
page.lead_on()
from_address.read_address(space)
if welcome.needed(space):
    welcome.show(space)
    st.stop()

card.settle(space)
usual, aside = fitting.usual(space)
seen.show(space, usual.train + usual.test, aside)
if not space.fittable and not space.fits:
    st.info("No loaded run has a learning rate yet. Declare their schedules under “All about these runs”.")
    st.stop()

candidate_table.prepare(space, space.fit)
usual = fitting.for_candidates(space, usual)
fitting.by_itself(space, usual)
card.show(space)
if space.job:
    job.watch(space)
if space.failure:
    st.error(literal(space.failure))
if not space.fits:
    fitting.offer(space, usual)
    candidate_table.share(space)
    st.stop()

fitting.stale(space, usual)
fitting.advised(space)
fitting.why(space, usual)
board.show(space)
