"""MaxText: keys of a YAML, read as create_learning_rate_schedule of 0.2.5 reads them."""

import math

import yaml

from tests.support.schedulers import by_array

EXPRESSED = ("constant", "linear", "linear f", "cosine", "cosine f", "wsd", "wsd f")
coded = by_array


def twin(text: str, peak: float, total: int) -> list[float]:
    o = yaml.safe_load(text)
    assert o["steps"] == total and o["lr_schedule_type"] == "wsd"
    assert o["warmup_steps_fraction"] + o["wsd_decay_steps_fraction"] <= 1  # MaxText refuses more
    return [_rate(o, t) for t in range(total)]


def _rate(o: dict, t: int) -> float:
    steps, top = o["learning_rate_schedule_steps"], o["learning_rate"]
    low = top * o["learning_rate_final_fraction"]
    w, length = int(steps * o["warmup_steps_fraction"]), int(steps * o["wsd_decay_steps_fraction"])
    if t < w:
        return top * t / w
    if t < steps - length:
        return top
    x = (t - (steps - length)) / (length - 1)  # the last of its steps is at the end
    return low + (top - low) * {"linear": 1 - x, "cosine": (1 + math.cos(math.pi * x)) / 2}[o["wsd_decay_style"]]
