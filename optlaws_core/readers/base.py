"""What goes into a reader and what comes out: `Source`, `Layout`, `Note`, `FileReport`, `Reading`; and the limits."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import LogError
from ..runs import Run
from ..schedules import Batch, Schedule
from ..schedules.recognition import Recognised
from ..text import one_line, shortened
from .reading_shown import frame_of, html_of, line_of

if TYPE_CHECKING:
    import pandas as pd

    from .questions import Question

Level = Literal["info", "repaired", "refused"]

MOST_BYTES = 512 * 2**20  # of one file
MOST_FILES = 500  # of one reading, where a run of several files counts as one
MOST_PIECES = 20_000  # files that they may consist of
MOST_ROWS = 5_000_000  # of one file
MOST_COLUMNS = 5_000  # of one file, or quantities of one run
LONGEST_NAME = 300  # characters of a run's name
LARGEST_STEP = 10**12  # above it a "step" is a timestamp; no run has had 10^12 updates

# What an x axis may count -> how the number that turns it into updates is called; updates need none.
AMOUNTS = {
    "step": "",
    "tokens": "tokens per update",
    "samples": "samples per update",
    "micro-batches": "micro-batches per update",
    "log calls": "updates per log call",
    "epochs": "updates per epoch",
}
X_UNITS = tuple(AMOUNTS)
INVERSE_UNITS = ("log calls", "epochs")  # of which an update is a part, not a multiple
# What a counter that begins anew means: rows written again, further ones, or another run.
RESTARTS = ("resumed", "continued", "separate")
COMMAS = (None, "decimal", "thousands")
LOSS_UNITS = ("nats", "bits", "perplexity")


@dataclass(frozen=True)
class Source:
    """A file to read. `name` is what the user sees; it is never used as a path."""

    name: str
    data: bytes | Path = field(repr=False)

    def read(self) -> bytes:
        """The content. Raises `LogError` when the file cannot be read or is larger than `MOST_BYTES`."""
        size = self.size
        if size > MOST_BYTES:
            raise LogError(
                f"{self.shown}: a file may have {MOST_BYTES // 2**20:,} MB, this one has {size / 2**20:,.0f} MB.",
                self.name,
            )
        return self._opened(-1)

    def head(self, most: int = 65_536) -> bytes:
        """The first bytes, at most `most` of them. Raises `LogError` when the file cannot be read."""
        return self._opened(most)

    def _opened(self, most: int) -> bytes:
        if not isinstance(self.data, Path):
            return self.data if most < 0 else bytes(self.data[:most])
        try:
            with self.data.open("rb") as file:
                return file.read(most)
        except OSError as error:
            raise LogError(f"{self.shown}: the file cannot be read ({error.strerror}).", self.name) from None

    @property
    def size(self) -> int:
        """Bytes. Raises `LogError` when the file is not there."""
        if not isinstance(self.data, Path):
            return len(self.data)
        try:
            return self.data.stat().st_size
        except OSError as error:
            raise LogError(f"{self.shown}: the file cannot be read ({error.strerror}).", self.name) from None

    @cached_property
    def sha256(self) -> str:
        """Hash of the content, hexadecimal: the key for caches."""
        if not isinstance(self.data, Path):
            return hashlib.sha256(self.data).hexdigest()
        try:
            with self.data.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LogError(f"{self.shown}: the file cannot be read ({error.strerror}).", self.name) from None

    @property
    def shown(self) -> str:
        """The name as messages show it: one line, printable, the end of it where it is long."""
        return shortened(self.name if len(self.name) <= 120 else "…" + self.name[-119:], 120)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Folders and base name; a path gives its real folders, an upload those of its name."""
        if isinstance(self.data, Path):
            return self.data.absolute().parts
        return tuple(p for p in self.name.replace("\\", "/").split("/") if p)

    @property
    def stem(self) -> str:
        """The base name without its last suffix."""
        return base_name(self.name).rsplit(".", 1)[0] or base_name(self.name)


