"""Targets that are configured: their own options where these express the schedule, else the nearest that was found."""

import json
from collections.abc import Iterator
from itertools import product

import numpy as np

from ..schedules.base import Schedule
from . import trainers
from .base import EXACT, Export, Rates, check_comment, checked, deviation, heading, off, percent, plain, word
from .code import scalar
from .lines import followed, segments
from .nearest import Form, Options, lengths, levels, nearest, warmups

STAGES = 100  # of an OLMo-core schedule, for a stretch that is neither a line nor half a cosine
NEARLY = 1e-6  # of the peak, at which no more stages are added
TINY = 1e-12  # a factor in the place of 0, for schedulers that take none


def transformers(schedule: Schedule) -> Export:
    """TrainingArguments where a built-in type is exact, else a scheduler for Trainer(optimizers=…)."""
    kind, kwargs = _built_in(schedule) or ("", {})
    options = {"type": kind, "peak": schedule.peak, "warmup": schedule.warmup, "total": schedule.total, **kwargs}
    if not kind or (far := deviation(schedule, lambda t: trainers.transformers(options, t))) > EXACT:
        tail = '''

def scheduler_for(optimizer, last_epoch=-1):
    """For Trainer(..., optimizers=(optimizer, scheduler_for(optimizer))); make the optimizer with lr=PEAK."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: lr_at(step) / PEAK, last_epoch)
'''
        notes = ("No lr_scheduler_type of transformers is this schedule, so it comes as a scheduler for the Trainer.",)
        return scalar(schedule, "transformers", "transformers", "lr_at", "step", tail, notes)
    given = {
        "learning_rate": schedule.peak,
        "lr_scheduler_type": kind,
        "lr_scheduler_kwargs": kwargs,
        "warmup_steps": schedule.warmup,
        "max_steps": schedule.total,
    }
    text = heading(schedule, "transformers", ("Use as TrainingArguments(..., **training_arguments).",))
    text += "\ntraining_arguments = {\n" + "".join(f'    "{k}": {_python(v)},\n' for k, v in given.items()) + "}\n\n"
    return Export("transformers", text + check_comment(schedule), ".py", True, far)


def _built_in(s: Schedule) -> tuple[str, Options] | None:
    """The type of transformers that is meant to be this schedule, and its keywords."""
    final = getattr(s, "final", 0.0)
    if s.family == "constant":
        return "constant_with_warmup" if s.warmup else "constant", {}
    if s.family == "linear" and not final:
        return "linear", {}
    if s.family in ("linear", "polynomial", "power_decay") and final < s.peak:
        power = {"linear": lambda: 1.0, "polynomial": lambda: s.exponent, "power_decay": lambda: 2 * s.beta - 1}
        return "polynomial", {"lr_end": final, "power": power[s.family]()}
    if s.family == "cosine":
        return ("cosine_with_min_lr", {"min_lr": final}) if final else ("cosine", {})
    if s.family == "sgdr" and s.growth == 1 and not final:
        return "cosine_with_restarts", {"num_cycles": max(round((s.total - s.warmup) / s.period), 1)}
    if s.family == "inverse_sqrt":
        return "inverse_sqrt", {"timescale": s.timescale or s.warmup}
    if s.family == "wsd" and {s.shape, s.warmup_shape} <= {"linear", "cosine", "1-sqrt"}:
        rise = {} if s.warmup_shape == "linear" else {"warmup_type": s.warmup_shape}
        fall = {"num_decay_steps": s.decay, "decay_type": s.shape, "min_lr_ratio": final / s.peak}
        return "warmup_stable_decay", rise | fall
    return None


