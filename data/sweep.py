"""A sweep as declared in TOML, and the manifest of its finished runs.

    [sizes.tiny]
    d_model = 32
    layers = 2
    heads = 2
    context = 128

    [shapes]                            # P is the peak, W the warm-up, T the horizon; 0.1P is a tenth of the peak
    cosine10 = "cosine(peak=P, warmup=W, total=T, final=0.1P)"
    wsd20 = "wsd(peak=P, warmup=W, total=T, decay=0.2T)"

    [defaults]
    seed = 1

    [[runs]]                            # eight runs: a list stands for a run with each of its values
    group = "horizons"
    name = "{size}_{shape}_{total}"
    size = "tiny"
    shape = ["cosine10", "wsd20"]
    peak = 8e-3
    warmup = 200
    total = [1000, 2000, 4000, 8000]

What `[defaults]` gives need not be repeated. A run with a `parent` starts from that run's last weights. A run is
finished when the manifest has its row and its log is there; the log is written first and the row is the commit.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from io import BytesIO, StringIO
from itertools import product
from math import isfinite
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optlaws_core.errors import OptLawsError, ScheduleError
from optlaws_core.schedules import Schedule, parse
from optlaws_core.text import format_number

LOG_EVERY = 25  # updates per row of a log
TEXTS = ("library", "tests", "topics")
COLUMNS = (
    "run file group params batch_tokens schedule warmup_steps total_steps peak_lr seed text parent outcome "
    "final_train_loss final_val_loss size d_model layers heads context batch_windows optimizer beta1 beta2 "
    "weight_decay clip validate_every wall_seconds cpu_seconds torch python device corpus_sha256 train_bytes "
    "heldout_bytes"
).split()
NAME = "{size}_{shape}_{total}_{peak}"
DEFAULTS = {"seed": 1, "batch": 8, "text": "library", "validate_every": 100, "name": NAME, "group": "", "parent": ""}
KEYS = (*DEFAULTS, "size", "shape", "peak", "warmup", "total")
# AdamW, the same in every run.
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1  # on matrices; norm gains are left alone
CLIP = 1.0  # largest gradient norm


class SweepError(OptLawsError):
    """A sweep that cannot be run as declared."""


@dataclass(frozen=True)
class Size:
    """The shape of a model. Raises `SweepError` when the heads do not divide the width."""

    name: str
    d_model: int  # width of the residual stream
    layers: int
    heads: int
    context: int  # bytes the model sees at most

    def __post_init__(self) -> None:
        for f in fields(self)[1:]:
            _check_count(f"size {self.name!r}: {f.name}", getattr(self, f.name))
        if self.d_model % self.heads:
            raise SweepError(
                f"size {self.name!r}: heads must divide d_model, got {self.heads} heads and {self.d_model}."
            )

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
    group: str = ""  # what the run is for
    text: str = TEXTS[0]
    parent: str = ""  # the run whose last weights this one starts from
    validate_every: int = 100  # updates

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name) or self.name.startswith("."):
            raise SweepError(f"name is used for a file and may hold letters, digits and _ . + -, got {self.name!r}.")
        _check_count("seed", self.seed, least=0)
        _check_count("batch", self.batch)
        _check_count("validate_every", self.validate_every)
        if self.validate_every % LOG_EVERY:
            raise SweepError(f"validate_every must be a multiple of {LOG_EVERY}, got {self.validate_every}.")
        if self.text not in TEXTS:
            raise SweepError(f"text must be one of {', '.join(TEXTS)}, got {self.text!r}.")

    @property
    def batch_tokens(self) -> int:
        """Bytes predicted per update."""
        return self.batch * self.size.context

    @property
    def cost(self) -> int:
        """Relative cost of the run, for the time left: bytes trained on × work a byte."""
        # On a CPU a byte costs what 60,000 further parameters would: attention, logits, and the loop itself.
        return (self.size.params + 60_000) * self.batch_tokens * self.schedule.total

    @property
    def row(self) -> dict[str, str]:
        """The manifest columns that are known before the run."""
        s, size = self.schedule, self.size
        return {
            "run": self.name,
            "group": self.group,
            "params": str(size.params),
            "batch_tokens": str(self.batch_tokens),
            "schedule": s.text,
            "warmup_steps": str(s.warmup),
            "total_steps": str(s.total),
            "peak_lr": format_number(s.peak),
            "seed": str(self.seed),
            "text": self.text,
            "parent": self.parent,
            "size": size.name,
            "d_model": str(size.d_model),
            "layers": str(size.layers),
            "heads": str(size.heads),
            "context": str(size.context),
            "batch_windows": str(self.batch),
            "optimizer": "AdamW",
            "beta1": str(BETAS[0]),
            "beta2": str(BETAS[1]),
            "weight_decay": str(WEIGHT_DECAY),
            "clip": str(CLIP),
            "validate_every": str(self.validate_every),
        }


def read_sweep(path: str | Path) -> list[RunSpec]:
    """The runs that the TOML file declares, in its order. Raises `SweepError` with one sentence."""
    try:
        declared = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SweepError(f"The sweep {str(path)!r} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepError(f"The sweep {str(path)!r} is not valid TOML: {error}.") from None
    unknown = sorted(set(declared) - {"sizes", "shapes", "defaults", "runs"})
    if unknown:
        raise SweepError(f"A sweep holds [sizes.…], [shapes], [defaults] and [[runs]], got {', '.join(unknown)}.")
    tables = [name for name in ("sizes", "shapes", "defaults") if not isinstance(declared.get(name, {}), dict)]
    if tables:
        raise SweepError(f"[{tables[0]}] must be a table, got {declared[tables[0]]!r}.")
    entries = declared.get("runs", [])
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise SweepError("A sweep needs at least one [[runs]] entry, got none.")
    sizes = {name: _size(name, shape) for name, shape in declared.get("sizes", {}).items()}
    defaults, shapes = DEFAULTS | declared.get("defaults", {}), declared.get("shapes", {})
    specs = [spec for i, e in enumerate(entries, 1) for spec in _specs(f"Entry {i}", defaults | e, sizes, shapes)]
    _check_together(specs)
    return specs


def _size(name: str, shape: object) -> Size:
    wanted = [f.name for f in fields(Size)][1:]
    if not isinstance(shape, dict) or sorted(shape) != sorted(wanted):
        given = ", ".join(shape) if isinstance(shape, dict) else repr(shape)
        raise SweepError(f"Size {name!r} needs exactly {', '.join(wanted)}, got {given or 'nothing'}.")
    return Size(name, **shape)


def _specs(who: str, entry: Mapping, sizes: Mapping[str, Size], shapes: Mapping[str, str]) -> list[RunSpec]:
    """The runs of one entry: every combination of its lists, the first list varying slowest."""
    missing = [key for key in KEYS if key not in entry]
    unknown = [key for key in entry if key not in KEYS]
    if missing or unknown:
        fault = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise SweepError(f"{who}: a run has exactly {', '.join(KEYS)}, got {fault}.")
    empty = [key for key, value in entry.items() if value == []]
    if empty:
        raise SweepError(f"{who}: {empty[0]} must have a value or several, got an empty list.")
    lists = [value if isinstance(value, list) else [value] for value in entry.values()]
    return [_spec(who, dict(zip(entry, values, strict=True)), sizes, shapes) for values in product(*lists)]


def _spec(who: str, run: Mapping, sizes: Mapping[str, Size], shapes: Mapping[str, str]) -> RunSpec:
    for key, known in (("size", sizes), ("shape", shapes)):
        if not isinstance(run[key], str) or run[key] not in known:
            among = ", ".join(known) or "none declared"
            raise SweepError(f"{who}: {key} must name one of the declared {key}s ({among}), got {run[key]!r}.")
    try:
        name = str(run["name"]).format_map(run | {"peak": _rate(run["peak"])})
    except (KeyError, IndexError, ValueError, AttributeError):
        raise SweepError(
            f"{who}: name may hold fields such as {{size}} or {{peak}}, each one of {', '.join(KEYS)}, "
            f"got {run['name']!r}."
        ) from None
    try:
        schedule = parse(filled(str(shapes[run["shape"]]), run["peak"], run["warmup"], run["total"]))
        kept = {f.name: run[f.name] for f in fields(RunSpec) if f.name not in ("name", "size", "schedule")}
        return RunSpec(name=name, size=sizes[run["size"]], schedule=schedule, **kept)
    except (ScheduleError, SweepError) as error:
        raise SweepError(f"{who}, run {name!r}: {error}") from None


def filled(shape: str, peak: float, warmup: int, total: int) -> str:
    """The schedule text of a shape: `0.1P` becomes a tenth of the peak, `0.8T` that share of the horizon in updates.

    >>> filled("wsd(peak=P, warmup=W, total=T, decay=0.2T, final=0.1P)", 8e-3, 200, 4000)
    'wsd(peak=8e-3, warmup=200, total=4000, decay=800, final=8e-4)'
    """
    values = {"P": peak, "W": warmup, "T": total}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise SweepError(f"peak, warmup and total must be numbers, got {value!r} for {key}.")

    def word(found: re.Match) -> str:
        share = float(found[1] or 1)
        return _rate(share * peak) if found[2] == "P" else str(round(share * values[found[2]]))

    return re.sub(r"(?<![\w.])(\d*\.?\d*)([PWT])\b", word, shape)


def _rate(value: object) -> str:
    """A rate as one writes it: products of decimals carry digits that nobody meant."""
    return format_number(float(f"{value:.12g}")) if isinstance(value, (int, float)) else str(value)


def _check_together(specs: Sequence[RunSpec]) -> None:
    """Raises `SweepError` for names that stand twice and parents that cannot be."""
    seen: dict[str, RunSpec] = {}
    for spec in specs:
        if spec.name in seen:
            raise SweepError(f"Every run needs its own name, got {spec.name!r} twice.")
        if spec.parent:
            parent = seen.get(spec.parent)
            if parent is None:
                raise SweepError(f"Run {spec.name!r}: its parent must stand before it, got {spec.parent!r}.")
            if parent.size != spec.size:
                raise SweepError(
                    f"Run {spec.name!r}: it must have its parent's size, {parent.size.name}, got {spec.size.name}."
                )
        seen[spec.name] = spec


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
        todo: list[RunSpec] = []
        for spec in specs:
            row = self.rows.get(spec.name)
            # A run that started from one that is made anew has lost its parent.
            orphan = any(other.name == spec.parent for other in todo)
            if row is None or orphan or not self.log(spec).exists():
                todo.append(spec)
                continue
            for key, wanted in spec.row.items():
                if key != "group" and row[key] != wanted:
                    raise SweepError(
                        f"Run {spec.name!r} is finished with {key} {row[key]}, but the sweep now says {wanted}; "
                        "give the new run its own name or delete the log."
                    )
        return todo

    def check_corpus(self, text: str, sha256: str) -> None:
        """Raise `SweepError` when finished runs read another version of a text than the runs to come would."""
        other = sorted({row["corpus_sha256"] for row in self.rows.values() if row["text"] == text} - {sha256})
        if other:
            raise SweepError(
                f"The finished runs read the text {text!r} as {other[0][:12]}…, but in this Python's standard "
                f"library it is {sha256[:12]}…; use another --out, or the Python version of the manifest."
            )

    def add(self, spec: RunSpec, log: pa.Table, result: Mapping[str, str], order: Iterable[str]) -> None:
        """Store a finished run: its log, then its row, with `result` as the columns that are known only afterwards.

        Rows stand in the given order of names; rows without a place in it come last.
        """
        write_whole(self.log(spec), as_parquet(log))
        self.rows[spec.name] = spec.row | result | {"file": f"{self.logs.name}/{spec.name}.parquet"}
        place = {name: i for i, name in enumerate(order)}
        self.rows = dict(sorted(self.rows.items(), key=lambda item: place.get(item[0], len(place))))
        text = StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows.values())
        write_whole(self.path, text.getvalue().encode())

    def log(self, spec: RunSpec) -> Path:
        """Where a run's log lies, or will."""
        return self.logs / f"{spec.name}.parquet"

    def weights(self, name: str) -> Path:
        """Where the last weights of a run lie, or will, while other runs start from it."""
        return self.logs.parent / "checkpoints" / f"{name}.pt"


def as_parquet(log: pa.Table) -> bytes:
    """A log as the bytes of a Parquet file; the same log gives the same bytes."""
    buffer = BytesIO()
    pq.write_table(log, buffer, compression="zstd")
    return buffer.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    """Write so that a reader, or a restart after a kill, sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
