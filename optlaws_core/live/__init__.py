"""A run in progress: `growing` logs are read, `forecasting` says where the loss is going, `alarm` whether it diverges.

>>> from optlaws_core.live import cut, forecast
>>> told = forecast(law, cut(run, 2000))  # law: fitted to finished runs; run: with a plan
>>> told.loss[-1], told.low[-1], told.high[-1]  # at the end, with its 90 % band
"""

from .alarm import ALARM, LOOKS, RISE, diverging, evidence, risen
from .alone import from_itself
from .forecasting import FEWEST, MEMORY, PULL, Forecast, Outcome, averages, cut, decays, forecast, outcomes
from .growing import reread, version
from .logged import end_as_planned, planned_end
from .watching import Watch

__all__ = [
    "ALARM",
    "FEWEST",
    "LOOKS",
    "MEMORY",
    "PULL",
    "RISE",
    "Forecast",
    "Outcome",
    "Watch",
    "averages",
    "cut",
    "decays",
    "diverging",
    "end_as_planned",
    "evidence",
    "forecast",
    "from_itself",
    "outcomes",
    "planned_end",
    "reread",
    "risen",
    "version",
]
