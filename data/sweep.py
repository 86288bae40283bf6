"""A sweep as declared in TOML, and the manifest of its finished runs.

    [sizes.small]
    d_model = 64
    layers = 2
    heads = 4
    context = 128

    [[runs]]
    name = "cosine_2400"
    schedule = "cosine(peak=4e-3, warmup=100, total=2400)"
    seed = 1
    size = "small"
    batch = 8

What `[defaults]` gives need not be repeated in a run. A run is finished when the manifest has its row and its log is
there; the log is written first and the row is the commit.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path

from optlaws_core.errors import OptLawsError, ScheduleError
from optlaws_core.schedules import Schedule, number, parse

COLUMNS = (
    "run file params batch_tokens schedule warmup_steps total_steps seed peak_lr final_train_loss final_val_loss "
    "wall_seconds torch outcome python device corpus_sha256 train_bytes heldout_bytes"
).split()


class SweepError(OptLawsError):
    """A sweep that cannot be run as declared."""


@dataclass(frozen=True)
class Size:
    """The shape of a model. Raises `SweepError` when the heads do not divide the width."""

    d_model: int  # width of the residual stream
    layers: int
    heads: int
    context: int  # bytes the model sees at most

    def __post_init__(self) -> None:
        for f in fields(self):
            _check_count(f"size: {f.name}", getattr(self, f.name))
        if self.d_model % self.heads:
            raise SweepError(f"size: heads must divide d_model, got {self.heads} and {self.d_model}.")

    @property
    def params(self) -> int:
        """Trainable numbers: 12 d² + 2 d per layer, the shared embedding, the positions and the last norm."""
        d = self.d_model
        return self.layers * (12 * d * d + 2 * d) + (256 + self.context + 1) * d


@dataclass(frozen=True)
class RunSpec:
    """One run to make. Raises `SweepError` when a field makes no sense."""

    name: str
    schedule: Schedule
    seed: int
    size: Size
    batch: int  # windows per update

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name) or self.name.startswith("."):
            raise SweepError(f"name is used for a file and may hold letters, digits and _ . + -, got {self.name!r}.")
        _check_count("seed", self.seed, least=0)
        _check_count("batch", self.batch)

    @property
    def batch_tokens(self) -> int:
        """Bytes predicted per update."""
        return self.batch * self.size.context

    @property
    def cost(self) -> int:
        """Relative cost of the run, for the time left: params × bytes trained on."""
        return self.size.params * self.batch_tokens * self.schedule.total

    @property
    def row(self) -> dict[str, str]:
        """The manifest columns that are known before the run."""
        s = self.schedule
        return {
            "run": self.name,
            "params": str(self.size.params),
            "batch_tokens": str(self.batch_tokens),
            "schedule": s.text,
            "warmup_steps": str(s.warmup),
            "total_steps": str(s.total),
            "seed": str(self.seed),
            "peak_lr": number(s.peak),
        }


def read_sweep(path: str | Path) -> list[RunSpec]:
    """The runs that the TOML file declares, in its order. Raises `SweepError` with one sentence."""
    try:
        declared = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SweepError(f"The sweep {str(path)!r} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepError(f"The sweep {str(path)!r} is not valid TOML: {error}.") from None
    unknown = sorted(set(declared) - {"sizes", "defaults", "runs"})
    if unknown:
        raise SweepError(f"A sweep holds [sizes.…], [defaults] and [[runs]], got {', '.join(unknown)}.")
    defaults, entries = declared.get("defaults", {}), declared.get("runs", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise SweepError("A sweep needs at least one [[runs]] entry, got none.")
    sizes = {name: _size(name, shape) for name, shape in declared.get("sizes", {}).items()}
    specs = [_spec(i, defaults | entry, sizes) for i, entry in enumerate(entries, 1)]
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SweepError(f"Every run needs its own name, got {', '.join(map(repr, twice))} twice.")
    return specs


def _size(name: str, shape: object) -> Size:
    wanted = [f.name for f in fields(Size)]
    if not isinstance(shape, dict) or sorted(shape) != sorted(wanted):
        given = ", ".join(shape) if isinstance(shape, dict) else repr(shape)
        raise SweepError(f"Size {name!r} needs exactly {', '.join(wanted)}, got {given or 'nothing'}.")
    try:
        return Size(**shape)
    except SweepError as error:
        raise SweepError(f"Size {name!r}: {error}") from None


def _spec(position: int, entry: Mapping, sizes: Mapping[str, Size]) -> RunSpec:
    name = entry.get("name")
    who = f"Run {name!r}" if name else f"Run number {position}"
    wanted = [f.name for f in fields(RunSpec)]
    missing = [f for f in wanted if f not in entry]
    unknown = [f for f in entry if f not in wanted]
    if missing or unknown:
        fault = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise SweepError(f"{who}: a run has exactly {', '.join(wanted)}, got {fault}.")
    if entry["size"] not in sizes:
        known = ", ".join(sizes) or "none declared"
        raise SweepError(f"{who}: size must name one of the declared sizes ({known}), got {entry['size']!r}.")
    try:
        parsed = {"name": str(name), "schedule": parse(str(entry["schedule"])), "size": sizes[entry["size"]]}
        return RunSpec(**entry | parsed)
    except (ScheduleError, SweepError) as error:
        raise SweepError(f"{who}: {error}") from None


def _check_count(name: str, value: object, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SweepError(f"{name} must be a whole number of at least {least}, got {value!r}.")


class Manifest:
    """The finished runs of a folder of logs: `manifest.csv` beside the folder, one row per run."""

    def __init__(self, logs: str | Path) -> None:
        self.logs = Path(logs)
        self.path = self.logs.parent / "manifest.csv"
        self.rows: dict[str, dict[str, str]] = {}
        if self.path.exists():
            with self.path.open(encoding="utf-8", newline="") as lines:
                reader = csv.DictReader(lines)
                if reader.fieldnames != COLUMNS:
                    raise SweepError(
                        f"{self.path.name} beside the logs is not a manifest of this program: "
                        f"its columns must be {', '.join(COLUMNS)}."
                    )
                self.rows = {row["run"]: row for row in reader}

    def unfinished(self, specs: Iterable[RunSpec]) -> list[RunSpec]:
        """The runs still to be made. Raises `SweepError` when a finished run was made from another declaration."""
        todo = []
        for spec in specs:
            row = self.rows.get(spec.name)
            if row is None or not self._log(spec).exists():
                todo.append(spec)
                continue
            for key, wanted in spec.row.items():
                if row[key] != wanted:
                    raise SweepError(
                        f"Run {spec.name!r} is finished with {key} {row[key]}, but the sweep now says {wanted}; "
                        "give the new run its own name or delete the log."
                    )
        return todo

    def check_corpus(self, sha256: str) -> None:
        """Raise `SweepError` when finished runs read other text than the runs to come would."""
        other = sorted({row["corpus_sha256"] for row in self.rows.values()} - {sha256})
        if other:
            raise SweepError(
                f"The finished runs read the text {other[0][:12]}…, but this Python's standard library is "
                f"{sha256[:12]}…; use another --out, or the Python version of the manifest."
            )

    def add(self, spec: RunSpec, log: str, result: Mapping[str, str], order: Iterable[str]) -> None:
        """Store a finished run: its log, then its row, with `result` as the columns that are known only afterwards.

        Rows stand in the given order of names; rows without a place in it come last.
        """
        write_whole(self._log(spec), log)
        self.rows[spec.name] = spec.row | result | {"file": f"{self.logs.name}/{spec.name}.csv"}
        place = {name: i for i, name in enumerate(order)}
        self.rows = dict(sorted(self.rows.items(), key=lambda item: place.get(item[0], len(place))))
        text = StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows.values())
        write_whole(self.path, text.getvalue())

    def _log(self, spec: RunSpec) -> Path:
        return self.logs / f"{spec.name}.csv"


def write_whole(path: Path, text: str) -> None:
    """Write so that a reader, or a restart after a kill, sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