def megatron(schedule: Schedule) -> Export:
    """Flags of Megatron-LM, as an array of bash."""
    base = {"peak": schedule.peak, "total": schedule.total}

    def candidates() -> Iterator[Options]:
        for w in warmups(schedule):
            yield base | {"warmup": w, "style": "constant", "low": 0.0}
            for low, style in product(levels(schedule), ("linear", "cosine", "inverse-square-root")):
                yield base | {"warmup": w, "style": style, "low": low}
            # An exponential that does not reach 0 is Megatron's to half the peak.
            lows = dict.fromkeys([*levels(schedule), schedule.peak / 2])
            for low, d, fall in product(lows, lengths(schedule, w), ("linear", "cosine", "minus_sqrt", "exponential")):
                yield base | {"warmup": w, "style": "WSD", "low": low, "decay": d, "fall": fall}

    moves = {"low": (0.0, schedule.peak), "decay": (1, schedule.total - max(warmups(schedule)))}
    o, far, notes = _found(schedule, "Megatron-LM", trainers.megatron, candidates(), moves)
    flags = {
        "--lr": o["peak"], "--min-lr": o["low"], "--lr-decay-style": o["style"], "--lr-warmup-iters": o["warmup"],
        "--lr-warmup-init": 0.0, "--lr-decay-iters": o["total"], "--train-iters": o["total"],
    }  # fmt: skip
    if o["style"] == "WSD":
        flags |= {"--lr-wsd-decay-style": o["fall"], "--lr-wsd-decay-iters": o["decay"]}
    notes = (*notes, "On resuming with other values, --override-opt-param-scheduler is needed, too.")
    lines = "".join(f"  {flag} {_flag(value)}\n" for flag, value in flags.items())
    text = f"{heading(schedule, 'Megatron-LM', notes)}\nLR_ARGS=(\n{lines})\n\n"
    return _ended(schedule, "megatron", text, ".sh", far, notes, trainers.megatron, o)


def torchtitan(schedule: Schedule) -> Export:
    """The scheduler's Config of torchtitan."""
    base = {"peak": schedule.peak, "total": schedule.total}
    total = schedule.total

    def candidates() -> Iterator[Options]:
        ends = dict.fromkeys(v for w in warmups(schedule) for v in ((w + 1, w) if w else (w,)) if v <= total)
        for w in ends:
            yield base | {"warmup": w, "type": "linear", "decay": 0, "low": 0.0}
            decays = [*lengths(schedule, w), total - w]
            for low, d, fall in product(levels(schedule), decays, ("linear", "cosine", "sqrt")):
                if d and w + d <= total and round(total * (d / total)) == d:
                    yield base | {"warmup": w, "type": fall, "decay": d, "low": low}

    moves = {"low": (0.0, schedule.peak)}
    o, far, notes = _found(schedule, "torchtitan", trainers.torchtitan, candidates(), moves)
    if schedule.warmup and far > EXACT:
        notes = (*notes, "Its warm-up starts at 1 / warmup_steps of the peak, not at 0.")
    given = {
        "warmup_steps": o["warmup"], "total_steps": total, "decay_ratio": o["decay"] / total, "decay_type": o["type"],
        "min_lr_factor": o["low"] / o["peak"],
    }  # fmt: skip
    notes = (*notes, f"The optimizer's lr must be {word(schedule.peak)}; of torchtitan 0.3 (configurations in Python).")
    lines = "".join(f"    {k}={_python(v)},\n" for k, v in given.items())
    text = heading(schedule, "torchtitan", notes) + (
        "\nfrom torchtitan.components.optimizer import LRSchedulersContainer\n\n"
        f"lr_scheduler = LRSchedulersContainer.Config(\n{lines})\n\n"
    )
    return _ended(schedule, "torchtitan", text, ".py", far, notes, trainers.torchtitan, o)


