"""OLMo-core: a ComposableScheduler, whose rates are shares of the peak."""

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


def real(text: str, peak: float, total: int) -> list[float]:
    installed("olmo_core.optim.scheduler")
    scheduler = executed(text)["scheduler"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [scheduler.get_lr(peak, t + 1, total) for t in range(total)]
