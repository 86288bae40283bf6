"""Megatron-LM: flags in an array of bash."""

import math
import shlex

from tests.support.schedulers import installed, optimizer_of

EXPRESSED = (
    "constant",
    "linear",
    "linear f",
    "cosine",
    "cosine f",
    "wsd",
    "wsd f",
    "wsd 1-sqrt",
    "inverse_sqrt",
    "wsd half",
)


def _options(text: str) -> dict:
    words = shlex.split(text, comments=True)
    assert words[0] == "LR_ARGS=(" and words[-1] == ")"
    flags = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
    assert all(flag.startswith("--") for flag in flags)
    return {k.removeprefix("--"): v if "style" in k else float(v) for k, v in flags.items()}


def twin(text: str, peak: float, total: int) -> list[float]:
    o = _options(text)
    return [_rate(o, t) for t in range(total)]


def _rate(o: dict, t: int) -> float:
    top, low, w, end = o["lr"], o["min-lr"], o["lr-warmup-iters"], o["lr-decay-iters"]
    if w and t <= w:
        return top * t / w
    if o["lr-decay-style"] == "constant":
        return top
    if o["lr-decay-style"] == "inverse-square-root":
        return max(low, top * max(w, 1) ** 0.5 / max(t, 1) ** 0.5)
    style, length = o["lr-decay-style"], end - w
    if style == "WSD":
        style, length = o["lr-wsd-decay-style"], o["lr-wsd-decay-iters"]
    x = max((t - (end - length)) / length, 0)
    share = {
        "linear": 1 - x,
        "cosine": (1 + math.cos(math.pi * x)) / 2,
        "exponential": 2 * 0.5**x - 1,
        "minus_sqrt": 1 - math.sqrt(x),
    }[style]
    return low + share * (top - low)


def real(text: str, peak: float, total: int) -> list[float]:
    o = _options(text)
    module, optimizer = installed("megatron.core.optimizer_param_scheduler"), optimizer_of(o["lr"])
    scheduler = module.OptimizerParamScheduler(
        optimizer,
        0.0,
        o["lr"],
        o["min-lr"],
        int(o["lr-warmup-iters"]),
        int(o["lr-decay-iters"]),
        o["lr-decay-style"],
        0.0,
        0.0,
        total,
        "constant",
        wsd_decay_steps=int(o.get("lr-wsd-decay-iters", 0)),
        lr_wsd_decay_style=o.get("lr-wsd-decay-style"),
    )
    rates = []
    for _ in range(total):  # the order of Megatron's train_step
        rates.append(float(optimizer.param_groups[0]["lr"]))
        scheduler.step(increment=1)
    return rates
