"""Learning-rate schedules: records that map a step to a rate, one text form, one registry.

>>> from optlaws_core.schedules import parse
>>> schedule = parse("wsd(peak=3e-4, warmup=2160, total=24000, decay=4000, final=3e-5)")
>>> schedule([0, 1080, 2160, 22000]).tolist()
[0.0, 0.00015, 0.0003, 0.000165]
"""

from ..errors import by_name
from .averaging import EMA, Average, Merge
from .base import Schedule
from .batch import Batch
from .cooldowns import COOLDOWNS
from .cycles import SGDR, Cyclic, OneCycle
from .data_stages import SequenceLength, Texts
from .entries import WARMUPS
from .extension import Extended
from .families import UBA, Constant, Cosine, Exponential, InverseSqrt, Linear, Polynomial, PowerDecay, Rex
from .joint_schedule import Joint, at_tokens, batch_at, like_tokens, parts, token_ratio, tokens_before, with_rate
from .joint_text import is_joint, parse_joint
from .multi_stage import WSD, WSDS
from .parsing import LONGEST_TEXT, parse_with
from .pieces import Knots, Step
from .power_scheduler import Power, PowerScheduler
from .refinement import Refined, refined
from .weight_decay import WeightDecay

SCHEDULES: dict[str, type[Schedule]] = by_name(
    "schedule families",
    lambda cls: cls.family,
    (
        Constant,
        Linear,
        Cosine,
        WSD,
        WSDS,
        Extended,
        InverseSqrt,
        Power,
        PowerScheduler,
        Polynomial,
        PowerDecay,
        Exponential,
        Rex,
        UBA,
        Cyclic,
        SGDR,
        OneCycle,
        Step,
        Knots,
    ),
)


def parse(text: str) -> Schedule:
    """The schedule that `text` describes, of any family, or the plan of several. Raises `ScheduleError`."""
    if len(text) <= LONGEST_TEXT and is_joint(text):
        return parse_joint(text, lambda rate: parse_with(SCHEDULES, rate))
    return parse_with(SCHEDULES, text)


__all__ = [
    "COOLDOWNS",
    "EMA",
    "SCHEDULES",
    "SGDR",
    "UBA",
    "WARMUPS",
    "WSD",
    "WSDS",
    "Average",
    "Batch",
    "Constant",
    "Cosine",
    "Cyclic",
    "Exponential",
    "Extended",
    "InverseSqrt",
    "Joint",
    "Knots",
    "Linear",
    "Merge",
    "OneCycle",
    "Polynomial",
    "Power",
    "PowerDecay",
    "PowerScheduler",
    "Refined",
    "Rex",
    "Schedule",
    "SequenceLength",
    "WeightDecay",
    "Step",
    "Texts",
    "at_tokens",
    "batch_at",
    "like_tokens",
    "parse",
    "parts",
    "refined",
    "token_ratio",
    "tokens_before",
    "with_rate",
]
