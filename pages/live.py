"""Follow a run in progress, or replay a finished one: forecast its end, weigh when to decay, see if it diverges."""

from pages.parts import choosing, linked, links, session, staging, watching

space = session.page("Live", "A run in progress: where its loss is going, when to decay, and whether it is diverging.")
links.bring(space, "run")
linked.take(space)
if space.job:
    choosing.watch(space)
if space.fit:
    linked.tell(space)
watching.show(space)
staging.section(space)
