"""One run: an optimizer on random windows of a text, at the rate the schedule gives for each update.

Same seed, same machine, same torch: same log to the last digit on CPU, however many runs go side by side.
"""

import copy
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from .averages import Ema, Merge
from .corpus import Corpus, drawn, heldout_windows
from .model import Transformer, next_byte_loss
from .optimizers import Optimizer
from .sweep import CLIP, LOG_EVERY, RunSpec, write_whole

HELDOUT_WINDOWS = 256  # 32 768 bytes at context 128; a pass costs 10 to 15 updates of 8 windows
HELDOUT_BATCH = 32
SPIKE = 0.5  # nats: a window's mean so far above the lowest before it is a spike
COUNTS = ("step", "tokens", "batch_tokens")
DIVERGED = 1.05  # so far above its lowest held-out loss, or not so far below knowing nothing, a run ends that diverged


@dataclass
class Log:
    """Rows of a run. A row closes a window of updates: the last update's step and rate, the window's means.

    Losses are in nats per byte; held-out ones are NaN in rows that did not validate.
    """

    step: list[int] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    more: dict[str, list[float]] = field(default_factory=dict)  # columns that only some runs have

    def add(self, **row: float) -> None:
        for name, value in row.items():
            column = vars(self).get(name)
            column = self.more.setdefault(name, []) if column is None else column
            column.append(round(value, 5) if isinstance(value, float) and name != "lr" else value)

    @property
    def table(self) -> pa.Table:
        """The log as a table: a loss that was not measured is null, one that left the numbers is NaN or inf."""
        columns = {name: values for name, values in vars(self).items() if name != "more"} | self.more
        return pa.table(
            {
                name: pa.array(
                    [None if "val_loss" in name and math.isnan(v) else v for v in values],
                    pa.int64() if name in COUNTS else pa.float64(),
                )
                for name, values in columns.items()
            }
        )

    def outcome(self, byte_frequency_loss: float, switch: int = 0) -> str:
        """`diverged`: the loss left the finite numbers, ended 5 % above its lowest, or as if nothing had been learned.

        Nothing is learned within 5 % of what byte frequencies alone give: a run that is thrown there before its first
        held-out loss never rises above its lowest. `spiked`: a window's mean training loss rose by 0.5 nats over the
        lowest before it, and the run came back. Of a run that changes its text at update `switch`, the held-out losses
        on the second text count, and a rise at the change itself is no spike.
        """
        train = np.array(self.train_loss)
        val = np.array([v for v in self.more.get("val_loss_then", self.val_loss) if not math.isnan(v)])
        if not np.isfinite(train[-1]) or not len(val) or not np.isfinite(val[-1]):
            return "diverged"
        if val[-1] > DIVERGED * val.min() or DIVERGED * val[-1] > byte_frequency_loss:
            return "diverged"
        parts = np.split(train, [sum(step < switch for step in self.step)])
        rises = np.concatenate([part - np.minimum.accumulate(part) for part in parts])
        return "spiked" if rises.max() > SPIKE else "finished"


