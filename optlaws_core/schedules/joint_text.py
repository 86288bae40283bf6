"""The text form of a plan with several schedules: `rate=wsd(…); batch=steps([0, 100k], [4M, 16M]); average=ema(100)`.

A weight decay is `weight_decay=0.1`, or one that changes, `weight_decay=ramp([0, 100%], [0.1, 0])`.
`parse(plan.text) == plan` for every plan. The order is free; a plan with a rate alone is that rate. Starts may be typed
as shares of the updates, `steps([0, 50%], [4M, 16M])`.
"""

import re
from collections.abc import Callable

from ..errors import OptLawsError, ScheduleError
from ..text import parse_amount
from .averaging import EMA, Average, Merge
from .base import Schedule
from .batch import BY, SHAPES, Batch
from .joint_schedule import Joint
from .weight_decay import WeightDecay

PARTS = ("rate", "batch", "average", "weight_decay")
_PART = re.compile(r"([A-Za-z_]+)\s*=\s*(.+)", re.DOTALL)  # without spaces around it, among which it would search
_CALL = re.compile(r"([A-Za-z_]+)\s*\((.*)\)", re.DOTALL)
_BATCH = re.compile(r"\[([^\[\]]*)\]\s*,\s*\[([^\[\]]*)\]\s*(?:,\s*by\s*=\s*(\w+)\s*)?")
_LISTS = re.compile(r"\[([^\[\]]*)\]\s*,\s*\[([^\[\]]*)\]")
AVERAGES = "ema(100) or merge(8, 1000)"


def is_joint(text: str) -> bool:
    """Whether a text says more than a learning rate, or says it by name."""
    return ";" in text or bool(re.match(rf"\s*(?:{'|'.join(PARTS)})\s*=", text))


def parse_joint(text: str, parse_rate: Callable[[str], Schedule]) -> Schedule:
    """The plan that `text` describes; its rate alone where there is no more. Raises `ScheduleError`."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        said = _PART.fullmatch(part.strip())
        if not said or said[1] not in PARTS:
            raise ScheduleError(
                "A plan reads like rate=wsd(…); batch=steps([0, 100k], [4M, 16M]); average=ema(100); "
                f"weight_decay=0.1, got {_short(part)!r}."
            )
        if said[1] in found:
            raise ScheduleError(f"{said[1]} is given twice.")
        found[said[1]] = said[2]
    if "rate" not in found:
        raise ScheduleError(f"A plan needs its learning rate, such as rate=wsd(…), got {_short(text)!r}.")
    rate = parse_rate(found["rate"])
    if len(found) == 1:
        return rate
    return Joint(
        rate,
        parse_batch(found["batch"], rate.total) if "batch" in found else None,
        parse_average(found["average"]) if "average" in found else None,
        parse_weight_decay(found["weight_decay"], rate.total) if "weight_decay" in found else None,
    )


def parse_batch(text: str, total: int | None = None) -> Batch:
    """`steps([0, 100k], [4M, 16M])` or `ramp(…)`, with shares of `total` updates. Raises `ScheduleError`."""
    call = _CALL.fullmatch(text.strip())
    lists = _BATCH.fullmatch(call[2].strip()) if call else None
    if not call or call[1] not in SHAPES or not lists:
        raise ScheduleError(
            "batch reads like steps([0, 100k], [4M, 16M]) or ramp(…), the starts and the tokens per update, "
            f"got {_short(text)!r}."
        )
    starts, sizes = ([w.strip() for w in words.split(",") if w.strip()] for words in lists.groups()[:2])
    relative = [size.lower().endswith("x") for size in sizes]
    if any(relative) and not all(relative):
        raise ScheduleError(f"batch: sizes are all tokens (4M) or all multiples (2x), got {_short(lists[2])!r}.")
    by = lists[3] or BY[0]
    begin = tuple(_start(word, "batch", by, total) for word in starts)
    _check_shares("batch", "size", starts, begin, total)
    return Batch(
        begin,
        tuple(_amount(size[:-1] if any(relative) else size, "a size", "4M or 2x") for size in sizes),
        call[1],
        by,
        any(relative),
    )


def parse_average(text: str) -> Average:
    """`ema(100)` or `merge(8, 1000)`. Raises `ScheduleError`."""
    call = _CALL.fullmatch(text.strip())
    numbers = [_amount(word, "a length", "100") for word in call[2].split(",")] if call else []
    kinds = {("ema", 1): EMA, ("merge", 2): Merge}
    kind = kinds.get((call[1], len(numbers))) if call else None
    if kind is None:
        raise ScheduleError(f"average reads like {AVERAGES}, got {_short(text)!r}.")
    return kind(*numbers)


def parse_weight_decay(text: str, total: int | None = None) -> WeightDecay:
    """`0.1`, `steps([0, 12000], [0.1, 0.3])` or `ramp(…)`, with shares of `total` updates. Raises `ScheduleError`."""
    call = _CALL.fullmatch(text.strip())
    if call is None and "(" not in text:
        return WeightDecay((0.0,), (_amount(text, "a weight decay", "0.1", zero=True),))
    lists = _LISTS.fullmatch(call[2].strip()) if call else None
    if not call or call[1] not in SHAPES or not lists:
        raise ScheduleError(
            "weight_decay reads like 0.1, steps([0, 12000], [0.1, 0.3]) or ramp(…), the starts and the values, "
            f"got {_short(text)!r}."
        )
    starts, values = ([w.strip() for w in words.split(",") if w.strip()] for words in lists.groups())
    begin = tuple(_start(word, "weight_decay", BY[0], total) for word in starts)
    _check_shares("weight_decay", "value", starts, begin, total)
    return WeightDecay(begin, tuple(_amount(value, "a weight decay", "0.1", zero=True) for value in values), call[1])


def _start(word: str, of: str, by: str, total: int | None) -> float:
    if not word.endswith("%"):
        return _amount(word, "a start", "100k", zero=True)
    if total is None or by != BY[0]:
        raise ScheduleError(f"{of}: {_short(word)} is a share of the updates, so it cannot give a start in {by}.")
    return float(round(_amount(word[:-1], "a share", "50%", zero=True) / 100 * total))


def _check_shares(of: str, thing: str, words: list[str], begin: tuple[float, ...], total: int | None) -> None:
    """Raises `ScheduleError` for a share of the updates that rounds to the update at which another one begins."""
    for one, other, word in zip(begin, begin[1:], words[1:], strict=False):
        if one == other and word.endswith("%"):
            raise ScheduleError(
                f"{of}: {_short(word)} of {total:,} updates is update {other:,.0f}, at which the {thing} before begins."
            )


def _amount(word: str, what: str, examples: str, zero: bool = False) -> float:
    try:
        return parse_amount(word, what, zero, examples)
    except OptLawsError as error:
        raise ScheduleError(f"In a plan: {str(error)[0].lower()}{str(error)[1:]}") from None


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


__all__ = ["is_joint", "parse_average", "parse_batch", "parse_joint", "parse_weight_decay"]
