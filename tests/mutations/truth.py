"""A log whose truth is known, and whether a mutated copy of it was read right, asked about, refused or wrong."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np

from optlaws_core.readers import FileReport, Source, read_source

RIGHT, TOLD, ASKED, REFUSED, WRONG = OUTCOMES = ("right", "told", "asked", "refused", "silently wrong")
CLOSE = 1e-9  # relative: values this near are the truth
RATE_CLOSE = 3e-4  # of the peak: straight lines between knots may be off by 1e-4


@dataclass(frozen=True)
class Log:
    """One run: cells as a trainer prints them, column by column; empty ones where nothing was logged."""

    steps: list[int]
    loss: list[str]
    lr: list[str]
    val: list[str]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def head(self) -> list[str]:
        return ["step", "loss", "lr", "val_loss"]

    @property
    def rows(self) -> list[list[str]]:
        return [list(row) for row in zip(map(str, self.steps), self.loss, self.lr, self.val, strict=True)]

    def only(self, kept: Sequence[int]) -> "Log":
        """The rows `kept`."""
        return Log(*([column[i] for i in kept] for column in (self.steps, self.loss, self.lr, self.val)))


@dataclass(frozen=True)
class Want:
    """What must be read of one run: split -> (steps, values); and the rates, unless they are not to be known."""

    series: dict[str, tuple[list[int], list[float]]]
    rates: tuple[list[int], list[float]] | None = None
    name: str | None = None


@dataclass(frozen=True)
class Copy:
    """A mutated copy: its bytes, and what is true of it. `speaks`: a note that says what a reader cannot know."""

    data: bytes
    want: tuple[Want, ...]
    file: str = "log.csv"
    speaks: str = ""


@dataclass
class Counts:
    """What became of the copies of one kind, and the seeds of those that were silently wrong."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    wrong: list[tuple[int, str]] = field(default_factory=list)


Mutation = Callable[[Random, Log], Copy]
KINDS: dict[str, Mutation] = {}


def kind(function: Mutation) -> Mutation:
    """Lists a mutation under its name."""
    KINDS[function.__name__] = function
    return function


def log_of(rng: Random, rows: int | None = None, digits: int | None = None) -> Log:
    """A run with a noisy falling loss, a warm-up and a cosine, and a validation loss every few rows."""
    n = rows or rng.randint(12, 60)
    every = rng.choice([1, 2, 5, 10, 25, 100, 500])
    steps = [(i + 1) * every for i in range(n)]
    digits = digits or rng.choice([3, 4, 5, 6, 17])
    losses = [2.5 + 4.0 / (i + 1) ** 0.4 + rng.gauss(0, 0.01) for i in range(n)]
    warm, peak = max(2, n // 8), rng.choice([1e-3, 3e-4, 6e-4, 2e-5])
    rates = [
        peak * (i + 1) / warm if i < warm else peak * (0.55 + 0.45 * math.cos(math.pi * (i - warm) / n))
        for i in range(n)
    ]
    shown = (lambda y: repr(y)) if digits == 17 else (lambda y: f"{y:.{digits}f}")
    val_every = rng.choice([1, 3, 5])
    val = [shown(y + 0.1) if i % val_every == 0 else "" for i, y in enumerate(losses)]
    return Log(steps, [shown(y) for y in losses], [f"{e:.8g}" for e in rates], val)


def want(log: Log, name: str | None = None, scale: float = 1.0, rates: bool = True, val: bool = True) -> Want:
    """What is true of a log; losses times `scale`."""
    series = {"train": points(log.steps, log.loss, scale)}
    if val:
        series["val"] = points(log.steps, log.val, scale)
    return Want(series, points(log.steps, log.lr) if rates else None, name)


def points(steps: Sequence[int], cells: Sequence[str], scale: float = 1.0) -> tuple[list[int], list[float]]:
    """The steps and values of cells that are not empty."""
    kept = [(s, float(c) * scale) for s, c in zip(steps, cells, strict=True) if c and math.isfinite(float(c))]
    return [s for s, _ in kept], [y for _, y in kept]


def join(head: Sequence[str], rows: Sequence[Sequence[str]], by: str = ",", end: str = "\n") -> bytes:
    """A table."""
    return "".join(by.join(row) + end for row in (head, *rows)).encode()


def table(log: Log, by: str = ",") -> bytes:
    """A log as a table."""
    return join(log.head, log.rows, by)


def tried(name: str, seed: int) -> tuple[str, str]:
    """What became of a copy of that kind, and why."""
    rng = Random(f"{name} {seed}")
    copy = KINDS[name](rng, log_of(rng))
    report = read_source(Source(copy.file, copy.data))
    return outcome(report, copy)


def outcome(report: FileReport, copy: Copy) -> tuple[str, str]:
    """What became of a copy, and what differs."""
    if report.error is not None or not report.runs:
        return (ASKED if report.questions else REFUSED), report.error or ""
    difference = _difference(report, copy)
    if not difference:
        return RIGHT, ""
    if report.questions:
        return ASKED, difference
    if any(_speaks(note.level, note.text, difference, copy.speaks) for note in report.notes):
        return TOLD, difference
    return WRONG, difference


def _speaks(level: str, text: str, difference: str, pattern: str) -> bool:
    """Whether a note tells of a difference: what was dropped of the same column, or what the kind expects."""
    if pattern and re.search(pattern, text):
        return True
    if difference.startswith("no rates") and "learning rate" in text:
        return True
    if level not in ("repaired", "refused"):
        return False
    about = difference.split(":")[0]
    return about in ("train", "val", "rates", "runs") and (
        (about == "rates" and "rate" in text) or about in text or not re.match(r"(train|val|learning rate):", text)
    )


def _difference(report: FileReport, copy: Copy) -> str:
    """The first difference from the truth, beginning with what it is about; empty where all is as it should be."""
    runs = sorted(report.runs, key=lambda r: r.name)
    if len(runs) != len(copy.want):
        return f"runs: {len(runs)} instead of {len(copy.want)}"
    for run, wanted in zip(runs, sorted(copy.want, key=lambda w: w.name or ""), strict=True):
        for split, (steps, values) in wanted.series.items():
            if len(steps) and split not in run.series:
                return f"{split}: it is missing"
            if len(steps) == 0:
                continue
            found = run.series[split]
            if found.steps.tolist() != steps:
                return f"{split}: steps {found.steps.tolist()[:6]} instead of {steps[:6]}"
            if not np.allclose(found.loss, values, rtol=CLOSE, atol=0):
                i = int(np.argmax(np.abs(found.loss / np.array(values) - 1)))
                return f"{split}: {found.loss[i]!r} instead of {values[i]!r} at step {steps[i]}"
        if wanted.rates is None:
            continue
        if run.lr_source != "logged":
            return "no rates were read"
        steps, values = wanted.rates
        off = np.abs(run.plan.schedule(np.array(steps)) - np.array(values))
        if off.max() > RATE_CLOSE * max(values):
            i = int(np.argmax(off))
            return f"rates: {run.plan.schedule(steps[i])!r} instead of {values[i]!r} at step {steps[i]}"
    return ""


__all__ = ["KINDS", "OUTCOMES", "Copy", "Counts", "Log", "Want", "join", "kind", "points", "replace", "table", "tried"]
