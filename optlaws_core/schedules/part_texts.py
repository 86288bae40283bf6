"""The text forms of the parts of a plan beside its rate: `steps([0, 100k], [4M, 16M])`, `ema(100)`, `0.1`.

`parse_batch(batch.text) == batch`, and so for every part. Starts may be typed as shares of the updates.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import OptLawsError, ScheduleError
from ..text import parse_amount
from .averaging import EMA, Average, Merge
from .batch import BY, SHAPES, Batch
from .course import Course
from .data_stages import SequenceLength, Texts
from .weight_decay import WeightDecay

_CALL = re.compile(r"([A-Za-z_]+)\s*\((.*)\)", re.DOTALL)
_BATCH = re.compile(r"\[([^\[\]]*)\]\s*,\s*\[([^\[\]]*)\]\s*(?:,\s*by\s*=\s*(\w+)\s*)?")
_LISTS = re.compile(r"\[([^\[\]]*)\]\s*,\s*\[([^\[\]]*)\]")
_STAGES = re.compile(rf"\s*(?:{'|'.join(SHAPES)})\s*\(")
_SUFFIX = re.compile(r"[\d.]\s*[kmbgt]i?\s*(?:tokens?)?\s*$", re.IGNORECASE)
AVERAGES = "ema(100) or merge(8, 1000)"
C = TypeVar("C", bound=Course)


def parse_batch(text: str, total: int | None = None) -> Batch:
    """`steps([0, 100k], [4M, 16M])` or `ramp(…)`, with shares of `total` updates. Raises `ScheduleError`."""
    call = _CALL.fullmatch(text.strip())
    lists = _BATCH.fullmatch(call[2].strip()) if call else None
    if not call or call[1] not in SHAPES or not lists:
        raise ScheduleError(
            "batch reads like steps([0, 100k], [4M, 16M]) or ramp(…), the starts and the tokens per update, "
            f"got {short(text)!r}."
        )
    starts, sizes = ([w.strip() for w in words.split(",") if w.strip()] for words in lists.groups()[:2])
    relative = [size.lower().endswith("x") for size in sizes]
    if any(relative) and not all(relative):
        raise ScheduleError(f"batch: sizes are all tokens (4M) or all multiples (2x), got {short(lists[2])!r}.")
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
        raise ScheduleError(f"average reads like {AVERAGES}, got {short(text)!r}.")
    return kind(*numbers)


def parse_weight_decay(text: str, total: int | None = None) -> WeightDecay:
    """`0.1`, `steps([0, 12000], [0.1, 0.3])` or `ramp(…)`, with shares of `total` updates. Raises `ScheduleError`."""
    return _course(
        WeightDecay,
        text,
        total,
        lambda word: _amount(word, "a weight decay", "0.1", zero=True),
        "0.1, steps([0, 12000], [0.1, 0.3]) or ramp(…)",
    )


def parse_sequence(text: str, total: int | None = None) -> SequenceLength:
    """`4096` or `steps([0, 80%], [4096, 32768])`, with shares of `total` updates. Raises `ScheduleError`."""
    return _course(
        SequenceLength,
        text,
        total,
        _length,
        "4096 or steps([0, 80%], [4096, 32768])",
    )


def parse_texts(text: str, total: int | None = None) -> Texts:
    """`web` or `steps([0, 80%], [web, code])`, with shares of `total` updates. Raises `ScheduleError`."""
    if not _STAGES.match(text):  # also one with brackets: Texts says what a name is
        return Texts((0.0,), (text,))
    return _course(Texts, text, total, str, "web or steps([0, 80%], [web, code])")


def _course(kind: type[C], text: str, total: int | None, value: Callable[[str], Any], examples: str) -> C:
    """A course of one value, or of a call with starts and values. Raises `ScheduleError`; `examples` are for it."""
    call = _CALL.fullmatch(text.strip())
    if call is None and "(" not in text:
        return kind((0.0,), (value(text),))
    lists = _LISTS.fullmatch(call[2].strip()) if call else None
    if not call or call[1] not in kind.shapes or not lists:
        raise ScheduleError(
            f"{kind.part} reads like {examples}, the starts and the {kind.called}s, got {short(text)!r}."
        )
    starts, values = ([w.strip() for w in words.split(",") if w.strip()] for words in lists.groups())
    begin = tuple(_start(word, kind.part, BY[0], total) for word in starts)
    _check_shares(kind.part, kind.called, starts, begin, total)
    return kind(begin, tuple(map(value, values)), call[1])


def _length(word: str) -> float:
    """Tokens in a sequence. 4K would be 4,000 of them, where reports mean 4,096."""
    if _SUFFIX.search(word):
        raise ScheduleError(f"sequence: a length is written out, 4096 for 4K, got {short(word)!r}.")
    return _amount(word, "a length of sequences", "4096")


def _start(word: str, of: str, by: str, total: int | None) -> float:
    if not word.endswith("%"):
        return _amount(word, "a start", "100k", zero=True)
    if total is None or by != BY[0]:
        raise ScheduleError(f"{of}: {short(word)} is a share of the updates, so it cannot give a start in {by}.")
    return float(round(_amount(word[:-1], "a share", "50%", zero=True) / 100 * total))


def _check_shares(of: str, thing: str, words: list[str], begin: tuple[float, ...], total: int | None) -> None:
    """Raises `ScheduleError` for a share of the updates that rounds to the update at which another one begins."""
    for one, other, word in zip(begin, begin[1:], words[1:], strict=False):
        if one == other and word.endswith("%"):
            raise ScheduleError(
                f"{of}: {short(word)} of {total:,} updates is update {other:,.0f}, at which the {thing} before begins."
            )


def _amount(word: str, what: str, examples: str, zero: bool = False) -> float:
    try:
        return parse_amount(word, what, zero, examples)
    except OptLawsError as error:
        raise ScheduleError(f"In a plan: {str(error)[0].lower()}{str(error)[1:]}") from None


def short(text: str, most: int = 60) -> str:
    """The text in one line of at most so many characters, for a message."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


__all__ = ["parse_average", "parse_batch", "parse_sequence", "parse_texts", "parse_weight_decay", "short"]
