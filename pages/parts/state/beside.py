"""What a candidate has beside its learning rate, as typed into fields. No Streamlit.

As with the rate the text is the truth, also while it breaks a rule: whatever stands in the fields is written to it, and
what is wrong with it is said by whoever reads the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optlaws_core import Schedule
from optlaws_core.schedules import EMA, Average, Batch, parts
from optlaws_core.schedules.batch import BY
from optlaws_core.schedules.course import Course
from optlaws_core.schedules.joint_schedule import beside
from optlaws_core.schedules.joint_text import NAMES, RATE, is_joint
from optlaws_core.schedules.plan_parts import PARTS
from optlaws_core.text import format_number

BATCH, AVERAGE, WEIGHT_DECAY, AUXILIARY, TEXT, SEQUENCE = (
    PARTS[name].name for name in ("batch", "average", "weight_decay", "auxiliary", "text", "sequence")
)
TYPED = (WEIGHT_DECAY, AUXILIARY, TEXT, SEQUENCE)  # whose field takes their text form
NONE = "none"
MOST_SAID = 3  # values of a batch or weight decay that are named one by one
_MANNER = {"steps": "{} steps", "ramp": "ramps between {} values"}
_CALL = re.compile(r"\s*(\w*)\s*\(?(.*?)\)?\s*", re.DOTALL)


def separate(text: str) -> dict[str, str]:
    """The parts of a text by name; one that names none is a rate. What is no part keeps its words as its name."""
    if not is_joint(text):
        return {RATE: text}
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(";")):
        name, _, said = (word.strip() for word in part.partition("="))
        if name in NAMES and name not in found and said:
            found[name] = said
        else:
            found[part.strip()] = ""
    return found


def together(found: Mapping[str, str]) -> str:
    """The text of such parts: that of the rate alone where there is no other."""
    if set(found) == {RATE}:
        return found[RATE]
    return "; ".join(f"{name}={said}" if said else name for name, said in found.items())


def with_rate(text: str, rate: str) -> str:
    """The text with another rate, its other parts kept."""
    return together({RATE: rate} | {name: said for name, said in separate(text).items() if name != RATE})


@dataclass(frozen=True)
class Fields:
    """What stands in the fields for what is beside the rate."""

    shape: str = NONE  # or one of `batch.SHAPES`
    starts: str = "0, 50%"
    sizes: str = "1x, 4x"
    by: str = BY[0]
    average: str = NONE  # or ema, merge
    half_life: str = "100"
    count: str = "8"
    every: str = "100"
    weight_decay: str = ""  # this and what follows as in the text form; empty where it is not told
    auxiliary: str = ""
    text: str = ""
    sequence: str = ""

    @classmethod
    def of(cls, text: str) -> Fields:
        """The fields of a text; what it does not say is what is usual."""
        found = separate(text)
        given: dict[str, str] = {}
        if said := found.get(BATCH):
            shape, rest = _call(said)
            lists = re.findall(r"\[([^\]]*)\]", rest)
            by = re.search(r"by\s*=\s*(\w+)", rest)
            given = {"shape": shape} | dict(zip(("starts", "sizes"), lists, strict=False))
            given["by"] = by[1] if by and by[1] in BY else BY[0]
        if said := found.get(AVERAGE):
            kind, rest = _call(said)
            names = ("half_life",) if kind == "ema" else ("count", "every")
            given |= {"average": kind} | dict(zip(names, map(str.strip, rest.split(",")), strict=False))
        return cls(**given, **{name: found.get(name, "") for name in TYPED})

    @property
    def parts(self) -> dict[str, str]:
        """Texts of the parts by name, where there are any."""
        by = f", by={self.by}" if self.by != BY[0] else ""
        lengths = self.half_life if self.average == "ema" else f"{self.count}, {self.every}"
        said = {
            BATCH: f"{self.shape}([{self.starts.strip(' []')}], [{self.sizes.strip(' []')}]{by})",
            AVERAGE: f"{self.average}({lengths})",
        }
        told = {name: said[name] for name, kind in ((BATCH, self.shape), (AVERAGE, self.average)) if kind != NONE}
        return told | {name: words for name in TYPED if (words := getattr(self, name))}


def _call(text: str) -> tuple[str, str]:
    """Word and inner text of a call, also of a half-finished one."""
    found = _CALL.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)


def told(schedule: Schedule) -> str:
    """What is beside the rate in a few letters, for a name; empty for a rate alone."""
    (_, batch, average), more = parts(schedule), beside(schedule)
    decay, auxiliary = more.get(WEIGHT_DECAY), more.get(AUXILIARY)
    words = (
        batch and _arrows([batch.written(size) for size in batch.sizes]),
        average and _short(average),
        decay and f"wd {_arrows(_written(decay))}",
        auxiliary and f"aux {_rate_in_short(auxiliary)}",
        TEXT in more and f"text {_arrows(_written(more[TEXT]))}",
        SEQUENCE in more and f"seq {_arrows(_written(more[SEQUENCE]))}",
    )
    return " ".join(filter(None, words))


def in_words(schedule: Schedule, more: bool = False) -> str:
    """The same for a sentence, behind the words for the rate, to be read on from; `more`: these have a `with` already.

    Empty for a rate alone.
    """
    (_, batch, average), found = parts(schedule), beside(schedule)
    size = [] if batch is None else [_batch_in_words(batch)]
    others = [write(found[name]) for name, write in _OTHERS.items() if name in found]
    if average is None:
        return _with([*size, *others], more)
    read = f"{_with(size, more)} read as {_average_in_words(average)}"
    return f"{read},{_with(others)}" if others else read


def _with(items: list[str], more: bool = False) -> str:
    """` with a, b, and c`, to be read on from a `with` and its item where there are `more`; empty for no items."""
    if not items:
        return ""
    *before, last = items
    if not before:
        return f"{' and' if more else ' with'} {last}"
    comma = "," if more or len(before) > 1 or "," in before[0] else ""  # else "then b and c" reads as one stage
    return f"{',' if more else ' with'} {', '.join(before)}{comma} and {last}"


def _rate_in_short(rate: Schedule) -> str:
    return format_number(float(f"{rate.peak:.2g}"))


def _written(course: Course) -> list[str]:
    return course.words[: 1 if course.constant else None]


def _arrows(values: list[str]) -> str:
    return "→".join(values if len(values) <= MOST_SAID else [values[0], "…", values[-1]])


def _batch_in_words(batch: Batch) -> str:
    return _course(
        "batch", [batch.written(size) for size in batch.sizes], batch.shape, "" if batch.relative else " tokens"
    )


def _course(what: str, values: list[str], shape: str, unit: str = "") -> str:
    """How a batch or a weight decay goes through its values, in words."""
    if len(set(values)) == 1:
        return f"a {what} of {values[0]}{unit}"
    if len(values) > MOST_SAID:
        return f"a {what} of {values[0]} to {values[-1]}{unit} in {_MANNER[shape].format(len(values))}"
    if shape == "ramp":
        return f"a {what} that goes from {' to '.join(values)}{unit}"
    return f"a {what} of {', then '.join(values)}{unit}"


def _texts_in_words(texts: Course) -> str:
    """Names have no range, so that those that are too many are counted."""
    names = _written(texts)
    if len(names) > MOST_SAID:
        names = [*names[: MOST_SAID - 1], f"{len(names) - MOST_SAID + 1} more"]
    return f"the text {names[0]}" if len(names) == 1 else f"the texts {', then '.join(names)}"


_OTHERS: dict[str, Callable[[Any], str]] = {
    WEIGHT_DECAY: lambda decay: _course("weight decay", _written(decay), decay.shape),
    AUXILIARY: lambda rate: f"an auxiliary rate of up to {_rate_in_short(rate)}",
    TEXT: _texts_in_words,
    SEQUENCE: lambda lengths: _course("sequence length", _written(lengths), lengths.shape),
}


def _average_in_words(average: Average) -> str:
    if isinstance(average, EMA):
        return f"an EMA of {_rounded(average.half_life)} updates"
    return f"the mean of {average.count:,} checkpoints {average.every:,} updates apart"


def _short(average: Average) -> str:
    return f"ema({_rounded(average.half_life)})" if isinstance(average, EMA) else average.text


def _rounded(updates: float) -> str:
    return format_number(float(f"{updates:.3g}"))
