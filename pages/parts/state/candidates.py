"""Candidate schedules as one edits them: a text form, a label, on or off. Plain values and functions; no Streamlit.

The text is the only truth. Fields are read from it and written back to it, also while it breaks a rule, so that a
half-finished edit loses nothing: the sentence that says what is wrong stands beside it until it is right.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING

from optlaws_core import SCHEDULES, Plan, Schedule, ScheduleError, parse
from optlaws_core.readers.pasted import as_knots
from optlaws_core.schedules import WSD, Constant, Cosine, Linear, Step, parts
from optlaws_core.schedules.entries import LARGEST, rounded_rate
from optlaws_core.text import format_number

from . import beside

if TYPE_CHECKING:
    from optlaws_core import Coverage

MOST = 24  # candidates; more make no readable chart
MOST_LINK = 6_000  # characters of all candidates in a link; browsers and proxies refuse addresses past about 8,000
LONGEST_LABEL = 48
_COLOR = re.compile(r"([0-9]{1,2}):")  # before the text of a candidate in a link
LONGEST_NAME = 44
DECAY = 0.2  # share of the horizon: the cooldown of a WSD, and what comes after the drop of a step schedule
IN_WORDS = {  # families whose names are no words of a sentence
    "constant": "constant rate",
    "exponential": "exponential decay",
    "extended": "extended WSD",
    "inverse_sqrt": "inverse square root",
    "knots": "drawn curve",
    "linear": "linear decay",
    "one_cycle": "one-cycle schedule",
    "cyclic": "cyclic schedule",
    "polynomial": "polynomial decay",
    "power": "power schedule",
    "power_scheduler": "Power Scheduler",
    "refined": "refined schedule",
    "rex": "REX",
    "sgdr": "SGDR",
    "step": "step schedule",
    "uba": "UBA schedule",
    "wsd": "WSD",
    "wsd_s": "WSD-S",
}
SCALARS = ("peak", "warmup", "total", "decay", "final", "shape")  # fields with a column of their own in the table


@dataclass(frozen=True)
class Candidate:
    """One row. `text` need not be a schedule yet; `problem` says why."""

    text: str
    label: str = ""
    on: bool = True
    color: int | None = field(default=None, compare=False)  # in all charts and tables; None: not given yet
    given: tuple[str, str, str] = field(default=("", "", ""), compare=False)  # a name, and the text and label it is of

    @property
    def schedule(self) -> Schedule | None:
        """The schedule that the text describes, or None."""
        return _read(self.text)[0]

    @property
    def rate(self) -> Schedule | None:
        """Its learning rate, without what it schedules beside that; None like `schedule`."""
        return None if self.schedule is None else parts(self.schedule)[0]

    @property
    def called(self) -> str:
        """Its name in charts and tables, which stays until it changes itself; empty where it has none yet."""
        return self.given[0] if self.given[1:] == (self.text, self.label) else ""

    @property
    def problem(self) -> str:
        """Why the text is no schedule, as a sentence; empty when it is one."""
        return _read(self.text)[1]

    @property
    def family(self) -> str | None:
        """The family that the text names, if it is a known one."""
        name = loose(self.text)[0]
        return name if name in SCHEDULES else None


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[Schedule | None, str]:
    try:
        return parse(text), ""
    except ScheduleError as fault:
        return None, str(fault)
    except (OverflowError, RecursionError, MemoryError):
        return None, "A number in this schedule is too large to count with."


def loose(text: str) -> tuple[str, dict[str, str]]:
    """Family and fields of a text's rate as words, also of one that breaks a rule; empty where it has none."""
    call = re.fullmatch(r"\s*([\w-]*)\s*(?:\((.*)\)?\s*)?", beside.separate(text).get(beside.RATE, ""), re.DOTALL)
    if not call:
        return "", {}
    pairs = re.findall(r"\b(\w++)\s*+=\s*(\[[^\]]*\]|[^,\[\]()]*)", call[2] or "")
    return call[1], {key: value.strip() for key, value in pairs}


