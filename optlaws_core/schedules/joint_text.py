"""The text form of a plan with several schedules: `rate=wsd(…); batch=steps([0, 100k], [4M, 16M]); average=ema(100)`.

A weight decay is `weight_decay=0.1`, or one that changes, `weight_decay=ramp([0, 100%], [0.1, 0])`. The rate of an
auxiliary group is `auxiliary=wsd(…)`; `text=steps([0, 80%], [web, code])` and `sequence=4096` are what is read.
`parse(plan.text) == plan` for every plan. The order is free; a plan with a rate alone is that rate. Starts may be typed
as shares of the updates, `steps([0, 50%], [4M, 16M])`.
"""

import re
from collections.abc import Callable

from ..errors import ScheduleError
from .base import Schedule
from .joint_schedule import Joint
from .part_texts import short
from .plan_parts import PARTS

RATE = "rate"
NAMES = (RATE, *PARTS)  # in the order of the text form
_PART = re.compile(r"([A-Za-z_]+)\s*=\s*(.+)", re.DOTALL)  # without spaces around it, among which it would search


def is_joint(text: str) -> bool:
    """Whether a text says more than a learning rate, or says it by name."""
    return ";" in text or bool(re.match(rf"\s*(?:{'|'.join(NAMES)})\s*=", text))


def parse_joint(text: str, parse_rate: Callable[[str], Schedule]) -> Schedule:
    """The plan that `text` describes; its rate alone where there is no more. Raises `ScheduleError`."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        said = _PART.fullmatch(part.strip())
        if not said or said[1] not in NAMES:
            examples = "; ".join(f"{part.name}={part.example}" for part in PARTS.values())
            raise ScheduleError(f"A plan reads like rate=wsd(…); {examples}, got {short(part)!r}.")
        if said[1] in found:
            raise ScheduleError(f"{said[1]} is given twice.")
        found[said[1]] = said[2]
    if RATE not in found:
        raise ScheduleError(f"A plan needs its learning rate, such as rate=wsd(…), got {short(text)!r}.")
    rate = parse_rate(found.pop(RATE))
    if not found:
        return rate
    return Joint(rate, **{PARTS[name].field: PARTS[name].read(said, rate, parse_rate) for name, said in found.items()})


__all__ = ["NAMES", "RATE", "is_joint", "parse_joint"]
