"""A manifest: a table that declares what the logs do not say, `run,file,params,schedule,warmup_steps,total_steps,…`.

`file` names a log by its path beside the manifest, or by its base name among the files given, never outside that
folder. A manifest with one faulty cell declares nothing: half of one would mislead.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ...errors import LogError, ScheduleError
from ...schedules import Joint, parse
from ...schedules.entries import LARGEST
from ...schedules.joint_schedule import parts, without
from ...schedules.part_texts import parse_batch
from ...text import counted, one_line, shortened
from ..base import LONGEST_NAME, Facts, Source, base_name
from ..format import Content, Format
from ..opened import Entry, Manifest

NEEDED = ("run", "file")
DECLARES = ("params", "batch_tokens", "batch_size", "schedule", "batch_schedule", "warmup_steps", "total_steps")
MOST_ROWS = 10_000
T = TypeVar("T")


def is_manifest(content: Content) -> bool:
    """Whether a file is a table with the header of a manifest."""
    if content.opens_json:
        return False
    columns = set(content.header.columns)
    return set(NEEDED) <= columns and bool(set(DECLARES) & columns)


def opens_manifest(source: Source) -> bool:
    """Whether a file opens as a manifest. Raises `LogError` for what cannot be read or is no text."""
    return is_manifest(Content.beginning(source))


def open_manifest(content: Content) -> Manifest:
    """The rows of a manifest. Raises `LogError` for the first cell that breaks a rule; then no row of it counts."""
    source, header = content.source, content.header
    text = content.text[header.start :].decode("utf-8", "replace")
    table = csv.DictReader(io.StringIO(text, newline=""), header.columns, delimiter=header.delimiter)
    entries = []
    try:
        for cells in table:
            row = header.line + table.line_num
            if not any((v or "").strip() for v in cells.values() if isinstance(v, str)):
                continue
            entries.append(_entry(source, row, cells))
            if len(entries) > MOST_ROWS:
                raise LogError(
                    f"{source.shown}: a manifest may have {MOST_ROWS:,} rows, this one has more.", source.name
                )
    except csv.Error as error:
        raise LogError(
            f"{source.shown}, row {header.line + table.line_num}: the row cannot be read ({error}).", source.name
        ) from None
    if not entries:
        raise LogError(f"{source.shown}: a manifest needs at least one row, got none.", source.name)
    return Manifest(source, tuple(entries))


class Given:
    """Logs that were given, by what a manifest names them with."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.exact: dict[tuple[str, ...], int] = {}
        self.named: dict[str, list[int]] = {}  # uploads come without their folders, so their base name must do
        for i, source in enumerate(sources):
            self.exact.setdefault(source.parts, i)
            if isinstance(source.data, bytes):
                self.named.setdefault(base_name(source.name), []).append(i)

    def find(self, entry: Entry) -> int | None:
        """The index of the log that an entry names, None when it is not there. Raises `LogError` when several fit."""
        target = (*entry.manifest.parts[:-1], *_parts(entry.file))
        if target in self.exact:
            return self.exact[target]
        same = self.named.get(base_name(entry.file), [])
        if len(same) > 1:
            names = ", ".join(self.sources[i].shown for i in same[:4])
            raise LogError(
                f"{entry.at}, column file: {shortened(entry.file)!r} must fit one of the files given, but it fits "
                f"{names}.",
                entry.manifest.name,
            )
        return same[0] if same else None


def _entry(source: Source, row: int, cells: dict) -> Entry:
    if None in cells:
        raise _fault(
            source,
            row,
            "",
            f"a row must not have more cells than the header, got {counted(len(cells[None]), 'cell')} too many",
        )
    cell = {k: (v or "").strip() for k, v in cells.items()}
    cell["run"] = shortened(cell["run"], LONGEST_NAME)
    for name in NEEDED:
        if not cell[name]:
            raise _fault(source, row, name, "the cell must not be empty")
    _check_inside(source, row, cell["file"])
    about = {one_line(k): one_line(v) for k, v in cell.items() if v and k not in (*NEEDED, *DECLARES)}
    facts = Facts(
        params=_number(source, row, "params", cell),
        batch_tokens=_number(source, row, "batch_tokens", cell),
        batch_size=_number(source, row, "batch_size", cell),
        warmup_steps=_count(source, row, "warmup_steps", cell, least=0),
        total_steps=_count(source, row, "total_steps", cell),
        schedule=_parsed(source, row, "schedule", cell, parse),
        batch_schedule=_parsed(source, row, "batch_schedule", cell, parse_batch),
        about=about or None,
    )
    _check_agreement(source, row, facts)
    return Entry(source, row, cell["run"], cell["file"], _with_batch_apart(facts))


