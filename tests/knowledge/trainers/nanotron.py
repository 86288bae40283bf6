"""nanotron: a YAML, read as its lr_scheduler_builder reads it."""

import math
from types import SimpleNamespace

import yaml

from tests.support.schedulers import by_lambda, driven, installed, optimizer_of

EXPRESSED = ("constant", "linear", "linear f", "cosine", "cosine f", "wsd", "wsd f", "wsd 1-sqrt")
coded = by_lambda


def _options(text: str, total: int) -> dict:
    said = yaml.safe_load(text)
    assert said["tokens"] == {"train_steps": total}
    return said["optimizer"]["learning_rate_scheduler"]


def twin(text: str, peak: float, total: int) -> list[float]:
    o = _options(text, total)
    return [_rate(o, t) for t in range(total)]


def _rate(o: dict, t: int) -> float:
    top, low, w, start = o["learning_rate"], o["min_decay_lr"], o["lr_warmup_steps"], o["lr_decay_starting_step"]
    if t <= w:  # also where there is no warm-up
        return {"linear": top * t / max(w, 1), "constant": top}[o["lr_warmup_style"]]
    if t < start:
        return top
    x = (t - start) / o["lr_decay_steps"]
    if x >= 1:
        return low
    share = {"linear": 1 - x, "cosine": (1 + math.cos(math.pi * x)) / 2, "1-sqrt": 1 - math.sqrt(x)}
    return low + (top - low) * share[o["lr_decay_style"]]


def real(text: str, peak: float, total: int) -> list[float] | None:
    """The release 0.4 does not have all styles of the main branch."""
    module, optimizer, o = installed("nanotron.helpers"), optimizer_of(peak), _options(text, total)
    if o["lr_decay_style"] == "1-sqrt":
        return None
    optimizer.get_base_optimizer = lambda: optimizer
    return driven(module.lr_scheduler_builder(optimizer, SimpleNamespace(**o), total), optimizer, total)
