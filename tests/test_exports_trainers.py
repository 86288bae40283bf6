"""Configured targets: what is exported is read back and run, by the trainer's own scheduler and by a slow twin of it.

A twin is the trainer's rule in own words, one update at a time, in the order in which its training loop goes. The real
schedulers run where their package is installed; those that are not among the requirements are skipped elsewhere.
"""

import ast
import json
import math
import shlex
import subprocess
import types
import warnings

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings

from optlaws_core import parse
from optlaws_core.exports import EXACT, export
from optlaws_core.exports.base import percent
from tests.families import schedules, texts

TOTAL = 240
TEXTS = [text for warmup in (0, 1, 2, 12) for text in texts(warmup, TOTAL)]
NEAR = 1e-9  # of the peak; of rates that a scheduler computes one from the other, too


def driven(scheduler, optimizer, updates: int) -> list[float]:
    """The rate of every update of a loop that steps the scheduler after the optimizer."""
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(updates):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step()
    return rates


def optimizer_of(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def real(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name.split('.')[0]} is not installed", exc_type=ImportError)


# transformers ---------------------------------------------------------------------------------------------------------


def transformers_options(text: str) -> dict | None:
    """The arguments; None where the export is a scheduler instead."""
    space: dict = {}
    exec(text, space)
    return space.get("training_arguments")


def transformers_twin(o: dict, t: int) -> float:
    p, w, total, kind, k = (
        o["learning_rate"], o["warmup_steps"], o["max_steps"], o["lr_scheduler_type"], o["lr_scheduler_kwargs"],
    )  # fmt: skip
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


def transformers_real(o: dict) -> list[float]:
    optimization = real("transformers.optimization")
    optimizer = optimizer_of(o["learning_rate"])
    scheduler = optimization.get_scheduler(
        o["lr_scheduler_type"], optimizer, o["warmup_steps"], o["max_steps"], o["lr_scheduler_kwargs"]
    )
    return driven(scheduler, optimizer, TOTAL)


# Megatron-LM ----------------------------------------------------------------------------------------------------------


def megatron_options(text: str) -> dict:
    words = shlex.split(text, comments=True)
    assert words[0] == "LR_ARGS=(" and words[-1] == ")"
    flags = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
    assert all(flag.startswith("--") for flag in flags)
    return {k.removeprefix("--"): v if "style" in k else float(v) for k, v in flags.items()}


def megatron_twin(o: dict, t: int) -> float:
    top, low, w, end = o["lr"], o["min-lr"], o["lr-warmup-iters"], o["lr-decay-iters"]
    if w and t <= w:
        return top * t / w
    if o["lr-decay-style"] == "constant":
        return top
    if o["lr-decay-style"] == "inverse-square-root":
        return max(low, top * max(w, 1) ** 0.5 / max(t, 1) ** 0.5)
    style, length = o["lr-decay-style"], end - w
    if style == "WSD":
        style, length = o["lr-wsd-decay-style"], o["lr-wsd-decay-iters"]
    x = max((t - (end - length)) / length, 0)
    share = {"linear": 1 - x, "cosine": (1 + math.cos(math.pi * x)) / 2, "exponential": 2 * 0.5**x - 1,
             "minus_sqrt": 1 - math.sqrt(x)}[style]  # fmt: skip
    return low + share * (top - low)


def megatron_real(o: dict) -> list[float]:
    module, optimizer = real("megatron.core.optimizer_param_scheduler"), optimizer_of(o["lr"])
    scheduler = module.OptimizerParamScheduler(
        optimizer, 0.0, o["lr"], o["min-lr"], int(o["lr-warmup-iters"]), int(o["lr-decay-iters"]), o["lr-decay-style"],
        0.0, 0.0, TOTAL, "constant", wsd_decay_steps=int(o.get("lr-wsd-decay-iters", 0)),
        lr_wsd_decay_style=o.get("lr-wsd-decay-style"),
    )  # fmt: skip
    rates = []
    for _ in range(TOTAL):  # the order of Megatron's train_step
        rates.append(float(optimizer.param_groups[0]["lr"]))
        scheduler.step(increment=1)
    return rates


# torchtitan -----------------------------------------------------------------------------------------------------------


def torchtitan_options(text: str) -> dict:
    call = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords} | {"text": text}


def torchtitan_twin(o: dict, t: int) -> float:
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


def torchtitan_real(o: dict) -> list[float]:
    real("torchtitan.components.optimizer.lr_scheduler")
    space: dict = {}
    exec(o["text"], space)
    optimizer = optimizer_of(1.0)
    return driven(space["lr_scheduler"].build(optimizers=[optimizer], training_steps=TOTAL), optimizer, TOTAL)


# DeepSpeed ------------------------------------------------------------------------------------------------------------


def deepspeed_options(text: str) -> dict:
    return json.loads(text)["scheduler"]