def _parsed(source: Source, row: int, name: str, cells: Mapping[str, str], parser: Callable[[str], T]) -> T | None:
    """What the text of a cell describes, None where it is empty or not there."""
    if not (text := cells.get(name)):
        return None
    try:
        return parser(text)
    except ScheduleError as error:
        raise _fault(source, row, name, str(error).rstrip(".")) from None


def _number(source: Source, row: int, name: str, cells: Mapping[str, str], least: int | None = None) -> float | None:
    """The number in a cell, None where it is empty or not there; it must be above 0, or `least` or more."""
    text = cells.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise _fault(source, row, name, f"the cell must be a number, got {shortened(text)!r}") from None
    if not math.isfinite(value) or (value <= 0 if least is None else value < least):
        rule = "must be above 0" if least is None else f"must be {least} or more"
        raise _fault(source, row, name, f"the number {rule} and finite, got {shortened(text)}")
    if value > LARGEST:
        raise _fault(source, row, name, f"the number must be at most {LARGEST:g}, got {shortened(text)}")
    return value


def _count(source: Source, row: int, name: str, cells: Mapping[str, str], least: int | None = None) -> int | None:
    """The whole number in a cell, None where it is empty or not there."""
    value = _number(source, row, name, cells, least)
    if value is not None and value != int(value):
        raise _fault(source, row, name, f"steps are whole numbers, got {shortened(cells[name])}")
    return None if value is None else int(value)


def _check_inside(source: Source, row: int, file: str) -> None:
    """Raises `LogError` for a path that leaves the manifest's folder."""
    absolute = file.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:", file)
    if absolute or ".." in _parts(file):
        raise _fault(
            source, row, "file", f"a log must lie in the manifest's folder, but {shortened(file)!r} points outside it"
        )


def _check_agreement(source: Source, row: int, facts: Facts) -> None:
    """Raises `LogError` when a manifest contradicts itself."""
    if facts.schedule is None:
        return
    _, named, _ = parts(facts.schedule)
    if named is not None and facts.batch_schedule not in (None, named):
        raise _fault(source, row, "batch_schedule", "the schedule names another batch; give it once")
    for name, said, meant in (
        ("warmup_steps", facts.warmup_steps, facts.schedule.warmup),
        ("total_steps", facts.total_steps, facts.schedule.total),
    ):
        if said is not None and said != meant:
            raise _fault(
                source,
                row,
                name,
                f"the cell must agree with the schedule, but it says {said:,} and the schedule {meant:,}",
            )


def _with_batch_apart(facts: Facts) -> Facts:
    """The facts with a batch that stands in the schedule's text as the batch schedule, which logs are held against."""
    plan = facts.schedule
    if not isinstance(plan, Joint) or plan.batch is None:
        return facts
    return replace(facts, schedule=without(plan, "batch"), batch_schedule=plan.batch)


def _parts(file: str) -> tuple[str, ...]:
    return tuple(p for p in file.replace("\\", "/").split("/") if p not in ("", "."))


def _fault(source: Source, row: int, column: str, what: str) -> LogError:
    column = f", column {column}" if column else ""
    return LogError(f"{source.shown}, row {row}{column}: {what}{'' if what.endswith('?') else '.'}", source.name)


SAMPLE = (
    b"run,file,params,batch_tokens,schedule,warmup_steps,total_steps,seed\n"
    b'one,a.csv,1e6,1024,"linear(peak=1e-3, total=31)",0,31,1\n'
    b"two,b.csv,,,,,,2\n"
)
FORMAT = Format("Manifest", (".csv",), is_manifest, open_manifest, SAMPLE)
