"""Follow a run in progress, or replay a finished one: forecast its end, weigh when to decay, see if it diverges."""

from pages.parts import choosing, session, staging, watching

space = session.page("Live", "A run in progress: where its loss is going, when to decay, and whether it is diverging.")
if space.job:
    choosing.watch(space)
watching.show(space)
staging.section(space)
