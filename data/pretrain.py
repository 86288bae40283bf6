"""One run: AdamW on random windows of the training text, at the rate the schedule gives for each update.

Same seed, same machine, same torch: same log to the last digit on CPU, however many runs go side by side.
"""

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .corpus import Corpus, batches, heldout_windows
from .model import Transformer, next_byte_loss
from .sweep import RunSpec

LOG_EVERY = 25  # updates per row of the log
VALIDATE_EVERY = 50  # updates; a multiple of LOG_EVERY
HELDOUT_WINDOWS = 256  # 32 768 bytes at context 128; a pass costs 15 updates of 8 windows
HELDOUT_BATCH = 32
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1  # on matrices; norm gains are left alone
CLIP = 1.0  # largest gradient norm
HEADER = "step,lr,train_loss,val_loss,grad_norm"


@dataclass
class Log:
    """Rows of a run, as text. A row closes a window of updates: the last update's step and rate, the window's means."""

    lines: list[str] = field(default_factory=lambda: [HEADER])
    train_loss: float = math.nan  # of the last row, nats per byte
    val_loss: float | None = None  # of the last row, nats per byte; None where it has none

    def add(self, step: int, lr: float, train_loss: float, val_loss: float | None, grad_norm: float) -> None:
        self.train_loss = train_loss
        self.val_loss = val_loss
        self.lines.append(f"{step},{lr!r},{train_loss:.5f},{_digits(val_loss)},{grad_norm:.5f}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def pretrain(
    spec: RunSpec, corpus: Corpus, report: Callable[[int], None] = lambda done: None
) -> tuple[str, dict[str, str]]:
    """Train `spec` and return its log as CSV text and what the manifest says of how it went, by column.

    `report(updates done)` is called per row of the log. A run whose loss leaves the finite numbers stops at the row
    that shows it, with the outcome `diverged`.
    """
    torch.set_num_threads(1)  # sums in one order only, and runs side by side do not fight over cores
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(spec.seed)
    model = Transformer(spec.size).to(device)
    optimizer = adamw(model)
    stream = batches(corpus.train, spec.seed, spec.batch, spec.size.context)
    heldout = heldout_windows(corpus.heldout, HELDOUT_WINDOWS, spec.size.context)
    total = spec.schedule.total
    rates = spec.schedule(np.arange(total)).tolist()  # (total,)
    log, outcome, started = Log(), "finished", time.perf_counter()
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
        validates = finite and (done % VALIDATE_EVERY == 0 or last)
        log.add(step, lr, train_loss, validate(model, heldout, device) if validates else None, grad_norm)
        report(done)
        if not finite:
            outcome = "diverged"
            break
    return log.text, {
        "final_train_loss": _digits(log.train_loss),
        "final_val_loss": _digits(log.val_loss),
        "wall_seconds": f"{time.perf_counter() - started:.1f}",
        "torch": torch.__version__,
        "outcome": outcome,
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


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"
