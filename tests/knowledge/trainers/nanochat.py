"""nanochat: flags in an array of bash, which scale the rate of each group."""

from tests.knowledge.trainers.megatron import arrays
from tests.support.schedulers import executed

EXPRESSED = ()


def coded(text: str, peak: float, total: int) -> list[float]:
    multiplier = executed(text)["get_lr_multiplier"]
    return [peak * multiplier(t) for t in range(total)]


def twin(text: str, peak: float, total: int) -> list[float]:
    o = {name: float(value) for name, value in arrays(text)["LR_ARGS"].items()}
    assert o["num-iterations"] == total
    return [peak * _share(o, t, total) for t in range(total)]


def _share(o: dict, t: int, total: int) -> float:
    length = round(o["warmdown-ratio"] * total)
    if t < o["warmup-steps"]:
        return (t + 1) / o["warmup-steps"]
    if t <= total - length:
        return 1.0
    left = (total - t) / length
    return left + (1 - left) * o["final-lr-frac"]
