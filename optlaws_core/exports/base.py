"""What every export is, how far it may be off, and how its text is kept safe."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..schedules.base import Schedule
from ..text import format_number, relative_error

EXACT = 1e-9  # of the peak: what rounding in a trainer's arithmetic may add up to
FAR = 0.05  # of the peak: options that are further off are not offered
MANY = 100_000  # updates up to which every single one is compared
CHECKED = 12  # rows of the table that code and configurations carry
INT32 = 2**31  # JAX counts in 32 bits

Rates = Callable[[FloatArray], FloatArray]  # of updates, (n,), to rates, (n,)


@dataclass(frozen=True)
class Export:
    """A schedule as a trainer's configuration or code.

    `deviation` is the largest difference between the rate that the trainer uses in an update and the schedule's, over
    the peak: of all updates up to 100,000, beyond that at the breaks and in a dense sample. `exact` says that it is
    within 1e-9. `notes` are sentences for whoever uses the text, the first of an inexact export about its deviation.
    `instead` says that the trainer's own options are too far off, so that the text is code.
    """

    target: str
    text: str
    suffix: str
    exact: bool
    deviation: float
    notes: tuple[str, ...] = ()
    instead: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes of an export that is not what was asked for: not exact, or not the trainer's options."""
        return self.notes if self.instead or not self.exact else ()


@dataclass(frozen=True)
class Target:
    """A trainer, or a kind of table, and all that is said of it.

    `key` is its name on the command line, `title` in prose; `write` makes the export of a schedule (of a table, from
    the number of rows, too), `plan` that of a plan with more than a rate, where the trainer has such. The latter takes
    the tokens in a sequence, too, where the trainer `counts_sequences` in a batch; of what no law knows, such as a
    weight decay, it writes the parts whose names it `holds`. `takes` tells what the export is: options of the trainer's
    own scheduler, code with the schedule's formula, or a table. `code` writes, with notes, the formula as such a
    trainer can use it, which stands in for options that are off by more than 5 % of the peak. `native` is what the
    options express exactly, as the end of a sentence. `source` is where the trainer's scheduler is documented or
    defined, `version` the one that it was read in.
    """

    key: str
    title: str
    write: Callable[..., Export]
    takes: Literal["options", "code", "table"] = "options"
    code: Callable[[Schedule, tuple[str, ...]], Export] | None = field(default=None, kw_only=True)
    plan: Callable[..., Export] | None = field(default=None, kw_only=True)
    counts_sequences: bool = field(default=False, kw_only=True)
    holds: frozenset[str] = field(default=frozenset(), kw_only=True)
    native: str = field(kw_only=True)
    source: str = field(kw_only=True)
    version: str = field(kw_only=True)


def compared(schedule: Schedule) -> FloatArray:
    """Updates in which an export is compared with the schedule; (n,), ascending."""
    last = schedule.total - 1
    if schedule.total <= MANY:
        return np.arange(schedule.total, dtype=np.float64)
    near = [b + d for b in schedule.breaks for d in (-1, 0, 1)]
    steps = np.concatenate([np.arange(2000), np.linspace(0, last, MANY // 2).round(), near, [last]])
    return np.unique(np.clip(steps, 0, last))


def deviation(schedule: Schedule, rates: Rates, steps: FloatArray | None = None) -> float:
    """Largest |difference| of `rates` from the schedule over its peak, in `steps` or else in all that are compared."""
    steps = compared(schedule) if steps is None else steps
    return float(np.max(np.abs(rates(steps) - schedule(steps)))) / schedule.peak


def checked(schedule: Schedule) -> list[int]:
    """About a dozen updates, breaks among them, whose rates tell whether an export was put to use as it should."""
    last = schedule.total - 1
    breaks = np.array([b for b in schedule.breaks if b <= last])
    some = breaks[np.unique(np.linspace(0, len(breaks) - 1, CHECKED // 2).round().astype(int))]
    even = np.linspace(0, last, CHECKED - len(some) + 1).round()
    return sorted({int(t) for t in (*some, *even, last)})


def word(value: float | int | str) -> str:
    """A number as Python, TOML, YAML and JSON read it, a text as Python does.

    Whole numbers that 32 bits do not hold are floating point.
    """
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        return str(value) if abs(value) < INT32 else repr(float(value))
    text = format_number(value)
    mantissa, e, exponent = text.partition("e")
    sign = "+" if e and not exponent.startswith("-") else ""
    return (
        f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{sign}{exponent}"  # YAML takes 3e-4 and 1.0e9 as words
    )


def python(value: object) -> str:
    """A word, a number or a dict of them as Python."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{k}": {python(v)}' for k, v in value.items()) + "}"
    if isinstance(value, float):
        return word(value)
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """A text as Python, in ASCII. JSON would write a letter beyond U+FFFF as two halves, which Python leaves apart."""
    return json.dumps(text, ensure_ascii=False).encode("ascii", "backslashreplace").decode()


def plain(text: str, most: int = 400) -> str:
    """`text` as one line of printable ASCII: nothing in it ends a comment."""
    text = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."


def comment(*texts: str) -> str:
    """Each text as lines of `#` comments."""
    lines = [line for text in texts for line in textwrap.wrap(plain(text), 106, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in lines)


def heading(schedule: Schedule, title: str, notes: tuple[str, ...]) -> str:
    """The comments that an export begins with."""
    return comment(f"{title}: {schedule.text}", "Updates count from 0; lr is what update t uses.", *notes)


def check_comment(schedule: Schedule, rates: Rates | None = None) -> str:
    """The check table as comments; with `rates`, what the trainer makes of it, too."""
    steps = checked(schedule)
    wanted = schedule(steps)
    if rates is None:
        rows = [f"#   {t:>12} {word(float(y))}\n" for t, y in zip(steps, wanted, strict=True)]
        return "# Check:\n#           step lr\n" + "".join(rows)
    found = rates(np.array(steps, dtype=float))
    rows = [f"#   {t:>12} {x:<14.8g} {y:.8g}\n" for t, y, x in zip(steps, wanted, found, strict=True)]
    return "# Check:\n#           step lr             of the schedule\n" + "".join(rows)


def rows_text(steps: Sequence[int], values: NDArray[Any]) -> str:
    """Lines of a check table in Python: each step with its value."""
    return "".join(f"    ({word(t)}, {word(y)}),\n" for t, y in zip(steps, values.tolist(), strict=True))


def bash_array(name: str, flags: Mapping[str, float | int | str]) -> str:
    """An array of bash with a flag a line."""
    lines = "".join(
        f"  {flag} {value if isinstance(value, (str, int)) else word(value)}\n" for flag, value in flags.items()
    )
    return f"{name}=(\n{lines})\n"


def too_far(deviation: float) -> bool:
    """Whether options that are off by `deviation` are too far off to be offered; 5 % itself, as rounded, is not."""
    return deviation > FAR + EXACT


def off(title: str, found: float) -> str:
    """The sentence on a deviation."""
    most = relative_error(found)
    return f"{title} cannot express this schedule: the nearest form found is off by up to {most} of the peak."