def tidy(text: str) -> str:
    """The text form as the app writes it, or the text as it is when it is no schedule."""
    schedule = _read(text.strip())[0]
    return schedule.text if schedule else text.strip()


def value_of(candidate: Candidate, field: str) -> float | str | None:
    """What a table cell shows for a field: its value, or None where the family has none or it cannot be read."""
    if candidate.rate is not None:
        value = getattr(candidate.rate, field, None)
        return value if isinstance(value, str) or value is None else float(value)
    word = loose(candidate.text)[1].get(field)
    if word is None or field == "shape":
        return word
    try:
        return float(word)
    except ValueError:
        return None


def with_text(candidate: Candidate, text: str) -> Candidate:
    """The candidate with another text."""
    return replace(candidate, text=tidy(text))


def with_rate(candidate: Candidate, rate: str) -> Candidate:
    """The candidate with the text of another learning rate; what it schedules beside that stays."""
    return with_text(candidate, beside.with_rate(candidate.text, rate))


def with_field(candidate: Candidate, field: str, value: float | int | str | None) -> Candidate:
    """The candidate with one field set, or left out for None. The result may break a rule."""
    family, pairs = loose(candidate.text)
    pairs.pop(field, None)
    if value is not None and value != "":
        pairs[field] = _word(value)
    return with_rate(candidate, _call(family or "cosine", pairs))


def with_family(candidate: Candidate, family: str) -> Candidate:
    """The candidate as another family: common numbers stay, what is missing gets sensible values.

    As knots it keeps its whole curve.
    """
    if family == "knots" and candidate.rate is not None:
        return with_rate(candidate, as_knots(candidate.rate).text)
    pairs = {k: v for k, v in loose(candidate.text)[1].items() if not v.startswith("[")}
    if candidate.schedule is not None:  # knots know their peak and total, though their text does not name them
        pairs |= {k: _word(getattr(candidate.schedule, k)) for k in ("peak", "total") if k not in pairs}
    known = fields(SCHEDULES[family])
    guesses = _guesses(family, pairs)
    kept = {f.name: pairs[f.name] for f in known if f.name in pairs}
    for f in known:
        if f.name not in kept and f.name in guesses and f.default in (MISSING, None):
            kept[f.name] = guesses[f.name]
    made = with_rate(candidate, _call(family, kept))
    if made.problem and "shape" in kept:  # the power scheduler's exponential ends at 0, other families' does not
        made = with_rate(candidate, _call(family, {k: v for k, v in kept.items() if k != "shape"}))
    return made


def with_label(candidate: Candidate, label: str) -> Candidate:
    """The candidate under another label; one line, not too long."""
    return replace(candidate, label=" ".join(label.replace("|", "/").split())[:LONGEST_LABEL].rstrip())


def copied(candidate: Candidate) -> Candidate:
    """The candidate once more, with a colour and a name of its own to come."""
    return _nameless(replace(candidate, color=None))


def _nameless(candidate: Candidate) -> Candidate:
    return replace(candidate, given=("", "", ""))


def from_fields(family: str, values: Mapping[str, object], more: Mapping[str, str] | None = None) -> str:
    """A text form from the values of a form; None and empty ones are left out. It may break a rule.

    more: texts of what is scheduled beside the rate, as `beside.Fields.parts` has them.
    """
    rate = _call(family, {k: _word(v) for k, v in values.items() if v is not None and v != ""})
    return tidy(beside.together({beside.RATE: rate} | dict(more or {})))


def _call(family: str, pairs: Mapping[str, str]) -> str:
    return f"{family}({', '.join(f'{k}={v}' for k, v in pairs.items())})"


