"""Learning-rate schedules: records that map a step to a rate, one text form, one registry.

>>> from optlaws_core.schedules import parse
>>> schedule = parse("wsd(peak=3e-4, warmup=2160, total=24000, decay=4000, final=3e-5)")
>>> schedule([0, 1080, 2160, 22000]).tolist()
[0.0, 0.00015, 0.0003, 0.000165]
"""

from .base import Schedule, number
from .families import COOLDOWNS, WSD, Constant, Cosine, Cyclic, InverseSqrt, Knots, Linear, Power, Rex, Step
from .text import parse_with

SCHEDULES: dict[str, type[Schedule]] = {
    cls.family: cls for cls in (Constant, Linear, Cosine, WSD, InverseSqrt, Power, Rex, Cyclic, Step, Knots)
}


def parse(text: str) -> Schedule:
    """The schedule that `text` describes, of any family in `SCHEDULES`. Raises `ScheduleError`."""
    return parse_with(SCHEDULES, text)


__all__ = [
    "COOLDOWNS",
    "SCHEDULES",
    "WSD",
    "Constant",
    "Cosine",
    "Cyclic",
    "InverseSqrt",
    "Knots",
    "Linear",
    "Power",
    "Rex",
    "Schedule",
    "Step",
    "number",
    "parse",
]
