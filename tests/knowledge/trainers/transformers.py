"""transformers: `training_arguments`, or code with a scheduler for the Trainer."""

import math

from tests.support.schedulers import driven, executed, installed, optimizer_of

EXPRESSED = (
    "constant",
    "linear",
    "linear f",
    "cosine",
    "cosine f",
    "polynomial",
    "power_decay",
    "wsd",
    "wsd 1-sqrt",
    "wsd bent",
    "inverse_sqrt",
    "restarts",
)


def twin(text: str, peak: float, total: int) -> list[float] | None:
    o = executed(text).get("training_arguments")
    return o and [_rate(o, t) for t in range(total)]


def _rate(o: dict, t: int) -> float:
    p, w, total, kind, k = (
        o["learning_rate"],
        o["warmup_steps"],
        o["max_steps"],
        o["lr_scheduler_type"],
        o["lr_scheduler_kwargs"],
    )
    if kind == "constant":
        return p
    low = k.get("min_lr_ratio", 0.0)
    if t < w:
        u = t / w
        rise = {"linear": u, "cosine": (1 - math.cos(math.pi * u)) / 2, "1-sqrt": 1 - math.sqrt(1 - u)}
        return p * (low + (1 - low) * rise[k.get("warmup_type", "linear")])
    x = (t - w) / (total - w)
    if kind == "constant_with_warmup":
        return p
    if kind == "linear":
        return p * (1 - x)
    if kind == "polynomial":
        return k["lr_end"] + (p - k["lr_end"]) * (1 - x) ** k["power"]
    if kind in ("cosine", "cosine_with_min_lr"):
        low = k.get("min_lr", 0.0)
        return low + (p - low) * (1 + math.cos(math.pi * x)) / 2
    if kind == "cosine_with_restarts":
        return p * (1 + math.cos(math.pi * (k["num_cycles"] * x % 1))) / 2
    if kind == "inverse_sqrt":
        return p / math.sqrt((t - w + k["timescale"]) / k["timescale"])
    assert kind == "warmup_stable_decay"
    y = max((t - (total - k["num_decay_steps"])) / k["num_decay_steps"], 0)
    fall = {"linear": 1 - y, "cosine": (1 + math.cos(math.pi * y)) / 2, "1-sqrt": 1 - math.sqrt(y)}[k["decay_type"]]
    return p * (low + (1 - low) * fall)


def real(text: str, peak: float, total: int) -> list[float] | None:
    o = executed(text).get("training_arguments")
    if o is None:
        return None
    optimization = installed("transformers.optimization")
    optimizer = optimizer_of(o["learning_rate"])
    scheduler = optimization.get_scheduler(
        o["lr_scheduler_type"], optimizer, o["warmup_steps"], o["max_steps"], o["lr_scheduler_kwargs"]
    )
    return driven(scheduler, optimizer, total)