def _word(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or not math.isfinite(float(value)):
        return str(value)
    return format_number(float(value))


def _guesses(family: str, pairs: Mapping[str, str]) -> dict[str, str]:
    """Words for the fields of a family that another one did not have: what is usual under its peak and horizon."""

    def read(key: str, otherwise: float) -> float:
        try:
            value = float(pairs[key])
        except (KeyError, ValueError):
            return otherwise
        return value if abs(value) <= LARGEST else otherwise

    peak, warmup, total = read("peak", 1e-3), int(read("warmup", 0)), int(read("total", 1000))
    usual = {f.name: f.metadata["usual"] for f in fields(SCHEDULES[family])}
    return {name: _field_word(value(peak, warmup, total)) for name, value in usual.items() if value is not None}


def _field_word(value: object) -> str:
    return f"[{', '.join(map(_word, value))}]" if isinstance(value, tuple) else _word(value)


# ---------------------------------------------------------------------------------------------------- colours


def coloured(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, each with a colour of its own: the one it has, else that of its place, else the first free one.

    So it keeps its colour when others are removed or put before it.
    """
    owners: dict[int, int] = {}  # the place of the first candidate of each colour
    for place, candidate in enumerate(candidates):
        if candidate.color is not None:
            owners.setdefault(candidate.color, place)
    out = []
    for place, candidate in enumerate(candidates):
        color = candidate.color
        if color is None or owners[color] != place:
            color = next(i for i in chain((place,), count()) if i not in owners)
            owners[color] = place
        out.append(replace(candidate, color=color))
    return out


# ---------------------------------------------------------------------------------------------------- names


def names(candidates: Sequence[Candidate]) -> list[str]:
    """A short name for each: the one it has, its label, or the family and what tells it from others of that family.

    All differ.
    """
    taken: dict[str, int] = {}  # names, and the places of those who have them
    for place, candidate in enumerate(candidates):
        if candidate.called:
            taken.setdefault(candidate.called, place)
    for place, candidate in enumerate(candidates):
        if taken.get(candidate.called) != place:
            taken[_free(_cut(candidate.label or _telling(candidate, candidates)), taken)] = place
    return sorted(taken, key=taken.__getitem__)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _free(name: str, taken: Container[str]) -> str:
    """The name, numbered where somebody has it."""
    return next(n for n in chain((name,), (f"{name} ({i})" for i in count(2))) if n not in taken)


def named(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, each with the name that it is shown under, until it changes itself."""
    return [replace(c, given=(name, c.text, c.label)) for c, name in zip(candidates, names(candidates), strict=True)]


def lasting(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates for a place that keeps labels alone: labelled where they would get other names there."""
    wanted, rows = names(candidates), [*map(_nameless, candidates)]
    for _ in rows:  # a label takes its candidate out of those that others are told from, so that these may change
        differing = [i for i, name in enumerate(names(rows)) if name != wanted[i]]
        if not differing:
            break
        for i in differing:
            rows[i] = replace(rows[i], label=wanted[i])
    return [replace(c, label=row.label) for c, row in zip(candidates, rows, strict=True)]


def spoken(candidates: Sequence[Candidate]) -> list[str]:
    """What each is called in a sentence: its label, or else its family in words, with what tells it from others."""
    plain = [c.label or _in_words(c) for c in candidates]
    times, out = Counter(plain), []
    for candidate, text, name in zip(candidates, plain, names(candidates), strict=True):
        family, _, more = name.partition(" ")
        if times[text] == 1:
            out.append(text)
        elif candidate.label or candidate.rate is None or family != candidate.rate.family:
            out.append(name)
        else:
            more = more.replace(beside.told(candidate.schedule), "").strip("() ")  # the text says it already
            out.append(f"{text} ({more})" if more else text)
    return out


def _in_words(candidate: Candidate) -> str:
    """A schedule's family with its article, how long a cooldown is, and what is scheduled beside the rate."""
    rate = candidate.rate
    if rate is None:
        return candidate.family or "not a schedule"
    words = f"the {IN_WORDS.get(rate.family, rate.family.replace('_', ' '))}"
    decays = isinstance(rate, WSD)
    if decays:
        words += f" with a decay over the last {100 * rate.decay / rate.total:.3g} %"
    return words + beside.in_words(candidate.schedule, more=decays)


def _telling(candidate: Candidate, others: Sequence[Candidate]) -> str:
    rate = candidate.rate
    if rate is None:
        return candidate.family or "not a schedule"
    kin = [s for c in others if (s := c.rate) is not None and s.family == rate.family and not c.label]
    different = [f.name for f in fields(rate) if len({getattr(s, f.name) for s in kin}) > 1]
    words = [_named(f, getattr(rate, f)) for f in different if getattr(rate, f) is not None]
    return " ".join(filter(None, [rate.family, *words, beside.told(candidate.schedule)]))


def _named(field: str, value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return f"{len(value)} {field}"
    return f"{field} {value:,}" if isinstance(value, int) else f"{field} {format_number(value)}"


# ---------------------------------------------------------------------------------------------------- defaults


def base_plan(plans: Iterable[Plan], coverage: Coverage) -> tuple[float, int, int]:
    """Peak, warm-up and horizon that candidates start from: those of the longest training run."""
    plans = list(plans)
    if not plans:
        return coverage.peak[1], 0, coverage.total[1]
    longest = max((p.schedule for p in plans), key=lambda s: (s.total, s.peak, s.text))
    return longest.peak, min(longest.warmup_end, longest.total - 1), longest.total


def has_final(rate: Schedule) -> bool:
    """Whether a rate has a final one to be chosen."""
    return "final" in {f.name for f in fields(rate)}


def ending_at(candidate: Candidate, share: float) -> Candidate | None:
    """The candidate with its final rate at a share of its peak, from 0 to 1; None where it cannot end there.

    Its family may have no such field, as a constant rate has none, or not this value, as an exponential has no 0.
    """
    rate = candidate.rate
    if rate is None or not has_final(rate):
        return None
    final = rounded_rate(share * rate.peak)
    made = with_field(candidate, "final", final or None)
    return made if made.rate is not None and value_of(made, "final") == final else None


def defaults(peak: float, warmup: int, total: int) -> list[Candidate]:
    """Six schedules worth comparing under one peak, warm-up and horizon."""
    same = {"peak": float(f"{peak:.4g}"), "warmup": warmup, "total": total}
    after = total - warmup
    decay = min(max(1, round(DECAY * total)), after)
    made = [
        Constant(**same),
        Cosine(**same, final=float(f"{peak / 10:.4g}")),
        Linear(**same),
        WSD(**same, decay=decay),
        WSD(**same, decay=decay, shape="1-sqrt"),
    ]
    if decay < after:
        made.append(Step(**same, boundaries=(total - decay,), values=(float(f"{peak / 10:.4g}"),)))
    return [Candidate(s.text) for s in made]


# ---------------------------------------------------------------------------------------------------- links


def to_link(candidates: Sequence[Candidate]) -> list[str]:
    """Candidates as values of a query parameter: `!` before one that is off, `|label` behind it.

    `3:` stands before the text of one whose colour is not that of its place.

    Ends before `MOST_LINK` characters; the caller compares lengths to know whether all fitted.
    """
    values, size = [], 0
    for place, c in enumerate(lasting(candidates[:MOST])):
        text = c.text.replace(", ", ",") if c.schedule is not None else c.text
        color = (
            "" if c.color in (None, place) and not _COLOR.match(text) else f"{place if c.color is None else c.color}:"
        )
        value = ("" if c.on else "!") + color + text + (f"|{c.label}" if c.label or "|" in text else "")
        size += len(value)
        if size > MOST_LINK:
            break
        values.append(value)
    return values


def from_link(values: Sequence[str]) -> list[Candidate]:
    """The candidates of a link; whatever it holds becomes a row, at most `MOST` of them."""
    found = []
    for value in values[:MOST]:
        value = value[:MOST_LINK].strip()
        off = value.startswith("!")
        color = _COLOR.match(value := value.removeprefix("!"))
        text, bar, label = value[color.end() if color else 0 :].rpartition("|")
        made = Candidate(tidy(text if bar else label), on=not off, color=int(color[1]) if color else None)
        found.append(with_label(made, label if bar else ""))
    return coloured(found)