def llm_foundry(schedule: Schedule) -> Export:
    """The scheduler of an llm-foundry YAML."""
    base, total = {"peak": schedule.peak}, schedule.total
    scales = [getattr(schedule, "timescale", None) or 0, *(round(total * 4.0**k) for k in range(-5, 2))]

    def candidates() -> Iterator[Options]:
        ends = dict.fromkeys(v for w in warmups(schedule) for v in ((w - 1, w) if w > 1 else (w,)))
        for w in ends:
            yield base | {"name": "constant_with_warmup", "warmup": w, "total": total}
            for low, name in product(levels(schedule), ("linear_decay_with_warmup", "cosine_with_warmup")):
                yield base | {"name": name, "warmup": w, "total": total, "low": low}
            for low, d in product(levels(schedule), [0, *lengths(schedule, schedule.warmup)]):
                o = {"name": "inv_sqrt_with_warmup", "warmup": w, "total": max(total - 1, 1), "low": low, "cooldown": d}
                yield base | o | {"level": 1.0, "scale": total}  # flat until the cooldown
                yield from (base | o | {"level": low / schedule.peak, "scale": s} for s in {*scales, w} if s)

    moves = {"low": (0.0, schedule.peak), "scale": (1, 8 * total), "cooldown": (0, total)}

    def form(o: Options, t):
        return trainers.llm_foundry(_monotone(o), t)

    o, far, notes = _found(schedule, "llm-foundry", form, candidates(), moves)
    o = _monotone(o)
    given = {"name": o["name"], "t_warmup": f"{o['warmup']}ba"}
    if o["name"] != "constant_with_warmup":
        given["t_max"] = f"{o['total']}ba"
    if o["name"] == "inv_sqrt_with_warmup":
        given |= {"t_scale": f"{o['scale']}ba", "t_cooldown": f"{o['cooldown']}ba"}
        given |= {"alpha_f_decay": o["level"], "alpha_f_cooldown": o["low"] / o["peak"]}
    elif "low" in o:
        given["alpha_f"] = o["low"] / o["peak"]
    if far > EXACT:
        notes = (*notes, "Composer computes the rate before it counts the batch, so that the warm-up lags one update.")
    lines = "".join(f"  {k}: {v if isinstance(v, str) else word(v)}\n" for k, v in given.items())
    notes = (*notes, f"The optimizer's lr must be {word(schedule.peak)}, max_duration {total}ba.")
    text = f"{heading(schedule, 'llm-foundry', notes)}\nscheduler:\n{lines}\n"
    return _ended(schedule, "llm_foundry", text, ".yaml", far, notes, form, o)


def _monotone(o: Options) -> Options:
    """`o` as llm-foundry admits it: a cooldown ends no higher than the decay before it tends to."""
    return {**o, "level": max(o["level"], o["low"] / o["peak"])} if "level" in o else o


def deepspeed(schedule: Schedule) -> Export:
    """The scheduler of a DeepSpeed JSON, of its own classes or of PyTorch's, which it takes by name."""
    moves = {"low": (0.0, schedule.peak)}
    o, far, notes = _found(schedule, "DeepSpeed", trainers.deepspeed, _deepspeed(schedule), moves)
    p, total, kind = o["peak"], o["total"], o["type"]
    if kind == "WarmupCosineLR":
        params = {"total_num_steps": total, "warmup_min_ratio": o["first"], "warmup_num_steps": o["warmup"]}
        params |= {"cos_min_ratio": o["low"] / p, "warmup_type": "linear"}
    elif kind in ("WarmupLR", "WarmupDecayLR"):
        params = {"total_num_steps": total} if kind == "WarmupDecayLR" else {}
        params |= {"warmup_min_lr": o["low"], "warmup_max_lr": p, "warmup_num_steps": o["warmup"]}
        params |= {"warmup_type": "linear"}
    elif kind == "OneCycleLR":
        params = {"max_lr": p, "total_steps": total + 1, "pct_start": (o["warmup"] + 1) / (total + 1)}
        params |= {"anneal_strategy": "linear", "cycle_momentum": False, "div_factor": 1 / TINY}
        params |= {"final_div_factor": p * TINY / o["low"] if o["low"] else 1 / TINY}
    elif kind == "LinearLR":
        params = {"start_factor": o["first"], "end_factor": o["last"], "total_iters": o["length"]}
    elif kind == "CosineAnnealingLR":
        params = {"T_max": total, "eta_min": o["low"]}
    else:
        params = {"milestones": list(o["milestones"]), "gamma": o["gamma"]}
    notes = (*notes, f"The optimizer's lr must be {word(p)}.")
    if far > EXACT:
        better = "The code of --to pytorch is exact: deepspeed.initialize(..., lr_scheduler=scheduler_for)."
        notes = (notes[0], better, *notes[1:])
    steps = checked(schedule)
    rows = zip(steps, trainers.deepspeed(o, np.array(steps, dtype=float)), schedule(steps), strict=True)
    said = (f"DeepSpeed: {schedule.text}", "Updates count from 0; lr is what update t uses.", *notes)
    about = [plain(t) for t in said]
    table = [{"step": t, "lr": float(x), "of the schedule": float(y)} for t, x, y in rows]
    config = {"_comment": about, "scheduler": {"type": kind, "params": params}, "_check": table}
    return Export("deepspeed", json.dumps(config, indent=1) + "\n", ".json", far <= EXACT, far, notes)


