"""Names of files for exports, by which two schedules that differ are told apart."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields

from ..schedules.base import Schedule
from ..schedules.course import Course
from ..schedules.joint_schedule import parts, unknown_to_laws
from ..text import format_number
from .base import Export

SHORT = {"weight_decay": "wd"}
LONGEST = 150  # bytes before the trainer and the ending; file systems take 255 in all


def file_name(schedule: Schedule, made: Export) -> str:
    """The name of the file of an export: `wsd_peak-3e-4_warmup-2160_72000-updates_decay-20pct_1-sqrt_megatron.sh`.

    Batch and average come first, which are short, then the rate, then what else a plan has. A name that would be too
    long is cut, and ends in a digest of the whole schedule.
    """
    rate, batch, average = parts(schedule)
    known = [*([f"batch-{_digest(batch.text)}"] if batch else []), *([_word(average.text)] if average else [])]
    more = [f"{SHORT.get(name, name)}-{_told(part)}" for name, part in unknown_to_laws(schedule).items()]
    said = "_".join([*known, rate.family, *_telling(rate), *more])
    if len(said.encode()) > LONGEST:
        digest = _digest(schedule.text)
        begin = said.encode()[: LONGEST - len(digest) - 1]
        said = f"{begin.decode(errors='ignore')}_{digest}"
    return f"{said}_{made.target}{made.suffix}"


def _told(part: Course | Schedule) -> str:
    """One value as it is, with a digest where a name of a text has lost signs, and a digest of all else."""
    if not (isinstance(part, Course) and part.constant):
        return _digest(part.text)
    word = _word(part.told)
    return word if word == part.told else f"{word}-{_digest(part.told)}"


def _telling(schedule: Schedule) -> Iterator[str]:
    """A word for each field that is not its default; a cooldown as a share, lists as a digest of them."""
    for f in fields(schedule):
        value = getattr(schedule, f.name)
        if value is None or f.default is not MISSING and value == f.default:
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield f"{f.name}-{_digest(repr(value))}"
        elif f.name == "total":
            yield f"{value}-updates"
        elif f.name == "decay":
            share = f"{100 * value / schedule.total:.4g}"
            yield f"decay-{share}pct" if round(float(share) / 100 * schedule.total) == value else f"decay-{value}"
        else:
            yield f"{f.name}-{format_number(value)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _word(text: str) -> str:
    """A short text in letters, digits, points and hyphens: ema(100) is ema-100."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


__all__ = ["file_name"]
