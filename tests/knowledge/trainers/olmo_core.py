"""OLMo-core: a ComposableScheduler, whose rates are shares of the peak, or a PowerLR or WSD."""

import ast
import math
import warnings

from tests.support.schedulers import executed, installed, stub

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


def batches(text: str, total: int, sequence: int) -> list[int]:
    """Tokens in each update, as BatchSizeSchedulerCallback and the setter of the data loader's size make them."""
    sizes, starts = _callback(text)
    assert starts[0] == 0 and starts == sorted(set(starts))
    now, processed, found = sizes[0], 0, []
    for step in range(total):
        wanted = [n for n, start in zip(sizes, starts, strict=True) if step >= start][-1]
        if wanted > now:
            assert wanted % now == 0
            if processed % (wanted // now) == 0:
                processed, now = processed // (wanted // now), wanted
        elif wanted < now:
            assert now % wanted == 0
            processed, now = processed * (now // wanted), wanted
        found.append(now)
        processed += 1
    return found


def _callback(text: str) -> tuple[list[int], list[int]]:
    call = next(c for c in _calls(text) if getattr(c.func, "id", "") == "BatchSizeSchedulerCallback")
    given = {k.arg: k.value for k in call.keywords}
    return ast.literal_eval(given["batch_sizes"]), [ast.literal_eval(c.args[0]) for c in given["schedule"].elts]


def merged(text: str, weights: list[float]) -> float:
    """What ModelMergeCallback saves, of one weight whose values after each update are given."""
    call = next(c for c in _calls(text) if getattr(c.func, "id", "") == "ModelMergeCallback")
    given = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    assert given["enabled"] and given["merge_last_n_steps"] <= given["merge_step"] == len(weights)
    first = given["merge_step"] - given["merge_last_n_steps"] + 1
    chosen = [w for step, w in enumerate(weights, 1) if first <= step <= given["merge_step"]]
    return sum(chosen) / len(chosen)


def lengths(text: str, longest: int, total: int) -> list[int]:
    """Tokens in a sequence in each update, as SequenceLengthSchedulerCallback splits those of the dataset."""
    calls = [c for c in _calls(text) if getattr(c.func, "id", "") == "SequenceLengthSchedulerCallback"]
    if not calls:
        return [longest] * total
    given = {k.arg: ast.literal_eval(k.value) for k in calls[0].keywords}
    first, over = given["min_sequence_length"], given["warmup_steps"]
    assert longest > first and not given["truncate"]
    found = []
    for step in range(1, total + 1):
        line = first + (longest - first) * min(step, over) / over
        found.append(longest if step > over else first * 2 ** math.floor(math.log(line // first, 2)))
    return found


def planned(text: str, peak: float, total: int) -> list[float]:
    """The rates where the callback multiplies the optimizer's lr at every change of the batch."""
    stages, sizes = _stages(text), batches(text, total, 1)
    return [_rate(stages, t, peak * (sizes[t] / sizes[0]) ** 0.5) for t in range(total)]


def _calls(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def _stages(text: str) -> list[dict]:
    stages = [c for c in _calls(text) if getattr(c.func, "id", "") == "ComposableSchedulerStage"]
    return [{k.arg: ast.literal_eval(k.value) for k in c.keywords} for c in stages]


def twin(text: str, peak: float, total: int) -> list[float]:
    own = {"PowerLR": _power, "WSD": _wsd}
    call = _calls(text)[0]
    if call.func.id in own:
        return own[call.func.id](peak, total, **{k.arg: ast.literal_eval(k.value) for k in call.keywords})
    stages = _stages(text)
    return [_rate(stages, t, peak) for t in range(total)]


def _rate(stages: list[dict], t: int, initial: float) -> float:
    current, last = t + 1, initial  # the trainer counts an update before it takes it
    for s in stages:
        assert s["duration"] > 0
        first, last = (
            s[f"{end}_lr"] if f"{end}_lr" in s else initial * s[f"{end}_lr_fraction"] for end in ("start", "end")
        )
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


def _wsd(peak, total, warmup, decay, decay_fraction, decay_min_lr) -> list[float]:
    """Linear to the peak, the peak, a line that ends in the last update; it counts from 1."""
    assert decay_fraction is None and 0 <= decay_min_lr < peak
    rates = []
    for current in range(1, total + 1):
        if current <= warmup:
            rates.append(peak * current / warmup)
        elif current >= total - decay:
            rates.append(decay_min_lr + (peak - decay_min_lr) * min(total - current, decay) / decay)
        else:
            rates.append(peak)
    return rates


def coded(text: str, peak: float, total: int) -> list[float]:
    with stub("olmo_core.optim.scheduler", Scheduler=object):
        scheduler = executed(text)["make_scheduler"]()
    return [scheduler.get_lr(peak, t + 1, total) for t in range(total)]


def real(text: str, peak: float, total: int) -> list[float]:
    installed("olmo_core.optim.scheduler")
    scheduler = executed(text)["scheduler"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [scheduler.get_lr(peak, t + 1, total) for t in range(total)]
