"""optax: the formula as a function of the count, traced by JAX."""

from ...schedules.base import Schedule
from ..base import Export, Target
from ..code import array

KEY, TITLE = "optax", "optax"


def write(schedule: Schedule) -> Export:
    """A callable from the count of updates to the rate, as every optax optimizer takes it."""
    notes = (
        "Use as optax.adamw(learning_rate). JAX computes in 32 bits, so to about 3e-7 of the peak and exactly in steps "
        "up to 16,777,216 only, unless jax_enable_x64 is set.",
    )
    return array(schedule, KEY, TITLE, "learning_rate", "count", notes)


TRAINER = Target(
    KEY,
    TITLE,
    write,
    takes="code",
    native="any schedule, as a function of the count",
    source="https://optax.readthedocs.io/en/latest/api/optimizer_schedules.html",
    version="optax 0.2.8",
)