def _deepspeed(schedule: Schedule) -> Iterator[Options]:
    p, total = schedule.peak, schedule.total
    base = {"peak": p, "total": total}
    for w in warmups(schedule):
        first = {"first": TINY if w else 1.0, "length": max(w, 1)}
        yield base | {"type": "LinearLR", "last": 1.0, **first}
        for low in levels(schedule):
            if w:
                yield base | {"type": "OneCycleLR", "warmup": w, "low": low}
            else:
                yield base | {"type": "LinearLR", "first": 1.0, "last": low / p, "length": total}
                yield base | {"type": "CosineAnnealingLR", "low": low}
            for v in {max(w - 1, 1), max(w, 1), w + 1}:
                cosine = {"type": "WarmupCosineLR", "warmup": v, "first": 1 / max(w, 1), "low": low}
                yield from (base | cosine | {"total": end} for end in (total, total + 1))
                yield base | {"type": "WarmupDecayLR", "warmup": v, "low": low, "total": max(total - 1, 1)}
        for v in {max(w - 1, 1), max(w, 1)}:
            yield base | {"type": "WarmupLR", "warmup": v, "low": 0.0}
    if schedule.family == "step" and not schedule.warmup and schedule.values[0]:
        yield base | {"type": "MultiStepLR", "gamma": schedule.values[0] / p, "milestones": schedule.boundaries}


def olmo_core(schedule: Schedule) -> Export:
    """Stages of OLMo-core's ComposableScheduler, one for each stretch; many for one that is no line and no cosine."""
    found = segments(schedule, STAGES, NEARLY)

    def rates(t):
        return followed(found, t)

    far = deviation(schedule, rates)
    p = schedule.peak
    notes = () if far <= EXACT else (
        f"OLMo-core has lines and cosines only: {len(found)} of them are off by up to {percent(far)} of the peak.",
    )  # fmt: skip
    notes = (*notes, f"The optimizer's lr must be {word(p)}, and units steps.")
    # OLMo-core counts an update before it takes it: the first one is at 1, so a stage of one step stands for 0.
    first = found[0].first / p
    rows = [(1, "linear", first, first), *((s.end - s.start, s.shape, s.first / p, s.last / p) for s in found)]
    lines = "".join(
        f'        ComposableSchedulerStage(duration={d}, shape="{shape}", start_lr_fraction={word(a)}, '
        f"end_lr_fraction={word(b)}),\n"
        for d, shape, a, b in rows
    )
    text = heading(schedule, "OLMo-core", notes) + (
        "\nfrom olmo_core.optim.scheduler import ComposableScheduler, ComposableSchedulerStage\n\n"
        "scheduler = ComposableScheduler(\n    stages=[  # OLMo-core counts from 1; the first stage stands for 0\n"
        f"{lines}    ]\n)\n\n"
    )
    text += check_comment(schedule, None if far <= EXACT else rates)
    return Export("olmo_core", text, ".py", far <= EXACT, far, notes)


def _found(schedule, title: str, form: Form, candidates, moves) -> tuple[Options, float, tuple[str, ...]]:
    """The options, how far off they are, and the sentence about it."""
    options, far = nearest(schedule, form, candidates, moves)
    return options, far, () if far <= EXACT else (off(title, far),)


def _ended(
    schedule: Schedule, target: str, text: str, suffix: str, far: float, notes: tuple[str, ...], form: Form, o: Options
) -> Export:
    rates: Rates | None = None if far <= EXACT else lambda t: form(o, t)
    return Export(target, text + check_comment(schedule, rates), suffix, far <= EXACT, far, notes)


def _python(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{k}": {_python(v)}' for k, v in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str) else str(value) if isinstance(value, int) else word(value)


def _flag(value) -> str:
    return str(value) if isinstance(value, (str, int)) else word(value)
