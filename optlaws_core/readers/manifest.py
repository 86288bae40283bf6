"""A manifest: a table that declares what the logs do not say, `run,file,params,schedule,warmup_steps,total_steps,…`.

`file` names a log by its path beside the manifest, or by its base name among the files given, never outside that
folder. A manifest with one faulty cell declares nothing: half of one would mislead.
"""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import LogError, ScheduleError
from ..schedules import parse
from ..schedules.entries import LARGEST
from ..text import counted, one_line, shortened
from .base import LONGEST_NAME, Facts, Source, base_name
from .formats.delimited import Header, header_of
from .sniff import as_utf8, kind_of

NEEDED = ("run", "file")
DECLARES = ("params", "batch_tokens", "batch_size", "schedule", "warmup_steps", "total_steps")
MOST_ROWS = 10_000
_COUNTS = ("warmup_steps", "total_steps")


@dataclass(frozen=True)
class Entry:
    """One row of a manifest."""

    manifest: Source
    row: int  # as a spreadsheet counts, the header being row 1
    run: str
    file: str
    facts: Facts

    @property
    def at(self) -> str:
        return f"{self.manifest.shown}, row {self.row}"


def is_manifest(header: Header) -> bool:
    """Whether a table's header is that of a manifest."""
    return set(NEEDED) <= set(header.columns) and bool(set(DECLARES) & set(header.columns))


def opens_manifest(source: Source) -> bool:
    """Whether a file opens as a manifest. Raises `LogError` for what cannot be read, or is no log at all."""
    head, file = source.head(), source.shown
    return kind_of(head, file) == "table" and is_manifest(header_of(as_utf8(head, file, whole=False), file))


def read_manifest(source: Source) -> tuple[Entry, ...]:
    """The rows of a manifest. Raises `LogError` for the first cell that breaks a rule; then no row of it counts."""
    data = as_utf8(source.read(), source.shown)
    header = header_of(data, source.shown)
    text = data[header.start :].decode("utf-8", "replace")
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
    return tuple(entries)


def find(entry: Entry, sources: Sequence[Source]) -> int | None:
    """The index of the source that an entry names, None when it is not there. Raises `LogError` when several fit."""
    target = (*entry.manifest.parts[:-1], *_parts(entry.file))
    exact = [i for i, s in enumerate(sources) if s.parts == target]
    if exact:
        return exact[0]
    # Uploads come without their folders, so their base name must do.
    same = [
        i for i, s in enumerate(sources) if isinstance(s.data, bytes) and base_name(s.name) == base_name(entry.file)
    ]
    if len(same) > 1:
        names = ", ".join(sources[i].shown for i in same[:4])
        raise LogError(
            f"{entry.at}, column file: {shortened(entry.file)!r} must fit one of the files given, but it fits {names}.",
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
    values = {
        name: _number(source, row, name, cell[name]) for name in DECLARES if name != "schedule" and cell.get(name)
    }
    about = {one_line(k): one_line(v) for k, v in cell.items() if v and k not in (*NEEDED, *DECLARES)}
    facts = Facts(**values, schedule=_schedule(source, row, cell.get("schedule", "")), about=about or None)
    _check_agreement(source, row, facts)
    return Entry(source, row, cell["run"], cell["file"], facts)


def _schedule(source: Source, row: int, text: str):
    if not text:
        return None
    try:
        return parse(text)
    except ScheduleError as error:
        raise _fault(source, row, "schedule", str(error).rstrip(".")) from None


def _number(source: Source, row: int, name: str, text: str) -> float | int:
    try:
        value = float(text)
    except ValueError:
        raise _fault(source, row, name, f"the cell must be a number, got {shortened(text)!r}") from None
    least = 0 if name == "warmup_steps" else None
    if not math.isfinite(value) or (value <= 0 if least is None else value < 0):
        rule = "must be above 0" if least is None else "must be 0 or more"
        raise _fault(source, row, name, f"the number {rule} and finite, got {shortened(text)}")
    if value > LARGEST:
        raise _fault(source, row, name, f"the number must be at most {LARGEST:g}, got {shortened(text)}")
    if name not in _COUNTS:
        return value
    if value != int(value):
        raise _fault(source, row, name, f"steps are whole numbers, got {shortened(text)}")
    return int(value)


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


def _parts(file: str) -> tuple[str, ...]:
    return tuple(p for p in file.replace("\\", "/").split("/") if p not in ("", "."))


def _fault(source: Source, row: int, column: str, what: str) -> LogError:
    column = f", column {column}" if column else ""
    return LogError(f"{source.shown}, row {row}{column}: {what}{'' if what.endswith('?') else '.'}", source.name)