@dataclass(frozen=True)
class Layout:
    """Which column is what. Raises `LogError` for units that do not exist."""

    x: str | None = None  # None: the row number counts the steps
    x_unit: str = "step"
    losses: tuple[tuple[str, str], ...] = ()  # (split, column); split is "train" or the eval set's name
    lr: str | None = None
    run: str | None = None  # the column that names the run, where one file holds several
    tokens: str | None = None  # tokens seen, beside the x axis; gives the batch size
    loss_unit: str = "nats"
    batch: float | None = None  # what one update adds to x, when x does not count updates
    restarts: str = "resumed"  # what a counter that begins anew means
    commas: str | None = None  # of numbers like 4,942 where nothing tells: decimal, thousands, or the likely one
    answered: tuple[str, ...] = ()  # keys of the questions that the user has answered

    def __post_init__(self) -> None:
        for name, known in (("x_unit", X_UNITS), ("loss_unit", LOSS_UNITS), ("restarts", RESTARTS), ("commas", COMMAS)):
            if getattr(self, name) not in known:
                raise LogError(
                    f"Layout: {name} must be one of {', '.join(map(str, known))}, got {getattr(self, name)!r}."
                )
        if self.batch is not None and not (self.batch > 0 and math.isfinite(self.batch)):
            raise LogError(f"Layout: batch must be above 0, got {self.batch}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that this layout names, each once."""
        named = (self.x, self.run, self.lr, self.tokens, *(column for _, column in self.losses))
        return tuple(dict.fromkeys(c for c in named if c is not None))


@dataclass(frozen=True)
class Note:
    """Something the user should know, in one printable line. `run` is empty when it concerns the whole file."""

    level: Level
    text: str
    run: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", one_line(self.text))  # whatever of a damaged file it quotes


@dataclass(frozen=True)
class Facts:
    """What is declared about a run, by a manifest or by the log's own header."""

    params: float | None = None
    batch_tokens: float | None = None  # tokens per update
    batch_size: float | None = None  # samples per update
    schedule: Schedule | None = None
    batch_schedule: Batch | None = None  # where the batch changes
    warmup_steps: int | None = None
    total_steps: int | None = None
    about: Mapping[str, str] | None = None  # a manifest's other columns: seed, outcome, …

    def over(self, other: "Facts") -> "Facts":
        """These facts, and those of `other` where these are silent."""
        return Facts(**{k: v if v is not None else getattr(other, k) for k, v in vars(self).items()})


@dataclass(frozen=True)
class FileReport:
    """What one file gave. With an `error`, one printable line, there are no runs."""

    file: str
    format: str
    layout: Layout | None = None
    columns: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    notes: tuple[Note, ...] = ()
    error: str | None = None
    is_table: bool = False  # whether the file is a table of finished runs, which goes elsewhere
    questions: tuple["Question", ...] = ()  # what is still open: the runs, if any, are read under the likely answers
    facts: Mapping[str, Facts] = field(default_factory=dict)  # run -> what is declared, also when its LR is missing
    recognised: Mapping[str, Recognised] = field(default_factory=dict)  # run -> its schedule, found from logged rates
    absent: tuple[str, ...] = ()  # files that a manifest names and that were not there

    def __post_init__(self) -> None:
        if self.error:
            object.__setattr__(self, "error", one_line(self.error))  # as in a note

    def noted(self, *notes: Note) -> "FileReport":
        """The same report with further notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Reading:
    """Everything that was read: one report a file, and the runs of all of them under unique names."""

    files: tuple[FileReport, ...]
    runs: tuple[Run, ...]
    notes: tuple[Note, ...] = ()  # about the selection as a whole

    @property
    def errors(self) -> tuple[str, ...]:
        """One sentence for each file that gave nothing."""
        return tuple(f.error for f in self.files if f.error)

    def __repr__(self) -> str:
        return line_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row a run: name, format, the split in use and its losses, schedule, size and batch, notes and questions."""
        return frame_of(self)

    def plot(self) -> Any:
        """Losses of all runs above, learning rates beneath, as a plotly `Figure`. Needs the extra `figures`."""
        from ..figures.of_records import of_runs

        return of_runs(self.runs)

    def rows(self) -> list[dict]:
        """One dict a run: run, format, points, first_step, last_step, lr_source, losses, notes, questions."""
        return [_row(report, run) for report, run in self._pairs()]

    def _pairs(self) -> Iterator[tuple[FileReport, Run]]:
        return ((report, run) for report in self.files for run in report.runs)


def _row(report: FileReport, run: Run) -> dict:
    return {
        "run": run.name,
        "format": report.format,
        "points": len(run.loss),
        "first_step": int(run.steps[0]),
        "last_step": run.last_step,
        "lr_source": run.lr_source,
        "losses": {
            split: {"points": len(series), "first": float(series.loss[0]), "last": float(series.loss[-1])}
            for split, series in run.series.items()
        },
        "notes": [n.text for n in report.notes if n.run in ("", run.name)],
        "questions": [
            {"key": q.key, "text": q.text, "options": list(q.typed)}
            for q in report.questions
            if q.run in ("", run.name)
        ],
    }


def base_name(name: str) -> str:
    """The last part of a name that may contain folders, with either slash."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
