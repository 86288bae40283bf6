"""OLMo-core: a ComposableScheduler, whose rates are shares of the peak, or a PowerLR."""

import ast
import math
import warnings

from tests.support.schedulers import executed, installed

EXPRESSED = (
    "constant",
    "linear",
    "linear f",
    "cosine",
    "cosine f",
    "wsd",
    "wsd f",
    "step",
    "cyclic",
    "jump",
)


def _stages(text: str) -> list[dict]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    stages = [c for c in calls if c.func.id == "ComposableSchedulerStage"]
    return [{k.arg: ast.literal_eval(k.value) for k in c.keywords} for c in stages]


def twin(text: str, peak: float, total: int) -> list[float]:
    if "scheduler = PowerLR" in text:
        call = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call))
        return _power(peak, total, **{k.arg: ast.literal_eval(k.value) for k in call.keywords})
    stages = _stages(text)
    return [peak * _share(stages, t) for t in range(total)]


def _share(stages: list[dict], t: int) -> float:
    current, last = t + 1, 1.0  # the trainer counts an update before it takes it
    for s in stages:
        assert s["duration"] > 0
        first, last = s["start_lr_fraction"], s["end_lr_fraction"]
        if current < s["duration"]:
            x = current / s["duration"]
            if s["shape"] == "cosine":
                return last + (first - last) * (1 + math.cos(math.pi * x)) / 2
            return first + (last - first) * x
        current -= s["duration"]
    return last


def _power(peak, total, b, warmup, decay, decay_fraction, decay_min_lr) -> list[float]:
    """Linear to the peak, a power of the count over the warm-up, a line to the end; it counts from 1."""
    assert decay_fraction is None
    rates = []
    for current in range(1, total + 1):
        if current <= warmup:
            rates.append(peak * current / warmup)
        elif current >= total - decay:
            start = peak * ((total - decay) / warmup) ** b
            rates.append(decay_min_lr + (start - decay_min_lr) * min(total - current, decay) / decay)
        else:
            rates.append(peak * (current / warmup) ** b)
    return rates


def real(text: str, peak: float, total: int) -> list[float]:
    installed("olmo_core.optim.scheduler")
    scheduler = executed(text)["scheduler"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [scheduler.get_lr(peak, t + 1, total) for t in range(total)]
