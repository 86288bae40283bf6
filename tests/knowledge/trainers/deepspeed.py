"""DeepSpeed: a JSON."""

import json
import math

import torch

from tests.support.schedulers import by_lambda, driven, installed, optimizer_of

EXPRESSED = ("constant", "linear", "linear f")


def twin(text: str, peak: float, total: int) -> list[float]:
    """DeepSpeed's classes keep the index of the last batch, −1 before the first; PyTorch's are PyTorch's."""
    o = json.loads(text)["scheduler"]
    k, optimizer = o["params"], optimizer_of(peak)
    if hasattr(torch.optim.lr_scheduler, o["type"]):
        return driven(getattr(torch.optim.lr_scheduler, o["type"])(optimizer, **k), optimizer, total)
    assert k["warmup_type"] == "linear" and k["warmup_num_steps"] >= 1
    w, rates = max(2, k["warmup_num_steps"]), []
    for batch in range(-1, total - 1):
        if o["type"] == "WarmupCosineLR":
            low, share = k["cos_min_ratio"], 0.0
            if 0 <= batch < w:
                share = k["warmup_min_ratio"] + (1 - k["warmup_min_ratio"]) * batch / w
            elif batch >= w:
                x = min(1.0, (batch - w + 1) / max(1, k["total_num_steps"] - w))
                share = low + (1 - low) * (1 + math.cos(math.pi * x)) / 2
            rates.append(peak * share)
            continue
        share = max(batch, 0) / w if batch < w else 1.0
        if o["type"] == "WarmupDecayLR" and batch >= w:
            share = max(0.0, (k["total_num_steps"] - batch) / max(1, k["total_num_steps"] - w))
        rates.append(k["warmup_min_lr"] + (k["warmup_max_lr"] - k["warmup_min_lr"]) * share)
    return rates


coded = by_lambda


def real(text: str, peak: float, total: int) -> list[float]:
    o = json.loads(text)["scheduler"]
    module, optimizer = installed("deepspeed.runtime.lr_schedules"), optimizer_of(peak)
    kind = getattr(module, o["type"], None) or getattr(torch.optim.lr_scheduler, o["type"])  # as the engine looks it up
    return driven(kind(optimizer, **o["params"]), optimizer, total)


def lengths(text: str, longest: int, total: int) -> list[int]:
    """Tokens in a sequence in each update, as its CurriculumScheduler makes them, asked for update t with t + 1."""
    found = json.loads(text).get("curriculum_learning")
    if found is None:
        return [longest] * total
    assert found["enabled"] and (found["curriculum_type"], found["schedule_type"]) == ("seqlen", "fixed_discrete")
    sizes, most = (found["schedule_config"][name] for name in ("difficulty", "max_step"))
    assert len(sizes) == len(most) + 1 > 1
    now, made = found["min_difficulty"], []
    for step in range(1, total + 1):
        if now < found["max_difficulty"]:
            now = next((size for size, end in zip(sizes, most, strict=False) if step <= end), sizes[-1])
        made.append(now)
    return made
