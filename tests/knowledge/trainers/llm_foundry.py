"""llm-foundry: a YAML, whose rates are shares of the peak."""

import math
import types
import warnings

import yaml

from tests.support.schedulers import executed, installed, optimizer_of, stub

EXPRESSED = ()


def coded(text: str, peak: float, total: int) -> list[float]:
    """The rates that a callback sets before each batch, whatever a scheduler left there."""
    with stub("composer", Callback=object):
        callback = executed(text)["rate_setter"]()
    optimizer, rates = optimizer_of(peak), []
    for t in range(total):
        optimizer.param_groups[0]["lr"] = float("nan")
        batch = types.SimpleNamespace(batch=types.SimpleNamespace(value=t))
        callback.batch_start(types.SimpleNamespace(optimizers=[optimizer], timestamp=batch), None)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def twin(text: str, peak: float, total: int) -> list[float]:
    o = yaml.safe_load(text)["scheduler"]
    return [peak * _share(o, t, total) for t in range(total)]


def _share(o: dict, t: int, total: int) -> float:
    batches = {k: int(v.removesuffix("ba")) for k, v in o.items() if k.startswith("t_")}
    i, w = max(t - 1, 0), batches["t_warmup"]  # Composer steps the scheduler before it counts the batch
    if i < w:
        return i / w
    if o["name"] == "constant_with_warmup":
        return 1.0
    end = batches["t_max"]
    if o["name"] == "inv_sqrt_with_warmup":
        scale, length, level = batches["t_scale"], batches["t_cooldown"], o["alpha_f_decay"]
        assert level >= o["alpha_f_cooldown"]
        start = max(end - length, w)
        share = level + (1 - level) / math.sqrt((min(i, start) - w + scale) / scale)
        if i >= start and length:
            share += min((i - start) / length, 1.0) * (o["alpha_f_cooldown"] - share)
        return share
    assert end >= total  # Composer refuses a shorter one
    x = min((i - w) / (end - w), 1.0)
    fall = (1 + math.cos(math.pi * x)) / 2 if o["name"] == "cosine_with_warmup" else 1 - x
    return o["alpha_f"] + (1 - o["alpha_f"]) * fall


def real(text: str, peak: float, total: int) -> list[float]:
    o = yaml.safe_load(text)["scheduler"]
    composer, own = installed("composer.optim"), installed("llmfoundry.optim.scheduler")
    core = installed("composer.core")
    kinds = {
        "constant_with_warmup": composer.ConstantWithWarmupScheduler,
        "cosine_with_warmup": composer.CosineAnnealingWithWarmupScheduler,
        "linear_decay_with_warmup": composer.LinearWithWarmupScheduler,
        "inv_sqrt_with_warmup": own.InverseSquareRootWithWarmupScheduler,
    }
    rule = kinds[o["name"]](**{k: v for k, v in o.items() if k != "name"})
    state = types.SimpleNamespace(max_duration=core.Time.from_timestring(f"{total}ba"), timestamp=core.Timestamp())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = [rule(state)]
        for _ in range(total - 1):
            shares.append(rule(state))
            state.timestamp = state.timestamp.to_next_batch()
    return [peak * share for share in shares]
