"""`Work` as bytes, and back: a short JSON text, and parts that it names by their SHA-256.

The text holds what changes often and is small. Losses, uploaded files, fits and what they were judged beside are parts:
they never change, so each is written once. Losses are numbers as the machine has them, steps as differences: nine runs
of 24,000 losses are written in a fifth of the time that JSON takes, and read in a twentieth. All else is the plain
values of saved comparisons. Nothing is unpickled.

Whatever is damaged, or of a newer version, is left out with a sentence, and all else is read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import OptLawsError
from ..fitting.result import model_from_dict
from ..readers import Answer, Facts, FileReport, Layout, Note, Question, Source
from ..runs import Run, Series
from ..schedules import SCHEDULES, Schedule
from ..schedules.part_texts import parse_batch
from ..schedules.recognition import Recognised
from ..text import counted
from . import checks, plain
from .shelf import Parts
from .work import Before, Row, Rows, Stock, Table, Work

KIND = "optlaws work"
FORMAT = 1
UNREADABLE = "Your kept work cannot be read: "  # how errors begin
MOST_SOURCES = 64 * 2**20  # bytes of uploaded files that are kept; larger ones are uploaded again to be corrected
MOST_LOSSES = 8_000_000  # of all runs, 16 bytes each
LONG = 100  # numbers of a schedule from which on it is a part
PART = "part "  # before its digest, in place of a text form
DAMAGED = "it was damaged in the store"


@dataclass
class Memory:
    """Digests of what does not change, so that they are computed once, whatever number of times work is packed."""

    known: dict[int, tuple[object, str]] = field(default_factory=dict)  # by `id`, which holds while the object does


@dataclass
class _Packing:
    """One packing: the parts, and the runs and reports that several stocks share."""

    memory: Memory
    parts: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    used: dict[int, tuple[object, str]] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)  # place in `heads`, by `id`
    heads: list[dict] = field(default_factory=list)

    def part(self, value: object, made: Callable[[], bytes], digest: str = "") -> str:
        """The digest of a part; `made` gives its bytes whenever they are needed."""
        known = self.used.get(id(value)) or self.memory.known.get(id(value))
        if known is None:
            known = (value, digest or hashlib.sha256(made()).hexdigest())
        self.used[id(value)] = known
        self.parts[known[1]] = made
        return known[1]

    def schedule(self, schedule: Schedule) -> str:
        """The text form; of a curve of many knots, which takes a second to write and to read so, a part's name."""
        given = {f.name: getattr(schedule, f.name) for f in fields(schedule)}
        if not any(isinstance(value, tuple) and len(value) > LONG for value in given.values()):
            return schedule.text
        return PART + self.json(schedule, lambda: [schedule.family, given])

    def run(self, run: Run) -> int:
        """The place of a run among the heads."""
        if id(run) not in self.runs:
            series = self.part(run.series, lambda: _series_bytes(run.series))
            self.runs[id(run)] = len(self.heads)
            self.heads.append(plain.run_head(run, self.schedule) | {"series": series})
        return self.runs[id(run)]

    def json(self, value: object, plain_of: Callable[[], object]) -> str:
        """The digest of a part that is the JSON of plain values."""
        return self.part(value, lambda: _json(plain_of()))


def packed(work: Work, memory: Memory) -> tuple[bytes, Parts]:
    """The text and the parts; uploaded files while they fit into `MOST_SOURCES`.

    Raises `OptLawsError` for more losses than are kept.
    """
    stocks = [work.stock, *(before.stock for before in work.before)]
    runs = {id(run.series): run for stock in stocks for run in stock.runs.values()}
    losses = sum(len(series) for run in runs.values() for series in run.series.values())
    if losses > MOST_LOSSES:
        raise OptLawsError(f"Runs with at most {MOST_LOSSES:,} losses in total are kept, these have {losses:,}.")
    to = _Packing(memory)
    room = MOST_SOURCES
    kept: dict[int, str] = {}
    for source in dict.fromkeys(source for stock in stocks for source in stock.sources.values()):
        if isinstance(source.data, bytes) and source.size <= room:
            room -= source.size
            kept[id(source)] = to.part(source, source.read, source.sha256)
    d = {
        "kind": KIND,
        "format": FORMAT,
        "stock": _stock(work.stock, to, kept),
        "rows": _rows(work.rows),
        "proposed": _rows(work.proposed),
        "past": [_rows(rows) for rows in work.past],
        "future": [_rows(rows) for rows in work.future],
        "tables": {
            name: {
                "name": table.name,
                "content": to.part(table.content, partial(bytes, table.content)),
                "sure": table.sure,
                "columns": dict(table.columns),
                "unit": table.unit,
            }
            for name, table in work.tables.items()
        },
        "before": [
            {
                "stock": _stock(before.stock, to, kept),
                "rows": _rows(before.rows),
                "after": _rows(before.after),
                "said": before.said,
            }
            for before in work.before
        ],
        "heads": to.heads,
        "trainer": work.trainer,
    }
    memory.known = to.used
    return _json(d), to.parts


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_number).encode()


def _number(value: object) -> object:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no plain form")


