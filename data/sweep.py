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

More than the learning rate can be scheduled; T is the horizon here, too:

    batch_schedule = "steps([0, 0.5T], [8, 16])"      # windows per update from these updates on; begins with `batch`
    context_schedule = "steps([0, 0.5T], [64, 128])"  # bytes predicted of a window; held-out losses see the whole
    weight_decay = "ramp([0, T], [0.2, 0])"           # linear between these updates; or a number
    averages = "ema(50), merge(16, 25)"               # averaged weights validated as well (`averages.py`)
    optimizer = "Muon"                                # for matrices in the blocks; AdamW for all else, on a schedule
    auxiliary_peak = 8e-3                             # with this peak and the shape `auxiliary_shape`
    then_text = "tests"                               # the text from update `switch` on
    switch = "0.8T"

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

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from optlaws_core.errors import ScheduleError
from optlaws_core.schedules import Schedule, parse
from optlaws_core.text import format_number

from .averages import Readout, parse_averages
from .checks import SweepError, check_count
from .courses import Course, parse_course, stepwise_product

LOG_EVERY = 25  # updates per row of a log
# The same in every run; the weight decay unless a run says otherwise.
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1  # on matrices; norm gains are left alone
CLIP = 1.0  # largest gradient norm
TEXTS = ("library", "tests", "topics")
OPTIMIZERS = ("AdamW", "Muon")
COLUMNS = (
    "run file group params batch_tokens schedule warmup_steps total_steps peak_lr seed text parent outcome "
    "final_train_loss final_val_loss size d_model layers heads context batch_windows optimizer beta1 beta2 "
    "weight_decay clip validate_every wall_seconds cpu_seconds torch python device corpus_sha256 train_bytes "
    "heldout_bytes"
).split()
# Of a manifest with runs in which more than the learning rate is scheduled; empty in the rows of other runs.
JOINT_COLUMNS = (
    "tokens batch_schedule context_schedule averages auxiliary_schedule then_text switch_step then_corpus_sha256"
).split()
NAME = "{size}_{shape}_{total}_{peak}"
DEFAULTS = {"seed": 1, "batch": 8, "text": "library", "validate_every": 100, "name": NAME, "group": "", "parent": ""}
JOINT_DEFAULTS = {
    "batch_schedule": "",
    "context_schedule": "",
    "weight_decay": WEIGHT_DECAY,
    "averages": "",
    "optimizer": OPTIMIZERS[0],
    "auxiliary_peak": "",
    "auxiliary_shape": "",
    "then_text": "",
    "switch": "",
}
DEFAULTS |= JOINT_DEFAULTS
KEYS = (*DEFAULTS, "size", "shape", "peak", "warmup", "total")


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
            check_count(f"size {self.name!r}: {f.name}", getattr(self, f.name))
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
    batch_schedule: Course | None = None  # windows per update
    context_schedule: Course | None = None  # bytes a window is predicted of
    weight_decay: Course | float = WEIGHT_DECAY  # of matrices
    averages: tuple[Readout, ...] = ()
    optimizer: str = OPTIMIZERS[0]
    auxiliary: Schedule | None = None  # the rate of what Muon leaves to AdamW
    then_text: str = ""  # the text from update `switch` on
    switch: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name) or self.name.startswith("."):
            raise SweepError(f"name is used for a file and may hold letters, digits and _ . + -, got {self.name!r}.")
        check_count("seed", self.seed, least=0)
        check_count("batch", self.batch)
        check_count("validate_every", self.validate_every)
        if self.validate_every % LOG_EVERY:
            raise SweepError(f"validate_every must be a multiple of {LOG_EVERY}, got {self.validate_every}.")
        if self.text not in TEXTS:
            raise SweepError(f"text must be one of {', '.join(TEXTS)}, got {self.text!r}.")
        self._check_courses()
        self._check_optimizer()
        self._check_switch()

    def _check_courses(self) -> None:
        total, batch, context = self.schedule.total, self.batch_schedule, self.context_schedule
        if batch is not None:
            batch.check("batch_schedule", total, whole=True)
            if batch.values[0] != self.batch:
                raise SweepError(f"batch_schedule must begin with batch, {self.batch}, got {batch.text}.")
        if context is not None:
            context.check("context_schedule", total, whole=True)
            if "ramp" in (context.kind, batch.kind if batch else ""):
                raise SweepError("context_schedule must be in steps, and so must a batch_schedule beside it.")
            if max(context.values) > self.size.context:
                raise SweepError(f"context_schedule may reach {self.size.context} in this size, got {context.text}.")
        if isinstance(self.weight_decay, Course):
            self.weight_decay.check("weight_decay", total, whole=False)
        elif not isfinite(self.weight_decay) or self.weight_decay < 0:
            raise SweepError(f"weight_decay must be a number of at least 0 or a schedule, got {self.weight_decay!r}.")

    def _check_optimizer(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise SweepError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}.")
        if (self.optimizer == "Muon") != (self.auxiliary is not None):
            raise SweepError(
                "auxiliary_peak is needed with the optimizer Muon and with no other, "
                f"got {self.optimizer} {'without' if self.auxiliary is None else 'with'} it."
            )

    def _check_switch(self) -> None:
        if not self.then_text:
            if self.switch:
                raise SweepError(f"switch needs a then_text, got update {self.switch} without one.")
            return
        if self.then_text not in TEXTS or self.then_text == self.text:
            others = ", ".join(text for text in TEXTS if text != self.text)
            raise SweepError(f"then_text must be one of {others}, got {self.then_text!r}.")
        if not 0 < self.switch < self.schedule.total:
            raise SweepError(f"switch must be an update from 1 to {self.schedule.total - 1}, got {self.switch}.")
        if self.parent or self.averages:
            raise SweepError(f"A run with a then_text can have no {'parent' if self.parent else 'averages'}.")

    @property
    def joint(self) -> bool:
        """Whether anything but the learning rate is scheduled or unlike the other runs."""
        named = {f.name: f.default for f in fields(self) if f.name in JOINT_DEFAULTS or f.name == "auxiliary"}
        return any(getattr(self, name) != default for name, default in named.items())

    @property
    def windows(self) -> NDArray[np.int64]:
        """Windows of every update (total,)."""
        return np.rint(self._along(self.batch_schedule or self.batch)).astype(np.int64)

    @property
    def contexts(self) -> NDArray[np.int64]:
        """Bytes predicted of a window in every update (total,)."""
        return self._along(self.context_schedule or self.size.context).astype(np.int64)

    @property
    def decays(self) -> NDArray[np.float64]:
        """Weight decay of matrices in every update (total,)."""
        return self._along(self.weight_decay)

    def _along(self, value: Course | float) -> NDArray[np.float64]:
        updates = np.arange(self.schedule.total)
        return value(updates) if isinstance(value, Course) else np.full(len(updates), float(value))

    @property
    def batch_tokens(self) -> int:
        """Bytes predicted per update, of the first update where that changes."""
        return int(self.windows[0] * self.contexts[0])

    @property
    def tokens(self) -> int:
        """Bytes predicted in all."""
        return int(self.windows @ self.contexts)

    @property
    def tokens_schedule(self) -> str:
        """Bytes predicted per update as the text of a course; empty where that does not change."""
        if self.batch_schedule is not None and self.batch_schedule.kind == "ramp":
            return self.batch_schedule.times(self.size.context).text
        batch, context = (
            value or Course("steps", (0,), (constant,))
            for value, constant in ((self.batch_schedule, self.batch), (self.context_schedule, self.size.context))
        )
        course = stepwise_product(batch, context)
        return course.text if len(course.starts) > 1 else ""

    @property
    def cost(self) -> int:
        """Relative cost of the run, for the time left: bytes trained on × work a byte."""
        # On a CPU a byte costs what 60,000 further parameters would: attention, logits, and the loop itself.
        return (self.size.params + 60_000) * self.tokens

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
            "optimizer": self.optimizer,
            "beta1": str(BETAS[0]),
            "beta2": str(BETAS[1]),
            "weight_decay": _text(self.weight_decay),
            "clip": str(CLIP),
            "validate_every": str(self.validate_every),
        } | (self.joint_row if self.joint else {})

    @property
    def joint_row(self) -> dict[str, str]:
        """The further columns of a run in which anything but the learning rate is scheduled."""
        return {
            "tokens": str(self.tokens),
            "batch_schedule": self.tokens_schedule,
            "context_schedule": _text(self.context_schedule),
            "averages": ", ".join(readout.text for readout in self.averages),
            "auxiliary_schedule": self.auxiliary.text if self.auxiliary else "",
            "then_text": self.then_text,
            "switch_step": str(self.switch) if self.switch else "",
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
    for key, known in (("size", sizes), ("shape", shapes), ("auxiliary_shape", shapes)):
        if key == "auxiliary_shape" and run[key] == "":
            continue
        if not isinstance(run[key], str) or run[key] not in known:
            among = ", ".join(known) or "none declared"
            kind = key.removeprefix("auxiliary_")
            raise SweepError(f"{who}: {key} must name one of the declared {kind}s ({among}), got {run[key]!r}.")
    try:
        name = str(run["name"]).format_map(run | {"peak": _rate(run["peak"])})
    except (KeyError, IndexError, ValueError, AttributeError):
        raise SweepError(
            f"{who}: name may hold fields such as {{size}} or {{peak}}, each one of {', '.join(KEYS)}, "
            f"got {run['name']!r}."
        ) from None
    try:
        schedule = parse(filled(str(shapes[run["shape"]]), run["peak"], run["warmup"], run["total"]))
        made = {"name": name, "size": sizes[run["size"]], "schedule": schedule} | _joint(run, shapes)
        return RunSpec(**{f.name: run[f.name] for f in fields(RunSpec) if f.name not in made} | made)
    except (ScheduleError, SweepError) as error:
        raise SweepError(f"{who}, run {name!r}: {error}") from None


def _joint(run: Mapping, shapes: Mapping[str, str]) -> dict[str, object]:
    """The fields of a `RunSpec` for what is scheduled beside the learning rate."""
    rates = run["peak"], run["warmup"], run["total"]

    def course(key: str) -> Course:
        return parse_course(key, filled(str(run[key]), *rates))

    def auxiliary() -> Schedule | None:
        if run["auxiliary_peak"] == "":
            if run["auxiliary_shape"]:
                raise SweepError("auxiliary_shape needs an auxiliary_peak, got none.")
            return None
        shape = run["auxiliary_shape"] or run["shape"]
        return parse(filled(str(shapes[shape]), run["auxiliary_peak"], *rates[1:]))

    decay, switch = run["weight_decay"], filled(str(run["switch"] or 0), *rates)
    if not switch.isdecimal():
        raise SweepError(f"switch must be an update such as 1600 or 0.8T, got {run['switch']!r}.")
    is_number = isinstance(decay, (int, float)) and not isinstance(decay, bool)
    return {
        "batch_schedule": course("batch_schedule") if run["batch_schedule"] != "" else None,
        "context_schedule": course("context_schedule") if run["context_schedule"] != "" else None,
        "weight_decay": decay if is_number else course("weight_decay"),
        "averages": parse_averages(str(run["averages"])),
        "auxiliary": auxiliary(),
        "switch": int(switch),
    }


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


def _text(value: Course | float | None) -> str:
    """A constant or a course as the manifest has it."""
    return value.text if isinstance(value, Course) else "" if value is None else format_number(value)


class Manifest:
    """The finished runs of a folder of logs: `manifest.csv` beside the folder, one row per run."""

    def __init__(self, logs: str | Path) -> None:
        self.logs = Path(logs)
        self.path = self.logs.parent / "manifest.csv"
        self.rows: dict[str, dict[str, str]] = {}
        if self.path.exists():
            with self.path.open(encoding="utf-8", newline="") as lines:
                reader = csv.DictReader(lines)
                if reader.fieldnames not in (COLUMNS, COLUMNS + JOINT_COLUMNS):
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
            for key, wanted in (dict.fromkeys(spec.joint_row, "") | spec.row).items():
                made = row.get(key, "")
                if key not in ("group", "tokens") and made != wanted:  # the tokens follow from the others
                    raise SweepError(
                        f"Run {spec.name!r} is finished with {key} {made or 'empty'}, but the sweep now says "
                        f"{wanted or 'nothing of it'}; "
                        "give the new run its own name or delete the log."
                    )
        return todo

    def check_corpus(self, text: str, sha256: str) -> None:
        """Raise `SweepError` when finished runs read another version of a text than the runs to come would."""
        read = {
            row[f"{way}corpus_sha256"]
            for way in ("", "then_")
            for row in self.rows.values()
            if row.get(f"{way}text") == text
        }
        other = sorted(read - {sha256})
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
        joint = any(row.get(column) for row in self.rows.values() for column in JOINT_COLUMNS)
        writer = csv.DictWriter(text, COLUMNS + JOINT_COLUMNS * joint, "", "ignore", lineterminator="\n")
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
