"""levanter: a YAML, read as its OptimizerConfig.lr_scheduler reads it."""

import math

import yaml

from tests.support.schedulers import by_array

EXPRESSED = ("constant", "linear", "linear f", "cosine", "cosine f", "wsd", "wsd f")


def twin(text: str, peak: float, total: int) -> list[float]:
    o = yaml.safe_load(text)
    assert o["trainer"]["num_train_steps"] == total
    return [_rate(o["optimizer"], t, total) for t in range(total)]


coded = by_array


def batches(text: str, total: int, sequence: int) -> list[int]:
    """Sequences in each update, as BatchSchedule has them."""
    said = yaml.safe_load(text)["trainer"]["train_batch_size"]
    steps = said if isinstance(said, list) else [{"start": 0, "value": said}]
    assert steps[0]["start"] == 0
    return [[s["value"] for s in steps if t >= s["start"]][-1] for t in range(total)]


def averaged(text: str, weights: list[float]) -> float:
    """The average at the end, of one weight whose values are the initial one and that after each update."""
    said = yaml.safe_load(text)["trainer"]["model_averaging"]
    assert said.keys() == {"type", "beta"} and said["type"] == "ema"
    average = weights[0]
    for weight in weights[1:]:
        average += (1 - said["beta"]) * (weight - average)
    return average


def _steps(value: float, total: int) -> int:
    assert value >= 0 and (value <= 1 or value % 1 == 0)
    return int(value * total) if value <= 1 else int(value)


def _rate(o: dict, t: int, total: int) -> float:
    top, low = o["learning_rate"], o["learning_rate"] * o["min_lr_ratio"]
    w = min(_steps(o["warmup"], total), total)
    length = min(_steps(o["decay"], total), total - w)
    if t < w:
        return top * t / w
    if t < total - length:
        return top
    count = t - (total - length)  # join_schedules: each schedule counts from its own start
    if o["lr_schedule"] == "linear":
        return top + (low - top) * count / length
    if o["lr_schedule"] == "cosine":
        return low + (top - low) * (1 + math.cos(math.pi * count / length)) / 2
    if o["lr_schedule"] == "inv_sqrt":
        return max(top * min(1.0, 1 / math.sqrt(max(count + w, 1) / 10000)), low)
    if o["lr_schedule"] == "inv":
        return max(top * min(1.0, 1 / ((top / low - 1) * max(count, 1) / length + 1)), low)
    assert o["lr_schedule"] == "constant"
    return top