def _series_bytes(series: Mapping[str, Series]) -> bytes:
    """How long each split is, and then steps and losses of each."""
    head = json.dumps([[split, len(s)] for split, s in series.items()]).encode()
    arrays = (a for s in series.values() for a in (np.diff(s.steps, prepend=0).astype("<i8"), s.loss.astype("<f8")))
    return b"\n".join([head, b"".join(a.tobytes() for a in arrays)])


def _series(data: bytes) -> dict[str, Series]:
    head, _, body = data.partition(b"\n")
    found, at = {}, 0
    for split, n in json.loads(head):
        steps, loss = np.frombuffer(body, "<i8", n, at), np.frombuffer(body, "<f8", n, at + 8 * n)
        found[split], at = Series(np.cumsum(steps), loss), at + 16 * n
    return found


def _schedule(data: bytes) -> Schedule:
    family, given = json.loads(data)
    return SCHEDULES[family](**{name: _tupled(value) for name, value in given.items()})


def _rows(rows: Rows) -> list[list]:
    return [list(row) for row in rows]


def _stock(stock: Stock, to: _Packing, kept: Mapping[int, str]) -> dict:
    return {
        "runs": [to.run(run) for run in stock.runs.values()],
        "reports": [_report(report, to) for report in stock.reports.values()],
        "sources": {name: [s.name, kept[id(s)]] for name, s in stock.sources.items() if id(s) in kept},
        "layouts": {name: asdict(layout) for name, layout in stock.layouts.items()},
        "example": stock.example,
        "fits": {name: to.json(model, model.to_dict) for name, model in stock.fits.items()},
        "selections": {name: to.json(s, partial(plain.selection_to_dict, s)) for name, s in stock.selections.items()},
        "bases": {name: dict(basis) for name, basis in stock.bases.items()},
        "current": stock.current,
        "choice": dict(stock.choice),
        "parent": stock.parent,
        "risk": stock.risk and stock.risk.to_dict(),
        "aim": dict(stock.aim),
        "draft": dict(stock.draft),
    }


def _report(report: FileReport, to: _Packing) -> dict:
    return {
        "file": report.file,
        "format": report.format,
        "layout": report.layout and asdict(report.layout),
        "columns": report.columns,
        "runs": [to.run(run) for run in report.runs],
        "notes": [[note.level, note.text, note.run] for note in report.notes],
        "error": report.error,
        "is_table": report.is_table,
        "questions": [asdict(question) for question in report.questions],
        "facts": {run: _facts(facts, to) for run, facts in report.facts.items()},
        "recognised": {
            run: vars(found) | {"schedule": to.schedule(found.schedule)} for run, found in report.recognised.items()
        },
        "absent": report.absent,
    }


def _facts(facts: Facts, to: _Packing) -> dict:
    return vars(facts) | {
        "schedule": facts.schedule and to.schedule(facts.schedule),
        "batch_schedule": facts.batch_schedule and facts.batch_schedule.text,
        "about": _dict(facts.about),
    }


def _dict(value: Mapping | None) -> dict | None:
    return None if value is None else dict(value)


# ---------------------------------------------------------------------------------------------------- reading


def unpacked(content: bytes | None, parts: Mapping[str, bytes]) -> tuple[Work, list[str]]:
    """The work, and a sentence for each thing in it that could not be read, which is left out.

    Raises `OptLawsError` where the text itself is damaged or of a newer version.
    """
    try:
        d = json.loads(content or b"")
    except ValueError:
        raise OptLawsError(f"{UNREADABLE}{DAMAGED}.") from None
    if not isinstance(d, dict) or d.get("kind") != KIND or d.get("format") != FORMAT:
        said = d.get("format") if isinstance(d, dict) else None
        raise OptLawsError(f"{UNREADABLE}its format is {checks.brief(said)}, this version knows {FORMAT}.")
    from_ = _Unpacking(parts)
    with _plainly(None, UNREADABLE):
        from_.read_runs(d["heads"])
        work = Work(
            stock=from_.stock(d["stock"]),
            rows=_read_rows(d["rows"]),
            proposed=_read_rows(d["proposed"]),
            past=tuple(map(_read_rows, d["past"])),
            future=tuple(map(_read_rows, d["future"])),
            trainer=None if d.get("trainer") is None else str(d["trainer"]),
        )
        for place, table in d["tables"].items():
            with _plainly(from_.said, f"The table {checks.brief(table['name'])} was left out: "):
                held = Table(**table | {"content": from_.part(table["content"])})
                work = replace(work, tables={**work.tables, place: held})
        before = [
            Before(from_.stock(b["stock"]), _read_rows(b["rows"]), _read_rows(b["after"]), str(b["said"]))
            for b in d["before"]
        ]
    return replace(work, before=tuple(before)), from_.said


