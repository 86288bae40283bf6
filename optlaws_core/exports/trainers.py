"""What trainers make of their own options: the rate of update t, for each target that is configured.

Own wording of the schedulers of transformers 5.23, Megatron-LM (megatron-core 0.16), DeepSpeed 0.19, torchtitan 0.3
and llm-foundry 0.22 on Composer 0.32. Rates are of updates t = 0, 1, …, as `FloatArray` (n,), in the units of `peak`.
"""

import numpy as np

from ..arrays import FloatArray
from .nearest import Options


def _shape(name: str, x: FloatArray) -> FloatArray:
    """The fall from 1 at x = 0 to 0 at x = 1."""
    x = np.clip(x, 0.0, 1.0)
    if name == "linear":
        return 1 - x
    if name == "cosine":
        return 0.5 * (1 + np.cos(np.pi * x))
    if name == "exponential":  # Megatron's, which is shifted so that it reaches 0
        return 2 * 0.5**x - 1
    return 1 - np.sqrt(x)


def _risen(t: FloatArray, warmup: int) -> FloatArray:
    return t / max(warmup, 1)


def transformers(o: Options, t: FloatArray) -> FloatArray:
    """`lr_scheduler_type` and its keywords: 0 at t = 0, the peak at t = warmup, the end value at t = total."""
    p, kind, w, total = o["peak"], o["type"], o["warmup"], o["total"]
    x, rise, low = (t - w) / max(total - w, 1), _risen(t, w), 0.0
    if kind in ("constant", "constant_with_warmup"):
        late = np.ones_like(t)
    elif kind == "inverse_sqrt":
        late = np.sqrt(o["timescale"] / (np.maximum(t, w) - w + o["timescale"]))
    elif kind == "cosine_with_restarts":
        late = _shape("cosine", (o["num_cycles"] * x) % 1.0)
    elif kind == "polynomial":
        low = o["lr_end"] / p
        late = low + (1 - low) * np.clip(1 - x, 0, 1) ** o["power"]
    elif kind == "warmup_stable_decay":
        low = o["min_lr_ratio"]
        decay = o["num_decay_steps"]
        late = low + (1 - low) * _shape(o["decay_type"], (t - (total - decay)) / decay)
        # This one does not start at 0; its rises are its falls backwards.
        rise = low + (1 - low) * _shape(o.get("warmup_type", "linear"), 1 - rise)
    else:
        low = o.get("min_lr", 0.0) / p
        late = low + (1 - low) * _shape("cosine" if "cosine" in kind else "linear", x)
    return p * np.where(t < w, rise, late)


def megatron(o: Options, t: FloatArray) -> FloatArray:
    """--lr-decay-style and its flags: the scheduler steps after an update, and counts from 0."""
    p, w, total, low = o["peak"], o["warmup"], o["total"], o["low"]
    if o["style"] == "constant":
        late = np.full_like(t, p)
    elif o["style"] == "inverse-square-root":
        late = np.maximum(low, p * np.sqrt(max(w, 1) / np.maximum(t, 1)))
    else:
        wsd = o["style"] == "WSD"
        length = o["decay"] if wsd else total - w
        late = low + (p - low) * _shape(o["fall"] if wsd else o["style"], (t - (total - length)) / length)
    return np.where(t < w, p * _risen(t, w), late)


def torchtitan(o: Options, t: FloatArray) -> FloatArray:
    """LRSchedulersContainer.Config: a warm-up from 1 / warmup_steps, and an end value at t = total."""
    p, w, length, low = o["peak"], o["warmup"], o["decay"], o["low"]
    fall = _shape(o["type"], (t - (o["total"] - length)) / max(length, 1))
    late = low + (p - low) * fall if length else np.full_like(t, p)
    return np.where(t < w, p * (t + 1) / max(w, 1), late)


def deepspeed(o: Options, t: FloatArray) -> FloatArray:
    """{"type", "params"} of "scheduler". DeepSpeed's own classes lag: update t has the rate of their step t − 1."""
    p, kind, total = o["peak"], o["type"], o["total"]
    if kind == "WarmupCosineLR":
        w, i = max(2, o["warmup"]), t - 1
        rise = o["first"] + (1 - o["first"]) * i / w
        late = o["low"] / p + (1 - o["low"] / p) * _shape("cosine", (i - w + 1) / max(1, total - w))
        return np.where(i < 0, 0.0, p * np.where(i < w, rise, late))
    if kind in ("WarmupLR", "WarmupDecayLR"):
        w, i, low = max(2, o["warmup"]), np.maximum(t - 1, 0), o["low"]
        late = np.clip((total - i) / max(1, total - w), 0, None) if kind == "WarmupDecayLR" else 1.0
        return low + (p - low) * np.where(i < w, i / w, late)
    if kind == "OneCycleLR":
        w = o["warmup"]
        return np.where(t < w, p * _risen(t, w), o["low"] + (p - o["low"]) * _shape("linear", (t - w) / (total - w)))
    if kind == "LinearLR":  # from first to last over the first `length` updates
        return p * (o["first"] + (o["last"] - o["first"]) * np.minimum(t / o["length"], 1.0))
    if kind == "CosineAnnealingLR":
        return o["low"] + (p - o["low"]) * _shape("cosine", t / total)
    return p * o["gamma"] ** np.searchsorted(o["milestones"], t, side="right")  # MultiStepLR


def llm_foundry(o: Options, t: FloatArray) -> FloatArray:
    """`scheduler`. Composer asks for the rate before it counts the batch: update t has the rate of batch t − 1."""
    p, w, total, i = o["peak"], o["warmup"], o["total"], np.maximum(t - 1, 0)
    rise, low = _risen(i, w), o.get("low", 0.0) / p
    if o["name"] == "constant_with_warmup":
        late = np.ones_like(t)
    elif o["name"] == "inv_sqrt_with_warmup":
        begin = max(total - o["cooldown"], w)
        high, scale = o["level"], o["scale"]
        late = high + (1 - high) / np.sqrt((np.clip(i, w, begin) - w + scale) / scale)
        if o["cooldown"]:
            late = late + (low - late) * np.clip((i - begin) / o["cooldown"], 0.0, 1.0)
    else:
        shape = "cosine" if o["name"] == "cosine_with_warmup" else "linear"
        late = low + (1 - low) * _shape(shape, (i - w) / (total - w))
    return p * np.where(i < w, rise, late)
