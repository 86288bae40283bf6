"""One run: AdamW on random windows of a text, at the rate the schedule gives for each update.

Same seed, same machine, same torch: same log to the last digit on CPU, however many runs go side by side.
"""

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from .corpus import Corpus, batches, heldout_windows
from .model import Transformer, next_byte_loss
from .sweep import BETAS, CLIP, LOG_EVERY, WEIGHT_DECAY, RunSpec, write_whole

HELDOUT_WINDOWS = 256  # 32 768 bytes at context 128; a pass costs 10 to 15 updates of 8 windows
HELDOUT_BATCH = 32
SPIKE = 0.5  # nats: a window's mean so far above the lowest before it is a spike
DIVERGED = 1.05  # so far above its lowest held-out loss, or not so far below knowing nothing, a run ends that diverged


@dataclass
class Log:
    """Rows of a run. A row closes a window of updates: the last update's step and rate, the window's means.

    Losses are in nats per byte; `val_loss` and `parent_val_loss` are NaN in rows that did not validate.
    """

    step: list[int] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    parent_val_loss: list[float] = field(default_factory=list)  # on the parent's text; only where that is another

    def add(self, **row: float) -> None:
        for name, value in row.items():
            getattr(self, name).append(round(value, 5) if isinstance(value, float) and name != "lr" else value)

    @property
    def table(self) -> pa.Table:
        """The log as a table: a loss that was not measured is null, one that left the numbers is NaN or inf."""
        measured = {name: values for name, values in vars(self).items() if values}
        return pa.table(
            {
                name: pa.array(
                    [None if name.endswith("val_loss") and math.isnan(v) else v for v in values],
                    pa.int64() if name == "step" else pa.float64(),
                )
                for name, values in measured.items()
            }
        )

    def outcome(self, byte_frequency_loss: float) -> str:
        """`diverged`: the loss left the finite numbers, ended 5 % above its lowest, or as if nothing had been learned.

        Nothing is learned within 5 % of what byte frequencies alone give: a run that is thrown there before its first
        held-out loss never rises above its lowest. `spiked`: a window's mean training loss rose by 0.5 nats over the
        lowest before it, and the run came back.
        """
        train = np.array(self.train_loss)
        val = np.array([v for v in self.val_loss if not math.isnan(v)])
        if not np.isfinite(train[-1]) or not len(val) or not np.isfinite(val[-1]):
            return "diverged"
        if val[-1] > DIVERGED * val.min() or DIVERGED * val[-1] > byte_frequency_loss:
            return "diverged"
        return "spiked" if (train - np.minimum.accumulate(train)).max() > SPIKE else "finished"


def pretrain(
    spec: RunSpec,
    corpus: Corpus,
    report: Callable[[int], None] = lambda done: None,
    *,
    start: Path | None = None,
    parent_corpus: Corpus | None = None,
    keep: Path | None = None,
) -> tuple[pa.Table, dict[str, str]]:
    """Train `spec` and return its log and what the manifest says of how it went, by column.

    `start` has the weights to begin with, under a new optimizer; `parent_corpus` is validated on as well; `keep` gets
    the last weights. `report(updates done)` is called per row of the log. A run whose loss leaves the finite numbers
    stops at the row that shows it.
    """
    torch.set_num_threads(1)  # sums in one order only, and runs side by side do not fight over cores
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(spec.seed)
    model = Transformer(spec.size)
    if start is not None:
        model.load_state_dict(torch.load(start, weights_only=True, map_location="cpu"))
    model.to(device)
    optimizer = adamw(model)
    stream = batches(corpus.train, spec.seed, spec.batch, spec.size.context)
    heldout = [
        heldout_windows(c.heldout, HELDOUT_WINDOWS, spec.size.context) for c in (corpus, parent_corpus) if c is not None
    ]
    total = spec.schedule.total
    rates = spec.schedule(np.arange(total)).tolist()  # (total,)
    log, wall, cpu = Log(), time.perf_counter(), time.process_time()
    losses, norms = [], []  # of the open window; kept as tensors so that a GPU is not waited for at every update
    for step, lr in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = next_byte_loss(model, _to(device, next(stream)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP))
        optimizer.step()
        losses.append(loss.detach())
        done, last = step + 1, step + 1 == total
        if done % LOG_EVERY and not last:
            continue
        train_loss, grad_norm = _mean(losses), _mean(norms)
        losses, norms = [], []
        finite = math.isfinite(train_loss)
        validates = finite and (done % spec.validate_every == 0 or last)
        vals = [validate(model, windows, device) if validates else math.nan for windows in heldout]
        named = dict(zip(("val_loss", "parent_val_loss"), vals, strict=False))
        log.add(step=step, lr=lr, train_loss=train_loss, grad_norm=grad_norm, **named)
        report(done)
        if not finite:
            break
    if keep is not None:
        buffer = BytesIO()
        torch.save({name: value.cpu() for name, value in model.state_dict().items()}, buffer)
        write_whole(keep, buffer.getvalue())
    return log.table, {
        "outcome": log.outcome(corpus.byte_frequency_loss),
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
    }


def adamw(model: torch.nn.Module) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only; the learning rate is set before every update."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    gains = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)


@torch.no_grad()
def validate(model: torch.nn.Module, windows: np.ndarray, device: torch.device) -> float:
    """Mean loss in nats per byte on held-out windows (count, context + 1)."""
    parts = [windows[i : i + HELDOUT_BATCH] for i in range(0, len(windows), HELDOUT_BATCH)]
    total = sum(next_byte_loss(model, _to(device, part)).item() * len(part) for part in parts)
    return total / len(windows)


def _to(device: torch.device, windows: np.ndarray) -> Tensor:
    return torch.from_numpy(windows).to(device, torch.int64)


def _mean(values: list[Tensor]) -> float:
    return torch.stack(values).double().mean().item()


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.5f}"
