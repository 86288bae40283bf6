"""torchtitan: a call of LRSchedulersContainer.Config, whose rates are shares of the peak."""

import ast
import math

from tests.support.schedulers import by_lambda, driven, executed, installed, optimizer_of

EXPRESSED = ()


def _options(text: str) -> dict:
    call = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords}


def twin(text: str, peak: float, total: int) -> list[float]:
    o = _options(text)
    return [peak * _share(o, t) for t in range(total)]


def _share(o: dict, t: int) -> float:
    w, total = o["warmup_steps"], o["total_steps"]
    length = round(total * o["decay_ratio"])
    assert w + length <= total
    if t < w:
        return (t + 1) / w
    if t < total + 1 - length:  # one more stable step, so that the last update is not at the end value
        return 1.0
    x = (t + 1 - (total + 1 - length)) / length
    share = {"linear": 1 - x, "cosine": (1 + math.cos(math.pi * x)) / 2, "sqrt": 1 - math.sqrt(x)}[o["decay_type"]]
    return o["min_lr_factor"] + (1 - o["min_lr_factor"]) * share


coded = by_lambda


def real(text: str, peak: float, total: int) -> list[float]:
    installed("torchtitan.components.optimizer.lr_scheduler")
    optimizer = optimizer_of(1.0)
    scheduler = executed(text)["lr_scheduler"].build(optimizers=[optimizer], training_steps=total)
    return [peak * share for share in driven(scheduler, optimizer, total)]