@contextmanager
def _plainly(said: list[str] | None, beginning: str) -> Iterator[None]:
    """Make one sentence of whatever is wrong with plain values: for `said`, or raised where there is none."""
    try:
        yield
        return
    except OptLawsError as fault:
        why = checks.brief(fault, 300)
    except KeyError as fault:
        why = f"an entry {checks.brief(fault, 80)} is missing."
    except (TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError):
        why = "a value in it has the wrong type."
    if said is None:
        raise OptLawsError(f"{beginning}{why.removeprefix(beginning)}")
    said.append(f"{beginning}{why}")


class _Unpacking:
    """One reading: what was read already, by digest, and what could not be."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self.parts = parts
        self.said: list[str] = []
        self.runs: list[Run | None] = []
        self.made: dict[str, Any] = {}

    def part(self, digest: str) -> bytes:
        if digest not in self.parts:
            raise OptLawsError(f"{DAMAGED}.")
        return self.parts[digest]

    def once(self, digest: str, make: Callable[[bytes], Any]) -> Any:
        """What a part holds, one object for all that name it."""
        if digest not in self.made:
            self.made[digest] = make(self.part(digest))
        return self.made[digest]

    def read_runs(self, heads: Iterable[dict]) -> None:
        """The runs, in the order of their heads; None for one that could not be read."""
        for head in heads:
            self.runs.append(None)
            with _plainly(self.said, f"The run {checks.brief(head['name'])} was left out: "):
                self.runs[-1] = plain.run_of(head, self.once(head["series"], _series), self.schedule)

    def schedule(self, word: str) -> Schedule:
        if not word.startswith(PART):
            return plain.schedule_of(word)
        return self.once(word.removeprefix(PART), _schedule)

    def facts(self, d: dict) -> Facts:
        batch = d.get("batch_schedule")  # none in work of earlier versions
        return Facts(
            **d
            | {
                "schedule": d["schedule"] and self.schedule(d["schedule"]),
                "batch_schedule": batch and parse_batch(batch),
            }
        )

    def some(self, places: Iterable[int]) -> Iterator[Run]:
        return (run for place in places if (run := self.runs[place]) is not None)

    def stock(self, d: dict) -> Stock:
        reports, sources = {}, {}
        for report in d["reports"]:
            with _plainly(self.said, f"What was read of {checks.brief(report['file'])} was left out: "):
                reports[report["file"]] = self.report(report)
        for file, (name, digest) in d["sources"].items():
            with _plainly(self.said, f"The file {checks.brief(file)} was left out: "):
                sources[file] = Source(name, self.part(digest))
        fits, selections = {}, {}
        for name, digest in d["fits"].items():
            with _plainly(self.said, f"The fit {checks.brief(name)} was left out: "):
                fits[name] = self.once(digest, lambda data: model_from_dict(json.loads(data)))
        for name, digest in d["selections"].items():
            if name in fits:
                with _plainly(self.said, f"What the fit {checks.brief(name)} was judged beside was left out: "):
                    selections[name] = self.once(digest, lambda data: plain.selection_from_dict(json.loads(data)))
        runs = {run.name: run for run in self.some(d["runs"])}
        return Stock(
            runs,
            reports,
            sources,
            {name: _layout(layout) for name, layout in d["layouts"].items()},
            bool(d["example"]),
            fits,
            selections,
            {name: {str(k): str(v) for k, v in basis.items()} for name, basis in d["bases"].items() if name in fits},
            d["current"] if d["current"] in fits else next(reversed(fits), None),
            {name: tuple(v) if isinstance(v, list) else v for name, v in d["choice"].items()},
            d["parent"],
            None if d["risk"] is None else plain.risk_from_dict(d["risk"]),
            {str(k): None if v is None else float(v) for k, v in d.get("aim", {}).items()},
            {str(k): str(v) for k, v in d.get("draft", {}).items()},
        )

    def report(self, d: dict) -> FileReport:
        return FileReport(
            d["file"],
            d["format"],
            d["layout"] and _layout(d["layout"]),
            tuple(d["columns"]),
            tuple(self.some(d["runs"])),
            tuple(Note(*note) for note in d["notes"]),
            d["error"],
            d["is_table"],
            tuple(map(_question, d["questions"])),
            {run: self.facts(facts) for run, facts in d["facts"].items()},
            {
                run: Recognised(**found | {"schedule": self.schedule(found["schedule"])})
                for run, found in d["recognised"].items()
            },
            tuple(d["absent"]),
        )


def _layout(d: dict) -> Layout:
    return Layout(**d | {"losses": tuple(map(tuple, d["losses"])), "answered": tuple(d["answered"])})


def _question(d: dict) -> Question:
    answers = tuple(Answer(**a | {"change": {k: _tupled(v) for k, v in a["change"].items()}}) for a in d["answers"])
    return Question(**d | {"answers": answers})


def _tupled(value: object) -> object:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _read_rows(rows: Iterable[list]) -> Rows:
    return tuple(_row(*row) for row in rows)


def _row(text: str, label: str, on: bool, color: int | None = None) -> Row:
    return str(text), str(label), bool(on), None if color is None else int(color)


def told(said: list[str], most: int = 3) -> str:
    """Sentences about what could not be read, as one."""
    more = len(said) - most
    return " ".join(said[:most]) + (f" The same holds for {counted(more, 'more item')}." if more > 0 else "")
