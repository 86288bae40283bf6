"""How a schedule shows itself: the updates that draw it, its rates as a table, and a few lines in a notebook."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..markup import facts, sparkline
from ..text import format_number, shortened

if TYPE_CHECKING:
    import pandas as pd

    from .base import Schedule

NEAR, FEW = 8, 20  # points close behind each break, where there are so few breaks
ROWS = 1_000  # of a table, about


def drawing_steps(schedule: "Schedule", most: int) -> NDArray[np.int64]:
    """Updates (n,), n ≤ `most`, that draw a schedule: the ends, both sides of every break, close together behind it."""
    last = schedule.total - 1
    kinks = drawn_breaks(schedule, most // 5)
    near = np.geomspace(1, max(schedule.total / most, 2), NEAR) if len(kinks) <= min(FEW, most // 40) else np.zeros(0)
    always = np.concatenate((kinks, kinks - 1, (kinks[:, None] + near).ravel(), [0, last]))
    even = np.linspace(0, last, min(schedule.total, most - len(always)))
    return np.unique(np.clip(np.rint(np.concatenate((always, even))), 0, last).astype(np.int64))


def drawn_breaks(schedule: "Schedule", most: int) -> NDArray[np.int64]:
    """Updates (n,) at which the formula changes; n ≤ `most`, evenly chosen among more."""
    inner = np.array([b for b in schedule.breaks if 0 < b < schedule.total], np.int64)
    return inner if len(inner) <= most else inner[np.linspace(0, len(inner) - 1, most).astype(int)]


def frame_of(schedule: "Schedule", at: ArrayLike | None) -> "pd.DataFrame":
    """See `Schedule.to_frame`."""
    import pandas as pd  # takes longer to load than all the rest of schedules

    steps = drawing_steps(schedule, ROWS) if at is None else np.atleast_1d(np.asarray(at))
    batch = getattr(schedule, "batch", None)
    return pd.DataFrame({"step": steps, "lr": schedule(steps)} | ({} if batch is None else {"batch": batch(steps)}))


def html_of(schedule: "Schedule") -> str:
    """A small picture of the rate, its text form and its numbers."""
    known = [
        ("text form", schedule.text),
        ("peak", format_number(schedule.peak)),
        ("updates", f"{schedule.total:,}"),
        ("warm-up", f"{schedule.warmup:,}" if schedule.warmup else "none"),
    ]
    rates = schedule(np.linspace(0, schedule.total - 1, 200))
    return facts(known).html(f"Schedule: {schedule.family}", picture=sparkline(rates))


def brief(schedule: "Schedule") -> str:
    """The text form, where it is short enough for a line."""
    return shortened(schedule.text, 90)