def deepspeed_rates(o: dict, peak: float) -> list[float]:
    """DeepSpeed's classes keep the index of the last batch, −1 before the first; PyTorch's are PyTorch's."""
    k, optimizer = o["params"], optimizer_of(peak)
    if hasattr(torch.optim.lr_scheduler, o["type"]):
        return driven(getattr(torch.optim.lr_scheduler, o["type"])(optimizer, **k), optimizer, TOTAL)
    assert k["warmup_type"] == "linear" and k["warmup_num_steps"] >= 1
    w, rates = max(2, k["warmup_num_steps"]), []
    for batch in range(-1, TOTAL - 1):
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


def deepspeed_real(o: dict, peak: float) -> list[float]:
    module, optimizer = real("deepspeed.runtime.lr_schedules"), optimizer_of(peak)
    kind = getattr(module, o["type"], None) or getattr(torch.optim.lr_scheduler, o["type"])  # as the engine looks it up
    return driven(kind(optimizer, **o["params"]), optimizer, TOTAL)


# OLMo-core ------------------------------------------------------------------------------------------------------------


def olmo_stages(text: str) -> list[dict]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    stages = [c for c in calls if c.func.id == "ComposableSchedulerStage"]
    return [{k.arg: ast.literal_eval(k.value) for k in c.keywords} for c in stages]


def olmo_twin(stages: list[dict], t: int) -> float:
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


# llm-foundry ----------------------------------------------------------------------------------------------------------


def llm_foundry_options(text: str) -> dict:
    return yaml.safe_load(text)["scheduler"]


def llm_foundry_twin(o: dict, t: int) -> float:
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
    assert end >= TOTAL  # Composer refuses a shorter one
    x = min((i - w) / (end - w), 1.0)
    fall = (1 + math.cos(math.pi * x)) / 2 if o["name"] == "cosine_with_warmup" else 1 - x
    return o["alpha_f"] + (1 - o["alpha_f"]) * fall


def llm_foundry_real(o: dict) -> list[float]:
    composer, own = real("composer.optim"), real("llmfoundry.optim.scheduler")
    core = real("composer.core")
    kinds = {
        "constant_with_warmup": composer.ConstantWithWarmupScheduler,
        "cosine_with_warmup": composer.CosineAnnealingWithWarmupScheduler,
        "linear_decay_with_warmup": composer.LinearWithWarmupScheduler,
        "inv_sqrt_with_warmup": own.InverseSquareRootWithWarmupScheduler,
    }
    rule = kinds[o["name"]](**{k: v for k, v in o.items() if k != "name"})
    state = types.SimpleNamespace(max_duration=core.Time.from_timestring(f"{TOTAL}ba"), timestamp=core.Timestamp())
    rates = [rule(state)]
    for _ in range(TOTAL - 1):
        rates.append(rule(state))
        state.timestamp = state.timestamp.to_next_batch()
    return rates


# ----------------------------------------------------------------------------------------------------------------------


