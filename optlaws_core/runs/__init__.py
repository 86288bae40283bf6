"""What is trained and what was observed: `Plan`, `Run`, `Series`; and the noise of repeats, in `noise`."""

from .run import HIGHEST_LOSS, LOWEST_LOSS, MOST_UPDATES, LrSource, Plan, Run, Series, unsettled

__all__ = ["HIGHEST_LOSS", "LOWEST_LOSS", "MOST_UPDATES", "LrSource", "Plan", "Run", "Series", "unsettled"]