def pretrain(
    spec: RunSpec,
    corpus: Corpus,
    report: Callable[[int], None] = lambda done: None,
    *,
    start: Path | None = None,
    parent_corpus: Corpus | None = None,
    then_corpus: Corpus | None = None,
    keep: Path | None = None,
    logged: Callable[[dict[str, float]], object] = lambda row: None,
) -> tuple[pa.Table, dict[str, str]]:
    """Train `spec` and return its log and what the manifest says of how it went, by column.

    `start` has the weights to begin with, under a new optimizer; `parent_corpus` is validated on as well, and so is
    `then_corpus`, which the run goes on with where it declares a second text; `keep` gets the last weights, never an
    average of them. `report(updates done)` is called per row of the log, and before it `logged(row)`, with its values.
    A run whose loss leaves the finite numbers stops at the row that shows it.
    """
    torch.set_num_threads(1)  # sums in one order only, and runs side by side do not fight over cores
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(spec.seed)
    model = Transformer(spec.size)
    if start is not None:
        model.load_state_dict(torch.load(start, weights_only=True, map_location="cpu"))
    model.to(device)
    optimizer = Optimizer(model, spec)
    averages = Averages(model, spec)
    texts = {"val_loss": corpus, "parent_val_loss": parent_corpus, "val_loss_then": then_corpus}
    heldout = {
        column: heldout_windows(text.heldout, HELDOUT_WINDOWS, spec.size.context)
        for column, text in texts.items()
        if text is not None
    }
    total = spec.schedule.total
    stream = _stream(spec, corpus, then_corpus)
    tokens = spec.windows * spec.contexts  # (total,)
    rates = spec.schedule(np.arange(total)).tolist()  # (total,)
    log, wall, cpu = Log(), time.perf_counter(), time.process_time()
    losses, norms = [], []  # of the open window; kept as tensors so that a GPU is not waited for at every update
    for step, lr in enumerate(rates):
        loss = next_byte_loss(model, _to(device, next(stream)))
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP))
        optimizer.step(step)
        averages.add(step + 1)
        losses.append(loss.detach())
        done, last = step + 1, step + 1 == total
        if done % LOG_EVERY and not last:
            continue
        train_loss, grad_norm = _mean(losses), _mean(norms)
        losses, norms = [], []
        finite = math.isfinite(train_loss)
        validates = finite and (done % spec.validate_every == 0 or last)
        row = {name: validate(model, text, device) if validates else math.nan for name, text in heldout.items()}
        row |= averages.validate(heldout["val_loss"], device, validates)
        if spec.joint:
            row |= {"tokens": int(tokens[:done].sum()), "batch_tokens": int(tokens[step])}
        row = {"step": step, "lr": lr, "train_loss": train_loss, "grad_norm": grad_norm} | row
        log.add(**row)
        logged(row)
        report(done)
        if not finite:
            break
    if keep is not None:
        buffer = BytesIO()
        torch.save({name: value.cpu() for name, value in model.state_dict().items()}, buffer)
        write_whole(keep, buffer.getvalue())
    return log.table, {
        "outcome": log.outcome((then_corpus or corpus).byte_frequency_loss, spec.switch),
        "final_train_loss": _digits(log.train_loss[-1]),
        "final_val_loss": _digits(log.val_loss[-1]),
        "wall_seconds": f"{time.perf_counter() - wall:.1f}",
        "cpu_seconds": f"{time.process_time() - cpu:.1f}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "corpus_sha256": corpus.sha256,
        "train_bytes": str(len(corpus.train)),
        "heldout_bytes": str(len(corpus.heldout)),
    } | ({"then_corpus_sha256": then_corpus.sha256} if then_corpus else {})


class Averages:
    """The averages that a run declares, of a model's weights after every update."""

    def __init__(self, model: torch.nn.Module, spec: RunSpec) -> None:
        self.model = model
        self.running: dict[str, Ema | Merge] = {readout.column: readout.begin() for readout in spec.averages}
        self.twin = copy.deepcopy(model) if self.running else model  # carries an average while it is validated

    def add(self, done: int) -> None:
        """Take in the weights after `done` updates, counted from 1."""
        if not self.running:
            return
        weights = torch.nn.utils.parameters_to_vector(p.detach() for p in self.model.parameters())
        for average in self.running.values():
            average.add(weights, done)

    def validate(self, windows: np.ndarray, device: torch.device, wanted: bool) -> dict[str, float]:
        """The held-out loss of each average, by column; NaN when none is wanted, or nothing averaged yet."""
        losses = {}
        for column, average in self.running.items():
            mean = average.mean if wanted else None
            if mean is not None:
                torch.nn.utils.vector_to_parameters(mean, self.twin.parameters())
            losses[column] = math.nan if mean is None else validate(self.twin, windows, device)
        return losses


@torch.no_grad()
def validate(model: torch.nn.Module, windows: np.ndarray, device: torch.device) -> float:
    """Mean loss in nats per byte on held-out windows (count, context + 1)."""
    parts = [windows[i : i + HELDOUT_BATCH] for i in range(0, len(windows), HELDOUT_BATCH)]
    total = sum(next_byte_loss(model, _to(device, part)).item() * len(part) for part in parts)
    return total / len(windows)


def _stream(spec: RunSpec, corpus: Corpus, then_corpus: Corpus | None) -> Iterator[np.ndarray]:
    """The batches of a run, each (windows, context + 1) as they are in that update, from the text that it reads."""
    first = spec.schedule.total if then_corpus is None else spec.switch
    second = [] if then_corpus is None else repeat(then_corpus.train)
    texts = chain(repeat(corpus.train, first), second)
    return drawn(zip(texts, spec.windows.tolist(), spec.contexts.tolist(), strict=False), spec.seed)


def _to(device: torch.device, windows: np.ndarray) -> Tensor:
    return torch.from_numpy(windows).to(device, torch.int64)


def _mean(values: list[Tensor]) -> float:
    return torch.stack(values).double().mean().item()


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5f}"