def rates_of(target: str, found, peak: float, own: bool) -> list[float] | None:
    """Rates of all updates, of the real scheduler (`own`) or of the twin; None where the export is code."""
    steps = range(TOTAL)
    if target == "transformers":
        o = transformers_options(found.text)
        if o is None:
            return None
        return transformers_real(o) if own else [transformers_twin(o, t) for t in steps]
    if target == "megatron":
        o = megatron_options(found.text)
        return megatron_real(o) if own else [megatron_twin(o, t) for t in steps]
    if target == "torchtitan":
        o = torchtitan_options(found.text)
        return [peak * y for y in (torchtitan_real(o) if own else [torchtitan_twin(o, t) for t in steps])]
    if target == "deepspeed":
        o = deepspeed_options(found.text)
        return deepspeed_real(o, peak) if own else deepspeed_rates(o, peak)
    if target == "olmo_core":
        if not own:
            stages = olmo_stages(found.text)
            return [peak * olmo_twin(stages, t) for t in steps]
        real("olmo_core.optim.scheduler")
        space: dict = {}
        exec(found.text, space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [space["scheduler"].get_lr(peak, t + 1, TOTAL) for t in steps]
    o = llm_foundry_options(found.text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [peak * y for y in (llm_foundry_real(o) if own else [llm_foundry_twin(o, t) for t in steps])]


CONFIGURED = ("transformers", "megatron", "torchtitan", "deepspeed", "olmo_core", "llm_foundry")


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["twin", "real"])
@pytest.mark.parametrize("target", CONFIGURED)
def test_a_trainer_makes_of_it_what_the_export_says(target, own, record_property):
    natively, worst = 0, 0.0
    for text in TEXTS:
        schedule = parse(text)
        found = export(schedule, target)
        rates = rates_of(target, found, schedule.peak, own)
        if rates is None:
            continue
        wanted = schedule(np.arange(TOTAL))
        off = float(np.max(np.abs(np.array(rates) - wanted))) / schedule.peak
        assert off == pytest.approx(found.deviation, abs=NEAR), (text, found.text)
        assert found.exact == (found.deviation <= EXACT)
        natively += found.exact
        worst = max(worst, off if found.exact else 0.0)
    record_property("largest deviation where exact", worst)
    print(f"{target}: {natively} of {len(TEXTS)} exact, to {worst:.1e} of the peak")
    assert natively >= 3


@pytest.mark.slow
@pytest.mark.parametrize("target", CONFIGURED)
@given(schedule=schedules(TOTAL))
@settings(max_examples=30, deadline=None)
def test_the_stated_deviation_of_any_schedule_is_the_true_one(target, schedule):
    found = export(schedule, target)
    rates = rates_of(target, found, schedule.peak, own=False)
    if rates is not None:
        off = float(np.max(np.abs(np.array(rates) - schedule(np.arange(TOTAL))))) / schedule.peak
        assert off == pytest.approx(found.deviation, abs=NEAR), found.text
        assert found.exact == (found.deviation <= EXACT)
        assert found.exact or f"off by up to {percent(found.deviation)} of the peak" in found.notes[0]


EXPRESSED = {
    "transformers": ["constant", "linear", "linear f", "cosine", "cosine f", "polynomial", "power_decay", "wsd",
                     "wsd 1-sqrt", "wsd bent", "inverse_sqrt", "restarts"],
    "megatron": ["constant", "linear", "linear f", "cosine", "cosine f", "wsd", "wsd f", "wsd 1-sqrt", "inverse_sqrt",
                 "wsd half"],
    "deepspeed": ["constant", "linear", "linear f"],
    "olmo_core": ["constant", "linear", "linear f", "cosine", "cosine f", "wsd", "wsd f", "step", "cyclic", "jump"],
}  # fmt: skip
W = "peak=1e-3, warmup=20, total=400"
NAMED = {
    "constant": f"constant({W})", "linear": f"linear({W})", "linear f": f"linear({W}, final=1e-4)",
    "cosine": f"cosine({W})", "cosine f": f"cosine({W}, final=1e-4)", "wsd": f"wsd({W}, decay=80)",
    "wsd f": f"wsd({W}, decay=80, final=1e-4)", "wsd 1-sqrt": f"wsd({W}, decay=80, shape=1-sqrt)",
    "wsd half": f"wsd({W}, decay=80, shape=exponential, final=5e-4)", "inverse_sqrt": f"inverse_sqrt({W})",
    "polynomial": f"polynomial({W}, final=1e-4, exponent=0.7)", "power_decay": f"power_decay({W}, beta=1.2)",
    "restarts": f"sgdr({W}, period=95)", "wsd bent": f"wsd({W}, decay=80, shape=cosine, warmup_shape=1-sqrt)",
    "step": f"step({W}, boundaries=[200, 300], values=[1e-4, 0])", "cyclic": f"cyclic({W})",
    "jump": "knots(steps=[0, 100, 200, 200, 400], values=[0, 1e-3, 8e-4, 2e-4, 1e-4])",
}  # fmt: skip


@pytest.mark.parametrize("target, name", [(t, n) for t, names in EXPRESSED.items() for n in names])
def test_own_options_are_used_where_they_are_exact(target, name):
    found = export(parse(NAMED[name]), target)
    assert found.exact, found.notes
    assert target != "transformers" or "training_arguments" in found.text


@pytest.mark.parametrize("text, target, most", [
    (NAMED["cosine"], "torchtitan", 1 / 21), (NAMED["linear"], "llm_foundry", 1 / 20),
    (NAMED["wsd f"], "llm_foundry", 1 / 20), (NAMED["cosine"], "deepspeed", 2e-3), (f"rex({W})", "olmo_core", 1e-4),
    (f"wsd({W}, decay=80, shape=square)", "megatron", 0.1),
])  # fmt: skip
def test_the_nearest_form_is_near_and_says_how_near(text, target, most):
    found = export(parse(text), target)
    assert EXACT < found.deviation <= most + EXACT and not found.exact
    assert "%" in found.notes[0] and "of the peak" in found.notes[0]
    said = " ".join(found.text.replace("\n# ", " ").split())
    assert found.notes[0] in said


def test_bash_reads_the_flags(tmp_path):
    file = tmp_path / "flags.sh"
    file.write_text(export(parse(NAMED["wsd f"]), "megatron").text)
    script = f'set -eu; source "{file}"; printf "%s\\n" "${{LR_ARGS[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stdout.split()[:4] == ["--lr", "1.0e-3", "--min-lr", "1.0e-4"]


def test_deepspeed_takes_its_scheduler_from_what_is_exported():
    config = json.loads(export(parse(NAMED["linear"]), "deepspeed").text)
    assert set(config) == {"_comment", "scheduler", "_check"} and set(config["scheduler"]) == {"type", "params"}
