"""Follow a run in progress, or replay a finished one: forecast its end, weigh when to decay, see if it diverges."""

from pages.parts import page
from pages.parts.fit import from_address, job
from pages.parts.live import autolrs, forecast
from pages.parts.state import address

space = page.open("Live", "A run in progress: where its loss is going, when to decay, and whether it is diverging.")
address.load_named_runs(space, "run")
from_address.read_address(space)
if space.job:
    job.watch(space)
if space.fit:
    from_address.write_address(space)
forecast.show(space)
autolrs.section(space)
